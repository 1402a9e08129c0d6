//! Messages from Procom to SIP through the real gateway with its durable store: how many a second,
//! and how long each takes from a client's frame to the far side's datagram.
//!
//! ```text
//! writers (WebSockets, paced) --> procom-gateway run --> a SIP trunk that answers every MESSAGE
//! ```

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::print_stdout, reason = "a command line talks on standard output")]

use std::io::ErrorKind;
use std::net::{TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::{Message, WebSocket};

use crate::{machine, network};

const HTTP: &str = "127.0.0.1:8080";
const ADMIN: &str = "127.0.0.1:8081";
const PASSWORD: &str = "correct horse battery";
/// How long the last messages may take.
const LAST: Duration = Duration::from_secs(10);

/// What is to be carried.
#[derive(Args)]
pub(crate) struct Load {
    /// Messages a second.
    #[arg(long, default_value_t = 2000)]
    rate: u32,
    /// For how long, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Accounts that write.
    #[arg(long, default_value_t = 60)]
    writers: u32,
    /// Numbers that are written to: every writer talks with each.
    #[arg(long, default_value_t = 50)]
    recipients: u32,
}

/// Carries the messages and prints what came of them.
pub(crate) fn run(load: &Load) -> Result<(), String> {
    network::enter_private().map_err(|why| format!("no private network: {why}"))?;
    machine::raise_file_limit();
    let folder = folder("messages")?;
    let trunk = UdpSocket::bind("127.0.0.1:5090").map_err(|why| why.to_string())?;
    let gateway = Gateway::start(&folder, &config(&folder, load))?;
    println!("started in {:.0} ms, {}", gateway.started_in.as_secs_f64() * 1e3, machine::load());
    let begun = Instant::now();
    let (arrivals, arrived) = channel();
    spawn(move || answer(&trunk, begun, &arrivals));
    let (taken, settled) = channel();
    for writer in 0..load.writers {
        let mut socket = sign_in(&format!("u{writer}"))?;
        let (rate, seconds) = (f64::from(load.rate) / f64::from(load.writers), load.seconds);
        let (recipients, taken) = (load.recipients, taken.clone());
        spawn(move || write(&mut socket, writer, begun, rate, seconds, recipients, &taken));
    }
    drop(taken);
    let sent: u64 = settled.iter().sum();
    let until = Instant::now() + LAST;
    let mut delays: Vec<f64> = Vec::new();
    while (delays.len() as u64) < sent
        && let Some(rest) = until.checked_duration_since(Instant::now())
    {
        let Ok(delay) = arrived.recv_timeout(rest) else { break };
        delays.push(delay);
    }
    report(load, sent, &mut delays, &gateway);
    Ok(())
}

fn report(load: &Load, sent: u64, delays: &mut [f64], gateway: &Gateway) {
    delays.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let index = (delays.len() as f64 * share) as usize;
        delays.get(index.min(delays.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
    };
    println!(
        "{} messages a second for {} s: {sent} written, {} arrived",
        load.rate,
        load.seconds,
        delays.len()
    );
    println!(
        "frame to datagram, ms: p50 {:.1}, p90 {:.1}, p99 {:.1}, p99.9 {:.1}, longest {:.1}",
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        at(1.0)
    );
    println!("CPU time of the gateway: {:.1} s, {}", gateway.cpu_s(), machine::load());
}

/// A trunk and as many writers as asked for, none of whom is held back.
fn config(folder: &std::path::Path, load: &Load) -> String {
    let hash = gateway_procom::hash_password(PASSWORD);
    let mut text = format!(
        "[gateway]\nstate_dir = \"{}\"\nlog = \"warn\"\n\
         [procom]\nlisten = \"{HTTP}\"\nplain = true\n\
         [admin]\nlisten = \"{ADMIN}\"\ntoken = \"load\"\n\
         [media]\nbind = [\"127.0.0.1\"]\nallow_loopback = true\n\
         [sip]\nlisten = [\"udp:127.0.0.1:5080\"]\ndomain = \"127.0.0.1\"\n\
         [messages]\nper_minute = 6000000\nat_once = 100000\nper_minute_to_one = 6000000\n\
         [[sip.trunk]]\nname = \"far\"\nserver = \"sip:127.0.0.1:5090\"\n\
         user = \"gateway\"\npassword = \"none needed\"\nregister = false\n\
         [[route]]\nfrom = \"*\"\nmatch = \"sip:*@127.0.0.1:5090\"\ntrunk = \"sip.far\"\n",
        folder.join("state").display()
    );
    for writer in 0..load.writers {
        text += &format!("[[account]]\nname = \"u{writer}\"\npassword_hash = \"{hash}\"\n");
    }
    text
}

/// Writes at a pace, whatever comes back, and says how many were written.
fn write(
    socket: &mut WebSocket<TcpStream>,
    writer: u32,
    begun: Instant,
    rate: f64,
    seconds: u32,
    recipients: u32,
    written: &Sender<u64>,
) {
    // Past the others' sign-ins; each with a phase of its own.
    let first = Duration::from_secs(3) + Duration::from_secs_f64(f64::from(writer) / rate / 20.0);
    let mut count = 0_u64;
    loop {
        let due = first + Duration::from_secs_f64(count as f64 / rate);
        if due >= first + Duration::from_secs(seconds.into()) {
            break;
        }
        match due.checked_sub(begun.elapsed()).filter(|wait| *wait >= Duration::from_micros(100)) {
            Some(wait) => drain(socket, wait),
            None => {
                let to = format!("sip:r{}@127.0.0.1:5090", count % u64::from(recipients));
                let body = begun.elapsed().as_nanos().to_string();
                let id = format!("{writer}-{count}");
                let frame = json!({"type": "message", "id": id, "to": to, "body": body});
                if socket.send(Message::text(frame.to_string())).is_err() {
                    break;
                }
                count += 1;
            }
        }
    }
    let _ = written.send(count);
    drain(socket, LAST);
}

/// Reads and forgets what the gateway says.
fn drain(socket: &mut WebSocket<TcpStream>, time: Duration) {
    let until = Instant::now() + time;
    while let Some(rest) = until.checked_duration_since(Instant::now()) {
        let wait = rest.max(Duration::from_micros(100));
        let _ = socket.get_ref().set_read_timeout(Some(wait));
        match socket.read() {
            Ok(Message::Text(text)) if text.contains("\"failed\"") => println!("{text}"),
            Ok(_) => {}
            Err(tungstenite::Error::Io(why))
                if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
    }
}

fn sign_in(user: &str) -> Result<WebSocket<TcpStream>, String> {
    let fault = |why: &dyn std::fmt::Display| format!("{user} cannot sign in: {why}");
    let mut request =
        format!("ws://{HTTP}/procom").into_client_request().map_err(|why| fault(&why))?;
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", HeaderValue::from_static("procom.v1"));
    headers.insert("origin", HeaderValue::from_static("http://127.0.0.1:8080"));
    let stream = TcpStream::connect(HTTP).map_err(|why| fault(&why))?;
    stream.set_nodelay(true).map_err(|why| fault(&why))?;
    let (mut socket, _) = tungstenite::client(request, stream).map_err(|why| fault(&why))?;
    let hello = json!({"type": "hello", "version": 1, "user": user, "password": PASSWORD});
    socket.send(Message::text(hello.to_string())).map_err(|why| fault(&why))?;
    let welcome = socket.read().map_err(|why| fault(&why))?.into_text();
    let welcome: Value =
        welcome.ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    if welcome["type"] == "welcome" { Ok(socket) } else { Err(fault(&welcome)) }
}

/// Answers every MESSAGE and says how long it took, in milliseconds.
fn answer(trunk: &UdpSocket, begun: Instant, arrivals: &Sender<f64>) {
    let mut buffer = [0_u8; 4096];
    while let Ok((length, from)) = trunk.recv_from(&mut buffer) {
        let now = begun.elapsed();
        let Ok(text) = std::str::from_utf8(&buffer[..length]) else { continue };
        let named = |name: &str| -> String {
            let lines = text.lines().filter(|line| line.starts_with(name));
            lines.map(|line| format!("{line}\r\n")).collect()
        };
        let to = named("To:").trim_end().to_owned();
        let answer = format!(
            "SIP/2.0 200 OK\r\n{}{}{to};tag=far\r\n{}{}Content-Length: 0\r\n\r\n",
            named("Via:"),
            named("From:"),
            named("Call-ID:"),
            named("CSeq:"),
        );
        let _ = trunk.send_to(answer.as_bytes(), from);
        let body = text.lines().last().unwrap_or_default();
        if let Ok(sent) = body.trim().parse::<u64>() {
            let delay = now.saturating_sub(Duration::from_nanos(sent));
            let _ = arrivals.send(delay.as_secs_f64() * 1e3);
        }
    }
}

/// A folder of this process for one benchmark.
pub(crate) fn folder(name: &str) -> Result<PathBuf, String> {
    let path = own_folder()?.join(format!("load-{name}"));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).map_err(|why| why.to_string())?;
    Ok(path)
}

/// Where this program and the gateway lie: a disk, and not memory that looks like one.
fn own_folder() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|why| why.to_string())?;
    Ok(own.parent().ok_or("a program lies in a folder")?.to_path_buf())
}

/// The real gateway, in a process of its own.
pub(crate) struct Gateway {
    process: Child,
    /// From its start to its first answer.
    pub(crate) started_in: Duration,
}

impl Gateway {
    pub(crate) fn start(folder: &std::path::Path, config: &str) -> Result<Self, String> {
        let path = folder.join("gateway.toml");
        std::fs::write(&path, config).map_err(|why| why.to_string())?;
        let binary = own_folder()?.join("procom-gateway");
        let begun = Instant::now();
        let process = Command::new(&binary)
            .args(["run", "--config"])
            .arg(&path)
            .stdout(Stdio::null())
            .spawn()
            .map_err(|why| format!("{}: {why}: build procom-gateway first", binary.display()))?;
        let mut gateway = Self { process, started_in: Duration::ZERO };
        while begun.elapsed() < Duration::from_secs(60) {
            if TcpStream::connect(HTTP).is_ok() && TcpStream::connect(ADMIN).is_ok() {
                gateway.started_in = begun.elapsed();
                return Ok(gateway);
            }
            sleep(Duration::from_millis(2));
        }
        Err("the gateway does not start".to_owned())
    }

    /// CPU time so far, in seconds.
    fn cpu_s(&self) -> f64 {
        let path = format!("/proc/{}/stat", self.process.id());
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let ticks = text.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
        // The kernel tells hundredths of a second.
        ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
