//! The agent against a peer made of text: calls from both sides, and all that goes wrong.

use std::time::Duration;

use bytes::Bytes;
use gateway_adapter::LinkState;
use gateway_core::description::{Answer, Codec, Description, MediaLine};
use gateway_core::leg::{Dial, LegEvent};
use gateway_core::media::{Profile, Protection};
use gateway_core::route::{Origin, Require};
use gateway_core::{AccountId, Address, Offer, sdp};
use proptest::prelude::*;

use super::*;
use crate::config::{LOCAL_TRUNK, Listener, Password, TrunkConfig};
use crate::stack::digest::Responder;
use crate::stack::flow::{LinkId, Transport};
use crate::stack::wire::{self, Message, Request, Uri};
use crate::testing::{flow, invite, remote, request, start};

mod digests;
mod failover;
mod messages;
mod release;

const SECOND: Duration = Duration::from_secs(1);

/// An agent and the peer at 192.0.2.7.
struct Scene {
    agent: Agent,
    now: Instant,
    flow: Flow,
    next_leg: u64,
    /// What the calls we make have left of their hops.
    hops_left: Option<u8>,
    outputs: Vec<Output>,
}

fn config() -> Config {
    Config {
        domain: "gw.example".to_owned(),
        listen: vec!["udp:192.0.2.1:5060".parse::<Listener>().unwrap()],
        imdn: vec!["carol".to_owned()],
        ..Config::default()
    }
}

fn trunk() -> TrunkConfig {
    TrunkConfig {
        name: "pbx".to_owned(),
        server: "sip:pbx.example".to_owned(),
        domain: None,
        user: "gateway".to_owned(),
        password: Password("secret".to_owned()),
        auth_user: None,
        realm: None,
        register: true,
        expires: 600,
        protection: None,
        peers: Vec::new(),
        imdn: false,
    }
}

fn description() -> Description {
    let mut line = MediaLine::audio("RTP/AVP");
    line.address = Some(remote().ip());
    line.port = 4_000;
    line.codecs = vec![Codec::new(0, "PCMU", 8_000)];
    Description { session: (1, 1), media: vec![line], ..Description::default() }
}

fn body() -> Bytes {
    Bytes::from(sdp::render(&description()))
}

impl Scene {
    fn new(config: &Config) -> Self {
        Self::with_seed(config, [5; 32])
    }

    fn with_seed(config: &Config, seed: [u8; 32]) -> Self {
        let now = start();
        let mut advertised = Advertised::default();
        for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
            advertised.add(transport, "192.0.2.1:5060".parse().unwrap());
        }
        let account = |name: &str| SipAccount {
            id: AccountId::from(name),
            user: name.to_owned(),
            password: Password("secret".to_owned()),
            protection: None,
        };
        let accounts = [account("alice"), account("bob"), account("carol")];
        let began = Began { at: now, ms: 1_795_363_506_000 };
        let mut agent = Agent::new(config, &accounts, advertised, seed, began);
        agent.handle_timeout(now);
        let flow = flow(Transport::Udp);
        let outputs = Vec::new();
        let mut scene = Self { agent, now, flow, next_leg: 256, hops_left: None, outputs };
        scene.drain();
        scene
    }

    fn drain(&mut self) {
        while let Some(output) = self.agent.poll_output() {
            self.outputs.push(output);
        }
    }

    fn give(&mut self, bytes: Bytes) {
        let leg = &mut self.next_leg;
        let next = || {
            *leg += 256;
            LegId(*leg)
        };
        self.agent.handle_message(self.flow, bytes, next, self.now);
        self.drain();
    }

    fn command(&mut self, leg: LegId, command: LegCommand) {
        self.agent.handle_command(Command::Leg(leg, command), self.now);
        self.drain();
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.agent.poll_timeout().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            self.agent.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    fn sent(&mut self) -> Vec<Message> {
        std::iter::from_fn(|| self.agent.poll_transmit())
            .map(|transmit| wire::parse(transmit.bytes).unwrap())
            .collect()
    }

    fn statuses(&mut self) -> Vec<u16> {
        let status = |message| match message {
            Message::Response(response) => response.status(),
            Message::Request(request) => panic!("{request:?} instead of a response"),
        };
        self.sent().into_iter().map(status).collect()
    }

    fn responses(&mut self) -> Vec<Response> {
        let response = |message| match message {
            Message::Response(response) => Some(response),
            Message::Request(_) => None,
        };
        self.sent().into_iter().filter_map(response).collect()
    }

    fn requests(&mut self) -> Vec<Request> {
        let request = |message| match message {
            Message::Request(request) => Some(request),
            Message::Response(_) => None,
        };
        self.sent().into_iter().filter_map(request).collect()
    }

    /// The one request that was sent, of that method.
    fn request(&mut self, method: &Method) -> Request {
        let mut requests = self.requests();
        let methods: Vec<_> = requests.iter().map(Request::method).collect();
        assert_eq!(methods, std::slice::from_ref(method));
        requests.remove(0)
    }

    fn events(&mut self) -> Vec<LegEvent> {
        let event = |output| match output {
            Output::Event(Event::Leg(_, event)) => Some(event),
            Output::Event(_) | Output::Incoming(_) | Output::Message(..) | Output::Resolve(..) => {
                None
            }
        };
        std::mem::take(&mut self.outputs).into_iter().filter_map(event).collect()
    }

    /// Sends a request as `user`, answering the challenge; leaves the last answers to be read.
    fn prove(&mut self, mut request: Request, user: &str, password: &str) {
        self.give(request.render());
        let challenge = self.responses().pop().unwrap();
        assert_eq!(challenge.status(), 401);
        if request.method() == Method::Invite {
            self.give(request.ack_for(&challenge).render());
        }
        assert!(Responder::new(user, password, None).answer(&mut request, &challenge, "c"));
        let (number, method) = request.fields().cseq().unwrap();
        request.set("CSeq", &format!("{} {method}", number + 1));
        request.set_top_via(&format!(
            "SIP/2.0/{} 192.0.2.7:5060;rport;branch=z9hG4bKproven{number}{method}",
            self.flow.transport.via_name()
        ));
        self.give(request.render());
    }

    /// An INVITE of alice's that is let in; the leg.
    fn incoming(&mut self, has_offer: bool) -> LegId {
        let mut invite = request(&invite("z9hG4bK1"));
        if has_offer {
            invite.set_body(crate::offer::SDP, body());
        }
        self.prove(invite, "alice", "secret");
        let found = self.outputs.iter().find_map(|output| match output {
            Output::Incoming(incoming) => Some(incoming.leg),
            Output::Event(_) | Output::Message(..) | Output::Resolve(..) => None,
        });
        found.expect("a leg that comes in")
    }

    /// A call of alice's that is answered and acknowledged; the leg and our tag.
    fn answered(&mut self) -> (LegId, String) {
        let leg = self.incoming(true);
        self.command(leg, LegCommand::Answer(Some(Answer(description()))));
        let ok = self.responses().pop().unwrap();
        assert_eq!(ok.status(), 200);
        let tag = ok.fields().to().unwrap().tag().unwrap().to_owned();
        self.in_dialog("ACK", 2, &tag, None);
        self.outputs.clear();
        (leg, tag)
    }

    /// A request of alice's within the call.
    fn in_dialog(&mut self, method: &str, number: u32, tag: &str, body: Option<(&str, Bytes)>) {
        let mut request = request(&format!(
            "{method} sip:bob@192.0.2.1 SIP/2.0\n\
             Via: SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bK{method}{number}\n\
             Max-Forwards: 70\nFrom: <sip:alice@gw.example>;tag=a1\n\
             To: <sip:bob@gw.example>;tag={tag}\nCall-ID: call-1@192.0.2.7\n\
             CSeq: {number} {method}\nContact: <sip:alice@192.0.2.7:5060>\nContent-Length: 0"
        ));
        if let Some((kind, body)) = body {
            request.set_body(kind, body);
        }
        self.give(request.render());
    }

    fn register(&mut self, user: &str) -> String {
        let register = request(&format!(
            "REGISTER sip:gw.example SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bKr{user}\n\
             Max-Forwards: 70\nFrom: <sip:{user}@gw.example>;tag=1\nTo: <sip:{user}@gw.example>\n\
             Call-ID: reg-{user}\nCSeq: 1 REGISTER\nContact: <sip:{user}@192.0.2.7:5060>\n\
             Expires: 3600\nContent-Length: 0"
        ));
        self.prove(register, user, "secret");
        assert_eq!(self.statuses(), [200]);
        let located = self.outputs.drain(..).find_map(|output| match output {
            Output::Event(Event::Located(_, locations)) => Some(locations[0].contact.clone()),
            Output::Event(_) | Output::Incoming(_) | Output::Message(..) | Output::Resolve(..) => {
                None
            }
        });
        located.expect("a location")
    }

    fn dial(&mut self, trunk: &str, contact: Option<String>, profile: Profile) -> LegId {
        let leg = LegId(7);
        let dial = Dial {
            trunk: TrunkId::from(trunk),
            origin: Origin {
                trunk: TrunkId::from("procom"),
                account: Some(AccountId::from("alice")),
                asserted: Address::procom("alice"),
                verified: true,
                only: None,
            },
            to: "sip:carol@far.example".parse().unwrap(),
            contact,
            account: None,
            display: Some("Alice".to_owned()),
            require: Require::Any,
            offer: Offer(description()),
            profile,
            hops_left: self.hops_left,
        };
        self.command(leg, LegCommand::Dial(Box::new(dial)));
        leg
    }

    /// Bob's phone is rung; the leg and the INVITE it got.
    fn ring_bob(&mut self) -> (LegId, Request) {
        let contact = self.register("bob");
        let clear = Profile::phone(Protection::Clear, true);
        let leg = self.dial(LOCAL_TRUNK, Some(contact), clear);
        let invite = self.request(&Method::Invite);
        (leg, invite)
    }

    fn reply(&mut self, to: &Request, status: u16, tag: &str, sdp: bool) {
        let mut response = Response::to_request(to, status);
        response.tag_to(tag);
        response.push("Contact", "<sip:bob@192.0.2.7:5060>");
        if sdp {
            response.set_body(crate::offer::SDP, body());
        }
        self.give(response.render());
    }

    /// The trunk's name is found, and it takes our registration.
    fn bring_up(&mut self) {
        let id = TrunkId::from("sip.pbx");
        let mut place = Target::new(self.flow.transport, remote());
        place.server_name = Some("pbx.example".to_owned());
        self.agent.handle_targets(&Asker::Trunk(id), Ok(vec![place]), self.now);
        let register = self.request(&Method::Register);
        let mut challenge = Response::to_request(&register, 401);
        challenge.push("WWW-Authenticate", "Digest realm=\"pbx\", nonce=\"n1\", qop=\"auth\"");
        self.give(challenge.render());
        let again = self.request(&Method::Register);
        assert!(again.fields().has("Authorization"));
        let mut ok = Response::to_request(&again, 200);
        ok.push("Contact", &format!("{};expires=100", again.fields().text("Contact").unwrap()));
        self.give(ok.render());
        let is_up = self.outputs.iter().any(|output| match output {
            Output::Event(Event::Link(id, LinkState::Up(_))) => id.as_str() == "sip.pbx",
            Output::Event(_) | Output::Incoming(_) | Output::Message(..) | Output::Resolve(..) => {
                false
            }
        });
        assert!(is_up);
        self.outputs.clear();
    }

    fn assert_nothing_left(&mut self) {
        self.pass(200 * SECOND);
        assert_eq!(self.agent.legs(), 0);
        assert_eq!(self.agent.counters().transactions, 0);
    }
}

fn ended(events: &[LegEvent]) -> Vec<Cause> {
    let cause = |event: &LegEvent| {
        if let LegEvent::Ended(cause, _) = event { Some(*cause) } else { None }
    };
    events.iter().filter_map(cause).collect()
}

#[test]
fn a_stranger_is_challenged_and_reaches_nobody() {
    let mut scene = Scene::new(&config());
    scene.give(request(&invite("z9hG4bK1")).render());
    assert_eq!(scene.statuses(), [100, 401]);
    assert!(scene.outputs.iter().all(|output| !matches!(output, Output::Incoming(_))));
    let mut guess = request(&invite("z9hG4bK2").replace("call-1", "call-2"));
    guess.set_body(crate::offer::SDP, body());
    scene.prove(guess, "alice", "wrong");
    assert_eq!(scene.statuses(), [100, 403]);
    assert!(scene.outputs.iter().all(|output| !matches!(output, Output::Incoming(_))));
}

#[test]
fn a_wrong_password_and_an_unknown_user_get_the_same_answer() {
    for user in ["alice", "nobody"] {
        let mut scene = Scene::new(&config());
        scene.prove(request(&invite("z9hG4bK1")), user, "wrong");
        assert_eq!(scene.statuses(), [100, 403]);
    }
}

#[test]
fn who_guesses_too_often_has_to_wait() {
    let mut scene = Scene::new(&config());
    let mut last = 0;
    for n in 0..30 {
        let text = invite(&format!("z9hG4bKg{n}")).replace("call-1", &format!("guess-{n}"));
        let mut guess = request(&text);
        scene.give(guess.render());
        let challenge = scene.responses().pop().unwrap();
        Responder::new("alice", "wrong", None).answer(&mut guess, &challenge, "c");
        guess.set_top_via(&format!("SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKh{n}"));
        guess.set("CSeq", "2 INVITE");
        scene.give(guess.render());
        last = scene.statuses().pop().unwrap();
    }
    assert_eq!(last, 503);
}

#[test]
fn a_caller_is_known_by_its_password_and_not_by_what_it_says() {
    let mut scene = Scene::new(&config());
    let text =
        invite("z9hG4bK1").replace("<sip:alice@gw.example>", "<sip:president@house.example>");
    let mut spoofed = request(&text);
    spoofed.set_body(crate::offer::SDP, body());
    scene.prove(spoofed, "alice", "secret");
    let incoming = scene.outputs.iter().find_map(|output| match output {
        Output::Incoming(incoming) => Some(incoming),
        Output::Event(_) | Output::Message(..) | Output::Resolve(..) => None,
    });
    let origin = &incoming.unwrap().origin;
    assert_eq!(origin.asserted.to_string(), "sip:alice@gw.example");
    assert_eq!(origin.account, Some(AccountId::from("alice")));
    assert!(origin.verified);
}

#[test]
fn a_phone_calls_is_answered_and_hangs_up() {
    let mut scene = Scene::new(&config());
    let leg = scene.incoming(true);
    scene.command(leg, LegCommand::Ring);
    scene.command(leg, LegCommand::Answer(Some(Answer(description()))));
    let responses = scene.responses();
    let statuses: Vec<_> = responses.iter().map(Response::status).collect();
    assert_eq!(statuses, [100, 180, 200]);
    let tags: Vec<_> =
        responses[1..].iter().map(|r| r.fields().to().unwrap().tag().unwrap().to_owned()).collect();
    assert_eq!(tags[0], tags[1]);
    assert!(sdp::parse(std::str::from_utf8(responses[2].body()).unwrap()).is_ok());
    scene.in_dialog("ACK", 2, &tags[0], None);
    scene.in_dialog("BYE", 3, &tags[0], None);
    assert_eq!(scene.statuses(), [200]);
    assert_eq!(ended(&scene.events()), [Cause::Normal]);
    scene.assert_nothing_left();
}

#[test]
fn an_answer_is_repeated_until_acknowledged_and_hung_up_if_it_never_is() {
    let mut scene = Scene::new(&config());
    let leg = scene.incoming(true);
    scene.command(leg, LegCommand::Answer(Some(Answer(description()))));
    assert_eq!(scene.statuses(), [100, 200]);
    scene.pass(4 * SECOND);
    assert_eq!(scene.statuses(), [200, 200, 200]);
    scene.pass(29 * SECOND);
    let methods: Vec<_> = scene.requests().iter().map(Request::method).collect();
    assert!(methods.contains(&Method::Bye));
    assert_eq!(ended(&scene.events()), [Cause::Failed]);
    scene.assert_nothing_left();
}

#[test]
fn a_caller_who_gives_up_while_it_rings_ends_the_leg() {
    let mut scene = Scene::new(&config());
    let leg = scene.incoming(true);
    scene.command(leg, LegCommand::Ring);
    let _ = scene.sent();
    let cancel = invite("z9hG4bK1").replace("INVITE", "CANCEL").replace("1 CANCEL", "2 CANCEL");
    let cancel = request(&cancel.replace("z9hG4bK1", "z9hG4bKproven1INVITE"));
    scene.give(cancel.render());
    assert_eq!(scene.statuses(), [200, 487]);
    assert_eq!(ended(&scene.events()), [Cause::Cancelled]);
    scene.assert_nothing_left();
}

#[test]
fn a_refused_caller_hears_why() {
    for (cause, status) in [(Cause::Busy, 486), (Cause::NotFound, 404), (Cause::Overload, 503)] {
        let mut scene = Scene::new(&config());
        let leg = scene.incoming(true);
        scene.command(leg, LegCommand::End(cause, None));
        assert_eq!(scene.statuses(), [100, status]);
        assert_eq!(ended(&scene.events()), [cause]);
        scene.assert_nothing_left();
    }
}

#[test]
fn a_leg_the_switchboard_has_no_room_for_is_refused_and_never_mentioned() {
    let mut scene = Scene::new(&config());
    let leg = scene.incoming(true);
    scene.outputs.clear();
    scene.agent.refuse(leg, scene.now);
    scene.drain();
    assert_eq!(scene.statuses(), [100, 503]);
    assert!(scene.events().is_empty());
    scene.assert_nothing_left();
}

#[test]
fn a_caller_without_an_offer_gets_ours_and_answers_in_its_ack() {
    let mut scene = Scene::new(&config());
    let leg = scene.incoming(false);
    scene.command(leg, LegCommand::Answer(Some(Answer(description()))));
    let ok = scene.responses().pop().unwrap();
    let tag = ok.fields().to().unwrap().tag().unwrap().to_owned();
    scene.outputs.clear();
    scene.in_dialog("ACK", 2, &tag, Some((crate::offer::SDP, body())));
    assert!(matches!(scene.events()[..], [LegEvent::Reoffered(_)]));
    scene.command(leg, LegCommand::AnswerReoffer(Answer(description())));
    assert!(scene.sent().is_empty(), "nobody waits for that answer");
}

#[test]
fn a_registered_phone_is_rung_answers_and_is_hung_up() {
    let mut scene = Scene::new(&config());
    let (leg, invite) = scene.ring_bob();
    assert_eq!(invite.uri().to_text(), "sip:bob@192.0.2.7:5060");
    assert_eq!(invite.fields().from().unwrap().uri.to_text(), "sip:alice@gw.example");
    scene.reply(&invite, 180, "b1", false);
    scene.reply(&invite, 200, "b1", true);
    let ack = scene.request(&Method::Ack);
    assert_eq!(ack.fields().cseq().unwrap().0, invite.fields().cseq().unwrap().0);
    assert!(matches!(scene.events()[..], [LegEvent::Ringing, LegEvent::Answered(Some(_))]));
    scene.reply(&invite, 200, "b1", true);
    let again = scene.request(&Method::Ack);
    assert_eq!(again.fields().text("Via"), ack.fields().text("Via"));
    scene.command(leg, LegCommand::End(Cause::Normal, None));
    let bye = scene.request(&Method::Bye);
    assert_eq!(ended(&scene.events()), [Cause::Normal]);
    scene.reply(&bye, 200, "b1", false);
    scene.assert_nothing_left();
}

#[test]
fn early_media_is_told_before_the_answer() {
    let mut scene = Scene::new(&config());
    let (_, invite) = scene.ring_bob();
    scene.reply(&invite, 183, "b1", true);
    scene.reply(&invite, 200, "b1", false);
    let events = scene.events();
    assert!(matches!(events[..], [LegEvent::Progress(_), LegEvent::Answered(None)]));
}

#[test]
fn every_refusal_means_its_cause() {
    for (status, cause) in [
        (486, Cause::Busy),
        (603, Cause::Declined),
        (404, Cause::NotFound),
        (480, Cause::Unreachable),
        (488, Cause::NotAcceptable),
        (500, Cause::Failed),
    ] {
        let mut scene = Scene::new(&config());
        let (_, invite) = scene.ring_bob();
        scene.reply(&invite, status, "b1", false);
        let _ack = scene.request(&Method::Ack);
        assert_eq!(ended(&scene.events()), [cause]);
        scene.assert_nothing_left();
    }
}

#[test]
fn the_first_answer_of_a_forked_call_wins_and_the_others_are_hung_up() {
    let mut scene = Scene::new(&config());
    let (_, invite) = scene.ring_bob();
    scene.reply(&invite, 200, "b1", true);
    let _ack = scene.request(&Method::Ack);
    scene.reply(&invite, 200, "b2", true);
    let sent = scene.requests();
    let methods: Vec<_> = sent.iter().map(Request::method).collect();
    assert_eq!(methods, [Method::Ack, Method::Bye]);
    assert!(sent.iter().all(|request| request.fields().to().unwrap().tag() == Some("b2")));
    assert_eq!(scene.events().len(), 1);
}

#[test]
fn an_answer_that_crosses_our_cancel_is_hung_up() {
    let mut scene = Scene::new(&config());
    let (leg, invite) = scene.ring_bob();
    scene.reply(&invite, 180, "b1", false);
    scene.command(leg, LegCommand::End(Cause::AnsweredElsewhere, None));
    let cancel = scene.request(&Method::Cancel);
    assert!(cancel.fields().text("Reason").unwrap().contains("cause=200"));
    scene.reply(&invite, 200, "b1", true);
    let methods: Vec<_> = scene.requests().iter().map(Request::method).collect();
    assert_eq!(methods, [Method::Ack, Method::Bye]);
    assert_eq!(ended(&scene.events()), [Cause::AnsweredElsewhere]);
    scene.assert_nothing_left();
}

#[test]
fn a_silent_phone_is_unreachable_after_32_seconds() {
    let mut scene = Scene::new(&config());
    let _ = scene.ring_bob();
    scene.pass(33 * SECOND);
    assert_eq!(ended(&scene.events()), [Cause::Unreachable]);
    scene.assert_nothing_left();
}

#[test]
fn a_phone_that_left_is_not_rung() {
    let mut scene = Scene::new(&config());
    let clear = Profile::phone(Protection::Clear, true);
    scene.dial(LOCAL_TRUNK, Some("gone".to_owned()), clear);
    assert_eq!(ended(&scene.events()), [Cause::Unreachable]);
}

#[test]
fn keys_never_leave_by_an_open_wire_unasked() {
    let mut scene = Scene::new(&config());
    let contact = scene.register("bob");
    scene.dial(LOCAL_TRUNK, Some(contact), Profile::phone(Protection::Sdes, false));
    assert!(scene.sent().is_empty());
    assert_eq!(ended(&scene.events()), [Cause::Security]);
}

#[test]
fn a_name_is_looked_up_and_its_addresses_are_tried_in_turn() {
    let mut scene = Scene::new(&config());
    let leg = scene.dial(DIRECT_TRUNK, None, Profile::phone(Protection::Clear, true));
    let asked = scene.outputs.iter().any(|output| match output {
        Output::Resolve(Asker::Leg(asker), query) => *asker == leg && query.host == "far.example",
        Output::Resolve(Asker::Trunk(_) | Asker::Errand(_), _)
        | Output::Event(_)
        | Output::Message(..)
        | Output::Incoming(_) => false,
    });
    assert!(asked);
    let place = |port| Target::new(Transport::Udp, ([192, 0, 2, 7], port).into());
    scene.agent.handle_targets(&Asker::Leg(leg), Ok(vec![place(5060), place(5070)]), scene.now);
    let first = scene.request(&Method::Invite);
    scene.reply(&first, 503, "x", false);
    let methods: Vec<_> = scene.requests().iter().map(Request::method).collect();
    assert_eq!(methods, [Method::Ack, Method::Invite]);
}

#[test]
fn a_hold_of_the_phone_is_offered_and_answered() {
    let mut scene = Scene::new(&config());
    let (leg, tag) = scene.answered();
    scene.in_dialog("INVITE", 3, &tag, Some((crate::offer::SDP, body())));
    assert!(matches!(scene.events()[..], [LegEvent::Reoffered(_)]));
    scene.command(leg, LegCommand::AnswerReoffer(Answer(description())));
    assert_eq!(scene.statuses(), [100, 200]);
    scene.in_dialog("ACK", 3, &tag, None);
    scene.in_dialog("UPDATE", 4, &tag, Some((crate::offer::SDP, body())));
    scene.command(leg, LegCommand::RefuseReoffer(Cause::NotAcceptable));
    assert_eq!(scene.statuses(), [488]);
}

#[test]
fn an_invite_without_offer_within_the_call_gets_what_holds() {
    let mut scene = Scene::new(&config());
    let (leg, tag) = scene.answered();
    scene.in_dialog("INVITE", 3, &tag, None);
    let ok = scene.responses().pop().unwrap();
    assert_eq!((ok.status(), ok.body()), (200, &body()));
    scene.in_dialog("ACK", 3, &tag, Some((crate::offer::SDP, body())));
    assert!(matches!(scene.events()[..], [LegEvent::Reoffered(_)]));
    scene.command(leg, LegCommand::AnswerReoffer(Answer(description())));
    scene.in_dialog("BYE", 4, &tag, None);
    assert_eq!(ended(&scene.events()), [Cause::Normal]);
}

#[test]
fn two_offers_at_once_are_made_again_one_after_the_other() {
    let mut scene = Scene::new(&config());
    let (leg, tag) = scene.answered();
    scene.command(leg, LegCommand::Reoffer(Offer(description())));
    let ours = scene.request(&Method::Invite);
    scene.in_dialog("INVITE", 3, &tag, Some((crate::offer::SDP, body())));
    assert_eq!(scene.statuses().last(), Some(&491));
    scene.reply(&ours, 491, "ignored", false);
    assert_eq!(scene.requests().iter().map(Request::method).collect::<Vec<_>>(), [Method::Ack]);
    scene.pass(2 * SECOND + SECOND / 10);
    let again = scene.requests().remove(0);
    assert!(again.fields().cseq().unwrap().0 > ours.fields().cseq().unwrap().0);
    scene.reply(&again, 200, "ignored", true);
    assert!(matches!(scene.events()[..], [LegEvent::ReofferAnswered(_)]));
    assert_eq!(
        scene.request(&Method::Ack).fields().cseq(),
        Some((again.fields().cseq().unwrap().0, Method::Ack))
    );
}

#[test]
fn digits_go_both_ways_in_info() {
    let mut scene = Scene::new(&config());
    let (leg, tag) = scene.answered();
    let five = crate::offer::write_digit('5', Duration::from_millis(200));
    scene.in_dialog("INFO", 3, &tag, Some((crate::offer::DIGITS[0], five)));
    assert_eq!(scene.statuses(), [200]);
    assert_eq!(scene.events(), [LegEvent::Digit('5', Duration::from_millis(200))]);
    scene.in_dialog("INFO", 4, &tag, Some(("text/plain", Bytes::from_static(b"x"))));
    assert_eq!(scene.statuses(), [415]);
    scene.command(leg, LegCommand::Digit('#', Duration::from_millis(160)));
    let info = scene.request(&Method::Info);
    assert_eq!(info.body().as_ref(), b"Signal=#\r\nDuration=160\r\n");
}

#[test]
fn nobody_else_ends_or_changes_a_call() {
    let mut scene = Scene::new(&config());
    let (_, tag) = scene.answered();
    scene.flow = Flow { remote: "203.0.113.66:5060".parse().unwrap(), ..scene.flow };
    scene.in_dialog("BYE", 3, &tag, None);
    scene.in_dialog("INVITE", 4, &tag, Some((crate::offer::SDP, body())));
    assert_eq!(scene.statuses(), [481, 100, 481]);
    scene.flow = flow(Transport::Udp);
    scene.in_dialog("BYE", 3, "guessed", None);
    assert_eq!(scene.statuses(), [481]);
    assert!(scene.events().is_empty());
}

#[test]
fn a_peer_that_forgot_the_call_ends_it() {
    let mut scene = Scene::new(&config());
    let (leg, _) = scene.answered();
    scene.command(leg, LegCommand::Digit('1', SECOND));
    let info = scene.request(&Method::Info);
    scene.reply(&info, 481, "ignored", false);
    assert_eq!(ended(&scene.events()), [Cause::Failed]);
    scene.assert_nothing_left();
}

#[test]
fn a_challenge_to_our_bye_is_never_answered_in_a_call_a_peer_made() {
    let mut scene = Scene::new(&config());
    let (leg, _) = scene.answered();
    scene.command(leg, LegCommand::End(Cause::Normal, None));
    let bye = scene.request(&Method::Bye);
    let mut challenge = Response::to_request(&bye, 407);
    challenge.push("Proxy-Authenticate", "Digest realm=\"pbx.example\", nonce=\"n\"");
    scene.give(challenge.render());
    assert!(scene.sent().is_empty());
    scene.assert_nothing_left();
}

fn registered() -> Scene {
    let mut scene = Scene::new(&Config { trunk: vec![trunk()], ..config() });
    scene.bring_up();
    scene
}

#[test]
fn a_trunk_registers_with_its_password_and_again_at_85_percent() {
    let mut scene = registered();
    scene.pass(84 * SECOND);
    assert!(scene.outputs.is_empty());
    scene.pass(2 * SECOND);
    let asks =
        scene.outputs.iter().any(|output| matches!(output, Output::Resolve(Asker::Trunk(_), _)));
    assert!(asks, "the name is looked up again before every refresh");
}

#[test]
fn a_trunk_that_refuses_is_down_and_not_hammered() {
    let mut scene = Scene::new(&Config { trunk: vec![trunk()], ..config() });
    scene.outputs.clear();
    let id = TrunkId::from("sip.pbx");
    let place = Target::new(Transport::Udp, remote());
    scene.agent.handle_targets(&Asker::Trunk(id), Ok(vec![place]), scene.now);
    let register = scene.request(&Method::Register);
    scene.reply(&register, 403, "x", false);
    let is_down = scene
        .outputs
        .drain(..)
        .any(|output| matches!(output, Output::Event(Event::Link(_, LinkState::Down(_)))));
    assert!(is_down);
    scene.pass(59 * SECOND);
    assert!(scene.outputs.is_empty() && scene.sent().is_empty());
}

#[test]
fn a_call_from_the_trunk_is_its_own_and_one_by_it_gets_its_password() {
    let mut scene = registered();
    let text = invite("z9hG4bKt1")
        .replace("sip:bob@gw.example SIP", "sip:gateway@192.0.2.1 SIP")
        .replace("To: <sip:bob@gw.example>", "To: <sip:+4512345678@pbx.example>");
    let mut invite = request(&text);
    invite.set_body(crate::offer::SDP, body());
    scene.give(invite.render());
    let incoming = scene.outputs.drain(..).find_map(|output| match output {
        Output::Incoming(incoming) => Some(incoming),
        Output::Event(_) | Output::Message(..) | Output::Resolve(..) => None,
    });
    let incoming = incoming.unwrap();
    assert_eq!(
        (incoming.origin.trunk.as_str(), incoming.to.to_string()),
        ("sip.pbx", "tel:+4512345678".to_owned())
    );
    assert!(!incoming.origin.verified && incoming.origin.account.is_none());
    let _ = scene.sent();
    scene.dial("sip.pbx", None, Profile::phone(Protection::Clear, true));
    let first = scene.request(&Method::Invite);
    assert_eq!(first.uri(), Uri::parse("sip:carol@pbx.example").unwrap());
    let mut challenge = Response::to_request(&first, 407);
    challenge.push("Proxy-Authenticate", "Digest realm=\"pbx\", nonce=\"n2\", qop=\"auth\"");
    scene.give(challenge.render());
    let sent = scene.requests();
    assert_eq!(sent.iter().map(Request::method).collect::<Vec<_>>(), [Method::Ack, Method::Invite]);
    assert!(sent[1].fields().has("Proxy-Authorization"));
}

#[test]
fn a_call_that_crosses_has_one_hop_less_and_ends_at_none() {
    for (left, max_forwards) in [(None, "70"), (Some(70), "69"), (Some(1), "0"), (Some(255), "70")]
    {
        let mut scene = registered();
        scene.hops_left = left;
        scene.dial("sip.pbx", None, Profile::phone(Protection::Clear, true));
        let invite = scene.request(&Method::Invite);
        assert_eq!(invite.fields().text("Max-Forwards").as_deref(), Some(max_forwards));
    }
    let mut scene = registered();
    scene.hops_left = Some(0);
    scene.dial("sip.pbx", None, Profile::phone(Protection::Clear, true));
    assert_eq!(ended(&scene.events()), [Cause::Forbidden]);
    let spent = invite("z9hG4bK1").replace("Max-Forwards: 70", "Max-Forwards: 0");
    scene.give(request(&spent).render());
    assert_eq!(scene.statuses(), [483]);
}

#[test]
fn a_call_tells_how_many_hops_it_has_left() {
    let mut scene = Scene::new(&config());
    scene.incoming(true);
    let hops_left = scene.outputs.iter().find_map(|output| match output {
        Output::Incoming(incoming) => incoming.hops_left,
        Output::Event(_) | Output::Message(..) | Output::Resolve(..) => None,
    });
    assert_eq!(hops_left, Some(70));
}

#[test]
fn nobody_but_the_trunk_is_told_its_password() {
    let mut scene = registered();
    scene.dial("sip.pbx", None, Profile::phone(Protection::Clear, true));
    let first = scene.request(&Method::Invite);
    let mut challenge = Response::to_request(&first, 407);
    challenge.push("Proxy-Authenticate", "Digest realm=\"pbx\", nonce=\"n2\", qop=\"auth\"");
    scene.flow = Flow { remote: "203.0.113.66:5060".parse().unwrap(), ..scene.flow };
    scene.give(challenge.render());
    assert_eq!(scene.requests().iter().map(Request::method).collect::<Vec<_>>(), [Method::Ack]);
    assert_eq!(ended(&scene.events()), [Cause::Forbidden]);
}

#[test]
fn stopping_ends_every_leg_and_registration() {
    let mut scene = registered();
    // Alice calls from elsewhere than the trunk.
    scene.flow = Flow { remote: "192.0.2.8:5060".parse().unwrap(), ..scene.flow };
    let leg = scene.incoming(true);
    scene.command(leg, LegCommand::Ring);
    let _ = scene.sent();
    scene.outputs.clear();
    scene.agent.stop(scene.now);
    scene.drain();
    let sent = scene.sent();
    let is_503 = |message: &Message| matches!(message, Message::Response(response) if response.status() == 503);
    let is_unregister = |message: &Message| {
        matches!(message, Message::Request(request)
        if request.method() == Method::Register && request.fields().expires() == Some(0))
    };
    assert!(sent.iter().any(is_503) && sent.iter().any(is_unregister));
    assert_eq!(ended(&scene.events()), [Cause::Shutdown]);
}

/// One thing that happens in a random life.
#[derive(Debug, Clone, Copy)]
enum Step {
    Wait(u64),
    Command(u8),
    /// The peer answers the latest request of ours.
    Answer(u16, bool),
    /// The peer sends a request of its own.
    Ask(u8),
    Cancel,
    Unsent,
}

fn step() -> impl Strategy<Value = Step> {
    let status =
        prop::sample::select(vec![100u16, 180, 183, 200, 200, 401, 407, 481, 486, 491, 503]);
    prop_oneof![
        2 => (1u64..8_000).prop_map(Step::Wait),
        4 => (0u8..9).prop_map(Step::Command),
        4 => (status, any::<bool>()).prop_map(|(status, sdp)| Step::Answer(status, sdp)),
        4 => (0u8..8).prop_map(Step::Ask),
        1 => Just(Step::Cancel),
        1 => Just(Step::Unsent),
    ]
}

fn any_command(which: u8) -> LegCommand {
    match which {
        0 => LegCommand::Ring,
        1 => LegCommand::Progress(Answer(description())),
        2 => LegCommand::Answer(Some(Answer(description()))),
        3 => LegCommand::Answer(None),
        4 => LegCommand::Reoffer(Offer(description())),
        5 => LegCommand::AnswerReoffer(Answer(description())),
        6 => LegCommand::RefuseReoffer(Cause::NotAcceptable),
        7 => LegCommand::Digit('1', SECOND),
        _ => LegCommand::End(Cause::Normal, None),
    }
}

/// What the peer remembers of a random life.
struct Peer {
    leg: LegId,
    tag: String,
    ours: Option<Request>,
    number: u32,
    ends: usize,
    after_the_end: usize,
}

impl Peer {
    fn look(&mut self, scene: &mut Scene) {
        for message in scene.sent() {
            match message {
                Message::Request(request) if request.method() != Method::Ack => {
                    self.ours = Some(request);
                }
                Message::Request(_) => {}
                Message::Response(response) => {
                    if let Some(to) = response.fields().to().filter(|_| response.is_success()) {
                        to.tag().unwrap_or_default().clone_into(&mut self.tag);
                    }
                }
            }
        }
        for event in scene.events() {
            self.after_the_end += usize::from(self.ends > 0);
            self.ends += usize::from(matches!(event, LegEvent::Ended(..)));
        }
    }

    fn take(&mut self, scene: &mut Scene, step: Step) {
        match step {
            Step::Wait(ms) => scene.pass(Duration::from_millis(ms)),
            Step::Command(which) => scene.command(self.leg, any_command(which)),
            Step::Answer(status, sdp) => {
                if let Some(ours) = self.ours.clone() {
                    scene.reply(&ours, status, "b1", sdp);
                }
            }
            Step::Ask(which) => {
                self.number += 1;
                let kinds = ["ACK", "BYE", "INVITE", "INVITE", "UPDATE", "INFO", "OPTIONS", "ACK"];
                let body = (which % 2 == 1).then(|| (crate::offer::SDP, body()));
                scene.in_dialog(kinds[usize::from(which)], self.number, &self.tag.clone(), body);
            }
            Step::Cancel => {
                let cancel = invite("z9hG4bKproven1INVITE").replace("1 INVITE", "2 INVITE");
                let cancel =
                    request(&cancel.replace("INVITE ", "CANCEL ").replace(" INVITE", " CANCEL"));
                scene.give(cancel.render());
            }
            Step::Unsent => {
                let transmit = scene.agent.poll_transmit();
                if let Some(id) = transmit.and_then(|transmit| transmit.transaction) {
                    scene.agent.handle_unsent(id, scene.now);
                    scene.drain();
                }
            }
        }
        self.look(scene);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_leg_ends_exactly_once_and_nothing_is_kept_of_it(
        is_incoming: bool,
        has_offer: bool,
        steps in prop::collection::vec(step(), 0..30),
    ) {
        let mut scene = Scene::new(&config());
        let leg = if is_incoming { scene.incoming(has_offer) } else { scene.ring_bob().0 };
        let (tag, number) = ("b1".to_owned(), 2);
        let mut peer = Peer { leg, tag, ours: None, number, ends: 0, after_the_end: 0 };
        peer.look(&mut scene);
        for step in steps {
            peer.take(&mut scene, step);
        }
        scene.command(leg, LegCommand::End(Cause::Normal, None));
        peer.look(&mut scene);
        prop_assert_eq!(peer.ends, 1);
        // Whatever the peer still does, everything passes.
        for _ in 0..70 {
            scene.pass(10 * SECOND);
        }
        peer.look(&mut scene);
        prop_assert_eq!((peer.ends, peer.after_the_end), (1, 0));
        prop_assert_eq!((scene.agent.legs(), scene.agent.releases.len()), (0, 0));
        prop_assert!(scene.agent.is_quiet());
        prop_assert_eq!(scene.agent.counters().transactions, 0);
    }
}
