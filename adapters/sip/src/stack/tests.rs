//! The stack as a whole: matching, merging, cancelling, shedding, falling back.

use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;

use super::flow::Target;
use super::wire::Method;
use super::*;
use crate::testing::{Open, flow, invite, lines, remote, request, response, start};

fn stack_with(limits: Limits) -> Stack {
    let mut advertised = Advertised::default();
    advertised.add(Transport::Udp, "192.0.2.1:5060".parse().unwrap());
    advertised.add(Transport::Tcp, "192.0.2.1:5060".parse().unwrap());
    Stack::new(limits, Timers::default(), advertised, Tokens::new([1; 32]))
}

fn stack() -> Stack {
    stack_with(Limits::default())
}

fn feed(stack: &mut Stack, text: &str, now: Instant) {
    stack.handle_message(flow(Transport::Udp), Bytes::from(lines(text)), &mut Open, now);
}

fn statuses(stack: &mut Stack) -> Vec<u16> {
    let sent = std::iter::from_fn(|| stack.poll_transmit());
    sent.map(|transmit| response(&transmit.bytes).status()).collect()
}

fn incoming(stack: &mut Stack) -> TransactionId {
    match stack.poll_event() {
        Some(Event::Request { id, .. }) => id,
        other => panic!("no request: {other:?}"),
    }
}

fn options() -> Request {
    let mut request = request(&invite("z9hG4bKout").replace("INVITE", "OPTIONS"));
    request.set_top_via("SIP/2.0/UDP x;branch=z9hG4bKy");
    request
}

#[test]
fn a_repeated_invite_is_answered_again_and_told_once() {
    let (mut stack, now) = (stack(), start());
    feed(&mut stack, &invite("z9hG4bK1"), now);
    feed(&mut stack, &invite("z9hG4bK1"), now);
    assert_eq!(statuses(&mut stack), [100, 100]);
    let id = incoming(&mut stack);
    assert!(stack.poll_event().is_none());
    let refusal = Response::to_request(&request(&invite("z9hG4bK1")), 486);
    stack.respond(id, refusal, now);
    feed(&mut stack, &invite("z9hG4bK1"), now);
    assert_eq!(statuses(&mut stack), [486, 486]);
}

#[test]
fn a_cancel_is_answered_and_told_with_its_invite() {
    let (mut stack, now) = (stack(), start());
    feed(&mut stack, &invite("z9hG4bK1"), now);
    let invite_id = incoming(&mut stack);
    feed(&mut stack, &invite("z9hG4bK1").replace("INVITE", "CANCEL"), now);
    assert_eq!(statuses(&mut stack), [100, 200]);
    assert!(matches!(stack.poll_event(), Some(Event::Cancelled { id }) if id == invite_id));
}

#[test]
fn a_cancel_from_elsewhere_or_for_nothing_is_answered_481() {
    let (mut stack, now) = (stack(), start());
    feed(&mut stack, &invite("z9hG4bK1"), now);
    let _ = (incoming(&mut stack), statuses(&mut stack));
    let cancel = Bytes::from(lines(&invite("z9hG4bK1").replace("INVITE", "CANCEL")));
    let elsewhere = Flow { remote: "203.0.113.5:5060".parse().unwrap(), ..flow(Transport::Udp) };
    stack.handle_message(elsewhere, cancel, &mut Open, now);
    feed(&mut stack, &invite("z9hG4bKother").replace("INVITE", "CANCEL"), now);
    assert_eq!(statuses(&mut stack), [481, 481]);
    assert!(stack.poll_event().is_none());
}

#[test]
fn the_same_request_by_two_ways_is_answered_482_once() {
    let (mut stack, now) = (stack(), start());
    feed(&mut stack, &invite("z9hG4bK1"), now);
    feed(&mut stack, &invite("z9hG4bK2"), now);
    assert_eq!(statuses(&mut stack), [100, 482]);
    let _ = incoming(&mut stack);
    assert!(stack.poll_event().is_none());
}

#[test]
fn above_the_limit_new_requests_get_503_without_costing_memory() {
    let now = start();
    let mut stack = stack_with(Limits { max_pending: 2, ..Limits::default() });
    for n in 0..5 {
        let text = invite(&format!("z9hG4bK{n}")).replace("call-1", &format!("call-{n}"));
        feed(&mut stack, &text, now);
    }
    let sent: Vec<_> = std::iter::from_fn(|| stack.poll_transmit()).collect();
    let shed: Vec<_> = sent.iter().map(|sent| response(&sent.bytes)).collect();
    assert_eq!(shed.iter().map(Response::status).collect::<Vec<_>>(), [100, 100, 503, 503, 503]);
    assert!(shed[4].fields().has("Retry-After"));
    assert_eq!(stack.counters().transactions, 2);
    assert_eq!(stack.counters().shed, 3);
}

#[test]
fn a_draining_stack_refuses_new_calls_and_lets_old_ones_end() {
    let (mut stack, now) = (stack(), start());
    stack.drain();
    feed(&mut stack, &invite("z9hG4bK1"), now);
    let bye = invite("z9hG4bK2")
        .replace("INVITE", "BYE")
        .replace("<sip:bob@gw.example>\n", "<sip:bob@gw.example>;tag=t\n");
    feed(&mut stack, &bye, now);
    assert_eq!(statuses(&mut stack), [503]);
    let _ = incoming(&mut stack);
}

#[test]
fn responses_find_their_request_and_strays_are_dropped() {
    let (mut stack, now) = (stack(), start());
    let id = stack.send_request(options(), Target::new(Transport::Udp, remote()), now).unwrap();
    let sent = stack.poll_transmit().unwrap();
    let Ok(wire::Message::Request(sent)) = wire::parse(sent.bytes) else { panic!("no request") };
    let ok = Response::to_request(&sent, 200);
    let two_vias = {
        let mut other = ok.clone();
        other.push("Via", "SIP/2.0/UDP other;branch=z9hG4bKother");
        other
    };
    stack.handle_message(flow(Transport::Udp), two_vias.render(), &mut Open, now);
    assert!(stack.poll_event().is_none());
    stack.handle_message(flow(Transport::Udp), ok.render(), &mut Open, now);
    assert!(matches!(stack.poll_event(), Some(Event::Response { id: got, .. }) if got == id));
    let stray = Response::to_request(&options(), 200);
    stack.handle_message(flow(Transport::Udp), stray.render(), &mut Open, now);
    assert!(stack.poll_event().is_none());
    assert_eq!(stack.counters().stray_responses, 2);
}

#[test]
fn a_cancel_of_ours_waits_for_the_first_provisional_answer() {
    let (mut stack, now) = (stack(), start());
    let invite = request(&invite("z9hG4bKx"));
    let id = stack.send_request(invite, Target::new(Transport::Udp, remote()), now).unwrap();
    let sent = stack.poll_transmit().unwrap();
    let Ok(wire::Message::Request(sent)) = wire::parse(sent.bytes) else { panic!("no request") };
    stack.cancel(id, None, now);
    assert!(stack.poll_transmit().is_none());
    stack.handle_message(
        flow(Transport::Udp),
        Response::to_request(&sent, 100).render(),
        &mut Open,
        now,
    );
    let cancel = stack.poll_transmit().unwrap();
    let Ok(wire::Message::Request(cancel)) = wire::parse(cancel.bytes) else { panic!("none") };
    assert_eq!(cancel.method(), Method::Cancel);
    assert_eq!(cancel.fields().text("Via"), sent.fields().text("Via"));
}

#[test]
fn a_long_request_goes_by_tcp_and_by_udp_when_tcp_is_refused() {
    let (mut stack, now) = (stack(), start());
    let mut long = options();
    long.set_body("text/plain", Bytes::from(vec![b'x'; 1_400]));
    let id = stack.send_request(long, Target::new(Transport::Udp, remote()), now).unwrap();
    let first = stack.poll_transmit().unwrap();
    assert_eq!(first.target.transport, Transport::Tcp);
    assert!(String::from_utf8_lossy(&first.bytes).contains("Via: SIP/2.0/TCP"));
    stack.handle_unsent(id, now);
    let second = stack.poll_transmit().unwrap();
    assert_eq!(second.target.transport, Transport::Udp);
    assert!(String::from_utf8_lossy(&second.bytes).contains("Via: SIP/2.0/UDP"));
    stack.handle_unsent(id, now);
    assert!(matches!(stack.poll_event(), Some(Event::Failed { is_unreachable: true, .. })));
}

#[test]
fn an_answer_goes_to_the_port_of_via_unless_rport_asks_for_the_source() {
    let (mut stack, now) = (stack(), start());
    let source = Flow { remote: "192.0.2.7:40000".parse().unwrap(), ..flow(Transport::Udp) };
    let asked = Bytes::from(lines(&invite("z9hG4bK1")));
    stack.handle_message(source, asked, &mut Open, now);
    assert_eq!(stack.poll_transmit().unwrap().target.remote.port(), 40_000);
    let plain = invite("z9hG4bK2").replace(";rport", "").replace("call-1", "call-2");
    stack.handle_message(source, Bytes::from(lines(&plain)), &mut Open, now);
    assert_eq!(stack.poll_transmit().unwrap().target.remote.port(), 5_060);
}

proptest! {
    #[test]
    fn whatever_comes_the_stack_forgets_it_in_time(
        inputs in prop::collection::vec((0usize..6, 0usize..4, 0u64..5_000), 0..40),
    ) {
        let mut now = start();
        let mut stack = stack();
        let mut open = Vec::new();
        for (kind, which, wait) in inputs {
            now += Duration::from_millis(wait);
            stack.handle_timeout(now);
            let text = invite(&format!("z9hG4bK{which}"));
            match kind {
                0 => feed(&mut stack, &text, now),
                1 => feed(&mut stack, &text.replace("INVITE", "CANCEL"), now),
                2 => feed(&mut stack, &text.replace("INVITE", "ACK"), now),
                3 => feed(&mut stack, &text.replace("INVITE", "OPTIONS"), now),
                4 => { let _ = stack.send_request(options(), Target::new(Transport::Udp, remote()), now); }
                _ => if let Some(id) = open.pop() {
                    stack.respond(id, Response::to_request(&request(&text), 486), now);
                },
            }
            while let Some(event) = stack.poll_event() {
                if let Event::Request { id, .. } = event { open.push(id); }
            }
        }
        for id in open {
            stack.respond(id, Response::to_request(&options(), 500), now);
        }
        for _ in 0..20 {
            now += Duration::from_secs(10);
            stack.handle_timeout(now);
        }
        prop_assert_eq!(stack.counters().transactions, 0);
        prop_assert_eq!(stack.counters().pending, 0);
        prop_assert_eq!(stack.poll_timeout(), None);
    }
}
