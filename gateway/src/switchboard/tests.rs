//! The switchboard with two adapters and a media plane played by the test.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use gateway_adapter::attempts::Acquaintance;
use gateway_adapter::{Busy, Edge, channel, resolver};
use gateway_core::description::{Codec, Description, MediaLine};
use gateway_core::media::{Profile, Protection};
use gateway_core::route::{Location, Origin, OwnContact, Require};
use gateway_core::{Address, Answer, Offer};

use super::*;
use crate::config::Config;
use crate::store::recall;
use dialplan::config::Targets;
use dialplan::{Dialplan, Rules};
use tokio::sync::watch;

struct House {
    controls: mpsc::Sender<Control>,
    procom: Edge,
    sip: Edge,
    metrics: Metrics,
    folder: std::path::PathBuf,
}

fn offer() -> Offer {
    let mut line = MediaLine::audio("RTP/AVP");
    line.codecs = vec![Codec::new(0, "PCMU", 8000)];
    Offer(Description { media: vec![line], ..Description::default() })
}

/// A media plane that agrees to everything.
fn media(events: mpsc::UnboundedSender<MediaEvent>) -> MediaSink {
    Box::new(move |command| {
        let port = command.port();
        let event = match command {
            MediaCommand::Offer { .. } | MediaCommand::Reoffer { .. } => {
                Some(MediaEvent::Offered(port, offer()))
            }
            MediaCommand::Answer { .. } => Some(MediaEvent::Answered(port, Answer(offer().0))),
            MediaCommand::Accept { .. }
            | MediaCommand::Rollback { .. }
            | MediaCommand::Channel { .. }
            | MediaCommand::Candidate { .. }
            | MediaCommand::Digit { .. }
            | MediaCommand::Join { .. }
            | MediaCommand::Leave { .. }
            | MediaCommand::Close { .. } => None,
        };
        event.is_none_or(|event| events.send(event).is_ok())
    })
}

async fn house(name: &str, calls: usize) -> House {
    let folder = std::env::temp_dir().join(format!("procom-board-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    let store = Store::open(&folder, 1).expect("a store");
    let names = ["alice", "bob"].map(|name| (name.to_owned(), name.into()));
    let rules = Rules::parse("[[route]]\nmatch = \"+45*\"\ntrunk = \"sip.pbx\"\n").expect("a rule");
    let dialplan = Dialplan {
        accounts: BTreeMap::from(names),
        rules: vec![Arc::new(rules)],
        ..Dialplan::default()
    };
    let mut planning = Config::default().planning(Targets::LoopbackOnly, None).expect("a plan");
    planning.dialplan = Arc::new(dialplan);
    let (_, plans) = watch::channel(Arc::new(planning));
    let metrics = Metrics::new();
    let (sender, media_events) = mpsc::unbounded_channel();
    let capacity = Capacity {
        calls,
        calls_per_account: 10,
        trunk_calls_per_account: 1,
        limits: Limits::default(),
    };
    let board = Switchboard::new(
        plans,
        media(sender),
        store,
        metrics.clone(),
        (capacity, MailConfig::default()),
    );
    let (controls, receiver) = mpsc::channel(16);
    tokio::spawn(board.run(Inlets { controls: receiver, media: media_events }));
    let next_leg = Arc::new(AtomicU64::new(LEGS_PER_CALL));
    let mut edges = Vec::new();
    for name in ["procom", "sip"] {
        let (sender, events) = mpsc::channel(64);
        let recorder = metrics.recorder(name);
        let (outlet, edge) = channel(Arc::clone(&next_leg), sender, resolver().0, recorder);
        let attach = Control::Attach(name, outlet, events);
        controls.send(attach).await.expect("the switchboard runs");
        edges.push(edge);
    }
    let mut sip = edges.pop().expect("two edges");
    let location = Location {
        trunk: "sip.local".into(),
        contact: "c".into(),
        profiles: vec![Profile::phone(Protection::Sdes, false)],
        preference: 500,
    };
    sip.report(Event::Located("bob".into(), vec![location]));
    let profiles = vec![Profile::phone(Protection::Sdes, false)];
    sip.report(Event::Link("sip.pbx".into(), LinkState::Up(profiles)));
    let procom = edges.pop().expect("two edges");
    // The events of different adapters have no order: let the location arrive.
    tokio::time::sleep(Duration::from_millis(20)).await;
    House { controls, procom, sip, metrics, folder }
}

impl House {
    fn call(&mut self) -> Result<LegId, Busy> {
        self.call_to(Address::procom("bob"))
    }

    fn call_to(&mut self, to: Address) -> Result<LegId, Busy> {
        self.call_by(to, None)
    }

    fn call_by(&mut self, to: Address, record: Option<OwnContact>) -> Result<LegId, Busy> {
        let leg = self.procom.next_leg();
        let incoming = Incoming {
            leg,
            origin: Origin {
                trunk: "procom".into(),
                account: Some("alice".into()),
                asserted: Address::procom("alice"),
                verified: true,
                only: None,
            },
            to,
            dialled: None,
            record,
            display: None,
            require: Require::Any,
            offer: offer(),
            profile: Profile::webrtc(Duration::from_secs(30)),
            hops_left: None,
        };
        self.procom.try_report(Event::Incoming(Box::new(incoming)))?;
        Ok(leg)
    }

    /// The gauge of live legs, summed over trunks.
    fn legs_active(&self) -> f64 {
        let families = self.metrics.registry().gather();
        let family = families.iter().find(|family| family.name() == "legs_active");
        family.map_or(0.0, |family| {
            family.get_metric().iter().map(|metric| metric.get_gauge().get_value()).sum()
        })
    }
}

async fn next(edge: &mut Edge) -> (LegId, LegCommand) {
    let next = tokio::time::timeout(Duration::from_secs(2), edge.next()).await;
    match next.expect("a command in time") {
        Some(Command::Leg(leg, command)) => (leg, command),
        other => panic!("a leg command, not {other:?}"),
    }
}

async fn dialled(edge: &mut Edge) -> LegId {
    let (leg, command) = next(edge).await;
    assert!(matches!(command, LegCommand::Dial(_)), "{command:?}");
    leg
}

/// Waits for the end of a leg and what it says, then reports that it ended.
async fn take_end(edge: &mut Edge, of: LegId) -> Cause {
    loop {
        if let (leg, LegCommand::End(cause, _)) = next(edge).await {
            assert_eq!(leg, of);
            edge.report(Event::Leg(leg, LegEvent::Ended(cause, None)));
            return cause;
        }
    }
}

#[tokio::test]
async fn a_call_crosses_from_one_network_to_the_other_and_leaves_nothing_behind() {
    let mut house = house("crosses", 10).await;
    let alice = house.call().expect("room");
    let bob = dialled(&mut house.sip).await;
    house.sip.report(Event::Leg(bob, LegEvent::Answered(Some(Answer(offer().0)))));
    let (leg, command) = next(&mut house.procom).await;
    assert!(leg == alice && matches!(command, LegCommand::Answer(Some(_))), "{command:?}");
    house.sip.report(Event::Leg(bob, LegEvent::Ended(Cause::Normal, None)));
    assert_eq!(take_end(&mut house.procom, alice).await, Cause::Normal);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(house.legs_active().abs() < 0.5, "a leg was left behind");
}

#[tokio::test]
async fn the_legs_of_a_failed_adapter_end_and_the_far_sides_hear_of_it() {
    let mut house = house("detach", 10).await;
    let alice = house.call().expect("room");
    let _bob = dialled(&mut house.sip).await;
    house.controls.send(Control::Detach("sip")).await.expect("the switchboard runs");
    assert_eq!(take_end(&mut house.procom, alice).await, Cause::Unreachable);
    let alice = house.call().expect("room");
    assert_eq!(take_end(&mut house.procom, alice).await, Cause::Unreachable);
}

#[tokio::test]
async fn more_calls_than_there_may_be_are_refused_and_the_others_go_on() {
    let mut house = house("capacity", 1).await;
    let first = house.call().expect("room");
    let bob = dialled(&mut house.sip).await;
    let second = house.call().expect("room");
    assert_eq!(take_end(&mut house.procom, second).await, Cause::Overload);
    house.sip.report(Event::Leg(bob, LegEvent::Ended(Cause::Busy, None)));
    assert_eq!(take_end(&mut house.procom, first).await, Cause::Busy);
}

#[tokio::test]
async fn an_account_has_fewer_calls_by_trunks_than_calls() {
    let mut house = house("trunks", 10).await;
    house.call_to(Address::tel("+4532123456")).expect("room");
    dialled(&mut house.sip).await;
    let second = house.call_to(Address::tel("+4533123456")).expect("room");
    assert_eq!(take_end(&mut house.procom, second).await, Cause::Overload);
    house.call().expect("room");
    dialled(&mut house.sip).await;
}

#[tokio::test]
async fn draining_refuses_new_calls_waits_for_the_last_and_says_when_it_is_over() {
    let mut house = house("drain", 10).await;
    let alice = house.call().expect("room");
    let bob = dialled(&mut house.sip).await;
    let (sender, mut drained) = oneshot::channel();
    house.controls.send(Control::Drain(sender)).await.expect("the switchboard runs");
    assert_eq!(house.procom.next().await, Some(Command::Drain));
    let late = house.call().expect("room");
    assert_eq!(take_end(&mut house.procom, late).await, Cause::Shutdown);
    assert!(drained.try_recv().is_err(), "a call still lives");
    assert_eq!(house.sip.next().await, Some(Command::Drain));
    house.controls.send(Control::EndAll).await.expect("the switchboard runs");
    assert_eq!(take_end(&mut house.sip, bob).await, Cause::Shutdown);
    assert_eq!(take_end(&mut house.procom, alice).await, Cause::Shutdown);
    // The edges hand over what they have to say when they are polled.
    let flush = async { tokio::join!(house.procom.next(), house.sip.next()) };
    let _ = tokio::time::timeout(Duration::from_millis(50), flush).await;
    drained.await.expect("the last call is over");
}

#[tokio::test]
async fn what_an_earlier_life_left_is_released_by_its_adapter_and_then_forgotten() {
    let House { folder, controls, .. } = house("earlier", 1).await;
    drop(controls);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (store, _) = Store::open(&folder, 2).expect("a store");
    store.journal(LegId(256), "sip", Some(b"dialog".to_vec()));
    drop(store);
    let (store, unfinished) = Store::open(&folder, 3).expect("a store");
    assert_eq!(unfinished.len(), 1);
    store.released(unfinished[0].key);
    drop(store);
    assert_eq!(Store::open(&folder, 4).expect("a store").1, []);
}

#[tokio::test]
async fn the_callers_own_record_is_used_and_gives_no_rights() {
    let mut house = house("record", 10).await;
    let record = |address: &str| OwnContact {
        name: "My friend".to_owned(),
        addresses: vec![address.to_owned()],
    };
    let to = || Address::procom("my friend");
    house.call_by(to(), Some(record("procom:bob"))).expect("room");
    dialled(&mut house.sip).await;
    for (to, record) in [
        (to(), Some(record("sip:bob@203.0.113.9"))),
        (Address::procom("your friend"), Some(record("procom:bob"))),
        (to(), None),
    ] {
        let leg = house.call_by(to, record).expect("room");
        let cause = take_end(&mut house.procom, leg).await;
        assert!(matches!(cause, Cause::NotFound | Cause::Forbidden), "{cause}");
    }
}

#[tokio::test]
async fn who_signed_in_from_where_is_there_when_the_adapter_is_built_again() {
    let mut house = house("acquainted", 10).await;
    let learned = Acquaintance { account: [1; 16], pair: [2; 16], day: 20_000 };
    house.procom.report(Event::Acquainted(learned));
    let recalled = |name: &str| recall(&house.folder, name, 1).expect("a memory").known().to_vec();
    while recalled("procom").is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(recalled("procom"), [learned]);
    assert_eq!(recalled("sip"), []);
}
