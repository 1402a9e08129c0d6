//! What strangers can make us do, and what they cannot: state, amplification, and the loss of
//! service for trunks and phones that are known (security rows 10 and 21).

use super::*;
use crate::config::Limits;
use crate::stack::gate::{LEAST_BYTES, MOST_TIMES};
use crate::testing::lines;

/// The shortest INVITE that the attacker of issue 7 sent.
const SHORT_INVITE: &str = "INVITE sip:bob@127.0.0.1 SIP/2.0\n\
    Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\n\
    From: <sip:a@b>;tag=1\nTo: <sip:bob@b>\nCall-ID: 1\nCSeq: 1 INVITE\nContent-Length: 0";

const METHODS: [&str; 14] = [
    "INVITE",
    "REGISTER",
    "MESSAGE",
    "OPTIONS",
    "BYE",
    "CANCEL",
    "ACK",
    "INFO",
    "UPDATE",
    "PRACK",
    "SUBSCRIBE",
    "NOTIFY",
    "REFER",
    "ODD",
];

/// What a stranger sends.
#[derive(Debug, Clone)]
struct Knock {
    method: &'static str,
    branch: u8,
    to_tag: bool,
    /// Credentials: for no nonce of ours, or for a live one with a wrong password.
    proof: Option<bool>,
    padding: usize,
    more: &'static str,
    cut: usize,
}

fn knock() -> impl Strategy<Value = Knock> {
    let more = prop::sample::select(vec![
        "",
        "Require: 100rel, x\n",
        "Max-Forwards: 0\n",
        "Content-Type: text/plain\n",
        "Accept: text/plain\n",
        "Call-ID: twice\n",
        "Date: never\n",
        "Via: SIP/2.0/UDP h;branch=z9hG4bKh\n",
    ]);
    let method = prop::sample::select(METHODS.to_vec());
    let padding = prop_oneof![3 => 0usize..80, 1 => 0usize..1_500];
    let cut = prop_oneof![9 => Just(0usize), 1 => 0usize..200];
    (method, 0u8..6, any::<bool>(), prop::option::of(any::<bool>()), padding, more, cut).prop_map(
        |(method, branch, to_tag, proof, padding, more, cut)| Knock {
            method,
            branch,
            to_tag,
            proof,
            padding,
            more,
            cut,
        },
    )
}

impl Knock {
    fn bytes(&self, scene: &mut Scene) -> Bytes {
        let Self { method, branch, more, .. } = self;
        let tag = if self.to_tag { ";tag=t" } else { "" };
        let head = format!(
            "{method} sip:bob@gw.example SIP/2.0\n\
             Via: SIP/2.0/UDP 192.0.2.7;rport;branch=z9hG4bK{branch}\n\
             From: <sip:a@b>;tag=1\nTo: <sip:alice@b>{tag}\nCall-ID: k{branch}\n\
             CSeq: 1 {method}\nContact: <sip:a@192.0.2.7>\n{more}"
        );
        let mut text = format!("{head}X: {}\nContent-Length: 0", "x".repeat(self.padding));
        if let Some(is_live) = self.proof {
            let nonce = if is_live { live_nonce(scene) } else { "bm90aGluZw".to_owned() };
            text = text.replace(
                "Content-Length",
                &format!(
                    "Authorization: Digest username=\"alice\", realm=\"gw.example\", \
                     nonce=\"{nonce}\", uri=\"sip:gw.example\", response=\"0123\"\nContent-Length"
                ),
            );
        }
        let mut bytes = lines(&text).into_bytes();
        bytes.truncate(bytes.len().saturating_sub(self.cut));
        Bytes::from(bytes)
    }
}

/// A nonce that is live for the scene's flow.
fn live_nonce(scene: &mut Scene) -> String {
    scene.give(request(&invite("z9hG4bKlive")).render());
    let challenge = scene.responses().pop().unwrap();
    let value = challenge.fields().text("WWW-Authenticate").unwrap();
    value.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

impl Scene {
    /// Sends bytes; the answers as they leave.
    fn knock(&mut self, bytes: Bytes) -> Vec<Bytes> {
        self.give(bytes);
        std::iter::from_fn(|| self.agent.poll_transmit()).map(|sent| sent.bytes).collect()
    }

    pub(super) fn at(&mut self, remote: &str) {
        self.flow.remote = remote.parse().unwrap();
    }
}

/// A REGISTER of `user`'s that proves nothing.
pub(super) fn register(user: &str, number: u32) -> Request {
    request(&format!(
        "REGISTER sip:gw.example SIP/2.0\n\
         Via: SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bKf{user}{number}\n\
         Max-Forwards: 70\nFrom: <sip:{user}@gw.example>;tag=f\nTo: <sip:{user}@gw.example>\n\
         Call-ID: flood-{user}-{number}\nCSeq: 1 REGISTER\n\
         Contact: <sip:{user}@192.0.2.7:5060>\nExpires: 3600\nContent-Length: 0"
    ))
}

/// A request with an answer to the challenge that the scene's flow gets for it, under the next
/// CSeq; it is not sent.
pub(super) fn signed(
    scene: &mut Scene,
    mut request: Request,
    user: &str,
    password: &str,
) -> Request {
    scene.give(request.render());
    let challenge = scene.responses().pop().unwrap();
    assert_eq!(challenge.status(), 401);
    assert!(Responder::new(user, password, None).answer(&mut request, &challenge, "c"));
    let (number, method) = request.fields().cseq().unwrap();
    request.set("CSeq", &format!("{} {method}", number + 1));
    let branch = request.fields().top_via().unwrap().branch.unwrap();
    request.set_top_via(&format!("SIP/2.0/UDP 192.0.2.7:5060;rport;branch={branch}s"));
    request
}

#[test]
fn a_stranger_gets_one_401_and_leaves_no_state() {
    let mut scene = Scene::new(&config());
    let stranger = request(&invite("z9hG4bK1"));
    scene.give(stranger.render());
    let first = scene.responses();
    assert_eq!(first.iter().map(Response::status).collect::<Vec<_>>(), [401], "and no 100");
    assert_eq!(scene.agent.counters().transactions, 0);
    scene.pass(60 * SECOND);
    assert!(scene.sent().is_empty(), "no timer repeats it");
    scene.give(stranger.ack_for(&first[0]).render());
    assert!(scene.sent().is_empty());
    assert_eq!(scene.agent.counters().stray_acks, 1);
    scene.give(stranger.render());
    let again = scene.responses().remove(0);
    assert_eq!(again.status(), 401);
    assert_eq!(again.fields().text("To"), first[0].fields().text("To"));
    assert!(again.fields().to().unwrap().tag().is_some());
    assert_eq!(scene.agent.counters().challenged, 2);
    scene.assert_nothing_left();
}

#[test]
fn what_needs_no_proof_is_answered_without_state() {
    for (method, to_tag, status) in [
        ("OPTIONS", false, Some(200)),
        ("BYE", false, Some(481)),
        ("INFO", false, Some(481)),
        ("UPDATE", true, Some(481)),
        ("INVITE", true, Some(481)),
        ("OPTIONS", true, Some(481)),
        ("CANCEL", false, Some(481)),
        ("SUBSCRIBE", false, Some(405)),
        ("ODD", false, Some(501)),
        ("ACK", true, None),
    ] {
        let mut scene = Scene::new(&config());
        scene.outputs.clear();
        let mut knock = request(&invite("z9hG4bK1").replace("INVITE", method));
        if to_tag {
            knock.set("To", "<sip:bob@gw.example>;tag=guessed");
        }
        scene.give(knock.render());
        assert_eq!(scene.statuses(), status.into_iter().collect::<Vec<_>>(), "{method} {to_tag}");
        assert_eq!(scene.agent.counters().transactions, 0, "{method} {to_tag}");
        scene.pass(60 * SECOND);
        assert!(scene.sent().is_empty() && scene.outputs.is_empty());
    }
}

#[test]
fn one_401_to_a_short_invite_is_at_most_three_times_as_long() {
    let mut scene = Scene::new(&Config { domain: "127.0.0.1".to_owned(), ..config() });
    let bytes = Bytes::from(lines(SHORT_INVITE));
    assert_eq!(bytes.len(), 167);
    let answers = scene.knock(bytes);
    assert_eq!(answers.len(), 1);
    assert!(answers[0].len() <= 3 * 167, "{} bytes", answers[0].len());
    let challenge = crate::testing::response(&answers[0]);
    assert_eq!(challenge.fields().texts("WWW-Authenticate").len(), 2, "both hashes are offered");
}

#[test]
fn a_401_that_would_be_too_long_offers_md5_alone_or_is_not_sent() {
    for (letters, offered) in [(10, 2), (70, 1), (200, 0)] {
        let domain = format!("{}.example", "x".repeat(letters.min(60)));
        let domain =
            if letters > 60 { format!("{}.{domain}", "y".repeat(letters - 60)) } else { domain };
        let mut scene = Scene::new(&Config { domain, ..config() });
        let answers = scene.knock(Bytes::from(lines(SHORT_INVITE)));
        let texts = answers
            .first()
            .map(|bytes| crate::testing::response(bytes).fields().texts("WWW-Authenticate"));
        let texts = texts.unwrap_or_default();
        assert_eq!(texts.len(), offered, "{letters}");
        assert!(offered != 1 || texts[0].contains("algorithm=MD5"));
        assert_eq!(scene.agent.counters().unanswered, u64::from(offered == 0));
        // By TCP no third party can be flooded: all is told.
        scene.flow = flow(Transport::Tcp);
        let answers = scene.knock(Bytes::from(lines(SHORT_INVITE)));
        let all = crate::testing::response(&answers[0]).fields().texts("WWW-Authenticate");
        assert_eq!(all.len(), 2);
    }
}

#[test]
fn a_request_shorter_than_any_phone_sends_gets_no_answer() {
    let mut scene = Scene::new(&config());
    let text = lines(
        "OPTIONS sip:a SIP/2.0\nv:SIP/2.0/UDP a;branch=z9hG4bK1\nf:sip:a;tag=1\nt:sip:a\ni:1\n\
         CSeq:1 OPTIONS",
    );
    assert!(text.len() < LEAST_BYTES);
    assert!(scene.knock(Bytes::from(text.clone())).is_empty());
    assert_eq!(scene.agent.counters().unanswered, 1);
    scene.flow = flow(Transport::Tcp);
    assert_eq!(scene.knock(Bytes::from(text)).len(), 1);
}

#[test]
fn three_thousand_strangers_a_second_behind_one_address_are_all_challenged() {
    let mut scene = Scene::new(&config());
    // More than may come at once: the rate carries the rest.
    for number in 0..12_000 {
        scene.now += SECOND / 3_000;
        scene.flow.remote.set_port(1_024 + u16::try_from(number).unwrap());
        assert_eq!(scene.knock(register("eve", number).render()).len(), 1, "{number}");
    }
    assert_eq!(scene.agent.counters().transactions, 0);
    assert_eq!(scene.agent.counters().challenged, 12_000);
    scene.flow = flow(Transport::Udp);
    scene.register("bob");
}

/// Strangers behind the peer's address have used up their share.
fn flooded(scene: &mut Scene) {
    for number in 0..20 {
        scene.flow.remote.set_port(40_000);
        scene.knock(register("eve", number).render());
    }
    assert!(scene.knock(register("eve", 20).render()).is_empty(), "and no 503");
    scene.flow = flow(Transport::Udp);
}

fn frugal() -> Config {
    let limits = Limits { challenges_per_second: 1, challenge_burst: 8, ..Limits::default() };
    Config { limits, ..config() }
}

#[test]
fn strangers_use_up_their_own_share_only() {
    let mut scene = Scene::new(&Config { trunk: vec![trunk()], ..frugal() });
    scene.register("bob");
    // A right answer that was asked for before the flood, from a port of its own.
    scene.at("192.0.2.7:6000");
    let right = signed(&mut scene, register("alice", 1), "alice", "secret");
    scene.flow = flow(Transport::Udp);
    flooded(&mut scene);
    assert_eq!(scene.agent.counters().shed, 15, "bob and alice took two of eight");
    scene.at("192.0.2.7:6000");
    scene.give(right.render());
    assert_eq!(scene.statuses(), [200], "a right answer");
    scene.flow = flow(Transport::Udp);
    let refresh = signed(&mut scene, register("bob", 2), "bob", "secret");
    scene.give(refresh.render());
    assert_eq!(scene.statuses(), [200], "a registered phone is challenged and let in");
    scene.bring_up();
    flooded(&mut scene);
    let call = invite("z9hG4bKt").replace("bob@gw", "gateway@gw");
    scene.give(request(&call).render());
    assert_eq!(scene.statuses(), [100], "a trunk");
}

#[test]
fn an_account_that_floods_is_told_to_wait_and_no_other_is() {
    let limits = Limits { requests_per_second: 1, burst: 3, retry_after_s: 7, ..Limits::default() };
    let mut scene = Scene::new(&Config { limits, ..config() });
    let mut statuses = Vec::new();
    for number in 0..5 {
        let again = signed(&mut scene, register("alice", number), "alice", "secret");
        scene.give(again.render());
        let answer = scene.responses().remove(0);
        let wait = answer.fields().text("Retry-After");
        assert_eq!(wait.as_deref(), (answer.status() == 503).then_some("7"));
        statuses.push(answer.status());
    }
    assert_eq!(statuses, [200, 200, 200, 503, 503]);
    assert_eq!(scene.agent.counters().transactions, 3);
    scene.register("bob");
}

#[test]
fn a_trunk_that_floods_is_told_to_wait() {
    let limits = Limits { requests_per_second: 1, burst: 3, ..Limits::default() };
    let mut scene = Scene::new(&Config { trunk: vec![trunk()], limits, ..config() });
    scene.bring_up();
    let mut statuses = Vec::new();
    for number in 0..5 {
        let text = invite(&format!("z9hG4bKt{number}")).replace("call-1", &format!("c{number}"));
        scene.give(request(&text).render());
        statuses.extend(scene.statuses());
    }
    assert_eq!(statuses, [100, 100, 100, 503, 503]);
}

#[test]
fn a_party_that_floods_within_a_call_is_told_to_wait_and_can_still_hang_up() {
    let limits = Limits { requests_per_second: 1, burst: 3, ..Limits::default() };
    let mut scene = Scene::new(&Config { limits, ..config() });
    let (_, tag) = scene.answered();
    let mut statuses = Vec::new();
    for number in 3..7 {
        scene.in_dialog("OPTIONS", number, &tag, None);
        statuses.extend(scene.statuses());
    }
    assert_eq!(statuses, [200, 200, 503, 503], "the call itself took one");
    scene.in_dialog("BYE", 7, &tag, None);
    assert_eq!(scene.statuses(), [200]);
    assert_eq!(ended(&scene.events()), [Cause::Normal]);
}

#[test]
fn a_full_table_does_not_keep_a_phone_from_its_challenge() {
    let limits = Limits { max_transactions: 1, ..Limits::default() };
    let mut scene = Scene::new(&Config { limits, ..config() });
    let bob = signed(&mut scene, register("bob", 1), "bob", "secret");
    // Those that only absorb repetitions count for a quarter.
    for number in 1..=4 {
        let alice = signed(&mut scene, register("alice", number), "alice", "secret");
        scene.give(alice.render());
        assert_eq!(scene.statuses(), [200]);
    }
    scene.give(register("carol", 1).render());
    assert_eq!(scene.statuses(), [401]);
    scene.give(bob.render());
    assert_eq!(scene.statuses(), [503], "there is no room for what it wants");
}

#[test]
fn a_right_answer_in_somebody_elses_name_binds_nothing_and_is_answered_briefly() {
    let mut scene = Scene::new(&config());
    let mut greedy = register("alice", 1);
    for number in 1..10 {
        greedy.push("Contact", &format!("<sip:alice@192.0.2.7:{}>", 6_000 + number));
    }
    let greedy = signed(&mut scene, greedy, "alice", "secret");
    scene.outputs.clear();
    scene.at("203.0.113.5:5060");
    let bytes = greedy.render();
    let answers = scene.knock(bytes.clone());
    assert_eq!(answers.len(), 1);
    assert!(answers[0].len() <= MOST_TIMES * bytes.len());
    let answer = crate::testing::response(&answers[0]);
    assert_eq!(answer.status(), 401);
    assert!(answer.fields().text("WWW-Authenticate").unwrap().contains("stale=true"));
    assert!(answer.fields().contacts().unwrap().is_empty());
    assert!(scene.outputs.is_empty(), "nothing is bound");
    assert!(scene.agent.registrar.contacts(&AccountId::from("alice")).is_empty());
}

#[test]
fn a_proven_request_that_is_repeated_is_judged_once() {
    let mut scene = Scene::new(&config());
    let right = signed(&mut scene, register("alice", 1), "alice", "secret");
    for _ in 0..5 {
        scene.give(right.render());
        assert_eq!(scene.statuses(), [200], "the transaction answers, and no nonce is stale");
    }
    assert_eq!((scene.agent.counters().transactions, scene.agent.counters().repeated), (1, 4));
}

#[test]
fn a_phone_that_moves_gets_stale_and_is_not_refused() {
    let mut scene = Scene::new(&config());
    let mut moved = signed(&mut scene, register("alice", 1), "alice", "secret");
    scene.at("198.51.100.9:7000");
    scene.give(moved.render());
    let challenge = scene.responses().remove(0);
    assert_eq!(challenge.status(), 401);
    assert!(Responder::new("alice", "secret", None).answer(&mut moved, &challenge, "c"));
    moved.set("CSeq", "3 REGISTER");
    moved.set_top_via("SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bKm");
    scene.give(moved.render());
    assert_eq!(scene.statuses(), [200]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_stranger_leaves_state_or_gets_more_than_one_answer_of_three_times_its_bytes(
        knocks in prop::collection::vec((knock(), 0u64..400), 1..30),
    ) {
        let mut scene = Scene::new(&config());
        scene.outputs.clear();
        for (knock, wait_ms) in knocks {
            scene.pass(Duration::from_millis(wait_ms));
            prop_assert!(scene.sent().is_empty(), "a timer sent something");
            let bytes = knock.bytes(&mut scene);
            let answers = scene.knock(bytes.clone());
            prop_assert!(answers.len() <= 1);
            for answer in answers {
                prop_assert!(answer.len() <= MOST_TIMES * bytes.len(), "{bytes:?} {answer:?}");
                prop_assert!(bytes.len() >= LEAST_BYTES);
            }
            prop_assert_eq!(scene.agent.counters().transactions, 0);
            prop_assert_eq!(scene.agent.legs(), 0);
            prop_assert!(scene.outputs.is_empty());
        }
    }

    #[test]
    fn answers_to_dead_nonces_change_nothing_for_the_owner(
        guesses in prop::collection::vec((any::<bool>(), 0u8..3, any::<bool>()), 0..60),
    ) {
        // Nonces of another life, answered rightly or not, from anywhere, also as the owner.
        let mut scene = Scene::new(&config());
        let mut other = Scene::with_seed(&config(), [9; 32]);
        for (number, (is_right, last, is_unknown)) in (0u32..).zip(guesses) {
            let user = if is_unknown { "nobody" } else { "alice" };
            let password = if is_right { "secret" } else { "guess" };
            let dead = signed(&mut other, register(user, number), user, password);
            scene.at(&format!("192.0.2.{}:5060", 7 + last));
            scene.give(dead.render());
            prop_assert_eq!(scene.statuses(), [401]);
        }
        scene.flow = flow(Transport::Udp);
        let wrong = signed(&mut scene, register("alice", 900), "alice", "mistyped");
        scene.give(wrong.render());
        prop_assert_eq!(scene.statuses(), [403], "judged, and not made to wait");
        let right = signed(&mut scene, register("alice", 901), "alice", "secret");
        scene.give(right.render());
        prop_assert_eq!(scene.statuses(), [200]);
    }
}
