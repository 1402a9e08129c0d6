//! Chromium and Firefox, headless, by `interop/web/browser.mjs` (puppeteer-core): what a person
//! does with a page, and what the page hears, sends and receives.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::namespace::{Net, command, workspace};
use crate::process::Process;
use crate::tone::tone_file;
use crate::wav::Sound;

/// How long one command may take in a browser on a busy machine.
const COMMAND: Duration = Duration::from_secs(40);

/// Which browser.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Product {
    /// Debian's chromium.
    Chromium,
    /// Debian's firefox-esr.
    Firefox,
}

/// One frame of a page's WebSocket.
#[derive(Clone, Debug)]
pub struct Frame {
    /// By the clock of the page's machine, milliseconds since 1970.
    pub at_ms: f64,
    /// `client`, `gateway`, or `closed`.
    pub from: String,
    /// The object, or the close code.
    pub value: Value,
}

/// A running browser with one page.
#[derive(Debug)]
pub struct Browser {
    process: Process,
    last_id: u64,
    screenshots: PathBuf,
}

impl Browser {
    /// Starts a browser whose microphone hears `speaks_hz`, with a window of a desktop.
    pub fn start(net: &Net, name: &str, product: Product, speaks_hz: u32) -> Self {
        let settings = json!({
            "browser": match product {
                Product::Chromium => "chromium",
                Product::Firefox => "firefox",
            },
            "microphone": tone_file(net, speaks_hz, 48_000),
            "microphone_hz": speaks_hz,
            "profile": net.folder(&format!("{name}-profile")),
            "width": 1280,
            "height": 800,
            "tones": [440, 550, 660, 880],
        });
        let mut program = command("node");
        program.arg(workspace().join("tests/interop/web/browser.mjs")).arg(settings.to_string());
        program.env("HOME", net.folder(&format!("{name}-home")));
        let mut process = Process::start(net, name, &mut program);
        process.expect(r#"\{"id":0,.*\n"#, COMMAND);
        Self { process, last_id: 0, screenshots: net.path(name) }
    }

    /// Opens a page and waits for its load event.
    #[track_caller]
    pub fn goto(&mut self, url: &str) {
        self.obey(json!({ "do": "goto", "url": url }));
    }

    /// Types into an element.
    #[track_caller]
    pub fn type_into(&mut self, selector: &str, text: &str) {
        self.obey(json!({ "do": "type", "selector": selector, "text": text }));
    }

    /// Clicks an element, which must be visible.
    #[track_caller]
    pub fn click(&mut self, selector: &str) {
        self.obey(json!({ "do": "click", "selector": selector }));
    }

    /// Clicks an element if it can be seen: some are only there on small windows.
    #[track_caller]
    pub fn click_if_visible(&mut self, selector: &str) {
        self.obey(json!({ "do": "click_if_visible", "selector": selector }));
    }

    /// Presses one key, named as in the DOM: `Tab`, `Enter`, `5`.
    #[track_caller]
    pub fn press(&mut self, key: &str) {
        self.obey(json!({ "do": "press", "key": key }));
    }

    /// Waits until an element matches.
    #[track_caller]
    pub fn wait(&mut self, selector: &str, within: Duration) {
        self.obey(
            json!({ "do": "wait", "selector": selector, "within_ms": within.as_millis() as u64 }),
        );
    }

    /// Returns an attribute, if the element and the attribute exist.
    #[track_caller]
    pub fn attribute(&mut self, selector: &str, name: &str) -> Option<String> {
        let value = self.obey(json!({ "do": "attribute", "selector": selector, "name": name }));
        value.as_str().map(String::from)
    }

    /// Returns the text of an element, if it exists.
    #[track_caller]
    pub fn text(&mut self, selector: &str) -> Option<String> {
        self.obey(json!({ "do": "text", "selector": selector })).as_str().map(String::from)
    }

    /// Runs a script in the page and returns its value.
    #[track_caller]
    pub fn evaluate(&mut self, script: &str) -> Value {
        self.obey(json!({ "do": "evaluate", "script": script }))
    }

    /// Returns the frames of all sockets of the page so far.
    #[track_caller]
    pub fn frames(&mut self) -> Vec<Frame> {
        let frames = self.obey(json!({ "do": "frames" }));
        let parse = |frame: &Value| Frame {
            at_ms: frame["at_ms"].as_f64().unwrap_or_default(),
            from: frame["from"].as_str().unwrap_or_default().into(),
            value: serde_json::from_str(frame["text"].as_str().unwrap_or_default())
                .unwrap_or(Value::Null),
        };
        frames.as_array().map(|frames| frames.iter().map(parse).collect()).unwrap_or_default()
    }

    /// Returns the newest frame of a type that one side sent.
    #[track_caller]
    pub fn last_frame(&mut self, from: &str, kind: &str) -> Option<Frame> {
        let frames = self.frames();
        frames.into_iter().rev().find(|frame| frame.from == from && frame.value["type"] == kind)
    }

    /// Waits until the gateway has sent a frame of this type for which `is_it` holds.
    #[track_caller]
    pub fn wait_frame(
        &mut self,
        kind: &str,
        within: Duration,
        is_it: impl Fn(&Value) -> bool,
    ) -> Frame {
        let step = Duration::from_millis(100);
        for _ in 0..=within.as_millis() / step.as_millis() {
            let frames = self.frames();
            let found = frames.into_iter().find(|frame| {
                frame.from == "gateway" && frame.value["type"] == kind && is_it(&frame.value)
            });
            if let Some(frame) = found {
                return frame;
            }
            sleep(step);
        }
        let had: Vec<_> = self.frames().into_iter().map(|frame| frame.value).collect();
        panic!("{}: no such {kind} frame within {within:?}; had {had:#?}", self.process.name());
    }

    /// Forgets what was heard and starts to record the far side.
    #[track_caller]
    pub fn listen(&mut self) {
        self.obey(json!({ "do": "listen" }));
    }

    /// Returns what was heard since [`Browser::listen`].
    #[track_caller]
    pub fn heard(&mut self) -> Sound {
        let heard = self.obey(json!({ "do": "heard" }));
        let text = heard["samples"].as_str().unwrap_or_default();
        let bytes = STANDARD.decode(text).expect("the probe writes base64");
        let sample = |two: &[u8]| f32::from(i16::from_le_bytes([two[0], two[1]])) / 32_768.0;
        Sound {
            rate_hz: u32::try_from(heard["rate_hz"].as_u64().unwrap_or(48_000))
                .expect("sample rates are small"),
            samples: bytes.chunks_exact(2).map(sample).collect(),
        }
    }

    /// Returns when a tone was first heard by the page's clock, in milliseconds since 1970.
    #[track_caller]
    pub fn first_heard_ms(&mut self, hz: u32) -> Option<f64> {
        self.obey(json!({ "do": "tones" }))[hz.to_string()].as_f64()
    }

    /// Returns the errors the page has logged or thrown.
    #[track_caller]
    pub fn problems(&mut self) -> Vec<String> {
        let problems = self.obey(json!({ "do": "problems" }));
        problems
            .as_array()
            .map(|all| all.iter().map(ToString::to_string).collect())
            .unwrap_or_default()
    }

    /// Sets the size of the window.
    #[track_caller]
    pub fn resize(&mut self, width: u32, height: u32) {
        self.obey(json!({ "do": "size", "width": width, "height": height }));
    }

    /// Writes a picture of the page and returns its path.
    #[track_caller]
    pub fn screenshot(&mut self, name: &str) -> PathBuf {
        let path = Path::new(&self.screenshots).with_extension(format!("{name}.png"));
        self.obey(json!({ "do": "screenshot", "path": path }));
        path
    }

    /// Returns what axe-core finds wrong with the page's accessibility.
    #[track_caller]
    pub fn axe(&mut self) -> Vec<Value> {
        self.obey(json!({ "do": "axe" })).as_array().cloned().unwrap_or_default()
    }

    /// Panics if axe-core finds something serious or critical in the page's accessibility.
    #[track_caller]
    pub fn assert_accessible(&mut self, moment: &str) {
        let found = self.axe();
        let is_serious =
            |found: &&Value| matches!(found["impact"].as_str(), Some("serious" | "critical"));
        let serious: Vec<&Value> = found.iter().filter(is_serious).collect();
        assert!(serious.is_empty(), "{moment}: {serious:#?}");
    }

    /// Closes the page as a person closes a tab; the browser lives on.
    #[track_caller]
    pub fn close_tab(&mut self) {
        self.obey(json!({ "do": "close_tab" }));
    }

    #[track_caller]
    fn obey(&mut self, mut command: Value) -> Value {
        self.last_id += 1;
        command["id"] = self.last_id.into();
        self.process.send(&command.to_string());
        let line =
            self.process.expect(&format!(r#"(?m)^\{{"id":{}[,}}].*\n"#, self.last_id), COMMAND);
        let answer: Value = serde_json::from_str(&line[0]).expect("browser.mjs prints JSON");
        if let Some(why) = answer["error"].as_str() {
            panic!("{}: {}: {why}", self.process.name(), command["do"]);
        }
        answer["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The script closes the browser itself, which killing the script would leave behind.
        if !std::thread::panicking() {
            self.process.send(r#"{"do":"quit"}"#);
        }
        self.process.ends_within(Duration::from_secs(5));
    }
}
