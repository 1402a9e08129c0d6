//! Master keys and what is derived from them (RFC 3711 §4.3, RFC 6188 §3, RFC 7714 §11).
//!
//! ```text
//!  SDES line, DTLS exporter --> MasterKey --AES-CM PRF--> SessionKeys of RTP  (labels 0, 1, 2)
//!                                                    +--> SessionKeys of RTCP (labels 3, 4, 5)
//! ```
//!
//! The key derivation rate is always 0: no signalling of ours can negotiate another.

use std::fmt;

use aes::cipher::{Block, BlockEncrypt, KeyInit};
use aes::{Aes128, Aes256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::suite::Suite;

/// The longest key of any suite.
const MAX_KEY_BYTES: usize = 32;
/// The longest salt of any suite, and what shorter ones are filled up to for derivation
/// (RFC 7714 §11).
const MAX_SALT_BYTES: usize = 14;
/// HMAC-SHA1's key (RFC 3711 §5.2).
const HMAC_KEY_BYTES: usize = 20;

/// Key and salt of one direction, as agreed; wiped when dropped, and never printed.
#[derive(Clone)]
pub struct MasterKey {
    suite: Suite,
    key: Zeroizing<[u8; MAX_KEY_BYTES]>,
    salt: Zeroizing<[u8; MAX_SALT_BYTES]>,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").field("suite", &self.suite).finish_non_exhaustive()
    }
}

impl MasterKey {
    /// Takes key and salt of exactly the suite's lengths; `None` for any other.
    pub fn new(suite: Suite, key: &[u8], salt: &[u8]) -> Option<Self> {
        if key.len() != suite.key_bytes() || salt.len() != suite.salt_bytes() {
            return None;
        }
        let mut master = Self { suite, key: Zeroizing::default(), salt: Zeroizing::default() };
        master.key[..key.len()].copy_from_slice(key);
        master.salt[..salt.len()].copy_from_slice(salt);
        Some(master)
    }

    /// Takes key and salt in one piece, as an `a=crypto` line has them (RFC 4568 §6.1); `None` if
    /// the length is wrong.
    pub fn from_inline(suite: Suite, key_and_salt: &[u8]) -> Option<Self> {
        let (key, salt) = key_and_salt.split_at_checked(suite.key_bytes())?;
        Self::new(suite, key, salt)
    }

    /// Makes a fresh key; `random` must fill its argument from the system's generator.
    pub fn generate(suite: Suite, random: &mut dyn FnMut(&mut [u8])) -> Self {
        let mut master = Self { suite, key: Zeroizing::default(), salt: Zeroizing::default() };
        random(&mut master.key[..suite.key_bytes()]);
        random(&mut master.salt[..suite.salt_bytes()]);
        master
    }

    /// Splits what the DTLS exporter gave for `EXTRACTOR-dtls_srtp` into the keys the client and
    /// the server write with, in this order (RFC 5764 §4.2); `None` unless it is
    /// [`Suite::exporter_bytes`] long.
    pub fn from_exporter(suite: Suite, material: &[u8]) -> Option<(Self, Self)> {
        if material.len() != suite.exporter_bytes() {
            return None;
        }
        let (keys, salts) = material.split_at(2 * suite.key_bytes());
        let (client_key, server_key) = keys.split_at(suite.key_bytes());
        let (client_salt, server_salt) = salts.split_at(suite.salt_bytes());
        Some((
            Self::new(suite, client_key, client_salt)?,
            Self::new(suite, server_key, server_salt)?,
        ))
    }

    /// The suite this key is for.
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// Key and salt in one piece, for an `a=crypto` line.
    pub fn to_inline(&self) -> Zeroizing<Vec<u8>> {
        let (key, salt) =
            (&self.key[..self.suite.key_bytes()], &self.salt[..self.suite.salt_bytes()]);
        Zeroizing::new([key, salt].concat())
    }

    /// Whether both are the same key for the same suite; takes equally long wherever they differ.
    pub fn is_same(&self, other: &Self) -> bool {
        let is_equal = self.key.ct_eq(&*other.key) & self.salt.ct_eq(&*other.salt);
        self.suite == other.suite && bool::from(is_equal)
    }

    /// The session keys for RTP (RFC 3711 §4.3.1).
    pub(super) fn rtp_keys(&self) -> SessionKeys {
        self.derive(0)
    }

    /// The session keys for RTCP (RFC 3711 §4.3.2).
    pub(super) fn rtcp_keys(&self) -> SessionKeys {
        self.derive(3)
    }

    fn derive(&self, first_label: u8) -> SessionKeys {
        let mut keys = SessionKeys {
            suite: self.suite,
            cipher: Zeroizing::default(),
            tag: Zeroizing::default(),
            salt: Zeroizing::default(),
        };
        self.expand(first_label, &mut keys.cipher[..self.suite.key_bytes()]);
        self.expand(first_label + 1, &mut keys.tag[..]);
        self.expand(first_label + 2, &mut keys.salt[..self.suite.salt_bytes()]);
        keys
    }

    /// AES in counter mode as pseudo-random function (RFC 3711 §4.3.3), with the master key's own
    /// length of AES (RFC 6188 §3); the label meets the salt in byte 7, since the index is 0 at
    /// derivation rate 0.
    fn expand(&self, label: u8, out: &mut [u8]) {
        let mut counter = Zeroizing::new([0u8; 16]);
        counter[..MAX_SALT_BYTES].copy_from_slice(&self.salt[..]);
        counter[7] ^= label;
        match self.suite.key_bytes() {
            16 => expand_with(&block_cipher::<Aes128>(&self.key[..16]), &mut counter, out),
            _ => expand_with(&block_cipher::<Aes256>(&self.key[..]), &mut counter, out),
        }
    }
}

fn block_cipher<C: KeyInit>(key: &[u8]) -> C {
    C::new_from_slice(key).expect("the suite's key length is this cipher's")
}

fn expand_with<C: BlockEncrypt>(cipher: &C, counter: &mut [u8; 16], out: &mut [u8]) {
    for (number, chunk) in (0u8..).zip(out.chunks_mut(16)) {
        counter[15] = number;
        let mut block = Block::<C>::clone_from_slice(&counter[..]);
        cipher.encrypt_block(&mut block);
        chunk.copy_from_slice(&block[..chunk.len()]);
        zeroize::Zeroize::zeroize(&mut block[..]);
    }
}

/// The derived keys of RTP or RTCP in one direction; wiped when dropped.
pub(super) struct SessionKeys {
    pub(super) suite: Suite,
    cipher: Zeroizing<[u8; MAX_KEY_BYTES]>,
    tag: Zeroizing<[u8; HMAC_KEY_BYTES]>,
    salt: Zeroizing<[u8; MAX_SALT_BYTES]>,
}

impl SessionKeys {
    /// Keys given directly, as the vectors of RFC 7714 do.
    #[cfg(test)]
    pub(super) fn from_parts(suite: Suite, cipher: &[u8], salt: &[u8]) -> Self {
        let master = MasterKey::new(suite, cipher, salt).unwrap();
        Self { suite, cipher: master.key, tag: Zeroizing::default(), salt: master.salt }
    }

    /// The encryption key.
    pub(super) fn cipher(&self) -> &[u8] {
        &self.cipher[..self.suite.key_bytes()]
    }

    /// The authentication key; meaningless for GCM, which has none.
    pub(super) fn tag(&self) -> &[u8; HMAC_KEY_BYTES] {
        &self.tag
    }

    /// The salt, filled with zeros up to 14 bytes.
    pub(super) fn salt(&self) -> &[u8; MAX_SALT_BYTES] {
        &self.salt
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::tests::hex;

    #[test]
    fn keys_of_128_bits_derive_as_in_rfc_3711_appendix_b3() {
        let master = MasterKey::new(
            Suite::AesCm128HmacSha1_80,
            &hex("e1f97a0d3e018be0d64fa32c06de4139"),
            &hex("0ec675ad498afeebb6960b3aabe6"),
        )
        .unwrap();
        let keys = master.rtp_keys();
        assert_eq!(keys.cipher(), hex("c61e7a93744f39ee10734afe3ff7a087"));
        assert_eq!(keys.salt()[..], hex("30cbbc08863d8c85d49db34a9ae1"));
        assert_eq!(keys.tag()[..], hex("cebe321f6ff7716b6fd4ab49af256a156d38baa4"));
    }

    #[test]
    fn keys_of_256_bits_derive_as_in_rfc_6188_section_7_2() {
        let master = MasterKey::new(
            Suite::AesCm256HmacSha1_80,
            &hex("f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6"),
            &hex("3b04803de51ee7c96423ab5b78d2"),
        )
        .unwrap();
        let keys = master.rtp_keys();
        assert_eq!(
            keys.cipher(),
            hex("5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4")
        );
        assert_eq!(keys.salt()[..], hex("fa31791685ca444a9e07c6c64e93"));
        assert_eq!(keys.tag()[..], hex("fd9c32d39ed5fbb5a9dc96b30818454d1313dc05"));
    }

    #[test]
    fn a_key_of_the_wrong_length_is_refused_for_every_suite() {
        for suite in Suite::PREFERRED {
            let right = suite.key_bytes() + suite.salt_bytes();
            for bytes in 0..64 {
                let made = MasterKey::from_inline(suite, &vec![7; bytes]);
                assert_eq!(made.is_some(), bytes == right, "{suite:?} with {bytes} bytes");
            }
        }
    }

    #[test]
    fn the_exporter_gives_both_keys_before_both_salts() {
        let suite = Suite::AeadAes128Gcm;
        let material: Vec<u8> = (0..56).collect();
        let (client, server) = MasterKey::from_exporter(suite, &material).unwrap();
        assert_eq!(client.to_inline()[..], [&material[..16], &material[32..44]].concat());
        assert_eq!(server.to_inline()[..], [&material[16..32], &material[44..]].concat());
        assert!(MasterKey::from_exporter(suite, &material[1..]).is_none());
    }

    #[test]
    fn printing_a_key_shows_no_byte_of_it() {
        let master = MasterKey::generate(Suite::AeadAes256Gcm, &mut |bytes| bytes.fill(0xa5));
        let text = format!("{master:?}");
        assert!(!text.contains("165") && !text.to_lowercase().contains("a5"), "{text}");
    }
}
