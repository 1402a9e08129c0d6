//! The delivery machine: one message on its way, by as many hops as its recipient has places.
//!
//! ```text
//!      head of lane, due      group begun            taken
//! Queued ----------> Ready ----------> Flying ------------------> gone
//!   ^ ^                ^                | | |  never
//!   | |                +-- Resting <----+ |
//!   | |                      due    later |
//!   | +------------- Away <---------------+
//!         somebody is there        nobody there
//! ```
//!
//! [`Delivery`] is one message; [`Deliveries`] holds all that are under way, with the lanes that keep
//! their order: of one conversation, one message at a time flies to one place, and a message that
//! waits holds up those behind it.
//!
//! What must survive a crash leaves as [`Progress`], and nothing that follows from it (an attempt
//! under a new number, a status told) leaves before [`Input::Stored`] says that it is durable. A
//! machine rebuilt from what was stored ([`Delivery::new`]) makes the same attempt again.
//!
//! Law: *feed one input, drain all outputs*. `tests/delivery_properties.rs` holds the promises: every
//! message arrives or its sender is told that it failed, once; no new attempt without a failure in
//! between; statuses climb; the order of a conversation holds.

mod all;
mod failure;
mod hop;
mod ladder;
mod one;
#[cfg(test)]
mod tests;
mod trip;

use std::time::{Duration, Instant};

use crate::ids::AccountId;
use crate::message::{Confirmation, DeliveryId, Handover, MessageId, Status};

pub use all::{Deliveries, Output};
pub use hop::{Hop, Way};
pub use ladder::climbs;
pub use one::{Ask, Delivery};

/// How patient deliveries are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long after the first failure the next attempt comes; each time twice as long.
    pub first_retry: Duration,
    /// The longest time between two attempts.
    pub longest_retry: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { first_retry: Duration::from_secs(2), longest_retry: Duration::from_secs(600) }
    }
}

impl Patience {
    /// How long to wait after that many failures: doubled each time, and between half and all of it
    /// by `draw`, so that what failed together does not come back together.
    #[must_use]
    pub fn wait(&self, failures: u32, draw: u64) -> Duration {
        let doubled = self.first_retry.saturating_mul(1 << failures.saturating_sub(1).min(20));
        let whole = doubled.min(self.longest_retry);
        let part = u32::try_from(draw % 1001).unwrap_or(0);
        whole / 2 + whole / 2 * part / 1000
    }

    /// The same where the far side has said how long it wants to be left alone: at least that, as
    /// far as this is no longer than the longest wait, and a little spread.
    #[must_use]
    pub fn wait_at_least(&self, told: Duration, failures: u32, draw: u64) -> Duration {
        let own = self.wait(failures, draw);
        let told = told.min(self.longest_retry);
        if told < own { own } else { told + self.wait(1, draw) / 2 }
    }
}

/// A message that is durable, and the hops it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// The message, on every network.
    pub message_id: MessageId,
    /// The conversation whose order it keeps.
    pub conversation: String,
    /// The ways it may take, with how long each has to wait yet.
    pub hops: Vec<(Hop, Duration)>,
    /// How far it has come.
    pub status: Status,
    /// Whether the sender wants to hear that it was delivered and read.
    pub wants_receipts: bool,
    /// Who took it already.
    pub takers: Vec<Way>,
    /// How long it may still be tried.
    pub life: Duration,
}

/// What a message is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// This hop is the first of its lane now.
    Turn(DeliveryId),
    /// What came of an attempt.
    Sent(DeliveryId, Handover),
    /// The adapter is gone without a word: the same attempt is to be made again.
    Lost(DeliveryId),
    /// Somebody is there again at this hop's account.
    Here(DeliveryId),
    /// Whom this hop leads to is there again: what rests is due now.
    Woken(DeliveryId),
    /// Nobody is there any more: what does not fly yet waits.
    Left(DeliveryId),
    /// Devices of an account that it may not know yet.
    Devices(Devices),
    /// The devices of an account that are still there.
    Gone {
        /// The account.
        account: AccountId,
        /// The network that is spoken of; all where there is none.
        network: Option<String>,
        /// All that are there.
        there: Vec<Way>,
    },
    /// The far side says how far it has come.
    Confirmed(Confirmation),
    /// The progress of that number, and all before it, is durable.
    Stored(u32),
}

/// Devices of an account that can be reached now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Devices {
    /// The account.
    pub account: AccountId,
    /// Each with an id in case a hop is made of it.
    pub ways: Vec<(DeliveryId, Way)>,
}

/// What must be durable before anything that follows from it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The message.
    pub message_id: MessageId,
    /// Counts up; acknowledged by [`Input::Stored`].
    pub version: u32,
    /// How far it has come.
    pub status: Status,
    /// Why it failed.
    pub reason: Option<String>,
    /// Who took it just now.
    pub taker: Option<Way>,
    /// Hops that are new or have another attempt ahead, with the time until then.
    pub changed: Vec<(Hop, Duration)>,
    /// Hops that are over.
    pub gone: Vec<DeliveryId>,
    /// Whether nothing more will be tried: the body may go.
    pub is_over: bool,
}

/// A moment, and a number nobody can foretell.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Now.
    pub now: Instant,
    /// Randomness.
    pub draw: u64,
}
