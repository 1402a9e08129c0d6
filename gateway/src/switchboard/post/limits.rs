//! What messages are taken: how many, how large, of what kind. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gateway_core::Cause;
use gateway_core::delivery::Patience;
use gateway_core::message::{MAX_BODY, MAX_SENDER_ID, Message};
use serde::{Deserialize, Serialize};

/// How many buckets are kept before those that are full again are forgotten.
const BUCKETS: usize = 4096;

/// `[messages]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct MessagesConfig {
    /// Media types that are carried everywhere. `application/...` is carried untouched between Procom
    /// clients alone: it may be encrypted end to end.
    pub content_types: Vec<String>,
    /// Messages one sender may write in a minute.
    pub per_minute: u32,
    /// Of these, at once.
    pub at_once: u32,
    /// Messages a minute to one recipient, of all senders.
    pub per_minute_to_one: u32,
    /// Messages that may wait for one account.
    pub most_waiting: usize,
    /// Messages that may be under way at once, those that wait for an account apart.
    pub most_under_way: usize,
    /// How long a message waits for an account that is away, in seconds.
    pub life_offline_s: u64,
    /// How long a message is tried towards other networks, in seconds.
    pub life_s: u64,
    /// How long after the first failure a message is tried again, in milliseconds; each time twice
    /// as long.
    pub first_retry_ms: u64,
    /// The longest time between two attempts, in seconds.
    pub longest_retry_s: u64,
}

impl Default for MessagesConfig {
    fn default() -> Self {
        Self {
            content_types: vec!["text/plain".to_owned(), "text/markdown".to_owned()],
            per_minute: 300,
            at_once: 60,
            per_minute_to_one: 1200,
            most_waiting: 1000,
            most_under_way: 20_000,
            life_offline_s: 7 * 24 * 3600,
            life_s: 24 * 3600,
            first_retry_ms: 2000,
            longest_retry_s: 600,
        }
    }
}

impl MessagesConfig {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// The key, and what is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        let counts = [
            ("per_minute", u64::from(self.per_minute)),
            ("at_once", u64::from(self.at_once)),
            ("per_minute_to_one", u64::from(self.per_minute_to_one)),
            ("most_waiting", self.most_waiting as u64),
            ("most_under_way", self.most_under_way as u64),
            ("life_offline_s", self.life_offline_s),
            ("life_s", self.life_s),
            ("first_retry_ms", self.first_retry_ms),
            ("longest_retry_s", self.longest_retry_s),
        ];
        for (key, count) in counts {
            if count == 0 {
                return Err(format!("messages.{key}: must be at least 1"));
            }
        }
        // A year: more is a mistake, and bodies are not kept for ever.
        for (key, seconds) in [("life_offline_s", self.life_offline_s), ("life_s", self.life_s)] {
            if seconds > 366 * 24 * 3600 {
                return Err(format!("messages.{key}: at most a year"));
            }
        }
        Ok(())
    }

    pub(super) const fn patience(&self) -> Patience {
        Patience {
            first_retry: Duration::from_millis(self.first_retry_ms),
            longest_retry: Duration::from_secs(self.longest_retry_s),
        }
    }

    /// Whether the body may be one that only the two ends can read.
    pub(super) fn is_opaque(&self, content: &str) -> bool {
        content.starts_with("application/") && !self.content_types.iter().any(|it| it == content)
    }

    /// Why a message cannot be taken as it stands, if it cannot.
    pub(super) fn fault(&self, message: &Message) -> Option<(Cause, String)> {
        let refused = |why: String| Some((Cause::NotAcceptable, why));
        if message.body.is_empty() {
            return refused("an empty message is not sent".to_owned());
        }
        if message.body.len() > MAX_BODY {
            let len = message.body.len();
            return refused(format!("a message has at most {MAX_BODY} bytes; this one has {len}"));
        }
        if message.body.as_str().contains('\0') {
            return refused("a message has no NUL in it".to_owned());
        }
        let has_id = (1..=MAX_SENDER_ID).contains(&message.sender_id.len());
        if !has_id || message.sender_id.chars().any(char::is_control) {
            return refused(format!("the id of a message has 1 to {MAX_SENDER_ID} bytes"));
        }
        let is_known = self.content_types.contains(&message.content);
        if !is_known && !self.is_opaque(&message.content) {
            let known = self.content_types.join(", ");
            return refused(format!("this kind of message is not carried; {known} are"));
        }
        None
    }
}

/// How fast somebody may go: the generic cell rate algorithm (ITU-T I.371), by name.
#[derive(Debug)]
pub(super) struct Buckets {
    every: Duration,
    at_once: u32,
    full_at: BTreeMap<String, Instant>,
}

impl Buckets {
    pub(super) fn new(per_minute: u32, at_once: u32) -> Self {
        let every = Duration::from_secs(60) / per_minute.max(1);
        Self { every, at_once, full_at: BTreeMap::new() }
    }

    /// Takes one for that name, if there is one.
    pub(super) fn take(&mut self, name: &str, now: Instant) -> bool {
        if self.full_at.len() >= BUCKETS {
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        let full_at = self.full_at.get(name).copied().unwrap_or(now).max(now) + self.every;
        if full_at.duration_since(now) > self.every * self.at_once {
            return false;
        }
        self.full_at.insert(name.to_owned(), full_at);
        true
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some moment to start at")]
mod tests {
    use super::*;
    use gateway_core::Address;
    use gateway_core::route::Require;

    fn message(body: &str, content: &str) -> Message {
        Message {
            sender_id: "m1".into(),
            to: Address::procom("bob"),
            dialled: None,
            content: content.into(),
            body: body.into(),
            thread: None,
            at_ms: 0,
            require: Require::Any,
            may_fall_back: false,
            wants_receipts: true,
            hops_left: None,
        }
    }

    #[test]
    fn what_cannot_be_carried_is_refused_with_the_limit() {
        let config = MessagesConfig::default();
        let why = |body: &str, content| config.fault(&message(body, content)).map(|(_, why)| why);
        assert_eq!(why("x", "text/plain"), None);
        assert_eq!(why(&"x".repeat(MAX_BODY), "text/plain"), None);
        assert_eq!(why("x", "application/omemo"), None);
        assert!(why("", "text/plain").is_some_and(|why| why.contains("empty")));
        assert!(
            why(&"x".repeat(MAX_BODY + 1), "text/plain").is_some_and(|why| why.contains("32768"))
        );
        assert!(why("a\0b", "text/plain").is_some_and(|why| why.contains("NUL")));
        assert!(why("x", "image/png").is_some_and(|why| why.contains("text/markdown")));
    }

    #[test]
    fn a_sender_has_its_burst_and_then_its_rate() {
        let mut buckets = Buckets::new(60, 3);
        let now = Instant::now();
        assert!((0..3).all(|_| buckets.take("alice", now)));
        assert!(!buckets.take("alice", now));
        assert!(buckets.take("bob", now), "another's bucket");
        assert!(buckets.take("alice", now + Duration::from_secs(1)));
    }

    #[test]
    fn a_limit_of_nothing_is_a_fault_of_the_configuration() {
        let config = MessagesConfig { per_minute: 0, ..MessagesConfig::default() };
        assert!(config.check().is_err_and(|why| why.contains("messages.per_minute")));
        assert_eq!(MessagesConfig::default().check(), Ok(()));
    }
}
