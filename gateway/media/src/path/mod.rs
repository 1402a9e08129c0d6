//! How datagrams reach the peer: by a signalled address, or by ICE.

pub(crate) mod ice;
pub(crate) mod r#static;
pub(crate) mod stun;

use std::net::IpAddr;

use gateway_core::reachable::Kind;

/// Whether a peer may name this address as its own: not one that leads back into this host, to a whole group, or
/// to what only a link of this host can reach (security row 18).
pub(crate) fn may_be_sent_to(ip: IpAddr, allow_loopback: bool) -> bool {
    match Kind::of(ip) {
        Kind::Public | Kind::Shared | Kind::Private => true,
        Kind::Loopback => allow_loopback,
        Kind::LinkLocal
        | Kind::Reserved
        | Kind::Broadcast
        | Kind::Multicast
        | Kind::Unspecified => false,
    }
}

/// Whether an address means nothing outside the network it was given in (RFC 1918, RFC 6598, RFC 4193).
pub(crate) fn is_private(ip: IpAddr) -> bool {
    Kind::of(ip).is_local()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_lead_back_into_the_host_are_refused() {
        for ip in [
            "0.0.0.0",
            "127.0.0.1",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "2002:7f00:1::",
            "240.0.0.1",
        ] {
            assert!(!may_be_sent_to(ip.parse().unwrap(), false), "{ip}");
        }
        for ip in ["192.0.2.1", "10.0.0.1", "2001:db8::1", "fd00::1"] {
            assert!(may_be_sent_to(ip.parse().unwrap(), false), "{ip}");
        }
        assert!(may_be_sent_to("127.0.0.1".parse().unwrap(), true));
    }
}
