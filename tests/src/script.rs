//! Peers that are scripts of ours: Python (pjsua2, aiortc, impairment) and Node (browsers). They
//! take one line a command and print one JSON object a line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::namespace::{Net, command, workspace};
use crate::process::Process;

/// Returns the Python that `tests/run` installed the peers' modules for.
pub fn python() -> PathBuf {
    workspace().join(".peers/venv/bin/python")
}

/// A running script of `tests/interop/peers`.
#[derive(Debug)]
pub struct Script {
    /// The program.
    pub process: Process,
}

impl Script {
    /// Starts a script with one JSON object as its settings and waits until it is ready.
    pub fn start(net: &Net, name: &str, file: &str, settings: &Value) -> Self {
        let path = workspace().join("tests/interop/peers").join(file);
        let mut program = command(python());
        program.args([Path::new("-u"), &path]).arg(settings.to_string());
        let process = Process::start(net, name, &mut program);
        let mut script = Self { process };
        script.wait("ready", Duration::from_secs(30));
        script
    }

    /// Waits for the next event of this name and returns it whole.
    #[track_caller]
    pub fn wait(&mut self, event: &str, within: Duration) -> Value {
        let pattern = format!(r#"(?m)^\{{"event": "{event}".*\}}\n"#);
        let line = self.process.expect(&pattern, within);
        serde_json::from_str(&line[0]).expect("scripts print JSON")
    }

    /// Returns all events of this name so far.
    pub fn all(&mut self, event: &str) -> Vec<Value> {
        self.process
            .output()
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|value| value["event"] == event)
            .collect()
    }

    /// Ends the script by its `quit` command.
    pub fn quit(&mut self) {
        self.process.send("quit");
        self.process.ends_within(Duration::from_secs(6));
        self.process.stop();
    }
}
