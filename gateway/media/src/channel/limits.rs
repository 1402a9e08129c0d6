//! How much of a peer is taken in a time: the generic cell rate algorithm (ITU-T I.371).

use std::time::{Duration, Instant};

/// SCTP of a peer: what comes faster is dropped, as a full line would.
pub(super) const BYTES: Allowance = Allowance::new(Duration::from_nanos(4_000), 1024 * 1024);
/// Texts of a peer. Above it the channel is closed; how fast somebody may write is the session's own, lower limit.
pub(super) const TEXTS: Allowance = Allowance::new(Duration::from_millis(10), 1024);

/// So much at once, and so much over time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    every: Duration,
    burst: u32,
    full_at: Option<Instant>,
}

impl Allowance {
    const fn new(every: Duration, burst: u32) -> Self {
        Self { every, burst, full_at: None }
    }

    /// Takes so much. False, and nothing is taken, if that is too much now.
    pub(super) fn take(&mut self, amount: u32, now: Instant) -> bool {
        let full_at = self.full_at.map_or(now, |at| at.max(now)) + self.every * amount;
        let fits = full_at.duration_since(now) <= self.every * self.burst;
        if fits {
            self.full_at = Some(full_at);
        }
        fits
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some moment to start at")]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_gives_its_burst_and_then_so_much_over_time() {
        let start = Instant::now();
        let mut allowance = Allowance::new(Duration::from_millis(10), 100);
        assert!(allowance.take(60, start) && allowance.take(40, start));
        assert!(!allowance.take(1, start));
        assert!(allowance.take(5, start + Duration::from_millis(50)));
        assert!(!allowance.take(1, start + Duration::from_millis(50)));
    }
}
