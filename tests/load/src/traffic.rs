//! Sends the streams of one relay and counts what it makes of them.

#![expect(clippy::disallowed_methods, reason = "measures real time")]

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gateway_media::rtp::{self, FIXED_HEADER_BYTES, Header};
use gateway_media::srtp::{MAX_TAIL_BYTES, Sealer};

use crate::meter;
use crate::relay::{Load, Stream};
use crate::sink::{Heard, Sink};

/// 20 ms of G.711.
const PAYLOAD_BYTES: usize = 160;
/// RTP clock of G.711 (RFC 3551 §4.5.14).
const CLOCK_HZ: u128 = 8_000;
/// Between two looks at what is due.
const TICK: Duration = Duration::from_micros(500);
/// A generator that was kept from its CPU for longer does not make up for it in one burst.
const MAX_ARREARS: Duration = Duration::from_millis(50);
/// The relay's caches fill before anything is measured.
const WARM_UP: Duration = Duration::from_millis(500);
/// The last packets are on their way this long at most.
const DRAIN: Duration = Duration::from_millis(300);

/// Where the relay's peers are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    /// Where packets come from.
    pub(crate) generator: SocketAddr,
    /// Where packets go to.
    pub(crate) sink: SocketAddr,
}

/// What one round showed.
pub(crate) struct Round {
    /// Packets that were sent to the relay, warm-up included.
    pub(crate) sent: u64,
    /// What came out of it.
    pub(crate) heard: Heard,
    /// CPU time of the relay for each packet it forwarded while it was measured.
    pub(crate) cpu_per_packet: Duration,
}

/// The sockets and streams of one relay.
pub(crate) struct Traffic {
    generator: UdpSocket,
    sink: Sink,
    /// Bound so that the relay's reports do not come back as errors; never read.
    _reports: [UdpSocket; 2],
    senders: Vec<Sender>,
    turn: usize,
}

/// The phone that speaks.
struct Sender {
    to: SocketAddr,
    sealer: Sealer,
    sequence: u16,
    ssrc: u32,
}

impl Traffic {
    /// Binds sockets; there are no streams yet.
    ///
    /// # Errors
    /// Those of binding.
    pub(crate) fn bind() -> io::Result<Self> {
        let (generator, its_reports) = bind_pair()?;
        let (sink, reports_of_sink) = bind_pair()?;
        Ok(Self {
            generator,
            sink: Sink::new(sink)?,
            _reports: [its_reports, reports_of_sink],
            senders: Vec::new(),
            turn: 0,
        })
    }

    /// Where the peers are.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(crate) fn ends(&self) -> io::Result<Ends> {
        Ok(Ends { generator: self.generator.local_addr()?, sink: self.sink.address()? })
    }

    /// Adds a stream.
    pub(crate) fn add(&mut self, stream: &Stream) {
        let ssrc = 1 + self.senders.len() as u32;
        let sealer = Sealer::new(&stream.sealed_with);
        self.senders.push(Sender { to: stream.to, sealer, sequence: 0, ssrc });
        self.sink.expect(stream);
    }

    /// Loads the relay for a while.
    ///
    /// # Errors
    /// When the relay is gone.
    pub(crate) fn round(&mut self, load: &Load, pid: u32) -> io::Result<Round> {
        let mut heard = Heard::default();
        let mut sent = self.run(WARM_UP, load.rate(), false, &mut heard);
        let (cpu_before, heard_before) = (meter::cpu_time(pid)?, heard.authentic);
        sent += self.run(load.duration(), load.rate(), true, &mut heard);
        let (cpu_after, heard_after) = (meter::cpu_time(pid)?, heard.authentic);
        let forwarded = (heard_after - heard_before).max(1) as f64;
        self.run(DRAIN, 0, false, &mut heard);
        let cpu_per_packet = (cpu_after - cpu_before).div_f64(forwarded);
        Ok(Round { sent, heard, cpu_per_packet })
    }

    /// Sends `rate` packets a second and takes what comes; returns how many were sent.
    fn run(&mut self, duration: Duration, rate: u32, is_measured: bool, heard: &mut Heard) -> u64 {
        let start = Instant::now();
        let (mut last, mut due, mut sent) = (start, 0.0, 0);
        while start.elapsed() < duration {
            let passed = last.elapsed();
            last += passed;
            due += passed.min(MAX_ARREARS).as_secs_f64() * f64::from(rate);
            while due >= 1.0 {
                due -= 1.0;
                sent += u64::from(self.send_next());
            }
            self.sink.drain(is_measured, heard);
            thread::sleep(TICK);
        }
        sent
    }

    /// Sends the next packet of the stream whose turn it is; false if the kernel did not take it.
    fn send_next(&mut self) -> bool {
        let streams = self.senders.len();
        let sender = &mut self.senders[self.turn % streams];
        self.turn = (self.turn + 1) % streams;
        // The wall clock, since the kernel's receive timestamps are its.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut packet = [0xd5; FIXED_HEADER_BYTES + PAYLOAD_BYTES + MAX_TAIL_BYTES];
        let header = Header {
            payload_type: 0,
            is_marked: false,
            sequence: sender.sequence,
            timestamp: (now.as_micros() * CLOCK_HZ / 1_000_000) as u32,
            ssrc: sender.ssrc,
            header_bytes: FIXED_HEADER_BYTES,
            padding_bytes: 0,
        };
        rtp::write_header(&mut packet, &header).expect("the packet is longer than a header");
        let stamp = (now.as_nanos() as u64).to_be_bytes();
        packet[FIXED_HEADER_BYTES..][..stamp.len()].copy_from_slice(&stamp);
        sender.sequence = sender.sequence.wrapping_add(1);
        let sealed = sender.sealer.seal_rtp(&mut packet, FIXED_HEADER_BYTES + PAYLOAD_BYTES);
        let length = sealed.expect("a fresh sequence number can be sealed");
        self.generator.send_to(&packet[..length], sender.to).is_ok()
    }
}

/// Two sockets on neighbouring ports (RFC 3550 §11).
fn bind_pair() -> io::Result<(UdpSocket, UdpSocket)> {
    let tries = (50_000..51_000).step_by(2);
    let bind = |port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port));
    let pair = |port| Ok::<_, io::Error>((bind(port)?, bind(port + 1)?));
    tries.map(pair).find_map(Result::ok).ok_or_else(|| io::Error::other("no free ports"))
}
