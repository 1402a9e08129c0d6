//! One place after the other (RFC 3263 §4.3): the dead, the silent, and those who speak too late.

use super::*;

/// A leg that dials a name with two places, and the INVITE to the first.
fn two_places(scene: &mut Scene) -> (LegId, Request) {
    let leg = scene.dial(DIRECT_TRUNK, None, Profile::phone(Protection::Clear, true));
    let place = |port| Target::new(Transport::Udp, ([192, 0, 2, 7], port).into());
    scene.agent.handle_targets(&Asker::Leg(leg), Ok(vec![place(5060), place(5070)]), scene.now);
    let first = scene.request(&Method::Invite);
    (leg, first)
}

fn branch(request: &Request) -> Option<String> {
    request.fields().top_via().and_then(|via| via.branch.clone())
}

/// The first place has said nothing: the INVITE to the second.
fn to_the_second(scene: &mut Scene, first: &Request) -> Request {
    scene.pass(4 * SECOND);
    let mut sent = scene.requests();
    let second = sent.pop().expect("the second INVITE");
    assert_ne!(branch(&second), branch(first));
    assert!(sent.iter().all(|request| branch(request) == branch(first)), "repetitions");
    second
}

fn methods(requests: &[Request]) -> Vec<Method> {
    requests.iter().map(Request::method).collect()
}

#[test]
fn a_silent_place_is_left_for_the_next_and_cancelled_when_it_speaks() {
    let mut scene = Scene::new(&config());
    let (leg, first) = two_places(&mut scene);
    let second = to_the_second(&mut scene, &first);
    scene.reply(&first, 180, "late", false);
    assert_eq!(methods(&scene.requests()), [Method::Cancel]);
    assert!(scene.events().is_empty(), "who was left does not ring any more");
    scene.reply(&first, 487, "late", false);
    assert_eq!(methods(&scene.requests()), [Method::Ack]);
    scene.reply(&second, 200, "b", true);
    assert!(matches!(scene.events()[..], [LegEvent::Answered(Some(_))]));
    scene.command(leg, LegCommand::End(Cause::Normal, None));
    let bye = scene.requests().pop().expect("a BYE");
    scene.reply(&bye, 200, "b", false);
    scene.assert_nothing_left();
}

#[test]
fn an_answer_that_comes_too_late_is_acknowledged_and_hung_up() {
    for is_answered in [false, true] {
        let mut scene = Scene::new(&config());
        let (leg, first) = two_places(&mut scene);
        let second = to_the_second(&mut scene, &first);
        if is_answered {
            scene.reply(&second, 200, "b", true);
            scene.requests();
            scene.events();
        }
        scene.reply(&first, 200, "late", true);
        let sent = scene.requests();
        assert_eq!(methods(&sent), [Method::Ack, Method::Bye]);
        scene.reply(&sent[1], 200, "late", false);
        assert!(scene.events().is_empty(), "the call goes on with the second");
        if !is_answered {
            scene.reply(&second, 200, "b", true);
            assert!(matches!(scene.events()[..], [LegEvent::Answered(Some(_))]));
        }
        scene.command(leg, LegCommand::End(Cause::Normal, None));
        let bye = scene.requests().pop().expect("a BYE");
        scene.reply(&bye, 200, "b", false);
        scene.assert_nothing_left();
    }
}

#[test]
fn a_place_that_says_anything_is_waited_for() {
    let mut scene = Scene::new(&config());
    let (leg, first) = two_places(&mut scene);
    scene.reply(&first, 100, "a", false);
    scene.pass(40 * SECOND);
    assert!(scene.requests().is_empty());
    scene.command(leg, LegCommand::End(Cause::Cancelled, None));
    assert_eq!(methods(&scene.requests()), [Method::Cancel]);
    scene.reply(&first, 487, "a", false);
    scene.assert_nothing_left();
}

#[test]
fn the_last_place_has_its_whole_time_and_a_caller_may_give_up_meanwhile() {
    let mut scene = Scene::new(&config());
    let (_, first) = two_places(&mut scene);
    to_the_second(&mut scene, &first);
    scene.pass(20 * SECOND);
    assert!(scene.events().is_empty());
    scene.pass(13 * SECOND);
    assert_eq!(ended(&scene.events()), [Cause::Unreachable]);
    scene.assert_nothing_left();

    let mut scene = Scene::new(&config());
    let (leg, first) = two_places(&mut scene);
    let second = to_the_second(&mut scene, &first);
    scene.command(leg, LegCommand::End(Cause::Cancelled, None));
    scene.reply(&first, 180, "late", false);
    scene.reply(&second, 180, "b", false);
    assert_eq!(methods(&scene.requests()), [Method::Cancel, Method::Cancel]);
    scene.reply(&first, 487, "late", false);
    scene.reply(&second, 487, "b", false);
    scene.assert_nothing_left();
}

#[test]
fn a_place_that_is_refused_by_icmp_is_left_at_once() {
    let mut scene = Scene::new(&config());
    let leg = scene.dial(DIRECT_TRUNK, None, Profile::phone(Protection::Clear, true));
    let place = |port| Target::new(Transport::Udp, ([192, 0, 2, 7], port).into());
    scene.agent.handle_targets(&Asker::Leg(leg), Ok(vec![place(5060), place(5070)]), scene.now);
    let first = scene.agent.poll_transmit().expect("an INVITE");
    scene.agent.handle_unsent(first.transaction.expect("a transaction"), scene.now);
    let second = scene.agent.poll_transmit().expect("an INVITE");
    assert_eq!(second.target.remote.port(), 5070);
}
