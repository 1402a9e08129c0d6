//! The edge as clients and attackers meet it: real sockets on loopback.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for one variant among many")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use gateway_adapter::attempts::{Acquaintance, Memory};
use gateway_adapter::{Adapter, Command, Event, Metrics, Outlet, channel, resolver};
use gateway_core::LegId;
use gateway_core::leg::{LegCommand, LegEvent};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::Pace;
use crate::testing::{SDP, answer, call, client, dial, hello};
use crate::{Accounts, Limits, ProcomAccount, ProcomAdapter, ProcomConfig, Secret, Tokens};

mod hostile;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A running edge, with the switchboard's side of its channels.
struct Edge {
    address: SocketAddr,
    fingerprint: Option<String>,
    outlet: Outlet,
    events: mpsc::Receiver<Event>,
    running: JoinHandle<()>,
}

/// A folder of this test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name =
            format!("procom-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn plain() -> ProcomConfig {
    ProcomConfig { listen: ([127, 0, 0, 1], 0).into(), plain: true, ..ProcomConfig::default() }
}

/// Cheap hashes: these tests are not about their cost.
fn accounts() -> Accounts {
    let account = |name: &str| ProcomAccount {
        name: name.to_owned(),
        display: None,
        password_hash: Some(Secret::from(crate::accounts::cheap_hash("secret"))),
    };
    Accounts::new(vec![account("alice"), account("bob")]).expect("accounts")
}

fn start_with(config: ProcomConfig, pace: Pace, state: &Folder) -> Edge {
    start_knowing(config, pace, state, Vec::new())
}

fn start_knowing(
    config: ProcomConfig,
    pace: Pace,
    state: &Folder,
    known: Vec<Acquaintance>,
) -> Edge {
    let memory = Memory::new([1; 32], known);
    let bound = ProcomAdapter::bind(config, accounts(), Tokens::generate(), &state.0, memory);
    let (mut adapter, bound) = bound.expect("bound");
    adapter.pace = pace;
    let (sender, events) = mpsc::channel(1024);
    let (outlet, edge) = channel(
        Arc::new(AtomicU64::new(256)),
        sender,
        resolver().0,
        Metrics::new().recorder("procom"),
    );
    let running = tokio::spawn(async move {
        Box::new(adapter).run(edge).await.expect("the edge goes on");
    });
    let (address, fingerprint) = (bound.address, bound.fingerprint);
    Edge { address, fingerprint, outlet, events, running }
}

fn start() -> Edge {
    start_with(plain(), Pace::default(), &Folder::new())
}

impl Edge {
    async fn connect(&self) -> Socket {
        self.connect_as(None).await.expect("a WebSocket")
    }

    async fn connect_as(&self, origin: Option<&str>) -> Result<Socket, Error> {
        let mut request = format!("ws://{}/procom", self.address).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "procom.v1".parse().unwrap());
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        connect_async(request).await.map(|(socket, _)| socket)
    }

    async fn sign_in(&self) -> (Socket, Value) {
        let mut socket = self.connect().await;
        say(&mut socket, &hello()).await;
        let welcome = hear(&mut socket).await;
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        (socket, welcome)
    }

    /// The next event of a leg, passing over what else is told.
    async fn leg_event(&mut self) -> (LegId, Option<LegEvent>) {
        loop {
            let event = timeout(Duration::from_secs(5), self.events.recv()).await;
            match event.expect("an event in time").expect("an event") {
                Event::Incoming(incoming) => return (incoming.leg, None),
                Event::Leg(leg, event) => return (leg, Some(event)),
                _ => {}
            }
        }
    }

    /// Sends bytes and returns all that comes back until the edge closes.
    async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        read_all(&mut stream).await
    }

    async fn get(&self, path: &str, fields: &str) -> String {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{fields}\r\n",
            self.address
        );
        self.raw(&request).await
    }

    /// A WebSocket handshake with some fields changed.
    async fn upgrade(&self, change: impl Fn(&str) -> Option<String>) -> String {
        let fields = [
            format!("Host: {}", self.address),
            "Connection: Upgrade".to_owned(),
            "Upgrade: websocket".to_owned(),
            "Sec-WebSocket-Version: 13".to_owned(),
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==".to_owned(),
            "Sec-WebSocket-Protocol: procom.v1".to_owned(),
        ];
        let fields: Vec<String> = fields.iter().filter_map(|field| change(field)).collect();
        let request = format!("GET /procom HTTP/1.1\r\n{}\r\n\r\n", fields.join("\r\n"));
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = vec![0; 1024];
        let count = timeout(Duration::from_secs(5), stream.read(&mut head)).await.unwrap().unwrap();
        String::from_utf8_lossy(&head[..count]).lines().next().unwrap_or("").to_owned()
    }
}

async fn read_all(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let _ = timeout(Duration::from_secs(10), stream.read_to_end(&mut all)).await.expect("an end");
    String::from_utf8_lossy(&all).into_owned()
}

async fn say(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).await.expect("sent");
}

/// The next frame, held against the schema.
async fn hear(socket: &mut Socket) -> Value {
    loop {
        let message = timeout(Duration::from_secs(5), socket.next()).await.expect("in time");
        match message.expect("a message").expect("no fault") {
            Message::Text(text) => {
                crate::frame::schema::assert_gateway(&text);
                return serde_json::from_str(&text).expect("JSON");
            }
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// The code with which the edge closes, passing over frames before.
async fn close_code(socket: &mut Socket) -> Option<u16> {
    loop {
        let message = timeout(Duration::from_secs(10), socket.next()).await.expect("in time");
        match message {
            Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return None,
        }
    }
}

fn resume(welcome: &Value, received: u64) -> String {
    client(
        json!({"type": "hello", "version": 1, "resume": welcome["resume"], "received": received}),
    )
}

fn hello_as(user: &str, password: &str) -> String {
    client(json!({"type": "hello", "version": 1, "user": user, "password": password}))
}

#[tokio::test]
async fn a_client_signs_in_calls_and_is_called() {
    let mut edge = start();
    let (mut socket, welcome) = edge.sign_in().await;
    assert_eq!(welcome["address"], "procom:alice");
    let locations = loop {
        if let Event::Located(_, locations) = edge.events.recv().await.unwrap() {
            break locations;
        }
    };
    say(&mut socket, &call("c1", "procom:echo")).await;
    let (leg, _) = edge.leg_event().await;
    edge.outlet.send(leg, LegCommand::Ring);
    edge.outlet.send(leg, LegCommand::Answer(Some(answer())));
    assert_eq!(hear(&mut socket).await["type"], "ringing");
    assert_eq!(hear(&mut socket).await["type"], "answer");

    let leg = LegId(7);
    edge.outlet.send(leg, LegCommand::Dial(dial(&locations[0].contact)));
    let id = hear(&mut socket).await["call"].clone();
    say(&mut socket, &client(json!({"type": "answer", "call": id, "sdp": SDP}))).await;
    assert_eq!(edge.leg_event().await, (leg, Some(LegEvent::Answered(Some(answer())))));
    socket.close(None).await.unwrap();
    for _ in 0..2 {
        assert!(matches!(edge.leg_event().await.1, Some(LegEvent::Ended(..))));
    }
}

#[tokio::test]
async fn a_socket_that_breaks_is_resumed_and_nothing_is_lost() {
    let mut edge = start();
    let (mut socket, welcome) = edge.sign_in().await;
    say(&mut socket, &call("c1", "procom:echo")).await;
    let (leg, _) = edge.leg_event().await;
    drop(socket);
    edge.outlet.send(leg, LegCommand::Ring);
    edge.outlet.send(leg, LegCommand::Answer(Some(answer())));
    sleep(Duration::from_millis(100)).await;
    let mut socket = edge.connect().await;
    say(&mut socket, &resume(&welcome, 0)).await;
    let again = hear(&mut socket).await;
    assert_eq!((&again["resumed"], &again["received"]), (&json!(true), &json!(1)));
    assert_eq!(hear(&mut socket).await["type"], "ringing");
    assert_eq!(hear(&mut socket).await["type"], "answer");
    let mut thief = edge.connect().await;
    say(&mut thief, &resume(&welcome, 2)).await;
    assert_eq!(hear(&mut thief).await["type"], "welcome");
    assert_eq!(close_code(&mut socket).await, Some(4001));
}

#[tokio::test]
async fn a_thousand_missed_objects_fit_through_a_resume() {
    let mut edge = start();
    let (mut socket, welcome) = edge.sign_in().await;
    say(&mut socket, &call("c1", "procom:echo")).await;
    let (leg, _) = edge.leg_event().await;
    drop(socket);
    sleep(Duration::from_millis(50)).await;
    for _ in 0..1000 {
        edge.outlet.send(leg, LegCommand::Held);
    }
    sleep(Duration::from_millis(200)).await;
    let mut socket = edge.connect().await;
    say(&mut socket, &resume(&welcome, 0)).await;
    assert_eq!(hear(&mut socket).await["type"], "welcome");
    for _ in 0..1000 {
        assert_eq!(hear(&mut socket).await["type"], "held");
    }
}

#[tokio::test]
async fn known_and_unknown_names_are_answered_alike() {
    let edge = start();
    let mut answers = Vec::new();
    for user in ["alice", "nobody", "guest.1", "\u{0}", ""] {
        let mut socket = edge.connect().await;
        say(&mut socket, &hello_as(user, "wrong")).await;
        answers.push((hear(&mut socket).await, close_code(&mut socket).await));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!((&answers[0].0["code"], answers[0].1), (&json!("bad-credentials"), Some(1008)));
}

#[tokio::test]
async fn guessing_is_stopped_and_whoever_has_signed_in_before_is_not() {
    let edge = start();
    edge.sign_in().await;
    let mut codes = Vec::new();
    for at in 0..14 {
        let mut socket = edge.connect().await;
        let user = if at % 2 == 0 { "bob" } else { "nobody" };
        say(&mut socket, &hello_as(user, &format!("guess{at}"))).await;
        codes.push(hear(&mut socket).await["code"].as_str().unwrap().to_owned());
    }
    assert_eq!(codes.iter().filter(|code| *code == "bad-credentials").count(), 10, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| *code == "too-many-attempts").count(), 4);
    let mut socket = edge.connect().await;
    say(&mut socket, &hello_as("bob", "secret")).await;
    assert_eq!(hear(&mut socket).await["code"], "too-many-attempts", "even the right one");
    edge.sign_in().await;
}

#[tokio::test]
async fn whoever_signed_in_before_a_restart_is_not_stopped_after_it() {
    let mut first = start();
    first.sign_in().await;
    let learned = loop {
        let event = timeout(Duration::from_secs(5), first.events.recv()).await;
        if let Event::Acquainted(learned) = event.expect("an event in time").expect("an event") {
            break learned;
        }
    };
    let next = start_knowing(plain(), Pace::default(), &Folder::new(), vec![learned]);
    for at in 0..11 {
        let mut socket = next.connect().await;
        say(&mut socket, &hello_as("bob", &format!("guess{at}"))).await;
        let expected = if at < 10 { "bad-credentials" } else { "too-many-attempts" };
        assert_eq!(hear(&mut socket).await["code"], expected);
    }
    next.sign_in().await;
}

#[tokio::test]
async fn only_pages_of_known_origins_may_connect() {
    let config = ProcomConfig { origins: vec!["https://shop.example".to_owned()], ..plain() };
    let edge = start_with(config, Pace::default(), &Folder::new());
    let own = format!("http://{}", edge.address);
    for origin in [None, Some(own.as_str()), Some("https://shop.example")] {
        assert!(edge.connect_as(origin).await.is_ok(), "{origin:?}");
    }
    let other_scheme = format!("https://{}", edge.address);
    for origin in [
        "https://evil.example",
        "null",
        "http://shop.example",
        "https://shop.example.evil.example",
        "http://127.0.0.1",
        other_scheme.as_str(),
    ] {
        match edge.connect_as(Some(origin)).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), 403, "{origin}"),
            other => panic!("{origin}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_page_of_another_name_that_resolves_to_loopback_is_not_served() {
    let edge = start();
    for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example"] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert!(edge.raw(&request).await.starts_with("HTTP/1.1 421"), "{host}");
    }
    for host in ["localhost:1", "127.0.0.1", "[::1]:8443", "profon.localhost"] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert!(edge.raw(&request).await.starts_with("HTTP/1.1 200"), "{host}");
    }
    assert!(
        edge.raw("GET / HTTP/1.1\r\nConnection: close\r\n\r\n").await.starts_with("HTTP/1.1 400")
    );
}

#[tokio::test]
async fn a_handshake_that_is_not_quite_one_is_refused() {
    let edge = start();
    assert!(edge.upgrade(|field| Some(field.to_owned())).await.contains(" 101 "));
    for (field, instead, status) in [
        ("Sec-WebSocket-Version", Some("Sec-WebSocket-Version: 8"), " 426 "),
        ("Sec-WebSocket-Version", None, " 426 "),
        ("Upgrade", None, " 426 "),
        ("Upgrade", Some("Upgrade: h2c"), " 426 "),
        ("Connection", Some("Connection: keep-alive"), " 426 "),
        ("Sec-WebSocket-Key", None, " 400 "),
        ("Sec-WebSocket-Key", Some("Sec-WebSocket-Key: c2hvcnQ="), " 400 "),
        ("Sec-WebSocket-Key", Some("Sec-WebSocket-Key: !"), " 400 "),
        ("Sec-WebSocket-Protocol", None, " 400 "),
        ("Sec-WebSocket-Protocol", Some("Sec-WebSocket-Protocol: xmpp"), " 400 "),
    ] {
        let answer = edge
            .upgrade(|line| {
                let is_it = line.split(':').next() == Some(field);
                if is_it { instead.map(str::to_owned) } else { Some(line.to_owned()) }
            })
            .await;
        assert!(answer.contains(status), "{field} {instead:?}: {answer}");
    }
    let request =
        format!("POST /procom HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", edge.address);
    assert!(edge.raw(&request).await.starts_with("HTTP/1.1 405"));
}

#[tokio::test]
async fn pages_come_with_the_headers_that_keep_them_to_themselves() {
    let edge = start();
    let page = edge.get("/", "").await;
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    let lower = page.to_ascii_lowercase();
    for field in [
        "content-type: text/html; charset=utf-8",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cache-control: no-cache",
        "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'",
        "frame-ancestors 'none'",
    ] {
        assert!(lower.contains(field), "{field}");
    }
    assert!(!lower.contains("unsafe-") && !lower.contains("strict-transport"));
    let tag = lower.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
    let again = edge.get("/", &format!("If-None-Match: {tag}\r\n")).await;
    assert!(again.starts_with("HTTP/1.1 304"), "{again}");
    assert!(edge.get("/procom.js", "").await.contains("text/javascript"));
    for path in ["/package.json", "/../Cargo.toml", "/tests/link.test.js", "/nothing"] {
        assert!(edge.get(path, "").await.starts_with("HTTP/1.1 404"), "{path}");
    }
    let request =
        format!("DELETE / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", edge.address);
    assert!(edge.raw(&request).await.starts_with("HTTP/1.1 405"));
}

#[tokio::test]
async fn scripts_are_shared_with_the_pages_that_may_connect_and_no_others() {
    let config = ProcomConfig { origins: vec!["https://shop.example".to_owned()], ..plain() };
    let edge = start_with(config, Pace::default(), &Folder::new());
    let known = "Origin: https://shop.example\r\n";
    for path in ["/prochat.js", "/prochat/element.js", "/procom.js", "/sdk/link.js"] {
        let answer = edge.get(path, known).await.to_ascii_lowercase();
        assert!(answer.contains("access-control-allow-origin: https://shop.example\r\n"), "{path}");
        assert!(answer.contains("vary: origin\r\n"), "{path}");
        for origin in ["", "Origin: https://evil.example\r\n", "Origin: null\r\n"] {
            let answer = edge.get(path, origin).await.to_ascii_lowercase();
            assert!(answer.starts_with("http/1.1 200") && answer.contains("vary: origin\r\n"));
            assert!(!answer.contains("access-control"), "{path} {origin}");
        }
    }
    for path in ["/", "/profon.js", "/profon.css"] {
        let answer = edge.get(path, known).await.to_ascii_lowercase();
        assert!(!answer.contains("access-control"), "{path}");
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let edge = start();
    let large = format!("X-Large: {}\r\n", "x".repeat(32 * 1024));
    let answer = edge.get("/", &large).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    let many: String = (0..100).map(|at| format!("X-{at}: 1\r\n")).collect();
    let answer = edge.get("/", &many).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn slow_heads_and_silent_sockets_are_closed_while_a_call_goes_on() {
    let pace = Pace {
        head: Duration::from_millis(300),
        requests: Duration::from_millis(600),
        ..Pace::default()
    };
    let mut edge = start_with(plain(), pace, &Folder::new());
    let (mut socket, _) = edge.sign_in().await;
    say(&mut socket, &call("c1", "procom:echo")).await;
    let (leg, _) = edge.leg_event().await;
    let mut slow = Vec::new();
    for at in 0..40 {
        let mut stream = TcpStream::connect(edge.address).await.unwrap();
        if at % 2 == 0 {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: local").await.unwrap();
        }
        slow.push(stream);
    }
    let began = Instant::now();
    for stream in &mut slow {
        read_all(stream).await;
    }
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    edge.outlet.send(leg, LegCommand::Ring);
    assert_eq!(hear(&mut socket).await["type"], "ringing");
}

#[tokio::test]
async fn connections_of_one_address_and_of_all_are_bounded() {
    let limits = Limits { connections_per_address: 4, ..Limits::default() };
    let edge = start_with(ProcomConfig { limits, ..plain() }, Pace::default(), &Folder::new());
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(edge.connect().await);
    }
    let mut refused = TcpStream::connect(edge.address).await.unwrap();
    assert_eq!(read_all(&mut refused).await, "");
    held.pop();
    sleep(Duration::from_millis(100)).await;
    edge.connect().await;
}

#[tokio::test]
async fn a_certificate_is_made_once_and_its_fingerprint_told() {
    let config = ProcomConfig { plain: false, ..plain() };
    let folder = Folder::new();
    let first = start_with(config.clone(), Pace::default(), &folder);
    let second = start_with(config, Pace::default(), &folder);
    assert_eq!(first.fingerprint, second.fingerprint);
    let fingerprint = first.fingerprint.clone().expect("a fingerprint");
    assert_eq!(fingerprint.len(), 95);
    let key = folder.0.join("procom-key.pem");
    let mode = std::os::unix::fs::PermissionsExt::mode(&key.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    let pem = std::fs::read(folder.0.join("procom-certificate.pem")).unwrap();
    let certificate = rustls_pki_types::pem::PemObject::from_pem_slice(&pem).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        let stream = TcpStream::connect(first.address).await.unwrap();
        let name = "localhost".try_into().unwrap();
        let mut stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await.unwrap();
        let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
    }
}

#[tokio::test]
async fn a_tls_handshake_that_does_not_go_on_is_given_up() {
    let pace = Pace { head: Duration::from_millis(300), ..Pace::default() };
    let config = ProcomConfig { plain: false, ..plain() };
    let edge = start_with(config, pace, &Folder::new());
    let mut half_open = TcpStream::connect(edge.address).await.unwrap();
    half_open.write_all(&[0x16, 3, 1, 0, 200]).await.unwrap();
    let began = Instant::now();
    read_all(&mut half_open).await;
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn an_edge_whose_channel_closes_ends_its_calls_and_returns() {
    let mut edge = start();
    let (mut socket, _) = edge.sign_in().await;
    say(&mut socket, &call("c1", "procom:echo")).await;
    edge.leg_event().await;
    edge.outlet.tell(Command::Drain);
    sleep(Duration::from_millis(50)).await;
    say(&mut socket, &call("c2", "procom:echo")).await;
    assert_eq!(hear(&mut socket).await["cause"], "overload");
    drop(edge.outlet);
    let end = hear(&mut socket).await;
    assert_eq!((&end["call"], &end["cause"]), (&json!("c1"), &json!("shutdown")));
    assert_eq!(close_code(&mut socket).await, Some(1012));
    timeout(Duration::from_secs(5), edge.running).await.expect("in time").expect("no panic");
}
