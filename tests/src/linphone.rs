//! linphonec 5.1 as Debian ships it: steered by lines on standard input, its sound card replaced
//! by files.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use crate::namespace::{Net, command, workspace};
use crate::phone::{Phone, Protection, STEP, Settings, Transport};
use crate::process::Process;
use crate::tone::tone_file;

/// A running linphonec.
#[derive(Debug)]
pub struct Linphone {
    process: Process,
    debug_log: PathBuf,
    recording: PathBuf,
    contact: String,
}

impl Linphone {
    /// Starts it and waits until it takes commands.
    pub fn start(net: &Net, settings: &Settings) -> Self {
        Self::run(net, settings, None)
    }

    /// Starts it so that it asks to be told what becomes of its messages (RFC 5438). Needs `cc`.
    pub fn start_asking(net: &Net, settings: &Settings) -> Self {
        let source = workspace().join("tests/interop/peers/linphone_cpim.c");
        let library = net.path("linphone_cpim.so");
        let mut compiler = command("cc");
        let made = compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status();
        assert!(made.expect("cc can be started").success());
        Self::run(net, settings, Some(&library))
    }

    fn run(net: &Net, settings: &Settings, preloaded: Option<&Path>) -> Self {
        let folder = net.folder(&settings.user);
        for needed in [".local/share/linphone", "linphone"] {
            fs::create_dir_all(folder.join(needed)).expect("the folder of a test is writable");
        }
        let settings_file = net.write(folder.join("linphonerc"), config(settings));
        let debug_log = folder.join("debug.log");
        let recording = folder.join("heard.wav");
        let mut program = command("linphonec");
        program.arg("-c").arg(settings_file).args(["-d", "5", "-S", "-l"]).arg(&debug_log);
        program.env("HOME", &folder);
        if let Some(library) = preloaded {
            program.env("LD_PRELOAD", library);
        }
        program.env("XDG_CONFIG_HOME", &folder).env("XDG_DATA_HOME", &folder);
        if settings.answers {
            program.arg("-a");
        }
        let mut process = Process::start(net, &settings.user, &mut program);
        // It takes lines before its prompt is printed, but not before it is up.
        sleep(Duration::from_secs(1));
        process.send("soundcard use files");
        process.send(&format!("play {}", tone_file(net, settings.speaks_hz, 8_000).display()));
        process.send(&format!("record {}", recording.display()));
        process.expect("linphonec>", STEP);
        sleep(Duration::from_millis(500));
        Self { process, debug_log, recording, contact: settings.contact.clone() }
    }

    /// Waits until liblinphone's own log, which names every change of state, holds `pattern`.
    #[track_caller]
    pub fn wait_log(&self, pattern: &str, within: Duration) {
        let regex = regex::Regex::new(pattern).expect("patterns are written by us");
        for _ in 0..within.as_millis() / 100 {
            let log = fs::read(&self.debug_log).unwrap_or_default();
            if regex.is_match(&String::from_utf8_lossy(&log)) {
                return;
            }
            sleep(Duration::from_millis(100));
        }
        panic!("linphonec never logged {pattern:?}, see {}", self.debug_log.display());
    }
}

impl Phone for Linphone {
    fn call(&mut self, uri: &str) {
        self.process.send(&format!("call {uri}"));
    }
    fn answer(&mut self) {
        self.process.send("answer");
    }
    fn decline(&mut self) {
        self.process.send("decline all");
    }
    fn hang_up(&mut self) {
        self.process.send("terminate all");
    }
    fn hold(&mut self) {
        self.process.send("pause");
    }
    fn resume(&mut self) {
        self.process.send("resume");
    }
    fn send_digits(&mut self, digits: &str) {
        for digit in digits.chars() {
            self.process.send(&digit.to_string());
            sleep(Duration::from_millis(500));
        }
    }
    fn digits(&mut self) -> String {
        let pattern = regex::Regex::new(r"Receiving tone (\S) from").expect("a pattern of ours");
        let output = self.process.output();
        pattern.captures_iter(output).map(|found| found[1].to_owned()).collect()
    }
    fn write(&mut self, text: &str) {
        self.process.send(&format!("chat {} {text}", self.contact));
    }
    fn shown(&mut self, text: &str) -> usize {
        let line = format!(r"Message received from [^ ]*: {}\r?\n", regex::escape(text));
        let regex = regex::Regex::new(&line).expect("a pattern of ours");
        regex.find_iter(self.process.output()).count()
    }
    fn wait_registered(&mut self) {
        self.wait_log(r"to \[LinphoneRegistrationOk", STEP);
    }
    fn wait_incoming(&mut self) {
        self.wait_log("LinphoneCallIncomingReceived", STEP);
    }
    fn wait_ringing(&mut self) {
        self.wait_log("LinphoneCallOutgoingRinging", STEP);
    }
    fn wait_established(&mut self) {
        self.wait_log("LinphoneCallStreamsRunning", STEP);
    }
    fn wait_ended(&mut self) {
        self.wait_log("to LinphoneCall(End|Error)|LinphoneCall(End|Released)", STEP);
    }
    fn process(&mut self) -> &mut Process {
        &mut self.process
    }
    fn stop(&mut self) -> PathBuf {
        self.process.send("quit");
        self.process.ends_within(Duration::from_secs(4));
        self.process.stop();
        self.recording.clone()
    }
}

fn config(settings: &Settings) -> String {
    let (user, port, rtp) = (&settings.user, settings.port, settings.rtp_port());
    let listens = |transport| if settings.transport == transport { port } else { 0 };
    let (keying, is_mandatory) = match settings.protection {
        Protection::Clear => ("none", 0),
        Protection::Sdes => ("srtp", 1),
    };
    format!(
        "[sip]\n\
         sip_port={}\nsip_tcp_port={}\nsip_tls_port={}\n\
         default_proxy={}\n\
         contact=\"{user}\" <sip:{user}@127.0.0.1>\n\
         media_encryption={keying}\nmedia_encryption_mandatory={is_mandatory}\n\
         bind_address=127.0.0.1\nguess_hostname=0\nuse_ipv6=0\n\
         register_only_when_network_is_up=0\n\
         root_ca={}\nverify_server_certs=1\nverify_server_cn=0\n\
         inc_timeout=60\nuse_info=0\nuse_rfc2833=1\n\
         [rtp]\nbind_address=127.0.0.1\naudio_rtp_port={rtp}\nvideo_rtp_port={}\n\
         [net]\nmtu=1400\nfirewall_policy=0\n\
         [sound]\nechocancellation=0\n\
         {}{}\
         [misc]\nlog_collection_upload_server_url=\nversion_check_url_root=\n\
         [video]\ncapture=0\ndisplay=0\n",
        listens(Transport::Udp),
        listens(Transport::Tcp),
        listens(Transport::Tls),
        if settings.registration.is_some() { 0 } else { -1 },
        settings.certificates.authority.display(),
        rtp + 10,
        codecs(),
        registration(settings),
    )
}

/// G.711 only: what is heard must not depend on a codec's taste.
fn codecs() -> String {
    let codec = |at: usize, name: &str, rate_hz: u32, channels: u32, is_on: bool| {
        format!(
            "[audio_codec_{at}]\nmime={name}\nrate={rate_hz}\nchannels={channels}\nenabled={}\n",
            u8::from(is_on)
        )
    };
    [
        codec(0, "PCMU", 8_000, 1, true),
        codec(1, "PCMA", 8_000, 1, true),
        codec(2, "opus", 48_000, 2, false),
        codec(3, "speex", 16_000, 1, false),
        codec(4, "speex", 8_000, 1, false),
        codec(5, "GSM", 8_000, 1, false),
        codec(6, "G722", 8_000, 1, false),
        codec(7, "G729", 8_000, 1, false),
        codec(8, "speex", 32_000, 1, false),
    ]
    .concat()
}

fn registration(settings: &Settings) -> String {
    let Some(registration) = &settings.registration else { return String::new() };
    let (user, host) = (&settings.user, registration.registrar.ip());
    format!(
        "[proxy_0]\nreg_proxy=<sip:{};transport={}>\nreg_identity=sip:{user}@{host}\n\
         reg_expires=300\nreg_sendregister=1\npublish=0\navpf=0\n\
         [auth_info_0]\nusername={user}\nuserid={user}\npasswd={}\n",
        registration.registrar,
        settings.transport.parameter(),
        registration.password
    )
}
