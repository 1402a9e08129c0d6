//! The memory of the gateway before, during and after a flood.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::MOST_MEMORY_AFTER;
use crate::meter::{Memory, memory};

/// Between two looks at the memory.
const STEP: Duration = Duration::from_millis(250);
/// When it is told after a flood, besides the end, in seconds.
const TOLD_AFTER_S: [u64; 2] = [10, 40];

/// Looks at one process now and then.
pub(super) struct Watch {
    pid: u32,
    before: Memory,
    peak: Memory,
    after: Vec<(u64, Memory)>,
}

impl Watch {
    pub(super) fn new(pid: u32) -> Self {
        Self { pid, before: Memory::default(), peak: Memory::default(), after: Vec::new() }
    }

    /// Watches until a moment.
    pub(super) fn until(&mut self, moment: Instant) {
        while let Some(rest) = moment.checked_duration_since(Instant::now()) {
            let now = memory(self.pid);
            self.peak.resident_kib = self.peak.resident_kib.max(now.resident_kib);
            self.peak.anonymous_kib = self.peak.anonymous_kib.max(now.anonymous_kib);
            sleep(rest.min(STEP));
        }
    }

    /// Notes what it is before the flood.
    pub(super) fn note_before(&mut self) {
        self.before = memory(self.pid);
    }

    /// Notes what it is after the flood, until `settle` has passed.
    pub(super) fn note_after(&mut self, flood_until: Instant, settle: Duration) {
        let last = settle.as_secs();
        let told = TOLD_AFTER_S.into_iter().filter(|second| *second < last).chain([last]);
        for second in told {
            self.until(flood_until + Duration::from_secs(second));
            self.after.push((second, memory(self.pid)));
        }
    }

    /// Prints it, and says when it is more than it may be.
    pub(super) fn report(&self, name: &str, faults: &mut Vec<String>) {
        println!("  memory, MiB: before {}, at most {}", self.before, self.peak);
        for (second, after) in &self.after {
            let ratio = after.resident_kib as f64 / self.before.resident_kib.max(1) as f64;
            let anonymous = after.anonymous_kib as f64 / self.before.anonymous_kib.max(1) as f64;
            println!(
                "  memory {second} s after, MiB: {after}: {ratio:.2} times before \
                 (anonymous {anonymous:.2})"
            );
        }
        if let Some((second, after)) = self.after.last() {
            let ratio = after.resident_kib as f64 / self.before.resident_kib.max(1) as f64;
            if ratio > MOST_MEMORY_AFTER {
                faults.push(format!("{name}: {ratio:.2} times the memory {second} s after"));
            }
        }
    }
}
