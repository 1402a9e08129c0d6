//! Attacks on messages by SIP: strangers, borrowed names, forged notifications, bodies that burst,
//! messages that go in circles.

use std::time::Duration;

use gateway_tests::certificates::Certificates;
use gateway_tests::config::Account;
use gateway_tests::interop;
use gateway_tests::kamailio::Kamailio;
use gateway_tests::sip_caller::authorize;
use gateway_tests::sip_client::{SipClient, status};
use gateway_tests::sip_messenger::{Seen, SipMessenger};

use crate::procom_messages::Client;
use crate::scene::{PASSWORD, STEP, Scene, phone_account, wait_until};
use crate::sip_messages::TRUNK;

const ANSWER: Duration = Duration::from_secs(3);
/// How long nothing may come before it is believed that nothing will.
const QUIET: Duration = Duration::from_secs(2);

/// A MESSAGE made by hand.
struct Letter<'a> {
    hops: u8,
    from: &'a str,
    to: &'a str,
    lines: &'a str,
    body: &'a str,
}

impl Letter<'_> {
    fn render(&self, client: &SipClient, number: u32, authorization: &str) -> String {
        let (local, Self { hops, from, to, lines, body }) = (client.local(), self);
        format!(
            "MESSAGE {to} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKl{number}{};rport\r\n\
             Max-Forwards: {hops}\r\nFrom: <{from}>;tag=h\r\nTo: <{to}>\r\n\
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
        let letter = Letter { hops: 70, from, to: &to, lines: TEXT, body: "from a stranger" };
        assert_eq!(letter.send(&scene), Some(401));
        assert_eq!(letter.prove(&scene, "bob", "wrong"), Some(403));
        assert_eq!(letter.prove(&scene, "nobody", "wrong"), Some(403));
        // Carl says he is bob: what he has proven is what is shown.
        let borrowed = Letter { hops: 70, from, to: &to, lines: TEXT, body: "from carl" };
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
        let forged = Letter { hops: 70, from: "sip:bob@127.0.0.1", to: &to, lines, body: &body };
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
            let letter = Letter { hops: 70, from, to: &to, lines: &lines, body };
            assert_eq!(letter.prove(&scene, "bob", "secret-bob"), Some(code), "{kind}");
        }
        scene.gateway.assert_alive();
    });
}

/// What a status says that comes at last.
fn failed(alice: &mut Client, id: &str) -> String {
    loop {
        let status = alice.take("status");
        if status["id"] == id && status["status"] == "failed" {
            return status["reason"].as_str().unwrap_or_default().to_owned();
        }
    }
}

#[test]
fn what_a_proxy_sends_back_to_us_has_gone_in_a_circle() {
    interop!(["kamailio"], |net| {
        let certificates = Certificates::make(net);
        let kamailio = Kamailio::start(net, &certificates);
        let scene = Scene::with(net, |config| config.tables(TRUNK));
        wait_until("the gateway is registered", STEP, || {
            scene.gateway.metrics().sum_where("link_up", "sip.pbx") == 1.0
        });
        let mut alice = Client::sign_in(&scene, "alice");
        // Kamailio knows where this user is: with us.
        alice.write("m1", &format!("sip:gateway@{}", kamailio.address()), "round and round");
        let why = failed(&mut alice, "m1");
        assert_eq!(why, "The message went in a circle: Loop Detected (482).");
    });
}

#[test]
fn a_message_whose_hops_are_spent_at_a_proxy_has_failed_and_its_sender_is_told() {
    interop!(["kamailio"], |net| {
        let certificates = Certificates::make(net);
        let kamailio = Kamailio::start(net, &certificates);
        let to = format!("sip:dora@{}", kamailio.address());
        let scene = Scene::with(net, |config| {
            let config = config.set("sip", "imdn = [\"bob\"]").tables(TRUNK);
            config.tables(
                "[[route]]\nfrom = \"bob\"\nmatch = \"sip:*@127.0.0.1:5060\"\ntrunk = \"sip.pbx\"\n",
            )
        });
        wait_until("the gateway is registered", STEP, || {
            scene.gateway.metrics().sum_where("link_up", "sip.pbx") == 1.0
        });
        let bob = SipMessenger::start(scene.config.sip(), "bob", "secret-bob");
        wait_until("bob is registered", STEP, || bob.seen().contains(&Seen::Registered));
        let body = "From: <sip:bob@127.0.0.1>\r\nTo: <sip:dora@127.0.0.1>\r\n\
                    NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: spent\r\n\
                    imdn.Disposition-Notification: negative-delivery\r\n\r\n\
                    Content-Type: text/plain\r\n\r\nround and round";
        let lines = "Content-Type: message/cpim\r\n";
        let letter = |hops| {
            let letter = Letter { hops, from: "sip:bob@127.0.0.1", to: &to, lines, body };
            letter.prove(&scene, "bob", "secret-bob")
        };
        assert_eq!(letter(0), None, "483 comes before the challenge");
        assert_eq!(letter(1), Some(202));
        // It left us with none, so that Kamailio passes it to nobody.
        let mut told = Vec::new();
        wait_until("bob is told", STEP, || {
            told.extend(bob.seen());
            told.iter().any(|seen| match seen {
                Seen::Message { body, .. } => {
                    body.contains("<message-id>spent</message-id>") && body.contains("<failed/>")
                }
                Seen::Accepted(_) | Seen::Refused(..) | Seen::Registered => false,
            })
        });
        // Who writes by the page is told why.
        let mut alice = Client::sign_in(&scene, "alice");
        alice.write("m1", &format!("sip:483@{}", kamailio.address()), "round and round");
        assert_eq!(failed(&mut alice, "m1"), "The message went in a circle: Too Many Hops (483).");
    });
}

/// Limits that the circle does not meet before its hops are spent.
const LIMITS: &str = "[messages]\nper_minute = 6000\nat_once = 500\n";

#[test]
fn what_phones_forward_to_each_other_ends_when_its_hops_are_spent() {
    interop!([], |net| {
        let scene = Scene::with(net, |config| config.account(phone_account("carl")).tables(LIMITS));
        let forward = |from: &str, to: &str| {
            SipMessenger::forward(scene.config.sip(), from, &format!("secret-{from}"), to)
        };
        let phones = [forward("bob", "carl"), forward("carl", "bob")];
        for phone in &phones {
            wait_until("it is registered", STEP, || phone.seen().contains(&Seen::Registered));
        }
        let mut alice = Client::sign_in(&scene, "alice");
        alice.write("m1", "procom:bob", "round and round");
        alice.take_status("m1", "sent");
        let (mut passes, mut refused) = (0, Vec::new());
        let mut count = || {
            for seen in phones.iter().flat_map(SipMessenger::seen) {
                match seen {
                    Seen::Message { .. } => passes += 1,
                    Seen::Refused(_, code) => refused.push(code),
                    Seen::Accepted(_) | Seen::Registered => {}
                }
            }
            (passes, refused.clone())
        };
        wait_until("its hops are spent", 2 * STEP, || !count().1.is_empty());
        // Nothing goes round any more.
        std::thread::sleep(QUIET);
        assert_eq!(count(), (71, vec![483]), "with Max-Forwards from 70 to 0");
    });
}
