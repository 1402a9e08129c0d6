//! What was heard of lately, oldest forgotten first. Pure.

use std::collections::{BTreeMap, VecDeque};

/// So many keys with what is known of each.
#[derive(Debug)]
pub(crate) struct Memory<K, V> {
    limit: usize,
    known: BTreeMap<K, V>,
    oldest_first: VecDeque<K>,
}

impl<K: Ord + Clone, V> Memory<K, V> {
    /// An empty one for at most so many.
    pub(crate) const fn new(limit: usize) -> Self {
        Self { limit, known: BTreeMap::new(), oldest_first: VecDeque::new() }
    }

    /// What is known of it.
    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.known.get(key)
    }

    /// Notes it; its age stays that of the first time. Returns what had to be forgotten for it.
    pub(crate) fn note(&mut self, key: K, value: V) -> Option<V> {
        if self.known.insert(key.clone(), value).is_some() {
            return None;
        }
        self.oldest_first.push_back(key);
        if self.oldest_first.len() <= self.limit {
            return None;
        }
        self.oldest_first.pop_front().and_then(|oldest| self.known.remove(&oldest))
    }

    /// Forgets it.
    pub(crate) fn forget<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
    {
        let value = self.known.remove(key)?;
        self.oldest_first.retain(|known| known.borrow() != key);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;

    #[test]
    fn the_oldest_is_forgotten_first_and_nothing_before_it_must() {
        let mut memory = Memory::new(2);
        assert_eq!(memory.note("a", 1), None);
        assert_eq!(memory.note("b", 2), None);
        assert_eq!(memory.note("a", 3), None);
        assert_eq!(memory.note("c", 4), Some(3));
        assert_eq!((memory.get("a"), memory.get("b"), memory.get("c")), (None, Some(&2), Some(&4)));
        assert_eq!(memory.forget("b"), Some(2));
        assert_eq!(memory.note("d", 5), None);
    }
}
