//! Several devices of one account: each is shown every message once and in order, also what another
//! one has had while it was away.

use std::time::Duration;

use gateway_tests::browser::Product;
use gateway_tests::config::Account;
use gateway_tests::gateway::Gateway;
use gateway_tests::interop;
use gateway_tests::namespace::Net;
use serde_json::{Value, json};

use crate::procom_messages::Client;
use crate::scene::{PAGE_HZ, PASSWORD, STEP, Scene, wait_until};

const PHONE: &str = "phone-0123456789abcdef";
const TABLET: &str = "tablet-0123456789abcdef";

/// Carol too, who may write as fast as she can.
fn scene(net: &Net) -> Scene<'_> {
    Scene::with(net, |config| {
        config
            .account(Account { name: "carol", password: PASSWORD, sip: None })
            .tables("[messages]\nper_minute = 6000\nat_once = 1000\n")
    })
}

fn texts(of: &str, count: usize) -> Vec<String> {
    (0..count).map(|at| format!("{of} {at}")).collect()
}

/// Carol writes, and alice's device that is there takes it.
fn bring(carol: &mut Client, there: &mut Client, texts: &[String]) {
    for text in texts {
        carol.write(text, "alice", text);
        assert_eq!(there.take_message()["body"], *text);
        carol.take_status(text, "delivered");
    }
}

fn take_all(device: &mut Client, texts: &[String]) {
    for text in texts {
        assert_eq!(device.take_message()["body"], *text);
    }
}

/// What was said before is durable once something said after it is.
fn settle(scene: &Scene<'_>, id: &str) {
    let mut carol = Client::sign_in(scene, "carol");
    carol.write(id, "carol", "note");
    carol.take_status(id, "queued");
    carol.leave();
}

#[test]
fn a_device_that_was_away_gets_what_another_has_had_once_and_in_order_also_after_a_kill() {
    interop!([], |net| {
        let mut scene = scene(net);
        let mut carol = Client::sign_in(&scene, "carol");
        let mut phone = Client::sign_in_as(&scene, "alice", PHONE);
        let mut tablet = Client::sign_in_as(&scene, "alice", TABLET);
        bring(&mut carol, &mut phone, &texts("both", 3));
        take_all(&mut tablet, &texts("both", 3));
        tablet.leave();
        bring(&mut carol, &mut phone, &texts("away", 150));
        let mut tablet = Client::sign_in_as(&scene, "alice", TABLET);
        take_all(&mut tablet, &texts("away", 150));
        bring(&mut carol, &mut phone, &texts("now", 3));
        take_all(&mut tablet, &texts("now", 3));
        tablet.leave();
        bring(&mut carol, &mut phone, &texts("before the kill", 5));
        settle(&scene, "before the kill");
        scene.gateway.kill();
        scene.gateway = Gateway::run(net, &scene.config);
        let mut tablet = Client::sign_in_as(&scene, "alice", TABLET);
        take_all(&mut tablet, &texts("before the kill", 5));
        tablet.assert_quiet("message");
        let mut phone = Client::sign_in_as(&scene, "alice", PHONE);
        phone.assert_quiet("message");
        tablet.leave();
        settle(&scene, "after it");
        let mut tablet = Client::sign_in_as(&scene, "alice", TABLET);
        tablet.assert_quiet("message");
        // One without a name gets what nobody has had, as ever.
        let mut nameless = Client::sign_in(&scene, "alice");
        nameless.assert_quiet("message");
    });
}

#[test]
fn what_waited_for_everybody_reaches_every_device() {
    interop!([], |net| {
        let scene = scene(net);
        for name in [PHONE, TABLET] {
            let mut device = Client::sign_in_as(&scene, "alice", name);
            device.assert_quiet("message");
            device.leave();
        }
        let mut carol = Client::sign_in(&scene, "carol");
        for text in texts("offline", 20) {
            carol.write(&text, "alice", &text);
            carol.take_status(&text, "queued");
        }
        let mut phone = Client::sign_in_as(&scene, "alice", PHONE);
        take_all(&mut phone, &texts("offline", 20));
        phone.assert_quiet("message");
        let mut tablet = Client::sign_in_as(&scene, "alice", TABLET);
        take_all(&mut tablet, &texts("offline", 20));
        tablet.assert_quiet("message");
        // Every status once.
        let mut delivered = Vec::new();
        while let Some(frame) = carol.receive(Duration::from_secs(1)) {
            if frame["status"] == "delivered" {
                delivered.push(frame["id"].clone());
            }
        }
        delivered.sort_by_key(Value::to_string);
        let before = delivered.len();
        delivered.dedup();
        assert_eq!((before, delivered.len()), (20, 20));
    });
}

#[test]
fn a_page_that_was_closed_shows_what_another_page_has_had() {
    interop!(["chromium", "node", "web"], |net| {
        let scene = scene(net);
        let mut away = scene.page("alice");
        away.browser.wait_frame("welcome", STEP, |_| true);
        away.browser.goto("about:blank");
        let mut there = scene.page_in(Product::Chromium, "there", "alice", PAGE_HZ);
        let mut carol = Client::sign_in(&scene, "carol");
        for text in texts("page", 3) {
            carol.write(&text, "alice", &text);
            carol.take_status(&text, "read");
        }
        away.browser.goto(&scene.gateway.url);
        away.browser.type_into("#sign-in-user", "alice");
        away.browser.type_into("#sign-in-password", PASSWORD);
        away.browser.click("#sign-in-submit");
        let said =
            "[...document.querySelectorAll('#talk-list .said')].map((one) => one.lastChild.data)";
        wait_until("all are shown, in order", STEP, || {
            away.browser.evaluate(said) == json!(["page 0", "page 1", "page 2"])
        });
        carol.write("last", "alice", "last");
        away.wait_said("last", "read");
        there.wait_said("last", "read");
        assert_eq!(away.browser.evaluate(said).as_array().map(Vec::len), Some(4));
        for page in [&mut away, &mut there] {
            page.assert_frames_valid();
            assert_eq!(page.browser.problems(), Vec::<String>::new());
        }
    });
}
