//! A contact's addresses are one conversation, at Profon and on the wire, with a real phone behind a
//! real PBX answering.

use gateway_tests::baresip::Baresip;
use gateway_tests::certificates::Certificates;
use gateway_tests::interop;
use gateway_tests::kamailio::Kamailio;
use gateway_tests::phone::{Phone, Settings};
use serde_json::json;

use crate::procom_messages::Client;
use crate::scene::{PHONE_HZ, STEP, Scene, wait_until};
use crate::sip_messages::TRUNK;

const DORA: &str = "BEGIN:VCARD\nVERSION:4.0\nFN:Dora\nIMPP;PREF=1:xmpp:dora@example.org\n\
    TEL;VALUE=uri;PREF=2:tel:+45-32-12-34-56\nIMPP;PREF=3:sip:dora@127.0.0.1:5060\nEND:VCARD\n";

#[test]
fn a_contact_by_name_by_address_and_in_its_answers_is_one_conversation() {
    interop!(["kamailio", "baresip", "chromium", "node", "web"], |net| {
        let certificates = Certificates::make(net);
        let kamailio = Kamailio::start(net, &certificates);
        let file = net.path("contacts.vcf");
        std::fs::write(&file, DORA).expect("contacts");
        let dialplan = format!("{TRUNK}\n[dialplan]\ncontacts = \"{}\"\n", file.display());
        let scene = Scene::with(net, |config| config.tables(&dialplan));
        wait_until("the gateway is registered", STEP, || {
            scene.gateway.metrics().sum_where("link_up", "sip.pbx") == 1.0
        });
        let settings = Settings::new("dora", 5074, PHONE_HZ, &certificates)
            .registered(kamailio.address(), &Kamailio::password("dora"))
            .writes_to(&format!("sip:gateway@{}", kamailio.address()));
        let mut dora = Baresip::start(net, &settings);
        dora.wait_registered();
        let mut alice = Client::sign_in(&scene, "alice");
        let mut page = scene.page("alice");
        alice.write("by name", "Dora", "to the name");
        let conversation = alice.take_status("by name", "queued")["conversation"].clone();
        assert!(conversation.is_string());
        dora.wait_shown("to the name");
        alice.write("by address", "sip:dora@127.0.0.1:5060", "to the address");
        let queued = alice.take_status("by address", "queued");
        assert_eq!(queued["conversation"], conversation);
        dora.wait_shown("to the address");
        dora.write("an answer");
        let answer = alice.take_message();
        assert_eq!(
            (&answer["body"], &answer["conversation"], &answer["verified"]),
            (&json!("an answer"), &conversation, &json!(false))
        );
        // The page of the same person was shown all of it, in one conversation.
        page.wait_said("an answer", "read");
        let said =
            "[...document.querySelectorAll('#talk-list .said')].map((one) => one.lastChild.data)";
        assert_eq!(
            page.browser.evaluate(said),
            json!(["to the name", "to the address", "an answer"])
        );
        assert_eq!(
            page.browser.evaluate("document.querySelectorAll('#talk-peers button').length"),
            0
        );
        page.browser.screenshot("one-conversation");
        // Written there without an address, it goes to where the last answer came from.
        page.write("", "an answer back");
        dora.wait_shown("an answer back");
        let copy = alice.take("message");
        assert_eq!((&copy["to"], &copy["conversation"]), (&answer["from"], &conversation));
        // A stranger is another conversation.
        alice.write("other", "procom:alice", "note");
        assert_ne!(alice.take_status("other", "queued")["conversation"], conversation);
        page.assert_frames_valid();
        assert_eq!(page.browser.problems(), Vec::<String>::new());
    });
}
