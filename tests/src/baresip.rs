//! baresip 1.0 as Debian ships it: steered over `ctrl_tcp` (JSON in netstrings), speaking a WAV
//! file, recording what it hears.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{sleep, spawn};
use std::time::Duration;

use serde_json::{Value, json};

use crate::namespace::{Net, command};
use crate::phone::{Phone, Protection, STEP, Settings};
use crate::process::Process;
use crate::tone::tone_file;

const MODULES: [&str; 9] =
    ["stdio", "g711", "aufile", "aubridge", "sndfile", "srtp", "plc", "stun", "g722"];

/// A running baresip.
#[derive(Debug)]
pub struct Baresip {
    process: Process,
    control: TcpStream,
    messages: Receiver<Value>,
    events: Vec<Value>,
    read_to: usize,
    recordings: PathBuf,
}

impl Baresip {
    /// Starts it and waits until it takes commands.
    pub fn start(net: &Net, settings: &Settings) -> Self {
        let folder = net.folder(&settings.user);
        let recordings = folder.join("recordings");
        fs::create_dir_all(&recordings).expect("the folder of a test is writable");
        net.write(folder.join("config"), config(net, settings));
        net.write(folder.join("accounts"), account(settings));
        let contact = match settings.contact.as_str() {
            "" => String::new(),
            uri => format!("\"contact\" <{uri}>\n"),
        };
        net.write(folder.join("contacts"), contact);
        let mut program = command("baresip");
        // It cuts long paths of recordings short, hence it records into its own folder.
        let family = if settings.is_on_ipv6() { "-6" } else { "-4" };
        program
            .args([family, "-s", "-n", &settings.ip(), "-f"])
            .arg(&folder)
            .current_dir(&recordings);
        let mut process = Process::start(net, &settings.user, &mut program);
        process.expect_ever("baresip is ready", STEP);
        let control = connect(control_port(settings));
        let (sender, messages) = channel();
        let reader = control.try_clone().expect("a socket handle can be doubled");
        spawn(move || read_netstrings(reader, &sender));
        Self { process, control, messages, events: Vec::new(), read_to: 0, recordings }
    }

    /// Sends a command of the `menu` module.
    pub fn command(&mut self, command: &str, params: &str) {
        let text = json!({ "command": command, "params": params, "token": "t" }).to_string();
        let sent = write!(self.control, "{}:{text},", text.len());
        sent.unwrap_or_else(|why| panic!("baresip takes no command: {why}"));
    }

    /// Waits for an event of this type, from the last one waited for.
    #[track_caller]
    pub fn wait_event(&mut self, kind: &str, within: Duration) -> Value {
        let step = Duration::from_millis(20);
        for _ in 0..=within.as_millis() / step.as_millis() {
            self.take_in(step);
            let is_it = |event: &Value| event["type"] == kind;
            if let Some(at) = self.events[self.read_to..].iter().position(is_it) {
                self.read_to += at + 1;
                return self.events[self.read_to - 1].clone();
            }
        }
        let had: Vec<_> = self.events.iter().map(|event| event["type"].to_string()).collect();
        panic!("{}: no {kind} within {within:?}; had {had:?}", self.process.name());
    }

    fn take_in(&mut self, wait: Duration) {
        if let Ok(message) = self.messages.recv_timeout(wait) {
            self.events.push(message);
        }
        self.events.extend(self.messages.try_iter());
    }
}

impl Phone for Baresip {
    fn call(&mut self, uri: &str) {
        self.command("dial", uri);
    }
    fn answer(&mut self) {
        self.command("accept", "");
    }
    fn decline(&mut self) {
        self.command("hangup", "");
    }
    fn hang_up(&mut self) {
        self.command("hangup", "");
    }
    fn hold(&mut self) {
        self.command("hold", "");
    }
    fn resume(&mut self) {
        self.command("resume", "");
    }
    fn send_digits(&mut self, digits: &str) {
        for digit in digits.chars() {
            self.command("sndcode", &digit.to_string());
            sleep(Duration::from_millis(400));
        }
    }
    fn digits(&mut self) -> String {
        self.take_in(Duration::ZERO);
        let is_digit = |event: &&Value| event["type"] == "CALL_DTMF_START";
        self.events.iter().filter(is_digit).filter_map(|event| event["param"].as_str()).collect()
    }
    fn write(&mut self, text: &str) {
        self.command("message", text);
    }
    fn shown(&mut self, text: &str) -> usize {
        // Between quotes behind the sender's address; its trace of SIP has no quotes.
        self.process.output().matches(&format!(": \"{text}\"")).count()
    }
    fn wait_registered(&mut self) {
        // It may register before anyone can listen on the control port.
        self.process.expect_ever(r"200 OK .*\[\d+ binding", STEP);
    }
    fn wait_incoming(&mut self) {
        self.wait_event("CALL_INCOMING", STEP);
    }
    fn wait_ringing(&mut self) {
        self.wait_event("CALL_RINGING", STEP);
    }
    fn wait_established(&mut self) {
        self.wait_event("CALL_ESTABLISHED", STEP);
    }
    fn wait_ended(&mut self) {
        self.wait_event("CALL_CLOSED", STEP);
    }
    fn process(&mut self) -> &mut Process {
        &mut self.process
    }
    fn stop(&mut self) -> PathBuf {
        self.command("quit", "");
        self.process.ends_within(Duration::from_secs(3));
        self.process.stop();
        newest(&self.recordings, "dec.wav")
    }
}

fn config(net: &Net, settings: &Settings) -> String {
    let tone = tone_file(net, settings.speaks_hz, 8_000);
    // baresip cuts a path of more than 128 characters; it runs two folders below the tone.
    let tone = Path::new("../..").join(tone.file_name().expect("a file has a name"));
    let (rtp, user) = (settings.rtp_port(), &settings.user);
    let modules: String = MODULES.map(|module| format!("module {module}.so\n")).concat();
    format!(
        "sip_listen {}:{}\n\
         sip_certificate {}\n\
         sip_cafile {}\n\
         net_interface {}\n\
         dns_server 127.0.0.1:53\n\
         call_local_timeout 120\n\
         call_max_calls 4\n\
         audio_source aufile,{}\n\
         audio_player aubridge,ear-{user}\n\
         audio_alert aubridge,bell-{user}\n\
         ausrc_srate 8000\nauplay_srate 8000\nausrc_channels 1\nauplay_channels 1\n\
         rtp_ports {rtp}-{}\n\
         jitter_buffer_delay 5-10\n\
         snd_path .\n\
         ctrl_tcp_listen 127.0.0.1:{}\n\
         module_path /usr/lib/baresip/modules\n\
         {modules}module_tmp uuid.so\nmodule_tmp account.so\n\
         module_app contact.so\nmodule_app ctrl_tcp.so\nmodule_app menu.so\n",
        settings.host(),
        settings.port,
        settings.certificates.both.display(),
        settings.certificates.authority.display(),
        settings.ip(),
        tone.display(),
        rtp + 18,
        control_port(settings),
    )
}

fn account(settings: &Settings) -> String {
    let transport = settings.transport.parameter();
    let (host, rest) = match &settings.registration {
        // The domain is the same over either family.
        Some(registration) if settings.is_on_ipv6() => (
            "127.0.0.1".to_owned(),
            format!(
                ";outbound=\"sip:{};transport={transport}\";regint=300;auth_user={};auth_pass={}",
                registration.registrar, settings.user, registration.password
            ),
        ),
        Some(registration) => (
            registration.registrar.to_string(),
            format!(";regint=300;auth_user={};auth_pass={}", settings.user, registration.password),
        ),
        None => (format!("127.0.0.1:{}", settings.port), ";regint=0".into()),
    };
    let protection = match settings.protection {
        Protection::Clear => "",
        Protection::Sdes => ";mediaenc=srtp-mand",
    };
    let mode = if settings.answers { "auto" } else { "manual" };
    format!(
        "<sip:{}@{host};transport={transport}>{rest}{protection};audio_codecs=PCMU,PCMA;\
         answermode={mode};dtmfmode=rtpevent\n",
        settings.user
    )
}

fn control_port(settings: &Settings) -> u16 {
    settings.port + 10_000
}

fn connect(port: u16) -> TcpStream {
    for _ in 0..100 {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
            return stream;
        }
        sleep(Duration::from_millis(50));
    }
    panic!("baresip does not listen on its control port {port}");
}

/// Reads `LENGTH:JSON,` until the stream ends.
fn read_netstrings(mut stream: TcpStream, sender: &Sender<Value>) {
    let mut bytes = Vec::new();
    let mut buffer = [0_u8; 4096];
    while let Ok(count) = stream.read(&mut buffer) {
        if count == 0 {
            return;
        }
        bytes.extend(&buffer[..count]);
        while let Some((message, used)) = netstring(&bytes) {
            if let Ok(value) = serde_json::from_slice(message) {
                let _ = sender.send(value);
            }
            bytes.drain(..used);
        }
    }
}

fn netstring(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let colon = bytes.iter().position(|byte| *byte == b':')?;
    let length: usize = std::str::from_utf8(&bytes[..colon]).ok()?.parse().ok()?;
    let message = bytes.get(colon + 1..colon + 1 + length)?;
    bytes.get(colon + 1 + length)?;
    Some((message, colon + length + 2))
}

/// Returns the newest file of a folder whose name ends so, or the folder when there is none.
fn newest(folder: &Path, ending: &str) -> PathBuf {
    let Ok(entries) = fs::read_dir(folder) else { return folder.to_path_buf() };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().ends_with(ending))
        .max_by_key(|entry| entry.metadata().and_then(|meta| meta.modified()).ok())
        .map_or(folder.to_path_buf(), |entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_netstring_is_taken_only_when_it_is_whole() {
        assert_eq!(netstring(b"2:{},9:"), Some((&b"{}"[..], 5)));
        assert_eq!(netstring(b"2:{}"), None);
        assert_eq!(netstring(b"2"), None);
    }
}
