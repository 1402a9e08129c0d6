//! The gate of the agent: it judges which requests may begin something, and how many of them
//! (RFC 3261 §22; security rows 10 and 21).
//!
//! ```text
//!   request --> trunk's place? --> password? --> its own share left? --> Pass(proof)
//!                                     | no            | no
//!                                     v               v
//!             strangers' share left? 401, 403        503
//!                      \--no--> nothing
//! ```
//!
//! Strangers have a share for each network they come from. It is used up by answers to them alone:
//! a trunk, a registered phone and a right password have shares of their own.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use gateway_adapter::attempts::{Acquaintance, Attempts, Standing, network};
use gateway_core::{LegId, TrunkId};

use super::inbound::{Beginning, capabilities};
use crate::config::Limits;
use crate::registrar::Registrar;
use crate::registration::Trunk;
use crate::stack::dialog::DialogId;
use crate::stack::digest::{Claim, Credentials, Guard, Secret, Verdict};
use crate::stack::flow::{Flow, Transport};
use crate::stack::gate::{Admission, Gate, Proof};
use crate::stack::overload::Buckets;
use crate::stack::policy::Refusal;
use crate::stack::wire::{Method, Request, Response};

/// How many wrong answers are remembered: repetitions come within seconds.
const MAX_REFUSED: usize = 64;

/// A party that has a share of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Client {
    Trunk(TrunkId),
    User(String),
    /// A call with a party that is neither a trunk nor an account.
    Leg(LegId),
    /// The address of a trunk, for requests that are refused there.
    Peer(IpAddr),
    /// The place where a phone is registered, for requests that prove nothing.
    Phone(Transport, SocketAddr),
}

/// What is remembered of all that knock.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) guard: Guard,
    secrets: BTreeMap<String, Secret>,
    attempts: Attempts,
    strangers: Buckets<IpAddr>,
    clients: Buckets<Client>,
    /// The party that pays for requests within a call.
    client_of_leg: BTreeMap<LegId, Client>,
    retry_after: String,
    /// The latest wrong answers.
    refused: VecDeque<[u8; 16]>,
}

impl Door {
    pub(super) fn new(
        guard: Guard,
        secrets: BTreeMap<String, Secret>,
        attempts: Attempts,
        limits: &Limits,
    ) -> Self {
        Self {
            guard,
            secrets,
            attempts,
            strangers: Buckets::new(limits.challenges_per_second, limits.challenge_burst),
            clients: Buckets::new(limits.requests_per_second, limits.burst),
            client_of_leg: BTreeMap::new(),
            retry_after: limits.retry_after_s.to_string(),
            refused: VecDeque::new(),
        }
    }

    /// Notes which party pays for requests within a call.
    pub(super) fn note_leg(&mut self, leg: LegId, proof: &Proof) {
        let client = match proof {
            Proof::Trunk(trunk) => Client::Trunk(trunk.clone()),
            Proof::User(user) => Client::User(user.clone()),
            Proof::Dialog => return,
        };
        self.client_of_leg.insert(leg, client);
    }

    /// Forgets a leg that is over.
    pub(super) fn forget_leg(&mut self, leg: LegId) {
        self.client_of_leg.remove(&leg);
    }

    /// The next that was learned of accounts and the networks they sign in from.
    pub(super) fn poll_learned(&mut self) -> Option<Acquaintance> {
        self.attempts.poll_learned()
    }
}

/// The door, with all that tells which parties are known.
pub(super) struct Doorkeeper<'a> {
    pub(super) door: &'a mut Door,
    pub(super) trunks: &'a BTreeMap<TrunkId, Trunk>,
    pub(super) registrar: &'a Registrar,
    pub(super) leg_of_dialog: &'a BTreeMap<(String, String), LegId>,
    /// The Call-IDs of messages of ours.
    pub(super) call_ids: &'a BTreeSet<String>,
}

impl Gate for Doorkeeper<'_> {
    fn admit(&mut self, request: &Request, flow: Flow, now: Instant) -> Admission {
        let method = request.method();
        // A MESSAGE within a call is no other than one outside: its sender proves itself again.
        if method == Method::Message {
            let call_id = request.fields().call_id();
            if call_id.is_some_and(|id| self.call_ids.contains(&id)) {
                return self.refuse(&Refusal::new(482), request, flow, now);
            }
        } else if request.fields().to().is_some_and(|to| to.tag().is_some()) {
            return match self.leg_of(request) {
                // A BYE makes the load smaller, and each call has one only.
                Some(_) if method == Method::Bye => Admission::Pass(Proof::Dialog),
                Some(leg) => {
                    let client = self.door.client_of_leg.get(&leg).cloned();
                    let client = client.unwrap_or(Client::Leg(leg));
                    self.pass(client, Proof::Dialog, request, now)
                }
                None => self.refuse(&Refusal::new(481), request, flow, now),
            };
        }
        if let Some(trunk) = self.trunk_of(request, flow) {
            // No phone registers with us from where a trunk is.
            if method == Method::Register {
                return self.refuse(&Refusal::new(403), request, flow, now);
            }
            return self.pass(Client::Trunk(trunk.clone()), Proof::Trunk(trunk), request, now);
        }
        match Beginning::of(&method) {
            Beginning::Call | Beginning::Message | Beginning::Registration => {
                self.authenticate(request, flow, now)
            }
            // RFC 3261 §11.2 lets it be answered without state; where all that it should tell is
            // too long, the answer alone is.
            Beginning::Question => {
                let answers = vec![capabilities(request), Response::to_request(request, 200)];
                self.answer(answers, flow, now)
            }
            Beginning::Nothing => self.refuse(&Refusal::new(481), request, flow, now),
        }
    }

    fn has_dialog(&self, request: &Request) -> bool {
        self.leg_of(request).is_some()
    }

    fn may_answer(&mut self, flow: Flow, now: Instant) -> bool {
        let ip = flow.remote.ip();
        let is_peer = self.trunks.values().any(|trunk| trunk.is_peer(flow));
        let is_phone = || self.registrar.has_phone_at(flow);
        let client = if is_peer {
            Some(Client::Peer(ip))
        } else {
            is_phone().then_some(Client::Phone(flow.transport, flow.remote))
        };
        let door = &mut *self.door;
        client.is_some_and(|client| door.clients.take(client, now))
            || door.strangers.take(network(ip), now)
    }
}

impl Doorkeeper<'_> {
    /// The leg whose dialog a request names.
    fn leg_of(&self, request: &Request) -> Option<LegId> {
        let dialog = DialogId::of_request(request)?;
        self.leg_of_dialog.get(&(dialog.call_id, dialog.local_tag)).copied()
    }

    /// The trunk a message came from; of several at one place the one whose user is called.
    fn trunk_of(&self, request: &Request, flow: Flow) -> Option<TrunkId> {
        let user = request.uri().user();
        let mut found = None;
        for (id, trunk) in self.trunks.iter().filter(|(_, trunk)| trunk.is_peer(flow)) {
            if user.as_deref() == Some(trunk.user()) {
                return Some(id.clone());
            }
            found.get_or_insert_with(|| id.clone());
        }
        found
    }

    /// Lets an account prove itself (RFC 3261 §22). Every failure looks the same, whether the user
    /// exists or not.
    fn authenticate(&mut self, request: &Request, flow: Flow, now: Instant) -> Admission {
        match self.door.guard.claim(request, "Authorization", flow, now) {
            Claim::Absent => self.challenge(request, flow, false, now),
            // Phones change their address: that is no guess, and nothing was learned by it.
            Claim::Dead => self.challenge(request, flow, true, now),
            Claim::Broken => self.refuse(&Refusal::new(403), request, flow, now),
            Claim::Live(credentials) => self.judge(&credentials, request, flow, now),
        }
    }

    /// Looks at a password, unless there were too many wrong ones. A registered phone has strikes of
    /// its own, so that no stranger can make it wait.
    fn judge(
        &mut self,
        credentials: &Credentials,
        request: &Request,
        flow: Flow,
        now: Instant,
    ) -> Admission {
        let (user, source) = (credentials.user(), flow.remote.ip());
        let print = credentials.print(request);
        // A datagram that comes again is no new guess: its 403 was lost, or is late.
        if self.door.refused.contains(&print) {
            return self.refuse(&Refusal::new(403), request, flow, now);
        }
        let is_phone = self.registrar.is_at(user, flow);
        let standing = if is_phone { Standing::Registered } else { Standing::Stranger };
        let door = &mut *self.door;
        let attempt = match door.attempts.begin(source, user, standing, now) {
            Ok(attempt) => attempt,
            Err(wait) => {
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                let refusal = Refusal::new(503).with("Retry-After", &seconds.to_string());
                return self.refuse(&refusal, request, flow, now);
            }
        };
        match door.guard.judge(credentials, request, door.secrets.get(user)) {
            Verdict::Proven => {
                door.attempts.handle_right(attempt, now);
                let user = user.to_owned();
                self.pass(Client::User(user.clone()), Proof::User(user), request, now)
            }
            // The same answer again: perhaps it is not the owner that repeats it.
            Verdict::Stale => {
                door.attempts.handle_abandoned(attempt);
                self.challenge(request, flow, true, now)
            }
            Verdict::Refused => {
                door.attempts.handle_wrong(attempt, now);
                if door.refused.len() >= MAX_REFUSED {
                    door.refused.pop_front();
                }
                door.refused.push_back(print);
                tracing::debug!("wrong credentials");
                self.refuse(&Refusal::new(403), request, flow, now)
            }
        }
    }

    /// A 401. Where two challenges are too long the weaker one has to do: every phone knows MD5,
    /// for RFC 3261 §22.4 asks for it, and not every one knows SHA-256.
    fn challenge(
        &mut self,
        request: &Request,
        flow: Flow,
        is_stale: bool,
        now: Instant,
    ) -> Admission {
        if !self.may_answer(flow, now) {
            return Admission::Drop;
        }
        let challenges = self.door.guard.challenges(request, flow, is_stale, now);
        let with = |challenges: &[String]| {
            let mut response = Response::to_request(request, 401);
            for challenge in challenges {
                response.push("WWW-Authenticate", challenge);
            }
            response
        };
        let weakest = challenges.len().saturating_sub(1);
        Admission::Answer(vec![with(&challenges), with(&challenges[weakest..])])
    }

    /// Lets a proven request in while its party has some of its share left.
    fn pass(&mut self, client: Client, proof: Proof, request: &Request, now: Instant) -> Admission {
        if self.door.clients.take(client, now) {
            return Admission::Pass(proof);
        }
        let refusal = Refusal::new(503).with("Retry-After", &self.door.retry_after);
        Admission::Answer(vec![refusal.response(request)])
    }

    fn refuse(
        &mut self,
        refusal: &Refusal,
        request: &Request,
        flow: Flow,
        now: Instant,
    ) -> Admission {
        self.answer(vec![refusal.response(request)], flow, now)
    }

    fn answer(&mut self, answers: Vec<Response>, flow: Flow, now: Instant) -> Admission {
        if self.may_answer(flow, now) { Admission::Answer(answers) } else { Admission::Drop }
    }
}
