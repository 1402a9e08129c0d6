//! What must hold of whatever the SIP parser, and the stack behind it, is given.

use adapter_sip::stack::flow::{Flow, LinkId, Transport};
use adapter_sip::stack::gate::{Admission, Gate, MOST_TIMES};
use adapter_sip::stack::policy::Refusal;
use adapter_sip::stack::tokens::Tokens;
use adapter_sip::stack::transaction::Timers;
use adapter_sip::stack::wire::{
    Fields, MAX_MESSAGE_BYTES, Malformed, Message, Request, Response, parse, salvage,
};
use adapter_sip::stack::{Advertised, Limits, Stack};
use bytes::Bytes;
use std::time::Instant;

/// A gate that knows no trunk and no account.
struct Closed;

impl Gate for Closed {
    fn admit(&mut self, request: &Request, _: Flow, _: Instant) -> Admission {
        Admission::Answer(vec![Refusal::new(403).response(request)])
    }

    fn has_dialog(&self, _: &Request) -> bool {
        false
    }

    fn may_answer(&mut self, _: Flow, _: Instant) -> bool {
        true
    }
}

/// What is accepted is rendered to the same message, all that is made of it can be read too, and the
/// stack answers it at most once and briefly, and remembers nothing of it. Whether the bytes were accepted is returned.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let raw = Bytes::copy_from_slice(bytes);
    assert_answered_briefly(&raw);
    if let Some(answer) = salvage(&raw) {
        assert!(answer.len() <= raw.len() + 120);
        assert!(
            answer.starts_with(b"SIP/2.0 400 Bad Request\r\n") && answer.ends_with(b"\r\n\r\n")
        );
    }
    match parse(raw) {
        Ok(Message::Request(request)) => check_request(&request),
        Ok(Message::Response(response)) => check_response(&response),
        Err(Malformed::Syntax | Malformed::TooLarge) => return false,
    }
    true
}

/// Feeds a fresh stack.
fn assert_answered_briefly(raw: &Bytes) {
    #[expect(clippy::disallowed_methods, reason = "an Instant can be had in no other way")]
    let now = Instant::now();
    let (limits, timers) = (Limits::default(), Timers::default());
    let mut stack = Stack::new(limits, timers, Advertised::default(), Tokens::new([3; 32]));
    let remote = ([192, 0, 2, 7], 5060).into();
    let flow = Flow { transport: Transport::Udp, remote, link: LinkId(1) };
    stack.handle_message(flow, raw.clone(), &mut Closed, now);
    let sent: Vec<_> = std::iter::from_fn(|| stack.poll_transmit()).collect();
    let told = std::iter::from_fn(|| stack.poll_event()).count();
    assert!(sent.len() <= 1 && told == 0, "{} sent, {told} told", sent.len());
    assert_eq!(stack.counters().transactions, 0);
    for transmit in sent {
        assert!(transmit.bytes.starts_with(b"SIP/2.0 "));
        assert!(transmit.bytes.len() <= MOST_TIMES * raw.len(), "{:?}", transmit.bytes);
    }
}

fn check_request(request: &Request) {
    let fault = request.fault();
    let before = read_all(request.fields());
    if let Some(again) = rendered(request.render()) {
        let Message::Request(again) = again else { panic!("a request became a response") };
        assert_eq!(request.method(), again.method());
        assert_eq!(request.uri().to_text(), again.uri().to_text());
        assert_eq!(request.body(), again.body());
        assert_eq!(before, read_all(again.fields()));
        assert_eq!(fault, again.fault());
        // Of a transport said many times one is mended away each time: such a To stays a fault.
        assert!(fault.is_some() || request.render() == again.render());
    }
    if fault.is_none() {
        check_made_of(request);
    }
}

/// What the stack makes of a request without fault.
fn check_made_of(request: &Request) {
    let hops = request.fields().via_count();
    let mut noted = request.clone();
    noted.note_source(([192, 0, 2, 77], 50_607).into());
    assert_eq!(noted.fields().via_count(), hops);
    let (old, new) = (request.fields().top_via(), noted.fields().top_via());
    let (Some(old), Some(new)) = (old, new) else { panic!("a request without fault has a Via") };
    assert_eq!((old.sent_by(), &old.branch), (new.sent_by(), &new.branch));
    assert_eq!(new.rport.flatten(), old.rport.map(|_| 50_607));
    let mut response = Response::to_request(&noted, 486);
    response.tag_to("tag");
    if let Some(again) = rendered(response.render()) {
        let Message::Response(again) = again else { panic!("a response became a request") };
        assert_eq!(again.fields().call_id(), request.fields().call_id());
        assert_eq!(again.fields().cseq(), request.fields().cseq());
        assert_eq!(again.fields().via_count(), hops);
        assert!(again.fields().to().is_some_and(|to| to.tag().is_some()));
    }
    for made in [request.cancel(), request.ack_for(&response)] {
        if let Some(again) = rendered(made.render()) {
            let Message::Request(again) = again else { panic!("a request became a response") };
            assert_eq!(again.fields().call_id(), request.fields().call_id());
        }
    }
}

fn check_response(response: &Response) {
    let before = read_all(response.fields());
    if let Some(again) = rendered(response.render()) {
        let Message::Response(again) = again else { panic!("a response became a request") };
        assert_eq!(response.status(), again.status());
        assert_eq!(response.body(), again.body());
        assert_eq!(before, read_all(again.fields()));
        assert_eq!(response.render(), again.render());
    }
}

/// Reads what was rendered; `None` when the length we add brings it over a limit.
fn rendered(bytes: Bytes) -> Option<Message> {
    match parse(bytes.clone()) {
        Ok(message) => Some(message),
        Err(Malformed::TooLarge) => None,
        Err(Malformed::Syntax) => panic!("unreadable: {bytes:?}"),
    }
}

/// Every value that can be asked for, as text.
fn read_all(fields: Fields<'_>) -> String {
    let addresses = (fields.from(), fields.to(), fields.contacts(), fields.contact());
    for address in [&addresses.0, &addresses.1, &addresses.3].into_iter().flatten() {
        assert!(address.to_text().len() <= 2 * MAX_MESSAGE_BYTES);
    }
    let routes = (fields.routes(), fields.record_routes(), fields.top_via(), fields.via_count());
    let numbers = (fields.cseq(), fields.max_forwards(), fields.expires(), fields.call_id());
    let tags = (fields.require(), fields.proxy_require(), fields.supports("timer"));
    let rest = (fields.content_type(), fields.is_date_malformed(), fields.is_contact_malformed());
    let texts = (fields.text("Subject"), fields.texts("Via"), fields.text("Call-Info"));
    format!("{addresses:?} {routes:?} {numbers:?} {tags:?} {rest:?} {texts:?}")
}
