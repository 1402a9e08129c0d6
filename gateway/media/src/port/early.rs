//! Handshakes of those who saw our offer, before one of them has answered it (RFC 5763 §5, RFC 8842 §5.2).
//!
//! A browser makes its answer while it rings. Nothing of it reaches us, but its checks and its ClientHello do: the
//! handshake is done with whoever comes, and its keys wait for the answer that says who was wanted.
//!
//! ```text
//!  ClientHello --> from an address that knows our password? --> handshake ----- answer -----> its keys, if it is
//!                                                                   |  |                      from the same peer
//!                                                 one for each peer +  +--> nothing is told
//! ```

use std::net::SocketAddr;
use std::time::Instant;

use gateway_core::description::MediaLine;

use super::{Keying, Path, Port, Settings};
use crate::counters::Outcome;
use crate::io::{SocketId, Transmit};
use crate::protection::dtls::{Association, Identity, Step, is_client_hello};

/// Devices that may handshake before one of them answers.
const MAX_HANDSHAKES: usize = 4;

/// One peer's.
struct Handshake {
    peer: String,
    association: Box<Association>,
    asker: (SocketId, SocketAddr),
}

/// All of a port.
#[derive(Default)]
pub(super) struct Early(Vec<Handshake>);

impl Early {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        for handshake in &mut self.0 {
            // Nothing is told of peers that nobody knows yet.
            let _ = handshake.association.handle_timeout(now);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.0.iter().filter_map(|handshake| handshake.association.poll_timeout()).min()
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.0.iter_mut().find_map(|handshake| {
            let bytes = handshake.association.poll_transmit()?;
            let (socket, destination) = handshake.asker;
            Some(Transmit { socket, destination, bytes })
        })
    }

    fn handle(
        &mut self,
        identity: &Identity,
        peer: &str,
        asker: (SocketId, SocketAddr),
        datagram: &[u8],
        now: Instant,
    ) -> Outcome {
        let known = self.0.iter().position(|handshake| handshake.peer == peer);
        let place = match known {
            Some(place) => place,
            None if !is_client_hello(datagram) => return Outcome::NotWanted,
            None if self.0.len() == MAX_HANDSHAKES => return Outcome::Excess,
            None => {
                let association = Association::before_answer(identity).map(Box::new);
                let Some(association) = association else { return Outcome::NotWanted };
                self.0.push(Handshake { peer: peer.to_owned(), association, asker });
                self.0.len() - 1
            }
        };
        let handshake = &mut self.0[place];
        match handshake.association.handle(datagram, now) {
            Step::Refused => Outcome::Excess,
            Step::Nothing | Step::Secured(_) | Step::Failed(_) => {
                handshake.asker = asker;
                Outcome::Passed
            }
        }
    }
}

impl Port {
    /// Whether our first offer waits for an answer.
    pub(super) fn is_unanswered(&self) -> bool {
        self.offered.is_some() && self.remote.is_none()
    }

    /// Takes a DTLS datagram while nobody has answered.
    pub(super) fn handle_early_dtls(
        &mut self,
        asker: (SocketId, SocketAddr),
        datagram: &[u8],
        settings: &Settings,
        now: Instant,
    ) -> Outcome {
        let (Path::Ice(path), Keying::Dtls(None)) = (&self.path, &self.keying) else {
            return Outcome::NotWanted;
        };
        let Some(peer) = path.early_peer(asker.1) else { return Outcome::WrongSource };
        self.early.handle(&settings.identity, peer, asker, datagram, now)
    }

    /// Whether the peer of this answer has begun a handshake that can be gone on with.
    pub(super) fn has_early(&self, answer: &MediaLine) -> bool {
        let is_theirs = |handshake: &Handshake| is_of(handshake, answer);
        self.early.0.iter().any(|one| is_theirs(one) && one.association.is_hopeful())
    }

    /// Goes on with that handshake, now that its peer is known.
    pub(super) fn adopt_early(&mut self, answer: &MediaLine) {
        let place = self.early.0.iter().position(|handshake| is_of(handshake, answer));
        let Some(place) = place else { return };
        let Handshake { mut association, asker, .. } = self.early.0.swap_remove(place);
        let step = association.identify(&answer.fingerprints);
        self.keying = Keying::Dtls(Some(association));
        self.asker = Some(asker);
        self.handle_step(step);
    }
}

fn is_of(handshake: &Handshake, answer: &MediaLine) -> bool {
    answer.ice.as_ref().is_some_and(|ice| ice.ufrag == handshake.peer)
}
