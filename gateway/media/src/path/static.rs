//! A signalled address, a pair of sockets of its own (RFC 3264, RFC 3550 §11).
//!
//! Packets are taken from the signalled address only. A source is learned instead of it in one case: the signalled
//! address is private and not the one signalling comes from (so there is a translator between), and the packet is
//! proven: it passed SRTP authentication, or it comes from the IP address that signalling comes from (security row
//! 5). The first packet taken locks the source; only a new description of the peer opens the lock again.
//!
//! ```text
//!             set_remote                    accepted
//!  Unknown ---------------> Signalled ------------------> Locked
//!                               ^         set_remote         |
//!                               +----------------------------+
//! ```

use std::net::{IpAddr, SocketAddr};

use crate::io::{SocketId, SocketPair};
use crate::path::is_private;

/// How a packet's source compares with the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// It is the peer's.
    Peer,
    /// It may be learned if SRTP proves the packet, or at once where `is_signalling_peer`.
    Learnable { is_signalling_peer: bool },
    /// It is a stranger's.
    Stranger,
}

/// The path of one port without ICE.
#[derive(Debug)]
pub(crate) struct StaticPath {
    pub(crate) pair: SocketPair,
    signalling_peer: Option<IpAddr>,
    signalled: Option<SocketAddr>,
    rtp: Option<SocketAddr>,
    rtcp: Option<SocketAddr>,
    rtcp_mux: bool,
    is_locked: bool,
    is_learned: bool,
}

impl StaticPath {
    pub(crate) fn new(pair: SocketPair, signalling_peer: Option<IpAddr>) -> Self {
        Self {
            pair,
            signalling_peer,
            signalled: None,
            rtp: None,
            rtcp: None,
            rtcp_mux: false,
            is_locked: false,
            is_learned: false,
        }
    }

    /// Takes over what the peer's description says. The lock opens only if that is something new.
    pub(crate) fn set_remote(
        &mut self,
        rtp: Option<SocketAddr>,
        rtcp: Option<SocketAddr>,
        rtcp_mux: bool,
        signalling_peer: Option<IpAddr>,
    ) {
        self.signalling_peer = signalling_peer.or(self.signalling_peer);
        self.rtcp_mux = rtcp_mux;
        if self.is_learned && rtp.is_some() && rtp == self.signalled {
            return;
        }
        self.signalled = rtp;
        self.rtp = rtp;
        self.rtcp = rtcp;
        self.is_locked = false;
        self.is_learned = false;
    }

    /// Lets the source be learned again: the peer made a new offer.
    pub(crate) fn unlock(&mut self) {
        if self.is_learned {
            self.is_locked = false;
        }
    }

    pub(crate) fn rtp_destination(&self) -> Option<(SocketId, SocketAddr)> {
        self.rtp.map(|address| (self.pair.rtp, address))
    }

    pub(crate) fn rtcp_destination(&self) -> Option<(SocketId, SocketAddr)> {
        if self.rtcp_mux {
            return self.rtp_destination();
        }
        self.rtcp.map(|address| (self.pair.rtcp, address))
    }

    /// Judges the source of RTP, or of RTCP and DTLS on the RTP socket.
    pub(crate) fn judge_rtp(&self, source: SocketAddr) -> Source {
        let source = canonical(source);
        let Some(peer) = self.rtp else { return Source::Stranger };
        if source == peer {
            return Source::Peer;
        }
        let is_translated = is_private(peer.ip()) && self.signalling_peer != Some(peer.ip());
        let is_translated = is_translated || self.is_learned;
        if self.is_locked || !is_translated {
            return Source::Stranger;
        }
        let is_signalling_peer = self.signalling_peer == Some(source.ip());
        Source::Learnable { is_signalling_peer }
    }

    /// Judges the source of RTCP on its own socket. Where RTP was learned, the port of RTCP cannot be known, so
    /// the address alone decides.
    pub(crate) fn judge_rtcp(&self, source: SocketAddr) -> Source {
        let source = canonical(source);
        if self.rtcp_mux {
            return Source::Stranger;
        }
        let is_from_learned = self.is_learned && self.rtp.map(|rtp| rtp.ip()) == Some(source.ip());
        if Some(source) == self.rtcp || is_from_learned { Source::Peer } else { Source::Stranger }
    }

    /// Notes that a packet from this source was taken: it is the peer's from now on.
    pub(crate) fn accept_rtp(&mut self, source: SocketAddr) {
        let source = canonical(source);
        self.is_locked = true;
        if self.rtp != Some(source) {
            self.is_learned = true;
            self.rtp = Some(source);
            self.rtcp = Some(SocketAddr::new(source.ip(), source.port().saturating_add(1)));
        }
    }
}

/// An IPv4 address that came through an IPv6 socket is an IPv4 address.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(signalled: &str, signalling_peer: &str) -> StaticPath {
        let advertised = "192.0.2.1:20000".parse().unwrap();
        let pair = SocketPair { rtp: SocketId(2), rtcp: SocketId(3), advertised };
        let mut path = StaticPath::new(pair, Some(signalling_peer.parse().unwrap()));
        let rtp: SocketAddr = signalled.parse().unwrap();
        path.set_remote(Some(rtp), Some(SocketAddr::new(rtp.ip(), rtp.port() + 1)), false, None);
        path
    }

    fn judge(path: &StaticPath, source: &str) -> Source {
        path.judge_rtp(source.parse().unwrap())
    }

    #[test]
    fn a_public_signalled_address_is_the_only_source() {
        let path = path("198.51.100.7:4000", "198.51.100.9");
        assert_eq!(judge(&path, "198.51.100.7:4000"), Source::Peer);
        assert_eq!(judge(&path, "198.51.100.7:4001"), Source::Stranger);
        assert_eq!(judge(&path, "198.51.100.9:4000"), Source::Stranger);
    }

    #[test]
    fn behind_a_translator_the_signalling_peer_is_learned_once() {
        let mut path = path("10.0.0.7:4000", "198.51.100.9");
        let from_peer = Source::Learnable { is_signalling_peer: true };
        assert_eq!(judge(&path, "198.51.100.9:61000"), from_peer);
        let from_other = Source::Learnable { is_signalling_peer: false };
        assert_eq!(judge(&path, "203.0.113.5:61000"), from_other);
        path.accept_rtp("198.51.100.9:61000".parse().unwrap());
        assert_eq!(judge(&path, "198.51.100.9:61000"), Source::Peer);
        assert_eq!(judge(&path, "198.51.100.9:61002"), Source::Stranger);
        assert_eq!(judge(&path, "10.0.0.7:4000"), Source::Stranger);
    }

    #[test]
    fn nothing_is_learned_where_signalling_and_media_share_an_address() {
        let path = path("10.0.0.7:4000", "10.0.0.7");
        assert_eq!(judge(&path, "10.0.0.7:4002"), Source::Stranger);
        assert_eq!(judge(&path, "10.0.0.8:4000"), Source::Stranger);
    }

    #[test]
    fn a_repeated_description_keeps_what_was_learned_and_a_new_one_does_not() {
        let mut path = path("10.0.0.7:4000", "198.51.100.9");
        path.accept_rtp("198.51.100.9:61000".parse().unwrap());
        let signalled: SocketAddr = "10.0.0.7:4000".parse().unwrap();
        path.set_remote(Some(signalled), None, false, None);
        let learned: SocketAddr = "198.51.100.9:61000".parse().unwrap();
        assert_eq!(path.rtp_destination().unwrap().1, learned);
        let moved = "10.0.0.7:4100".parse().unwrap();
        path.set_remote(Some(moved), None, false, None);
        assert_eq!(path.rtp_destination().unwrap().1, moved);
    }
}
