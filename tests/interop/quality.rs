//! What the page shows of a bad line: loss and MOS under injected loss and jitter, and trouble
//! when the phone falls silent.

use std::thread::sleep;
use std::time::Duration;

use gateway_tests::config::Config;
use gateway_tests::impair::Impairment;
use gateway_tests::interop;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::scene::{PHONE_HZ, Page, Scene};

/// Longer than the half minute over which the gateway estimates: 1,500 packets, of which 5 % have
/// a standard deviation of 0.6 %.
const MEASURED: Duration = Duration::from_secs(36);

fn last_quality(page: &mut Page) -> Value {
    page.browser.last_frame("gateway", "quality").expect("a quality frame").value
}

#[test]
fn loss_and_jitter_show_on_the_page_and_lower_the_mos() {
    interop!(
        ["baresip", "chromium", "node", "web", "iptables-legacy", "python:netfilterqueue"],
        |net| {
            let scene = Scene::new(net);
            let mut phone = scene.bob();
            let mut page = scene.page("alice");
            page.call("bob");
            page.wait_state("in-call");
            page.assert_hears(PHONE_HZ);
            sleep(Duration::from_secs(4));
            let clean = last_quality(&mut page);
            assert!(clean["mos"].as_f64().unwrap() > 4.0, "{clean}");
            assert!(clean["loss"].as_f64().unwrap() < 0.005, "{clean}");
            // From the phone to the gateway and from the browser to the gateway.
            let impairment = Impairment::start(net, 40_000..=44_999, 0.05, 40);
            sleep(MEASURED);
            let shown = page.browser.attribute("#quality", "data-loss").unwrap_or_default();
            let loss: f64 = shown.parse().unwrap_or_else(|_| panic!("loss {shown:?} on the page"));
            let mos: f64 = page.browser.attribute("#quality", "data-mos").unwrap().parse().unwrap();
            let done = impairment.stop();
            assert!((0.04..=0.06).contains(&loss), "the page shows {loss}, {done}");
            assert!(mos < clean["mos"].as_f64().unwrap() - 0.2, "the MOS is still {mos}");
            page.hang_up();
            phone.wait_ended();
            scene.gateway.assert_nothing_left();
            page.assert_frames_valid();
        }
    );
}

#[test]
fn trouble_names_leg_and_direction_when_the_phone_stops_sending() {
    interop!(["baresip", "chromium", "node", "web"], |net| {
        let scene = Scene::new(net);
        let mut phone = scene.bob();
        let mut page = scene.page("alice");
        page.call("bob");
        page.wait_state("in-call");
        page.assert_hears(PHONE_HZ);
        phone.process().signal(Signal::SIGSTOP);
        let trouble = page.browser.wait_frame("trouble", Duration::from_secs(4), |_| true).value;
        assert_eq!(trouble["leg"], "sip", "{trouble}");
        assert_eq!(trouble["direction"], "receive", "{trouble}");
        page.browser.wait("#trouble:not([hidden])[data-leg=sip]", Duration::from_secs(1));
        phone.process().signal(Signal::SIGCONT);
        page.hang_up();
        phone.wait_ended();
        scene.gateway.assert_nothing_left();
        page.assert_frames_valid();
    });
}

#[test]
fn only_the_one_media_port_serves_every_browser() {
    interop!(["baresip", "chromium", "node", "web", "dumpcap"], |net| {
        let scene = Scene::new(net);
        let capture = gateway_tests::capture::Capture::start(net);
        let mut phone = scene.bob();
        let mut page = scene.page("alice");
        page.call("bob");
        page.wait_state("in-call");
        page.assert_hears(PHONE_HZ);
        page.hang_up();
        phone.wait_ended();
        let wire = capture.stop();
        assert!(wire.has_dtls(Config::MEDIA_PORT));
        assert!(wire.streams_at(Config::MEDIA_PORT..=Config::MEDIA_PORT).len() >= 2);
    });
}
