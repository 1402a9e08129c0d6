//! Requests of strangers that are only challenged: one answer, no more bytes than three times those
//! that came, and nothing is kept (RFC 3261 §26.3.2.4). `gateway-load flood` measures the same under
//! load; these tests do not depend on the speed of the machine.

use std::net::SocketAddr;
use std::thread::{self, sleep};
use std::time::Duration;

use gateway_tests::interop;
use gateway_tests::sip_caller::ack;
use gateway_tests::sip_client::{SHORT_REQUEST_BYTES, SipClient, request, short_request, status};

use crate::scene::Scene;

/// How long repetitions may come: the first three of timer G (RFC 3261 §17.2.1).
const REPETITIONS: Duration = Duration::from_secs(4);
/// How long one answer may take on a busy machine.
const ANSWER: Duration = Duration::from_secs(5);
/// What has come is there.
const AT_ONCE: Duration = Duration::from_millis(1);
/// More answers to one datagram are not counted.
const MOST_ANSWERS: usize = 100;
/// Requests of the flood.
const FLOOD: usize = 2_000;
/// Requests before memory is measured: buffers grow with the first.
const WARM_UP: usize = 500;
/// What a process may grow by without keeping anything of a request; 2,000 transactions take more.
const NOISE_KIB: u64 = 2 * 1024;

/// Everything that comes within the time.
fn all_that_comes(client: &mut SipClient, within: Duration) -> Vec<String> {
    let step = Duration::from_millis(100);
    let steps = within.as_millis() / step.as_millis();
    let mut heard = Vec::new();
    for _ in 0..steps {
        let bytes = client.receive(step);
        if !bytes.is_empty() {
            heard.push(String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    heard
}

#[test]
fn a_short_invite_of_a_stranger_gets_one_answer_of_at_most_three_times_its_bytes() {
    interop!([], |net| {
        let mut scene = Scene::new(net);
        let mut stranger = SipClient::udp(scene.config.sip());
        let invite = short_request("INVITE", stranger.local(), 1);
        // The second time it is a repetition, and as new to the gateway as the first.
        for attempt in ["the first", "a repetition"] {
            stranger.send(invite.as_bytes()).expect("loopback takes datagrams");
            let heard = all_that_comes(&mut stranger, REPETITIONS);
            assert_eq!(heard.len(), 1, "{attempt} got more or less than one answer: {heard:#?}");
            assert_eq!(status(heard[0].as_bytes()), Some(401), "{attempt} got {}", heard[0]);
            let bytes = heard[0].len();
            assert!(bytes <= 3 * SHORT_REQUEST_BYTES, "{attempt} got {bytes} bytes");
            ack(&mut stranger, &heard[0], "sip:a@b");
            let heard = all_that_comes(&mut stranger, Duration::from_secs(1));
            assert!(heard.is_empty(), "the ACK was answered: {heard:#?}");
        }
        assert_eq!(scene.gateway.metrics().sum("legs_active"), 0.0);
        scene.gateway.assert_alive();
    });
}

fn whole(method: &str, local: SocketAddr) -> String {
    short_request(method, local, 1)
}

/// The shortest that is still a request.
fn compact(method: &str, local: SocketAddr) -> String {
    format!(
        "{method} sip:a SIP/2.0\r\nv:SIP/2.0/UDP {local};branch=z9hG4bK1;rport\r\n\
         f:<sip:a>;tag=1\r\nt:<sip:a>\r\ni:1\r\nCSeq:1 {method}\r\n\r\n"
    )
}

fn cut(method: &str, local: SocketAddr) -> String {
    whole(method, local)[..60].to_owned()
}

/// What keeps a NAT's port open (RFC 5626 §3.5.1).
fn nothing(_: &str, _: SocketAddr) -> String {
    "\r\n\r\n".to_owned()
}

fn word(method: &str, _: SocketAddr) -> String {
    method.to_owned()
}

#[test]
fn a_request_shorter_than_a_phone_sends_gets_at_most_three_times_its_bytes() {
    interop!([], |net| {
        let mut scene = Scene::new(net);
        let mut asked = Vec::new();
        for method in ["INVITE", "REGISTER", "MESSAGE", "OPTIONS", "BYE", "SUBSCRIBE", "FOO"] {
            for form in [whole, compact, cut, nothing, word] {
                let mut stranger = SipClient::udp(scene.config.sip());
                let text = form(method, stranger.local());
                stranger.send(text.as_bytes()).expect("loopback takes datagrams");
                asked.push((stranger, text));
            }
        }
        sleep(REPETITIONS);
        for (stranger, text) in &mut asked {
            let answer = |_| Some(stranger.receive(AT_ONCE).len()).filter(|length| *length > 0);
            let bytes: usize = (0..MOST_ANSWERS).map_while(answer).sum();
            let came = text.len();
            assert!(bytes <= 3 * came, "{came} bytes brought {bytes}: {text}");
        }
        scene.gateway.assert_alive();
    });
}

/// Registers without credentials, one request after the other; panics unless each is challenged.
#[track_caller]
fn ask_in_vain(client: &mut SipClient, name: &str, count: usize) {
    let local = client.local();
    for number in 0..count {
        let register = request("REGISTER", "sip:127.0.0.1", local, &format!("{name}{number}"), "");
        let code = client.ask(&register, ANSWER);
        assert_eq!(code, Some(401), "REGISTER {number} of {count}");
    }
}

#[test]
fn registers_without_a_password_leave_nothing_behind_and_a_phone_registers_meanwhile() {
    interop!(["baresip"], |net| {
        let mut scene = Scene::new(net);
        let mut stranger = SipClient::udp(scene.config.sip());
        ask_in_vain(&mut stranger, "warm-up", WARM_UP);
        let before_kib = scene.gateway.memory_kib();
        ask_in_vain(&mut stranger, "flood", FLOOD);
        let after_kib = scene.gateway.memory_kib();
        assert!(
            after_kib < before_kib + NOISE_KIB,
            "{FLOOD} requests of a stranger left something: {before_kib} KiB became {after_kib} KiB"
        );
        let flood = thread::spawn(move || ask_in_vain(&mut stranger, "more", FLOOD));
        // Its phone has the address of the flood, as a neighbour behind the same NAT.
        let _bob = scene.bob();
        flood.join().expect("every request of the flood is challenged");
        scene.gateway.assert_alive();
    });
}
