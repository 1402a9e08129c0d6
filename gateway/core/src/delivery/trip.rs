//! A hop of a message with where it stands.

use std::time::Instant;

use super::Hop;

/// Where a hop stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Waits for its turn in its lane, and is not due before.
    Queued(Instant),
    /// It is its turn, and it is due: it flies when its group has begun.
    Ready,
    /// An adapter has it.
    Flying,
    /// Failed; the next attempt is due then.
    Resting(Instant),
    /// Nobody is there: it waits outside its lane until somebody is.
    Away,
}

/// A hop with where it stands.
#[derive(Clone, Debug)]
pub(super) struct Trip {
    pub(super) hop: Hop,
    pub(super) state: State,
    /// Which progress holds its attempt.
    pub(super) since: u32,
}
