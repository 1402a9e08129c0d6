//! Where a message came from and where one goes: transport, far address, and the link it took.

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::transaction::TransactionId;

/// How messages travel (RFC 3261 §18).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// A stream inside TLS.
    Tls,
}

impl Transport {
    /// Parses the `transport` parameter of a URI; `None` for one we do not speak.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "udp" => Some(Self::Udp),
            "tcp" => Some(Self::Tcp),
            "tls" => Some(Self::Tls),
            _ => None,
        }
    }

    /// As Via names it.
    pub fn via_name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// As a URI parameter names it.
    pub fn param(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// Whether lost messages are the transport's worry and not the transaction's.
    pub fn is_reliable(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp | Self::Tls => true,
        }
    }

    /// The port where none is stated (RFC 3261 §19.1.2).
    pub fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }
}

/// One socket that listens for datagrams, or one connection; never used twice in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// Where a message came from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// The transport.
    pub transport: Transport,
    /// The far end.
    pub remote: SocketAddr,
    /// The socket or connection it came by.
    pub link: LinkId,
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{}", self.transport, self.link.0)
    }
}

/// Where a message is to go.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// The transport.
    pub transport: Transport,
    /// The far end.
    pub remote: SocketAddr,
    /// The link to use while it lives.
    pub link: Option<LinkId>,
    /// The name the far end's certificate must carry (RFC 5922 §7.1); without one no TLS
    /// connection is opened.
    pub server_name: Option<String>,
}

impl Target {
    /// A place not talked to yet.
    pub fn new(transport: Transport, remote: SocketAddr) -> Self {
        Self { transport, remote, link: None, server_name: None }
    }
}

impl From<Flow> for Target {
    fn from(flow: Flow) -> Self {
        Self {
            transport: flow.transport,
            remote: flow.remote,
            link: Some(flow.link),
            server_name: None,
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{:?}", self.transport, self.link.map(|link| link.0))
    }
}

/// One rendered message on its way out.
#[derive(Debug, Clone)]
pub struct Transmit {
    /// Where to.
    pub target: Target,
    /// The message.
    pub bytes: Bytes,
    /// Whom to tell when it cannot be sent.
    pub transaction: Option<TransactionId>,
}

impl From<Transport> for gateway_adapter::Transport {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Udp => Self::Udp,
            Transport::Tcp => Self::Tcp,
            Transport::Tls => Self::Tls,
        }
    }
}

impl From<gateway_adapter::Target> for Target {
    fn from(found: gateway_adapter::Target) -> Self {
        let transport = match found.transport {
            gateway_adapter::Transport::Udp => Transport::Udp,
            gateway_adapter::Transport::Tcp => Transport::Tcp,
            gateway_adapter::Transport::Tls => Transport::Tls,
        };
        Self { server_name: Some(found.name), ..Self::new(transport, found.address) }
    }
}
