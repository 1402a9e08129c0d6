//! A port: our end of the media of one leg, a path and a protection.
//!
//! ```text
//!   offers, answers --> negotiate --> Path (static | ICE)     where datagrams come from and go to
//!                           |   \---> Keying (SDES | DTLS) --> Guard   opens and seals
//!                           +-------> agreed codecs, direction
//!
//!   datagram --> Path judges source --> Guard opens --> flow --> the joined port's flow --> Guard seals --> datagram
//! ```
//!
//! A port knows nothing of other ports; the plane passes packets between joined ones.

mod channel;
mod codecs;
mod describe;
mod early;
mod flow;
mod negotiate;
mod plan;
pub(crate) mod touch;
mod watch;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway_core::cause::Cause;
use gateway_core::description::{Candidate, Description, Direction};
use gateway_core::ids::PortId;
use gateway_core::media::{MediaEvent, PathKind, Profile, Protection, Secured};

use crate::channel::Channel;
use crate::counters::{Counters, Outcome, Way};
use crate::io::{Random, SocketId, SocketPair, Sockets, Transmit, random_u64};
use crate::path::ice::{IcePath, IceSettings, Refusal};
use crate::path::r#static::{Source, StaticPath};
use crate::path::stun::Check;
use crate::protection::dtls::{Association, Identity, Role, Step};
use crate::protection::guard::Guard;
use crate::protection::sdes;
use crate::rtcp::random_cname;
use crate::srtp::{MasterKey, Sealer};

use codecs::Agreed;
use early::Early;
use flow::Flow;
use watch::Watch;

/// What does not change from port to port.
pub(crate) struct Settings {
    pub(crate) ice: IceSettings,
    pub(crate) identity: Identity,
    pub(crate) quiet_after: Duration,
    pub(crate) lost_after: Duration,
    pub(crate) counters: Arc<Counters>,
}

/// What a port may ask for while it negotiates.
pub(crate) struct Means<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) sockets: &'a mut dyn Sockets,
    pub(crate) random: &'a mut Random,
    pub(crate) now: Instant,
}

/// Why something asked for cannot be; with a sentence for a person.
pub(crate) type Impossible = (Cause, String);

enum Path {
    Static(StaticPath),
    Ice(Box<IcePath>),
}

impl Path {
    fn kind(&self) -> PathKind {
        match self {
            Self::Static(_) => PathKind::Static,
            Self::Ice(_) => PathKind::Ice,
        }
    }

    fn rtp_destination(&self) -> Option<(SocketId, SocketAddr)> {
        match self {
            Self::Static(path) => path.rtp_destination(),
            Self::Ice(path) => path.destination(),
        }
    }

    /// Whether the peer ever consented to be sent to.
    fn had_consent(&self) -> bool {
        match self {
            Self::Static(_) => true,
            Self::Ice(path) => path.had_consent(),
        }
    }

    fn rtcp_destination(&self) -> Option<(SocketId, SocketAddr)> {
        match self {
            Self::Static(path) => path.rtcp_destination(),
            Self::Ice(path) => path.destination(),
        }
    }
}

/// How the port comes to its keys.
enum Keying {
    Clear,
    Sdes {
        /// The lines of our offer.
        offered: Vec<sdes::Line>,
        agreement: Option<sdes::Agreement>,
        /// Sealers of other forks of our offer: a key must never begin to count anew.
        retired: Vec<(MasterKey, Box<Sealer>)>,
    },
    Dtls(Option<Box<Association>>),
}

impl Keying {
    fn protection(&self) -> Protection {
        match self {
            Self::Clear => Protection::Clear,
            Self::Sdes { .. } => Protection::Sdes,
            Self::Dtls(_) => Protection::Dtls,
        }
    }
}

/// Our end of one leg's media.
pub(crate) struct Port {
    id: PortId,
    profile: Profile,
    session: (u64, u64),
    cname: String,
    path: Path,
    keying: Keying,
    guard: Guard,
    /// Handshakes that came before the answer.
    early: Early,
    /// Where the last datagram of our handshake came from.
    asker: Option<(SocketId, SocketAddr)>,
    /// What was agreed last, ours and the peer's.
    local: Option<Description>,
    remote: Option<Description>,
    /// Our offer that awaits its answer.
    offered: Option<Description>,
    direction: Direction,
    is_joined: bool,
    is_secured_told: bool,
    flow: Flow,
    /// Where one was agreed.
    channel: Option<Channel>,
    is_channel_open: bool,
    watch: Watch,
    events: VecDeque<MediaEvent>,
    transmits: VecDeque<Transmit>,
    counters: Arc<Counters>,
}

impl Port {
    fn new(
        id: PortId,
        profile: Profile,
        path: Path,
        keying: Keying,
        means: &mut Means<'_>,
    ) -> Self {
        means.settings.counters.port_opened(keying.protection());
        // RFC 8866 §5.2 leaves the number to us; 62 bits fit every peer's integer.
        let session = (random_u64(means.random) >> 2, 1);
        let cname = random_cname(means.random);
        Self {
            id,
            profile,
            session,
            path,
            guard: match keying {
                Keying::Clear => Guard::Clear,
                Keying::Sdes { .. } | Keying::Dtls(_) => Guard::Closed,
            },
            keying,
            early: Early::default(),
            asker: None,
            local: None,
            remote: None,
            offered: None,
            direction: Direction::Inactive,
            is_joined: false,
            is_secured_told: false,
            flow: Flow::new(&cname, means.random, means.now),
            cname,
            channel: None,
            is_channel_open: false,
            watch: Watch::default(),
            events: VecDeque::new(),
            transmits: VecDeque::new(),
            counters: means.settings.counters.clone(),
        }
    }

    /// The sockets this port has for itself.
    pub(crate) fn sockets(&self) -> Option<SocketPair> {
        match &self.path {
            Path::Static(path) => Some(path.pair),
            Path::Ice(_) => None,
        }
    }

    /// The user fragments that STUN for this port begins with.
    pub(crate) fn fragments(&self) -> Vec<String> {
        match &self.path {
            Path::Static(_) => Vec::new(),
            Path::Ice(path) => path.fragments(),
        }
    }

    /// Whether that address answered a check of ours, which makes it this port's more than another's.
    pub(crate) fn is_proven(&self, source: SocketAddr) -> bool {
        match &self.path {
            Path::Static(_) => false,
            Path::Ice(path) => path.is_proven(source),
        }
    }

    pub(crate) fn poll_event(&mut self) -> Option<MediaEvent> {
        self.events.pop_front()
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// Tells the port whether it is joined to another, or to itself.
    pub(crate) fn set_joined(&mut self, is_joined: bool, now: Instant) {
        self.is_joined = is_joined;
        self.flow.expect_new_source();
        self.update_watch(now);
    }

    /// A candidate of the peer's.
    pub(crate) fn add_candidate(&mut self, candidate: &Candidate, now: Instant) {
        if let Path::Ice(path) = &mut self.path {
            path.add_candidate(candidate, now);
            self.progress(now);
        }
    }

    /// STUN whose integrity was not checked yet. True if it was taken.
    pub(crate) fn handle_stun(
        &mut self,
        socket: SocketId,
        source: SocketAddr,
        check: &Check<'_>,
        now: Instant,
    ) -> bool {
        let Path::Ice(path) = &mut self.path else { return false };
        let result = path.handle_stun(socket, source, check, now);
        let outcome = match result {
            Ok(()) => Outcome::Passed,
            Err(Refusal::Malformed) => Outcome::Malformed,
            Err(Refusal::NotAuthentic) => Outcome::NotAuthentic,
            Err(Refusal::Excess) => Outcome::Excess,
        };
        self.counters.count(Way::In, outcome);
        if result.is_ok() {
            // A peer that only ever checks, and never comes to keys, is lost for a call.
            if self.is_secured_told {
                self.watch.note_life(now);
            }
            self.progress(now);
        }
        result.is_ok()
    }

    /// A DTLS datagram.
    pub(crate) fn handle_dtls(
        &mut self,
        socket: SocketId,
        source: SocketAddr,
        datagram: &[u8],
        settings: &Settings,
        now: Instant,
    ) {
        let is_ice = self.path.kind() == PathKind::Ice;
        let outcome = if is_ice && self.is_unanswered() {
            self.handle_early_dtls((socket, source), datagram, settings, now)
        } else {
            self.handle_agreed_dtls((socket, source), datagram, now)
        };
        self.counters.count(Way::In, outcome);
        if outcome == Outcome::Passed {
            self.progress(now);
        }
    }

    fn handle_agreed_dtls(
        &mut self,
        asker: (SocketId, SocketAddr),
        datagram: &[u8],
        now: Instant,
    ) -> Outcome {
        let is_peer = match &self.path {
            Path::Static(path) => path.judge_rtp(asker.1) == Source::Peer,
            Path::Ice(path) => path.is_authenticated(asker.1),
        };
        if !is_peer {
            return Outcome::WrongSource;
        }
        let Keying::Dtls(Some(association)) = &mut self.keying else { return Outcome::NotWanted };
        let step = association.handle(datagram, now);
        if matches!(step, Step::Refused) {
            return Outcome::Excess;
        }
        self.asker = Some(asker);
        self.handle_step(step);
        Outcome::Passed
    }

    pub(crate) fn handle_timeout(&mut self, settings: &Settings, now: Instant) {
        if let Path::Ice(path) = &mut self.path {
            path.handle_timeout(now);
        }
        if let Keying::Dtls(Some(association)) = &mut self.keying {
            let step = association.handle_timeout(now);
            self.handle_step(step);
        }
        self.early.handle_timeout(now);
        self.run_channel(now);
        self.run_flow(now);
        let id = self.id;
        self.events.extend(self.watch.handle_timeout(id, settings, now));
        self.progress(now);
    }

    /// The next deadline and its reason.
    pub(crate) fn poll_timeout(
        &self,
        settings: &Settings,
        now: Instant,
    ) -> Option<(Instant, &'static str)> {
        let ice = match &self.path {
            Path::Static(_) => None,
            Path::Ice(path) => path.poll_timeout(),
        };
        let dtls = match &self.keying {
            Keying::Dtls(Some(association)) => association.poll_timeout(),
            Keying::Clear | Keying::Sdes { .. } | Keying::Dtls(None) => None,
        };
        let deadlines = [
            (ice, "connectivity checks"),
            (dtls, "handshake retransmission"),
            (self.early.poll_timeout(), "early handshake retransmission"),
            (self.channel.as_ref().and_then(Channel::poll_timeout), "texts to be repeated"),
            (self.flow_timeout(now), "digits and reports"),
            (self.watch.poll_timeout(settings), "media watch"),
        ];
        let known = deadlines.into_iter().filter_map(|(at, why)| at.map(|at| (at, why)));
        known.min_by_key(|(at, _)| *at)
    }

    /// Does what has become possible: a client's handshake begins, datagrams leave, keys are told.
    fn progress(&mut self, now: Instant) {
        if let Path::Ice(path) = &mut self.path {
            while let Some(transmit) = path.poll_transmit() {
                self.transmits.push_back(transmit);
            }
            while let Some(has_consent) = path.poll_consent() {
                self.events.push_back(MediaEvent::Consent(self.id, has_consent));
            }
        }
        self.pump_channel(now);
        let destination = self.path.rtp_destination();
        if let Keying::Dtls(Some(association)) = &mut self.keying {
            if destination.is_some() {
                association.connect(now);
            }
            // Whoever began a handshake is authenticated, and does not wait until it has proven itself to us too.
            let is_server = association.role() == Role::Server;
            let asker = self.asker.filter(|_| is_server && !self.path.had_consent());
            while let Some(bytes) = association.poll_transmit() {
                if let Some((socket, destination)) = destination.or(asker) {
                    self.transmits.push_back(Transmit { socket, destination, bytes });
                }
            }
        }
        while let Some(transmit) = self.early.poll_transmit() {
            self.transmits.push_back(transmit);
        }
        self.tell_secured();
        self.update_watch(now);
    }

    fn handle_step(&mut self, step: Step) {
        match step {
            Step::Nothing | Step::Refused => {}
            Step::Secured(keys) => {
                let opener = Box::new(keys.opener);
                self.guard = Guard::Srtp { opener, sealer: Box::new(keys.sealer) };
                self.is_secured_told = false;
            }
            Step::Failed(reason) => {
                let event = MediaEvent::Failed(self.id, Cause::Security, reason.to_owned());
                self.events.push_back(event);
            }
        }
    }

    /// Tells once of each set of keys, as soon as something can be sent under them.
    fn tell_secured(&mut self) {
        let is_ready = self.guard.is_open()
            && self.remote.is_some()
            && (self.path.rtp_destination().is_some() || !self.direction.sends());
        if self.is_secured_told || !is_ready {
            return;
        }
        self.is_secured_told = true;
        let fingerprints = match &self.keying {
            Keying::Dtls(Some(association)) => Some(association.fingerprints()),
            Keying::Clear | Keying::Sdes { .. } | Keying::Dtls(None) => None,
        };
        let suite = self.guard.suite().map(|suite| suite.sdes_name().to_owned());
        self.events.push_back(MediaEvent::Secured(
            self.id,
            Secured {
                protection: self.keying.protection(),
                suite: suite.unwrap_or_default(),
                sas: None,
                fingerprints,
            },
        ));
    }

    fn update_watch(&mut self, now: Instant) {
        let is_talking = self.is_joined && self.direction == Direction::SendRecv;
        let is_sound_expected = is_talking && self.is_secured_told;
        self.watch.expect(is_talking && self.remote.is_some(), is_sound_expected, now);
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.counters.port_closed(self.keying.protection());
    }
}
