//! A stranger cannot make us send to a place that only we can reach: by a field of a message that
//! names an address, or by what a look-up finds.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use gateway_core::message::Handover;

use super::*;

/// Addresses that the peer at 192.0.2.7 may not send us to. We listen at 192.0.2.1:5060.
const FORBIDDEN: [&str; 19] = [
    "0.0.0.0:7000",
    "[::]:7000",
    "127.0.0.1:7000",
    "[::1]:7000",
    "[::ffff:127.0.0.1]:7000",
    "[::127.0.0.1]:7000",
    "[64:ff9b::7f00:1]:7000",
    "[2002:7f00:1::]:7000",
    "[2001:0:c000:201::80ff:fffe]:7000",
    "[fe80::5efe:127.0.0.1]:7000",
    "224.0.0.251:7000",
    "[ff02::1]:7000",
    "255.255.255.255:7000",
    "240.0.0.1:7000",
    "169.254.169.254:80",
    "10.0.0.1:7000",
    "192.0.2.1:5060",
    "192.0.2.1:7000",
    "192.0.2.7:0",
];

impl Scene {
    /// Where requests went since the last look.
    fn places(&mut self) -> BTreeSet<SocketAddr> {
        let sent = std::iter::from_fn(|| self.agent.poll_transmit());
        let request = |transmit: Transmit| match wire::parse(transmit.bytes) {
            Ok(Message::Request(_)) => Some(transmit.target.remote),
            Ok(Message::Response(_)) | Err(_) => None,
        };
        sent.filter_map(request).collect()
    }

    /// Hangs up and says where that went.
    fn hang_up(&mut self, leg: LegId) -> BTreeSet<SocketAddr> {
        let _ = self.sent();
        self.command(leg, LegCommand::End(Cause::Normal, None));
        self.places()
    }

    /// A call of alice's, with these lines for its Contact, that is answered; the leg.
    fn answered_with(&mut self, contact: &str) -> LegId {
        let text = invite("z9hG4bK1").replace("Contact: <sip:alice@192.0.2.7:5060>", contact);
        let mut invite = request(&text);
        invite.set_body(crate::offer::SDP, body());
        self.prove(invite, "alice", "secret");
        let found = self.outputs.drain(..).find_map(|output| match output {
            Output::Incoming(incoming) => Some(incoming.leg),
            Output::Event(_) | Output::Message(..) | Output::Resolve(..) => None,
        });
        let leg = found.expect("a leg that comes in");
        self.command(leg, LegCommand::Answer(Some(Answer(description()))));
        leg
    }
}

/// A field that names the address, alone and as the way to a harmless Contact.
fn fields(place: &str) -> [String; 2] {
    [
        format!("Contact: <sip:x@{place}>"),
        format!("Record-Route: <sip:{place};lr>\nContact: <sip:x@192.0.2.7:5060>"),
    ]
}

#[test]
fn a_callee_cannot_send_our_ack_and_bye_to_a_service_of_ours() {
    for place in FORBIDDEN {
        for lines in fields(place) {
            let mut scene = Scene::new(&config());
            let (leg, invite) = scene.ring_bob();
            let mut ok = Response::to_request(&invite, 200);
            ok.tag_to("b1");
            for line in lines.lines() {
                let (name, value) = line.split_once(": ").unwrap();
                ok.push(name, value);
            }
            ok.set_body(crate::offer::SDP, body());
            scene.give(ok.render());
            assert_eq!(scene.places(), BTreeSet::from([remote()]), "ACK: {lines}");
            assert_eq!(scene.hang_up(leg), BTreeSet::from([remote()]), "BYE: {lines}");
        }
    }
}

#[test]
fn a_caller_cannot_send_our_bye_to_a_service_of_ours() {
    for place in FORBIDDEN {
        for lines in fields(place) {
            let mut scene = Scene::new(&config());
            let leg = scene.answered_with(&lines);
            assert_eq!(scene.hang_up(leg), BTreeSet::from([remote()]), "{lines}");
        }
    }
}

#[test]
fn a_peer_cannot_move_within_a_call_to_a_service_of_ours() {
    for place in FORBIDDEN {
        let mut scene = Scene::new(&config());
        let (leg, tag) = scene.answered();
        let mut again = request(&format!(
            "INVITE sip:bob@192.0.2.1 SIP/2.0\n\
             Via: SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bKagain\n\
             Max-Forwards: 70\nFrom: <sip:alice@gw.example>;tag=a1\n\
             To: <sip:bob@gw.example>;tag={tag}\nCall-ID: call-1@192.0.2.7\n\
             CSeq: 3 INVITE\nContact: <sip:alice@{place}>\nContent-Length: 0"
        ));
        again.set_body(crate::offer::SDP, body());
        scene.give(again.render());
        scene.command(leg, LegCommand::AnswerReoffer(Answer(description())));
        assert_eq!(scene.hang_up(leg), BTreeSet::from([remote()]), "{place}");
    }
}

#[test]
fn what_a_look_up_finds_is_not_called_where_it_leads_back_to_us() {
    for place in FORBIDDEN.into_iter().filter(|place| *place != "192.0.2.7:0") {
        let mut scene = Scene::new(&config());
        let leg = scene.dial("sip.direct", None, Profile::phone(Protection::Clear, true));
        scene.outputs.clear();
        let mut target = Target::new(Transport::Udp, place.parse().unwrap());
        target.server_name = Some("far.example".to_owned());
        scene.agent.handle_targets(&Asker::Leg(leg), Ok(vec![target]), scene.now);
        scene.drain();
        assert_eq!(scene.places(), BTreeSet::new(), "{place}");
        assert_eq!(ended(&scene.events()), [Cause::Unreachable], "{place}");
    }
}

#[test]
fn of_several_places_the_harmless_one_is_called() {
    let mut scene = Scene::new(&config());
    let leg = scene.dial("sip.direct", None, Profile::phone(Protection::Clear, true));
    let place = |text: &str| Target {
        server_name: Some("far.example".to_owned()),
        ..Target::new(Transport::Udp, text.parse().unwrap())
    };
    let found = vec![place("192.0.2.1:5060"), place("192.0.2.7:5060")];
    scene.agent.handle_targets(&Asker::Leg(leg), Ok(found), scene.now);
    assert_eq!(scene.places(), BTreeSet::from([remote()]));
}

#[test]
fn a_trunk_may_be_on_this_machine_but_is_not_ourselves() {
    for (place, is_called) in
        [("127.0.0.1:5070", true), ("192.0.2.1:5070", true), ("192.0.2.1:5060", false)]
    {
        let mut scene = Scene::new(&Config { trunk: vec![trunk()], ..config() });
        let target = Target::new(Transport::Udp, place.parse().unwrap());
        let asker = Asker::Trunk(TrunkId::from("sip.pbx"));
        scene.agent.handle_targets(&asker, Ok(vec![target]), scene.now);
        assert_eq!(!scene.places().is_empty(), is_called, "{place}");
    }
}

#[test]
fn a_redirection_is_not_followed() {
    let mut scene = Scene::new(&config());
    let (_, invite) = scene.ring_bob();
    let mut moved = Response::to_request(&invite, 302);
    moved.tag_to("b1");
    moved.push("Contact", "<sip:x@127.0.0.1:7000>");
    scene.give(moved.render());
    assert_eq!(scene.places(), BTreeSet::from([remote()]));
    assert_eq!(ended(&scene.events()).len(), 1);
}

#[test]
fn a_call_of_an_earlier_life_that_leads_to_us_now_is_forgotten() {
    let mut scene = Scene::new(&config());
    let _ = scene.answered_with("Contact: <sip:alice@192.0.2.7:5060>");
    let entry = scene.outputs.drain(..).find_map(|output| match output {
        Output::Event(Event::Journal(_, entry)) => entry,
        Output::Event(_) | Output::Incoming(_) | Output::Message(..) | Output::Resolve(..) => None,
    });
    let entry = String::from_utf8(entry.unwrap()).unwrap();
    for place in ["192.0.2.1:5060", "0.0.0.0:7000", "192.0.2.7:0"] {
        let old = entry.replace("\"192.0.2.7:5060\"", &format!("\"{place}\""));
        assert_ne!(old, entry);
        // The Contact leads there as well.
        let old = old.replace("alice@192.0.2.7:5060", &format!("alice@{place}"));
        let mut later = Scene::new(&config());
        later.outputs.clear();
        later.agent.handle_command(Command::Release(9, old.into_bytes()), later.now);
        later.drain();
        assert_eq!(later.places(), BTreeSet::new(), "{place}");
        assert!(matches!(later.outputs[..], [Output::Event(Event::Released(9))]), "{place}");
    }
}

#[test]
fn a_call_goes_by_a_trunk_on_this_machine() {
    let pbx = TrunkConfig { register: false, ..trunk() };
    let mut scene = Scene::new(&Config { trunk: vec![pbx], ..config() });
    let mut target = Target::new(Transport::Udp, "127.0.0.1:5070".parse().unwrap());
    target.server_name = Some("pbx.example".to_owned());
    let asker = Asker::Trunk(TrunkId::from("sip.pbx"));
    scene.agent.handle_targets(&asker, Ok(vec![target.clone()]), scene.now);
    scene.dial("sip.pbx", None, Profile::phone(Protection::Clear, true));
    assert_eq!(scene.places(), BTreeSet::from([target.remote]));
}

#[test]
fn a_message_is_not_carried_to_a_service_of_ours() {
    for place in FORBIDDEN.into_iter().filter(|place| *place != "192.0.2.7:0") {
        let mut scene = Scene::new(&config());
        scene.send(&messages::dispatch("sip.direct", None));
        let asker = scene.outputs.drain(..).find_map(|output| match output {
            Output::Resolve(asker, _) => Some(asker),
            Output::Event(_) | Output::Incoming(_) | Output::Message(..) => None,
        });
        let mut target = Target::new(Transport::Udp, place.parse().unwrap());
        target.server_name = Some("far.example".to_owned());
        scene.agent.handle_targets(&asker.unwrap(), Ok(vec![target]), scene.now);
        scene.drain();
        assert_eq!(scene.places(), BTreeSet::new(), "{place}");
        let handovers = scene.handovers();
        assert!(matches!(handovers[..], [Handover::Later(Cause::Unreachable, _)]), "{place}");
    }
}

#[test]
fn a_phone_is_rung_where_it_registered_from_whatever_its_contact_says() {
    for place in FORBIDDEN {
        let mut scene = Scene::new(&config());
        let register = request(&format!(
            "REGISTER sip:gw.example SIP/2.0\n\
             Via: SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bKr\n\
             Max-Forwards: 70\nFrom: <sip:bob@gw.example>;tag=1\nTo: <sip:bob@gw.example>\n\
             Call-ID: reg\nCSeq: 1 REGISTER\nContact: <sip:bob@{place}>\n\
             Expires: 3600\nContent-Length: 0"
        ));
        scene.prove(register, "bob", "secret");
        let located = scene.outputs.drain(..).find_map(|output| match output {
            Output::Event(Event::Located(_, locations)) => Some(locations[0].contact.clone()),
            Output::Event(_) | Output::Incoming(_) | Output::Message(..) | Output::Resolve(..) => {
                None
            }
        });
        let _ = scene.sent();
        scene.dial(LOCAL_TRUNK, located, Profile::phone(Protection::Clear, true));
        assert_eq!(scene.places(), BTreeSet::from([remote()]), "{place}");
    }
}
