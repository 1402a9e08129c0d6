//! Random call lives: whatever the legs, the media plane, the dialplan and the clock do, the call
//! machine keeps its promises.
#![expect(clippy::disallowed_methods, reason = "a test needs some instant to begin with")]
#![expect(clippy::wildcard_enum_match_arm, reason = "the world checks only what it knows")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gateway_core::call::{Call, Input, Limits, Output};
use gateway_core::description::{Codec, Description, Direction, MediaLine};
use gateway_core::leg::{Incoming, LegCommand, LegEvent};
use gateway_core::media::{
    MediaCommand, MediaEvent, Profile, Protection, Quality, QualityCodec, Secured,
};
use gateway_core::route::{LegRoute, Origin, Require, Route};
use gateway_core::{Address, Answer, Cause, LegId, Offer, PortId, TrunkId};
use proptest::prelude::*;

/// What the world knows of a leg.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Leg {
    Live,
    Ending,
    Ended,
}

/// Everything around one call, which it watches.
struct World {
    call: Call,
    now: Instant,
    legs: BTreeMap<LegId, Leg>,
    /// True: open. False: closed.
    ports: BTreeMap<PortId, bool>,
    /// What the media plane owes: answers to Offer, Reoffer and Answer, in order.
    owed: Vec<(PortId, bool)>,
    asked_for_routes: bool,
    progressed: bool,
    answered: bool,
    records: usize,
}

fn description(direction: Direction, codec: u8) -> Description {
    let mut line = MediaLine::audio("UDP/TLS/RTP/SAVPF");
    line.direction = direction;
    line.codecs = vec![Codec::new(0, "PCMU", 8000), Codec::new(101, "telephone-event", 8000)];
    if codec.is_multiple_of(2) {
        line.codecs.insert(0, Codec::new(9, "G722", 8000));
    }
    Description { media: vec![line], ..Description::default() }
}

fn incoming(require: Require) -> Incoming {
    Incoming {
        leg: LegId(256),
        origin: Origin {
            trunk: TrunkId::from("procom"),
            account: None,
            asserted: Address::procom("alice"),
            verified: true,
            only: None,
        },
        to: Address::procom("bob"),
        dialled: None,
        record: None,
        display: None,
        require,
        offer: Offer(description(Direction::SendRecv, 0)),
        profile: Profile::webrtc(Duration::from_secs(30)),
        hops_left: None,
    }
}

fn route(kind: u8) -> Route {
    if kind % 7 == 6 {
        return Route::Echo;
    }
    let mut profiles = vec![Profile::phone(Protection::Sdes, true)];
    if kind.is_multiple_of(2) {
        profiles.push(Profile::phone(Protection::Clear, true));
    }
    if kind.is_multiple_of(3) {
        profiles.push(Profile::webrtc(Duration::from_secs(5)));
    }
    Route::Leg(LegRoute {
        trunk: TrunkId::from("sip.local"),
        to: Address::sip("bob", "example.org"),
        contact: None,
        account: None,
        profiles,
        ring_limit: Duration::from_secs(u64::from(kind) + 1),
    })
}

impl World {
    fn new(require: Require) -> Self {
        let now = Instant::now();
        let incoming = incoming(require);
        let legs = BTreeMap::from([(incoming.leg, Leg::Live)]);
        let mut world = Self {
            call: Call::new(incoming, Limits::default(), now),
            now,
            legs,
            ports: BTreeMap::new(),
            owed: Vec::new(),
            asked_for_routes: false,
            progressed: false,
            answered: false,
            records: 0,
        };
        world.drain();
        world
    }

    fn feed(&mut self, input: Input) {
        assert!(!self.call.is_over(), "an over call is dropped by its owner");
        self.call.handle(input, self.now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.call.poll_output() {
            assert_eq!(self.records, 0, "the record is the last word, but there was {output:?}");
            match output {
                Output::Leg(_, leg, command) => self.check_leg(leg, &command),
                Output::Media(command) => self.check_media(&command),
                Output::Resolve(_) => {
                    assert!(!std::mem::replace(&mut self.asked_for_routes, true));
                }
                Output::Record(record) => {
                    self.records += 1;
                    assert_eq!(record.legs[0].leg, LegId(256));
                }
            }
        }
        assert_eq!(self.call.is_over(), self.records == 1);
        if self.call.is_over() {
            assert!(self.legs.values().all(|leg| *leg == Leg::Ended), "a leg was forgotten");
            assert!(self.ports.values().all(|is_open| !is_open), "a port was forgotten");
        }
    }

    fn check_leg(&mut self, leg: LegId, command: &LegCommand) {
        if matches!(command, LegCommand::Dial(_)) {
            assert_eq!(self.legs.insert(leg, Leg::Live), None, "{leg:?} was dialled twice");
            return;
        }
        assert_eq!(self.legs.get(&leg), Some(&Leg::Live), "{command:?} for {leg:?}");
        match command {
            LegCommand::End(..) => {
                self.legs.insert(leg, Leg::Ending);
            }
            LegCommand::Progress(_) => {
                assert!(!std::mem::replace(&mut self.progressed, true), "progress only once");
            }
            LegCommand::Answer(answer) => {
                assert!(!std::mem::replace(&mut self.answered, true), "one answer only");
                assert_eq!(answer.is_none(), self.progressed, "an answer has its SDP once");
            }
            _ => {}
        }
    }

    fn check_media(&mut self, command: &MediaCommand) {
        let port = command.port();
        match command {
            MediaCommand::Offer { .. } => {
                assert_eq!(self.ports.insert(port, true), None, "a port is opened once");
                self.owed.push((port, true));
            }
            MediaCommand::Answer { .. } => {
                assert_ne!(self.ports.insert(port, true), Some(false), "a closed port stays so");
                self.owed.push((port, false));
            }
            MediaCommand::Reoffer { .. } => {
                assert_eq!(self.ports.get(&port), Some(&true), "{command:?}");
                self.owed.push((port, true));
            }
            MediaCommand::Close { .. } => {
                assert_eq!(self.ports.insert(port, false), Some(true), "closed once");
                self.owed.retain(|(owed, _)| *owed != port);
            }
            MediaCommand::Join { a, b } => {
                for port in [a, b] {
                    assert_eq!(self.ports.get(port), Some(&true), "{command:?}");
                }
            }
            _ => assert_eq!(self.ports.get(&port), Some(&true), "{command:?}"),
        }
    }

    fn pick(&self, legs: impl Fn(Leg) -> bool, at: u8) -> Option<LegId> {
        let fit: Vec<LegId> =
            self.legs.iter().filter(|(_, leg)| legs(**leg)).map(|(id, _)| *id).collect();
        (!fit.is_empty()).then(|| fit[usize::from(at) % fit.len()])
    }

    fn step(&mut self, (what, which, detail): (u8, u8, u8)) {
        let direction = [Direction::SendRecv, Direction::SendOnly, Direction::Inactive]
            [usize::from(detail % 3)];
        let described = description(direction, detail);
        if what < 60 {
            return self.pay(which, detail, described);
        }
        if what < 70 {
            self.now += Duration::from_secs(u64::from(detail) / 4);
            self.call.handle_timeout(self.now);
            return self.drain();
        }
        if what < 75 {
            let groups = (0..which % 4).map(|group| {
                (0..detail % 4)
                    .map(|kind| route(kind.wrapping_mul(group + 1).wrapping_add(which)))
                    .collect()
            });
            return self.feed(Input::Routes(Ok(groups.collect())));
        }
        let Some(leg) = self.pick(|leg| leg != Leg::Ended, which) else { return };
        let cause = Cause::ALL[usize::from(detail) % Cause::ALL.len()];
        let event = match what {
            75..90 => LegEvent::Ringing,
            90..100 => LegEvent::Progress(Answer(described)),
            100..130 => LegEvent::Answered((detail > 20).then_some(Answer(described))),
            130..150 => LegEvent::Reoffered(Offer(described)),
            150..165 => LegEvent::ReofferAnswered(Answer(described)),
            165..175 => LegEvent::ReofferRefused(cause),
            175..185 => LegEvent::Hold,
            185..195 => LegEvent::Resume,
            195..200 => LegEvent::Digit('5', Duration::from_millis(100)),
            200..203 => LegEvent::Transfer(Address::procom("carol")),
            203..220 => return self.media_event(leg.port(), what, detail),
            220..222 => return self.feed(Input::End(cause)),
            _ => {
                self.legs.insert(leg, Leg::Ended);
                LegEvent::Ended(cause, None)
            }
        };
        self.feed(Input::Leg(leg, event));
    }

    /// The media plane does one of the things it owes.
    fn pay(&mut self, which: u8, detail: u8, described: Description) {
        if self.owed.is_empty() {
            return;
        }
        // In the order of the commands for one port, in any order between ports.
        let port = self.owed[usize::from(which) % self.owed.len()].0;
        let at = self.owed.iter().position(|(owed, _)| *owed == port).expect("it was just seen");
        let (port, is_offer) = self.owed.remove(at);
        let event = match (detail % 8, is_offer) {
            (7, _) => MediaEvent::Failed(port, Cause::NotAcceptable, String::new()),
            (_, true) => MediaEvent::Offered(port, Offer(described)),
            (_, false) => MediaEvent::Answered(port, Answer(described)),
        };
        self.feed(Input::Media(event));
    }

    fn media_event(&mut self, port: PortId, what: u8, detail: u8) {
        if self.ports.get(&port) != Some(&true) {
            return;
        }
        let secured = Secured {
            protection: Protection::Dtls,
            suite: "AEAD_AES_128_GCM".to_owned(),
            sas: None,
            fingerprints: None,
        };
        let quality = Quality {
            loss_in: 0.1,
            loss_out: None,
            jitter_ms: 3.0,
            jitter_out_ms: None,
            rtt_ms: None,
            codec: QualityCodec::G711,
        };
        self.feed(Input::Media(match what {
            203..209 => MediaEvent::Secured(port, secured),
            209..211 => MediaEvent::Digit(port, '1', Duration::from_millis(80)),
            211..213 => MediaEvent::Quality(port, quality),
            213..215 => MediaEvent::Quiet(port, Duration::from_secs(3)),
            215 => MediaEvent::Lost(port),
            _ => MediaEvent::Consent(port, detail.is_multiple_of(2)),
        }));
    }

    /// The gateway ends the call and every leg says that it ended.
    fn wind_up(&mut self) {
        if !self.call.is_over() {
            self.feed(Input::End(Cause::Shutdown));
        }
        while let Some(leg) = self.pick(|leg| leg == Leg::Ending, 0) {
            self.legs.insert(leg, Leg::Ended);
            self.feed(Input::Leg(leg, LegEvent::Ended(Cause::Shutdown, None)));
        }
        assert!(self.call.is_over(), "all legs ended, but the call lives: {:?}", self.call);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000.max(ProptestConfig::default().cases)))]

    #[test]
    fn every_call_life_keeps_the_promises(
        require in prop_oneof![4 => Just(Require::Any), 1 => Just(Require::Encrypted), 1 => Just(Require::EndToEnd)],
        routes in (71u8..75, 1u8..4, 1u8..4),
        steps in proptest::collection::vec(any::<(u8, u8, u8)>(), 0..80),
    ) {
        let mut world = World::new(require);
        world.step(routes);
        for step in steps {
            if world.call.is_over() {
                break;
            }
            world.step(step);
        }
        world.wind_up();
    }
}
