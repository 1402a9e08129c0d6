//! Our SRTP against an independent one, `rtc-srtp`: what one seals, byte for byte the other would,
//! and each opens the other's packets, for every suite, through wraps of the sequence number.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic, too")]

use gateway_media::srtp::{MAX_TAIL_BYTES, MasterKey, Opener, Sealer, Suite};
use proptest::prelude::*;
use rtc_crypto::RTCCryptoProvider;
use rtc_crypto::providers::RingProvider;
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;

/// The same key in both implementations.
struct Pair {
    sealer: Sealer,
    opener: Opener,
    other: Context,
    other_opener: Context,
}

fn pair(suite: Suite, key_and_salt: &[u8]) -> Pair {
    let inline = &key_and_salt[..suite.key_bytes() + suite.salt_bytes()];
    let master = MasterKey::from_inline(suite, inline).unwrap();
    let (key, salt) = inline.split_at(suite.key_bytes());
    let provider = RingProvider::new();
    let other = || Context::new(key, salt, profile(suite), None, None, provider.crypto()).unwrap();
    Pair {
        sealer: Sealer::new(&master),
        opener: Opener::new(&master),
        other: other(),
        other_opener: other(),
    }
}

fn profile(suite: Suite) -> ProtectionProfile {
    match suite {
        Suite::AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        Suite::AesCm128HmacSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
        Suite::AesCm256HmacSha1_80 => ProtectionProfile::Aes256CmHmacSha1_80,
        Suite::AesCm256HmacSha1_32 => ProtectionProfile::Aes256CmHmacSha1_32,
        Suite::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        Suite::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
    }
}

fn rtp_packet(
    sequence: u16,
    ssrc: u32,
    csrcs: &[u32],
    extension: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let mut packet = vec![0x80 | csrcs.len() as u8, 8];
    packet.extend(sequence.to_be_bytes());
    packet.extend(160u32.wrapping_mul(sequence.into()).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    csrcs.iter().for_each(|csrc| packet.extend(csrc.to_be_bytes()));
    if !extension.is_empty() {
        packet[0] |= 0x10;
        packet.extend([0x12, 0x34, 0, extension.len() as u8]);
        extension.iter().for_each(|byte| packet.extend([*byte; 4]));
    }
    packet.extend(payload);
    packet
}

fn check_rtp(pair: &mut Pair, clear: &[u8]) {
    let mut buffer = [clear, &[0; MAX_TAIL_BYTES]].concat();
    let length = pair.sealer.seal_rtp(&mut buffer, clear.len()).unwrap();
    let theirs = pair.other.encrypt_rtp(clear).unwrap();
    assert_eq!(buffer[..length], theirs[..]);
    assert_eq!(pair.other_opener.decrypt_rtp(&theirs).unwrap()[..], clear[..]);
    let length = pair.opener.open_rtp(&mut buffer[..length]).unwrap();
    assert_eq!(buffer[..length], clear[..]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rtp_is_sealed_to_the_same_bytes(
        suite in prop::sample::select(&Suite::PREFERRED),
        key in prop::array::uniform32(any::<u8>()),
        salt in prop::array::uniform14(any::<u8>()),
        ssrc: u32,
        csrcs in prop::collection::vec(any::<u32>(), 0..4),
        extension in prop::collection::vec(any::<u8>(), 0..4),
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 1..40),
    ) {
        let mut pair = pair(suite, &[&key[..], &salt[..]].concat());
        let start = u16::MAX - 20;
        for (sequence, payload) in (0u16..).zip(&payloads) {
            let sequence = start.wrapping_add(sequence);
            check_rtp(&mut pair, &rtp_packet(sequence, ssrc, &csrcs, &extension, payload));
        }
    }

    #[test]
    fn rtcp_crosses_in_both_directions(
        suite in prop::sample::select(&Suite::PREFERRED),
        key in prop::array::uniform32(any::<u8>()),
        salt in prop::array::uniform14(any::<u8>()),
        ssrc: u32,
        words in prop::collection::vec(any::<u32>(), 0..30),
    ) {
        let mut pair = pair(suite, &[&key[..], &salt[..]].concat());
        let mut clear = vec![0x80, 201, 0, 1 + words.len() as u8];
        clear.extend(ssrc.to_be_bytes());
        words.iter().for_each(|word| clear.extend(word.to_be_bytes()));
        for _ in 0..3 {
            let mut buffer = [&clear[..], &[0; MAX_TAIL_BYTES]].concat();
            let length = pair.sealer.seal_rtcp(&mut buffer, clear.len()).unwrap();
            prop_assert_eq!(&pair.other_opener.decrypt_rtcp(&buffer[..length]).unwrap()[..], &clear[..]);
            let mut theirs = pair.other.encrypt_rtcp(&clear).unwrap();
            let length = pair.opener.open_rtcp(&mut theirs).unwrap();
            prop_assert_eq!(&theirs[..length], &clear[..]);
        }
    }
}
