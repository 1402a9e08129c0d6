//! Peers that make their answer while it rings: their path and their handshake are there before the answer is.

use gateway_core::cause::Cause;
use gateway_core::description::{Answer, Fingerprint, Setup};
use proptest::prelude::*;

use super::*;
use crate::counters::{Outcome, Way};
use wire::{Flying, Host, muxed_address};

/// A phone is joined to A, whose offer B took without its answer being told.
fn ring(wire: &mut Wire) -> (SocketAddr, Description) {
    let to = open_phone(wire, phone(Protection::Clear), "198.51.100.9");
    wire.offer(A, webrtc());
    wire.command(0, MediaCommand::Join { a: A, b: P });
    let offer = wire.offered();
    wire.answer(B, webrtc(), offer);
    wire.command(1, MediaCommand::Join { a: B, b: B });
    wire.run(seconds(1));
    (to, wire.answered())
}

fn accept(wire: &mut Wire, answer: Description, is_final: bool) {
    wire.command(0, MediaCommand::Accept { port: A, answer: Answer(answer), is_final });
}

fn secured(host: &Host) -> usize {
    let told = |event: &&MediaEvent| matches!(event, MediaEvent::Secured(A, _));
    host.events.iter().filter(told).count()
}

fn is_refused(host: &Host) -> bool {
    let failed = |event: &MediaEvent| matches!(event, MediaEvent::Failed(A, Cause::Security, _));
    host.events.iter().any(failed)
}

fn is_dtls(flying: &Flying) -> bool {
    (20..64).contains(&flying.bytes[0])
}

/// The last check of host 1 towards host 0.
fn check(wire: &Wire) -> Vec<u8> {
    let is_check = |flying: &&Flying| {
        flying.bytes[..2] == [0, 1]
            && flying.from == muxed_address(2)
            && flying.to == muxed_address(1)
    };
    wire.log.iter().rev().find(is_check).expect("host 1 checks").bytes.clone()
}

#[test]
fn sound_passes_one_round_trip_after_the_answer() {
    let mut wire = Wire::new(2);
    let (to, answer) = ring(&mut wire);
    assert!(wire.hosts[1].secured().is_some());
    assert_eq!(secured(&wire.hosts[0]), 0);
    let before = wire.log.len();
    accept(&mut wire, answer, true);
    wire.run(Duration::ZERO);
    assert_eq!(secured(&wire.hosts[0]), 1);
    wire.inject(PHONE.into(), to, &packet(0, 1, 0xcafe, &[1; 160]));
    assert_eq!(heard(&mut wire).len(), 1);
    assert!(!wire.log[before..].iter().any(is_dtls));
    let first = wire.log[before..].iter().position(|flying| flying.to == SocketAddr::from(PHONE));
    // Our check, its answer, the phone's packet, ours to B, and B's echo.
    assert!(first.is_some_and(|first| first <= 7), "{first:?}");
    assert_eq!(speak(&mut wire, to, 2..22).len(), 20);
}

#[test]
fn the_answer_may_come_at_any_point_of_the_handshake() {
    for passing in 0..14 {
        let mut wire = Wire::new(2);
        let mut count = 0;
        wire.loses = Box::new(move |flying| {
            count += usize::from(is_dtls(flying));
            is_dtls(flying) && count > passing
        });
        let (to, answer) = ring(&mut wire);
        wire.loses = Box::new(|_| false);
        accept(&mut wire, answer, true);
        wire.run(seconds(6));
        assert_eq!(secured(&wire.hosts[0]), 1, "{passing}");
        assert_eq!(speak(&mut wire, to, 0..20).len(), 20, "{passing}");
    }
}

#[test]
fn who_shook_hands_with_another_certificate_than_the_answers_gets_no_sound() {
    let mut wire = Wire::new(2);
    let (to, mut answer) = ring(&mut wire);
    answer.audio_mut().unwrap().fingerprints =
        vec![Fingerprint { hash: "sha-256".to_owned(), bytes: vec![9; 32] }];
    accept(&mut wire, answer, true);
    assert!(is_refused(&wire.hosts[0]));
    let before = wire.log.len();
    assert!(speak(&mut wire, to, 0..50).is_empty());
    assert_eq!(secured(&wire.hosts[0]), 0);
    let from_a = |flying: &Flying| flying.from == muxed_address(1) && flying.bytes[0] >= 128;
    assert!(!wire.log[before..].iter().any(from_a));
}

#[test]
fn a_second_answer_with_another_certificate_begins_anew() {
    let mut wire = Wire::new(2);
    let (to, answer) = ring(&mut wire);
    let mut other = answer.clone();
    other.audio_mut().unwrap().fingerprints =
        vec![Fingerprint { hash: "sha-256".to_owned(), bytes: vec![9; 32] }];
    accept(&mut wire, answer, false);
    wire.run(Duration::ZERO);
    assert_eq!(speak(&mut wire, to, 0..5).len(), 5);
    let before = wire.log.len();
    accept(&mut wire, other, true);
    wire.run(seconds(1));
    assert_eq!(secured(&wire.hosts[0]), 1);
    assert!(wire.log.len() > before);
}

#[test]
fn a_passive_answer_makes_us_the_client() {
    let mut wire = Wire::new(2);
    let to = open_phone(&mut wire, phone(Protection::Clear), "198.51.100.9");
    wire.offer(A, webrtc());
    wire.command(0, MediaCommand::Join { a: A, b: P });
    let mut offer = wire.offered();
    // The only way to make our own port answer passively.
    offer.audio_mut().unwrap().setup = Some(Setup::Active);
    wire.answer(B, webrtc(), offer);
    wire.command(1, MediaCommand::Join { a: B, b: B });
    wire.run(seconds(1));
    assert!(!wire.log.iter().any(is_dtls));
    let answer = wire.answered();
    assert_eq!(answer.audio().unwrap().setup, Some(Setup::Passive));
    accept(&mut wire, answer, true);
    wire.run(seconds(1));
    assert_eq!(speak(&mut wire, to, 0..20).len(), 20);
}

#[test]
fn a_handshake_as_client_is_worth_nothing_to_a_passive_answer() {
    let mut wire = Wire::new(2);
    let (_, mut answer) = ring(&mut wire);
    answer.audio_mut().unwrap().setup = Some(Setup::Passive);
    let before = wire.log.len();
    accept(&mut wire, answer, true);
    wire.run(seconds(1));
    assert_eq!(secured(&wire.hosts[0]), 0);
    let hello =
        |flying: &Flying| flying.from == muxed_address(1) && flying.bytes.get(13) == Some(&1);
    assert!(wire.log[before..].iter().any(|flying| is_dtls(flying) && hello(flying)));
}

#[test]
fn of_two_that_ring_the_one_that_answers_is_talked_to() {
    for answering in [1, 2] {
        let mut wire = Wire::new(3);
        let (to, _) = ring(&mut wire);
        let offer = Offer(wire.offered());
        wire.command(2, MediaCommand::Answer { port: B, profile: webrtc(), offer, like: None });
        wire.command(2, MediaCommand::Join { a: B, b: B });
        wire.run(seconds(1));
        let answer = wire.hosts[answering].events.iter().find_map(|event| match event {
            MediaEvent::Answered(B, answer) => Some(answer.0.clone()),
            _ => None,
        });
        let before = wire.log.len();
        accept(&mut wire, answer.unwrap(), true);
        wire.run(Duration::ZERO);
        assert_eq!(speak(&mut wire, to, 0..20).len(), 20);
        assert!(!wire.log[before..].iter().any(is_dtls));
        let other = muxed_address(if answering == 1 { 3 } else { 2 });
        let to_other = |flying: &&Flying| flying.to == other && flying.bytes[0] >= 128;
        assert_eq!(wire.log.iter().filter(to_other).count(), 0);
    }
}

#[test]
fn a_stranger_without_the_password_is_not_answered_before_the_answer_either() {
    let mut wire = Wire::new(2);
    ring(&mut wire);
    let stranger: SocketAddr = ([203, 0, 113, 66], 6_666).into();
    let request = check(&wire);
    for at in 20..request.len() - 8 {
        let mut forged = request.clone();
        forged[at] ^= 0x10;
        wire.inject(stranger, muxed_address(1), &forged);
    }
    let hellos: Vec<_> = wire
        .log
        .iter()
        .filter(|flying| is_dtls(flying) && flying.to == muxed_address(1))
        .cloned()
        .collect();
    assert!(!hellos.is_empty());
    for hello in hellos {
        wire.inject(stranger, hello.to, &hello.bytes);
    }
    assert!(wire.elsewhere.iter().all(|flying| flying.to != stranger));
}

#[test]
fn only_so_many_addresses_are_answered_before_the_answer() {
    let mut wire = Wire::new(2);
    let (to, answer) = ring(&mut wire);
    let (request, claims) = (check(&wire), wire.hosts[0].plane.finder.remembered()[2]);
    for number in 0..200u16 {
        let source = SocketAddr::from(([203, 0, 113, 66], 1_000 + number));
        wire.inject(source, muxed_address(1), &request);
    }
    let answered: std::collections::BTreeSet<_> =
        wire.elsewhere.iter().map(|flying| flying.to).collect();
    assert_eq!(answered.len(), 7);
    assert!(wire.elsewhere.iter().all(|flying| flying.bytes.len() <= request.len()));
    assert_eq!(wire.hosts[0].plane.finder.remembered()[2], claims + 7);
    assert_eq!(wire.hosts[0].counters.packets(Way::In, Outcome::Excess), 193);
    accept(&mut wire, answer, true);
    wire.run(Duration::ZERO);
    assert_eq!(speak(&mut wire, to, 0..20).len(), 20);
}

#[test]
fn a_browser_that_moved_while_it_rang_is_checked_where_it_was_last() {
    let mut wire = Wire::new(2);
    let (_, answer) = ring(&mut wire);
    let moved: SocketAddr = ([203, 0, 113, 7], 5_000).into();
    let request = check(&wire);
    wire.run(seconds(1));
    wire.inject(moved, muxed_address(1), &request);
    wire.elsewhere.clear();
    let before = wire.log.len();
    accept(&mut wire, answer, true);
    wire.run(Duration::ZERO);
    assert_eq!(wire.log[before].to, moved);
    assert_eq!(wire.log[before].bytes[..2], [0, 1]);
}

#[test]
fn who_takes_our_role_before_the_answer_is_told_to_change_it() {
    let mut wire = Wire::new(2);
    let lite = crate::config::MediaConfig { ice_lite: true, ..Default::default() };
    wire.hosts[0] = Host::new(1, &lite);
    let (to, answer) = ring(&mut wire);
    // A lite agent never controls, so host 1 does.
    accept(&mut wire, answer, true);
    wire.run(seconds(1));
    assert_eq!(speak(&mut wire, to, 0..20).len(), 20);

    let mut wire = Wire::new(2);
    wire.offer(A, webrtc());
    let mut offer = wire.offered();
    offer.is_ice_lite = true;
    wire.answer(B, webrtc(), offer);
    wire.run(seconds(1));
    let conflict =
        |flying: &Flying| flying.to == muxed_address(2) && flying.bytes[..2] == [1, 0x11];
    let success = |flying: &Flying| flying.to == muxed_address(2) && flying.bytes[..2] == [1, 1];
    assert!(wire.log.iter().any(conflict) && wire.log.iter().any(success));
    let answer = wire.answered();
    accept(&mut wire, answer, true);
    wire.run(seconds(1));
    assert!(wire.hosts.iter().all(|host| host.secured().is_some()));
}

#[test]
fn sound_before_the_answer_is_dropped_and_counted() {
    let mut wire = Wire::new(2);
    ring(&mut wire);
    for sequence in 0..20 {
        let packet = packet(0, sequence, 1, &[1; 160]);
        wire.inject(muxed_address(2), muxed_address(1), &packet);
    }
    assert_eq!(wire.hosts[0].counters.packets(Way::In, Outcome::NoKeys), 20);
    assert!(heard(&mut wire).is_empty());
}

#[test]
fn a_ringing_that_ends_leaves_nothing() {
    let mut wire = Wire::new(2);
    ring(&mut wire);
    for port in [A, P] {
        wire.command(0, MediaCommand::Close { port });
    }
    let before = wire.log.len();
    wire.run(seconds(10));
    assert!(wire.hosts[0].plane.is_empty());
    assert!(wire.log[before..].iter().all(|flying| flying.from != muxed_address(1)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn keys_are_only_used_with_whom_the_answer_names(
        ringing in 0u64..700,
        loss in 0u32..3,
        is_right in any::<bool>(),
        is_final in any::<bool>(),
        seed in any::<u32>(),
    ) {
        let mut wire = Wire::new(2);
        let mut state = seed;
        wire.loses = Box::new(move |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16 & 7) < loss
        });
        let to = open_phone(&mut wire, phone(Protection::Clear), "198.51.100.9");
        wire.offer(A, webrtc());
        wire.command(0, MediaCommand::Join { a: A, b: P });
        let offer = wire.offered();
        wire.answer(B, webrtc(), offer);
        wire.command(1, MediaCommand::Join { a: B, b: B });
        wire.run(Duration::from_millis(ringing));
        prop_assert_eq!(secured(&wire.hosts[0]), 0);
        let mut answer = wire.answered();
        if !is_right {
            answer.audio_mut().unwrap().fingerprints[0].bytes[7] ^= 1;
        }
        accept(&mut wire, answer, is_final);
        wire.run(seconds(2));
        wire.loses = Box::new(|_| false);
        wire.run(seconds(20));
        prop_assert_eq!(secured(&wire.hosts[0]), usize::from(is_right));
        prop_assert_eq!(is_refused(&wire.hosts[0]), !is_right);
        let back = speak(&mut wire, to, 0..20).len();
        prop_assert_eq!(back, if is_right { 20 } else { 0 });
        for port in [A, P] {
            wire.command(0, MediaCommand::Close { port });
        }
        wire.run(seconds(10));
        prop_assert!(wire.hosts[0].plane.is_empty());
        prop_assert_eq!(wire.hosts[0].counters.panics(), 0);
    }
}
