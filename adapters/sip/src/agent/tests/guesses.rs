//! Guessing passwords: a guesser waits longer and longer, and the owner does not (security row 10).

use super::floods::{register, signed};
use super::*;

/// One guess at a user's password from the scene's flow: the answer.
fn guess(scene: &mut Scene, user: &str, number: u32) -> Response {
    let guess = signed(scene, register(user, number), user, "guess");
    scene.give(guess.render());
    scene.responses().remove(0)
}

/// A sign-in with the right password: its status.
fn sign_in(scene: &mut Scene, user: &str, number: u32) -> u16 {
    let right = signed(scene, register(user, number), user, "secret");
    scene.give(right.render());
    scene.statuses().remove(0)
}

fn learned(scene: &mut Scene) -> Vec<Acquaintance> {
    let outputs = std::mem::take(&mut scene.outputs);
    let learned = |output| match output {
        Output::Event(Event::Acquainted(learned)) => Some(learned),
        Output::Event(_) | Output::Incoming(_) | Output::Message(..) | Output::Resolve(..) => None,
    };
    outputs.into_iter().filter_map(learned).collect()
}

/// Strangers from many networks have used up what they may guess at alice's password.
fn besieged(scene: &mut Scene) {
    for number in 0..40 {
        scene.at(&format!("203.0.113.{number}:5060"));
        guess(scene, "alice", 1_000 + number);
    }
    scene.at("203.0.113.99:5060");
    assert_eq!(guess(scene, "alice", 2_000).status(), 503);
    assert_eq!(sign_in(scene, "alice", 2_001), 503, "not judged: nothing is learned");
}

#[test]
fn a_guesser_hears_how_long_to_wait_and_waits_longer_each_time() {
    let mut scene = Scene::new(&config());
    let judged = (0..200).filter(|number| guess(&mut scene, "alice", *number).status() == 403);
    assert!((1..=20).contains(&judged.count()));
    let mut waits = Vec::new();
    for number in 200..204 {
        let refusal = guess(&mut scene, "alice", number);
        assert_eq!(refusal.status(), 503);
        let wait = refusal.fields().retry_after().unwrap();
        scene.pass(wait - SECOND);
        scene.statuses();
        assert_eq!(guess(&mut scene, "alice", 300 + number).status(), 503, "too early");
        scene.pass(SECOND);
        assert_eq!(guess(&mut scene, "alice", 400 + number).status(), 403, "the wait was true");
        waits.push(wait);
    }
    assert!(waits.windows(2).all(|pair| pair[0] < pair[1]), "{waits:?}");
}

#[test]
fn a_registered_phone_does_not_notice_strangers_that_guess() {
    let mut scene = Scene::new(&config());
    scene.register("alice");
    besieged(&mut scene);
    scene.flow = flow(Transport::Udp);
    assert_eq!(sign_in(&mut scene, "alice", 1), 200);
}

#[test]
fn a_registered_phone_does_not_notice_a_guesser_behind_its_own_nat() {
    let mut scene = Scene::new(&config());
    scene.register("alice");
    for number in 0..60 {
        scene.at(&format!("192.0.2.7:{}", 7_000 + number));
        guess(&mut scene, if number % 2 == 0 { "alice" } else { "bob" }, number);
    }
    assert_eq!(guess(&mut scene, "alice", 61).status(), 503);
    scene.flow = flow(Transport::Udp);
    assert_eq!(sign_in(&mut scene, "alice", 62), 200);
}

#[test]
fn an_account_gets_in_from_a_network_it_used_before_also_in_the_next_life() {
    let mut scene = Scene::new(&config());
    scene.at("198.51.100.7:5060");
    assert_eq!(sign_in(&mut scene, "alice", 1), 200);
    let known = learned(&mut scene);
    assert_eq!(known.len(), 1);
    assert_eq!(sign_in(&mut scene, "alice", 2), 200);
    assert!(learned(&mut scene).is_empty(), "it is known");
    besieged(&mut scene);
    // Another port: the phone has started anew.
    scene.at("198.51.100.7:5099");
    assert_eq!(sign_in(&mut scene, "alice", 3), 200);
    let mut next = Scene::with_memory(&config(), [6; 32], known);
    besieged(&mut next);
    next.at("198.51.100.7:5098");
    assert_eq!(sign_in(&mut next, "alice", 4), 200);
    next.at("198.51.100.8:5098");
    assert_eq!(sign_in(&mut next, "alice", 5), 503, "a network it never used");
}

#[test]
fn the_same_answer_again_is_no_guess_and_teaches_nothing() {
    let mut scene = Scene::new(&config());
    let right = signed(&mut scene, register("alice", 1), "alice", "secret");
    for number in 0..60 {
        let mut again = right.clone();
        let via = format!("SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bKa{number}");
        again.set_top_via(&via);
        again.set("Call-ID", &format!("again-{number}"));
        scene.give(again.render());
        let expected = if number == 0 { 200 } else { 401 };
        assert_eq!(scene.statuses(), [expected]);
    }
    assert_eq!(learned(&mut scene).len(), 1);
}

#[test]
fn a_wrong_answer_that_comes_again_is_one_guess() {
    let mut scene = Scene::new(&config());
    let wrong = signed(&mut scene, register("alice", 1), "alice", "guess").render();
    for _ in 0..100 {
        scene.give(wrong.clone());
        assert_eq!(scene.statuses(), [403], "its 403 may have been lost");
    }
    scene.at("192.0.2.7:5099");
    assert_eq!(sign_in(&mut scene, "bob", 1), 200, "the network has one strike");
    let other = signed(&mut scene, register("alice", 2), "alice", "another guess").render();
    scene.give(other);
    assert_eq!(scene.statuses(), [403]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_guesser_makes_a_registered_phone_wait(
        guesses in prop::collection::vec((0u8..40, 0u16..4, 0usize..4, 0u64..2_000), 0..150),
    ) {
        let mut scene = Scene::new(&config());
        scene.register("alice");
        for (number, (network, port, user, wait_ms)) in (0u32..).zip(guesses) {
            scene.pass(Duration::from_millis(wait_ms));
            scene.statuses();
            // Also from the phone's own address, by other ports.
            let network = if network < 10 { 7 } else { network };
            scene.at(&format!("192.0.2.{network}:{}", 6_000 + port));
            let status = guess(&mut scene, ["alice", "bob", "carol", "nobody"][user], number).status();
            prop_assert!(status == 403 || status == 503);
        }
        scene.flow = flow(Transport::Udp);
        prop_assert_eq!(sign_in(&mut scene, "alice", 9_999), 200);
    }
}
