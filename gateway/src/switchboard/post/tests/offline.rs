//! Who is away gets everything when it comes.

use super::*;

/// Takes what was sent to sessions, one after the other, as it comes.
fn take_all(world: &mut World) -> Vec<String> {
    let mut seen = Vec::new();
    let mut at = 0;
    while at < world.sent.len() {
        let sent = world.sent[at].clone();
        at += 1;
        seen.push(sent.message.sender_id.clone());
        world.answer(sent.delivery, Handover::Taken(Status::Delivered));
    }
    seen
}

#[test]
fn a_user_offline_for_an_hour_gets_everything_once_and_in_order() {
    let mut world = world("hour");
    world.sessions("alice", true);
    let mut written = Vec::new();
    // More than two pages.
    for n in 0..450 {
        let id = format!("m{n:03}");
        let intake = world.write("alice", &id, Address::procom("bob"));
        world.taken(intake);
        written.push(id);
        world.pass(Duration::from_secs(8));
    }
    assert_eq!(world.post.len(), 0, "they wait on the disk");
    assert_eq!(world.sent, [], "nobody is bothered");
    world.sessions("bob", true);
    assert_eq!(take_all(&mut world), written);
    assert_eq!(world.told.len(), 450);
    assert!(world.told.iter().all(|receipt| receipt.status == Status::Delivered));
    world.sessions("bob", false);
    world.sessions("bob", true);
    assert_eq!(world.sent.len(), 450, "once");
}

#[test]
fn what_comes_while_somebody_is_coming_does_not_overtake() {
    let mut world = world("coming");
    world.write("alice", "m1", Address::procom("bob"));
    let located = Location {
        trunk: "procom".into(),
        contact: "s1".into(),
        profiles: Vec::new(),
        preference: 500,
    };
    world.post.handle_located("procom", &"bob".into(), &[located], world.clock);
    let received = Received {
        intake: IntakeId(77),
        origin: origin("alice"),
        message: message("m2", Address::procom("bob")),
    };
    world.post.handle_received("procom", received, false, world.clock);
    world.work();
    assert_eq!(take_all(&mut world), ["m1", "m2"]);
    world.write("alice", "m3", Address::procom("bob"));
    assert_eq!(take_all(&mut world).last().map(String::as_str), Some("m3"));
}

#[test]
fn who_leaves_before_it_has_taken_a_message_gets_it_the_next_time() {
    let mut world = world("leaves");
    world.sessions("bob", true);
    world.write("alice", "m1", Address::procom("bob"));
    world.write("alice", "m2", Address::procom("bob"));
    let [first] = &world.sent[..] else { panic!("one at a time: {:?}", world.sent) };
    let hop = first.delivery;
    world.answer(hop, later(Cause::Unreachable));
    world.sessions("bob", false);
    assert_eq!(world.sent.len(), 1);
    assert_eq!(world.post.len(), 0);
    world.sessions("bob", true);
    let again = world.sent[1].clone();
    assert_eq!((again.delivery, again.attempt), (hop, 1));
    world.answer(hop, Handover::Taken(Status::Delivered));
    assert_eq!(world.sent[2].message.sender_id, "m2");
}

#[test]
fn a_sender_who_was_away_is_told_when_it_comes() {
    let mut world = world("told");
    world.sessions("bob", true);
    let intake = world.write("alice", "m1", Address::procom("bob"));
    let id = world.taken(intake);
    let hop = world.sent[0].delivery;
    world.answer(hop, Handover::Taken(Status::Delivered));
    assert_eq!(world.told, [], "nobody is there to hear it");
    world.sessions("alice", true);
    assert_eq!(world.statuses(id), [Status::Delivered]);
    world.sessions("alice", false);
    world.sessions("alice", true);
    assert_eq!(world.statuses(id), [Status::Delivered], "once");
}

#[test]
fn a_phone_that_registers_gets_what_waits_and_the_browser_too() {
    let mut world = world("phone");
    world.sessions("alice", true);
    let intake = world.write("alice", "m1", Address::procom("bob"));
    let id = world.taken(intake);
    world.phone(&["c1"]);
    let [sent] = &world.sent[..] else { panic!("to the phone: {:?}", world.sent) };
    assert_eq!(sent.contact.as_deref(), Some("c1"));
    let hop = sent.delivery;
    world.answer(hop, Handover::Taken(Status::Delivered));
    assert_eq!(world.statuses(id), [Status::Delivered]);
    world.sessions("bob", true);
    let shown = world.sent.last().expect("the browser shows it too");
    assert_eq!((shown.message_id, &shown.contact), (id, &None));
    let hop = shown.delivery;
    world.answer(hop, Handover::Taken(Status::Delivered));
    assert_eq!(world.statuses(id), [Status::Delivered], "told once");
    world.phone(&["c2"]);
    assert_eq!(world.sent.len(), 2, "a phone that comes later does not get what was had");
}

#[test]
fn who_never_comes_fails_the_message_after_its_life() {
    let mut world = world("life");
    world.sessions("alice", true);
    let intake = world.write("alice", "m1", Address::procom("bob"));
    let id = world.taken(intake);
    world.pass(Duration::from_secs(7 * 24 * 3600 - 10));
    assert_eq!(world.told, []);
    world.pass(Duration::from_secs(120));
    assert_eq!(world.statuses(id), [Status::Failed]);
    assert!(world.told[0].reason.is_some());
    world.pass(Duration::from_secs(120));
    assert_eq!(world.statuses(id), [Status::Failed], "once");
    let database = rusqlite::Connection::open(world.folder.join("gateway.db")).expect("a file");
    let bodies: i64 = database
        .query_row("SELECT COUNT(*) FROM message WHERE body IS NOT NULL", [], |row| row.get(0))
        .expect("a count");
    assert_eq!(bodies, 0);
}
