//! What a process has cost so far, as the kernel's scheduler counts it, and the memory it has.

use std::fmt;
use std::fs;
use std::io;
use std::time::Duration;

/// CPU time of all threads of a process (`/proc/PID/task/*/schedstat`, first number: nanoseconds on
/// a CPU).
///
/// # Errors
/// When there is no such process.
pub(crate) fn cpu_time(pid: u32) -> io::Result<Duration> {
    let mut nanoseconds = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end between being listed and being read.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        nanoseconds += first_number(&text).unwrap_or_default();
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// What a process has of the machine's memory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// All of it, in KiB: the program's own pages are a part.
    pub(crate) resident_kib: u64,
    /// What it has asked for itself, in KiB.
    pub(crate) anonymous_kib: u64,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |kib: u64| kib as f64 / 1024.0;
        write!(f, "{:.1} ({:.1} anonymous)", mib(self.resident_kib), mib(self.anonymous_kib))
    }
}

/// The memory of a process now (`/proc/PID/smaps_rollup`); nothing when there is no such process.
pub(crate) fn memory(pid: u32) -> Memory {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let kib = |name: &str| {
        let rest = text.lines().find_map(|line| line.strip_prefix(name));
        rest.and_then(first_number).unwrap_or_default()
    };
    Memory { resident_kib: kib("Rss:"), anonymous_kib: kib("Anonymous:") }
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_lives_has_cost_something() {
        assert!(cpu_time(std::process::id()).unwrap() > Duration::ZERO);
        assert!(cpu_time(u32::MAX).is_err());
    }

    #[test]
    fn a_process_that_lives_has_memory() {
        let own = memory(std::process::id());
        assert!(own.anonymous_kib > 0 && own.resident_kib > own.anonymous_kib);
        assert_eq!(memory(u32::MAX).resident_kib, 0);
    }
}
