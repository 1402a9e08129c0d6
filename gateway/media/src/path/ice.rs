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
//! A restart runs a second agent beside the first; the old pair is used until the new agent has selected one.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use gateway_core::description::{Candidate, IceCredentials};
use rtc_crypto::RTCCryptoProvider;
use rtc_ice::agent::agent_config::AgentConfig;
use rtc_ice::candidate::candidate_host::CandidateHostConfig;
use rtc_ice::candidate::{CandidateConfig, CandidateType, unmarshal_candidate};
use rtc_ice::mdns::MulticastDnsMode;
use rtc_ice::{Agent, Event};
use rtc_shared::{TransportContext, TransportMessage, TransportProtocol};
use sansio::Protocol;

use super::may_be_sent_to;
use super::stun::{Check, Class, request_transaction};
use crate::io::{MuxedSocket, SocketId, Transmit};

/// Most candidates of a peer in one generation (security row 18).
const MAX_REMOTE_CANDIDATES: usize = 50;
/// Most addresses a port holds claims on.
const MAX_ADDRESSES: usize = 16;
/// Our requests that an answer may still come to.
const MAX_REQUESTS: usize = 128;
/// Checks that wait for their turn.
const MAX_PACED: usize = 64;
/// Between two checks to addresses that have proven nothing: 20 a second (security row 18).
const PACE: Duration = Duration::from_millis(50);
/// Consent is asked for about this often (RFC 7675 §5.1).
const CONSENT_INTERVAL: Duration = Duration::from_secs(4);
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
}

/// An address, and when it last did what it is listed for.
#[derive(Clone, Copy, Debug)]
struct Seen {
    address: SocketAddr,
    at: Instant,
}

/// One set of credentials with the agent that works for it.
struct Generation {
    agent: Agent,
    local: IceCredentials,
    remote: Option<IceCredentials>,
    is_controlling: bool,
    candidates: usize,
    requests: VecDeque<([u8; 12], SocketAddr)>,
    nominated: Option<SocketAddr>,
    looked_after_at: Instant,
    proven: Vec<Seen>,
}

/// The path of one port with ICE.
pub(crate) struct IcePath {
    settings: IceSettings,
    current: Generation,
    next: Option<Generation>,
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

    /// Takes the peer's credentials and lets the checks begin.
    pub(crate) fn start(&mut self, remote: &IceCredentials, is_controlling: bool, now: Instant) {
        let generation = self.newest_mut();
        if generation.remote.as_ref() == Some(remote) {
            return;
        }
        let (ufrag, pwd) = (remote.ufrag.clone(), remote.pwd.clone());
        if generation.agent.start_connectivity_checks(now, is_controlling, ufrag, pwd).is_ok() {
            generation.remote = Some(remote.clone());
            generation.is_controlling = is_controlling;
        }
        self.drain(now);
    }

    /// Adds a candidate of the peer's, unless it is one we do not send to.
    pub(crate) fn add_candidate(&mut self, candidate: &Candidate, now: Instant) {
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
        self.drain(now);
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
        self.drain(now);
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
        for generation in std::iter::once(&mut self.current).chain(&mut self.next) {
            // The agent's only failure is one of mDNS, which is off.
            let _ = generation.agent.handle_timeout(now);
        }
        self.drain(now);
        self.release_paced(now);
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

    /// Whether non-STUN from there is the peer's (security row 3).
    pub(crate) fn is_authenticated(&self, source: SocketAddr) -> bool {
        self.authenticated.iter().any(|seen| seen.address == source) || self.is_proven(source)
    }

    /// Whether that address answered a check of ours.
    pub(crate) fn is_proven(&self, source: SocketAddr) -> bool {
        let generations = std::iter::once(&self.current).chain(&self.next);
        generations.flat_map(|one| &one.proven).any(|seen| seen.address == source)
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
            *waiting = transmit;
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

impl Generation {
    fn new(settings: &IceSettings, local: IceCredentials, now: Instant) -> Option<Self> {
        let config = AgentConfig {
            local_ufrag: local.ufrag.clone(),
            local_pwd: local.pwd.clone(),
            multicast_dns_mode: MulticastDnsMode::Disabled,
            // Never: how long to try is for the call to say, and consent is counted here.
            disconnected_timeout: Some(Duration::ZERO),
            failed_timeout: Some(Duration::ZERO),
            keepalive_interval: Some(CONSENT_INTERVAL),
            candidate_types: if settings.is_lite { vec![CandidateType::Host] } else { Vec::new() },
            max_binding_requests: Some(60),
            srflx_acceptance_min_wait: Some(Duration::ZERO),
            prflx_acceptance_min_wait: Some(Duration::from_millis(200)),
            relay_acceptance_min_wait: Some(Duration::from_millis(500)),
            lite: settings.is_lite,
            ..AgentConfig::default()
        };
        let mut agent = Agent::new(now, Arc::new(config), settings.provider.clone()).ok()?;
        for (place, muxed) in settings.muxed.iter().enumerate() {
            let base_config = CandidateConfig {
                network: "udp".to_owned(),
                address: muxed.advertised.ip().to_string(),
                port: muxed.advertised.port(),
                component: 1,
                priority: priority(place),
                ..CandidateConfig::default()
            };
            let config = CandidateHostConfig { base_config, ..CandidateHostConfig::default() };
            agent.add_local_candidate(config.new_candidate_host().ok()?).ok()?;
        }
        Some(Self {
            agent,
            local,
            remote: None,
            is_controlling: false,
            candidates: 0,
            requests: VecDeque::new(),
            nominated: None,
            looked_after_at: now,
            proven: Vec::new(),
        })
    }

    /// Whether the message is for this generation: a request by its user fragment, an answer by its transaction.
    fn is_addressed(&self, check: &Check<'_>, source: SocketAddr) -> bool {
        match check.class {
            Class::Request | Class::Indication => {
                check.username.and_then(|name| name.split(':').next()) == Some(&self.local.ufrag)
            }
            Class::Success | Class::Error => self.requests.contains(&(check.transaction, source)),
        }
    }

    /// Takes only what somebody sent who knows the password, and only answers to what we asked there (RFC 8445
    /// §7.2.5.2.1).
    fn authenticate(&mut self, check: &Check<'_>, source: SocketAddr) -> Result<(), Refusal> {
        let remote = self.remote.as_ref().ok_or(Refusal::NotAuthentic)?;
        let is_authentic = self.is_addressed(check, source)
            && match check.class {
                Class::Request | Class::Indication => {
                    let expected = format!("{}:{}", self.local.ufrag, remote.ufrag);
                    check.username == Some(&expected) && check.is_authentic(&self.local.pwd)
                }
                Class::Success | Class::Error => check.is_authentic(&remote.pwd),
            };
        if !is_authentic {
            return Err(Refusal::NotAuthentic);
        }
        if matches!(check.class, Class::Success | Class::Error) {
            self.requests.retain(|request| *request != (check.transaction, source));
        }
        Ok(())
    }

    /// A role conflict ends with our change of role (RFC 8445 §7.2.5.1).
    fn handle_error(&mut self, check: &Check<'_>) {
        if check.error_code == Some(487) {
            self.is_controlling = !self.is_controlling;
            self.agent.set_role(self.is_controlling);
        }
    }

    fn feed(&mut self, local: SocketAddr, source: SocketAddr, datagram: &[u8], now: Instant) {
        let transport = TransportContext {
            local_addr: local,
            peer_addr: source,
            transport_protocol: TransportProtocol::UDP,
            ecn: None,
        };
        let message = BytesMut::from(datagram);
        // What the agent cannot use, it drops: the peer's trouble, not ours.
        let _ = self.agent.handle_read(TransportMessage { now, transport, message });
    }

    fn add_candidate(&mut self, text: &str, allow_loopback: bool) {
        if self.candidates >= MAX_REMOTE_CANDIDATES || !is_acceptable(text, allow_loopback) {
            return;
        }
        if let Ok(candidate) = unmarshal_candidate(text) {
            self.candidates += 1;
            // It fails only for names, which were filtered.
            let _ = self.agent.add_remote_candidate(candidate);
        }
    }

    fn note_request(&mut self, transaction: [u8; 12], destination: SocketAddr) {
        if self.requests.len() == MAX_REQUESTS {
            self.requests.pop_front();
        }
        self.requests.push_back((transaction, destination));
    }
}

/// The candidates that our descriptions name.
pub(crate) fn local_candidates(muxed: &[MuxedSocket]) -> Vec<Candidate> {
    let render = |(place, muxed): (usize, &MuxedSocket)| {
        let (ip, port) = (muxed.advertised.ip(), muxed.advertised.port());
        Candidate::new(&format!("{} 1 udp {} {ip} {port} typ host", place + 1, priority(place)))
    };
    muxed.iter().enumerate().map(render).collect()
}

/// The priority of our candidates, the first one highest (RFC 8445 §5.1.2.1).
fn priority(place: usize) -> u32 {
    let local_preference = 65_535 - u32::try_from(place).expect("there are at most two sockets");
    (126 << 24) | (local_preference << 8) | 255
}

/// One component over UDP, to an address and not a name (so no `.local`), that we may send to.
fn is_acceptable(text: &str, allow_loopback: bool) -> bool {
    let mut fields = text.split_ascii_whitespace();
    let (component, transport) = (fields.nth(1), fields.next());
    let (address, port) = (fields.nth(1), fields.next());
    component == Some("1")
        && transport.is_some_and(|name| name.eq_ignore_ascii_case("udp"))
        && address
            .and_then(|address| address.parse::<IpAddr>().ok())
            .is_some_and(|ip| may_be_sent_to(ip, allow_loopback))
        && port.and_then(|port| port.parse::<u16>().ok()).is_some_and(|port| port > 0)
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
