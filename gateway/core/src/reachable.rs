//! Where messages may be sent: one function decides for every address (RFC 6890).
//!
//! An address and the one who named it enter, a permission or a reason leaves. A stranger that
//! makes us send to an address of its choice reaches what only we can reach: a service on this
//! machine, a host of our network (server-side request forgery).
//!
//! ```text
//!                          public  shared, private,   loopback,    unspecified, multicast,
//!                                  link-local         this host    reserved, our listeners
//!   the configuration       yes     yes                yes          never
//!   somebody who dials      yes     no                 no           never
//!   a peer's message        yes     same network       peer here    never
//! ```

mod kind;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub use kind::Kind;

/// The ports of SIP where none is said (RFC 3261 §19.1.2).
const SIP_PORTS: [u16; 2] = [5060, 5061];

/// By which way an address was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// The operator: the server of a trunk.
    Configuration,
    /// A name that somebody dialled, or what the DNS, ENUM or a redirection made of it.
    Dialled,
    /// A field of a peer's message: Contact, Route, Via.
    Peer {
        /// Where that message came from.
        from: IpAddr,
    },
}

/// How far a dialled address may lead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// To public addresses.
    #[default]
    Public,
    /// To this machine only: the demo.
    Loopback,
}

/// What an address is refused for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Its kind.
    Kind(Kind),
    /// It belongs to the machine the gateway runs on.
    Host,
    /// The gateway itself listens there.
    Ourselves,
    /// Its port is 0.
    Port,
    /// Only this machine may be called.
    Scope,
}

/// Why an address may not be sent to. It tells the kind of the address and not the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Forbidden {
    /// What it is refused for.
    pub obstacle: Obstacle,
    /// How it was named.
    pub named: Named,
}

/// What is known of the gateway's own place, and what its configuration names.
#[derive(Clone, Default)]
pub struct Reachable {
    scope: Scope,
    /// Hosts that the configuration names, in their plain form, with their port where it says one.
    named: Vec<(String, Option<u16>)>,
    /// Addresses the gateway listens at; of an unspecified one every address of the host counts.
    listeners: Vec<SocketAddr>,
    /// The addresses of this host.
    host: Vec<IpAddr>,
}

impl Reachable {
    /// Makes it of how far a dialled address may lead, and of the hosts that the configuration
    /// names: `host` or `host:port`. A host with a port is named at that port only.
    #[must_use]
    pub fn new(scope: Scope, named: &[String]) -> Self {
        let named = named.iter().map(|named| host_and_port(named)).collect();
        Self { scope, named, ..Self::default() }
    }

    /// Notes addresses that the gateway listens at.
    #[must_use]
    pub fn with_listeners(mut self, listeners: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.listeners.extend(listeners);
        self
    }

    /// Notes addresses of this host.
    #[must_use]
    pub fn with_host(mut self, host: impl IntoIterator<Item = IpAddr>) -> Self {
        self.host.extend(host);
        self
    }

    /// Whether an address that a look-up of `host` led to may be sent to; `asked` is the port that
    /// was asked for beside the host. A host without a port is named at the ports of SIP, and at
    /// those that its SRV records say.
    ///
    /// # Errors
    /// Why not.
    pub fn judge_found(
        &self,
        host: &str,
        asked: Option<u16>,
        to: SocketAddr,
    ) -> Result<(), Forbidden> {
        let host = plain(host);
        let is_named =
            self.named.iter().filter(|(named, _)| *named == host).any(|(_, port)| match port {
                Some(port) => *port == to.port(),
                None => asked.is_none_or(|asked| SIP_PORTS.contains(&asked)),
            });
        self.judge(to, if is_named { Named::Configuration } else { Named::Dialled })
    }

    /// Whether an address may be sent to.
    ///
    /// # Errors
    /// Why not.
    pub fn judge(&self, to: SocketAddr, named: Named) -> Result<(), Forbidden> {
        let forbidden = |obstacle| Forbidden { obstacle, named };
        self.judge_always(to).map_err(forbidden)?;
        if named == Named::Dialled && self.scope == Scope::Loopback {
            let is_here = to.ip().to_canonical().is_loopback();
            return if is_here { Ok(()) } else { Err(forbidden(Obstacle::Scope)) };
        }
        let faces = kind::faces(to.ip());
        faces.into_iter().try_for_each(|face| self.judge_face(face, named)).map_err(forbidden)
    }

    /// Judges what holds for every address, also one that the configuration names.
    ///
    /// # Errors
    /// What it is refused for.
    pub fn judge_always(&self, to: SocketAddr) -> Result<(), Obstacle> {
        let kind = Kind::of(to.ip());
        if kind.is_never() {
            return Err(Obstacle::Kind(kind));
        }
        if to.port() == 0 {
            return Err(Obstacle::Port);
        }
        let is_ours = self.listeners.iter().any(|listener| self.is_at(to, *listener));
        if is_ours { Err(Obstacle::Ourselves) } else { Ok(()) }
    }

    /// Whether what is sent to `to` arrives at a listener of this host bound to `listener`.
    #[must_use]
    pub fn is_at(&self, to: SocketAddr, listener: SocketAddr) -> bool {
        let is_its = |face: &IpAddr| {
            // One of all IPv6 addresses may take IPv4 as well (RFC 3493 §5.3).
            let is_any = listener.ip().is_unspecified() && (listener.is_ipv6() || face.is_ipv4());
            *face == listener.ip() || is_any && self.is_here(*face)
        };
        to.port() == listener.port() && kind::faces(to.ip()).iter().any(is_its)
    }

    fn is_here(&self, face: IpAddr) -> bool {
        Kind::of_face(face) == Kind::Loopback || self.host.contains(&face)
    }

    fn judge_face(&self, face: IpAddr, named: Named) -> Result<(), Obstacle> {
        let kind = Kind::of_face(face);
        if self.is_here(face) {
            let is_allowed = match named {
                Named::Configuration => true,
                Named::Dialled => false,
                Named::Peer { from } => self.is_here(from.to_canonical()),
            };
            let is_loopback = kind == Kind::Loopback;
            let obstacle = if is_loopback { Obstacle::Kind(kind) } else { Obstacle::Host };
            return if is_allowed { Ok(()) } else { Err(obstacle) };
        }
        let is_allowed = match named {
            Named::Configuration => true,
            Named::Dialled => kind == Kind::Public,
            Named::Peer { from } => kind == Kind::Public || is_beside(face, from.to_canonical()),
        };
        if is_allowed { Ok(()) } else { Err(Obstacle::Kind(kind)) }
    }
}

/// Whether two local addresses are in one network, as far as that can be told: the same block of
/// RFC 1918, the same site of RFC 4193, the same carrier. Of a link an address says nothing, so
/// there it must be the same one.
fn is_beside(ip: IpAddr, from: IpAddr) -> bool {
    if ip == from {
        return true;
    }
    let (kind, is_same_kind) = (Kind::of_face(ip), Kind::of_face(ip) == Kind::of_face(from));
    let is_private = is_same_kind && kind == Kind::Private;
    match (ip, from) {
        (IpAddr::V4(ip), IpAddr::V4(from)) => {
            let block = |ip: Ipv4Addr| match ip.octets() {
                [192, second, ..] => [192, second],
                [first, ..] => [first, 0],
            };
            let is_same_block = is_private && block(ip) == block(from);
            is_same_block || is_same_kind && kind == Kind::Shared
        }
        (IpAddr::V6(ip), IpAddr::V6(from)) => {
            let site = |ip: Ipv6Addr| [0, 1, 2].map(|at| ip.segments()[at]);
            is_private && site(ip) == site(from)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

/// A host as it is compared: without brackets, a last dot, and capitals; an address in its one form.
#[must_use]
pub fn plain(host: &str) -> String {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    let ip = host.parse::<IpAddr>().map(|ip| ip.to_canonical().to_string());
    ip.unwrap_or_else(|_| host.to_ascii_lowercase())
}

fn host_and_port(named: &str) -> (String, Option<u16>) {
    let is_whole = named.parse::<IpAddr>().is_ok() || named.ends_with(']');
    match named.rsplit_once(':').filter(|_| !is_whole) {
        Some((host, port)) => (plain(host), port.parse().ok()),
        None => (plain(named), None),
    }
}

/// Everything an address leads to: itself, and the IPv4 addresses it carries.
#[must_use]
pub fn faces(ip: IpAddr) -> Vec<IpAddr> {
    kind::faces(ip.to_canonical())
}

/// Logs get numbers, no addresses.
impl fmt::Debug for Reachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reachable({} listeners, {} hosts)", self.listeners.len(), self.named.len())
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => write!(f, "an address that is {}", kind.as_str()),
            Self::Host => f.write_str("an address of the gateway's own host"),
            Self::Ourselves => f.write_str("an address the gateway itself listens at"),
            Self::Port => f.write_str("an address with the port 0"),
            Self::Scope => f.write_str("an address elsewhere, while only this machine is called"),
        }
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match self.named {
            Named::Configuration => "the configuration",
            Named::Dialled => "the address that was dialled",
            Named::Peer { .. } => "a message from elsewhere",
        };
        write!(f, "{by} leads to {}{}", self.obstacle, self.hint())
    }
}

impl Forbidden {
    /// Which key would allow it.
    const fn hint(&self) -> &'static str {
        let can_be_allowed = match self.obstacle {
            Obstacle::Kind(kind) => !kind.is_never(),
            Obstacle::Host => true,
            Obstacle::Scope => return "; a configuration file allows more",
            Obstacle::Ourselves | Obstacle::Port => false,
        };
        match self.named {
            Named::Dialled if can_be_allowed => {
                "; `server` of a [[sip.trunk]] with that host allows it"
            }
            Named::Peer { .. } if can_be_allowed => "",
            Named::Configuration | Named::Dialled | Named::Peer { .. } => "; no key allows that",
        }
    }
}

#[cfg(test)]
mod tests;
