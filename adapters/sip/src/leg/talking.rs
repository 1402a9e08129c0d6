//! Both ends are in the call (RFC 3261 §12.2, §14, §15).

use std::time::Instant;

use bytes::Bytes;
use gateway_core::Cause;
use gateway_core::description::Offer;
use gateway_core::leg::{LegCommand, LegEvent};

use super::dialling::acknowledge_once;
use super::update::Update;
use super::{Common, State};
use crate::cause;
use crate::line::Line;
use crate::offer::{self, Body};
use crate::stack::dialog::{Dialog, DialogId, Repeat};
use crate::stack::flow::{Flow, Target, Transmit};
use crate::stack::policy::ALLOW;
use crate::stack::transaction::TransactionId;
use crate::stack::wire::{Method, Request, Response};

/// A leg in a call.
#[derive(Debug)]
pub(super) struct Talking {
    pub(super) dialog: Dialog,
    /// What we last said of our media.
    pub(super) local: Bytes,
    /// We made the dialog: who made the Call-ID waits longer after a glare (RFC 3261 §14.1).
    pub(super) is_caller: bool,
    pub(super) update: Update,
    pub(super) unacked: Option<Unacked>,
    /// The ACK of our latest INVITE, for when its 2xx comes again.
    acked: Option<(u32, Transmit)>,
    /// The INVITE that made the dialog, for when others answer it too.
    first: Option<First>,
}

#[derive(Debug)]
struct First {
    invite: TransactionId,
    request: Request,
    target: Target,
}

/// A 2xx of ours that waits for its ACK (RFC 3261 §13.3.1.4).
#[derive(Debug)]
pub(super) struct Unacked {
    id: TransactionId,
    number: u32,
    response: Response,
    repeat: Repeat,
    /// The 2xx carried an offer; the ACK brings the answer.
    wants_answer: bool,
}

impl Talking {
    pub(super) fn new(dialog: Dialog, local: Bytes, is_caller: bool) -> Self {
        Self {
            dialog,
            local,
            is_caller,
            update: Update::Idle,
            unacked: None,
            acked: None,
            first: None,
        }
    }

    pub(super) fn dialog(&self) -> &Dialog {
        &self.dialog
    }

    /// Notes a 2xx that was just sent.
    pub(super) fn await_ack(
        &mut self,
        id: TransactionId,
        number: u32,
        response: Response,
        wants_answer: bool,
        line: &Line<'_>,
    ) {
        let repeat = Repeat::new(line.timers, line.now);
        self.unacked = Some(Unacked { id, number, response, repeat, wants_answer });
    }

    /// Acknowledges the answer to the INVITE that made the dialog.
    pub(super) fn acknowledge(
        &mut self,
        invite: TransactionId,
        request: &Request,
        target: &Target,
        line: &mut Line<'_>,
    ) {
        self.first = Some(First { invite, request: request.clone(), target: target.clone() });
        self.send_ack(self.dialog.local_seq(), line);
    }

    pub(super) fn send_ack(&mut self, number: u32, line: &mut Line<'_>) {
        let ack = self.dialog.ack(number);
        let transmit = line.stack.send_ack(ack, self.dialog.target());
        self.acked = Some((number, transmit));
    }

    fn hang_up(
        self: Box<Self>,
        cause: Cause,
        reason: Option<String>,
        common: &mut Common,
        line: &mut Line<'_>,
    ) -> State {
        self.update.drop_request(line);
        let may_authorize = self.is_caller;
        common.hang_up(self.dialog, may_authorize, cause, reason, line)
    }

    pub(super) fn handle_command(
        mut self: Box<Self>,
        command: LegCommand,
        common: &mut Common,
        line: &mut Line<'_>,
    ) -> State {
        match command {
            LegCommand::Reoffer(offer) => {
                self.offer_anew(offer::render(&offer.0), &common.contact, line);
            }
            LegCommand::AnswerReoffer(answer) => {
                self.answer_offer(offer::render(&answer.0), &common.contact, line);
            }
            LegCommand::RefuseReoffer(cause) => self.refuse_offer(cause, line),
            LegCommand::Digit(digit, duration) => {
                let mut info = self.dialog.request(&Method::Info);
                info.set_body(offer::DIGITS[0], offer::write_digit(digit, duration));
                // Its answer tells nothing but whether the dialog still stands.
                let _ = line.request(info, self.dialog.target());
            }
            LegCommand::End(cause, reason) => return self.hang_up(cause, reason, common, line),
            // Said before, or nothing SIP could show.
            LegCommand::Dial(_)
            | LegCommand::Ring
            | LegCommand::Progress(_)
            | LegCommand::Answer(_)
            | LegCommand::Held
            | LegCommand::Resumed
            | LegCommand::Candidate(_)
            | LegCommand::Transferred(..)
            | LegCommand::Security(_)
            | LegCommand::Channel(_)
            | LegCommand::Quality(_)
            | LegCommand::Trouble(_) => {}
        }
        State::Talking(self)
    }

    pub(super) fn handle_request(
        mut self: Box<Self>,
        id: TransactionId,
        request: &Request,
        flow: Flow,
        common: &mut Common,
        line: &mut Line<'_>,
    ) -> State {
        if let Err(stray) = self.dialog.admit(request, flow) {
            line.refuse(id, request, stray.status());
            return State::Talking(self);
        }
        match request.method() {
            Method::Bye => {
                line.refuse(id, request, 200);
                self.update.drop_request(line);
                let reason = request.fields().text("Reason");
                let cause = cause::from_reason(reason.as_deref()).unwrap_or(Cause::Normal);
                common.end(cause, None, line);
                line.journal(None);
                return State::Over;
            }
            Method::Invite | Method::Update => {
                self.handle_offer(id, request, flow, &common.contact, line);
            }
            Method::Info => handle_info(id, request, line),
            Method::Options => {
                let mut ok = Response::to_request(request, 200);
                ok.push("Allow", ALLOW);
                ok.push("Accept", offer::SDP);
                line.respond(id, ok);
            }
            Method::Ack
            | Method::Cancel
            | Method::Register
            | Method::Prack
            | Method::Subscribe
            | Method::Notify
            | Method::Refer
            | Method::Message
            | Method::Publish
            | Method::Other(_) => line.refuse(id, request, 405),
        }
        State::Talking(self)
    }

    pub(super) fn handle_ack(
        mut self: Box<Self>,
        request: &Request,
        flow: Flow,
        common: &mut Common,
        line: &mut Line<'_>,
    ) -> State {
        let number = request.fields().cseq().map_or(0, |(number, _)| number);
        let Some(unacked) = self.unacked.take_if(|unacked| unacked.number == number) else {
            return State::Talking(self);
        };
        if !self.dialog.is_peer(flow) {
            self.unacked = Some(unacked);
            return State::Talking(self);
        }
        if !unacked.wants_answer {
            return State::Talking(self);
        }
        match offer::read(request.fields(), request.body()) {
            Body::Description(description) => {
                // The switchboard knows no answer to its answer: to it this is a new offer.
                self.update = Update::Swallowing;
                line.tell(LegEvent::Reoffered(Offer(description)));
                State::Talking(self)
            }
            Body::Nothing | Body::Broken => {
                let why = "the caller's ACK brought no answer to our offer".to_owned();
                self.hang_up(Cause::NotAcceptable, Some(why), common, line)
            }
        }
    }

    pub(super) fn handle_response(
        mut self: Box<Self>,
        id: TransactionId,
        response: &Response,
        flow: Flow,
        common: &mut Common,
        line: &mut Line<'_>,
    ) -> State {
        if self.update.is_made_by(id) {
            return self.handle_update_response(response, flow, common, line);
        }
        let cseq = response.fields().cseq();
        if response.is_success() && matches!(cseq, Some((_, Method::Invite))) {
            self.handle_repeated_answer(id, response, flow, line);
            return State::Talking(self);
        }
        // RFC 3261 §12.2.1.2: the peer knows no such dialog any more.
        if matches!(response.status(), 408 | 481) && self.is_ours(response) {
            let why = "the peer does not know of the call any more".to_owned();
            return self.hang_up(Cause::Failed, Some(why), common, line);
        }
        State::Talking(self)
    }

    fn is_ours(&self, response: &Response) -> bool {
        DialogId::of_response(response).is_some_and(|id| id == *self.dialog.id())
    }

    /// A 2xx again: acknowledged again. A 2xx of another fork: acknowledged and hung up
    /// (RFC 3261 §13.2.2.4).
    fn handle_repeated_answer(
        &mut self,
        id: TransactionId,
        response: &Response,
        flow: Flow,
        line: &mut Line<'_>,
    ) {
        if self.is_ours(response) {
            let number = response.fields().cseq().map_or(0, |(number, _)| number);
            match self.acked.as_ref().filter(|(acked, _)| *acked == number) {
                Some((_, ack)) => line.stack.resend(ack.clone()),
                // An offer we took back was accepted after all.
                None => self.send_ack(number, line),
            }
            return;
        }
        let Some(first) = self.first.as_ref().filter(|first| first.invite == id) else { return };
        let fork = Dialog::calling(&first.request, response, &first.target, flow, line.reach());
        if let Some(mut fork) = fork {
            acknowledge_once(&fork, line);
            let bye = fork.request(&Method::Bye);
            // Owned by nobody: whatever its answer, the fork is done with.
            let _ = line.stack.send_request(bye, fork.target(), line.now);
        }
    }

    pub(super) fn handle_failed(
        self: Box<Self>,
        id: TransactionId,
        common: &mut Common,
        line: &mut Line<'_>,
    ) -> State {
        if self.first.as_ref().is_some_and(|first| first.invite == id) {
            return State::Talking(self);
        }
        let why = "the peer does not answer any more".to_owned();
        self.hang_up(Cause::Unreachable, Some(why), common, line)
    }

    pub(super) fn handle_timeout(
        mut self: Box<Self>,
        common: &mut Common,
        line: &mut Line<'_>,
    ) -> State {
        if let Some(unacked) = &mut self.unacked {
            if unacked.repeat.is_given_up(line.now) {
                let why = "the peer never acknowledged our answer".to_owned();
                return self.hang_up(Cause::Failed, Some(why), common, line);
            }
            if unacked.repeat.handle_timeout(line.now) {
                line.respond(unacked.id, unacked.response.clone());
            }
        }
        self.retry_offer(&common.contact, line);
        State::Talking(self)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let unacked = self.unacked.as_ref().map(|unacked| unacked.repeat.poll_timeout());
        [unacked, self.update.poll_timeout()].into_iter().flatten().min()
    }
}

/// Digits out of band (RFC 6086 §2).
fn handle_info(id: TransactionId, request: &Request, line: &mut Line<'_>) {
    let kind = request.fields().content_type().unwrap_or_default();
    if request.body().is_empty() {
        line.refuse(id, request, 200);
        return;
    }
    if !offer::DIGITS.contains(&kind.as_str()) {
        let mut refusal = Response::to_request(request, 415);
        refusal.push("Accept", &offer::DIGITS.join(", "));
        line.respond(id, refusal);
        return;
    }
    match offer::read_digit(&kind, request.body()) {
        Some((digit, duration)) => {
            line.refuse(id, request, 200);
            line.tell(LegEvent::Digit(digit, duration));
        }
        None => line.refuse(id, request, 400),
    }
}
