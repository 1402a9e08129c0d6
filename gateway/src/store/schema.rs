//! Tables, their migrations, and what is done to them at the start.

use rusqlite::{Connection, params};

use super::{RETENTION, Unfinished, acquaintances};

/// One entry for each version of the file; `user_version` says how many have been applied.
const MIGRATIONS: [&str; 5] = [
    "
    CREATE TABLE boot (id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL);
    CREATE TABLE journal (
        key INTEGER PRIMARY KEY AUTOINCREMENT,
        boot INTEGER NOT NULL, leg INTEGER NOT NULL,
        adapter TEXT NOT NULL, entry BLOB NOT NULL,
        UNIQUE (boot, leg));
    CREATE TABLE call (
        boot INTEGER NOT NULL, call INTEGER NOT NULL,
        caller TEXT NOT NULL, callee TEXT NOT NULL,
        began_ms INTEGER NOT NULL, answered_after_ms INTEGER, ended_ms INTEGER,
        cause TEXT, legs TEXT,
        PRIMARY KEY (boot, call));
    CREATE INDEX call_by_end ON call (ended_ms);
",
    "
    CREATE TABLE message (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id BLOB NOT NULL UNIQUE, key BLOB NOT NULL UNIQUE,
        trunk TEXT NOT NULL, account TEXT, asserted TEXT NOT NULL, is_verified INTEGER NOT NULL,
        sender_id TEXT NOT NULL, recipient TEXT NOT NULL, dialled TEXT,
        content TEXT NOT NULL, body TEXT, thread TEXT, at_ms INTEGER NOT NULL,
        require INTEGER NOT NULL, may_fall_back INTEGER NOT NULL, wants_receipts INTEGER NOT NULL,
        conversation TEXT NOT NULL, dies_ms INTEGER NOT NULL,
        status INTEGER NOT NULL, told INTEGER NOT NULL, reason TEXT,
        takers TEXT NOT NULL DEFAULT '', is_over INTEGER NOT NULL);
    CREATE INDEX message_untold ON message (account) WHERE told < status;
    CREATE INDEX message_of_guest ON message (conversation)
        WHERE account IS NULL AND trunk = 'procom';
    CREATE INDEX message_by_end ON message (is_over, dies_ms);
    CREATE TABLE hop (
        id INTEGER PRIMARY KEY, message INTEGER NOT NULL, grp INTEGER NOT NULL,
        trunk TEXT NOT NULL, recipient TEXT NOT NULL, contact TEXT, account TEXT,
        attempt INTEGER NOT NULL, due_ms INTEGER NOT NULL);
    CREATE INDEX hop_of_message ON hop (message);
    CREATE INDEX hop_waiting ON hop (account, message) WHERE account IS NOT NULL;
    CREATE INDEX hop_elsewhere ON hop (message) WHERE account IS NULL;
",
    "
    ALTER TABLE message ADD COLUMN hops_left INTEGER;
",
    "
    CREATE TABLE device (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        account TEXT NOT NULL, name BLOB NOT NULL, seen_ms INTEGER NOT NULL,
        UNIQUE (account, name));
    CREATE TABLE owed (
        device INTEGER NOT NULL, message INTEGER NOT NULL,
        PRIMARY KEY (device, message)) WITHOUT ROWID;
    CREATE INDEX owed_by_message ON owed (message);
",
    "
    CREATE TABLE acquaintance (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        adapter TEXT NOT NULL, account BLOB NOT NULL, pair BLOB NOT NULL UNIQUE,
        day INTEGER NOT NULL);
    CREATE INDEX acquaintance_of_account ON acquaintance (account);
",
];

pub(super) const PUT_JOURNAL: &str = "INSERT INTO journal (boot, leg, adapter, entry) \
    VALUES (?1, ?2, ?3, ?4) ON CONFLICT (boot, leg) DO UPDATE SET entry = excluded.entry";
pub(super) const DROP_JOURNAL: &str = "DELETE FROM journal WHERE boot = ?1 AND leg = ?2";
pub(super) const DROP_RELEASED: &str = "DELETE FROM journal WHERE key = ?1";
pub(super) const PUT_CALL: &str = "INSERT OR REPLACE INTO call \
    (boot, call, caller, callee, began_ms) VALUES (?1, ?2, ?3, ?4, ?5)";
pub(super) const END_CALL: &str = "UPDATE call SET ended_ms = ?3, answered_after_ms = ?4, \
    cause = ?5, legs = ?6 WHERE boot = ?1 AND call = ?2";

/// How the store was found.
pub(super) struct Prepared {
    pub(super) boot: i64,
    pub(super) unfinished: Vec<Unfinished>,
}

/// Brings the file up to date and takes stock of what an earlier life left.
pub(super) fn prepare(connection: &mut Connection, now_ms: i64) -> rusqlite::Result<Prepared> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A message is durable before its sender hears that it was taken, also if the power fails.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Most of the log is taken over beside the writer (`checkpoints.rs`), who only waits for that
    // when the log has grown to 64 MiB.
    connection.pragma_update(None, "wal_autocheckpoint", 16_384)?;
    // What is deleted, like the body of a message that has arrived, is overwritten.
    connection.pragma_update(None, "secure_delete", true)?;
    let transaction = connection.transaction()?;
    let version: usize = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    for migration in MIGRATIONS.iter().skip(version) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", MIGRATIONS.len())?;
    transaction.execute("INSERT INTO boot (at_ms) VALUES (?1)", params![now_ms])?;
    let boot = transaction.last_insert_rowid();
    // A call without an end was cut off: when exactly, nobody knows.
    transaction.execute(
        "UPDATE call SET ended_ms = ?1, cause = 'failed', legs = 'cut off by a crash' \
         WHERE ended_ms IS NULL",
        params![now_ms],
    )?;
    let oldest = now_ms - RETENTION.as_millis() as i64;
    transaction.execute("DELETE FROM call WHERE ended_ms < ?1", params![oldest])?;
    acquaintances::forget(&transaction, now_ms)?;
    let unfinished = transaction
        .prepare("SELECT key, adapter, entry FROM journal ORDER BY key")?
        .query_map([], |row| {
            Ok(Unfinished { key: row.get(0)?, adapter: row.get(1)?, entry: row.get(2)? })
        })?
        .collect::<Result<_, _>>()?;
    transaction.commit()?;
    Ok(Prepared { boot, unfinished })
}
