//! Token buckets: how much one source, account or trunk may ask of us.

use std::collections::BTreeMap;
use std::time::Instant;

/// Buckets remembered at once. When all are taken the fullest are forgotten first: they belong to
/// those who ask least.
const MAX_BUCKETS: usize = 8_192;

/// One bucket for every key.
#[derive(Debug)]
pub struct Buckets<K> {
    per_second: f64,
    burst: f64,
    bucket_of: BTreeMap<K, Bucket>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    filled_at: Instant,
}

impl<K: Ord + Clone> Buckets<K> {
    /// Makes buckets of `burst` tokens, refilled by `per_second`.
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self {
            per_second: f64::from(per_second),
            burst: f64::from(burst.max(1)),
            bucket_of: BTreeMap::new(),
        }
    }

    /// Takes one token; `false` when there is none.
    pub fn take(&mut self, key: K, now: Instant) -> bool {
        if !self.bucket_of.contains_key(&key) {
            self.make_room(now);
        }
        let full = Bucket { tokens: self.burst, filled_at: now };
        let (per_second, burst) = (self.per_second, self.burst);
        let bucket = self.bucket_of.entry(key).or_insert(full);
        bucket.refill(now, per_second, burst);
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }

    fn make_room(&mut self, now: Instant) {
        if self.bucket_of.len() < MAX_BUCKETS {
            return;
        }
        let (per_second, burst) = (self.per_second, self.burst);
        let mut fill: Vec<(K, f64)> = Vec::with_capacity(MAX_BUCKETS);
        for (key, bucket) in &mut self.bucket_of {
            bucket.refill(now, per_second, burst);
            fill.push((key.clone(), bucket.tokens));
        }
        fill.sort_by(|a, b| b.1.total_cmp(&a.1));
        for (key, _) in fill.iter().take(MAX_BUCKETS / 2) {
            self.bucket_of.remove(key);
        }
    }
}

impl Bucket {
    fn refill(&mut self, now: Instant, per_second: f64, burst: f64) {
        let seconds = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + seconds * per_second).min(burst);
        self.filled_at = now.max(self.filled_at);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use std::net::IpAddr;

    use gateway_adapter::attempts::network;

    use super::*;
    use crate::testing::start;

    #[test]
    fn a_source_gets_its_burst_and_then_its_rate() {
        let now = start();
        let mut buckets = Buckets::new(2, 3);
        let source = IpAddr::from([192, 0, 2, 1]);
        assert_eq!((0..5).filter(|_| buckets.take(source, now)).count(), 3);
        let later = now + Duration::from_secs(1);
        assert_eq!((0..5).filter(|_| buckets.take(source, later)).count(), 2);
        assert!(buckets.take(IpAddr::from([192, 0, 2, 2]), now));
    }

    #[test]
    fn a_subscriber_with_many_ipv6_addresses_has_one_bucket() {
        let now = start();
        let mut buckets = Buckets::new(1, 1);
        let source = |text: &str| network(text.parse().unwrap());
        assert!(buckets.take(source("2001:db8::1"), now));
        assert!(!buckets.take(source("2001:db8::2"), now));
        assert!(buckets.take(source("::ffff:192.0.2.1"), now));
        assert!(!buckets.take(source("192.0.2.1"), now));
    }

    #[test]
    fn a_flood_of_sources_takes_bounded_memory_and_frees_no_offender() {
        let now = start();
        let mut buckets = Buckets::new(1, 10);
        let offender = IpAddr::from([203, 0, 113, 9]);
        while buckets.take(offender, now) {}
        for n in 0..40_000_u32 {
            buckets.take(IpAddr::from(n.to_be_bytes()), now);
        }
        assert!(buckets.bucket_of.len() <= MAX_BUCKETS);
        assert!(!buckets.take(offender, now));
    }
}
