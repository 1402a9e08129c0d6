//! Guessing of passwords: whom it keeps waiting, and whom not.

use gateway_adapter::attempts::{Acquaintance, Memory, SHORT_BAN};

use super::*;
use crate::testing::remembering;

const KEY: [u8; 32] = [5; 32];
const HOME: &str = "198.51.100.7";

fn hello_of(user: &str) -> String {
    client(json!({"type": "hello", "version": 1, "user": user, "password": "guess"}))
}

impl World {
    fn life(known: Vec<Acquaintance>) -> Self {
        let memory = Memory::new(KEY, known);
        Self::with(setup(), remembering(now(), memory))
    }

    /// Opens a socket from there and says hello. True if the password is looked at.
    fn hello_from(&mut self, from: &str, user: &str) -> Option<SocketId> {
        let socket = SocketId(self.fresh.leg().0);
        let peer = Peer { ip: from.parse().expect("an address"), ..peer() };
        self.hub.handle_opened(socket, peer, self.now);
        self.text(socket, &hello_of(user));
        let is_looked_at = self
            .rest
            .iter()
            .any(|output| matches!(output, Output::Verify(to, ..) if *to == socket));
        is_looked_at.then_some(socket)
    }

    fn guess(&mut self, from: &str, user: &str) -> bool {
        let socket = self.hello_from(from, user);
        socket.map(|socket| self.verdict(socket, Verdict::Wrong)).is_some()
    }

    fn sign_in_from(&mut self, from: &str, user: &str) -> bool {
        let Some(socket) = self.hello_from(from, user) else { return false };
        let verified = Verified { account: user.into(), display: None };
        self.verdict(socket, Verdict::Right(verified));
        self.said.iter().any(|(to, frame)| *to == socket && frame["type"] == "welcome")
    }

    fn learned(&self) -> Vec<Acquaintance> {
        let learned = self.rest.iter().filter_map(|output| match output {
            Output::Acquainted(learned) => Some(*learned),
            _ => None,
        });
        learned.collect()
    }

    /// 200 guesses at alice from other networks, and 200 at others from a neighbour of hers.
    fn attack(&mut self) {
        for at in 0..200 {
            self.guess(&format!("192.0.2.{at}"), "alice");
            self.guess(HOME, &format!("neighbour{at}"));
        }
        assert!(!self.guess("203.0.113.1", "alice"), "strangers are banned from the account");
        assert!(!self.guess(HOME, "bob"), "strangers in that network are banned");
    }
}

#[test]
fn guesses_from_other_networks_and_of_a_neighbour_do_not_keep_an_owner_out() {
    let mut world = World::life(Vec::new());
    assert!(world.sign_in_from(HOME, "alice"));
    world.attack();
    assert!(world.sign_in_from(HOME, "alice"));
}

#[test]
fn they_do_not_keep_the_owner_out_after_a_restart_either() {
    let mut world = World::life(Vec::new());
    assert!(world.sign_in_from(HOME, "alice"));
    let learned = world.learned();
    assert_eq!(learned.len(), 1);

    let mut next = World::life(learned);
    next.attack();
    assert!(next.sign_in_from(HOME, "alice"));
    assert_eq!(next.learned(), [], "it was told today");

    let mut forgetful = World::life(Vec::new());
    forgetful.attack();
    assert!(!forgetful.sign_in_from(HOME, "alice"), "the attack is one that would keep her out");
}

#[test]
fn guesses_from_the_owners_own_network_keep_the_owner_waiting_for_the_short_ban_at_most() {
    let mut world = World::life(Vec::new());
    assert!(world.sign_in_from(HOME, "alice"));
    for _ in 0..600 {
        world.guess(HOME, "alice");
        world.pass(1);
    }
    world.guess(HOME, "alice");
    assert!(!world.sign_in_from(HOME, "alice"));
    world.pass(SHORT_BAN.as_secs());
    assert!(world.sign_in_from(HOME, "alice"));
}

#[test]
fn guesses_from_the_owners_own_network_do_not_keep_the_owners_device_waiting() {
    let mut world = World::life(Vec::new());
    let name = "a-name-that-only-this-device-has";
    let hello = client(json!({
        "type": "hello", "version": 1, "user": "alice", "password": "secret", "device": name,
    }));
    for socket in [A, B] {
        let peer = Peer { ip: HOME.parse().expect("an address"), ..peer() };
        world.hub.handle_opened(socket, peer, world.now);
        world.text(socket, &hello);
        let verified = Verified { account: "alice".into(), display: None };
        world.verdict(socket, Verdict::Right(verified));
        world.take(socket, "welcome");
        for _ in 0..200 {
            world.guess(HOME, "alice");
        }
        assert!(!world.guess(HOME, "alice"));
    }
}

#[test]
fn who_guessed_too_much_is_told_how_long_to_wait() {
    let mut world = World::life(Vec::new());
    for _ in 0..10 {
        assert!(world.guess(HOME, "alice"));
    }
    world.said.clear();
    assert!(!world.guess(HOME, "alice"));
    world.pass(1);
    let (_, frame) = world.said.pop().expect("a frame");
    assert_eq!(frame["code"], "too-many-attempts");
    assert_eq!(frame["reason"], "Too many wrong passwords; wait 7 s.");
}

#[test]
fn a_socket_that_closes_before_the_verdict_counts_as_a_guess() {
    let mut world = World::life(Vec::new());
    for at in 0..12 {
        let socket = world.hello_from(HOME, "alice");
        assert_eq!(socket.is_some(), at < 10);
        if let Some(socket) = socket {
            world.close(socket, Closing::Dropped);
        }
    }
}

#[test]
fn an_account_that_does_not_exist_is_banned_like_one_that_does() {
    let mut world = World::life(Vec::new());
    let mut looked_at = |user: &str, network: u8| {
        let from = |at: u8| format!("10.{network}.0.{at}");
        (0..200).filter(|at| world.guess(&from(*at), user)).count()
    };
    assert_eq!(looked_at("alice", 1), looked_at("nobody-has-this-name", 2));
}

#[test]
fn a_wrong_password_closes_the_socket_and_the_eleventh_is_not_looked_at() {
    let mut world = world();
    for at in 0..20 {
        let socket = SocketId(at);
        world.open(socket);
        world.text(socket, &hello());
        world.verdict(socket, Verdict::Wrong);
        let expected = if at < 10 { "bad-credentials" } else { "too-many-attempts" };
        if at >= 10 {
            assert!(world.said.is_empty(), "who guesses has to wait");
            world.hub.handle_timeout(later(world.now, 1));
            world.drain();
        }
        assert_eq!(world.take_error(socket), expected);
    }
    let looked_at = world.rest.iter().filter(|output| matches!(output, Output::Verify(..)));
    assert_eq!(looked_at.count(), 10);
    assert_eq!(world.closed.len(), 20);
}

#[test]
fn a_verdict_that_could_not_be_had_does_not_count_as_a_wrong_password() {
    let mut world = world();
    for at in 0..50 {
        let socket = SocketId(at);
        world.open(socket);
        world.text(socket, &hello());
        world.verdict(socket, Verdict::Overload);
        assert_eq!(world.take_error(socket), "overload");
    }
}
