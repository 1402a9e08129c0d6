//! How good a call sounds: loss over the last seconds, and the E-model's estimate of what a
//! listener would say.
//!
//! ```text
//!  loss, codec --> Ie-eff --+
//!                           +--> R = 93.2 - Id - Ie-eff --> MOS from 1 (bad) to 4.4
//!  delay       --> Id ------+
//! ```
//!
//! The E-model is ITU-T G.107 with all its other parameters at their defaults, for which R is 93.2
//! before delay and equipment count. `Id` is the usual approximation of G.107 §7.4 for echo-free
//! calls (Cole and Rosenbluth, 2001).

use std::time::{Duration, Instant};

use gateway_core::media::QualityCodec;

/// R without delay and loss (ITU-T G.107 §7.7, default values).
const BEST_RATING: f32 = 93.2;
/// Seconds that a [`LossWindow`] looks back.
const WINDOW_SECONDS: usize = 5;

/// What the listening estimate is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    /// The codec heard.
    pub codec: QualityCodec,
    /// Share of packets lost, 0 to 1.
    pub loss: f32,
    /// Round trip between the two ends of this leg.
    pub round_trip: Duration,
    /// What the receiver's jitter buffer adds.
    pub jitter_buffer: Duration,
}

/// Mean opinion score, 1 (bad) to 4.5 (excellent), as the E-model estimates it (ITU-T G.107 Annex
/// B).
pub fn mean_opinion_score(conditions: &Conditions) -> f32 {
    let delay = conditions.round_trip / 2 + conditions.jitter_buffer;
    let rating = BEST_RATING
        - delay_impairment(delay)
        - equipment_impairment(conditions.codec, conditions.loss);
    let rating = rating.clamp(0.0, 100.0);
    let score = 1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6;
    // The polynomial dips below 1 for ratings under 6.5.
    score.max(1.0)
}

/// `Id` in R units: a little for every millisecond, much more beyond 177.3 ms one way.
fn delay_impairment(delay: Duration) -> f32 {
    let milliseconds = delay.as_secs_f32() * 1_000.0;
    0.024 * milliseconds + 0.11 * (milliseconds - 177.3).max(0.0)
}

/// `Ie-eff` in R units, for losses that do not come in bursts (ITU-T G.107 §7.5).
fn equipment_impairment(codec: QualityCodec, loss: f32) -> f32 {
    let percent = 100.0 * loss.clamp(0.0, 1.0);
    let (impairment, robustness) = codec_parameters(codec);
    impairment + (95.0 - impairment) * percent / (percent + robustness)
}

/// `Ie` and `Bpl` of a codec.
///
/// G.711 is ITU-T G.113 Appendix I's with loss concealment, random loss. Its table has neither
/// G.722 nor Opus on the narrowband scale: both are taken as no worse than G.711 without loss; for
/// G.722 the same concealment is assumed, for Opus, which conceals by its own model, half as much
/// sensitivity again less. Good for comparing, not for contracts.
const fn codec_parameters(codec: QualityCodec) -> (f32, f32) {
    match codec {
        QualityCodec::G711 | QualityCodec::G722 => (0.0, 25.1),
        QualityCodec::Opus => (0.0, 37.6),
    }
}

/// Loss over the last five seconds, from counts that come whenever they come.
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

    /// Share of packets lost in the last five seconds, 0 to 1; `None` if none were expected.
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
    use super::*;
    use proptest::prelude::*;

    fn score(codec: QualityCodec, loss: f32, round_trip_ms: u64) -> f32 {
        mean_opinion_score(&Conditions {
            codec,
            loss,
            round_trip: Duration::from_millis(round_trip_ms),
            jitter_buffer: Duration::ZERO,
        })
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant can be had in no other way; only steps count"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_perfect_g711_call_scores_4_41() {
        assert!((score(QualityCodec::G711, 0.0, 0) - 4.41).abs() < 0.01);
    }

    #[test]
    fn figures_of_the_model_are_met() {
        // R 93.2 - 0.024 x 150 = 89.6, and R 93.2 - 95 x 5 / 30.1 = 77.4, put into G.107 Annex B by
        // hand.
        assert!((score(QualityCodec::G711, 0.0, 300) - 4.328).abs() < 0.01);
        assert!((score(QualityCodec::G711, 0.05, 0) - 3.921).abs() < 0.01);
    }

    #[test]
    fn a_call_without_any_packet_is_bad() {
        assert!(score(QualityCodec::G711, 1.0, 0) < 1.5);
        assert!(score(QualityCodec::Opus, 1.0, 10_000) >= 1.0);
    }

    #[test]
    fn loss_is_forgotten_after_five_seconds() {
        let start = start();
        let mut window = LossWindow::new(start);
        assert_eq!(window.loss(start), None);
        window.record(50, 25, start);
        window.record(50, 0, start + Duration::from_secs(1));
        assert_eq!(window.loss(start + Duration::from_secs(1)), Some(0.25));
        assert_eq!(window.loss(start + Duration::from_secs(5)), Some(0.0));
        assert_eq!(window.loss(start + Duration::from_secs(60)), None);
    }

    proptest! {
        #[test]
        fn more_loss_or_delay_never_sounds_better(
            loss in 0f32..1.0, more_loss in 0f32..1.0, delay_ms in 0u64..2_000, more_ms in 0u64..2_000
        ) {
            for codec in [QualityCodec::G711, QualityCodec::G722, QualityCodec::Opus] {
                let here = score(codec, loss, delay_ms);
                prop_assert!((1.0..=4.5).contains(&here));
                prop_assert!(score(codec, (loss + more_loss).min(1.0), delay_ms) <= here + 1e-3);
                prop_assert!(score(codec, loss, delay_ms + more_ms) <= here + 1e-3);
            }
        }

        #[test]
        fn loss_is_a_share(
            records in prop::collection::vec((any::<u32>(), any::<u32>(), 0u64..3_000), 0..50)
        ) {
            let mut now = start();
            let mut window = LossWindow::new(now);
            for (expected, lost, passed_ms) in records {
                now += Duration::from_millis(passed_ms);
                window.record(expected, lost, now);
                prop_assert!(window.loss(now).is_none_or(|loss| (0.0..=1.0).contains(&loss)));
            }
        }
    }
}
