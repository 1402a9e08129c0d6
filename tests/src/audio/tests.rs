use super::*;
use crate::tone::tone;

fn verdict(sound: &Sound, hz: u32) -> Option<String> {
    complaint(&measure(sound), &Demand::tone(hz, 2.0))
}

fn noise(count: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state as f32 / u32::MAX as f32 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn a_clean_tone_passes_at_every_sample_rate() {
    for rate_hz in [8_000, 16_000, 48_000] {
        let heard = measure(&tone(660, rate_hz, 3.0));
        assert_eq!(complaint(&heard, &Demand::tone(660, 2.9)), None, "{heard:?}");
        assert_eq!(heard.gaps, 0);
    }
}

#[test]
fn a_tone_that_survived_ulaw_passes() {
    let bytes: Vec<u8> = tone(660, 8_000, 3.0).samples.iter().map(|s| ulaw_of(*s)).collect();
    assert_eq!(verdict(&Sound::from_ulaw(&bytes), 660), None);
}

#[test]
fn the_wrong_tone_is_refused() {
    let why = verdict(&tone(440, 8_000, 3.0), 660).unwrap();
    assert!(why.contains("heard 440"), "{why}");
}

#[test]
fn silence_and_too_little_sound_are_refused() {
    let silence = Sound { rate_hz: 8_000, samples: vec![0.0; 24_000] };
    assert!(verdict(&silence, 660).unwrap().contains("only 0.00 s"));
    assert!(verdict(&tone(660, 8_000, 1.0), 660).unwrap().contains("only 1.00 s"));
    assert_silent(&silence, "silence");
}

#[test]
fn noise_is_refused() {
    let sound = Sound { rate_hz: 8_000, samples: noise(24_000) };
    assert!(verdict(&sound, 660).is_some());
}

#[test]
fn a_tone_under_loud_noise_is_refused() {
    let mut sound = tone(660, 8_000, 3.0);
    for (sample, noise) in sound.samples.iter_mut().zip(noise(24_000)) {
        *sample += noise;
    }
    assert!(verdict(&sound, 660).unwrap().contains("over the rest"));
}

#[test]
fn gaps_are_counted_and_refused() {
    let mut sound = tone(660, 8_000, 4.0);
    for gap in [8_000, 16_000] {
        sound.samples[gap..gap + 1_600].fill(0.0);
    }
    let heard = measure(&sound);
    assert_eq!(heard.gaps, 2);
    assert!((heard.gaps_s - 0.4).abs() < 0.05);
    assert!(verdict(&sound, 660).is_some());
    assert_eq!(complaint(&heard, &Demand::tone(660, 3.9).with_gaps(0.2)), None);
}

#[test]
fn a_recording_shifted_in_pitch_is_refused() {
    let mut sound = tone(660, 8_000, 3.0);
    sound.rate_hz = 8_200;
    assert!(verdict(&sound, 660).is_some());
}

#[test]
#[should_panic(expected = "is not silent")]
fn a_tone_is_not_silence() {
    assert_silent(&tone(660, 8_000, 1.0), "a tone");
}

/// ITU-T G.711 u-law, by search: slow, but plainly the inverse of the decoder.
fn ulaw_of(sample: f32) -> u8 {
    (0..=255_u8)
        .min_by(|one, other| distance(*one, sample).total_cmp(&distance(*other, sample)))
        .unwrap()
}

fn distance(byte: u8, sample: f32) -> f32 {
    (Sound::from_ulaw(&[byte]).samples[0] - sample).abs()
}
