//! Checks that come before the peer's answer does, and so before its password is known.
//!
//! Who knows our password has seen our offer: it is answered (RFC 8445 §7.3 asks for nothing more), and its address may
//! send us a handshake. Once the answer is here the agent hears the same checks again and works on from there.
//!
//! ```text
//!  request --> authentic? --> role? --> room? --> success, remembered ----- answer ----> the agent, newest first
//!                                \--> 487
//! ```

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::io::SocketId;
use crate::path::stun::Check;

/// Addresses that are remembered of all who saw our offer: some devices with some interfaces each.
const MAX_SOURCES: usize = 8;
/// An address that was silent for so long makes room for another; browsers check every 6 s at the latest.
const SILENT_AFTER: Duration = Duration::from_secs(15);
/// Two user fragments of 256 characters and all that a check has beside them.
const MAX_REQUEST_BYTES: usize = 1_024;
/// A user fragment is not shorter (RFC 8839 §5.4).
const MIN_FRAGMENT_BYTES: usize = 4;

/// The last check of one address.
pub(super) struct EarlyCheck {
    pub(super) socket: SocketId,
    pub(super) source: SocketAddr,
    pub(super) request: Vec<u8>,
    peer: String,
    at: Instant,
}

/// The last check of every address.
#[derive(Default)]
pub(super) struct EarlyChecks(Vec<EarlyCheck>);

impl EarlyChecks {
    /// Remembers an authentic check; false if there is no room for its address.
    pub(super) fn note(
        &mut self,
        socket: SocketId,
        source: SocketAddr,
        check: &Check<'_>,
        now: Instant,
    ) -> bool {
        let Some(peer) = peer_fragment(check) else { return false };
        if check.message.len() > MAX_REQUEST_BYTES {
            return false;
        }
        self.0.retain(|known| known.source != source);
        if self.0.len() == MAX_SOURCES {
            let silent = |known: &EarlyCheck| known.at + SILENT_AFTER <= now;
            let Some(place) = self.0.iter().position(silent) else { return false };
            self.0.remove(place);
        }
        let (request, peer) = (check.message.to_vec(), peer.to_owned());
        self.0.push(EarlyCheck { socket, source, request, peer, at: now });
        true
    }

    /// The user fragment of whoever checked from there.
    pub(super) fn peer(&self, source: SocketAddr) -> Option<&str> {
        self.0.iter().find(|known| known.source == source).map(|known| known.peer.as_str())
    }

    /// Takes those that are not stale, newest first.
    pub(super) fn take(&mut self, now: Instant) -> Vec<EarlyCheck> {
        let mut checks = std::mem::take(&mut self.0);
        checks.retain(|known| now < known.at + SILENT_AFTER);
        // Where two are as old, the one that was noted last is newer.
        checks.reverse();
        checks.sort_by_key(|known| std::cmp::Reverse(known.at));
        checks
    }
}

/// The second half of the user name is the sender's (RFC 8445 §7.2.2).
fn peer_fragment<'a>(check: &Check<'a>) -> Option<&'a str> {
    let (_, peer) = check.username?.split_once(':')?;
    (peer.len() >= MIN_FRAGMENT_BYTES).then_some(peer)
}
