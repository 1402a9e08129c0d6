//! Who runs where: the relay has one CPU to itself and the generator another, so that neither's
//! cache is the other's; and what else the machine is busy with.

use std::fs;
use std::io;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

/// The CPUs of relay and generator; the same where there is only one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    relay: usize,
    generator: usize,
}

impl Places {
    /// The first and the last CPU this process may use.
    ///
    /// # Errors
    /// When the system does not tell them.
    pub(crate) fn find() -> io::Result<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0))?;
        let is_allowed = |cpu: &usize| allowed.is_set(*cpu).unwrap_or(false);
        let mut cpus = (0..CpuSet::count()).filter(is_allowed);
        let generator = cpus.next().unwrap_or(0);
        Ok(Self { relay: cpus.next_back().unwrap_or(generator), generator })
    }

    /// Runs `start` with the relay's CPU as the only one, which a process started in there inherits.
    ///
    /// # Errors
    /// Those of `start`, and of the system.
    pub(crate) fn at_the_relays<T>(self, start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        pin(self.relay)?;
        let started = start();
        pin(self.generator)?;
        started
    }
}

/// Binds the calling thread, and those it starts, to one CPU.
fn pin(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// Lets this process and its children open as many files as the system allows: a stream through a
/// relay takes four sockets.
pub(crate) fn raise_file_limit() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // With less, fewer streams can be set up, which is told then.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}

/// Threads that ran or wanted to, on average over the last minute, and now of how many.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let average = text.split(' ').next().unwrap_or("?").to_owned();
    let running = text.split(' ').nth(3).unwrap_or("?").to_owned();
    format!("load {average} ({running} threads)")
}
