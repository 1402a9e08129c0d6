//! What is owed to the devices of an account: each message for it, until that device has it, or the
//! message has outlived its life.
//!
//! A device is known since it first named itself. Of an account so many are known; beyond that the
//! one that was not seen for the longest time is forgotten. To each so many messages are owed; beyond
//! that the oldest is owed no more.

use gateway_core::AccountId;
use gateway_core::message::{Device, MessageId, Returned};
use rusqlite::{Connection, OptionalExtension, params};

use super::{MailReply, Taking, rows, sql};

/// How many devices of one account are known.
const DEVICES: usize = 8;
/// How many messages one page of what a device lacks has.
const PAGE: usize = 100;

/// Notes a message for every device of the accounts it goes to.
pub(super) fn owe(connection: &Connection, taking: &Taking, message: i64) -> rusqlite::Result<()> {
    let mailboxes = taking.hops.iter().filter(|hop| hop.way.is_mailbox());
    let mut accounts: Vec<&AccountId> =
        mailboxes.filter_map(|hop| hop.way.account.as_ref()).collect();
    accounts.sort();
    accounts.dedup();
    // Who writes to itself has it, and its other devices are shown it when it is taken.
    accounts.retain(|account| taking.origin.account.as_ref() != Some(*account));
    for account in accounts {
        let devices: Vec<(i64, usize)> = connection
            .prepare_cached(sql::DEVICES)?
            .query_map(params![account.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        for (device, owed) in devices {
            connection.prepare_cached(sql::OWE)?.execute(params![device, message])?;
            if owed >= taking.most_waiting {
                let oldest: i64 = connection
                    .prepare_cached(sql::OLDEST_OWED)?
                    .query_row(params![device], |row| row.get(0))?;
                settle(connection, device, oldest)?;
            }
        }
    }
    Ok(())
}

/// A page of what a device lacks. One that is not known yet lacks nothing.
pub(super) fn missed(
    connection: &Connection,
    returned: &Returned,
    now_ms: i64,
) -> rusqlite::Result<MailReply> {
    let (account, name) = (returned.device.account.as_str(), returned.device.id.0);
    connection.prepare_cached(sql::SEE_DEVICE)?.execute(params![account, name, now_ms])?;
    let surplus = params![account, DEVICES];
    for device in rows::seqs(connection, sql::SURPLUS_DEVICES, surplus)? {
        forget(connection, device)?;
    }
    let device = known(connection, &returned.device)?;
    let seqs = rows::seqs(connection, sql::OWED, params![device, returned.after, PAGE])?;
    let mut missed = Vec::with_capacity(seqs.len());
    for seq in &seqs {
        missed.extend(rows::missed(connection, *seq, now_ms)?);
    }
    let until = seqs.last().copied().unwrap_or(returned.after);
    let is_last = seqs.len() < PAGE;
    Ok(MailReply::Missed(Box::new(returned.clone()), missed, until, is_last))
}

/// A device has a message for good.
pub(super) fn had(connection: &Connection, device: &Device, id: MessageId) -> rusqlite::Result<()> {
    let message = connection
        .prepare_cached(sql::STANDING)?
        .query_row(params![id.0], |row| row.get::<_, i64>(0))
        .optional()?;
    match (known(connection, device)?, message) {
        (Some(device), Some(message)) => settle(connection, device, message),
        (Some(_) | None, _) => Ok(()),
    }
}

/// Nobody is owed a message any more: it failed, or has outlived its life.
pub(super) fn disown(connection: &Connection, message: i64) -> rusqlite::Result<()> {
    for device in rows::seqs(connection, sql::OWED_TO, params![message])? {
        settle(connection, device, message)?;
    }
    Ok(())
}

fn known(connection: &Connection, device: &Device) -> rusqlite::Result<Option<i64>> {
    let params = params![device.account.as_str(), device.id.0];
    connection.prepare_cached(sql::DEVICE)?.query_row(params, |row| row.get(0)).optional()
}

/// The body goes with the last device that it was kept for.
fn settle(connection: &Connection, device: i64, message: i64) -> rusqlite::Result<()> {
    connection.prepare_cached(sql::SETTLE)?.execute(params![device, message])?;
    connection.prepare_cached(sql::CLEAR)?.execute(params![message])?;
    Ok(())
}

fn forget(connection: &Connection, device: i64) -> rusqlite::Result<()> {
    for message in rows::seqs(connection, sql::OWED, params![device, 0, i64::MAX])? {
        settle(connection, device, message)?;
    }
    connection.prepare_cached(sql::FORGET_DEVICE)?.execute(params![device])?;
    Ok(())
}
