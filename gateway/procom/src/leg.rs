//! One leg: the frames of one call of one session, to and from the words of the switchboard.
//! Pure; no standard but `PROTOCOL.md`, and RFC 3264 for who may offer when.
//!
//! ```text
//! client --WithinCall-->  Leg  --LegEvent---> switchboard
//!        <--GatewayFrame--     <--LegCommand--
//!
//! the client calls:  Calling --Answer--> Talking --+--> over
//! the client is rung: Ringing --answer--> Talking --+
//! ```
//!
//! One offer is outstanding at a time. When two cross, ours wins and the client rolls its own back:
//! the client's is forgotten here, and it makes it again afterwards.

use std::collections::VecDeque;

use gateway_core::description::{Answer, Candidate};
use gateway_core::leg::{LegCommand, LegEvent};
use gateway_core::{Cause, LegId, sdp};

use crate::frame::{CandidateBody, Code, GatewayFrame, Refusal, Transfer, WithinCall};

mod offers;
#[cfg(test)]
mod tests;

use offers::Outstanding;

/// How many candidates a client may send for one of its descriptions (security row 18).
pub(crate) const MAX_CANDIDATES: usize = sdp::MAX_CANDIDATES;

/// What a leg says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Output {
    /// To the client.
    Frame(GatewayFrame),
    /// To the switchboard. `Ended` is the last of a leg.
    Event(LegEvent),
}

/// Why a leg ends without either side saying so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The client closed its session.
    Closed,
    /// The socket dropped and was not taken up again in time.
    Expired,
    /// The client was disconnected for what it sent.
    Misbehaved,
    /// The gateway stops.
    Shutdown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The client called and waits for an answer.
    Calling { is_rung: bool, is_early: bool },
    /// The client is rung.
    Ringing { is_told: bool },
    /// Answered.
    Talking,
    /// Over: everything is stale.
    Over,
}

/// One leg.
#[derive(Debug)]
pub(crate) struct Leg {
    id: LegId,
    call: String,
    state: State,
    outstanding: Outstanding,
    /// How many candidates came for the client's latest description, and whether that was all.
    candidates: usize,
    has_all_candidates: bool,
    outputs: VecDeque<Output>,
}

impl Leg {
    /// The client calls.
    pub(crate) fn calling(id: LegId, call: &str) -> Self {
        Self::new(id, call, State::Calling { is_rung: false, is_early: false })
    }

    /// The client is rung.
    pub(crate) fn ringing(id: LegId, call: &str) -> Self {
        Self::new(id, call, State::Ringing { is_told: false })
    }

    fn new(id: LegId, call: &str, state: State) -> Self {
        Self {
            id,
            call: call.to_owned(),
            state,
            outstanding: Outstanding::Nobodys,
            candidates: 0,
            has_all_candidates: false,
            outputs: VecDeque::new(),
        }
    }

    /// Its id at the switchboard.
    pub(crate) const fn id(&self) -> LegId {
        self.id
    }

    /// What it has to say next.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Takes what the client says within the call.
    pub(crate) fn handle_frame(&mut self, frame: WithinCall) {
        if self.state == State::Over {
            return;
        }
        match frame {
            WithinCall::Ringing => self.handle_ringing(),
            WithinCall::Answer(sdp) => self.handle_answer(&sdp),
            WithinCall::Offer(sdp) => self.handle_offer(&sdp),
            WithinCall::Candidate(candidate) => self.handle_candidate(candidate),
            WithinCall::Digit(digit, duration) => {
                self.when_talking(LegEvent::Digit(digit, duration));
            }
            WithinCall::Hold => self.when_talking(LegEvent::Hold),
            WithinCall::Resume => self.when_talking(LegEvent::Resume),
            WithinCall::Transfer(target) => self.handle_transfer(target),
            WithinCall::End(cause, reason) => self.finish(cause, reason),
            WithinCall::Error => self.handle_error(),
        }
    }

    /// The session is over, and with it the leg.
    pub(crate) fn handle_loss(&mut self, loss: Loss) {
        let cause = match (loss, self.state) {
            (_, State::Over) => return,
            // The only loss the client lives to hear of.
            (Loss::Shutdown, State::Calling { .. } | State::Ringing { .. } | State::Talking) => {
                return self.end(Cause::Shutdown, None);
            }
            (Loss::Closed | Loss::Expired | Loss::Misbehaved, State::Calling { .. }) => {
                Cause::Cancelled
            }
            (Loss::Closed | Loss::Expired | Loss::Misbehaved, State::Ringing { .. })
            | (Loss::Expired, State::Talking) => Cause::Unreachable,
            (Loss::Closed, State::Talking) => Cause::Normal,
            (Loss::Misbehaved, State::Talking) => Cause::Failed,
        };
        self.finish(cause, None);
    }

    /// Takes what the switchboard asks. `Dial` is how a leg begins, so it means nothing here.
    pub(crate) fn handle_command(&mut self, command: LegCommand) {
        if self.state == State::Over {
            return;
        }
        match command {
            LegCommand::Dial(_) => {}
            LegCommand::Ring => self.ring(),
            LegCommand::Progress(answer) => self.progress(&answer),
            LegCommand::Answer(answer) => self.answer(answer.as_ref()),
            LegCommand::Reoffer(offer) => self.reoffer(&offer),
            LegCommand::AnswerReoffer(answer) => self.answer_reoffer(&answer),
            LegCommand::RefuseReoffer(cause) => self.refuse_reoffer(cause),
            LegCommand::Held => self.tell(GatewayFrame::Held { call: self.call.clone() }),
            LegCommand::Resumed => self.tell(GatewayFrame::Resumed { call: self.call.clone() }),
            LegCommand::Candidate(candidate) => {
                let candidate = CandidateBody::of(&candidate);
                self.tell(GatewayFrame::Candidate { call: self.call.clone(), candidate });
            }
            LegCommand::Digit(digit, duration) => {
                let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
                self.tell(GatewayFrame::Digit { call: self.call.clone(), digit, duration_ms });
            }
            // Of the session: what goes over it is no matter of the call.
            LegCommand::Channel(_) => {}
            LegCommand::Transferred(to, fault) => {
                let outcome = fault.map_or("done", Cause::as_str);
                let (call, to) = (self.call.clone(), to.to_string());
                self.tell(GatewayFrame::Transferred { call, to, outcome });
            }
            LegCommand::Security(report) => {
                self.tell(GatewayFrame::security(&self.call, report));
            }
            LegCommand::Quality(heard) => self.tell(GatewayFrame::quality(&self.call, heard)),
            LegCommand::Trouble(trouble) => self.tell(GatewayFrame::trouble(&self.call, trouble)),
            LegCommand::End(cause, reason) => self.end(cause, reason),
        }
    }

    fn handle_ringing(&mut self) {
        match &mut self.state {
            State::Ringing { is_told } => {
                if !std::mem::replace(is_told, true) {
                    self.event(LegEvent::Ringing);
                }
            }
            // Stale: the leg was answered meanwhile, or it is the client who calls.
            State::Calling { .. } | State::Talking | State::Over => {}
        }
    }

    fn handle_candidate(&mut self, candidate: Candidate) {
        if candidate.is_end() {
            if !std::mem::replace(&mut self.has_all_candidates, true) {
                self.event(LegEvent::Candidate(candidate));
            }
            return;
        }
        self.candidates += 1;
        if self.candidates <= MAX_CANDIDATES {
            self.event(LegEvent::Candidate(candidate));
        } else if self.candidates == MAX_CANDIDATES + 1 {
            self.refuse(Code::TooManyCandidates, "More candidates than that are not looked at.");
        }
    }

    /// A new description of the client's brings candidates of its own.
    const fn expect_candidates(&mut self) {
        self.candidates = 0;
        self.has_all_candidates = false;
    }

    fn handle_transfer(&mut self, target: Transfer) {
        match target {
            Transfer::To(text) => match crate::dialled::read(&text) {
                Ok((to, _)) => self.when_talking(LegEvent::Transfer(to)),
                Err(fault) => self.refuse(Code::BadAddress, &fault.to_string()),
            },
            Transfer::With(_) => self.refuse(
                Code::NotSupported,
                "Handing a call over to another call of yours is not supported yet.",
            ),
        }
    }

    fn when_talking(&mut self, event: LegEvent) {
        match self.state {
            State::Talking => self.event(event),
            State::Calling { .. } | State::Ringing { .. } | State::Over => {
                self.refuse(Code::NotNow, "The call is not answered yet.");
            }
        }
    }

    fn ring(&mut self) {
        if let State::Calling { is_rung, .. } = &mut self.state
            && !std::mem::replace(is_rung, true)
        {
            self.tell(GatewayFrame::Ringing { call: self.call.clone() });
        }
    }

    fn progress(&mut self, answer: &Answer) {
        if let State::Calling { is_early, .. } = &mut self.state
            && !std::mem::replace(is_early, true)
        {
            let (call, sdp) = (self.call.clone(), sdp::render(&answer.0));
            self.tell(GatewayFrame::Progress { call, sdp });
        }
    }

    fn answer(&mut self, answer: Option<&Answer>) {
        match self.state {
            State::Calling { is_early, .. } => {
                self.state = State::Talking;
                // The client applied the SDP of `progress` as the final answer.
                let sdp = answer.filter(|_| !is_early).map(|answer| sdp::render(&answer.0));
                self.tell(GatewayFrame::Answer { call: self.call.clone(), sdp });
            }
            State::Ringing { .. } | State::Talking | State::Over => {}
        }
    }

    fn end(&mut self, cause: Cause, reason: Option<String>) {
        self.tell(GatewayFrame::end(&self.call, cause, reason.as_deref()));
        self.finish(cause, reason);
    }

    fn finish(&mut self, cause: Cause, reason: Option<String>) {
        self.state = State::Over;
        self.event(LegEvent::Ended(cause, reason));
    }

    fn refuse(&mut self, code: Code, reason: &str) {
        self.tell(GatewayFrame::error(Refusal::of_call(code, &self.call, reason)));
    }

    fn tell(&mut self, frame: GatewayFrame) {
        self.outputs.push_back(Output::Frame(frame));
    }

    fn event(&mut self, event: LegEvent) {
        self.outputs.push_back(Output::Event(event));
    }
}
