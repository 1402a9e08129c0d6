//! A device that was away gets what another one has had.

use gateway_core::message::{Device, DeviceId, Returned};

use super::*;

fn device(number: u8) -> Device {
    Device { account: "bob".into(), id: DeviceId([number; 16]) }
}

impl World {
    /// A device comes back and asks until it was told all; what it lacks, by the senders' ids.
    fn comes(&mut self, number: u8) -> Vec<String> {
        let (mut lacks, mut after) = (Vec::new(), 0);
        loop {
            let session = "s1".to_owned();
            let returned = Returned { device: device(number), session, after };
            self.post.handle_returned(returned, self.clock);
            self.work();
            let backlog = self.backlogs.pop().expect("an answer");
            assert_eq!((backlog.after, backlog.session.as_str()), (after, "s1"));
            after = backlog.until;
            lacks.extend(backlog.missed.into_iter().map(|missed| missed.message.sender_id));
            if backlog.is_last {
                return lacks;
            }
        }
    }

    fn had(&mut self, number: u8, id: MessageId) {
        self.post.handle_had(device(number), id);
        self.work();
    }

    /// Alice writes, and some device of Bob's takes it.
    fn bring(&mut self, sender_id: &str) -> MessageId {
        let intake = self.write("alice", sender_id, Address::procom("bob"));
        let hop = self.sent.last().expect("it was sent").delivery;
        self.answer(hop, Handover::Taken(Status::Delivered));
        self.taken(intake)
    }

    fn bodies(&self) -> i64 {
        let database = rusqlite::Connection::open(self.folder.join("gateway.db")).expect("a file");
        let count = "SELECT COUNT(*) FROM message WHERE body IS NOT NULL";
        database.query_row(count, [], |row| row.get(0)).expect("a count")
    }
}

#[test]
fn who_was_away_lacks_what_another_device_has_had_once_and_in_order_also_after_a_crash() {
    let mut world = world("devices");
    world.sessions("alice", true);
    world.sessions("bob", true);
    assert_eq!(world.comes(1), Vec::<String>::new());
    assert_eq!(world.comes(2), Vec::<String>::new(), "a new device lacks nothing");
    // More than two pages.
    let written: Vec<String> = (0..250).map(|n| format!("m{n:03}")).collect();
    let mut ids = Vec::new();
    for sender_id in &written {
        let id = world.bring(sender_id);
        world.had(1, id);
        ids.push(id);
    }
    assert_eq!(world.bodies(), 250, "kept for the one that is away");
    let mut world = world.crash();
    assert_eq!(world.comes(2), written);
    for id in &ids[..200] {
        world.had(2, *id);
    }
    assert_eq!(world.comes(2), written[200..], "not what it has acknowledged");
    assert_eq!(world.comes(1), Vec::<String>::new());
    for id in &ids[200..] {
        world.had(2, *id);
    }
    assert_eq!(world.comes(2), Vec::<String>::new());
    assert_eq!(world.bodies(), 0, "everybody has had them");
}

#[test]
fn what_is_owed_to_a_device_changes_nothing_for_the_sender() {
    let mut world = world("devices-ladder");
    world.sessions("alice", true);
    world.sessions("bob", true);
    for number in 1..3 {
        world.comes(number);
    }
    let id = world.bring("m1");
    world.had(1, id);
    assert_eq!(world.comes(2), ["m1"]);
    world.had(2, id);
    // As the adapter says it of the second device.
    let by = origin("bob");
    let confirmation = Confirmation { message_id: id, by, status: Status::Delivered };
    world.post.handle_confirmed(confirmation, world.clock);
    world.work();
    assert_eq!(world.statuses(id), [Status::Delivered]);
}

#[test]
fn what_waits_for_everybody_is_owed_to_each() {
    let mut world = world("devices-away");
    for number in 1..3 {
        world.comes(number);
    }
    for n in 0..3 {
        world.write("alice", &format!("m{n}"), Address::procom("bob"));
    }
    assert_eq!(world.comes(1), ["m0", "m1", "m2"]);
    assert_eq!(world.comes(2), ["m0", "m1", "m2"]);
}

#[test]
fn nothing_is_kept_for_a_device_beyond_the_life_of_a_message() {
    let mut world = world("devices-life");
    world.sessions("alice", true);
    world.sessions("bob", true);
    for number in 1..3 {
        world.comes(number);
    }
    world.bring("m1");
    world.pass(Duration::from_secs(7 * 24 * 3600 - 300));
    assert_eq!(world.comes(2), ["m1"]);
    world.pass(Duration::from_secs(600));
    assert_eq!(world.comes(2), Vec::<String>::new());
    world.pass(Duration::from_secs(600));
    assert_eq!(world.bodies(), 0);
    world.sessions("bob", false);
    world.write("alice", "m2", Address::procom("bob"));
    world.pass(Duration::from_secs(8 * 24 * 3600));
    world.pass(Duration::from_secs(120));
    assert_eq!(world.comes(2), Vec::<String>::new(), "it has failed, and its sender was told");
}

#[test]
fn the_device_that_was_away_for_longest_is_forgotten_beyond_eight() {
    let mut world = world("devices-many");
    world.sessions("bob", true);
    for number in 0..8 {
        world.comes(number);
        world.pass(Duration::from_secs(1));
    }
    world.bring("m1");
    assert_eq!(world.comes(0), ["m1"], "now the second is the oldest");
    world.pass(Duration::from_secs(1));
    world.comes(8);
    assert_eq!(world.comes(2), ["m1"]);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.comes(1), Vec::<String>::new(), "it begins anew");
}

#[test]
fn to_a_device_that_never_comes_only_so_many_are_owed() {
    let config = MessagesConfig { most_waiting: 5, at_once: 1000, ..generous() };
    let mut world = world_with("devices-most", config);
    world.sessions("bob", true);
    world.comes(1);
    for n in 0..9 {
        world.bring(&format!("m{n}"));
    }
    assert_eq!(world.comes(1), ["m4", "m5", "m6", "m7", "m8"]);
    assert_eq!(world.bodies(), 5);
}

#[test]
fn a_note_to_oneself_is_owed_to_nobody() {
    let mut world = world("devices-own");
    world.sessions("bob", true);
    world.comes(1);
    world.write("bob", "m1", Address::procom("bob"));
    assert_eq!(world.comes(1), Vec::<String>::new());
}
