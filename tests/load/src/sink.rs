//! Takes what a relay sends, checks each packet's tag, and notes how long it was under way.
//!
//! Nobody ever waits on its socket: to wake a waiter on another CPU costs more than a packet does
//! on a virtual machine, and the kernel would charge it to the relay that sends. So it is asked to
//! drain now and then, and the kernel's receive timestamps tell when a packet came.

use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use gateway_media::rtp::FIXED_HEADER_BYTES;
use gateway_media::srtp::Opener;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, setsockopt, sockopt::RcvBuf,
    sockopt::RcvBufForce, sockopt::ReceiveTimestampns,
};
use nix::sys::time::TimeSpec;

use crate::relay::Stream;

/// A second of 50,000 packets/s may wait; the kernel may grant less.
const BUFFER_BYTES: usize = 16 << 20;

/// What came in one round.
#[derive(Default)]
pub(crate) struct Heard {
    /// Packets whose tag is right, warm-up included.
    pub(crate) authentic: u64,
    /// Packets that are nobody's, or whose tag is wrong.
    pub(crate) refused: u64,
    /// From before sealing to arrival, of the packets while it was measured.
    pub(crate) latencies: Vec<Duration>,
}

/// The phone that listens, for all streams of a relay.
pub(crate) struct Sink {
    socket: UdpSocket,
    opener_of_source: HashMap<SocketAddr, Opener>,
    timestamp_room: Vec<u8>,
}

impl Sink {
    /// A sink without streams.
    ///
    /// # Errors
    /// When the socket cannot be set up.
    pub(crate) fn new(socket: UdpSocket) -> io::Result<Self> {
        // Beyond the machine's limit where this process may: what the sink loses is not the relay's.
        setsockopt(&socket, RcvBufForce, &BUFFER_BYTES)
            .or_else(|_| setsockopt(&socket, RcvBuf, &BUFFER_BYTES))?;
        setsockopt(&socket, ReceiveTimestampns, &true)?;
        socket.set_nonblocking(true)?;
        let timestamp_room = nix::cmsg_space!(TimeSpec);
        Ok(Self { socket, opener_of_source: HashMap::new(), timestamp_room })
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

    /// Takes all that has come.
    pub(crate) fn drain(&mut self, is_measured: bool, heard: &mut Heard) {
        let mut buffer = [0; 2_048];
        while let Some((length, source, at)) = self.receive(&mut buffer) {
            match self.open(source, &mut buffer[..length], at) {
                Some(latency) => {
                    heard.authentic += 1;
                    if is_measured {
                        heard.latencies.push(latency);
                    }
                }
                None => heard.refused += 1,
            }
        }
    }

    /// One datagram: its length, source and time of arrival since 1970.
    fn receive(&mut self, buffer: &mut [u8]) -> Option<(usize, SocketAddr, Duration)> {
        let mut slices = [IoSliceMut::new(buffer)];
        let room = Some(&mut self.timestamp_room[..]);
        let flags = MsgFlags::empty();
        let message = recvmsg::<SockaddrIn>(self.socket.as_raw_fd(), &mut slices, room, flags);
        let message = message.ok()?;
        let at = message.cmsgs().ok()?.find_map(|control| {
            let ControlMessageOwned::ScmTimestampns(at) = control else { return None };
            Some(Duration::from(at))
        })?;
        Some((message.bytes, SocketAddr::V4(message.address?.into()), at))
    }

    fn open(&mut self, source: SocketAddr, packet: &mut [u8], at: Duration) -> Option<Duration> {
        let length = self.opener_of_source.get_mut(&source)?.open_rtp(packet).ok()?;
        let stamp = packet[..length].get(FIXED_HEADER_BYTES..)?.first_chunk()?;
        Some(at.saturating_sub(Duration::from_nanos(u64::from_be_bytes(*stamp))))
    }
}
