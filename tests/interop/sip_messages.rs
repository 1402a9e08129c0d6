//! Messages between a Procom client and SIP phones: baresip, linphone and pjsua2, registered here or
//! at Kamailio, both ways, with what phones tell of them.

use std::thread::sleep;
use std::time::Duration;

use gateway_tests::baresip::Baresip;
use gateway_tests::certificates::Certificates;
use gateway_tests::interop;
use gateway_tests::kamailio::Kamailio;
use gateway_tests::linphone::Linphone;
use gateway_tests::namespace::Net;
use gateway_tests::phone::{Phone, Settings, Transport};
use gateway_tests::pjsua::Pjsua;
use serde_json::json;

use crate::procom_messages::Client;
use crate::scene::{Model, PHONE_HZ, STEP, Scene, phone_account, wait_until};

/// Plain, right-to-left, joined emoji, and what is not in the first plane.
const TEXTS: [&str; 5] = [
    "hello there",
    "x",
    "שלום, עולם!",
    "مرحبا \u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467} & <b>bold?</b>",
    "Grüße, 日本語 𝔘",
];

fn start(net: &Net, model: Model, settings: &Settings) -> Box<dyn Phone> {
    let mut phone: Box<dyn Phone> = match model {
        Model::Baresip => Box::new(Baresip::start(net, settings)),
        Model::Linphone => Box::new(Linphone::start(net, settings)),
        Model::Pjsua => Box::new(Pjsua::start(net, settings)),
    };
    phone.wait_registered();
    phone
}

/// Alice on the page's protocol and bob on a phone registered here.
fn both_ways(net: &Net, model: Model, transport: Transport) {
    let scene = Scene::new(net);
    let settings =
        scene.settings("bob", 5072, transport).writes_to(&scene.uri("alice", Transport::Udp));
    let mut phone = start(net, model, &settings);
    let mut alice = Client::sign_in(&scene, "alice");
    for (at, text) in TEXTS.into_iter().enumerate() {
        let id = format!("m{at}");
        alice.write(&id, "procom:bob", text);
        alice.take_status(&id, "queued");
        phone.wait_shown(text);
        // The phone itself has answered.
        alice.take_status(&id, "delivered");
        let answer = format!("{text} back");
        phone.write(&answer);
        let message = alice.take_message();
        assert_eq!(message["body"], answer);
        assert_eq!(message["content"], "text/plain");
        assert_eq!(message["verified"], true, "{message}");
    }
    sleep(Duration::from_secs(2));
    for text in TEXTS {
        assert_eq!(phone.shown(text), 1, "{text}");
    }
}

/// The gateway's own user at the PBX.
pub(crate) const TRUNK: &str = "
[[sip.trunk]]
name = \"pbx\"
server = \"sip:127.0.0.1:5061;transport=tls\"
user = \"gateway\"
password = \"secret-gateway\"
register = true
names = true

[[route]]
from = \"alice\"
match = \"sip:*@127.0.0.1:5060\"
trunk = \"sip.pbx\"

[[inbound]]
trunk = \"sip.pbx\"
number = \"gateway\"
account = \"alice\"
";

/// Alice on the page's protocol and dora on a phone registered at the PBX, by a trunk over TLS that
/// wants our password for every message.
fn through_the_pbx(net: &Net, model: Model, tells: bool) {
    let certificates = Certificates::make(net);
    let kamailio = Kamailio::start(net, &certificates);
    let scene = Scene::with(net, |config| config.tables(TRUNK));
    wait_until("the gateway is registered", STEP, || {
        scene.gateway.metrics().sum_where("link_up", "sip.pbx") == 1.0
    });
    let settings = Settings::new("dora", 5074, PHONE_HZ, &certificates)
        .registered(kamailio.address(), &Kamailio::password("dora"))
        .writes_to(&format!("sip:gateway@{}", kamailio.address()));
    let mut phone = start(net, model, &settings);
    let mut alice = Client::sign_in(&scene, "alice");
    for (at, text) in TEXTS.into_iter().enumerate() {
        let id = format!("m{at}");
        alice.write(&id, "sip:dora@127.0.0.1:5060", text);
        alice.take_status(&id, "queued");
        phone.wait_shown(text);
        // What the phone tells may overtake what the PBX answers.
        alice.take_status(&id, if tells { "delivered" } else { "sent" });
        let answer = format!("{text} back");
        phone.write(&answer);
        let message = alice.take_message();
        assert_eq!((&message["body"], &message["verified"]), (&json!(answer), &json!(false)));
    }
}

#[test]
fn baresip_writes_and_is_written_to_over_udp() {
    interop!(["baresip"], |net| {
        both_ways(net, Model::Baresip, Transport::Udp);
    });
}

#[test]
fn baresip_writes_and_is_written_to_over_tls() {
    interop!(["baresip"], |net| {
        both_ways(net, Model::Baresip, Transport::Tls);
    });
}

#[test]
fn linphone_writes_and_is_written_to_over_udp() {
    interop!(["linphonec"], |net| {
        both_ways(net, Model::Linphone, Transport::Udp);
    });
}

#[test]
fn linphone_writes_and_is_written_to_over_tcp() {
    interop!(["linphonec"], |net| {
        both_ways(net, Model::Linphone, Transport::Tcp);
    });
}

#[test]
fn pjsua_writes_and_is_written_to_over_udp() {
    interop!(["python:pjsua2"], |net| {
        both_ways(net, Model::Pjsua, Transport::Udp);
    });
}

#[test]
fn pjsua_writes_and_is_written_to_over_tls() {
    interop!(["python:pjsua2"], |net| {
        both_ways(net, Model::Pjsua, Transport::Tls);
    });
}

#[test]
fn baresip_at_the_pbx_writes_and_is_written_to() {
    interop!(["kamailio", "baresip"], |net| {
        through_the_pbx(net, Model::Baresip, false);
    });
}

#[test]
fn linphone_at_the_pbx_writes_is_written_to_and_tells_what_has_arrived() {
    interop!(["kamailio", "linphonec"], |net| {
        through_the_pbx(net, Model::Linphone, true);
    });
}

#[test]
fn pjsua_at_the_pbx_writes_and_is_written_to() {
    interop!(["kamailio", "python:pjsua2"], |net| {
        through_the_pbx(net, Model::Pjsua, false);
    });
}

#[test]
fn a_phone_of_datagrams_takes_what_fits_and_more_is_refused_with_the_limit() {
    interop!(["linphonec"], |net| {
        let trunk = "[[sip.trunk]]\nname = \"peer\"\n\
                     server = \"sip:127.0.0.1:5074;transport=udp\"\n\
                     user = \"gateway\"\npassword = \"none\"\nregister = false\n\
                     [[route]]\nfrom = \"alice\"\nmatch = \"sip:*@127.0.0.1:5074\"\n\
                     trunk = \"sip.peer\"\n";
        let scene = Scene::with(net, |config| config.tables(trunk));
        // It has no TCP, unlike baresip and pjsua2, which take long messages by it.
        let settings = Settings::new("dora", 5074, PHONE_HZ, &scene.certificates);
        let mut phone = Linphone::start(net, &settings);
        let mut alice = Client::sign_in(&scene, "alice");
        let fits = "y".repeat(800);
        alice.write("fits", &settings.direct(), &fits);
        phone.wait_shown(&fits);
        alice.take_status("fits", "sent");
        alice.write("long", &settings.direct(), &"z".repeat(4_000));
        let failed = loop {
            let status = alice.take("status");
            if status["id"] == "long" && status["status"] == "failed" {
                break status;
            }
        };
        let reason = failed["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("limit is ") && reason.contains(" bytes"), "{failed}");
        alice.write("empty", &settings.direct(), "");
        let empty = alice.take("status");
        assert_eq!((&empty["id"], &empty["status"]), (&json!("empty"), &json!("failed")));
    });
}

#[test]
fn a_long_message_reaches_a_phone_of_streams() {
    interop!(["baresip", "python:pjsua2"], |net| {
        let scene = Scene::with(net, |config| config.account(phone_account("carl")));
        let settings = scene.settings("carl", 5074, Transport::Tcp);
        let mut carl = scene.phone(Model::Pjsua, &settings);
        // It takes longer ones too, but prints only short ones.
        let _bob = scene.phone(Model::Baresip, &scene.settings("bob", 5072, Transport::Tcp));
        let mut alice = Client::sign_in(&scene, "alice");
        let long = "Grüße ".repeat(300);
        alice.write("long", "procom:carl", long.trim());
        alice.take_status("long", "delivered");
        carl.wait_shown(long.trim());
        alice.write("longest", "procom:bob", &"ö".repeat(16 * 1024));
        alice.take_status("longest", "delivered");
    });
}

#[test]
fn typing_passes_both_ways_where_the_phone_has_it() {
    interop!(["python:pjsua2"], |net| {
        let scene = Scene::new(net);
        let mut phone = Pjsua::start(net, &scene.settings("bob", 5072, Transport::Udp));
        phone.wait_registered();
        let mut alice = Client::sign_in(&scene, "alice");
        let uri = scene.uri("alice", Transport::Udp);
        for (state, is_on) in [("on", true), ("off", false)] {
            phone.process().send(&format!("typing {uri} {state}"));
            assert_eq!(alice.take("composing")["on"], is_on);
        }
        for is_on in [true, false] {
            alice.send(&json!({"type": "composing", "with": "procom:bob", "on": is_on}));
            assert_eq!(phone.wait("typing", STEP)["is_on"], is_on);
        }
    });
}

/// The phones alone: if this fails, no other result here counts.
#[test]
fn phones_write_to_each_other_through_kamailio() {
    interop!(["kamailio", "baresip", "linphonec", "python:pjsua2"], |net| {
        let certificates = Certificates::make(net);
        let kamailio = Kamailio::start(net, &certificates);
        let settings = |user: &str, port, to: &str| {
            Settings::new(user, port, PHONE_HZ, &certificates)
                .registered(kamailio.address(), &Kamailio::password(user))
                .writes_to(&format!("sip:{to}@{}", kamailio.address()))
        };
        let mut alice = start(net, Model::Baresip, &settings("alice", 5070, "bob"));
        let mut bob = start(net, Model::Linphone, &settings("bob", 5072, "carl"));
        let mut carl = start(net, Model::Pjsua, &settings("carl", 5074, "alice"));
        for text in TEXTS {
            alice.write(text);
            bob.wait_shown(text);
            bob.write(text);
            carl.wait_shown(text);
            carl.write(text);
            alice.wait_shown(text);
        }
    });
}

#[test]
fn linphone_hears_that_what_it_wrote_was_delivered_and_read() {
    interop!(["linphonec", "cc"], |net| {
        let scene = Scene::new(net);
        let settings = scene
            .settings("bob", 5072, Transport::Udp)
            .writes_to(&scene.uri("alice", Transport::Udp));
        let mut phone = Linphone::start_asking(net, &settings);
        phone.wait_registered();
        let mut alice = Client::sign_in(&scene, "alice");
        phone.write("is it there?");
        let message = alice.take_message();
        assert_eq!(message["body"], "is it there?");
        phone.wait_log("moving from .* to .*DeliveredToUser", STEP);
        alice.send(&json!({"type": "read", "id": message["id"]}));
        phone.wait_log("moving from .*DeliveredToUser.* to .*Displayed", STEP);
    });
}
