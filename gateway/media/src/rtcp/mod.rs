//! RTCP: what is read, what is written, and the reports of one leg (RFC 3550 §6).
//!
//! Each port ends RTCP for its own leg: reports are made from what passed this port and never
//! relayed, since another leg has other SSRCs, loss and clocks. Only what means something on the
//! other side crosses: a request for a new picture.
//!
//! ```text
//!  RTP from the peer --> Statistics --+                         +--> SR or RR, SDES, every 2 to 6 s
//!  RTP to the peer  --> counters -----+--> Reporter (one a leg) +--> round trip, loss, jitter
//!  RTCP from the peer --> parse ------+                         +--> Feedback: picture lost, goodbye
//! ```
//!
//! Reduced-size packets (RFC 5506) are read, compound ones are written. RTP and RTCP may share a
//! port (RFC 5761): whether they do is the path's business.

mod build;
mod parse;
mod reporter;
mod statistics;
#[cfg(test)]
mod tests;

pub use build::Builder;
pub use parse::{Malformed, Packet, Packets, ReportBlocks, Ssrcs, parse};
pub use reporter::{Feedback, Reporter, random_cname};
pub use statistics::Statistics;

/// Sender report (RFC 3550 §6.4.1).
const SENDER_REPORT: u8 = 200;
/// Receiver report (RFC 3550 §6.4.2).
const RECEIVER_REPORT: u8 = 201;
/// Source description (RFC 3550 §6.5).
const SOURCE_DESCRIPTION: u8 = 202;
/// Goodbye (RFC 3550 §6.6).
const GOODBYE: u8 = 203;
/// Feedback about transport (RFC 4585 §6.2).
const TRANSPORT_FEEDBACK: u8 = 205;
/// Feedback about payload (RFC 4585 §6.3).
const PAYLOAD_FEEDBACK: u8 = 206;
/// The payload feedback that asks for a new picture (RFC 4585 §6.3.1).
const PICTURE_LOSS: u8 = 1;
/// The item of a source description that names the source (RFC 3550 §6.5.1).
const CNAME: u8 = 1;

/// What a sender tells about itself (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// When the report was made: seconds and 2^-32 seconds, from whatever start.
    pub ntp: u64,
    /// The stream's timestamp at that time.
    pub rtp_timestamp: u32,
    /// Packets sent since the stream began, wraps.
    pub packets: u32,
    /// Payload bytes sent since the stream began, wraps.
    pub octets: u32,
}

/// What a receiver tells about one source (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source.
    pub ssrc: u32,
    /// Share of packets lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the stream began, 24 bits with sign: duplicates make it negative.
    pub cumulative_lost: i32,
    /// The highest sequence number received, and how often it wrapped in the upper half.
    pub highest_sequence: u32,
    /// Interarrival jitter in units of the source's RTP clock.
    pub jitter: u32,
    /// The middle 32 bits of the NTP time of the source's last sender report; 0 if there was none.
    pub last_sender_report: u32,
    /// How long ago that was, in 1/65536 s.
    pub delay_since: u32,
}
