//! Syntax: what we read of a message, and that no value of ours breaks out of its header.

use proptest::prelude::*;

use super::*;
use crate::testing::{invite, request};

#[test]
fn a_value_with_a_line_break_stays_one_header() {
    let mut request = request(&invite("z9hG4bK1"));
    request.push("Subject", "a\r\nVia: SIP/2.0/UDP evil;branch=z9hG4bKevil\r\n\r\nbody");
    let Ok(Message::Request(again)) = parse(request.render()) else { panic!("no request") };
    assert_eq!(again.fields().via_count(), Some(1));
    assert!(again.fields().text("Subject").unwrap().contains("Via:"));
}

#[test]
fn the_source_is_noted_in_the_topmost_via_only() {
    let text = invite("z9hG4bK1").replace(
        "SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bK1",
        "SIP/2.0/UDP nat.example;rport;branch=z9hG4bK1, SIP/2.0/UDP far.example;rport;branch=z9hG4bK0",
    );
    let mut request = request(&text);
    request.note_source("198.51.100.3:40000".parse().unwrap());
    let value = request.fields().text("Via").unwrap();
    assert_eq!(
        value,
        "SIP/2.0/UDP nat.example;branch=z9hG4bK1;received=198.51.100.3;rport=40000, \
         SIP/2.0/UDP far.example;rport;branch=z9hG4bK0",
    );
}

#[test]
fn a_source_that_is_as_said_is_not_noted_unasked() {
    let text = invite("z9hG4bK1").replace(";rport", "");
    let mut request = request(&text);
    let before = request.fields().text("Via");
    request.note_source("192.0.2.7:5060".parse().unwrap());
    assert_eq!(request.fields().text("Via"), before);
}

#[test]
fn numbers_are_read_from_tel_and_sip_uris() {
    for (uri, number) in [
        ("tel:+45-12.34(56)78", Some("+4512345678")),
        ("sip:+4512345678@gw.example;user=phone", Some("+4512345678")),
        ("sip:1000@gw.example", Some("1000")),
        ("sip:alice@gw.example", None),
    ] {
        assert_eq!(Uri::parse(uri).unwrap().number().as_deref(), number, "{uri}");
    }
}

#[test]
fn a_user_with_odd_characters_makes_a_round_trip() {
    for user in ["alice", "al ice", "a@b", "å", "a%b", "x#y"] {
        let uri = Uri::sip(Some(user), "gw.example", Some(5070)).unwrap();
        assert_eq!(Uri::parse(&uri.to_text()).unwrap().user().as_deref(), Some(user));
    }
    let v6 = Uri::sip(None, "2001:db8::1", None).unwrap();
    assert_eq!(v6.to_text(), "sip:[2001:db8::1]");
}

#[test]
fn debug_output_shows_no_user() {
    let request = request(&invite("z9hG4bK1"));
    let shown = format!("{request:?} {:?} {:?}", request.uri(), request.fields().from());
    assert!(!shown.contains("alice") && !shown.contains("bob"), "{shown}");
}

#[test]
fn a_transport_said_twice_is_read_once_and_credentials_stay_as_they_are() {
    let text = invite("z9hG4bK1")
        .replace("sip:bob@gw.example", "sip:bob@gw.example;transport=tcp;Transport=TCP")
        .replace("Max-", "Authorization: Digest uri=\"sip:b@g;transport=tcp;transport=tcp\"\nMax-");
    let request = request(&text);
    assert_eq!(request.fault(), None);
    assert_eq!(request.uri().param("transport").as_deref(), Some("tcp"));
    let credentials = request.fields().text("Authorization").unwrap();
    assert!(credentials.contains("transport=tcp;transport=tcp"));
    assert!(Uri::parse("sip:b@g;transport=tcp;transport=udp").is_none());
    let behind_a_proxy = invite("z9hG4bK1").replace(
        "To: <sip:bob@gw.example>",
        "To: <sip:bob@gw.example;transport=tcp;transport=tcp>",
    );
    assert_eq!(crate::testing::request(&behind_a_proxy).fault(), None);
}

#[test]
fn a_control_character_in_a_call_id_or_a_nul_in_a_via_is_a_fault() {
    let good = invite("z9hG4bK1");
    assert_eq!(request(&good).fault(), None);
    for odd in ["call\0-1", "call\u{1}-1", "call\u{7f}-1", "call\u{9}-1"] {
        let bad = good.replace("call-1", odd);
        assert_eq!(request(&bad).fault(), Some(400), "{}", odd.escape_debug());
    }
    let via = good.replace("branch=z9hG4bK1", "branch=z9hG4bK1, SIP/2.0/U\0DP h;branch=z9hG4bK2");
    assert_eq!(request(&via).fault(), Some(400));
}

#[test]
fn the_answer_to_what_cannot_be_parsed_does_not_grow_with_bare_line_feeds() {
    let broken = |vias: usize| format!("X SIP/2.0\n{}\n", "v:\n".repeat(vias));
    assert!(salvage(broken(20).as_bytes()).is_some());
    for vias in [100, 1_000] {
        assert_eq!(salvage(broken(vias).as_bytes()), None, "{vias}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(Bytes::from(bytes.clone()));
        let _ = salvage(&bytes);
    }

    #[test]
    fn no_uri_makes_the_parser_panic(text in "(sips?|tel):[ -~]{0,40}") {
        if let Some(uri) = Uri::parse(&text) {
            let _ = (uri.user(), uri.host(), uri.number(), uri.transport(), uri.to_text());
        }
        let _ = NameAddr::parse(&text).map(|address| address.to_text());
    }

    #[test]
    fn a_display_name_makes_a_round_trip(display in "[ -~]{1,20}") {
        let mut address = NameAddr::new(Uri::parse("sip:a@b").unwrap());
        address.display = Some(display.clone());
        let again = NameAddr::parse(&address.to_text()).unwrap();
        prop_assert_eq!(again.display, Some(display));
    }
}
