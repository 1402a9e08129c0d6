//! A private network of this process: only a loopback, so that nothing measured is seen outside, and
//! nothing outside is in the way.

use std::io;
use std::process::Command;

use nix::sched::{CloneFlags, unshare};

/// Leaves the machine's network for one of our own. Must be called before any thread is started.
///
/// # Errors
/// When the system does not allow it, or has no `ip`.
pub(crate) fn enter_private() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    let status = Command::new("ip").args(["link", "set", "lo", "up"]).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("ip cannot start loopback")) }
}
