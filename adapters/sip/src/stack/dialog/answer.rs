//! A 2xx to an INVITE, repeated until its ACK comes (RFC 3261 §13.3.1.4).

use std::time::Instant;

use crate::stack::transaction::Timers;

/// When a 2xx is due again, and when to stop and hang up. Repeated over streams too: the ACK may
/// be lost behind the next hop.
#[derive(Debug, Clone, Copy)]
pub struct Repeat {
    timers: Timers,
    at: Instant,
    pause: std::time::Duration,
    give_up_at: Instant,
}

impl Repeat {
    /// Starts when the 2xx is sent for the first time.
    pub fn new(timers: Timers, now: Instant) -> Self {
        Self { timers, at: now + timers.t1, pause: timers.t1, give_up_at: now + timers.give_up() }
    }

    /// Whether the 2xx is to be sent again now.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        if now < self.at || self.is_given_up(now) {
            return false;
        }
        self.pause = (self.pause * 2).min(self.timers.t2);
        self.at = now + self.pause;
        true
    }

    /// Whether no ACK came in 64*T1, so that the session is to be ended by BYE.
    pub fn is_given_up(&self, now: Instant) -> bool {
        now >= self.give_up_at
    }

    /// When to look again.
    pub fn poll_timeout(&self) -> Instant {
        self.at.min(self.give_up_at)
    }
}
