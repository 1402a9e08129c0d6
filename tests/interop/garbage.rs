//! Bad input: 10,000 random and mutated frames at every listener leave the process up, its calls
//! undisturbed and its memory flat.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use gateway_tests::config::Config;
use gateway_tests::interop;
use gateway_tests::namespace::Net;
use gateway_tests::noise::Noise;
use gateway_tests::sip_client::{SipClient, request};
use gateway_tests::ws_client::WsClient;

use crate::attacks::{Bystander, fling, scene, stranger};
use crate::scene::{PASSWORD, Scene};

const FRAMES: usize = 10_000;
/// What may stay allocated after 10,000 bad frames, KiB.
const FLAT_KIB: u64 = 12 * 1024;

/// Throws `FRAMES` bad frames by `throw`, which is told how many it has thrown already.
fn under_fire(net: &Net, seed: u64, mut throw: impl FnMut(&Scene<'_>, &mut Noise, usize)) {
    let mut scene = scene(net);
    let bystander = Bystander::start(&scene, "bystander", 5076);
    let mut noise = Noise::new(seed);
    // The first tenth fills what stays filled.
    (0..FRAMES / 10).for_each(|at| throw(&scene, &mut noise, at));
    let before_kib = scene.gateway.memory_kib();
    (FRAMES / 10..FRAMES).for_each(|at| throw(&scene, &mut noise, at));
    sleep(Duration::from_secs(1));
    let after_kib = scene.gateway.memory_kib();
    assert!(after_kib < before_kib + FLAT_KIB, "{before_kib} KiB became {after_kib} KiB");
    bystander.assert_undisturbed();
    scene.gateway.assert_alive();
    scene.gateway.assert_nothing_left();
}

/// Good messages to make bad ones of.
fn seeds(local: SocketAddr) -> Vec<Vec<u8>> {
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
               m=audio 9 RTP/SAVP 0 101\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA\r\n";
    let body =
        format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len());
    ["INVITE", "REGISTER", "OPTIONS", "BYE", "CANCEL", "ACK", "REFER", "NOTIFY", "PUBLISH"]
        .iter()
        .flat_map(|method| {
            let plain = request(method, "sip:bob@127.0.0.1", local, "seed", "");
            let with_body = plain.replace("Content-Length: 0\r\n\r\n", &body);
            [plain.into_bytes(), with_body.into_bytes()]
        })
        .chain([b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKa\r\nCSeq: 1 INVITE\r\n\r\n"
            .to_vec()])
        .collect()
}

fn bad_sip(noise: &mut Noise, at: usize) -> Vec<u8> {
    let seeds = seeds(([127, 0, 0, 1], 5999).into());
    if at.is_multiple_of(4) {
        return noise.bytes(1_200);
    }
    let seed = noise.below(seeds.len());
    // Ids of their own, or all would be one transaction.
    let good = String::from_utf8_lossy(&seeds[seed]).replace("seed", &format!("seed{at}"));
    noise.mutated(good.as_bytes())
}

#[test]
fn ten_thousand_bad_datagrams_at_sip() {
    interop!(["baresip"], |net| {
        let socket = stranger();
        under_fire(net, 1, |scene, noise, at| {
            fling(&socket, &bad_sip(noise, at), scene.config.sip());
            if at.is_multiple_of(50) {
                sleep(Duration::from_millis(5));
            }
        });
    });
}

#[test]
fn ten_thousand_bad_messages_at_sip_over_tcp() {
    interop!(["baresip"], |net| {
        let mut client: Option<SipClient> = None;
        under_fire(net, 2, |scene, noise, at| {
            let flow = client.take().or_else(|| SipClient::tcp(scene.config.sip()).ok());
            let Some(mut flow) = flow else { return };
            if flow.send(&bad_sip(noise, at)).is_ok() && !at.is_multiple_of(25) {
                client = Some(flow);
            }
        });
    });
}

#[test]
fn ten_thousand_bad_messages_at_sip_over_tls() {
    interop!(["baresip"], |net| {
        let mut client: Option<SipClient> = None;
        under_fire(net, 3, |scene, noise, at| {
            // Every tenth connection speaks no TLS at all.
            let fresh = || {
                let server = scene.config.sip_tls();
                if at.is_multiple_of(10) { SipClient::tcp(server) } else { SipClient::tls(server) }
            };
            let Some(mut flow) = client.take().or_else(|| fresh().ok()) else { return };
            if flow.send(&bad_sip(noise, at)).is_ok() && !at.is_multiple_of(50) {
                client = Some(flow);
            }
        });
    });
}

#[test]
fn ten_thousand_bad_datagrams_at_the_media_port() {
    interop!(["baresip"], |net| {
        let socket = stranger();
        let media = SocketAddr::from(([127, 0, 0, 1], Config::MEDIA_PORT));
        let good: [&[u8]; 4] = [
            &[
                0, 1, 0, 8, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 6, 0,
                4, 97, 58, 98, 0,
            ],
            &[22, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x80, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14],
            &[
                0x81, 0xC9, 0, 7, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                0, 0, 0, 0, 0, 0,
            ],
        ];
        under_fire(net, 4, |_, noise, at| {
            let bytes = if at.is_multiple_of(3) {
                noise.bytes(1_400)
            } else {
                let seed = noise.below(good.len());
                noise.mutated(good[seed])
            };
            fling(&socket, &bytes, media);
            if at.is_multiple_of(50) {
                sleep(Duration::from_millis(5));
            }
        });
    });
}

#[test]
fn ten_thousand_bad_frames_at_the_web_socket() {
    interop!(["baresip"], |net| {
        let good: [&str; 8] = [
            r#"{"type":"call","call":"c1","to":"procom:bob","sdp":"v=0\r\n","require":"any"}"#,
            r#"{"type":"candidate","call":"c1","candidate":{"candidate":"candidate:1 1 udp 1 127.0.0.1 9 typ host","sdpMid":"0","sdpMLineIndex":0}}"#,
            r#"{"type":"digit","call":"c1","digit":"5","duration_ms":160}"#,
            r#"{"type":"end","call":"c1","cause":"normal"}"#,
            r#"{"type":"transfer","call":"c1","to":"xmpp:eve@example.org"}"#,
            r#"{"type":"hello","version":1,"user":"alice","password":"x"}"#,
            r#"{"type":"hello","version":1,"resume":"secret","received":4}"#,
            r#"{"type":"message","id":"m1","to":"tel:+4512345678","body":"x","content":"text/plain"}"#,
        ];
        let mut client: Option<WsClient> = None;
        under_fire(net, 5, |scene, noise, at| {
            let server = scene.config.http();
            let fresh = || {
                if at.is_multiple_of(2) {
                    WsClient::connect(server, &format!("http://{server}")).ok()
                } else {
                    WsClient::sign_in(server, "alice", PASSWORD).ok().map(|(client, _)| client)
                }
            };
            let Some(mut socket) = client.take().or_else(fresh) else { return };
            let seed = noise.below(good.len());
            let bytes = noise.mutated(good[seed].as_bytes());
            match at % 5 {
                0 => socket.send_raw(&noise.bytes(300)),
                1 => socket.send_binary(&bytes),
                _ => socket.send_text(&String::from_utf8_lossy(&bytes)),
            }
            if !at.is_multiple_of(20) {
                client = Some(socket);
            }
        });
    });
}
