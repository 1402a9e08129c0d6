//! The peer calls and waits (RFC 3261 §13.3).

use bytes::Bytes;
use gateway_core::Cause;
use gateway_core::leg::LegCommand;

use super::talking::Talking;
use super::{Common, State, response};
use crate::line::Line;
use crate::stack::dialog::Dialog;
use crate::stack::flow::Flow;
use crate::stack::transaction::TransactionId;
use crate::stack::wire::{Method, Request, Response};
use crate::{cause, offer};

/// An INVITE without a final answer.
#[derive(Debug)]
pub(super) struct Offered {
    invite: TransactionId,
    request: Request,
    dialog: Dialog,
    has_offer: bool,
    /// The answer a 183 carried, which the 200 repeats (RFC 6337 §2.2).
    given: Option<Bytes>,
}

impl Offered {
    pub(super) fn new(
        invite: TransactionId,
        request: Request,
        dialog: Dialog,
        has_offer: bool,
    ) -> Self {
        Self { invite, request, dialog, has_offer, given: None }
    }

    pub(super) fn handle_command(
        mut self: Box<Self>,
        command: LegCommand,
        common: &mut Common,
        line: &mut Line<'_>,
    ) -> State {
        match command {
            LegCommand::Ring => {
                let ringing = self.tagged(180, &common.contact, None);
                line.respond(self.invite, ringing);
            }
            LegCommand::Progress(answer) => {
                let sdp = offer::render(&answer.0);
                let progress = self.tagged(183, &common.contact, Some(&sdp));
                line.respond(self.invite, progress);
                self.given = Some(sdp);
            }
            LegCommand::Answer(answer) => {
                let sdp = answer.map(|answer| offer::render(&answer.0)).or(self.given.take());
                return self.answer(sdp, common, line);
            }
            LegCommand::End(cause, reason) => {
                let mut refusal = self.tagged(cause::to_status(cause), &common.contact, None);
                if matches!(cause, Cause::Overload | Cause::Shutdown) {
                    refusal.push("Retry-After", "10");
                }
                line.respond(self.invite, refusal);
                common.end(cause, reason, line);
                return State::Over;
            }
            // Not for a leg that is not in a call yet, or nothing SIP could show.
            LegCommand::Dial(_)
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
            | LegCommand::Trouble(_) => {}
        }
        State::Offered(self)
    }

    fn tagged(&self, status: u16, contact: &str, sdp: Option<&Bytes>) -> Response {
        let mut response = response(&self.request, status, contact, sdp);
        response.tag_to(&self.dialog.id().local_tag);
        for route in self.request.fields().texts("Record-Route") {
            response.push("Record-Route", &route);
        }
        response
    }

    fn answer(
        self: Box<Self>,
        sdp: Option<Bytes>,
        common: &mut Common,
        line: &mut Line<'_>,
    ) -> State {
        let Some(sdp) = sdp else {
            // The switchboard answers with a description, now or by Progress before.
            let refusal = self.tagged(500, &common.contact, None);
            line.respond(self.invite, refusal);
            common.end(Cause::Failed, Some("answered without a description".to_owned()), line);
            return State::Over;
        };
        let ok = self.tagged(200, &common.contact, Some(&sdp));
        line.respond(self.invite, ok.clone());
        line.journal(Some(&self.dialog));
        let number = self.request.fields().cseq().map_or(0, |(number, _)| number);
        let wants_answer = !self.has_offer;
        let mut talking = Talking::new(self.dialog, sdp, false);
        talking.await_ack(self.invite, number, ok, wants_answer, line);
        State::Talking(Box::new(talking))
    }

    /// A request inside the early dialog.
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
            return State::Offered(self);
        }
        match request.method() {
            // A caller may give up by BYE too (RFC 3261 §15).
            Method::Bye => {
                line.refuse(id, request, 200);
                return self.handle_cancelled(common, line);
            }
            Method::Options | Method::Info => line.refuse(id, request, 200),
            // Their first offer has no answer yet (RFC 3311 §5.2).
            Method::Invite | Method::Update => {
                let mut later = Response::to_request(request, 500);
                later.push("Retry-After", "3");
                line.respond(id, later);
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
        State::Offered(self)
    }

    pub(super) fn handle_cancelled(
        self: Box<Self>,
        common: &mut Common,
        line: &mut Line<'_>,
    ) -> State {
        let terminated = self.tagged(487, &common.contact, None);
        line.respond(self.invite, terminated);
        common.end(Cause::Cancelled, None, line);
        State::Over
    }
}
