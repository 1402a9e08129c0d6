#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for one variant among many")]

use std::time::Duration;

use gateway_core::leg::{Heard, Trouble};
use gateway_core::media::Protection;
use gateway_core::security::{LegSecurity, Level, Report};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::testing::{SDP, address, answer, offer};

fn drain(leg: &mut Leg) -> (Vec<Value>, Vec<LegEvent>) {
    let (mut frames, mut events) = (Vec::new(), Vec::new());
    while let Some(output) = leg.poll_output() {
        match output {
            Output::Frame(frame) => {
                frames.push(serde_json::from_str(&frame.render()).expect("JSON"));
            }
            Output::Event(event) => events.push(event),
        }
    }
    (frames, events)
}

fn command(leg: &mut Leg, command: LegCommand) -> Vec<Value> {
    leg.handle_command(command);
    let (frames, events) = drain(leg);
    assert_eq!(events, [], "a command makes no event");
    frames
}

fn say(leg: &mut Leg, frame: WithinCall) -> Vec<LegEvent> {
    leg.handle_frame(frame);
    let (frames, events) = drain(leg);
    assert_eq!(frames, [] as [Value; 0], "nothing is answered");
    events
}

fn refused(leg: &mut Leg, frame: WithinCall) -> String {
    leg.handle_frame(frame);
    let (frames, events) = drain(leg);
    assert_eq!(events, [], "nothing is told");
    assert_eq!((&frames[0]["type"], &frames[0]["call"]), (&json!("error"), &json!("c1")));
    frames[0]["code"].as_str().expect("a code").to_owned()
}

fn calling() -> Leg {
    Leg::calling(LegId(256), "c1")
}

fn talking() -> Leg {
    let mut leg = calling();
    command(&mut leg, LegCommand::Answer(Some(answer())));
    leg
}

fn candidate() -> Candidate {
    Candidate::new("1 1 udp 1 192.0.2.1 5 typ host")
}

fn sdp() -> String {
    SDP.to_owned()
}

#[test]
fn a_caller_hears_ringing_once_and_then_the_answer() {
    let mut leg = calling();
    assert_eq!(command(&mut leg, LegCommand::Ring)[0]["type"], "ringing");
    assert_eq!(command(&mut leg, LegCommand::Ring), [] as [Value; 0]);
    let frames = command(&mut leg, LegCommand::Answer(Some(answer())));
    assert_eq!(frames[0]["type"], "answer");
    assert!(frames[0]["sdp"].is_string());
}

#[test]
fn progress_comes_once_and_the_answer_after_it_has_no_sdp() {
    for last in [None, Some(answer())] {
        let mut leg = calling();
        let frames = command(&mut leg, LegCommand::Progress(answer()));
        assert_eq!(frames[0]["type"], "progress");
        assert_eq!(command(&mut leg, LegCommand::Progress(answer())), [] as [Value; 0]);
        assert_eq!(command(&mut leg, LegCommand::Ring)[0]["type"], "ringing");
        let frames = command(&mut leg, LegCommand::Answer(last));
        assert_eq!((&frames[0]["type"], frames[0].get("sdp")), (&json!("answer"), None));
    }
}

#[test]
fn a_callee_rings_and_answers() {
    let mut leg = Leg::ringing(LegId(1), "c1");
    assert_eq!(say(&mut leg, WithinCall::Ringing), [LegEvent::Ringing]);
    assert_eq!(say(&mut leg, WithinCall::Ringing), []);
    let events = say(&mut leg, WithinCall::Answer(sdp()));
    assert_eq!(events, [LegEvent::Answered(Some(answer()))]);
}

#[test]
fn a_callee_who_is_busy_ends_the_leg_with_that_cause() {
    let mut leg = Leg::ringing(LegId(1), "c1");
    let events = say(&mut leg, WithinCall::End(Cause::Busy, None));
    assert_eq!(events, [LegEvent::Ended(Cause::Busy, None)]);
}

#[test]
fn an_answer_that_cannot_be_read_ends_the_call_as_not_acceptable() {
    let mut leg = Leg::ringing(LegId(1), "c1");
    leg.handle_frame(WithinCall::Answer("nonsense".to_owned()));
    let (frames, events) = drain(&mut leg);
    assert_eq!(
        (&frames[0]["type"], &frames[0]["cause"]),
        (&json!("end"), &json!("not-acceptable"))
    );
    assert!(matches!(events[..], [LegEvent::Ended(Cause::NotAcceptable, Some(_))]));
}

#[test]
fn an_end_is_told_to_both_sides_once() {
    let mut leg = talking();
    leg.handle_command(LegCommand::End(Cause::Normal, Some("bye".to_owned())));
    let (frames, events) = drain(&mut leg);
    assert_eq!(frames, [json!({"type":"end","call":"c1","cause":"normal","reason":"bye"})]);
    assert_eq!(events, [LegEvent::Ended(Cause::Normal, Some("bye".to_owned()))]);
    leg.handle_command(LegCommand::End(Cause::Normal, None));
    leg.handle_frame(WithinCall::End(Cause::Normal, None));
    leg.handle_loss(Loss::Closed);
    assert_eq!(drain(&mut leg), (vec![], vec![]));
}

#[test]
fn an_offer_of_the_client_is_answered_or_refused() {
    let mut leg = talking();
    assert_eq!(say(&mut leg, WithinCall::Offer(sdp())), [LegEvent::Reoffered(offer())]);
    assert_eq!(refused(&mut leg, WithinCall::Offer(sdp())), "not-now");
    assert_eq!(command(&mut leg, LegCommand::AnswerReoffer(answer()))[0]["type"], "answer");
    assert_eq!(say(&mut leg, WithinCall::Offer(sdp())), [LegEvent::Reoffered(offer())]);
    let frames = command(&mut leg, LegCommand::RefuseReoffer(Cause::NotAcceptable));
    assert_eq!(frames[0]["code"], "not-acceptable");
    assert_eq!(refused(&mut leg, WithinCall::Offer("v=1".to_owned())), "not-acceptable");
    assert_eq!(say(&mut leg, WithinCall::Offer(sdp())), [LegEvent::Reoffered(offer())]);
}

#[test]
fn an_offer_of_ours_is_answered_or_refused() {
    let mut leg = talking();
    assert_eq!(command(&mut leg, LegCommand::Reoffer(offer()))[0]["type"], "offer");
    let events = say(&mut leg, WithinCall::Answer(sdp()));
    assert_eq!(events, [LegEvent::ReofferAnswered(answer())]);
    assert_eq!(say(&mut leg, WithinCall::Answer(sdp())), [], "a stale answer says nothing");
    command(&mut leg, LegCommand::Reoffer(offer()));
    let events = say(&mut leg, WithinCall::Error);
    assert_eq!(events, [LegEvent::ReofferRefused(Cause::NotAcceptable)]);
    assert_eq!(say(&mut leg, WithinCall::Error), []);
}

#[test]
fn when_offers_cross_ours_wins_and_the_clients_is_forgotten() {
    let mut leg = talking();
    command(&mut leg, LegCommand::Reoffer(offer()));
    assert_eq!(say(&mut leg, WithinCall::Offer(sdp())), [], "the client rolls it back");
    let answered = [LegEvent::ReofferAnswered(answer())];
    assert_eq!(say(&mut leg, WithinCall::Answer(sdp())), answered);

    assert_eq!(say(&mut leg, WithinCall::Offer(sdp())), [LegEvent::Reoffered(offer())]);
    assert_eq!(command(&mut leg, LegCommand::Reoffer(offer()))[0]["type"], "offer");
    let frames = command(&mut leg, LegCommand::AnswerReoffer(answer()));
    assert_eq!(frames, [] as [Value; 0], "the client has rolled its offer back");
    assert_eq!(say(&mut leg, WithinCall::Answer(sdp())), answered);
}

#[test]
fn a_client_may_offer_after_progress_but_not_before() {
    let mut leg = calling();
    assert_eq!(refused(&mut leg, WithinCall::Offer(sdp())), "not-now");
    command(&mut leg, LegCommand::Progress(answer()));
    assert_eq!(say(&mut leg, WithinCall::Offer(sdp())), [LegEvent::Reoffered(offer())]);
}

#[test]
fn fifty_candidates_of_one_description_are_looked_at() {
    let mut leg = calling();
    for _ in 0..MAX_CANDIDATES {
        let events = say(&mut leg, WithinCall::Candidate(candidate()));
        assert_eq!(events, [LegEvent::Candidate(candidate())]);
    }
    let refusal = refused(&mut leg, WithinCall::Candidate(candidate()));
    assert_eq!(refusal, "too-many-candidates");
    for _ in 0..1000 {
        assert_eq!(say(&mut leg, WithinCall::Candidate(candidate())), []);
    }
    let end = Candidate { text: String::new(), ..candidate() };
    assert_eq!(say(&mut leg, WithinCall::Candidate(end.clone())).len(), 1);
    assert_eq!(say(&mut leg, WithinCall::Candidate(end)).len(), 0);
    command(&mut leg, LegCommand::Answer(Some(answer())));
    say(&mut leg, WithinCall::Offer(sdp()));
    assert_eq!(say(&mut leg, WithinCall::Candidate(candidate())).len(), 1, "a new description");
}

#[test]
fn digits_hold_and_transfer_are_for_calls_that_are_answered() {
    let all = || {
        [
            WithinCall::Digit('5', Duration::from_millis(160)),
            WithinCall::Hold,
            WithinCall::Resume,
            WithinCall::Transfer(Transfer::To("xmpp:eve@example.org".to_owned())),
        ]
    };
    for frame in all() {
        assert_eq!(refused(&mut calling(), frame), "not-now");
    }
    let events: Vec<LegEvent> =
        all().into_iter().flat_map(|frame| say(&mut talking(), frame)).collect();
    assert_eq!(
        events,
        [
            LegEvent::Digit('5', Duration::from_millis(160)),
            LegEvent::Hold,
            LegEvent::Resume,
            LegEvent::Transfer(address("xmpp:eve@example.org")),
        ]
    );
}

#[test]
fn a_transfer_to_nowhere_or_to_another_call_is_refused() {
    let to = |text: &str| WithinCall::Transfer(Transfer::To(text.to_owned()));
    assert_eq!(refused(&mut talking(), to("sip:")), "bad-address");
    let with = WithinCall::Transfer(Transfer::With("c2".to_owned()));
    assert_eq!(refused(&mut talking(), with), "not-supported");
}

#[test]
fn what_the_switchboard_tells_reaches_the_client_in_the_words_of_the_wire() {
    let mut leg = talking();
    let digit = LegCommand::Digit('#', Duration::from_millis(200));
    assert_eq!(command(&mut leg, digit)[0]["duration_ms"], 200);
    assert_eq!(command(&mut leg, LegCommand::Held)[0]["type"], "held");
    assert_eq!(command(&mut leg, LegCommand::Resumed)[0]["type"], "resumed");
    let to = address("xmpp:eve@example.org");
    let frames = command(&mut leg, LegCommand::Transferred(to.clone(), None));
    assert_eq!(
        (&frames[0]["to"], &frames[0]["outcome"]),
        (&json!("xmpp:eve@example.org"), &json!("done"))
    );
    let frames = command(&mut leg, LegCommand::Transferred(to, Some(Cause::Busy)));
    assert_eq!(frames[0]["outcome"], "busy");
    let trouble =
        Trouble { network: "sip".to_owned(), is_receive: true, why: "no packets".to_owned() };
    let frames = command(&mut leg, LegCommand::Trouble(trouble));
    assert_eq!((&frames[0]["leg"], &frames[0]["direction"]), (&json!("sip"), &json!("receive")));
    let heard = Heard { mos: 4.1, loss: 0.002, jitter_ms: 7.0, rtt_ms: 31.0 };
    assert_eq!(command(&mut leg, LegCommand::Quality(heard))[0]["type"], "quality");
}

#[test]
fn a_security_report_shows_every_leg_and_who_holds_keys() {
    let leg = |network: &str, protection, suite: &str| LegSecurity {
        network: network.to_owned(),
        protection,
        suite: suite.to_owned(),
        sas: None,
        keys_exposed: false,
    };
    let report = Report {
        level: Level::Clear,
        verified: false,
        fingerprints: Some(("sha-256 AB".to_owned(), "sha-256 CD".to_owned())),
        legs: vec![
            leg("procom", Protection::Dtls, "AEAD_AES_128_GCM"),
            leg("sip", Protection::Clear, ""),
        ],
        keys: vec!["alice".to_owned(), "gateway".to_owned()],
    };
    let frames = command(&mut talking(), LegCommand::Security(report));
    assert_eq!(
        frames[0],
        json!({"type": "security", "call": "c1", "level": "clear", "verified": false,
               "fingerprints": {"local": "sha-256 AB", "remote": "sha-256 CD"},
               "legs": [{"network": "procom", "protection": "dtls-srtp",
                         "suite": "AEAD_AES_128_GCM"},
                        {"network": "sip", "protection": "clear"}],
               "keys": ["alice", "gateway"]})
    );
}

#[test]
fn a_session_that_ends_ends_its_calls_with_the_right_cause() {
    let ended = |mut leg: Leg, loss| {
        leg.handle_loss(loss);
        match drain(&mut leg).1[..] {
            [LegEvent::Ended(cause, None)] => cause,
            ref other => panic!("{other:?}"),
        }
    };
    assert_eq!(ended(calling(), Loss::Closed), Cause::Cancelled);
    assert_eq!(ended(Leg::ringing(LegId(1), "c1"), Loss::Closed), Cause::Unreachable);
    assert_eq!(ended(talking(), Loss::Closed), Cause::Normal);
    assert_eq!(ended(talking(), Loss::Expired), Cause::Unreachable);
    assert_eq!(ended(talking(), Loss::Shutdown), Cause::Shutdown);
}

fn any_frame() -> impl Strategy<Value = WithinCall> {
    prop_oneof![
        Just(WithinCall::Ringing),
        Just(WithinCall::Answer(sdp())),
        Just(WithinCall::Answer(String::new())),
        Just(WithinCall::Offer(sdp())),
        Just(WithinCall::Offer(String::new())),
        Just(WithinCall::Candidate(candidate())),
        Just(WithinCall::Digit('1', Duration::from_millis(160))),
        Just(WithinCall::Hold),
        Just(WithinCall::Resume),
        Just(WithinCall::Transfer(Transfer::With("c2".to_owned()))),
        Just(WithinCall::Error),
    ]
}

fn any_command() -> impl Strategy<Value = LegCommand> {
    prop_oneof![
        Just(LegCommand::Ring),
        Just(LegCommand::Progress(answer())),
        Just(LegCommand::Answer(None)),
        Just(LegCommand::Answer(Some(answer()))),
        Just(LegCommand::Reoffer(offer())),
        Just(LegCommand::AnswerReoffer(answer())),
        Just(LegCommand::RefuseReoffer(Cause::Failed)),
        Just(LegCommand::Candidate(candidate())),
        Just(LegCommand::Held),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Frame(WithinCall),
    Command(LegCommand),
}

proptest! {
    #[test]
    fn every_life_ends_once_and_nothing_follows(
        is_caller in any::<bool>(),
        steps in prop::collection::vec(
            prop_oneof![any_frame().prop_map(Step::Frame), any_command().prop_map(Step::Command)],
            0..40,
        ),
    ) {
        let mut leg = if is_caller { calling() } else { Leg::ringing(LegId(1), "c1") };
        let (mut ended, mut offered, mut progress) = (0, 0_i32, 0);
        let closing = [
            Step::Command(LegCommand::End(Cause::Normal, None)),
            Step::Frame(WithinCall::Hold),
            Step::Command(LegCommand::Held),
            Step::Frame(WithinCall::End(Cause::Normal, None)),
        ];
        for step in steps.into_iter().chain(closing) {
            match step {
                Step::Frame(frame) => leg.handle_frame(frame),
                Step::Command(command) => leg.handle_command(command),
            }
            let (frames, events) = drain(&mut leg);
            for event in events {
                prop_assert_eq!(ended, 0, "nothing follows the end");
                match event {
                    LegEvent::Ended(..) => ended += 1,
                    LegEvent::Reoffered(_) => offered += 1,
                    _ => {}
                }
            }
            progress += frames.iter().filter(|frame| frame["type"] == "progress").count();
            prop_assert!(progress <= 1);
        }
        prop_assert_eq!(ended, 1);
        prop_assert!(offered >= 0);
    }
}
