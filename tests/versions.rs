//! The least versions that have the fixes of known advisories (RustSec and others). The advisory
//! database cannot be reached from the machines that build this, so the table stands here; a
//! Cargo.lock goes in, every package below its least version comes out.

use std::path::Path;

/// Package, the first version that is good, and what is wrong with those before.
const LEAST: [(&str, [u32; 3], &str); 10] = [
    ("rustls", [0, 23, 18], "RUSTSEC-2024-0399: a panic in the acceptor"),
    ("rustls-webpki", [0, 103, 13], "faults in the checks of names and revocation"),
    ("hickory-proto", [0, 26, 1], "RUSTSEC-2026-0118 and 0119: loops in NSEC3"),
    ("quick-xml", [0, 41, 0], "RUSTSEC-2026-0194 and 0195: memory without bound"),
    ("tungstenite", [0, 20, 1], "RUSTSEC-2023-0065: headers without bound"),
    ("quinn-proto", [0, 11, 15], "a panic by a peer"),
    ("h2", [0, 4, 16], "resets without bound"),
    ("bytes", [1, 11, 1], "an overflow in the capacity"),
    ("ring", [0, 17, 12], "RUSTSEC-2025-0009: a panic in AES"),
    ("libsqlite3-sys", [0, 40, 0], "SQLite up to 3.51.2: the WAL-reset corruption"),
];

/// Packages of a Cargo.lock that are too old.
fn too_old(lock: &str) -> Vec<String> {
    let value = |line: &str, key: &str| {
        let value = line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"')?;
        Some(value.to_owned())
    };
    let mut name = String::new();
    let mut found = Vec::new();
    for line in lock.lines() {
        name = value(line, "name").unwrap_or(name);
        let Some(version) = value(line, "version") else { continue };
        let bad =
            LEAST.iter().find(|(package, least, _)| *package == name && read(&version) < *least);
        found.extend(bad.map(|(package, least, why)| {
            format!("{package} {version} is older than {least:?}: {why}")
        }));
    }
    found
}

/// The three numbers of a version; what follows them does not count.
fn read(version: &str) -> [u32; 3] {
    let mut numbers = version.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}

#[test]
fn no_package_is_older_than_the_fix_of_a_known_advisory() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests have a parent");
    for lock in ["Cargo.lock", "tests/fuzz/Cargo.lock"] {
        let text = std::fs::read_to_string(root.join(lock)).expect(lock);
        assert!(text.contains("name = \"ring\"\nversion = \""), "{lock} is read as it is written");
        assert_eq!(too_old(&text), Vec::<String>::new(), "{lock}");
    }
}

#[test]
fn an_old_package_is_found_by_its_numbers() {
    let lock = |version: &str| format!("[[package]]\nname = \"h2\"\nversion = \"{version}\"\n");
    for (version, is_old) in [
        ("0.4.15", true),
        ("0.4.16", false),
        ("0.4.20", false),
        ("0.3.99", true),
        ("1.0.0-rc.1", false),
    ] {
        assert_eq!(!too_old(&lock(version)).is_empty(), is_old, "{version}");
    }
}
