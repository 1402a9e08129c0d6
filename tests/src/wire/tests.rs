use super::*;
use crate::tone::tone;

fn packet(payload_type: u8, sequence: u16, payload: &[u8]) -> Datagram {
    let mut bytes = vec![0x80, payload_type];
    bytes.extend(sequence.to_be_bytes());
    bytes.extend([0, 0, 0, 0, 0, 0, 0, 7]);
    bytes.extend(payload);
    Datagram {
        at_s: f64::from(sequence) * 0.02,
        source: "127.0.0.1:4000".parse().unwrap(),
        destination: "127.0.0.1:5000".parse().unwrap(),
        carrier: Carrier::Udp,
        payload: bytes,
    }
}

fn only_stream(datagrams: Vec<Datagram>) -> Stream {
    let mut streams = Wire { datagrams }.streams();
    assert_eq!(streams.len(), 1);
    streams.remove(0)
}

/// G.711 u-law by search through the decoder.
fn ulaw(sound: &Sound) -> Vec<u8> {
    let table: Vec<f32> = (0..=255).map(|byte| Sound::from_ulaw(&[byte]).samples[0]).collect();
    let nearest = |sample: &f32| {
        (0..=255_u8)
            .min_by(|one, other| {
                let far = |byte: &u8| (table[usize::from(*byte)] - sample).abs();
                far(one).total_cmp(&far(other))
            })
            .unwrap()
    };
    sound.samples.iter().map(nearest).collect()
}

fn scrambled(bytes: &[u8]) -> Vec<u8> {
    let mut state = 9_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    bytes.iter().map(|byte| byte ^ next()).collect()
}

fn stream_of(bytes: &[u8]) -> Stream {
    only_stream(
        bytes
            .chunks_exact(160)
            .zip(0..)
            .map(|(payload, sequence)| packet(0, sequence, payload))
            .collect(),
    )
}

#[test]
fn a_tone_in_clear_is_heard_by_an_eavesdropper() {
    let Secrecy::Clear(hz) = stream_of(&ulaw(&tone(660, 8_000, 2.0))).secrecy() else {
        panic!("the tone was not found")
    };
    assert!((hz - 660.0).abs() < 6.0);
}

#[test]
fn sealed_speech_is_noise_to_an_eavesdropper() {
    let bytes = scrambled(&ulaw(&tone(660, 8_000, 2.0)));
    assert_eq!(stream_of(&bytes).secrecy(), Secrecy::Sealed);
}

#[test]
fn too_few_packets_prove_nothing() {
    assert_eq!(stream_of(&ulaw(&tone(660, 8_000, 0.2))).secrecy(), Secrecy::Unknown);
}

#[test]
fn losses_are_counted_across_the_wrap_and_not_for_reordering() {
    let numbers = [65_530_u16, 65_531, 65_533, 65_532, 65_535, 0, 1, 3];
    let stream = only_stream(numbers.map(|number| packet(0, number, &[0; 160])).to_vec());
    assert_eq!(stream.lost(), 2);
}

#[test]
fn digits_are_read_from_telephone_events_once_each() {
    let press = |event: u8, first: u16| {
        [0x0A, 0x0A, 0x8A, 0x8A, 0x8A]
            .into_iter()
            .zip(first..)
            .map(move |(flags, number)| packet(101, number, &[event, flags, 0, 160]))
    };
    let datagrams = press(1, 0).chain(press(5, 5)).chain(press(5, 10)).chain(press(11, 15));
    assert_eq!(only_stream(datagrams.collect()).digits(), "155#");
}

#[test]
fn dtls_and_suites_are_found() {
    let mut hello = packet(0, 0, &[]);
    hello.payload = [22, 0xFE, 0xFD].iter().copied().chain([0; 20]).collect();
    let mut sip = packet(0, 0, &[]);
    sip.payload = b"INVITE sip:b SIP/2.0\r\n\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 x\r\n".to_vec();
    let wire = Wire { datagrams: vec![hello, sip] };
    assert!(wire.has_dtls(5000) && wire.has_dtls(4000) && !wire.has_dtls(6000));
    assert_eq!(wire.suites().into_iter().collect::<Vec<_>>(), ["AES_CM_128_HMAC_SHA1_80"]);
}
