//! Which port a datagram belongs to.
//!
//! ```text
//!  own socket of a peer without ICE -------------> port
//!  muxed socket:  request    by user fragment ---> port
//!                 response   by transaction -----> port
//!                 all else   by source address --> port that authenticated it (security row 3)
//! ```

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use gateway_core::ids::PortId;

use crate::io::{SocketId, SocketPair};
use crate::path::stun::{Check, Class};

/// Addresses one port may be found by; a peer that changes more often loses the oldest.
const MAX_ADDRESSES_PER_PORT: usize = 16;
/// An answer to a check that comes later finds nobody.
const TRANSACTION_LIFE: Duration = Duration::from_secs(5);

/// Whose an address on the muxed sockets is. A round trip proves more than a request, whose source can be forged by
/// the peer of another port.
#[derive(Clone, Copy)]
struct Claim {
    port: PortId,
    is_proven: bool,
}

/// What one port is found by, so that it can be forgotten whole.
#[derive(Default)]
pub(super) struct FoundBy {
    fragments: Vec<String>,
    addresses: VecDeque<SocketAddr>,
}

/// All that finds ports.
#[derive(Default)]
pub(super) struct Finder {
    /// By the number of the socket: the shell counts them from zero and uses them again.
    port_of_socket: Vec<Option<(PortId, bool)>>,
    port_of_fragment: HashMap<String, PortId>,
    claim_of_address: HashMap<SocketAddr, Claim>,
    port_of_transaction: HashMap<[u8; 12], PortId>,
    transactions: VecDeque<(Instant, [u8; 12])>,
    own: OwnPlaces,
}

/// The addresses of our own sockets. A packet that comes from one was sent by us: two descriptions
/// that name our ports as each other's peers would have it go round for ever.
#[derive(Default)]
struct OwnPlaces {
    ips: Vec<IpAddr>,
    /// A bit for each port.
    ports: Vec<u64>,
}

impl OwnPlaces {
    fn set(&mut self, port: u16, is_ours: bool) {
        self.ports.resize(1 << 10, 0);
        let (word, bit) = (&mut self.ports[usize::from(port >> 6)], 1 << (port & 63));
        *word = if is_ours { *word | bit } else { *word & !bit };
    }

    fn contains(&self, place: SocketAddr) -> bool {
        let is_set = |port: u16| {
            self.ports.get(usize::from(port >> 6)).is_some_and(|it| it >> (port & 63) & 1 == 1)
        };
        self.ips.contains(&place.ip()) && is_set(place.port())
    }
}

impl Finder {
    /// One for sockets at these addresses of ours; those on `muxed` are always there.
    pub(super) fn new(ips: Vec<IpAddr>, muxed: impl IntoIterator<Item = u16>) -> Self {
        let mut finder = Self { own: OwnPlaces { ips, ports: Vec::new() }, ..Self::default() };
        muxed.into_iter().for_each(|port| finder.own.set(port, true));
        finder
    }

    /// Whether a datagram from there was sent by a socket of ours.
    pub(super) fn is_own(&self, source: SocketAddr) -> bool {
        self.own.contains(source)
    }

    /// The port that has this socket for itself, and whether it is that of RTCP.
    pub(super) fn by_socket(&self, socket: SocketId) -> Option<(PortId, bool)> {
        *self.port_of_socket.get(socket.0 as usize)?
    }

    /// The port that authenticated this source.
    pub(super) fn by_address(&self, source: SocketAddr) -> Option<PortId> {
        self.claim_of_address.get(&source).map(|claim| claim.port)
    }

    /// The port that a check, or the answer to a check, is for.
    pub(super) fn by_check(&self, check: &Check<'_>) -> Option<PortId> {
        let port = match check.class {
            Class::Request | Class::Indication => {
                let fragment = check.username.and_then(|name| name.split(':').next());
                fragment.and_then(|fragment| self.port_of_fragment.get(fragment))
            }
            Class::Success | Class::Error => self.port_of_transaction.get(&check.transaction),
        };
        port.copied()
    }

    pub(super) fn add_sockets(&mut self, id: PortId, pair: SocketPair) {
        self.note_own(pair, true);
        for (socket, is_rtcp) in [(pair.rtp, false), (pair.rtcp, true)] {
            let place = socket.0 as usize;
            if self.port_of_socket.len() <= place {
                self.port_of_socket.resize(place + 1, None);
            }
            self.port_of_socket[place] = Some((id, is_rtcp));
        }
    }

    fn note_own(&mut self, pair: SocketPair, is_ours: bool) {
        let ip = pair.advertised.ip();
        if !self.own.ips.contains(&ip) {
            self.own.ips.push(ip);
        }
        for port in [pair.advertised.port(), pair.advertised.port().saturating_add(1)] {
            self.own.set(port, is_ours);
        }
    }

    pub(super) fn remove_sockets(&mut self, pair: SocketPair) {
        self.note_own(pair, false);
        for socket in [pair.rtp, pair.rtcp] {
            if let Some(port) = self.port_of_socket.get_mut(socket.0 as usize) {
                *port = None;
            }
        }
    }

    /// Replaces the user fragments of a port.
    pub(super) fn set_fragments(&mut self, id: PortId, new: Vec<String>, found_by: &mut FoundBy) {
        if new == found_by.fragments {
            return;
        }
        for old in &found_by.fragments {
            self.port_of_fragment.remove(old);
        }
        for fragment in &new {
            self.port_of_fragment.insert(fragment.clone(), id);
        }
        found_by.fragments = new;
    }

    /// Notes whose an address is, unless another port has proven it and this one has not.
    pub(super) fn claim(
        &mut self,
        id: PortId,
        address: SocketAddr,
        is_proven: bool,
        found_by: &mut FoundBy,
    ) {
        let is_others = |claim: &Claim| claim.port != id && claim.is_proven && !is_proven;
        if self.claim_of_address.get(&address).is_some_and(is_others) {
            return;
        }
        self.claim_of_address.insert(address, Claim { port: id, is_proven });
        if found_by.addresses.contains(&address) {
            return;
        }
        found_by.addresses.push_back(address);
        if found_by.addresses.len() > MAX_ADDRESSES_PER_PORT
            && let Some(oldest) = found_by.addresses.pop_front()
        {
            self.disclaim(id, oldest);
        }
    }

    /// Notes a check that is about to be sent.
    pub(super) fn note_transaction(&mut self, id: PortId, transaction: [u8; 12], now: Instant) {
        self.port_of_transaction.insert(transaction, id);
        self.transactions.push_back((now, transaction));
    }

    pub(super) fn forget_transactions(&mut self, now: Instant) {
        while let Some((at, transaction)) = self.transactions.front()
            && *at + TRANSACTION_LIFE <= now
        {
            self.port_of_transaction.remove(transaction);
            self.transactions.pop_front();
        }
    }

    pub(super) fn forget_all_transactions(&mut self) {
        self.port_of_transaction.clear();
        self.transactions.clear();
    }

    /// Forgets a port that is closed, but for its sockets.
    pub(super) fn forget(&mut self, id: PortId, found_by: &FoundBy) {
        for fragment in &found_by.fragments {
            self.port_of_fragment.remove(fragment);
        }
        for address in &found_by.addresses {
            self.disclaim(id, *address);
        }
    }

    /// How much is remembered.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> [usize; 4] {
        [
            self.port_of_socket.iter().flatten().count(),
            self.port_of_fragment.len(),
            self.claim_of_address.len(),
            self.port_of_transaction.len() + self.transactions.len(),
        ]
    }

    fn disclaim(&mut self, id: PortId, address: SocketAddr) {
        if self.claim_of_address.get(&address).is_some_and(|claim| claim.port == id) {
            self.claim_of_address.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_was_proven_is_not_taken_by_a_mere_request() {
        let (one, other) = (PortId(1), PortId(2));
        let address: SocketAddr = "192.0.2.1:7000".parse().unwrap();
        let (mut of_one, mut of_other) = (FoundBy::default(), FoundBy::default());
        let mut finder = Finder::default();
        finder.claim(other, address, false, &mut of_other);
        finder.claim(one, address, true, &mut of_one);
        assert_eq!(finder.by_address(address), Some(one));
        finder.claim(other, address, false, &mut of_other);
        assert_eq!(finder.by_address(address), Some(one));
        finder.forget(other, &of_other);
        assert_eq!(finder.by_address(address), Some(one));
        finder.forget(one, &of_one);
        assert_eq!(finder.remembered(), [0; 4]);
    }

    #[test]
    fn a_port_that_changes_its_address_for_ever_holds_only_the_last() {
        let (mut finder, mut found_by) = (Finder::default(), FoundBy::default());
        for port in 1_000..2_000 {
            finder.claim(PortId(1), ([192, 0, 2, 1], port).into(), true, &mut found_by);
        }
        assert_eq!(finder.remembered(), [0, 0, MAX_ADDRESSES_PER_PORT, 0]);
    }
}
