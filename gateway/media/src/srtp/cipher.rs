//! The ciphers of SRTP over one packet in place: no state, no judgement about indices.
//!
//! ```text
//! RTP,  CM:   header | payload encrypted | tag over both and the roll-over counter (RFC 3711 §4.2)
//! RTP,  GCM:  header | payload encrypted | tag over both                           (RFC 7714 §8)
//! RTCP, CM:   8 bytes | rest encrypted | E, index | tag over all before            (RFC 3711 §3.4)
//! RTCP, GCM:  8 bytes | rest encrypted | tag over all | E, index                   (RFC 7714 §9)
//! ```
//!
//! `aes` 0.8 on purpose: for the ten blocks of a voice packet its successor 0.9, which prepares for
//! messages of kilobytes, takes more than twice the time.
//!
//! Tags are compared in constant time, by `hmac` and `ring`. AES and HMAC states are wiped on drop;
//! `ring` offers no such thing for its GCM keys.

use std::hint::black_box;

use aes::cipher::consts::U16;
use aes::cipher::{
    BlockCipher, BlockEncrypt, BlockSizeUser, InnerIvInit, KeyInit as _, StreamCipherCore,
};
use aes::{Aes128Enc, Aes256Enc};
use ctr::CtrCore;
use ctr::flavors::Ctr128BE;
use hmac::{Hmac, KeyInit as _, Mac};
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};
use sha1::Sha1;
use zeroize::Zeroizing;

use super::keys::SessionKeys;
use super::suite::Suite;

/// The part of an RTCP packet that stays readable: its header and the sender's SSRC
/// (RFC 3711 §3.4).
pub(super) const RTCP_CLEAR_BYTES: usize = 8;
/// The word with the E flag and the SRTCP index (RFC 3711 §3.4).
pub(super) const INDEX_BYTES: usize = 4;
/// The E flag: this packet is encrypted.
pub(super) const ENCRYPTED_FLAG: u32 = 1 << 31;
/// The tag of SRTCP is never cut below 80 bits.
const RTCP_TAG_BYTES: usize = 10;
/// GCM's tag; RFC 7714 §13.2 knows no shorter one.
const GCM_TAG_BYTES: usize = 16;

/// The tag is wrong, so the packet is not from whoever holds the key.
#[derive(Debug)]
pub(super) struct WrongTag;

/// A set of session keys, scheduled and ready.
pub(super) struct Transform {
    cipher: Cipher,
    salt: Zeroizing<[u8; 14]>,
}

/// Key schedules, made once.
#[expect(clippy::large_enum_variant, reason = "a packet finds its keys in one piece of memory")]
enum Cipher {
    CounterMode { aes: Aes, hmac: Hmac<Sha1>, rtp_tag_bytes: usize },
    Gcm(LessSafeKey),
}

/// For encryption, which is all that counter mode needs.
#[expect(clippy::large_enum_variant, reason = "a packet finds its keys in one piece of memory")]
enum Aes {
    Bits128(Aes128Enc),
    Bits256(Aes256Enc),
}

impl Transform {
    /// Makes the key schedules.
    pub(super) fn new(keys: &SessionKeys) -> Self {
        let key = keys.cipher();
        let fits = "the suite's key length is this cipher's";
        let counter_mode = |aes| Cipher::CounterMode {
            aes,
            hmac: Hmac::<Sha1>::new_from_slice(keys.tag()).expect("HMAC takes any key"),
            rtp_tag_bytes: keys.suite.rtp_tail_bytes(),
        };
        let gcm = |algorithm| {
            let key =
                UnboundKey::new(algorithm, key).expect("the suite's key length is this cipher's");
            Cipher::Gcm(LessSafeKey::new(key))
        };
        let cipher = match keys.suite {
            Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => {
                counter_mode(Aes::Bits128(Aes128Enc::new_from_slice(key).expect(fits)))
            }
            Suite::AesCm256HmacSha1_80 | Suite::AesCm256HmacSha1_32 => {
                counter_mode(Aes::Bits256(Aes256Enc::new_from_slice(key).expect(fits)))
            }
            Suite::AeadAes128Gcm => gcm(&AES_128_GCM),
            Suite::AeadAes256Gcm => gcm(&AES_256_GCM),
        };
        Self { cipher, salt: Zeroizing::new(*keys.salt()) }
    }

    /// Fetches the key schedules into the caches.
    #[inline]
    pub(super) fn touch(&self) {
        match &self.cipher {
            Cipher::CounterMode { aes, rtp_tag_bytes, .. } => {
                black_box(*rtp_tag_bytes);
                aes.touch();
            }
            // Of `ring`'s key nothing can be read but by using it.
            Cipher::Gcm(_) => {}
        }
        black_box(self.salt[0]);
    }

    /// Fetches the key pads into the caches.
    #[inline]
    pub(super) fn touch_pads(&self) {
        if let Cipher::CounterMode { hmac, .. } = &self.cipher {
            black_box(hmac.clone());
        }
    }

    /// Seals the first `length` bytes of `packet`, which has room for the tag, and returns the new
    /// length.
    pub(super) fn seal_rtp(
        &self,
        packet: &mut [u8],
        length: usize,
        header_bytes: usize,
        ssrc: u32,
        index: u64,
    ) -> usize {
        let (clear, tail) = packet.split_at_mut(length);
        match &self.cipher {
            Cipher::CounterMode { aes, hmac, rtp_tag_bytes } => {
                aes.apply(&self.counter_block(ssrc, index), &mut clear[header_bytes..]);
                let tag = authenticate(hmac, clear, &roll_over(index)).finalize().into_bytes();
                tail[..*rtp_tag_bytes].copy_from_slice(&tag[..*rtp_tag_bytes]);
                length + rtp_tag_bytes
            }
            Cipher::Gcm(key) => {
                let (header, payload) = clear.split_at_mut(header_bytes);
                let tag = seal_gcm(key, self.rtp_nonce(ssrc, index), header, payload);
                tail[..GCM_TAG_BYTES].copy_from_slice(tag.as_ref());
                length + GCM_TAG_BYTES
            }
        }
    }

    /// Opens a whole SRTP packet, longer than header and tag, and returns the clear length.
    ///
    /// After an error the payload is undefined.
    pub(super) fn open_rtp(
        &self,
        packet: &mut [u8],
        header_bytes: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<usize, WrongTag> {
        match &self.cipher {
            Cipher::CounterMode { aes, hmac, rtp_tag_bytes } => {
                let length = packet.len() - rtp_tag_bytes;
                let (sealed, tag) = packet.split_at_mut(length);
                authenticate(hmac, sealed, &roll_over(index))
                    .verify_truncated_left(tag)
                    .map_err(|_| WrongTag)?;
                aes.apply(&self.counter_block(ssrc, index), &mut sealed[header_bytes..]);
                Ok(length)
            }
            Cipher::Gcm(key) => {
                let (header, payload_and_tag) = packet.split_at_mut(header_bytes);
                let nonce = Nonce::assume_unique_for_key(self.rtp_nonce(ssrc, index));
                let payload = key
                    .open_in_place(nonce, Aad::from(header), payload_and_tag)
                    .map_err(|_| WrongTag)?;
                Ok(header_bytes + payload.len())
            }
        }
    }

    /// Seals the first `length` bytes of `packet`, at least [`RTCP_CLEAR_BYTES`], which has room
    /// for tag and index, and returns the new length.
    pub(super) fn seal_rtcp(
        &self,
        packet: &mut [u8],
        length: usize,
        ssrc: u32,
        index: u32,
    ) -> usize {
        let word = (ENCRYPTED_FLAG | index).to_be_bytes();
        let (clear, tail) = packet.split_at_mut(length);
        match &self.cipher {
            Cipher::CounterMode { aes, hmac, .. } => {
                let counter = self.counter_block(ssrc, u64::from(index));
                aes.apply(&counter, &mut clear[RTCP_CLEAR_BYTES..]);
                let tag = authenticate(hmac, clear, &word).finalize().into_bytes();
                tail[..INDEX_BYTES].copy_from_slice(&word);
                tail[INDEX_BYTES..][..RTCP_TAG_BYTES].copy_from_slice(&tag[..RTCP_TAG_BYTES]);
                length + INDEX_BYTES + RTCP_TAG_BYTES
            }
            Cipher::Gcm(key) => {
                let (header, rest) = clear.split_at_mut(RTCP_CLEAR_BYTES);
                let tag =
                    seal_gcm(key, self.rtcp_nonce(ssrc, index), &rtcp_aad(header, word), rest);
                tail[..GCM_TAG_BYTES].copy_from_slice(tag.as_ref());
                tail[GCM_TAG_BYTES..][..INDEX_BYTES].copy_from_slice(&word);
                length + GCM_TAG_BYTES + INDEX_BYTES
            }
        }
    }

    /// The word with E flag and index of an SRTCP packet longer than its tail.
    pub(super) fn rtcp_word(&self, packet: &[u8]) -> u32 {
        let behind = match &self.cipher {
            Cipher::CounterMode { .. } => RTCP_TAG_BYTES,
            Cipher::Gcm(_) => 0,
        };
        let word =
            packet[..packet.len() - behind].last_chunk().expect("the length was checked before");
        u32::from_be_bytes(*word)
    }

    /// Opens a whole encrypted SRTCP packet, longer than its tail by [`RTCP_CLEAR_BYTES`] at least,
    /// and returns the clear length. After an error everything but these bytes is undefined.
    pub(super) fn open_rtcp(
        &self,
        packet: &mut [u8],
        ssrc: u32,
        index: u32,
    ) -> Result<usize, WrongTag> {
        match &self.cipher {
            Cipher::CounterMode { aes, hmac, .. } => {
                let (sealed, tag) = packet.split_at_mut(packet.len() - RTCP_TAG_BYTES);
                authenticate(hmac, sealed, &[]).verify_truncated_left(tag).map_err(|_| WrongTag)?;
                let length = sealed.len() - INDEX_BYTES;
                let counter = self.counter_block(ssrc, u64::from(index));
                aes.apply(&counter, &mut sealed[RTCP_CLEAR_BYTES..length]);
                Ok(length)
            }
            Cipher::Gcm(key) => {
                let (sealed, word) = packet.split_at_mut(packet.len() - INDEX_BYTES);
                let word: [u8; INDEX_BYTES] = (&*word).try_into().expect("split at that length");
                let (header, rest_and_tag) = sealed.split_at_mut(RTCP_CLEAR_BYTES);
                let nonce = Nonce::assume_unique_for_key(self.rtcp_nonce(ssrc, index));
                let rest = key
                    .open_in_place(nonce, Aad::from(rtcp_aad(header, word)), rest_and_tag)
                    .map_err(|_| WrongTag)?;
                Ok(RTCP_CLEAR_BYTES + rest.len())
            }
        }
    }

    /// The first counter block of a packet (RFC 3711 §4.1.1).
    fn counter_block(&self, ssrc: u32, index: u64) -> [u8; 16] {
        let packet = u128::from(ssrc) << 64 | u128::from(index) << 16;
        let mut block = packet.to_be_bytes();
        block.iter_mut().zip(self.salt.iter()).for_each(|(byte, salt)| *byte ^= salt);
        block
    }

    /// GCM's nonce for RTP: SSRC, roll-over counter and sequence number behind two zeros
    /// (RFC 7714 §8.1).
    fn rtp_nonce(&self, ssrc: u32, index: u64) -> [u8; 12] {
        self.salted(u128::from(ssrc) << 48 | u128::from(index))
    }

    /// GCM's nonce for RTCP: two zeros, SSRC, two zeros, index (RFC 7714 §9.1).
    fn rtcp_nonce(&self, ssrc: u32, index: u32) -> [u8; 12] {
        self.salted(u128::from(ssrc) << 48 | u128::from(index))
    }

    fn salted(&self, packet: u128) -> [u8; 12] {
        let mut nonce: [u8; 12] = *packet.to_be_bytes().last_chunk().expect("16 is more than 12");
        nonce.iter_mut().zip(self.salt.iter()).for_each(|(byte, salt)| *byte ^= salt);
        nonce
    }
}

impl Aes {
    /// Nothing but encrypting reads all round keys.
    #[inline]
    fn touch(&self) {
        let mut block = aes::Block::default();
        match self {
            Self::Bits128(aes) => aes.encrypt_block(&mut block),
            Self::Bits256(aes) => aes.encrypt_block(&mut block),
        }
        black_box(block);
    }

    /// Encrypts or decrypts, which is the same in counter mode.
    fn apply(&self, counter: &[u8; 16], data: &mut [u8]) {
        match self {
            Self::Bits128(aes) => apply_counter_mode(aes, counter, data),
            Self::Bits256(aes) => apply_counter_mode(aes, counter, data),
        }
    }
}

/// One message per counter block, so the core is used without the buffer of a running stream.
fn apply_counter_mode<C>(aes: &C, counter: &[u8; 16], data: &mut [u8])
where
    C: BlockEncrypt + BlockCipher + BlockSizeUser<BlockSize = U16>,
{
    CtrCore::<&C, Ctr128BE>::inner_iv_init(aes, counter.into())
        .apply_keystream_partial(data.into());
}

/// The keyed state is cloned for each packet, which spares two rounds of SHA-1 for the key pads.
fn authenticate(hmac: &Hmac<Sha1>, packet: &[u8], appendix: &[u8]) -> Hmac<Sha1> {
    let mut mac = hmac.clone();
    mac.update(packet);
    mac.update(appendix);
    mac
}

fn roll_over(index: u64) -> [u8; 4] {
    let counter = index >> 16;
    u32::try_from(counter).expect("indices have 48 bits").to_be_bytes()
}

fn seal_gcm(key: &LessSafeKey, nonce: [u8; 12], aad: &[u8], data: &mut [u8]) -> Tag {
    let nonce = Nonce::assume_unique_for_key(nonce);
    key.seal_in_place_separate_tag(nonce, Aad::from(aad), data)
        .expect("a datagram is shorter than GCM's limit of 64 GiB")
}

/// What GCM authenticates of an encrypted RTCP packet without hiding it (RFC 7714 §9.2).
fn rtcp_aad(header: &[u8], word: [u8; INDEX_BYTES]) -> [u8; RTCP_CLEAR_BYTES + INDEX_BYTES] {
    let mut aad = [0; RTCP_CLEAR_BYTES + INDEX_BYTES];
    aad[..RTCP_CLEAR_BYTES].copy_from_slice(header);
    aad[RTCP_CLEAR_BYTES..].copy_from_slice(&word);
    aad
}
