//! Attacks on messages by SIP: strangers, borrowed names, forged notifications, bodies that burst.

use std::time::Duration;

use gateway_tests::config::Account;
use gateway_tests::interop;
use gateway_tests::sip_caller::authorize;
use gateway_tests::sip_client::{SipClient, status};
use gateway_tests::sip_messenger::{Seen, SipMessenger};

use crate::procom_messages::Client;
use crate::scene::{PASSWORD, STEP, Scene, phone_account, wait_until};

const ANSWER: Duration = Duration::from_secs(3);
/// How long nothing may come before it is believed that nothing will.
const QUIET: Duration = Duration::from_secs(2);

/// A MESSAGE made by hand.
struct Letter<'a> {
    from: &'a str,
    to: &'a str,
    lines: &'a str,
    body: &'a str,
}

impl Letter<'_> {
    fn render(&self, client: &SipClient, number: u32, authorization: &str) -> String {
        let (local, Self { from, to, lines, body }) = (client.local(), self);
        format!(
            "MESSAGE {to} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKl{number}{};rport\r\n\
             Max-Forwards: 70\r\nFrom: <{from}>;tag=h\r\nTo: <{to}>\r\n\
             Call-ID: letter-{}\r\nCSeq: {number} MESSAGE\r\n{authorization}{lines}\
             Content-Length: {}\r\n\r\n{body}",
            local.port(),
            local.port(),
            body.len(),
        )
    }

    /// Sends it without a password; the code.
    fn send(&self, scene: &Scene<'_>) -> Option<u16> {
        let mut client = SipClient::udp(scene.config.sip());
        let request = self.render(&client, 1, "");
        client.ask(&request, ANSWER)
    }

    /// Sends it with a password; the code.
    fn prove(&self, scene: &Scene<'_>, user: &str, password: &str) -> Option<u16> {
        let mut client = SipClient::udp(scene.config.sip());
        let first = self.render(&client, 1, "");
        client.send(first.as_bytes()).expect("loopback takes datagrams");
        let challenge = String::from_utf8_lossy(&client.receive(ANSWER)).into_owned();
        let authorization = authorize(&challenge, user, password, "MESSAGE", self.to)?;
        let second = self.render(&client, 2, &authorization);
        client.send(second.as_bytes()).expect("loopback takes datagrams");
        status(&client.receive(ANSWER))
    }
}

const TEXT: &str = "Content-Type: text/plain\r\n";

fn scene(net: &gateway_tests::namespace::Net) -> Scene<'_> {
    Scene::with(net, |config| {
        let carol = Account { name: "carol", password: PASSWORD, sip: None };
        config.account(carol).account(phone_account("carl"))
    })
}

#[test]
fn nobody_writes_without_a_password_or_under_another_name() {
    interop!([], |net| {
        let scene = scene(net);
        let mut alice = Client::sign_in(&scene, "alice");
        let to = scene.uri("alice", gateway_tests::phone::Transport::Udp);
        let from = "sip:bob@127.0.0.1";
        let letter = Letter { from, to: &to, lines: TEXT, body: "from a stranger" };
        assert_eq!(letter.send(&scene), Some(401));
        assert_eq!(letter.prove(&scene, "bob", "wrong"), Some(403));
        assert_eq!(letter.prove(&scene, "nobody", "wrong"), Some(403));
        // Carl says he is bob: what he has proven is what is shown.
        let borrowed = Letter { from, to: &to, lines: TEXT, body: "from carl" };
        let code = borrowed.prove(&scene, "carl", "secret-carl");
        assert!(matches!(code, Some(200 | 202)), "{code:?}");
        let message = alice.take_message();
        assert_eq!(message["body"], "from carl");
        assert!(message["from"].as_str().is_some_and(|from| from.contains("carl")), "{message}");
        assert_eq!(alice.receive(QUIET).filter(|frame| frame["type"] == "message"), None);
    });
}

#[test]
fn nobody_but_the_recipient_tells_that_a_message_was_read() {
    interop!([], |net| {
        let scene = scene(net);
        let mut alice = Client::sign_in(&scene, "alice");
        let bob = SipMessenger::start(scene.config.sip(), "bob", "secret-bob");
        wait_until("bob is registered", STEP, || bob.seen().contains(&Seen::Registered));
        alice.write("m1", "procom:bob", "for bob");
        let delivered = alice.take_status("m1", "delivered");
        let id = delivered["message"].as_str().expect("the gateway's id").to_owned();
        let body = format!(
            "<?xml version=\"1.0\"?><imdn xmlns=\"urn:ietf:params:xml:ns:imdn\"><message-id>{id}</message-id>\
             <datetime>2026-11-22T16:05:06Z</datetime><display-notification><status><displayed/>\
             </status></display-notification></imdn>"
        );
        let to = scene.uri("alice", gateway_tests::phone::Transport::Udp);
        let lines = "Content-Type: message/imdn+xml\r\n";
        let forged = Letter { from: "sip:bob@127.0.0.1", to: &to, lines, body: &body };
        assert_eq!(forged.send(&scene), Some(401));
        let _ = forged.prove(&scene, "carl", "secret-carl");
        while let Some(frame) = alice.receive(QUIET) {
            assert_ne!(frame["status"], "read", "{frame}");
        }
        assert_eq!(forged.prove(&scene, "bob", "secret-bob"), Some(200));
        alice.take_status("m1", "read");
    });
}

#[test]
fn bodies_that_burst_or_nest_hurt_nobody() {
    interop!([], |net| {
        let mut scene = scene(net);
        let to = scene.uri("alice", gateway_tests::phone::Transport::Udp);
        let from = "sip:bob@127.0.0.1";
        let deep = format!("<imdn>{}</imdn>", "<a>".repeat(8_000));
        let laughs = "<!DOCTYPE l [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]>\
                      <imdn><message-id>&b;</message-id></imdn>";
        let long = "x".repeat(33_000);
        for (kind, body, code) in [
            ("message/imdn+xml", deep.as_str(), 400),
            ("message/imdn+xml", laughs, 400),
            ("application/im-iscomposing+xml", deep.as_str(), 400),
            ("message/cpim", "From: x\r\n\r\n", 400),
            ("multipart/mixed;boundary=a", "--a\r\n\r\n--a--", 415),
            ("text/html", "<p>", 415),
            ("text/plain;charset=utf-16", "x", 415),
            ("text/plain", "", 400),
            ("text/plain", long.as_str(), 413),
        ] {
            let lines = format!("Content-Type: {kind}\r\n");
            let letter = Letter { from, to: &to, lines: &lines, body };
            assert_eq!(letter.prove(&scene, "bob", "secret-bob"), Some(code), "{kind}");
        }
        scene.gateway.assert_alive();
    });
}
