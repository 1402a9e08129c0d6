//! Odd and broken messages, each with the answer it must get. Written after the cases of
//! RFC 4475 §3 and RFC 5118 §4, in words of our own.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::testing::{Open, flow, response, start};

/// What a message leads to.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Outcome {
    /// It is told to the user of the stack.
    Told,
    /// It is answered with this status.
    Answered(u16),
    /// Nothing happens.
    Dropped,
}
use Outcome::{Answered, Dropped, Told};

fn outcome(bytes: &[u8]) -> Outcome {
    let tokens = Tokens::new([3; 32]);
    let mut stack = Stack::new(Limits::default(), Timers::default(), Advertised::default(), tokens);
    stack.handle_message(flow(Transport::Udp), Bytes::copy_from_slice(bytes), &mut Open, start());
    let told = stack.poll_event().is_some();
    let sent: Vec<_> = std::iter::from_fn(|| stack.poll_transmit()).collect();
    let last = sent.iter().map(|sent| response(&sent.bytes).status()).find(|s| *s >= 200);
    match (told, last) {
        (true, None) => Told,
        (false, Some(status)) => Answered(status),
        (false, None) => Dropped,
        (true, Some(status)) => panic!("told and answered {status}"),
    }
}

const HEAD: &str = "Via: SIP/2.0/UDP h.example;branch=z9hG4bKt\r\nMax-Forwards: 9\r\n\
    From: <sip:a@a.example>;tag=1\r\nTo: <sip:b@b.example>\r\nCall-ID: t@h\r\n";

/// A request with that line and those headers after the usual ones.
fn with(method: &str, uri: &str, more: &str) -> String {
    format!("{method} {uri} SIP/2.0\r\n{HEAD}CSeq: 1 {method}\r\n{more}\r\n")
}

fn invite(more: &str) -> String {
    with("INVITE", "sip:b@b.example", &format!("Contact: <sip:a@a.example>\r\n{more}"))
}

fn edited(from: &str, to: &str) -> String {
    let plain = invite("");
    assert!(plain.contains(from), "{from}");
    plain.replace(from, to)
}

#[test]
fn odd_but_legal_messages_are_taken() {
    let cases = [
        ("plain", invite("")),
        (
            "names in any case and compact",
            edited("From:", "f :").replace("To:", "T:").replace("Via:", "v:"),
        ),
        ("folded headers", edited("Max-Forwards: 9", "Max-Forwards:\r\n  9")),
        ("escapes in the user", edited("sip:b@b.example SIP", "sip:%62%00null@b.example SIP")),
        ("semicolons in the user", edited("sip:b@b.example SIP", "sip:b;x=y;@b.example SIP")),
        ("a quoted comma in a display name", edited("From: <sip", "From: \"a, <b>\" <sip")),
        ("an unknown header with odd tokens", invite("x-%~'`: \"unbalanced, ok\r\n")),
        (
            "a long list of vias",
            edited(
                "Via:",
                "Via: SIP/2.0/UDP z;branch=z9hG4bKz, SIP/2.0/TLS y;branch=z9hG4bKy\r\nVia:",
            ),
        ),
        (
            "an unknown transport in an older via",
            edited(
                "Via:",
                "Via: SIP/2.0/UDP z;branch=z9hG4bKz\r\nVia: SIP/2.0/WHATEVER y;branch=z9hG4bKy\r\nVia:",
            ),
        ),
        ("octets after the message", invite("Content-Length: 0\r\n") + "INVITE trailing noise"),
        ("a tel uri", with("INVITE", "tel:+4512345678", "Contact: <sip:a@a.example>\r\n")),
        ("an unknown parameter without value", edited("tag=1", "tag=1;lr;q")),
        (
            "an ipv6 request uri",
            with("INVITE", "sip:[2001:db8::9:1]", "Contact: <sip:a@[2001:db8::2]>\r\n"),
        ),
        (
            "an ipv6 via with received",
            edited("h.example;", "[2001:db8::9:1];received=2001:db8::9:255;"),
        ),
        (
            "an optional body of another kind",
            invite(
                "Content-Type: text/plain\r\nContent-Disposition: session;handling=optional\r\nContent-Length: 2\r\n",
            ) + "hi",
        ),
        ("no Max-Forwards", edited("Max-Forwards: 9\r\n", "")),
        ("spaces around the equal sign", edited("tag=1", "tag = 1")),
        (
            "a registration of nothing",
            with("REGISTER", "sip:b.example", "Contact: *\r\nExpires: 0\r\n"),
        ),
        (
            "options with no hop left",
            with("OPTIONS", "sip:b@b.example", "").replace("Max-Forwards: 9", "Max-Forwards: 0"),
        ),
    ];
    for (what, text) in cases {
        assert_eq!(outcome(text.as_bytes()), Told, "{what}");
    }
}

#[test]
fn wrong_messages_get_the_answer_that_names_the_fault() {
    let cases = [
        ("no To", edited("To: <sip:b@b.example>\r\n", ""), Answered(400)),
        ("no Call-ID", edited("Call-ID: t@h\r\n", ""), Answered(400)),
        ("no From", edited("From: <sip:a@a.example>;tag=1\r\n", ""), Answered(400)),
        ("two of From", edited("To:", "From: <sip:c@c>;tag=2\r\nTo:"), Answered(400)),
        ("two of Call-ID", edited("Call-ID:", "Call-ID: x\r\nCall-ID:"), Answered(400)),
        ("cseq of another method", edited("1 INVITE", "1 BYE"), Answered(400)),
        ("cseq above 2^31", edited("1 INVITE", "36893488147419103232 INVITE"), Answered(400)),
        ("max-forwards above 255", edited("Forwards: 9", "Forwards: 300"), Answered(400)),
        ("a bad date", invite("Date: Fri, 01 Jan 2010 16:00:00 EST\r\n"), Answered(400)),
        ("a bad contact", edited("<sip:a@a.example>\r\n\r\n", "<sip:a@a\r\n\r\n"), Answered(400)),
        ("an unterminated display name", edited("To: <sip", "To: \"Bob <sip"), Answered(400)),
        (
            "a bad older via",
            edited("Via:", "Via: SIP/2.0/UDP z;branch=z9hG4bKz\r\nVia: nonsense\r\nVia:"),
            Answered(400),
        ),
        (
            "headers in the request uri",
            edited("sip:b@b.example SIP", "sip:b@b.example?Route=x SIP"),
            Answered(400),
        ),
        (
            "brackets around the request uri",
            edited("sip:b@b.example SIP", "<sip:b@b.example> SIP"),
            Answered(400),
        ),
        (
            "spaces within the request uri",
            edited("sip:b@b.example SIP", "sip:b@b.example; lr SIP"),
            Answered(400),
        ),
        ("spaces in the start line", edited("INVITE sip:b", "INVITE  sip:b"), Answered(400)),
        ("a length beyond the datagram", invite("Content-Length: 9999\r\n"), Answered(400)),
        ("a negative length", invite("Content-Length: -999\r\n"), Answered(400)),
        ("two lengths", invite("Content-Length: 0\r\nContent-Length: 1\r\n") + "x", Answered(400)),
        ("another version", edited("SIP/2.0\r\nVia", "SIP/7.0\r\nVia"), Answered(505)),
        ("an unknown method", with("NEWMETHOD", "sip:b@b.example", ""), Answered(501)),
        ("a method in small letters", with("invite", "sip:b@b.example", ""), Answered(501)),
        (
            "a method of punctuation",
            with("!interesting-Method0123456789_*+`.%indeed'~", "sip:b@b.example", ""),
            Answered(501),
        ),
        ("a method not served", with("NOTIFY", "sip:b@b.example", ""), Answered(405)),
        ("a subscription", with("SUBSCRIBE", "sip:b@b.example", "Event: x\r\n"), Answered(405)),
        (
            "an unknown scheme",
            with("INVITE", "nobody:knows", "Contact: <sip:a@a>\r\n"),
            Answered(416),
        ),
        ("a web address", with("OPTIONS", "http://b.example", ""), Answered(416)),
        (
            "a registration for a web address",
            with("REGISTER", "sip:b.example", "")
                .replace("To: <sip:b@b.example>", "To: <http://b.example>"),
            Answered(400),
        ),
        ("a required extension", invite("Require: nothingSupportsThis, 100rel\r\n"), Answered(420)),
        ("no hop left", edited("Max-Forwards: 9", "Max-Forwards: 0"), Answered(483)),
        (
            "a body of another kind",
            invite("Content-Type: text/plain\r\nContent-Length: 2\r\n") + "hi",
            Answered(415),
        ),
        ("a body of no kind", invite("Content-Length: 2\r\n") + "hi", Answered(415)),
        (
            "a compressed body",
            invite(
                "Content-Type: application/sdp\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n",
            ) + "hi",
            Answered(415),
        ),
        ("an answer nobody can give", invite("Accept: text/plain\r\n"), Answered(406)),
        ("a cancel of nothing", with("CANCEL", "sip:b@b.example", ""), Answered(481)),
    ];
    for (what, text, expected) in cases {
        assert_eq!(outcome(text.as_bytes()), expected, "{what}");
    }
}

#[test]
fn what_nobody_can_or_may_answer_is_dropped() {
    let response = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKq\r\n\r\n";
    let overlarge = response.replace("200", "4294967301");
    let cases = [
        ("a response to nothing", response.to_owned()),
        ("a response with a huge status", overlarge),
        ("a broken ack", with("ACK", "sip:b@b.example", "").replace("1 ACK", "x ACK")),
        (
            "no via to answer to",
            edited("Via: SIP/2.0/UDP h.example;branch=z9hG4bKt\r\n", "")
                .replace("INVITE sip", "INVITE  sip"),
        ),
        ("another protocol", "GET / HTTP/1.1\r\nHost: b.example\r\nVia: x\r\n\r\n".to_owned()),
        ("nothing but line ends", "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n".to_owned()),
    ];
    for (what, text) in cases {
        assert_eq!(outcome(text.as_bytes()), Dropped, "{what}");
    }
}

#[test]
fn what_is_said_again_of_a_damaged_request_is_whole() {
    let text = edited("To:", "T\u{b}:");
    assert_eq!(outcome(text.as_bytes()), Answered(400), "that is not the short form of To");
}

#[test]
fn an_extension_that_is_no_token_is_not_said_again() {
    for tag in ["100rel\u{b}", "a b", "\"x\"", "a;b"] {
        let text = invite(&format!("Require: {tag}\r\n"));
        assert_eq!(outcome(text.as_bytes()), Answered(400), "{tag:?}");
    }
}

#[test]
fn a_refused_extension_is_named() {
    let mut stack = Stack::new(
        Limits::default(),
        Timers::default(),
        Advertised::default(),
        Tokens::new([3; 32]),
    );
    let text = invite("Require: a, b\r\nRequire: c\r\n");
    stack.handle_message(flow(Transport::Udp), Bytes::from(text), &mut Open, start());
    let refusal = response(&stack.poll_transmit().unwrap().bytes);
    assert_eq!(refusal.fields().text("Unsupported").as_deref(), Some("a, b, c"));
    assert!(refusal.fields().to().unwrap().tag().is_some());
}

proptest! {
    #[test]
    fn a_damaged_message_never_panics(cut in 0usize..400, at in 0usize..400, byte: u8, more in "[ -~]{0,60}") {
        let mut bytes = invite(&format!("X: {more}\r\nRequire: {more}\r\n")).into_bytes();
        let place = at % bytes.len();
        bytes[place] = byte;
        bytes.truncate(bytes.len().saturating_sub(cut % 50));
        let _ = outcome(&bytes);
    }
}
