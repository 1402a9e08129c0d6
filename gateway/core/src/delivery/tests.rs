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

#[test]
fn the_largest_failure_is_the_one_that_is_told() {
    let way = |n: u32| Way {
        trunk: format!("sip.{n}").into(),
        to: Address::tel("+4512345678"),
        contact: None,
        account: None,
    };
    let hops = [0, 1].map(|n| {
        let hop = Hop { id: DeliveryId(n.into()), group: 0, way: way(n), attempt: 0 };
        (hop, Duration::ZERO)
    });
    let parcel = Parcel {
        message_id: MessageId([1; 16]),
        conversation: "c".into(),
        hops: hops.to_vec(),
        status: Status::Queued,
        wants_receipts: true,
        takers: Vec::new(),
        life: Duration::from_secs(60),
    };
    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin with")]
    let moment = Moment { now: Instant::now(), draw: 0 };
    let mut all = Deliveries::new(Patience::default());
    all.accept(parcel, |_| true, None, moment);
    let never = |cause, why: &str| Handover::Never(cause, why.to_owned());
    all.handle_sent(DeliveryId(0), never(Cause::Declined, "no"), moment);
    all.handle_sent(DeliveryId(1), never(Cause::NotFound, "who"), moment);
    all.handle_stored(MessageId([1; 16]), 2, moment);
    let told: Vec<Output> = std::iter::from_fn(|| all.poll_output()).collect();
    let failed = Output::Tell(MessageId([1; 16]), Status::Failed, Some("no".to_owned()));
    assert!(told.contains(&failed), "{told:?}");
    assert!(all.is_empty());
}
