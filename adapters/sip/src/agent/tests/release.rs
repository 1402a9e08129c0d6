//! Hanging up what was left standing: after a crash, and where a connection is gone.

use super::*;
use crate::stack::dialog::Snapshot;
use crate::stack::flow::Transmit;

#[test]
fn a_call_of_an_earlier_life_is_hung_up() {
    let mut scene = Scene::new(&config());
    let leg = scene.incoming(true);
    scene.command(leg, LegCommand::Answer(Some(Answer(description()))));
    let journal = scene.outputs.drain(..).find_map(|output| match output {
        Output::Event(Event::Journal(_, entry)) => entry,
        Output::Event(_) | Output::Incoming(_) | Output::Message(..) | Output::Resolve(..) => None,
    });
    let mut later = Scene::new(&config());
    later.outputs.clear();
    later.agent.handle_command(Command::Release(9, journal.unwrap()), later.now);
    let bye = later.request(&Method::Bye);
    assert_eq!(bye.uri().to_text(), "sip:alice@192.0.2.7:5060");
    later.reply(&bye, 200, "x", false);
    assert!(matches!(later.outputs[..], [Output::Event(Event::Released(9))]));
    later.agent.handle_command(Command::Release(3, b"damaged".to_vec()), later.now);
    later.drain();
    assert!(matches!(later.outputs[1..], [Output::Event(Event::Released(3))]));
}

#[test]
fn a_phone_that_could_not_be_told_is_told_when_it_registers_again() {
    let mut scene = Scene::new(&config());
    scene.flow = Flow { link: LinkId(3), ..flow(Transport::Tls) };
    let leg = scene.incoming(true);
    scene.command(leg, LegCommand::Answer(Some(Answer(description()))));
    let journal = scene.outputs.drain(..).find_map(|output| match output {
        Output::Event(Event::Journal(_, entry)) => entry,
        Output::Event(_) | Output::Incoming(_) | Output::Message(..) | Output::Resolve(..) => None,
    });
    let mut later = Scene::new(&config());
    later.agent.handle_command(Command::Release(9, journal.unwrap()), later.now);
    let transmit = later.agent.poll_transmit().unwrap();
    later.agent.handle_unsent(transmit.transaction.unwrap(), later.now);
    later.drain();
    later.flow = Flow { link: LinkId(8), ..flow(Transport::Tls) };
    let register = request(
        "REGISTER sip:gw.example SIP/2.0\nVia: SIP/2.0/TLS 192.0.2.7:5060;rport;branch=z9hG4bKra\n\
         Max-Forwards: 70\nFrom: <sip:alice@gw.example>;tag=1\nTo: <sip:alice@gw.example>\n\
         Call-ID: reg\nCSeq: 1 REGISTER\nContact: <sip:alice@192.0.2.7:5060;transport=tls>\n\
         Expires: 3600\nContent-Length: 0",
    );
    later.prove(register, "alice", "secret");
    let byes = later.requests();
    assert_eq!(byes.iter().map(Request::method).collect::<Vec<_>>(), [Method::Bye]);
}

/// A scene with a trunk that speaks TLS, not up yet.
fn by_tls() -> Scene {
    let server = "sip:pbx.example;transport=tls".to_owned();
    let mut scene =
        Scene::new(&Config { trunk: vec![TrunkConfig { server, ..trunk() }], ..config() });
    scene.flow = flow(Transport::Tls);
    scene.outputs.clear();
    scene
}

impl Scene {
    fn journal(&mut self) -> Vec<u8> {
        let mut entries = self.outputs.drain(..).filter_map(|output| match output {
            Output::Event(Event::Journal(_, entry)) => Some(entry),
            Output::Event(_) | Output::Incoming(_) | Output::Message(..) | Output::Resolve(..) => {
                None
            }
        });
        entries.next_back().flatten().expect("a journal entry")
    }

    fn released(&mut self) -> Vec<u64> {
        let key = |output| match output {
            Output::Event(Event::Released(key)) => Some(key),
            Output::Event(_) | Output::Incoming(_) | Output::Message(..) | Output::Resolve(..) => {
                None
            }
        };
        self.outputs.drain(..).filter_map(key).collect()
    }

    fn release(&mut self, key: u64, entry: Vec<u8>) {
        self.agent.handle_command(Command::Release(key, entry), self.now);
        self.drain();
    }

    /// Every BYE on its way out, and where to.
    fn byes(&mut self) -> Vec<(Transmit, Request)> {
        let bye = |transmit: Transmit| match wire::parse(transmit.bytes.clone()) {
            Ok(Message::Request(request)) if request.method() == Method::Bye => {
                Some((transmit, request))
            }
            Ok(_) | Err(_) => None,
        };
        std::iter::from_fn(|| self.agent.poll_transmit()).filter_map(bye).collect()
    }

    /// A call the trunk places, answered; the leg.
    fn placed_by_trunk(&mut self, more: &str) -> LegId {
        let text = invite("z9hG4bKt")
            .replace("bob@gw", "gateway@gw")
            .replace("UDP", "TLS")
            .replace("Contact:", &format!("{more}Contact:"));
        let mut invite = request(&text);
        invite.set_body(crate::offer::SDP, body());
        self.give(invite.render());
        let leg = LegId(self.next_leg);
        self.command(leg, LegCommand::Answer(Some(Answer(description()))));
        let tag = self.responses().pop().unwrap().fields().to().unwrap().tag().unwrap().to_owned();
        self.in_dialog("ACK", 1, &tag, None);
        leg
    }

    /// A call we place by the trunk, answered; the leg.
    fn placed_by_us(&mut self) -> LegId {
        let leg = self.dial("sip.pbx", None, Profile::phone(Protection::Clear, true));
        let invite = self.request(&Method::Invite);
        self.reply(&invite, 200, "b1", true);
        let _ = self.sent();
        leg
    }
}

const PROXY: &str = "Record-Route: <sip:192.0.2.7:5060;transport=tls;lr>\n";

#[test]
fn a_call_the_trunk_placed_over_tls_is_hung_up_once_the_trunk_is_up_again() {
    for more in [PROXY, "Record-Route: <sip:edge.pbx.example;lr>\n", ""] {
        let mut scene = by_tls();
        scene.bring_up();
        scene.placed_by_trunk(more);
        let entry = scene.journal();
        let mut later = by_tls();
        later.release(9, entry);
        assert!(later.byes().is_empty(), "the trunk does not know us yet");
        later.bring_up();
        let (transmit, bye) = later.byes().pop().expect("a BYE");
        assert_eq!(transmit.target.server_name.as_deref(), Some("pbx.example"));
        assert_eq!((transmit.target.transport, transmit.target.remote), (Transport::Tls, remote()));
        later.reply(&bye, 200, "x", false);
        assert_eq!(later.released(), [9]);
    }
}

#[test]
fn an_entry_without_a_name_or_trunk_takes_its_name_from_the_next_hop() {
    let mut scene = by_tls();
    scene.bring_up();
    scene.placed_by_trunk("Record-Route: <sip:edge.pbx.example;lr>\n");
    let mut snapshot: Snapshot = serde_json::from_slice(&scene.journal()).unwrap();
    (snapshot.server_name, snapshot.trunk) = (None, None);
    let mut old = serde_json::to_value(&snapshot).unwrap();
    old.as_object_mut().unwrap().retain(|key, _| key != "is_ours" && key != "trunk");
    let mut later = by_tls();
    later.release(9, old.to_string().into_bytes());
    let (transmit, _) = later.byes().pop().expect("a BYE");
    assert_eq!(transmit.target.server_name.as_deref(), Some("edge.pbx.example"));
}

#[test]
fn a_challenge_of_the_bye_is_answered_to_the_trunk_of_a_call_of_ours_only() {
    let challenged = |entry: Vec<u8>, from: &str| {
        let mut later = by_tls();
        later.bring_up();
        later.release(9, entry);
        let (_, bye) = later.byes().pop().expect("a BYE");
        let mut challenge = Response::to_request(&bye, 407);
        challenge.push("Proxy-Authenticate", "Digest realm=\"pbx\", nonce=\"n7\", qop=\"auth\"");
        later.flow.remote = from.parse().unwrap();
        later.flow.link = LinkId(if later.flow.remote == remote() { 1 } else { 7 });
        later.give(challenge.render());
        let proven = later.byes();
        let is_proven = proven.iter().any(|(_, bye)| bye.fields().has("Proxy-Authorization"));
        assert_eq!(later.released().is_empty(), is_proven);
        if let Some((_, again)) = proven.first() {
            assert!(again.fields().cseq().unwrap().0 > bye.fields().cseq().unwrap().0);
        }
        is_proven
    };
    let mut scene = by_tls();
    scene.bring_up();
    scene.placed_by_us();
    let ours = scene.journal();
    scene.placed_by_trunk(PROXY);
    let theirs = scene.journal();
    assert!(challenged(ours.clone(), "192.0.2.7:5060"));
    assert!(!challenged(ours.clone(), "203.0.113.66:5061"), "from elsewhere");
    assert!(!challenged(theirs, "192.0.2.7:5060"), "CVE-2021-41158");
    let mut snapshot: Snapshot = serde_json::from_slice(&ours).unwrap();
    snapshot.trunk = None;
    assert!(!challenged(serde_json::to_vec(&snapshot).unwrap(), "192.0.2.7:5060"));
}

#[test]
fn an_entry_of_a_trunk_that_never_comes_up_is_given_up_after_ten_minutes() {
    let mut scene = by_tls();
    scene.bring_up();
    scene.placed_by_trunk(PROXY);
    let entry = scene.journal();
    let mut later = by_tls();
    later.release(9, entry);
    later.pass(599 * SECOND);
    assert!(later.released().is_empty());
    later.pass(SECOND);
    assert_eq!(later.released(), [9]);
}

#[test]
fn requests_in_a_call_whose_connection_is_gone_can_open_a_new_one() {
    for is_ours in [false, true] {
        let mut scene = by_tls();
        scene.bring_up();
        let leg = if is_ours { scene.placed_by_us() } else { scene.placed_by_trunk(PROXY) };
        let _ = scene.sent();
        scene.agent.handle_closed(LinkId(1), scene.now);
        for command in
            [LegCommand::Reoffer(Offer(description())), LegCommand::End(Cause::Normal, None)]
        {
            scene.pass(10 * SECOND);
            let _ = scene.sent();
            scene.command(leg, command);
            let transmits: Vec<_> = std::iter::from_fn(|| scene.agent.poll_transmit()).collect();
            let target = &transmits.first().expect("a request").target;
            assert_eq!(target.server_name.as_deref(), Some("pbx.example"));
            assert_eq!(target.remote, remote());
        }
    }
}

#[test]
fn a_phone_that_cannot_be_told_of_the_end_is_told_when_it_registers_again() {
    let mut scene = Scene::new(&config());
    scene.flow = Flow { link: LinkId(3), ..flow(Transport::Tls) };
    let leg = scene.incoming(true);
    scene.command(leg, LegCommand::Answer(Some(Answer(description()))));
    let _ = scene.sent();
    scene.outputs.clear();
    scene.command(leg, LegCommand::End(Cause::Normal, None));
    let (bye, _) = scene.byes().pop().expect("a BYE");
    scene.agent.handle_unsent(bye.transaction.unwrap(), scene.now);
    scene.drain();
    assert_eq!(scene.agent.legs(), 0);
    let is_forgotten = |scene: &Scene| {
        scene.outputs.iter().any(|output| matches!(output, Output::Event(Event::Journal(_, None))))
    };
    assert!(!is_forgotten(&scene), "a crash now must not lose it");
    scene.flow.link = LinkId(8);
    scene.prove(register(), "alice", "secret");
    let (again, request) = scene.byes().pop().expect("a BYE");
    assert_eq!(again.target.link, Some(LinkId(8)));
    scene.reply(&request, 200, "a1", false);
    assert!(is_forgotten(&scene));
}

fn register() -> Request {
    request(
        "REGISTER sip:gw.example SIP/2.0\nVia: SIP/2.0/TLS 192.0.2.7:5060;rport;branch=z9hG4bKrb\n\
         Max-Forwards: 70\nFrom: <sip:alice@gw.example>;tag=1\nTo: <sip:alice@gw.example>\n\
         Call-ID: reg\nCSeq: 1 REGISTER\nContact: <sip:alice@192.0.2.7:5060;transport=tls>\n\
         Expires: 3600\nContent-Length: 0",
    )
}

/// One thing that happens to a call that was left standing.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Wait(u64),
    Answer(u16),
    Unsent,
    TrunkUp,
    Closed,
    PhoneBack,
}

fn fate() -> impl Strategy<Value = Fate> {
    let status = prop::sample::select(vec![100u16, 200, 401, 403, 407, 408, 481, 500, 503]);
    prop_oneof![
        3 => (1u64..200_000).prop_map(Fate::Wait),
        2 => status.prop_map(Fate::Answer),
        3 => Just(Fate::Unsent),
        2 => Just(Fate::TrunkUp),
        1 => Just(Fate::Closed),
        1 => Just(Fate::PhoneBack),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_left_standing_is_dealt_with_once_and_never_lingers(
        is_ours in any::<bool>(),
        is_trunk in any::<bool>(),
        fates in prop::collection::vec(fate(), 0..30),
    ) {
        let mut before = by_tls();
        let entry = if is_trunk {
            before.bring_up();
            if is_ours { before.placed_by_us() } else { before.placed_by_trunk(PROXY) };
            before.journal()
        } else {
            let leg = before.incoming(true);
            before.command(leg, LegCommand::Answer(Some(Answer(description()))));
            before.journal()
        };
        let mut scene = by_tls();
        scene.release(9, entry);
        let mut released = Vec::new();
        let (mut bye, mut is_up) = (None, false);
        for fate in fates {
            bye = scene.byes().pop().or(bye);
            match fate {
                Fate::Wait(ms) => scene.pass(Duration::from_millis(ms)),
                Fate::Answer(status) => if let Some((_, bye)) = &bye {
                    let mut answer = Response::to_request(bye, status);
                    answer.push("Proxy-Authenticate", "Digest realm=\"pbx\", nonce=\"n\"");
                    scene.give(answer.render());
                },
                Fate::Unsent => if let Some((sent, _)) = &bye {
                    scene.agent.handle_unsent(sent.transaction.unwrap(), scene.now);
                    scene.drain();
                },
                Fate::TrunkUp => if !std::mem::replace(&mut is_up, true) {
                    let place = Target::new(Transport::Tls, remote());
                    let asker = Asker::Trunk(TrunkId::from("sip.pbx"));
                    scene.agent.handle_targets(&asker, Ok(vec![place]), scene.now);
                    let register = scene.requests().into_iter().find(|request| {
                        request.method() == Method::Register
                    });
                    if let Some(register) = register {
                        scene.give(Response::to_request(&register, 200).render());
                    }
                },
                Fate::Closed => {
                    scene.agent.handle_closed(LinkId(1), scene.now);
                    scene.drain();
                }
                Fate::PhoneBack => if !is_up {
                    scene.give(register().render());
                },
            }
            released.extend(scene.released());
        }
        scene.pass(700 * SECOND);
        released.extend(scene.released());
        prop_assert_eq!(released, [9]);
        prop_assert_eq!(scene.agent.releases.len(), 0);
    }
}
