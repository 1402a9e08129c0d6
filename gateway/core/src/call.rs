//! The call machine: one caller leg joined to the first callee leg that answers.
//!
//! ```text
//! Routing --routes--> Setup --answered--> Answering --our answer--> Talking --ended--> Ending --> Over
//!                      | ^ next group                                 | ^ (each party re-offers
//!                      +-+                                            +-+  on its own: see talk.rs)
//! ```
//!
//! Law: *feed one input, drain all outputs*. Promises, held by `tests/call_properties.rs`: every
//! port is closed once and never used afterwards; every leg is ended; when its legs have ended the
//! call is over. The machine never asks which network a leg is on: profiles say what differs.

mod outcome;
mod party;
mod setup;
mod talk;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::address::Address;
use crate::cause::Cause;
use crate::ids::{LegId, PortId, TrunkId};
use crate::leg::{Incoming, LegCommand, LegEvent};
use crate::media::{MediaCommand, MediaEvent};
use crate::route::{Group, Origin, OwnContact, Require};

pub use outcome::{LegRecord, Record};
use party::Party;
use setup::Setup;

/// How long the stages of a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// To find routes.
    pub routing: Duration,
    /// To answer the caller once the callee answered.
    pub answering: Duration,
    /// A whole call.
    pub talking: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            routing: Duration::from_secs(20),
            answering: Duration::from_secs(10),
            talking: Duration::from_secs(12 * 3600),
        }
    }
}

/// What a call is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// A leg of this call says something.
    Leg(LegId, LegEvent),
    /// A port of this call says something.
    Media(MediaEvent),
    /// The routes asked for, or why there are none.
    Routes(Result<Vec<Group>, (Cause, String)>),
    /// The gateway ends the call.
    End(Cause),
}

/// What a call asks.
#[derive(Clone, Debug)]
pub enum Output {
    /// Something of a leg, through the adapter of that trunk.
    Leg(TrunkId, LegId, LegCommand),
    /// Something of the media plane.
    Media(MediaCommand),
    /// The routes to whom the caller asked for. Asked once, first of all.
    Resolve(Box<Inquiry>),
    /// What is kept of the call. Said once, last of all.
    Record(Box<Record>),
}

/// What routes are chosen by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inquiry {
    /// Who calls.
    pub origin: Origin,
    /// Whom the caller asked for.
    pub to: Address,
    /// The text as typed, where `to` was made from it.
    pub dialled: Option<String>,
    /// The asker's own record of them, where one came along.
    pub record: Option<OwnContact>,
    /// What protection the caller asks for.
    pub require: Require,
}

/// Where a call stands.
#[derive(Debug)]
enum Stage {
    /// Waiting for routes.
    Routing,
    /// Ringing one group of routes after the other.
    Setup(Setup),
    /// The callee answered; the caller's port is making its answer. `None`: the echo answered.
    Answering(Option<LegId>),
    /// Caller and callee are joined. `None`: the caller hears itself.
    Talking(Option<LegId>),
    /// Waiting for the legs to say that they ended.
    Ending,
    /// Nothing more will be said.
    Over,
}

/// One call.
#[derive(Debug)]
pub struct Call {
    inquiry: Inquiry,
    display: Option<String>,
    hops_left: Option<u8>,
    caller: Party,
    callees: Vec<Party>,
    stage: Stage,
    limits: Limits,
    deadline: Option<(Instant, &'static str)>,
    history: History,
    out: VecDeque<Output>,
}

/// What the record will tell.
#[derive(Debug)]
struct History {
    began: Instant,
    answered: Option<Instant>,
    verdict: Option<(Cause, Option<String>)>,
    next_leg: u64,
}

impl Call {
    /// A new call, which asks for its routes.
    #[must_use]
    pub fn new(incoming: Incoming, limits: Limits, now: Instant) -> Self {
        let Incoming {
            leg,
            origin,
            to,
            dialled,
            record,
            display,
            require,
            offer,
            profile,
            hops_left,
        } = incoming;
        let inquiry = Inquiry { origin: origin.clone(), to, dialled, record, require };
        let name = origin.account.as_ref().map_or(origin.asserted.name(), |a| a.as_str());
        let caller = Party::caller(leg, origin.trunk.clone(), name, profile, offer);
        let mut call = Self {
            inquiry: inquiry.clone(),
            display,
            hops_left,
            caller,
            callees: Vec::new(),
            stage: Stage::Routing,
            limits,
            deadline: Some((now + limits.routing, "routing")),
            history: History { began: now, answered: None, verdict: None, next_leg: leg.0 + 1 },
            out: VecDeque::new(),
        };
        call.out.push_back(Output::Resolve(Box::new(inquiry)));
        call
    }

    /// Takes one input in. Drain [`Self::poll_output`] afterwards.
    pub fn handle(&mut self, input: Input, now: Instant) {
        match input {
            Input::Leg(leg, event) => self.handle_leg(leg, event, now),
            Input::Media(event) => self.handle_media(event, now),
            Input::Routes(routes) => self.handle_routes(routes, now),
            Input::End(cause) => self.finish(cause, None),
        }
        self.settle(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|(at, _)| at <= now) {
            self.deadline = None;
            self.handle_deadline(now);
        }
        if self.parties().any(|party| party.consent_until.is_some_and(|until| until <= now)) {
            let reason = "consent to send media was not given again in time".to_owned();
            self.finish(Cause::MediaTimeout, Some(reason));
        }
        self.settle(now);
    }

    /// The next thing asked, until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Self::handle_timeout`] is due next, and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        if matches!(self.stage, Stage::Ending | Stage::Over) {
            return None;
        }
        let consent = self.parties().filter_map(|party| party.consent_until);
        self.deadline.into_iter().chain(consent.map(|at| (at, "consent"))).min()
    }

    /// Whether nothing more will be said.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// The caller's leg.
    #[must_use]
    pub const fn caller_leg(&self) -> LegId {
        self.caller.leg
    }

    /// Every leg that has not ended, with its trunk.
    #[must_use]
    pub fn live_legs(&self) -> Vec<(LegId, TrunkId)> {
        self.parties()
            .filter(|party| party.is_live())
            .map(|party| (party.leg, party.trunk.clone()))
            .collect()
    }

    fn handle_deadline(&mut self, now: Instant) {
        match self.stage {
            Stage::Routing => {
                self.finish(Cause::Failed, Some("finding routes took too long".to_owned()));
            }
            Stage::Setup(_) => self.ring_limit_reached(now),
            Stage::Answering(_) => {
                let reason = "the answer to the caller took too long".to_owned();
                self.finish(Cause::Failed, Some(reason));
            }
            Stage::Talking(_) => {
                let reason = "the longest duration of a call is reached".to_owned();
                self.finish(Cause::Normal, Some(reason));
            }
            Stage::Ending | Stage::Over => {}
        }
    }

    fn handle_leg(&mut self, leg: LegId, event: LegEvent, now: Instant) {
        // A leg that is no longer ours may still have had something on its way: stale, expected.
        let Some(party) = self.party(leg) else { return };
        let is_wanted = if matches!(event, LegEvent::Ended(..)) {
            party.is_live()
        } else {
            party.is_known_to_adapter()
        };
        if !is_wanted {
            return;
        }
        match event {
            LegEvent::Ended(cause, reason) => self.handle_ended(leg, cause, reason, now),
            LegEvent::Ringing => self.handle_ringing(leg),
            LegEvent::Progress(answer) => self.handle_progress(leg, answer),
            LegEvent::Answered(answer) => self.handle_answered(leg, answer, now),
            LegEvent::Candidate(candidate) => {
                let port = leg.port();
                self.media_if_open(port, MediaCommand::Candidate { port, candidate });
            }
            LegEvent::Reoffered(offer) => self.handle_reoffered(leg, offer),
            LegEvent::ReofferAnswered(answer) => self.handle_reoffer_answered(leg, answer),
            LegEvent::ReofferRefused(cause) => self.handle_reoffer_refused(leg, cause),
            LegEvent::Hold => self.handle_hold(leg, true),
            LegEvent::Resume => self.handle_hold(leg, false),
            LegEvent::Digit(digit, duration) => self.handle_digit(leg, digit, duration),
            LegEvent::Channel(command) => {
                let port = leg.port();
                self.media_if_open(port, MediaCommand::Channel { port, command });
            }
            LegEvent::Transfer(to) => {
                // Not supported: transfers are an issue of their own. The call goes on as it was.
                self.tell(leg, LegCommand::Transferred(to, Some(Cause::NotAcceptable)));
            }
        }
    }

    fn handle_media(&mut self, event: MediaEvent, now: Instant) {
        let leg = event.port().leg();
        let Some(party) = self.party(leg) else { return };
        if !party.has_port {
            return;
        }
        match event {
            MediaEvent::Offered(_, offer) => self.handle_offered(leg, offer),
            MediaEvent::Answered(_, answer) => self.handle_our_answer(leg, answer, now),
            MediaEvent::Failed(_, cause, reason) => self.handle_failed(leg, cause, reason, now),
            MediaEvent::Candidate(_, candidate) => self.tell(leg, LegCommand::Candidate(candidate)),
            MediaEvent::Secured(_, secured) => self.handle_secured(leg, secured),
            MediaEvent::Digit(_, digit, duration) => self.handle_media_digit(leg, digit, duration),
            MediaEvent::Channel(_, event) => self.tell(leg, LegCommand::Channel(event)),
            MediaEvent::Quiet(_, since) => self.handle_quiet(leg, since),
            MediaEvent::Heard(_) => {}
            MediaEvent::Lost(_) => {
                let reason = format!("no media from the {} leg", party.trunk.network());
                self.finish(Cause::MediaTimeout, Some(reason));
            }
            MediaEvent::Consent(_, is_given) => self.handle_consent(leg, is_given, now),
            MediaEvent::Quality(_, quality) => self.handle_quality(leg, quality),
        }
    }

    /// Ends what still lives. The first verdict stands.
    fn finish(&mut self, cause: Cause, reason: Option<String>) {
        if matches!(self.stage, Stage::Ending | Stage::Over) {
            return;
        }
        self.stage = Stage::Ending;
        self.deadline = None;
        self.history.verdict.get_or_insert((cause, reason.clone()));
        for leg in self.legs() {
            self.end_leg(leg, cause, reason.clone());
        }
    }

    /// Ends one leg and closes its port. A leg that was never dialled is simply gone.
    fn end_leg(&mut self, leg: LegId, cause: Cause, reason: Option<String>) {
        self.close_port(leg);
        let Some(party) = self.party_mut(leg) else { return };
        if party.is_known_to_adapter() {
            party.life = party::Life::Ending;
            let end = Output::Leg(party.trunk.clone(), leg, LegCommand::End(cause, reason));
            self.out.push_back(end);
        } else if party.life == party::Life::Preparing {
            party.life = party::Life::Ended(cause);
        }
    }

    fn close_port(&mut self, leg: LegId) {
        let Some(party) = self.party_mut(leg) else { return };
        if std::mem::take(&mut party.has_port) {
            party.consent_until = None;
            self.out.push_back(Output::Media(MediaCommand::Close { port: leg.port() }));
        }
    }

    /// When every leg has ended the call is over, and its record is written.
    fn settle(&mut self, now: Instant) {
        if matches!(self.stage, Stage::Ending) && !self.parties().any(Party::is_live) {
            self.stage = Stage::Over;
            let record = self.record(now);
            self.out.push_back(Output::Record(Box::new(record)));
        }
    }

    /// Tells a leg something, unless it has been told to end or has ended.
    fn tell(&mut self, leg: LegId, command: LegCommand) {
        if let Some(party) = self.party(leg).filter(|party| party.is_known_to_adapter()) {
            self.out.push_back(Output::Leg(party.trunk.clone(), leg, command));
        }
    }

    fn media(&mut self, command: MediaCommand) {
        self.out.push_back(Output::Media(command));
    }

    fn media_if_open(&mut self, port: PortId, command: MediaCommand) {
        if self.party(port.leg()).is_some_and(|party| party.has_port) {
            self.media(command);
        }
    }

    fn parties(&self) -> impl Iterator<Item = &Party> {
        std::iter::once(&self.caller).chain(&self.callees)
    }

    fn legs(&self) -> Vec<LegId> {
        self.parties().map(|party| party.leg).collect()
    }

    fn party(&self, leg: LegId) -> Option<&Party> {
        self.parties().find(|party| party.leg == leg)
    }

    fn party_mut(&mut self, leg: LegId) -> Option<&mut Party> {
        std::iter::once(&mut self.caller).chain(&mut self.callees).find(|party| party.leg == leg)
    }
}
