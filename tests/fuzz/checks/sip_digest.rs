//! What must hold of whatever stands in a digest header field, on either side.

use adapter_sip::stack::digest::{Guard, Responder, Secret, Verdict};
use adapter_sip::stack::tokens::Tokens;
use adapter_sip::stack::wire::{Message, Request, Response, parse};
use bytes::Bytes;

const REGISTER: &[u8] = b"REGISTER sip:gw.example SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
    From: <sip:alice@gw.example>;tag=1\r\nTo: <sip:alice@gw.example>\r\nCall-ID: r1\r\n\
    CSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n";

/// As credentials it proves nothing; as a challenge it is answered once at most, in one header line,
/// and what we write of it we can read.
pub(crate) fn check(bytes: &[u8]) {
    let value = String::from_utf8_lossy(bytes);
    assert_proves_nothing(&value);
    for realm in [None, Some("gw.example")] {
        assert_answered_once(&value, realm);
    }
}

fn register() -> Request {
    match parse(Bytes::from_static(REGISTER)) {
        Ok(Message::Request(request)) => request,
        Ok(Message::Response(_)) | Err(_) => panic!("the request is one"),
    }
}

fn assert_proves_nothing(value: &str) {
    #[expect(clippy::disallowed_methods, reason = "an Instant can be had in no other way")]
    let now = std::time::Instant::now();
    let mut guard = Guard::new("gw.example", &mut Tokens::new([7; 32]), now);
    let secret = Secret::new("alice", "gw.example", "a secret that no file knows");
    let mut request = register();
    request.set("Authorization", value);
    let find = |user: &str| (user == "alice").then_some(&secret);
    let verdict = guard.judge(&request, "Authorization", find, now);
    assert!(matches!(verdict, Verdict::Refused | Verdict::Absent), "{verdict:?}");
}

fn assert_answered_once(value: &str, realm: Option<&str>) {
    let mut request = register();
    let mut response = Response::to_request(&request, 401);
    response.push("WWW-Authenticate", value);
    let mut responder = Responder::new("alice", "secret", realm);
    if !responder.answer(&mut request, &response, "c0ffee") {
        return;
    }
    assert!(!responder.answer(&mut request, &response, "c0ffee"), "the password is wrong");
    let written = request.fields().texts("Authorization");
    let Ok(Message::Request(again)) = parse(request.render()) else { return };
    assert_eq!(again.fields().texts("Authorization"), written);
    assert_eq!(written.len(), 1);
    assert!(!written[0].contains("secret"));
    assert_eq!(again.fields().texts("Via"), register().fields().texts("Via"));
}
