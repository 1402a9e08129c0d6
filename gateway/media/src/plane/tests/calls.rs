//! Calls as they go when nobody means harm.

use gateway_core::cause::Cause;
use gateway_core::description::{Answer, Candidate, Direction};

use super::*;

#[test]
fn two_webrtc_ports_come_to_keys() {
    let mut wire = Wire::new(2);
    wire.call(webrtc(), webrtc());
    wire.run(seconds(5));
    let secured: Vec<_> = wire.hosts.iter().map(|host| host.secured().cloned().unwrap()).collect();
    assert_eq!(secured[0].suite, "AEAD_AES_128_GCM");
    assert_eq!(secured[0].protection, Protection::Dtls);
    let (ours, theirs) = secured[0].fingerprints.clone().unwrap();
    assert_eq!(secured[1].fingerprints, Some((theirs, ours)));
}

#[test]
fn sound_passes_from_a_phone_over_webrtc_and_back() {
    let mut wire = Wire::new(2);
    let to = talk(&mut wire, webrtc(), webrtc());
    let back = speak(&mut wire, to, 0..50);
    assert_eq!(back.len(), 50);
    assert!(back.iter().zip(0u8..).all(|((_, payload), number)| *payload == [number; 160]));
    let ssrc = back[0].0.ssrc;
    assert!(ssrc != 0xcafe && back.iter().all(|(header, _)| header.ssrc == ssrc));
}

#[test]
fn sound_passes_under_every_protection_and_path() {
    for protection in [Protection::Clear, Protection::Sdes, Protection::Dtls] {
        let mut wire = Wire::new(2);
        let to = talk(&mut wire, phone(protection), phone(protection));
        assert_eq!(speak(&mut wire, to, 0..20).len(), 20, "{protection:?}, static");
        for host in &wire.hosts {
            let told = host.events.iter().filter(|event| {
                matches!(event, MediaEvent::Secured(A | B, it) if it.protection == protection)
            });
            assert_eq!(told.count(), 1, "{protection:?}");
        }

        let mut wire = Wire::new(2);
        let ice = Profile { protection, accepts: vec![protection], ..webrtc() };
        let to = talk(&mut wire, ice.clone(), ice);
        assert_eq!(speak(&mut wire, to, 0..20).len(), 20, "{protection:?}, ICE");
    }
}

#[test]
fn an_ice_lite_host_is_reached() {
    let lite = crate::config::MediaConfig { ice_lite: true, ..Default::default() };
    let mut wire = Wire::new(2);
    wire.hosts[1] = wire::Host::new(2, &lite);
    let to = talk(&mut wire, webrtc(), webrtc());
    assert_eq!(speak(&mut wire, to, 0..20).len(), 20);
}

#[test]
fn checks_and_handshake_survive_loss() {
    for seed in 1..100u32 {
        let mut wire = Wire::new(2);
        let mut state = seed;
        wire.loses = Box::new(move |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 16 & 3 == 0
        });
        let to = talk(&mut wire, webrtc(), webrtc());
        wire.run(seconds(20));
        wire.loses = Box::new(|_| false);
        assert_eq!(speak(&mut wire, to, 0..20).len(), 20, "seed {seed}");
    }
}

#[test]
fn a_reoffer_goes_on_without_a_break() {
    for profile in [webrtc(), phone(Protection::Sdes), phone(Protection::Clear)] {
        let mut wire = Wire::new(2);
        let to = talk(&mut wire, profile.clone(), profile.clone());
        let before = speak(&mut wire, to, 0..20);
        wire.command(
            0,
            MediaCommand::Reoffer { port: A, direction: Direction::SendRecv, like: None },
        );
        let offer = wire.offered();
        wire.answer(B, profile, offer);
        let answer = Answer(wire.answered());
        wire.command(0, MediaCommand::Accept { port: A, answer, is_final: true });
        let after = speak(&mut wire, to, 20..40);
        assert_eq!((before.len(), after.len()), (20, 20));
        assert_eq!(after[0].0.sequence, before[19].0.sequence.wrapping_add(1));
    }
}

#[test]
fn a_hold_stops_sound_and_a_resume_starts_it() {
    let mut wire = Wire::new(2);
    let to = talk(&mut wire, webrtc(), webrtc());
    for (direction, expected) in [(Direction::Inactive, 0), (Direction::SendRecv, 20)] {
        wire.command(0, MediaCommand::Reoffer { port: A, direction, like: None });
        let offer = wire.offered();
        wire.answer(B, webrtc(), offer);
        assert_eq!(wire.answered().direction(), direction);
        let answer = Answer(wire.answered());
        wire.command(0, MediaCommand::Accept { port: A, answer, is_final: true });
        assert_eq!(speak(&mut wire, to, 0..20).len(), expected, "{direction:?}");
    }
}

#[test]
fn a_refused_reoffer_leaves_all_as_it_was() {
    let mut wire = Wire::new(2);
    let to = talk(&mut wire, phone(Protection::Sdes), phone(Protection::Sdes));
    wire.command(0, MediaCommand::Reoffer { port: A, direction: Direction::Inactive, like: None });
    wire.command(0, MediaCommand::Rollback { port: A });
    assert_eq!(speak(&mut wire, to, 0..20).len(), 20);
}

#[test]
fn a_peer_that_restarts_ice_is_found_again() {
    let mut wire = Wire::new(2);
    let to = talk(&mut wire, webrtc(), webrtc());
    assert_eq!(speak(&mut wire, to, 0..10).len(), 10);
    // Host 1 loses its page and comes back as another agent with the same certificate.
    let restart = {
        let mut offer = wire.answered();
        let line = offer.audio_mut().unwrap();
        line.ice = Some(gateway_core::description::IceCredentials {
            ufrag: "newufrag".to_owned(),
            pwd: "a-new-password-of-24-chars".to_owned(),
        });
        line.setup = Some(gateway_core::description::Setup::ActPass);
        offer
    };
    let old = wire.offered().audio().unwrap().ice.clone();
    wire.command(
        0,
        MediaCommand::Answer { port: A, profile: webrtc(), offer: Offer(restart), like: None },
    );
    let answer = wire.hosts[0].events.iter().rev().find_map(|event| match event {
        MediaEvent::Answered(A, answer) => Some(answer.0.clone()),
        _ => None,
    });
    assert_ne!(answer.unwrap().audio().unwrap().ice, old);
    // The old pair is used until the new one is selected (RFC 8445 §9).
    assert_eq!(speak(&mut wire, to, 10..20).len(), 10);
}

#[test]
fn candidates_that_trickle_in_later_connect() {
    let mut wire = Wire::new(2);
    wire.offer(A, webrtc());
    let mut offer = wire.offered();
    let candidates = std::mem::take(&mut offer.audio_mut().unwrap().candidates);
    offer.audio_mut().unwrap().end_of_candidates = false;
    wire.answer(B, webrtc(), offer);
    let mut answer = wire.answered();
    let others = std::mem::take(&mut answer.audio_mut().unwrap().candidates);
    wire.command(0, MediaCommand::Accept { port: A, answer: Answer(answer), is_final: true });
    wire.run(seconds(5));
    assert!(wire.hosts[0].secured().is_none());
    for candidate in candidates {
        wire.command(1, MediaCommand::Candidate { port: B, candidate });
    }
    for candidate in others {
        wire.command(0, MediaCommand::Candidate { port: A, candidate });
    }
    wire.command(0, MediaCommand::Candidate { port: A, candidate: Candidate::new("") });
    wire.run(seconds(5));
    assert!(wire.hosts.iter().all(|host| host.secured().is_some()));
}

#[test]
fn a_digit_is_told_once_and_passed_on() {
    let mut wire = Wire::new(2);
    let to = open_phone(&mut wire, phone(Protection::Clear), "198.51.100.9");
    wire.call(webrtc(), webrtc());
    wire.command(0, MediaCommand::Join { a: A, b: P });
    wire.run(seconds(3));
    // Before the echo is joined, so that the digit does not come back.
    for (number, ticks) in (0u16..).zip([160u16, 320, 480, 640, 640, 640]) {
        let end = if number >= 3 { 0x80 } else { 0 };
        let [high, low] = ticks.to_be_bytes();
        let mut event = packet(101, 100 + number, 0xcafe, &[5, end | 10, high, low]);
        event[4..8].copy_from_slice(&16_000u32.to_be_bytes());
        wire.inject(PHONE.into(), to, &event);
        wire.run(Duration::from_millis(20));
    }
    wire.run(seconds(1));
    for (host, port) in [(0, P), (1, B)] {
        let digits: Vec<_> = wire.hosts[host]
            .events
            .iter()
            .filter_map(|event| match event {
                MediaEvent::Digit(of, key, duration) if *of == port => Some((*key, *duration)),
                _ => None,
            })
            .collect();
        assert_eq!(digits, [('5', Duration::from_millis(80))]);
    }
}

#[test]
fn a_digit_of_signalling_is_sent_in_the_media() {
    let mut wire = Wire::new(2);
    wire.call(phone(Protection::Sdes), phone(Protection::Sdes));
    wire.run(seconds(1));
    let duration = Duration::from_millis(120);
    wire.command(0, MediaCommand::Digit { port: A, digit: '#', duration });
    wire.run(seconds(1));
    let digit = wire.hosts[1].events.iter().find_map(|event| match event {
        MediaEvent::Digit(B, key, duration) => Some((*key, *duration)),
        _ => None,
    });
    assert_eq!(digit, Some(('#', duration)));
}

#[test]
fn silence_is_told_once_and_then_the_return_of_sound() {
    let mut wire = Wire::new(2);
    let to = talk(&mut wire, webrtc(), webrtc());
    speak(&mut wire, to, 0..20);
    wire.hosts[0].events.clear();
    wire.run(seconds(12));
    let quiet = |wire: &Wire| {
        let of_phone = |event: &&MediaEvent| matches!(event, MediaEvent::Quiet(P, _));
        wire.hosts[0].events.iter().filter(of_phone).count()
    };
    assert_eq!(quiet(&wire), 1);
    speak(&mut wire, to, 20..22);
    assert!(wire.hosts[0].events.iter().any(|event| matches!(event, MediaEvent::Heard(P))));
}

#[test]
fn a_phone_that_says_nothing_at_all_is_lost_once() {
    let mut wire = Wire::new(2);
    talk(&mut wire, webrtc(), webrtc());
    wire.run(seconds(90));
    let lost = |port| {
        let of_port = |event: &&MediaEvent| matches!(event, MediaEvent::Lost(it) if *it == port);
        wire.hosts[0].events.iter().filter(of_port).count()
    };
    assert_eq!(lost(P), 1);
    // The other leg has consent all the time.
    assert_eq!(lost(A), 0);
}

#[test]
fn nothing_is_sent_once_consent_is_lost_and_it_comes_back() {
    let mut wire = Wire::new(2);
    let to = talk(&mut wire, webrtc(), webrtc());
    wire.loses = Box::new(|flying| flying.to == wire::muxed_address(1));
    wire.run(seconds(31));
    let consent =
        |wire: &Wire, given: bool| wire.hosts[0].events.contains(&MediaEvent::Consent(A, given));
    assert!(consent(&wire, false));
    let sent = |wire: &Wire| {
        let media =
            |flying: &&wire::Flying| flying.to == wire::muxed_address(2) && flying.bytes[0] >= 128;
        wire.log.iter().filter(media).count()
    };
    let before = sent(&wire);
    speak(&mut wire, to, 0..50);
    assert_eq!(sent(&wire), before);
    wire.loses = Box::new(|_| false);
    wire.run(seconds(15));
    assert!(consent(&wire, true));
    assert_eq!(speak(&mut wire, to, 50..70).len(), 20);
}

#[test]
fn reports_pass_and_quality_is_told() {
    let mut wire = Wire::new(2);
    let to = talk(&mut wire, webrtc(), webrtc());
    speak(&mut wire, to, 0..600);
    let qualities: Vec<_> = wire.hosts[0]
        .events
        .iter()
        .filter_map(|event| match event {
            MediaEvent::Quality(A, quality) => Some(*quality),
            _ => None,
        })
        .collect();
    assert!(qualities.len() >= 3);
    let last = qualities.last().unwrap();
    assert_eq!((last.loss_in, last.loss_out), (0.0, Some(0.0)));
    assert!(last.rtt_ms.is_some());
}

#[test]
fn a_line_that_is_not_sound_is_refused_and_fails_nothing() {
    let mut wire = Wire::new(2);
    let mut offer = phone_offer("198.51.100.9", "0");
    let mut video = gateway_core::description::MediaLine::new(
        gateway_core::description::MediaKind::Video,
        "RTP/AVP",
    );
    video.formats = vec!["96".to_owned()];
    offer.media.insert(0, video);
    wire.answer(B, phone(Protection::Clear), offer);
    let answer = wire.answered();
    assert!(answer.media[0].is_refused());
    assert_eq!(answer.media[1].codecs[0].name, "PCMU");
}

#[test]
fn what_cannot_be_agreed_says_why() {
    let mut wire = Wire::new(2);
    let like = phone_offer("198.51.100.9", "96");
    let offer = Offer(phone_offer("198.51.100.9", "0"));
    wire.command(
        0,
        MediaCommand::Answer {
            port: A,
            profile: phone(Protection::Clear),
            offer: offer.clone(),
            like: Some(like),
        },
    );
    wire.command(
        0,
        MediaCommand::Answer { port: B, profile: phone(Protection::Sdes), offer, like: None },
    );
    let causes: Vec<_> = wire.hosts[0]
        .take()
        .into_iter()
        .map(|event| match event {
            MediaEvent::Failed(port, cause, _) => (port, cause),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(causes, [(A, Cause::NotAcceptable), (B, Cause::Security)]);
    assert_eq!(wire.hosts[0].plane.ports(), 0);
}

#[test]
fn a_failed_update_leaves_the_port_as_it_was() {
    let mut wire = Wire::new(2);
    let to = talk(&mut wire, webrtc(), webrtc());
    let offer = Offer(phone_offer("198.51.100.9", "0"));
    wire.command(0, MediaCommand::Answer { port: A, profile: webrtc(), offer, like: None });
    assert!(matches!(wire.hosts[0].events.last(), Some(MediaEvent::Failed(A, Cause::Security, _))));
    assert_eq!(speak(&mut wire, to, 0..20).len(), 20);
}

#[test]
fn another_fork_of_an_answer_takes_over() {
    let mut wire = Wire::new(3);
    wire.offer(A, phone(Protection::Sdes));
    let offer = wire.offered();
    let mut answers = Vec::new();
    for host in [1, 2] {
        let (port, profile) = (B, phone(Protection::Sdes));
        let offer = Offer(offer.clone());
        wire.command(host, MediaCommand::Answer { port, profile, offer, like: None });
        wire.command(host, MediaCommand::Join { a: B, b: B });
        let answer = wire.hosts[host].events.iter().find_map(|event| match event {
            MediaEvent::Answered(_, answer) => Some(answer.0.clone()),
            _ => None,
        });
        answers.push(answer.unwrap());
    }
    let to = open_phone(&mut wire, phone(Protection::Clear), "198.51.100.9");
    wire.command(0, MediaCommand::Join { a: A, b: P });
    for (number, place) in [0, 1, 0, 1].into_iter().enumerate() {
        let (answer, is_final) = (Answer(answers[place].clone()), number == 3);
        wire.command(0, MediaCommand::Accept { port: A, answer, is_final });
        let first = 10 * u16::try_from(number).unwrap();
        assert_eq!(speak(&mut wire, to, first..first + 10).len(), 10, "fork {number}");
    }
}

#[test]
fn every_closed_port_leaves_nothing() {
    let mut wire = Wire::new(2);
    talk(&mut wire, webrtc(), webrtc());
    for port in [A, P] {
        wire.command(0, MediaCommand::Close { port });
    }
    wire.command(1, MediaCommand::Close { port: B });
    wire.run(seconds(60));
    for host in &wire.hosts {
        assert!(host.plane.is_empty());
        assert_eq!(host.open_pairs.load(std::sync::atomic::Ordering::Relaxed), 0);
        assert_eq!(host.counters.ports_active(Protection::Dtls), 0);
    }
}

#[test]
fn a_fault_in_one_port_closes_that_port_only() {
    let mut wire = Wire::new(2);
    let to = talk(&mut wire, webrtc(), webrtc());
    let now = wire.now;
    wire.hosts[0].plane.handle_command(
        MediaCommand::Offer { port: PortId(9), profile: webrtc(), like: None },
        now,
    );
    wire.hosts[0].plane.guarded(PortId(9), now, |_| panic!("a fault made for this test"));
    assert_eq!(wire.hosts[0].take().last(), Some(&MediaEvent::Lost(PortId(9))));
    assert_eq!((wire.hosts[0].plane.ports(), wire.hosts[0].counters.panics()), (2, 1));
    assert_eq!(speak(&mut wire, to, 0..20).len(), 20);
}

#[test]
fn a_peer_that_checks_but_never_comes_to_keys_is_lost() {
    let mut wire = Wire::new(2);
    wire.loses = Box::new(|flying| (20..64).contains(&flying.bytes[0]));
    wire.call(webrtc(), webrtc());
    wire.command(0, MediaCommand::Join { a: A, b: A });
    wire.run(seconds(31));
    assert!(wire.hosts[0].events.contains(&MediaEvent::Lost(A)));
}

#[test]
fn who_signals_over_ipv6_is_offered_media_over_it() {
    for (peer, is_v6) in [("2001:db8::7", true), ("192.0.2.7", false), ("::ffff:192.0.2.7", false)]
    {
        let mut wire = Wire::new(2);
        let signalling_peer = Some(peer.parse().unwrap());
        wire.offer(PortId(1), Profile { signalling_peer, ..phone(Protection::Clear) });
        let address = wire.offered().media[0].address.unwrap();
        assert_eq!(address.is_ipv6(), is_v6, "{address} for {peer}");
    }
}
