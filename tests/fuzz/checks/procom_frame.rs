//! What must hold of whatever a client of the Procom wire sends. Where this is included, the modules
//! `dialled` and `frame` of `gateway-procom` are at the root.

use crate::dialled;
use crate::frame::{
    CallRequest, CandidateBody, ClientFrame, Code, GatewayFrame, MAX_FRAME_BYTES, MAX_ID_BYTES,
    MAX_REASON_CHARS, Refusal, Transfer, WithinCall, read,
};

/// What is accepted holds the limits, a refusal can be answered, and a candidate that is passed on is
/// read as it was. Whether the bytes were accepted is returned.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    match read(&text) {
        Ok(frame) => {
            assert!(text.len() <= MAX_FRAME_BYTES);
            check_frame(&frame);
            true
        }
        Err(refusal) => {
            assert_eq!(refusal.code == Code::TooLarge, text.len() > MAX_FRAME_BYTES);
            check_refusal(refusal);
            false
        }
    }
}

fn check_refusal(refusal: Refusal) {
    assert!(refusal.call.iter().chain(&refusal.id).all(|id| is_id(id)));
    assert!(!refusal.reason.contains(char::is_control));
    assert!(refusal.reason.chars().count() <= MAX_REASON_CHARS + 30);
    assert!(GatewayFrame::error(refusal).render().starts_with("{\"type\":\"error\""));
}

fn check_frame(frame: &ClientFrame) {
    match frame {
        ClientFrame::Hello(hello) => assert!(format!("{hello:?}").len() <= MAX_FRAME_BYTES * 8),
        ClientFrame::Call(CallRequest { call, to, sdp: _, require: _, record }) => {
            if let Some(record) = record {
                assert!((1..=16).contains(&record.addresses.len()) && record.name.len() <= 256);
            }
            assert!(is_id(call));
            check_dialled(to);
        }
        ClientFrame::Within(call, what) => {
            assert!(is_id(call));
            check_within(call, what);
        }
        ClientFrame::Error | ClientFrame::Presence => {}
        ClientFrame::Message(message) => {
            assert!(is_id(&message.id) && message.body.len() <= MAX_FRAME_BYTES);
            check_dialled(&message.to);
            assert!(!format!("{:?}", message.body).contains('"'));
        }
        ClientFrame::Ack(id) | ClientFrame::Read(id) => assert!(is_id(id)),
        ClientFrame::Composing { with, is_on: _ } => check_dialled(with),
        ClientFrame::Explain(request) => {
            assert!(is_id(&request.id));
            check_dialled(&request.to);
        }
    }
}

fn check_within(call: &str, what: &WithinCall) {
    match what {
        WithinCall::Candidate(candidate) => {
            assert!(candidate.text.len() <= 1024 && !candidate.text.contains(char::is_control));
            let written = CandidateBody::of(candidate);
            let text =
                GatewayFrame::Candidate { call: call.to_owned(), candidate: written }.render();
            let Ok(ClientFrame::Within(_, WithinCall::Candidate(again))) = read(&text) else {
                panic!("unreadable: {text}");
            };
            assert_eq!(again.text, candidate.text);
        }
        WithinCall::Digit(digit, duration) => {
            assert!("0123456789*#ABCD".contains(*digit));
            assert!((40..=6000).contains(&duration.as_millis()));
        }
        WithinCall::Transfer(Transfer::To(to)) => check_dialled(to),
        WithinCall::Transfer(Transfer::With(other)) => assert!(is_id(other)),
        WithinCall::End(cause, reason) => {
            let reason = reason.as_deref();
            assert!(reason.is_none_or(|reason| reason.chars().count() <= MAX_REASON_CHARS));
            GatewayFrame::end(call, *cause, reason).render();
        }
        WithinCall::Answer(_) | WithinCall::Offer(_) => {}
        WithinCall::Ringing | WithinCall::Hold | WithinCall::Resume | WithinCall::Error => {}
    }
}

/// Whatever is dialled leads to an address that can be printed, or to nobody.
fn check_dialled(text: &str) {
    if let Ok((address, typed)) = dialled::read(text) {
        assert!(!address.to_string().contains(['\r', '\n', '\0']));
        assert!(typed.is_none_or(|typed| !typed.is_empty()));
    }
}

fn is_id(id: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&id.len()) && !id.contains(char::is_control)
}
