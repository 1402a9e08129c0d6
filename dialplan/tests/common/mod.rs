//! A real DNS server (Knot) in a network of its own, with zones written here.
//!
//! ```text
//! #[test] --again, in unshare -n--> the same test --starts--> knotd on 127.0.0.1:5300
//!                                                    `------> unbound, DNS over HTTPS before it
//! ```

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests: helpers may fail loudly")]

use std::env;
use std::fs;
use std::net::{TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dialplan::config::DnsConfig;
use dialplan::dns::Resolver;

/// Says that we are in the private network already.
const INSIDE: &str = "DIALPLAN_TEST_INSIDE";
/// Where Knot listens.
pub(crate) const KNOT: &str = "127.0.0.1:5300";

/// What these tests need.
const PROGRAMS: [&str; 5] = ["knotd", "keymgr", "unbound", "unshare", "ip"];

/// Runs a test in a network of its own. A missing program is a printed skip, or a failure where
/// `PROCOM_REQUIRE_PEERS=1`.
pub(crate) fn in_private_network(test: &str, body: impl AsyncFnOnce()) {
    if env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        return runtime.block_on(body());
    }
    let has = |program: &str| {
        ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
            .iter()
            .any(|dir| Path::new(dir).join(program).exists())
    };
    let missing: Vec<_> = PROGRAMS.into_iter().filter(|program| !has(program)).collect();
    if !missing.is_empty() {
        let is_required = env::var("PROCOM_REQUIRE_PEERS").is_ok_and(|value| value == "1");
        assert!(!is_required, "missing: {missing:?}");
        println!("skipped: {test}: missing {missing:?}");
        return;
    }
    let status = Command::new("unshare")
        .args(["-n", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{test} failed in its private network");
}

/// Knot, and where it keeps its files.
pub(crate) struct Knot {
    child: Child,
    pub(crate) folder: PathBuf,
}

/// A zone: its name, whether it is signed, its records beside SOA and NS. `None`: no file at all.
pub(crate) type ZoneText<'z> = (&'z str, bool, Option<&'z str>);

impl Knot {
    /// Serves zones. The root is signed and delegates to the others; `anchor()` is its key.
    pub(crate) fn start(name: &str, zones: &[ZoneText<'_>], wrong_ds: &[&str]) -> Self {
        let folder = env::temp_dir().join(format!("dialplan-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("run")).unwrap();
        let signed =
            |zone: &str| zones.iter().any(|(other, is_signed, _)| *other == zone && *is_signed);
        fs::write(folder.join("knot.conf"), config(&folder, zones, true)).unwrap();
        let mut root = String::new();
        for (zone, is_signed, records) in zones {
            root += &format!("{zone}. NS ns.{zone}.\nns.{zone}. A 127.0.0.1\n");
            if *is_signed {
                generate(&folder, &format!("{zone}."));
                let other = if wrong_ds.contains(zone) { "." } else { zone };
                if other == "." {
                    root += &format!("{zone}. DS 12345 13 2 {}\n", "AB".repeat(32));
                } else {
                    let lines = keymgr(&folder, &[&format!("{zone}."), "ds"]);
                    root += &lines.lines().map(|line| format!("{line}\n")).collect::<String>();
                }
            }
            if let Some(records) = records {
                fs::write(folder.join(format!("{zone}.zone")), zone_text(zone, records)).unwrap();
            }
        }
        assert!(!signed("."), "the root is ours");
        generate(&folder, ".");
        fs::write(folder.join("root.zone"), zone_text("", &root)).unwrap();
        let child = spawn(&folder);
        let knot = Self { child, folder };
        knot.wait();
        knot
    }

    /// Stops Knot, changes a zone it has signed, and serves it as it is then.
    pub(crate) fn tamper(&mut self, zones: &[ZoneText<'_>], zone: &str, from: &str, to: &str) {
        let file = self.folder.join(format!("{zone}.zone"));
        let begun = Instant::now();
        while !fs::read_to_string(&file).unwrap().contains("RRSIG") {
            assert!(begun.elapsed() < Duration::from_secs(10), "the signed zone was not written");
            std::thread::sleep(Duration::from_millis(50));
        }
        self.stop();
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from));
        fs::write(&file, text.replace(from, to)).unwrap();
        let _ = fs::remove_dir_all(self.folder.join("journal"));
        let as_it_is: Vec<ZoneText<'_>> = zones
            .iter()
            .map(|(name, is_signed, text)| (*name, *is_signed && *name != zone, *text))
            .collect();
        fs::write(self.folder.join("knot.conf"), config(&self.folder, &as_it_is, true)).unwrap();
        self.child = spawn(&self.folder);
        self.wait();
    }

    /// Ends Knot.
    pub(crate) fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The configuration of a resolver that asks these servers and trusts this root.
    pub(crate) fn dns(&self, servers: &[&str]) -> DnsConfig {
        let anchor = self.folder.join("anchor");
        let key = keymgr(&self.folder, &[".", "dnskey"]);
        let key = key.trim().replace(". DNSKEY", ". 3600 IN DNSKEY");
        fs::write(&anchor, format!("{key}\n")).unwrap();
        DnsConfig {
            servers: servers.iter().map(|server| (*server).to_owned()).collect(),
            trust_anchors: Some(anchor),
            ..DnsConfig::default()
        }
    }

    /// A resolver that asks Knot.
    pub(crate) fn resolver(&self) -> Resolver {
        Resolver::new(&self.dns(&[KNOT])).unwrap()
    }

    fn wait(&self) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        // SOA of the root.
        let query = [7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 1];
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < Duration::from_secs(10), "Knot does not answer");
            let _ = socket.send_to(&query, KNOT);
            let mut reply = [0; 1500];
            match socket.recv(&mut reply) {
                Ok(length) if length > 12 && reply[3] & 15 == 0 => return,
                Ok(_) | Err(_) => std::thread::sleep(Duration::from_millis(30)),
            }
        }
    }
}

impl Drop for Knot {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Unbound, which hands on what it is asked over HTTPS (RFC 8484) to Knot.
pub(crate) struct Unbound(Child);

impl Unbound {
    /// Serves with the certificate `certificate.pem` and the key `key.pem` of this folder.
    pub(crate) fn start(folder: &Path, port: u16) -> Self {
        let at = folder.display();
        let text = format!(
            "server:\n  interface: 127.0.0.1@{port}\n  https-port: {port}\n\
             \x20 tls-service-pem: \"{at}/certificate.pem\"\n  tls-service-key: \"{at}/key.pem\"\n\
             \x20 http-endpoint: \"/dns-query\"\n  do-not-query-localhost: no\n\
             \x20 local-zone: \"test.\" nodefault\n  module-config: \"iterator\"\n  chroot: \"\"\n  directory: \"{at}\"\n\
             \x20 username: \"\"\n  pidfile: \"\"\n  use-syslog: no\n  do-daemonize: no\n\
             remote-control:\n  control-enable: no\n\
             forward-zone:\n  name: \".\"\n  forward-addr: 127.0.0.1@5300\n"
        );
        fs::write(folder.join("unbound.conf"), text).unwrap();
        let log = fs::File::create(folder.join("unbound.log")).unwrap();
        let child = Command::new("unbound")
            .arg("-c")
            .arg(folder.join("unbound.conf"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = || fs::read_to_string(folder.join("unbound.log")).unwrap();
            assert!(begun.elapsed() < Duration::from_secs(10), "Unbound is silent: {}", log());
            std::thread::sleep(Duration::from_millis(30));
        }
        Self(child)
    }
}

impl Drop for Unbound {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(folder: &Path) -> Child {
    let log = fs::File::create(folder.join("knot.log")).unwrap();
    Command::new("knotd")
        .arg("-c")
        .arg(folder.join("knot.conf"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn config(folder: &Path, zones: &[ZoneText<'_>], is_root: bool) -> String {
    let at = folder.display();
    let mut text = format!(
        "server:\n  rundir: {at}/run\n  listen: 127.0.0.1@5300\n\
         log:\n  - target: stdout\n    any: info\n\
         database:\n  storage: {at}\n\
         policy:\n  - id: ours\n    manual: on\n    single-type-signing: on\n    nsec3: on\n\
         template:\n  - id: default\n    storage: {at}\n    zonefile-sync: 0\n\
         zone:\n"
    );
    let root = is_root.then_some((".", true, "root.zone".to_owned()));
    let named =
        zones.iter().map(|(zone, is_signed, _)| (*zone, *is_signed, format!("{zone}.zone")));
    for (zone, is_signed, file) in root.into_iter().chain(named) {
        text += &format!("  - domain: {zone}\n    file: {file}\n");
        if is_signed {
            text += "    dnssec-signing: on\n    dnssec-policy: ours\n";
        }
    }
    text
}

fn zone_text(zone: &str, records: &str) -> String {
    let at = if zone.is_empty() { String::new() } else { format!("{zone}.") };
    format!(
        "$ORIGIN {at}.\n$TTL 300\n@ SOA ns.{at}. admin.{at}. 1 3600 600 86400 60\n@ NS ns.{at}.\nns A 127.0.0.1\n{records}\n"
    )
    .replace("$ORIGIN ..", "$ORIGIN .")
    .replace("ns...", "ns.")
    .replace("..\n", ".\n")
    .replace(".. ", ". ")
}

fn generate(folder: &Path, zone: &str) {
    keymgr(folder, &[zone, "generate", "ksk=yes", "zsk=yes", "algorithm=13"]);
}

fn keymgr(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("keymgr")
        .arg("-c")
        .arg(folder.join("knot.conf"))
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{arguments:?}: {text} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}
