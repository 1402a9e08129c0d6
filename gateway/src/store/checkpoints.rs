//! Takes what was committed over from the write-ahead log into the database itself, beside the
//! thread that writes, so that nobody waits for it.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use rusqlite::Connection;

/// How often.
const EVERY: Duration = Duration::from_millis(500);

/// A thread that ends with this.
#[derive(Debug)]
pub(super) struct Checkpoints {
    _running: Sender<()>,
}

impl Checkpoints {
    /// Starts the thread.
    pub(super) fn start(path: &Path) -> std::io::Result<Self> {
        let (_running, stopped) = channel::<()>();
        let path: PathBuf = path.to_owned();
        std::thread::Builder::new().name("checkpoints".into()).spawn(move || {
            let Ok(connection) = Connection::open(&path) else { return };
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                // A disk that takes nothing is the writer's to tell of.
                let _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
            }
        })?;
        Ok(Self { _running })
    }
}
