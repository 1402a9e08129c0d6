//! The same calls through Kamailio as the PBX: phones register there, and so does the gateway, as
//! a trunk over TLS with digest.

use std::time::Duration;

use gateway_tests::audio::{Demand, assert_heard};
use gateway_tests::baresip::Baresip;
use gateway_tests::interop;
use gateway_tests::kamailio::Kamailio;
use gateway_tests::linphone::Linphone;
use gateway_tests::namespace::Net;
use gateway_tests::phone::{Phone, Protection, Settings, Transport};
use gateway_tests::pjsua::Pjsua;

use crate::scene::{Model, PAGE_HZ, PHONE_HZ, STEP, Scene, wait_until};

/// The gateway's own user at the PBX.
const TRUNK: &str = "
[[sip.trunk]]
name = \"pbx\"
server = \"sip:127.0.0.1:5061;transport=tls\"
user = \"gateway\"
password = \"secret-gateway\"
register = true
names = true
protection = [\"sdes\", \"clear\"]

[[route]]
from = \"alice\"
match = \"sip:*@127.0.0.1:5060\"
trunk = \"sip.pbx\"

[[inbound]]
trunk = \"sip.pbx\"
number = \"gateway\"
account = \"alice\"
";

/// Starts the PBX, a gateway registered there, and a phone registered there.
fn set_up<'a>(
    net: &'a Net,
    model: Model,
    transport: Transport,
    protection: Protection,
) -> (Kamailio, Scene<'a>, Box<dyn Phone>) {
    let certificates = gateway_tests::certificates::Certificates::make(net);
    let kamailio = Kamailio::start(net, &certificates);
    let scene = Scene::with(net, |config| config.tables(TRUNK));
    wait_until("the gateway is registered", STEP, || {
        scene.gateway.metrics().sum_where("link_up", "sip.pbx") == 1.0
    });
    let port = if transport == Transport::Tls { Kamailio::TLS_PORT } else { Kamailio::PORT };
    let settings = Settings::new("dora", 5072, PHONE_HZ, &scene.certificates)
        .over(transport)
        .with(protection)
        .registered(([127, 0, 0, 1], port).into(), &Kamailio::password("dora"));
    let mut phone: Box<dyn Phone> = match model {
        Model::Baresip => Box::new(Baresip::start(net, &settings)),
        Model::Linphone => Box::new(Linphone::start(net, &settings)),
        Model::Pjsua => Box::new(Pjsua::start(net, &settings)),
    };
    phone.wait_registered();
    (kamailio, scene, phone)
}

fn both_ways(net: &Net, model: Model, transport: Transport, protection: Protection) {
    let (_kamailio, scene, mut phone) = set_up(net, model, transport, protection);
    let mut page = scene.page("alice");
    page.call("sip:dora@127.0.0.1:5060");
    page.wait_state("in-call");
    phone.wait_established();
    page.assert_hears(PHONE_HZ);
    page.hang_up();
    phone.wait_ended();
    scene.gateway.assert_nothing_left();
    let port = if transport == Transport::Tls { Kamailio::TLS_PORT } else { Kamailio::PORT };
    // baresip adds its own transport to what it dials, and Kamailio minds the second one.
    let parameter = if transport == Transport::Udp || model == Model::Baresip {
        String::new()
    } else {
        format!(";transport={}", transport.parameter())
    };
    phone.call(&format!("sip:gateway@127.0.0.1:{port}{parameter}"));
    page.answer();
    page.wait_state("in-call");
    page.assert_hears(PHONE_HZ);
    phone.hang_up();
    assert_eq!(page.cause(Duration::from_secs(5)), "normal");
    scene.gateway.assert_nothing_left();
    page.assert_frames_valid();
    assert_heard(&phone.stop(), Demand::tone(PAGE_HZ, 3.0).with_gaps(0.5));
}

#[test]
fn the_page_and_baresip_talk_through_the_pbx_over_udp() {
    interop!(["kamailio", "baresip", "chromium", "node", "web"], |net| {
        both_ways(net, Model::Baresip, Transport::Udp, Protection::Clear);
    });
}

#[test]
fn the_page_and_baresip_talk_through_the_pbx_over_tcp() {
    interop!(["kamailio", "baresip", "chromium", "node", "web"], |net| {
        both_ways(net, Model::Baresip, Transport::Tcp, Protection::Sdes);
    });
}

#[test]
fn the_page_and_linphone_talk_through_the_pbx() {
    interop!(["kamailio", "linphonec", "chromium", "node", "web"], |net| {
        both_ways(net, Model::Linphone, Transport::Udp, Protection::Sdes);
    });
}

#[test]
fn the_page_and_pjsua_talk_through_the_pbx_over_tls() {
    interop!(["kamailio", "python:pjsua2", "chromium", "node", "web"], |net| {
        both_ways(net, Model::Pjsua, Transport::Tls, Protection::Sdes);
    });
}

#[test]
fn what_the_pbx_answers_becomes_the_cause() {
    interop!(["kamailio", "baresip", "chromium", "node", "web"], |net| {
        let (_kamailio, scene, _phone) =
            set_up(net, Model::Baresip, Transport::Udp, Protection::Clear);
        let mut page = scene.page("alice");
        for (code, cause) in [
            ("404", "not-found"),
            ("480", "unreachable"),
            ("486", "busy"),
            ("603", "declined"),
            ("488", "not-acceptable"),
        ] {
            page.call(&format!("sip:{code}@127.0.0.1:5060"));
            let is_it = |frame: &serde_json::Value| frame["cause"] == cause;
            page.browser.wait_frame("end", STEP, is_it);
        }
        scene.gateway.assert_nothing_left();
    });
}
