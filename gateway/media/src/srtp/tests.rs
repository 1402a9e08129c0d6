//! Vectors of the RFCs, and what every suite has to promise.

use proptest::prelude::*;

use super::keys::SessionKeys;
use super::*;

const GCM_SALT: &str = "517569642070726f2071756f";
const GCM_KEY_128: &str = "000102030405060708090a0b0c0d0e0f";
const GCM_KEY_256: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const CLEAR_RTP: &str = "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e207061\
                         727465732074726573";
const CLEAR_RTCP: &str = "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeef\
                          deadbeefdeadbeefdeadbeef";

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn session_keys(suite: Suite, key: &str) -> SessionKeys {
    SessionKeys::from_parts(suite, &hex(key), &hex(GCM_SALT))
}

fn key(suite: Suite, fill: u8) -> MasterKey {
    MasterKey::generate(suite, &mut |bytes| bytes.fill(fill))
}

fn pair(suite: Suite) -> (Sealer, Opener) {
    let key = key(suite, 0x5a);
    (Sealer::new(&key), Opener::new(&key))
}

fn rtp_packet(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend(u32::from(sequence).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

fn rtcp_packet(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet
}

fn seal_rtp(sealer: &mut Sealer, packet: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + MAX_TAIL_BYTES, 0);
    let length = sealer.seal_rtp(&mut buffer, packet.len())?;
    buffer.truncate(length);
    Ok(buffer)
}

fn seal_rtcp(sealer: &mut Sealer, packet: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + MAX_TAIL_BYTES, 0);
    let length = sealer.seal_rtcp(&mut buffer, packet.len())?;
    buffer.truncate(length);
    Ok(buffer)
}

fn open_rtp(opener: &mut Opener, packet: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut buffer = packet.to_vec();
    let length = opener.open_rtp(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

fn open_rtcp(opener: &mut Opener, packet: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut buffer = packet.to_vec();
    let length = opener.open_rtcp(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

#[test]
fn gcm_seals_and_opens_rtp_as_in_rfc_7714_section_16() {
    let vectors = [
        (
            Suite::AeadAes128Gcm,
            GCM_KEY_128,
            "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b\
             36de3adf8833899d7f27beb16a9152cf765ee4390cce",
        ),
        (
            Suite::AeadAes256Gcm,
            GCM_KEY_256,
            "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f\
             1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13",
        ),
    ];
    for (suite, key, sealed) in vectors {
        let keys = session_keys(suite, key);
        let mut sealer = Sealer::from_session_keys(&keys, 0);
        let mut opener = Opener::from_session_keys(&keys);
        assert_eq!(seal_rtp(&mut sealer, &hex(CLEAR_RTP)), Ok(hex(sealed)), "{suite:?}");
        assert_eq!(open_rtp(&mut opener, &hex(sealed)), Ok(hex(CLEAR_RTP)), "{suite:?}");
    }
}

#[test]
fn gcm_seals_and_opens_rtcp_as_in_rfc_7714_section_17() {
    let vectors = [
        (
            Suite::AeadAes128Gcm,
            GCM_KEY_128,
            "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b46\
             86303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4",
        ),
        (
            Suite::AeadAes256Gcm,
            GCM_KEY_256,
            "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658\
             c61de0476f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4",
        ),
    ];
    for (suite, key, sealed) in vectors {
        let keys = session_keys(suite, key);
        let mut sealer = Sealer::from_session_keys(&keys, 0x5d4);
        let mut opener = Opener::from_session_keys(&keys);
        assert_eq!(seal_rtcp(&mut sealer, &hex(CLEAR_RTCP)), Ok(hex(sealed)), "{suite:?}");
        assert_eq!(open_rtcp(&mut opener, &hex(sealed)), Ok(hex(CLEAR_RTCP)), "{suite:?}");
    }
}

#[test]
fn an_srtcp_packet_that_is_only_tagged_is_refused() {
    let tagged = hex(
        "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeef\
         deadbeef841dd9683dd78ec92ae58790125f62b3000005d4",
    );
    let mut opener = Opener::from_session_keys(&session_keys(Suite::AeadAes128Gcm, GCM_KEY_128));
    assert_eq!(open_rtcp(&mut opener, &tagged), Err(Refused::NotEncrypted));
}

#[test]
fn the_tail_is_as_long_as_the_suite_says_and_32_bit_tags_are_for_rtp_only() {
    for suite in Suite::PREFERRED {
        let (mut sealer, _) = pair(suite);
        let (rtp, rtcp) = (rtp_packet(1, 1, &[1; 160]), rtcp_packet(1));
        let sealed = seal_rtp(&mut sealer, &rtp).unwrap();
        assert_eq!(sealed.len(), rtp.len() + suite.rtp_tail_bytes());
        let sealed = seal_rtcp(&mut sealer, &rtcp).unwrap();
        assert_eq!(sealed.len(), rtcp.len() + suite.rtcp_tail_bytes());
        assert!(suite.rtcp_tail_bytes() >= 14 && suite.rtcp_tail_bytes() <= MAX_TAIL_BYTES);
    }
}

#[test]
fn the_payload_is_hidden_and_the_header_is_not() {
    for suite in Suite::PREFERRED {
        let (mut sealer, _) = pair(suite);
        let packet = rtp_packet(7, 7, &[0x41; 160]);
        let sealed = seal_rtp(&mut sealer, &packet).unwrap();
        assert_eq!(sealed[..12], packet[..12]);
        assert!(!sealed.windows(4).any(|window| window == [0x41; 4]), "{suite:?}");
    }
}

#[test]
fn a_packet_is_opened_once_only() {
    for suite in Suite::PREFERRED {
        let (mut sealer, mut opener) = pair(suite);
        let sealed = seal_rtp(&mut sealer, &rtp_packet(1, 1, b"voice")).unwrap();
        assert!(open_rtp(&mut opener, &sealed).is_ok());
        assert_eq!(open_rtp(&mut opener, &sealed), Err(Refused::Replayed));
        let sealed = seal_rtcp(&mut sealer, &rtcp_packet(1)).unwrap();
        assert!(open_rtcp(&mut opener, &sealed).is_ok());
        assert_eq!(open_rtcp(&mut opener, &sealed), Err(Refused::Replayed));
    }
}

#[test]
fn a_sequence_number_is_sealed_once_only() {
    for suite in Suite::PREFERRED {
        let (mut sealer, _) = pair(suite);
        assert!(seal_rtp(&mut sealer, &rtp_packet(1, 1, b"one")).is_ok());
        assert_eq!(seal_rtp(&mut sealer, &rtp_packet(1, 1, b"two")), Err(Refused::Replayed));
    }
}

#[test]
fn forgeries_leave_no_trace() {
    for suite in Suite::PREFERRED {
        let (mut sealer, mut opener) = pair(suite);
        assert!(
            open_rtp(&mut opener, &seal_rtp(&mut sealer, &rtp_packet(1, 1, b"a")).unwrap()).is_ok()
        );
        for sequence in (2..30_000).step_by(7_000) {
            let forged = rtp_packet(1, sequence, &[0; 40]);
            assert_eq!(open_rtp(&mut opener, &forged), Err(Refused::NotAuthentic));
        }
        for ssrc in 0..1_000 {
            let forged = rtp_packet(2 + ssrc, 1, &[0; 40]);
            assert_eq!(open_rtp(&mut opener, &forged), Err(Refused::NotAuthentic));
        }
        let next = rtp_packet(1, 2, b"b");
        assert_eq!(open_rtp(&mut opener, &seal_rtp(&mut sealer, &next).unwrap()), Ok(next));
    }
}

#[test]
fn a_key_serves_a_limited_number_of_streams() {
    let (mut sealer, mut opener) = pair(Suite::AesCm128HmacSha1_80);
    let mut other_sealer = pair(Suite::AesCm128HmacSha1_80).0;
    for ssrc in 0..MAX_STREAMS as u32 {
        let sealed = seal_rtp(&mut sealer, &rtp_packet(ssrc, 1, b"a")).unwrap();
        assert!(open_rtp(&mut opener, &sealed).is_ok());
    }
    let one_more = rtp_packet(MAX_STREAMS as u32, 1, b"a");
    assert_eq!(seal_rtp(&mut sealer, &one_more), Err(Refused::TooManyStreams));
    let sealed = seal_rtp(&mut other_sealer, &one_more).unwrap();
    assert_eq!(open_rtp(&mut opener, &sealed), Err(Refused::TooManyStreams));
}

#[test]
fn a_key_for_srtcp_ends_after_2_to_the_31_packets() {
    let keys = session_keys(Suite::AeadAes128Gcm, GCM_KEY_128);
    let mut sealer = Sealer::from_session_keys(&keys, (1 << 31) - 1);
    assert!(seal_rtcp(&mut sealer, &rtcp_packet(1)).is_ok());
    assert_eq!(seal_rtcp(&mut sealer, &rtcp_packet(1)), Err(Refused::KeyExhausted));
}

#[test]
fn a_buffer_without_room_for_the_tag_is_refused() {
    for suite in Suite::PREFERRED {
        let (mut sealer, _) = pair(suite);
        let mut buffer = rtp_packet(1, 1, b"voice");
        let length = buffer.len();
        buffer.resize(length + suite.rtp_tail_bytes() - 1, 0);
        assert_eq!(sealer.seal_rtp(&mut buffer, length), Err(Refused::NoRoom));
        assert_eq!(sealer.seal_rtp(&mut buffer, 9_999), Err(Refused::NoRoom));
        let mut buffer = rtcp_packet(1);
        assert_eq!(sealer.seal_rtcp(&mut buffer, 8), Err(Refused::NoRoom));
    }
}

#[test]
fn packets_that_crashed_other_implementations_are_refused() {
    let crashers = [
        "80cb0000",
        "81cd000130303030",
        "a4ce000130303030",
        "900100020000f90028345678bede0003080808080808001d0808070008",
    ];
    for suite in Suite::PREFERRED {
        let (_, mut opener) = pair(suite);
        for crasher in crashers {
            assert!(open_rtcp(&mut opener, &hex(crasher)).is_err(), "{suite:?} {crasher}");
            assert!(open_rtp(&mut opener, &hex(crasher)).is_err(), "{suite:?} {crasher}");
        }
    }
}

#[test]
fn a_stream_survives_three_turns_of_its_sequence_number() {
    let (mut sealer, mut opener) = pair(Suite::AeadAes128Gcm);
    for index in 0..200_000u32 {
        let packet = rtp_packet(1, index as u16, b"v");
        let sealed = seal_rtp(&mut sealer, &packet).unwrap();
        assert_eq!(open_rtp(&mut opener, &sealed), Ok(packet), "packet {index}");
    }
}

fn any_suite() -> impl Strategy<Value = Suite> {
    prop::sample::select(&Suite::PREFERRED)
}

proptest! {
    #[test]
    fn no_bytes_make_the_opener_panic(
        suite in any_suite(), bytes in prop::collection::vec(any::<u8>(), 0..80)
    ) {
        let (mut sealer, mut opener) = pair(suite);
        prop_assert!(open_rtp(&mut opener, &bytes).is_err());
        prop_assert!(open_rtcp(&mut opener, &bytes).is_err());
        let _ = seal_rtp(&mut sealer, &bytes);
        let _ = seal_rtcp(&mut sealer, &bytes);
    }

    #[test]
    fn what_is_sealed_opens_to_the_same_bytes(
        suite in any_suite(),
        sequence: u16,
        ssrc: u32,
        payload in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let (mut sealer, mut opener) = pair(suite);
        let rtp = rtp_packet(ssrc, sequence, &payload);
        let sealed = seal_rtp(&mut sealer, &rtp).unwrap();
        prop_assert_eq!(open_rtp(&mut opener, &sealed), Ok(rtp));
        let mut rtcp = rtcp_packet(ssrc);
        rtcp.extend(&payload);
        let sealed = seal_rtcp(&mut sealer, &rtcp).unwrap();
        prop_assert_eq!(open_rtcp(&mut opener, &sealed), Ok(rtcp));
    }

    #[test]
    fn one_changed_bit_anywhere_is_noticed(suite in any_suite(), bit in 0usize..8 * 56) {
        let (mut sealer, mut opener) = pair(suite);
        let mut sealed = seal_rtp(&mut sealer, &rtp_packet(9, 9, &[3; 40])).unwrap();
        let bits = 8 * sealed.len();
        sealed[bit % bits / 8] ^= 1 << (bit % 8);
        prop_assert!(open_rtp(&mut opener, &sealed).is_err());
    }

    #[test]
    fn reordering_within_the_window_loses_nothing(
        suite in any_suite(), start: u16, order in Just((0u16..100).collect::<Vec<_>>()).prop_shuffle()
    ) {
        let (mut sealer, mut opener) = pair(suite);
        let start = start & 0x7fff;
        let sealed: Vec<_> = (0..100)
            .map(|n| seal_rtp(&mut sealer, &rtp_packet(1, start + n, b"v")).unwrap())
            .collect();
        for n in order {
            prop_assert!(open_rtp(&mut opener, &sealed[usize::from(n)]).is_ok());
        }
    }

    #[test]
    fn packets_under_another_key_are_refused(suite in any_suite(), sequence: u16) {
        let mut sealer = Sealer::new(&key(suite, 1));
        let mut opener = Opener::new(&key(suite, 2));
        let sealed = seal_rtp(&mut sealer, &rtp_packet(1, sequence, b"voice")).unwrap();
        prop_assert_eq!(open_rtp(&mut opener, &sealed), Err(Refused::NotAuthentic));
    }
}
