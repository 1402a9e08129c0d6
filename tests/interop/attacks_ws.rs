//! Attacks on the Procom edge (rows 10, 16, 20 and 23 of the threat list), and the published
//! protocol's own rules for clients that misbehave.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use gateway_tests::interop;
use gateway_tests::ws_client::{Schema, WsClient, upgrade};
use serde_json::{Value, json};

use crate::attacks::{Bystander, scene};
use crate::scene::{PASSWORD, Scene};

const ANSWER: Duration = Duration::from_secs(5);

fn sign_in(scene: &Scene<'_>) -> WsClient {
    let (client, welcome) =
        WsClient::sign_in(scene.config.http(), "alice", PASSWORD).expect("alice signs in");
    assert_eq!(welcome["type"], "welcome", "{welcome}");
    Schema::published().assert_valid(&welcome);
    client
}

fn upgrade_request(scene: &Scene<'_>, origin: &str, version: &str, key: &str) -> String {
    let host = scene.config.http();
    format!(
        "GET /procom HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: {version}\r\nSec-WebSocket-Key: {key}\r\n\
         Sec-WebSocket-Protocol: procom.v1\r\n\r\n"
    )
}

#[test]
fn foreign_pages_and_bad_upgrades_are_refused() {
    interop!(["baresip"], |net| {
        let mut scene = scene(net);
        let bystander = Bystander::start(&scene, "bystander", 5076);
        let server = scene.config.http();
        let own = format!("http://{server}");
        const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
        let code = |origin: &str, version: &str, key: &str| {
            upgrade(server, &upgrade_request(&scene, origin, version, key))
        };
        assert_eq!(code(&own, "13", KEY), Some(101), "our own page");
        for origin in ["https://evil.example", "null", "http://127.0.0.1.evil.example", "file://"] {
            assert_eq!(code(origin, "13", KEY), Some(403), "{origin}");
        }
        assert!(matches!(code(&own, "8", KEY), Some(400 | 426)), "an old version");
        assert_eq!(code(&own, "13", "short"), Some(400), "a short key");
        bystander.assert_undisturbed();
        scene.gateway.assert_alive();
    });
}

#[test]
fn slow_and_silent_connections_are_closed() {
    interop!(["baresip"], |net| {
        let mut scene = scene(net);
        let bystander = Bystander::start(&scene, "bystander", 5076);
        let server = scene.config.http();
        let mut held: Vec<TcpStream> =
            (0..200).filter_map(|_| TcpStream::connect(server).ok()).collect();
        for stream in &mut held {
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n");
        }
        for _ in 0..13 {
            sleep(Duration::from_secs(1));
            held.iter_mut().for_each(|stream| drop(stream.write_all(b"X: y\r\n")));
        }
        let is_open = |stream: &mut TcpStream| {
            let _ = stream.set_read_timeout(Some(Duration::from_millis(5)));
            let mut buffer = [0_u8; 1024];
            loop {
                match stream.read(&mut buffer) {
                    Ok(0) => return false,
                    Ok(_) => {}
                    Err(why) => return why.kind() == std::io::ErrorKind::WouldBlock,
                }
            }
        };
        let open = held.iter_mut().map(is_open).filter(|is| *is).count();
        assert_eq!(open, 0, "slow connections are still open");
        drop(held);
        sign_in(&scene);
        bystander.assert_undisturbed();
        scene.gateway.assert_alive();
    });
}

#[test]
fn one_address_cannot_take_all_connections() {
    interop!(["baresip"], |net| {
        let mut scene = scene(net);
        let bystander = Bystander::start(&scene, "bystander", 5076);
        let server = scene.config.http();
        let origin = format!("http://{server}");
        let held: Vec<_> =
            (0..200).filter_map(|_| WsClient::connect(server, &origin).ok()).collect();
        assert!((1..=64).contains(&held.len()), "{} sockets from one address", held.len());
        drop(held);
        sleep(Duration::from_secs(1));
        sign_in(&scene);
        bystander.assert_undisturbed();
        scene.gateway.assert_alive();
    });
}

#[test]
fn oversize_frames_and_headers_are_refused() {
    interop!(["baresip"], |net| {
        let mut scene = scene(net);
        let bystander = Bystander::start(&scene, "bystander", 5076);
        let before_kib = scene.gateway.memory_kib();
        for _ in 0..3 {
            let mut client = sign_in(&scene);
            let frame =
                json!({"type": "message", "id": "m", "to": "x", "body": "a".repeat(70_000)});
            client.send(&frame);
            assert!(client.receive_type("status", ANSWER).is_none(), "70 kB were taken");
        }
        // A frame that announces 100 MB, then sends on and on.
        let mut client = sign_in(&scene);
        client.send_raw(&[0x81, 0xFF, 0, 0, 0, 0, 6, 0, 0, 0, 1, 2, 3, 4]);
        for _ in 0..200 {
            client.send_raw(&[b'x'; 64 * 1024]);
        }
        let header = format!("X: {}\r\n", "a".repeat(1_000)).repeat(64);
        let request = format!("GET / HTTP/1.1\r\nHost: x\r\n{header}\r\n");
        let code = upgrade(scene.config.http(), &request);
        assert!(code.is_none_or(|code| (400..500).contains(&code)), "64 kB of headers: {code:?}");
        let after_kib = scene.gateway.memory_kib();
        assert!(after_kib < before_kib + 16 * 1024, "{before_kib} KiB became {after_kib} KiB");
        bystander.assert_undisturbed();
        scene.gateway.assert_alive();
    });
}

#[test]
fn known_and_unknown_users_look_the_same_on_the_page() {
    interop!(["baresip"], |net| {
        let mut scene = scene(net);
        let bystander = Bystander::start(&scene, "bystander", 5076);
        let try_it = |user: &str| {
            #[expect(clippy::disallowed_methods, reason = "measures an attacker's view of time")]
            let begun = Instant::now();
            let answer =
                WsClient::sign_in(scene.config.http(), user, "wrong").map(|(_, answer)| answer);
            (answer, begun.elapsed())
        };
        let mut times: [Vec<Duration>; 2] = [Vec::new(), Vec::new()];
        let mut answers = Vec::new();
        for _ in 0..3 {
            for (which, user) in ["alice", "nobody"].into_iter().enumerate() {
                let (answer, time) = try_it(user);
                answers.push(answer);
                times[which].push(time);
            }
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        assert_eq!(answers[0].as_ref().map(|answer| answer["type"].clone()), Ok(json!("error")));
        let median = |times: &mut Vec<Duration>| {
            times.sort();
            times[times.len() / 2]
        };
        let [known, unknown] = &mut times;
        let apart = median(known).abs_diff(median(unknown));
        assert!(apart < Duration::from_millis(50), "{apart:?} apart");
        bystander.assert_undisturbed();
        scene.gateway.assert_alive();
    });
}

#[test]
fn passwords_cannot_be_guessed_by_the_hundred() {
    interop!(["baresip"], |net| {
        let mut scene = scene(net);
        let bystander = Bystander::start(&scene, "bystander", 5076);
        #[expect(clippy::disallowed_methods, reason = "measures an attacker's view of time")]
        let begun = Instant::now();
        let mut tried = 0;
        while begun.elapsed() < Duration::from_secs(10) {
            match WsClient::sign_in(scene.config.http(), "alice", "wrong") {
                Ok((_, answer)) if is_refused_for_password(&answer) => tried += 1,
                Ok(_) | Err(_) => sleep(Duration::from_millis(50)),
            }
        }
        assert!(tried < 50, "{tried} passwords were tried in 10 s");
        bystander.assert_undisturbed();
        scene.gateway.assert_alive();
    });
}

fn is_refused_for_password(answer: &Value) -> bool {
    answer["type"] == "error" && answer["code"] != "too-many-attempts"
}

#[test]
fn anything_but_hello_first_closes_the_socket() {
    interop!(["baresip"], |net| {
        let mut scene = scene(net);
        let bystander = Bystander::start(&scene, "bystander", 5076);
        let server = scene.config.http();
        for first in [
            r#"{"type":"call","call":"c1","to":"sip:bob@127.0.0.1","sdp":""}"#,
            r#"{"type":"hello"}"#,
            "not json",
            "[]",
            r#"{"type":7}"#,
        ] {
            let mut client =
                WsClient::connect(server, &format!("http://{server}")).expect("a socket");
            client.send_text(first);
            assert_eq!(client.close_code(ANSWER), Some(1008), "{first}");
        }
        bystander.assert_undisturbed();
        scene.gateway.assert_alive();
    });
}

#[test]
fn errors_in_a_session_are_answered_and_garbage_ends_only_its_sender() {
    interop!(["baresip"], |net| {
        let mut scene = scene(net);
        let bystander = Bystander::start(&scene, "bystander", 5076);
        let schema = Schema::published();
        let mut client = sign_in(&scene);
        client.send(&json!({"type": "no-such-thing"}));
        let error = client.receive_type("error", ANSWER).expect("an answer");
        assert_eq!(error["code"], "unknown-type", "{error}");
        schema.assert_valid(&error);
        client.send(&json!({"type": "call", "call": "c1", "to": "bob", "sdp": "no sdp"}));
        let answer = client.receive(ANSWER).expect("an answer");
        assert!(answer["type"] == "error" || answer["type"] == "end", "{answer}");
        schema.assert_valid(&answer);
        for _ in 0..1_000 {
            client.send_text("{garbage");
        }
        assert_eq!(client.close_code(Duration::from_secs(20)), Some(1008));
        sign_in(&scene);
        bystander.assert_undisturbed();
        scene.gateway.assert_alive();
    });
}

/// A browser's offer, shortened, with a role of the caller's choice.
fn offer(setup: &str) -> String {
    format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
         a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=ice-options:trickle\r\n\
         a=fingerprint:sha-256 {}\r\na=setup:{setup}\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\n\
         a=rtpmap:0 PCMU/8000\r\n",
        ["AB"; 32].join(":")
    )
}

#[test]
fn an_active_offer_is_answered_by_a_passive_side() {
    interop!(["baresip"], |net| {
        let scene = scene(net);
        for (setup, expected) in [("active", "passive"), ("passive", "active")] {
            let mut client = sign_in(&scene);
            client.send(&json!({
                "type": "call", "call": "c1", "to": "procom:echo", "sdp": offer(setup),
            }));
            let answer = loop {
                let frame = client.receive(ANSWER).expect("an answer to the call");
                if frame["sdp"].is_string() {
                    break frame;
                }
                assert_ne!(frame["type"], "end", "{frame}");
            };
            let sdp = answer["sdp"].as_str().unwrap_or_default();
            assert!(sdp.contains(&format!("a=setup:{expected}")), "{setup}: {sdp}");
        }
    });
}

#[test]
fn candidates_by_the_hundred_are_bounded() {
    interop!(["baresip"], |net| {
        let mut scene = scene(net);
        let bystander = Bystander::start(&scene, "bystander", 5076);
        let trap = std::net::UdpSocket::bind("127.0.0.77:9999").expect("a free port");
        trap.set_nonblocking(true).expect("a socket can be non-blocking");
        let mut client = sign_in(&scene);
        client.send(&json!({
            "type": "call", "call": "c1", "to": "procom:echo", "sdp": offer("actpass"),
        }));
        for at in 0..500 {
            let line = format!(
                "candidate:{at} 1 udp {} 127.0.0.77 {} typ host",
                2_000_000 + at,
                9_500 + at
            );
            client.send(&json!({
                "type": "candidate", "call": "c1",
                "candidate": {"candidate": line, "sdpMid": "0", "sdpMLineIndex": 0},
            }));
        }
        sleep(Duration::from_secs(3));
        bystander.assert_undisturbed();
        scene.gateway.assert_alive();
    });
}
