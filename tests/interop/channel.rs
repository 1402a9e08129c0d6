//! Text in a call, over its `procom` data channel: the served page in Chromium, aiortc, and a phone that knows nothing of
//! it. That a text went by the channel is seen on the WebSocket, which carries no message, or is shut.

use std::thread::sleep;
use std::time::Duration;

use gateway_tests::aiortc::Aiortc;
use gateway_tests::audio::{Demand, assert_heard};
use gateway_tests::browser::Product;
use gateway_tests::config::Account;
use gateway_tests::interop;
use gateway_tests::phone::Transport;
use gateway_tests::ws_client::Schema;
use serde_json::{Value, json};

use crate::scene::{Model, PAGE_HZ, PASSWORD, PHONE_HZ, Page, STEP, Scene, wait_until};

const PYTHON_HZ: u32 = 550;

impl Page {
    #[track_caller]
    fn wait_channel(&mut self) {
        wait_until("the call has a channel", STEP, || {
            self.browser.evaluate("window.profon.calls[0]?.hasChannel === true") == true
        });
    }

    #[track_caller]
    fn say(&mut self, field: &str, text: &str) {
        self.browser.type_into(field, text);
        self.browser.press("Enter");
    }

    /// Waits until the conversation holds that text in that state, once.
    #[track_caller]
    fn wait_text(&mut self, text: &str, status: &str) {
        let script = format!(
            "[...document.querySelectorAll('#talk-list li[data-status={status}] .said')]\
             .filter((said) => said.lastChild.data === {}).length",
            json!(text)
        );
        wait_until(&format!("{text} is {status}"), STEP, || self.browser.evaluate(&script) == 1);
    }

    /// How many messages the call's channel took and brought, by the browser's own count.
    #[track_caller]
    fn channel_counts(&mut self) -> (u64, u64) {
        let script = "window.profon.calls[0].connection.getStats().then((all) => {\
             const one = [...all.values()].find((report) => report.type === 'data-channel');\
             return [one?.messagesSent ?? 0, one?.messagesReceived ?? 0]; })";
        let counts = self.browser.evaluate(script);
        (counts[0].as_u64().unwrap_or(0), counts[1].as_u64().unwrap_or(0))
    }

    /// Panics if the WebSocket carried a message, or what answers one.
    #[track_caller]
    fn assert_socket_carried_none(&mut self) {
        let is_of_messages = |value: &Value| {
            matches!(value["type"].as_str(), Some("message" | "status" | "ack" | "composing"))
        };
        let frames = self.browser.frames();
        let found: Vec<_> = frames.iter().filter(|frame| is_of_messages(&frame.value)).collect();
        assert!(found.is_empty(), "{found:#?}");
    }
}

fn talk_in_a_call(alice: &mut Page, carol: &mut Page) {
    alice.call("procom:carol");
    carol.answer();
    for page in [&mut *alice, &mut *carol] {
        page.wait_state("in-call");
        page.wait_channel();
    }
    alice.browser.wait("#call-text-form:not([hidden])", STEP);
    alice.browser.screenshot("call-text");
    alice.say("#call-text", "the key is under the mat");
    carol.wait_text("the key is under the mat", "read");
    alice.wait_text("the key is under the mat", "read");
    carol.say("#talk-text", "שלום 👩‍👩‍👧");
    alice.wait_text("שלום 👩‍👩‍👧", "read");
    alice.say("#talk-text", "and again");
    carol.wait_text("and again", "read");
    for page in [&mut *alice, &mut *carol] {
        page.assert_socket_carried_none();
        let (sent, received) = page.channel_counts();
        assert!(sent >= 2 && received >= 2, "sent {sent}, received {received}");
    }
}

#[test]
fn two_pages_write_to_each_other_in_their_call() {
    interop!(["chromium", "node", "web"], |net| {
        let scene = Scene::with(net, |config| {
            config.account(Account { name: "carol", password: PASSWORD, sip: None })
        });
        let mut alice = scene.page("alice");
        let mut carol = scene.page_in(Product::Chromium, "carol", "carol", PHONE_HZ);
        talk_in_a_call(&mut alice, &mut carol);
        alice.assert_hears(PHONE_HZ);
        alice.browser.screenshot("call-talk-desktop");
        alice.browser.resize(390, 844);
        alice.browser.screenshot("call-talk-phone");
        for page in [&mut alice, &mut carol] {
            page.assert_clean("in a call with text");
        }
        alice.hang_up();
        carol.cause(STEP);
        // Without a call it goes by the socket, in the same conversation.
        alice.say("#talk-text", "bye");
        carol.wait_text("bye", "read");
        scene.gateway.assert_nothing_left();
    });
}

#[test]
fn firefox_writes_in_a_call_too() {
    interop!(["chromium", "firefox-esr", "node", "web"], |net| {
        let scene = Scene::with(net, |config| {
            config.account(Account { name: "carol", password: PASSWORD, sip: None })
        });
        let mut alice = scene.page_in(Product::Firefox, "alice", "alice", PAGE_HZ);
        let mut carol = scene.page("carol");
        talk_in_a_call(&mut alice, &mut carol);
        alice.hang_up();
        carol.cause(STEP);
        // And the other way round: the gateway offers, Firefox answers.
        talk_again(&mut carol, &mut alice);
    });
}

fn talk_again(caller: &mut Page, callee: &mut Page) {
    caller.call("procom:alice");
    callee.answer();
    for page in [&mut *caller, &mut *callee] {
        page.wait_state("in-call");
        page.wait_channel();
    }
    caller.say("#talk-text", "once more");
    callee.wait_text("once more", "read");
    let (_, received) = callee.channel_counts();
    assert!(received >= 1, "{received}");
}

#[test]
fn what_is_written_in_a_call_reaches_the_phone_and_its_answer_the_call() {
    interop!(["chromium", "baresip", "node", "web"], |net| {
        let scene = Scene::new(net);
        let settings = scene.settings("bob", 5072, Transport::Udp);
        let settings = settings.writes_to(&scene.uri("alice", Transport::Udp));
        let mut phone = scene.phone(Model::Baresip, &settings);
        let mut alice = scene.page("alice");
        alice.call("procom:bob");
        alice.wait_state("in-call");
        alice.wait_channel();
        alice.say("#call-text", "can you read this?");
        phone.wait_shown("can you read this?");
        alice.wait_text("can you read this?", "delivered");
        phone.write("every word");
        alice.wait_text("every word", "read");
        alice.assert_socket_carried_none();
        alice.assert_hears(PHONE_HZ);
        alice.hang_up();
        phone.wait_ended();
        scene.gateway.assert_nothing_left();
    });
}

fn aiortc(scene: &Scene<'_>, labels: &[&str]) -> Aiortc {
    let url = format!("ws://{}/procom", scene.config.http());
    Aiortc::start_with_channels(scene.net, &url, "alice", PASSWORD, PYTHON_HZ, labels)
}

/// The next object on the channel of that type, which must be one of the published schema.
#[track_caller]
fn heard(client: &mut Aiortc, kind: &str) -> Value {
    let schema = Schema::published();
    loop {
        let said = client.wait("heard", STEP);
        assert_eq!(said["label"], "procom");
        let text = said["text"].as_str().expect("a text");
        let object: Value = serde_json::from_str(text).expect("an object");
        schema.assert_valid(&object);
        if object["type"] == kind {
            return object;
        }
    }
}

fn message(id: &str, body: &str) -> String {
    json!({"type": "message", "id": id, "to": "procom:bob", "body": body}).to_string()
}

#[test]
fn aiortc_writes_in_a_call_while_its_socket_is_shut() {
    interop!(["baresip", "python:aiortc", "python:websockets"], |net| {
        let scene = Scene::new(net);
        let settings = scene.settings("bob", 5072, Transport::Udp);
        let settings = settings.writes_to(&scene.uri("alice", Transport::Udp));
        let mut phone = scene.phone(Model::Baresip, &settings);
        let mut client = aiortc(&scene, &["procom"]);
        client.call("procom:bob");
        client.wait("open", STEP);
        phone.wait_established();
        client.say("procom", &message("m1", "by the channel"));
        phone.wait_shown("by the channel");
        assert_eq!(heard(&mut client, "status")["id"], "m1");
        client.drop_socket();
        client.say("procom", &message("m2", "without a socket"));
        // The same id again is the same message, whichever way it comes.
        client.say("procom", &message("m1", "by the channel"));
        phone.wait_shown("without a socket");
        phone.write("I hear you");
        let answer = heard(&mut client, "message");
        assert_eq!(
            (&answer["body"], &answer["from"]),
            (&json!("I hear you"), &json!("sip:bob@127.0.0.1"))
        );
        client.say("procom", &json!({"type": "ack", "id": answer["id"]}).to_string());
        // Only messages go there: nobody is called, and nothing breaks.
        client.say("procom", r#"{"type":"end","call":"py1","cause":"normal"}"#);
        assert_eq!(heard(&mut client, "error")["code"], "unexpected");
        sleep(Duration::from_secs(4));
        assert_eq!(phone.shown("by the channel"), 1);
        phone.hang_up();
        phone.wait_ended();
        assert_heard(&phone.stop(), Demand::tone(PYTHON_HZ, 2.5).with_gaps(0.1));
    });
}

#[test]
fn attacks_on_the_channel_leave_the_call_undisturbed() {
    interop!(["baresip", "python:aiortc", "python:websockets"], |net| {
        let scene = Scene::new(net);
        let mut phone = scene.bob();
        // What is attacked, and what is left of it.
        for attack in ["labels", "long", "endless", "flood", "garbage"] {
            let labels: &[&str] =
                if attack == "labels" { &["files", "procom", "chat"] } else { &["procom"] };
            let mut client = aiortc(&scene, labels);
            client.call("procom:bob");
            client.wait("answer", STEP);
            phone.wait_established();
            while client.wait("open", STEP)["label"] != "procom" {}
            match attack {
                "labels" => {
                    for _ in 0..2 {
                        assert_ne!(client.wait("closed", STEP)["label"], "procom");
                    }
                    client.say("procom", &message("labels", "still ours"));
                    assert_eq!(heard(&mut client, "status")["id"], "labels");
                }
                "long" => client.say_long("procom", 65_537),
                "endless" => client.say_long("procom", 3_000_000),
                "flood" => client.say_often("procom", 4_000, r#"{"type":"ack","id":"x"}"#),
                _ => client.say_often("procom", 100, "{"),
            }
            if attack != "labels" {
                assert_eq!(client.wait("closed", STEP * 2)["label"], "procom", "{attack}");
            }
            sleep(Duration::from_secs(3));
            client.hang_up();
            phone.wait_ended();
            scene.gateway.assert_nothing_left();
            assert_heard(&client.stop(), Demand::tone(PHONE_HZ, 2.5));
        }
        assert_heard(&phone.stop(), Demand::tone(PYTHON_HZ, 2.5).with_gaps(0.1));
    });
}
