//! What the sockets need to be told.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use gateway_core::reachable::Reachable;
use nix::ifaddrs::getifaddrs;

use super::datagram::to_std;

/// Listeners, certificates and limits.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Addresses to take datagrams at.
    pub udp: Vec<SocketAddr>,
    /// Addresses to take TCP connections at.
    pub tcp: Vec<SocketAddr>,
    /// Addresses to take TLS connections at.
    pub tls: Vec<SocketAddr>,
    /// Our certificate chain, PEM. Without one TLS listeners use a self-signed one for `domain`.
    pub certificate: Option<PathBuf>,
    /// The key of the certificate, PEM.
    pub key: Option<PathBuf>,
    /// Whom we trust when we connect, PEM; without it the system's bundle.
    pub ca_file: Option<PathBuf>,
    /// The name a self-signed certificate is for.
    pub domain: String,
    /// The addresses others reach us at, where they differ from the bound ones.
    pub advertised: Vec<IpAddr>,
    /// Connections one source address may hold.
    pub max_connections_per_source: usize,
    /// Connections held at once.
    pub max_connections: usize,
    /// How long a connection may be silent.
    pub idle: Duration,
    /// What decides where we may send; the sockets add where they listen.
    pub reach: Reachable,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            udp: Vec::new(),
            tcp: Vec::new(),
            tls: Vec::new(),
            certificate: None,
            key: None,
            ca_file: None,
            domain: "localhost".to_owned(),
            advertised: Vec::new(),
            max_connections_per_source: 64,
            max_connections: 8_192,
            idle: Duration::from_secs(1_800),
            reach: Reachable::default(),
        }
    }
}

impl Settings {
    /// The files of certificates that were configured.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        [&self.certificate, &self.key, &self.ca_file].into_iter().flatten().cloned().collect()
    }

    /// The address to tell others instead of a bound one: the configured one of its family, or,
    /// where all addresses were bound, the one the system would send from.
    pub(super) fn reached_at(&self, bound: IpAddr) -> IpAddr {
        let configured = self.advertised.iter().find(|ip| ip.is_ipv6() == bound.is_ipv6());
        match configured {
            Some(ip) => *ip,
            None if bound.is_unspecified() => outgoing(bound).unwrap_or(bound),
            None => bound,
        }
    }
}

/// The addresses of this host as they are now. Without the list, the bound and the advertised
/// addresses are all that is known.
pub(super) fn host_addresses() -> Vec<IpAddr> {
    let interfaces = getifaddrs().map(Iterator::collect::<Vec<_>>).unwrap_or_else(|error| {
        tracing::warn!(%error, "the addresses of this host are not known");
        Vec::new()
    });
    let addresses = interfaces.iter().filter_map(|interface| interface.address.as_ref());
    addresses.filter_map(|address| to_std(address).map(|address| address.ip())).collect()
}

/// Asks the routing table by connecting a datagram socket, which sends nothing.
fn outgoing(bound: IpAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind((bound, 0)).ok()?;
    // Addresses for documentation (RFC 5737, RFC 3849): they take the default route.
    let anywhere: IpAddr = match bound {
        IpAddr::V4(_) => IpAddr::from([192, 0, 2, 1]),
        IpAddr::V6(_) => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]),
    };
    let loopback: IpAddr = match bound {
        IpAddr::V4(_) => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(_) => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
    };
    match socket.connect((anywhere, 9)) {
        Ok(()) => socket.local_addr().ok().map(|address| address.ip()),
        Err(_) => Some(loopback),
    }
}
