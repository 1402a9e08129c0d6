//! The calls of one session: which leg a frame or a command is for.

use gateway_core::description::Offer;
use gateway_core::leg::{Dial, Incoming, LegCommand, LegEvent};
use gateway_core::media::Profile;
use gateway_core::{Cause, LegId, sdp};

use super::{Output, REMEMBERED_CALLS, Session};
use crate::dialled;
use crate::frame::{
    CallRequest, Code, GatewayFrame, IncomingFrame, Refusal, WithinCall, require_word, tidy_name,
};
use crate::leg::{self, Leg};

impl Session {
    /// The client calls somebody. A call that cannot be is ended at once.
    pub(super) fn handle_call(
        &mut self,
        request: CallRequest,
        leg: impl FnOnce() -> LegId,
        is_draining: bool,
    ) {
        let CallRequest { call, to, sdp, require, record } = request;
        if self.leg_of_call.contains_key(&call) || self.ended_calls.contains(&call) {
            let refusal =
                Refusal::of_call(Code::DuplicateCall, &call, "This id was used for another call.");
            return self.send(&GatewayFrame::error(refusal));
        }
        let refuse = |cause, reason: &str| GatewayFrame::end(&call, cause, Some(reason));
        if is_draining {
            return self.send(&refuse(Cause::Overload, "The gateway is about to stop."));
        }
        if self.leg_of_call.len() >= self.birth.calls_limit {
            return self.send(&refuse(Cause::Overload, "This session has too many calls."));
        }
        let (to, dialled) = match dialled::read(&to) {
            Ok(read) => read,
            Err(fault) => return self.send(&refuse(Cause::NotFound, &fault.to_string())),
        };
        let offer = match sdp::parse(&sdp) {
            Ok(description) => Offer(description),
            Err(fault) => return self.send(&refuse(Cause::NotAcceptable, &fault.to_string())),
        };
        let leg = leg();
        self.channels.expect(leg, &to, None);
        self.admit(Leg::calling(leg, &call), call);
        self.outputs.push_back(Output::Incoming(Box::new(Incoming {
            leg,
            origin: self.birth.who.origin(),
            to,
            dialled,
            record,
            display: self.birth.who.display(),
            require,
            offer,
            profile: Profile::webrtc(self.birth.resume),
            hops_left: None,
        })));
    }

    /// The switchboard had no room for a call of the client's: nothing is told of its leg.
    pub(crate) fn handle_busy(&mut self, leg: LegId) {
        let Some(call) = self.call_of_leg.get(&leg).cloned() else {
            return;
        };
        self.forget(&call);
        let reason = "The gateway has more to do than it can; try again in a few seconds.";
        self.send(&GatewayFrame::end(&call, Cause::Overload, Some(reason)));
    }

    /// Rings the client.
    pub(crate) fn handle_dial(&mut self, leg: LegId, dial: &Dial) {
        if self.leg_of_call.len() >= self.birth.calls_limit {
            return self.outputs.push_back(Output::Leg(leg, LegEvent::Ended(Cause::Busy, None)));
        }
        let call = self.unused_call();
        self.admit(Leg::ringing(leg, &call), call.clone());
        self.channels.expect(leg, &dial.origin.asserted, dial.origin.account.as_ref());
        self.send(&GatewayFrame::Incoming(Box::new(IncomingFrame {
            call,
            from: dial.origin.asserted.to_string(),
            to: self.birth.who.address().to_string(),
            display: dial.display.as_deref().and_then(tidy_name),
            verified: dial.origin.verified,
            require: require_word(dial.require),
            sdp: sdp::render(&dial.offer.0),
        })));
    }

    /// Takes what the switchboard asks of a leg. One that is over is not known any more.
    pub(crate) fn handle_command(&mut self, leg: LegId, command: LegCommand) {
        if let Some(call) = self.call_of_leg.get(&leg).cloned() {
            self.with_leg(&call, |leg| leg.handle_command(command));
        }
    }

    /// Takes what the client says within a call.
    pub(super) fn handle_within(&mut self, call: &str, what: WithinCall) {
        if self.leg_of_call.contains_key(call) {
            return self.with_leg(call, |leg| leg.handle_frame(what));
        }
        // Frames cross: what comes for a call that has just ended, and every end and error, is stale.
        let is_stale = self.ended_calls.iter().any(|ended| ended == call)
            || matches!(what, WithinCall::End(..) | WithinCall::Error);
        if !is_stale {
            let refusal = Refusal::of_call(Code::UnknownCall, call, "There is no call of this id.");
            self.send(&GatewayFrame::error(refusal));
        }
    }

    /// Feeds one input to a leg and drains what it says.
    pub(super) fn with_leg(&mut self, call: &str, input: impl FnOnce(&mut Leg)) {
        let Some(leg) = self.leg_of_call.get_mut(call) else {
            return;
        };
        input(leg);
        while let Some(output) = self.leg_of_call.get_mut(call).and_then(Leg::poll_output) {
            match output {
                leg::Output::Frame(frame) => self.send(&frame),
                leg::Output::Event(event) => self.report(call, event),
            }
        }
    }

    fn report(&mut self, call: &str, event: LegEvent) {
        let Some(leg) = self.leg_of_call.get(call).map(Leg::id) else {
            return;
        };
        if matches!(event, LegEvent::Ended(..)) {
            self.forget(call);
        }
        self.outputs.push_back(Output::Leg(leg, event));
    }

    fn admit(&mut self, leg: Leg, call: String) {
        self.call_of_leg.insert(leg.id(), call.clone());
        self.leg_of_call.insert(call, leg);
    }

    fn forget(&mut self, call: &str) {
        if let Some(leg) = self.leg_of_call.remove(call) {
            self.call_of_leg.remove(&leg.id());
            self.forget_channel(leg.id());
        }
        self.ended_calls.push_back(call.to_owned());
        if self.ended_calls.len() > REMEMBERED_CALLS {
            self.ended_calls.pop_front();
        }
    }

    /// The next id of ours that the client did not choose for a call of its own.
    fn unused_call(&mut self) -> String {
        loop {
            let call = format!("g{}", self.next_call);
            self.next_call += 1;
            if !self.leg_of_call.contains_key(&call) {
                return call;
            }
        }
    }
}
