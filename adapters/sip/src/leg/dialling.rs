//! We call (RFC 3261 §13.2): one place after the other, with credentials where the trunk asks for
//! them, and whatever several answers a forked INVITE brings.
//!
//! A place that says nothing is left for the next (RFC 3263 §4.3): its INVITE is [`Passed`] by, and
//! cancelled as soon as it speaks.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use gateway_core::Cause;
use gateway_core::description::{Answer, Description};
use gateway_core::leg::{LegCommand, LegEvent};

use super::talking::Talking;
use super::{Common, State};
use crate::cause;
use crate::config::DIRECT_TRUNK;
use crate::line::{Line, contact};
use crate::offer::{self, Body};
use crate::reach::{beside_trunks, judge, permitted};
use crate::stack::dialog::Dialog;
use crate::stack::flow::{Flow, Target, Transport};
use crate::stack::policy::ALLOW;
use crate::stack::transaction::TransactionId;
use crate::stack::wire::{Method, NameAddr, Request, Response, Uri};

/// Challenges answered in one attempt: one each of a proxy and of the callee, and one stale.
const MAX_CHALLENGES: u8 = 3;

/// A call to be made.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// The Request-URI.
    pub(crate) uri: Uri,
    /// From, with our tag.
    pub(crate) from: NameAddr,
    /// To.
    pub(crate) to: NameAddr,
    /// The Call-ID.
    pub(crate) call_id: String,
    /// The user part of our Contact.
    pub(crate) user: String,
    /// How many hops the INVITE may take: one less than it came with, so that a call that goes in
    /// a circle ends (RFC 7332).
    pub(crate) hops: u8,
    /// Our offer.
    pub(crate) sdp: Bytes,
    /// The keys in the offer must not cross an open wire (RFC 4568 §8.3).
    pub(crate) needs_tls: bool,
}

impl Outgoing {
    fn invite(&self, number: u32, contact: &str) -> Request {
        let mut request = Request::new(&Method::Invite, self.uri.clone());
        request.push("Max-Forwards", &self.hops.to_string());
        request.push("From", &self.from.to_text());
        request.push("To", &self.to.to_text());
        request.push("Call-ID", &self.call_id);
        request.push("CSeq", &format!("{number} INVITE"));
        request.push("Contact", contact);
        request.push("Allow", ALLOW);
        request.set_body(offer::SDP, self.sdp.clone());
        request
    }
}

/// An INVITE of ours without a final answer.
#[derive(Debug)]
pub(super) struct Dialling {
    outgoing: Outgoing,
    later: VecDeque<Target>,
    target: Target,
    request: Request,
    invite: TransactionId,
    challenges: u8,
    has_rung: bool,
    /// Somebody has answered provisionally: the place is right, whatever comes.
    is_proceeding: bool,
    /// When the next place is tried, unless this one speaks.
    try_next_at: Option<Instant>,
    given: Option<Description>,
}

impl Dialling {
    /// Calls the first place that may be called.
    pub(super) fn start(
        outgoing: Outgoing,
        targets: Vec<Target>,
        common: &mut Common,
        line: &mut Line<'_>,
    ) -> State {
        let is_of_trunk = line.trunks.contains_key(&common.trunk);
        let judged = permitted(targets, |target| judge(line.reach(), target, is_of_trunk));
        let targets = match judged {
            Ok(targets) => targets,
            Err(forbidden) => {
                common.end(Cause::Unreachable, Some(forbidden.to_string()), line);
                return State::Over;
            }
        };
        let found = targets.len();
        let targets = if common.trunk.as_str() == DIRECT_TRUNK {
            let is_at_trunk = |ip| line.trunks.values().any(|trunk| trunk.is_at(ip));
            beside_trunks(outgoing.uri.user().as_deref(), targets, is_at_trunk)
        } else {
            targets
        };
        if targets.is_empty() && found > 0 {
            let why = "this number leads to the server of a trunk, and goes by that trunk only";
            common.end(Cause::Forbidden, Some(why.to_owned()), line);
            return State::Over;
        }
        let later: VecDeque<Target> = targets
            .into_iter()
            .filter(|target| !outgoing.needs_tls || target.transport == Transport::Tls)
            .collect();
        if later.is_empty() && found > 0 {
            let why = "keys in the signalling need TLS, which this address does not offer";
            common.end(Cause::Security, Some(why.to_owned()), line);
            return State::Over;
        }
        Self::next(outgoing, later, 1, common, line)
    }

    fn next(
        outgoing: Outgoing,
        mut later: VecDeque<Target>,
        number: u32,
        common: &mut Common,
        line: &mut Line<'_>,
    ) -> State {
        let Some(target) = later.pop_front() else {
            common.end(Cause::Unreachable, None, line);
            return State::Over;
        };
        common.contact = contact(line.stack, &outgoing.user, &target);
        let request = outgoing.invite(number, &common.contact);
        let Some(invite) = line.request(request.clone(), target.clone()) else {
            common.end(Cause::Overload, None, line);
            return State::Over;
        };
        let try_next_at = (!later.is_empty()).then(|| line.now + line.timers.try_next);
        State::Dialling(Box::new(Self {
            try_next_at,
            outgoing,
            later,
            target,
            request,
            invite,
            challenges: 0,
            has_rung: false,
            is_proceeding: false,
            given: None,
        }))
    }

    pub(super) fn handle_command(
        self: Box<Self>,
        command: LegCommand,
        common: &mut Common,
        line: &mut Line<'_>,
    ) -> State {
        match command {
            LegCommand::End(cause, reason) => {
                line.stack.cancel(self.invite, cause::reason(cause), line.now);
                common.end(cause, reason, line);
                State::Abandoned(Box::new(Abandoned {
                    invite: self.invite,
                    request: self.request,
                    target: self.target,
                }))
            }
            LegCommand::Dial(_)
            | LegCommand::Ring
            | LegCommand::Progress(_)
            | LegCommand::Answer(_)
            | LegCommand::Reoffer(_)
            | LegCommand::AnswerReoffer(_)
            | LegCommand::RefuseReoffer(_)
            | LegCommand::Held
            | LegCommand::Resumed
            | LegCommand::Candidate(_)
            | LegCommand::Digit(..)
            | LegCommand::Transferred(..)
            | LegCommand::Security(_)
            | LegCommand::Channel(_)
            | LegCommand::Quality(_)
            | LegCommand::Trouble(_) => State::Dialling(self),
        }
    }

    pub(super) fn handle_response(
        self: Box<Self>,
        id: TransactionId,
        response: &Response,
        flow: Flow,
        common: &mut Common,
        line: &mut Line<'_>,
    ) -> State {
        if id != self.invite {
            return State::Dialling(self);
        }
        match response.status() {
            100..=199 => self.handle_provisional(response, line),
            200..=299 => self.handle_answer(response, flow, common, line),
            401 | 407 => self.handle_challenge(response, flow, common, line),
            // RFC 3263 §4.3: the next place, as long as nobody rang at this one.
            408 | 503 if !self.is_proceeding && !self.later.is_empty() => {
                self.try_next(common, line)
            }
            status => {
                let reason = response.fields().text("Warning");
                common.end(cause::from_status(status), reason, line);
                State::Over
            }
        }
    }

    /// The place has said nothing: the next one is called.
    pub(super) fn handle_timeout(
        mut self: Box<Self>,
        common: &mut Common,
        line: &mut Line<'_>,
    ) -> State {
        if self.try_next_at.is_none_or(|at| line.now < at) {
            return State::Dialling(self);
        }
        self.try_next_at = None;
        line.stack.cancel(self.invite, None, line.now);
        common.passed.push(Passed {
            invite: self.invite,
            request: self.request.clone(),
            target: self.target.clone(),
        });
        self.try_next(common, line)
    }

    /// When [`Self::handle_timeout`] is due.
    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.try_next_at
    }

    fn handle_provisional(mut self: Box<Self>, response: &Response, line: &mut Line<'_>) -> State {
        self.try_next_at = None;
        if response.status() > 100 {
            self.is_proceeding = true;
        }
        if let Body::Description(description) = offer::read(response.fields(), response.body())
            && self.given.as_ref() != Some(&description)
        {
            self.given = Some(description.clone());
            line.tell(LegEvent::Progress(Answer(description)));
        }
        if response.status() == 180 && !std::mem::replace(&mut self.has_rung, true) {
            line.tell(LegEvent::Ringing);
        }
        State::Dialling(self)
    }

    fn handle_answer(
        self: Box<Self>,
        response: &Response,
        flow: Flow,
        common: &mut Common,
        line: &mut Line<'_>,
    ) -> State {
        let Some(dialog) =
            Dialog::calling(&self.request, response, &self.target, flow, line.reach())
        else {
            let why = "the answer has no Contact or tag".to_owned();
            common.end(Cause::Failed, Some(why), line);
            return State::Over;
        };
        let answer = match offer::read(response.fields(), response.body()) {
            Body::Description(description) => Some(description),
            Body::Nothing => None,
            Body::Broken => {
                return self.refuse_answer(dialog, "the answer's SDP cannot be read", common, line);
            }
        };
        if answer.is_none() && self.given.is_none() {
            return self.refuse_answer(dialog, "the answer has no SDP", common, line);
        }
        let mut talking = Talking::new(dialog, self.outgoing.sdp, true);
        talking.acknowledge(self.invite, &self.request, &self.target, line);
        line.journal(Some(talking.dialog()));
        // An answer that came before counts (RFC 6337 §2.2); telling it again does no harm.
        line.tell(LegEvent::Answered(answer.map(Answer)));
        State::Talking(Box::new(talking))
    }

    /// Acknowledged and hung up: an answer cannot be refused (RFC 3261 §13.2.2.4).
    fn refuse_answer(
        self: Box<Self>,
        dialog: Dialog,
        why: &str,
        common: &mut Common,
        line: &mut Line<'_>,
    ) -> State {
        acknowledge_once(&dialog, line);
        common.hang_up(dialog, true, Cause::NotAcceptable, Some(why.to_owned()), line)
    }

    fn handle_challenge(
        mut self: Box<Self>,
        response: &Response,
        flow: Flow,
        common: &mut Common,
        line: &mut Line<'_>,
    ) -> State {
        let mut request = self.request.clone();
        let is_answered = self.challenges < MAX_CHALLENGES
            && line.authorize(&common.trunk, &mut request, response, flow);
        if !is_answered {
            let why = "the callee's side asks for credentials we do not have".to_owned();
            common.end(Cause::Forbidden, Some(why), line);
            return State::Over;
        }
        let number = request.fields().cseq().map_or(1, |(number, _)| number) + 1;
        request.set("CSeq", &format!("{number} INVITE"));
        let Some(invite) = line.request(request.clone(), self.target.clone()) else {
            common.end(Cause::Overload, None, line);
            return State::Over;
        };
        self.challenges += 1;
        self.request = request;
        self.invite = invite;
        State::Dialling(self)
    }

    pub(super) fn handle_failed(
        self: Box<Self>,
        id: TransactionId,
        is_unreachable: bool,
        common: &mut Common,
        line: &mut Line<'_>,
    ) -> State {
        if id != self.invite {
            return State::Dialling(self);
        }
        if !self.later.is_empty() {
            return self.try_next(common, line);
        }
        let why = if is_unreachable {
            "the phone cannot be reached"
        } else {
            "the phone does not answer our messages"
        };
        common.end(Cause::Unreachable, Some(why.to_owned()), line);
        State::Over
    }

    fn try_next(self: Box<Self>, common: &mut Common, line: &mut Line<'_>) -> State {
        let number = self.request.fields().cseq().map_or(1, |(number, _)| number) + 1;
        Self::next(self.outgoing, self.later, number, common, line)
    }
}

/// An INVITE to a place that said nothing, while another is called. Its CANCEL waits for it to
/// speak (RFC 3261 §9.1).
#[derive(Debug)]
pub(super) struct Passed {
    invite: TransactionId,
    request: Request,
    target: Target,
}

impl Passed {
    pub(super) const fn invite(&self) -> TransactionId {
        self.invite
    }

    /// Takes what the place says after all; an answer is acknowledged and hung up.
    pub(super) fn handle_answer(&self, response: &Response, flow: Flow, line: &mut Line<'_>) {
        let Some(mut dialog) =
            Dialog::calling(&self.request, response, &self.target, flow, line.reach())
        else {
            return;
        };
        acknowledge_once(&dialog, line);
        let bye = dialog.request(&Method::Bye);
        // Nobody needs the answer, and the transaction repeats by itself.
        let _ = line.request(bye, dialog.target());
    }
}

/// An INVITE we gave up. A 200 may already be on its way.
#[derive(Debug)]
pub(super) struct Abandoned {
    invite: TransactionId,
    request: Request,
    target: Target,
}

impl Abandoned {
    pub(super) fn handle_response(
        self: Box<Self>,
        id: TransactionId,
        response: &Response,
        flow: Flow,
        common: &mut Common,
        line: &mut Line<'_>,
    ) -> State {
        if id != self.invite || response.is_provisional() {
            return State::Abandoned(self);
        }
        if !response.is_success() {
            return State::Over;
        }
        match Dialog::calling(&self.request, response, &self.target, flow, line.reach()) {
            Some(dialog) => {
                acknowledge_once(&dialog, line);
                common.hang_up(dialog, true, Cause::Cancelled, None, line)
            }
            None => State::Over,
        }
    }

    pub(super) fn handle_failed(self: Box<Self>, id: TransactionId) -> State {
        if id == self.invite { State::Over } else { State::Abandoned(self) }
    }
}

/// Acknowledges the answer that made this dialog; nothing is kept for its repetitions, since the
/// BYE that follows ends them.
pub(super) fn acknowledge_once(dialog: &Dialog, line: &mut Line<'_>) {
    let ack = dialog.ack(dialog.local_seq());
    let _ = line.stack.send_ack(ack, dialog.target());
}
