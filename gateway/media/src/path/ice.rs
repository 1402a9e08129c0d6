//! ICE on the shard's muxed sockets (RFC 8445), consent to send (RFC 7675), restarts (RFC 8445 §9).
//!
//! Checks and nomination are `rtc-ice`'s. Around it: integrity before anything else, the pace of checks towards
//! strangers, and which addresses have proven what.
//!
//! ```text
//!  STUN in --> integrity --> agent --> checks out, paced
//!                  |           |
//!                  |           +--> selected pair
//!                  +--> authenticated: asked us with our password         -> may send us DTLS and SRTP
//!                  +--> proven: answered our own check with its password  -> may be sent to, gives consent
//! ```
//!
//! Before the peer's credentials are here, checks are answered without the agent (`early`).
//!
//! A restart runs a second agent beside the first; the old pair is used until the new agent has selected one.

mod early;
mod generation;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use gateway_core::description::{Candidate, IceCredentials};
use rtc_crypto::RTCCryptoProvider;
use rtc_ice::Event;
use rtc_shared::TransportContext;
use sansio::Protocol;

use early::EarlyChecks;
use generation::Generation;
pub(crate) use generation::local_candidates;

use crate::io::{MuxedSocket, SocketId, Transmit};
use crate::path::stun::{self, Check, Class, request_transaction};

/// Most addresses a port holds claims on.
const MAX_ADDRESSES: usize = 16;
/// Checks that wait for their turn.
const MAX_PACED: usize = 64;
/// Between two checks to addresses that have proven nothing: 20 a second (security row 18).
const PACE: Duration = Duration::from_millis(50);
/// While all is quiet, the agent is looked after this often.
const TICK: Duration = Duration::from_secs(1);
/// An address that asked us itself so lately is checked without pacing: that answers its own check (RFC 8445 §7.3.1.4).
const ASKED_LATELY: Duration = Duration::from_secs(5);

/// What does not change from port to port.
#[derive(Clone)]
pub(crate) struct IceSettings {
    pub(crate) provider: Arc<dyn RTCCryptoProvider>,
    pub(crate) muxed: Vec<MuxedSocket>,
    pub(crate) is_lite: bool,
    pub(crate) allow_loopback: bool,
    pub(crate) consent_timeout: Duration,
}

/// Why a STUN message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Malformed,
    NotAuthentic,
    Excess,
}

/// An address, and when it last did what it is listed for.
#[derive(Clone, Copy, Debug)]
struct Seen {
    address: SocketAddr,
    at: Instant,
}

/// The path of one port with ICE.
pub(crate) struct IcePath {
    settings: IceSettings,
    current: Generation,
    next: Option<Generation>,
    early: EarlyChecks,
    selected: Option<(SocketId, SocketAddr)>,
    authenticated: Vec<Seen>,
    consent_at: Option<Instant>,
    has_consent: bool,
    paced: VecDeque<Transmit>,
    paced_at: Option<Instant>,
    transmits: VecDeque<Transmit>,
    consents: VecDeque<bool>,
}

impl IcePath {
    pub(crate) fn new(settings: IceSettings, local: IceCredentials, now: Instant) -> Option<Self> {
        let current = Generation::new(&settings, local, now)?;
        Some(Self {
            settings,
            current,
            next: None,
            early: EarlyChecks::default(),
            selected: None,
            authenticated: Vec::new(),
            consent_at: None,
            has_consent: false,
            paced: VecDeque::new(),
            paced_at: None,
            transmits: VecDeque::new(),
            consents: VecDeque::new(),
        })
    }

    /// The credentials our next description has.
    pub(crate) fn local(&self) -> &IceCredentials {
        &self.newest().local
    }

    /// The user fragments that checks to us may begin with.
    pub(crate) fn fragments(&self) -> Vec<String> {
        let next = self.next.as_ref().map(|next| next.local.ufrag.clone());
        std::iter::once(self.current.local.ufrag.clone()).chain(next).collect()
    }

    /// Whether these are other credentials than the peer has now, which restarts ICE (RFC 8839 §4.4.1.1.1).
    pub(crate) fn is_restart(&self, remote: &IceCredentials) -> bool {
        self.newest().remote.as_ref().is_some_and(|known| known != remote)
    }

    /// Begins another generation beside the current one.
    pub(crate) fn restart(&mut self, local: IceCredentials, now: Instant) -> Option<()> {
        let next = Generation::new(&self.settings, local, now)?;
        if self.current.remote.is_some() {
            self.next = Some(next)
        } else {
            self.current = next
        }
        Some(())
    }

    /// Takes the peer's credentials and candidates, and lets the checks begin.
    pub(crate) fn start(
        &mut self,
        remote: &IceCredentials,
        candidates: &[Candidate],
        (is_offerer, is_peer_lite): (bool, bool),
        now: Instant,
    ) {
        // A lite agent never controls a full one (RFC 8445 §6.1.1).
        let is_alike = self.settings.is_lite == is_peer_lite;
        let is_controlling = if is_alike { is_offerer } else { is_peer_lite };
        self.take_credentials(remote, is_controlling, now);
        for candidate in candidates {
            self.note_candidate(candidate);
        }
        self.work(now);
    }

    fn take_credentials(&mut self, remote: &IceCredentials, is_controlling: bool, now: Instant) {
        let generation = self.newest_mut();
        if generation.remote.as_ref() == Some(remote) {
            return;
        }
        let (ufrag, pwd) = (remote.ufrag.clone(), remote.pwd.clone());
        if generation.agent.start_connectivity_checks(now, is_controlling, ufrag, pwd).is_ok() {
            generation.remote = Some(remote.clone());
            generation.is_controlling = is_controlling;
            self.rehear(now);
        }
    }

    /// Lets the agent hear the checks that came before it could work. They were answered.
    fn rehear(&mut self, now: Instant) {
        for early in self.early.take(now) {
            if let Some(check) = Check::parse(&early.request) {
                // Another fork's is refused.
                let _ = self.handle_stun(early.socket, early.source, &check, now);
            }
        }
        self.transmits.retain(|transmit| request_transaction(&transmit.bytes).is_some());
    }

    /// Adds a candidate of the peer's, unless it is one we do not send to.
    pub(crate) fn add_candidate(&mut self, candidate: &Candidate, now: Instant) {
        self.note_candidate(candidate);
        self.work(now);
    }

    fn note_candidate(&mut self, candidate: &Candidate) {
        let allow_loopback = self.settings.allow_loopback;
        let of_generation = |generation: &Generation| match (&candidate.ufrag, &generation.remote) {
            (Some(ufrag), Some(remote)) => *ufrag == remote.ufrag,
            (None, _) | (_, None) => true,
        };
        let generation = match &mut self.next {
            Some(next) if of_generation(next) => next,
            Some(_) | None if of_generation(&self.current) => &mut self.current,
            Some(_) | None => return,
        };
        generation.add_candidate(&candidate.text, allow_loopback);
    }

    /// Takes one STUN message that came in by a muxed socket.
    pub(crate) fn handle_stun(
        &mut self,
        socket: SocketId,
        source: SocketAddr,
        check: &Check<'_>,
        now: Instant,
    ) -> Result<(), Refusal> {
        let local = self.local_address(socket).ok_or(Refusal::Malformed)?;
        if self.current.remote.is_none() {
            return self.handle_early(socket, source, check, now);
        }
        let is_next = self.next.as_ref().is_some_and(|next| next.is_addressed(check, source));
        let generation = if is_next { self.next.as_mut() } else { None };
        let generation = generation.unwrap_or(&mut self.current);
        generation.authenticate(check, source)?;
        match check.class {
            Class::Request => {
                note(&mut self.authenticated, source, now);
                if check.is_nominating {
                    generation.nominated = Some(source);
                }
            }
            Class::Success => note(&mut generation.proven, source, now),
            Class::Error => {
                generation.handle_error(check);
                return Ok(());
            }
            Class::Indication => return Ok(()),
        }
        generation.feed(local, source, check.message, now);
        let answers_consent = check.class == Class::Success;
        self.select_nominated(is_next, socket);
        self.work(now);
        if answers_consent && self.selected.is_none_or(|(_, selected)| selected == source) {
            self.give_consent(now);
        }
        Ok(())
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.has_consent && self.consent_ends().is_some_and(|ends| ends <= now) {
            self.has_consent = false;
            self.consents.push_back(false);
        }
        self.work(now);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let is_settled = self.selected.is_some() && self.next.is_none();
        let agents = if is_settled {
            self.consent_at.map(|_| self.current.looked_after_at + TICK)
        } else {
            self.current.remote.as_ref().map(|_| self.newest().looked_after_at + PACE)
        };
        let consent = self.consent_ends().filter(|_| self.has_consent);
        let paced = self.paced_at.filter(|_| !self.paced.is_empty()).map(|at| at + PACE);
        [agents, consent, paced].into_iter().flatten().min()
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// A change of consent: given, or lost.
    pub(crate) fn poll_consent(&mut self) -> Option<bool> {
        self.consents.pop_front()
    }

    /// Where media and DTLS go: the selected pair, or before there is one, an address that has proven itself (RFC
    /// 8445 §12.1.1 allows any valid pair).
    pub(crate) fn destination(&self) -> Option<(SocketId, SocketAddr)> {
        // Checks go on without it (RFC 7675 §5.1), and so it can be given again.
        if !self.has_consent {
            return None;
        }
        self.selected.or_else(|| {
            let proven = self.current.proven.first()?;
            let is_v4 = proven.address.is_ipv4();
            let of_family = |muxed: &&MuxedSocket| muxed.advertised.is_ipv4() == is_v4;
            let socket = self.settings.muxed.iter().find(of_family)?.socket;
            Some((socket, proven.address))
        })
    }

    /// Whether consent was ever given, be it lost again.
    pub(crate) fn had_consent(&self) -> bool {
        self.consent_at.is_some()
    }

    /// The user fragment of whoever checked from there before the peer's credentials came.
    pub(crate) fn early_peer(&self, source: SocketAddr) -> Option<&str> {
        self.early.peer(source)
    }

    /// Whether non-STUN from there is the peer's (security row 3).
    pub(crate) fn is_authenticated(&self, source: SocketAddr) -> bool {
        self.authenticated.iter().any(|seen| seen.address == source) || self.is_proven(source)
    }

    /// Whether that address answered a check of ours.
    pub(crate) fn is_proven(&self, source: SocketAddr) -> bool {
        let generations = std::iter::once(&self.current).chain(&self.next);
        generations.flat_map(|one| &one.proven).any(|seen| seen.address == source)
    }

    /// Answers whoever knows our password. We offered and so we control (RFC 8445 §6.1.1), unless we are lite; nothing
    /// makes us give up the role before the agent can weigh the tie breakers.
    fn handle_early(
        &mut self,
        socket: SocketId,
        source: SocketAddr,
        check: &Check<'_>,
        now: Instant,
    ) -> Result<(), Refusal> {
        let local = &self.current.local;
        if check.class != Class::Request
            || !self.current.is_addressed(check, source)
            || !check.is_authentic(&local.pwd)
        {
            return Err(Refusal::NotAuthentic);
        }
        let is_controlling = check.is_controlling.ok_or(Refusal::Malformed)?;
        let bytes = if is_controlling != self.settings.is_lite {
            stun::role_conflict(check, &local.pwd)
        } else if self.early.note(socket, source, check, now) {
            stun::success(check, source, &local.pwd)
        } else {
            return Err(Refusal::Excess);
        };
        self.transmits.push_back(Transmit { socket, destination: source, bytes });
        Ok(())
    }

    fn consent_ends(&self) -> Option<Instant> {
        self.consent_at.map(|at| at + self.settings.consent_timeout)
    }

    fn give_consent(&mut self, now: Instant) {
        let was_lost = self.consent_at.is_some() && !self.has_consent;
        self.consent_at = Some(now);
        self.has_consent = true;
        if was_lost {
            self.consents.push_back(true);
        }
    }

    fn newest(&self) -> &Generation {
        self.next.as_ref().unwrap_or(&self.current)
    }

    fn newest_mut(&mut self) -> &mut Generation {
        self.next.as_mut().unwrap_or(&mut self.current)
    }

    fn local_address(&self, socket: SocketId) -> Option<SocketAddr> {
        self.settings
            .muxed
            .iter()
            .find(|muxed| muxed.socket == socket)
            .map(|muxed| muxed.advertised)
    }

    /// A controlled agent follows the peer's nomination, also when the peer changes its mind, which `rtc-ice` does
    /// not: a browser that moves to another network may nominate again without a restart.
    fn select_nominated(&mut self, is_next: bool, socket: SocketId) {
        let generation = if is_next { self.next.as_ref() } else { Some(&self.current) };
        let Some(generation) = generation else { return };
        let Some(nominated) = generation.nominated.filter(|_| !generation.is_controlling) else {
            return;
        };
        if generation.proven.iter().any(|seen| seen.address == nominated) {
            self.select(is_next, socket, nominated);
        }
    }

    fn select(&mut self, is_next: bool, socket: SocketId, remote: SocketAddr) {
        self.selected = Some((socket, remote));
        if is_next && let Some(next) = self.next.take() {
            self.current = next;
        }
    }

    /// Lets the agents do what is due, which a check or candidate can make due at once.
    fn work(&mut self, now: Instant) {
        for generation in std::iter::once(&mut self.current).chain(&mut self.next) {
            // The agent's only failure is one of mDNS, which is off.
            let _ = generation.agent.handle_timeout(now);
        }
        self.drain(now);
    }

    /// Takes out of the agents what they have to say.
    fn drain(&mut self, now: Instant) {
        let mut selections = Vec::new();
        let mut writes = Vec::new();
        let generations = std::iter::once((false, &mut self.current));
        let next = self.next.as_mut().map(|next| (true, next));
        for (is_next, generation) in generations.chain(next) {
            while let Some(event) = generation.agent.poll_event() {
                // State changes follow from these two.
                if let Event::SelectedCandidatePairChange(local, remote) = event.event {
                    selections.push((is_next, local.addr(), remote.addr()));
                } else if let Event::RoleChange(is_controlling) = event.event {
                    generation.is_controlling = is_controlling;
                }
            }
            while let Some(write) = generation.agent.poll_write() {
                if let Some(transaction) = request_transaction(&write.message) {
                    generation.note_request(transaction, write.transport.peer_addr);
                }
                writes.push(write);
            }
            generation.looked_after_at = now;
        }
        for (is_next, local, remote) in selections {
            let muxed = self.settings.muxed.iter().find(|muxed| muxed.advertised == local);
            if let Some(socket) = muxed.map(|muxed| muxed.socket) {
                self.select(is_next, socket, remote);
            }
        }
        for write in writes {
            self.queue(write.transport, write.message, now);
        }
        self.release_paced(now);
    }

    fn queue(&mut self, transport: TransportContext, message: BytesMut, now: Instant) {
        let muxed = self.settings.muxed.iter().find(|it| it.advertised == transport.local_addr);
        let Some(socket) = muxed.map(|muxed| muxed.socket) else { return };
        let destination = transport.peer_addr;
        let is_request = request_transaction(&message).is_some();
        let transmit = Transmit { socket, destination, bytes: message.to_vec() };
        if !is_request {
            self.transmits.push_back(transmit);
            return;
        }
        let asked = self.authenticated.iter().find(|seen| seen.address == destination);
        let asked_lately = asked.is_some_and(|seen| now < seen.at + ASKED_LATELY);
        if asked_lately || self.is_proven(destination) {
            self.transmits.push_back(transmit);
        } else if let Some(waiting) =
            self.paced.iter_mut().find(|waiting| waiting.destination == destination)
        {
            // The one before was never asked, so nothing can answer it.
            let unasked = request_transaction(&std::mem::replace(waiting, transmit).bytes);
            for generation in std::iter::once(&mut self.current).chain(&mut self.next) {
                generation.forget_request(unasked);
            }
        } else if self.paced.len() < MAX_PACED {
            self.paced.push_back(transmit);
        }
    }

    fn release_paced(&mut self, now: Instant) {
        if self.paced_at.is_none_or(|at| at + PACE <= now)
            && let Some(transmit) = self.paced.pop_front()
        {
            self.transmits.push_back(transmit);
            self.paced_at = Some(now);
        }
    }
}

/// Lists an address, or its new time; the one silent for longest makes room.
fn note(list: &mut Vec<Seen>, address: SocketAddr, now: Instant) {
    if let Some(seen) = list.iter_mut().find(|seen| seen.address == address) {
        seen.at = now;
        return;
    }
    if list.len() == MAX_ADDRESSES {
        let oldest = (0..list.len()).min_by_key(|place| list[*place].at);
        oldest.map(|place| list.remove(place));
    }
    list.push(Seen { address, at: now });
}
