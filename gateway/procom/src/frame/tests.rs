#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for one variant among many")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::testing::{SDP, client};

fn code(text: &str) -> Option<Code> {
    read(text).err().map(|refusal| refusal.code)
}

fn accepted(frame: Value) -> ClientFrame {
    read(&client(frame)).expect("a frame")
}

fn candidate(frame: Value) -> Candidate {
    match accepted(frame) {
        ClientFrame::Within(_, WithinCall::Candidate(candidate)) => candidate,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_example_of_the_document_is_a_frame() {
    let document = include_str!("../../PROTOCOL.md");
    let mut count = 0;
    for (at, _) in document.match_indices("{\"type\"") {
        let mut values = serde_json::Deserializer::from_str(&document[at..]).into_iter::<Value>();
        let frame = values.next().expect("a value").expect("JSON");
        assert!(schema::is_frame(&frame.to_string()), "{frame}");
        count += 1;
    }
    assert!(count >= 10, "{count} examples");
}

#[test]
fn a_hello_proves_itself_in_exactly_one_way() {
    let hello = json!({"type": "hello", "version": 1, "token": "t"});
    assert!(matches!(accepted(hello), ClientFrame::Hello(Hello::Token { .. })));
    let resume = json!({"type": "hello", "version": 1, "resume": "s", "received": 7});
    let expected = Hello::Resume { secret: "s".into(), received: 7 };
    assert_eq!(accepted(resume), ClientFrame::Hello(expected));
    for (text, expected) in [
        (r#"{"type":"hello","version":1}"#, Code::Malformed),
        (r#"{"type":"hello","version":1,"user":"a"}"#, Code::Malformed),
        (r#"{"type":"hello","version":1,"token":"t","resume":"s"}"#, Code::Malformed),
        (r#"{"type":"hello","version":1,"resume":"s"}"#, Code::Malformed),
        (r#"{"type":"hello","version":1,"token":"t","visitor":"short"}"#, Code::Malformed),
        (r#"{"type":"hello","version":1,"resume":"s","received":-1}"#, Code::Malformed),
        (r#"{"type":"hello","version":2,"token":"t"}"#, Code::UnsupportedVersion),
    ] {
        assert_eq!(code(text), Some(expected), "{text}");
    }
}

#[test]
fn what_a_message_says_is_not_shown() {
    let message = json!({"type": "message", "id": "m", "to": "a", "body": "hunter2"});
    assert!(!format!("{:?}", accepted(message)).contains("hunter2"));
}

#[test]
fn the_password_of_a_hello_is_not_shown() {
    let hello = json!({"type": "hello", "version": 1, "user": "a", "password": "hunter2"});
    assert!(!format!("{:?}", accepted(hello)).contains("hunter2"));
}

#[test]
fn members_that_are_not_known_are_ignored() {
    let hold = json!({"type": "hold", "call": "c1", "mood": {"good": true}});
    assert_eq!(accepted(hold), ClientFrame::Within("c1".to_owned(), WithinCall::Hold));
}

#[test]
fn a_refusal_names_call_and_message_where_they_can_be_read() {
    let refusal = read(r#"{"type":"answer","call":"c1"}"#).unwrap_err();
    assert_eq!((refusal.code, refusal.call.as_deref()), (Code::Malformed, Some("c1")));
    let refusal = read(r#"{"type":"dance","id":"m1"}"#).unwrap_err();
    assert_eq!((refusal.code, refusal.id.as_deref()), (Code::UnknownType, Some("m1")));
}

#[test]
fn what_is_no_frame_is_malformed() {
    let long = format!(r#"{{"type":"hold","call":"{}"}}"#, "c".repeat(65));
    for text in [
        "",
        "null",
        "[]",
        "{}",
        "{\"type\":1}",
        "{\"type\":\"hold\"",
        "{\"type\":\"hold\",\"call\":\"\"}",
        "{\"type\":\"hold\",\"call\":\"a\\u0000\"}",
        "{\"type\":\"candidate\",\"call\":\"c\"}",
        "{\"type\":\"digit\",\"call\":\"c\",\"digit\":\"12\"}",
        "{\"type\":\"digit\",\"call\":\"c\",\"digit\":\"x\"}",
        "{\"type\":\"transfer\",\"call\":\"c\"}",
        "{\"type\":\"message\",\"to\":\"a\",\"body\":\"b\"}",
        "{\"type\":\"message\",\"id\":\"m\",\"to\":\"a\",\"body\":7}",
        "{\"type\":\"ack\"}",
        "{\"type\":\"composing\",\"with\":\"a\"}",
        "{\"type\":\"transfer\",\"call\":\"c\",\"to\":\"a\",\"with\":\"b\"}",
        long.as_str(),
    ] {
        assert_eq!(code(text), Some(Code::Malformed), "{text}");
    }
}

#[test]
fn depth_and_size_are_bounded_before_anything_is_parsed() {
    let deep = format!("{}{}", "[".repeat(60_000), "]".repeat(5));
    assert_eq!(code(&deep), Some(Code::Malformed));
    let quoted = json!({"type": "hold", "call": "c1", "note": "[".repeat(100)});
    assert!(read(&quoted.to_string()).is_ok(), "brackets in a text are no depth");
    let large = json!({"type": "hold", "call": "c1", "note": "x".repeat(MAX_FRAME_BYTES)});
    assert_eq!(code(&large.to_string()), Some(Code::TooLarge));
}

#[test]
fn a_candidate_is_read_as_browsers_write_it() {
    let written = json!({"type": "candidate", "call": "c1", "candidate": {
        "candidate": "candidate:1 1 udp 1 192.0.2.1 5 typ host", "sdpMid": "0",
        "sdpMLineIndex": 0, "usernameFragment": "abcd"}});
    let read = candidate(written);
    assert_eq!(read.text, "1 1 udp 1 192.0.2.1 5 typ host");
    assert_eq!(
        (read.mid.as_deref(), read.line, read.ufrag.as_deref()),
        (Some("0"), Some(0), Some("abcd"))
    );
    assert!(candidate(json!({"type": "candidate", "call": "c1", "candidate": null})).is_end());
    let empty = json!({"type": "candidate", "call": "c1", "candidate": {"candidate": ""}});
    assert!(candidate(empty).is_end());
}

#[test]
fn a_candidate_of_ours_is_read_back_as_it_was() {
    let ours = Candidate {
        text: "1 1 udp 1 192.0.2.1 5 typ host".to_owned(),
        mid: Some("0".to_owned()),
        line: Some(0),
        ufrag: None,
    };
    let candidate_of = |candidate: &Candidate| GatewayFrame::Candidate {
        call: "c1".to_owned(),
        candidate: CandidateBody::of(candidate),
    };
    let text = candidate_of(&ours).render();
    assert_eq!(read(&text), Ok(ClientFrame::Within("c1".to_owned(), WithinCall::Candidate(ours))));
    let end = Candidate { text: String::new(), mid: None, line: None, ufrag: None };
    assert!(candidate_of(&end).render().contains("\"candidate\":null"));
}

#[test]
fn a_cause_of_a_later_version_still_ends_the_call() {
    let end = |text: &str| match read(text) {
        Ok(ClientFrame::Within(_, WithinCall::End(cause, _))) => cause,
        other => panic!("{other:?}"),
    };
    assert_eq!(end(r#"{"type":"end","call":"c1","cause":"bored"}"#), Cause::Failed);
    assert_eq!(end(r#"{"type":"end","call":"c1"}"#), Cause::Normal);
    assert_eq!(end(r#"{"type":"end","call":"c1","cause":"busy"}"#), Cause::Busy);
}

#[test]
fn every_kind_of_frame_of_a_client_is_read() {
    for frame in [
        json!({"type": "call", "call": "c", "to": "112", "sdp": SDP, "require": "e2ee",
               "contact": {"name": "Bob"}}),
        json!({"type": "ringing", "call": "c"}),
        json!({"type": "answer", "call": "c", "sdp": SDP}),
        json!({"type": "offer", "call": "c", "sdp": SDP}),
        json!({"type": "digit", "call": "c", "digit": "D", "duration_ms": 160}),
        json!({"type": "hold", "call": "c"}),
        json!({"type": "resume-call", "call": "c"}),
        json!({"type": "transfer", "call": "c", "to": "xmpp:eve@example.org"}),
        json!({"type": "transfer", "call": "c", "with": "d"}),
        json!({"type": "end", "call": "c", "cause": "declined", "reason": "not now"}),
        json!({"type": "error", "call": "c", "code": "not-acceptable"}),
        json!({"type": "message", "id": "m", "to": "a", "body": "b", "content": "text/plain"}),
        json!({"type": "message", "id": "m", "to": "a", "body": "b", "require": "e2ee",
               "fallback": true}),
        json!({"type": "ack", "id": "m"}),
        json!({"type": "read", "id": "m"}),
        json!({"type": "presence", "show": "away"}),
        json!({"type": "subscribe", "to": "a", "on": true}),
        json!({"type": "composing", "with": "xmpp:a@b", "on": true}),
    ] {
        accepted(frame);
    }
}

#[test]
fn what_is_not_a_number_is_not_written_as_one() {
    let heard = gateway_core::leg::Heard {
        mos: f32::NAN,
        loss: f32::INFINITY,
        jitter_ms: 7.04,
        rtt_ms: 31.0,
    };
    let text = GatewayFrame::quality("c1", heard).render();
    assert!(text.contains("\"mos\":0.0") && text.contains("\"jitter_ms\":7.0"), "{text}");
}

/// Frames with one thing changed.
fn mutated() -> impl Strategy<Value = String> {
    let frames = prop::sample::select(vec![
        r#"{"type":"hello","version":1,"user":"alice","password":"secret"}"#,
        r#"{"type":"call","call":"c1","to":"sip:bob@example.org","sdp":"v=0"}"#,
        r#"{"type":"candidate","call":"c1","candidate":{"candidate":"","sdpMLineIndex":0}}"#,
        r#"{"type":"transfer","call":"c1","with":"c2"}"#,
        r#"{"type":"digit","call":"c1","digit":"5","duration_ms":160}"#,
        r#"{"type":"message","id":"m1","to":"tel:+4512345678","body":"hi","content":"text/plain"}"#,
    ]);
    (frames, any::<prop::sample::Index>(), "\\PC{0,3}").prop_map(|(frame, at, letters)| {
        let at = at.index(frame.len());
        format!("{}{letters}{}", &frame[..at], &frame[at + 1..])
    })
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = read(&text);
    }

    #[test]
    fn no_mutated_frame_panics_and_every_refusal_can_be_written(text in mutated()) {
        if let Err(refusal) = read(&text) {
            GatewayFrame::error(refusal).render();
        }
    }
}

#[test]
fn a_name_has_nothing_in_it_that_hides_or_turns_what_is_read() {
    let tidied = |name: &str| tidy_name(name);
    assert_eq!(tidied("Zoë  O'Neil\t\u{1F6B2}").as_deref(), Some("Zoë O'Neil \u{1F6B2}"));
    assert_eq!(tidied("\u{202e}ecilA\u{202c}\r\nBob\u{200b}\u{7}").as_deref(), Some("ecilA Bob"));
    assert_eq!(tidied("a\u{2066}b\u{2069}c\u{e0041}\u{feff}").as_deref(), Some("abc"));
    assert_eq!(tidied("دوستان\u{200c}من").as_deref(), Some("دوستان\u{200c}من"));
    assert_eq!(tidied(&"x".repeat(500)).map(|name| name.len()), Some(64));
    for name in ["", " ", "\u{202e}\u{200f}", "\0"] {
        assert_eq!(tidied(name), None);
    }
}
