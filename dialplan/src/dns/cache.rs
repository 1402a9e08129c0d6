//! Answers kept as long as they are good, and a while longer for when servers fail. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::lookup::{Answer, Failure, Question};

/// Longest an answer is kept as good, whatever its TTL.
const MAX_TTL_S: u32 = 24 * 3600;
/// Longest the absence of something is kept (RFC 2308 §5 names one to three hours).
const MAX_NEGATIVE_TTL_S: u32 = 3600;
/// How long a failure is kept: servers in trouble are not asked at every call (RFC 2308 §7).
const FAILURE: Duration = Duration::from_secs(2);
/// How long an answer may be used after its time while servers fail (RFC 8767 §5 names days).
const STALE: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug)]
struct Entry {
    answer: Answer,
    good_until: Instant,
    kept_until: Instant,
    /// When the servers failed last; until shortly after, nobody asks again.
    failed_at: Option<Instant>,
}

/// Answers by their questions.
#[derive(Debug)]
pub struct Cache {
    entries: BTreeMap<Question, Entry>,
    ends: BTreeSet<(Instant, Question)>,
    capacity: usize,
}

impl Cache {
    /// A cache for so many answers.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self { entries: BTreeMap::new(), ends: BTreeSet::new(), capacity }
    }

    /// How many answers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The answer, while it is good; its TTL is what is left of it.
    #[must_use]
    pub fn find(&self, question: &Question, now: Instant) -> Option<Answer> {
        let entry = self.entries.get(question)?;
        if now < entry.good_until {
            return Some(with_ttl(&entry.answer, left_s(entry.good_until, now), false));
        }
        let failed_at = entry.failed_at?;
        (now < failed_at + FAILURE && now < entry.kept_until)
            .then(|| with_ttl(&entry.answer, left_s(failed_at + FAILURE, now), true))
    }

    /// Takes a new answer, and says what to use: the last good one in place of a failure. What is
    /// bogus replaces nothing and is replaced by nothing.
    pub fn take(&mut self, question: &Question, answer: Answer, now: Instant) -> Answer {
        let time = match &answer {
            Answer::Found { ttl_s, .. } => (*ttl_s).clamp(1, MAX_TTL_S),
            Answer::Nothing { ttl_s, .. } => (*ttl_s).clamp(1, MAX_NEGATIVE_TTL_S),
            Answer::Failed(
                Failure::Bogus
                | Failure::BadName
                | Failure::TooMany
                | Failure::NoServer
                | Failure::NotAsked,
            ) => return answer,
            Answer::Failed(Failure::ServFail | Failure::Timeout) => {
                return self.last_good(question, now).unwrap_or_else(|| {
                    let (good_until, kept_until) = (now + FAILURE, now + FAILURE);
                    let entry =
                        Entry { answer: answer.clone(), good_until, kept_until, failed_at: None };
                    self.insert(question, entry);
                    answer
                });
            }
        };
        let good_until = now + Duration::from_secs(time.into());
        let entry = Entry {
            answer: answer.clone(),
            good_until,
            kept_until: good_until + STALE,
            failed_at: None,
        };
        self.insert(question, entry);
        answer
    }

    fn last_good(&mut self, question: &Question, now: Instant) -> Option<Answer> {
        let entry = self.entries.get_mut(question)?;
        let is_good = match &entry.answer {
            Answer::Found { .. } | Answer::Nothing { .. } => now < entry.kept_until,
            Answer::Failed(_) => false,
        };
        is_good.then(|| {
            entry.failed_at = Some(now);
            with_ttl(&entry.answer, left_s(now + FAILURE, now), true)
        })
    }

    fn insert(&mut self, question: &Question, entry: Entry) {
        self.ends.insert((entry.kept_until, question.clone()));
        if let Some(before) = self.entries.insert(question.clone(), entry) {
            let is_other = self.entries[question].kept_until != before.kept_until;
            if is_other {
                self.ends.remove(&(before.kept_until, question.clone()));
            }
        }
        while self.entries.len() > self.capacity {
            let Some((_, oldest)) = self.ends.pop_first() else { break };
            self.entries.remove(&oldest);
        }
    }
}

fn left_s(until: Instant, now: Instant) -> u32 {
    u32::try_from(until.saturating_duration_since(now).as_secs()).unwrap_or(u32::MAX)
}

fn with_ttl(answer: &Answer, left_s: u32, is_old: bool) -> Answer {
    let mut answer = answer.clone();
    match &mut answer {
        Answer::Found { ttl_s, is_stale, .. } | Answer::Nothing { ttl_s, is_stale, .. } => {
            (*ttl_s, *is_stale) = (left_s, is_old);
        }
        Answer::Failed(_) => {}
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::{Kind, Proof, Record};

    fn question(name: &str) -> Question {
        Question { name: name.into(), kind: Kind::A }
    }

    fn found(ttl_s: u32) -> Answer {
        let records = vec![Record::A([192, 0, 2, 1].into())];
        Answer::Found { records, ttl_s, proof: Proof::Insecure, is_stale: false }
    }

    const SERVFAIL: Answer = Answer::Failed(Failure::ServFail);

    #[test]
    fn an_answer_is_good_for_its_ttl_and_then_asked_for_again() {
        let (mut cache, start, a) = (Cache::new(10), Instant::now(), question("a"));
        cache.take(&a, found(60), start);
        assert_eq!(cache.find(&a, start + Duration::from_secs(20)), Some(found(40)));
        assert_eq!(cache.find(&a, start + Duration::from_secs(60)), None);
        assert_eq!(cache.find(&question("b"), start), None);
    }

    #[test]
    fn absence_is_kept_but_not_for_long() {
        let (mut cache, start, a) = (Cache::new(10), Instant::now(), question("a"));
        let nothing = Answer::Nothing { ttl_s: 1_000_000, proof: Proof::Secure, is_stale: false };
        cache.take(&a, nothing, start);
        assert!(cache.find(&a, start + Duration::from_secs(3599)).is_some());
        assert!(cache.find(&a, start + Duration::from_secs(3600)).is_none());
    }

    #[test]
    fn the_last_good_answer_serves_while_servers_fail_but_not_for_ever() {
        let (mut cache, start, a) = (Cache::new(10), Instant::now(), question("a"));
        cache.take(&a, found(60), start);
        let later = start + Duration::from_secs(100);
        let answer = cache.take(&a, SERVFAIL, later);
        assert!(matches!(answer, Answer::Found { is_stale: true, .. }), "{answer:?}");
        assert!(cache.find(&a, later + Duration::from_secs(1)).is_some(), "servers are left alone");
        assert!(cache.find(&a, later + Duration::from_secs(3)).is_none(), "and asked again");
        let much_later = start + Duration::from_secs(60) + STALE;
        assert_eq!(cache.take(&a, SERVFAIL, much_later), SERVFAIL);
        assert_eq!(cache.find(&a, much_later), Some(SERVFAIL));
    }

    #[test]
    fn a_lie_is_neither_kept_nor_covered_up() {
        let (mut cache, start, a) = (Cache::new(10), Instant::now(), question("a"));
        cache.take(&a, found(60), start);
        let bogus = Answer::Failed(Failure::Bogus);
        assert_eq!(cache.take(&a, bogus.clone(), start + Duration::from_secs(100)), bogus);
    }

    #[test]
    fn a_full_cache_drops_what_ends_first() {
        let (mut cache, start) = (Cache::new(100), Instant::now());
        for at in 0..1000 {
            cache.take(&question(&at.to_string()), found(100 + at), start);
            cache.take(&question(&at.to_string()), found(100 + at), start);
        }
        assert_eq!((cache.len(), cache.ends.len()), (100, 100));
        assert!(cache.find(&question("999"), start).is_some());
        assert!(cache.find(&question("0"), start).is_none());
    }
}
