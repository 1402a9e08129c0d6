//! The client transaction of an INVITE (RFC 3261 §17.1.1, RFC 6026 §7.2).
//!
//! ```text
//!   Calling --1xx--> Proceeding
//!      |  \             |   \
//!     2xx  300+        2xx   300+
//!      v    \           v     \
//!   Accepted <---------/       +--> Completed (ACK, repeated)
//!      |  M                            |  D
//!      +-------------> Over <----------+
//! ```

use std::time::Instant;

use bytes::Bytes;

use super::{Report, Resend, Step, Timers, earliest};
use crate::stack::wire::{self, Response};

/// Sends an INVITE until something answers, and acknowledges a refusal.
#[derive(Debug)]
pub struct ClientInvite {
    request: Bytes,
    timers: Timers,
    is_reliable: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    Calling(Calling),
    Proceeding(Proceeding),
    Completed(Completed),
    Accepted(Accepted),
    Over,
}

#[derive(Debug)]
struct Calling {
    resend: Option<Resend>,
    give_up_at: Instant,
}

#[derive(Debug)]
struct Proceeding {
    /// Set once a CANCEL is out: whoever does not answer it is given up (RFC 3261 §9.1).
    give_up_at: Option<Instant>,
}

#[derive(Debug)]
struct Completed {
    ack: Bytes,
    until: Instant,
}

#[derive(Debug)]
struct Accepted {
    until: Instant,
}

impl ClientInvite {
    /// Starts with the rendered INVITE; the step sends it.
    pub fn new(request: Bytes, is_reliable: bool, timers: Timers, now: Instant) -> (Self, Step) {
        let resend = (!is_reliable).then(|| Resend::first(now, timers.t1));
        let state = State::Calling(Calling { resend, give_up_at: now + timers.give_up() });
        let step = Step::transmit(request.clone());
        (Self { request, timers, is_reliable, state }, step)
    }

    /// The rendered INVITE.
    pub fn request(&self) -> &Bytes {
        &self.request
    }

    /// Whether a provisional response has come and no final one, so that a CANCEL may be sent.
    pub fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding(_))
    }

    /// Whether a final response may still come.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Calling(_) | State::Proceeding(_))
    }

    /// Notes that a CANCEL was sent (RFC 3261 §9.1).
    pub fn handle_cancelled(&mut self, now: Instant) {
        if let State::Proceeding(proceeding) = &mut self.state {
            proceeding.give_up_at = Some(now + self.timers.give_up());
        }
    }

    /// Takes a response that belongs here.
    pub fn handle_response(&mut self, response: &Response, now: Instant) -> Step {
        match &self.state {
            State::Calling(_) | State::Proceeding(_) if response.is_provisional() => {
                if let State::Calling(_) = self.state {
                    self.state = State::Proceeding(Proceeding { give_up_at: None });
                }
                Step::report(Report::Pass)
            }
            State::Calling(_) | State::Proceeding(_) if response.is_success() => {
                self.state = State::Accepted(Accepted { until: now + self.timers.give_up() });
                Step::report(Report::Pass)
            }
            State::Calling(_) | State::Proceeding(_) => self.refuse(response, now),
            State::Completed(completed) if response.status() >= 300 => {
                Step::transmit(completed.ack.clone())
            }
            State::Accepted(_) if response.is_success() => Step::report(Report::Pass),
            State::Completed(_) | State::Accepted(_) | State::Over => Step::default(),
        }
    }

    fn refuse(&mut self, response: &Response, now: Instant) -> Step {
        let Ok(wire::Message::Request(invite)) = wire::parse(self.request.clone()) else {
            self.state = State::Over;
            return Step::report(Report::Pass);
        };
        let ack = invite.ack_for(response).render();
        let linger = self.timers.linger_completed_invite(self.is_reliable);
        self.state = if linger.is_zero() {
            State::Over
        } else {
            State::Completed(Completed { ack: ack.clone(), until: now + linger })
        };
        Step { transmit: Some(ack), report: Some(Report::Pass) }
    }

    /// Does what is due at `now`: timers A, B, D and M.
    pub fn handle_timeout(&mut self, now: Instant) -> Step {
        match &mut self.state {
            State::Calling(calling) if now >= calling.give_up_at => {
                self.state = State::Over;
                Step::report(Report::TimedOut)
            }
            State::Calling(calling) => match calling.resend {
                Some(resend) if now >= resend.at => {
                    // RFC 3261 §17.1.1.2 doubles without a ceiling.
                    calling.resend = Some(resend.next(now, self.timers.give_up()));
                    Step::transmit(self.request.clone())
                }
                Some(_) | None => Step::default(),
            },
            State::Proceeding(Proceeding { give_up_at: Some(at) }) if now >= *at => {
                self.state = State::Over;
                Step::report(Report::TimedOut)
            }
            State::Completed(Completed { until, .. }) | State::Accepted(Accepted { until })
                if now >= *until =>
            {
                self.state = State::Over;
                Step::default()
            }
            State::Proceeding(_) | State::Completed(_) | State::Accepted(_) | State::Over => {
                Step::default()
            }
        }
    }

    /// Takes the news that the transport failed (RFC 3261 §17.1.4).
    pub fn handle_unreachable(&mut self) -> Step {
        match self.state {
            State::Calling(_) => {
                self.state = State::Over;
                Step::report(Report::Unreachable)
            }
            // Whoever has answered once may still answer, over another connection if need be;
            // the user of the transaction has a deadline of its own.
            State::Proceeding(_) | State::Completed(_) | State::Accepted(_) | State::Over => {
                Step::default()
            }
        }
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Calling(calling) => {
                earliest([Some(calling.give_up_at), calling.resend.map(|resend| resend.at)])
            }
            State::Proceeding(proceeding) => proceeding.give_up_at,
            State::Completed(completed) => Some(completed.until),
            State::Accepted(accepted) => Some(accepted.until),
            State::Over => None,
        }
    }

    /// Whether nothing can happen any more.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }
}
