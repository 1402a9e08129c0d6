//! Messages while the gateway dies at random moments and the disk is full: every message that was
//! taken arrives, or its sender is told.
//!
//! Alice writes on the page's protocol and resends, under the same id, what was not taken; bob is a
//! SIP phone that repeats what was not answered: over UDP by its timer, by a stream when it has
//! connected anew.

#![expect(clippy::disallowed_methods, reason = "measures real restarts")]

use std::collections::{BTreeMap, BTreeSet};
use std::thread::sleep;
use std::time::{Duration, Instant};

use gateway_tests::certificates::Certificates;
use gateway_tests::config::{Account, Config};
use gateway_tests::gateway::Gateway;
use gateway_tests::interop;
use gateway_tests::namespace::{Net, command};
use gateway_tests::phone::Transport;
use gateway_tests::sip_messenger::{Seen, SipMessenger};
use gateway_tests::ws_client::WsClient;
use serde_json::{Value, json};

use crate::scene::{PASSWORD, STEP, phone_account, wait_until};

/// Limits that this traffic does not meet.
const LIMITS: &str = "[messages]\nper_minute = 60000\nat_once = 5000\nper_minute_to_one = 60000\nmost_waiting = 100000\n";
/// How many may be on their way to the phone, and how many of its own may be unanswered, before no
/// more are written: on a machine that is busy with other things a life may be too short for what
/// was written in it, and what is repeated would be all that is left.
const MOST_OPEN: usize = 500;
const MOST_UNANSWERED: usize = 150;
/// How long the last messages may take: what failed waits before it is tried again.
const LAST: Duration = Duration::from_secs(60);

/// What Alice's screen and her outbox know.
#[derive(Default)]
struct Alice {
    socket: Option<WsClient>,
    /// What she wrote and the gateway has not taken, by her ids.
    outbox: BTreeMap<String, String>,
    /// What was taken, with the last status.
    taken: BTreeMap<String, String>,
    /// What she was shown: text by id.
    screen: BTreeMap<String, String>,
    /// How often something was shown again under its id.
    repeats: usize,
    refused: Vec<Value>,
}

impl Alice {
    fn sign_in(&mut self, config: &Config) {
        let signed_in = WsClient::sign_in(config.http(), "alice", PASSWORD);
        let (mut socket, welcome) = signed_in.expect("the gateway is healthy");
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        for (id, text) in &self.outbox {
            socket.send(&message(id, text));
        }
        self.socket = Some(socket);
    }

    fn write(&mut self, id: &str) {
        let text = format!("text of {id}");
        if let Some(socket) = &mut self.socket {
            socket.send(&message(id, &text));
        }
        self.outbox.insert(id.to_owned(), text);
    }

    /// How many of hers bob has not seen.
    fn open(&self, bob: &Bob) -> usize {
        (self.outbox.len() + self.taken.len()).saturating_sub(bob.requests.len())
    }

    /// Takes in what comes for that long.
    fn listen(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while let Some(rest) = until.checked_duration_since(Instant::now()) {
            let Some(socket) = &mut self.socket else { return sleep(rest) };
            let wait = rest.clamp(Duration::from_millis(1), Duration::from_millis(20));
            if let Some(frame) = socket.receive(wait) {
                self.take(&frame);
            }
        }
    }

    fn take(&mut self, frame: &Value) {
        let text = |name: &str| frame[name].as_str().unwrap_or_default().to_owned();
        let id = text("id");
        match frame["type"].as_str() {
            // A refusal: it is told before it was taken.
            Some("status") if frame["status"] == "failed" && self.outbox.contains_key(&id) => {
                self.refused.push(frame.clone());
                self.outbox.remove(&id);
            }
            Some("status") => {
                self.outbox.remove(&id);
                self.taken.insert(id, text("status"));
            }
            Some("message") if frame["from"] != "procom:alice" => {
                if let Some(socket) = &mut self.socket {
                    socket.send(&json!({"type": "ack", "id": id}));
                }
                if self.screen.insert(id, text("body")).is_some() {
                    self.repeats += 1;
                }
            }
            Some(_) | None => {}
        }
    }
}

fn message(id: &str, text: &str) -> Value {
    json!({"type": "message", "id": id, "to": "procom:bob", "body": text})
}

/// What the phone saw.
#[derive(Default)]
struct Bob {
    /// Requests by text: a phone shows each once.
    requests: BTreeMap<String, BTreeSet<String>>,
    bytes: BTreeMap<String, Vec<u8>>,
    changed: usize,
    repeats: usize,
    accepted: BTreeSet<String>,
    refused: Vec<(String, u16)>,
}

impl Bob {
    fn take(&mut self, phone: &SipMessenger) {
        for seen in phone.seen() {
            match seen {
                Seen::Message { transaction, body, bytes } => {
                    match self.bytes.insert(transaction.clone(), bytes.clone()) {
                        Some(before) if before == bytes => self.repeats += 1,
                        Some(_) => self.changed += 1,
                        None => {}
                    }
                    self.requests.entry(body).or_default().insert(transaction);
                }
                Seen::Accepted(text) => {
                    self.accepted.insert(text);
                }
                Seen::Refused(text, code) => self.refused.push((text, code)),
                Seen::Registered => {}
            }
        }
    }
}

fn config(certificates: &Certificates) -> Config {
    Config::new(certificates)
        .account(Account { name: "alice", password: PASSWORD, sip: None })
        .account(phone_account("bob"))
        .tables(LIMITS)
}

/// A number nobody chose: the test is another one each time, and says so when it fails.
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

fn dies_and_loses_nothing(net: &Net, transport: Transport, deaths: usize) {
    let config = config(&Certificates::make(net));
    let mut gateway = Gateway::run(net, &config);
    let server = match transport {
        Transport::Udp | Transport::Tcp => config.sip(),
        Transport::Tls => config.sip_tls(),
    };
    let phone = SipMessenger::start_by(transport, server, "bob", "secret-bob");
    let (mut alice, mut bob) = (Alice::default(), Bob::default());
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = u64::from(since.expect("it is later than 1970").subsec_nanos());
    let mut state = seed;
    let mut written = BTreeSet::new();
    for death in 0..deaths {
        alice.sign_in(&config);
        let dies = Instant::now() + Duration::from_millis(50 + draw(&mut state) % 400);
        let mut number = 0;
        while Instant::now() < dies {
            if alice.open(&bob) < MOST_OPEN {
                alice.write(&format!("a{death}-{number}"));
            }
            if written.len() < bob.accepted.len() + bob.refused.len() + MOST_UNANSWERED {
                let text = format!("b{death}-{number}");
                phone.write("alice", &text);
                written.insert(text);
            }
            number += 1;
            alice.listen(Duration::from_millis(draw(&mut state) % 30));
            bob.take(&phone);
        }
        gateway.kill();
        // What had left it before it died.
        alice.listen(Duration::from_millis(5));
        alice.socket = None;
        drop(gateway);
        gateway = Gateway::run(net, &config);
    }
    alice.sign_in(&config);
    let until = Instant::now() + LAST;
    loop {
        alice.listen(Duration::from_millis(200));
        bob.take(&phone);
        let is_told = |(id, status): (&String, &String)| {
            status == "failed" || bob.requests.contains_key(&format!("text of {id}"))
        };
        let screen: BTreeSet<&String> = alice.screen.values().collect();
        let has_arrived = bob.accepted.iter().all(|text| screen.contains(text));
        let is_answered = bob.accepted.len() + bob.refused.len() >= written.len();
        if alice.outbox.is_empty() && alice.taken.iter().all(is_told) && has_arrived && is_answered
        {
            break;
        }
        if Instant::now() > until {
            let lost: Vec<_> = alice.taken.iter().filter(|it| !is_told(*it)).collect();
            let unseen: Vec<_> =
                bob.accepted.iter().filter(|text| !screen.contains(text)).collect();
            panic!(
                "seed {seed}: not sent {:?}, lost {lost:?}, unseen {unseen:?}, answered {} of {}, \
                 refused {:?}",
                alice.outbox,
                bob.accepted.len(),
                written.len(),
                bob.refused
            );
        }
    }
    // Long enough for anything that would come twice.
    alice.listen(Duration::from_secs(3));
    bob.take(&phone);
    gateway.assert_alive();
    report(transport, deaths, seed, &alice, &bob);
}

/// Says what was counted, and holds it to what may be.
fn report(transport: Transport, deaths: usize, seed: u64, alice: &Alice, bob: &Bob) {
    let twice = bob.requests.values().filter(|requests| requests.len() > 1).count();
    let mut texts: BTreeMap<&String, usize> = BTreeMap::new();
    for text in alice.screen.values() {
        *texts.entry(text).or_default() += 1;
    }
    let shown_twice = texts.values().filter(|count| **count > 1).count();
    eprintln!(
        "{deaths} deaths over {transport:?}, seed {seed}: {} to the phone ({} repeats byte for byte, {} changed, \
         {twice} under another number), {} to the page ({} repeats under their id, {shown_twice} \
         under another), {} and {} refused",
        bob.requests.len(),
        bob.repeats,
        bob.changed,
        alice.screen.len(),
        alice.repeats,
        alice.refused.len(),
        bob.refused.len(),
    );
    assert_eq!(alice.refused, Vec::<Value>::new(), "seed {seed}");
    assert_eq!(bob.refused, Vec::new(), "seed {seed}");
    assert_eq!(bob.changed, 0, "a repeat is the same byte for byte, seed {seed}");
    match transport {
        Transport::Udp => assert_eq!(twice, 0, "the phone shows each once, seed {seed}"),
        // Its new connection is a new contact, and over a stream nothing absorbs a repeat. What may be
        // repeated is what had been sent when the gateway died and was not known to be answered: in
        // one conversation with one phone one message at a time.
        Transport::Tcp | Transport::Tls => {
            let again = twice + bob.repeats;
            assert!(again <= deaths, "{again} shown again in {deaths} deaths, seed {seed}");
        }
    }
    // A phone that is challenged anew sends another request, and its nonce tells that it is the same
    // message.
    assert_eq!(shown_twice, 0, "each text is shown once, {deaths} deaths, seed {seed}");
}

#[test]
fn fifty_deaths_lose_no_message() {
    interop!([], |net| {
        dies_and_loses_nothing(net, Transport::Udp, 50);
    });
}

#[test]
fn fifteen_deaths_lose_no_message_over_tcp() {
    interop!([], |net| {
        dies_and_loses_nothing(net, Transport::Tcp, 15);
    });
}

#[test]
fn fifteen_deaths_lose_no_message_over_tls() {
    interop!([], |net| {
        dies_and_loses_nothing(net, Transport::Tls, 15);
    });
}

#[test]
#[ignore = "takes eight minutes: tests/nightly runs it"]
fn a_thousand_deaths_lose_no_message() {
    interop!([], |net| {
        dies_and_loses_nothing(net, Transport::Udp, 1000);
    });
}

#[test]
#[ignore = "takes two minutes: tests/nightly runs it"]
fn two_hundred_deaths_lose_no_message_over_tcp() {
    interop!([], |net| {
        dies_and_loses_nothing(net, Transport::Tcp, 200);
    });
}

#[test]
#[ignore = "takes two minutes: tests/nightly runs it"]
fn two_hundred_deaths_lose_no_message_over_tls() {
    interop!([], |net| {
        dies_and_loses_nothing(net, Transport::Tls, 200);
    });
}

/// What fills a disk.
struct Ballast(std::path::PathBuf);

impl Ballast {
    /// Takes all that is left of the file system.
    fn fill(folder: &std::path::Path) -> Self {
        let path = folder.join("ballast");
        let mut file = std::fs::File::create(&path).expect("there is room for a name");
        let page = [0_u8; 4096];
        while std::io::Write::write_all(&mut file, &page).is_ok() {}
        Self(path)
    }

    fn free(self) {
        std::fs::remove_file(self.0).expect("it is ours");
    }
}

#[test]
fn a_full_disk_refuses_messages_and_nothing_else_and_recovers() {
    interop!([], |net| {
        let config = config(&Certificates::make(net));
        let state = net.folder("gateway").join("state");
        std::fs::create_dir_all(&state).expect("a folder");
        let mut mount = command("mount");
        let mount = mount.args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(&state).status();
        assert!(mount.expect("mount can be started").success());
        let mut gateway = Gateway::run(net, &config);
        let phone = SipMessenger::start(config.sip(), "bob", "secret-bob");
        let (mut alice, mut bob) = (Alice::default(), Bob::default());
        alice.sign_in(&config);
        alice.write("before");
        wait_until("the first arrives", STEP, || {
            alice.listen(Duration::from_millis(50));
            bob.take(&phone);
            bob.requests.contains_key("text of before")
        });
        let ballast = Ballast::fill(&state);
        // What the log has room for still fits.
        let mut number = 0;
        while alice.refused.is_empty() {
            number += 1;
            assert!(number < 2000, "the disk was never full");
            alice.write(&format!("full{number}"));
            alice.listen(Duration::from_millis(5));
        }
        let why = alice.refused[0]["reason"].as_str().unwrap_or_default().to_owned();
        assert!(why.contains("disk is full"), "{why}");
        wait_until("the metric says so", STEP, || gateway.metrics().sum("store_writable") == 0.0);
        // Calls still find their way: this one is refused by the dialplan, not by the disk.
        let call = gateway_tests::sip_caller::SipCaller::call(
            config.sip(),
            "bob",
            "secret-bob",
            "nobody",
            46_000,
        );
        assert_eq!(call.err(), Some(403));
        ballast.free();
        wait_until("it has recovered", STEP, || gateway.metrics().sum("store_writable") == 1.0);
        alice.write("after");
        wait_until("the last arrives", STEP, || {
            alice.listen(Duration::from_millis(50));
            bob.take(&phone);
            bob.requests.contains_key("text of after")
        });
        let taken = alice.taken.keys().cloned().collect::<Vec<_>>();
        wait_until("all that were taken arrive", LAST, || {
            alice.listen(Duration::from_millis(50));
            bob.take(&phone);
            taken.iter().all(|id| bob.requests.contains_key(&format!("text of {id}")))
        });
        for frame in &alice.refused {
            let id = frame["id"].as_str().unwrap_or_default();
            assert!(!bob.requests.contains_key(&format!("text of {id}")), "{id} was half taken");
        }
        gateway.kill();
        let mut gateway = Gateway::run(net, &config);
        gateway.assert_alive();
    });
}

#[test]
fn a_read_only_disk_is_named_at_the_start_and_what_was_taken_arrives_later() {
    interop!([], |net| {
        let config = config(&Certificates::make(net));
        let state = net.folder("gateway").join("state");
        std::fs::create_dir_all(&state).expect("a folder");
        let mount = |options: &str| {
            let mut mount = command("mount");
            let mount = mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&state).status();
            assert!(mount.expect("mount can be started").success());
        };
        mount("size=8m");
        let mut gateway = Gateway::run(net, &config);
        let mut alice = Alice::default();
        alice.sign_in(&config);
        alice.write("early");
        wait_until("it is taken", STEP, || {
            alice.listen(Duration::from_millis(50));
            alice.taken.contains_key("early")
        });
        gateway.kill();
        // As a kernel leaves a disk that has failed.
        mount("remount,ro");
        let mut refused = Gateway::try_run(net, &config);
        let status = refused.ends_within(STEP).expect("it does not run without its store");
        assert!(!status.success());
        let output = refused.output();
        assert!(output.contains("Read-only file system"), "{output}");
        assert!(output.contains("state/gateway.db"), "it says where: {output}");
        mount("remount,rw");
        let _gateway = Gateway::run(net, &config);
        let phone = SipMessenger::start(config.sip(), "bob", "secret-bob");
        let mut bob = Bob::default();
        wait_until("it arrives", LAST, || {
            bob.take(&phone);
            sleep(Duration::from_millis(50));
            bob.requests.contains_key("text of early")
        });
    });
}
