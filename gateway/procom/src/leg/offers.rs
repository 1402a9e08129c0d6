//! Offers and answers of one leg (RFC 3264): whose is outstanding, and what becomes of it when two
//! cross.

use gateway_core::description::{Answer, Offer};
use gateway_core::leg::LegEvent;
use gateway_core::{Cause, sdp};

use super::{Leg, State};
use crate::frame::{Code, GatewayFrame};

/// Whose offer within the call waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outstanding {
    Nobodys,
    Ours,
    Theirs,
    /// Ours overtook theirs, which the switchboard may still answer: that answer goes nowhere.
    OursOverTheirs,
}

impl Leg {
    /// The client answers: the call, or an offer of ours.
    pub(super) fn handle_answer(&mut self, text: &str) {
        match (self.state, self.outstanding) {
            (State::Ringing { .. }, _) => match sdp::parse(text) {
                Ok(description) => {
                    self.state = State::Talking;
                    self.expect_candidates();
                    self.event(LegEvent::Answered(Some(Answer(description))));
                }
                Err(fault) => self.end(Cause::NotAcceptable, Some(fault.to_string())),
            },
            (
                State::Calling { .. } | State::Talking,
                Outstanding::Ours | Outstanding::OursOverTheirs,
            ) => {
                self.outstanding = Outstanding::Nobodys;
                match sdp::parse(text) {
                    Ok(description) => {
                        self.expect_candidates();
                        self.event(LegEvent::ReofferAnswered(Answer(description)));
                    }
                    Err(fault) => {
                        self.refuse(Code::NotAcceptable, &fault.to_string());
                        self.event(LegEvent::ReofferRefused(Cause::NotAcceptable));
                    }
                }
            }
            // Stale: it answers nothing that is outstanding.
            (
                State::Calling { .. } | State::Talking,
                Outstanding::Nobodys | Outstanding::Theirs,
            )
            | (State::Over, _) => {}
        }
    }

    /// The client offers something else.
    pub(super) fn handle_offer(&mut self, text: &str) {
        let may_offer = match self.state {
            State::Calling { is_early, .. } => is_early,
            State::Talking => true,
            State::Ringing { .. } | State::Over => false,
        };
        if !may_offer {
            return self.refuse(Code::NotNow, "The first offer is not answered yet.");
        }
        match self.outstanding {
            // They crossed: the client rolls its own back when it sees ours.
            Outstanding::Ours | Outstanding::OursOverTheirs => {}
            Outstanding::Theirs => self.refuse(Code::NotNow, "One offer is made at a time."),
            Outstanding::Nobodys => match sdp::parse(text) {
                Ok(description) => {
                    self.outstanding = Outstanding::Theirs;
                    self.expect_candidates();
                    self.event(LegEvent::Reoffered(Offer(description)));
                }
                Err(fault) => self.refuse(Code::NotAcceptable, &fault.to_string()),
            },
        }
    }

    /// The only thing a client can refuse is an offer within the call.
    pub(super) fn handle_error(&mut self) {
        match self.outstanding {
            Outstanding::Ours | Outstanding::OursOverTheirs => {
                self.outstanding = Outstanding::Nobodys;
                self.event(LegEvent::ReofferRefused(Cause::NotAcceptable));
            }
            Outstanding::Nobodys | Outstanding::Theirs => {}
        }
    }

    /// Something else is offered to the client.
    pub(super) fn reoffer(&mut self, offer: &Offer) {
        self.outstanding = match self.outstanding {
            Outstanding::Nobodys | Outstanding::Ours => Outstanding::Ours,
            Outstanding::Theirs | Outstanding::OursOverTheirs => Outstanding::OursOverTheirs,
        };
        self.tell(GatewayFrame::Offer { call: self.call.clone(), sdp: sdp::render(&offer.0) });
    }

    /// Whether the client's offer still waits; one that ours overtook is forgotten.
    fn takes_their_offer(&mut self) -> bool {
        match self.outstanding {
            Outstanding::Theirs => {
                self.outstanding = Outstanding::Nobodys;
                true
            }
            Outstanding::OursOverTheirs => {
                self.outstanding = Outstanding::Ours;
                false
            }
            Outstanding::Nobodys | Outstanding::Ours => false,
        }
    }

    /// The client's offer is answered.
    pub(super) fn answer_reoffer(&mut self, answer: &Answer) {
        if self.takes_their_offer() {
            let sdp = Some(sdp::render(&answer.0));
            self.tell(GatewayFrame::Answer { call: self.call.clone(), sdp });
        }
    }

    /// The client's offer is refused.
    pub(super) fn refuse_reoffer(&mut self, cause: Cause) {
        if self.takes_their_offer() {
            self.refuse(Code::NotAcceptable, &format!("The offer is refused: {cause}."));
        }
    }
}
