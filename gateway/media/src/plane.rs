//! All ports of one shard, and what passes between them: the pure whole of the media plane.
//!
//! ```text
//!  MediaCommand -->+                                                    +--> MediaEvent
//!  datagram ------>+-- which port? --> Port --> joined Port ----------->+--> Transmit
//!  time ---------->+                                                    +--> next deadline, with its reason
//! ```
//!
//! The law: feed one input, drain all outputs. Which port a datagram belongs to is told by its socket for peers without
//! ICE. On the muxed sockets STUN tells by its user fragment, an answer to a check of ours by its transaction, and
//! everything else by a source address that a port has authenticated before (security row 3).
//!
//! A panic inside one port closes that port and no other.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway_core::cause::Cause;
use gateway_core::description::Description;
use gateway_core::ids::PortId;
use gateway_core::media::{MediaCommand, MediaEvent};

use crate::classify::{Kind, classify};
use crate::config::MediaConfig;
use crate::counters::{Counters, Outcome, Way};
use crate::io::{MuxedSocket, Random, SocketId, Sockets, Transmit};
use crate::path::ice::IceSettings;
use crate::path::stun::{Check, Class, request_transaction};
use crate::port::{Impossible, Means, Port, Settings};
use crate::protection::dtls::Identity;
use crate::relay::Joins;

/// Addresses one port may be found by; a peer that changes more often loses the oldest.
const MAX_ADDRESSES_PER_PORT: usize = 16;
/// An answer to a check that comes later finds nobody.
const TRANSACTION_LIFE: Duration = Duration::from_secs(5);

/// A port with all that finds it.
struct Entry {
    port: Port,
    deadline: Option<(Instant, &'static str)>,
    fragments: Vec<String>,
    addresses: VecDeque<SocketAddr>,
}

/// Whose an address on the muxed sockets is. A round trip proves more than a request, whose source can be forged by
/// the peer of another port.
#[derive(Clone, Copy)]
struct Claim {
    port: PortId,
    is_proven: bool,
}

/// What a plane is made of, once at start.
pub struct PlaneParts {
    /// The sockets that all ports with ICE share, IPv4 first.
    pub muxed: Vec<MuxedSocket>,
    /// Where pairs of sockets for peers without ICE come from.
    pub sockets: Box<dyn Sockets>,
    /// The process's certificate.
    pub identity: Identity,
    /// Randomness for keys, credentials and stream numbers.
    pub random: Random,
    /// Where packets are counted.
    pub counters: Arc<Counters>,
}

impl fmt::Debug for PlaneParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlaneParts").field("muxed", &self.muxed.len()).finish_non_exhaustive()
    }
}

/// The media plane of one shard.
pub struct Plane {
    settings: Settings,
    max_ports: usize,
    sockets: Box<dyn Sockets>,
    random: Random,
    ports: BTreeMap<PortId, Entry>,
    joins: Joins,
    port_of_socket: HashMap<SocketId, (PortId, bool)>,
    port_of_fragment: HashMap<String, PortId>,
    claim_of_address: HashMap<SocketAddr, Claim>,
    port_of_transaction: HashMap<[u8; 12], PortId>,
    transactions: VecDeque<(Instant, [u8; 12])>,
    deadlines: BTreeSet<(Instant, PortId)>,
    events: VecDeque<MediaEvent>,
    transmits: VecDeque<Transmit>,
}

impl fmt::Debug for Plane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plane").field("ports", &self.ports.len()).finish_non_exhaustive()
    }
}

impl Plane {
    /// A plane without ports.
    #[must_use]
    pub fn new(config: &MediaConfig, parts: PlaneParts) -> Self {
        let ice = IceSettings {
            provider: parts.identity.provider.clone(),
            muxed: parts.muxed,
            is_lite: config.ice_lite,
            allow_loopback: config.allow_loopback,
            consent_timeout: config.consent_timeout,
        };
        Self {
            settings: Settings {
                ice,
                identity: parts.identity,
                quiet_after: config.quiet_after,
                lost_after: config.lost_after,
                counters: parts.counters,
            },
            max_ports: config.max_ports,
            sockets: parts.sockets,
            random: parts.random,
            ports: BTreeMap::new(),
            joins: Joins::default(),
            port_of_socket: HashMap::new(),
            port_of_fragment: HashMap::new(),
            claim_of_address: HashMap::new(),
            port_of_transaction: HashMap::new(),
            transactions: VecDeque::new(),
            deadlines: BTreeSet::new(),
            events: VecDeque::new(),
            transmits: VecDeque::new(),
        }
    }

    /// Takes one command of a call.
    pub fn handle_command(&mut self, command: MediaCommand, now: Instant) {
        let id = command.port();
        self.guarded(id, now, |plane| plane.run(command, now));
        self.settle(id, now);
    }

    /// Takes one datagram. Its bytes are opened in place.
    pub fn handle_datagram(
        &mut self,
        socket: SocketId,
        source: SocketAddr,
        datagram: &mut [u8],
        now: Instant,
    ) {
        let kind = classify(datagram);
        let owner = match self.port_of_socket.get(&socket) {
            Some((id, is_rtcp)) => Some((*id, *is_rtcp)),
            None if kind == Kind::Stun => return self.handle_stun(socket, source, datagram, now),
            None => self.claim_of_address.get(&source).map(|claim| (claim.port, false)),
        };
        let Some((id, is_rtcp_socket)) = owner else { return self.refuse(Outcome::WrongSource) };
        match kind {
            Kind::Rtp if !is_rtcp_socket => {
                self.guarded(id, now, |plane| plane.relay(id, source, datagram, now));
            }
            Kind::Rtcp => {
                self.guarded(id, now, |plane| {
                    plane.handle_rtcp(id, source, is_rtcp_socket, datagram, now);
                });
            }
            Kind::Dtls if !is_rtcp_socket => {
                self.guarded(id, now, |plane| {
                    if let Some(entry) = plane.ports.get_mut(&id) {
                        entry.port.handle_dtls(source, datagram, now);
                    }
                });
                self.settle(id, now);
            }
            Kind::Rtp
            | Kind::Dtls
            | Kind::Stun
            | Kind::Zrtp
            | Kind::TurnChannel
            | Kind::Unknown => self.refuse(Outcome::Malformed),
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let due = self.deadlines.iter().copied().take_while(|(at, _)| *at <= now);
        for (_, id) in due.collect::<Vec<_>>() {
            self.guarded(id, now, |plane| {
                if let Some(entry) = plane.ports.get_mut(&id) {
                    entry.port.handle_timeout(&plane.settings, now);
                }
            });
            self.settle(id, now);
        }
        self.forget_transactions(now);
    }

    /// A datagram to be sent.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// Something a call should know.
    pub fn poll_event(&mut self) -> Option<MediaEvent> {
        self.events.pop_front()
    }

    /// When [`Plane::handle_timeout`] is next to be called, and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let (at, id) = self.deadlines.first()?;
        let why = self.ports.get(id).and_then(|entry| entry.deadline).map(|(_, why)| why);
        Some((*at, why.unwrap_or("nothing")))
    }

    /// How many ports are open.
    #[must_use]
    pub fn ports(&self) -> usize {
        self.ports.len()
    }

    /// How much is remembered of ports and addresses.
    #[cfg(test)]
    fn remembered(&self) -> [usize; 5] {
        [
            self.ports.len(),
            self.port_of_socket.len(),
            self.port_of_fragment.len(),
            self.claim_of_address.len(),
            self.deadlines.len(),
        ]
    }

    /// Whether nothing at all is left of any port.
    #[cfg(test)]
    fn is_empty(&self) -> bool {
        let transactions = self.port_of_transaction.len() + self.transactions.len();
        self.remembered() == [0; 5] && self.joins.is_empty() && transactions == 0
    }

    fn run(&mut self, command: MediaCommand, now: Instant) {
        match command {
            MediaCommand::Offer { port, profile, like } => {
                self.open(port, now, |means| {
                    Port::open_by_offer(port, profile, like.as_ref(), means)
                });
            }
            MediaCommand::Answer { port, profile, offer, like } => {
                let like: Option<&Description> = like.as_ref();
                if self.ports.contains_key(&port) {
                    self.change(port, now, |open, means| open.update(profile, &offer, like, means));
                } else {
                    self.open(port, now, |means| {
                        Port::open_by_answer(port, profile, &offer.0, like, means)
                    });
                }
            }
            MediaCommand::Accept { port, answer, is_final } => {
                self.change(port, now, |open, means| open.accept(&answer, is_final, means));
            }
            MediaCommand::Reoffer { port, direction, like } => {
                self.change(port, now, |open, means| {
                    open.reoffer(direction, like.as_ref(), means.settings)
                });
            }
            MediaCommand::Rollback { port } => {
                self.change(port, now, |open, _| {
                    open.rollback();
                    Ok(())
                });
            }
            MediaCommand::Candidate { port, candidate } => {
                self.change(port, now, |open, means| {
                    open.add_candidate(&candidate, means.now);
                    Ok(())
                });
            }
            MediaCommand::Digit { port, digit, duration } => {
                self.change(port, now, |open, means| {
                    open.press(digit, duration, means.now);
                    Ok(())
                });
            }
            MediaCommand::Join { a, b } => self.join(a, b, now),
            MediaCommand::Leave { port } => {
                let peer = self.joins.leave(port);
                self.tell_joined(port, false, now);
                if let Some(peer) = peer {
                    self.tell_joined(peer, false, now);
                }
            }
            MediaCommand::Close { port } => self.close(port, now),
        }
    }

    fn open(
        &mut self,
        id: PortId,
        now: Instant,
        make: impl FnOnce(&mut Means<'_>) -> Result<Port, Impossible>,
    ) {
        let made = if self.ports.contains_key(&id) {
            Err((Cause::Failed, "the port is open already".to_owned()))
        } else if self.ports.len() >= self.max_ports {
            Err((Cause::Overload, "no more media ports".to_owned()))
        } else {
            make(&mut Means {
                settings: &self.settings,
                sockets: &mut *self.sockets,
                random: &mut self.random,
                now,
            })
        };
        match made {
            Ok(port) => {
                if let Some(pair) = port.sockets() {
                    self.port_of_socket.insert(pair.rtp, (id, false));
                    self.port_of_socket.insert(pair.rtcp, (id, true));
                }
                let (fragments, addresses) = (Vec::new(), VecDeque::new());
                self.ports.insert(id, Entry { port, deadline: None, fragments, addresses });
            }
            Err((cause, reason)) => self.events.push_back(MediaEvent::Failed(id, cause, reason)),
        }
    }

    fn change(
        &mut self,
        id: PortId,
        now: Instant,
        change: impl FnOnce(&mut Port, &mut Means<'_>) -> Result<(), Impossible>,
    ) {
        // A command that crossed a close finds nobody, and nothing is said of a closed port.
        let Some(entry) = self.ports.get_mut(&id) else { return };
        let mut means = Means {
            settings: &self.settings,
            sockets: &mut *self.sockets,
            random: &mut self.random,
            now,
        };
        if let Err((cause, reason)) = change(&mut entry.port, &mut means) {
            self.events.push_back(MediaEvent::Failed(id, cause, reason));
        }
    }

    fn join(&mut self, a: PortId, b: PortId, now: Instant) {
        if !self.ports.contains_key(&a) || !self.ports.contains_key(&b) {
            return;
        }
        for left in self.joins.join(a, b) {
            self.tell_joined(left, false, now);
        }
        self.tell_joined(a, true, now);
        self.tell_joined(b, true, now);
    }

    fn tell_joined(&mut self, id: PortId, is_joined: bool, now: Instant) {
        if let Some(entry) = self.ports.get_mut(&id) {
            entry.port.set_joined(is_joined, now);
        }
        self.settle(id, now);
    }

    fn close(&mut self, id: PortId, now: Instant) {
        if let Some(peer) = self.joins.leave(id) {
            self.tell_joined(peer, false, now);
        }
        let Some(entry) = self.ports.remove(&id) else { return };
        if let Some((at, _)) = entry.deadline {
            self.deadlines.remove(&(at, id));
        }
        for fragment in &entry.fragments {
            self.port_of_fragment.remove(fragment);
        }
        for address in &entry.addresses {
            if self.claim_of_address.get(address).is_some_and(|claim| claim.port == id) {
                self.claim_of_address.remove(address);
            }
        }
        if self.ports.is_empty() {
            self.port_of_transaction.clear();
            self.transactions.clear();
        }
        if let Some(pair) = entry.port.sockets() {
            self.port_of_socket.remove(&pair.rtp);
            self.port_of_socket.remove(&pair.rtcp);
            self.sockets.close(pair);
        }
    }

    fn handle_stun(&mut self, socket: SocketId, source: SocketAddr, datagram: &[u8], now: Instant) {
        let Some(check) = Check::parse(datagram) else { return self.refuse(Outcome::Malformed) };
        let owner = match check.class {
            Class::Request | Class::Indication => {
                let fragment = check.username.and_then(|name| name.split(':').next());
                fragment.and_then(|fragment| self.port_of_fragment.get(fragment))
            }
            Class::Success | Class::Error => self.port_of_transaction.get(&check.transaction),
        };
        let Some(id) = owner.copied() else { return self.refuse(Outcome::NotAuthentic) };
        self.guarded(id, now, |plane| {
            let Some(entry) = plane.ports.get_mut(&id) else { return };
            if entry.port.handle_stun(socket, source, &check, now) {
                plane.claim(id, source);
            }
        });
        self.settle(id, now);
    }

    /// Notes whose an address is, unless another port has proven it.
    fn claim(&mut self, id: PortId, address: SocketAddr) {
        let Some(entry) = self.ports.get_mut(&id) else { return };
        let is_proven = entry.port.is_proven(address);
        let standing = self.claim_of_address.get(&address);
        if standing.is_some_and(|standing| standing.port != id && standing.is_proven && !is_proven)
        {
            return;
        }
        self.claim_of_address.insert(address, Claim { port: id, is_proven });
        if entry.addresses.contains(&address) {
            return;
        }
        entry.addresses.push_back(address);
        if entry.addresses.len() > MAX_ADDRESSES_PER_PORT
            && let Some(oldest) = entry.addresses.pop_front()
            && self.claim_of_address.get(&oldest).is_some_and(|claim| claim.port == id)
        {
            self.claim_of_address.remove(&oldest);
        }
    }

    /// The way of every packet of sound.
    fn relay(&mut self, id: PortId, source: SocketAddr, datagram: &mut [u8], now: Instant) {
        let Some(entry) = self.ports.get_mut(&id) else { return };
        let result = entry.port.handle_rtp(source, datagram, now);
        if let Some(event) = entry.port.poll_event() {
            self.events.push_back(event);
            self.settle(id, now);
        }
        let inbound = match result {
            Ok(inbound) => inbound,
            Err(outcome) => return self.refuse(outcome),
        };
        let Some(peer) = self.joins.peer(id) else { return self.refuse(Outcome::NotWanted) };
        self.settings.counters.count(Way::In, Outcome::Passed);
        let Some(entry) = self.ports.get_mut(&peer) else { return };
        match entry.port.send_rtp(&datagram[..inbound.length], &inbound, now) {
            Ok(transmit) => {
                self.settings.counters.count(Way::Out, Outcome::Passed);
                self.transmits.push_back(transmit);
            }
            Err(outcome) => self.settings.counters.count(Way::Out, outcome),
        }
    }

    fn handle_rtcp(
        &mut self,
        id: PortId,
        source: SocketAddr,
        is_rtcp_socket: bool,
        datagram: &mut [u8],
        now: Instant,
    ) {
        let Some(entry) = self.ports.get_mut(&id) else { return };
        let picture_lost = match entry.port.handle_rtcp(source, is_rtcp_socket, datagram, now) {
            Ok(picture_lost) => picture_lost,
            Err(outcome) => return self.refuse(outcome),
        };
        self.settings.counters.count(Way::In, Outcome::Passed);
        let peer = self.joins.peer(id).filter(|peer| picture_lost && *peer != id);
        if let Some(peer) = peer
            && let Some(entry) = self.ports.get_mut(&peer)
        {
            entry.port.send_picture_loss(now);
            self.settle(peer, now);
        }
    }

    fn refuse(&mut self, outcome: Outcome) {
        self.settings.counters.count(Way::In, outcome);
    }

    /// Takes out of a port what it has to say, and notes by what it is to be found and when it is due.
    fn settle(&mut self, id: PortId, now: Instant) {
        let Some(entry) = self.ports.get_mut(&id) else { return };
        while let Some(event) = entry.port.poll_event() {
            self.events.push_back(event);
        }
        while let Some(transmit) = entry.port.poll_transmit() {
            if let Some(transaction) = request_transaction(&transmit.bytes) {
                self.port_of_transaction.insert(transaction, id);
                self.transactions.push_back((now, transaction));
            }
            self.settings.counters.count(Way::Out, Outcome::Passed);
            self.transmits.push_back(transmit);
        }
        let fragments = entry.port.fragments();
        if fragments != entry.fragments {
            for old in &entry.fragments {
                self.port_of_fragment.remove(old);
            }
            for new in &fragments {
                self.port_of_fragment.insert(new.clone(), id);
            }
            entry.fragments = fragments;
        }
        let deadline = entry.port.poll_timeout(&self.settings, now);
        if let Some((at, _)) = entry.deadline {
            self.deadlines.remove(&(at, id));
        }
        if let Some((at, _)) = deadline {
            self.deadlines.insert((at, id));
        }
        entry.deadline = deadline;
    }

    fn forget_transactions(&mut self, now: Instant) {
        while let Some((at, transaction)) = self.transactions.front()
            && *at + TRANSACTION_LIFE <= now
        {
            self.port_of_transaction.remove(transaction);
            self.transactions.pop_front();
        }
    }

    /// Runs a step for a port; if it panics, that port is closed and its call is told.
    fn guarded(&mut self, id: PortId, now: Instant, step: impl FnOnce(&mut Self)) {
        // What a panic can leave half done is the port's, which is dropped whole.
        if catch_unwind(AssertUnwindSafe(|| step(self))).is_err() {
            tracing::error!(port = ?id, "a fault of ours closed a media port");
            self.settings.counters.panicked();
            let _ = catch_unwind(AssertUnwindSafe(|| self.close(id, now)));
            self.events.push_back(MediaEvent::Lost(id));
        }
    }
}

#[cfg(test)]
mod tests;
