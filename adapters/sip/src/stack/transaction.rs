//! Transactions: requests and responses paired and repeated until they arrive
//! (RFC 3261 §17, corrected by RFC 6026).
//!
//! Four machines, none of which knows a socket or a clock. A message, a deadline or an error
//! enters by `handle_*`, the answer is a [`Step`]: at most one message to send and at most one
//! thing to tell the user of the transaction.
//!
//! ```text
//!              requests                       responses
//!   user ----> ClientInvite, ClientOther ----> wire
//!   wire ----> ServerInvite, ServerOther ----> user
//! ```
//!
//! Final responses of 200 to an INVITE are repeated by the dialog, not here
//! (RFC 3261 §13.3.1.4).

mod client_invite;
mod client_other;
mod key;
mod server_invite;
mod server_other;
mod table;

use std::time::{Duration, Instant};

use bytes::Bytes;

pub use client_invite::ClientInvite;
pub use client_other::ClientOther;
pub use key::{ClientKey, MAGIC_COOKIE, ServerKey};
pub use server_invite::ServerInvite;
pub use server_other::ServerOther;
pub use table::{Kept, Machine, MergeKey, Table};

/// Names one transaction for as long as the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransactionId(pub u64);

/// The three times all timers are made of (RFC 3261 §17.1.1.1, Table 4).
#[derive(Debug, Clone, Copy)]
pub struct Timers {
    /// Estimate of the round trip.
    pub t1: Duration,
    /// Longest pause between repetitions.
    pub t2: Duration,
    /// How long a message stays in the network.
    pub t4: Duration,
    /// How long a place we call may say nothing at all before the next is tried.
    pub try_next: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            try_next: Duration::from_secs(4),
        }
    }
}

impl Timers {
    /// 64*T1: timers B, F, H, J, L and M.
    pub fn give_up(&self) -> Duration {
        self.t1 * 64
    }

    /// Timer D: at least 32 s where messages get lost, none where they do not.
    fn linger_completed_invite(&self, is_reliable: bool) -> Duration {
        if is_reliable { Duration::ZERO } else { self.give_up().max(Duration::from_secs(32)) }
    }

    /// Timers I and K.
    fn linger(&self, is_reliable: bool) -> Duration {
        if is_reliable { Duration::ZERO } else { self.t4 }
    }
}

/// A repetition that is due: when, and how long the pause after it is to be.
#[derive(Debug, Clone, Copy)]
struct Resend {
    at: Instant,
    pause: Duration,
}

impl Resend {
    fn first(now: Instant, pause: Duration) -> Self {
        Self { at: now + pause, pause }
    }

    /// Moves past `now` by doubled pauses, none longer than `longest`.
    fn next(self, now: Instant, longest: Duration) -> Self {
        Self::first(now, (self.pause * 2).min(longest))
    }
}

/// What an input leads to.
#[derive(Debug, Default)]
#[must_use = "a message may have to be sent"]
pub struct Step {
    /// Send this.
    pub transmit: Option<Bytes>,
    /// Tell the transaction's user this.
    pub report: Option<Report>,
}

impl Step {
    fn transmit(bytes: Bytes) -> Self {
        Self { transmit: Some(bytes), report: None }
    }

    fn report(report: Report) -> Self {
        Self { transmit: None, report: Some(report) }
    }
}

/// What the user of a transaction is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// The message that was just handled is for the user.
    Pass,
    /// Nothing came in time (timers B, F, H).
    TimedOut,
    /// The transport could not deliver.
    Unreachable,
}

fn earliest(deadlines: [Option<Instant>; 2]) -> Option<Instant> {
    deadlines.into_iter().flatten().min()
}

#[cfg(test)]
mod oracle_tests;
#[cfg(test)]
mod tests;
