//! Messages over the data channel of a call.

use gateway_core::channel::{ChannelCommand, ChannelEvent, ChannelText};
use gateway_core::message::{MessageId, Status};

use super::messages::{ID, ack, dispatch, message, read, receipt};
use super::*;
use crate::frame::schema;
use crate::testing::address;

/// Signed in, and in a call with bob whose channel is open.
fn world() -> (World, LegId) {
    let mut world = World::new(setup());
    world.sign_in(A);
    world.text(A, &call("c1", "procom:bob"));
    let leg = world.incoming().leg;
    world.rest.clear();
    world.channel(leg, ChannelEvent::Opened);
    (world, leg)
}

impl World {
    fn channel(&mut self, leg: LegId, event: ChannelEvent) {
        self.command(Command::Leg(leg, LegCommand::Channel(event)));
    }

    fn hear(&mut self, leg: LegId, text: &str) {
        self.channel(leg, ChannelEvent::Heard(ChannelText::from(text.to_owned())));
    }

    /// What was said over channels, each held against the schema.
    fn said_in_call(&mut self) -> Vec<Value> {
        let text = |(_, event)| match event {
            LegEvent::Channel(ChannelCommand::Say(text)) => text.as_str().to_owned(),
            other => panic!("{other:?}"),
        };
        let texts: Vec<String> = self.events().into_iter().map(text).collect();
        texts
            .iter()
            .map(|text| {
                schema::assert_gateway(text);
                serde_json::from_str(text).expect("JSON")
            })
            .collect()
    }
}

fn types(frames: &[Value]) -> Vec<&str> {
    frames.iter().map(|frame| frame["type"].as_str().expect("a type")).collect()
}

#[test]
fn what_is_written_over_the_channel_is_answered_over_it() {
    let (mut world, leg) = world();
    world.hear(leg, &message("m1", "hi"));
    let received = world.received();
    assert_eq!(received.message.body.as_str(), "hi");
    world.settle(received.intake);
    world.command(receipt("m1", Status::Sent));
    let said = world.said_in_call();
    assert_eq!(types(&said), ["status", "status"]);
    assert_eq!((&said[0]["status"], &said[1]["status"]), (&json!("queued"), &json!("sent")));
    assert!(world.said.is_empty(), "nothing went by the socket: {:?}", world.said);
}

#[test]
fn the_far_side_of_the_call_is_shown_over_the_channel_and_others_are_not() {
    let (mut world, leg) = world();
    world.command(dispatch(1, ID, "alice"));
    assert_eq!(types(&world.said_in_call()), ["message"]);
    assert!(world.said.is_empty());
    world.hear(leg, &ack(ID));
    world.hear(leg, &read(ID));
    world.channel(leg, ChannelEvent::Closed);
    assert!(world.said.is_empty(), "it has arrived: {:?}", world.said);
    // The channel is gone: the next one takes the socket.
    world.command(dispatch(2, MessageId([8; 16]), "alice"));
    world.take(A, "message");
}

#[test]
fn a_call_with_somebody_else_is_not_disturbed() {
    let mut world = World::new(setup());
    world.sign_in(A);
    world.text(A, &call("c1", "procom:carol"));
    let leg = world.incoming().leg;
    world.rest.clear();
    world.channel(leg, ChannelEvent::Opened);
    world.command(dispatch(1, ID, "alice"));
    world.take(A, "message");
    assert!(world.events().is_empty());
    // Until bob is written to in it.
    world.hear(leg, &message("m1", "hi"));
    world.command(dispatch(2, MessageId([8; 16]), "alice"));
    assert_eq!(types(&world.said_in_call()), ["message"]);
}

#[test]
fn what_a_closed_channel_may_have_lost_is_told_by_the_socket() {
    for ends in [false, true] {
        let (mut world, leg) = world();
        world.hear(leg, &message("m1", "hi"));
        let received = world.received();
        world.settle(received.intake);
        world.command(dispatch(1, MessageId([9; 16]), "alice"));
        assert_eq!(types(&world.said_in_call()), ["status", "message"]);
        if ends {
            world.text(A, &client(json!({"type": "end", "call": "c1", "cause": "normal"})));
        } else {
            world.channel(leg, ChannelEvent::Closed);
        }
        world.take(A, "status");
        let shown = world.take(A, "message");
        world.text(A, &ack(MessageId([9; 16])));
        assert_eq!(shown["body"], "good day");
        assert!(world.said.is_empty());
    }
}

#[test]
fn the_channel_goes_on_while_the_socket_is_away() {
    let (mut world, leg) = world();
    world.close(A, Closing::Dropped);
    world.hear(leg, &message("m1", "hi"));
    let received = world.received();
    world.settle(received.intake);
    world.command(dispatch(1, MessageId([9; 16]), "alice"));
    assert_eq!(types(&world.said_in_call()), ["status", "message"]);
}

#[test]
fn only_messages_are_taken_and_who_keeps_on_loses_the_channel_and_not_the_call() {
    let (mut world, leg) = world();
    for text in [
        client(json!({"type": "end", "call": "c1", "cause": "normal"})),
        call("c2", "procom:bob"),
        hello(),
        "{".to_owned(),
        "x".repeat(65_537),
    ] {
        world.hear(leg, &text);
        assert_eq!(types(&world.said_in_call()), ["error"], "{}", &text[..text.len().min(60)]);
    }
    for _ in 0..20 {
        world.hear(leg, "[]");
    }
    let events = world.events();
    let is_close =
        |(_, event): &(LegId, LegEvent)| *event == LegEvent::Channel(ChannelCommand::Close);
    assert!(events.iter().any(is_close));
    assert!(world.closed.is_empty(), "the session goes on");
    world.text(A, &client(json!({"type": "hold", "call": "c1"})));
    assert_eq!(world.take_error(A), "not-now", "the call is still known");
}

#[test]
fn the_limits_of_the_session_count_for_the_channel_too() {
    let (mut world, leg) = world();
    world.hear(leg, &message("long", &"x".repeat(32 * 1024 + 1)));
    let said = world.said_in_call();
    assert_eq!((&said[0]["type"], &said[0]["status"]), (&json!("status"), &json!("failed")));
    for at in 0..200 {
        world.hear(leg, &message(&format!("m{at}"), "hi"));
    }
    let failed = world.said_in_call();
    assert!(!failed.is_empty() && failed.iter().all(|frame| frame["status"] == "failed"));
}

#[test]
fn a_phone_of_the_called_account_answers_in_the_call() {
    let (mut world, _) = world();
    let Command::Send(mut sent) = dispatch(1, ID, "alice") else { panic!("a dispatch") };
    sent.origin.asserted = address("sip:bob@example.org");
    world.command(Command::Send(sent));
    let said = world.said_in_call();
    assert_eq!(
        (&said[0]["type"], &said[0]["from"]),
        (&json!("message"), &json!("sip:bob@example.org"))
    );
}

#[test]
fn who_answers_from_elsewhere_in_the_thread_of_the_call_answers_in_the_call() {
    let (mut world, leg) = world();
    world.hear(leg, &message("m1", "hi"));
    let received = world.received();
    world.settle(received.intake);
    let Command::Send(mut sent) = dispatch(1, MessageId([9; 16]), "alice") else {
        panic!("a dispatch")
    };
    (sent.origin.asserted, sent.origin.account) = (address("tel:+4512345678"), None);
    world.command(Command::Send(sent));
    assert_eq!(types(&world.said_in_call()), ["status", "message"]);
}
