//! What is taken, and what is not.

use super::*;

#[test]
fn a_message_is_settled_sent_and_told_of() {
    let mut world = world("taken");
    world.sessions("alice", true);
    let intake = world.write("alice", "m1", number());
    let id = world.taken(intake);
    let [sent] = &world.sent[..] else { panic!("one attempt: {:?}", world.sent) };
    assert_eq!((sent.message_id, sent.attempt, sent.trunk.as_str()), (id, 0, "sip.pbx"));
    assert_eq!(sent.message.body.as_str(), "body of m1");
    let hop = sent.delivery;
    world.answer(hop, Handover::Taken(Status::Sent));
    let by = Origin {
        trunk: "sip.pbx".into(),
        account: None,
        asserted: number(),
        verified: false,
        only: None,
    };
    let confirmation = Confirmation { message_id: id, by, status: Status::Delivered };
    world.post.handle_confirmed(confirmation, world.clock);
    world.work();
    assert_eq!(world.statuses(id), [Status::Sent, Status::Delivered]);
    assert_eq!(world.post.len(), 0, "nothing is left in memory");
}

#[test]
fn a_resend_is_the_same_message_before_and_after_it_arrived() {
    let mut world = world("resend");
    world.sessions("alice", true);
    let first = world.write("alice", "m1", number());
    let again = world.write("alice", "m1", number());
    assert_eq!(world.taken(first), world.taken(again));
    let hop = world.sent[0].delivery;
    world.answer(hop, Handover::Taken(Status::Sent));
    let third = world.write("alice", "m1", number());
    let id = world.taken(first);
    assert!(
        matches!(world.settlement(third), Settlement::Taken(same, Status::Sent, _) if *same == id)
    );
    assert_eq!(world.sent.len(), 1, "never a second message");
    let other = world.write("bob", "m1", number());
    assert_ne!(world.taken(other), id, "another sender's id is another message");
}

#[test]
fn what_cannot_be_taken_is_refused_with_the_reason() {
    let mut world = world("refused");
    let intake = world.write("alice", "m1", Address::procom("nobody"));
    assert_eq!(world.refused(intake).0, Cause::NotFound);
    let empty = Message { body: "".into(), ..message("m2", number()) };
    let intake = world.write_as(origin("alice"), empty);
    assert!(world.refused(intake).1.contains("empty"));
    let sealed = Message { content: "application/omemo".into(), ..message("m3", number()) };
    let intake = world.write_as(origin("alice"), sealed.clone());
    assert!(world.refused(intake).1.contains("between Procom clients"));
    let sealed = Message { to: Address::procom("bob"), ..sealed };
    let intake = world.write_as(origin("alice"), sealed);
    world.taken(intake);
}

#[test]
fn who_writes_too_much_is_refused_and_nobody_else() {
    let config = MessagesConfig { at_once: 3, per_minute: 60, ..generous() };
    let mut world = world_with("much", config);
    let intakes: Vec<IntakeId> =
        (0..4).map(|n| world.write("alice", &n.to_string(), number())).collect();
    assert_eq!(world.refused(intakes[3]).0, Cause::Overload);
    let bob = world.write("bob", "m", number());
    world.taken(bob);
}

#[test]
fn no_more_wait_for_an_account_than_may() {
    let config = MessagesConfig { most_waiting: 2, ..generous() };
    let mut world = world_with("waiting", config);
    let intakes: Vec<IntakeId> =
        (0..3).map(|n| world.write("alice", &n.to_string(), Address::procom("bob"))).collect();
    let (cause, why) = world.refused(intakes[2]);
    assert!(cause == Cause::Overload && why.contains('2'), "{why}");
    let eve = world.write("alice", "3", Address::procom("eve"));
    world.taken(eve);
}

#[test]
fn a_guest_is_answered_and_not_written_to_first() {
    let mut world = world("guest");
    let guest = Address::procom("guest.x1");
    let first = world.write("alice", "m1", guest.clone());
    assert_eq!(world.refused(first).0, Cause::NotFound);
    let visitor = Origin {
        account: None,
        asserted: guest.clone(),
        only: Some(vec!["procom:alice".into()]),
        ..origin("alice")
    };
    let asked = world.write_as(visitor, message("g1", Address::procom("alice")));
    world.taken(asked);
    let answer = world.write("alice", "m2", guest.clone());
    world.taken(answer);
    let sent = world.sent.last().expect("an attempt");
    assert_eq!((&sent.to, &sent.account), (&guest, &None));
    let (hop, attempts) = (sent.delivery, world.sent.len());
    world.answer(hop, later(Cause::Unreachable));
    assert_eq!(world.sent.len(), attempts, "nobody is there");
    world.post.handle_woken(&PROCOM.into(), guest.name(), world.clock);
    world.work();
    assert_eq!(world.sent.len(), attempts + 1, "the visitor is back and waits for nothing");
    let eve = world.write("eve", "m3", guest);
    assert_eq!(world.refused(eve).0, Cause::NotFound, "who was not written to does not answer");
}

#[test]
fn messages_to_the_gateway_reach_its_control_with_their_origin_and_nothing_else() {
    let mut world = world("control");
    let gateway = Address::procom("gateway");
    let intake = world.write("alice", "m1", gateway.clone());
    let id = world.taken(intake);
    assert!(matches!(
        world.settlement(intake),
        Settlement::Taken(same, Status::Delivered, _) if *same == id
    ));
    assert_eq!(world.controls.len(), 1);
    assert_eq!(world.controls[0].origin.account, Some("alice".into()));
    let again = world.write("alice", "m1", gateway.clone());
    assert_eq!(world.taken(again), id);
    assert_eq!(world.controls.len(), 1, "a resend is not obeyed twice");
    let eve = world.write("eve", "m1", gateway);
    assert_eq!(world.refused(eve).0, Cause::Forbidden);
    world.sessions("alice", true);
    world.post.answer(&origin("alice"), "all is well".to_owned(), world.clock);
    world.work();
    let sent = world.sent.last().expect("an answer");
    assert_eq!(sent.origin.asserted, Address::procom("gateway"));
    assert_eq!(sent.account, Some("alice".into()));
}
