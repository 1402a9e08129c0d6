//! Messages through the agent: who may write, what is answered, and what leaves.

use gateway_core::message::{
    Body, Composing, ConversationId, DeliveryId, Dispatch, Handover, IntakeId, Message, MessageId,
    Receipt, Received, Settlement, Status,
};

use super::*;

pub(super) const ID: MessageId = MessageId([7; 16]);
const CONVERSATION: ConversationId = ConversationId([5; 16]);

pub(super) fn message_request(body: &str) -> Request {
    let mut message = request(
        "MESSAGE sip:bob@gw.example SIP/2.0\n\
         Via: SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bKm1\n\
         Max-Forwards: 70\nFrom: <sip:alice@gw.example>;tag=a1\nTo: <sip:bob@gw.example>\n\
         Call-ID: m-1\nCSeq: 1 MESSAGE\nContent-Length: 0",
    );
    message.set_body("text/plain", Bytes::copy_from_slice(body.as_bytes()));
    message
}

pub(super) fn dispatch(trunk: &str, contact: Option<String>) -> Dispatch {
    Dispatch {
        delivery: DeliveryId(3),
        attempt: 0,
        message_id: ID,
        conversation: CONVERSATION,
        trunk: TrunkId::from(trunk),
        origin: Origin {
            trunk: TrunkId::from("procom"),
            account: Some(AccountId::from("alice")),
            asserted: Address::procom("alice"),
            verified: true,
            only: None,
        },
        to: "sip:dora@far.example".parse().unwrap(),
        contact,
        account: None,
        message: Message {
            sender_id: "m1".to_owned(),
            to: "sip:dora@far.example".parse().unwrap(),
            dialled: None,
            content: "text/plain".to_owned(),
            body: Body::from("Grüße 😀"),
            thread: None,
            at_ms: 1_795_363_506_000,
            require: Require::Any,
            may_fall_back: false,
            wants_receipts: true,
            hops_left: None,
        },
    }
}

impl Scene {
    pub(super) fn offered(&mut self) -> Vec<(IntakeId, Event)> {
        let event = |output| match output {
            Output::Message(intake, event) => Some((intake, *event)),
            Output::Event(_) | Output::Incoming(_) | Output::Resolve(..) => None,
        };
        std::mem::take(&mut self.outputs).into_iter().filter_map(event).collect()
    }

    /// Alice writes and is let in.
    fn written(&mut self, message: Request) -> (IntakeId, Event) {
        self.prove(message, "alice", "secret");
        let mut offered = self.offered();
        assert_eq!(offered.len(), 1);
        offered.remove(0)
    }

    fn received(&mut self, message: Request) -> (IntakeId, Received) {
        match self.written(message) {
            (id, Event::Received(received)) => (id, *received),
            (_, other) => panic!("no message: {other:?}"),
        }
    }

    fn tell(&mut self, command: Command) {
        self.agent.handle_command(command, self.now);
        self.drain();
    }

    fn take(&mut self, id: IntakeId, status: Status) {
        self.agent.handle_offered(id, true, self.now);
        self.tell(Command::Settle(id, Settlement::Taken(ID, status, CONVERSATION)));
    }

    pub(super) fn send(&mut self, dispatch: &Dispatch) {
        self.tell(Command::Send(Box::new(dispatch.clone())));
    }

    pub(super) fn handovers(&mut self) -> Vec<Handover> {
        let handover = |output| match output {
            Output::Event(Event::Sent(DeliveryId(3), handover)) => Some(handover),
            Output::Event(_) | Output::Incoming(_) | Output::Message(..) | Output::Resolve(..) => {
                None
            }
        };
        std::mem::take(&mut self.outputs).into_iter().filter_map(handover).collect()
    }

    fn answer_message(&mut self, to: &Request, status: u16) {
        let mut response = Response::to_request(to, status);
        response.tag_to("far");
        self.give(response.render());
    }
}

#[test]
fn a_stranger_cannot_write() {
    let mut scene = Scene::new(&config());
    scene.give(message_request("hi").render());
    assert_eq!(scene.statuses(), [401]);
    let mut within_a_call = message_request("hi");
    within_a_call.set("To", "<sip:bob@gw.example>;tag=x");
    within_a_call.set_top_via("SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bKm2");
    scene.give(within_a_call.render());
    assert_eq!(scene.statuses(), [401]);
    assert!(scene.offered().is_empty());
}

#[test]
fn a_message_is_answered_when_it_is_settled_and_its_repetition_alike() {
    for (status, code) in [(Status::Queued, 202), (Status::Delivered, 200)] {
        let mut scene = Scene::new(&config());
        let (id, received) = scene.received(message_request("Grüße"));
        assert_eq!(received.origin.account, Some(AccountId::from("alice")));
        assert_eq!(received.message.to.to_string(), "sip:bob@gw.example");
        assert_eq!(received.message.body.as_str(), "Grüße");
        assert_eq!(received.message.sender_id, "m-1/1", "the number it came under first");
        assert!(scene.statuses().is_empty(), "nothing before it is durable");
        scene.take(id, status);
        assert_eq!(scene.statuses(), [code]);
        scene.take(id, status);
        assert!(scene.statuses().is_empty(), "once");
        scene.assert_nothing_left();
    }
}

#[test]
fn a_refused_message_says_why() {
    let mut scene = Scene::new(&config());
    let (id, _) = scene.received(message_request("hi"));
    let refused = Settlement::Refused(Cause::NotFound, "nobody has \"that\" name".to_owned());
    scene.tell(Command::Settle(id, refused));
    let refusal = scene.responses().pop().unwrap();
    assert_eq!(refusal.status(), 404);
    let warning = refusal.fields().text("Warning").unwrap();
    assert_eq!(warning, "399 gateway \"nobody has that name\"");
}

#[test]
fn without_room_a_message_is_to_come_again_and_a_slow_one_fails_before_its_sender_gives_up() {
    let mut scene = Scene::new(&config());
    let (id, _) = scene.received(message_request("hi"));
    scene.agent.handle_offered(id, false, scene.now);
    let refusal = scene.responses().pop().unwrap();
    assert_eq!((refusal.status(), refusal.fields().has("Retry-After")), (503, true));
    let mut scene = Scene::new(&config());
    let (id, _) = scene.received(message_request("hi"));
    scene.agent.handle_offered(id, true, scene.now);
    scene.pass(23 * SECOND);
    assert!(scene.statuses().is_empty());
    scene.pass(2 * SECOND);
    assert_eq!(scene.statuses(), [500]);
    scene.take(id, Status::Queued);
    assert!(scene.statuses().is_empty(), "too late");
    scene.assert_nothing_left();
}

#[test]
fn what_cannot_be_read_is_refused_after_its_sender_has_proven_itself() {
    let mut scene = Scene::new(&config());
    let mut html = message_request("<p>");
    html.set_body("text/html", Bytes::from_static(b"<p>"));
    scene.prove(html, "alice", "secret");
    let refusal = scene.responses().pop().unwrap();
    assert_eq!((refusal.status(), refusal.fields().has("Accept")), (415, true));
    assert!(scene.offered().is_empty());
}

#[test]
fn a_message_of_a_trunk_is_its_own_and_unproven() {
    let mut scene = registered();
    let mut message = message_request("hi");
    message.set("To", "<sip:+4512345678@pbx.example>");
    let text = String::from_utf8(message.render().to_vec()).unwrap();
    let text = text.replacen("sip:bob@gw.example SIP", "sip:gateway@192.0.2.1 SIP", 1);
    scene.give(Bytes::from(text));
    let (id, event) = scene.offered().remove(0);
    let Event::Received(received) = event else { panic!("no message") };
    assert_eq!(received.origin.trunk.as_str(), "sip.pbx");
    assert!(!received.origin.verified && received.origin.account.is_none());
    assert_eq!(received.message.to.to_string(), "tel:+4512345678");
    scene.take(id, Status::Queued);
    assert_eq!(scene.statuses(), [202]);
}

#[test]
fn a_phones_answer_is_that_of_the_device() {
    for (status, expected) in
        [(200, Handover::Taken(Status::Delivered)), (202, Handover::Taken(Status::Sent))]
    {
        let mut scene = Scene::new(&config());
        let contact = scene.register("bob");
        scene.send(&dispatch(LOCAL_TRUNK, Some(contact)));
        let message = scene.request(&Method::Message);
        assert_eq!(message.uri().to_text(), "sip:bob@192.0.2.7:5060");
        let from = message.fields().from().unwrap();
        assert_eq!(from.uri.to_text(), "sip:alice@gw.example");
        assert_eq!(message.body().as_ref(), "Grüße 😀".as_bytes());
        scene.answer_message(&message, status);
        assert_eq!(scene.handovers(), [expected]);
        scene.assert_nothing_left();
    }
}

#[test]
fn refusals_are_for_later_or_for_ever_and_a_phone_gets_no_digest() {
    for (status, is_later) in [(480, true), (503, true), (404, false), (415, false), (407, false)] {
        let mut scene = Scene::new(&config());
        let contact = scene.register("bob");
        scene.send(&dispatch(LOCAL_TRUNK, Some(contact)));
        let message = scene.request(&Method::Message);
        scene.answer_message(&message, status);
        let handovers = scene.handovers();
        assert_eq!(matches!(handovers[..], [Handover::Later(..)]), is_later, "{status}");
        assert_eq!(handovers.len(), 1);
        assert!(scene.sent().is_empty());
    }
}

#[test]
fn a_silent_phone_is_tried_again_later_and_an_unknown_contact_means_the_accounts_other_phone() {
    let mut scene = Scene::new(&config());
    scene.register("bob");
    let gone = Dispatch {
        account: Some(AccountId::from("bob")),
        ..dispatch(LOCAL_TRUNK, Some("gone".to_owned()))
    };
    scene.send(&gone);
    scene.send(&gone);
    scene.request(&Method::Message);
    scene.pass(33 * SECOND);
    assert!(matches!(scene.handovers()[..], [Handover::Later(Cause::NoAnswer, _)]));
    scene.send(&dispatch(LOCAL_TRUNK, None));
    assert!(matches!(scene.handovers()[..], [Handover::Later(Cause::Unreachable, _)]));
}

#[test]
fn the_same_attempt_of_another_life_is_the_same_bytes() {
    let first = |dispatch: &Dispatch, seed: u8| {
        let mut scene = registered();
        // Another life has other random numbers behind it.
        for _ in 0..seed {
            scene.agent.stack.token();
        }
        scene.send(dispatch);
        scene.agent.poll_transmit().unwrap().bytes
    };
    let dispatch = dispatch("sip.pbx", None);
    assert_eq!(first(&dispatch, 0), first(&dispatch, 9));
    let next = Dispatch { attempt: 1, ..dispatch.clone() };
    assert_ne!(first(&dispatch, 0), first(&next, 0));
}

#[test]
fn an_attempt_at_a_phone_that_a_crash_cut_off_is_repeated_before_the_phone_registers_again() {
    let mut scene = Scene::new(&config());
    let contact = scene.register("bob");
    let dispatch = dispatch(LOCAL_TRUNK, Some(contact.clone()));
    scene.send(&dispatch);
    let first = scene.agent.poll_transmit().unwrap();
    let mut later = Scene::new(&config());
    later.send(&dispatch);
    let again = later.agent.poll_transmit().unwrap();
    assert_eq!((again.bytes, again.target.remote), (first.bytes, first.target.remote));
    // The phone is the same one when it is back.
    assert_eq!(later.register("bob"), contact);
    // What is older is not sent to where somebody else may be by now.
    let mut old = dispatch.clone();
    old.message.at_ms -= 121_000;
    let mut later = Scene::new(&config());
    later.send(&old);
    assert!(matches!(later.handovers()[..], [Handover::Later(Cause::Unreachable, _)]));
    let mut later = Scene::new(&config());
    later.pass(121 * SECOND);
    later.send(&dispatch);
    assert!(matches!(later.handovers()[..], [Handover::Later(Cause::Unreachable, _)]));
    assert!(later.sent().is_empty());
}

#[test]
fn a_trunk_gets_its_password_for_a_message_and_nobody_else_does() {
    let challenged = |from: &str, realm: &str| {
        let mut scene = registered();
        scene.send(&dispatch("sip.pbx", None));
        let message = scene.request(&Method::Message);
        assert_eq!(message.uri().to_text(), "sip:dora@pbx.example");
        let mut challenge = Response::to_request(&message, 407);
        let value = format!("Digest realm=\"{realm}\", nonce=\"n9\", qop=\"auth\"");
        challenge.push("Proxy-Authenticate", &value);
        scene.flow.remote = from.parse().unwrap();
        scene.give(challenge.render());
        let again = scene.requests();
        if let Some(again) = again.first() {
            assert!(again.fields().has("Proxy-Authorization"));
            assert_eq!(again.fields().cseq().unwrap().0, 2);
            assert_ne!(again.fields().top_via(), message.fields().top_via());
            scene.flow.remote = remote();
            scene.answer_message(again, 200);
            assert_eq!(scene.handovers(), [Handover::Taken(Status::Sent)], "no claim for a relay");
        } else {
            assert!(matches!(scene.handovers()[..], [Handover::Never(Cause::Forbidden, _)]));
        }
        !again.is_empty()
    };
    assert!(challenged("192.0.2.7:5060", "pbx"));
    assert!(!challenged("203.0.113.66:5060", "pbx"));
    assert!(!challenged("192.0.2.7:5060", "trap"));
}

#[test]
fn a_name_is_looked_up_and_its_places_are_tried_with_the_same_request() {
    let mut scene = Scene::new(&config());
    scene.outputs.clear();
    scene.send(&dispatch("sip.direct", None));
    let asker = scene.outputs.drain(..).find_map(|output| match output {
        Output::Resolve(asker, query) => Some((asker, query.host)),
        Output::Event(_) | Output::Incoming(_) | Output::Message(..) => None,
    });
    let (asker, host) = asker.unwrap();
    assert_eq!(host, "far.example");
    let place = |last: u8| Target::new(Transport::Udp, ([192, 0, 2, last], 5060).into());
    scene.agent.handle_targets(&asker, Ok(vec![place(7), place(8)]), scene.now);
    let first = scene.request(&Method::Message);
    scene.answer_message(&first, 503);
    let second = scene.request(&Method::Message);
    assert_eq!(first.fields().cseq(), second.fields().cseq());
    assert_eq!(first.fields().call_id(), second.fields().call_id());
    assert_ne!(first.fields().top_via(), second.fields().top_via());
    scene.answer_message(&second, 200);
    assert_eq!(scene.handovers(), [Handover::Taken(Status::Sent)]);
    scene.send(&Dispatch { attempt: 1, ..dispatch("sip.direct", None) });
    scene.agent.handle_targets(&asker, Err("no such name".to_owned()), scene.now);
    scene.drain();
    assert!(matches!(scene.handovers()[..], [Handover::Later(Cause::Unreachable, _)]));
}

#[test]
fn what_is_too_long_for_a_datagram_goes_by_a_stream_or_not_at_all() {
    let long = |scene: &mut Scene| {
        let contact = scene.register("bob");
        let mut dispatch = dispatch(LOCAL_TRUNK, Some(contact));
        dispatch.message.body = Body::from("x".repeat(2_000));
        scene.send(&dispatch);
        scene.agent.poll_transmit().unwrap()
    };
    let mut scene = Scene::new(&config());
    let transmit = long(&mut scene);
    assert_eq!(transmit.target.transport, Transport::Tcp);
    scene.agent.handle_unsent(transmit.transaction.unwrap(), scene.now);
    scene.drain();
    assert!(scene.sent().is_empty(), "RFC 3428 §8");
    let handovers = scene.handovers();
    let [Handover::Never(Cause::NotAcceptable, why)] = &handovers[..] else {
        panic!("{handovers:?}");
    };
    let limit: usize =
        why.strip_prefix("the limit is ").unwrap().split(' ').next().unwrap().parse().unwrap();
    // What is said is true: that much fits.
    let contact = scene.register_again("bob");
    let mut fitting = dispatch(LOCAL_TRUNK, Some(contact));
    fitting.attempt = 1;
    fitting.message.body = Body::from("x".repeat(limit));
    scene.send(&fitting);
    let transmit = scene.agent.poll_transmit().unwrap();
    assert_eq!(transmit.target.transport, Transport::Udp);
    assert!((1_150..=1_300).contains(&transmit.bytes.len()), "{}", transmit.bytes.len());
}

impl Scene {
    /// The contact of a phone that is registered already.
    fn register_again(&mut self, user: &str) -> String {
        self.agent.registrar.contacts(&AccountId::from(user)).remove(0)
    }
}

#[test]
fn a_message_that_must_be_encrypted_leaves_by_tls_only() {
    let mut scene = Scene::new(&config());
    let contact = scene.register("bob");
    let mut secret = dispatch(LOCAL_TRUNK, Some(contact));
    secret.message.require = Require::Encrypted;
    scene.send(&secret);
    assert!(scene.sent().is_empty());
    assert!(matches!(scene.handovers()[..], [Handover::Never(Cause::Security, _)]));
    let mut scene = Scene::new(&config());
    scene.flow = flow(Transport::Tls);
    secret.contact = Some(scene.register("bob"));
    scene.send(&secret);
    assert_eq!(scene.request(&Method::Message).body().as_ref(), "Grüße 😀".as_bytes());
}

#[test]
fn a_phone_that_reads_cpim_is_asked_for_notifications_and_they_are_passed_on() {
    let mut scene = Scene::new(&config());
    let contact = scene.register("carol");
    scene.send(&dispatch(LOCAL_TRUNK, Some(contact)));
    let message = scene.request(&Method::Message);
    assert_eq!(message.fields().content_type().as_deref(), Some("message/cpim"));
    scene.answer_message(&message, 200);
    scene.outputs.clear();
    let notice = crate::message::imdn::render(&ID.to_string(), "sip:a@b", 0, Status::Read);
    let mut told = message_request("x");
    told.set_body("message/imdn+xml", Bytes::from(notice.unwrap()));
    let (id, event) = scene.written(told);
    let Event::Confirmed(confirmation) = event else { panic!("no confirmation") };
    assert_eq!((confirmation.message_id, confirmation.status), (ID, Status::Read));
    assert_eq!(confirmation.by.account, Some(AccountId::from("alice")));
    assert!(scene.statuses().is_empty());
    scene.agent.handle_offered(id, true, scene.now);
    assert_eq!(scene.statuses(), [200]);
    scene.assert_nothing_left();
}

#[test]
fn a_sender_that_asked_is_told_at_its_phones() {
    let mut scene = Scene::new(&config());
    scene.register("alice");
    let receipt = |sender_id: &str, status| Receipt {
        trunk: TrunkId::from(LOCAL_TRUNK),
        origin: Origin {
            trunk: TrunkId::from(LOCAL_TRUNK),
            account: Some(AccountId::from("alice")),
            asserted: Address::sip("alice", "gw.example"),
            verified: true,
            only: None,
        },
        message_id: ID,
        sender_id: sender_id.to_owned(),
        to: Address::procom("bob"),
        status,
        reason: None,
    };
    scene.tell(Command::Receipt(Box::new(receipt("m-1/2", Status::Delivered))));
    assert!(scene.sent().is_empty());
    scene.tell(Command::Receipt(Box::new(receipt("imdn-p.0:x1", Status::Delivered))));
    let told = scene.request(&Method::Message);
    assert_eq!(told.uri().to_text(), "sip:alice@192.0.2.7:5060");
    assert_eq!(told.fields().from().unwrap().uri.to_text(), "sip:bob@gw.example");
    assert!(String::from_utf8_lossy(told.body()).contains("<message-id>x1</message-id>"));
    scene.answer_message(&told, 200);
    assert!(scene.handovers().is_empty());
    scene.assert_nothing_left();
}

#[test]
fn composing_is_told_to_who_has_told_of_its_own() {
    let mut scene = Scene::new(&config());
    scene.register("alice");
    let composing = Composing {
        origin: dispatch("procom", None).origin,
        to: Address::sip("alice", "gw.example"),
        account: Some(AccountId::from("alice")),
        is_on: true,
    };
    let command = Command::Composing(TrunkId::from(LOCAL_TRUNK), Box::new(composing));
    scene.tell(command.clone());
    assert!(scene.sent().is_empty(), "nothing shows that it understands");
    let mut told = message_request("x");
    let body = crate::message::composing::render(true);
    told.set_body("application/im-iscomposing+xml", Bytes::from(body));
    let (id, event) = scene.written(told);
    let Event::Composing(heard) = event else { panic!("nobody composes") };
    assert!(heard.is_on);
    scene.agent.handle_offered(id, true, scene.now);
    assert_eq!(scene.statuses(), [200]);
    scene.tell(command);
    let passed = scene.request(&Method::Message);
    assert_eq!(passed.fields().content_type().as_deref(), Some("application/im-iscomposing+xml"));
}

#[test]
fn a_message_of_ours_that_comes_back_goes_no_further() {
    let mut scene = registered();
    scene.send(&dispatch("sip.pbx", None));
    let ours = scene.request(&Method::Message);
    scene.give(ours.render());
    assert_eq!(scene.statuses(), [482]);
    assert!(scene.offered().is_empty());
}

#[test]
fn a_message_that_crosses_has_one_hop_less_and_ends_at_none() {
    let mut scene = Scene::new(&config());
    let (_, received) = scene.received(message_request("hi"));
    assert_eq!(received.message.hops_left, Some(70));
    let mut spent = message_request("hi");
    spent.set("Max-Forwards", "0");
    spent.set_top_via("SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bKspent");
    scene.give(spent.render());
    assert_eq!(scene.statuses(), [483]);
    for (left, max_forwards) in [(None, "70"), (Some(70), "69"), (Some(1), "0"), (Some(255), "70")]
    {
        let mut scene = registered();
        let mut crossing = dispatch("sip.pbx", None);
        crossing.message.hops_left = left;
        scene.send(&crossing);
        let message = scene.request(&Method::Message);
        assert_eq!(message.fields().text("Max-Forwards").as_deref(), Some(max_forwards));
    }
    let mut scene = registered();
    let mut spent = dispatch("sip.pbx", None);
    spent.message.hops_left = Some(0);
    scene.send(&spent);
    assert!(scene.sent().is_empty());
    assert!(matches!(scene.handovers()[..], [Handover::Never(Cause::Forbidden, _)]));
}
