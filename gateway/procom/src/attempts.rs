//! Bounds the guessing of passwords (security row 10). Pure; time is an argument.
//!
//! Every attempt takes from two buckets, that of the network it comes from and that of the account
//! it names, and a right password gives back what it took. A network from which an account has
//! signed in before has a bucket of its own for that account, so that neither a neighbour nor the
//! rest of the world can lock its owner out. An account that does not exist has a bucket like any
//! other: nothing tells the two apart.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::bucket::{Bucket, Rate};

/// Wrong passwords from one network.
const OF_NETWORK: Rate = Rate { burst: 10, every: Duration::from_secs(6) };
/// Wrong passwords for one account, wherever they come from.
const OF_ACCOUNT: Rate = Rate { burst: 20, every: Duration::from_secs(6) };
/// How long a network is known to be one of an account's.
const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
/// How many buckets, and how many known networks, are remembered.
const REMEMBERED: usize = 10_000;
/// How much of a name counts; longer ones share a bucket.
const NAME_CHARS: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Network(IpAddr),
    Account(String),
    Known(IpAddr, String),
}

impl Key {
    const fn rate(&self) -> Rate {
        match self {
            Self::Network(_) | Self::Known(..) => OF_NETWORK,
            Self::Account(_) => OF_ACCOUNT,
        }
    }
}

/// An attempt under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    network: IpAddr,
    name: String,
    keys: Vec<Key>,
}

/// All that is remembered of attempts.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    buckets: BTreeMap<Key, Bucket>,
    known_until: BTreeMap<(IpAddr, String), Instant>,
}

impl Attempts {
    /// Begins an attempt.
    ///
    /// # Errors
    /// There were too many: how long to wait.
    pub(crate) fn begin(
        &mut self,
        ip: IpAddr,
        name: &str,
        now: Instant,
    ) -> Result<Attempt, Duration> {
        let network = network(ip);
        let name: String = name.chars().take(NAME_CHARS).collect();
        let place = (network, name);
        let keys = if self.known_until.get(&place).is_some_and(|until| *until > now) {
            vec![Key::Known(place.0, place.1.clone())]
        } else {
            vec![Key::Network(place.0), Key::Account(place.1.clone())]
        };
        for (at, key) in keys.iter().enumerate() {
            if let Err(wait) = self.take(key, now) {
                keys[..at].iter().for_each(|taken| self.give_back(taken));
                return Err(wait);
            }
        }
        Ok(Attempt { network: place.0, name: place.1, keys })
    }

    /// The password was right.
    pub(crate) fn handle_success(&mut self, attempt: Attempt, now: Instant) {
        attempt.keys.iter().for_each(|key| self.give_back(key));
        if self.known_until.len() >= REMEMBERED {
            self.known_until.retain(|_, until| *until > now);
        }
        if self.known_until.len() < REMEMBERED {
            self.known_until.insert((attempt.network, attempt.name), now + KNOWN_FOR);
        }
    }

    /// Nothing was looked at, so nothing was learned.
    pub(crate) fn handle_abandoned(&mut self, attempt: &Attempt) {
        attempt.keys.iter().for_each(|key| self.give_back(key));
    }

    fn take(&mut self, key: &Key, now: Instant) -> Result<(), Duration> {
        if !self.buckets.contains_key(key) && self.buckets.len() >= REMEMBERED {
            self.make_room(now);
        }
        self.buckets.entry(key.clone()).or_insert_with(|| Bucket::new(now)).take(key.rate(), now)
    }

    fn give_back(&mut self, key: &Key) {
        if let Some(bucket) = self.buckets.get_mut(key) {
            bucket.give_back(key.rate());
        }
    }

    /// Forgets what is as good as new, or else the eighth that comes nearest to it.
    fn make_room(&mut self, now: Instant) {
        self.buckets.retain(|_, bucket| !bucket.is_full(now));
        if self.buckets.len() >= REMEMBERED {
            let mut times: Vec<Instant> = self.buckets.values().map(Bucket::full_at).collect();
            let (_, limit, _) = times.select_nth_unstable(REMEMBERED / 8);
            let limit = *limit;
            let mut room = REMEMBERED / 8;
            self.buckets.retain(|_, bucket| {
                let goes = room > 0 && bucket.full_at() <= limit;
                room -= usize::from(goes);
                !goes
            });
        }
    }
}

/// Who shares an address: of IPv6, everybody in a /64 (RFC 7421).
pub(crate) fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some moment to start at")]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn fail(attempts: &mut Attempts, from: &str, name: &str, now: Instant) -> bool {
        attempts.begin(ip(from), name, now).is_ok()
    }

    #[test]
    fn one_network_may_fail_ten_times_and_then_once_every_six_seconds() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        let looked_at = (0..1000).filter(|_| fail(&mut attempts, "192.0.2.1", "a", now)).count();
        assert_eq!(looked_at, 10);
        assert!(fail(&mut attempts, "192.0.2.1", "b", now + Duration::from_secs(6)));
        assert!(!fail(&mut attempts, "192.0.2.1", "b", now + Duration::from_secs(6)));
    }

    #[test]
    fn many_networks_share_the_failures_of_one_account() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        let looked_at = (0..200)
            .filter(|at| fail(&mut attempts, &format!("192.0.2.{at}"), "alice", now))
            .count();
        assert_eq!(looked_at, 20);
    }

    #[test]
    fn all_addresses_of_one_ipv6_network_are_one() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        let looked_at = (0..100)
            .filter(|at| fail(&mut attempts, &format!("2001:db8::{at}"), &at.to_string(), now))
            .count();
        assert_eq!(looked_at, 10);
    }

    #[test]
    fn nobody_can_lock_an_owner_out_who_has_signed_in_from_there_before() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        let attempt = attempts.begin(ip("198.51.100.7"), "alice", now).unwrap();
        attempts.handle_success(attempt, now);
        for at in 0..250 {
            fail(&mut attempts, &format!("192.0.2.{at}"), "alice", now);
            fail(&mut attempts, "198.51.100.7", &at.to_string(), now);
        }
        assert!(attempts.begin(ip("198.51.100.7"), "alice", now).is_ok());
    }

    #[test]
    fn right_passwords_are_not_counted() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for _ in 0..1000 {
            let attempt = attempts.begin(ip("192.0.2.1"), "alice", now).expect("not limited");
            attempts.handle_success(attempt, now);
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for at in 0..20_000_u32 {
            let from = IpAddr::from(std::net::Ipv4Addr::from(at));
            let _ = attempts.begin(from, &at.to_string(), now);
        }
        assert!(attempts.buckets.len() <= REMEMBERED);
    }
}
