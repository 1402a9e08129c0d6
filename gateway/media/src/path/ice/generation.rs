//! One generation of ICE: a set of credentials and the agent that works for it.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use gateway_core::description::{Candidate, IceCredentials};
use rtc_ice::Agent;
use rtc_ice::agent::agent_config::AgentConfig;
use rtc_ice::candidate::candidate_host::CandidateHostConfig;
use rtc_ice::candidate::{CandidateConfig, CandidateType, unmarshal_candidate};
use rtc_ice::mdns::MulticastDnsMode;
use rtc_shared::{TransportContext, TransportMessage, TransportProtocol};
use sansio::Protocol;

use super::{IceSettings, Refusal, Seen};
use crate::io::MuxedSocket;
use crate::path::may_be_sent_to;
use crate::path::stun::{Check, Class};

/// Most candidates of a peer in one generation (security row 18).
const MAX_REMOTE_CANDIDATES: usize = 50;
/// Our requests that an answer may still come to.
const MAX_REQUESTS: usize = 128;
/// Between two rounds of checks, while no pair is selected.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// After so many, 12 s, a pair has failed.
const MAX_CHECKS_PER_PAIR: u16 = 120;
/// Consent is asked for about this often (RFC 7675 §5.1).
const CONSENT_INTERVAL: Duration = Duration::from_secs(4);

/// One set of credentials with the agent that works for it.
pub(super) struct Generation {
    pub(super) agent: Agent,
    pub(super) local: IceCredentials,
    pub(super) remote: Option<IceCredentials>,
    pub(super) is_controlling: bool,
    pub(super) candidates: usize,
    pub(super) requests: VecDeque<([u8; 12], SocketAddr)>,
    pub(super) nominated: Option<SocketAddr>,
    pub(super) looked_after_at: Instant,
    pub(super) proven: Vec<Seen>,
}

impl Generation {
    pub(super) fn new(settings: &IceSettings, local: IceCredentials, now: Instant) -> Option<Self> {
        let config = AgentConfig {
            local_ufrag: local.ufrag.clone(),
            local_pwd: local.pwd.clone(),
            multicast_dns_mode: MulticastDnsMode::Disabled,
            // Never: how long to try is for the call to say, and consent is counted here.
            disconnected_timeout: Some(Duration::ZERO),
            failed_timeout: Some(Duration::ZERO),
            keepalive_interval: Some(CONSENT_INTERVAL),
            candidate_types: if settings.is_lite { vec![CandidateType::Host] } else { Vec::new() },
            check_interval: CHECK_INTERVAL,
            max_binding_requests: Some(MAX_CHECKS_PER_PAIR),
            srflx_acceptance_min_wait: Some(Duration::ZERO),
            // Browsers hide their own addresses behind names, so most candidates of theirs are of this kind.
            prflx_acceptance_min_wait: Some(CHECK_INTERVAL),
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
    pub(super) fn is_addressed(&self, check: &Check<'_>, source: SocketAddr) -> bool {
        match check.class {
            Class::Request | Class::Indication => {
                check.username.and_then(|name| name.split(':').next()) == Some(&self.local.ufrag)
            }
            Class::Success | Class::Error => self.requests.contains(&(check.transaction, source)),
        }
    }

    /// Takes only what somebody sent who knows the password, and only answers to what we asked there (RFC 8445
    /// §7.2.5.2.1).
    pub(super) fn authenticate(
        &mut self,
        check: &Check<'_>,
        source: SocketAddr,
    ) -> Result<(), Refusal> {
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
    pub(super) fn handle_error(&mut self, check: &Check<'_>) {
        if check.error_code == Some(487) {
            self.is_controlling = !self.is_controlling;
            self.agent.set_role(self.is_controlling);
        }
    }

    pub(super) fn feed(
        &mut self,
        local: SocketAddr,
        source: SocketAddr,
        datagram: &[u8],
        now: Instant,
    ) {
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

    pub(super) fn add_candidate(&mut self, text: &str, allow_loopback: bool) {
        if self.candidates >= MAX_REMOTE_CANDIDATES || !is_acceptable(text, allow_loopback) {
            return;
        }
        if let Ok(candidate) = unmarshal_candidate(text)
            && !self.knows(candidate.addr())
        {
            self.candidates += 1;
            // It fails only for names, which were filtered.
            let _ = self.agent.add_remote_candidate(candidate);
        }
    }

    /// The agent finds candidates by their address, so a second one of the same address would never be answered.
    fn knows(&self, address: SocketAddr) -> bool {
        self.agent.get_remote_candidates().iter().any(|known| known.addr() == address)
    }

    pub(super) fn forget_request(&mut self, transaction: Option<[u8; 12]>) {
        self.requests.retain(|(known, _)| Some(*known) != transaction);
    }

    pub(super) fn note_request(&mut self, transaction: [u8; 12], destination: SocketAddr) {
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
