//! Attacks on media (rows 3 to 7, 18, 23 of the threat list): handshakes and alerts from nowhere,
//! packets that crash parsers, media stolen or injected, garbage, fingerprints that do not fit.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use gateway_tests::aiortc::Aiortc;
use gateway_tests::capture::Capture;
use gateway_tests::config::Config;
use gateway_tests::interop;
use gateway_tests::noise::Noise;
use gateway_tests::phone::{Protection, Transport};

use crate::attacks::{Bystander, drain, fling, scene, stranger};
use crate::scene::{Model, PASSWORD, PHONE_HZ};

const MEDIA: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), Config::MEDIA_PORT);

/// A fatal alert without keys: DTLS 1.2, epoch 0.
const ALERT: &[u8] = &[21, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40];
/// The head of a ClientHello, and too little of it.
const HELLO: &[u8] = &[
    22, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 54, 1, 0, 0, 42, 0, 0, 0, 0, 0, 0, 0, 42, 0xFE,
    0xFD, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 0, 0, 0, 2, 0xC0, 0x2B, 1, 0,
];
/// Datagrams on which other stacks have panicked.
const CRASHERS: &[&[u8]] = &[
    &[0x80, 0xCB, 0, 0],
    &[0x81, 0xCD, 0, 1, 0x30, 0x30, 0x30, 0x30],
    &[0x90, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xBE, 0xDE, 0xFF, 0xFF, 0x10],
    &[0x9F, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1],
    &[0xB0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xFF],
    &[0x80],
    &[0],
    &[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42],
    &[22],
    &[16, 0, 0, 0],
];

/// A STUN binding request (RFC 8489) with a user name nobody has and a wrong MESSAGE-INTEGRITY.
fn stun_request() -> Vec<u8> {
    let mut request = vec![0, 1, 0, 44, 0x21, 0x12, 0xA4, 0x42];
    request.extend([9; 12]);
    request.extend([0, 6, 0, 16]);
    request.extend(b"nobody00:wrong00");
    request.extend([0, 8, 0, 20]);
    request.extend([1; 20]);
    request
}

/// One RTP packet of PCMU that shouts.
fn rtp(sequence: u16, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend((0..160_u8).map(|at| if at % 8 < 4 { 0x80 } else { 0x00 }));
    packet
}

#[test]
fn handshakes_and_alerts_from_nowhere_do_not_hurt_a_call() {
    interop!(["baresip", "chromium", "node", "web"], |net| {
        let mut scene = scene(net);
        let bystander = Bystander::start(&scene, "bystander", 5076);
        let mut phone = scene.bob();
        let mut page = scene.page("alice");
        let socket = stranger();
        // A second thread floods before, during and after the page's own handshake.
        let flooder = std::thread::spawn(move || {
            for _ in 0..4_000 {
                fling(&socket, ALERT, MEDIA);
                fling(&socket, HELLO, MEDIA);
                sleep(Duration::from_millis(3));
            }
            drain(&socket)
        });
        page.call("bob");
        page.wait_state("in-call");
        page.assert_hears(PHONE_HZ);
        page.hang_up();
        phone.wait_ended();
        let answers = flooder.join().expect("the flood is over");
        assert_eq!(answers, 0, "a stranger was answered");
        bystander.assert_undisturbed();
        scene.gateway.assert_alive();
        scene.gateway.assert_nothing_left();
    });
}

#[test]
fn packets_that_crash_parsers_crash_nothing() {
    interop!(["baresip"], |net| {
        let mut scene = scene(net);
        let mut bystander = Bystander::start(&scene, "bystander", 5076);
        let socket = stranger();
        let mut targets = vec![MEDIA];
        targets.extend(bystander.media_ports().into_iter().flat_map(|port| {
            [port, port + 1].map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
        }));
        for _ in 0..50 {
            for crasher in CRASHERS {
                targets.iter().for_each(|target| fling(&socket, crasher, *target));
            }
            sleep(Duration::from_millis(20));
        }
        bystander.assert_undisturbed();
        scene.gateway.assert_alive();
        scene.gateway.assert_nothing_left();
    });
}

#[test]
fn a_sprayer_gets_no_media_and_is_not_heard() {
    interop!(["baresip"], |net| {
        let mut scene = scene(net);
        let mut bystander = Bystander::start(&scene, "bystander", 5076);
        let ports = bystander.media_ports();
        assert!(!ports.is_empty(), "the gateway named no media port");
        let socket = stranger();
        for sequence in 0..250 {
            for port in &ports {
                fling(&socket, &rtp(sequence, 0x5151), ([127, 0, 0, 1], *port).into());
            }
            sleep(Duration::from_millis(20));
        }
        assert_eq!(drain(&socket), 0, "media bled to a stranger");
        bystander.assert_undisturbed();
        scene.gateway.assert_alive();
    });
}

/// Sends a datagram from a port that is another's.
const FORGE: &str = "
import socket, struct, sys
source, target, body = int(sys.argv[1]), int(sys.argv[2]), bytes.fromhex(sys.argv[3])
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
raw.sendto(struct.pack('!HHHH', source, target, 8 + len(body), 0) + body, ('127.0.0.1', 0))
";

#[test]
fn an_rtcp_bye_from_the_phones_own_address_ends_no_call() {
    interop!(["baresip", "dumpcap"], |net| {
        let mut scene = scene(net);
        let capture = Capture::start(net);
        let mut bystander = Bystander::start(&scene, "bystander", 5076);
        sleep(Duration::from_secs(1));
        let ports = bystander.media_ports();
        let said: Vec<_> = capture
            .stop()
            .streams()
            .into_iter()
            .filter(|stream| ports.contains(&stream.destination.port()))
            .map(|stream| (stream.source.port(), stream.destination.port(), stream.ssrc))
            .collect();
        assert!(!said.is_empty(), "the phone said nothing");
        for (source, target, ssrc) in said {
            // An empty receiver report, then BYE for the phone's own SSRC (RFC 3550 §6.6).
            let bye = format!("80c90001{ssrc:08x}81cb0001{ssrc:08x}");
            // On the port of RTCP, and on that of RTP as with rtcp-mux.
            for offset in [0, 1] {
                let (source, target) =
                    ((source + offset).to_string(), (target + offset).to_string());
                let mut forge = gateway_tests::namespace::command("python3");
                let status = forge.args(["-c", FORGE, &source, &target, &bye]).status();
                assert!(status.expect("python3 can be started").success());
            }
        }
        sleep(Duration::from_secs(2));
        bystander.assert_undisturbed();
        scene.gateway.assert_alive();
        scene.gateway.assert_nothing_left();
    });
}

#[test]
fn garbage_and_injected_packets_do_not_end_a_sealed_call() {
    interop!(["baresip", "chromium", "node", "web"], |net| {
        let mut scene = scene(net);
        let bystander = Bystander::start(&scene, "bystander", 5076);
        let settings = scene.settings("bob", 5072, Transport::Tcp).with(Protection::Sdes);
        let mut phone = scene.phone(Model::Baresip, &settings);
        let mut page = scene.page("alice");
        page.call("bob");
        page.wait_state("in-call");
        // From the phone's own address, as an attacker on its machine could; the tag must decide.
        let near = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback has free ports");
        let far = stranger();
        let mut noise = Noise::new(7);
        let said = phone.process().output().to_owned();
        let pattern = regex::Regex::new(r"m=audio (4\d{4}) ").expect("a pattern of ours");
        let ports: Vec<u16> =
            pattern.captures_iter(&said).filter_map(|found| found[1].parse().ok()).collect();
        assert!(!ports.is_empty(), "the gateway named no media port");
        page.browser.listen();
        for sequence in 0..200 {
            for port in ports.iter().copied().chain([Config::MEDIA_PORT]) {
                let target = ([127, 0, 0, 1], port).into();
                fling(&near, &rtp(sequence, 0x5151), target);
                fling(&far, &rtp(sequence, 0x5151), target);
                fling(&far, &noise.bytes(200), target);
                fling(&near, &noise.mutated(&rtp(sequence, 0x5151)), target);
            }
            sleep(Duration::from_millis(20));
        }
        let heard = page.browser.heard();
        gateway_tests::audio::assert_sound(
            &heard,
            "the page under injection",
            gateway_tests::audio::Demand::tone(PHONE_HZ, 3.0),
        );
        page.hang_up();
        phone.wait_ended();
        bystander.assert_undisturbed();
        scene.gateway.assert_alive();
        scene.gateway.assert_nothing_left();
    });
}

#[test]
fn strangers_get_no_answer_to_stun_without_a_password() {
    interop!(["baresip"], |net| {
        let mut scene = scene(net);
        let bystander = Bystander::start(&scene, "bystander", 5076);
        let socket = stranger();
        let request = stun_request();
        for _ in 0..500 {
            fling(&socket, &request, MEDIA);
            sleep(Duration::from_millis(2));
        }
        assert_eq!(drain(&socket), 0, "unauthenticated STUN was answered");
        bystander.assert_undisturbed();
        scene.gateway.assert_alive();
    });
}

#[test]
fn a_fingerprint_that_does_not_fit_gets_no_media() {
    interop!(["baresip", "python:aiortc", "python:websockets"], |net| {
        let scene = scene(net);
        let bystander = Bystander::start(&scene, "bystander", 5076);
        let mut phone = scene.bob();
        let url = format!("ws://{}/procom", scene.config.http());
        let mut client = Aiortc::start_with_wrong_fingerprint(net, &url, "alice", PASSWORD, 550);
        client.call("procom:bob");
        let end = client.wait("end", Duration::from_secs(40));
        assert_eq!(end["cause"], "security", "{end}");
        phone.wait_ended();
        client.stop();
        bystander.assert_undisturbed();
        scene.gateway.assert_nothing_left();
    });
}
