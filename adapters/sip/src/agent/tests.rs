//! The agent against a peer made of text: calls from both sides, and all that goes wrong.

use std::time::Duration;

use bytes::Bytes;
use gateway_adapter::LinkState;
use gateway_adapter::attempts::{Acquaintance, Memory};
use gateway_core::description::{Answer, Codec, Description, MediaLine};
use gateway_core::leg::{Dial, LegEvent};
use gateway_core::media::{Profile, Protection};
use gateway_core::reachable::Reachable;
use gateway_core::route::{Origin, Require};
use gateway_core::{AccountId, Address, Offer, sdp};
use proptest::prelude::*;

use super::*;
use crate::config::{LOCAL_TRUNK, Listener, Password, TrunkConfig};
use crate::stack::digest::Responder;
use crate::stack::flow::{LinkId, Transport};
use crate::stack::wire::{self, Message, Request, Uri};
use crate::testing::{flow, invite, remote, request, start};

mod dialled;
mod digests;
mod failover;
mod floods;
mod guesses;
mod lives;
mod messages;
mod reach;
mod release;
mod repeats;
mod trunks;
mod within;

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
        names: false,
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
        Self::with_memory(config, seed, Vec::new())
    }

    fn with_memory(config: &Config, seed: [u8; 32], known: Vec<Acquaintance>) -> Self {
        let now = start();
        let mut advertised = Advertised::default();
        for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
            advertised.add(transport, "192.0.2.1:5060".parse().unwrap());
        }
        let reach = Reachable::default().with_host(["192.0.2.1".parse().unwrap()]);
        let advertised = advertised.within(reach);
        let account = |name: &str| SipAccount {
            id: AccountId::from(name),
            user: name.to_owned(),
            password: Password("secret".to_owned()),
            protection: None,
        };
        let accounts = [account("alice"), account("bob"), account("carol")];
        let began = Began { at: now, ms: 1_795_363_506_000 };
        let memory = Memory::new([3; 32], known);
        let attempts = Attempts::new(&memory, "sip", now, 1_795_363_506);
        let life = Life { began, seed, attempts };
        let mut agent = Agent::new(config, &accounts, advertised, life);
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
    assert_eq!(scene.statuses(), [401]);
    assert!(scene.outputs.iter().all(|output| !matches!(output, Output::Incoming(_))));
    let mut guess = request(&invite("z9hG4bK2").replace("call-1", "call-2"));
    guess.set_body(crate::offer::SDP, body());
    scene.prove(guess, "alice", "wrong");
    assert_eq!(scene.statuses(), [403]);
    assert!(scene.outputs.iter().all(|output| !matches!(output, Output::Incoming(_))));
}

#[test]
fn a_wrong_password_and_an_unknown_user_get_the_same_answer() {
    for user in ["alice", "nobody"] {
        let mut scene = Scene::new(&config());
        scene.prove(request(&invite("z9hG4bK1")), user, "wrong");
        assert_eq!(scene.statuses(), [403]);
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
