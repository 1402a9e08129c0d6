//! Captures the loopback interface of a test's namespace with dumpcap (Wireshark).

use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::namespace::{Net, command};
use crate::process::Process;
use crate::wire::Wire;

/// dumpcap writes what it has captured at least this often.
const FLUSH: Duration = Duration::from_millis(700);

/// A running capture of everything on `lo`.
#[derive(Debug)]
pub struct Capture {
    process: Process,
    path: PathBuf,
}

impl Capture {
    /// Starts to capture, and returns when packets are really being captured.
    pub fn start(net: &Net) -> Self {
        let path = net.path("wire.pcapng");
        let mut dumpcap = command("dumpcap");
        dumpcap.args(["-i", "lo", "-B", "64", "-f", "udp or tcp", "-w"]).arg(&path);
        let mut process = Process::start(net, "dumpcap", &mut dumpcap);
        process.expect("File: ", Duration::from_secs(10));
        Self { process, path }
    }

    /// Ends the capture and reads it.
    #[track_caller]
    pub fn stop(mut self) -> Wire {
        sleep(FLUSH);
        self.process.stop_by(Signal::SIGINT);
        Wire::read(&self.path).unwrap_or_else(|why| panic!("the capture cannot be read: {why}"))
    }
}
