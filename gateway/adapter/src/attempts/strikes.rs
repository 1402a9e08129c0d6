//! Strikes that are forgiven with time, and the bans they bring: one table of bounded size for each
//! kind of thing that can be struck. Pure; time is an argument.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How many strikes are free, and what follows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    /// The last of so many strikes brings the first ban.
    pub(super) free: u32,
    /// The first ban; each further strike doubles it.
    pub(super) first: Duration,
    /// No ban is longer.
    pub(super) longest: Duration,
    /// How long it takes until one strike is forgiven.
    pub(super) forgiven_in: Duration,
}

impl Limit {
    /// The ban that a strike brings when there are so many with it.
    fn ban(&self, strikes: u32) -> Option<Duration> {
        let doublings = strikes.checked_sub(self.free)?;
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        Some(self.first.saturating_mul(factor).min(self.longest))
    }

    /// More strikes than these are not counted: the ban is the longest already.
    fn most(&self) -> u32 {
        let is_growing = |strikes: &u32| self.ban(*strikes).is_none_or(|ban| ban < self.longest);
        (self.free..).find(|strikes| !is_growing(strikes)).unwrap_or(self.free)
    }
}

/// What an attempt did to one table, so that it can be undone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Charge {
    /// By how much `clean_at` was moved.
    added: Duration,
    /// The ban that this charge began: how long it is, and until when.
    ban: Option<(Duration, Instant)>,
}

/// The strikes of one key. The moment at which the last is forgiven says how many there are (the
/// generic cell rate algorithm, ITU-T I.371).
#[derive(Clone, Copy, Debug)]
struct Strikes {
    clean_at: Instant,
    banned_until: Instant,
}

impl Strikes {
    fn count(&self, limit: &Limit, now: Instant) -> u32 {
        let left = self.clean_at.saturating_duration_since(now).as_millis();
        let count = left.div_ceil(limit.forgiven_in.as_millis());
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    fn is_clean(&self, now: Instant) -> bool {
        self.clean_at <= now && self.banned_until <= now
    }
}

/// The strikes of every key of one kind.
#[derive(Debug)]
pub(super) struct Table<K> {
    limit: Limit,
    room: usize,
    strikes_of_key: BTreeMap<K, Strikes>,
}

impl<K: Clone + Ord> Table<K> {
    pub(super) const fn new(limit: Limit, room: usize) -> Self {
        Self { limit, room, strikes_of_key: BTreeMap::new() }
    }

    /// How long the key is still banned, if it is.
    pub(super) fn wait(&self, key: &K, now: Instant) -> Option<Duration> {
        let strikes = self.strikes_of_key.get(key)?;
        strikes.banned_until.checked_duration_since(now).filter(|wait| !wait.is_zero())
    }

    /// Adds a strike, and begins its ban.
    pub(super) fn charge(&mut self, key: K, now: Instant) -> Charge {
        if !self.strikes_of_key.contains_key(&key) && self.strikes_of_key.len() >= self.room {
            self.make_room(now);
        }
        let fresh = Strikes { clean_at: now, banned_until: now };
        let strikes = self.strikes_of_key.entry(key).or_insert(fresh);
        let before = strikes.clean_at.max(now);
        let most = now + self.limit.forgiven_in * self.limit.most();
        strikes.clean_at = (before + self.limit.forgiven_in).min(most).max(before);
        let added = strikes.clean_at.saturating_duration_since(before);
        let ban = self.limit.ban(strikes.count(&self.limit, now)).map(|ban| (ban, now + ban));
        if let Some((_, until)) = ban {
            strikes.banned_until = until;
        }
        Charge { added, ban }
    }

    /// A charge was right to be made: its ban begins now.
    pub(super) fn confirm(&mut self, key: &K, charge: Charge, now: Instant) {
        if let (Some(strikes), Some((ban, until))) = (self.strikes_of_key.get_mut(key), charge.ban)
            && strikes.banned_until == until
        {
            strikes.banned_until = until.max(now + ban);
        }
    }

    /// Undoes a charge. Bans of other charges stay; there was none when this one was made.
    pub(super) fn take_back(&mut self, key: &K, charge: Charge) {
        if let Some(strikes) = self.strikes_of_key.get_mut(key) {
            let clean_at = strikes.clean_at.checked_sub(charge.added);
            strikes.clean_at = clean_at.unwrap_or(strikes.clean_at);
            if let Some((ban, until)) = charge.ban
                && strikes.banned_until == until
            {
                strikes.banned_until = until.checked_sub(ban).unwrap_or(until);
            }
        }
    }

    /// Forgets what is as good as new, or else the eighth that comes nearest to it. So a flood of
    /// new keys pushes out its own, and none with many strikes.
    fn make_room(&mut self, now: Instant) {
        self.strikes_of_key.retain(|_, strikes| !strikes.is_clean(now));
        if self.strikes_of_key.len() < self.room {
            return;
        }
        let mut times: Vec<Instant> =
            self.strikes_of_key.values().map(|strikes| strikes.clean_at).collect();
        let mut surplus = self.room / 8 + 1;
        let (_, limit, _) = times.select_nth_unstable(surplus - 1);
        let limit = *limit;
        self.strikes_of_key.retain(|_, strikes| {
            let goes = surplus > 0 && strikes.clean_at <= limit;
            surplus -= usize::from(goes);
            !goes
        });
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.strikes_of_key.len()
    }
}
