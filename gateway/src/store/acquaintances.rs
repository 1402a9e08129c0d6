//! Which account has signed in from which network and with which device, as keyed hashes. So a
//! guesser cannot lock it out there, even after a restart (`gateway_adapter::attempts`). Rows that
//! were not used for 30 days are deleted at the start; each account has 32 at most.

use std::path::Path;

use gateway_adapter::attempts::{Acquaintance, KNOWN_DAYS, Memory, PAIRS_OF_ACCOUNT};
use ring::hmac;
use rusqlite::{Connection, OpenFlags, Transaction, params};

use super::{StoreFault, hash_key};

const DAY_MS: i64 = 24 * 3600 * 1000;
/// Keeps these hashes apart from any other use of the store's key.
const LABEL: &[u8] = b"acquaintance key 1";

/// What adapters of this name have learned until now, with the key that they make their hashes by.
///
/// # Errors
/// The store in `folder`, which must have been opened before, cannot be read.
pub fn recall(folder: &Path, adapter: &str, now_ms: i64) -> Result<Memory, StoreFault> {
    let path = folder.join("gateway.db");
    let fault = |why: &dyn std::fmt::Display| StoreFault {
        path: path.display().to_string(),
        why: why.to_string(),
    };
    let key = hmac::sign(&hash_key(folder).map_err(|why| fault(&why))?, LABEL);
    let key = key.as_ref().first_chunk().copied().expect("SHA-256 has 32 bytes");
    let known = read(&path, adapter, now_ms).map_err(|why| fault(&why))?;
    Ok(Memory::new(key, known))
}

/// In the order of their last report.
fn read(path: &Path, adapter: &str, now_ms: i64) -> rusqlite::Result<Vec<Acquaintance>> {
    // The writer has a connection of its own; the write-ahead log lets both work at once.
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut rows = connection.prepare(
        "SELECT account, pair, day FROM acquaintance WHERE adapter = ?1 AND day >= ?2 ORDER BY seq",
    )?;
    let known = rows.query_map(params![adapter, oldest_day(now_ms)], |row| {
        Ok(Acquaintance { account: row.get(0)?, pair: row.get(1)?, day: row.get(2)? })
    })?;
    // A row that cannot be read is one network less that is known.
    Ok(known.filter_map(Result::ok).collect())
}

/// Keeps a use, and of its account the last 32 only.
pub(super) fn put(
    transaction: &Transaction<'_>,
    adapter: &str,
    learned: &Acquaintance,
) -> rusqlite::Result<usize> {
    let Acquaintance { account, pair, day } = learned;
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO acquaintance (adapter, account, pair, day) \
             VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![adapter, account, pair, day])?;
    transaction
        .prepare_cached(
            "DELETE FROM acquaintance WHERE account = ?1 AND seq NOT IN \
             (SELECT seq FROM acquaintance WHERE account = ?1 ORDER BY seq DESC LIMIT ?2)",
        )?
        .execute(params![account, PAIRS_OF_ACCOUNT as i64])
}

/// Deletes what was not used for too long.
pub(super) fn forget(transaction: &Transaction<'_>, now_ms: i64) -> rusqlite::Result<usize> {
    let oldest = params![oldest_day(now_ms)];
    transaction.execute("DELETE FROM acquaintance WHERE day < ?1", oldest)
}

const fn oldest_day(now_ms: i64) -> i64 {
    now_ms / DAY_MS - KNOWN_DAYS as i64
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::{Duration, Instant};

    use gateway_adapter::attempts::{Attempts, Standing};

    use super::super::Store;
    use super::*;

    const NOW_MS: i64 = 20_000 * DAY_MS;
    const HOME: [u8; 4] = [198, 51, 100, 7];

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("procom-known-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a folder");
        path
    }

    #[expect(clippy::disallowed_methods, reason = "a test needs some moment to start at")]
    fn life(folder: &Path, adapter: &'static str, now_ms: i64) -> (Attempts, Instant) {
        let memory = recall(folder, adapter, now_ms).expect("a memory");
        let now = Instant::now();
        let unix_s = u64::try_from(now_ms / 1000).expect("after 1970");
        (Attempts::new(&memory, adapter, now, unix_s), now)
    }

    fn sign_in(folder: &Path, now_ms: i64) -> Store {
        let (store, _) = Store::open(folder, now_ms).expect("a store");
        let (mut attempts, now) = life(folder, "procom", now_ms);
        let attempt = attempts.begin(HOME.into(), "alice", Standing::Stranger, now);
        attempts.handle_right(attempt.expect("not banned"), now);
        store.acquainted("procom", attempts.poll_learned().expect("a new pair"));
        store
    }

    /// Whether alice is let in from her network while that is banned.
    fn is_known((mut attempts, now): (Attempts, Instant)) -> bool {
        for at in 0..20 {
            let _ = attempts.begin(HOME.into(), &format!("bob{at}"), Standing::Stranger, now);
        }
        assert!(attempts.begin(HOME.into(), "bob", Standing::Stranger, now).is_err());
        attempts.begin(HOME.into(), "alice", Standing::Stranger, now).is_ok()
    }

    #[test]
    fn a_network_of_an_account_is_known_after_a_restart_to_the_same_adapter_only() {
        let folder = folder("restart");
        drop(sign_in(&folder, NOW_MS));
        drop(Store::open(&folder, NOW_MS + DAY_MS).expect("a store"));
        assert!(is_known(life(&folder, "procom", NOW_MS + DAY_MS)));
        assert!(!is_known(life(&folder, "sip", NOW_MS + DAY_MS)));
    }

    #[test]
    fn under_another_key_nothing_is_known() {
        let folder = folder("key");
        drop(sign_in(&folder, NOW_MS));
        std::fs::remove_file(folder.join("records.key")).expect("a key");
        assert!(!is_known(life(&folder, "procom", NOW_MS)));
    }

    #[test]
    fn a_network_is_forgotten_thirty_days_after_its_last_use() {
        let folder = folder("thirty-days");
        drop(sign_in(&folder, NOW_MS));
        drop(Store::open(&folder, NOW_MS + 30 * DAY_MS).expect("a store"));
        assert!(is_known(life(&folder, "procom", NOW_MS + 30 * DAY_MS)));
        drop(Store::open(&folder, NOW_MS + 31 * DAY_MS).expect("a store"));
        assert_eq!(read(&folder.join("gateway.db"), "procom", NOW_MS).expect("rows"), []);
    }

    #[test]
    fn an_adapter_that_is_built_again_hears_what_was_learned_since_the_start() {
        let folder = folder("rebuilt");
        let store = sign_in(&folder, NOW_MS);
        let is_written =
            || !read(&folder.join("gateway.db"), "procom", NOW_MS).expect("rows").is_empty();
        while !is_written() {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(is_known(life(&folder, "procom", NOW_MS)));
        drop(store);
    }

    #[test]
    fn an_account_has_its_last_32_networks_in_the_store() {
        let folder = folder("many");
        let (store, _) = Store::open(&folder, NOW_MS).expect("a store");
        for at in 0..100_u8 {
            for day in [20_000, 20_001] {
                store.acquainted("sip", Acquaintance { account: [1; 16], pair: [at; 16], day });
            }
        }
        store.acquainted("sip", Acquaintance { account: [2; 16], pair: [200; 16], day: 20_000 });
        drop(store);
        let rows = read(&folder.join("gateway.db"), "sip", NOW_MS).expect("rows");
        let pairs: Vec<u8> = rows.iter().map(|known| known.pair[0]).collect();
        assert_eq!(pairs, (68..100).chain([200]).collect::<Vec<u8>>());
    }

    #[test]
    fn neither_a_name_nor_a_network_is_in_the_file() {
        let folder = folder("hashed");
        drop(sign_in(&folder, NOW_MS));
        let bytes = std::fs::read(folder.join("gateway.db")).expect("a file");
        for clear in [&b"alice"[..], b"198.51.100", &HOME] {
            assert!(!bytes.windows(clear.len()).any(|window| window == clear));
        }
    }
}
