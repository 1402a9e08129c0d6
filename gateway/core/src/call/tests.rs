//! Named call lives. The random ones are in `tests/call_properties.rs`.
#![expect(clippy::disallowed_methods, reason = "a test needs some instant to begin with")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for one thing")]

use std::time::{Duration, Instant};

use super::{Call, Input, Limits, Output, Record};
use crate::address::Address;
use crate::cause::Cause;
use crate::description::{Answer, Codec, Description, Direction, MediaLine, Offer};
use crate::ids::LegId;
use crate::leg::{Incoming, LegCommand, LegEvent};
use crate::media::{MediaCommand, MediaEvent, Profile, Protection, Secured};
use crate::route::{Group, LegRoute, Origin, Require, Route};
use crate::security::Level;

const CALLER: LegId = LegId(256);
const BOB: LegId = LegId(257);
const BOBS_DESK: LegId = LegId(258);

/// A call with a media plane that always agrees and everything it asked for.
struct Bench {
    call: Call,
    now: Instant,
    legs: Vec<(LegId, LegCommand)>,
    media: Vec<MediaCommand>,
    record: Option<Record>,
}

fn sound(codecs: &[&str], direction: Direction) -> Description {
    let mut line = MediaLine::audio("RTP/AVP");
    line.direction = direction;
    for (payload_type, name) in (96..).zip(codecs) {
        line.codecs.push(Codec::new(payload_type, name, 8000));
    }
    Description { media: vec![line], ..Description::default() }
}

fn answer() -> Answer {
    Answer(sound(&["PCMU", "telephone-event"], Direction::SendRecv))
}

fn phone(profiles: Vec<Profile>) -> Route {
    Route::Leg(LegRoute {
        trunk: "sip.local".into(),
        to: Address::procom("bob"),
        contact: Some("c".into()),
        account: Some("bob".into()),
        profiles,
        ring_limit: Duration::from_secs(60),
    })
}

fn sdes() -> Profile {
    Profile::phone(Protection::Sdes, true)
}

impl Bench {
    fn new(require: Require) -> Self {
        let now = Instant::now();
        let incoming = Incoming {
            leg: CALLER,
            origin: Origin {
                trunk: "procom".into(),
                account: Some("alice".into()),
                asserted: Address::procom("alice"),
                verified: true,
                only: None,
            },
            to: Address::procom("bob"),
            dialled: None,
            record: None,
            display: None,
            require,
            offer: Offer(sound(&["opus", "PCMU", "telephone-event"], Direction::SendRecv)),
            profile: Profile::webrtc(Duration::from_secs(30)),
            hops_left: Some(9),
        };
        let call = Call::new(incoming, Limits::default(), now);
        Self { call, now, legs: Vec::new(), media: Vec::new(), record: None }
    }

    fn routed(groups: Vec<Group>) -> Self {
        let mut bench = Self::new(Require::Any);
        bench.feed(Input::Routes(Ok(groups)));
        bench
    }

    fn talking() -> Self {
        let mut bench = Self::routed(vec![vec![phone(vec![sdes()])]]);
        bench.leg(BOB, LegEvent::Answered(Some(answer())));
        bench
    }

    fn feed(&mut self, input: Input) {
        self.call.handle(input, self.now);
        self.drain();
    }

    fn leg(&mut self, leg: LegId, event: LegEvent) {
        self.feed(Input::Leg(leg, event));
    }

    fn ended(&mut self, leg: LegId, cause: Cause) {
        self.leg(leg, LegEvent::Ended(cause, None));
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.call.handle_timeout(self.now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.call.poll_output() {
            match output {
                Output::Leg(_, leg, command) => self.legs.push((leg, command)),
                Output::Media(command) => self.agree(command),
                Output::Resolve(_) => {}
                Output::Record(record) => self.record = Some(*record),
            }
        }
    }

    fn agree(&mut self, command: MediaCommand) {
        let port = command.port();
        let event = match &command {
            MediaCommand::Offer { like, .. } | MediaCommand::Reoffer { like, .. } => {
                let offer = like.clone().unwrap_or_else(|| answer().0);
                Some(MediaEvent::Offered(port, Offer(offer)))
            }
            MediaCommand::Answer { offer, like, .. } => {
                let mut description = like.clone().unwrap_or_else(|| offer.0.clone());
                let direction = offer.0.direction().reversed();
                if let Some(audio) = description.audio_mut() {
                    audio.direction = direction;
                }
                Some(MediaEvent::Answered(port, Answer(description)))
            }
            _ => None,
        };
        self.media.push(command);
        if let Some(event) = event {
            self.call.handle(Input::Media(event), self.now);
        }
    }

    fn secured(&mut self, leg: LegId, protection: Protection) {
        let secured = Secured { protection, suite: String::new(), sas: None, fingerprints: None };
        self.feed(Input::Media(MediaEvent::Secured(leg.port(), secured)));
    }

    /// Whether this leg was told to end with this cause.
    fn was_ended(&self, leg: LegId, cause: Cause) -> bool {
        self.legs.iter().any(|(to, command)| {
            *to == leg && matches!(command, LegCommand::End(why, _) if *why == cause)
        })
    }

    fn was_told(&self, leg: LegId, what: impl Fn(&LegCommand) -> bool) -> bool {
        self.legs.iter().any(|(to, command)| *to == leg && what(command))
    }

    fn dials(&self) -> usize {
        self.legs.iter().filter(|(_, command)| matches!(command, LegCommand::Dial(_))).count()
    }
}

#[test]
fn a_caller_who_gives_up_while_ringing_cancels_the_callee() {
    let mut bench = Bench::routed(vec![vec![phone(vec![sdes()])]]);
    bench.leg(BOB, LegEvent::Ringing);
    assert!(bench.was_told(CALLER, |command| *command == LegCommand::Ring));
    bench.ended(CALLER, Cause::Normal);
    assert!(bench.was_ended(BOB, Cause::Cancelled));
    bench.ended(BOB, Cause::Cancelled);
    let record = bench.record.expect("the call is over");
    assert_eq!((record.cause, record.answered_after), (Cause::Cancelled, None));
}

#[test]
fn the_callee_is_dialled_with_the_hops_the_caller_has_left() {
    let bench = Bench::routed(vec![vec![phone(vec![sdes()])]]);
    assert!(bench.was_told(BOB, |command| matches!(command, LegCommand::Dial(dial)
        if dial.hops_left == Some(9))));
}

#[test]
fn all_devices_ring_and_the_first_answer_stops_the_others() {
    let mut bench = Bench::routed(vec![vec![phone(vec![sdes()]), phone(vec![sdes()])]]);
    assert_eq!(bench.dials(), 2);
    bench.leg(BOB, LegEvent::Ringing);
    bench.leg(BOBS_DESK, LegEvent::Answered(Some(answer())));
    assert!(bench.was_ended(BOB, Cause::AnsweredElsewhere));
    bench.ended(BOB, Cause::AnsweredElsewhere);
    assert!(!bench.call.is_over(), "the others go on");
}

#[test]
fn the_caller_is_answered_early_so_that_its_keys_are_ready_and_without_sdp_later() {
    let mut bench = Bench::routed(vec![vec![phone(vec![sdes()])]]);
    bench.leg(BOB, LegEvent::Ringing);
    assert!(bench.was_told(CALLER, |command| matches!(command, LegCommand::Progress(_))));
    bench.leg(BOB, LegEvent::Answered(Some(answer())));
    assert!(bench.was_told(CALLER, |command| *command == LegCommand::Answer(None)));
}

#[test]
fn a_callee_who_chose_another_codec_makes_a_new_offer_to_the_caller() {
    let mut bench = Bench::routed(vec![vec![phone(vec![sdes()])]]);
    bench.leg(BOB, LegEvent::Ringing);
    let chosen = Answer(sound(&["opus"], Direction::SendRecv));
    bench.leg(BOB, LegEvent::Answered(Some(chosen)));
    assert!(bench.was_told(CALLER, |command| matches!(command, LegCommand::Reoffer(offer)
        if offer.0.audio().and_then(MediaLine::first_audio_codec).is_some_and(|c| c.name == "opus"))));
}

#[test]
fn a_phone_that_takes_no_srtp_is_asked_again_by_its_next_profile() {
    let clear = Profile::phone(Protection::Clear, true);
    let mut bench = Bench::routed(vec![vec![phone(vec![sdes(), clear])]]);
    bench.ended(BOB, Cause::NotAcceptable);
    assert_eq!(bench.dials(), 2);
    bench.ended(BOBS_DESK, Cause::NotAcceptable);
    assert!(bench.was_ended(CALLER, Cause::NotAcceptable), "there is no third");
}

#[test]
fn a_busy_callee_is_an_answer_and_an_unreachable_one_is_not() {
    for (cause, dials) in [(Cause::Busy, 1), (Cause::Declined, 1), (Cause::Unreachable, 2)] {
        let group = || vec![phone(vec![sdes()])];
        let mut bench = Bench::routed(vec![group(), group()]);
        bench.ended(BOB, cause);
        assert_eq!(bench.dials(), dials, "{cause}");
        assert_eq!(bench.was_ended(CALLER, cause), dials == 1);
    }
}

#[test]
fn nobody_answers_within_the_ring_limit() {
    let mut bench = Bench::routed(vec![vec![phone(vec![sdes()])]]);
    bench.leg(BOB, LegEvent::Ringing);
    bench.wait(59);
    assert!(!bench.was_ended(BOB, Cause::NoAnswer));
    bench.wait(1);
    assert!(bench.was_ended(BOB, Cause::NoAnswer) && bench.was_ended(CALLER, Cause::NoAnswer));
}

#[test]
fn what_is_not_as_protected_as_asked_for_is_not_even_dialled() {
    for (require, profile) in [
        (Require::Encrypted, sdes()),
        (Require::Encrypted, Profile::phone(Protection::Clear, false)),
        (Require::EndToEnd, Profile::webrtc(Duration::ZERO)),
    ] {
        let mut bench = Bench::new(require);
        bench.feed(Input::Routes(Ok(vec![vec![phone(vec![profile])]])));
        assert_eq!(bench.dials(), 0);
        assert!(bench.was_ended(CALLER, Cause::Security));
    }
}

#[test]
fn the_weakest_leg_names_the_level_and_both_legs_are_told() {
    let mut bench = Bench::talking();
    bench.secured(CALLER, Protection::Dtls);
    bench.secured(BOB, Protection::Sdes);
    for leg in [CALLER, BOB] {
        assert!(bench.was_told(leg, |command| matches!(command, LegCommand::Security(report)
            if report.level == Level::Exposed && report.keys == ["alice", "gateway", "bob"])));
    }
}

#[test]
fn who_talks_in_clear_holds_no_key() {
    let mut bench = Bench::talking();
    bench.secured(CALLER, Protection::Dtls);
    bench.secured(BOB, Protection::Clear);
    assert!(bench.was_told(CALLER, |command| matches!(command, LegCommand::Security(report)
        if report.level == Level::Clear && report.keys == ["alice", "gateway"])));
}

#[test]
fn the_far_leg_is_held_by_an_offer_and_nothing_flows_meanwhile() {
    let mut bench = Bench::talking();
    bench.leg(CALLER, LegEvent::Hold);
    assert!(bench.was_told(BOB, |command| matches!(command, LegCommand::Reoffer(_))));
    let held = Answer(sound(&["PCMU"], Direction::RecvOnly));
    bench.leg(BOB, LegEvent::ReofferAnswered(held));
    assert!(bench.was_told(CALLER, |command| *command == LegCommand::Held));
    assert!(matches!(bench.media.last(), Some(MediaCommand::Leave { .. })));
    bench.leg(CALLER, LegEvent::Resume);
    bench.leg(BOB, LegEvent::ReofferAnswered(answer()));
    assert!(matches!(bench.media.last(), Some(MediaCommand::Join { .. })));
    assert!(bench.was_told(CALLER, |command| *command == LegCommand::Resumed));
}

#[test]
fn a_phone_that_holds_is_answered_and_the_caller_is_told() {
    let mut bench = Bench::talking();
    let hold = Offer(sound(&["PCMU"], Direction::SendOnly));
    bench.leg(BOB, LegEvent::Reoffered(hold));
    assert!(bench.was_told(BOB, |command| matches!(command, LegCommand::AnswerReoffer(_))));
    assert!(bench.was_told(CALLER, |command| *command == LegCommand::Held));
}

#[test]
fn consent_that_is_not_given_again_in_time_ends_the_call() {
    let mut bench = Bench::talking();
    bench.feed(Input::Media(MediaEvent::Consent(CALLER.port(), false)));
    bench.wait(29);
    bench.feed(Input::Media(MediaEvent::Consent(CALLER.port(), true)));
    bench.wait(60);
    assert!(!bench.was_ended(CALLER, Cause::MediaTimeout), "it came back");
    bench.feed(Input::Media(MediaEvent::Consent(CALLER.port(), false)));
    bench.wait(30);
    assert!(
        bench.was_ended(CALLER, Cause::MediaTimeout) && bench.was_ended(BOB, Cause::MediaTimeout)
    );
}

#[test]
fn digits_reach_a_phone_in_the_media_and_a_browser_in_the_signalling() {
    let mut bench = Bench::talking();
    bench.leg(CALLER, LegEvent::Digit('5', Duration::from_millis(100)));
    assert!(matches!(bench.media.last(), Some(MediaCommand::Digit { digit: '5', .. })));
    assert!(!bench.was_told(BOB, |command| matches!(command, LegCommand::Digit(..))));
    let digit = MediaEvent::Digit(BOB.port(), '7', Duration::from_millis(100));
    bench.feed(Input::Media(digit));
    assert!(bench.was_told(CALLER, |command| matches!(command, LegCommand::Digit('7', _))));
}

#[test]
fn the_echo_joins_the_caller_with_itself() {
    let mut bench = Bench::routed(vec![vec![Route::Echo]]);
    assert!(matches!(bench.media.last(), Some(MediaCommand::Join { a, b }) if a == b));
    bench.secured(CALLER, Protection::Dtls);
    assert!(bench.was_told(CALLER, |command| matches!(command, LegCommand::Security(report)
        if report.level == Level::Hop && report.keys == ["alice", "gateway"])));
}
