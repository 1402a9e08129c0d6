//! Attacks on SIP (rows 8 to 11, 16 and 21 of the threat list): spoofed requests in a dialog,
//! leaked digests, guessing, toll fraud, oversize, floods.

use std::net::IpAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use gateway_tests::interop;
use gateway_tests::sip_caller::{SipCaller, authorize};
use gateway_tests::sip_client::{SipClient, request, status};
use nix::sys::signal::Signal;
use regex::Regex;

use crate::attacks::{Bystander, scene};
use crate::scene::{STEP, Scene};

const ANSWER: Duration = Duration::from_secs(3);

fn call_by_hand(scene: &Scene<'_>, to: &str) -> Result<SipCaller, u16> {
    SipCaller::call(scene.config.sip(), "bob", "secret-bob", to, 29_000)
}

#[test]
fn spoofed_requests_do_not_touch_a_dialog() {
    interop!(["baresip"], |net| {
        let mut scene = scene(net);
        let bystander = Bystander::start(&scene, "bystander", 5076);
        let mut caller = call_by_hand(&scene, "echo").expect("bob may call the echo");
        let legs = scene.gateway.metrics().sum("legs_active");
        // Right Call-ID, wrong tag; then everything right but from another address.
        let wrong_tag = caller
            .request("BYE", 20, "")
            .replace(&format!("tag={}", caller.remote_tag), "tag=guessed");
        assert_eq!(caller.client.ask(&wrong_tag, ANSWER), Some(481));
        let mut elsewhere = SipClient::udp(scene.config.sip());
        for method in ["BYE", "REFER", "INVITE", "UPDATE", "CANCEL", "INFO"] {
            let spoofed = caller.request(method, 30, "Refer-To: <sip:eve@127.0.0.1>\r\n");
            let code = elsewhere.ask(&spoofed, ANSWER);
            assert!(code.is_none_or(|code| code >= 400), "{method} from elsewhere: {code:?}");
        }
        let late = caller.request("BYE", 1, "");
        assert!(caller.client.ask(&late, ANSWER).is_none_or(|code| code >= 400), "an old CSeq");
        assert_eq!(scene.gateway.metrics().sum("legs_active"), legs, "a spoofed request worked");
        assert_eq!(caller.hang_up(), Some(200));
        bystander.assert_undisturbed();
        scene.gateway.assert_alive();
        scene.gateway.assert_nothing_left();
    });
}

#[test]
fn a_challenge_to_our_own_bye_gets_no_digest() {
    interop!(["baresip"], |net| {
        let mut scene = Scene::with(net, |config| config.set("gateway", "drain_s = 1"));
        let mut caller = call_by_hand(&scene, "echo").expect("bob may call the echo");
        // The gateway says goodbye; the caller demands credentials for it.
        scene.gateway.process.signal(Signal::SIGTERM);
        let mut seen = String::new();
        let keep = Regex::new(r"(?im)^(Via|From|To|Call-ID|CSeq):").expect("a pattern of ours");
        for _ in 0..12 {
            let bye = caller.client.receive(Duration::from_secs(2));
            let text = String::from_utf8_lossy(&bye).into_owned();
            if !text.starts_with("BYE") {
                continue;
            }
            assert!(!text.contains("Authorization:"), "a digest was leaked:\n{text}");
            let headers: String = text
                .lines()
                .filter(|line| keep.is_match(line))
                .map(|line| format!("{line}\r\n"))
                .collect();
            let demand =
                "Proxy-Authenticate: Digest realm=\"trap\", nonce=\"1\", algorithm=MD5\r\n";
            let answer = format!(
                "SIP/2.0 407 Proxy Authentication Required\r\n{headers}{demand}Content-Length: 0\r\n\r\n"
            );
            let _ = caller.client.send(answer.as_bytes());
            seen = text;
        }
        assert!(!seen.is_empty(), "the gateway sent no BYE");
        scene.gateway.process.ends_within(STEP);
    });
}

/// A REGISTER for `user`, answered with a digest of the wrong password.
fn guess(
    client: &mut SipClient,
    scene: &Scene<'_>,
    user: &str,
    attempt: u32,
) -> (Option<u16>, Duration) {
    sign_in(client, scene, (user, "wrong"), attempt)
}

/// A REGISTER for a user, answered with a digest of that password: the status, and how long it took
/// to come.
fn sign_in(
    client: &mut SipClient,
    scene: &Scene<'_>,
    (user, password): (&str, &str),
    attempt: u32,
) -> (Option<u16>, Duration) {
    let server = scene.config.sip();
    let uri = format!("sip:{server}");
    let local = client.local();
    let register = |cseq: u32, extra: &str| {
        request("REGISTER", &uri, local, &format!("guess-{user}-{attempt}"), extra)
            .replace("stranger@", &format!("{user}@"))
            .replace("CSeq: 1", &format!("CSeq: {cseq}"))
            .replace(";rport", &format!("{cseq};rport"))
            .replace(&format!("To: <{uri}>"), &format!("To: <sip:{user}@{}>", server.ip()))
    };
    let first = register(1, "");
    if client.send(first.as_bytes()).is_err() {
        return (None, Duration::ZERO);
    }
    let challenge = String::from_utf8_lossy(&client.receive(ANSWER)).into_owned();
    let Some(line) = authorize(&challenge, user, password, "REGISTER", &uri) else {
        return (status(challenge.as_bytes()), Duration::ZERO);
    };
    let second = register(2, &line);
    #[expect(clippy::disallowed_methods, reason = "measures an attacker's view of time")]
    let begun = Instant::now();
    let code = client.ask(&second, ANSWER);
    (code, begun.elapsed())
}

#[test]
fn known_and_unknown_users_look_the_same_to_a_guesser() {
    interop!(["baresip"], |net| {
        let mut scene = scene(net);
        let bystander = Bystander::start(&scene, "bystander", 5076);
        let mut codes = Vec::new();
        let mut times: [Vec<Duration>; 2] = [Vec::new(), Vec::new()];
        for attempt in 0..5 {
            for (which, user) in ["bob", "nobody"].into_iter().enumerate() {
                let mut client = SipClient::udp(scene.config.sip());
                let (code, time) = guess(&mut client, &scene, user, attempt);
                codes.push(code);
                times[which].push(time);
            }
        }
        assert!(codes.iter().all(|code| *code == codes[0]), "answers differ: {codes:?}");
        let median = |times: &mut Vec<Duration>| {
            times.sort();
            times[times.len() / 2]
        };
        let [known, unknown] = &mut times;
        let apart = median(known).abs_diff(median(unknown));
        assert!(apart < Duration::from_millis(20), "{apart:?} apart");
        bystander.assert_undisturbed();
        scene.gateway.assert_alive();
    });
}

#[test]
fn a_guesser_is_slowed_down_and_the_owner_is_not() {
    interop!(["baresip"], |net| {
        let mut scene = scene(net);
        let bystander = Bystander::start(&scene, "bystander", 5076);
        let server = scene.config.sip();
        let owner = ("bob", "secret-bob");
        let mut phone = SipClient::udp(server);
        assert_eq!(sign_in(&mut phone, &scene, owner, 1).0, Some(200));
        let travels = || SipClient::udp_from(IpAddr::from([127, 0, 0, 77]), server);
        assert_eq!(sign_in(&mut travels(), &scene, owner, 2).0, Some(200));
        let codes: Vec<_> = (100..300)
            .map(|attempt| guess(&mut SipClient::udp(server), &scene, "bob", attempt).0)
            .collect();
        let judged = codes.iter().filter(|code| **code == Some(403)).count();
        let waited = codes.iter().filter(|code| **code == Some(503)).count();
        assert_eq!(judged + waited, 200, "every guess is judged or has to wait: {codes:?}");
        assert!((5..=30).contains(&judged), "{judged} of 200 passwords were tried");
        // The guesser's own address, and another port: the phone that is registered refreshes.
        assert_eq!(sign_in(&mut phone, &scene, owner, 3).0, Some(200));
        // A network that the owner used before, and a port that it did not.
        assert_eq!(sign_in(&mut travels(), &scene, owner, 4).0, Some(200));
        bystander.assert_undisturbed();
        scene.gateway.assert_alive();
    });
}

#[test]
fn a_stranger_gets_one_datagram_of_at_most_three_times_its_bytes() {
    interop!(["baresip"], |net| {
        let mut scene = scene(net);
        let bystander = Bystander::start(&scene, "bystander", 5076);
        let mut stranger = SipClient::udp(scene.config.sip());
        let local = stranger.local();
        for method in ["INVITE", "REGISTER", "MESSAGE", "OPTIONS", "BYE", "SUBSCRIBE"] {
            let asked = format!(
                "{method} sip:bob@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK1\r\n\
                 From: <sip:a@b>;tag=1\r\nTo: <sip:bob@b>\r\nCall-ID: 1\r\nCSeq: 1 {method}\r\n\
                 Content-Length: 0\r\n\r\n"
            );
            stranger.send(asked.as_bytes()).expect("loopback takes a datagram");
            let answer = stranger.receive(ANSWER);
            assert!(!answer.is_empty(), "{method} is not answered");
            assert!(answer.len() <= 3 * asked.len(), "{method}: {} bytes", answer.len());
            eprintln!("{method}: {} bytes out for {} in", answer.len(), asked.len());
        }
        assert!(stranger.receive(ANSWER).is_empty(), "an answer was repeated");
        bystander.assert_undisturbed();
        scene.gateway.assert_alive();
    });
}

#[test]
fn nobody_calls_abroad_by_default() {
    interop!(["baresip"], |net| {
        let mut scene = scene(net);
        let bystander = Bystander::start(&scene, "bystander", 5076);
        let server = scene.config.sip();
        let mut stranger = SipClient::udp(server);
        for uri in
            ["sip:bob@127.0.0.1", "sip:+4590000000@127.0.0.1", "sip:x@192.0.2.1", "tel:+4590000000"]
        {
            let invite =
                request("INVITE", uri, stranger.local(), &format!("toll-{}", uri.len()), "");
            let code = stranger.ask(&invite, ANSWER);
            assert!(matches!(code, Some(401 | 403 | 404 | 407)), "a stranger to {uri}: {code:?}");
        }
        for to in ["+4590000000", "0900123456"] {
            let refused = call_by_hand(&scene, to).err();
            assert!(matches!(refused, Some(403 | 404)), "bob to {to}: {refused:?}");
        }
        assert_eq!(scene.gateway.metrics().sum("legs_active"), 1.0, "only the bystander");
        bystander.assert_undisturbed();
        scene.gateway.assert_alive();
    });
}

#[test]
fn oversize_messages_are_not_kept_in_memory() {
    interop!(["baresip"], |net| {
        let mut scene = scene(net);
        let bystander = Bystander::start(&scene, "bystander", 5076);
        let before_kib = scene.gateway.memory_kib();
        let endless = [b"OPTIONS sip:x SIP/2.0\r\nX: ".to_vec(), vec![b'a'; 32 * 1024]].concat();
        for _ in 0..20 {
            let Ok(mut client) = SipClient::tcp(scene.config.sip()) else { continue };
            let mut sent = 0;
            while sent < 8 * 1024 * 1024 && client.send(&endless).is_ok() {
                sent += endless.len();
            }
            assert!(sent < 8 * 1024 * 1024, "8 MiB of one message were taken");
        }
        let huge = request("OPTIONS", "sip:x", scene.config.sip(), "huge", "")
            .replace("Content-Length: 0", "Content-Length: 999999999");
        let mut client = SipClient::tcp(scene.config.sip()).expect("TCP is taken");
        client.send(huge.as_bytes()).expect("the head fits");
        client.receive(ANSWER);
        let after_kib = scene.gateway.memory_kib();
        assert!(after_kib < before_kib + 16 * 1024, "{before_kib} KiB became {after_kib} KiB");
        bystander.assert_undisturbed();
        scene.gateway.assert_alive();
    });
}

#[test]
fn a_flood_of_invites_leaves_calls_and_phones_alone() {
    interop!(["baresip"], |net| {
        let mut scene = scene(net);
        let bystander = Bystander::start(&scene, "bystander", 5076);
        let server = scene.config.sip();
        let mut client = SipClient::udp(server);
        let local = client.local();
        let before_kib = scene.gateway.memory_kib();
        for at in 0..5_000 {
            let invite = request("INVITE", "sip:bob@127.0.0.1", local, &format!("flood{at}"), "");
            let _ = client.send(invite.as_bytes());
        }
        // One request again and again is one request.
        let one = request("INVITE", "sip:bob@127.0.0.1", local, "again", "");
        for _ in 0..500 {
            let _ = client.send(one.as_bytes());
        }
        sleep(Duration::from_secs(2));
        assert_eq!(scene.gateway.metrics().sum("legs_active"), 1.0, "only the bystander");
        let mut caller = call_by_hand(&scene, "echo").expect("calls are still taken");
        assert_eq!(caller.hang_up(), Some(200));
        let after_kib = scene.gateway.memory_kib();
        assert!(after_kib < before_kib + 32 * 1024, "{before_kib} KiB became {after_kib} KiB");
        bystander.assert_undisturbed();
        scene.gateway.assert_alive();
    });
}

#[test]
fn connections_that_say_nothing_are_bounded_and_closed() {
    interop!(["baresip"], |net| {
        let mut scene = scene(net);
        let bystander = Bystander::start(&scene, "bystander", 5076);
        let mut held: Vec<_> = (0..400)
            .flat_map(|_| {
                [SipClient::tcp(scene.config.sip()), SipClient::tcp(scene.config.sip_tls())]
            })
            .flatten()
            .collect();
        sleep(Duration::from_secs(12));
        // A half-open TLS handshake has its deadline.
        let mut open = 0;
        for client in held.iter_mut().skip(1).step_by(2) {
            let is_open = client.send(b"\x16").is_ok() && {
                sleep(Duration::from_millis(1));
                client.send(b"\x03").is_ok()
            };
            open += usize::from(is_open);
        }
        assert!(open < 40, "{open} silent TLS connections are still open");
        drop(held);
        let mut caller = call_by_hand(&scene, "echo").expect("calls are still taken");
        assert_eq!(caller.hang_up(), Some(200));
        bystander.assert_undisturbed();
        scene.gateway.assert_alive();
    });
}
