//! The real gateway: the binary that cargo built, started as an operator starts it, by
//! `demo --json` or by `run --config FILE`.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::metrics::{Metrics, get};
use crate::namespace::{Net, built, command};
use crate::process::Process;

/// How long a start may take, even in a debug build on a busy machine.
const START: Duration = Duration::from_secs(20);
/// How long ended calls may take to leave the metrics.
const SETTLE: Duration = Duration::from_secs(8);

/// A SIP account of `demo`.
#[derive(Clone, Debug)]
pub struct SipAccount {
    /// Digest user.
    pub user: String,
    /// Digest password.
    pub password: String,
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    /// The program.
    pub process: Process,
    /// The page, with the demo's token if there is one.
    pub url: String,
    /// Where SIP is taken over UDP.
    pub sip_udp: SocketAddr,
    /// Where SIP is taken over TCP.
    pub sip_tcp: SocketAddr,
    /// Where SIP is taken over TLS.
    pub sip_tls: SocketAddr,
    /// The demo's accounts.
    pub accounts: Vec<SipAccount>,
    /// The demo's guest token.
    pub token: Option<String>,
    metrics: SocketAddr,
    metrics_token: Option<String>,
}

impl Gateway {
    /// Starts the demo and waits until it has said that everything listens.
    #[track_caller]
    pub fn demo(net: &Net) -> Self {
        let mut program = command(binary());
        program.args(["demo", "--json"]).env("TMPDIR", net.folder("gateway"));
        let mut process = Process::start(net, "gateway", &mut program);
        let line = process.expect(r#"(?m)^\{.*"url".*\}\n"#, START).remove(0);
        let said: Value = serde_json::from_str(&line).expect("demo --json prints JSON");
        let sip = &said["sip"];
        let metrics = said["metrics"].as_str().expect("demo names its metrics");
        let (metrics, metrics_token) = parse_url(metrics);
        Self {
            url: text(&said["url"]),
            token: said["token"].as_str().map(String::from),
            sip_udp: address(&sip["udp"]),
            sip_tcp: address(&sip["tcp"]),
            sip_tls: address(&sip["tls"]),
            accounts: sip["accounts"]
                .as_array()
                .expect("demo names its SIP accounts")
                .iter()
                .map(|account| SipAccount {
                    user: text(&account["user"]),
                    password: text(&account["password"]),
                })
                .collect(),
            metrics,
            metrics_token,
            process,
        }
    }

    /// Starts the gateway with a configuration that it may refuse.
    pub fn try_run(net: &Net, config: &crate::config::Config) -> Process {
        let path = net.write("gateway/gateway.toml", config.render());
        let mut program = command(binary());
        program.args(["run", "--config"]).arg(path).current_dir(net.folder("gateway"));
        Process::start(net, "gateway", &mut program)
    }

    /// Starts the gateway with a configuration and waits until it is healthy.
    #[track_caller]
    pub fn run(net: &Net, config: &crate::config::Config) -> Self {
        let process = Self::try_run(net, config);
        let mut gateway = Self {
            process,
            url: config.url(),
            token: None,
            sip_udp: config.sip(),
            sip_tcp: config.sip(),
            sip_tls: config.sip_tls(),
            accounts: Vec::new(),
            metrics: config.admin(),
            metrics_token: Some(config.admin_token().into()),
        };
        gateway.wait_healthy();
        gateway
    }

    /// Waits until `/health` answers 200.
    #[track_caller]
    pub fn wait_healthy(&mut self) {
        let step = Duration::from_millis(50);
        for _ in 0..START.as_millis() / step.as_millis() {
            if get(self.metrics, "/health", self.metrics_token.as_deref())
                .is_ok_and(|(status, _)| status == 200)
            {
                return;
            }
            if let Some(status) = self.process.ends_within(Duration::ZERO) {
                panic!("the gateway ended at once ({status}):\n{}", self.process.output());
            }
            sleep(step);
        }
        panic!("the gateway is not healthy within {START:?}:\n{}", self.process.output());
    }

    /// Reads the metrics of this moment.
    #[track_caller]
    pub fn metrics(&self) -> Metrics {
        match get(self.metrics, "/metrics", self.metrics_token.as_deref()) {
            Ok((200, text)) => Metrics::parse(&text),
            other => panic!("no metrics: {other:?}"),
        }
    }

    /// Waits until no leg and no port is left; panics if they stay.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
        let mut left = (0.0, 0.0);
        let step = Duration::from_millis(100);
        for _ in 0..SETTLE.as_millis() / step.as_millis() {
            let metrics = self.metrics();
            left = (metrics.sum("legs_active"), metrics.sum("ports_active"));
            if left == (0.0, 0.0) {
                return;
            }
            sleep(step);
        }
        panic!("{} legs and {} ports were left behind", left.0, left.1);
    }

    /// Waits until so many legs are active.
    #[track_caller]
    pub fn wait_legs(&self, count: usize, within: Duration) {
        let step = Duration::from_millis(100);
        for _ in 0..=within.as_millis() / step.as_millis() {
            if self.metrics().sum("legs_active") == count as f64 {
                return;
            }
            sleep(step);
        }
        panic!("not {count} legs but {} after {within:?}", self.metrics().sum("legs_active"));
    }

    /// Returns the resident memory in KiB.
    pub fn memory_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))
            .expect("the gateway runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("Linux says it");
        let number = line.split_whitespace().nth(1).and_then(|number| number.parse().ok());
        number.expect("a number of kB")
    }

    /// Panics if the gateway has ended or panicked.
    #[track_caller]
    pub fn assert_alive(&mut self) {
        assert!(self.process.ends_within(Duration::ZERO).is_none(), "the gateway has ended");
        let output = self.process.output();
        assert!(!output.contains("panicked at"), "a panic in the gateway:\n{output}");
    }

    /// Kills the gateway as a power cut would.
    pub fn kill(&mut self) {
        self.process.signal(Signal::SIGKILL);
        self.process.ends_within(Duration::from_secs(5));
    }
}

/// Returns the gateway's binary: `PROCOM_GATEWAY_BIN`, or what cargo built beside this test.
pub fn binary() -> PathBuf {
    std::env::var_os("PROCOM_GATEWAY_BIN")
        .map_or_else(|| built().join("procom-gateway"), PathBuf::from)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().into()
}

fn address(value: &Value) -> SocketAddr {
    text(value).parse().unwrap_or_else(|why| panic!("{value} is no address: {why}"))
}

/// Takes address and token out of `http://127.0.0.1:PORT/metrics?token=T`, or of a bare address.
fn parse_url(url: &str) -> (SocketAddr, Option<String>) {
    let rest = url.trim_start_matches("http://");
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let token = path.split_once("token=").map(|(_, token)| token.to_owned());
    (host.parse().unwrap_or_else(|why| panic!("{url} is no loopback URL: {why}")), token)
}
