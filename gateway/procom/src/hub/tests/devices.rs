//! Devices with a name: what they lack comes first, and everything once.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for one variant among many")]

use gateway_core::message::{Backlog, Device, Handover, MessageId, Missed, Returned, Status};

use super::messages::{ack, dispatch, missed};
use super::*;

const NAME: &str = "device-0123456789abcdef";

fn id(number: u8) -> MessageId {
    MessageId([number; 16])
}

fn hello_as(name: &str) -> String {
    client(
        json!({"type": "hello", "version": 1, "user": "alice", "password": "secret", "device": name}),
    )
}

impl World {
    fn sign_in_as(&mut self, socket: SocketId, name: &str) -> Returned {
        self.open(socket);
        self.text(socket, &hello_as(name));
        let verified = Verified { account: "alice".into(), display: None };
        self.verdict(socket, Verdict::Right(verified));
        self.take(socket, "welcome");
        self.returned().expect("it is asked what it lacks")
    }

    fn returned(&mut self) -> Option<Returned> {
        let is_one = |output: &Output| matches!(output, Output::Returned(_));
        let at = self.rest.iter().position(is_one)?;
        match self.rest.remove(at) {
            Output::Returned(returned) => Some(*returned),
            other => panic!("{other:?}"),
        }
    }

    fn had(&mut self) -> Vec<(Device, MessageId)> {
        let mut had = Vec::new();
        self.rest.retain(|output| match output {
            Output::Had(device, message) => {
                had.push((device.clone(), *message));
                false
            }
            _ => true,
        });
        had
    }

    fn page(&mut self, asked: &Returned, ids: &[u8], is_last: bool) {
        let missed: Vec<Missed> = ids.iter().map(|number| missed(id(*number))).collect();
        let until = asked.after + ids.len() as i64;
        let (session, after) = (asked.session.clone(), asked.after);
        let backlog = Backlog { session, after, missed, until, is_last };
        self.command(Command::Backlog(Box::new(backlog)));
    }

    fn shown(&mut self, socket: SocketId) -> Vec<u8> {
        let mut shown = Vec::new();
        self.said.retain(|(to, frame)| {
            let is_one = *to == socket && frame["type"] == "message";
            if is_one {
                let text = frame["id"].as_str().expect("an id");
                shown.push(MessageId::parse(text).expect("an id of ours").0[0]);
            }
            !is_one
        });
        shown
    }
}

#[test]
fn what_a_device_lacks_comes_before_what_comes_meanwhile_and_each_once() {
    let mut world = world();
    world.sign_in(A);
    world.command(dispatch(1, id(3), "alice"));
    let asked = world.sign_in_as(B, NAME);
    assert_eq!((asked.after, asked.device.account.as_str()), (0, "alice"));
    world.command(dispatch(2, id(4), "alice"));
    world.command(dispatch(3, id(5), "alice"));
    // Another device has one of them before this one was told of anything.
    world.text(A, &ack(id(4)));
    assert!(world.shown(B).is_empty(), "not before what it lacks");
    world.page(&asked, &[1, 2, 3], true);
    assert_eq!(world.shown(B), [1, 2, 3, 4, 5]);
    world.command(dispatch(4, id(6), "alice"));
    assert_eq!(world.shown(B), [6], "from now on as it comes");
    world.page(&asked, &[7], true);
    assert!(world.shown(B).is_empty(), "nobody had asked");
}

#[test]
fn an_acknowledgement_is_noted_for_its_device_and_told_to_the_sender_once() {
    let mut world = world();
    world.sign_in(A);
    let asked = world.sign_in_as(B, NAME);
    world.page(&asked, &[], true);
    world.command(dispatch(1, id(1), "alice"));
    world.text(A, &ack(id(1)));
    assert_eq!(world.had(), [], "a device without a name is nobody in particular");
    world.text(B, &ack(id(1)));
    assert_eq!(world.had(), [(asked.device.clone(), id(1))]);
    let told = world.rest.iter().filter(|output| matches!(output, Output::Sent(..)));
    assert_eq!(told.count(), 1);
    assert!(!world.rest.iter().any(|output| matches!(output, Output::Confirmed(_))));
}

#[test]
fn a_device_keeps_its_name_and_others_have_theirs() {
    let mut world = world();
    let first = world.sign_in_as(A, NAME);
    let other = world.sign_in_as(B, "device-fedcba9876543210");
    world.close(A, Closing::Clean);
    let again = world.sign_in_as(SocketId(9), NAME);
    assert_eq!(first.device, again.device);
    assert_ne!(first.device, other.device);
    assert_ne!(first.session, again.session);
}

#[test]
fn pages_follow_as_they_are_acknowledged() {
    let mut world = world();
    let asked = world.sign_in_as(A, NAME);
    let ids: Vec<u8> = (1..=200).collect();
    world.page(&asked, &ids, false);
    assert_eq!(world.shown(A), ids);
    assert_eq!(world.returned(), None, "it has enough to do");
    for number in 1..=72 {
        world.text(A, &ack(id(number)));
    }
    let next = world.returned().expect("there is room again");
    assert_eq!(next.after, 200);
    world.text(A, &ack(id(73)));
    assert_eq!(world.returned(), None, "asked once");
    world.page(&next, &[201, 202], true);
    assert_eq!(world.shown(A), [201, 202]);
}

#[test]
fn a_page_that_does_not_come_is_asked_for_again_and_counts_once() {
    let mut world = world();
    let asked = world.sign_in_as(A, NAME);
    world.pass(5);
    assert_eq!(world.returned(), Some(asked.clone()));
    world.page(&asked, &[1], true);
    world.page(&asked, &[1], true);
    assert_eq!(world.shown(A), [1]);
    world.pass(60);
    assert_eq!(world.returned(), None);
}

#[test]
fn a_device_that_much_came_for_meanwhile_is_told_by_the_store() {
    let mut world = world();
    world.sign_in(B);
    let asked = world.sign_in_as(A, NAME);
    for number in 1..=80 {
        world.command(dispatch(u64::from(number), id(number), "alice"));
        world.text(B, &ack(id(number)));
    }
    world.page(&asked, &[], true);
    let again = world.returned().expect("more than could be set aside");
    let ids: Vec<u8> = (1..=80).collect();
    world.page(&again, &ids, true);
    assert_eq!(world.shown(A), ids);
}

#[test]
fn what_a_session_has_had_is_not_brought_again_when_it_is_over() {
    let mut world = world();
    let asked = world.sign_in_as(A, NAME);
    world.page(&asked, &[1], true);
    world.text(A, &ack(id(1)));
    world.close(A, Closing::Clean);
    world.sign_in(B);
    world.rest.clear();
    world.command(dispatch(1, id(1), "alice"));
    assert!(world.shown(B).is_empty());
    let delivered = Output::Sent(DeliveryId(1), Handover::Taken(Status::Delivered));
    assert!(world.rest.contains(&delivered));
}

#[test]
fn what_was_lacking_and_comes_by_itself_afterwards_is_shown_once_until_it_is_late() {
    let mut world = world();
    let asked = world.sign_in_as(A, NAME);
    world.page(&asked, &[1], true);
    world.command(dispatch(1, id(1), "alice"));
    assert_eq!(world.shown(A), [1]);
    world.pass(30);
    world.command(dispatch(1, id(1), "alice"));
    assert_eq!(world.shown(A), [1], "nobody has acknowledged it");
    let again = world.sign_in_as(B, "device-fedcba9876543210");
    world.command(dispatch(2, id(2), "alice"));
    world.page(&again, &[1, 2], true);
    assert_eq!(world.shown(B), [1, 2]);
    world.pass(30);
    world.command(dispatch(2, id(2), "alice"));
    assert_eq!(world.shown(B), [2]);
}

#[test]
fn a_name_that_could_be_guessed_is_refused() {
    let mut world = world();
    world.open(A);
    world.text(A, &hello_as(NAME).replace(NAME, "phone"));
    assert_eq!(world.take(A, "error")["code"], "malformed");
}
