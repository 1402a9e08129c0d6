//! Bodies both ways, what cannot be read, and what identifies a MESSAGE of ours.

use gateway_core::message::{
    Body, ConversationId, DeliveryId, Dispatch, Handover, Message, MessageId, Receipt, Settlement,
    Status,
};
use gateway_core::route::{Origin, Require};
use gateway_core::{AccountId, Address, Cause, TrunkId};
use proptest::prelude::*;

use super::cpim::{Envelope, Wishes};
use super::*;
use crate::stack::wire::{Request, Response, Uri};
use crate::testing::request;

fn message_of(kind: &str, body: &[u8]) -> Request {
    let mut request = request(
        "MESSAGE sip:bob@gw.example SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKm\n\
         From: <sip:alice@gw.example>;tag=1\nTo: <sip:bob@gw.example>\nCall-ID: m-1\n\
         CSeq: 7 MESSAGE\nContent-Length: 0",
    );
    request.set_body(kind, bytes::Bytes::copy_from_slice(body));
    request
}

fn read_as(kind: &str, body: &[u8]) -> Result<Content, u16> {
    let request = message_of(kind, body);
    read(request.fields(), request.body(), None).map_err(|refusal| refusal.status)
}

fn text_of(content: Result<Content, u16>) -> Text {
    match content {
        Ok(Content::Text(text)) => text,
        other => panic!("no text: {other:?}"),
    }
}

#[test]
fn plain_text_is_taken_as_it_stands() {
    for kind in ["text/plain", "Text/Plain; charset=\"UTF-8\"", "text/plain;charset=us-ascii"] {
        let text = text_of(read_as(kind, "Grüße, שלום 😀\r\n".as_bytes()));
        assert_eq!(text.body, "Grüße, שלום 😀\r\n");
        assert_eq!((text.sender_id.as_str(), text.wants_receipts), ("m-1/7", false));
    }
}

#[test]
fn what_is_no_plain_text_is_refused() {
    for (kind, body, status) in [
        ("text/html", &b"<p>hi</p>"[..], 415),
        ("multipart/mixed;boundary=a", b"--a--", 415),
        ("text/plain;charset=iso-8859-1", b"hi", 415),
        ("text/plain", b"\xff\xfe", 415),
        ("text/plain", b"", 400),
        ("text/plain", &[b'a'; 32 * 1024 + 1], 413),
        ("message/cpim", b"no parts", 400),
        ("message/cpim", b"From: <a:b>\r\n\r\nContent-Type: text/html\r\n\r\nhi", 415),
        ("message/cpim", b"From: <a:b>\r\n\r\nContent-Type: message/cpim\r\n\r\nhi", 415),
        ("message/imdn+xml", b"<imdn/>", 400),
        ("application/im-iscomposing+xml", b"<isComposing/>", 400),
    ] {
        assert_eq!(read_as(kind, body), Err(status), "{kind}");
    }
    let refusal = read(message_of("text/html", b"x").fields(), b"x", None).unwrap_err();
    assert!(refusal.headers.contains(&("Accept", ACCEPT.to_owned())));
    let mut encoded = message_of("text/plain", b"x");
    encoded.push("Content-Encoding", "gzip");
    assert_eq!(read(encoded.fields(), b"x", None).unwrap_err().status, 415);
    let mut broken = message_of("text/plain", b"x");
    broken.push("Content-Encoding", "deflate");
    assert_eq!(read(broken.fields(), b"x", None).unwrap_err().status, 400);
}

fn packed(text: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_packed_body_is_unpacked_but_no_bomb() {
    let mut request = message_of("text/plain", b"");
    request.push("Content-Encoding", "deflate");
    let content = read(request.fields(), &packed("Grüße".as_bytes()), None);
    assert_eq!(text_of(content.map_err(|refusal| refusal.status)).body, "Grüße");
    let bomb = packed(&vec![b'a'; 10_000_000]);
    assert!(bomb.len() < 20_000);
    assert_eq!(read(request.fields(), &bomb, None).unwrap_err().status, 413);
}

#[test]
fn a_notification_may_name_a_message_by_its_call_id() {
    let call_id = Ids::of(&dispatch()).call_id();
    assert_eq!(noticed(&call_id), Some(MessageId([7; 16])));
    assert_eq!(noticed(&MessageId([7; 16]).to_string()), Some(MessageId([7; 16])));
    assert_eq!(noticed("other"), None);
    assert!(call_id.len() <= 100, "the longest id read in a notification");
}

/// As linphone 5 sends it.
const CPIM_OF_LINPHONE: &str = "From: <sip:alice@gw.example>\r\nTo: <sip:bob@gw.example>\r\n\
    DateTime: 2026-11-22T16:05:06Z\r\nNS: imdn <urn:ietf:params:imdn>\r\n\
    imdn.Message-ID: aB3-x~\r\n\
    imdn.Disposition-Notification: positive-delivery, negative-delivery, display\r\n\
    \r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Length: 5\r\n\r\nhello";

#[test]
fn a_cpim_message_gives_its_text_its_id_and_its_wishes() {
    let text = text_of(read_as("message/cpim", CPIM_OF_LINPHONE.as_bytes()));
    assert_eq!((text.body.as_str(), text.wants_receipts), ("hello", true));
    assert_eq!(text.at_ms, Some(1_795_363_506_000));
    let asked = incoming::unmark(&text.sender_id).unwrap();
    assert_eq!((asked.id, asked.wishes), ("aB3-x~", Wishes::ALL));
    assert_eq!(asked.at_ms, 1_795_363_506_000);
    // Another prefix, and line feeds alone.
    let other =
        CPIM_OF_LINPHONE.replace("imdn", "x").replace("urn:ietf:params:x", "urn:ietf:params:imdn");
    let text = text_of(read_as("message/cpim", other.replace("\r\n", "\n").as_bytes()));
    assert_eq!(incoming::unmark(&text.sender_id).unwrap().id, "aB3-x~");
    // A Message-ID without any wish is an id still.
    let silent = CPIM_OF_LINPHONE.replace("imdn.Disposition-Notification", "X");
    let text = text_of(read_as("message/cpim", silent.as_bytes()));
    assert_eq!((text.wants_receipts, text.sender_id.contains("aB3-x~")), (false, true));
    assert!(incoming::unmark("m-1/7").is_none());
}

#[test]
fn the_longest_ids_fit_what_the_gateway_takes() {
    let max = gateway_core::message::MAX_SENDER_ID;
    let long = CPIM_OF_LINPHONE.replace("aB3-x~", &"i".repeat(100));
    assert!(text_of(read_as("message/cpim", long.as_bytes())).sender_id.len() <= max);
    let too_long = CPIM_OF_LINPHONE.replace("aB3-x~", &"i".repeat(101));
    assert_eq!(text_of(read_as("message/cpim", too_long.as_bytes())).sender_id, "m-1/7");
    let mut request = message_of("text/plain", b"x");
    request.set("Call-ID", &"c".repeat(500));
    let Ok(Content::Text(text)) = read(request.fields(), b"x", None) else { panic!("no text") };
    assert!(text.sender_id.len() <= max);
}

#[test]
fn a_notification_tells_how_far_a_message_has_come() {
    for status in [Status::Delivered, Status::Read, Status::Failed] {
        let xml = imdn::render("a&b", "sip:bob@gw.example", 0, status).unwrap();
        let notice = imdn::Notice { id: "a&b".to_owned(), status: Some(status) };
        assert_eq!(imdn::parse(xml.as_bytes()), Some(notice.clone()));
        let envelope = Envelope {
            content_type: Some(imdn::TYPE.to_owned()),
            content: xml.into_bytes(),
            ..Envelope::default()
        };
        let cpim = cpim::render("sip:a@b", "sip:c@d", &envelope);
        assert_eq!(read_as("message/cpim", &cpim), Ok(Content::Notice(notice)));
    }
    assert!(imdn::render("i", "sip:a@b", 0, Status::Sent).is_none());
    let odd = "<imdn xmlns='urn:ietf:params:xml:ns:imdn'><message-id>i</message-id>\
               <processing-notification><status><processed/></status></processing-notification></imdn>";
    assert_eq!(imdn::parse(odd.as_bytes()).unwrap().status, None);
}

#[test]
fn composing_is_read_back() {
    for is_on in [true, false] {
        let body = composing::render(is_on);
        assert_eq!(read_as(composing::TYPE, body.as_bytes()), Ok(Content::Composing(is_on)));
    }
}

#[test]
fn xml_beyond_the_limits_or_with_a_document_type_is_not_read() {
    let deep = |depth: usize| format!("{}<a/>{}", "<a>".repeat(depth), "</a>".repeat(depth));
    assert!(xml::parse(deep(7).as_bytes()).is_some());
    for text in [
        deep(9),
        format!("<a>{}</a>", "<b/>".repeat(64)),
        format!("<a>{}</a>", "x".repeat(17_000)),
        "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>".to_owned(),
        "<a>&x;</a>".to_owned(),
        "<?php x?><a/>".to_owned(),
        "<a></b>".to_owned(),
        "<a>".to_owned(),
        String::new(),
    ] {
        assert_eq!(xml::parse(text.as_bytes()), None, "{}", &text[..text.len().min(40)]);
    }
    let fine =
        xml::parse(b"<?xml version='1.0'?><x:a> 1 &lt; <![CDATA[2]]> &#x41; </x:a>").unwrap();
    assert_eq!((fine.name.as_str(), fine.text.as_str()), ("a", "1 < 2 A"));
}

#[test]
fn dates_are_read_in_every_zone_and_written_in_utc() {
    for (text, at_ms) in [
        ("1970-01-01T00:00:00Z", 0),
        ("2000-02-29T23:59:60Z", 951_868_800_000),
        ("2026-11-22T17:05:06.25+01:00", 1_795_363_506_250),
        ("2026-11-22T11:05:06-05:00", 1_795_363_506_000),
    ] {
        assert_eq!(date::parse(text), Some(at_ms), "{text}");
    }
    assert_eq!(date::render(1_795_363_506_999), "2026-11-22T16:05:06Z");
    for text in ["", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-11-22T16:05:06", "é"] {
        assert_eq!(date::parse(text), None, "{text}");
    }
}

fn dispatch() -> Dispatch {
    Dispatch {
        delivery: DeliveryId(3),
        attempt: 0,
        message_id: MessageId([7; 16]),
        conversation: ConversationId([5; 16]),
        trunk: TrunkId::from("sip.pbx"),
        origin: Origin {
            trunk: TrunkId::from("procom"),
            account: Some(AccountId::from("alice")),
            asserted: Address::procom("alice"),
            verified: true,
            only: None,
        },
        to: Address::sip("bob", "gw.example"),
        contact: None,
        account: None,
        message: Message {
            sender_id: "m1".to_owned(),
            to: Address::sip("bob", "gw.example"),
            dialled: None,
            content: "text/plain".to_owned(),
            body: Body::from("hi"),
            thread: None,
            at_ms: 0,
            require: Require::Any,
            may_fall_back: false,
            wants_receipts: true,
            hops_left: None,
        },
    }
}

fn ends() -> (Uri, Uri) {
    (Uri::parse("sip:alice@gw.example").unwrap(), Uri::parse("sip:bob@gw.example").unwrap())
}

#[test]
fn every_attempt_has_ids_of_its_own_and_the_same_one_always_the_same() {
    let first = dispatch();
    let others = [
        Dispatch { attempt: 1, ..dispatch() },
        Dispatch { delivery: DeliveryId(4), ..dispatch() },
        Dispatch { message_id: MessageId([8; 16]), ..dispatch() },
    ];
    let ids = |dispatch: &Dispatch| (Ids::of(dispatch).call_id(), Ids::of(dispatch).branch(0));
    assert_eq!(ids(&first), ids(&dispatch()));
    assert_ne!(Ids::of(&first).branch(0), Ids::of(&first).branch(1));
    for other in others {
        assert_ne!(ids(&first).0, ids(&other).0);
        assert_ne!(ids(&first).1, ids(&other).1);
    }
}

#[test]
fn a_letter_is_plain_text_or_asks_for_notifications() {
    let (from, to) = ends();
    let plain = Letter::text(&dispatch(), (&from, &to), false).unwrap();
    let request = plain.request(&Ids::of(&dispatch()), 1, &to, (&from, &to));
    assert_eq!(request.fields().text("Content-Type").as_deref(), Some("text/plain;charset=UTF-8"));
    assert_eq!(request.body().as_ref(), b"hi");
    assert!(!request.fields().has("Contact"), "RFC 3428 §4");
    let asking = Letter::text(&dispatch(), (&from, &to), true).unwrap();
    let request = asking.request(&Ids::of(&dispatch()), 1, &to, (&from, &to));
    let Ok(Content::Text(text)) = read(request.fields(), request.body(), None) else {
        panic!("no text")
    };
    let asked = incoming::unmark(&text.sender_id).unwrap();
    assert_eq!((text.body.as_str(), asked.id), ("hi", MessageId([7; 16]).to_string().as_str()));
}

#[test]
fn what_sip_cannot_carry_is_never_sent() {
    let (from, to) = ends();
    let mut odd = dispatch();
    odd.message.content = "text/html".to_owned();
    let mut sealed = dispatch();
    sealed.message.require = Require::EndToEnd;
    let mut empty = dispatch();
    empty.message.body = Body::from("");
    let cause = |dispatch| Letter::text(&dispatch, (&from, &to), false).unwrap_err().0;
    assert_eq!(cause(odd), Cause::NotAcceptable);
    assert_eq!(cause(sealed), Cause::Security);
    assert_eq!(cause(empty), Cause::NotAcceptable);
}

#[test]
fn a_sender_is_told_only_what_it_asked_for() {
    let (from, to) = ends();
    let told = |sender_id: &str, status| {
        let origin = Origin { asserted: Address::sip("bob", "gw.example"), ..dispatch().origin };
        let receipt = Receipt {
            trunk: TrunkId::from("sip.local"),
            origin,
            message_id: MessageId([7; 16]),
            sender_id: sender_id.to_owned(),
            to: Address::procom("alice"),
            status,
            reason: None,
        };
        let letter = Letter::notice(&receipt, &from, &to)?;
        let request = letter.request(&Ids::of_receipt(&receipt, 1), 1, &to, (&from, &to));
        match read(request.fields(), request.body(), None) {
            Ok(Content::Notice(notice)) => Some(notice),
            other => panic!("no notice: {other:?}"),
        }
    };
    let notice = |status| Some(imdn::Notice { id: "a:b".to_owned(), status: Some(status) });
    assert_eq!(told("imdn-p.5:a:b", Status::Delivered), notice(Status::Delivered));
    assert_eq!(told("imdn-d.5:a:b", Status::Read), notice(Status::Read));
    assert_eq!(told("imdn-n.5:a:b", Status::Failed), notice(Status::Failed));
    assert_eq!(told("imdn-p.5:a:b", Status::Read), None);
    assert_eq!(told("imdn-pnd.5:a:b", Status::Sent), None);
    assert_eq!(told("m-1/7", Status::Delivered), None);
}

#[test]
fn every_answer_means_taken_later_or_never() {
    let answer = |status| Response::to_request(&message_of("text/plain", b"x"), status);
    assert_eq!(handover(&answer(200), true), Handover::Taken(Status::Delivered));
    assert_eq!(handover(&answer(200), false), Handover::Taken(Status::Sent));
    assert_eq!(handover(&answer(202), true), Handover::Taken(Status::Sent));
    for status in 300..700 {
        let is_later = matches!(handover(&answer(status), true), Handover::Later(..));
        let may = matches!(status, 408 | 430 | 480 | 486 | 487 | 491 | 500..=599)
            && !matches!(status, 501 | 505 | 513);
        assert_eq!(is_later, may, "{status}");
    }
    let told = |status, value: &str| {
        let mut response = answer(status);
        response.push("Retry-After", value);
        match handover(&response, true) {
            Handover::After(wait, _, _) => Some(wait.as_secs()),
            Handover::Taken(_) | Handover::Later(..) | Handover::Never(..) => None,
        }
    };
    for (value, seconds) in [
        ("120", Some(120)),
        ("18000;duration=3600", Some(18_000)),
        ("5 (I'm in a meeting)", Some(5)),
        ("99999999999999999999", Some(u64::from(u32::MAX))),
        ("soon", None),
        ("-1", None),
        ("", None),
    ] {
        assert_eq!(told(503, value), seconds, "{value}");
        assert_eq!(told(480, value), seconds, "{value}");
        assert_eq!(told(404, value), None);
    }
    let Handover::Never(_, why) = handover(&answer(483), false) else { panic!("a circle") };
    assert_eq!(why, "the message went in a circle: Too Many Hops (483)");
    let mut explained = answer(488);
    explained.push("Warning", "399 phone \"too long\"");
    let Handover::Never(Cause::NotAcceptable, why) = handover(&explained, true) else {
        panic!("488 is for ever");
    };
    assert!(why.ends_with("too long (488)"), "{why}");
}

#[test]
fn a_settlement_is_accepted_delivered_or_its_cause() {
    let taken =
        |status| to_status(&Settlement::Taken(MessageId([1; 16]), status, ConversationId([5; 16])));
    assert_eq!([taken(Status::Queued), taken(Status::Delivered)], [202, 200]);
    for cause in Cause::ALL {
        let status = to_status(&Settlement::Refused(cause, String::new()));
        assert!((400..700).contains(&status), "{cause}");
    }
}

proptest! {
    #[test]
    fn no_body_makes_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for kind in [TEXT, CPIM, imdn::TYPE, composing::TYPE] {
            let _ = read_as(kind, &bytes);
        }
    }

    #[test]
    fn no_cpim_like_text_makes_a_reader_panic(text in "([A-Za-z.]{0,9}:? ?[<>;=a-z]{0,9}\r?\n){0,9}.{0,20}") {
        let _ = read_as(CPIM, text.as_bytes());
    }

    #[test]
    fn no_xml_like_text_makes_a_reader_panic(text in "(<[/!?]?[a-z:]{0,6} ?/?>|&[#a-z0-9]{0,4};|[a-z ]){0,40}") {
        let _ = (imdn::parse(text.as_bytes()), composing::parse(text.as_bytes()));
    }

    #[test]
    fn an_envelope_is_read_back(
        id in "[!-~]{1,100}", body in ".{0,60}", at in 0..4_000_000_000_i64, asks in any::<[bool; 3]>(),
    ) {
        let wishes = Wishes { delivered: asks[0], failed: asks[1], read: asks[2] };
        let envelope = Envelope {
            id: Some(id),
            wishes,
            at_ms: Some(at * 1_000),
            content_type: Some("text/plain".to_owned()),
            content: body.into_bytes(),
        };
        let bytes = cpim::render("sip:a@b", "sip:c@d", &envelope);
        prop_assert_eq!(cpim::parse(&bytes), Some(envelope));
    }

    #[test]
    fn a_date_is_read_back(at in 0..253_402_300_799_i64) {
        prop_assert_eq!(date::parse(&date::render(at * 1_000)), Some(at * 1_000));
    }

    #[test]
    fn no_text_makes_the_date_reader_panic(text in ".{0,40}|[0-9TZ:.+-]{19,40}") {
        let _ = date::parse(&text);
    }
}
