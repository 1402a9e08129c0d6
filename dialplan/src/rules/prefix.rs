//! Rules by prefix: a sorted table, asked once for each length a prefix can have.

use super::Candidate;

/// Longest prefix, in letters: what fits the key.
const MAX_PREFIX: usize = 15;

/// One prefix of one rule: 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    key: u64,
    pub(super) order: u32,
    pub(super) conditions: u32,
    pub(super) action: u32,
    pub(super) cost: u32,
}

impl Entry {
    pub(super) fn new(prefix: &str, found: &Candidate) -> Option<Self> {
        let digits = prefix.strip_prefix('+').unwrap_or(prefix);
        let is_fine = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let key = key(prefix.as_bytes()).filter(|_| is_fine)?;
        let Candidate { order, conditions, action, cost } = *found;
        Some(Self { key, order, conditions, action, cost })
    }

    /// The rule it stands for.
    pub(super) const fn candidate(&self) -> Candidate {
        let Self { order, conditions, action, cost, .. } = *self;
        Candidate { order, conditions, action, cost }
    }

    /// Letters of the prefix.
    pub(super) const fn len(&self) -> usize {
        (self.key >> 60) as usize
    }
}

/// The length in the upper four bits, then four bits a letter.
fn key(prefix: &[u8]) -> Option<u64> {
    if prefix.len() > MAX_PREFIX {
        return None;
    }
    let mut key = prefix.len() as u64;
    for place in 0..MAX_PREFIX {
        let letter = match prefix.get(place) {
            Some(byte @ b'0'..=b'9') => u64::from(byte - b'0'),
            Some(b'+') => 10,
            Some(b'*') => 11,
            Some(b'#') => 12,
            Some(_) => return None,
            None => 15,
        };
        key = (key << 4) | letter;
    }
    Some(key)
}

/// All prefixes, by their keys.
#[derive(Debug, Default)]
pub(super) struct PrefixTable {
    entries: Box<[Entry]>,
}

impl PrefixTable {
    pub(super) fn new(mut entries: Vec<Entry>) -> Self {
        entries.sort_unstable();
        Self { entries: entries.into_boxed_slice() }
    }

    /// The entries whose prefix `number` begins with: those of the longest prefix first.
    pub(super) fn longest_first(&self, number: &str) -> impl Iterator<Item = &[Entry]> {
        let letters = number.as_bytes();
        let longest = if self.entries.is_empty() { 0 } else { letters.len().min(MAX_PREFIX) };
        (1..=longest).rev().filter_map(move |len| {
            let key = key(&letters[..len])?;
            let start = self.entries.partition_point(|entry| entry.key < key);
            let rest = &self.entries[start..];
            let end = rest.partition_point(|entry| entry.key == key);
            (end > 0).then_some(&rest[..end])
        })
    }

    pub(super) fn size_bytes(&self) -> usize {
        size_of_val(&*self.entries)
    }
}
