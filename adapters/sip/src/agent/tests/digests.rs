//! Whom our digest is told: nobody in a call that a peer made, and in ours the trunk alone
//! (CVE-2021-41158).

use super::*;

/// Challenges a request of ours; whether anything left that proves our password.
fn is_proven(scene: &mut Scene, request: &Request, status: u16, realm: &str) -> bool {
    let mut challenge = Response::to_request(request, status);
    challenge.tag_to("t");
    let name = if status == 401 { "WWW-Authenticate" } else { "Proxy-Authenticate" };
    challenge.push(name, &format!("Digest realm=\"{realm}\", nonce=\"n8\", qop=\"auth\""));
    scene.give(challenge.render());
    let proves = |request: Request| {
        request.fields().has("Authorization") || request.fields().has("Proxy-Authorization")
    };
    scene.requests().into_iter().any(proves)
}

fn called_by_the_trunk() -> (Scene, LegId) {
    let mut scene = registered();
    let mut invite = request(&invite("z9hG4bKt").replace("bob@gw", "gateway@gw"));
    invite.set_body(crate::offer::SDP, body());
    scene.give(invite.render());
    let leg = LegId(scene.next_leg);
    scene.command(leg, LegCommand::Answer(Some(Answer(description()))));
    let tag = scene.responses().pop().unwrap().fields().to().unwrap().tag().unwrap().to_owned();
    scene.in_dialog("ACK", 1, &tag, None);
    (scene, leg)
}

fn calling_by_the_trunk() -> (Scene, LegId) {
    let mut scene = registered();
    let leg = scene.dial("sip.pbx", None, Profile::phone(Protection::Clear, true));
    let invite = scene.request(&Method::Invite);
    scene.reply(&invite, 200, "b1", true);
    let _ = scene.sent();
    (scene, leg)
}

#[test]
fn a_trunk_that_called_us_never_gets_a_digest_for_our_bye() {
    for status in [401, 407] {
        let (mut scene, leg) = called_by_the_trunk();
        scene.command(leg, LegCommand::End(Cause::Normal, None));
        let bye = scene.request(&Method::Bye);
        assert!(!is_proven(&mut scene, &bye, status, "pbx"), "{status}");
        scene.assert_no_digest_later();
    }
}

#[test]
fn a_trunk_that_called_us_never_gets_a_digest_for_our_offer() {
    for status in [401, 407] {
        let (mut scene, leg) = called_by_the_trunk();
        scene.command(leg, LegCommand::Reoffer(Offer(description())));
        let offer = scene.request(&Method::Invite);
        assert!(!is_proven(&mut scene, &offer, status, "pbx"), "{status}");
        scene.assert_no_digest_later();
    }
}

#[test]
fn a_challenge_from_elsewhere_or_of_another_realm_gets_no_digest_in_a_call_of_ours() {
    let command = |is_bye: bool| {
        if is_bye {
            (LegCommand::End(Cause::Normal, None), Method::Bye)
        } else {
            (LegCommand::Reoffer(Offer(description())), Method::Invite)
        }
    };
    for (from, realm, is_bye) in [
        ("203.0.113.66:5060", "pbx", true),
        ("203.0.113.66:5060", "pbx", false),
        ("192.0.2.7:5060", "trap", true),
        ("192.0.2.7:5060", "trap", false),
    ] {
        let (mut scene, leg) = calling_by_the_trunk();
        let (command, method) = command(is_bye);
        scene.command(leg, command);
        let request = scene.request(&method);
        scene.flow.remote = from.parse().unwrap();
        for status in [401, 407] {
            assert!(!is_proven(&mut scene, &request, status, realm), "{from} {realm} {method}");
        }
        scene.assert_no_digest_later();
    }
}

impl Scene {
    fn assert_no_digest_later(&mut self) {
        self.pass(30 * SECOND);
        for request in self.requests() {
            let is_proof = |name: &&str| request.fields().has(name);
            let may_prove = request.method() == Method::Register;
            assert!(may_prove || !["Authorization", "Proxy-Authorization"].iter().any(is_proof));
        }
    }
}
