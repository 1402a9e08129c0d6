//! How a call sounds, estimated from what the network did to it: the E-model (ITU-T G.107),
//! simplified to the terms that a gateway can see.
//!
//! ```text
//! R   = 93.2 - Id - Ie,eff                       (G.107 §7.1, all other terms at their defaults)
//! Id  = 0.024 d + 0.11 (d - 177.3) H(d - 177.3)  (d: one-way delay in ms; Cole and Rosenbluth 2001)
//! Ie,eff = Ie + (95 - Ie) Ppl / (Ppl + Bpl)      (G.107 §7.5 with BurstR = 1)
//! MOS = 1 + 0.035 R + R (R - 60) (100 - R) 7e-6  (G.107 Annex B, for 0 < R < 100)
//! ```

use crate::leg::Heard;
use crate::media::{Quality, QualityCodec};

/// What a receiver's jitter buffer and codec add to the network's delay, in milliseconds.
const BUFFER_MS: f32 = 40.0;

/// By how much one direction must be worse to be told instead of the other: the worse of two equal
/// ones would always be told as worse than it is.
const CLEARLY: f32 = 0.2;

/// Equipment impairment `Ie` and robustness `Bpl` of a codec against random loss.
///
/// G.711 is that of ITU-T G.113 Appendix I with concealment. Its table has neither G.722 nor Opus on
/// the narrow-band scale: both are taken as no worse than G.711 without loss; for G.722 the same
/// concealment is assumed, for Opus, which conceals by a model of speech, one half better. Good for
/// comparing calls, not for contracts.
const fn impairment(codec: QualityCodec) -> (f32, f32) {
    match codec {
        QualityCodec::G711 | QualityCodec::G722 => (0.0, 25.1),
        QualityCodec::Opus => (0.0, 37.6),
    }
}

/// The mean opinion score, 1.0 to 4.5. `loss` is a share from 0 to 1, the delay one way.
#[must_use]
pub fn mos(codec: QualityCodec, loss: f32, delay_ms: f32) -> f32 {
    let (equipment, robustness) = impairment(codec);
    let percent = (loss * 100.0).clamp(0.0, 100.0);
    let late = (delay_ms - 177.3).max(0.0);
    let delay = 0.024f32.mul_add(delay_ms, 0.11 * late);
    let equipment = (95.0 - equipment).mul_add(percent / (percent + robustness), equipment);
    let rating = (93.2 - delay - equipment).clamp(0.0, 100.0);
    let score = 0.035f32.mul_add(rating, 1.0) + rating * (rating - 60.0) * (100.0 - rating) * 7e-6;
    score.clamp(1.0, 4.5)
}

/// What the owner of `own` is told: what it hears, or what the far side hears of it where that is
/// clearly worse. Each direction is over all of its hops.
#[must_use]
pub fn heard(own: &Quality, far: Option<&Quality>) -> Heard {
    let there = Direction::of(own.loss_in, own.jitter_ms).and(far.and_then(out));
    let here =
        out(own).unwrap_or_default().and(far.map(|far| Direction::of(far.loss_in, far.jitter_ms)));
    let rtt_ms = own.rtt_ms.unwrap_or(0.0) + far.and_then(|far| far.rtt_ms).unwrap_or(0.0);
    let codec = far.map_or(own.codec, |far| far.codec);
    let score = |way: Direction| mos(codec, way.loss, rtt_ms / 2.0 + way.jitter_ms + BUFFER_MS);
    let worse = if score(there) < score(here) - CLEARLY { there } else { here };
    Heard { mos: score(worse), loss: worse.loss, jitter_ms: worse.jitter_ms, rtt_ms }
}

fn out(quality: &Quality) -> Option<Direction> {
    quality.loss_out.map(|loss| Direction::of(loss, quality.jitter_out_ms.unwrap_or(0.0)))
}

/// One direction of a call, over one hop or more.
#[derive(Clone, Copy, Default)]
struct Direction {
    loss: f32,
    jitter_ms: f32,
}

impl Direction {
    const fn of(loss: f32, jitter_ms: f32) -> Self {
        Self { loss, jitter_ms }
    }

    /// Both hops one after the other. The relay keeps the gaps in a stream, so that what the first
    /// hop lost is missing at the end of the second too: it must not be counted twice. The worse
    /// of the two stands until the far end has reported.
    fn and(self, next: Option<Self>) -> Self {
        let next = next.unwrap_or_default();
        Self { loss: self.loss.max(next.loss), jitter_ms: self.jitter_ms.max(next.jitter_ms) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn perfect() -> Quality {
        Quality {
            loss_in: 0.0,
            loss_out: Some(0.0),
            jitter_ms: 1.0,
            jitter_out_ms: Some(1.0),
            rtt_ms: Some(2.0),
            codec: QualityCodec::G711,
        }
    }

    #[test]
    fn a_perfect_call_scores_what_the_model_allows_at_most() {
        let heard = heard(&perfect(), Some(&perfect()));
        assert!((4.3..=4.45).contains(&heard.mos), "{}", heard.mos);
        assert!(heard.loss.abs() < 1e-6);
    }

    #[test]
    fn five_percent_lost_on_one_hop_is_five_percent_and_costs_opinion() {
        let lossy = Quality { loss_in: 0.05, ..perfect() };
        for (own, far) in [(lossy, perfect()), (perfect(), lossy)] {
            let heard = heard(&own, Some(&far));
            assert!((heard.loss - 0.05).abs() < 1e-4, "{}", heard.loss);
            assert!((3.5..4.2).contains(&heard.mos), "{}", heard.mos);
        }
    }

    #[test]
    fn figures_of_the_model_worked_out_by_hand_are_met() {
        // R = 93.2 - 0.024 x 150 = 89.6, and R = 93.2 - 95 x 5 / 30.1 = 77.4, in Annex B.
        assert!((mos(QualityCodec::G711, 0.0, 150.0) - 4.328).abs() < 0.01);
        assert!((mos(QualityCodec::G711, 0.05, 0.0) - 3.921).abs() < 0.01);
    }

    #[test]
    fn what_the_first_hop_lost_and_the_last_reports_again_is_counted_once() {
        let (own, far) =
            (Quality { loss_out: Some(0.06), ..perfect() }, Quality { loss_in: 0.05, ..perfect() });
        assert!((heard(&own, Some(&far)).loss - 0.06).abs() < 1e-6);
    }

    #[test]
    fn the_score_falls_with_loss_and_delay_and_stays_in_its_range() {
        let mut last = 5.0;
        for percent in 0u8..=100 {
            let score = mos(QualityCodec::Opus, f32::from(percent) / 100.0, 50.0);
            assert!((1.0..=last).contains(&score));
            last = score;
        }
        assert!(mos(QualityCodec::G711, 0.0, 400.0) < mos(QualityCodec::G711, 0.0, 100.0));
    }
}
