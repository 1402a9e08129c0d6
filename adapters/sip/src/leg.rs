//! One leg: a call as its SIP side sees it (RFC 3261 §13 to §15, RFC 3264, RFC 6026).
//!
//! ```text
//!   INVITE in  --> Offered --200--> Talking --BYE--> Closing --> Over
//!   Dial ------> Resolving -> Dialling --200--^
//!                     CANCEL: Dialling -> Abandoned (a 200 on its way is ACKed and hung up)
//! ```
//!
//! `LegCommand`s, messages and deadlines enter; through the [`Line`] messages and `LegEvent`s
//! leave. `Ended` is told when we hang up, not when the peer has agreed.

mod dialling;
mod offered;
mod talking;
mod update;

use std::time::Instant;

use bytes::Bytes;
use gateway_core::leg::{LegCommand, LegEvent};
use gateway_core::{Cause, LegId, TrunkId};

pub(crate) use dialling::Outgoing;
use dialling::{Abandoned, Dialling, Passed};
use offered::Offered;
use talking::Talking;

use crate::line::Line;
use crate::stack::dialog::Dialog;
use crate::stack::flow::{Flow, Target};
use crate::stack::transaction::TransactionId;
use crate::stack::wire::{Method, Request, Response};

/// What every state needs.
#[derive(Debug)]
struct Common {
    trunk: TrunkId,
    /// The value of our Contact header.
    contact: String,
    is_ended: bool,
    /// INVITEs to places that said nothing; bounded by the places of one look-up.
    passed: Vec<Passed>,
}

/// One leg.
#[derive(Debug)]
pub(crate) struct Leg {
    id: LegId,
    common: Common,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The peer calls; we have not answered.
    Offered(Box<Offered>),
    /// We are to call; the name is being looked up.
    Resolving(Box<Outgoing>),
    /// We call; no final answer yet.
    Dialling(Box<Dialling>),
    /// We gave up calling; the last word is awaited.
    Abandoned(Box<Abandoned>),
    /// Both ends are in the call.
    Talking(Box<Talking>),
    /// Our BYE awaits its answer.
    Closing(Box<Closing>),
    /// Nothing is left to do.
    Over,
}

/// A BYE on its way.
#[derive(Debug)]
struct Closing {
    bye: TransactionId,
    dialog: Dialog,
    request: Request,
    /// We made the dialog, by a trunk: only then a challenge is answered (CVE-2021-41158).
    may_authorize: bool,
}

impl Common {
    /// Tells that the leg is over; the first time counts.
    fn end(&mut self, cause: Cause, reason: Option<String>, line: &mut Line<'_>) {
        if !std::mem::replace(&mut self.is_ended, true) {
            line.tell(LegEvent::Ended(cause, reason));
        }
    }

    /// A place that was passed by speaks: the CANCEL is on its way by then, and nothing more is
    /// awaited of it but its last word.
    fn handle_passed(&mut self, at: usize, response: &Response, flow: Flow, line: &mut Line<'_>) {
        if response.is_provisional() {
            return;
        }
        let passed = self.passed.remove(at);
        if response.is_success() {
            passed.handle_answer(response, flow, line);
        }
    }

    /// Hangs up: the BYE leaves, the leg is over for the switchboard.
    fn hang_up(
        &mut self,
        mut dialog: Dialog,
        may_authorize: bool,
        cause: Cause,
        reason: Option<String>,
        line: &mut Line<'_>,
    ) -> State {
        self.end(cause, reason, line);
        let mut request = dialog.request(&Method::Bye);
        if let Some(reason) = crate::cause::reason(cause) {
            request.push("Reason", reason);
        }
        match line.request(request.clone(), dialog.target()) {
            Some(bye) => State::Closing(Box::new(Closing { bye, dialog, request, may_authorize })),
            None => {
                line.leave_behind(dialog);
                State::Over
            }
        }
    }
}

impl Closing {
    /// The BYE was not heard. A peer that is silent by UDP is gone; a connection may only have
    /// been lost.
    fn handle_failed(self: Box<Self>, is_unreachable: bool, line: &mut Line<'_>) -> State {
        if is_unreachable || self.dialog.target().transport.is_reliable() {
            line.leave_behind(self.dialog);
        } else {
            line.journal(None);
        }
        State::Over
    }

    fn handle_response(
        mut self: Box<Self>,
        response: &Response,
        flow: Flow,
        trunk: &TrunkId,
        line: &mut Line<'_>,
    ) -> State {
        if response.is_provisional() {
            return State::Closing(self);
        }
        let is_challenge = matches!(response.status(), 401 | 407) && self.may_authorize;
        let mut request = self.request.clone();
        if is_challenge && line.authorize(trunk, &mut request, response, flow) {
            let number = self.dialog.next_number();
            request.set("CSeq", &format!("{number} BYE"));
            self.request = request.clone();
            if let Some(bye) = line.request(request, self.dialog.target()) {
                self.bye = bye;
                return State::Closing(self);
            }
        }
        line.journal(None);
        State::Over
    }
}

impl Leg {
    /// A leg for an INVITE that came in and was let in.
    pub(crate) fn offered(
        id: LegId,
        trunk: TrunkId,
        contact: String,
        invite: TransactionId,
        request: Request,
        dialog: Dialog,
        has_offer: bool,
    ) -> Self {
        let common = Common { trunk, contact, is_ended: false, passed: Vec::new() };
        let state = State::Offered(Box::new(Offered::new(invite, request, dialog, has_offer)));
        Self { id, common, state }
    }

    /// A leg that is to dial, once it is known where.
    pub(crate) fn resolving(id: LegId, trunk: TrunkId, outgoing: Outgoing) -> Self {
        let common = Common { trunk, contact: String::new(), is_ended: false, passed: Vec::new() };
        Self { id, common, state: State::Resolving(Box::new(outgoing)) }
    }

    /// The trunk it is on.
    pub(crate) fn trunk(&self) -> &TrunkId {
        &self.common.trunk
    }

    /// Its id.
    pub(crate) fn id(&self) -> LegId {
        self.id
    }

    /// Whether it can be forgotten.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Over) && self.common.passed.is_empty()
    }

    /// Whether the switchboard still counts it.
    pub(crate) fn is_live(&self) -> bool {
        !self.common.is_ended
    }

    fn step(&mut self, next: impl FnOnce(State, &mut Common) -> State) {
        let state = std::mem::replace(&mut self.state, State::Over);
        self.state = next(state, &mut self.common);
    }

    /// Takes the places to dial, best first.
    pub(crate) fn handle_targets(&mut self, targets: Vec<Target>, line: &mut Line<'_>) {
        self.step(|state, common| match state {
            State::Resolving(outgoing) => Dialling::start(*outgoing, targets, common, line),
            State::Offered(_)
            | State::Dialling(_)
            | State::Abandoned(_)
            | State::Talking(_)
            | State::Closing(_)
            | State::Over => state,
        });
    }

    /// Takes the news that there is nowhere to dial.
    pub(crate) fn handle_unresolved(&mut self, why: String, line: &mut Line<'_>) {
        self.step(|state, common| match state {
            State::Resolving(_) => {
                common.end(Cause::Unreachable, Some(why), line);
                State::Over
            }
            State::Offered(_)
            | State::Dialling(_)
            | State::Abandoned(_)
            | State::Talking(_)
            | State::Closing(_)
            | State::Over => state,
        });
    }

    /// Takes a command of the switchboard.
    pub(crate) fn handle_command(&mut self, command: LegCommand, line: &mut Line<'_>) {
        self.step(|state, common| match state {
            State::Offered(offered) => offered.handle_command(command, common, line),
            State::Resolving(_) => match command {
                LegCommand::End(cause, reason) => {
                    common.end(cause, reason, line);
                    State::Over
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
                | LegCommand::Trouble(_) => state,
            },
            State::Dialling(dialling) => dialling.handle_command(command, common, line),
            State::Talking(talking) => talking.handle_command(command, common, line),
            // Ended was told: what still comes crossed it on the way.
            State::Abandoned(_) | State::Closing(_) | State::Over => state,
        });
    }

    /// Takes a request inside the leg's dialog.
    pub(crate) fn handle_request(
        &mut self,
        id: TransactionId,
        request: &Request,
        flow: Flow,
        line: &mut Line<'_>,
    ) {
        self.step(|state, common| match state {
            State::Offered(offered) => offered.handle_request(id, request, flow, common, line),
            State::Talking(talking) => talking.handle_request(id, request, flow, common, line),
            State::Closing(_) => {
                // Both hung up at once (RFC 3261 §15.1.2).
                let is_bye = request.method() == Method::Bye;
                line.refuse(id, request, if is_bye { 200 } else { 481 });
                state
            }
            State::Resolving(_) | State::Dialling(_) | State::Abandoned(_) | State::Over => {
                line.refuse(id, request, 481);
                state
            }
        });
    }

    /// Takes the news that the peer cancelled an INVITE.
    pub(crate) fn handle_cancelled(&mut self, id: TransactionId, line: &mut Line<'_>) {
        self.step(|state, common| match state {
            State::Offered(offered) => offered.handle_cancelled(common, line),
            State::Talking(talking) => talking.handle_cancelled(id, line),
            State::Resolving(_)
            | State::Dialling(_)
            | State::Abandoned(_)
            | State::Closing(_)
            | State::Over => state,
        });
    }

    /// Takes the ACK of a 2xx.
    pub(crate) fn handle_ack(&mut self, request: &Request, flow: Flow, line: &mut Line<'_>) {
        self.step(|state, common| match state {
            State::Talking(talking) => talking.handle_ack(request, flow, common, line),
            State::Offered(_)
            | State::Resolving(_)
            | State::Dialling(_)
            | State::Abandoned(_)
            | State::Closing(_)
            | State::Over => state,
        });
    }

    /// Takes a response to a request of this leg.
    pub(crate) fn handle_response(
        &mut self,
        id: TransactionId,
        response: &Response,
        flow: Flow,
        line: &mut Line<'_>,
    ) {
        if let Some(at) = self.common.passed.iter().position(|passed| passed.invite() == id) {
            return self.common.handle_passed(at, response, flow, line);
        }
        self.step(|state, common| match state {
            State::Dialling(dialling) => dialling.handle_response(id, response, flow, common, line),
            State::Abandoned(abandoned) => {
                abandoned.handle_response(id, response, flow, common, line)
            }
            State::Talking(talking) => talking.handle_response(id, response, flow, common, line),
            State::Closing(closing) if closing.bye == id => {
                closing.handle_response(response, flow, &common.trunk, line)
            }
            State::Closing(_) | State::Offered(_) | State::Resolving(_) | State::Over => state,
        });
    }

    /// Takes the news that a request of this leg will not be answered.
    pub(crate) fn handle_failed(
        &mut self,
        id: TransactionId,
        is_unreachable: bool,
        line: &mut Line<'_>,
    ) {
        self.common.passed.retain(|passed| passed.invite() != id);
        self.step(|state, common| match state {
            State::Dialling(dialling) => dialling.handle_failed(id, is_unreachable, common, line),
            State::Abandoned(abandoned) => abandoned.handle_failed(id),
            State::Talking(talking) => talking.handle_failed(id, common, line),
            State::Closing(closing) if closing.bye == id => {
                closing.handle_failed(is_unreachable, line)
            }
            State::Closing(_) | State::Offered(_) | State::Resolving(_) | State::Over => state,
        });
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, line: &mut Line<'_>) {
        self.step(|state, common| match state {
            State::Talking(talking) => talking.handle_timeout(common, line),
            State::Dialling(dialling) => dialling.handle_timeout(common, line),
            State::Offered(_)
            | State::Resolving(_)
            | State::Abandoned(_)
            | State::Closing(_)
            | State::Over => state,
        });
    }

    /// When [`Self::handle_timeout`] is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Talking(talking) => talking.poll_timeout(),
            State::Dialling(dialling) => dialling.poll_timeout(),
            State::Offered(_)
            | State::Resolving(_)
            | State::Abandoned(_)
            | State::Closing(_)
            | State::Over => None,
        }
    }
}

/// Makes a response with our Contact and, when given, a description.
fn response(request: &Request, status: u16, contact: &str, sdp: Option<&Bytes>) -> Response {
    let mut response = Response::to_request(request, status);
    response.push("Contact", contact);
    if status >= 200 {
        response.push("Allow", crate::stack::policy::ALLOW);
    }
    if let Some(sdp) = sdp {
        response.set_body(crate::offer::SDP, sdp.clone());
    }
    response
}
