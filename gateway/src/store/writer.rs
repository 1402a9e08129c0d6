//! The thread that writes: it commits what waited together, and answers after the commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use gateway_adapter::attempts::Acquaintance;
use gateway_core::call::Record;
use gateway_core::{Cause, LegId};
use rusqlite::{Connection, ErrorCode, Transaction, params};
use tokio::sync::mpsc::UnboundedSender;

use super::acquaintances;
use super::messages::{MailReply, MailWrite, perform};
use super::schema;

/// How many writes share a commit.
const TOGETHER: usize = 512;
/// How often a disk that took nothing is tried again.
const AGAIN: Duration = Duration::from_millis(500);

pub(super) enum Write {
    Journal { leg: LegId, adapter: &'static str, entry: Option<Vec<u8>> },
    Released(u64),
    Began { call: u64, from: String, to: String, at_ms: i64 },
    Ended { call: u64, at_ms: i64, record: Box<Record> },
    Acquainted { adapter: &'static str, learned: Acquaintance },
    Mail(MailWrite),
}

/// Owns the connection.
pub(super) struct Writer {
    connection: Connection,
    boot: i64,
    waiting: Arc<AtomicUsize>,
    replies: UnboundedSender<MailReply>,
    /// What was to be kept of messages when the disk took nothing, in its order.
    kept: Vec<Write>,
    is_writable: bool,
}

impl Writer {
    pub(super) const fn new(
        connection: Connection,
        boot: i64,
        waiting: Arc<AtomicUsize>,
        replies: UnboundedSender<MailReply>,
    ) -> Self {
        Self { connection, boot, waiting, replies, kept: Vec::new(), is_writable: true }
    }

    /// Writes until nobody can ask for more.
    pub(super) fn run(&mut self, writes: &Receiver<Write>) {
        loop {
            let first = if self.kept.is_empty() {
                writes.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                writes.recv_timeout(AGAIN)
            };
            let mut batch = std::mem::take(&mut self.kept);
            match first {
                Ok(first) => {
                    let before = batch.len();
                    batch.push(first);
                    batch.extend(writes.try_iter().take(TOGETHER));
                    self.waiting.fetch_sub(batch.len() - before, Ordering::Relaxed);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.write(batch);
                    return;
                }
            }
            self.write(batch);
        }
    }

    fn write(&mut self, batch: Vec<Write>) {
        match self.commit(&batch) {
            Ok(replies) => {
                self.tell_writable(true);
                replies.into_iter().for_each(|reply| self.reply(reply));
            }
            Err(why) if is_environment(&why) => {
                tracing::warn!(%why, waiting = batch.len(), "the store cannot write");
                self.tell_writable(false);
                self.give_up(batch, &why);
            }
            Err(why) if batch.len() == 1 => {
                tracing::error!(%why, "a fault in the store: one entry is lost");
                self.refuse(&batch, &why);
            }
            // One entry of them is bad: the others shall not be lost with it.
            Err(_) => batch.into_iter().for_each(|write| self.write(vec![write])),
        }
    }

    fn commit(&mut self, batch: &[Write]) -> rusqlite::Result<Vec<MailReply>> {
        let transaction = self.connection.transaction()?;
        let mut replies = Vec::new();
        for write in batch {
            match write {
                Write::Mail(mail) => replies.extend(perform(&transaction, mail)?),
                Write::Journal { .. }
                | Write::Released(_)
                | Write::Began { .. }
                | Write::Ended { .. }
                | Write::Acquainted { .. } => record(&transaction, self.boot, write)?,
            }
        }
        transaction.commit()?;
        Ok(replies)
    }

    /// The disk takes nothing: new messages are refused, what is known of others waits. A device asks
    /// again by itself.
    fn give_up(&mut self, batch: Vec<Write>, why: &rusqlite::Error) {
        self.refuse(&batch, why);
        let is_kept = |write: &Write| match write {
            Write::Mail(mail) => !matches!(mail, MailWrite::Take(_) | MailWrite::Missed(..)),
            Write::Journal { .. }
            | Write::Released(_)
            | Write::Began { .. }
            | Write::Ended { .. }
            | Write::Acquainted { .. } => false,
        };
        self.kept.extend(batch.into_iter().filter(is_kept));
    }

    fn refuse(&self, batch: &[Write], why: &rusqlite::Error) {
        let reason = match why.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => "the gateway's disk is full; try again later",
            Some(_) | None => "the gateway cannot store messages now; try again later",
        };
        for write in batch {
            if let Write::Mail(MailWrite::Take(taking)) = write {
                self.reply(MailReply::Refused(taking.ticket, Cause::Overload, reason.to_owned()));
            }
        }
    }

    fn tell_writable(&mut self, is_writable: bool) {
        if self.is_writable != is_writable {
            self.is_writable = is_writable;
            self.reply(MailReply::Writable(is_writable));
        }
    }

    fn reply(&self, reply: MailReply) {
        // The switchboard is gone only when the gateway stops.
        let _ = self.replies.send(reply);
    }
}

/// Whether the disk is to blame, and not what was to be written.
fn is_environment(why: &rusqlite::Error) -> bool {
    matches!(
        why.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::OutOfMemory
        )
    )
}

fn record(transaction: &Transaction<'_>, boot: i64, write: &Write) -> rusqlite::Result<()> {
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
        Write::Acquainted { adapter, learned } => {
            acquaintances::put(transaction, adapter, learned)?
        }
        Write::Mail(_) => 0,
    };
    Ok(())
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
