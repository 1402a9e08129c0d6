//! Bounds the guessing of passwords and digests (security row 10 of ARCHITECTURE.md §5). Pure; time
//! is an argument.
//!
//! ```text
//! begin(source, name, standing) --> Err: wait so long, and look at nothing
//!                               --> Attempt --> handle_right      learns the pair; poll_learned
//!                                           --> handle_wrong      the strike stays
//!                                           --> handle_abandoned  the strike is taken back
//! ```
//!
//! An attempt is a strike from its beginning, so that many at once do not exceed the bound. An
//! attempt that is dropped without a verdict stays a strike. What it strikes depends on where it
//! comes from:
//!
//! | where it comes from | what it strikes | free | bans | one strike is forgiven in |
//! |---|---|---|---|---|
//! | a stranger | its network | 10 | 6 s, doubled up to 1 h | 10 min |
//! | | and the account among strangers | 20 | 6 s, doubled up to 1 h | 1 h |
//! | a network from which the account signed in before | the pair of network and account | 10 | 6 s, doubled up to 30 s | 10 min |
//! | a device with which the account signed in before | the pair of device and account | 10 | the same | 10 min |
//! | a registered flow of the account, or a session of it | the account among its own | 10 | 6 s, doubled up to 30 s | 10 min |
//!
//! So a stranger who never stops gets about one guess in ten minutes from each network, and all
//! strangers together about one in an hour for each account.
//!
//! A pair counts as known for 30 days after its last use. So an attacker locks out neither a
//! registered neighbour nor an account in a network it used before, nor the owner's device anywhere.
//! A right password takes back its own strike and no other: an attacker with an account does not
//! clear the strikes of his network.
//!
//! What this does not give: a guesser inside a network that the account uses shares the pair with an
//! owner who shows no device, because only the address could tell them apart. Therefore that ban is
//! at most 30 s. After it the first attempt is looked at, which may again be the guesser's. Devices,
//! sessions and registered flows have strikes of their own.
//!
//! An account that does not exist is treated like any other: nothing here knows which exist. Names
//! are kept as keyed hashes only. Pairs of one scope (`procom`, `sip`) say nothing in another: page
//! and phone have different secrets, and one of them must not help to guess the other.

mod known;
mod memory;
mod strikes;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use known::Known;
pub use known::{KNOWN_DAYS, PAIRS_OF_ACCOUNT};
use memory::Marks;
pub use memory::{Acquaintance, Mark, Memory};
use strikes::{Charge, Limit, Table};

/// The first ban of every kind.
const FIRST_BAN: Duration = Duration::from_secs(6);
/// The longest ban of strangers.
const LONG_BAN: Duration = Duration::from_secs(3600);
/// The longest ban of an account in its own network or by its own flow.
pub const SHORT_BAN: Duration = Duration::from_secs(30);
/// The usual time in which one strike is forgiven.
const FORGIVEN_IN: Duration = Duration::from_secs(600);

const OF_NETWORK: Limit =
    Limit { free: 10, first: FIRST_BAN, longest: LONG_BAN, forgiven_in: FORGIVEN_IN };
const OF_ACCOUNT: Limit =
    Limit { free: 20, first: FIRST_BAN, longest: LONG_BAN, forgiven_in: Duration::from_secs(3600) };
const OF_OWNER: Limit =
    Limit { free: 10, first: FIRST_BAN, longest: SHORT_BAN, forgiven_in: FORGIVEN_IN };

/// How many networks, accounts, pairs and flows have their strikes remembered: so many of each.
const REMEMBERED: usize = 10_000;

/// How far the source of an attempt is known before its secret is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It comes by a registered flow, or in a session, of the very account that it names.
    Registered,
    /// It shows the secret name of a device, by this hash; perhaps the account knows it.
    Device([u8; 16]),
    /// Anything else.
    Stranger,
}

/// What an attempt strikes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Network(IpAddr),
    Account(Mark),
    Pair(Mark),
    Registered(Mark),
}

/// An attempt under way: to be handed back with its verdict.
#[derive(Debug)]
#[must_use = "without a verdict an attempt counts as a wrong one"]
pub struct Attempt {
    account: Mark,
    pairs: Vec<Mark>,
    charges: Vec<(Key, Charge)>,
}

impl Attempt {
    /// Whether the account is known where it comes from: then it need not wait behind strangers.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.charges.iter().all(|(key, _)| match key {
            Key::Pair(_) | Key::Registered(_) => true,
            Key::Network(_) | Key::Account(_) => false,
        })
    }
}

/// All that is remembered of attempts.
#[derive(Debug)]
pub struct Attempts {
    marks: Marks,
    networks: Table<Key>,
    accounts: Table<Key>,
    pairs: Table<Key>,
    registered: Table<Key>,
    known: Known,
    start: (Instant, u64),
    learned: VecDeque<Acquaintance>,
}

impl Attempts {
    /// With what earlier lives have learned. `scope` keeps the secrets of one network apart from
    /// those of another; `unix_s` is the time at `now`, in seconds since 1970.
    #[must_use]
    pub fn new(memory: &Memory, scope: &'static str, now: Instant, unix_s: u64) -> Self {
        Self::with_room(memory, scope, (now, unix_s), REMEMBERED)
    }

    fn with_room(memory: &Memory, scope: &'static str, start: (Instant, u64), room: usize) -> Self {
        Self {
            marks: memory.marks(scope),
            networks: Table::new(OF_NETWORK, room),
            accounts: Table::new(OF_ACCOUNT, room),
            pairs: Table::new(OF_OWNER, room),
            registered: Table::new(OF_OWNER, room),
            known: Known::new(memory.known(), day(start.1)),
            start,
            learned: VecDeque::new(),
        }
    }

    /// Begins an attempt, which counts as wrong until its verdict says otherwise.
    ///
    /// # Errors
    /// There were too many: how long to wait. The secret is not to be looked at, and nothing is
    /// counted.
    pub fn begin(
        &mut self,
        source: IpAddr,
        name: &str,
        standing: Standing,
        now: Instant,
    ) -> Result<Attempt, Duration> {
        let network = network(source);
        let account = self.marks.account(name);
        let device = match standing {
            Standing::Device(device) => Some(self.marks.device(device, name)),
            Standing::Registered | Standing::Stranger => None,
        };
        let pairs: Vec<Mark> = device.into_iter().chain([self.marks.pair(network, name)]).collect();
        let today = self.today(now);
        let known = pairs.iter().copied().find(|pair| self.known.contains(*pair, today));
        let keys = match (standing, known) {
            (Standing::Registered, _) => vec![Key::Registered(account)],
            (Standing::Device(_) | Standing::Stranger, Some(pair)) => vec![Key::Pair(pair)],
            (Standing::Device(_) | Standing::Stranger, None) => {
                vec![Key::Network(network), Key::Account(account)]
            }
        };
        let waits = keys.iter().filter_map(|key| self.table(key).wait(key, now));
        if let Some(wait) = waits.max() {
            return Err(wait);
        }
        let charges = keys.into_iter().map(|key| {
            let charge = self.table_mut(&key).charge(key.clone(), now);
            (key, charge)
        });
        Ok(Attempt { account, charges: charges.collect(), pairs })
    }

    /// The secret was right: this attempt's strike is taken back, and the account knows the network,
    /// and the device if there is one, from now on.
    pub fn handle_right(&mut self, attempt: Attempt, now: Instant) {
        let Attempt { account, pairs, charges } = attempt;
        self.take_back(charges);
        let day = self.today(now);
        for pair in pairs {
            let learned = Acquaintance { account, pair, day };
            if self.known.learn(learned) {
                self.learned.push_back(learned);
            }
        }
    }

    /// The secret was wrong: the strike stays, and the ban it brings begins now.
    pub fn handle_wrong(&mut self, attempt: Attempt, now: Instant) {
        for (key, charge) in attempt.charges {
            self.table_mut(&key).confirm(&key, charge, now);
        }
    }

    /// The secret was not looked at, so nothing was learned from it.
    pub fn handle_abandoned(&mut self, attempt: Attempt) {
        self.take_back(attempt.charges);
    }

    /// What is to be kept for the next life: each pair when it is new, and once on every later day
    /// of its use.
    pub fn poll_learned(&mut self) -> Option<Acquaintance> {
        self.learned.pop_front()
    }

    fn take_back(&mut self, charges: Vec<(Key, Charge)>) {
        for (key, charge) in charges {
            self.table_mut(&key).take_back(&key, charge);
        }
    }

    fn today(&self, now: Instant) -> u32 {
        let (start, unix_s) = self.start;
        day(unix_s.saturating_add(now.saturating_duration_since(start).as_secs()))
    }

    const fn table(&self, key: &Key) -> &Table<Key> {
        match key {
            Key::Network(_) => &self.networks,
            Key::Account(_) => &self.accounts,
            Key::Pair(_) => &self.pairs,
            Key::Registered(_) => &self.registered,
        }
    }

    const fn table_mut(&mut self, key: &Key) -> &mut Table<Key> {
        match key {
            Key::Network(_) => &mut self.networks,
            Key::Account(_) => &mut self.accounts,
            Key::Pair(_) => &mut self.pairs,
            Key::Registered(_) => &mut self.registered,
        }
    }
}

/// Days since 1970.
fn day(unix_s: u64) -> u32 {
    u32::try_from(unix_s / (24 * 3600)).unwrap_or(u32::MAX)
}

/// The network of an address: the address itself, of IPv6 its /64 (RFC 7421).
#[must_use]
pub fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}
