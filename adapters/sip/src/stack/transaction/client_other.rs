//! The client transaction of any request but INVITE and ACK (RFC 3261 §17.1.2).
//!
//! ```text
//!   Trying --1xx--> Proceeding --200+--> Completed --K--> Over
//!      \----------------200+---------------^
//! ```

use std::time::Instant;

use bytes::Bytes;

use super::{Report, Resend, Step, Timers, earliest};
use crate::stack::wire::Response;

/// Sends a request until a final response comes.
#[derive(Debug)]
pub struct ClientOther {
    request: Bytes,
    timers: Timers,
    is_reliable: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    Trying(Waiting),
    Proceeding(Waiting),
    Completed { until: Instant },
    Over,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    resend: Option<Resend>,
    give_up_at: Instant,
}

impl ClientOther {
    /// Starts with the rendered request; the step sends it.
    pub fn new(request: Bytes, is_reliable: bool, timers: Timers, now: Instant) -> (Self, Step) {
        let resend = (!is_reliable).then(|| Resend::first(now, timers.t1));
        let state = State::Trying(Waiting { resend, give_up_at: now + timers.give_up() });
        let step = Step::transmit(request.clone());
        (Self { request, timers, is_reliable, state }, step)
    }

    /// The rendered request.
    pub fn request(&self) -> &Bytes {
        &self.request
    }

    /// Whether a final response may still come.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Trying(_) | State::Proceeding(_))
    }

    /// Takes a response that belongs here.
    pub fn handle_response(&mut self, response: &Response, now: Instant) -> Step {
        match self.state {
            State::Trying(waiting) if response.is_provisional() => {
                self.state = State::Proceeding(waiting);
                Step::report(Report::Pass)
            }
            State::Proceeding(_) if response.is_provisional() => Step::report(Report::Pass),
            State::Trying(_) | State::Proceeding(_) => {
                let linger = self.timers.linger(self.is_reliable);
                self.state = if linger.is_zero() {
                    State::Over
                } else {
                    State::Completed { until: now + linger }
                };
                Step::report(Report::Pass)
            }
            State::Completed { .. } | State::Over => Step::default(),
        }
    }

    /// Does what is due at `now`: timers E, F and K.
    pub fn handle_timeout(&mut self, now: Instant) -> Step {
        let (waiting, pause) = match &mut self.state {
            State::Trying(waiting) => {
                let pause = waiting.resend.map(|resend| resend.pause * 2);
                (waiting, pause)
            }
            // RFC 3261 §17.1.2.2: once a provisional came, every pause is T2.
            State::Proceeding(waiting) => (waiting, Some(self.timers.t2)),
            State::Completed { until } => {
                if now >= *until {
                    self.state = State::Over;
                }
                return Step::default();
            }
            State::Over => return Step::default(),
        };
        if now >= waiting.give_up_at {
            self.state = State::Over;
            return Step::report(Report::TimedOut);
        }
        match (waiting.resend, pause) {
            (Some(resend), Some(pause)) if now >= resend.at => {
                waiting.resend = Some(Resend::first(now, pause.min(self.timers.t2)));
                Step::transmit(self.request.clone())
            }
            (Some(_) | None, Some(_) | None) => Step::default(),
        }
    }

    /// Takes the news that the transport failed (RFC 3261 §17.1.4).
    pub fn handle_unreachable(&mut self) -> Step {
        match self.state {
            State::Trying(_) | State::Proceeding(_) => {
                self.state = State::Over;
                Step::report(Report::Unreachable)
            }
            State::Completed { .. } | State::Over => Step::default(),
        }
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Trying(waiting) | State::Proceeding(waiting) => {
                earliest([Some(waiting.give_up_at), waiting.resend.map(|resend| resend.at)])
            }
            State::Completed { until } => Some(*until),
            State::Over => None,
        }
    }

    /// Whether nothing can happen any more.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }
}
