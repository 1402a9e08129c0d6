//! SRTP keys from a DTLS handshake in the media path (RFC 5763, RFC 5764).
//!
//! The handshake is `rtc-dtls`'s. Here is what stands around it: which records are let in, whose certificate it is,
//! when it begins again, and the way from the exporter to an [`Opener`] and a [`Sealer`].
//!
//! ```text
//!  datagram --> records --> plaintext alerts and data, wrong hellos, excess: dropped (security row 3)
//!                      +--> rtc-dtls --> certificate --> its fingerprint must be the signalled one
//!                               |
//!                               +--> exporter --> keys of client and server --> Keys
//!                               +--> data --> poll_data (SCTP, RFC 8261)
//! ```
//!
//! A handshake may begin before it is signalled whose certificate to expect. Its keys are withheld until that is known.

mod identity;
mod records;

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use gateway_core::description::Fingerprint;
use rtc_dtls::config::HandshakeConfig;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_shared::TransportProtocol;

pub(crate) use identity::Role;
pub use identity::{Identity, NoIdentity};
use identity::{Peer, algorithm, configure};
use records::{CLIENT_HELLO, Heard, Hearing, RECORD_HEADER_BYTES, Records};

use crate::srtp::{MasterKey, Opener, Sealer, Suite};

/// The label of RFC 5764 §4.2.
const EXPORTER_LABEL: &str = "EXTRACTOR-dtls_srtp";
/// Bytes that are taken of a peer for one handshake and its repetitions; a long certificate chain, sent ten times,
/// stays below. Data under the new keys is not counted: whoever takes it has limits of its own.
const MAX_HANDSHAKE_BYTES: usize = 128 * 1024;
/// How often a handshake that failed without proof of a wrong peer is begun again.
const MAX_ATTEMPTS: u32 = 8;
/// Data that waits for who takes it, in datagrams: what a peer repeats while nobody knows yet who it is.
const MAX_WAITING_DATA: usize = 8;
/// A client whose handshake stands still without any timer begins again after this long.
const STALLED_AFTER: Duration = Duration::from_secs(4);
/// The endpoint keys its associations by address; there is one, wherever its datagrams come from.
const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

const WRONG_CERTIFICATE: &str = "the peer's certificate is not the one its description names";

const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const HELLO_REQUEST: u8 = 0;
const SERVER_HELLO: u8 = 2;
const HELLO_VERIFY_REQUEST: u8 = 3;

/// What a finished handshake gives.
pub(crate) struct Keys {
    pub(crate) opener: Opener,
    pub(crate) sealer: Sealer,
}

/// What became of a datagram or a deadline.
pub(crate) enum Step {
    /// Nothing to tell.
    Nothing,
    /// The datagram was not let in.
    Refused,
    /// The handshake is done.
    Secured(Box<Keys>),
    /// It cannot come to an end: with a sentence for a person.
    Failed(&'static str),
}

enum State {
    /// A client that waits for a way to its peer.
    Waiting,
    Handshaking,
    Done,
    Failed,
}

/// One association with one peer.
pub(crate) struct Association {
    identity: Identity,
    role: Role,
    fingerprints: Vec<Fingerprint>,
    config: Arc<HandshakeConfig>,
    endpoint: Endpoint,
    state: State,
    attempts: u32,
    bytes: usize,
    peer: Peer,
    /// Keys of a handshake that was done before anybody said with whom.
    withheld: Option<Box<Keys>>,
    data: VecDeque<BytesMut>,
    heard: Heard,
    active_at: Option<Instant>,
}

impl Association {
    /// Prepares an association; `None` where none of the fingerprints can be checked.
    pub(crate) fn new(
        identity: &Identity,
        role: Role,
        fingerprints: &[Fingerprint],
    ) -> Option<Self> {
        let peer = Peer::default();
        peer.expect(usable(fingerprints)?);
        Self::with(identity, role, fingerprints, peer)
    }

    /// Prepares a server's association with somebody whose fingerprints are not known yet.
    pub(crate) fn before_answer(identity: &Identity) -> Option<Self> {
        Self::with(identity, Role::Server, &[], Peer::default())
    }

    fn with(
        identity: &Identity,
        role: Role,
        fingerprints: &[Fingerprint],
        peer: Peer,
    ) -> Option<Self> {
        let config = Arc::new(configure(identity, role, &peer)?);
        Some(Self {
            identity: identity.clone(),
            role,
            fingerprints: fingerprints.to_vec(),
            endpoint: endpoint(role, &config),
            config,
            state: match role {
                Role::Client => State::Waiting,
                Role::Server => State::Handshaking,
            },
            attempts: 1,
            bytes: 0,
            peer,
            withheld: None,
            data: VecDeque::new(),
            heard: Heard::default(),
            active_at: None,
        })
    }

    /// Says whose certificate is expected, after [`Association::before_answer`].
    pub(crate) fn identify(&mut self, fingerprints: &[Fingerprint]) -> Step {
        self.fingerprints = fingerprints.to_vec();
        let is_right = usable(fingerprints).is_some_and(|usable| self.peer.expect(usable));
        if !is_right {
            self.withheld = None;
            self.state = State::Failed;
            return Step::Failed(WRONG_CERTIFICATE);
        }
        self.withheld.take().map_or(Step::Nothing, Step::Secured)
    }

    /// Whether it came to keys or still can.
    pub(crate) fn is_hopeful(&self) -> bool {
        !matches!(self.state, State::Failed)
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// Whether this is about the same certificate of the peer.
    pub(crate) fn is_with(&self, fingerprints: &[Fingerprint]) -> bool {
        self.fingerprints == fingerprints
    }

    /// Our and the peer's fingerprint, as told in descriptions.
    pub(crate) fn fingerprints(&self) -> (String, String) {
        let theirs = self.fingerprints.first().map(ToString::to_string).unwrap_or_default();
        (self.identity.fingerprint.to_string(), theirs)
    }

    /// There is a way to the peer: a client begins.
    pub(crate) fn connect(&mut self, now: Instant) {
        if matches!(self.state, State::Waiting) {
            self.state = State::Handshaking;
            // Only a failing random generator makes this fail; then the deadline of the call ends it.
            let _ = self.endpoint.connect(now, PEER, self.config.clone(), None);
            self.active_at = Some(now);
        }
    }

    /// Takes one datagram of a source that was judged to be the peer's.
    pub(crate) fn handle(&mut self, datagram: &[u8], now: Instant) -> Step {
        let is_done = match self.state {
            State::Waiting | State::Failed => return Step::Refused,
            State::Handshaking => false,
            State::Done => true,
        };
        let (records, data_bytes) = self.admit(datagram, is_done, now);
        self.bytes += records.len() - data_bytes;
        if records.is_empty() || self.bytes > MAX_HANDSHAKE_BYTES {
            return Step::Refused;
        }
        self.active_at = Some(now);
        let result = self.endpoint.read(now, PEER, None, records);
        match result {
            Ok(events) => {
                let is_complete =
                    |event: &EndpointEvent| matches!(event, EndpointEvent::HandshakeComplete);
                let is_new = !is_done && events.iter().any(is_complete);
                self.keep_data(events);
                if is_new { self.complete() } else { Step::Nothing }
            }
            // Neither errors nor a close ends what the signalling holds together.
            Err(_) if is_done => Step::Nothing,
            Err(_) => self.begin_again(now),
        }
    }

    /// Data of the peer, once it is known to be who was signalled.
    pub(crate) fn poll_data(&mut self) -> Option<BytesMut> {
        let is_known = matches!(self.state, State::Done) && !self.peer.is_unknown();
        if is_known { self.data.pop_front() } else { None }
    }

    /// Sends data to the peer; what cannot be sent is lost, as on any line.
    pub(crate) fn send(&mut self, data: &[u8], now: Instant) {
        let _ = self.endpoint.write(now, PEER, data);
    }

    fn keep_data(&mut self, events: Vec<EndpointEvent>) {
        for event in events {
            if let EndpointEvent::ApplicationData(data) = event
                && self.data.len() < MAX_WAITING_DATA
            {
                self.data.push_back(data);
            }
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Step {
        if self.poll_timeout().is_none_or(|at| at > now) {
            return Step::Nothing;
        }
        if self.endpoint.poll_timeout(&PEER).is_none() {
            return self.begin_again(now);
        }
        match self.endpoint.handle_timeout(PEER, now) {
            Ok(()) => Step::Nothing,
            Err(_) => self.begin_again(now),
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Handshaking => {
                let stalled = self.active_at.filter(|_| self.role == Role::Client);
                let stalled = stalled.map(|at| at + STALLED_AFTER);
                self.endpoint.poll_timeout(&PEER).or(stalled)
            }
            State::Waiting | State::Done | State::Failed => None,
        }
    }

    /// Datagrams for the peer.
    pub(crate) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        let datagram = self.endpoint.poll_transmit()?.message.to_vec();
        let is_server_hello = datagram.first() == Some(&HANDSHAKE)
            && datagram.get(RECORD_HEADER_BYTES) == Some(&SERVER_HELLO);
        self.heard.is_answered |= is_server_hello;
        Some(datagram)
    }

    /// The records of a datagram that may reach the handshake, and how many bytes of them are data.
    ///
    /// In the clear only handshake messages and the change of ciphers are taken, and of these no hello that is not for
    /// our role: alerts in the clear are worth nothing, since anybody can send them (security row 3).
    fn admit(&mut self, datagram: &[u8], is_done: bool, now: Instant) -> (BytesMut, usize) {
        let mut admitted = BytesMut::with_capacity(datagram.len());
        let mut data_bytes = 0;
        for record in Records(datagram) {
            let is_clear = record[3..5] == [0, 0];
            let is_taken = match record[0] {
                CHANGE_CIPHER_SPEC => is_clear && !is_done,
                HANDSHAKE if is_clear => {
                    self.admits_message(&record[RECORD_HEADER_BYTES..], is_done, now)
                }
                _ => !is_clear,
            };
            if is_taken {
                admitted.extend_from_slice(record);
                let is_data = is_done && record[0] == APPLICATION_DATA;
                data_bytes += if is_data { record.len() } else { 0 };
            }
        }
        (admitted, data_bytes)
    }

    fn admits_message(&mut self, message: &[u8], is_done: bool, now: Instant) -> bool {
        let is_for_role = match message.first() {
            Some(&CLIENT_HELLO) => self.role == Role::Server && !is_done,
            Some(&(HELLO_REQUEST | SERVER_HELLO | HELLO_VERIFY_REQUEST)) => {
                self.role == Role::Client && !is_done
            }
            Some(_) => true,
            None => false,
        };
        // When all is done, a repetition asks for our last flight (RFC 6347 §4.2.4).
        if !is_for_role || is_done {
            return is_for_role;
        }
        match self.heard.hear(message, now) {
            Hearing::New => true,
            Hearing::Repeated => false,
            Hearing::BegunAnew => {
                self.endpoint = endpoint(self.role, &self.config);
                self.peer.forget_certificate();
                self.heard.begin_anew();
                true
            }
        }
    }

    fn complete(&mut self) -> Step {
        match self.export() {
            Some(keys) => {
                self.state = State::Done;
                // Another hello must not open a second association.
                self.endpoint.set_server_config(None);
                if self.peer.is_unknown() {
                    self.withheld = Some(Box::new(keys));
                    return Step::Nothing;
                }
                Step::Secured(Box::new(keys))
            }
            None => {
                self.state = State::Failed;
                Step::Failed("the peer and we have no SRTP profile in common")
            }
        }
    }

    fn export(&self) -> Option<Keys> {
        let state = self.endpoint.get_connection_state(PEER)?;
        let suite = Suite::from_dtls_profile(state.srtp_protection_profile() as u16)?;
        let material =
            state.export_keying_material(EXPORTER_LABEL, &[], suite.exporter_bytes()).ok()?;
        let (client, server) = MasterKey::from_exporter(suite, material.as_ref())?;
        let (ours, theirs) = match self.role {
            Role::Client => (client, server),
            Role::Server => (server, client),
        };
        Some(Keys { opener: Opener::new(&theirs), sealer: Sealer::new(&ours) })
    }

    /// A handshake can fail because of lost or forged datagrams; a wrong certificate is final (security row 23).
    fn begin_again(&mut self, now: Instant) -> Step {
        if self.peer.is_stranger() {
            self.state = State::Failed;
            return Step::Failed(WRONG_CERTIFICATE);
        }
        if self.attempts == MAX_ATTEMPTS {
            self.state = State::Failed;
            return Step::Failed("the DTLS handshake failed");
        }
        self.attempts += 1;
        self.bytes = 0;
        self.data.clear();
        self.heard = Heard::default();
        self.peer.forget_certificate();
        self.endpoint = endpoint(self.role, &self.config);
        if self.role == Role::Client {
            self.state = State::Waiting;
            self.connect(now);
        }
        Step::Nothing
    }
}

/// Whether a datagram begins with a client's hello.
pub(crate) fn is_client_hello(datagram: &[u8]) -> bool {
    let record = Records(datagram).next();
    record.is_some_and(|record| {
        let is_clear_handshake = record[0] == HANDSHAKE && record[3..5] == [0, 0];
        is_clear_handshake && record.get(RECORD_HEADER_BYTES) == Some(&CLIENT_HELLO)
    })
}

/// The fingerprints that can be checked, if there are any.
fn usable(fingerprints: &[Fingerprint]) -> Option<Vec<Fingerprint>> {
    let is_usable = |one: &&Fingerprint| algorithm(&one.hash).is_some();
    let usable: Vec<_> = fingerprints.iter().filter(is_usable).cloned().collect();
    (!usable.is_empty()).then_some(usable)
}

fn endpoint(role: Role, config: &Arc<HandshakeConfig>) -> Endpoint {
    let server = match role {
        Role::Client => None,
        Role::Server => Some(config.clone()),
    };
    Endpoint::new(PEER, TransportProtocol::UDP, server)
}
