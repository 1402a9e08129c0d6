//! The keys a port works with now, whatever way they came.

use gateway_core::media::Protection;

use crate::srtp::{Opener, Refused, Sealer, Suite};

/// Opens what comes in and seals what goes out.
pub(crate) enum Guard {
    /// There are no keys yet: nothing passes.
    Closed,
    /// Nothing is protected.
    Clear,
    /// SRTP.
    Srtp {
        /// With the peer's key.
        opener: Box<Opener>,
        /// With ours.
        sealer: Box<Sealer>,
    },
}

impl Guard {
    /// The suite, where there is one.
    pub(crate) fn suite(&self) -> Option<Suite> {
        match self {
            Self::Closed | Self::Clear => None,
            Self::Srtp { sealer, .. } => Some(sealer.suite()),
        }
    }

    /// Whether packets can pass.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self, Self::Closed)
    }

    /// Opens an RTP packet in place and returns its clear length; `None` without keys.
    pub(crate) fn open_rtp(&mut self, packet: &mut [u8]) -> Option<Result<usize, Refused>> {
        match self {
            Self::Closed => None,
            Self::Clear => Some(Ok(packet.len())),
            Self::Srtp { opener, .. } => Some(opener.open_rtp(packet)),
        }
    }

    /// Opens an RTCP packet in place and returns its clear length; `None` without keys.
    pub(crate) fn open_rtcp(&mut self, packet: &mut [u8]) -> Option<Result<usize, Refused>> {
        match self {
            Self::Closed => None,
            Self::Clear => Some(Ok(packet.len())),
            Self::Srtp { opener, .. } => Some(opener.open_rtcp(packet)),
        }
    }

    /// Seals the first `length` bytes of `buffer` as RTP and returns the new length; `None` without keys.
    pub(crate) fn seal_rtp(
        &mut self,
        buffer: &mut [u8],
        length: usize,
    ) -> Option<Result<usize, Refused>> {
        match self {
            Self::Closed => None,
            Self::Clear => Some(Ok(length)),
            Self::Srtp { sealer, .. } => Some(sealer.seal_rtp(buffer, length)),
        }
    }

    /// Seals the first `length` bytes of `buffer` as RTCP and returns the new length; `None` without keys.
    pub(crate) fn seal_rtcp(
        &mut self,
        buffer: &mut [u8],
        length: usize,
    ) -> Option<Result<usize, Refused>> {
        match self {
            Self::Closed => None,
            Self::Clear => Some(Ok(length)),
            Self::Srtp { sealer, .. } => Some(sealer.seal_rtcp(buffer, length)),
        }
    }
}

/// Where a line of a description asks for more than one protection, or for none: the ones it can be answered with.
pub(crate) fn offered_by(line: &gateway_core::description::MediaLine) -> Vec<Protection> {
    let mut offered = Vec::new();
    let is_plain = !line.proto.contains("SAVP");
    if !line.fingerprints.is_empty() {
        offered.push(Protection::Dtls);
    }
    if !line.crypto.is_empty() {
        offered.push(Protection::Sdes);
    }
    // Keys beside RTP/AVP are an invitation, not a demand (RFC 8643 §3.1).
    if is_plain {
        offered.push(Protection::Clear);
    }
    offered
}
