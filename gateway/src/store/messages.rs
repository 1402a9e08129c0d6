//! Messages in the store: what was taken, what came of it, and what still waits.
//!
//! ```text
//! post --MailWrite--> writer thread --commit with what waited together--> gateway.db
//!      <--MailReply--                (only after the commit)
//! ```
//!
//! A message that waits for an account stays here until somebody is there. Its body goes when it has
//! arrived or failed; what tells a resend from a new message stays for the message's life.

mod devices;
mod rows;
mod sql;

use gateway_core::delivery::{Hop, Parcel, Progress, climbs};
use gateway_core::message::{Confirmation, Device, Message, MessageId, Receipt, Returned, Status};
use gateway_core::route::Origin;
use gateway_core::{AccountId, Cause};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use rows::{seqs, status_of};

/// How many messages one page of those that wait has.
pub const PAGE: usize = 200;
/// How long after its life a message waits for its sender to hear of it, in milliseconds.
const UNTOLD_LIFE_MS: i64 = 7 * 24 * 3600 * 1000;
/// Whoever holds a message in memory ends its life first.
const GRACE_MS: i64 = 60_000;

/// What the post asks of the store.
#[derive(Clone, Debug)]
pub enum MailWrite {
    /// Take a message, unless it was taken before.
    Take(Box<Taking>),
    /// Keep how far a message has come.
    Progress(Box<Progress>, i64),
    /// The sender has been told.
    Told(MessageId, Status),
    /// The far side says how far a message has come that is not under way any more.
    Confirm(Box<Confirmation>),
    /// Read what waits for an account, from that place in the order on.
    Waiting {
        /// The account.
        account: AccountId,
        /// The last one that was read.
        after: i64,
        /// Whether somebody is there, and not only a device on another network.
        is_here: bool,
        /// Milliseconds since 1970.
        now_ms: i64,
    },
    /// Read what was on its way elsewhere when the gateway stopped.
    Unfinished {
        /// The last one that was read.
        after: i64,
        /// Milliseconds since 1970.
        now_ms: i64,
    },
    /// Read what a sender has not been told: that of an account, or of all who have none.
    Untold(Option<AccountId>),
    /// End what has outlived its life.
    Expire(i64),
    /// Read what a device lacks, from that place in the order on; at that time, in milliseconds
    /// since 1970. It is known from then on.
    Missed(Box<Returned>, i64),
    /// A device has a message for good.
    Had(Device, MessageId),
}

/// A message to take.
#[derive(Clone, Debug)]
pub struct Taking {
    /// What the reply will name.
    pub ticket: u64,
    /// Its id, if it is new.
    pub message_id: MessageId,
    /// The keyed hash of its sender and the sender's id of it.
    pub key: [u8; 16],
    /// Who writes.
    pub origin: Origin,
    /// What it says.
    pub message: Message,
    /// The conversation it belongs to.
    pub conversation: String,
    /// The ways it may take.
    pub hops: Vec<Hop>,
    /// How far it has come at once.
    pub status: Status,
    /// Milliseconds since 1970.
    pub now_ms: i64,
    /// How long it may be tried, in milliseconds.
    pub life_ms: i64,
    /// How many may wait for one account.
    pub most_waiting: usize,
    /// Whether it is for a guest, who can only be answered.
    pub is_for_guest: bool,
}

/// A message read again.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Its place in the order.
    pub seq: i64,
    /// What the delivery machine needs.
    pub parcel: Parcel,
    /// Who wrote it.
    pub origin: Origin,
    /// What it says.
    pub message: Message,
}

/// A message that a device lacks.
#[derive(Clone, Debug)]
pub struct Unseen {
    /// The message, on every network.
    pub message_id: MessageId,
    /// The two who talk.
    pub conversation: String,
    /// Who wrote it.
    pub origin: Origin,
    /// What it says.
    pub message: Message,
}

/// What the store answers.
#[derive(Clone, Debug)]
pub enum MailReply {
    /// The message is durable, under this id; or it was before, and has come so far.
    Taken {
        /// The ticket of the [`Taking`].
        ticket: u64,
        /// Its id.
        message_id: MessageId,
        /// How far it has come.
        status: Status,
        /// Whether it had not been taken before.
        is_new: bool,
    },
    /// The message is not taken: the cause for the wire, and a sentence for the person.
    Refused(u64, Cause, String),
    /// The progress of that number, and all before it, is durable.
    Stored(MessageId, u32),
    /// A page of what waits for an account, or of what was unfinished: the last place in the order,
    /// if there may be more.
    Read(Option<AccountId>, Vec<Mail>, Option<i64>),
    /// What senders are to be told.
    Receipts(Vec<Receipt>),
    /// A page of what a device lacks, the place in the order where it ends, and whether it is the last.
    Missed(Box<Returned>, Vec<Unseen>, i64, bool),
    /// Whether the disk takes what is written.
    Writable(bool),
}

/// Does one of the post's wishes within a transaction.
pub(super) fn perform(
    transaction: &Transaction<'_>,
    write: &MailWrite,
) -> rusqlite::Result<Option<MailReply>> {
    match write {
        MailWrite::Take(taking) => take(transaction, taking).map(Some),
        MailWrite::Progress(progress, now_ms) => advance(transaction, progress, *now_ms).map(Some),
        MailWrite::Told(id, status) => {
            let params = params![id.0, *status as u8];
            transaction.prepare_cached(sql::TELL)?.execute(params)?;
            Ok(None)
        }
        MailWrite::Confirm(confirmation) => confirm(transaction, confirmation),
        MailWrite::Waiting { account, after, is_here, now_ms } => {
            let params = params![account.as_str(), after, PAGE, is_here];
            let seqs = seqs(transaction, sql::WAITING, params)?;
            read(transaction, Some(account.clone()), &seqs, *now_ms).map(Some)
        }
        MailWrite::Unfinished { after, now_ms } => {
            let seqs = seqs(transaction, sql::UNFINISHED, params![after, PAGE])?;
            read(transaction, None, &seqs, *now_ms).map(Some)
        }
        MailWrite::Untold(account) => {
            let account = account.as_ref().map(AccountId::as_str);
            let seqs = seqs(transaction, sql::UNTOLD, params![account, PAGE])?;
            receipts(transaction, &seqs).map(Some)
        }
        MailWrite::Expire(now_ms) => expire(transaction, *now_ms).map(Some),
        MailWrite::Missed(returned, now_ms) => {
            devices::missed(transaction, returned, *now_ms).map(Some)
        }
        MailWrite::Had(device, id) => devices::had(transaction, device, *id).map(|()| None),
    }
}

fn take(connection: &Connection, taking: &Taking) -> rusqlite::Result<MailReply> {
    let known = connection
        .prepare_cached(sql::KNOWN)?
        .query_row(params![taking.key], |row| Ok((row.get(0)?, status_of(row, 1)?)))
        .optional()?;
    let ticket = taking.ticket;
    if let Some((id, status)) = known {
        return Ok(MailReply::Taken { ticket, message_id: MessageId(id), status, is_new: false });
    }
    if taking.is_for_guest {
        let is_answer =
            connection.prepare_cached(sql::GUEST_WROTE)?.exists(params![taking.conversation])?;
        if !is_answer {
            let why = "a guest can only be answered, and this one has not written to you";
            return Ok(MailReply::Refused(ticket, Cause::NotFound, why.to_owned()));
        }
    }
    for account in taking.hops.iter().filter_map(|hop| hop.way.account.as_ref()) {
        let most = taking.most_waiting;
        let waiting: usize = connection
            .prepare_cached(sql::COUNT_WAITING)?
            .query_row(params![account.as_str(), most], |row| row.get(0))?;
        if waiting >= most {
            let why = format!("{most} messages wait for this recipient already: no more are kept");
            return Ok(MailReply::Refused(ticket, Cause::Overload, why));
        }
    }
    let seq = rows::insert(connection, taking)?;
    for hop in &taking.hops {
        rows::put_hop(connection, seq, hop, taking.now_ms)?;
    }
    devices::owe(connection, taking, seq)?;
    let (message_id, status) = (taking.message_id, taking.status);
    Ok(MailReply::Taken { ticket, message_id, status, is_new: true })
}

fn advance(
    connection: &Connection,
    progress: &Progress,
    now_ms: i64,
) -> rusqlite::Result<MailReply> {
    let id = progress.message_id;
    let stored = MailReply::Stored(id, progress.version);
    let known = connection
        .prepare_cached(sql::STANDING)?
        .query_row(params![id.0], |row| Ok((row.get(0)?, status_of(row, 1)?, row.get(2)?)))
        .optional()?;
    let Some((seq, before, takers)) = known else { return Ok(stored) };
    let (seq, mut takers): (i64, String) = (seq, takers);
    if let Some(taker) = &progress.taker {
        takers.push_str(&rows::way_line(taker));
    }
    for gone in &progress.gone {
        connection.prepare_cached(sql::DROP_HOP)?.execute(params![gone.0.cast_signed()])?;
    }
    for (hop, wait) in &progress.changed {
        let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        rows::put_hop(connection, seq, hop, now_ms.saturating_add(wait_ms))?;
    }
    let status = if climbs(before, progress.status) { progress.status } else { before };
    if status == Status::Failed {
        devices::disown(connection, seq)?;
    }
    let params = params![seq, status as u8, progress.reason, takers, progress.is_over];
    connection.prepare_cached(sql::ADVANCE)?.execute(params)?;
    Ok(stored)
}

/// Only who was brought the message may say how far it has come.
fn confirm(
    connection: &Connection,
    confirmation: &Confirmation,
) -> rusqlite::Result<Option<MailReply>> {
    let known = connection
        .prepare_cached(sql::STANDING)?
        .query_row(params![confirmation.message_id.0], |row| {
            Ok((row.get(0)?, status_of(row, 1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let Some((seq, before, takers, is_over)) = known else { return Ok(None) };
    let (seq, takers, is_over): (i64, String, bool) = (seq, takers, is_over);
    let mut ways = rows::ways(&takers);
    ways.extend(rows::hops(connection, seq, 0)?.into_iter().map(|(hop, _)| hop.way));
    let status = confirmation.status;
    let may_say = match status {
        Status::Delivered | Status::Read => true,
        Status::Failed => is_over,
        Status::Queued | Status::Sent => false,
    };
    let is_theirs = ways.iter().any(|way| way.is_of(&confirmation.by));
    if !may_say || !is_theirs || !climbs(before, status) {
        return Ok(None);
    }
    let reason =
        (status == Status::Failed).then_some("the recipient's side says it could not be delivered");
    let params = params![seq, status as u8, reason, takers, is_over];
    connection.prepare_cached(sql::ADVANCE)?.execute(params)?;
    receipts(connection, &[seq]).map(Some)
}

fn read(
    connection: &Connection,
    account: Option<AccountId>,
    seqs: &[i64],
    now_ms: i64,
) -> rusqlite::Result<MailReply> {
    let mut mails = Vec::with_capacity(seqs.len());
    for seq in seqs {
        mails.extend(rows::mail(connection, *seq, now_ms)?);
    }
    let more = seqs.last().copied().filter(|_| seqs.len() >= PAGE);
    Ok(MailReply::Read(account, mails, more))
}

fn receipts(connection: &Connection, seqs: &[i64]) -> rusqlite::Result<MailReply> {
    let mut receipts = Vec::with_capacity(seqs.len());
    for seq in seqs {
        receipts.extend(rows::receipt(connection, *seq)?);
    }
    Ok(MailReply::Receipts(receipts))
}

fn expire(connection: &Connection, now_ms: i64) -> rusqlite::Result<MailReply> {
    let dead = seqs(connection, sql::OUTLIVED, params![now_ms - GRACE_MS, PAGE])?;
    let mut failed = Vec::new();
    for seq in dead {
        let reason = "nobody took it in the time it was kept";
        devices::disown(connection, seq)?;
        connection.prepare_cached(sql::DROP_HOPS)?.execute(params![seq])?;
        let is_failed = connection.prepare_cached(sql::FAIL)?.execute(params![seq, reason])? > 0;
        connection.prepare_cached(sql::END)?.execute(params![seq])?;
        if is_failed {
            failed.push(seq);
        }
    }
    for seq in seqs(connection, sql::OUTLIVED_KEPT, params![now_ms, PAGE])? {
        devices::disown(connection, seq)?;
    }
    let forgotten = params![now_ms - GRACE_MS, now_ms - UNTOLD_LIFE_MS, PAGE];
    connection.prepare_cached(sql::FORGET)?.execute(forgotten)?;
    receipts(connection, &failed)
}
