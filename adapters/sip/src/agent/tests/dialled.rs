//! Legs that we dial.

use super::*;

#[test]
fn a_registered_phone_is_rung_answers_and_is_hung_up() {
    let mut scene = Scene::new(&config());
    let (leg, invite) = scene.ring_bob();
    assert_eq!(invite.uri().to_text(), "sip:bob@192.0.2.7:5060");
    assert_eq!(invite.fields().from().unwrap().uri.to_text(), "sip:alice@gw.example");
    scene.reply(&invite, 180, "b1", false);
    scene.reply(&invite, 200, "b1", true);
    let ack = scene.request(&Method::Ack);
    assert_eq!(ack.fields().cseq().unwrap().0, invite.fields().cseq().unwrap().0);
    assert!(matches!(scene.events()[..], [LegEvent::Ringing, LegEvent::Answered(Some(_))]));
    scene.reply(&invite, 200, "b1", true);
    let again = scene.request(&Method::Ack);
    assert_eq!(again.fields().text("Via"), ack.fields().text("Via"));
    scene.command(leg, LegCommand::End(Cause::Normal, None));
    let bye = scene.request(&Method::Bye);
    assert_eq!(ended(&scene.events()), [Cause::Normal]);
    scene.reply(&bye, 200, "b1", false);
    scene.assert_nothing_left();
}

#[test]
fn early_media_is_told_before_the_answer() {
    let mut scene = Scene::new(&config());
    let (_, invite) = scene.ring_bob();
    scene.reply(&invite, 183, "b1", true);
    scene.reply(&invite, 200, "b1", false);
    let events = scene.events();
    assert!(matches!(events[..], [LegEvent::Progress(_), LegEvent::Answered(None)]));
}

#[test]
fn every_refusal_means_its_cause() {
    for (status, cause) in [
        (486, Cause::Busy),
        (603, Cause::Declined),
        (404, Cause::NotFound),
        (480, Cause::Unreachable),
        (488, Cause::NotAcceptable),
        (500, Cause::Failed),
    ] {
        let mut scene = Scene::new(&config());
        let (_, invite) = scene.ring_bob();
        scene.reply(&invite, status, "b1", false);
        let _ack = scene.request(&Method::Ack);
        assert_eq!(ended(&scene.events()), [cause]);
        scene.assert_nothing_left();
    }
}

#[test]
fn the_first_answer_of_a_forked_call_wins_and_the_others_are_hung_up() {
    let mut scene = Scene::new(&config());
    let (_, invite) = scene.ring_bob();
    scene.reply(&invite, 200, "b1", true);
    let _ack = scene.request(&Method::Ack);
    scene.reply(&invite, 200, "b2", true);
    let sent = scene.requests();
    let methods: Vec<_> = sent.iter().map(Request::method).collect();
    assert_eq!(methods, [Method::Ack, Method::Bye]);
    assert!(sent.iter().all(|request| request.fields().to().unwrap().tag() == Some("b2")));
    assert_eq!(scene.events().len(), 1);
}

#[test]
fn an_answer_that_crosses_our_cancel_is_hung_up() {
    let mut scene = Scene::new(&config());
    let (leg, invite) = scene.ring_bob();
    scene.reply(&invite, 180, "b1", false);
    scene.command(leg, LegCommand::End(Cause::AnsweredElsewhere, None));
    let cancel = scene.request(&Method::Cancel);
    assert!(cancel.fields().text("Reason").unwrap().contains("cause=200"));
    scene.reply(&invite, 200, "b1", true);
    let methods: Vec<_> = scene.requests().iter().map(Request::method).collect();
    assert_eq!(methods, [Method::Ack, Method::Bye]);
    assert_eq!(ended(&scene.events()), [Cause::AnsweredElsewhere]);
    scene.assert_nothing_left();
}

#[test]
fn a_silent_phone_is_unreachable_after_32_seconds() {
    let mut scene = Scene::new(&config());
    let _ = scene.ring_bob();
    scene.pass(33 * SECOND);
    assert_eq!(ended(&scene.events()), [Cause::Unreachable]);
    scene.assert_nothing_left();
}

#[test]
fn a_phone_that_left_is_not_rung() {
    let mut scene = Scene::new(&config());
    let clear = Profile::phone(Protection::Clear, true);
    scene.dial(LOCAL_TRUNK, Some("gone".to_owned()), clear);
    assert_eq!(ended(&scene.events()), [Cause::Unreachable]);
}

#[test]
fn keys_never_leave_by_an_open_wire_unasked() {
    let mut scene = Scene::new(&config());
    let contact = scene.register("bob");
    scene.dial(LOCAL_TRUNK, Some(contact), Profile::phone(Protection::Sdes, false));
    assert!(scene.sent().is_empty());
    assert_eq!(ended(&scene.events()), [Cause::Security]);
}

#[test]
fn a_name_is_looked_up_and_its_addresses_are_tried_in_turn() {
    let mut scene = Scene::new(&config());
    let leg = scene.dial(DIRECT_TRUNK, None, Profile::phone(Protection::Clear, true));
    let asked = scene.outputs.iter().any(|output| match output {
        Output::Resolve(Asker::Leg(asker), query) => *asker == leg && query.host == "far.example",
        Output::Resolve(Asker::Trunk(_) | Asker::Errand(_), _)
        | Output::Event(_)
        | Output::Message(..)
        | Output::Incoming(_) => false,
    });
    assert!(asked);
    let place = |port| Target::new(Transport::Udp, ([192, 0, 2, 7], port).into());
    scene.agent.handle_targets(&Asker::Leg(leg), Ok(vec![place(5060), place(5070)]), scene.now);
    let first = scene.request(&Method::Invite);
    scene.reply(&first, 503, "x", false);
    let methods: Vec<_> = scene.requests().iter().map(Request::method).collect();
    assert_eq!(methods, [Method::Ack, Method::Invite]);
}
