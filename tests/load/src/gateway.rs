//! The real gateway with a configuration of a benchmark: started, measured, ended.
//!
//! The binary is the one that `PROCOM_GATEWAY_BIN` names, or the one that cargo built beside this
//! program.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Where every benchmark's configuration lets the gateway serve pages and WebSockets.
pub(crate) const HTTP: &str = "127.0.0.1:8080";
/// Where it tells its metrics.
pub(crate) const ADMIN: &str = "127.0.0.1:8081";

/// A folder of this process for one benchmark.
pub(crate) fn folder(name: &str) -> Result<PathBuf, String> {
    let path = own_folder()?.join(format!("load-{name}"));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).map_err(|why| why.to_string())?;
    Ok(path)
}

/// Where this program and the gateway lie: a disk, and not memory that looks like one.
fn own_folder() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|why| why.to_string())?;
    Ok(own.parent().ok_or("a program lies in a folder")?.to_path_buf())
}

/// The real gateway, in a process of its own.
pub(crate) struct Gateway {
    process: Child,
    /// From its start to its first answer.
    pub(crate) started_in: Duration,
}

impl Gateway {
    pub(crate) fn start(folder: &std::path::Path, config: &str) -> Result<Self, String> {
        let path = folder.join("gateway.toml");
        std::fs::write(&path, config).map_err(|why| why.to_string())?;
        let binary = gateway_tests::gateway::binary();
        let begun = Instant::now();
        let process = Command::new(&binary)
            .args(["run", "--config"])
            .arg(&path)
            .stdout(Stdio::null())
            .spawn()
            .map_err(|why| format!("{}: {why}: build procom-gateway first", binary.display()))?;
        let mut gateway = Self { process, started_in: Duration::ZERO };
        while begun.elapsed() < Duration::from_secs(60) {
            if TcpStream::connect(HTTP).is_ok() && TcpStream::connect(ADMIN).is_ok() {
                gateway.started_in = begun.elapsed();
                return Ok(gateway);
            }
            sleep(Duration::from_millis(2));
        }
        Err("the gateway does not start".to_owned())
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// CPU time so far, in seconds.
    pub(crate) fn cpu_s(&self) -> f64 {
        let path = format!("/proc/{}/stat", self.process.id());
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let ticks = text.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
        // The kernel tells hundredths of a second.
        ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
