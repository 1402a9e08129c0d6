//! The page for everybody: a whole call by keyboard alone, accessibility, Firefox, the demo's echo,
//! and pictures of it to look at.

use std::thread::sleep;
use std::time::Duration;

use gateway_tests::audio::{Demand, assert_heard, assert_sound};
use gateway_tests::browser::{Browser, Product};
use gateway_tests::gateway::Gateway;
use gateway_tests::interop;
use gateway_tests::phone::Transport;

use crate::scene::{Model, PAGE_HZ, PASSWORD, PHONE_HZ, Page, STEP, Scene, TALK};

/// Presses Tab until an element has the focus.
#[track_caller]
fn tab_to(browser: &mut Browser, id: &str) {
    for _ in 0..40 {
        if browser.evaluate("document.activeElement.id") == id {
            return;
        }
        browser.press("Tab");
    }
    panic!("#{id} cannot be reached by Tab");
}

fn type_keys(browser: &mut Browser, text: &str) {
    for key in text.chars() {
        browser.press(&key.to_string());
    }
}

#[test]
fn a_whole_call_is_made_by_keyboard_alone() {
    interop!(["baresip", "chromium", "node", "web"], |net| {
        let scene = Scene::new(net);
        let mut phone = scene.bob();
        let mut browser = Browser::start(net, "keyboard", Product::Chromium, PAGE_HZ);
        browser.goto(&scene.gateway.url);
        tab_to(&mut browser, "sign-in-user");
        type_keys(&mut browser, "alice");
        tab_to(&mut browser, "sign-in-password");
        type_keys(&mut browser, PASSWORD);
        browser.press("Enter");
        let mut page = Page { browser };
        page.wait_frame("welcome");
        tab_to(&mut page.browser, "address");
        type_keys(&mut page.browser, "bob");
        page.browser.press("Enter");
        page.wait_state("in-call");
        page.assert_hears(PHONE_HZ);
        tab_to(&mut page.browser, "mute");
        page.browser.press("Space");
        page.browser.wait("#mute[aria-pressed=true]", STEP);
        page.browser.press("Space");
        page.browser.wait("#mute[aria-pressed=false]", STEP);
        tab_to(&mut page.browser, "hang-up");
        page.browser.press("Enter");
        phone.wait_ended();
        assert_eq!(page.cause(STEP), "normal");
        // A call in, too.
        let mut caller =
            scene.phone(Model::Baresip, &scene.settings("bob", 5074, Transport::Udp).rings());
        caller.call(&scene.uri("alice", Transport::Udp));
        page.wait_state("incoming");
        tab_to(&mut page.browser, "answer");
        page.browser.press("Enter");
        caller.wait_established();
        tab_to(&mut page.browser, "hang-up");
        page.browser.press("Enter");
        caller.wait_ended();
        scene.gateway.assert_nothing_left();
    });
}

#[test]
fn axe_finds_nothing_serious_at_any_moment_of_a_call() {
    interop!(["baresip", "chromium", "node", "web"], |net| {
        let scene = Scene::new(net);
        let mut phone = scene.bob();
        let mut browser = Browser::start(net, "axe", Product::Chromium, PAGE_HZ);
        browser.goto(&scene.gateway.url);
        browser.assert_accessible("signing in");
        drop(browser);
        let mut page = scene.page("alice");
        page.browser.assert_accessible("idle");
        page.call("bob");
        page.wait_state("in-call");
        sleep(Duration::from_secs(5));
        page.browser.assert_accessible("in a call");
        page.browser.screenshot("in-call-desktop");
        page.browser.resize(390, 844);
        page.browser.assert_accessible("in a call on a phone");
        page.browser.screenshot("in-call-phone");
        phone.hang_up();
        page.wait_state("ended");
        page.browser.assert_accessible("after the call");
        page.browser.screenshot("ended-phone");
        phone.call(&scene.uri("alice", Transport::Udp));
        page.wait_state("incoming");
        page.browser.assert_accessible("ringing");
        page.browser.screenshot("incoming-phone");
    });
}

#[test]
fn firefox_calls_baresip_and_is_called() {
    interop!(["baresip", "firefox-esr", "node", "web"], |net| {
        let scene = Scene::new(net);
        let mut phone = scene.bob();
        let mut page = scene.page_in(Product::Firefox, "alice", "alice", PAGE_HZ);
        page.call("bob");
        page.wait_state("in-call");
        phone.wait_established();
        page.assert_hears(PHONE_HZ);
        page.hang_up();
        phone.wait_ended();
        assert_heard(&phone.stop(), Demand::tone(PAGE_HZ, 3.0));
        scene.gateway.assert_nothing_left();
        let mut phone = scene.phone(
            Model::Baresip,
            &scene
                .settings("bob", 5074, Transport::Tcp)
                .with(gateway_tests::phone::Protection::Sdes),
        );
        phone.call(&scene.uri("alice", Transport::Tcp));
        page.answer();
        phone.wait_established();
        page.assert_hears(PHONE_HZ);
        phone.hang_up();
        assert_eq!(page.cause(STEP), "normal");
        assert_heard(&phone.stop(), Demand::tone(PAGE_HZ, 3.0));
        scene.gateway.assert_nothing_left();
        page.assert_frames_valid();
    });
}

#[test]
fn the_demo_gives_back_the_callers_own_voice() {
    interop!(["chromium", "node", "web"], |net| {
        let gateway = Gateway::demo(net);
        let mut browser = Browser::start(net, "demo", Product::Chromium, PAGE_HZ);
        browser.goto(&gateway.url);
        let mut page = Page { browser };
        page.wait_frame("welcome");
        page.browser.click("#call-echo");
        page.wait_state("in-call");
        page.assert_hears(PAGE_HZ);
        page.hang_up();
        gateway.assert_nothing_left();
        assert_eq!(page.browser.problems(), Vec::<String>::new());
        page.assert_frames_valid();
    });
}

#[test]
fn the_demo_connects_its_page_with_a_phone_of_its_accounts() {
    interop!(["baresip", "chromium", "node", "web"], |net| {
        let gateway = Gateway::demo(net);
        let certificates = gateway_tests::certificates::Certificates::make(net);
        let account = gateway.accounts.first().expect("the demo has SIP accounts").clone();
        let settings =
            gateway_tests::phone::Settings::new(&account.user, 5072, PHONE_HZ, &certificates)
                .registered(gateway.sip_udp, &account.password);
        let mut phone = gateway_tests::baresip::Baresip::start(net, &settings);
        gateway_tests::phone::Phone::wait_registered(&mut phone);
        let mut browser = Browser::start(net, "demo", Product::Chromium, PAGE_HZ);
        browser.goto(&gateway.url);
        let mut page = Page { browser };
        page.wait_frame("welcome");
        page.call(&account.user);
        page.wait_state("in-call");
        page.browser.listen();
        sleep(TALK);
        assert_sound(&page.browser.heard(), "the page", Demand::tone(PHONE_HZ, 3.0));
        page.hang_up();
        gateway.assert_nothing_left();
        let heard = gateway_tests::phone::Phone::stop(&mut phone);
        assert_heard(&heard, Demand::tone(PAGE_HZ, 3.0));
    });
}
