//! Reads the committed corpora, and makes new inputs of them: what the replay tests of all packages
//! share (each includes this file by its path).
//!
//! ```text
//!   tests/fuzz/corpus/<parser>/* --corpus--> bytes --mutations--> the same with a few things broken
//! ```

use std::fs;
use std::path::Path;

/// The fewest files a corpus may have: fewer mean that it is not in its place.
const MIN_FILES: usize = 8;
/// How many inputs are made of a corpus.
const MUTATIONS: u64 = 200_000;
/// The longest input that is made.
const MAX_INPUT_BYTES: usize = 128 * 1024;
/// Bytes that parsers trip over.
const ODD_BYTES: &[u8] = b"\0\t\r\n \"',;:<>@=%-+/\\|?#{}[]().0129aZ\x7f\x80\xc3\xff";
/// Words that parsers trip over.
const ODD_WORDS: [&[u8]; 16] = [
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n ",
    b"-1",
    b"0",
    b"65536",
    b"2147483648",
    b"4294967296",
    b"18446744073709551616",
    b"1e999",
    b"%00",
    b"%zz",
    b"\\u0000",
    "\u{130}".as_bytes(),
    "\u{2028}".as_bytes(),
    "\u{1f4de}".as_bytes(),
];

/// Name and bytes of each file of one corpus.
pub(crate) fn corpus(parser: &str) -> Vec<(String, Vec<u8>)> {
    // Packages lie at different depths of the tree.
    let corpora = |folder: &Path| folder.join("tests/fuzz/corpus");
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tree = package.ancestors().find(|folder| corpora(folder).is_dir());
    let root = corpora(tree.unwrap_or(package)).join(parser);
    let files = fs::read_dir(&root).unwrap_or_else(|fault| panic!("{}: {fault}", root.display()));
    let mut files: Vec<_> = files
        .map(|file| {
            let file = file.expect("a file that can be listed");
            let bytes = fs::read(file.path()).expect("a file that can be read");
            (file.file_name().to_string_lossy().into_owned(), bytes)
        })
        .collect();
    files.sort();
    assert!(files.len() >= MIN_FILES, "the corpus of {parser} is in its place");
    files
}

/// Hands each file of a corpus to `check`, which must accept those whose names begin with `good_`
/// and no others.
pub(crate) fn replay(parser: &str, check: impl Fn(&[u8]) -> bool) {
    for (name, bytes) in corpus(parser) {
        let _witness = Witness(&name, &bytes);
        assert_eq!(check(&bytes), name.starts_with("good_"), "{name}");
    }
}

/// Hands [`MUTATIONS`] inputs to `check`, each a file of the corpus with one to four things changed. The
/// same inputs come at every run.
pub(crate) fn mutations<T>(parser: &str, check: impl Fn(&[u8]) -> T) {
    let files: Vec<_> = corpus(parser).into_iter().map(|(_, bytes)| bytes).collect();
    for round in 0..MUTATIONS {
        let mut dice = Dice(round);
        let mut bytes = dice.one_of(&files).clone();
        for _ in 0..=dice.below(4) {
            change(&mut bytes, &files, &mut dice);
        }
        bytes.truncate(MAX_INPUT_BYTES);
        let name = format!("{parser}, round {round}");
        let _witness = Witness(&name, &bytes);
        let _ = check(&bytes);
    }
}

/// Tells on which input a check panicked.
struct Witness<'a>(&'a str, &'a [u8]);

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("input ({}): \"{}\"", self.0, self.1.escape_ascii());
        }
    }
}

/// Changes one thing.
fn change(bytes: &mut Vec<u8>, files: &[Vec<u8>], dice: &mut Dice) {
    let at = dice.below(bytes.len() + 1);
    let end = (at + 1 + dice.below(24)).min(bytes.len());
    match dice.below(64) {
        0..10 if at < end => bytes[at] ^= 1 << dice.below(8),
        10..20 if at < end => bytes[at] = *dice.one_of(ODD_BYTES),
        20..28 => bytes.insert(at, *dice.one_of(ODD_BYTES)),
        28..36 => insert(bytes, at, dice.one_of(&ODD_WORDS).to_vec()),
        36..44 => drop(bytes.drain(at.min(end)..end)),
        44..50 => insert(bytes, at, bytes[at.min(end)..end].to_vec()),
        50..54 => bytes.truncate(at),
        54..60 => {
            let other = dice.one_of(files);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[dice.below(other.len() + 1)..]);
        }
        60..63 => replace_number(bytes, at, dice),
        63 => {
            let times = 1 << dice.below(12);
            insert(bytes, at, bytes[at.min(end)..end].repeat(times));
        }
        // Nothing is left to be changed in place.
        _ => {}
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, more: Vec<u8>) {
    bytes.splice(at..at, more);
}

/// Puts an odd word in place of the next number.
fn replace_number(bytes: &mut Vec<u8>, at: usize, dice: &mut Dice) {
    let Some(start) = bytes[at..].iter().position(u8::is_ascii_digit) else { return };
    let start = at + start;
    let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    bytes.splice(start..start + length, dice.one_of(&ODD_WORDS).iter().copied());
}

/// SplitMix64: enough chance for this, and the same at every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        let rolled = usize::try_from(self.roll() >> 33).expect("31 bits fit");
        rolled % bound
    }

    fn one_of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}
