//! Digest: the examples of the RFCs, both sides against each other, and what an attacker tries.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::stack::flow::{Flow, Transport};
use crate::stack::tokens::Tokens;
use crate::stack::wire::{Method, Request, Response};
use crate::testing::{flow, request, start};

fn register() -> Request {
    request(
        "REGISTER sip:gw.example SIP/2.0\n\
         Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\n\
         Max-Forwards: 70\nFrom: <sip:alice@gw.example>;tag=1\nTo: <sip:alice@gw.example>\n\
         Call-ID: r1\nCSeq: 1 REGISTER\nContent-Length: 0",
    )
}

fn guard(now: Instant) -> Guard {
    Guard::new("gw.example", &mut Tokens::new([7; 32]), now)
}

fn phone() -> Flow {
    flow(Transport::Udp)
}

fn challenge(guard: &mut Guard, request: &Request, now: Instant) -> Response {
    let mut response = Response::to_request(request, 401);
    for value in guard.challenges(request, phone(), false, now) {
        response.push("WWW-Authenticate", &value);
    }
    response
}

/// What becomes of a request with credentials.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Absent,
    Dead,
    Broken,
    Judged(Verdict),
}

fn judge_from(guard: &mut Guard, request: &Request, flow: Flow, now: Instant) -> Outcome {
    let secret = Secret::new("alice", "gw.example", "secret");
    match guard.claim(request, "Authorization", flow, now) {
        Claim::Absent => Outcome::Absent,
        Claim::Dead => Outcome::Dead,
        Claim::Broken => Outcome::Broken,
        Claim::Live(credentials) => {
            let known = (credentials.user() == "alice").then_some(&secret);
            Outcome::Judged(guard.judge(&credentials, request, known))
        }
    }
}

fn judge(guard: &mut Guard, request: &Request, now: Instant) -> Outcome {
    judge_from(guard, request, phone(), now)
}

/// A REGISTER with right credentials for a fresh challenge.
fn answered(guard: &mut Guard, password: &str, now: Instant) -> Request {
    let mut request = register();
    let response = challenge(guard, &request, now);
    assert!(Responder::new("alice", password, None).answer(&mut request, &response, "c0ffee"));
    request
}

#[test]
fn the_example_of_rfc_7616_comes_out_for_both_hashes() {
    let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
    let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
    let parts = ["Mufasa", "http-auth@example.org", "Circle of Life"];
    for (algorithm, expected) in [
        (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
        (Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ] {
        let ha1 = algorithm.hash(&parts);
        let proof = Proof {
            algorithm,
            nonce,
            counted: Some(("00000001", cnonce)),
            method: "GET",
            uri: "/dir/index.html",
        };
        assert_eq!(proof.response(&ha1).as_str(), expected);
    }
}

#[test]
fn the_stronger_hash_is_offered_first_and_taken() {
    let now = start();
    let mut guard = guard(now);
    let offered = guard.challenges(&register(), phone(), false, now);
    assert_eq!(offered.len(), 2);
    assert!(offered[0].contains("algorithm=SHA-256") && offered[1].contains("algorithm=MD5"));
    let request = answered(&mut guard, "secret", now);
    let credentials = request.fields().text("Authorization").unwrap();
    assert!(credentials.contains("algorithm=SHA-256"));
    assert_eq!(judge(&mut guard, &request, now), Outcome::Judged(Verdict::Proven));
}

#[test]
fn a_phone_that_stumbles_over_the_stronger_hash_is_not_shown_it() {
    let now = start();
    let mut request = register();
    request.push("User-Agent", "baresip v1.0.0 (x86_64/linux)");
    let offered = guard(now).challenges(&request, phone(), false, now);
    assert_eq!(offered.len(), 1);
    assert!(offered[0].contains("algorithm=MD5"));
}

#[test]
fn sipp_is_known_by_its_branches() {
    let request = request(
        "INVITE sip:echo@gw.example SIP/2.0\n\
         Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK-17-1-0\n\
         Max-Forwards: 70\nFrom: <sip:alice@gw.example>;tag=17t1\n\
         To: <sip:echo@gw.example>\nCall-ID: 1-17@192.0.2.7\nCSeq: 1 INVITE\nContent-Length: 0",
    );
    let offered = guard(start()).challenges(&request, phone(), false, start());
    assert_eq!(offered.len(), 1);
}

#[test]
fn the_same_credentials_twice_are_stale_and_not_refused() {
    let now = start();
    let mut guard = guard(now);
    let request = answered(&mut guard, "secret", now);
    assert_eq!(judge(&mut guard, &request, now), Outcome::Judged(Verdict::Proven));
    assert_eq!(judge(&mut guard, &request, now), Outcome::Judged(Verdict::Stale));
}

#[test]
fn an_old_nonce_and_one_of_another_life_are_dead_whatever_the_password() {
    let now = start();
    for password in ["secret", "guess"] {
        let mut guard = guard(now);
        let request = answered(&mut guard, password, now);
        let late = now + Duration::from_secs(601);
        assert_eq!(judge(&mut guard, &request, late), Outcome::Dead);
        let mut other = Guard::new("gw.example", &mut Tokens::new([8; 32]), now);
        assert_eq!(judge(&mut other, &request, now), Outcome::Dead);
    }
}

#[test]
fn a_nonce_is_dead_for_everybody_but_who_asked() {
    let now = start();
    let at = |text: &str| Flow { remote: text.parse().unwrap(), ..phone() };
    let tcp = |text: &str| Flow { transport: Transport::Tcp, ..at(text) };
    let cases = [
        (at("192.0.2.7:5060"), at("192.0.2.8:5060"), false),
        (at("192.0.2.7:5060"), at("192.0.2.7:5061"), false),
        (at("192.0.2.7:5060"), tcp("192.0.2.7:5060"), false),
        (at("192.0.2.7:5060"), at("[::ffff:192.0.2.7]:5060"), true),
        (tcp("192.0.2.7:40000"), tcp("192.0.2.7:40001"), true),
        (tcp("192.0.2.7:40000"), tcp("192.0.2.8:40000"), false),
        (tcp("[2001:db8::1]:1"), tcp("[2001:db8::1]:2"), true),
    ];
    for (asked, answers, is_live) in cases {
        let mut guard = guard(now);
        let mut request = register();
        let mut response = Response::to_request(&request, 401);
        for value in guard.challenges(&request, asked, false, now) {
            response.push("WWW-Authenticate", &value);
        }
        assert!(Responder::new("alice", "secret", None).answer(&mut request, &response, "c"));
        let outcome = judge_from(&mut guard, &request, answers, now);
        let expected = if is_live { Outcome::Judged(Verdict::Proven) } else { Outcome::Dead };
        assert_eq!(outcome, expected, "{} by {}", asked.remote, answers.remote);
    }
}

#[test]
fn a_nonce_is_43_letters_and_both_challenges_share_it() {
    let now = start();
    let mut guard = guard(now);
    let nonce =
        |value: &str| value.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let offered = guard.challenges(&register(), phone(), false, now);
    assert_eq!(nonce(&offered[0]), nonce(&offered[1]));
    assert_eq!(nonce(&offered[0]).len(), 43);
    let again = guard.challenges(&register(), phone(), false, now);
    assert_ne!(nonce(&offered[0]), nonce(&again[0]));
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_refused_alike() {
    let now = start();
    let mut guard = guard(now);
    let request = answered(&mut guard, "guess", now);
    assert_eq!(judge(&mut guard, &request, now), Outcome::Judged(Verdict::Refused));
    let mut request = register();
    let response = challenge(&mut guard, &request, now);
    assert!(Responder::new("nobody", "x", None).answer(&mut request, &response, "c"));
    assert_eq!(judge(&mut guard, &request, now), Outcome::Judged(Verdict::Refused));
}

#[test]
fn credentials_for_another_method_or_resource_are_refused() {
    let now = start();
    let mut guard = guard(now);
    let stolen = answered(&mut guard, "secret", now).fields().text("Authorization").unwrap();
    let mut bye = request(
        "BYE sip:gw.example SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK2\nMax-Forwards: 70\n\
         From: <sip:a@b>;tag=1\nTo: <sip:a@b>\nCall-ID: r1\nCSeq: 1 BYE\nContent-Length: 0",
    );
    bye.set("Authorization", &stolen);
    assert_eq!(judge(&mut guard, &bye, now), Outcome::Judged(Verdict::Refused));
}

#[test]
fn no_credentials_or_those_for_another_realm_are_none() {
    let now = start();
    let mut guard = guard(now);
    let mut request = register();
    assert_eq!(judge(&mut guard, &request, now), Outcome::Absent);
    request.set("Authorization", "Digest username=\"alice\", realm=\"elsewhere\", nonce=\"x\"");
    assert_eq!(judge(&mut guard, &request, now), Outcome::Absent);
}

#[test]
fn a_client_answers_a_nonce_once_a_request_and_its_own_realm_only() {
    let now = start();
    let mut guard = guard(now);
    let mut request = register();
    let response = challenge(&mut guard, &request, now);
    let mut responder = Responder::new("alice", "secret", None);
    assert!(responder.answer(&mut request, &response, "c"));
    assert!(!responder.answer(&mut request, &response, "c"), "the password is wrong");
    let mut elsewhere = Guard::new("evil.example", &mut Tokens::new([9; 32]), now);
    let response = challenge(&mut elsewhere, &request, now);
    assert!(!responder.answer(&mut request, &response, "c"), "the realm was learned before");
}

#[test]
fn session_variants_and_peers_without_qop_are_answered() {
    for (asked, shown) in [
        ("algorithm=MD5-sess, qop=\"auth-int,auth\"", "algorithm=MD5-sess, qop=auth, nc=00000001"),
        ("algorithm=SHA-256-sess, qop=\"auth\"", "algorithm=SHA-256-sess, qop=auth"),
        ("opaque=\"o\"", "algorithm=MD5, opaque=\"o\""),
    ] {
        let mut request = register();
        let mut response = Response::to_request(&request, 407);
        response.push("Proxy-Authenticate", &format!("Digest realm=\"r\", nonce=\"n\", {asked}"));
        assert!(Responder::new("u", "p", Some("r")).answer(&mut request, &response, "c"));
        let credentials = request.fields().text("Proxy-Authorization").unwrap();
        assert!(credentials.contains(shown), "{credentials}");
    }
}

#[test]
fn basic_and_auth_int_alone_are_never_answered() {
    for asked in ["Basic realm=\"r\"", "Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\""] {
        let mut request = register();
        let mut response = Response::to_request(&request, 401);
        response.push("WWW-Authenticate", asked);
        assert!(!Responder::new("u", "p", None).answer(&mut request, &response, "c"));
    }
}

proptest! {
    #[test]
    fn no_nonce_makes_its_reader_panic(
        nonce in "[0-9A-Za-z_-]{0,100}|\\PC{0,60}|[0-9A-Za-z_-]{43}|[0-9a-f]{96}",
    ) {
        let now = start();
        let mut message = register();
        for method in [Method::Message, Method::Register] {
            message.set("CSeq", &format!("{} {method}", u32::MAX));
            let _ = nonce::first_number(&nonce, &message);
            let nonce = nonce.replace(['"', '\\'], "");
            let all = "realm=\"gw.example\", username=\"alice\", uri=\"sip:x\", response=\"0\"";
            message.set("Authorization", &format!("Digest {all}, nonce=\"{nonce}\""));
            prop_assert_eq!(judge(&mut guard(now), &message, now), Outcome::Dead);
        }
    }

    #[test]
    fn a_count_is_good_once_however_counts_come(counts in prop::collection::vec(1u32..80, 1..60)) {
        let now = start();
        let mut guard = guard(now);
        let challenged = challenge(&mut guard, &register(), now);
        let mut responder = Responder::new("alice", "secret", None);
        let mut first = register();
        prop_assert!(responder.answer(&mut first, &challenged, "c0ffee"));
        let credentials = first.fields().text("Authorization").unwrap();
        let nonce = credentials.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap();
        let mut taken = std::collections::BTreeSet::new();
        for count in counts {
            let counted = format!("{count:08x}");
            let ha1 = Algorithm::Sha256.hash(&["alice", "gw.example", "secret"]);
            let proof = Proof {
                algorithm: Algorithm::Sha256,
                nonce,
                counted: Some((&counted, "c")),
                method: "REGISTER",
                uri: "sip:gw.example",
            };
            let mut request = register();
            request.set("Authorization", &format!(
                "Digest username=\"alice\", realm=\"gw.example\", nonce=\"{nonce}\", \
                 uri=\"sip:gw.example\", response=\"{}\", algorithm=SHA-256, qop=auth, \
                 nc={counted}, cnonce=\"c\"", proof.response(&ha1).as_str()));
            let was_new = taken.insert(count);
            let outcome = judge(&mut guard, &request, now);
            let is_good = outcome == Outcome::Judged(Verdict::Proven);
            prop_assert!(is_good || outcome == Outcome::Judged(Verdict::Stale));
            prop_assert!(was_new || !is_good);
        }
    }

    #[test]
    fn no_header_makes_the_parser_panic(text in "\\PC{0,80}", tail in "[ -~]{0,80}") {
        let _ = Params::parse(&format!("Digest {text}"));
        let _ = Params::parse(&format!("Digest a=\"{tail}"));
        let mut request = register();
        request.set("Authorization", &format!("Digest realm=\"gw.example\", {tail}"));
        let now = start();
        let _ = judge(&mut guard(now), &request, now);
    }
}
