//! Calls and registrations by a trunk.

use super::*;

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
