//! Messages between Procom clients: the served page in two browsers, and bare clients on WebSockets
//! for what no person would do. Every frame is held against the published schema.

use std::time::Duration;

use gateway_tests::browser::Product;
use gateway_tests::config::Account;
use gateway_tests::gateway::Gateway;
use gateway_tests::interop;
use gateway_tests::ws_client::{Schema, WsClient};
use serde_json::{Value, json};

use crate::scene::{PAGE_HZ, PASSWORD, Page, STEP, Scene, wait_until};

/// How long nothing may come before it is believed that nothing will.
const QUIET: Duration = Duration::from_secs(2);

/// Right-to-left, joined emoji, combining marks, and what is not in the first plane.
const TEXTS: [&str; 5] = [
    "x",
    "שלום, עולם!",
    "مرحبا \u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}",
    "e\u{301}\n\t𝔘 日本語",
    "<b>&amp;</b>",
];

pub(crate) fn scene_with_carol(net: &gateway_tests::namespace::Net) -> Scene<'_> {
    Scene::with(net, |config| {
        config.account(Account { name: "carol", password: PASSWORD, sip: None })
    })
}

/// A bare client whose frames are held against the schema.
pub(crate) struct Client {
    socket: WsClient,
    schema: Schema,
    welcome: Value,
}

impl Client {
    #[track_caller]
    pub(crate) fn sign_in(scene: &Scene<'_>, user: &str) -> Self {
        let (socket, welcome) =
            WsClient::sign_in(scene.config.http(), user, PASSWORD).expect("signed in");
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        Self { socket, schema: Schema::published(), welcome }
    }

    #[track_caller]
    pub(crate) fn sign_in_as(scene: &Scene<'_>, user: &str, device: &str) -> Self {
        let (socket, welcome) =
            WsClient::sign_in_as(scene.config.http(), user, PASSWORD, device).expect("signed in");
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        Self { socket, schema: Schema::published(), welcome }
    }

    /// Signs out as a page that is closed does.
    pub(crate) fn leave(mut self) {
        self.socket.close();
    }

    pub(crate) fn send(&mut self, frame: &Value) {
        self.schema.assert_valid(frame);
        self.socket.send(frame);
    }

    pub(crate) fn write(&mut self, id: &str, to: &str, body: &str) {
        self.send(&json!({"type": "message", "id": id, "to": to, "body": body}));
    }

    pub(crate) fn receive(&mut self, within: Duration) -> Option<Value> {
        let frame = self.socket.receive(within)?;
        self.schema.assert_valid(&frame);
        Some(frame)
    }

    /// The next frame of that type, passing over others.
    #[track_caller]
    pub(crate) fn take(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.receive(STEP).unwrap_or_else(|| panic!("no {kind} came"));
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// Takes a message and acknowledges it.
    #[track_caller]
    pub(crate) fn take_message(&mut self) -> Value {
        let message = self.take("message");
        self.send(&json!({"type": "ack", "id": message["id"]}));
        message
    }

    /// Takes statuses of a message up to this one.
    #[track_caller]
    pub(crate) fn take_status(&mut self, id: &str, status: &str) -> Value {
        loop {
            let frame = self.take("status");
            if frame["id"] == id && frame["status"] == status {
                return frame;
            }
            assert_ne!(frame["status"], "failed", "{frame}");
        }
    }

    #[track_caller]
    pub(crate) fn assert_quiet(&mut self, kind: &str) {
        while let Some(frame) = self.receive(QUIET) {
            assert_ne!(frame["type"], kind, "{frame}");
        }
    }
}

impl Page {
    /// Opens a conversation and writes into it as a person does.
    #[track_caller]
    pub(crate) fn write(&mut self, to: &str, text: &str) {
        if !to.is_empty() {
            self.browser.type_into("#address", to);
            self.browser.click("#write");
        }
        self.browser.type_into("#talk-text", text);
        self.browser.press("Enter");
    }

    /// Waits until the conversation holds a message of that text in that state.
    #[track_caller]
    pub(crate) fn wait_said(&mut self, text: &str, status: &str) {
        let script = format!(
            "[...document.querySelectorAll('#talk-list li[data-status={status}] .said')]\
             .filter((said) => said.lastChild.data === {}).length",
            json!(text)
        );
        wait_until(&format!("{text} is {status}"), STEP, || self.browser.evaluate(&script) == 1);
    }
}

#[test]
fn two_pages_write_to_each_other_with_receipts_and_typing() {
    interop!(["chromium", "firefox-esr", "node", "web"], |net| {
        let scene = scene_with_carol(net);
        let mut alice = scene.page("alice");
        let mut carol = scene.page_in(Product::Firefox, "carol", "carol", PAGE_HZ);
        alice.write("carol", "good day");
        carol.wait_said("good day", "read");
        alice.wait_said("good day", "read");
        for text in ["שלום", "مرحبا 👩‍👩‍👧", "<b>bold?</b> &amp;"] {
            carol.write("", text);
            alice.wait_said(text, "read");
            carol.wait_said(text, "read");
        }
        alice.browser.type_into("#talk-text", "wait");
        carol.browser.wait_frame("composing", STEP, |frame| {
            frame["with"] == "procom:alice" && frame["on"] == true
        });
        assert_eq!(carol.browser.text("#talk-typing").as_deref(), Some("They are writing"));
        alice.browser.press("Enter");
        carol.wait_said("wait", "read");
        assert_eq!(carol.browser.text("#talk-typing").as_deref(), Some(""));
        alice.browser.screenshot("talk-desktop");
        alice.browser.resize(390, 844);
        alice.browser.screenshot("talk-phone");
        for page in [&mut alice, &mut carol] {
            page.assert_clean("in a conversation");
        }
    });
}

#[test]
fn texts_of_every_script_and_size_arrive_untouched() {
    interop!([], |net| {
        let scene = scene_with_carol(net);
        let (mut alice, mut carol) =
            (Client::sign_in(&scene, "alice"), Client::sign_in(&scene, "carol"));
        let long = "ö".repeat(16 * 1024);
        for (at, text) in TEXTS.iter().copied().chain([long.as_str()]).enumerate() {
            let id = format!("m{at}");
            alice.write(&id, "procom:carol", text);
            alice.take_status(&id, "queued");
            let message = carol.take_message();
            assert_eq!(message["body"], text);
            assert_eq!(
                (&message["from"], &message["to"]),
                (&json!("procom:alice"), &json!("procom:carol"))
            );
            alice.take_status(&id, "delivered");
            carol.send(&json!({"type": "read", "id": message["id"]}));
            alice.take_status(&id, "read");
        }
        for (id, body, why) in
            [("empty", "", "empty"), ("long", &"x".repeat(32 * 1024 + 1), "32768")]
        {
            alice.write(id, "procom:carol", body);
            let status = alice.take("status");
            assert_eq!((&status["id"], &status["status"]), (&json!(id), &json!("failed")));
            assert!(
                status["reason"].as_str().is_some_and(|reason| reason.contains(why)),
                "{status}"
            );
        }
        carol.assert_quiet("message");
        // End-to-end encrypted bodies pass untouched.
        let sealed = json!({"type": "message", "id": "sealed", "to": "carol", "body": "AAEC",
                            "content": "application/vnd.example.sealed"});
        alice.send(&sealed);
        let message = carol.take_message();
        assert_eq!((&message["body"], &message["content"]), (&json!("AAEC"), &sealed["content"]));
    });
}

#[test]
fn a_message_sent_again_under_its_id_is_one_message() {
    interop!([], |net| {
        let scene = scene_with_carol(net);
        let mut carol = Client::sign_in(&scene, "carol");
        for session in 0..3 {
            let mut alice = Client::sign_in(&scene, "alice");
            alice.write("same", "carol", "once");
            alice.write("same", "carol", "once");
            if session == 0 {
                assert_eq!(carol.take_message()["body"], "once");
                alice.take_status("same", "delivered");
            } else {
                alice.take("status");
            }
        }
        carol.assert_quiet("message");
    });
}

#[test]
fn every_device_is_shown_the_whole_conversation() {
    interop!([], |net| {
        let scene = scene_with_carol(net);
        let mut alice = Client::sign_in(&scene, "alice");
        let mut tablet = Client::sign_in(&scene, "alice");
        let mut carol = Client::sign_in(&scene, "carol");
        alice.write("m1", "carol", "hello");
        let message = carol.take_message();
        let copy = tablet.take("message");
        assert_eq!((&copy["from"], &copy["body"]), (&json!("procom:alice"), &json!("hello")));
        assert_eq!(copy["id"], message["id"], "one id on every device");
        assert_eq!(alice.take_status("m1", "delivered")["message"], message["id"]);
        carol.write("m2", "alice", "hello yourself");
        assert_eq!(alice.take_message()["body"], "hello yourself");
        assert_eq!(tablet.take_message()["body"], "hello yourself");
        alice.assert_quiet("message");
        tablet.assert_quiet("message");
    });
}

#[test]
fn what_is_written_to_who_is_away_waits_and_comes_once_and_in_order() {
    interop!([], |net| {
        let mut scene = scene_with_carol(net);
        let mut alice = Client::sign_in(&scene, "alice");
        for at in 0..10 {
            alice.write(&format!("m{at}"), "carol", &format!("text {at}"));
            alice.take_status(&format!("m{at}"), "queued");
        }
        drop(alice);
        // Nor is a power cut a reason to forget anything.
        scene.gateway.kill();
        scene.gateway = Gateway::run(net, &scene.config);
        let mut carol = Client::sign_in(&scene, "carol");
        for at in 0..10 {
            assert_eq!(carol.take_message()["body"], format!("text {at}"));
        }
        carol.assert_quiet("message");
        assert!(carol.welcome["session"].is_string());
    });
}

#[test]
fn nobody_hears_of_a_message_to_nobody_and_its_sender_is_told() {
    interop!([], |net| {
        let scene = scene_with_carol(net);
        let mut alice = Client::sign_in(&scene, "alice");
        alice.write("m1", "procom:nobody-of-that-name", "hello?");
        loop {
            let status = alice.take("status");
            if status["status"] == "failed" {
                assert!(status["reason"].as_str().is_some_and(|reason| !reason.is_empty()));
                break;
            }
        }
    });
}

#[test]
fn a_flood_of_one_client_is_slowed_and_another_is_served_meanwhile() {
    interop!([], |net| {
        let scene = scene_with_carol(net);
        let mut flood = Client::sign_in(&scene, "alice");
        for at in 0..600 {
            flood.write(&format!("m{at}"), "alice", "flood");
        }
        let mut carol = Client::sign_in(&scene, "carol");
        let mut other = Client::sign_in(&scene, "carol");
        carol.write("calm", "carol", "note to myself");
        carol.take_status("calm", "queued");
        assert_eq!(other.take("message")["body"], "note to myself");
    });
}

#[test]
fn the_page_says_what_a_call_would_become_before_it_is_made() {
    interop!(["chromium", "node", "web"], |net| {
        let scene = scene_with_carol(net);
        let _carol = Client::sign_in(&scene, "carol");
        let mut page = scene.page("alice");
        let says = |page: &mut Page, words: &str| {
            wait_until(words, STEP, || {
                page.browser.text("#address-hint").is_some_and(|hint| hint.contains(words))
            });
        };
        page.browser.type_into("#address", "carol");
        says(&mut page, "by Procom: encrypted on every stretch.");
        page.browser.screenshot("explained");
        page.browser.type_into("#address", "-and-nobody");
        let is_refused = |frame: &Value| frame["refusal"].is_string();
        let refused = page.browser.wait_frame("explained", STEP, is_refused).value;
        let refusal = refused["refusal"].as_str().expect("a sentence");
        says(&mut page, refusal.get(1..).expect("longer than a letter"));
        page.assert_frames_valid();
        assert_eq!(page.browser.problems(), Vec::<String>::new());
        page.browser.screenshot("refused");
    });
}
