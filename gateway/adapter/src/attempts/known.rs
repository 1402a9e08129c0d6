//! Which accounts have signed in from which networks and with which devices. They are bounded for
//! each account and in all; the pairs that were not used for longest go first. Pure.

use std::collections::BTreeMap;

use super::{Acquaintance, Mark};

/// How many days after its last use a pair is known.
pub const KNOWN_DAYS: u32 = 30;
/// How many networks and devices of one account are known.
pub const PAIRS_OF_ACCOUNT: usize = 32;
/// How many pairs are known in all.
const PAIRS: usize = 65_536;
/// How many pairs of one account are reported in a day: who signs in from ever other networks does
/// not keep the disk busy.
const REPORTS: usize = 2 * PAIRS_OF_ACCOUNT;

#[derive(Debug, Default)]
struct Account {
    /// Oldest use first.
    pairs: Vec<Mark>,
    /// How many were reported on which day.
    reported: (u32, usize),
}

impl Account {
    fn may_report(&mut self, day: u32) -> bool {
        if self.reported.0 != day {
            self.reported = (day, 0);
        }
        self.reported.1 += 1;
        self.reported.1 <= REPORTS
    }
}

#[derive(Debug, Default)]
pub(super) struct Known {
    acquaintance_of_pair: BTreeMap<Mark, Acquaintance>,
    account_of_mark: BTreeMap<Mark, Account>,
}

impl Known {
    /// From what an earlier life learned.
    pub(super) fn new(learned: &[Acquaintance], today: u32) -> Self {
        let mut learned: Vec<Acquaintance> =
            learned.iter().copied().filter(|learned| is_fresh(learned, today)).collect();
        // Stable: of one day, the order of the store counts.
        learned.sort_by_key(|learned| learned.day);
        let surplus = learned.len().saturating_sub(PAIRS);
        let mut known = Self::default();
        learned.into_iter().skip(surplus).for_each(|learned| {
            known.learn(learned);
        });
        known
    }

    pub(super) fn contains(&self, pair: Mark, today: u32) -> bool {
        self.acquaintance_of_pair.get(&pair).is_some_and(|known| is_fresh(known, today))
    }

    /// Notes a use. True if there is something to be kept: a new pair, or the first use of a day.
    pub(super) fn learn(&mut self, learned: Acquaintance) -> bool {
        let Acquaintance { account, pair, day } = learned;
        let before = self.acquaintance_of_pair.get(&pair).copied();
        if before.is_none() && self.acquaintance_of_pair.len() >= PAIRS {
            self.make_room(day);
        }
        let account = self.account_of_mark.entry(account).or_default();
        account.pairs.retain(|other| *other != pair);
        if account.pairs.len() >= PAIRS_OF_ACCOUNT {
            self.acquaintance_of_pair.remove(&account.pairs.remove(0));
        }
        account.pairs.push(pair);
        self.acquaintance_of_pair.insert(pair, learned);
        before.is_none_or(|before| before.day < day) && account.may_report(day)
    }

    /// Forgets what is too old, or else the oldest eighth: the work is done once for many.
    fn make_room(&mut self, today: u32) {
        self.acquaintance_of_pair.retain(|_, known| is_fresh(known, today));
        if self.acquaintance_of_pair.len() >= PAIRS {
            let mut oldest: Vec<(u32, Mark)> =
                self.acquaintance_of_pair.values().map(|known| (known.day, known.pair)).collect();
            oldest.sort_unstable();
            for (_, pair) in oldest.iter().take(PAIRS / 8) {
                self.acquaintance_of_pair.remove(pair);
            }
        }
        let known = &self.acquaintance_of_pair;
        self.account_of_mark.retain(|_, account| {
            account.pairs.retain(|pair| known.contains_key(pair));
            !account.pairs.is_empty()
        });
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.acquaintance_of_pair.len()
    }
}

const fn is_fresh(known: &Acquaintance, today: u32) -> bool {
    today.saturating_sub(known.day) <= KNOWN_DAYS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(number: usize) -> Acquaintance {
        let mut pair = Mark::default();
        pair[..8].copy_from_slice(&number.to_be_bytes());
        let mut account = Mark::default();
        account[..8].copy_from_slice(&(number / 8).to_be_bytes());
        Acquaintance { account, pair, day: 100 + u32::from(number >= PAIRS) }
    }

    #[test]
    fn many_accounts_are_bounded_and_the_oldest_pairs_go_first() {
        let mut known = Known::default();
        for number in 0..=PAIRS {
            known.learn(learned(number));
        }
        assert_eq!(known.len(), PAIRS - PAIRS / 8 + 1);
        assert!(known.contains(learned(PAIRS).pair, 101), "the newest");
        let accounts = known.account_of_mark.values().map(|account| account.pairs.len());
        assert_eq!(accounts.sum::<usize>(), known.len());
        let all: Vec<Acquaintance> = (0..PAIRS + 1000).map(learned).collect();
        let next_life = Known::new(&all, 101);
        assert_eq!(next_life.len(), PAIRS);
        assert!(
            !next_life.contains(learned(0).pair, 101)
                && next_life.contains(learned(PAIRS).pair, 101)
        );
    }
}
