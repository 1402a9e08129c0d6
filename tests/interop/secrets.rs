//! Row 25 of the threat list: after calls of every kind, no log of the gateway holds a password, a
//! key, a token or a whole number, however much it logs.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use gateway_tests::interop;
use gateway_tests::phone::{Protection, Transport};
use regex::Regex;

use crate::scene::{Model, PASSWORD, Scene};

const NUMBER: &str = "+4512345678";

#[test]
fn no_log_holds_a_secret_or_a_whole_number() {
    interop!(["baresip", "chromium", "node", "web"], |net| {
        let scene = Scene::with(net, |config| config);
        let settings = scene.settings("bob", 5072, Transport::Udp).with(Protection::Sdes);
        let mut phone = scene.phone(Model::Baresip, &settings);
        let mut page = scene.page("alice");
        page.call("bob");
        page.wait_state("in-call");
        sleep(Duration::from_secs(2));
        phone.send_digits("7351");
        page.hang_up();
        phone.wait_ended();
        page.call(NUMBER);
        page.wait_state("ended");
        let welcome = page.wait_frame("welcome");
        scene.gateway.assert_nothing_left();
        let crypto = Regex::new(r"inline:([A-Za-z0-9+/]{40,})").expect("a pattern of ours");
        let said = phone.process().output().to_owned();
        let mut secrets: Vec<String> =
            crypto.captures_iter(&said).map(|found| found[1].to_owned()).collect();
        assert!(secrets.len() >= 2, "the phone shows the keys of both sides");
        let nonce = Regex::new(r#"response="([0-9a-f]{32,})""#).expect("a pattern of ours");
        secrets.extend(nonce.captures_iter(&said).map(|found| found[1].to_owned()));
        secrets
            .extend(["resume"].iter().filter_map(|key| welcome[*key].as_str()).map(String::from));
        secrets.extend([PASSWORD, "secret-bob", NUMBER, "12345678"].map(String::from));
        secrets.push(scene.config.admin_token().to_owned());
        let log = fs::read_to_string(net.path("gateway.log")).expect("the gateway has a log");
        assert!(log.len() > 500, "the gateway logs something");
        for secret in &secrets {
            assert!(!log.contains(secret.as_str()), "the log holds {secret}");
        }
        assert!(!log.contains("a=crypto"), "the log holds SDP");
    });
}
