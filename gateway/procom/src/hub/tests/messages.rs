#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for one variant among many")]

use gateway_core::message::{
    Body, Composing, ConversationId, Dispatch, Handover, IntakeId, Message, MessageId, Missed,
    Receipt, Received, Settlement, Status,
};
use gateway_core::route::Origin;

use super::*;
use crate::testing::address;

pub(super) const ID: MessageId = MessageId([7; 16]);
const CONVERSATION: ConversationId = ConversationId([5; 16]);

pub(super) fn message(id: &str, body: &str) -> String {
    client(json!({"type": "message", "id": id, "to": "procom:bob", "body": body}))
}

fn origin(account: &str) -> Origin {
    Origin {
        trunk: "procom".into(),
        account: Some(account.into()),
        asserted: address(&format!("procom:{account}")),
        verified: true,
        only: None,
    }
}

pub(super) fn dispatch(delivery: u64, id: MessageId, to: &str) -> Command {
    let account = (!to.starts_with("guest.")).then(|| to.into());
    Command::Send(Box::new(Dispatch {
        delivery: DeliveryId(delivery),
        attempt: 0,
        message_id: id,
        conversation: CONVERSATION,
        trunk: "procom".into(),
        origin: origin("bob"),
        to: address(&format!("procom:{to}")),
        contact: None,
        account,
        message: good_day(to),
    }))
}

fn good_day(to: &str) -> Message {
    Message {
        sender_id: "their-own".to_owned(),
        to: address(&format!("procom:{to}")),
        dialled: None,
        content: "text/plain".to_owned(),
        body: Body::from("good day"),
        thread: None,
        at_ms: 1_767_225_600_000,
        require: Require::Any,
        may_fall_back: false,
        wants_receipts: true,
        hops_left: None,
    }
}

pub(super) fn missed(message_id: MessageId) -> Missed {
    let (origin, message) = (origin("bob"), good_day("alice"));
    Missed { message_id, conversation: CONVERSATION, origin, message }
}

pub(super) fn receipt(sender_id: &str, status: Status) -> Command {
    Command::Receipt(Box::new(Receipt {
        trunk: "procom".into(),
        origin: origin("alice"),
        message_id: ID,
        sender_id: sender_id.to_owned(),
        to: address("procom:bob"),
        status,
        reason: None,
    }))
}

pub(super) fn ack(id: MessageId) -> String {
    client(json!({"type": "ack", "id": id.to_string()}))
}

pub(super) fn read(id: MessageId) -> String {
    client(json!({"type": "read", "id": id.to_string()}))
}

impl World {
    pub(super) fn received(&mut self) -> Received {
        let is_received = |output: &Output| matches!(output, Output::Received(_));
        let at = self.rest.iter().position(is_received).expect("a message");
        match self.rest.remove(at) {
            Output::Received(received) => *received,
            other => panic!("{other:?}"),
        }
    }

    fn sent(&mut self) -> Vec<(u64, Handover)> {
        let mut sent = Vec::new();
        self.rest.retain(|output| match output {
            Output::Sent(delivery, handover) => {
                sent.push((delivery.0, handover.clone()));
                false
            }
            _ => true,
        });
        sent
    }

    fn confirmed(&mut self) -> Vec<Status> {
        let mut confirmed = Vec::new();
        self.rest.retain(|output| match output {
            Output::Confirmed(confirmation) => {
                assert_eq!((confirmation.message_id, &confirmation.by), (ID, &origin("alice")));
                confirmed.push(confirmation.status);
                false
            }
            _ => true,
        });
        confirmed
    }

    /// The statuses told to that socket.
    fn statuses(&mut self, socket: SocketId) -> Vec<String> {
        let mut statuses = Vec::new();
        self.said.retain(|(to, frame)| {
            let is_one = *to == socket && frame["type"] == "status";
            if is_one {
                statuses.push(frame["status"].as_str().expect("a word").to_owned());
            }
            !is_one
        });
        statuses
    }

    pub(super) fn settle(&mut self, intake: IntakeId) {
        self.command(Command::Settle(intake, Settlement::Taken(ID, Status::Queued, CONVERSATION)));
    }
}

const DELIVERED: Handover = Handover::Taken(Status::Delivered);

#[test]
fn a_message_is_queued_only_once_it_is_settled_and_then_shown_to_the_senders_other_devices() {
    let mut world = world();
    world.sign_in(A);
    world.sign_in(B);
    world.text(A, &message("m1", "hi"));
    assert!(world.said.is_empty(), "nothing is claimed yet: {:?}", world.said);
    let received = world.received();
    assert_eq!(received.origin, origin("alice"));
    assert_eq!((received.message.body.as_str(), &*received.message.sender_id), ("hi", "m1"));
    world.settle(received.intake);
    let status = world.take(A, "status");
    assert_eq!((&status["id"], &status["status"]), (&json!("m1"), &json!("queued")));
    let copy = world.take(B, "message");
    assert_eq!((&copy["from"], &copy["to"]), (&json!("procom:alice"), &json!("procom:bob")));
    assert_eq!((&copy["id"], &copy["body"]), (&json!(ID.to_string()), &json!("hi")));
    world.text(B, &ack(ID));
    world.text(B, &read(ID));
    assert!(world.said.is_empty() && world.confirmed().is_empty(), "a copy confirms nothing");
}

#[test]
fn a_message_sent_again_under_its_id_is_told_each_status_once_and_shown_once() {
    let mut world = world();
    world.sign_in(A);
    world.sign_in(B);
    for _ in 0..2 {
        world.text(A, &message("m1", "hi"));
        let intake = world.received().intake;
        world.settle(intake);
    }
    for status in [Status::Sent, Status::Delivered, Status::Sent, Status::Read, Status::Read] {
        world.command(receipt("m1", status));
    }
    assert_eq!(world.statuses(A), ["queued", "sent", "delivered", "read"]);
    world.take(B, "message");
    assert_eq!(world.statuses(B), ["sent", "delivered", "read"]);
    assert!(world.said.is_empty(), "{:?}", world.said);
}

#[test]
fn a_refused_message_is_told_why_and_may_be_tried_again() {
    let mut world = world();
    world.sign_in(A);
    world.text(A, &message("m1", "hi"));
    let intake = world.received().intake;
    let why = "Nobody has this address.".to_owned();
    world.command(Command::Settle(intake, Settlement::Refused(Cause::NotFound, why)));
    let status = world.take(A, "status");
    assert_eq!(
        (&status["status"], &status["reason"]),
        (&json!("failed"), &json!("Nobody has this address."))
    );
    world.text(A, &message("m1", "hi"));
    let intake = world.received().intake;
    world.hub.handle_no_room(intake);
    world.drain();
    assert_eq!(world.statuses(A), ["failed"]);
    world.text(A, &message("m1", "hi"));
    let intake = world.received().intake;
    world.settle(intake);
    assert_eq!(world.statuses(A), ["queued"]);
}

#[test]
fn what_cannot_be_a_message_fails_at_once_with_the_limit_in_the_reason() {
    let mut world = world();
    world.sign_in(A);
    let mut fails = |frame: Value| {
        world.text(A, &client(frame));
        let status = world.take(A, "status");
        assert_eq!((&status["id"], &status["status"]), (&json!("m1"), &json!("failed")));
        assert!(world.rest.iter().all(|output| !matches!(output, Output::Received(_))));
        status["reason"].as_str().expect("a reason").to_owned()
    };
    let frame = |to: &str, body: &str, content: &str| json!({"type": "message", "id": "m1", "to": to, "body": body, "content": content});
    assert!(fails(frame("procom:bob", "", "text/plain")).contains("empty"));
    let large = "x".repeat(32 * 1024 + 1);
    assert!(fails(frame("procom:bob", &large, "text/plain")).contains("32768"));
    assert!(fails(frame("procom:bob", "hi", "nonsense")).contains("media type"));
    fails(frame("sip:", "hi", "text/plain"));
    world.text(A, &message("m2", &"x".repeat(32 * 1024)));
    assert_eq!(world.received().message.body.len(), 32 * 1024);
}

#[test]
fn a_message_is_shown_to_every_device_and_delivered_by_the_first_that_acknowledges() {
    let mut world = world();
    world.sign_in(A);
    world.sign_in(B);
    world.command(dispatch(1, ID, "alice"));
    let shown = world.take(A, "message");
    assert_eq!(shown, world.take(B, "message"));
    assert_eq!((&shown["from"], &shown["to"]), (&json!("procom:bob"), &json!("procom:alice")));
    assert_eq!((&shown["at"], &shown["verified"]), (&json!("2026-01-01T00:00:00Z"), &json!(true)));
    assert!(world.sent().is_empty());
    world.text(B, &ack(ID));
    assert_eq!(world.sent(), [(1, DELIVERED)]);
    world.text(A, &ack(ID));
    world.text(A, &ack(ID));
    assert!(world.sent().is_empty() && world.confirmed().is_empty());
    for socket in [A, A, B] {
        world.text(socket, &read(ID));
    }
    assert_eq!(world.confirmed(), [Status::Read, Status::Read], "one for each device");
}

#[test]
fn a_message_for_nobody_is_given_back_at_once_and_one_whose_last_reader_leaves_too() {
    let mut world = world();
    world.command(dispatch(1, ID, "alice"));
    assert!(matches!(*world.sent(), [(1, Handover::Later(Cause::Unreachable, _))]));
    world.sign_in(A);
    world.command(dispatch(2, ID, "alice"));
    world.close(A, Closing::Clean);
    assert!(matches!(*world.sent(), [(2, Handover::Later(Cause::Unreachable, _))]));
    world.pass(60);
    assert!(world.sent().is_empty(), "said once");
}

#[test]
fn a_message_nobody_acknowledges_is_given_back_after_thirty_seconds_and_shown_again() {
    let mut world = world();
    world.sign_in(A);
    world.command(dispatch(1, ID, "alice"));
    world.pass(29);
    assert!(world.sent().is_empty());
    world.pass(1);
    assert!(matches!(*world.sent(), [(1, Handover::Later(Cause::NoAnswer, _))]));
    world.command(dispatch(1, ID, "alice"));
    let (first, second) = (world.take(A, "message"), world.take(A, "message"));
    assert_eq!(first, second);
    world.pass(30);
    world.sent();
    world.text(A, &ack(ID));
    assert_eq!(world.confirmed(), [Status::Delivered], "late, but it is there");
    world.command(dispatch(1, ID, "alice"));
    assert_eq!(world.sent(), [(1, DELIVERED)]);
    assert!(world.said.is_empty(), "not shown again");
}

#[test]
fn a_message_under_way_when_a_socket_drops_is_sent_again_when_it_is_back() {
    let mut world = world();
    let welcome = world.sign_in(A);
    world.close(A, Closing::Dropped);
    world.command(dispatch(1, ID, "alice"));
    assert!(world.said.is_empty());
    world.rest.clear();
    world.open(B);
    world.text(B, &resume(&welcome, 0));
    world.take(B, "welcome");
    assert_eq!(world.take(B, "message")["id"], ID.to_string());
    assert_eq!(world.located().len(), 1, "what is held may flow");
    world.text(B, &ack(ID));
    assert_eq!(world.sent(), [(1, DELIVERED)]);
}

#[test]
fn a_device_that_signs_in_is_shown_what_no_other_has_acknowledged_in_order() {
    let mut world = world();
    world.sign_in(A);
    let ids: Vec<MessageId> = (0..5).map(|at| MessageId([9 - at; 16])).collect();
    for (delivery, id) in (1..).zip(&ids) {
        world.command(dispatch(delivery, *id, "alice"));
    }
    world.text(A, &ack(ids[1]));
    world.sign_in(B);
    for at in [0, 2, 3, 4] {
        assert_eq!(world.take(B, "message")["id"], ids[at].to_string());
    }
}

#[test]
fn an_ack_for_a_message_of_an_earlier_life_says_that_it_arrived() {
    let mut world = world();
    world.sign_in(A);
    world.text(A, &ack(ID));
    world.text(A, &ack(ID));
    world.text(A, &client(json!({"type": "ack", "id": "x9"})));
    assert_eq!(world.confirmed(), [Status::Delivered]);
}

#[test]
fn a_flood_is_refused_and_others_write_on() {
    let mut world = World::new(Setup {
        limits: crate::config::Limits { messages_per_second: 2, ..Default::default() },
        ..setup()
    });
    world.sign_in(A);
    world.sign_in(B);
    for at in 0..10 {
        world.text(A, &message(&format!("m{at}"), "hi"));
    }
    assert_eq!(world.statuses(A).len(), 2);
    world.text(B, &message("b", "hi"));
    assert!(world.statuses(B).is_empty());
    world.pass(1);
    world.text(A, &message("later", "hi"));
    assert!(world.statuses(A).is_empty());
}

#[test]
fn a_switchboard_that_settles_nothing_is_not_given_without_end() {
    let mut setup = setup();
    setup.limits.messages_per_second = 1_000;
    let mut world = World::new(setup);
    world.sign_in(A);
    for at in 0..300 {
        world.text(A, &message(&format!("m{at}"), "hi"));
    }
    assert_eq!(world.statuses(A), vec!["failed"; 300 - 256]);
}

#[test]
fn a_device_that_acknowledges_nothing_is_not_sent_without_end() {
    let mut world = world();
    world.sign_in(A);
    for round in 0..4_u8 {
        for at in 0..100_u8 {
            let id = [[round, at]; 8].concat().try_into().expect("16 bytes");
            world.command(dispatch(u64::from(round) * 100 + u64::from(at), MessageId(id), "alice"));
        }
        world.pass(30);
    }
    assert_eq!(world.sent().len(), 400);
    assert_eq!(world.said.len(), 256);
}

#[test]
fn a_visitor_is_the_same_guest_again_and_others_are_not() {
    let setup = setup();
    let tokens = setup.tokens.clone();
    let mut world = World::new(setup);
    let mut name = |socket: u64, visitor: &str| {
        let socket = SocketId(socket);
        world.open(socket);
        let hello: Value =
            serde_json::from_str(&guest(&tokens, world.now.unix_s() + 60, None)).expect("JSON");
        let mut hello = hello;
        if !visitor.is_empty() {
            hello["visitor"] = json!(visitor);
        }
        world.text(socket, &client(hello));
        world.take(socket, "welcome")["address"].as_str().expect("an address").to_owned()
    };
    let first = name(1, "0123456789abcdef01234567");
    assert_eq!(first, name(2, "0123456789abcdef01234567"));
    assert_ne!(first, name(3, "0123456789abcdef01234568"));
    assert_ne!(name(4, ""), name(5, ""));
    let guest = first.trim_start_matches("procom:").to_owned();
    let woken = world.rest.iter().filter(|said| **said == Output::Woken(guest.clone()));
    assert_eq!(woken.count(), 2, "each time they come what waits for them is tried");
    world.said.clear();
    world.command(dispatch(1, ID, &guest));
    assert_eq!(world.take(SocketId(1), "message")["to"], first);
    world.take(SocketId(2), "message");
    assert!(world.said.is_empty(), "{:?}", world.said);
}

#[test]
fn a_guests_message_names_what_its_token_allows() {
    let setup = setup();
    let tokens = setup.tokens.clone();
    let mut world = World::new(setup);
    world.open(A);
    world.text(A, &guest(&tokens, world.now.unix_s() + 60, None));
    world.text(A, &message("m1", "hi"));
    let received = world.received();
    assert!(!received.origin.verified && received.origin.account.is_none());
    assert_eq!(received.origin.only, Some(vec!["procom:shop".to_owned()]));
}

#[test]
fn composing_passes_both_ways_but_not_without_end_and_not_to_who_is_away() {
    let mut world = world();
    world.sign_in(A);
    for _ in 0..20 {
        world.text(A, &client(json!({"type": "composing", "with": "procom:bob", "on": true})));
    }
    let passed = world.rest.iter().filter(|output| matches!(output, Output::Composing(_))).count();
    assert_eq!(passed, 8);
    let composing = || {
        Command::Composing(
            "procom".into(),
            Box::new(Composing {
                origin: origin("bob"),
                to: address("procom:alice"),
                account: Some("alice".into()),
                is_on: true,
            }),
        )
    };
    world.command(composing());
    let frame = world.take(A, "composing");
    assert_eq!((&frame["with"], &frame["on"]), (&json!("procom:bob"), &json!(true)));
    world.close(A, Closing::Dropped);
    world.command(composing());
    assert!(world.said.is_empty());
}

#[test]
fn presence_is_refused() {
    let mut world = world();
    world.sign_in(A);
    world.text(A, &client(json!({"type": "presence", "show": "away"})));
    assert_eq!(world.take_error(A), "not-supported");
}

/// Something that happens to messages.
#[derive(Clone, Debug)]
enum Turn {
    SignIn,
    Write(u8),
    Settle(bool),
    Dispatch(u8),
    Ack(u8),
    Read(u8),
    Receipt(u8, Status),
    Drop,
    Close,
    Resume,
    Pass(u64),
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        2 => Just(Turn::SignIn),
        4 => (0_u8..6).prop_map(Turn::Write),
        3 => any::<bool>().prop_map(Turn::Settle),
        6 => (0_u8..12).prop_map(Turn::Dispatch),
        6 => (0_u8..12).prop_map(Turn::Ack),
        2 => (0_u8..12).prop_map(Turn::Read),
        4 => ((0_u8..6), prop::sample::select(Status::ALL.to_vec()))
            .prop_map(|(id, status)| Turn::Receipt(id, status)),
        1 => Just(Turn::Drop),
        1 => Just(Turn::Close),
        2 => Just(Turn::Resume),
        2 => (1_u64..40).prop_map(Turn::Pass),
    ]
}

proptest! {
    #[test]
    fn every_dispatch_is_answered_once_and_no_status_goes_back(
        turns in prop::collection::vec((turn(), any::<prop::sample::Index>()), 0..120),
    ) {
        let mut world = world();
        let (mut sockets, mut welcomes, mut intakes) = (Vec::new(), Vec::new(), Vec::new());
        let mut answered_of_delivery: BTreeMap<u64, usize> = BTreeMap::new();
        let mut told: BTreeMap<(SocketId, String), Status> = BTreeMap::new();
        let mut next = 1_u64;
        for (turn, which) in turns {
            next += 1;
            let socket = if sockets.is_empty() { SocketId(0) } else { *which.get(&sockets) };
            match turn {
                Turn::SignIn => {
                    world.open(SocketId(next));
                    world.text(SocketId(next), &hello());
                    let verified = Verified { account: "alice".into(), display: None };
                    world.verdict(SocketId(next), Verdict::Right(verified));
                    sockets.push(SocketId(next));
                }
                Turn::Write(id) => world.text(socket, &message(&format!("m{id}"), "hi")),
                Turn::Settle(is_taken) => if let Some((intake, sender_id)) = intakes.pop() {
                    let id = MessageId([u8::try_from(sender_id).unwrap_or(0); 16]);
                    let settlement = if is_taken {
                        Settlement::Taken(id, Status::Queued, CONVERSATION)
                    } else {
                        Settlement::Refused(Cause::Forbidden, "no".to_owned())
                    };
                    world.command(Command::Settle(intake, settlement));
                },
                Turn::Dispatch(id) => {
                    answered_of_delivery.insert(next, 0);
                    world.command(dispatch(next, MessageId([100 + id; 16]), "alice"));
                }
                Turn::Ack(id) => world.text(socket, &ack(MessageId([100 + id; 16]))),
                Turn::Read(id) => world.text(socket, &read(MessageId([100 + id; 16]))),
                Turn::Receipt(id, status) => world.command(receipt(&format!("m{id}"), status)),
                Turn::Drop => world.close(socket, Closing::Dropped),
                Turn::Close => world.close(socket, Closing::Clean),
                Turn::Resume => if !welcomes.is_empty() {
                    world.open(SocketId(next));
                    world.text(SocketId(next), &resume(which.get(&welcomes), next % 3));
                    sockets.push(SocketId(next));
                },
                Turn::Pass(seconds) => world.pass(seconds),
            }
            for (socket, frame) in world.said.drain(..) {
                match frame["type"].as_str() {
                    Some("welcome") => welcomes.push(frame),
                    Some("status") if frame.get("message").is_some() => {
                        let status = frame["status"].as_str().and_then(Status::parse);
                        let status = status.expect("a status");
                        let id = frame["id"].as_str().expect("an id").to_owned();
                        let before = told.insert((socket, id), status);
                        prop_assert!(before.is_none_or(|before| before < status));
                    }
                    // Refused: what it was told before is of another message.
                    Some("status") => {
                        let id = frame["id"].as_str().expect("an id").to_owned();
                        told.remove(&(socket, id));
                    }
                    _ => {}
                }
            }
            for output in std::mem::take(&mut world.rest) {
                match output {
                    Output::Sent(delivery, _) => {
                        *answered_of_delivery.get_mut(&delivery.0).expect("a dispatch") += 1;
                    }
                    Output::Received(received) => {
                        let number = received.message.sender_id[1..].parse::<u64>();
                        intakes.push((received.intake, number.expect("a number")));
                    }
                    _ => {}
                }
            }
        }
        world.hub.handle_shutdown();
        world.drain();
        for output in std::mem::take(&mut world.rest) {
            if let Output::Sent(delivery, _) = output {
                *answered_of_delivery.get_mut(&delivery.0).expect("a dispatch") += 1;
            }
        }
        prop_assert!(answered_of_delivery.values().all(|count| *count == 1));
        prop_assert!(world.hub.ids_of_mailbox.is_empty());
    }
}
