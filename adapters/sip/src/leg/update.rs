//! Offers within a call: re-INVITE and UPDATE from either side, and both at once
//! (RFC 3261 §14, RFC 3311 §5, RFC 6337).

use std::time::{Duration, Instant};

use bytes::Bytes;
use gateway_core::Cause;
use gateway_core::description::{Answer, Offer};
use gateway_core::leg::LegEvent;

use super::talking::Talking;
use super::{Common, State, response};
use crate::line::Line;
use crate::offer::{self, Body};
use crate::stack::flow::Flow;
use crate::stack::transaction::TransactionId;
use crate::stack::wire::{Method, Request, Response};
use crate::{cause, stack};

/// Glares in a row after which an offer is given up.
const MAX_TRIES: u8 = 6;

/// What goes on within the call.
#[derive(Debug)]
pub(super) enum Update {
    /// Nothing.
    Idle,
    /// Our re-INVITE awaits its answer.
    Making(Box<Making>),
    /// Our offer waits for its turn.
    Pausing(Pausing),
    /// The peer's offer awaits our answer.
    Answering(Box<Answering>),
    /// The peer's answer, told as an offer, awaits an answer nobody needs.
    Swallowing,
}

#[derive(Debug)]
pub(super) struct Making {
    id: TransactionId,
    request: Request,
    sdp: Bytes,
    tries: u8,
    /// A peer that only says 100 is not waited for.
    give_up_at: Instant,
}

#[derive(Debug)]
pub(super) struct Pausing {
    at: Instant,
    sdp: Bytes,
    tries: u8,
}

#[derive(Debug)]
pub(super) struct Answering {
    id: TransactionId,
    request: Request,
}

impl Update {
    /// Whether our re-INVITE is that transaction.
    pub(super) fn is_made_by(&self, id: TransactionId) -> bool {
        matches!(self, Self::Making(making) if making.id == id)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Pausing(pausing) => Some(pausing.at),
            Self::Making(making) => Some(making.give_up_at),
            Self::Idle | Self::Answering(_) | Self::Swallowing => None,
        }
    }

    /// Leaves no offer of either side without its end when the call ends (RFC 3261 §15.1.2).
    pub(super) fn drop_request(&self, line: &mut Line<'_>) {
        match self {
            Self::Answering(answering) => line.refuse(answering.id, &answering.request, 487),
            Self::Making(making) => line.stack.cancel(making.id, None, line.now),
            Self::Idle | Self::Pausing(_) | Self::Swallowing => {}
        }
    }
}

impl Talking {
    /// Makes an offer of ours, now or when it may be made: not while an INVITE of either side is
    /// under way (RFC 3261 §14.1).
    pub(super) fn offer_anew(&mut self, sdp: Bytes, contact: &str, line: &mut Line<'_>) {
        match &self.update {
            // Both made an offer, and the switchboard has already dropped the peer's.
            Update::Answering(answering) => line.refuse(answering.id, &answering.request, 491),
            // One at a time.
            Update::Making(_) => return line.tell(LegEvent::ReofferRefused(Cause::NotAcceptable)),
            Update::Idle | Update::Pausing(_) | Update::Swallowing => {}
        }
        if self.unacked.is_some() {
            let at = line.now + line.timers.t1;
            self.update = Update::Pausing(Pausing { at, sdp, tries: 0 });
            return;
        }
        self.send_offer(sdp, 0, contact, line);
    }

    fn send_offer(&mut self, sdp: Bytes, tries: u8, contact: &str, line: &mut Line<'_>) {
        let mut request = self.dialog.request(&Method::Invite);
        request.push("Contact", contact);
        request.push("Allow", stack::policy::ALLOW);
        request.set_body(offer::SDP, sdp.clone());
        self.update = match line.request(request.clone(), self.dialog.target()) {
            Some(id) => {
                let give_up_at = line.now + line.timers.give_up() + line.timers.t4;
                Update::Making(Box::new(Making { id, request, sdp, tries, give_up_at }))
            }
            None => {
                line.tell(LegEvent::ReofferRefused(Cause::Overload));
                Update::Idle
            }
        };
    }

    /// Makes an offer that waited, when its time has come, and takes back one that nobody
    /// answers.
    pub(super) fn retry_offer(&mut self, contact: &str, line: &mut Line<'_>) {
        let is_due = self.update.poll_timeout().is_some_and(|at| at <= line.now);
        if !is_due {
            return;
        }
        match std::mem::replace(&mut self.update, Update::Idle) {
            Update::Pausing(pausing) if self.unacked.is_some() => {
                let at = line.now + line.timers.t1;
                self.update = Update::Pausing(Pausing { at, ..pausing });
            }
            Update::Pausing(pausing) => {
                self.send_offer(pausing.sdp, pausing.tries, contact, line);
            }
            Update::Making(making) => {
                line.stack.cancel(making.id, None, line.now);
                line.tell(LegEvent::ReofferRefused(Cause::NoAnswer));
            }
            other @ (Update::Idle | Update::Answering(_) | Update::Swallowing) => {
                self.update = other;
            }
        }
    }

    /// The answer to our re-INVITE.
    pub(super) fn handle_update_response(
        mut self: Box<Self>,
        response: &Response,
        flow: Flow,
        common: &mut Common,
        line: &mut Line<'_>,
    ) -> State {
        if response.is_provisional() {
            return State::Talking(self);
        }
        let Update::Making(making) = std::mem::replace(&mut self.update, Update::Idle) else {
            return State::Talking(self);
        };
        match response.status() {
            200..=299 => self.handle_update_answer(*making, response, flow, line),
            491 if making.tries < MAX_TRIES => {
                let at = line.now + self.glare_pause(line);
                let tries = making.tries + 1;
                self.update = Update::Pausing(Pausing { at, sdp: making.sdp, tries });
            }
            401 | 407 if self.is_caller => {
                self.authorize_update(*making, response, flow, common, line);
            }
            408 | 481 => {
                let why = "the peer does not know of the call any more".to_owned();
                return common.hang_up(self.dialog, false, Cause::Failed, Some(why), line);
            }
            status => line.tell(LegEvent::ReofferRefused(cause::from_status(status))),
        }
        State::Talking(self)
    }

    fn handle_update_answer(
        &mut self,
        making: Making,
        response: &Response,
        flow: Flow,
        line: &mut Line<'_>,
    ) {
        let number = making.request.fields().cseq().map_or(0, |(number, _)| number);
        self.dialog.refresh(response.fields().contact(), flow);
        self.send_ack(number, line);
        line.journal(Some(&self.dialog));
        match offer::read(response.fields(), response.body()) {
            Body::Description(description) => {
                self.local = making.sdp;
                line.tell(LegEvent::ReofferAnswered(Answer(description)));
            }
            Body::Nothing | Body::Broken => {
                line.tell(LegEvent::ReofferRefused(Cause::NotAcceptable));
            }
        }
    }

    fn authorize_update(
        &mut self,
        mut making: Making,
        response: &Response,
        flow: Flow,
        common: &Common,
        line: &mut Line<'_>,
    ) {
        if line.authorize(&common.trunk, &mut making.request, response, flow) {
            let next = self.dialog.request(&Method::Invite);
            let number = next.fields().cseq().map_or(0, |(number, _)| number);
            making.request.set("CSeq", &format!("{number} INVITE"));
            if let Some(id) = line.request(making.request.clone(), self.dialog.target()) {
                self.update = Update::Making(Box::new(Making { id, ..making }));
                return;
            }
        }
        line.tell(LegEvent::ReofferRefused(Cause::Forbidden));
    }

    /// RFC 3261 §14.1: who made the Call-ID waits 2.1 to 4 s, the other up to 2 s, in tens of
    /// milliseconds.
    fn glare_pause(&self, line: &mut Line<'_>) -> Duration {
        let tens = if self.is_caller { 210 + line.stack.below(191) } else { line.stack.below(201) };
        Duration::from_millis(tens * 10)
    }

    /// A re-INVITE or UPDATE of the peer's, already let in by the dialog.
    pub(super) fn handle_offer(
        &mut self,
        id: TransactionId,
        request: &Request,
        flow: Flow,
        contact: &str,
        line: &mut Line<'_>,
    ) {
        match self.update {
            Update::Idle => {}
            // RFC 3261 §14.2: we have an offer out.
            Update::Making(_) => return line.refuse(id, request, 491),
            Update::Answering(_) | Update::Swallowing => {
                let mut later = Response::to_request(request, 500);
                later.push("Retry-After", "2");
                return line.respond(id, later);
            }
            // Theirs is on the wire and ours is not: ours waits on.
            Update::Pausing(_) => return line.refuse(id, request, 491),
        }
        self.dialog.refresh(request.fields().contact(), flow);
        line.journal(Some(&self.dialog));
        match offer::read(request.fields(), request.body()) {
            Body::Description(description) => {
                self.update =
                    Update::Answering(Box::new(Answering { id, request: request.clone() }));
                line.tell(LegEvent::Reoffered(Offer(description)));
            }
            Body::Broken => line.refuse(id, request, 488),
            Body::Nothing if request.method() == Method::Update => {
                line.respond(id, response(request, 200, contact, None));
            }
            // An INVITE without offer asks for ours: what we said last still holds.
            Body::Nothing => {
                let sdp = self.local.clone();
                self.accept(id, request, &sdp, true, contact, line);
            }
        }
    }

    fn accept(
        &mut self,
        id: TransactionId,
        request: &Request,
        sdp: &Bytes,
        wants_answer: bool,
        contact: &str,
        line: &mut Line<'_>,
    ) {
        let ok = response(request, 200, contact, Some(sdp));
        line.respond(id, ok.clone());
        if request.method() == Method::Invite {
            let number = request.fields().cseq().map_or(0, |(number, _)| number);
            self.await_ack(id, number, ok, wants_answer, line);
        }
    }

    /// The switchboard's answer to the peer's offer.
    pub(super) fn answer_offer(&mut self, sdp: Bytes, contact: &str, line: &mut Line<'_>) {
        match std::mem::replace(&mut self.update, Update::Idle) {
            Update::Answering(answering) => {
                self.accept(answering.id, &answering.request, &sdp, false, contact, line);
                self.local = sdp;
            }
            Update::Swallowing => {}
            // The peer took its offer back, or ours came between.
            other @ (Update::Idle | Update::Making(_) | Update::Pausing(_)) => self.update = other,
        }
    }

    /// The switchboard's no to the peer's offer.
    pub(super) fn refuse_offer(&mut self, cause: Cause, line: &mut Line<'_>) {
        match std::mem::replace(&mut self.update, Update::Idle) {
            Update::Answering(answering) => {
                let status = cause::to_status(cause);
                let status = if (480..=499).contains(&status) { status } else { 488 };
                line.refuse(answering.id, &answering.request, status);
            }
            Update::Swallowing => {}
            other @ (Update::Idle | Update::Making(_) | Update::Pausing(_)) => self.update = other,
        }
    }

    /// The peer took its re-INVITE back (RFC 3261 §9.2).
    pub(super) fn handle_cancelled(
        mut self: Box<Self>,
        id: TransactionId,
        line: &mut Line<'_>,
    ) -> State {
        match std::mem::replace(&mut self.update, Update::Idle) {
            Update::Answering(answering) if answering.id == id => {
                line.refuse(id, &answering.request, 487);
            }
            other @ (Update::Idle
            | Update::Making(_)
            | Update::Pausing(_)
            | Update::Answering(_)
            | Update::Swallowing) => self.update = other,
        }
        State::Talking(self)
    }
}
