//! Messages, hops and ways as rows.

use std::time::Duration;

use gateway_core::delivery::{Hop, Parcel, Way};
use gateway_core::message::{DeliveryId, Message, MessageId, Receipt, Status};
use gateway_core::route::{Origin, Require};
use gateway_core::{AccountId, Address, TrunkId};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::{Mail, Taking, Unseen, sql};

pub(super) fn insert(connection: &Connection, taking: &Taking) -> rusqlite::Result<i64> {
    let (origin, message) = (&taking.origin, &taking.message);
    let is_over = taking.hops.is_empty();
    connection.prepare_cached(sql::TAKE)?.insert(params![
        taking.message_id.0,
        taking.key,
        origin.trunk.as_str(),
        origin.account.as_ref().map(AccountId::as_str),
        origin.asserted.to_string(),
        origin.verified,
        message.sender_id,
        message.to.to_string(),
        message.dialled,
        message.content,
        (!is_over).then(|| message.body.as_str()),
        message.thread,
        message.at_ms,
        require_number(message.require),
        message.may_fall_back,
        message.wants_receipts,
        taking.conversation,
        taking.now_ms.saturating_add(taking.life_ms),
        taking.status as u8,
        is_over,
        message.hops_left,
    ])
}

pub(super) fn put_hop(
    connection: &Connection,
    message: i64,
    hop: &Hop,
    due_ms: i64,
) -> rusqlite::Result<()> {
    let way = &hop.way;
    connection.prepare_cached(sql::PUT_HOP)?.execute(params![
        hop.id.0.cast_signed(),
        message,
        hop.group,
        way.trunk.as_str(),
        way.to.to_string(),
        way.contact,
        way.account.as_ref().map(AccountId::as_str),
        hop.attempt,
        due_ms,
    ])?;
    Ok(())
}

pub(super) fn seqs(
    connection: &Connection,
    sql: &str,
    params: impl Params,
) -> rusqlite::Result<Vec<i64>> {
    connection.prepare_cached(sql)?.query_map(params, |row| row.get(0))?.collect()
}

/// The hops of a message with how long they have to wait yet.
pub(super) fn hops(
    connection: &Connection,
    message: i64,
    now_ms: i64,
) -> rusqlite::Result<Vec<(Hop, Duration)>> {
    let hop = |row: &Row<'_>| {
        let way = Way {
            trunk: trunk(row, 2)?,
            to: address(row, 3)?,
            contact: row.get(4)?,
            account: account(row, 5)?,
        };
        let id = DeliveryId(row.get::<_, i64>(0)?.cast_unsigned());
        let hop = Hop { id, group: row.get(1)?, way, attempt: row.get(6)? };
        let wait_ms = row.get::<_, i64>(7)?.saturating_sub(now_ms);
        Ok((hop, Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0))))
    };
    connection.prepare_cached(sql::HOPS)?.query_map(params![message], hop)?.collect()
}

/// A message that is not over, with its hops.
pub(super) fn mail(
    connection: &Connection,
    seq: i64,
    now_ms: i64,
) -> rusqlite::Result<Option<Mail>> {
    let hops = hops(connection, seq, now_ms)?;
    let mail = |row: &Row<'_>| {
        let life_ms = row.get::<_, i64>(16)?.saturating_sub(now_ms);
        Ok(Mail {
            seq,
            parcel: Parcel {
                message_id: MessageId(row.get(0)?),
                conversation: row.get(15)?,
                hops: hops.clone(),
                status: status_of(row, 17)?,
                wants_receipts: row.get(14)?,
                takers: ways(&row.get::<_, String>(18)?),
                life: Duration::from_millis(u64::try_from(life_ms).unwrap_or(0)),
            },
            origin: origin(row, 1)?,
            message: message(row)?,
        })
    };
    connection.prepare_cached(sql::MAIL)?.query_row(params![seq], mail).optional()
}

/// A message that a device lacks, unless its life is over.
pub(super) fn missed(
    connection: &Connection,
    seq: i64,
    now_ms: i64,
) -> rusqlite::Result<Option<Unseen>> {
    let unseen = |row: &Row<'_>| {
        Ok(Unseen {
            message_id: MessageId(row.get(0)?),
            conversation: row.get(15)?,
            origin: origin(row, 1)?,
            message: message(row)?,
        })
    };
    connection.prepare_cached(sql::MISSED)?.query_row(params![seq, now_ms], unseen).optional()
}

/// What it says, from the sender's own id in column 5 on.
fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
    Ok(Message {
        sender_id: row.get(5)?,
        to: address(row, 6)?,
        dialled: row.get(7)?,
        content: row.get(8)?,
        body: row.get::<_, Option<String>>(9)?.unwrap_or_default().into(),
        thread: row.get(10)?,
        at_ms: row.get(11)?,
        require: require_of(row.get(12)?),
        may_fall_back: row.get(13)?,
        wants_receipts: row.get(14)?,
        hops_left: row.get(19)?,
    })
}

/// What the sender has not been told yet.
pub(super) fn receipt(connection: &Connection, seq: i64) -> rusqlite::Result<Option<Receipt>> {
    let receipt = |row: &Row<'_>| {
        let origin = origin(row, 1)?;
        Ok(Receipt {
            trunk: origin.trunk.clone(),
            origin,
            message_id: MessageId(row.get(0)?),
            sender_id: row.get(5)?,
            to: address(row, 6)?,
            status: status_of(row, 7)?,
            reason: row.get(8)?,
        })
    };
    connection.prepare_cached(sql::RECEIPT)?.query_row(params![seq], receipt).optional()
}

/// Trunk, account, asserted address and proof, from that column on.
fn origin(row: &Row<'_>, from: usize) -> rusqlite::Result<Origin> {
    Ok(Origin {
        trunk: trunk(row, from)?,
        account: account(row, from + 1)?,
        asserted: address(row, from + 2)?,
        verified: row.get(from + 3)?,
        // Was looked at when the message was taken.
        only: None,
    })
}

fn trunk(row: &Row<'_>, at: usize) -> rusqlite::Result<TrunkId> {
    Ok(TrunkId::from(row.get::<_, String>(at)?))
}

fn account(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<AccountId>> {
    Ok(row.get::<_, Option<String>>(at)?.map(AccountId::from))
}

fn address(row: &Row<'_>, at: usize) -> rusqlite::Result<Address> {
    let unread = |why| rusqlite::Error::FromSqlConversionFailure(at, Type::Text, Box::new(why));
    row.get::<_, String>(at)?.parse().map_err(unread)
}

pub(super) fn status_of(row: &Row<'_>, at: usize) -> rusqlite::Result<Status> {
    let number: usize = row.get(at)?;
    let unknown = rusqlite::Error::IntegralValueOutOfRange(at, number.try_into().unwrap_or(-1));
    Status::ALL.get(number).copied().ok_or(unknown)
}

const fn require_number(require: Require) -> u8 {
    match require {
        Require::Any => 0,
        Require::Encrypted => 1,
        Require::EndToEnd => 2,
    }
}

const fn require_of(number: u8) -> Require {
    match number {
        0 => Require::Any,
        1 => Require::Encrypted,
        _ => Require::EndToEnd,
    }
}

/// One line of those who took a message.
pub(super) fn way_line(way: &Way) -> String {
    let account = way.account.as_ref().map(AccountId::as_str);
    let parts = (way.trunk.as_str(), way.to.to_string(), &way.contact, account);
    let line = serde_json::to_string(&parts).expect("texts can be written");
    format!("{line}\n")
}

/// The ways of such lines; what cannot be read is nobody.
pub(super) fn ways(lines: &str) -> Vec<Way> {
    type Parts = (String, String, Option<String>, Option<String>);
    let way = |line: &str| {
        let (trunk, to, contact, account) = serde_json::from_str::<Parts>(line).ok()?;
        let to = to.parse().ok()?;
        Some(Way { trunk: trunk.into(), to, contact, account: account.map(AccountId::from) })
    };
    lines.lines().filter_map(way).collect()
}
