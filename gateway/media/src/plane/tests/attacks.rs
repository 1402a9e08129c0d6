//! Calls under attack: rows 3, 5, 6 and 7 of the list of threats.

use gateway_core::description::Fingerprint;

use super::*;
use crate::counters::{Outcome, Way};
use wire::muxed_address;

fn stranger() -> SocketAddr {
    ([203, 0, 113, 66], 6_666).into()
}

/// A DTLS record in the clear.
fn record(content: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    let mut record = vec![content, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1];
    record.extend(length);
    record.extend(body);
    record
}

/// Datagrams that end or confuse handshakes elsewhere (row 3).
fn dtls_attacks() -> Vec<Vec<u8>> {
    let mut hello = vec![1, 0, 0, 44, 0, 0, 0, 0, 0, 0, 0, 44, 0xfe, 0xfd];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0, 2, 0xc0, 0x2b, 1, 0]);
    let mut whole = hello.clone();
    (whole[3], whole[11]) = (44, 44);
    whole.extend([0, 0]);
    vec![
        record(21, &[2, 40]),
        record(21, &[1, 0]),
        record(21, &[2, 80]),
        record(23, &[1, 2, 3]),
        record(20, &[1]),
        record(22, &hello),
        record(22, &whole),
        record(99, &[0; 40]),
        vec![22, 0xfe, 0xfd, 0, 0],
    ]
}

#[test]
fn dtls_of_a_stranger_does_not_reach_the_handshake() {
    let mut wire = Wire::new(2);
    wire.loses =
        Box::new(|flying| (20..64).contains(&flying.bytes[0]) && flying.from != stranger());
    wire.call(webrtc(), webrtc());
    wire.run(seconds(1));
    for host in [1, 2] {
        for _ in 0..50 {
            for attack in dtls_attacks() {
                wire.inject(stranger(), muxed_address(host), &attack);
            }
        }
    }
    let refused = wire.hosts[0].counters.packets(Way::In, Outcome::WrongSource);
    assert!(refused >= 400, "{refused}");
    wire.loses = Box::new(|_| false);
    wire.run(seconds(5));
    assert!(wire.hosts.iter().all(|host| host.secured().is_some()));
}

#[test]
fn plaintext_alerts_with_the_peers_own_address_end_no_handshake() {
    for attack in dtls_attacks() {
        let mut wire = Wire::new(2);
        // Slow the handshake down, so that the attack comes in the middle of it.
        let mut count = 0;
        wire.loses = Box::new(move |flying| {
            count += usize::from((20..64).contains(&flying.bytes[0]));
            (20..64).contains(&flying.bytes[0]) && count < 4
        });
        wire.call(webrtc(), webrtc());
        for _ in 0..100 {
            wire.inject(muxed_address(2), muxed_address(1), &attack);
            wire.inject(muxed_address(1), muxed_address(2), &attack);
            wire.run(Duration::from_millis(20));
        }
        wire.run(seconds(20));
        assert!(wire.hosts.iter().all(|host| host.secured().is_some()), "{:?}", &attack[..5]);
    }
}

#[test]
fn alerts_after_the_handshake_end_no_call() {
    let mut wire = Wire::new(2);
    let to = talk(&mut wire, webrtc(), webrtc());
    for attack in dtls_attacks() {
        wire.inject(muxed_address(2), muxed_address(1), &attack);
        wire.inject(muxed_address(1), muxed_address(2), &attack);
    }
    assert_eq!(speak(&mut wire, to, 0..20).len(), 20);
}

#[test]
fn a_peer_with_another_certificate_is_refused() {
    let mut wire = Wire::new(2);
    wire.offer(A, webrtc());
    let mut offer = wire.offered();
    offer.audio_mut().unwrap().fingerprints =
        vec![Fingerprint { hash: "sha-256".to_owned(), bytes: vec![9; 32] }];
    wire.answer(B, webrtc(), offer);
    let answer = gateway_core::description::Answer(wire.answered());
    wire.command(0, MediaCommand::Accept { port: A, answer, is_final: true });
    wire.run(seconds(30));
    assert!(wire.hosts[1].secured().is_none());
    let failed = |event: &MediaEvent| {
        matches!(event, MediaEvent::Failed(B, gateway_core::cause::Cause::Security, _))
    };
    assert!(wire.hosts[1].events.iter().any(failed));
}

#[test]
fn stun_without_the_password_is_not_answered() {
    let mut wire = Wire::new(2);
    wire.call(webrtc(), webrtc());
    wire.run(seconds(3));
    let requests: Vec<_> =
        wire.log.iter().filter(|flying| flying.bytes[..2] == [0, 1]).cloned().collect();
    let (before, ports) = (wire.elsewhere.len(), wire.hosts[0].plane.ports());
    for request in requests.iter().take(10) {
        for at in 20..request.bytes.len() {
            let mut forged = request.bytes.clone();
            forged[at] ^= 0x10;
            wire.inject(stranger(), request.to, &forged);
        }
    }
    let answers = wire.elsewhere[before..].iter().filter(|flying| flying.to == stranger());
    // Only the fingerprint behind the integrity may differ, since it proves nothing.
    assert!(answers.count() <= 10 * 8);
    assert_eq!(wire.hosts[0].plane.ports(), ports);
}

#[test]
fn media_of_a_stranger_on_the_muxed_socket_is_dropped() {
    let mut wire = Wire::new(2);
    let to = talk(&mut wire, webrtc(), webrtc());
    speak(&mut wire, to, 0..5);
    let captured: Vec<_> = wire
        .log
        .iter()
        .filter(|flying| flying.to == muxed_address(1) && flying.bytes[0] >= 128)
        .cloned()
        .collect();
    for flying in &captured {
        wire.inject(stranger(), flying.to, &flying.bytes);
    }
    wire.run(Duration::from_millis(20));
    assert!(heard(&mut wire).is_empty());
}

#[test]
fn replays_and_garbage_are_counted_and_end_nothing() {
    let mut wire = Wire::new(2);
    let to = talk(&mut wire, webrtc(), webrtc());
    assert_eq!(speak(&mut wire, to, 0..20).len(), 20);
    let captured: Vec<_> = wire
        .log
        .iter()
        .filter(|flying| flying.to == muxed_address(1) && flying.bytes[0] >= 128)
        .cloned()
        .collect();
    for flying in &captured {
        wire.inject(flying.from, flying.to, &flying.bytes);
        let mut forged = flying.bytes.clone();
        // A later packet, so that it is no replay.
        forged[2] ^= 0x01;
        for _ in 0..100 {
            wire.inject(flying.from, flying.to, &forged);
        }
    }
    assert!(heard(&mut wire).is_empty());
    let counters = &wire.hosts[0].counters;
    assert!(counters.packets(Way::In, Outcome::Replayed) >= 20);
    assert!(counters.packets(Way::In, Outcome::NotAuthentic) > 0);
    let refused =
        [Outcome::Replayed, Outcome::NotAuthentic].map(|it| counters.packets(Way::In, it));
    assert!(refused.iter().sum::<u64>() >= 2_000);
    assert_eq!(speak(&mut wire, to, 20..40).len(), 20);
}

#[test]
fn spraying_a_phones_port_redirects_nothing() {
    let mut wire = Wire::new(2);
    let to = talk(&mut wire, webrtc(), webrtc());
    for sequence in 0..200 {
        let sprayed = packet(0, sequence, 0xbad, &[0xff; 160]);
        wire.inject(stranger(), to, &sprayed);
        wire.inject(([198, 51, 100, 9], 4_002).into(), to, &sprayed);
    }
    wire.run(Duration::from_millis(50));
    assert!(wire.elsewhere.iter().all(|flying| flying.to != stranger()));
    assert_eq!(wire.hosts[0].counters.packets(Way::In, Outcome::WrongSource), 400);
    assert!(heard(&mut wire).is_empty());
    assert_eq!(speak(&mut wire, to, 0..20).len(), 20);
}

#[test]
fn behind_a_translator_only_the_signalling_peer_is_learned_and_only_once() {
    let mut wire = Wire::new(1);
    let signalling_peer = Some([198, 51, 100, 9].into());
    let profile = Profile { signalling_peer, ..phone(Protection::Clear) };
    let to = open_phone(&mut wire, profile, "10.1.1.9");
    wire.command(0, MediaCommand::Join { a: P, b: P });
    let from = |wire: &mut Wire, source: SocketAddr, sequence| {
        wire.inject(source, to, &packet(0, sequence, 1, &[1; 160]));
        wire.elsewhere.drain(..).any(|flying| flying.to == source)
    };
    assert!(!from(&mut wire, stranger(), 1));
    assert!(from(&mut wire, PHONE.into(), 2));
    assert!(!from(&mut wire, stranger(), 3));
    assert!(!from(&mut wire, ([198, 51, 100, 9], 5_000).into(), 4));
    assert!(from(&mut wire, PHONE.into(), 5));
}

#[test]
fn a_goodbye_in_rtcp_ends_nothing() {
    let mut wire = Wire::new(2);
    let to = talk(&mut wire, webrtc(), webrtc());
    speak(&mut wire, to, 0..5);
    let goodbye = [0x80, 201, 0, 1, 0, 0, 0xca, 0xfe, 0x81, 203, 0, 1, 0, 0, 0xca, 0xfe];
    let rtcp = SocketAddr::new(to.ip(), to.port() + 1);
    wire.inject(([198, 51, 100, 9], 4_001).into(), rtcp, &goodbye);
    assert_eq!(speak(&mut wire, to, 5..25).len(), 20);
}

#[test]
fn checks_to_candidates_are_paced_and_limited() {
    let mut wire = Wire::new(2);
    wire.offer(A, webrtc());
    let mut offer = wire.offered();
    let line = offer.audio_mut().unwrap();
    line.candidates = (0..200u8)
        .map(|last| {
            gateway_core::description::Candidate::new(&format!(
                "1 1 udp 2130706431 203.0.113.{last} 9 typ host"
            ))
        })
        .chain(["127.0.0.1", "169.254.169.254", "224.0.0.1", "0.0.0.0", "::1", "fe80::1"].map(
            |ip| {
                gateway_core::description::Candidate::new(&format!(
                    "1 1 udp 2130706431 {ip} 9 typ host"
                ))
            },
        ))
        .collect();
    // What SDP's own limit would refuse, as trickled candidates.
    let candidates = std::mem::take(&mut line.candidates);
    wire.answer(B, webrtc(), offer);
    for candidate in candidates.into_iter().rev() {
        wire.command(1, MediaCommand::Candidate { port: B, candidate });
    }
    wire.run(seconds(10));
    let checked: std::collections::BTreeSet<_> =
        wire.elsewhere.iter().map(|flying| flying.to.ip()).collect();
    assert_eq!(checked.len(), 50);
    assert!(checked.iter().all(|ip| ip.to_string().starts_with("203.0.113.")));
    assert!(wire.elsewhere.len() <= 201, "{} checks in 10 s", wire.elsewhere.len());
}

#[test]
fn behind_a_translator_an_srtp_source_is_learned_by_its_tag() {
    let mut wire = Wire::new(2);
    wire.offer(A, phone(Protection::Sdes));
    let offer = wire.offered();
    let to = offer.audio().unwrap().rtp_address().unwrap();
    wire.answer(B, phone(Protection::Sdes), offer);
    let mut answer = wire.answered();
    answer.audio_mut().unwrap().address = Some([10, 1, 1, 1].into());
    let answer = gateway_core::description::Answer(answer);
    wire.command(0, MediaCommand::Accept { port: A, answer, is_final: true });
    let duration = Duration::from_millis(100);
    let reached = |wire: &mut Wire| {
        wire.command(0, MediaCommand::Digit { port: A, digit: '1', duration });
        wire.run(seconds(1));
        wire.hosts[1].take().iter().any(|event| matches!(event, MediaEvent::Digit(B, '1', _)))
    };
    for sequence in 0..50 {
        wire.inject(stranger(), to, &packet(101, sequence, 1, &[1; 40]));
    }
    assert!(!reached(&mut wire));
    assert_eq!(wire.hosts[0].counters.packets(Way::In, Outcome::NotAuthentic), 50);
    wire.command(1, MediaCommand::Digit { port: B, digit: '2', duration });
    wire.run(seconds(1));
    assert!(reached(&mut wire));
    assert!(wire.elsewhere.iter().all(|flying| flying.to != stranger()));
}

/// Two descriptions that name our ports as each other's peers: without a check a packet would go
/// round between them for ever.
#[test]
fn a_packet_that_our_own_socket_sent_is_not_taken_from_a_peer() {
    let mut wire = Wire::new(1);
    let of_phone = open_phone(&mut wire, phone(Protection::Clear), "198.51.100.9");
    let mut offer = phone_offer("198.51.100.9", "0 8 101");
    let media = offer.audio_mut().unwrap();
    (media.address, media.port) = (Some(of_phone.ip()), of_phone.port());
    let (profile, offer) = (phone(Protection::Clear), Offer(offer));
    wire.command(0, MediaCommand::Answer { port: B, profile, offer, like: None });
    let to = wire.hosts[0].take().iter().find_map(|event| match event {
        MediaEvent::Answered(B, answer) => answer.0.audio().unwrap().rtp_address(),
        _ => None,
    });
    let to = to.expect("an answer");
    wire.command(0, MediaCommand::Join { a: P, b: B });
    for sequence in 0..20 {
        wire.inject(of_phone, to, &packet(0, sequence, 7, &[1; 160]));
    }
    assert!(heard(&mut wire).is_empty(), "it would come back to the port that sent it");
    assert_eq!(wire.hosts[0].counters.packets(Way::In, Outcome::WrongSource), 20);
}

#[test]
fn handshake_messages_without_end_are_not_kept() {
    let mut wire = Wire::new(2);
    let to = talk(&mut wire, webrtc(), webrtc());
    for number in 0..10_000u32 {
        let [_, high, middle, low] = number.to_be_bytes();
        let mut message = vec![11, 0, 0xff, 0, high, middle, 0, low, 0, 0, 4, 0];
        message.resize(1_036, 5);
        let mut flood = record(22, &message);
        flood[8..11].copy_from_slice(&[high, middle, low]);
        wire.inject(muxed_address(2), muxed_address(1), &flood);
    }
    assert!(wire.hosts[0].counters.packets(Way::In, Outcome::Excess) > 9_000);
    assert_eq!(speak(&mut wire, to, 0..20).len(), 20);
}
