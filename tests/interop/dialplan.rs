//! The dialplan with real programs: Knot answers ENUM and SRV, baresip calls a number, and it rings
//! where `explain` says.

#![expect(clippy::disallowed_methods, reason = "how long a call takes is tested")]

use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};

use gateway_tests::baresip::Baresip;
use gateway_tests::gateway::binary;
use gateway_tests::interop;
use gateway_tests::knot::Knot;
use gateway_tests::metrics::get;
use gateway_tests::namespace::{Net, command};
use gateway_tests::phone::{Phone, Settings};
use gateway_tests::ws_client::{Schema, WsClient};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::scene::{PASSWORD, PHONE_HZ, STEP, Scene, wait_until};

/// What is dialled.
const NUMBER: &str = "+4532123456";
/// Where nobody answers.
const DEAD: u16 = 5998;
/// Where the phone of that number is.
const DORA: u16 = 5074;
/// Where the provider is.
const PROVIDER: u16 = 5076;
/// How long an INVITE may go unanswered, by default.
const TRY: Duration = Duration::from_secs(4);

/// The number's owner publishes a SIP address; its first server is dead, its second alive.
const ENUM: &str =
    "6.5.4.3.2.1.2.3.5.4 NAPTR 10 10 \"u\" \"E2U+sip\" \"!^.*$!sip:dora@phones.test!\" .";

fn servers() -> String {
    format!("_sip._udp SRV 1 0 {DEAD} host\n_sip._udp SRV 2 0 {DORA} host\nhost A 127.0.0.1\n")
}

/// Routes a number by ENUM, else by the provider. Naming `phones.test` lets the gateway call that
/// host although it is on this machine.
const TABLES: &str = "
country = \"DK\"
enum_roots = [\"e164.test\"]

[[sip.trunk]]
name = \"provider\"
server = \"sip:127.0.0.1:5076\"
user = \"gateway\"
password = \"secret\"
register = false
protection = [\"clear\"]

[[sip.trunk]]
name = \"phones\"
server = \"sip:phones.test\"
user = \"gateway\"
password = \"secret\"
register = false
protection = [\"clear\"]

[[route]]
name = \"the provider\"
prefix = \"+45\"
trunk = \"sip.provider\"
";

/// A DNS, a gateway, bob's phone, which calls, and the two that may ring.
struct Stage<'a> {
    knot: Option<Knot>,
    scene: Scene<'a>,
    bob: Box<dyn Phone>,
    dora: Baresip,
    provider: Baresip,
}

/// Who rings.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rings {
    Dora,
    Provider,
}

impl<'a> Stage<'a> {
    fn set(net: &'a Net, has_dns: bool, more: &str) -> Self {
        let servers = servers();
        let zones = [("e164.test", true, ENUM), ("phones.test", false, servers.as_str())];
        let knot = has_dns.then(|| Knot::start(net, &zones));
        let dns = match &knot {
            Some(knot) => knot.tables(),
            None => format!("[dialplan.dns]\nservers = [\"{}\"]\n", Knot::ADDRESS),
        };
        let scene =
            Scene::with(net, |config| config.tables(&format!("[dialplan]\n{more}{TABLES}{dns}")));
        let phone = |user: &str, port| {
            let settings = Settings::new(user, port, PHONE_HZ, &scene.certificates).rings();
            Baresip::start(net, &settings)
        };
        let (dora, provider) = (phone("dora", DORA), phone(NUMBER, PROVIDER));
        let bob = scene.bob();
        wait_until("the trunk is up", STEP, || {
            scene.gateway.metrics().sum_where("link_up", "sip.provider") == 1.0
        });
        Self { knot, scene, bob, dora, provider }
    }

    fn ringing(&mut self, who: Rings) -> &mut Baresip {
        match who {
            Rings::Dora => &mut self.dora,
            Rings::Provider => &mut self.provider,
        }
    }

    /// Bob calls the number; returns how long it took to ring there.
    fn call(&mut self, who: Rings) -> Duration {
        self.bob.call(&format!("sip:{NUMBER}@{}", self.scene.config.sip()));
        let begun = Instant::now();
        self.ringing(who).wait_incoming();
        begun.elapsed()
    }

    /// The call that rings there is answered, and hung up.
    fn talk(&mut self, who: Rings) {
        self.answer(who);
        self.hang_up(who);
    }

    fn answer(&mut self, who: Rings) {
        self.ringing(who).answer();
        self.bob.wait_established();
    }

    fn hang_up(&mut self, who: Rings) {
        self.bob.hang_up();
        self.ringing(who).wait_ended();
        self.scene.gateway.assert_nothing_left();
    }

    /// What the running gateway would do with a text.
    fn explained(&self, text: &str) -> Value {
        let config = &self.scene.config;
        let path = format!("/api/explain?to={text}&from=bob");
        let (status, body) = get(config.admin(), &path, Some(config.admin_token())).expect("HTTP");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).expect("an explanation is JSON")
    }

    /// Who would ring first, by the explanation.
    fn explained_first(&self) -> Rings {
        let tree = self.explained(NUMBER);
        match first_trunk(&tree).as_deref() {
            Some("sip.direct") => Rings::Dora,
            Some("sip.provider") => Rings::Provider,
            other => panic!("{other:?} in {tree:#}"),
        }
    }
}

/// The trunk of the route that is tried first.
fn first_trunk(tree: &Value) -> Option<String> {
    let is_first = |step: &&Value| step["step"] == "route" && step["rank"] == 1;
    let step = tree["steps"].as_array()?.iter().find(is_first)?;
    step["trunk"].as_str().map(str::to_owned)
}

/// Answers of the DNS grow older between two explanations.
fn without_ttl(mut tree: Value) -> Value {
    tree.as_object_mut().expect("a step is an object").remove("ttl_s");
    for step in tree["steps"].as_array_mut().into_iter().flatten() {
        *step = without_ttl(step.take());
    }
    tree
}

fn has_note(tree: &Value, text: &str) -> bool {
    tree.to_string().contains(text)
}

#[test]
fn a_number_goes_by_enum_past_a_server_that_refuses_in_less_than_two_seconds() {
    interop!(["baresip", "knotd", "keymgr"], |net| {
        let mut stage = Stage::set(net, true, "");
        assert_eq!(stage.explained_first(), Rings::Dora);
        let tree = stage.explained(NUMBER);
        assert!(has_note(&tree, "tells the operator of e164.test the number"), "{tree:#}");
        assert!(has_note(&tree, "\"secure\"") && has_note(&tree, "\"insecure\""), "{tree:#}");
        let took = stage.call(Rings::Dora);
        eprintln!("it rang after {took:?}");
        assert!(took < Duration::from_secs(2), "{took:?}");
        stage.talk(Rings::Dora);
        stage.scene.gateway.assert_alive();
    });
}

#[test]
fn a_server_that_says_nothing_is_left_after_the_time_it_has() {
    interop!(["baresip", "knotd", "keymgr"], |net| {
        let silent = UdpSocket::bind(("127.0.0.1", DEAD)).expect("a free port");
        let mut stage = Stage::set(net, true, "");
        assert_eq!(stage.explained_first(), Rings::Dora);
        let took = stage.call(Rings::Dora);
        eprintln!("it rang after {took:?}");
        assert!(took >= TRY && took < TRY + Duration::from_secs(1), "{took:?}");
        // It speaks after all: it is told that nobody wants it any more.
        let mut invite = [0; 4096];
        let (length, gateway) = silent.recv_from(&mut invite).expect("an INVITE");
        let invite = String::from_utf8_lossy(&invite[..length]).into_owned();
        silent.send_to(ringing(&invite).as_bytes(), gateway).expect("loopback");
        let mut methods = Vec::new();
        silent.set_read_timeout(Some(Duration::from_secs(3))).expect("a timeout above zero");
        while methods.last().is_none_or(|method| method != "CANCEL") {
            let mut message = [0; 4096];
            let length = silent.recv(&mut message).expect("a CANCEL");
            let message = String::from_utf8_lossy(&message[..length]).into_owned();
            methods.push(message.split(' ').next().unwrap_or("").to_owned());
        }
        stage.talk(Rings::Dora);
        stage.scene.gateway.assert_alive();
    });
}

/// 180 to an INVITE.
fn ringing(invite: &str) -> String {
    let header = |name: &str| {
        let is_it = |line: &&str| line.to_ascii_lowercase().starts_with(&format!("{name}:"));
        invite.lines().find(is_it).unwrap_or_else(|| panic!("no {name} in {invite}")).to_owned()
    };
    let [via, from, to, call_id, cseq] = ["via", "from", "to", "call-id", "cseq"].map(header);
    format!(
        "SIP/2.0 180 Ringing\r\n{via}\r\n{from}\r\n{to};tag=late\r\n{call_id}\r\n{cseq}\r\n\
         Contact: <sip:dora@127.0.0.1:{DEAD}>\r\nContent-Length: 0\r\n\r\n"
    )
}

#[test]
fn the_same_number_goes_by_the_trunk_where_the_dns_is_down() {
    interop!(["baresip", "knotd", "keymgr"], |net| {
        let mut stage = Stage::set(net, false, "");
        assert_eq!(stage.explained_first(), Rings::Provider);
        let took = stage.call(Rings::Provider);
        eprintln!("nobody listens: it rang after {took:?}");
        stage.talk(Rings::Provider);
        // A server that says nothing costs no more than the DNS may.
        let _silent = UdpSocket::bind(Knot::ADDRESS).expect("a free port");
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(stage.explained_first(), Rings::Provider);
        std::thread::sleep(Duration::from_secs(3));
        let took = stage.call(Rings::Provider);
        eprintln!("the DNS is silent: it rang after {took:?}");
        assert!(took < Duration::from_millis(3500), "{took:?}");
        stage.talk(Rings::Provider);
        stage.scene.gateway.assert_alive();
    });
}

#[test]
fn explain_on_the_command_line_says_what_the_gateway_does() {
    interop!(["baresip", "knotd", "keymgr"], |net| {
        let mut stage = Stage::set(net, true, "");
        let explain = |more: &[&str]| {
            let mut program = command(binary());
            program.args(["explain", NUMBER, "--config"]).arg(net.path("gateway/gateway.toml"));
            run(program.args(more).current_dir(net.folder("gateway")))
        };
        let tree: Value =
            serde_json::from_str(&explain(&["--from", "bob", "--json"]).0).expect("JSON");
        assert_eq!(without_ttl(tree.clone()), without_ttl(stage.explained(NUMBER)));
        assert_eq!(first_trunk(&tree).as_deref(), Some("sip.direct"));
        stage.call(Rings::Dora);
        stage.talk(Rings::Dora);
        let (text, _) = explain(&["--from", "bob"]);
        assert!(text.contains("1. sip:dora@phones.test by sip.direct [clear]"), "{text}");
        assert!(text.contains("2. tel:+4532123456 by sip.provider [clear]"), "{text}");
        let (_, why) = explain(&["--from", "nobody"]);
        assert!(why.contains("there is no account or trunk \"nobody\""), "{why}");
        // Without the gateway the configuration alone says the same, and what it does not know.
        stage.scene.gateway.kill();
        let (text, _) = explain(&["--from", "bob"]);
        assert!(text.contains("1. sip:dora@phones.test by sip.direct"), "{text}");
        assert!(text.contains("registrations are not known"), "{text}");
        drop(stage.knot.take());
    });
}

/// What a program says, and what it complains of.
fn run(program: &mut Command) -> (String, String) {
    let output = program.output().expect("the gateway's binary is there");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_person_who_types_is_told_and_the_dns_is_asked_only_on_demand() {
    interop!(["baresip", "knotd", "keymgr"], |net| {
        let stage = Stage::set(net, true, "");
        let server = stage.scene.config.http();
        let (mut alice, _) = WsClient::sign_in(server, "alice", PASSWORD).expect("signed in");
        let schema = Schema::published();
        let mut explained = |to: &str, dns: bool| {
            alice.send(&json!({"type": "explain", "id": "e", "to": to, "dns": dns}));
            let frame = alice.receive_type("explained", STEP).expect("an explanation");
            schema.assert_valid(&frame);
            frame
        };
        let typed = explained("32 12 34 56", false);
        assert_eq!(
            (&typed["text"], &typed["class"]),
            (&json!("tel:+4532123456"), &json!("national"))
        );
        assert_eq!(typed["ways"].as_array().map(Vec::len), Some(1), "{typed}");
        let asked = explained("32 12 34 56", true);
        assert_eq!(asked["ways"].as_array().map(Vec::len), Some(2), "{asked}");
        assert!(asked["ways"][0]["notes"].to_string().contains("e164.test"), "{asked}");
        let emergency = explained("112", false);
        assert_eq!(emergency["class"], "emergency");
        assert!(emergency["refusal"].is_string() && emergency["ways"] == json!([]));
        let bob = explained("bob", false);
        assert_eq!(bob["ways"], json!([{"network": "sip", "level": "exposed", "notes": []}]));
    });
}

/// Rules of a file of their own.
const RULES: &str = "[[route]]\nname = \"from the file\"\nmatch = \"123\"\nto = \"procom:alice\"\n";

#[test]
fn new_rules_come_into_force_without_touching_calls_and_broken_ones_do_not() {
    interop!(["baresip", "knotd", "keymgr"], |net| {
        let rules = net.write("gateway/rules.toml", RULES);
        let mut stage = Stage::set(net, true, "rules = \"rules.toml\"");
        stage.call(Rings::Dora);
        stage.answer(Rings::Dora);
        let before = stage.explained("123");
        assert!(has_note(&before, "from the file"), "{before:#}");

        let process = &mut stage.scene.gateway.process;
        process.forget();
        std::fs::write(&rules, format!("{RULES}\n[[route]]\nmatch = \"124\"\ntrunc = \"x\"\n"))
            .expect("writable");
        process.signal(Signal::SIGHUP);
        process.expect("the dialplan in force stays.*rules\\.toml:8", STEP);
        assert_eq!(stage.explained("123"), before, "the old rules are in force");

        let denied = RULES.replace("to = \"procom:alice\"", "deny = \"not any more\"");
        std::fs::write(&rules, denied).expect("writable");
        let process = &mut stage.scene.gateway.process;
        process.signal(Signal::SIGHUP);
        process.expect("the dialplan was read again", STEP);
        let after = stage.explained("123");
        assert!(has_note(&after, "not any more"), "{after:#}");

        assert_eq!(stage.scene.gateway.metrics().sum("legs_active"), 2.0, "the call goes on");
        stage.hang_up(Rings::Dora);
        stage.scene.gateway.assert_alive();
    });
}
