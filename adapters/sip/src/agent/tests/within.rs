//! What happens within a call: hold, offers, digits.

use super::*;

#[test]
fn a_hold_of_the_phone_is_offered_and_answered() {
    let mut scene = Scene::new(&config());
    let (leg, tag) = scene.answered();
    scene.in_dialog("INVITE", 3, &tag, Some((crate::offer::SDP, body())));
    assert!(matches!(scene.events()[..], [LegEvent::Reoffered(_)]));
    scene.command(leg, LegCommand::AnswerReoffer(Answer(description())));
    assert_eq!(scene.statuses(), [100, 200]);
    scene.in_dialog("ACK", 3, &tag, None);
    scene.in_dialog("UPDATE", 4, &tag, Some((crate::offer::SDP, body())));
    scene.command(leg, LegCommand::RefuseReoffer(Cause::NotAcceptable));
    assert_eq!(scene.statuses(), [488]);
}

#[test]
fn an_invite_without_offer_within_the_call_gets_what_holds() {
    let mut scene = Scene::new(&config());
    let (leg, tag) = scene.answered();
    scene.in_dialog("INVITE", 3, &tag, None);
    let ok = scene.responses().pop().unwrap();
    assert_eq!((ok.status(), ok.body()), (200, &body()));
    scene.in_dialog("ACK", 3, &tag, Some((crate::offer::SDP, body())));
    assert!(matches!(scene.events()[..], [LegEvent::Reoffered(_)]));
    scene.command(leg, LegCommand::AnswerReoffer(Answer(description())));
    scene.in_dialog("BYE", 4, &tag, None);
    assert_eq!(ended(&scene.events()), [Cause::Normal]);
}

#[test]
fn two_offers_at_once_are_made_again_one_after_the_other() {
    let mut scene = Scene::new(&config());
    let (leg, tag) = scene.answered();
    scene.command(leg, LegCommand::Reoffer(Offer(description())));
    let ours = scene.request(&Method::Invite);
    scene.in_dialog("INVITE", 3, &tag, Some((crate::offer::SDP, body())));
    assert_eq!(scene.statuses().last(), Some(&491));
    scene.reply(&ours, 491, "ignored", false);
    assert_eq!(scene.requests().iter().map(Request::method).collect::<Vec<_>>(), [Method::Ack]);
    scene.pass(2 * SECOND + SECOND / 10);
    let again = scene.requests().remove(0);
    assert!(again.fields().cseq().unwrap().0 > ours.fields().cseq().unwrap().0);
    scene.reply(&again, 200, "ignored", true);
    assert!(matches!(scene.events()[..], [LegEvent::ReofferAnswered(_)]));
    assert_eq!(
        scene.request(&Method::Ack).fields().cseq(),
        Some((again.fields().cseq().unwrap().0, Method::Ack))
    );
}

#[test]
fn digits_go_both_ways_in_info() {
    let mut scene = Scene::new(&config());
    let (leg, tag) = scene.answered();
    let five = crate::offer::write_digit('5', Duration::from_millis(200));
    scene.in_dialog("INFO", 3, &tag, Some((crate::offer::DIGITS[0], five)));
    assert_eq!(scene.statuses(), [200]);
    assert_eq!(scene.events(), [LegEvent::Digit('5', Duration::from_millis(200))]);
    scene.in_dialog("INFO", 4, &tag, Some(("text/plain", Bytes::from_static(b"x"))));
    assert_eq!(scene.statuses(), [415]);
    scene.command(leg, LegCommand::Digit('#', Duration::from_millis(160)));
    let info = scene.request(&Method::Info);
    assert_eq!(info.body().as_ref(), b"Signal=#\r\nDuration=160\r\n");
}
