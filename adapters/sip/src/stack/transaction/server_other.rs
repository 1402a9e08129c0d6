//! The server transaction of any request but INVITE and ACK (RFC 3261 §17.2.2).
//!
//! ```text
//!   Trying --1xx--> Proceeding --200+--> Completed --J--> Over
//!      \----------------200+---------------^
//! ```

use std::time::Instant;

use bytes::Bytes;

use super::{Report, Step, Timers};

/// Answers a request and its repetitions.
#[derive(Debug)]
pub struct ServerOther {
    timers: Timers,
    is_reliable: bool,
    /// Nobody waits for an answer later than this (the peer's timer F).
    give_up_at: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    Trying,
    Proceeding { latest: Bytes },
    Completed { response: Bytes, until: Instant },
    Over,
}

impl ServerOther {
    /// Starts; nothing is sent before the user answers.
    pub fn new(is_reliable: bool, timers: Timers, now: Instant) -> Self {
        Self { timers, is_reliable, give_up_at: now + timers.give_up(), state: State::Trying }
    }

    /// Whether no final response has been sent.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Trying | State::Proceeding { .. })
    }

    /// Takes the request again.
    pub fn handle_request(&mut self) -> Step {
        match &self.state {
            State::Proceeding { latest: bytes } | State::Completed { response: bytes, .. } => {
                Step::transmit(bytes.clone())
            }
            State::Trying | State::Over => Step::default(),
        }
    }

    /// Takes a response from the user of the transaction, rendered, with its status.
    pub fn handle_response(&mut self, status: u16, response: Bytes, now: Instant) -> Step {
        match &self.state {
            State::Trying | State::Proceeding { .. } if status < 200 => {
                self.state = State::Proceeding { latest: response.clone() };
            }
            State::Trying | State::Proceeding { .. } if self.is_reliable => {
                self.state = State::Over;
            }
            State::Trying | State::Proceeding { .. } => {
                let until = now + self.timers.give_up();
                self.state = State::Completed { response: response.clone(), until };
            }
            State::Completed { .. } | State::Over => return Step::default(),
        }
        Step::transmit(response)
    }

    /// Does what is due at `now`: timer J, and the end of a request nobody answered.
    pub fn handle_timeout(&mut self, now: Instant) -> Step {
        match &self.state {
            State::Trying | State::Proceeding { .. } if now >= self.give_up_at => {
                self.state = State::Over;
                Step::report(Report::TimedOut)
            }
            State::Completed { until, .. } if now >= *until => {
                self.state = State::Over;
                Step::default()
            }
            State::Trying | State::Proceeding { .. } | State::Completed { .. } | State::Over => {
                Step::default()
            }
        }
    }

    /// Takes the news that the transport failed (RFC 3261 §17.2.4).
    pub fn handle_unreachable(&mut self) -> Step {
        match self.state {
            State::Proceeding { .. } | State::Completed { .. } => {
                self.state = State::Over;
                Step::report(Report::Unreachable)
            }
            State::Trying | State::Over => Step::default(),
        }
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Trying | State::Proceeding { .. } => Some(self.give_up_at),
            State::Completed { until, .. } => Some(*until),
            State::Over => None,
        }
    }

    /// Whether nothing can happen any more.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }
}
