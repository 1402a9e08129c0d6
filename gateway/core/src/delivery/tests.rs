use super::*;
use crate::{Address, Cause};

#[test]
fn the_ladder_is_climbed_and_failure_comes_only_before_delivery() {
    use Status::{Delivered, Failed, Queued, Read, Sent};
    assert!(climbs(Queued, Sent) && climbs(Sent, Read) && climbs(Queued, Delivered));
    assert!(climbs(Queued, Failed) && climbs(Sent, Failed));
    for (from, to) in [(Sent, Sent), (Read, Delivered), (Delivered, Failed), (Failed, Read)] {
        assert!(!climbs(from, to), "{from} {to}");
    }
}

#[test]
fn waits_double_to_their_limit_and_are_spread() {
    let patience = Patience::default();
    assert_eq!(patience.wait(1, 1000), Duration::from_secs(2));
    assert_eq!(patience.wait(1, 1001), Duration::from_secs(1));
    assert_eq!(patience.wait(4, 1000), Duration::from_secs(16));
    assert_eq!(patience.wait(u32::MAX, 1000), Duration::from_secs(600));
}

/// A message that may go by `ways` trunks, for a minute.
fn parcel(ways: u32) -> Parcel {
    let way = |n: u32| Way {
        trunk: format!("sip.{n}").into(),
        to: Address::tel("+4512345678"),
        contact: None,
        account: None,
    };
    let hop = |n: u32| Hop { id: DeliveryId(n.into()), group: 0, way: way(n), attempt: 0 };
    Parcel {
        message_id: MessageId([1; 16]),
        conversation: "c".into(),
        hops: (0..ways).map(|n| (hop(n), Duration::ZERO)).collect(),
        status: Status::Queued,
        wants_receipts: true,
        takers: Vec::new(),
        life: Duration::from_secs(60),
    }
}

fn begin(ways: u32) -> (Deliveries, Moment) {
    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin with")]
    let moment = Moment { now: Instant::now(), draw: 0 };
    let mut all = Deliveries::new(Patience::default());
    all.accept(parcel(ways), |_| true, None, moment);
    (all, moment)
}

fn told(all: &mut Deliveries) -> Vec<Output> {
    let outputs = std::iter::from_fn(|| all.poll_output());
    outputs.filter(|output| matches!(output, Output::Tell(..))).collect()
}

fn never(cause: Cause, why: &str) -> Handover {
    Handover::Never(cause, why.to_owned())
}

#[test]
fn the_largest_failure_is_the_one_that_is_told() {
    let (mut all, moment) = begin(2);
    all.handle_sent(DeliveryId(0), never(Cause::Declined, "no"), moment);
    all.handle_sent(DeliveryId(1), never(Cause::NotFound, "who"), moment);
    all.handle_stored(MessageId([1; 16]), 2, moment);
    let failed = Output::Tell(MessageId([1; 16]), Status::Failed, Some("no".to_owned()));
    assert_eq!(told(&mut all), [failed]);
    assert!(all.is_empty());
}

#[test]
fn what_is_in_the_air_at_the_end_of_its_life_is_waited_for() {
    let (mut all, moment) = begin(1);
    let late = Moment { now: moment.now + Duration::from_secs(60), ..moment };
    all.handle_timeout(late);
    assert_eq!(all.poll_timeout(), None, "nothing to do but wait for the network");
    all.handle_sent(DeliveryId(0), Handover::Taken(Status::Sent), late);
    all.handle_stored(MessageId([1; 16]), 1, late);
    assert_eq!(told(&mut all), [Output::Tell(MessageId([1; 16]), Status::Sent, None)]);
    assert!(all.is_empty());
}

#[test]
fn an_attempt_that_fails_after_the_end_of_its_life_was_the_last() {
    let (mut all, moment) = begin(2);
    let late = Moment { now: moment.now + Duration::from_secs(60), ..moment };
    all.handle_sent(DeliveryId(0), Handover::Later(Cause::Overload, "busy".to_owned()), moment);
    all.handle_timeout(late);
    assert_eq!(told(&mut all), [], "the other one may be taken yet");
    all.handle_sent(DeliveryId(1), Handover::Later(Cause::Overload, "full".to_owned()), late);
    (1..4).for_each(|version| all.handle_stored(MessageId([1; 16]), version, late));
    let why = "not taken in 0.0 days: busy".to_owned();
    let failed = Output::Tell(MessageId([1; 16]), Status::Failed, Some(why));
    assert_eq!(told(&mut all), [failed]);
    assert!(all.is_empty());
}

#[test]
fn who_says_when_to_come_again_is_left_alone_until_then() {
    let second = Duration::from_secs(1);
    let patience = Patience { first_retry: 2 * second, longest_retry: 600 * second };
    for draw in [0, 1000] {
        let spread = patience.wait(1, draw) / 2;
        assert_eq!(patience.wait_at_least(60 * second, 1, draw), 60 * second + spread);
        assert_eq!(patience.wait_at_least(86_400 * second, 1, draw), 600 * second + spread);
        assert_eq!(patience.wait_at_least(second / 2, 1, draw), patience.wait(1, draw));
        assert_eq!(patience.wait_at_least(60 * second, 20, draw), patience.wait(20, draw));
    }
    let (mut all, moment) = begin(1);
    let busy = Handover::After(30 * second, Cause::Overload, "busy".to_owned());
    all.handle_sent(DeliveryId(0), busy, moment);
    all.handle_stored(MessageId([1; 16]), 1, moment);
    let due = all.poll_timeout().expect("it rests");
    assert!((30 * second..32 * second).contains(&(due - moment.now)));
    let attempts = |all: &mut Deliveries| {
        let outputs = std::iter::from_fn(|| all.poll_output());
        outputs
            .filter(|output| matches!(output, Output::Dispatch(_, hop) if hop.attempt == 1))
            .count()
    };
    all.handle_timeout(Moment { now: moment.now + 29 * second, ..moment });
    assert_eq!(attempts(&mut all), 0);
    all.handle_timeout(Moment { now: due, ..moment });
    assert_eq!(attempts(&mut all), 1);
}

#[test]
fn who_is_back_gets_at_once_what_rests() {
    let (mut all, moment) = begin(1);
    let dispatched = |all: &mut Deliveries| {
        let outputs = std::iter::from_fn(|| all.poll_output());
        outputs.filter(|output| matches!(output, Output::Dispatch(..))).count()
    };
    assert_eq!(dispatched(&mut all), 1);
    let nobody = Handover::Later(Cause::Unreachable, "nobody is there".to_owned());
    all.handle_sent(DeliveryId(0), nobody, moment);
    all.handle_stored(MessageId([1; 16]), 1, moment);
    all.handle_woken(&"sip.1".into(), "+4512345678", moment);
    all.handle_woken(&"sip.0".into(), "+4512345679", moment);
    assert_eq!(dispatched(&mut all), 0, "somebody else is back");
    all.handle_woken(&"sip.0".into(), "+4512345678", moment);
    assert_eq!(dispatched(&mut all), 1);
}
