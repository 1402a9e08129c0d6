//! Each machine by its table in RFC 3261 §17, and all of them by random lives.

use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::stack::wire::Response;
use crate::testing::{invite, request, start};

const SECOND: Duration = Duration::from_secs(1);

fn rendered() -> Bytes {
    request(&invite("z9hG4bKx")).render()
}

fn answer(status: u16) -> Response {
    let mut response = Response::to_request(&request(&invite("z9hG4bKx")), status);
    response.tag_to("b1");
    response
}

/// Lets a machine's deadlines pass until `until`; when each message left, in milliseconds.
fn sendings(
    mut poll: impl FnMut() -> Option<Instant>,
    mut step: impl FnMut(Instant) -> Step,
    begin: Instant,
    until: Instant,
) -> Vec<u128> {
    let _ = (&mut poll, &mut step);
    let mut sent = Vec::new();
    while let Some(at) = poll().filter(|at| *at <= until) {
        if step(at).transmit.is_some() {
            sent.push((at - begin).as_millis());
        }
    }
    sent
}

#[test]
fn an_unanswered_invite_is_repeated_by_doubled_pauses_and_given_up_after_32_seconds() {
    let now = start();
    let (machine, step) = ClientInvite::new(rendered(), false, Timers::default(), now);
    assert!(step.transmit.is_some());
    let cell = std::cell::RefCell::new(machine);
    let mut last = None;
    let sent = sendings(
        || cell.borrow().poll_timeout(),
        |at| {
            let step = cell.borrow_mut().handle_timeout(at);
            last = step.report.or(last);
            step
        },
        now,
        now + 60 * SECOND,
    );
    assert_eq!(sent, [500, 1500, 3500, 7500, 15500, 31500]);
    assert_eq!(last, Some(Report::TimedOut));
    assert!(cell.borrow().is_over());
}

#[test]
fn other_requests_are_repeated_at_most_four_seconds_apart() {
    let now = start();
    let (machine, _) = ClientOther::new(rendered(), false, Timers::default(), now);
    let cell = std::cell::RefCell::new(machine);
    let sent = sendings(
        || cell.borrow().poll_timeout(),
        |at| cell.borrow_mut().handle_timeout(at),
        now,
        now + 60 * SECOND,
    );
    assert_eq!(sent, [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]);
}

#[test]
fn nothing_is_repeated_where_nothing_gets_lost() {
    let now = start();
    let (mut machine, _) = ClientInvite::new(rendered(), true, Timers::default(), now);
    assert_eq!(machine.poll_timeout(), Some(now + 32 * SECOND));
    assert!(machine.handle_timeout(now + 31 * SECOND).transmit.is_none());
}

#[test]
fn a_refusal_is_acknowledged_once_for_each_time_it_comes() {
    let now = start();
    let (mut machine, _) = ClientInvite::new(rendered(), false, Timers::default(), now);
    let step = machine.handle_response(&answer(486), now);
    assert_eq!(step.report, Some(Report::Pass));
    let ack = step.transmit.unwrap();
    assert!(ack.starts_with(b"ACK sip:bob@gw.example SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5060;"));
    let again = machine.handle_response(&answer(486), now);
    assert_eq!((again.transmit, again.report), (Some(ack), None));
    let _ = machine.handle_timeout(now + 32 * SECOND);
    assert!(machine.is_over());
}

#[test]
fn every_answer_of_a_forked_invite_is_passed_on_for_32_seconds() {
    let now = start();
    let (mut machine, _) = ClientInvite::new(rendered(), false, Timers::default(), now);
    for _ in 0..3 {
        let step = machine.handle_response(&answer(200), now + 31 * SECOND);
        assert_eq!((step.report, step.transmit.is_none()), (Some(Report::Pass), true));
    }
    let _ = machine.handle_timeout(now + 63 * SECOND);
    assert!(machine.is_over());
}

#[test]
fn a_cancelled_invite_without_an_answer_is_given_up() {
    let now = start();
    let (mut machine, _) = ClientInvite::new(rendered(), false, Timers::default(), now);
    let _ = machine.handle_response(&answer(180), now);
    assert_eq!(machine.poll_timeout(), None);
    machine.handle_cancelled(now);
    assert_eq!(machine.handle_timeout(now + 32 * SECOND).report, Some(Report::TimedOut));
}

#[test]
fn a_refusal_of_ours_is_repeated_until_its_ack_comes() {
    let now = start();
    let (mut machine, _) = ServerInvite::new(Bytes::from_static(b"100"), false, Timers::default());
    let _ = machine.handle_response(486, Bytes::from_static(b"486"), now);
    let step = machine.handle_timeout(now + SECOND / 2);
    assert_eq!(step.transmit.as_deref(), Some(&b"486"[..]));
    let _ = machine.handle_ack(now + SECOND);
    assert!(machine.handle_timeout(now + 2 * SECOND).transmit.is_none());
    assert!(machine.handle_request().transmit.is_none(), "a late copy is absorbed");
    let _ = machine.handle_timeout(now + 6 * SECOND);
    assert!(machine.is_over());
}

#[test]
fn an_answered_invite_absorbs_copies_and_passes_its_ack() {
    let now = start();
    let (mut machine, _) = ServerInvite::new(Bytes::from_static(b"100"), true, Timers::default());
    let _ = machine.handle_response(200, Bytes::from_static(b"200"), now);
    assert!(machine.handle_request().transmit.is_none());
    assert_eq!(machine.handle_ack(now).report, Some(Report::Pass));
    let _ = machine.handle_timeout(now + 32 * SECOND);
    assert!(machine.is_over());
}

#[test]
fn a_request_nobody_answers_does_not_stay_for_ever() {
    let now = start();
    let mut machine = ServerOther::new(true, Timers::default(), now);
    assert_eq!(machine.handle_timeout(now + 32 * SECOND).report, Some(Report::TimedOut));
    assert!(machine.is_over());
}

proptest! {
    #[test]
    fn a_client_is_told_at_most_one_end_and_always_comes_to_it(
        is_invite: bool,
        is_reliable: bool,
        inputs in prop::collection::vec((100u16..=699, 0u64..20_000), 0..20),
    ) {
        let begin = start();
        let (machine, _) = if is_invite {
            let (machine, step) = ClientInvite::new(rendered(), is_reliable, Timers::default(), begin);
            (Machine::ClientInvite(machine), step)
        } else {
            let (machine, step) = ClientOther::new(rendered(), is_reliable, Timers::default(), begin);
            (Machine::ClientOther(machine), step)
        };
        let mut machine = machine;
        let mut now = begin;
        let (mut finals, mut failures) = (0, 0);
        for (status, wait) in inputs {
            now += Duration::from_millis(wait);
            let due = machine.handle_timeout(now);
            failures += usize::from(matches!(due.report, Some(Report::TimedOut | Report::Unreachable)));
            let response = answer(status);
            let step = match &mut machine {
                Machine::ClientInvite(machine) => machine.handle_response(&response, now),
                Machine::ClientOther(machine) => machine.handle_response(&response, now),
                Machine::ServerInvite(_) | Machine::ServerOther(_) => unreachable!(),
            };
            // A 2xx to an INVITE comes as often as the peer likes.
            let is_repeatable = is_invite && response.is_success();
            if step.report == Some(Report::Pass) && status >= 200 && !is_repeatable {
                finals += 1;
            }
        }
        for _ in 0..40 {
            now += 10 * SECOND;
            failures += usize::from(machine.handle_timeout(now).report.is_some());
        }
        prop_assert!(finals + failures <= 1, "{finals} finals, {failures} failures");
    }
}
