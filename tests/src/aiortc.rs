//! aiortc, a WebRTC stack of its own in Python, speaking `PROTOCOL.md` over a WebSocket by
//! `interop/peers/aiortc_peer.py`.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::namespace::Net;
use crate::script::Script;
use crate::tone::tone_file;

/// A running aiortc client that is signed in.
#[derive(Debug)]
pub struct Aiortc {
    script: Script,
    recording: PathBuf,
}

impl Aiortc {
    /// Starts it and signs it in at `url` (`ws://HOST:PORT/procom`).
    pub fn start(net: &Net, url: &str, user: &str, password: &str, speaks_hz: u32) -> Self {
        Self::start_as(net, url, user, password, speaks_hz, false)
    }

    /// The same, but its offers name a fingerprint that is not its certificate's.
    pub fn start_with_wrong_fingerprint(
        net: &Net,
        url: &str,
        user: &str,
        password: &str,
        speaks_hz: u32,
    ) -> Self {
        Self::start_as(net, url, user, password, speaks_hz, true)
    }

    fn start_as(
        net: &Net,
        url: &str,
        user: &str,
        password: &str,
        speaks_hz: u32,
        lies: bool,
    ) -> Self {
        let recording = net.folder(user).join("heard.wav");
        let settings = json!({
            "url": url,
            "user": user,
            "password": password,
            "speaks": tone_file(net, speaks_hz, 48_000),
            "hears": recording,
            "lies": lies,
        });
        let script = Script::start(net, &format!("aiortc-{user}"), "aiortc_peer.py", &settings);
        Self { script, recording }
    }

    /// Calls an address.
    pub fn call(&mut self, to: &str) {
        self.script.process.send(&format!("call {to}"));
    }

    /// Ends the call.
    pub fn hang_up(&mut self) {
        self.script.process.send("hang_up");
    }

    /// Waits for a frame of this type from the gateway; incoming calls are answered at once.
    #[track_caller]
    pub fn wait(&mut self, kind: &str, within: Duration) -> Value {
        self.script.wait(kind, within)
    }

    /// Ends the program and returns the recording of what it heard.
    pub fn stop(&mut self) -> PathBuf {
        self.script.quit();
        self.recording.clone()
    }
}
