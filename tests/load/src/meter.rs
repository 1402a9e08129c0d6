//! What a process has cost so far, as the kernel's scheduler counts it.

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
}
