#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for one variant among many")]

use std::collections::VecDeque;

use gateway_core::Offer;
use gateway_core::leg::Incoming;
use gateway_core::route::{Location, Require};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::accounts::Verified;
use crate::config::IceServer;
use crate::secret::Secret;
use crate::testing::{
    Counter, SDP, answer, attempts, call, client, dial, hello, later, now, peer, setup,
};
use crate::token::{Bearer, Token, Tokens};

mod channel;
mod devices;
mod guesses;
mod lives;
mod messages;

mod explain;

const A: SocketId = SocketId(1);
const B: SocketId = SocketId(2);

/// A hub with its surroundings.
struct World {
    hub: Hub,
    now: Now,
    fresh: Counter,
    said: Vec<(SocketId, Value)>,
    closed: Vec<(SocketId, u16)>,
    rest: Vec<Output>,
}

impl World {
    fn new(setup: Setup) -> Self {
        Self::with(setup, attempts())
    }

    fn with(setup: Setup, attempts: Attempts) -> Self {
        Self {
            hub: Hub::new(setup, attempts),
            now: now(),
            fresh: Counter::default(),
            said: Vec::new(),
            closed: Vec::new(),
            rest: Vec::new(),
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.hub.poll_output() {
            match output {
                Output::Send(socket, text) => {
                    self.said.push((socket, serde_json::from_str(&text).expect("JSON")));
                }
                Output::Close(socket, code, _) => self.closed.push((socket, code)),
                Output::Fault(_) => {}
                other => self.rest.push(other),
            }
        }
    }

    fn open(&mut self, socket: SocketId) {
        self.hub.handle_opened(socket, peer(), self.now);
    }

    fn text(&mut self, socket: SocketId, text: &str) {
        self.hub.handle_text(socket, text.to_owned(), self.now, &mut self.fresh);
        self.drain();
    }

    fn verdict(&mut self, socket: SocketId, verdict: Verdict) {
        self.hub.handle_verdict(socket, verdict, self.now, &mut self.fresh);
        self.drain();
    }

    fn close(&mut self, socket: SocketId, closing: Closing) {
        self.hub.handle_closed(socket, closing, self.now);
        self.drain();
    }

    fn command(&mut self, command: Command) {
        self.hub.handle_command(command, self.now);
        self.drain();
    }

    fn pass(&mut self, seconds: u64) {
        self.now = later(self.now, seconds);
        self.hub.handle_timeout(self.now);
        self.drain();
    }

    /// Signs alice in and returns the welcome.
    fn sign_in(&mut self, socket: SocketId) -> Value {
        self.open(socket);
        self.text(socket, &hello());
        let verified = Verified { account: "alice".into(), display: Some("Alice".to_owned()) };
        self.verdict(socket, Verdict::Right(verified));
        self.take(socket, "welcome")
    }

    /// The next frame to that socket, which must be of that type.
    fn take(&mut self, socket: SocketId, kind: &str) -> Value {
        let at = self.said.iter().position(|(to, _)| *to == socket).expect("a frame");
        let (_, frame) = self.said.remove(at);
        assert_eq!(frame["type"], kind, "{frame}");
        frame
    }

    fn take_error(&mut self, socket: SocketId) -> String {
        self.take(socket, "error")["code"].as_str().expect("a code").to_owned()
    }

    fn events(&mut self) -> Vec<(LegId, LegEvent)> {
        let mut events = Vec::new();
        self.rest.retain(|output| match output {
            Output::Leg(leg, event) => {
                events.push((*leg, event.clone()));
                false
            }
            _ => true,
        });
        events
    }

    fn incoming(&mut self) -> Box<Incoming> {
        let is_incoming = |output: &Output| matches!(output, Output::Incoming(_));
        let at = self.rest.iter().position(is_incoming).expect("an incoming leg");
        match self.rest.remove(at) {
            Output::Incoming(incoming) => incoming,
            other => panic!("{other:?}"),
        }
    }

    /// The latest list of locations of alice.
    fn located(&self) -> &[Location] {
        let lists = self.rest.iter().rev().filter_map(|output| match output {
            Output::Located(account, locations) if account.as_str() == "alice" => Some(locations),
            _ => None,
        });
        lists.map(Vec::as_slice).next().expect("a list of locations")
    }
}

fn world() -> World {
    World::new(setup())
}

fn resume(welcome: &Value, received: u64) -> String {
    client(
        json!({"type": "hello", "version": 1, "resume": welcome["resume"], "received": received}),
    )
}

fn guest(tokens: &Tokens, expires_unix_s: u64, origin: Option<&str>) -> String {
    let bearer =
        Bearer::Guest { display: Some("Visitor".to_owned()), only: vec!["procom:shop".to_owned()] };
    let token = Token { bearer, expires_unix_s, origin: origin.map(str::to_owned) };
    client(json!({"type": "hello", "version": 1, "token": tokens.sign(&token)}))
}

#[test]
fn a_right_password_begins_a_session_that_can_be_rung() {
    let mut world = world();
    let welcome = world.sign_in(A);
    assert_eq!(welcome["address"], "procom:alice");
    assert_eq!(welcome["resume_s"], 30);
    assert_eq!(world.located().len(), 1);
    let contact = world.located()[0].contact.clone();
    assert!(![&welcome["resume"], &welcome["session"]].iter().any(|told| **told == contact));
}

#[test]
fn anything_but_a_hello_first_closes_the_socket() {
    for (text, code) in [
        (call("c1", "112"), "unexpected"),
        ("garbage".to_owned(), "malformed"),
        (r#"{"type":"hello","version":2,"token":"t"}"#.to_owned(), "unsupported-version"),
        (r#"{"type":"dance"}"#.to_owned(), "unknown-type"),
    ] {
        let mut world = world();
        world.open(A);
        world.text(A, &text);
        assert_eq!(world.take_error(A), code);
        assert_eq!(world.closed, [(A, CLOSE_POLICY)]);
    }
}

#[test]
fn a_socket_that_says_no_hello_is_closed_after_ten_seconds() {
    let mut world = world();
    world.open(A);
    world.pass(9);
    assert_eq!(world.closed, []);
    world.pass(1);
    assert_eq!(world.closed, [(A, CLOSE_POLICY)]);
}

#[test]
fn frames_that_come_while_a_password_is_looked_at_wait_up_to_a_bound() {
    let mut world = world();
    world.open(A);
    world.text(A, &hello());
    world.text(A, &call("c1", "procom:echo"));
    let verified = Verified { account: "alice".into(), display: None };
    world.verdict(A, Verdict::Right(verified));
    world.take(A, "welcome");
    assert_eq!(world.incoming().to.to_string(), "procom:echo");

    world.open(B);
    world.text(B, &hello());
    for _ in 0..=HELD_FRAMES {
        world.text(B, &call("c1", "procom:echo"));
    }
    assert_eq!(world.closed, [(B, CLOSE_POLICY)]);
}

#[test]
fn a_guest_reaches_what_its_token_names_and_cannot_be_rung() {
    let setup = setup();
    let tokens = setup.tokens.clone();
    let mut world = World::new(setup);
    world.open(A);
    world.text(A, &guest(&tokens, world.now.unix_s() + 60, None));
    let welcome = world.take(A, "welcome");
    assert!(welcome["address"].as_str().unwrap().starts_with("procom:guest."));
    assert!(!world.rest.iter().any(|output| matches!(output, Output::Located(..))));
    world.text(A, &call("c1", "procom:shop"));
    let origin = world.incoming().origin;
    assert_eq!((origin.account, origin.verified), (None, false));
    assert_eq!(origin.only, Some(vec!["procom:shop".to_owned()]));
}

#[test]
fn a_token_that_is_old_forged_or_of_another_page_is_refused() {
    let setup = setup();
    let (own, others) = (setup.tokens.clone(), Tokens::generate());
    let mut world = World::new(setup);
    let until = world.now.unix_s() + 60;
    for (at, text) in [
        guest(&own, world.now.unix_s(), None),
        guest(&others, until, None),
        guest(&own, until, Some("https://shop.example")),
    ]
    .iter()
    .enumerate()
    {
        let socket = SocketId(at as u64);
        world.open(socket);
        world.text(socket, text);
        assert_eq!(world.take_error(socket), "bad-token");
    }
    let page = Peer { origin: Some("https://shop.example".to_owned()), ..peer() };
    world.hub.handle_opened(A, page, world.now);
    world.text(A, &guest(&own, until, Some("https://shop.example")));
    world.take(A, "welcome");
}

#[test]
fn a_call_of_the_client_becomes_an_incoming_leg_of_a_proven_account() {
    let mut world = world();
    world.sign_in(A);
    world.text(A, &call("c1", "+45 12 34 56 78"));
    let incoming = world.incoming();
    assert_eq!(incoming.to.to_string(), "tel:+4512345678");
    assert_eq!(incoming.dialled.as_deref(), Some("+45 12 34 56 78"));
    assert_eq!(incoming.display.as_deref(), Some("Alice"));
    assert_eq!(incoming.require, Require::Any);
    assert!(incoming.origin.verified && incoming.origin.only.is_none());
    world.command(Command::Leg(incoming.leg, LegCommand::Answer(Some(answer()))));
    assert_eq!(world.take(A, "answer")["call"], "c1");
}

#[test]
fn a_contact_comes_with_its_call_and_one_that_cannot_be_read_is_none() {
    let mut world = world();
    world.sign_in(A);
    let many = vec!["sip:eve@example.org"; 40];
    for (number, (contact, addresses)) in [
        (json!({"name": "Eve", "addresses": ["sip:eve@example.org", "", "100"]}), Some(2)),
        (json!({"name": "Eve", "addresses": many}), Some(16)),
        (json!({"name": "Eve", "addresses": []}), None),
        (json!({"name": "", "addresses": ["100"]}), None),
        (json!({"name": 7}), None),
        (json!("Eve"), None),
    ]
    .into_iter()
    .enumerate()
    {
        let call = format!("c{number}");
        let frame =
            json!({"type": "call", "call": call, "to": "Eve", "sdp": SDP, "contact": contact});
        world.text(A, &frame.to_string());
        let record = world.incoming().record;
        assert_eq!(record.map(|record| record.addresses.len()), addresses, "{contact}");
    }
}

#[test]
fn a_call_that_cannot_be_is_ended_at_once() {
    let mut world = world();
    world.sign_in(A);
    world.text(A, &call("c1", "mailto:bob@example.org"));
    assert_eq!(world.take(A, "end")["cause"], "not-found");
    let bad = json!({"type": "call", "call": "c2", "to": "112", "sdp": "v=0"});
    world.text(A, &client(bad));
    assert_eq!(world.take(A, "end")["cause"], "not-acceptable");
    world.text(A, &call("c3", "112"));
    world.text(A, &call("c3", "112"));
    assert_eq!(world.take_error(A), "duplicate-call");
    let leg = world.incoming().leg;
    world.hub.handle_busy(leg);
    world.drain();
    assert_eq!(world.take(A, "end")["cause"], "overload");
    assert_eq!(world.events(), [], "a leg that was never taken has no end");
    world.command(Command::Drain);
    world.text(A, &call("c4", "112"));
    assert_eq!(world.take(A, "end")["cause"], "overload");
}

#[test]
fn calls_at_once_are_bounded_both_ways() {
    let mut world = world();
    world.sign_in(A);
    let contact = world.located()[0].contact.clone();
    for at in 0..16 {
        world.text(A, &call(&format!("c{at}"), "112"));
        world.incoming();
    }
    world.text(A, &call("c16", "112"));
    assert_eq!(world.take(A, "end")["cause"], "overload");
    world.command(Command::Leg(LegId(7), LegCommand::Dial(dial(&contact))));
    assert_eq!(world.events(), [(LegId(7), LegEvent::Ended(Cause::Busy, None))]);
}

#[test]
fn a_dial_rings_the_session_it_names_and_no_other() {
    let mut world = world();
    world.sign_in(A);
    let contact = world.located()[0].contact.clone();
    world.sign_in(B);
    assert_eq!(world.located().len(), 2);
    world.command(Command::Leg(LegId(7), LegCommand::Dial(dial(&contact))));
    let frame = world.take(A, "incoming");
    assert!(world.said.is_empty());
    assert_eq!(frame["from"], "tel:+4512345678");
    assert_eq!((&frame["to"], &frame["verified"]), (&json!("procom:alice"), &json!(false)));
    let id = frame["call"].as_str().unwrap().to_owned();
    world.text(A, &client(json!({"type": "ringing", "call": id})));
    world.text(A, &client(json!({"type": "answer", "call": id, "sdp": SDP})));
    assert_eq!(
        world.events(),
        [(LegId(7), LegEvent::Ringing), (LegId(7), LegEvent::Answered(Some(answer())))]
    );
    world.command(Command::Leg(LegId(8), LegCommand::Dial(dial("elsewhere"))));
    assert_eq!(world.events(), [(LegId(8), LegEvent::Ended(Cause::Unreachable, None))]);
}

#[test]
fn frames_for_a_call_that_has_just_ended_are_ignored_and_others_refused() {
    let mut world = world();
    world.sign_in(A);
    world.text(A, &call("c1", "112"));
    let leg = world.incoming().leg;
    world.command(Command::Leg(leg, LegCommand::End(Cause::Busy, None)));
    world.take(A, "end");
    let hold = |call: &str| client(json!({"type": "hold", "call": call}));
    world.text(A, &hold("c1"));
    world.text(A, &client(json!({"type": "end", "call": "c9", "cause": "normal"})));
    assert!(world.said.is_empty(), "{:?}", world.said);
    world.text(A, &hold("c9"));
    let error = world.take(A, "error");
    assert_eq!((&error["code"], &error["call"]), (&json!("unknown-call"), &json!("c9")));
}

#[test]
fn a_clean_close_ends_session_and_calls_at_once() {
    let mut world = world();
    let welcome = world.sign_in(A);
    world.text(A, &call("c1", "112"));
    let leg = world.incoming().leg;
    world.close(A, Closing::Clean);
    assert_eq!(world.events(), [(leg, LegEvent::Ended(Cause::Cancelled, None))]);
    assert_eq!(world.located(), []);
    world.open(B);
    world.text(B, &resume(&welcome, 0));
    assert_eq!(world.take_error(B), "resume-expired");
}

#[test]
fn a_dropped_socket_leaves_the_session_until_its_time_is_over() {
    let mut world = world();
    world.sign_in(A);
    world.text(A, &call("c1", "112"));
    let leg = world.incoming().leg;
    world.command(Command::Leg(leg, LegCommand::Answer(Some(answer()))));
    world.close(A, Closing::Dropped);
    world.pass(29);
    assert_eq!(world.events(), []);
    assert_eq!(world.located().len(), 1);
    world.pass(1);
    assert_eq!(world.events(), [(leg, LegEvent::Ended(Cause::Unreachable, None))]);
    assert_eq!(world.located(), []);
}

#[test]
fn a_session_resumed_in_time_gets_what_it_missed_and_its_call_goes_on() {
    let mut world = world();
    let welcome = world.sign_in(A);
    world.text(A, &call("c1", "112"));
    let leg = world.incoming().leg;
    world.command(Command::Leg(leg, LegCommand::Ring));
    world.close(A, Closing::Dropped);
    world.command(Command::Leg(leg, LegCommand::Answer(Some(answer()))));
    world.pass(20);
    world.open(B);
    world.text(B, &resume(&welcome, 1));
    let again = world.take(B, "welcome");
    assert_eq!((&again["resumed"], &again["received"]), (&json!(true), &json!(1)));
    assert_eq!(world.take(B, "answer")["call"], "c1");
    world.pass(3600);
    assert_eq!(world.events(), []);
    world.close(B, Closing::Dropped);
    world.pass(30);
    assert_eq!(world.events().len(), 1);
}

#[test]
fn a_resume_takes_the_session_over_from_a_socket_that_still_lives() {
    let mut world = world();
    let welcome = world.sign_in(A);
    world.open(B);
    world.text(B, &resume(&welcome, 0));
    world.take(B, "welcome");
    assert_eq!(world.closed, [(A, CLOSE_TAKEN_OVER)]);
    world.text(A, &call("c1", "112"));
    world.close(A, Closing::Clean);
    world.text(B, &call("c1", "112"));
    world.incoming();
    assert!(world.said.is_empty(), "what the old socket says does not count");
}

#[test]
fn an_unknown_secret_is_refused_and_a_full_hello_may_follow() {
    let mut world = world();
    world.open(A);
    world.text(A, &resume(&json!({"resume": "guess"}), 0));
    assert_eq!(world.take_error(A), "resume-expired");
    assert_eq!(world.closed, []);
    world.text(A, &hello());
    let verified = Verified { account: "alice".into(), display: None };
    world.verdict(A, Verdict::Right(verified));
    world.take(A, "welcome");
}

#[test]
fn a_client_that_counts_wrongly_loses_its_session() {
    let mut world = world();
    let welcome = world.sign_in(A);
    world.close(A, Closing::Dropped);
    world.open(B);
    world.text(B, &resume(&welcome, 5));
    assert_eq!(world.take_error(B), "resume-expired");
    assert_eq!(world.located(), []);
}

#[test]
fn garbage_disconnects_its_sender_and_nobody_else() {
    let mut world = world();
    world.sign_in(A);
    world.sign_in(B);
    world.text(B, &call("c1", "112"));
    world.incoming();
    for at in 0..21 {
        assert_eq!(world.closed, [], "after {at}");
        if at % 2 == 0 {
            world.text(A, "garbage");
        } else {
            world.hub.handle_garbage(A, "A frame is text.", world.now);
            world.drain();
        }
        assert_eq!(world.take_error(A), "malformed");
    }
    assert_eq!(world.closed, [(A, CLOSE_POLICY)]);
    assert_eq!(world.events(), [], "the call of the other goes on");
    assert_eq!(world.located().len(), 1);
}

#[test]
fn unknown_types_are_answered_and_disconnect_nobody() {
    let mut world = world();
    world.sign_in(A);
    for _ in 0..1000 {
        world.text(A, r#"{"type":"canary"}"#);
        assert_eq!(world.take_error(A), "unknown-type");
    }
    assert_eq!(world.closed, []);
}

#[test]
fn sessions_of_an_account_are_bounded_and_the_longest_waiting_makes_room() {
    let mut setup = setup();
    setup.limits.sessions_per_account = 2;
    let mut world = World::new(setup);
    let first = world.sign_in(SocketId(1));
    world.sign_in(SocketId(2));
    world.open(SocketId(3));
    world.text(SocketId(3), &hello());
    let verified = || Verdict::Right(Verified { account: "alice".into(), display: None });
    world.verdict(SocketId(3), verified());
    assert_eq!(world.take_error(SocketId(3)), "too-many-sessions");
    world.close(SocketId(1), Closing::Dropped);
    world.sign_in(SocketId(4));
    world.open(SocketId(5));
    world.text(SocketId(5), &resume(&first, 0));
    assert_eq!(world.take_error(SocketId(5)), "resume-expired");
}

#[test]
fn credentials_of_ice_servers_are_replaced_before_they_expire() {
    let mut setup = setup();
    setup.ice_servers = vec![IceServer {
        urls: vec!["turn:turn.example.org".to_owned()],
        username: None,
        credential: None,
        secret: Some(Secret::from("north")),
        ttl_s: 400,
    }];
    let mut world = World::new(setup);
    let welcome = world.sign_in(A);
    let first = welcome["ice_servers"][0]["username"].clone();
    world.pass(300);
    let second = world.take(A, "ice-servers")["ice_servers"][0]["username"].clone();
    assert_ne!(first, second);
    world.pass(300);
    world.take(A, "ice-servers");
    world.close(A, Closing::Clean);
    world.pass(300);
    assert!(world.said.is_empty());
}

#[test]
fn a_gateway_that_stops_ends_calls_and_closes_sockets() {
    let mut world = world();
    world.sign_in(A);
    world.text(A, &call("c1", "112"));
    let leg = world.incoming().leg;
    world.open(B);
    world.hub.handle_shutdown();
    world.drain();
    assert_eq!(world.take(A, "end")["cause"], "shutdown");
    assert_eq!(world.events(), [(leg, LegEvent::Ended(Cause::Shutdown, None))]);
    assert_eq!(world.closed, [(A, CLOSE_RESTART), (B, CLOSE_RESTART)]);
}

#[test]
fn a_leg_of_an_earlier_life_is_released_at_once() {
    let mut world = world();
    world.command(Command::Release(5, Vec::new()));
    assert_eq!(world.rest, [Output::Released(5)]);
}
