//! The flood: requests without credentials, each a new one, at a rate; and what comes back.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::thread::sleep;
use std::time::{Duration, Instant};

use gateway_tests::sip_client::{request, short_request};
use nix::sys::socket::{setsockopt, sockopt::RcvBuf, sockopt::RcvBufForce};

use super::{DOMAIN, Kind, Load, MOST_BYTES_BACK, SIP};

/// Between two looks at what is due.
const TICK: Duration = Duration::from_millis(1);
/// The most that is sent at one look: what is missed for longer than this takes is made up later.
const BATCH: u64 = 60;
/// Between two looks at what comes after the flood.
const PAUSE: Duration = Duration::from_millis(10);
/// How long answers may come after the last request: all repetitions by timers (RFC 3261 §17.2.1).
const LAST: Duration = Duration::from_secs(40);
/// A second of answers may wait.
const BUFFER_BYTES: usize = 4 << 20;
/// A flood with less than this share of what it should have is none.
const LEAST_SHARE: f64 = 0.5;

/// What came back.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) datagrams: u64,
    pub(super) bytes: u64,
}

/// What was sent, and what came back.
#[derive(Debug, Default)]
pub(super) struct Sent {
    datagrams: u64,
    bytes: u64,
    heard: Heard,
}

/// Strangers with a socket each.
pub(super) struct Flood {
    kind: Kind,
    sockets: Vec<(UdpSocket, SocketAddr)>,
    sent: Sent,
}

impl Flood {
    /// Opens a socket at each address.
    ///
    /// # Errors
    /// Those of sockets.
    pub(super) fn open(kind: Kind, addresses: &[Ipv4Addr]) -> Result<Self, String> {
        let mut sockets = Vec::new();
        for address in addresses {
            let socket = bind(IpAddr::V4(*address))?;
            let local = socket.local_addr().map_err(|why| why.to_string())?;
            sockets.push((socket, local));
        }
        Ok(Self { kind, sockets, sent: Sent::default() })
    }

    /// Sends `rate` requests a second from one moment until another, and takes what comes back
    /// until all timers of the gateway have run.
    pub(super) fn run(&mut self, rate: u32, from: Instant, until: Instant) -> Sent {
        let mut attempts = 0;
        while Instant::now() < until {
            let due = (from.elapsed().as_secs_f64() * f64::from(rate)) as u64;
            for _ in 0..due.saturating_sub(attempts).min(BATCH) {
                self.send(attempts);
                attempts += 1;
            }
            sleep(TICK);
        }
        while Instant::now() < until + LAST {
            self.drain();
            sleep(PAUSE);
        }
        std::mem::take(&mut self.sent)
    }

    fn send(&mut self, number: u64) {
        let (socket, local) = &self.sockets[number as usize % self.sockets.len()];
        let bytes = match self.kind {
            Kind::Invite => short_request("INVITE", *local, number),
            Kind::Register => {
                request("REGISTER", &format!("sip:{DOMAIN}"), *local, &format!("f{number}"), "")
            }
        };
        drain(socket, &mut self.sent.heard);
        // A full queue on the way is no fault of the gateway.
        if socket.send(bytes.as_bytes()).is_ok() {
            self.sent.datagrams += 1;
            self.sent.bytes += bytes.len() as u64;
        }
    }

    fn drain(&mut self) {
        for (socket, _) in &self.sockets {
            drain(socket, &mut self.sent.heard);
        }
    }
}

impl Sent {
    /// Prints it, and says when more came back than may.
    pub(super) fn report(&self, name: &str, load: &Load, faults: &mut Vec<String>) {
        let Self { datagrams, bytes, heard } = self;
        let times = heard.bytes as f64 / (*bytes).max(1) as f64;
        println!(
            "{name}: {datagrams} sent in {} s ({} a second), {bytes} bytes",
            load.seconds,
            datagrams / u64::from(load.seconds.max(1))
        );
        println!(
            "  back: {} datagrams, {} bytes, {times:.2} times the bytes",
            heard.datagrams, heard.bytes
        );
        if times > MOST_BYTES_BACK {
            faults.push(format!("{name}: {times:.1} times its bytes came back"));
        }
        let wanted = f64::from(load.rate) * f64::from(load.seconds);
        if (*datagrams as f64) < wanted * LEAST_SHARE {
            faults.push(format!("{name}: only {datagrams} of {wanted:.0} could be sent"));
        }
    }
}

/// A socket that speaks with the gateway only, never waits, and has room for many answers.
///
/// # Errors
/// Those of sockets.
pub(super) fn bind(from: IpAddr) -> Result<UdpSocket, String> {
    let open = || {
        let socket = UdpSocket::bind((from, 0))?;
        socket.connect(SIP)?;
        socket.set_nonblocking(true)?;
        setsockopt(&socket, RcvBufForce, &BUFFER_BYTES)
            .or_else(|_| setsockopt(&socket, RcvBuf, &BUFFER_BYTES))?;
        Ok(socket)
    };
    open().map_err(|why: std::io::Error| format!("{from}: {why}"))
}

/// Takes all that has come.
pub(super) fn drain(socket: &UdpSocket, heard: &mut Heard) {
    let mut buffer = [0; 4_096];
    while let Ok(length) = socket.recv(&mut buffer) {
        heard.datagrams += 1;
        heard.bytes += length as u64;
    }
}
