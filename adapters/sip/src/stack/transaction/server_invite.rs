//! The server transaction of an INVITE (RFC 3261 §17.2.1, RFC 6026 §7.1).
//!
//! ```text
//!   Proceeding --2xx--> Accepted ---L--------------> Over
//!       |                                              ^
//!      300+--> Completed --ACK--> Confirmed --I--------+
//!                  \---------------H (no ACK)----------+
//! ```

use std::time::Instant;

use bytes::Bytes;

use super::{Report, Resend, Step, Timers, earliest};

/// Answers an INVITE and its repetitions; repeats a refusal until it is acknowledged.
#[derive(Debug)]
pub struct ServerInvite {
    timers: Timers,
    is_reliable: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    Proceeding { latest: Bytes },
    Completed(Completed),
    Confirmed { until: Instant },
    Accepted { until: Instant },
    Over,
}

#[derive(Debug)]
struct Completed {
    response: Bytes,
    resend: Option<Resend>,
    give_up_at: Instant,
}

impl ServerInvite {
    /// Starts with the rendered 100 that answers at once, which RFC 3261 §17.2.1 allows and which
    /// stops the caller's repetitions soonest; the step sends it.
    pub fn new(trying: Bytes, is_reliable: bool, timers: Timers) -> (Self, Step) {
        let state = State::Proceeding { latest: trying.clone() };
        (Self { timers, is_reliable, state }, Step::transmit(trying))
    }

    /// Whether no final response has been sent.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }

    /// Takes the INVITE again.
    pub fn handle_request(&mut self) -> Step {
        match &self.state {
            State::Proceeding { latest } => Step::transmit(latest.clone()),
            State::Completed(completed) => Step::transmit(completed.response.clone()),
            State::Confirmed { .. } | State::Accepted { .. } | State::Over => Step::default(),
        }
    }

    /// Takes the ACK: of a refusal it ends here, of a 2xx it is for the dialog.
    pub fn handle_ack(&mut self, now: Instant) -> Step {
        match &self.state {
            State::Completed(_) => {
                let linger = self.timers.linger(self.is_reliable);
                self.state = if linger.is_zero() {
                    State::Over
                } else {
                    State::Confirmed { until: now + linger }
                };
                Step::default()
            }
            State::Accepted { .. } => Step::report(Report::Pass),
            State::Proceeding { .. } | State::Confirmed { .. } | State::Over => Step::default(),
        }
    }

    /// Takes a response from the user of the transaction, rendered, with its status.
    pub fn handle_response(&mut self, status: u16, response: Bytes, now: Instant) -> Step {
        let is_answer = (200..300).contains(&status);
        match &mut self.state {
            State::Proceeding { latest } if status < 200 => {
                *latest = response.clone();
                Step::transmit(response)
            }
            State::Proceeding { .. } if is_answer => {
                self.state = State::Accepted { until: now + self.timers.give_up() };
                Step::transmit(response)
            }
            State::Proceeding { .. } => {
                let resend = (!self.is_reliable).then(|| Resend::first(now, self.timers.t1));
                self.state = State::Completed(Completed {
                    response: response.clone(),
                    resend,
                    give_up_at: now + self.timers.give_up(),
                });
                Step::transmit(response)
            }
            State::Accepted { .. } if is_answer => Step::transmit(response),
            State::Completed(_)
            | State::Confirmed { .. }
            | State::Accepted { .. }
            | State::Over => Step::default(),
        }
    }

    /// Does what is due at `now`: timers G, H, I and L.
    pub fn handle_timeout(&mut self, now: Instant) -> Step {
        match &mut self.state {
            State::Completed(completed) if now >= completed.give_up_at => {
                self.state = State::Over;
                Step::report(Report::TimedOut)
            }
            State::Completed(completed) => match completed.resend {
                Some(resend) if now >= resend.at => {
                    completed.resend = Some(resend.next(now, self.timers.t2));
                    Step::transmit(completed.response.clone())
                }
                Some(_) | None => Step::default(),
            },
            State::Confirmed { until } | State::Accepted { until } => {
                if now >= *until {
                    self.state = State::Over;
                }
                Step::default()
            }
            State::Proceeding { .. } | State::Over => Step::default(),
        }
    }

    /// Takes the news that the transport failed (RFC 3261 §17.2.4, RFC 6026 §8.5).
    pub fn handle_unreachable(&mut self) -> Step {
        match self.state {
            State::Completed(_) => {
                self.state = State::Over;
                Step::report(Report::Unreachable)
            }
            State::Proceeding { .. } => Step::report(Report::Unreachable),
            State::Confirmed { .. } | State::Accepted { .. } | State::Over => Step::default(),
        }
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Completed(completed) => {
                earliest([Some(completed.give_up_at), completed.resend.map(|resend| resend.at)])
            }
            State::Confirmed { until } | State::Accepted { until } => Some(*until),
            State::Proceeding { .. } | State::Over => None,
        }
    }

    /// Whether nothing can happen any more.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }
}
