//! Takes what a relay sends, checks each packet's tag, and notes how long it was under way.

#![expect(clippy::disallowed_methods, reason = "measures real time")]

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gateway_media::rtp::FIXED_HEADER_BYTES;
use gateway_media::srtp::Opener;

use crate::relay::Stream;

/// How often the end of a round is looked for when nothing comes.
const LOOK: Duration = Duration::from_millis(50);
/// A second of 50,000 packets/s may wait; the kernel may grant less.
const BUFFER_BYTES: usize = 16 << 20;

/// What came in one round.
#[derive(Default)]
pub(crate) struct Heard {
    /// Packets whose tag is right, warm-up included.
    pub(crate) authentic: u64,
    /// Packets that are nobody's, or whose tag is wrong.
    pub(crate) refused: u64,
    /// From sealing to opening, of the packets while it was measured.
    pub(crate) latencies: Vec<Duration>,
}

/// How many packets came so far.
#[derive(Default)]
pub(crate) struct Seen(AtomicU64);

impl Seen {
    /// The number.
    pub(crate) fn packets(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The phone that listens, for all streams of a relay.
pub(crate) struct Sink {
    socket: UdpSocket,
    opener_of_source: HashMap<SocketAddr, Opener>,
    epoch: Instant,
}

impl Sink {
    /// A sink without streams; `epoch` is what the generator's stamps count from.
    ///
    /// # Errors
    /// When the socket cannot be set up.
    pub(crate) fn new(socket: UdpSocket, epoch: Instant) -> io::Result<Self> {
        nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBuf, &BUFFER_BYTES)?;
        socket.set_read_timeout(Some(LOOK))?;
        Ok(Self { socket, opener_of_source: HashMap::new(), epoch })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Adds a stream. It is told by the relay's address, since a relay may choose its own SSRC.
    pub(crate) fn expect(&mut self, stream: &Stream) {
        self.opener_of_source.insert(stream.from, Opener::new(&stream.opened_with));
    }

    /// Takes packets until it is over.
    pub(crate) fn listen(
        &mut self,
        seen: &Seen,
        is_measured: &AtomicBool,
        is_over: &AtomicBool,
    ) -> Heard {
        let mut heard = Heard::default();
        let mut buffer = [0; 2_048];
        while !is_over.load(Ordering::Relaxed) {
            let Ok((length, source)) = self.socket.recv_from(&mut buffer) else { continue };
            seen.0.fetch_add(1, Ordering::Relaxed);
            let latency = self.open(source, &mut buffer[..length]);
            match latency {
                Some(latency) => {
                    heard.authentic += 1;
                    if is_measured.load(Ordering::Relaxed) {
                        heard.latencies.push(latency);
                    }
                }
                None => heard.refused += 1,
            }
        }
        heard
    }

    fn open(&mut self, source: SocketAddr, packet: &mut [u8]) -> Option<Duration> {
        let now = self.epoch.elapsed();
        let length = self.opener_of_source.get_mut(&source)?.open_rtp(packet).ok()?;
        let stamp = packet[..length].get(FIXED_HEADER_BYTES..)?.first_chunk()?;
        now.checked_sub(Duration::from_nanos(u64::from_be_bytes(*stamp)))
    }
}
