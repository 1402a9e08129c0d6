use super::*;
use gateway_core::Cause;

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("procom-store-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("a folder");
    path
}

fn calls(folder: &Path) -> Vec<(String, Option<String>)> {
    let connection = Connection::open(folder.join("gateway.db")).expect("the store's file");
    let mut rows = connection.prepare("SELECT caller, cause FROM call").expect("a table");
    rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("rows")
        .collect::<Result<_, _>>()
        .expect("rows")
}

/// Up to 3.51.2 a checkpoint beside a writer, which is what `checkpoints.rs` does, can corrupt the
/// database (sqlite.org/wal.html, "the WAL-reset bug").
#[test]
fn the_sqlite_that_is_linked_has_the_fix_of_the_wal_reset_bug() {
    assert!(rusqlite::version_number() >= 3_051_003, "SQLite {}", rusqlite::version());
}

#[test]
fn what_a_crash_left_is_found_by_the_next_life_until_it_is_released() {
    let folder = folder("crash");
    let (store, unfinished) = Store::open(&folder, 1).expect("a store");
    assert_eq!(unfinished, []);
    store.journal(LegId(256), "sip", Some(b"first".to_vec()));
    store.journal(LegId(256), "sip", Some(b"dialog".to_vec()));
    store.journal(LegId(512), "sip", Some(b"ended".to_vec()));
    store.journal(LegId(512), "sip", None);
    let bob = Address::sip("bob", "example.org");
    store.began(1, &Address::tel("+4512345678"), &bob, 2);
    drop(store);
    let (store, unfinished) = Store::open(&folder, 3).expect("a store");
    assert_eq!(unfinished.len(), 1);
    assert_eq!(unfinished[0].entry, b"dialog");
    let rows = calls(&folder);
    assert_eq!(rows.len(), 1, "the record of the cut-off call exists");
    assert_eq!(rows[0].1.as_deref(), Some(Cause::Failed.as_str()));
    assert!(!rows[0].0.contains("1234"), "numbers are hashed");
    store.journal(LegId(256), "sip", Some(b"another life's leg".to_vec()));
    store.released(unfinished[0].key);
    drop(store);
    let (_store, unfinished) = Store::open(&folder, 4).expect("a store");
    assert_eq!(unfinished.len(), 1);
    assert_eq!(unfinished[0].entry, b"another life's leg");
}

#[test]
fn records_are_gone_after_their_time() {
    let folder = folder("retention");
    let (store, _) = Store::open(&folder, 1).expect("a store");
    store.began(1, &Address::procom("a"), &Address::procom("b"), 2);
    drop(store);
    drop(Store::open(&folder, 10).expect("a store"));
    assert_eq!(calls(&folder).len(), 1);
    drop(Store::open(&folder, 11 + RETENTION.as_millis() as i64).expect("a store"));
    assert_eq!(calls(&folder), []);
}

#[test]
fn only_the_owner_can_read_the_journal() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder("rights");
    let (store, _) = Store::open(&folder, 1).expect("a store");
    store.journal(LegId(256), "sip", Some(b"dialog".to_vec()));
    for name in ["gateway.db", "gateway.db-wal", "gateway.db-shm", "records.key"] {
        let rights = std::fs::metadata(folder.join(name)).expect("a file").permissions();
        assert_eq!(rights.mode() & 0o077, 0, "{name}");
    }
}
