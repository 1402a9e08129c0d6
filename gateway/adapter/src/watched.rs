//! Files that others write anew while we run: certificates, above all, which live for weeks.
//!
//! In: the moment. Out: whether it is worth reading them again. Nobody has to send a signal, and a
//! look costs one `stat` a file and a second at most.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// The shortest time between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// What tells one writing of a file from another.
type Stamp = (SystemTime, u64);

/// Files that are watched.
#[derive(Debug)]
pub struct Watched {
    files: Vec<PathBuf>,
    seen: Vec<Option<Stamp>>,
    next: Instant,
}

impl Watched {
    /// Watches these from now on. To be made before they are first read: what is written in between
    /// is seen then.
    pub fn new(files: impl IntoIterator<Item = PathBuf>, now: Instant) -> Self {
        let files: Vec<PathBuf> = files.into_iter().collect();
        let seen = files.iter().map(stamp).collect();
        Self { files, seen, next: now + PAUSE }
    }

    /// Whether one of them was written since the last time this said so.
    pub fn has_changed(&mut self, now: Instant) -> bool {
        if now < self.next {
            return false;
        }
        self.next = now + PAUSE;
        let found = self.files.iter().map(stamp).collect();
        std::mem::replace(&mut self.seen, found) != self.seen
    }
}

fn stamp(path: &PathBuf) -> Option<Stamp> {
    let known = fs::metadata(path).ok()?;
    Some((known.modified().ok()?, known.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_written_anew_is_told_once_and_looked_at_once_a_second() {
        let folder = std::env::temp_dir().join(format!("procom-watched-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("certificate.pem");
        fs::write(&file, "old").unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin with")]
        let start = Instant::now();
        let mut watched = Watched::new([file.clone()], start);
        fs::write(&file, "the new one").unwrap();
        assert!(!watched.has_changed(start + PAUSE / 2), "not looked at yet");
        assert!(watched.has_changed(start + PAUSE));
        assert!(!watched.has_changed(start + 2 * PAUSE), "told once");
        fs::remove_file(&file).unwrap();
        assert!(watched.has_changed(start + 3 * PAUSE), "gone is another state too");
        fs::remove_dir_all(&folder).unwrap();
    }
}
