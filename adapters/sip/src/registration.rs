//! A trunk: we register at a provider or PBX (RFC 3261 §10.2), and know its calls by where they
//! come from.
//!
//! ```text
//!   Resolving --targets--> Registering --200--> Registered --85 %--> Registering
//!       ^                       | no                 | connection lost
//!       +------- Pausing <------+--------------------+
//! ```

mod attempt;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use gateway_adapter::{Event, LinkState, Query};
use gateway_core::TrunkId;
use gateway_core::reachable::faces;

use crate::config::{Shields, TrunkConfig};
use crate::line::{Asker, Output};
use crate::reach::{judge, permitted};
use crate::stack::Stack;
use crate::stack::digest::Responder;
use crate::stack::flow::{Flow, LinkId, Target, Transport};
use crate::stack::transaction::TransactionId;
use crate::stack::wire::{Request, Response, Scheme, Uri};

/// Pauses between attempts: doubled from the first to the last, with jitter.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(60);
/// After a refusal for good (403, 404) the next try is not soon: it may lock the account.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);
/// How often a trunk without registration is looked up again.
const LOOK_AGAIN: Duration = Duration::from_secs(300);

/// One provider or PBX.
#[derive(Debug)]
pub(crate) struct Trunk {
    id: TrunkId,
    config: TrunkConfig,
    server: Uri,
    shields: Shields,
    responder: Responder,
    state: State,
    targets: Vec<Target>,
    /// The connection the registration went by.
    link: Option<LinkId>,
    call_id: String,
    tag: String,
    number: u32,
    expires: u32,
    failures: u32,
    is_up: bool,
}

#[derive(Debug)]
enum State {
    /// Nothing was done yet.
    Idle,
    /// The name is being looked up.
    Resolving,
    /// A REGISTER awaits its answer.
    Registering(Box<Registering>),
    /// Calls can be made; the next REGISTER or look-up is due then.
    Ready { until: Instant },
    /// The last attempt failed.
    Pausing { until: Instant },
    /// We leave.
    Leaving,
}

#[derive(Debug)]
struct Registering {
    id: TransactionId,
    request: Request,
    target: Target,
    later: Vec<Target>,
    challenges: u8,
}

/// Borrowed for the time one trunk handles one input.
pub(crate) struct Desk<'a> {
    pub(crate) stack: &'a mut Stack,
    pub(crate) out: &'a mut std::collections::VecDeque<Output>,
    pub(crate) now: Instant,
}

impl Trunk {
    /// A trunk that has done nothing yet; `None` when its server is no SIP address.
    pub(crate) fn new(config: TrunkConfig, shields: Shields, stack: &mut Stack) -> Option<Self> {
        let user = config.auth_user.as_deref().unwrap_or(&config.user);
        let responder = Responder::new(user, &config.password.0, config.realm.as_deref());
        Some(Self {
            id: config.id(),
            server: config.server()?,
            shields,
            responder,
            state: State::Idle,
            targets: Vec::new(),
            link: None,
            call_id: stack.token(),
            tag: stack.token(),
            number: 0,
            expires: config.expires.max(60),
            failures: 0,
            is_up: false,
            config,
        })
    }

    /// Our user there.
    pub(crate) fn user(&self) -> &str {
        &self.config.user
    }

    /// Our address there.
    pub(crate) fn address(&self) -> Option<Uri> {
        Uri::sip(Some(&self.config.user), &self.config.domain(), None)
    }

    /// The address of somebody there.
    pub(crate) fn address_of(&self, user: &str) -> Option<Uri> {
        let uri = Uri::sip(Some(user), &self.config.domain(), None)?;
        Some(match self.server.transport() {
            Some(transport) if self.server.scheme() != Scheme::Sips => {
                uri.with_param("transport", transport.param())
            }
            Some(_) | None => uri,
        })
    }

    /// Whether it reads message/cpim.
    pub(crate) fn reads_cpim(&self) -> bool {
        self.config.imdn
    }

    /// How its media may be protected.
    pub(crate) fn shields(&self) -> &Shields {
        &self.shields
    }

    /// Where its calls go: by the registration's connection first.
    pub(crate) fn targets(&self) -> Vec<Target> {
        let mut targets = self.targets.clone();
        if let (Some(first), Some(link)) = (targets.first_mut(), self.link)
            && first.transport.is_reliable()
        {
            first.link = Some(link);
        }
        targets
    }

    /// Whether calls can be made by it.
    pub(crate) fn is_up(&self) -> bool {
        self.is_up
    }

    /// The place of the trunk's to connect to for a call that goes to `target`: the same host, or
    /// else the first that speaks the same transport. Its certificate is that of the trunk's
    /// server where the look-up gave no name.
    pub(crate) fn place(&self, target: &Target) -> Option<Target> {
        let remote = target.remote;
        let fits = |place: &&Target| {
            place.transport == target.transport && place.remote.is_ipv4() == remote.is_ipv4()
        };
        let mut fitting = self.targets.iter().filter(fits);
        let first = fitting.clone().next();
        let mut place = fitting.find(|place| place.remote.ip() == remote.ip()).or(first)?.clone();
        place.server_name = place.server_name.or_else(|| self.server.host());
        Some(place)
    }

    /// Whether an address is one of the trunk's, whatever the port.
    pub(crate) fn is_at(&self, ip: IpAddr) -> bool {
        let own = self.targets.iter().map(|target| target.remote.ip());
        let mut own = own.chain(self.config.peers.iter().copied()).flat_map(faces);
        let faces = faces(ip);
        own.any(|own| faces.contains(&own))
    }

    /// Whether a message came from the trunk: by the connection we opened to it, from the very
    /// address we speak to, or from a host the configuration names.
    pub(crate) fn is_peer(&self, flow: Flow) -> bool {
        let is_target = self
            .targets
            .iter()
            .any(|target| target.remote == flow.remote && target.transport == flow.transport);
        let is_link = self.link == Some(flow.link) && flow.transport.is_reliable();
        let named: BTreeSet<IpAddr> = self.config.peers.iter().copied().collect();
        is_target || is_link || named.contains(&flow.remote.ip())
    }

    /// Puts our credentials into a request of ours, if the challenge came from the trunk itself.
    pub(crate) fn authorize(
        &mut self,
        request: &mut Request,
        response: &Response,
        flow: Flow,
        cnonce: &str,
    ) -> bool {
        self.is_peer(flow) && self.responder.answer(request, response, cnonce)
    }

    /// Begins, or begins again.
    fn begin(&mut self, desk: &mut Desk<'_>) {
        self.state = State::Resolving;
        let query = Query {
            host: self.server.host().unwrap_or_default(),
            port: self.server.port(),
            transport: self.server.transport().map(Into::into),
            is_secure: self.server.scheme() == Scheme::Sips,
        };
        desk.out.push_back(Output::Resolve(Asker::Trunk(self.id.clone()), query));
    }

    /// Takes where it is.
    pub(crate) fn handle_targets(
        &mut self,
        found: Result<Vec<Target>, String>,
        desk: &mut Desk<'_>,
    ) -> Option<TransactionId> {
        let State::Resolving = self.state else { return None };
        let reach = desk.stack.advertised().reach();
        let found = found.and_then(|targets| {
            permitted(targets, |target| judge(reach, target, true)).map_err(|why| why.to_string())
        });
        match found {
            Ok(targets) if !targets.is_empty() => self.targets = targets,
            Ok(_) => {
                self.fail("its name has no address", FIRST_PAUSE, desk);
                return None;
            }
            Err(why) => {
                self.fail(&why, FIRST_PAUSE, desk);
                return None;
            }
        }
        if !self.config.register {
            self.failures = 0;
            self.state = State::Ready { until: desk.now + LOOK_AGAIN };
            self.rise(desk);
            return None;
        }
        self.try_places(self.targets.clone(), desk)
    }

    /// Takes the answer to a REGISTER; a new transaction when another one left.
    pub(crate) fn handle_response(
        &mut self,
        id: TransactionId,
        response: &Response,
        flow: Flow,
        desk: &mut Desk<'_>,
    ) -> Option<TransactionId> {
        if response.is_provisional() {
            return None;
        }
        let State::Registering(registering) = &self.state else { return None };
        if registering.id != id {
            return None;
        }
        let State::Registering(registering) = std::mem::replace(&mut self.state, State::Idle)
        else {
            return None;
        };
        match response.status() {
            200..=299 => {
                self.granted(&registering.target, response, flow, desk);
                None
            }
            401 | 407 => self.challenged(*registering, response, flow, desk),
            423 => self.too_brief(*registering, response, desk),
            408 | 503 if !registering.later.is_empty() => self.try_places(registering.later, desk),
            500..=599 | 408 | 480 => {
                self.fail(&format!("it answers {}", response.status()), FIRST_PAUSE, desk);
                None
            }
            status => {
                self.fail(&format!("it refuses with {status}"), REFUSED_PAUSE, desk);
                None
            }
        }
    }

    /// Takes the news that a REGISTER will not be answered.
    pub(crate) fn handle_failed(
        &mut self,
        id: TransactionId,
        desk: &mut Desk<'_>,
    ) -> Option<TransactionId> {
        let State::Registering(registering) = &self.state else { return None };
        if registering.id != id {
            return None;
        }
        let later = registering.later.clone();
        self.link = None;
        self.try_places(later, desk)
    }

    /// Takes the news that a connection is gone: registered by it means registered no more.
    pub(crate) fn handle_closed(&mut self, link: LinkId, desk: &mut Desk<'_>) {
        if self.link != Some(link) {
            return;
        }
        self.link = None;
        if let State::Ready { .. } = self.state {
            self.fail("its connection was lost", FIRST_PAUSE, desk);
        }
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, desk: &mut Desk<'_>) {
        match self.state {
            State::Idle => self.begin(desk),
            State::Ready { until } | State::Pausing { until } if until <= desk.now => {
                self.begin(desk);
            }
            State::Ready { .. }
            | State::Pausing { .. }
            | State::Resolving
            | State::Registering(_)
            | State::Leaving => {}
        }
    }

    /// When [`Self::handle_timeout`] is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Ready { until } | State::Pausing { until } => Some(*until),
            State::Idle | State::Resolving | State::Registering(_) | State::Leaving => None,
        }
    }

    /// Unregisters (RFC 3261 §10.2.2). Whoever goes does not wait for the answer.
    pub(crate) fn leave(&mut self, desk: &mut Desk<'_>) -> Option<TransactionId> {
        let is_registered = matches!(self.state, State::Ready { .. }) && self.config.register;
        self.state = State::Leaving;
        let target = self.targets().into_iter().next().filter(|_| is_registered)?;
        let request = self.register(0, &target, desk)?;
        let id = self.send(request, target, Vec::new(), 0, desk);
        if let (Some(_), State::Registering(registering)) = (id, &mut self.state) {
            registering.challenges = 0;
        }
        id
    }

    fn fail(&mut self, why: &str, least: Duration, desk: &mut Desk<'_>) {
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.failures.min(6)).min(LAST_PAUSE);
        let pause = doubled.max(least);
        // Up to a quarter more, so that a provider's return is not met by all at once.
        let quarter = u64::try_from(pause.as_millis() / 4).unwrap_or(0);
        let jitter = Duration::from_millis(desk.stack.below(quarter + 1));
        self.failures += 1;
        self.state = State::Pausing { until: desk.now + pause + jitter };
        if self.is_up || self.failures == 1 {
            self.is_up = false;
            tracing::warn!(trunk = %self.id, why, "trunk down");
            let down = Event::Link(self.id.clone(), LinkState::Down(why.to_owned()));
            desk.out.push_back(Output::Event(down));
        }
    }

    fn rise(&mut self, desk: &mut Desk<'_>) {
        if !std::mem::replace(&mut self.is_up, true) {
            let first = self.targets.first();
            let transport = first.map_or(Transport::Udp, |target| target.transport);
            let peer = first.map(|target| target.remote.ip());
            tracing::info!(trunk = %self.id, "trunk up");
            let profiles = self.shields.to_ring(transport, peer);
            let up = Event::Link(self.id.clone(), LinkState::Up(profiles));
            desk.out.push_back(Output::Event(up));
        }
    }
}
