//! Knot DNS as the DNS of a test: an authoritative server on 127.0.0.1:5300 with a signed root, so
//! that answers can be validated without the Internet.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use crate::namespace::{Net, command};
use crate::process::Process;

/// A zone: its name, whether it is signed, and its records beside SOA and NS.
pub type Zone<'z> = (&'z str, bool, &'z str);

/// A running Knot.
#[derive(Debug)]
pub struct Knot {
    /// The program.
    pub process: Process,
    folder: PathBuf,
    /// Of its control socket, whose path may have 107 letters.
    run: PathBuf,
}

impl Drop for Knot {
    fn drop(&mut self) {
        self.process.stop();
        let _ = fs::remove_dir_all(&self.run);
    }
}

impl Knot {
    /// Where it listens.
    pub const ADDRESS: &'static str = "127.0.0.1:5300";

    /// Starts it with these zones below its root, and waits until it answers.
    #[track_caller]
    pub fn start(net: &Net, zones: &[Zone<'_>]) -> Self {
        let folder = net.folder("knot");
        let run = std::env::temp_dir().join(format!("knot-{}", namespace_id()));
        fs::create_dir_all(&run).expect("the folder of temporary files is writable");
        net.write(folder.join("knot.conf"), config(&folder, &run, zones));
        let mut root = String::new();
        for (zone, is_signed, records) in zones {
            root += &format!("{zone}. NS ns.{zone}.\nns.{zone}. A 127.0.0.1\n");
            net.write(folder.join(format!("{zone}.zone")), zone_text(&format!("{zone}."), records));
            if *is_signed {
                generate(&folder, &format!("{zone}."));
                root += &keymgr(&folder, &[&format!("{zone}."), "ds"]);
                root.push('\n');
            }
        }
        generate(&folder, ".");
        net.write(folder.join("root.zone"), zone_text(".", &root));
        let mut program = command("knotd");
        program.arg("-c").arg(folder.join("knot.conf"));
        let process = Process::start(net, "knot", &mut program);
        let mut knot = Self { process, folder, run };
        knot.wait();
        knot
    }

    /// Returns the tables of a gateway's configuration that ask this server and trust its root.
    pub fn tables(&self) -> String {
        let key = keymgr(&self.folder, &[".", "dnskey"]);
        let key = key.trim().replace(". DNSKEY", ". 3600 IN DNSKEY");
        let anchor = self.folder.join("anchor");
        fs::write(&anchor, format!("{key}\n")).expect("the folder of a test is writable");
        format!(
            "[dialplan.dns]\nservers = [\"{}\"]\ntrust_anchors = \"{}\"\n",
            Self::ADDRESS,
            anchor.display()
        )
    }

    fn wait(&mut self) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout above zero");
        // SOA of the root.
        let query = [7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 1];
        for _ in 0..100 {
            let _ = socket.send_to(&query, Self::ADDRESS);
            let mut reply = [0; 1500];
            match socket.recv(&mut reply) {
                Ok(length) if length > 12 && reply[3] & 15 == 0 => return,
                Ok(_) | Err(_) => sleep(Duration::from_millis(50)),
            }
        }
        panic!("knot does not answer:\n{}", self.process.output());
    }
}

fn config(folder: &Path, run: &Path, zones: &[Zone<'_>]) -> String {
    let (at, run) = (folder.display(), run.display());
    let mut text = format!(
        "server:\n  rundir: {run}\n  listen: 127.0.0.1@5300\n\
         log:\n  - target: stdout\n    any: info\n\
         database:\n  storage: {at}\n\
         policy:\n  - id: ours\n    manual: on\n    single-type-signing: on\n    nsec3: on\n\
         template:\n  - id: default\n    storage: {at}\n    zonefile-sync: -1\n    journal-content: all\n\
         zone:\n"
    );
    let named = zones.iter().map(|(zone, is_signed, _)| (*zone, *is_signed, *zone));
    for (domain, is_signed, file) in [(".", true, "root")].into_iter().chain(named) {
        text += &format!("  - domain: {domain}\n    file: {file}.zone\n");
        if is_signed {
            text += "    dnssec-signing: on\n    dnssec-policy: ours\n";
        }
    }
    text
}

fn zone_text(origin: &str, records: &str) -> String {
    let ns = if origin == "." { "ns.".to_owned() } else { format!("ns.{origin}") };
    format!(
        "$ORIGIN {origin}\n$TTL 300\n@ SOA {ns} {ns} 1 3600 600 86400 60\n@ NS {ns}\n{ns} A 127.0.0.1\n{records}\n"
    )
}

/// What no other test has that runs at the same time: every test is process 6 of its own namespace.
fn namespace_id() -> String {
    let link = fs::read_link("/proc/self/ns/net").expect("Linux names its namespaces");
    link.to_string_lossy().chars().filter(char::is_ascii_digit).collect()
}

fn generate(folder: &Path, zone: &str) {
    keymgr(folder, &[zone, "generate", "ksk=yes", "zsk=yes", "algorithm=13"]);
}

fn keymgr(folder: &Path, arguments: &[&str]) -> String {
    let output = command("keymgr")
        .arg("-c")
        .arg(folder.join("knot.conf"))
        .args(arguments)
        .output()
        .expect("keymgr (knot) can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "keymgr {arguments:?}: {text} {errors}");
    text
}
