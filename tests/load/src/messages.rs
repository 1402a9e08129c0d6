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
use std::sync::mpsc::{Sender, channel};
use std::thread::spawn;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::{Message, WebSocket};

use crate::gateway::{ADMIN, Gateway, HTTP, folder};
use crate::{machine, network};

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
         names = true\n\
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
