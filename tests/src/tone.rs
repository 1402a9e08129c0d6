//! Makes the sound that peers speak: plain tones, a different one for each side of a call.

use std::f32::consts::TAU;
use std::path::PathBuf;

use crate::namespace::Net;
use crate::wav::Sound;

/// A quarter of full scale, far above any comfort noise and far below clipping.
const LEVEL: f32 = 0.25;

/// Makes a tone of `hz` at `rate_hz` samples a second.
pub fn tone(hz: u32, rate_hz: u32, seconds: f32) -> Sound {
    let count = (seconds * rate_hz as f32) as u32;
    let step = f64::from(hz) / f64::from(rate_hz);
    // In f64 and modulo one turn: an f32 phase would wander audibly within a minute.
    let samples =
        (0..count).map(|at| ((f64::from(at) * step).fract() as f32 * TAU).sin() * LEVEL).collect();
    Sound { rate_hz, samples }
}

/// Writes a minute of tone into the test's folder, in whole seconds so that it loops smoothly.
pub fn tone_file(net: &Net, hz: u32, rate_hz: u32) -> PathBuf {
    net.write(format!("tone-{hz}-{rate_hz}.wav"), tone(hz, rate_hz, 60.0).render())
}
