//! The harness proves itself without the gateway: if these fail, no other result counts.

use std::thread::sleep;
use std::time::Duration;

use gateway_tests::audio::{Demand, assert_heard, assert_sound};
use gateway_tests::baresip::Baresip;
use gateway_tests::browser::{Browser, Product};
use gateway_tests::capture::Capture;
use gateway_tests::certificates::Certificates;
use gateway_tests::impair::Impairment;
use gateway_tests::interop;
use gateway_tests::kamailio::Kamailio;
use gateway_tests::linphone::Linphone;
use gateway_tests::namespace::Net;
use gateway_tests::phone::{Phone, Protection, Settings, Transport};
use gateway_tests::pjsua::Pjsua;
use gateway_tests::wire::Secrecy;

const TALK: Duration = Duration::from_secs(5);

/// One calls the other, each hears the other's tone, and the wire shows what an eavesdropper got.
fn call(net: &Net, caller: &mut dyn Phone, callee: &mut dyn Phone, to: &str, secrecy: &[Secrecy]) {
    let capture = Capture::start(net);
    caller.call(to);
    caller.wait_established();
    callee.wait_established();
    sleep(TALK);
    caller.hang_up();
    callee.wait_ended();
    assert_heard(&callee.stop(), Demand::tone(440, 3.0));
    assert_heard(&caller.stop(), Demand::tone(660, 3.0));
    let streams = capture.stop().streams();
    assert!(streams.len() >= 2, "{} streams", streams.len());
    for stream in streams.iter().filter(|stream| stream.payloads.len() > 100) {
        let is_clear = matches!(stream.secrecy(), Secrecy::Clear(_));
        let must_be_clear = matches!(secrecy, [Secrecy::Clear(_)]);
        assert_eq!(is_clear, must_be_clear, "{:?}", stream.secrecy());
        assert!(stream.lost() <= 1, "{} of {}", stream.lost(), stream.payloads.len());
    }
}

fn two_phones(net: &Net, protection: Protection) -> (Settings, Settings) {
    let certificates = Certificates::make(net);
    let alice = Settings::new("alice", 5070, 440, &certificates).with(protection);
    let bob = Settings::new("bob", 5072, 660, &certificates).with(protection);
    (alice, bob)
}

#[test]
fn two_baresips_hear_each_other_in_clear() {
    interop!(["baresip", "dumpcap"], |net| {
        let (alice, bob) = two_phones(net, Protection::Clear);
        let mut callee = Baresip::start(net, &bob);
        let mut caller = Baresip::start(net, &alice);
        call(net, &mut caller, &mut callee, &bob.direct(), &[Secrecy::Clear(0.0)]);
    });
}

#[test]
fn linphone_and_baresip_hear_each_other_under_sdes() {
    interop!(["baresip", "linphonec", "dumpcap"], |net| {
        let (alice, bob) = two_phones(net, Protection::Sdes);
        let mut callee = Baresip::start(net, &bob);
        let mut caller = Linphone::start(net, &alice.rings());
        call(net, &mut caller, &mut callee, &bob.direct(), &[Secrecy::Sealed]);
    });
}

#[test]
fn pjsua_and_baresip_hear_each_other_over_tcp_under_sdes() {
    interop!(["baresip", "dumpcap", "python:pjsua2"], |net| {
        let (alice, bob) = two_phones(net, Protection::Sdes);
        let (alice, bob) = (alice.over(Transport::Tcp), bob.over(Transport::Tcp));
        let mut callee = Pjsua::start(net, &bob);
        let mut caller = Baresip::start(net, &alice);
        call(net, &mut caller, &mut callee, &bob.direct(), &[Secrecy::Sealed]);
    });
}

#[test]
fn phones_call_each_other_through_kamailio() {
    interop!(["baresip", "linphonec", "kamailio", "dumpcap"], |net| {
        let (alice, bob) = two_phones(net, Protection::Clear);
        let kamailio = Kamailio::start(net, &Certificates::make(net));
        let alice = alice.registered(kamailio.address(), "secret-alice");
        let bob = bob.registered(kamailio.address(), "secret-bob").over(Transport::Tcp);
        let mut callee = Linphone::start(net, &bob);
        let mut caller = Baresip::start(net, &alice);
        callee.wait_registered();
        caller.wait_registered();
        let to = alice.colleague("bob");
        call(net, &mut caller, &mut callee, &to, &[Secrecy::Clear(0.0)]);
    });
}

#[test]
fn pjsua_registers_at_kamailio_over_tls() {
    interop!(["kamailio", "python:pjsua2"], |net| {
        let certificates = Certificates::make(net);
        let _kamailio = Kamailio::start(net, &certificates);
        let registrar = ([127, 0, 0, 1], Kamailio::TLS_PORT).into();
        let carl = Settings::new("carl", 5074, 440, &certificates)
            .over(Transport::Tls)
            .registered(registrar, "secret-carl");
        Pjsua::start(net, &carl).wait_registered();
    });
}

#[test]
fn injected_loss_is_seen_on_the_far_side() {
    interop!(["baresip", "iptables-legacy", "dumpcap", "python:netfilterqueue"], |net| {
        let (alice, bob) = two_phones(net, Protection::Clear);
        let mut callee = Baresip::start(net, &bob);
        let mut caller = Baresip::start(net, &alice);
        let impairment = Impairment::start(net, bob.rtp_port()..=bob.rtp_port() + 19, 0.1, 5);
        caller.call(&bob.direct());
        callee.wait_established();
        sleep(TALK);
        let done = impairment.stop();
        let (seen, lost) = (done["seen"].as_f64().unwrap(), done["lost"].as_f64().unwrap());
        assert!(seen > 200.0 && (0.03..0.2).contains(&(lost / seen)), "{done}");
        callee.stop();
    });
}

/// Two peers in one page: the microphone's tone comes back as a remote track.
const LOOP: &str = "(async () => {
    const microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
    const [one, two] = [new RTCPeerConnection(), new RTCPeerConnection()];
    globalThis.kept = [one, two];
    const gathered = (peer) => new Promise((done) => {
        peer.onicecandidate = (event) => event.candidate || done();
    });
    microphone.getTracks().forEach((track) => one.addTrack(track, microphone));
    await Promise.all([gathered(one), one.setLocalDescription()]);
    await two.setRemoteDescription(one.localDescription);
    await Promise.all([gathered(two), two.setLocalDescription()]);
    await one.setRemoteDescription(two.localDescription);
})()";

fn a_page_hears_its_own_microphone(net: &Net, product: Product) {
    let page = net.write("page/index.html", "<title>page</title><main><h1>page</h1></main>");
    let folder = page.parent().expect("a file lies in a folder");
    let mut server = gateway_tests::namespace::command("python3");
    server.args(["-m", "http.server", "8000", "--bind", "127.0.0.1"]).current_dir(folder);
    let mut server =
        gateway_tests::process::Process::start(net, "http", server.env("PYTHONUNBUFFERED", "1"));
    server.expect("Serving HTTP", Duration::from_secs(10));
    let mut browser = Browser::start(net, "browser", product, 440);
    browser.goto("http://127.0.0.1:8000/");
    assert_eq!(browser.text("h1").as_deref(), Some("page"));
    browser.evaluate(LOOP);
    sleep(Duration::from_secs(2));
    browser.listen();
    sleep(Duration::from_secs(3));
    assert_sound(&browser.heard(), "the page", Demand::tone(440, 2.5));
    // Only Chromium's sound graph runs without a sound card.
    assert_eq!(browser.first_heard_ms(440).is_some(), product == Product::Chromium);
    assert!(browser.first_heard_ms(660).is_none());
    assert!(browser.screenshot("page").is_file());
    let serious = browser.axe();
    assert!(serious.iter().any(|found| found["id"] == "html-has-lang"), "{serious:?}");
}

#[test]
fn chromium_hears_a_tone_in_a_page() {
    interop!(["chromium", "node", "web"], |net| {
        a_page_hears_its_own_microphone(net, Product::Chromium);
    });
}

#[test]
fn firefox_hears_a_tone_in_a_page() {
    interop!(["firefox-esr", "node", "web"], |net| {
        a_page_hears_its_own_microphone(net, Product::Firefox);
    });
}
