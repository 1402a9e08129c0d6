//! A token bucket: so many at once, so many over time. Pure; time is an argument.

use std::time::{Duration, Instant};

/// How much a bucket holds and how fast it fills again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    /// How many may come at once.
    pub(crate) burst: u32,
    /// How long one more takes to be allowed.
    pub(crate) every: Duration,
}

/// The state of one bucket: the moment it will be full again says everything (the generic cell rate
/// algorithm, ITU-T I.371).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    full_at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub(crate) const fn new(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// Takes one.
    ///
    /// # Errors
    /// There is none now: the time until there is one.
    pub(crate) fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        let full_at = self.full_at.max(now) + rate.every;
        let wait = full_at.duration_since(now).saturating_sub(rate.every * rate.burst);
        if wait > Duration::ZERO {
            return Err(wait);
        }
        self.full_at = full_at;
        Ok(())
    }

    /// Takes one whether there is one or not. Returns how long to wait until there would have been.
    pub(crate) fn charge(&mut self, rate: Rate, now: Instant) -> Duration {
        self.full_at = self.full_at.max(now) + rate.every;
        self.full_at.duration_since(now).saturating_sub(rate.every * rate.burst)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some moment to start at")]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 3, every: Duration::from_secs(1) };

    #[test]
    fn a_bucket_gives_its_burst_and_then_one_per_interval() {
        let start = Instant::now();
        let mut bucket = Bucket::new(start);
        for _ in 0..3 {
            assert_eq!(bucket.take(RATE, start), Ok(()));
        }
        assert_eq!(bucket.take(RATE, start), Err(Duration::from_secs(1)));
        assert_eq!(bucket.take(RATE, start + Duration::from_secs(1)), Ok(()));
        assert!(bucket.take(RATE, start + Duration::from_secs(1)).is_err());
    }

    #[test]
    fn what_is_charged_beyond_the_burst_makes_ever_longer_waits() {
        let start = Instant::now();
        let mut bucket = Bucket::new(start);
        let waits: Vec<u64> = (0..6).map(|_| bucket.charge(RATE, start).as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 1, 2, 3]);
    }
}
