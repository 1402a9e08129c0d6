//! Every way a call ends: the right cause on the page, within its timer, and nothing left behind.

use std::thread::sleep;
use std::time::{Duration, Instant};

use gateway_tests::audio::{Demand, assert_heard};
use gateway_tests::config::Config;
use gateway_tests::gateway::Gateway;
use gateway_tests::interop;
use gateway_tests::phone::{Phone, Transport};
use nix::sys::signal::Signal;

use crate::scene::{Model, PAGE_HZ, PHONE_HZ, Page, STEP, Scene, phone_account, wait_until};

/// A call that is up: the page called bob.
fn in_call(scene: &Scene<'_>, phone: &mut dyn Phone) -> Page {
    let mut page = scene.page("alice");
    page.call("bob");
    page.wait_state("in-call");
    phone.wait_established();
    page.assert_hears(PHONE_HZ);
    page
}

/// The page calls `address` and is told `cause`.
fn assert_refused(scene: &Scene<'_>, address: &str, cause: &str, within: Duration) {
    let mut page = scene.page("alice");
    page.call(address);
    assert_eq!(page.cause(within), cause);
    scene.gateway.assert_nothing_left();
    page.assert_frames_valid();
}

#[test]
fn a_callee_who_talks_already_is_busy() {
    interop!(["python:pjsua2", "chromium", "node", "web"], |net| {
        let scene = Scene::new(net);
        let settings = scene.settings("bob", 5072, Transport::Udp).rings();
        let mut phone = scene.phone(Model::Pjsua, &settings);
        let mut page = scene.page("alice");
        page.call("bob");
        phone.wait_incoming();
        phone.process().send("answer 486");
        assert_eq!(page.cause(STEP), "busy");
        scene.gateway.assert_nothing_left();
    });
}

#[test]
fn a_callee_who_declines_has_declined() {
    interop!(["python:pjsua2", "chromium", "node", "web"], |net| {
        let scene = Scene::new(net);
        let settings = scene.settings("bob", 5072, Transport::Udp).rings();
        let mut phone = scene.phone(Model::Pjsua, &settings);
        let mut page = scene.page("alice");
        page.call("bob");
        phone.wait_incoming();
        phone.decline();
        assert_eq!(page.cause(STEP), "declined");
        scene.gateway.assert_nothing_left();
    });
}

#[test]
fn a_callee_who_does_not_answer_stops_ringing_at_the_limit() {
    interop!(["baresip", "chromium", "node", "web"], |net| {
        let scene = Scene::with(net, |config| config.set("gateway", "ring_limit_s = 6"));
        let mut phone = scene.bob_rings();
        let mut page = scene.page("alice");
        page.call("bob");
        page.wait_state("ringing");
        assert_eq!(page.cause(Duration::from_secs(10)), "no-answer");
        phone.wait_ended();
        scene.gateway.assert_nothing_left();
    });
}

#[test]
fn nobody_of_that_name_is_not_found() {
    interop!(["chromium", "node", "web"], |net| {
        assert_refused(&Scene::new(net), "nobody", "not-found", STEP);
    });
}

#[test]
fn an_account_without_any_device_is_unreachable() {
    interop!(["chromium", "node", "web"], |net| {
        assert_refused(&Scene::new(net), "bob", "unreachable", STEP);
    });
}

#[test]
fn a_phone_that_vanished_while_registered_is_unreachable() {
    interop!(["baresip", "chromium", "node", "web"], |net| {
        let scene = Scene::new(net);
        let mut phone = scene.bob();
        phone.process().stop_by(Signal::SIGKILL);
        // Timer B of RFC 3261 §17.1.1.2 is 32 s; an ICMP error may tell sooner.
        assert_refused(&scene, "bob", "unreachable", Duration::from_secs(40));
    });
}

#[test]
fn a_foreign_host_is_forbidden_by_default() {
    interop!(["chromium", "node", "web"], |net| {
        assert_refused(&Scene::new(net), "sip:bob@example.org", "forbidden", STEP);
    });
}

#[test]
fn a_caller_who_gives_up_while_it_rings_silences_the_phone() {
    interop!(["baresip", "chromium", "node", "web"], |net| {
        let scene = Scene::new(net);
        let mut phone = scene.bob_rings();
        let mut page = scene.page("alice");
        page.call("bob");
        page.wait_state("ringing");
        phone.wait_incoming();
        page.hang_up();
        phone.wait_ended();
        assert_eq!(page.cause(STEP), "cancelled");
        scene.gateway.assert_nothing_left();
    });
}

#[test]
fn a_phone_that_gives_up_while_the_page_rings_closes_the_sheet() {
    interop!(["baresip", "chromium", "node", "web"], |net| {
        let scene = Scene::new(net);
        let mut phone = scene.bob_rings();
        let mut page = scene.page("alice");
        phone.call(&scene.uri("alice", Transport::Udp));
        page.wait_state("incoming");
        phone.hang_up();
        let end = page.wait_frame("end");
        assert_eq!(end["cause"], "cancelled");
        scene.gateway.assert_nothing_left();
    });
}

#[test]
fn a_person_who_declines_on_the_page_is_heard_of_by_the_phone() {
    interop!(["python:pjsua2", "chromium", "node", "web"], |net| {
        let scene = Scene::new(net);
        let settings = scene.settings("bob", 5072, Transport::Udp);
        let mut phone = gateway_tests::pjsua::Pjsua::start(net, &settings);
        phone.wait_registered();
        let mut page = scene.page("alice");
        phone.call(&scene.uri("alice", Transport::Udp));
        page.wait_state("incoming");
        page.browser.click("#decline");
        assert_eq!(phone.wait("ended", STEP)["code"], 603);
        scene.gateway.assert_nothing_left();
    });
}

#[test]
fn closing_the_tab_ends_the_call_at_once() {
    interop!(["baresip", "chromium", "node", "web"], |net| {
        let scene = Scene::new(net);
        let mut phone = scene.bob();
        let mut page = in_call(&scene, phone.as_mut());
        page.browser.close_tab();
        phone.wait_ended();
        scene.gateway.assert_nothing_left();
    });
}

#[test]
fn a_call_survives_a_socket_that_is_gone_for_twenty_seconds() {
    interop!(["baresip", "chromium", "node", "web", "iptables-legacy"], |net| {
        let scene = Scene::new(net);
        let mut phone = scene.bob();
        let mut page = in_call(&scene, phone.as_mut());
        let port = scene.config.http().port();
        net.cut_tcp(port);
        wait_until("the page sees its socket drop", STEP, || {
            page.browser.frames().iter().any(|frame| frame.from == "closed")
        });
        // Media goes on while only signalling is cut.
        page.assert_hears(PHONE_HZ);
        sleep(Duration::from_secs(14));
        net.restore_tcp(port);
        let is_resumed = |frame: &serde_json::Value| frame["resumed"] == true;
        page.browser.wait_frame("welcome", Duration::from_secs(12), is_resumed);
        page.assert_hears(PHONE_HZ);
        page.hang_up();
        phone.wait_ended();
        scene.gateway.assert_nothing_left();
        assert_heard(&phone.stop(), Demand::tone(PAGE_HZ, 20.0));
    });
}

#[test]
fn a_socket_that_never_comes_back_ends_the_call() {
    interop!(["baresip", "chromium", "node", "web", "iptables-legacy"], |net| {
        let scene = Scene::with(net, |config| config.set("procom", "resume_s = 5"));
        let mut phone = scene.bob();
        let _page = in_call(&scene, phone.as_mut());
        net.cut_tcp(scene.config.http().port());
        phone.wait_ended();
        scene.gateway.assert_nothing_left();
    });
}

#[test]
fn a_killed_phone_ends_the_call_by_the_media_time_out() {
    interop!(["baresip", "chromium", "node", "web"], |net| {
        let scene = Scene::new(net);
        let mut phone = scene.bob();
        let mut page = in_call(&scene, phone.as_mut());
        phone.process().signal(Signal::SIGKILL);
        // 30 s, counted from the last packet.
        assert_eq!(page.cause(Duration::from_secs(36)), "media-timeout");
        scene.gateway.assert_nothing_left();
    });
}

#[test]
fn a_held_phone_that_sends_nothing_is_not_timed_out() {
    interop!(["baresip", "chromium", "node", "web"], |net| {
        let scene = Scene::with(net, |config| config.set("media", "lost_after_s = 8"));
        let mut phone = scene.bob();
        let mut page = in_call(&scene, phone.as_mut());
        phone.hold();
        sleep(Duration::from_secs(14));
        scene.gateway.wait_legs(2, Duration::ZERO);
        phone.resume();
        sleep(Duration::from_secs(1));
        page.assert_hears(PHONE_HZ);
        page.hang_up();
        phone.wait_ended();
        scene.gateway.assert_nothing_left();
    });
}

#[test]
#[expect(clippy::disallowed_methods, reason = "measures a real restart")]
fn a_killed_gateway_releases_the_phone_after_its_restart() {
    interop!(["baresip", "chromium", "node", "web"], |net| {
        let mut scene = Scene::new(net);
        let mut phone = scene.bob();
        let mut page = in_call(&scene, phone.as_mut());
        scene.gateway.kill();
        let restart = Instant::now();
        let config: Config = scene.config.clone();
        let gateway = Gateway::run(net, &config);
        assert!(restart.elapsed() < Duration::from_secs(5), "up after {:?}", restart.elapsed());
        phone.wait_ended();
        page.wait_state_within("ended", Duration::from_secs(30));
        assert!(restart.elapsed() < Duration::from_secs(30));
        gateway.assert_nothing_left();
        scene.gateway = gateway;
    });
}

#[test]
fn a_gateway_told_to_stop_ends_its_calls_and_exits_cleanly() {
    interop!(["baresip", "chromium", "node", "web"], |net| {
        let mut scene = Scene::with(net, |config| config.set("gateway", "drain_s = 2"));
        let mut phone = scene.bob();
        let mut page = in_call(&scene, phone.as_mut());
        scene.gateway.process.signal(Signal::SIGTERM);
        assert_eq!(page.cause(STEP), "shutdown");
        phone.wait_ended();
        let status = scene.gateway.process.ends_within(STEP).expect("the gateway exits");
        assert!(status.success(), "{status}");
    });
}

#[test]
fn all_devices_of_an_account_ring_and_the_first_answer_wins() {
    interop!(["baresip", "chromium", "node", "web"], |net| {
        let scene = Scene::with(net, |config| config.account(phone_account("carol")));
        let mut desk_phone =
            scene.phone(Model::Baresip, &scene.settings("carol", 5074, Transport::Udp).rings());
        let chromium = gateway_tests::browser::Product::Chromium;
        let mut one = scene.page_in(chromium, "carol-1", "carol", PAGE_HZ);
        let mut two = scene.page_in(chromium, "carol-2", "carol", 550);
        let mut caller =
            scene.phone(Model::Baresip, &scene.settings("bob", 5072, Transport::Udp).rings());
        caller.call(&scene.uri("carol", Transport::Udp));
        one.wait_state("incoming");
        two.wait_state("incoming");
        desk_phone.wait_incoming();
        one.answer();
        caller.wait_established();
        assert_eq!(two.wait_frame("end")["cause"], "answered-elsewhere");
        desk_phone.wait_ended();
        one.assert_hears(PHONE_HZ);
        scene.gateway.wait_legs(2, STEP);
        one.hang_up();
        caller.wait_ended();
        scene.gateway.assert_nothing_left();
        assert_heard(&caller.stop(), Demand::tone(PAGE_HZ, 3.0));
    });
}
