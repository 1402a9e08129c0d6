//! Digits as RFC 4733 between the page and phones, both ways.

use std::thread::sleep;
use std::time::Duration;

use gateway_tests::capture::Capture;
use gateway_tests::interop;
use gateway_tests::namespace::Net;
use gateway_tests::phone::Transport;

use crate::scene::{Model, STEP, Scene, wait_until};

const DIGITS: &str = "1590*#";

fn digits_cross(net: &Net, model: Model) {
    let scene = Scene::new(net);
    let settings = scene.settings("bob", 5072, Transport::Udp);
    let mut phone = scene.phone(model, &settings);
    let mut page = scene.page("alice");
    let capture = Capture::start(net);
    page.call("bob");
    page.wait_state("in-call");
    phone.wait_established();
    sleep(Duration::from_secs(2));
    page.browser.click_if_visible("#keypad-toggle");
    for digit in DIGITS.chars() {
        page.browser.click(&format!("#keypad button[data-digit=\"{digit}\"]"));
        sleep(Duration::from_millis(350));
    }
    wait_until("the phone has all digits", STEP, || phone.digits() == DIGITS);
    phone.send_digits("2468");
    wait_until("the page has all digits", STEP, || {
        page.browser.text("#digits-received").is_some_and(|text| text.trim() == "2468")
    });
    page.hang_up();
    phone.wait_ended();
    scene.gateway.assert_nothing_left();
    page.assert_frames_valid();
    let wire = capture.stop();
    let rtp = settings.rtp_ports();
    let towards_phone: Vec<_> = wire
        .streams_at(rtp.clone())
        .into_iter()
        .filter(|stream| rtp.contains(&stream.destination.port()))
        .collect();
    let events = towards_phone.iter().find(|stream| stream.digits() == DIGITS);
    assert!(events.is_some(), "no RFC 4733 stream with {DIGITS} at the phone");
}

#[test]
fn digits_cross_between_the_page_and_baresip() {
    interop!(["baresip", "chromium", "node", "web", "dumpcap"], |net| {
        digits_cross(net, Model::Baresip);
    });
}

#[test]
fn digits_cross_between_the_page_and_pjsua() {
    interop!(["python:pjsua2", "chromium", "node", "web", "dumpcap"], |net| {
        digits_cross(net, Model::Pjsua);
    });
}
