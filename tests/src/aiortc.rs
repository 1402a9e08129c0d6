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
        Self::start_as(net, url, user, password, speaks_hz, (false, &[]))
    }

    /// The same, but its offers name a fingerprint that is not its certificate's.
    pub fn start_with_wrong_fingerprint(
        net: &Net,
        url: &str,
        user: &str,
        password: &str,
        speaks_hz: u32,
    ) -> Self {
        Self::start_as(net, url, user, password, speaks_hz, (true, &[]))
    }

    /// The same as [`Self::start`], but its calls have data channels of these labels.
    pub fn start_with_channels(
        net: &Net,
        url: &str,
        user: &str,
        password: &str,
        speaks_hz: u32,
        labels: &[&str],
    ) -> Self {
        Self::start_as(net, url, user, password, speaks_hz, (false, labels))
    }

    fn start_as(
        net: &Net,
        url: &str,
        user: &str,
        password: &str,
        speaks_hz: u32,
        (lies, labels): (bool, &[&str]),
    ) -> Self {
        let recording = net.folder(user).join("heard.wav");
        let settings = json!({
            "url": url,
            "user": user,
            "password": password,
            "speaks": tone_file(net, speaks_hz, 48_000),
            "hears": recording,
            "lies": lies,
            "labels": labels,
        });
        let script = Script::start(net, &format!("aiortc-{user}"), "aiortc_peer.py", &settings);
        Self { script, recording }
    }

    /// Calls an address.
    pub fn call(&mut self, to: &str) {
        self.script.process.send(&format!("call {to}"));
    }

    /// Says a text on a channel of its call.
    pub fn say(&mut self, label: &str, text: &str) {
        self.script.process.send(&format!("say {label} {text}"));
    }

    /// Says one text of so many bytes.
    pub fn say_long(&mut self, label: &str, bytes: usize) {
        self.script.process.send(&format!("say_long {label} {bytes}"));
    }

    /// Says a text so often, as fast as it can.
    pub fn say_often(&mut self, label: &str, count: usize, text: &str) {
        self.script.process.send(&format!("say_often {label} {count} {text}"));
    }

    /// Cuts its WebSocket off, without a word.
    pub fn drop_socket(&mut self) {
        self.script.process.send("drop");
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
