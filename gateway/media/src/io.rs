//! What the pure plane exchanges with its shell: sockets by number, datagrams, randomness.

use std::fmt;
use std::net::SocketAddr;

/// One UDP socket of the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(pub u32);

/// A datagram to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Transmit {
    /// The socket it leaves by.
    pub socket: SocketId,
    /// Where it goes.
    pub destination: SocketAddr,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// An address belongs to a person, and bytes to a call: neither is for logs.
impl fmt::Debug for Transmit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transmit({} bytes by {:?})", self.bytes.len(), self.socket)
    }
}

/// A socket that serves every port with ICE, and what peers are told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MuxedSocket {
    /// Its number.
    pub socket: SocketId,
    /// Where peers send to.
    pub advertised: SocketAddr,
}

/// Two sockets on neighbouring ports, for one peer without ICE (RFC 3550 §11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketPair {
    /// On the even port.
    pub rtp: SocketId,
    /// On the odd port above it.
    pub rtcp: SocketId,
    /// Where peers send RTP to; RTCP is one higher.
    pub advertised: SocketAddr,
}

/// Where the plane gets socket pairs from: the one thing it asks of its shell in the middle of a step, because the
/// port's number is part of the answer it is about to give.
pub trait Sockets {
    /// Opens a pair; `None` when no port is left. An IPv6 pair where `wants_v6` is set and there is one.
    fn open(&mut self, wants_v6: bool) -> Option<SocketPair>;
    /// Closes a pair.
    fn close(&mut self, pair: SocketPair);
}

/// Fills its argument with bytes that nobody can guess.
pub type Random = Box<dyn FnMut(&mut [u8]) + Send>;

/// A random number.
pub(crate) fn random_u64(random: &mut Random) -> u64 {
    let mut bytes = [0; 8];
    random(&mut bytes);
    u64::from_be_bytes(bytes)
}

/// A random text of characters that ICE allows (RFC 8839 §5.4); each stands for six bits.
pub(crate) fn random_text(random: &mut Random, characters: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = vec![0; characters];
    random(&mut bytes);
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 63)])).collect()
}
