//! Reads the WAV files that phones record, also those whose header was never finished because the
//! phone was stopped (data size 0 or 0xFFFFFFFF), and writes plain ones.
//!
//! ```text
//!   RIFF <size> WAVE | fmt <16..> tag channels rate .. bits | ... | data <size> samples
//! ```

use std::fs;
use std::path::Path;

/// Sound: one channel of samples between -1 and 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    /// Samples a second.
    pub rate_hz: u32,
    /// The first channel.
    pub samples: Vec<f32>,
}

impl Sound {
    /// Reads a WAV file of 16-bit PCM, float, u-law or A-law.
    pub fn read(path: &Path) -> Result<Self, String> {
        let bytes = fs::read(path).map_err(|why| format!("{}: {why}", path.display()))?;
        Self::parse(&bytes).map_err(|why| format!("{}: {why}", path.display()))
    }

    /// Parses the bytes of a WAV file.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() < 12 || &bytes[..4] != b"RIFF" || &bytes[8..12] != b"WAVE" {
            return Err(format!("not a WAV file ({} bytes)", bytes.len()));
        }
        let mut rest = &bytes[12..];
        let mut format = None;
        while rest.len() >= 8 {
            let size = le_u32(&rest[4..]) as usize;
            let (id, body) = (&rest[..4], &rest[8..]);
            if id == b"data" {
                let format: Format = format.ok_or("no fmt chunk before the data")?;
                let is_unfinished = size == 0 || size > body.len();
                return format.decode(if is_unfinished { body } else { &body[..size] });
            }
            if id == b"fmt " {
                format = Some(Format::parse(body)?);
            }
            rest = body.get(size + size % 2..).unwrap_or_default();
        }
        Err("no data chunk".into())
    }

    /// Renders 16-bit PCM.
    pub fn render(&self) -> Vec<u8> {
        let size = u32::try_from(self.samples.len() * 2).expect("tests record minutes, not days");
        let mut bytes = Vec::with_capacity(44 + self.samples.len() * 2);
        bytes.extend(b"RIFF");
        bytes.extend((36 + size).to_le_bytes());
        bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
        bytes.extend(self.rate_hz.to_le_bytes());
        bytes.extend((self.rate_hz * 2).to_le_bytes());
        bytes.extend(b"\x02\0\x10\0data");
        bytes.extend(size.to_le_bytes());
        for sample in &self.samples {
            // In range after the clamp; the fraction below one step is meant to go.
            bytes.extend(((sample.clamp(-1.0, 1.0) * 32_767.0) as i16).to_le_bytes());
        }
        bytes
    }

    /// Makes sound of 8 kHz from u-law bytes (ITU-T G.711), as PCMU carries them.
    pub fn from_ulaw(bytes: &[u8]) -> Self {
        Self { rate_hz: 8_000, samples: bytes.iter().map(|byte| ulaw(*byte)).collect() }
    }

    /// Makes sound of 8 kHz from A-law bytes (ITU-T G.711), as PCMA carries them.
    pub fn from_alaw(bytes: &[u8]) -> Self {
        Self { rate_hz: 8_000, samples: bytes.iter().map(|byte| alaw(*byte)).collect() }
    }

    /// Returns the length in seconds.
    pub fn seconds(&self) -> f32 {
        self.samples.len() as f32 / self.rate_hz as f32
    }

    /// Returns the part after the first `seconds`.
    pub fn after(&self, seconds: f32) -> Self {
        let skipped = ((seconds * self.rate_hz as f32) as usize).min(self.samples.len());
        Self { rate_hz: self.rate_hz, samples: self.samples[skipped..].to_vec() }
    }

    /// Returns the first `seconds`.
    pub fn first(&self, seconds: f32) -> Self {
        let kept = ((seconds * self.rate_hz as f32) as usize).min(self.samples.len());
        Self { rate_hz: self.rate_hz, samples: self.samples[..kept].to_vec() }
    }
}

struct Format {
    tag: u16,
    channels: usize,
    rate_hz: u32,
    bits: u16,
}

impl Format {
    fn parse(body: &[u8]) -> Result<Self, String> {
        if body.len() < 16 {
            return Err("a short fmt chunk".into());
        }
        let mut tag = le_u16(body);
        // WAVE_FORMAT_EXTENSIBLE: the true tag begins the sub-format GUID.
        if tag == 0xFFFE && body.len() >= 26 {
            tag = le_u16(&body[24..]);
        }
        let channels = usize::from(le_u16(&body[2..])).max(1);
        Ok(Self { tag, channels, rate_hz: le_u32(&body[4..]), bits: le_u16(&body[14..]) })
    }

    fn decode(&self, data: &[u8]) -> Result<Sound, String> {
        let decode: fn(&[u8]) -> f32 = match (self.tag, self.bits) {
            (1, 16) => |sample| f32::from(le_u16(sample).cast_signed()) / 32_768.0,
            (3, 32) => |sample| f32::from_bits(le_u32(sample)),
            (6, 8) => |sample| alaw(sample[0]),
            (7, 8) => |sample| ulaw(sample[0]),
            (tag, bits) => return Err(format!("format {tag} of {bits} bits is not known")),
        };
        let width = usize::from(self.bits / 8);
        let samples = data.chunks_exact(width * self.channels).map(decode).collect();
        Ok(Sound { rate_hz: self.rate_hz, samples })
    }
}

fn ulaw(byte: u8) -> f32 {
    let byte = !byte;
    let exponent = (byte >> 4) & 7;
    let magnitude = ((i32::from(byte & 15) << 3) + 0x84) << exponent;
    let value = (magnitude - 0x84) as f32 / 32_768.0;
    if byte & 0x80 == 0 { value } else { -value }
}

fn alaw(byte: u8) -> f32 {
    let byte = byte ^ 0x55;
    let exponent = (byte >> 4) & 7;
    let mantissa = i32::from(byte & 15) << 4;
    let magnitude = if exponent == 0 { mantissa + 8 } else { (mantissa + 0x108) << (exponent - 1) };
    let value = magnitude as f32 / 32_768.0;
    if byte & 0x80 == 0 { -value } else { value }
}

fn le_u16(bytes: &[u8]) -> u16 {
    u16::from_le_bytes([bytes[0], bytes[1]])
}

fn le_u32(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::tone;

    #[test]
    fn what_is_written_is_read_again() {
        let sound = tone(440, 8_000, 0.1);
        let again = Sound::parse(&sound.render()).unwrap();
        assert_eq!(again.rate_hz, 8_000);
        assert_eq!(again.samples.len(), 800);
        assert!(again.samples.iter().zip(&sound.samples).all(|(a, b)| (a - b).abs() < 0.001));
    }

    #[test]
    fn a_header_that_was_never_finished_still_gives_all_samples() {
        for size in [0_u32, u32::MAX] {
            let mut bytes = tone(440, 8_000, 0.1).render();
            bytes[40..44].copy_from_slice(&size.to_le_bytes());
            assert_eq!(Sound::parse(&bytes).unwrap().samples.len(), 800);
        }
    }

    #[test]
    fn what_is_no_wav_file_is_refused_with_a_reason() {
        assert!(Sound::parse(b"").unwrap_err().contains("not a WAV"));
        assert!(Sound::parse(b"RIFF\0\0\0\0WAVE").unwrap_err().contains("no data"));
    }

    #[test]
    fn g711_gives_silence_and_full_scale() {
        assert_eq!(ulaw(0xFF), 0.0);
        assert!((ulaw(0x80) - 0.98).abs() < 0.01 && (ulaw(0x00) + 0.98).abs() < 0.01);
        assert!(alaw(0xD5).abs() < 0.001);
        assert!((alaw(0xAA) - 0.98).abs() < 0.01 && (alaw(0x2A) + 0.98).abs() < 0.01);
    }
}
