//! Loss as a listener had it lately. What it does to opinion is `gateway_core::quality`.

use std::time::Instant;

/// Seconds that a [`LossWindow`] looks back: at 50 packets a second enough that a share of 5 % is
/// told to within about half a percent (the standard deviation of a binomial share).
const WINDOW_SECONDS: usize = 30;

/// Loss over the last half minute, from counts that come whenever they come.
#[derive(Debug)]
pub struct LossWindow {
    start: Instant,
    /// The second since `start` that is being filled.
    second: u64,
    /// Expected and lost packets of the last seconds, in a ring.
    buckets: [(u32, u32); WINDOW_SECONDS],
}

impl LossWindow {
    /// An empty window.
    pub fn new(start: Instant) -> Self {
        Self { start, second: 0, buckets: [(0, 0); WINDOW_SECONDS] }
    }

    /// Adds what was expected and lost since the last call.
    pub fn record(&mut self, expected: u32, lost: u32, now: Instant) {
        self.advance(now);
        let bucket = &mut self.buckets[place(self.second)];
        bucket.0 = bucket.0.saturating_add(expected);
        bucket.1 = bucket.1.saturating_add(lost.min(expected));
    }

    /// Share of packets lost in the last half minute, 0 to 1; `None` if none were expected.
    pub fn loss(&mut self, now: Instant) -> Option<f32> {
        self.advance(now);
        let (expected, lost) = self.buckets.iter().fold((0u64, 0u64), |sum, bucket| {
            (sum.0 + u64::from(bucket.0), sum.1 + u64::from(bucket.1))
        });
        (expected > 0).then(|| lost as f32 / expected as f32)
    }

    fn advance(&mut self, now: Instant) {
        let second = now.saturating_duration_since(self.start).as_secs().max(self.second);
        let passed = (second - self.second).min(WINDOW_SECONDS as u64);
        for step in 1..=passed {
            self.buckets[place(self.second + step)] = (0, 0);
        }
        self.second = second;
    }
}

fn place(second: u64) -> usize {
    (second % WINDOW_SECONDS as u64) as usize
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin with")]
    fn loss_is_forgotten_after_half_a_minute() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut window = LossWindow::new(start);
        assert_eq!(window.loss(start), None);
        window.record(50, 25, start);
        window.record(50, 0, at(1));
        assert_eq!(window.loss(at(1)), Some(0.25));
        assert_eq!(window.loss(at(29)), Some(0.25));
        assert_eq!(window.loss(at(30)), Some(0.0));
        assert_eq!(window.loss(at(90)), None);
    }
}
