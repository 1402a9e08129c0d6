//! One real program under test: its lines are read, logged and waited for; it ends when its handle
//! is dropped, and only by its own process id.

#![expect(clippy::disallowed_methods, reason = "a shell: waits for real programs in real time")]

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use regex::Regex;

use crate::namespace::Net;

/// How long a program gets to end by itself before it is killed.
const PATIENCE: Duration = Duration::from_secs(4);

/// A running program.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    chunks: Receiver<String>,
    text: String,
    read_to: usize,
}

impl Process {
    /// Starts `command`, which is called `name` in messages; its output goes to `name.log` too.
    pub fn start(net: &Net, name: &str, command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|why| panic!("{name}: {command:?}: {why}"));
        let log = File::create(net.path(format!("{name}.log"))).expect("a log can be written");
        let (sender, chunks) = channel();
        let output = child.stdout.take().expect("stdout was asked for");
        let errors = child.stderr.take().expect("stderr was asked for");
        follow(output, sender.clone(), log.try_clone().expect("a file handle can be doubled"));
        follow(errors, sender, log);
        Self { name: name.into(), child, chunks, text: String::new(), read_to: 0 }
    }

    /// Returns the name used in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes one line to the program's standard input.
    pub fn send(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("stdin was asked for");
        if let Err(why) = writeln!(input, "{line}").and_then(|()| input.flush()) {
            let tail = self.tail();
            panic!("{} takes no input: {why}\n{tail}", self.name);
        }
    }

    /// Waits until the output after the last match holds `pattern`; returns the match's groups.
    #[track_caller]
    pub fn expect(&mut self, pattern: &str, within: Duration) -> Vec<String> {
        let from = self.read_to;
        let (groups, end) = self.find(pattern, from, within);
        self.read_to = end;
        groups
    }

    /// Like [`Process::expect`], but looks at all output since the start and remembers nothing.
    #[track_caller]
    pub fn expect_ever(&mut self, pattern: &str, within: Duration) -> Vec<String> {
        self.find(pattern, 0, within).0
    }

    /// Returns the next match of `pattern` if it comes in time.
    pub fn poll(&mut self, pattern: &str, within: Duration) -> Option<Vec<String>> {
        let (groups, end) = self.search(pattern, self.read_to, within)?;
        self.read_to = end;
        Some(groups)
    }

    /// Returns all output so far.
    pub fn output(&mut self) -> &str {
        self.take_in(Duration::ZERO);
        &self.text
    }

    /// Skips what was printed so far: the next [`Process::expect`] starts here.
    pub fn forget(&mut self) {
        self.read_to = self.output().len();
    }

    #[track_caller]
    fn find(&mut self, pattern: &str, from: usize, within: Duration) -> (Vec<String>, usize) {
        if let Some(found) = self.search(pattern, from, within) {
            return found;
        }
        let (tail, exit) = (self.tail(), self.child.try_wait());
        panic!(
            "{} did not print {pattern:?} within {within:?} (exit: {exit:?}); last words:\n{tail}",
            self.name
        );
    }

    fn search(
        &mut self,
        pattern: &str,
        from: usize,
        within: Duration,
    ) -> Option<(Vec<String>, usize)> {
        let regex = Regex::new(pattern).expect("patterns are written by us");
        let deadline = Instant::now() + within;
        loop {
            if let Some(found) = regex.captures(&self.text[from..]) {
                let groups = found
                    .iter()
                    .map(|group| group.map_or(String::new(), |text| text.as_str().into()))
                    .collect();
                let end = from + found.get(0).expect("group 0 is the match").end();
                return Some((groups, end));
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            if !self.take_in(left) {
                return None;
            }
        }
    }

    /// Takes in what was printed, waiting for the first piece; says whether more can come.
    fn take_in(&mut self, wait: Duration) -> bool {
        match self.chunks.recv_timeout(wait) {
            Ok(first) => self.text.push_str(&first),
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        while let Ok(more) = self.chunks.try_recv() {
            self.text.push_str(&more);
        }
        true
    }

    fn tail(&mut self) -> String {
        let text = self.output();
        let start = text.len().saturating_sub(3_000);
        let start = (start..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text[start..].to_owned()
    }

    /// Sends a signal to this one process.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("process ids fit");
        // It may have ended by itself, which is no failure of the signal's sender.
        let _ = kill(Pid::from_raw(id), signal);
    }

    /// Waits for the program to end.
    pub fn ends_within(&mut self, within: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + within;
        loop {
            match self.child.try_wait().expect("a child of ours can be waited for") {
                Some(status) => return Some(status),
                None if Instant::now() >= deadline => return None,
                None => sleep(Duration::from_millis(10)),
            }
        }
    }

    /// Asks the program to end, and kills it if it does not.
    pub fn stop(&mut self) {
        self.stop_by(Signal::SIGTERM);
    }

    /// Asks the program to end by `signal`, and kills it if it does not.
    pub fn stop_by(&mut self, signal: Signal) {
        if self.ends_within(Duration::ZERO).is_some() {
            return;
        }
        self.signal(signal);
        if self.ends_within(PATIENCE).is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

fn follow(mut output: impl Read + Send + 'static, sender: Sender<String>, mut log: File) {
    spawn(move || {
        let mut buffer = [0_u8; 8192];
        while let Ok(length) = output.read(&mut buffer) {
            if length == 0 {
                return;
            }
            // A log that cannot be written must not stop the test.
            let _ = log.write_all(&buffer[..length]);
            let _ = sender.send(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
    });
}
