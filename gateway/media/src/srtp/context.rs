//! The two directions of a protected port: [`Opener`] for what comes in, [`Sealer`] for what goes
//! out.
//!
//! ```text
//!  Opener:  lengths -> stream of SSRC -> guess index -> seen? -> tag -> decrypt -> remember index
//!  Sealer:  lengths -> stream of SSRC -> guess index -> used? -> remember index -> encrypt -> tag
//! ```
//!
//! Nothing about a stream is stored or changed before a tag has proven that the packet is the
//! peer's: a stranger can neither move a window nor fill the table of streams.

use std::fmt;
use std::hint::black_box;

use super::cipher::{ENCRYPTED_FLAG, RTCP_CLEAR_BYTES, Transform};
use super::keys::{MasterKey, SessionKeys};
use super::suite::Suite;
use super::window::Window;
use crate::rtp::Header;

/// How many SSRCs one key serves; a voice call has one or two, a phone that changes its SSRC at
/// each re-INVITE a few more. Streams are never forgotten, since that would let their packets be
/// replayed.
pub const MAX_STREAMS: usize = 64;

/// Indices of SRTCP end here (RFC 3711 §9.2).
const RTCP_INDICES: u32 = 1 << 31;

/// Why a packet was neither opened nor sealed; a number in the metrics, never a reason to end a
/// call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too short, or its lengths contradict each other.
    #[error("malformed packet")]
    Malformed,
    /// Its index was there before, or is too old to tell.
    #[error("replayed or too old")]
    Replayed,
    /// Its tag is wrong.
    #[error("not authentic")]
    NotAuthentic,
    /// It claims not to be encrypted, which we never negotiate (RFC 3711 §3.4, E flag).
    #[error("not encrypted")]
    NotEncrypted,
    /// It would be the first of more streams than [`MAX_STREAMS`].
    #[error("too many streams")]
    TooManyStreams,
    /// The key has served as many packets as it may (RFC 3711 §9.2).
    #[error("key exhausted")]
    KeyExhausted,
    /// The buffer has no room for the tag.
    #[error("no room for the tag")]
    NoRoom,
}

/// What both directions consist of: the keys of RTP and RTCP, and the streams that were seen under
/// them.
struct Direction {
    suite: Suite,
    rtp: Transform,
    rtcp: Transform,
    rtp_streams: Streams,
    rtcp_streams: Streams,
}

impl Direction {
    fn new(suite: Suite, rtp: &SessionKeys, rtcp: &SessionKeys) -> Self {
        Self {
            suite,
            rtp: Transform::new(rtp),
            rtcp: Transform::new(rtcp),
            rtp_streams: Streams::default(),
            rtcp_streams: Streams::default(),
        }
    }

    #[inline]
    fn touch(&self) {
        black_box((self.suite, self.rtp_streams.0.len()));
        self.rtp.touch();
    }

    #[inline]
    fn touch_streams(&self) {
        black_box(self.rtp_streams.0.first().map(|(ssrc, _)| *ssrc));
        self.rtp.touch_pads();
    }
}

/// Opens what the peer sealed with its key.
pub struct Opener(Direction);

/// Seals what goes to the peer, with our key.
pub struct Sealer {
    direction: Direction,
    next_rtcp_index: u32,
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").field("suite", &self.0.suite).finish_non_exhaustive()
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("suite", &self.direction.suite).finish_non_exhaustive()
    }
}

impl Opener {
    /// Derives the session keys from the peer's master key.
    pub fn new(key: &MasterKey) -> Self {
        Self(Direction::new(key.suite(), &key.rtp_keys(), &key.rtcp_keys()))
    }

    #[cfg(test)]
    pub(super) fn from_session_keys(keys: &SessionKeys) -> Self {
        Self(Direction::new(keys.suite, keys, keys))
    }

    /// Fetches what [`Opener::open_rtp`] needs into the caches.
    #[inline]
    pub fn touch(&self) {
        self.0.touch();
    }

    /// Fetches what [`Opener::touch`] has made known the place of.
    #[inline]
    pub fn touch_streams(&self) {
        self.0.touch_streams();
    }

    /// The suite of the peer's key.
    pub fn suite(&self) -> Suite {
        self.0.suite
    }

    /// Opens an SRTP packet in place and returns its clear length, header included.
    ///
    /// # Errors
    /// See [`Refused`]; the packet's payload is then undefined.
    pub fn open_rtp(&mut self, packet: &mut [u8]) -> Result<usize, Refused> {
        let direction = &mut self.0;
        let header = Header::parse_protected(packet).ok_or(Refused::Malformed)?;
        if packet.len() < header.header_bytes + direction.suite.rtp_tail_bytes() {
            return Err(Refused::Malformed);
        }
        let place = direction.rtp_streams.find(header.ssrc)?;
        let index = direction.rtp_streams.guess(place, header.sequence)?;
        let clear_bytes = direction
            .rtp
            .open_rtp(packet, header.header_bytes, header.ssrc, index)
            .map_err(|_| Refused::NotAuthentic)?;
        direction.rtp_streams.accept(place, index);
        Ok(clear_bytes)
    }

    /// Opens an SRTCP packet in place and returns the clear length of the compound packet.
    ///
    /// # Errors
    /// See [`Refused`]; the packet is then undefined behind its first 8 bytes.
    pub fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Refused> {
        let direction = &mut self.0;
        let ssrc = rtcp_ssrc(packet).ok_or(Refused::Malformed)?;
        if packet.len() < RTCP_CLEAR_BYTES + direction.suite.rtcp_tail_bytes() {
            return Err(Refused::Malformed);
        }
        let word = direction.rtcp.rtcp_word(packet);
        if word & ENCRYPTED_FLAG == 0 {
            return Err(Refused::NotEncrypted);
        }
        let index = word & !ENCRYPTED_FLAG;
        let place = direction.rtcp_streams.find(ssrc)?;
        direction.rtcp_streams.check(place, u64::from(index))?;
        let clear_bytes =
            direction.rtcp.open_rtcp(packet, ssrc, index).map_err(|_| Refused::NotAuthentic)?;
        direction.rtcp_streams.accept(place, u64::from(index));
        Ok(clear_bytes)
    }
}

impl Sealer {
    /// Derives the session keys from our master key.
    pub fn new(key: &MasterKey) -> Self {
        Self {
            direction: Direction::new(key.suite(), &key.rtp_keys(), &key.rtcp_keys()),
            next_rtcp_index: 0,
        }
    }

    #[cfg(test)]
    pub(super) fn from_session_keys(keys: &SessionKeys, next_rtcp_index: u32) -> Self {
        Self { direction: Direction::new(keys.suite, keys, keys), next_rtcp_index }
    }

    /// Fetches what [`Sealer::seal_rtp`] needs into the caches.
    #[inline]
    pub fn touch(&self) {
        self.direction.touch();
    }

    /// Fetches what [`Sealer::touch`] has made known the place of.
    #[inline]
    pub fn touch_streams(&self) {
        self.direction.touch_streams();
    }

    /// The suite of our key.
    pub fn suite(&self) -> Suite {
        self.direction.suite
    }

    /// Seals the RTP packet in the first `length` bytes of `buffer` and returns its sealed length.
    ///
    /// The buffer has to be longer by [`Suite::rtp_tail_bytes`]. A sequence number is sealed once
    /// only: a second packet under the same number would give both away (RFC 3711 §9.1), so it is
    /// refused.
    ///
    /// # Errors
    /// See [`Refused`]; the packet is then unchanged.
    pub fn seal_rtp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, Refused> {
        let direction = &mut self.direction;
        let packet = buffer.get(..length).ok_or(Refused::NoRoom)?;
        let header = Header::parse_protected(packet).ok_or(Refused::Malformed)?;
        if buffer.len() - length < direction.suite.rtp_tail_bytes() {
            return Err(Refused::NoRoom);
        }
        let place = direction.rtp_streams.find(header.ssrc)?;
        let index = direction.rtp_streams.guess(place, header.sequence)?;
        direction.rtp_streams.accept(place, index);
        Ok(direction.rtp.seal_rtp(buffer, length, header.header_bytes, header.ssrc, index))
    }

    /// Seals the RTCP packet in the first `length` bytes of `buffer` and returns its sealed length.
    ///
    /// The buffer has to be longer by [`Suite::rtcp_tail_bytes`].
    ///
    /// # Errors
    /// See [`Refused`]; the packet is then unchanged.
    pub fn seal_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, Refused> {
        let packet = buffer.get(..length).ok_or(Refused::NoRoom)?;
        let ssrc = rtcp_ssrc(packet).ok_or(Refused::Malformed)?;
        if buffer.len() - length < self.direction.suite.rtcp_tail_bytes() {
            return Err(Refused::NoRoom);
        }
        let index = self.next_rtcp_index;
        if index >= RTCP_INDICES {
            return Err(Refused::KeyExhausted);
        }
        // One counter for all SSRCs: an index may be skipped, but not used twice (RFC 3711 §3.4).
        self.next_rtcp_index += 1;
        Ok(self.direction.rtcp.seal_rtcp(buffer, length, ssrc, index))
    }
}

/// The SSRC that an RTCP packet is sealed under: its first packet's sender (RFC 3711 §3.4).
fn rtcp_ssrc(packet: &[u8]) -> Option<u32> {
    let head: &[u8; RTCP_CLEAR_BYTES] = packet.first_chunk()?;
    (head[0] >> 6 == 2).then(|| u32::from_be_bytes([head[4], head[5], head[6], head[7]]))
}

/// The windows of all SSRCs under one key.
#[derive(Default)]
struct Streams(Vec<(u32, Window)>);

/// Where in [`Streams`] an SSRC stands, or that it is to be added.
#[derive(Clone, Copy)]
enum Place {
    Known(usize),
    New(u32),
}

impl Streams {
    /// A linear search, since nearly every key has one stream.
    fn find(&self, ssrc: u32) -> Result<Place, Refused> {
        match self.0.iter().position(|(known, _)| *known == ssrc) {
            Some(position) => Ok(Place::Known(position)),
            None if self.0.len() < MAX_STREAMS => Ok(Place::New(ssrc)),
            None => Err(Refused::TooManyStreams),
        }
    }

    /// The index of a packet by its sequence number, if that index may still be used.
    fn guess(&self, place: Place, sequence: u16) -> Result<u64, Refused> {
        let Place::Known(position) = place else { return Ok(u64::from(sequence)) };
        let window = &self.0[position].1;
        let index = window.guess(sequence).ok_or(if window.is_ended() {
            Refused::KeyExhausted
        } else {
            Refused::Replayed
        })?;
        self.check(place, index)?;
        Ok(index)
    }

    fn check(&self, place: Place, index: u64) -> Result<(), Refused> {
        match place {
            Place::Known(position) if !self.0[position].1.is_fresh(index) => Err(Refused::Replayed),
            Place::Known(_) | Place::New(_) => Ok(()),
        }
    }

    fn accept(&mut self, place: Place, index: u64) {
        match place {
            Place::Known(position) => self.0[position].1.accept(index),
            Place::New(ssrc) => {
                let mut window = Window::default();
                window.accept(index);
                self.0.push((ssrc, window));
            }
        }
    }
}
