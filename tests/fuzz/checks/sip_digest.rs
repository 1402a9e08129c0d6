//! What must hold of whatever stands in a digest header field, on either side.

use adapter_sip::stack::digest::{Claim, Guard, Responder, Secret, Verdict};
use adapter_sip::stack::flow::{Flow, LinkId, Transport};
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
    let remote = ([192, 0, 2, 7], 5060).into();
    let flow = Flow { transport: Transport::Udp, remote, link: LinkId(1) };
    let mut request = register();
    request.set("Authorization", value);
    let claim = guard.claim(&request, "Authorization", flow, now);
    assert!(matches!(claim, Claim::Absent | Claim::Dead), "{claim:?}");
    // The same with a nonce that is live.
    let challenge = guard.challenges(&register(), flow, false, now).remove(0);
    let Some(nonce) = quoted(&challenge, "nonce=\"") else { panic!("a challenge has a nonce") };
    let Some(dead) = quoted(value, "nonce=\"").filter(|dead| !dead.is_empty()) else { return };
    request.set("Authorization", &value.replace(dead, nonce));
    let secret = Secret::new("alice", "gw.example", "a secret that no file knows");
    if let Claim::Live(credentials) = guard.claim(&request, "Authorization", flow, now) {
        let known = (credentials.user() == "alice").then_some(&secret);
        assert_eq!(guard.judge(&credentials, &request, known), Verdict::Refused);
    }
}

/// What stands between a beginning and the next quote.
fn quoted<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    text.split(before).nth(1)?.split('"').next()
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
