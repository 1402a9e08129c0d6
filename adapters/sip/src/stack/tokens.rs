//! Unguessable text for branches, tags, Call-IDs and cnonces (RFC 3261 §19.3).
//!
//! Randomness enters once, as a key; what leaves is HMAC-SHA-256 over a counter.

use std::fmt;

use ring::hmac;

/// Makes tokens. Two made with the same key make the same tokens.
pub struct Tokens {
    key: hmac::Key,
    count: u64,
}

impl Tokens {
    /// Takes 32 random bytes.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &seed), count: 0 }
    }

    /// The next token: 96 bits as 24 hexadecimal digits.
    pub fn token(&mut self) -> String {
        self.count += 1;
        let tag = hmac::sign(&self.key, &self.count.to_be_bytes());
        hex(&tag.as_ref()[..12])
    }

    /// A number below `bound`, for jitter.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.count += 1;
        let tag = hmac::sign(&self.key, &self.count.to_be_bytes());
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&tag.as_ref()[..8]);
        u64::from_be_bytes(bytes) % bound.max(1)
    }

    /// A generator of its own for another part.
    pub fn fork(&mut self) -> Self {
        self.count += 1;
        let tag = hmac::sign(&self.key, &[&self.count.to_be_bytes()[..], b"fork"].concat());
        let mut seed = [0; 32];
        seed.copy_from_slice(tag.as_ref());
        Self::new(seed)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
        .collect()
}
