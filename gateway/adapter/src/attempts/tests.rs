#![expect(clippy::disallowed_methods, reason = "a test needs some moment to start at")]

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

/// The middle of some day.
const UNIX_S: u64 = 20_000 * DAY_S + DAY_S / 2;
const DAY_S: u64 = 24 * 3600;
const HOME: &str = "198.51.100.7";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn life(key: u8, known: Vec<Acquaintance>, scope: &'static str, unix_s: u64) -> Attempts {
    Attempts::new(&Memory::new([key; 32], known), scope, Instant::now(), unix_s)
}

fn first_life() -> (Attempts, Instant) {
    let attempts = life(1, Vec::new(), "procom", UNIX_S);
    let start = attempts.start.0;
    (attempts, start)
}

fn begin(
    attempts: &mut Attempts,
    from: &str,
    name: &str,
    now: Instant,
) -> Result<Attempt, Duration> {
    attempts.begin(ip(from), name, Standing::Stranger, now)
}

/// Whether a wrong secret was looked at.
fn guess(attempts: &mut Attempts, from: &str, name: &str, now: Instant) -> bool {
    match begin(attempts, from, name, now) {
        Ok(attempt) => {
            attempts.handle_wrong(attempt, now);
            true
        }
        Err(_) => false,
    }
}

fn sign_in(attempts: &mut Attempts, from: &str, name: &str, now: Instant) {
    let attempt = begin(attempts, from, name, now).expect("not banned");
    attempts.handle_right(attempt, now);
}

/// How many wrong ones of a hundred are looked at when all come at the same moment.
fn burst(attempts: &mut Attempts, from: &str, name: &str, now: Instant) -> usize {
    (0..100).filter(|_| guess(attempts, from, name, now)).count()
}

/// Guesses as soon as it may, and says how long each ban was.
fn bans(attempts: &mut Attempts, from: &str, count: usize, start: Instant) -> Vec<u64> {
    let mut now = start;
    let mut bans = Vec::new();
    for at in 0_u64.. {
        match begin(attempts, from, &at.to_string(), now) {
            Ok(attempt) => attempts.handle_wrong(attempt, now),
            Err(wait) => {
                bans.push(wait.as_secs());
                now += wait;
            }
        }
        if bans.len() == count {
            break;
        }
    }
    bans
}

#[test]
fn a_network_may_fail_ten_times_and_then_waits_twice_as_long_each_time() {
    let (mut attempts, now) = first_life();
    let looked_at = (0..1000).filter(|at| guess(&mut attempts, HOME, &at.to_string(), now)).count();
    assert_eq!(looked_at, 10);
    assert_eq!(bans(&mut attempts, HOME, 6, now), [6, 12, 24, 48, 96, 192]);
}

#[test]
fn a_ban_of_strangers_is_an_hour_at_most() {
    let (mut attempts, now) = first_life();
    let from = |at: u64| format!("192.0.2.{}", at % 250);
    let mut longest = Duration::ZERO;
    for at in 0..40_000 {
        match begin(&mut attempts, &from(at), "alice", now + seconds(at)) {
            Ok(attempt) => attempts.handle_wrong(attempt, now + seconds(at)),
            Err(wait) => longest = longest.max(wait),
        }
    }
    assert!(longest > seconds(3000) && longest <= LONG_BAN, "{longest:?}");
}

#[test]
fn an_account_may_be_failed_twenty_times_from_many_networks_and_then_less_each_hour() {
    let (mut attempts, now) = first_life();
    let mut looked_at = vec![0; 10];
    for at in 0..36_000_u64 {
        let from = format!("192.0.{}.{}", at / 250 % 250, at % 250);
        if guess(&mut attempts, &from, "alice", now + seconds(at)) {
            looked_at[usize::try_from(at / 3600).unwrap()] += 1;
        }
    }
    assert_eq!(looked_at[0], 29);
    assert!(looked_at[1..].iter().all(|count| *count <= 2), "{looked_at:?}");
}

#[test]
fn strikes_are_forgiven_one_after_the_other() {
    let (mut attempts, now) = first_life();
    assert_eq!(burst(&mut attempts, HOME, "alice", now), 10);
    let later = now + FORGIVEN_IN * 3;
    assert_eq!(burst(&mut attempts, HOME, "alice", later), 3);
    let much_later = later + FORGIVEN_IN * 10;
    assert_eq!(burst(&mut attempts, HOME, "carol", much_later), 10);
}

#[test]
fn all_addresses_of_one_ipv6_network_are_one() {
    let (mut attempts, now) = first_life();
    let looked_at = (0..100)
        .filter(|at| guess(&mut attempts, &format!("2001:db8::{at}"), &at.to_string(), now))
        .count();
    assert_eq!(looked_at, 10);
    assert_eq!(network(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
}

#[test]
fn attempts_under_way_do_not_exceed_the_bound() {
    let (mut attempts, now) = first_life();
    let under_way: Vec<Attempt> =
        (0..1000).filter_map(|_| begin(&mut attempts, HOME, "alice", now).ok()).collect();
    assert_eq!(under_way.len(), 10);
    under_way.into_iter().for_each(|attempt| attempts.handle_right(attempt, now));
    assert_eq!(burst(&mut attempts, HOME, "alice", now), 10, "what was right is not counted");
}

#[test]
fn an_attempt_without_a_verdict_counts_as_a_wrong_one() {
    let (mut attempts, now) = first_life();
    let dropped = (0..1000).filter(|_| begin(&mut attempts, HOME, "alice", now).is_ok()).count();
    assert_eq!(dropped, 10);
}

#[test]
fn a_ban_begins_when_the_verdict_is_there() {
    let (mut attempts, now) = first_life();
    for _ in 0..9 {
        guess(&mut attempts, HOME, "alice", now);
    }
    let attempt = begin(&mut attempts, HOME, "alice", now).expect("the tenth");
    let judged = now + seconds(5);
    attempts.handle_wrong(attempt, judged);
    let wait = begin(&mut attempts, HOME, "alice", judged).map(drop).expect_err("banned");
    assert_eq!(wait, FIRST_BAN);
}

#[test]
fn right_and_abandoned_attempts_are_not_counted() {
    let (mut attempts, now) = first_life();
    for at in 0..1000 {
        sign_in(&mut attempts, HOME, &at.to_string(), now);
        let attempt = begin(&mut attempts, "192.0.2.1", "alice", now).expect("not banned");
        attempts.handle_abandoned(attempt);
    }
}

#[test]
fn a_right_password_takes_back_its_own_strike_and_no_other() {
    let (mut attempts, now) = first_life();
    let mut looked_at = 0;
    for at in 0..1000 {
        // The attacker has accounts of his own, of which none is known here.
        if let Ok(attempt) = begin(&mut attempts, HOME, &format!("mallory{at}"), now) {
            attempts.handle_right(attempt, now);
        }
        looked_at += usize::from(guess(&mut attempts, HOME, &at.to_string(), now));
    }
    assert_eq!(looked_at, 10);
}

#[test]
fn right_passwords_between_wrong_ones_shorten_no_ban() {
    let ban = |own_accounts: u64| {
        let (mut attempts, now) = first_life();
        let waited = bans(&mut attempts, HOME, 12, now).iter().sum();
        let now = now + seconds(waited);
        for at in 0..own_accounts {
            sign_in(&mut attempts, HOME, &format!("mallory{at}"), now);
        }
        assert!(guess(&mut attempts, HOME, "x", now));
        begin(&mut attempts, HOME, "x", now).map(drop).expect_err("banned")
    };
    assert!(ban(0) > seconds(300));
    assert_eq!(ban(100), ban(0));
}

#[test]
fn nobody_can_lock_an_owner_out_who_has_signed_in_from_there_before() {
    let (mut attempts, now) = first_life();
    sign_in(&mut attempts, HOME, "alice", now);
    for at in 0..250 {
        guess(&mut attempts, &format!("192.0.2.{at}"), "alice", now);
        guess(&mut attempts, HOME, &at.to_string(), now);
    }
    assert!(begin(&mut attempts, "203.0.113.1", "alice", now).is_err(), "strangers are banned");
    assert!(begin(&mut attempts, HOME, "bob", now).is_err(), "the network is banned");
    sign_in(&mut attempts, HOME, "alice", now);
}

#[test]
fn a_registered_flow_does_not_wait_for_strangers_in_its_own_network() {
    let (mut attempts, now) = first_life();
    for at in 0..250 {
        guess(&mut attempts, HOME, "bob", now);
        guess(&mut attempts, &format!("192.0.2.{at}"), "bob", now);
    }
    let attempt = attempts.begin(ip(HOME), "bob", Standing::Registered, now).expect("not banned");
    attempts.handle_wrong(attempt, now);
}

#[test]
fn a_guesser_in_the_network_of_the_owner_keeps_the_owner_out_for_the_short_ban_at_most() {
    let (mut attempts, mut now) = first_life();
    sign_in(&mut attempts, HOME, "alice", now);
    let mut longest = Duration::ZERO;
    for _ in 0..36_000 {
        now += seconds(1);
        match begin(&mut attempts, HOME, "alice", now) {
            Ok(attempt) => attempts.handle_wrong(attempt, now),
            Err(wait) => longest = longest.max(wait),
        }
    }
    assert!(longest > seconds(20) && longest <= SHORT_BAN, "{longest:?}");
    sign_in(&mut attempts, HOME, "alice", now + SHORT_BAN);
    // Ten hours of guesses do not count against her for longer than an hour.
    assert!(burst(&mut attempts, HOME, "alice", now + seconds(3600)) >= 3);
}

#[test]
fn a_guesser_in_the_network_of_the_owner_does_not_keep_the_owners_device_out() {
    let (mut attempts, now) = first_life();
    let with = |device: u8| Standing::Device([device; 16]);
    let attempt = attempts.begin(ip(HOME), "alice", with(1), now).expect("not banned");
    attempts.handle_right(attempt, now);
    let attempt = attempts.begin(ip(HOME), "mallory", with(2), now).expect("not banned");
    attempts.handle_right(attempt, now);
    let guesses = [with(2), with(3), Standing::Stranger].into_iter().cycle().take(300);
    let looked_at = guesses
        .filter_map(|standing| attempts.begin(ip(HOME), "alice", standing, now).ok())
        .count();
    assert_eq!(looked_at, 10, "a device of another account is no device of hers");
    for from in [HOME, "203.0.113.9"] {
        let attempt = attempts.begin(ip(from), "alice", with(1), now).expect("not banned");
        attempts.handle_right(attempt, now);
    }
}

#[test]
fn a_flood_of_names_and_networks_frees_no_offender_and_grows_no_memory() {
    const ROOM: usize = 64;
    let memory = Memory::new([1; 32], Vec::new());
    let now = Instant::now();
    let mut attempts = Attempts::with_room(&memory, "sip", (now, UNIX_S), ROOM);
    for at in 0..250 {
        guess(&mut attempts, HOME, &at.to_string(), now);
        guess(&mut attempts, &format!("192.0.2.{at}"), "alice", now);
    }
    for at in 0..20_000_u32 {
        let from = Ipv4Addr::from_bits(0x0a00_0000 + at).to_string();
        guess(&mut attempts, &from, &at.to_string(), now);
        assert!(attempts.networks.len() <= ROOM && attempts.accounts.len() <= ROOM);
    }
    assert!(!guess(&mut attempts, HOME, "x", now), "the network is still banned");
    assert!(!guess(&mut attempts, "203.0.113.1", "alice", now), "and so is the account");
}

#[test]
fn a_pair_is_known_in_the_next_life_under_the_same_key_and_scope_only() {
    let (mut attempts, now) = first_life();
    sign_in(&mut attempts, HOME, "alice", now);
    let learned: Vec<Acquaintance> = std::iter::from_fn(|| attempts.poll_learned()).collect();
    assert_eq!(learned.len(), 1);
    assert_eq!(learned[0].day, 20_000);
    for (key, scope, is_known) in [(1, "procom", true), (2, "procom", false), (1, "sip", false)] {
        let mut next = life(key, learned.clone(), scope, UNIX_S + DAY_S);
        let now = next.start.0;
        burst(&mut next, HOME, "bob", now);
        assert_eq!(begin(&mut next, HOME, "alice", now).is_ok(), is_known, "{key} {scope}");
    }
}

#[test]
fn a_pair_is_forgotten_thirty_days_after_its_last_use() {
    let (mut attempts, now) = first_life();
    sign_in(&mut attempts, HOME, "alice", now);
    let learned: Vec<Acquaintance> = attempts.poll_learned().into_iter().collect();
    for (days, is_known) in [(30, true), (31, false)] {
        let then = now + seconds(days * DAY_S);
        burst(&mut attempts, HOME, "bob", then);
        assert_eq!(begin(&mut attempts, HOME, "alice", then).is_ok(), is_known, "in this life");
        let next = life(1, learned.clone(), "procom", UNIX_S + days * DAY_S);
        assert_eq!(next.known.len(), usize::from(is_known), "in the next life");
    }
}

#[test]
fn a_pair_is_reported_when_it_is_new_and_once_on_each_day_of_its_use() {
    let (mut attempts, now) = first_life();
    let mut days = Vec::new();
    for hour in 0..72 {
        sign_in(&mut attempts, HOME, "alice", now + seconds(hour * 3600));
        days.extend(std::iter::from_fn(|| attempts.poll_learned()).map(|learned| learned.day));
    }
    assert_eq!(days, [20_000, 20_001, 20_002, 20_003]);
}

#[test]
fn an_account_with_many_networks_keeps_those_of_its_last_uses_and_no_others_account() {
    let (mut attempts, now) = first_life();
    sign_in(&mut attempts, HOME, "alice", now);
    for at in 0..5000 {
        sign_in(&mut attempts, &format!("2001:db8:0:{at:x}::1"), "mallory", now);
    }
    let reports = std::iter::from_fn(|| attempts.poll_learned()).count();
    assert_eq!(reports, 1 + 2 * PAIRS_OF_ACCOUNT);
    assert_eq!(attempts.known.len(), 1 + PAIRS_OF_ACCOUNT);
    burst(&mut attempts, HOME, "bob", now);
    sign_in(&mut attempts, HOME, "alice", now);
}

/// What may happen in a random life.
#[derive(Clone, Debug)]
enum Step {
    /// A guess at one of some names from one of some networks, and what becomes of it.
    Guess {
        network: u8,
        name: u8,
        fate: u8,
    },
    /// An attacker uses an account of his own.
    OwnAccount {
        network: u8,
    },
    /// The oldest attempt under way gets its verdict.
    Verdict {
        fate: u8,
    },
    Pass {
        seconds: u64,
    },
    /// Alice signs in from her network; Bob by his registered flow.
    Owners,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => (0..60_u8, 0..5_u8, 0..4_u8)
            .prop_map(|(network, name, fate)| Step::Guess { network, name, fate }),
        3 => (0..60_u8).prop_map(|network| Step::OwnAccount { network }),
        3 => (0..3_u8).prop_map(|fate| Step::Verdict { fate }),
        10 => (0..100_u64).prop_map(|seconds| Step::Pass { seconds }),
        1 => (0..8000_u64).prop_map(|seconds| Step::Pass { seconds }),
        5 => Just(Step::Owners),
    ]
}

const NAMES: [&str; 5] = ["alice", "bob", "carol", "nobody", "mallory2"];
const ROOM: usize = 64;

/// A world of attackers with two owners in it.
struct World {
    attempts: Attempts,
    now: Instant,
    under_way: VecDeque<Attempt>,
    judged_of_name: BTreeMap<&'static str, VecDeque<Instant>>,
}

impl World {
    fn new() -> Self {
        let memory = Memory::new([7; 32], Vec::new());
        let now = Instant::now();
        let mut attempts = Attempts::with_room(&memory, "procom", (now, UNIX_S), ROOM);
        sign_in(&mut attempts, HOME, "alice", now);
        Self { attempts, now, under_way: VecDeque::new(), judged_of_name: BTreeMap::new() }
    }

    /// Network 0 is that of both owners: a neighbour attacks from there.
    fn source(network: u8) -> IpAddr {
        if network == 0 { ip(HOME) } else { Ipv4Addr::new(192, 0, 2, network).into() }
    }

    fn judge(&mut self, attempt: Attempt, fate: u8) {
        match fate {
            0 => self.under_way.push_back(attempt),
            1 => drop(attempt),
            2 | 3 => self.attempts.handle_wrong(attempt, self.now),
            other => panic!("{other}"),
        }
    }

    fn handle(&mut self, step: &Step) {
        match *step {
            // It shares the pair with Alice; another test is about that.
            Step::Guess { network: 0, name: 0, .. } => {}
            Step::Guess { network, name, fate } => {
                let name = NAMES[usize::from(name)];
                let source = Self::source(network);
                let begun = self.attempts.begin(source, name, Standing::Stranger, self.now);
                if let Ok(attempt) = begun {
                    // Bob's own network is known after his first sign-in, and no stranger's.
                    if !(network == 0 && name == "bob") {
                        self.count(name);
                    }
                    self.judge(attempt, fate);
                }
            }
            Step::OwnAccount { network } => {
                let source = Self::source(network);
                let begun = self.attempts.begin(source, "mallory", Standing::Stranger, self.now);
                if let Ok(attempt) = begun {
                    self.attempts.handle_right(attempt, self.now);
                }
            }
            Step::Verdict { fate } => {
                if let Some(attempt) = self.under_way.pop_front() {
                    self.judge(attempt, fate);
                }
            }
            Step::Pass { seconds: passed } => self.now += seconds(passed),
            Step::Owners => self.owners_sign_in(),
        }
    }

    fn owners_sign_in(&mut self) {
        for (name, standing) in [("alice", Standing::Stranger), ("bob", Standing::Registered)] {
            let attempt = self.attempts.begin(ip(HOME), name, standing, self.now);
            let attempt = attempt.expect("an owner never waits because of others");
            self.attempts.handle_right(attempt, self.now);
        }
    }

    fn count(&mut self, name: &'static str) {
        let judged = self.judged_of_name.entry(name).or_default();
        judged.push_back(self.now);
        while judged.front().is_some_and(|at| *at + seconds(3600) < self.now) {
            judged.pop_front();
        }
        assert!(judged.len() <= 32, "{} guesses at {name} in an hour", judged.len());
    }

    fn check(&self) {
        let Attempts { networks, accounts, pairs, registered, .. } = &self.attempts;
        for table in [networks, accounts, pairs, registered] {
            assert!(table.len() <= ROOM);
        }
        assert!(self.attempts.known.len() <= 3 * PAIRS_OF_ACCOUNT);
    }
}

proptest! {
    #[test]
    fn attackers_make_no_owner_wait_and_learn_little(
        steps in prop::collection::vec(step(), 1..400),
    ) {
        let mut world = World::new();
        for step in &steps {
            world.handle(step);
            world.check();
        }
        world.owners_sign_in();
    }
}
