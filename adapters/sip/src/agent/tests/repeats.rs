//! What a phone repeats because a crash left it without an answer: the same message, however often
//! the gateway dies, and nothing else.

use super::messages::message_request;
use super::*;

/// The phone of alice's with one MESSAGE, which it sends until it is answered.
struct Phone {
    responder: Responder,
    message: Request,
}

impl Phone {
    fn writes(body: &str) -> Self {
        let responder = Responder::new("alice", "secret", None);
        Self { responder, message: message_request(body) }
    }

    fn number(&self) -> u32 {
        self.message.fields().cseq().unwrap().0
    }

    /// Another request in its Call-ID.
    fn renumber(&mut self, number: u32) {
        self.message.set("CSeq", &format!("{number} MESSAGE"));
        let via = format!("SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bKn{number}");
        self.message.set_top_via(&via);
    }

    /// Answers a challenge as RFC 3261 §8.1.3.5 has it.
    fn answer(&mut self, challenge: &Response) {
        assert_eq!(challenge.status(), 401);
        assert!(self.responder.answer(&mut self.message, challenge, "c"));
        self.renumber(self.number() + 1);
    }
}

/// Another life of the gateway.
fn life(number: u8) -> Scene {
    Scene::with_seed(&config(), [number; 32])
}

impl Scene {
    /// Sends it, and answers the challenge if there is one; what the sender calls the message if it
    /// is let in.
    fn hear(&mut self, phone: &mut Phone) -> Option<String> {
        self.give(phone.message.render());
        if let Some(challenge) = self.responses().pop() {
            phone.answer(&challenge);
        }
        let (_, event) = self.offered().pop()?;
        let Event::Received(received) = event else { panic!("no message") };
        Some(received.message.sender_id)
    }
}

#[test]
fn what_a_crash_left_unanswered_is_the_same_message_however_many_lives_challenge_it() {
    let mut phone = Phone::writes("hi");
    let mut first = life(1);
    assert_eq!(first.hear(&mut phone), None, "challenged");
    let id = first.hear(&mut phone);
    assert_eq!(id.as_deref(), Some("m-1/1"));
    // It is stored, and nobody is told: the phone sends it again, to lives that die before they have
    // let it in.
    for number in 2..9 {
        assert_eq!(life(number).hear(&mut phone), None);
    }
    let mut last = life(9);
    assert_eq!(last.hear(&mut phone), None);
    assert_eq!(last.hear(&mut phone), id);
    assert_eq!(phone.number(), 10);
}

#[test]
fn a_lost_challenge_changes_nothing() {
    let mut phone = Phone::writes("hi");
    let mut first = life(1);
    first.hear(&mut phone);
    let id = first.hear(&mut phone);
    let mut second = life(2);
    second.give(phone.message.render());
    assert_eq!(second.statuses(), [401]);
    let mut third = life(3);
    assert_eq!(third.hear(&mut phone), None);
    assert_eq!((third.hear(&mut phone), phone.number()), (id, 3));
}

#[test]
fn a_message_under_a_nonce_of_another_one_is_its_own_and_that_again_in_the_next_life() {
    let mut phone = Phone::writes("ok");
    let mut scene = life(1);
    scene.give(phone.message.render());
    let challenge = scene.responses().pop().unwrap();
    phone.answer(&challenge);
    scene.give(phone.message.render());
    assert_eq!(scene.offered().len(), 1);
    // The same words once more, in the same Call-ID, with the nonce that is at hand.
    phone.message = message_request("ok");
    assert!(phone.responder.answer(&mut phone.message, &challenge, "c"));
    phone.renumber(3);
    let id = scene.hear(&mut phone);
    assert_eq!(id.as_deref(), Some("m-1/3"));
    let mut later = life(2);
    assert_eq!(later.hear(&mut phone), None);
    assert_eq!((later.hear(&mut phone), phone.number()), (id, 4));
}

#[test]
fn what_says_something_else_or_has_another_number_is_its_own() {
    let change = |change: &dyn Fn(&mut Phone)| {
        let mut phone = Phone::writes("hi");
        let mut first = life(1);
        first.hear(&mut phone);
        assert!(first.hear(&mut phone).is_some());
        change(&mut phone);
        let mut second = life(2);
        second.hear(&mut phone);
        second.hear(&mut phone).unwrap()
    };
    assert_eq!(change(&|_| ()), "m-1/1");
    assert_eq!(change(&|phone| phone.renumber(7)), "m-1/7");
    let other = |phone: &mut Phone| phone.message.set_body("text/plain", Bytes::from("ho"));
    assert_eq!(change(&other), "m-1/2");
    let thread = |phone: &mut Phone| phone.message.set("Call-ID", "m-2");
    assert_eq!(change(&thread), "m-2/2");
}

#[test]
fn who_has_heard_a_message_cannot_say_it_or_anything_else_again() {
    let mut phone = Phone::writes("hi");
    let mut first = life(1);
    first.hear(&mut phone);
    let heard = phone.message.clone();
    assert!(first.hear(&mut phone).is_some());
    let mut forged = heard.clone();
    forged.set_body("text/plain", Bytes::from("send money"));
    for (number, mut stolen) in [heard, forged].into_iter().enumerate() {
        // In the life that took it, long after, and in the next one.
        for scene in [&mut first, &mut life(2)] {
            scene.pass(60 * SECOND);
            scene.statuses();
            let via = format!("SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bKs{number}");
            stolen.set_top_via(&via);
            scene.give(stolen.render());
            assert_eq!(scene.statuses(), [401]);
            assert!(scene.offered().is_empty());
        }
    }
}

#[test]
fn no_nonce_of_an_earlier_life_lets_anybody_register_or_call() {
    for method in ["REGISTER", "INVITE"] {
        let mut request = request(&format!(
            "{method} sip:gw.example SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bK1\n\
             Max-Forwards: 70\nFrom: <sip:alice@gw.example>;tag=1\nTo: <sip:alice@gw.example>\n\
             Call-ID: r-1\nCSeq: 1 {method}\nContact: <sip:alice@192.0.2.7:5060>\nContent-Length: 0"
        ));
        let mut first = life(1);
        first.give(request.render());
        let challenge = first.responses().pop().unwrap();
        let mut responder = Responder::new("alice", "secret", None);
        assert!(responder.answer(&mut request, &challenge, "c"));
        request.set("CSeq", &format!("2 {method}"));
        request.set_top_via("SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bK2");
        let mut later = life(2);
        later.give(request.render());
        let answer = later.responses().pop().unwrap();
        assert_eq!(answer.status(), 401, "{method}");
        assert!(answer.fields().text("WWW-Authenticate").unwrap().contains("stale=true"));
    }
}
