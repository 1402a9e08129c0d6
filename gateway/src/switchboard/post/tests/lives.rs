//! Failures, crashes and adapters that stop.

use super::*;

#[test]
fn what_fails_is_tried_again_later_each_time_and_under_a_new_number() {
    let mut world = world("retry");
    world.sessions("alice", true);
    let intake = world.write("alice", "m1", number());
    let id = world.taken(intake);
    let hop = world.sent[0].delivery;
    world.answer(hop, later(Cause::NoAnswer));
    assert_eq!(world.sent.len(), 1);
    world.pass(Duration::from_secs(2));
    assert_eq!((world.sent[1].delivery, world.sent[1].attempt), (hop, 1));
    world.answer(hop, later(Cause::NoAnswer));
    world.pass(Duration::from_millis(1900));
    assert_eq!(world.sent.len(), 2, "the second wait is longer");
    world.pass(Duration::from_millis(2200));
    assert_eq!(world.sent[2].attempt, 2);
    world.answer(hop, Handover::Never(Cause::NotFound, "no such number".to_owned()));
    assert_eq!(world.statuses(id), [Status::Failed]);
    assert_eq!(world.told[0].reason.as_deref(), Some("no such number"));
}

#[test]
fn who_says_when_to_come_again_is_left_alone_until_then_also_by_the_next_life() {
    let mut world = world("retry-after");
    let intake = world.write("alice", "m1", number());
    world.taken(intake);
    let hop = world.sent[0].delivery;
    let wait = Duration::from_secs(60);
    world.answer(hop, Handover::After(wait, Cause::Overload, "busy".to_owned()));
    world.pass(Duration::from_secs(50));
    assert_eq!(world.sent.len(), 1);
    let mut world = world.crash();
    world.pass(Duration::from_secs(9));
    assert_eq!(world.sent, []);
    world.pass(Duration::from_secs(4));
    assert_eq!((world.sent[0].delivery, world.sent[0].attempt), (hop, 1));
}

#[test]
fn an_attempt_that_a_crash_cut_off_is_repeated_under_its_number() {
    let mut world = world("crash");
    let intake = world.write("alice", "m1", number());
    let id = world.taken(intake);
    let second = world.write("alice", "m2", number());
    let second = world.taken(second);
    let cut_off = world.sent[0].clone();
    let mut world = world.crash();
    assert_eq!(world.sent.len(), 1, "one of a conversation at a time");
    assert_eq!(world.sent[0], cut_off, "the very same attempt");
    let again = world.write("alice", "m1", number());
    assert_eq!(world.taken(again), id, "a resend after the crash is the same message");
    world.answer(cut_off.delivery, Handover::Taken(Status::Sent));
    assert_eq!(world.sent[1].message_id, second, "in their order");
    let other = world.write("alice", "m3", Address::tel("+4587654321"));
    world.taken(other);
    let fresh = world.sent.last().expect("an attempt").delivery;
    assert!(fresh > cut_off.delivery, "no id is used again");
}

#[test]
fn what_waited_for_an_account_when_it_crashed_is_there_for_it_afterwards() {
    let mut world = world("crash-away");
    let intake = world.write("alice", "m1", Address::procom("bob"));
    let id = world.taken(intake);
    world.sessions("bob", true);
    let cut_off = world.sent[0].clone();
    let mut world = world.crash();
    assert_eq!(world.sent, [], "nobody is there yet");
    world.sessions("bob", true);
    assert_eq!(world.sent, [cut_off]);
    let hop = world.sent[0].delivery;
    world.answer(hop, Handover::Taken(Status::Delivered));
    let mut world = world.crash();
    world.sessions("bob", true);
    assert_eq!(world.sent, [], "what was taken stays taken");
    world.sessions("alice", true);
    assert_eq!(world.statuses(id), [Status::Delivered], "and its sender hears of it");
}

#[test]
fn an_adapter_that_stops_is_given_the_same_attempt_when_it_runs_again() {
    let mut world = world("detached");
    world.write("alice", "m1", number());
    let first = world.sent[0].clone();
    world.post.handle_detached("sip", world.clock);
    world.work();
    world.pass(Duration::from_secs(2));
    assert_eq!(world.sent[1], first);
    world.answer(first.delivery, Handover::Taken(Status::Sent));
    assert_eq!(world.post.len(), 0);
}

#[test]
fn another_address_is_tried_only_if_the_sender_allows_it() {
    let mut world = world("fallback");
    world.write("alice", "m1", Address::procom("both"));
    assert_eq!(world.sent, [], "it waits for the account");
    let allowed = Message { may_fall_back: true, ..message("m2", Address::procom("both")) };
    world.write_as(origin("alice"), allowed);
    let [sent] = &world.sent[..] else { panic!("by the trunk: {:?}", world.sent) };
    assert_eq!((sent.trunk.as_str(), sent.message.sender_id.as_str()), ("sip.pbx", "m2"));
    let hop = sent.delivery;
    world.answer(hop, Handover::Taken(Status::Sent));
    world.sessions("both", true);
    let shown: Vec<&str> =
        world.sent[1..].iter().map(|sent| sent.message.sender_id.as_str()).collect();
    assert_eq!(shown, ["m1"], "what arrived elsewhere is not brought again");
}

#[test]
fn only_who_was_brought_a_message_says_that_it_arrived() {
    let mut world = world("confirmed");
    world.sessions("alice", true);
    world.sessions("bob", true);
    let intake = world.write("alice", "m1", Address::procom("bob"));
    let id = world.taken(intake);
    let hop = world.sent[0].delivery;
    let read = |by: &str| Confirmation { message_id: id, by: origin(by), status: Status::Read };
    world.post.handle_confirmed(read("eve"), world.clock);
    world.work();
    world.answer(hop, Handover::Taken(Status::Delivered));
    world.post.handle_confirmed(read("eve"), world.clock);
    world.work();
    assert_eq!(world.statuses(id), [Status::Delivered]);
    world.post.handle_confirmed(read("bob"), world.clock);
    world.post.handle_confirmed(read("bob"), world.clock);
    world.work();
    assert_eq!(world.statuses(id), [Status::Delivered, Status::Read], "each once");
}
