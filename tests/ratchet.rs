//! The house rules that can be counted (ARCHITECTURE.md §6): these numbers may only go down. Whoever
//! makes one better writes the new number here; whoever makes one worse splits something first.

use std::path::{Path, PathBuf};

/// Lines of the longest file without tests.
const LONGEST_FILE: usize = 500;
/// Lines of the longest function, from its name to its closing brace.
const LONGEST_FUNCTION: usize = 64;
/// How many places share a lock: one, for the certificate verifier that rtc-dtls calls back.
const SHARED_LOCKS: usize = 1;
/// How many marks say that something is unfinished.
const UNFINISHED: usize = 0;

struct Source {
    path: PathBuf,
    lines: Vec<String>,
}

/// Every file of production code: what stands in `src`, without files and modules of tests.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for package in ["gateway", "adapters", "dialplan"] {
        walk(&root.join(package), &mut files);
    }
    assert!(files.len() > 100, "found {} files only: is this the tree?", files.len());
    files.iter().map(|path| read(path)).collect()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the tree") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !matches!(name, "target" | "tests" | "node_modules" | "web" | "examples") {
                walk(&path, files);
            }
        } else if name.ends_with(".rs") && name != "tests.rs" && !name.ends_with("_tests.rs") {
            files.push(path);
        }
    }
}

fn read(path: &Path) -> Source {
    let text = std::fs::read_to_string(path).expect("a source file");
    // A module of tests stands last in its file.
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let is_tests = |pair: &[String]| {
        pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{')
    };
    let end = lines.windows(2).position(is_tests).unwrap_or(lines.len());
    Source { path: path.to_owned(), lines: lines[..end].to_vec() }
}

fn functions(source: &Source) -> Vec<(usize, String)> {
    let begins = |line: &str| {
        let line = line.trim_start();
        let words =
            ["fn ", "pub fn ", "pub(crate) fn ", "pub(super) fn ", "async fn ", "const fn "];
        words.iter().any(|word| line.starts_with(word))
            || line.starts_with("pub ") && line.contains(" fn ")
            || line.starts_with("pub(") && line.contains(" fn ")
    };
    let mut found = Vec::new();
    for (at, line) in source.lines.iter().enumerate().filter(|(_, line)| begins(line)) {
        let indent = &line[..line.len() - line.trim_start().len()];
        let is_last = |line: &&String| **line == format!("{indent}}}") || line.ends_with(';');
        // What ends on its first line, or is declared only, has no length worth counting.
        if line.ends_with('}') || line.ends_with(';') {
            continue;
        }
        let body = source.lines[at..].iter().position(|line| *line == format!("{indent}}}"));
        let declared = source.lines[at..].iter().take(8).position(|line| is_last(&line));
        let length = match (body, declared) {
            (Some(body), Some(declared)) if declared < body && !line.ends_with('{') => declared,
            (Some(body), _) => body,
            (None, _) => continue,
        };
        found.push((length + 1, format!("{}:{}", source.path.display(), at + 1)));
    }
    found
}

fn count(marks: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources() {
        for (at, line) in source.lines.iter().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                found.push(format!("{}:{}: {}", source.path.display(), at + 1, line.trim()));
            }
        }
    }
    found
}

#[test]
fn no_file_is_longer_than_the_longest_was() {
    let long: Vec<_> = sources()
        .into_iter()
        .filter(|source| source.lines.len() > LONGEST_FILE)
        .map(|source| format!("{} has {} lines", source.path.display(), source.lines.len()))
        .collect();
    assert!(long.is_empty(), "longer than {LONGEST_FILE} lines: {long:#?}");
}

#[test]
fn no_function_is_longer_than_the_longest_was() {
    let mut all: Vec<_> = sources().iter().flat_map(functions).collect();
    all.sort();
    let long: Vec<_> = all.iter().filter(|(length, _)| *length > LONGEST_FUNCTION).collect();
    assert!(all.len() > 1000, "found {} functions only", all.len());
    assert!(long.is_empty(), "longer than {LONGEST_FUNCTION} lines: {long:#?}");
}

#[test]
fn tasks_share_no_locks_and_nothing_is_unfinished() {
    let locks = count(&["Arc<Mutex", "Arc<RwLock"]);
    assert!(locks.len() <= SHARED_LOCKS, "{locks:#?}");
    let marks = count(&["TODO", "FIXME", "XXX", "todo!(", "unimplemented!("]);
    assert_eq!(marks.len(), UNFINISHED, "{marks:#?}");
}
