//! Bad input, the same in every run: random bytes, and good messages with a few bytes wrong.

/// A small generator (xorshift64*), seeded, so that what broke something breaks it again.
#[derive(Clone, Debug)]
pub struct Noise(u64);

impl Noise {
    /// Returns a generator; the same seed gives the same noise.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Returns a number below `bound`, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize;
        high % bound
    }

    /// Returns up to `most` random bytes.
    pub fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most) + 1;
        (0..length).map(|_| self.below(256) as u8).collect()
    }

    /// Returns `good` with some bytes changed, dropped, doubled or cut off.
    pub fn mutated(&mut self, good: &[u8]) -> Vec<u8> {
        let mut bytes = good.to_vec();
        for _ in 0..=self.below(6) {
            if bytes.is_empty() {
                break;
            }
            let at = self.below(bytes.len());
            match self.below(6) {
                0 => bytes[at] = self.below(256) as u8,
                1 => bytes[at] ^= 1 << self.below(8),
                2 => drop(bytes.remove(at)),
                3 => bytes.truncate(at),
                4 => {
                    let end = (at + self.below(64) + 1).min(bytes.len());
                    let piece = bytes[at..end].to_vec();
                    bytes.splice(at..at, piece);
                }
                _ => {
                    let number = b"4294967296999999999";
                    bytes.splice(at..at, number[..self.below(number.len())].iter().copied());
                }
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_noise() {
        let draw = |seed| {
            let mut noise = Noise::new(seed);
            (noise.bytes(50), noise.mutated(b"INVITE sip:bob SIP/2.0"))
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
