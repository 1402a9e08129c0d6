//! What must hold of whatever body a MESSAGE has: text, message/cpim, notifications, composing.

use adapter_sip::message::{Content, cpim, read};
use adapter_sip::stack::wire::{Method, Request, Uri};
use bytes::Bytes;
use gateway_core::message::{MAX_BODY, MAX_SENDER_ID};

/// The first line is the Content-Type, the rest the body. What is accepted is within the limits, what
/// is not gets an answer, and an envelope is written as it was read. Whether the bytes were accepted
/// is returned.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
    let kind = String::from_utf8_lossy(&bytes[..end]);
    let body = bytes.get(end + 1..).unwrap_or_default();
    check_envelope(body);
    let uri = Uri::parse("sip:a@b.example").expect("a URI of ours");
    let mut request = Request::new(&Method::Message, uri);
    request.push("Call-ID", "c1");
    request.push("CSeq", "1 MESSAGE");
    request.set_body(kind.trim(), Bytes::copy_from_slice(body));
    match read(request.fields(), body, None) {
        Ok(Content::Text(text)) => {
            assert!((1..=MAX_BODY).contains(&text.body.len()));
            assert!((1..=MAX_SENDER_ID).contains(&text.sender_id.len()));
            assert!(!text.sender_id.contains(char::is_control));
            true
        }
        Ok(Content::Notice(notice)) => {
            assert!(notice.id.bytes().all(|byte| byte.is_ascii_graphic()));
            true
        }
        Ok(Content::Composing(_)) => true,
        Err(refusal) => {
            assert!(matches!(refusal.status, 400 | 413 | 415), "{}", refusal.status);
            false
        }
    }
}

fn check_envelope(body: &[u8]) {
    let Some(envelope) = cpim::parse(body) else { return };
    if envelope.id.is_none() || envelope.content_type.is_none() {
        return;
    }
    let again = cpim::parse(&cpim::render("sip:a@b.example", "sip:c@d.example", &envelope));
    let again = again.expect("what we write can be read");
    assert_eq!((&again.id, again.wishes), (&envelope.id, envelope.wishes));
    assert_eq!(again.content_type, envelope.content_type);
    assert_eq!(again.content, envelope.content);
    let second = |at_ms: i64| at_ms.div_euclid(1_000);
    assert_eq!(again.at_ms.map(second), envelope.at_ms.map(second));
}
