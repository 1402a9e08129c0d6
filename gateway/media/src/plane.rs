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

mod ahead;
pub(crate) mod by_port;
mod finder;

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use gateway_core::cause::Cause;
use gateway_core::description::Description;
use gateway_core::ids::PortId;
use gateway_core::media::{MediaCommand, MediaEvent};

use crate::classify::{Kind, classify};
use crate::config::MediaConfig;
use crate::counters::{Counters, Outcome, Way};
use crate::io::{MuxedSocket, Random, SocketId, Sockets, Transmit};
use crate::path::ice::IceSettings;
use crate::path::stun::{Check, request_transaction};
use crate::port::{Impossible, Means, Port, Settings};
use crate::protection::dtls::Identity;
use crate::relay::Joins;
use by_port::ByPort;
use finder::{Finder, FoundBy};

/// Buffers kept for the next packets: what a worker sends at once.
const MAX_SPARE: usize = 64;

/// A port with all that finds it.
struct Entry {
    port: Port,
    deadline: Option<(Instant, &'static str)>,
    found_by: FoundBy,
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
    /// Boxed, so that finding one walks a small table.
    ports: ByPort<Box<Entry>>,
    joins: Joins,
    finder: Finder,
    deadlines: BTreeSet<(Instant, PortId)>,
    events: VecDeque<MediaEvent>,
    transmits: VecDeque<Transmit>,
    /// Buffers of transmits that have left.
    spare: Vec<Vec<u8>>,
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
        let muxed: Vec<u16> = ice.muxed.iter().map(|muxed| muxed.advertised.port()).collect();
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
            ports: ByPort::default(),
            joins: Joins::default(),
            finder: Finder::new(config.own_ips(), muxed),
            deadlines: BTreeSet::new(),
            events: VecDeque::new(),
            transmits: VecDeque::new(),
            spare: Vec::new(),
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
        if self.finder.is_own(source) {
            return self.refuse(Outcome::WrongSource);
        }
        let kind = classify(datagram);
        let owner = match self.finder.by_socket(socket) {
            Some(owner) => Some(owner),
            None if kind == Kind::Stun => return self.handle_stun(socket, source, datagram, now),
            None => self.finder.by_address(source).map(|id| (id, false)),
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
                        entry.port.handle_dtls(socket, source, datagram, &plane.settings, now);
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
        self.finder.forget_transactions(now);
    }

    /// A datagram to be sent.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// Takes back the bytes of a transmit that has left, for the next packet.
    pub fn reuse(&mut self, bytes: Vec<u8>) {
        if self.spare.len() < MAX_SPARE {
            self.spare.push(bytes);
        }
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

    /// Whether nothing at all is left of any port.
    #[cfg(test)]
    fn is_empty(&self) -> bool {
        let is_idle = self.ports.is_empty() && self.deadlines.is_empty();
        is_idle && self.joins.is_empty() && self.finder.remembered() == [0; 4]
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
            MediaCommand::Channel { port, command } => {
                self.change(port, now, |open, means| {
                    open.command_channel(&command, means.now);
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
                    self.finder.add_sockets(id, pair);
                }
                let found_by = FoundBy::default();
                self.ports.insert(id, Box::new(Entry { port, deadline: None, found_by }));
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
        self.finder.forget(id, &entry.found_by);
        if let Some(pair) = entry.port.sockets() {
            self.finder.remove_sockets(pair);
            self.sockets.close(pair);
        }
        if self.ports.is_empty() {
            self.finder.forget_all_transactions();
        }
    }

    fn handle_stun(&mut self, socket: SocketId, source: SocketAddr, datagram: &[u8], now: Instant) {
        let Some(check) = Check::parse(datagram) else { return self.refuse(Outcome::Malformed) };
        let owner = self.finder.by_check(&check);
        let Some(id) = owner else { return self.refuse(Outcome::NotAuthentic) };
        self.guarded(id, now, |plane| {
            let Some(entry) = plane.ports.get_mut(&id) else { return };
            if entry.port.handle_stun(socket, source, &check, now) {
                let is_proven = entry.port.is_proven(source);
                plane.finder.claim(id, source, is_proven, &mut entry.found_by);
            }
        });
        self.settle(id, now);
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
        let buffer = self.spare.pop().unwrap_or_default();
        match entry.port.send_rtp(&datagram[..inbound.length], &inbound, buffer, now) {
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
                self.finder.note_transaction(id, transaction, now);
            }
            self.settings.counters.count(Way::Out, Outcome::Passed);
            self.transmits.push_back(transmit);
        }
        self.finder.set_fragments(id, entry.port.fragments(), &mut entry.found_by);
        let deadline = entry.port.poll_timeout(&self.settings, now);
        if let Some((at, _)) = entry.deadline {
            self.deadlines.remove(&(at, id));
        }
        if let Some((at, _)) = deadline {
            self.deadlines.insert((at, id));
        }
        entry.deadline = deadline;
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
