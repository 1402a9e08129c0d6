//! Loss as a listener had it lately. What it does to opinion is `gateway_core::quality`.

use std::time::Instant;

/// Seconds that a [`LossWindow`] looks back at most: at 50 packets a second enough that a share of
/// 5 % is told to within about half a percent (the standard deviation of a binomial share).
const WINDOW_SECONDS: usize = 30;
/// Seconds it looks back at least, and in steps of which it looks further.
const STEP_SECONDS: usize = 5;
/// How many standard deviations apart two shares may be and still be the same network.
const SAME: f32 = 2.5;

/// Loss lately, from counts that come whenever they come.
///
/// What it looks back over grows while the loss stays what it was, which makes the figure precise,
/// and ends where it was another, which makes it quick: five seconds after the network changed the
/// new figure is told, half a minute after to within half a percent.
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

    /// Share of packets lost lately, 0 to 1; `None` if none were expected.
    pub fn loss(&mut self, now: Instant) -> Option<f32> {
        self.advance(now);
        let mut recent = Count::default();
        for step in 0..WINDOW_SECONDS / STEP_SECONDS {
            let older = self.step(step);
            if !recent.is_like(older) {
                break;
            }
            recent = recent.and(older);
        }
        (recent.expected > 0.0).then(|| recent.share())
    }

    /// What was counted in a step of seconds, 0 being the last.
    fn step(&self, step: usize) -> Count {
        let seconds = step * STEP_SECONDS..(step + 1) * STEP_SECONDS;
        seconds.fold(Count::default(), |count, back| {
            let second = (self.second + WINDOW_SECONDS as u64) - back as u64;
            let (expected, lost) = self.buckets[place(second)];
            count.and(Count { expected: expected as f32, lost: lost as f32 })
        })
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

/// Packets expected and lost.
#[derive(Clone, Copy, Default)]
struct Count {
    expected: f32,
    lost: f32,
}

impl Count {
    fn and(self, other: Self) -> Self {
        Self { expected: self.expected + other.expected, lost: self.lost + other.lost }
    }

    fn share(self) -> f32 {
        self.lost / self.expected.max(1.0)
    }

    /// Whether both may come from one network: their shares differ by no more than chance, by the
    /// normal approximation of two binomial shares.
    fn is_like(self, other: Self) -> bool {
        if self.expected < 1.0 || other.expected < 1.0 {
            return true;
        }
        let pooled = self.and(other).share();
        let deviation =
            (pooled * (1.0 - pooled) * (1.0 / self.expected + 1.0 / other.expected)).sqrt();
        (self.share() - other.share()).abs() <= SAME * deviation
    }
}

fn place(second: u64) -> usize {
    (second % WINDOW_SECONDS as u64) as usize
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A window after so many seconds of 50 packets each, of which so many were lost.
    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin with")]
    fn after(seconds: &[u32]) -> f32 {
        let start = Instant::now();
        let mut window = LossWindow::new(start);
        let mut now = start;
        for lost in seconds {
            window.record(50, *lost, now);
            now += Duration::from_secs(1);
        }
        window.loss(now - Duration::from_secs(1)).expect("packets were expected")
    }

    #[test]
    fn steady_loss_is_told_over_half_a_minute() {
        // 2.5 a second on average, unevenly: five seconds alone would tell 4 % or 6 %.
        let seconds: Vec<u32> = (0..30).map(|at| if at / 5 % 2 == 0 { 3 } else { 2 }).collect();
        assert!((after(&seconds) - 0.05).abs() < 1e-4);
    }

    #[test]
    fn a_network_that_changed_is_told_as_it_is_now() {
        let clean_then_lossy: Vec<u32> = [[0; 25].as_slice(), &[3, 2, 3, 2, 3]].concat();
        assert!((after(&clean_then_lossy) - 0.052).abs() < 1e-3);
        let lossy_then_clean: Vec<u32> = [[3; 25].as_slice(), &[0; 5]].concat();
        assert!(after(&lossy_then_clean) < 1e-4);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin with")]
    fn nothing_expected_is_no_loss_and_old_loss_is_forgotten() {
        let start = Instant::now();
        let mut window = LossWindow::new(start);
        assert_eq!(window.loss(start), None);
        window.record(50, 25, start);
        assert_eq!(window.loss(start + Duration::from_secs(29)), Some(0.5));
        assert_eq!(window.loss(start + Duration::from_secs(31)), None);
    }
}
