//! Judges what was heard: how long, how loud, which tone, how clean, with how many gaps.
//!
//! ```text
//!  Sound --20 ms frames--> active part --FFT--> dominant tone and its distance to all the rest
//!                              `--silent frames inside--> dropouts
//! ```

use std::path::Path;

use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

use crate::wav::Sound;

/// Everything this near to the strongest line counts as the tone itself.
const TONE_WIDTH_HZ: f32 = 12.0;
/// Below this lies what a codec makes of silence.
const SILENCE_DBFS: f32 = -50.0;
/// A frame this far under the loud ones is a gap.
const GAP_DB: f32 = 25.0;

/// What a recording holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heard {
    /// From the first to the last loud frame.
    pub active_s: f32,
    /// When the first loud frame begins.
    pub from_s: f32,
    /// Root mean square of everything, relative to full scale.
    pub level_dbfs: f32,
    /// The strongest frequency of the active part.
    pub tone_hz: f32,
    /// Power of that tone over the power of all else, from 60 Hz up.
    pub purity_db: f32,
    /// Number of gaps inside the active part.
    pub gaps: usize,
    /// Length of all gaps together.
    pub gaps_s: f32,
}

/// What a test demands of a recording.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    /// The tone the far side spoke.
    pub tone_hz: f32,
    /// How far from it the strongest frequency may lie.
    pub tolerance_hz: f32,
    /// The least power of the tone over all else.
    pub purity_db: f32,
    /// The least length.
    pub active_s: f32,
    /// The largest share of the active part that may be gaps.
    pub gaps_share: f32,
}

impl Demand {
    /// Returns what every call is held to: `hz` for `seconds`, clean, at most 5 % gaps.
    pub fn tone(hz: u32, seconds: f32) -> Self {
        Self {
            tone_hz: hz as f32,
            tolerance_hz: 6.0,
            purity_db: 12.0,
            active_s: seconds,
            gaps_share: 0.05,
        }
    }

    /// Accepts a call that was interrupted on purpose.
    pub fn with_gaps(self, share: f32) -> Self {
        Self { gaps_share: share, purity_db: 6.0, ..self }
    }
}

/// Measures a recording.
pub fn measure(sound: &Sound) -> Heard {
    let hop = (sound.rate_hz / 50).max(1) as usize;
    let levels: Vec<f32> = sound.samples.chunks_exact(hop).map(level_dbfs).collect();
    let floor = SILENCE_DBFS.max(loud_level(&levels) - GAP_DB);
    let loud: Vec<bool> = levels.iter().map(|level| *level > floor).collect();
    let level = level_dbfs(&sound.samples);
    let (Some(first), Some(last)) =
        (loud.iter().position(|is| *is), loud.iter().rposition(|is| *is))
    else {
        return Heard {
            active_s: 0.0,
            from_s: 0.0,
            level_dbfs: level,
            tone_hz: 0.0,
            purity_db: f32::NEG_INFINITY,
            gaps: 0,
            gaps_s: 0.0,
        };
    };
    let active = &loud[first..=last];
    let silent = active.iter().filter(|is| !**is).count();
    let part = &sound.samples[first * hop..(last + 1) * hop];
    let (tone_hz, purity_db) = dominant(part, sound.rate_hz);
    Heard {
        active_s: active.len() as f32 * 0.02,
        from_s: first as f32 * 0.02,
        level_dbfs: level,
        tone_hz,
        purity_db,
        gaps: active.windows(2).filter(|pair| pair[0] && !pair[1]).count(),
        gaps_s: silent as f32 * 0.02,
    }
}

/// Says what is wrong with a recording, if anything.
pub fn complaint(heard: &Heard, demand: &Demand) -> Option<String> {
    let why = if heard.active_s < demand.active_s {
        format!("only {:.2} s of sound, wanted {:.2} s", heard.active_s, demand.active_s)
    } else if (heard.tone_hz - demand.tone_hz).abs() > demand.tolerance_hz {
        format!("heard {:.1} Hz, wanted {:.1} Hz", heard.tone_hz, demand.tone_hz)
    } else if heard.purity_db < demand.purity_db {
        format!("the tone is only {:.1} dB over the rest", heard.purity_db)
    } else if heard.gaps_s > demand.gaps_share * heard.active_s {
        format!("{} gaps of {:.2} s together", heard.gaps, heard.gaps_s)
    } else {
        return None;
    };
    Some(why)
}

/// Panics unless the recording at `path` fulfils `demand`; returns what it holds.
#[track_caller]
pub fn assert_heard(path: &Path, demand: Demand) -> Heard {
    let sound = Sound::read(path).unwrap_or_else(|why| panic!("nothing was recorded: {why}"));
    assert_sound(&sound, &path.display().to_string(), demand)
}

/// Panics unless `sound`, called `name` in messages, fulfils `demand`; returns what it holds.
#[track_caller]
pub fn assert_sound(sound: &Sound, name: &str, demand: Demand) -> Heard {
    let heard = measure(sound);
    if let Some(why) = complaint(&heard, &demand) {
        panic!("{name}: {why}: {heard:?}");
    }
    heard
}

/// Panics unless nothing can be heard.
#[track_caller]
pub fn assert_silent(sound: &Sound, name: &str) {
    let heard = measure(sound);
    assert!(heard.active_s < 0.06, "{name} is not silent: {heard:?}");
}

/// Returns the strongest frequency in `samples` and its power over all the rest.
pub fn dominant(samples: &[f32], rate_hz: u32) -> (f32, f32) {
    let count = samples.len();
    let mut buffer: Vec<Complex<f32>> = samples
        .iter()
        .enumerate()
        .map(|(at, sample)| Complex::new(sample * hann(at, count), 0.0))
        .collect();
    FftPlanner::new().plan_fft_forward(count).process(&mut buffer);
    let step_hz = rate_hz as f32 / count as f32;
    let lowest = (60.0 / step_hz).ceil() as usize;
    let power: Vec<f64> = buffer[..count / 2].iter().map(|bin| f64::from(bin.norm_sqr())).collect();
    let Some((peak, _)) =
        power.iter().enumerate().skip(lowest).max_by(|one, other| one.1.total_cmp(other.1))
    else {
        return (0.0, f32::NEG_INFINITY);
    };
    let width = ((TONE_WIDTH_HZ / step_hz) as usize).max(2);
    let near = &power[peak.saturating_sub(width).max(lowest)..(peak + width + 1).min(power.len())];
    let tone: f64 = near.iter().sum();
    let rest: f64 = power[lowest..].iter().sum::<f64>() - tone;
    let purity_db = 10.0 * (tone / rest.max(1e-12)).log10();
    (peak as f32 * step_hz, purity_db as f32)
}

fn hann(at: usize, count: usize) -> f32 {
    let turn = at as f32 / count as f32 * std::f32::consts::TAU;
    0.5 - 0.5 * turn.cos()
}

fn level_dbfs(samples: &[f32]) -> f32 {
    let power: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    let mean = power / samples.len().max(1) as f64;
    (10.0 * (mean + 1e-18).log10()) as f32
}

/// Returns the level that nine of ten frames stay under.
fn loud_level(levels: &[f32]) -> f32 {
    let mut sorted = levels.to_vec();
    sorted.sort_by(f32::total_cmp);
    sorted.get(sorted.len() * 9 / 10).copied().unwrap_or(f32::NEG_INFINITY)
}

#[cfg(test)]
mod tests;
