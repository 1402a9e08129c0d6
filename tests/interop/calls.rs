//! The page calls four phones and each of them calls the page: clear RTP over UDP, mandatory SDES
//! over TCP, SDES over UDP, SDES over TLS. Both sides are heard, and what the page says about
//! protection is compared with the wire.

use std::thread::sleep;
use std::time::Duration;

use gateway_tests::audio::{Demand, assert_heard};
use gateway_tests::capture::Capture;
use gateway_tests::config::Config;
use gateway_tests::interop;
use gateway_tests::namespace::Net;
use gateway_tests::phone::{Phone, Protection, Settings, Transport};
use gateway_tests::wire::{Secrecy, Wire};
use serde_json::Value;

use crate::scene::{Model, PAGE_HZ, PHONE_HZ, Page, Scene, protection_name};

/// The far tone is heard this soon after the answer.
const SOON_MS: f64 = 150.0;

/// One of the four ways to be a phone.
struct Way {
    model: Model,
    transport: Transport,
    protection: Protection,
    level: &'static str,
}

const BARESIP_CLEAR: Way = Way {
    model: Model::Baresip,
    transport: Transport::Udp,
    protection: Protection::Clear,
    level: "clear",
};
const BARESIP_SDES: Way = Way {
    model: Model::Baresip,
    transport: Transport::Tcp,
    protection: Protection::Sdes,
    level: "exposed",
};
const LINPHONE_SDES: Way = Way {
    model: Model::Linphone,
    transport: Transport::Udp,
    protection: Protection::Sdes,
    level: "exposed",
};
const PJSUA_TLS: Way = Way {
    model: Model::Pjsua,
    transport: Transport::Tls,
    protection: Protection::Sdes,
    level: "hop",
};

impl Way {
    fn settings(&self, scene: &Scene<'_>) -> Settings {
        scene.settings("bob", 5072, self.transport).with(self.protection)
    }
}

/// The page calls the phone, which answers by itself; the page hangs up.
fn page_calls_phone(net: &Net, way: &Way) {
    let scene = Scene::new(net);
    let settings = way.settings(&scene);
    let mut phone = scene.phone(way.model, &settings);
    let mut page = scene.page("alice");
    let capture = Capture::start(net);
    page.call("bob");
    page.wait_state("in-call");
    phone.wait_established();
    talk(&mut page, way);
    page.hang_up();
    phone.wait_ended();
    finish(&scene, page, phone.as_mut(), capture, &settings, way);
}

/// The phone calls the page, where a person clicks *Answer*; the phone hangs up.
fn phone_calls_page(net: &Net, way: &Way) {
    let scene = Scene::new(net);
    let settings = way.settings(&scene).rings();
    let mut phone = scene.phone(way.model, &settings);
    let mut page = scene.page("alice");
    let capture = Capture::start(net);
    phone.call(&scene.uri("alice", way.transport));
    page.answer();
    phone.wait_established();
    page.wait_state("in-call");
    talk(&mut page, way);
    phone.hang_up();
    assert_eq!(page.cause(Duration::from_secs(5)), "normal");
    finish(&scene, page, phone.as_mut(), capture, &settings, way);
}

/// Both talk; the page shows what protects them, and no lock where keys were exposed.
fn talk(page: &mut Page, way: &Way) {
    page.assert_hears(PHONE_HZ);
    let late_ms = page.first_tone_ms(PHONE_HZ);
    assert!(late_ms <= SOON_MS, "the far tone came {late_ms:.0} ms after the answer");
    page.browser.wait(&format!("#strip[data-level={}]", way.level), Duration::from_secs(2));
    let has_lock = page.browser.attribute("#strip-icon", "data-icon").as_deref() == Some("lock");
    assert_eq!(has_lock, way.level == "hop", "a lock for {}", way.level);
    let selector = format!(
        "#strip-legs li[data-network=sip][data-protection={}]",
        protection_name(way.protection)
    );
    page.browser.wait(&selector, Duration::from_secs(2));
    assert_eq!(page.browser.problems(), Vec::<String>::new());
}

fn finish(
    scene: &Scene<'_>,
    mut page: Page,
    phone: &mut dyn Phone,
    capture: Capture,
    settings: &Settings,
    way: &Way,
) {
    scene.gateway.assert_nothing_left();
    let security = page.security();
    page.assert_frames_valid();
    // pjsua names the suite it uses; on the wire only TLS could be seen.
    let said = phone.process().output().to_owned();
    assert_heard(&phone.stop(), Demand::tone(PAGE_HZ, 3.0));
    sleep(Duration::from_millis(300));
    let wire = capture.stop();
    assert_wire(&wire, &security, settings, way, &said);
}

/// What the `security` frame says is what an eavesdropper finds.
fn assert_wire(wire: &Wire, security: &Value, settings: &Settings, way: &Way, phone_said: &str) {
    assert_eq!(security["level"], way.level, "{security}");
    let leg = |network: &str| {
        let legs = security["legs"].as_array().expect("legs");
        legs.iter().find(|leg| leg["network"] == network).expect("a leg of each network").clone()
    };
    assert_eq!(leg("procom")["protection"], "dtls-srtp");
    assert!(wire.has_dtls(Config::MEDIA_PORT));
    for stream in wire.streams_at(Config::MEDIA_PORT..=Config::MEDIA_PORT) {
        assert!(!matches!(stream.secrecy(), Secrecy::Clear(_)), "clear speech to the browser");
    }
    let sip = leg("sip");
    assert_eq!(sip["protection"], protection_name(way.protection), "{security}");
    let streams = wire.streams_at(settings.rtp_ports());
    let directions = streams.iter().filter(|stream| stream.payloads.len() > 100).count();
    assert!(directions >= 2, "media in {directions} directions at the phone");
    for stream in streams.iter().filter(|stream| stream.payloads.len() > 100) {
        match (way.protection, stream.secrecy()) {
            (Protection::Clear, Secrecy::Clear(_)) | (Protection::Sdes, Secrecy::Sealed) => {}
            (_, seen) => panic!("{:?} but {seen:?} on the wire", way.protection),
        }
    }
    match (way.protection, way.transport) {
        // Keys may have been offered; the streams show that none were used.
        (Protection::Clear, _) => assert!(sip["suite"].is_null(), "{sip}"),
        (Protection::Sdes, Transport::Tls) => {
            assert!(wire.suites().is_empty(), "keys outside TLS");
            let suite = suite_of(&sip);
            assert!(phone_said.contains(&format!("crypto={suite}")), "pjsua uses no {suite}");
        }
        (Protection::Sdes, Transport::Udp | Transport::Tcp) => {
            assert!(wire.suites().contains(&suite_of(&sip)), "{sip} but {:?}", wire.suites());
        }
    }
}

fn suite_of(leg: &Value) -> String {
    leg["suite"].as_str().expect("a sealed leg names its suite").to_owned()
}

#[test]
fn the_page_calls_baresip_over_udp_in_clear() {
    interop!(["baresip", "chromium", "node", "web", "dumpcap"], |net| {
        page_calls_phone(net, &BARESIP_CLEAR);
    });
}

#[test]
fn the_page_calls_baresip_over_tcp_under_sdes() {
    interop!(["baresip", "chromium", "node", "web", "dumpcap"], |net| {
        page_calls_phone(net, &BARESIP_SDES);
    });
}

#[test]
fn the_page_calls_linphone_over_udp_under_sdes() {
    interop!(["linphonec", "chromium", "node", "web", "dumpcap"], |net| {
        page_calls_phone(net, &LINPHONE_SDES);
    });
}

#[test]
fn the_page_calls_pjsua_over_tls_under_sdes() {
    interop!(["python:pjsua2", "chromium", "node", "web", "dumpcap"], |net| {
        page_calls_phone(net, &PJSUA_TLS);
    });
}

#[test]
fn baresip_calls_the_page_over_udp_in_clear() {
    interop!(["baresip", "chromium", "node", "web", "dumpcap"], |net| {
        phone_calls_page(net, &BARESIP_CLEAR);
    });
}

#[test]
fn baresip_calls_the_page_over_tcp_under_sdes() {
    interop!(["baresip", "chromium", "node", "web", "dumpcap"], |net| {
        phone_calls_page(net, &BARESIP_SDES);
    });
}

#[test]
fn linphone_calls_the_page_over_udp_under_sdes() {
    interop!(["linphonec", "chromium", "node", "web", "dumpcap"], |net| {
        phone_calls_page(net, &LINPHONE_SDES);
    });
}

#[test]
fn pjsua_calls_the_page_over_tls_under_sdes() {
    interop!(["python:pjsua2", "chromium", "node", "web", "dumpcap"], |net| {
        phone_calls_page(net, &PJSUA_TLS);
    });
}

#[test]
fn the_page_calls_a_phone_over_ipv6() {
    interop!(["baresip", "chromium", "node", "web", "dumpcap"], |net| {
        let scene = Scene::with(net, Config::with_ipv6);
        let settings = Settings::new("bob", 5072, PHONE_HZ, &scene.certificates)
            .registered(scene.config.sip_v6(), "secret-bob");
        let mut phone = scene.phone(Model::Baresip, &settings);
        let mut page = scene.page("alice");
        let capture = Capture::start(net);
        page.call("bob");
        page.wait_state("in-call");
        phone.wait_established();
        page.assert_hears(PHONE_HZ);
        page.hang_up();
        phone.wait_ended();
        scene.gateway.assert_nothing_left();
        assert_heard(&phone.stop(), Demand::tone(PAGE_HZ, 3.0));
        sleep(Duration::from_millis(300));
        let wire = capture.stop();
        let streams = wire.streams_at(settings.rtp_ports());
        let is_v6 = |stream: &&gateway_tests::wire::Stream| stream.source.is_ipv6();
        assert!(streams.iter().filter(is_v6).count() >= 2, "media did not go over IPv6");
    });
}
