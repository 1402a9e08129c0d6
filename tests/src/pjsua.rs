//! pjsua2 (PJSIP 2.15 from PyPI), by `interop/peers/pjsua.py`. Its offers hold AES_256_CM first.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use crate::namespace::Net;
use crate::phone::{Phone, Protection, STEP, Settings};
use crate::process::Process;
use crate::script::Script;
use crate::tone::tone_file;

/// A running pjsua2.
#[derive(Debug)]
pub struct Pjsua {
    script: Script,
    recording: PathBuf,
    contact: String,
}

impl Pjsua {
    /// Starts it and waits until it takes commands.
    pub fn start(net: &Net, settings: &Settings) -> Self {
        let recording = net.folder(&settings.user).join("heard.wav");
        let registration = settings.registration.as_ref().map(|registration| {
            json!({
                "registrar": registration.registrar.to_string(),
                "host": registration.registrar.ip().to_string(),
                "password": registration.password,
            })
        });
        let script = Script::start(
            net,
            &settings.user,
            "pjsua.py",
            &json!({
                "user": settings.user,
                "port": settings.port,
                "rtp_port": settings.rtp_port(),
                "transport": settings.transport.parameter(),
                "sdes": settings.protection == Protection::Sdes,
                "answers": settings.answers,
                "registration": registration,
                "speaks": tone_file(net, settings.speaks_hz, 8_000),
                "hears": recording,
                "authority": settings.certificates.authority,
                "certificate": settings.certificates.certificate,
                "key": settings.certificates.key,
            }),
        );
        Self { script, recording, contact: settings.contact.clone() }
    }

    /// Waits for an event of the script.
    #[track_caller]
    pub fn wait(&mut self, event: &str, within: Duration) -> serde_json::Value {
        self.script.wait(event, within)
    }
}

impl Phone for Pjsua {
    fn call(&mut self, uri: &str) {
        self.script.process.send(&format!("call {uri}"));
    }
    fn answer(&mut self) {
        self.script.process.send("answer 200");
    }
    fn decline(&mut self) {
        self.script.process.send("answer 603");
    }
    fn hang_up(&mut self) {
        self.script.process.send("hang_up");
    }
    fn hold(&mut self) {
        self.script.process.send("hold");
    }
    fn resume(&mut self) {
        self.script.process.send("resume");
    }
    fn send_digits(&mut self, digits: &str) {
        self.script.process.send(&format!("digits {digits}"));
    }
    fn digits(&mut self) -> String {
        let events = self.script.all("digit");
        events.iter().filter_map(|event| event["digit"].as_str()).collect()
    }
    fn write(&mut self, text: &str) {
        self.script.process.send(&format!("write {} {text}", self.contact));
    }
    fn shown(&mut self, text: &str) -> usize {
        self.script.all("text").iter().filter(|event| event["body"] == text).count()
    }
    fn wait_registered(&mut self) {
        let answer = self.wait("registered", STEP);
        assert_eq!(answer["code"], 200, "pjsua2 was not registered");
    }
    fn wait_incoming(&mut self) {
        self.wait("incoming", STEP);
    }
    fn wait_ringing(&mut self) {
        self.wait("ringing", STEP);
    }
    fn wait_established(&mut self) {
        self.wait("established", STEP);
    }
    fn wait_ended(&mut self) {
        self.wait("ended", STEP);
    }
    fn process(&mut self) -> &mut Process {
        &mut self.script.process
    }
    fn stop(&mut self) -> PathBuf {
        self.script.quit();
        self.recording.clone()
    }
}
