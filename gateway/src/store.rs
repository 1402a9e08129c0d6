//! What must survive a `kill -9`: messages, how to end the far side of every live dialog, and the
//! records of calls. SQLite, one file, write-ahead log; one thread writes, and commits what waited
//! together.
//!
//! ```text
//! switchboard --Write (never waits)--> writer thread --> gateway.db
//!             <--MailReply, after the commit---'
//! start       <--Unfinished: what an earlier life left behind-----
//! ```
//!
//! A disk that takes nothing refuses new messages; what is known of those that were taken waits, in
//! memory, until the disk takes it; records of calls and of sign-ins are lost. Records hold no addresses, only keyed hashes of them, and are gone after the retention time.

mod acquaintances;
mod checkpoints;
pub mod messages;
mod schema;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use gateway_adapter::attempts::Acquaintance;
use gateway_core::call::Record;
use gateway_core::message::ConversationId;
use gateway_core::{Address, LegId};
use ring::hmac;
use rusqlite::Connection;
use tokio::sync::mpsc;

pub use acquaintances::recall;
use checkpoints::Checkpoints;
use messages::{MailReply, MailWrite};
use writer::{Write, Writer};

/// How many writes may wait for the disk before those of calls are lost.
const QUEUE: usize = 8192;
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

/// The store. Writing never waits for the disk.
#[derive(Debug)]
pub struct Store {
    sender: Sender<Write>,
    waiting: Arc<AtomicUsize>,
    replies: Option<mpsc::UnboundedReceiver<MailReply>>,
    boot: i64,
    key: hmac::Key,
    writer: Option<JoinHandle<()>>,
    _checkpoints: Checkpoints,
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
        connection.set_prepared_statement_cache_capacity(64);
        let prepared = schema::prepare(&mut connection, now_ms).map_err(|why| fault(&why))?;
        let (sender, writes) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let boot = prepared.boot;
        let (reply, replies) = mpsc::unbounded_channel();
        let mut writer = Writer::new(connection, boot, Arc::clone(&waiting), reply);
        let writer = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || writer.run(&writes))
            .map_err(|why| fault(&why))?;
        let (replies, writer) = (Some(replies), Some(writer));
        let _checkpoints = Checkpoints::start(&path).map_err(|why| fault(&why))?;
        let store = Self { sender, waiting, replies, boot, key, writer, _checkpoints };
        Ok((store, prepared.unfinished))
    }

    /// Which life of the gateway this is: no two have the same number.
    #[must_use]
    pub const fn boot(&self) -> i64 {
        self.boot
    }

    /// Where the answers to [`Self::mail`] come; to be asked for once.
    pub const fn replies(&mut self) -> Option<mpsc::UnboundedReceiver<MailReply>> {
        self.replies.take()
    }

    /// Asks something about messages. Answered, if at all, once it is durable. Whoever asks bounds
    /// how much is asked at once.
    pub fn mail(&self, write: MailWrite) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // The writer is gone only when the gateway stops.
        let _ = self.sender.send(Write::Mail(write));
    }

    /// What makes the keys of messages.
    #[must_use]
    pub fn message_keys(&self) -> MessageKeys {
        MessageKeys(self.key.clone())
    }

    /// Keeps, or forgets, how to end this leg's far side after a crash.
    pub fn journal(&self, leg: LegId, adapter: &'static str, entry: Option<Vec<u8>>) {
        self.send(Write::Journal { leg, adapter, entry });
    }

    /// What an earlier life left behind under this key has been dealt with.
    pub fn released(&self, key: u64) {
        self.send(Write::Released(key));
    }

    /// An account of this adapter has signed in from a network or with a device.
    pub fn acquainted(&self, adapter: &'static str, learned: Acquaintance) {
        self.send(Write::Acquainted { adapter, learned });
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
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= QUEUE {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            tracing::warn!("the store is too slow: a record is lost");
            return;
        }
        let _ = self.sender.send(write);
    }
}

/// Makes what tells a message that comes again from a new one.
#[derive(Clone, Debug)]
pub struct MessageKeys(hmac::Key);

impl MessageKeys {
    /// A keyed hash of whose message it is and the sender's own id of it.
    #[must_use]
    pub fn of(&self, sender: &str, sender_id: &str) -> [u8; 16] {
        let text = format!("message {}:{sender}{sender_id}", sender.len());
        let tag = hmac::sign(&self.0, text.as_bytes());
        tag.as_ref().first_chunk().copied().expect("SHA-256 has 32 bytes")
    }

    /// What a conversation is called where nobody needs to learn whose it is.
    #[must_use]
    pub fn of_conversation(&self, parties: &str) -> ConversationId {
        let tag = hmac::sign(&self.0, format!("conversation {parties}").as_bytes());
        ConversationId(tag.as_ref().first_chunk().copied().expect("SHA-256 has 32 bytes"))
    }
}

/// Writes what still waits.
impl Drop for Store {
    fn drop(&mut self) {
        let (closed, _) = channel();
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

#[cfg(test)]
mod tests;
