//! Finds the line of a key in a TOML text: what the semantic checks complain of stands somewhere.

/// The line, counted from 1, on which `key` is set, or else that of its table's header.
///
/// Keys look like `sip.domain` or `account[1].name`.
pub(super) fn locate(text: &str, key: &str) -> Option<usize> {
    let (table, name) = key.rsplit_once('.').unwrap_or(("", key));
    let (wanted, wanted_index) = split_index(table);
    let mut current = String::new();
    let mut seen = 0;
    let mut header = None;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(title) = line.strip_prefix('[') {
            title
                .trim_start_matches('[')
                .split(']')
                .next()
                .unwrap_or("")
                .trim()
                .clone_into(&mut current);
            if current == wanted {
                if seen == wanted_index {
                    header = Some(at + 1);
                }
                seen += 1;
            }
            continue;
        }
        let is_here = current == wanted && (table.is_empty() || seen == wanted_index + 1);
        if is_here && line.split('=').next().is_some_and(|before| before.trim() == name) {
            return Some(at + 1);
        }
    }
    header
}

/// `account[1]` is the second `[[account]]`; `sip` the first and only `[sip]`.
fn split_index(table: &str) -> (&str, usize) {
    match table.rsplit_once('[') {
        Some((name, index)) => (name, index.trim_end_matches(']').parse().unwrap_or(0)),
        None => (table, 0),
    }
}
