//! The SIP user agent: every leg, registration and trunk over one stack. Pure: messages, commands,
//! look-ups and time enter by `handle_*`; messages and [`Output`]s leave by `poll_*`.
//!
//! ```text
//!   Stack --asks--> Door: may this request begin something?
//!   Stack --Event--> Agent --> leg of the dialog | registrar | trunk | new leg
//!   switchboard --Command--> Agent --> leg
//! ```

mod dial;
mod door;
mod inbound;
mod messages;
mod release;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use gateway_adapter::attempts::Attempts;
use gateway_adapter::{Command, Event, LinkState};
use gateway_core::leg::{Dial, LegCommand};
use gateway_core::{Cause, LegId, TrunkId};

use door::{Door, Doorkeeper};
use messages::Post;
use release::Release;
use ring::hmac;

use crate::config::{Config, DIRECT_TRUNK, Shields, SipAccount};
use crate::leg::Leg;
use crate::line::{Asker, Left, Line, Output, Owner, Owners};
use crate::registrar::Registrar;
use crate::registration::{Desk, Trunk};
use crate::stack::digest::{Guard, Secret};
use crate::stack::flow::{Flow, Target, Transmit, Transport};
use crate::stack::gate::Proof;
use crate::stack::tokens::Tokens;
use crate::stack::transaction::{Timers, TransactionId};
use crate::stack::wire::{Method, Response};
use crate::stack::{self, Advertised, Limits, Stack};

/// When this life began.
#[derive(Clone, Copy, Debug)]
pub struct Began {
    /// By the clock that never jumps.
    pub at: Instant,
    /// The same moment in milliseconds since 1970.
    pub ms: i64,
}

/// What a life begins with.
#[derive(Debug)]
pub struct Life {
    /// When it began.
    pub began: Began,
    /// 32 random bytes.
    pub seed: [u8; 32],
    /// What was learned of passwords before.
    pub attempts: Attempts,
}

/// All of SIP but its sockets.
#[derive(Debug)]
pub struct Agent {
    stack: Stack,
    timers: Timers,
    domain: String,
    shields: Shields,
    door: Door,
    /// What names of phones' locations are made with, by user.
    place_secrets: BTreeMap<String, hmac::Key>,
    registrar: Registrar,
    trunks: BTreeMap<TrunkId, Trunk>,
    legs: BTreeMap<LegId, Leg>,
    deadlines: BTreeSet<(Instant, LegId)>,
    deadline_of_leg: BTreeMap<LegId, Instant>,
    owners: Owners,
    /// Call-ID and our tag to the leg.
    leg_of_dialog: BTreeMap<(String, String), LegId>,
    dialog_of_leg: BTreeMap<LegId, (String, String)>,
    releases: BTreeMap<Left, Release>,
    post: Post,
    out: VecDeque<Output>,
    is_draining: bool,
}

impl Agent {
    /// Makes the agent. Trunks begin at the first [`Self::handle_timeout`].
    pub fn new(
        config: &Config,
        accounts: &[SipAccount],
        advertised: Advertised,
        life: Life,
    ) -> Self {
        let Life { began, seed, attempts } = life;
        let now = began.at;
        let mut tokens = Tokens::new(seed);
        let guard = Guard::new(&config.domain, &mut tokens, now);
        let limits = Limits {
            max_pending: config.max_pending,
            max_transactions: config.limits.max_transactions,
            retry_after: Duration::from_secs(config.limits.retry_after_s.into()),
        };
        let try_next = Duration::from_secs(config.try_s.into());
        let timers = Timers { try_next, ..Timers::default() };
        let mut stack = Stack::new(limits, timers, advertised, tokens.fork());
        let mut registrar = Registrar::new(config.max_expires);
        let (mut secrets, mut place_secrets) = (BTreeMap::new(), BTreeMap::new());
        for account in accounts {
            let shields = Shields::new(account.protection.as_deref(), &config.protection);
            registrar.add(&account.user, account.id.clone(), shields);
            let secret = Secret::new(&account.user, &config.domain, &account.password.0);
            secrets.insert(account.user.clone(), secret);
            let secret = hmac::Key::new(hmac::HMAC_SHA256, account.password.0.as_bytes());
            place_secrets.insert(account.user.clone(), secret);
        }
        let mut trunks = BTreeMap::new();
        for trunk in &config.trunk {
            let shields = Shields::new(trunk.protection.as_deref(), &config.protection);
            if let Some(made) = Trunk::new(trunk.clone(), shields, &mut stack) {
                trunks.insert(trunk.id(), made);
            }
        }
        // Wherever a name leads: keys need TLS there, and the next attempt does without.
        let shields = Shields::new(None, &config.protection);
        let anywhere = LinkState::Up(shields.to_ring(Transport::Tls, None));
        let link = Event::Link(TrunkId::from(DIRECT_TRUNK), anywhere);
        Self {
            stack,
            timers,
            domain: config.domain.clone(),
            shields,
            door: Door::new(guard, secrets, attempts, &config.limits),
            place_secrets,
            registrar,
            trunks,
            legs: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            deadline_of_leg: BTreeMap::new(),
            owners: Owners::default(),
            leg_of_dialog: BTreeMap::new(),
            dialog_of_leg: BTreeMap::new(),
            releases: BTreeMap::new(),
            post: Post::new(&config.imdn, began),
            out: VecDeque::from([Output::Event(link)]),
            is_draining: false,
        }
    }

    /// The stack's counters.
    pub fn counters(&self) -> stack::Counters {
        self.stack.counters()
    }

    /// How many legs there are, those that only wait for a last message included.
    pub fn legs(&self) -> usize {
        self.legs.len()
    }

    /// Takes one whole message. `next_leg` names a leg, should one begin.
    pub fn handle_message(
        &mut self,
        flow: Flow,
        bytes: bytes::Bytes,
        next_leg: impl FnMut() -> LegId,
        now: Instant,
    ) {
        let (stack, mut doorkeeper) = self.stack_and_doorkeeper();
        stack.handle_message(flow, bytes, &mut doorkeeper, now);
        let learned = std::iter::from_fn(|| self.door.poll_learned());
        self.out.extend(learned.map(|learned| Output::Event(Event::Acquainted(learned))));
        self.drain_stack(next_leg, now);
    }

    fn stack_and_doorkeeper(&mut self) -> (&mut Stack, Doorkeeper<'_>) {
        let doorkeeper = Doorkeeper {
            door: &mut self.door,
            trunks: &self.trunks,
            registrar: &self.registrar,
            leg_of_dialog: &self.leg_of_dialog,
            call_ids: self.post.call_ids(),
        };
        (&mut self.stack, doorkeeper)
    }

    /// Takes what was there of a message when its stream lost its framing.
    pub fn handle_broken(&mut self, flow: Flow, bytes: &[u8], now: Instant) {
        let (stack, mut doorkeeper) = self.stack_and_doorkeeper();
        stack.handle_broken(flow, bytes, &mut doorkeeper, now);
    }

    /// Takes the news that a connection is gone.
    pub fn handle_closed(&mut self, link: stack::flow::LinkId, now: Instant) {
        self.stack.handle_closed(link);
        self.drain_known(now);
    }

    /// Takes the news that a message could not be sent.
    pub fn handle_unsent(&mut self, id: TransactionId, now: Instant) {
        self.stack.handle_unsent(id, now);
        self.drain_known(now);
    }

    /// Does all that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.stack.handle_timeout(now);
        self.drain_known(now);
        while let Some((at, id)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.deadlines.remove(&(at, id));
            self.deadline_of_leg.remove(&id);
            self.with_leg(id, now, |leg, line| leg.handle_timeout(line));
        }
        for user in self.registrar.handle_timeout(now) {
            self.publish(&user);
        }
        self.handle_releases(now);
        self.handle_slow_intakes(now);
        if !self.is_draining {
            for trunk in self.trunks.values_mut() {
                trunk.handle_timeout(&mut Desk { stack: &mut self.stack, out: &mut self.out, now });
            }
        }
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let legs = self.deadlines.first().map(|(at, _)| *at);
        let trunks = self.trunks.values().filter_map(Trunk::poll_timeout).min();
        let releases = self.releases.values().map(Release::poll_timeout).min();
        let registrar = self.registrar.poll_timeout();
        let intakes = self.post.poll_timeout();
        [self.stack.poll_timeout(), legs, registrar, trunks, releases, intakes]
            .into_iter()
            .flatten()
            .min()
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.stack.poll_transmit()
    }

    /// The next thing to tell or ask.
    pub fn poll_output(&mut self) -> Option<Output> {
        stack::pop(&mut self.out)
    }

    /// Takes a command of the switchboard.
    pub fn handle_command(&mut self, command: Command, now: Instant) {
        match command {
            Command::Leg(id, LegCommand::Dial(dial)) => {
                let callee = self.callee(&dial);
                self.dial(id, *dial, now);
                if let Some(callee) = callee.filter(|_| self.legs.contains_key(&id)) {
                    self.door.note_leg(id, &callee);
                }
            }
            Command::Leg(id, command) => {
                self.with_leg(id, now, |leg, line| leg.handle_command(command, line));
            }
            Command::Release(key, entry) => self.release(key, &entry, now),
            Command::Send(dispatch) => self.send(&dispatch, now),
            Command::Settle(intake, settlement) => self.settle(intake, &settlement, now),
            Command::Receipt(receipt) => self.send_receipt(&receipt, now),
            Command::Composing(trunk, composing) => self.send_composing(trunk, &composing, now),
            // Only asked for by who knows devices by name.
            Command::Backlog(_) => {}
            Command::Drain => {
                self.is_draining = true;
                self.stack.drain();
            }
        }
    }

    /// The trunk or the account that a call of ours reaches, if it is one of them.
    fn callee(&self, dial: &Dial) -> Option<Proof> {
        if self.trunks.contains_key(&dial.trunk) {
            return Some(Proof::Trunk(dial.trunk.clone()));
        }
        let (user, _) = self.registrar.find(dial.contact.as_deref()?)?;
        Some(Proof::User(user.to_owned()))
    }

    /// The switchboard had no room for a leg: its caller is told to come back.
    pub fn refuse(&mut self, id: LegId, now: Instant) {
        let end = LegCommand::End(Cause::Overload, None);
        self.with_leg(id, now, |leg, line| leg.handle_command(end, line));
        // Nobody heard of this leg: nobody is told of its end.
        self.out
            .retain(|output| !matches!(output, Output::Event(Event::Leg(told, _)) if *told == id));
    }

    /// Takes what a look-up found.
    pub fn handle_targets(
        &mut self,
        asker: &Asker,
        found: Result<Vec<Target>, String>,
        now: Instant,
    ) {
        match asker {
            Asker::Leg(id) => self.with_leg(*id, now, |leg, line| match found {
                Ok(targets) => leg.handle_targets(targets, line),
                Err(why) => leg.handle_unresolved(why, line),
            }),
            Asker::Trunk(id) => {
                self.with_trunk(&id.clone(), now, |trunk, desk| trunk.handle_targets(found, desk))
            }
            Asker::Errand(id) => self.handle_errand_targets(*id, found, now),
        }
    }

    /// Ends every leg and registration: the gateway stops.
    pub fn stop(&mut self, now: Instant) {
        self.is_draining = true;
        self.stack.drain();
        let live: Vec<LegId> =
            self.legs.values().filter(|leg| leg.is_live()).map(Leg::id).collect();
        for id in live {
            let end = LegCommand::End(Cause::Shutdown, None);
            self.with_leg(id, now, |leg, line| leg.handle_command(end, line));
        }
        for id in self.trunks.keys().cloned().collect::<Vec<_>>() {
            self.with_trunk(&id, now, Trunk::leave);
        }
    }

    /// Whether nothing waits for a last message any more.
    pub fn is_quiet(&self) -> bool {
        self.legs.is_empty() && self.owners.is_empty()
    }

    fn drain_known(&mut self, now: Instant) {
        // No event that only passes by can begin a leg.
        self.drain_stack(|| LegId(0), now);
    }

    fn drain_stack(&mut self, mut next_leg: impl FnMut() -> LegId, now: Instant) {
        while let Some(event) = self.stack.poll_event() {
            match event {
                stack::Event::Request { id, request, flow, proof } => {
                    self.handle_request(id, *request, (flow, proof), &mut next_leg, now);
                }
                stack::Event::Cancelled { id } => {
                    if let Some(Owner::Leg(leg)) = self.owners.get(id) {
                        self.with_leg(leg, now, |leg, line| leg.handle_cancelled(id, line));
                    }
                }
                stack::Event::Acknowledged { request, flow } => {
                    if let Some(leg) = self.leg_of(&request) {
                        self.with_leg(leg, now, |leg, line| leg.handle_ack(&request, flow, line));
                    }
                }
                stack::Event::Response { id, response, flow } => {
                    self.handle_response(id, &response, flow, now);
                }
                stack::Event::Failed { id, is_unreachable } => {
                    self.handle_failed(id, is_unreachable, now);
                }
                stack::Event::LinkClosed(link) => {
                    for user in self.registrar.handle_closed(link) {
                        self.publish(&user);
                    }
                    for trunk in self.trunks.values_mut() {
                        let mut desk = Desk { stack: &mut self.stack, out: &mut self.out, now };
                        trunk.handle_closed(link, &mut desk);
                    }
                }
            }
        }
    }

    fn handle_response(
        &mut self,
        id: TransactionId,
        response: &Response,
        flow: Flow,
        now: Instant,
    ) {
        let Some(owner) = self.owners.get(id) else { return };
        // A 2xx to an INVITE may come again, and from others: its owner is kept with the leg.
        let is_last = !response.is_provisional()
            && !matches!(response.fields().cseq(), Some((_, Method::Invite)));
        if is_last {
            self.owners.remove(id);
        }
        match owner {
            Owner::Leg(leg) => {
                self.with_leg(leg, now, |leg, line| leg.handle_response(id, response, flow, line));
            }
            Owner::Trunk(trunk) => self.with_trunk(&trunk, now, |trunk, desk| {
                trunk.handle_response(id, response, flow, desk)
            }),
            Owner::Release(key) if is_last => {
                self.handle_release_response(key, response, flow, now);
            }
            Owner::Errand(id) if is_last => self.handle_errand_response(id, response, flow, now),
            Owner::Release(_) | Owner::Errand(_) => {}
        }
    }

    fn handle_failed(&mut self, id: TransactionId, is_unreachable: bool, now: Instant) {
        match self.owners.remove(id) {
            Some(Owner::Leg(leg)) => self.with_leg(leg, now, |leg, line| {
                leg.handle_failed(id, is_unreachable, line);
            }),
            Some(Owner::Trunk(trunk)) => {
                self.with_trunk(&trunk, now, |trunk, desk| trunk.handle_failed(id, desk))
            }
            Some(Owner::Release(key)) => self.strand(key, now),
            Some(Owner::Errand(errand)) => {
                self.handle_errand_failed(errand, id, is_unreachable, now);
            }
            None => {}
        }
    }

    /// Lets one leg handle something, then brings deadlines and tables in line with it.
    fn with_leg(&mut self, id: LegId, now: Instant, input: impl FnOnce(&mut Leg, &mut Line<'_>)) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let trunk = leg.trunk().clone();
        let mut left = None;
        let mut line = Line {
            leg: id,
            trunk: trunk.clone(),
            stack: &mut self.stack,
            trunks: &mut self.trunks,
            owners: &mut self.owners,
            out: &mut self.out,
            left: &mut left,
            timers: self.timers,
            now,
        };
        input(leg, &mut line);
        let (is_over, deadline) = (leg.is_over(), leg.poll_timeout());
        if let Some(old) = self.deadline_of_leg.remove(&id) {
            self.deadlines.remove(&(old, id));
        }
        if is_over {
            self.legs.remove(&id);
            if let Some(dialog) = self.dialog_of_leg.remove(&id) {
                self.leg_of_dialog.remove(&dialog);
            }
            self.owners.forget(id);
            self.door.forget_leg(id);
        } else if let Some(deadline) = deadline {
            self.deadline_of_leg.insert(id, deadline);
            self.deadlines.insert((deadline, id));
        }
        if let Some(dialog) = left {
            self.take_over(id, trunk, dialog, now);
        }
    }

    fn with_trunk(
        &mut self,
        id: &TrunkId,
        now: Instant,
        input: impl FnOnce(&mut Trunk, &mut Desk<'_>) -> Option<TransactionId>,
    ) {
        let Some(trunk) = self.trunks.get_mut(id) else { return };
        let was_up = trunk.is_up();
        let mut desk = Desk { stack: &mut self.stack, out: &mut self.out, now };
        if let Some(transaction) = input(trunk, &mut desk) {
            self.owners.insert(transaction, Owner::Trunk(id.clone()));
        }
        if !was_up && self.trunks.get(id).is_some_and(Trunk::is_up) {
            self.retry_for_trunk(id, now);
        }
    }

    fn add_leg(&mut self, leg: Leg, call_id: String, tag: String) {
        self.leg_of_dialog.insert((call_id.clone(), tag.clone()), leg.id());
        self.dialog_of_leg.insert(leg.id(), (call_id, tag));
        self.legs.insert(leg.id(), leg);
    }

    /// Tells where a user's phones can be rung now.
    fn publish(&mut self, user: &str) {
        if let Some((account, locations)) = self.registrar.locations(user) {
            self.out.push_back(Output::Event(Event::Located(account, locations)));
        }
    }

    /// How long [`Self::stop`] may take to be heard.
    pub const FAREWELL: Duration = Duration::from_secs(2);
}

#[cfg(test)]
mod tests;
