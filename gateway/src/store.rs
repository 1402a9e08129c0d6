//! What must survive a `kill -9`: how to end the far side of every live dialog, and the records of
//! calls. SQLite, one file, write-ahead log; one thread writes, and commits what waited together.
//!
//! ```text
//! switchboard --Write (bounded, never waits)--> writer thread --> gateway.db
//! start       <--Unfinished: what an earlier life left behind-----
//! ```
//!
//! Records hold no addresses, only keyed hashes of them, and are gone after the retention time.

mod schema;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use gateway_core::call::Record;
use gateway_core::{Address, LegId};
use ring::hmac;
use rusqlite::{Connection, params};

/// How many writes may wait for the disk.
const QUEUE: usize = 8192;
/// How many writes share a commit.
const TOGETHER: usize = 512;
/// How long call records are kept by default.
pub const RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the store {path}: {why}")]
pub struct StoreFault {
    path: String,
    why: String,
}

/// What an earlier life of the gateway left unfinished: to be released by its adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The key to forget it by.
    pub key: u64,
    /// The adapter it belongs to.
    pub adapter: String,
    /// What the adapter wrote of it.
    pub entry: Vec<u8>,
}

enum Write {
    Journal { leg: LegId, adapter: &'static str, entry: Option<Vec<u8>> },
    Released(u64),
    Began { call: u64, from: String, to: String, at_ms: i64 },
    Ended { call: u64, at_ms: i64, record: Box<Record> },
}

/// The store. Writing never waits for the disk.
#[derive(Debug)]
pub struct Store {
    sender: SyncSender<Write>,
    key: hmac::Key,
    writer: Option<JoinHandle<()>>,
}

impl Store {
    /// Opens the store in `folder`, brings it up to date, closes the records of calls that a crash
    /// cut off, and returns what their dialogs left.
    ///
    /// # Errors
    /// The file cannot be made, read or understood.
    pub fn open(folder: &Path, now_ms: i64) -> Result<(Self, Vec<Unfinished>), StoreFault> {
        let path = folder.join("gateway.db");
        let fault = |why: &dyn std::fmt::Display| StoreFault {
            path: path.display().to_string(),
            why: why.to_string(),
        };
        let key = hash_key(folder).map_err(|why| fault(&why))?;
        // The journal holds addresses while a call is up: nobody else reads it, whatever the umask.
        // SQLite gives its other files the rights of this one.
        own_file(&path).map_err(|why| fault(&why))?;
        let mut connection = Connection::open(&path).map_err(|why| fault(&why))?;
        let prepared = schema::prepare(&mut connection, now_ms).map_err(|why| fault(&why))?;
        let (sender, receiver) = sync_channel(QUEUE);
        let boot = prepared.boot;
        let writer = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || run(&mut connection, boot, &receiver))
            .map_err(|why| fault(&why))?;
        Ok((Self { sender, key, writer: Some(writer) }, prepared.unfinished))
    }

    /// Keeps, or forgets, how to end this leg's far side after a crash.
    pub fn journal(&self, leg: LegId, adapter: &'static str, entry: Option<Vec<u8>>) {
        self.send(Write::Journal { leg, adapter, entry });
    }

    /// What an earlier life left behind under this key has been dealt with.
    pub fn released(&self, key: u64) {
        self.send(Write::Released(key));
    }

    /// A call began.
    pub fn began(&self, call: u64, from: &Address, to: &Address, at_ms: i64) {
        self.send(Write::Began { call, from: self.hash(from), to: self.hash(to), at_ms });
    }

    /// A call is over.
    pub fn ended(&self, call: u64, at_ms: i64, record: Record) {
        self.send(Write::Ended { call, at_ms, record: Box::new(record) });
    }

    /// A keyed hash: the same address can be found again by whoever has the key, nobody else.
    fn hash(&self, address: &Address) -> String {
        let tag = hmac::sign(&self.key, address.to_string().as_bytes());
        tag.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn send(&self, write: Write) {
        if let Err(TrySendError::Full(_)) = self.sender.try_send(write) {
            tracing::warn!("the store is too slow: a record is lost");
        }
    }
}

/// Writes what still waits.
impl Drop for Store {
    fn drop(&mut self) {
        let (closed, _) = sync_channel(1);
        drop(std::mem::replace(&mut self.sender, closed));
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn own_file(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

/// Reads the key of the hashes, or makes it on the first start.
fn hash_key(folder: &Path) -> Result<hmac::Key, std::io::Error> {
    let path: PathBuf = folder.join("records.key");
    let bytes = match std::fs::read(&path) {
        Ok(bytes) if bytes.len() >= 32 => bytes,
        Ok(_) | Err(_) => {
            let bytes = crate::secrets::random::<32>().to_vec();
            crate::secrets::write_private(&path, &bytes)?;
            bytes
        }
    };
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

fn run(connection: &mut Connection, boot: i64, writes: &Receiver<Write>) {
    while let Ok(first) = writes.recv() {
        let mut batch = vec![first];
        batch.extend(writes.try_iter().take(TOGETHER));
        if let Err(why) = commit(connection, boot, &batch) {
            // Calls go on without their records: the disk may be full, and may be freed.
            tracing::warn!(%why, lost = batch.len(), "the store cannot write");
        }
    }
}

fn commit(connection: &mut Connection, boot: i64, batch: &[Write]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for write in batch {
        match write {
            Write::Journal { leg, adapter, entry: Some(entry) } => transaction
                .prepare_cached(schema::PUT_JOURNAL)?
                .execute(params![boot, leg.0, adapter, entry])?,
            Write::Journal { leg, entry: None, .. } => {
                transaction.prepare_cached(schema::DROP_JOURNAL)?.execute(params![boot, leg.0])?
            }
            Write::Released(key) => {
                transaction.prepare_cached(schema::DROP_RELEASED)?.execute(params![key])?
            }
            Write::Began { call, from, to, at_ms } => transaction
                .prepare_cached(schema::PUT_CALL)?
                .execute(params![boot, call, from, to, at_ms])?,
            Write::Ended { call, at_ms, record } => {
                transaction.prepare_cached(schema::END_CALL)?.execute(params![
                    boot,
                    call,
                    at_ms,
                    record.answered_after.map(|after| after.as_millis() as i64),
                    record.cause.as_str(),
                    legs(record),
                ])?
            }
        };
    }
    transaction.commit()
}

/// The legs of a record in one line: `procom in normal dtls-srtp, sip.local out normal sdes`.
fn legs(record: &Record) -> String {
    let legs = record.legs.iter().filter(|leg| leg.was_dialled).map(|leg| {
        let direction = if leg.is_caller { "in" } else { "out" };
        let protection = leg.protection.map_or("none", gateway_core::media::Protection::as_str);
        format!("{} {direction} {} {protection}", leg.trunk, leg.cause)
    });
    legs.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
