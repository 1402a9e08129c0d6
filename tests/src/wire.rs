//! Judges what the wire carried: which RTP streams ran between which ports, whether an eavesdropper
//! would have heard the speech, whether DTLS was spoken, which digits crossed, how much was lost.
//!
//! ```text
//!  capture --pcap--> datagrams --first byte (RFC 7983 §7)--> STUN | DTLS | RTP | RTCP | SIP text
//!                                                                       |
//!                    PCMU payloads as sound: a tone means clear, noise means sealed
//! ```

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use regex::Regex;

use crate::audio::dominant;
use crate::pcap::{self, Carrier, Datagram};
use crate::wav::Sound;

/// Fewer packets do not tell a tone from noise.
const LEAST_PACKETS: usize = 25;
/// Payload bytes of a 20 ms packet of G.711; what follows is the SRTP tag.
const G711_BYTES: usize = 160;
/// Above this the tone is plainly there, below its negative plainly not.
const CLEAR_DB: f32 = 3.0;

/// Everything one capture holds.
#[derive(Debug)]
pub struct Wire {
    datagrams: Vec<Datagram>,
}

/// How the payload of a stream looks to an eavesdropper.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Secrecy {
    /// The tone can be heard: its frequency in Hz.
    Clear(f32),
    /// Nothing but noise.
    Sealed,
    /// Too few packets, or a codec that is not decoded here.
    Unknown,
}

/// One RTP stream (RFC 3550 §3): one source, one payload type.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Who sent it.
    pub source: SocketAddr,
    /// To whom.
    pub destination: SocketAddr,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Payload type.
    pub payload_type: u8,
    /// Sequence numbers in the order of the capture.
    pub sequence: Vec<u16>,
    /// Payloads in the order of the capture; under SRTP with the tag.
    pub payloads: Vec<Vec<u8>>,
    /// When the first and the last packet were captured, seconds since 1970.
    pub span_s: (f64, f64),
}

impl Wire {
    /// Reads a capture file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let bytes = fs::read(path).map_err(|why| format!("{}: {why}", path.display()))?;
        Ok(Self { datagrams: pcap::parse(&bytes)? })
    }

    /// Returns all payloads in the order of the capture.
    pub fn datagrams(&self) -> &[Datagram] {
        &self.datagrams
    }

    /// Returns the RTP streams, those with the same source, destination, SSRC and payload type
    /// being one. A stream of fewer than five packets is taken for chance.
    pub fn streams(&self) -> Vec<Stream> {
        let mut streams: BTreeMap<_, Stream> = BTreeMap::new();
        for datagram in self.datagrams.iter().filter(|datagram| is_rtp(datagram)) {
            let bytes = &datagram.payload;
            let Some(payload) = payload_of(bytes) else { continue };
            let ssrc = u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
            let payload_type = bytes[1] & 127;
            let key = (datagram.source, datagram.destination, ssrc, payload_type);
            let stream = streams.entry(key).or_insert_with(|| Stream {
                source: datagram.source,
                destination: datagram.destination,
                ssrc,
                payload_type,
                sequence: Vec::new(),
                payloads: Vec::new(),
                span_s: (datagram.at_s, datagram.at_s),
            });
            stream.sequence.push(u16::from_be_bytes([bytes[2], bytes[3]]));
            stream.payloads.push(payload.to_vec());
            stream.span_s.1 = datagram.at_s;
        }
        streams.into_values().filter(|stream| stream.payloads.len() >= 5).collect()
    }

    /// Returns the streams that have one of `ports` at either end.
    pub fn streams_at(&self, ports: std::ops::RangeInclusive<u16>) -> Vec<Stream> {
        let mut streams = self.streams();
        streams.retain(|stream| {
            ports.contains(&stream.source.port()) || ports.contains(&stream.destination.port())
        });
        streams
    }

    /// Says whether DTLS (RFC 9147) was spoken to or from `port`.
    pub fn has_dtls(&self, port: u16) -> bool {
        self.datagrams.iter().any(|datagram| {
            let (source, destination) = (datagram.source.port(), datagram.destination.port());
            datagram.carrier == Carrier::Udp
                && (source == port || destination == port)
                && datagram.payload.len() > 13
                && (20..=63).contains(&datagram.payload[0])
        })
    }

    /// Returns all SIP that crossed without TLS, as one text.
    pub fn sip_text(&self) -> String {
        let mut text = String::new();
        for datagram in &self.datagrams {
            let is_text = datagram.payload.iter().take(64).all(|byte| matches!(byte, 9..=126));
            if is_text && !datagram.payload.is_empty() {
                text.push_str(&String::from_utf8_lossy(&datagram.payload));
            }
        }
        text
    }

    /// Returns the SDES suites (RFC 4568 §9.1) that an eavesdropper saw in signalling.
    pub fn suites(&self) -> BTreeSet<String> {
        let pattern = Regex::new(r"(?m)^a=crypto:\d+ (\S+)").expect("a pattern of ours");
        pattern.captures_iter(&self.sip_text()).map(|found| found[1].to_owned()).collect()
    }
}

impl Stream {
    /// Says what an eavesdropper hears.
    pub fn secrecy(&self) -> Secrecy {
        if self.payloads.len() < LEAST_PACKETS || !matches!(self.payload_type, 0 | 8) {
            return Secrecy::Unknown;
        }
        let sound = self.sound();
        let (hz, purity_db) = dominant(&sound.samples, sound.rate_hz);
        if purity_db > CLEAR_DB {
            Secrecy::Clear(hz)
        } else if purity_db < -CLEAR_DB {
            Secrecy::Sealed
        } else {
            Secrecy::Unknown
        }
    }

    /// Returns the payloads as sound, if they were G.711 in clear.
    pub fn sound(&self) -> Sound {
        let bytes: Vec<u8> = self
            .payloads
            .iter()
            .flat_map(|payload| payload.iter().take(G711_BYTES))
            .copied()
            .collect();
        if self.payload_type == 8 { Sound::from_alaw(&bytes) } else { Sound::from_ulaw(&bytes) }
    }

    /// Returns how many packets are missing between the first and the last sequence number.
    pub fn lost(&self) -> usize {
        let Some(first) = self.sequence.first() else { return 0 };
        let mut highest = i64::from(*first);
        let mut lowest = highest;
        let mut seen = BTreeSet::from([highest]);
        for number in &self.sequence[1..] {
            // The nearest extended number (RFC 3550 appendix A.1).
            let step = i64::from(number.wrapping_sub(highest as u16).cast_signed());
            let extended = highest + step;
            seen.insert(extended);
            highest = highest.max(extended);
            lowest = lowest.min(extended);
        }
        usize::try_from(highest - lowest + 1).expect("highest is not below lowest") - seen.len()
    }

    /// Returns the digits that a stream of clear `telephone-event` packets holds (RFC 4733 §2.5).
    pub fn digits(&self) -> String {
        let mut digits = String::new();
        let mut is_over = true;
        for payload in &self.payloads {
            let [event, flags, ..] = payload[..] else { continue };
            let is_end = flags & 0x80 != 0;
            if is_over && !is_end {
                digits.extend("0123456789*#ABCD".chars().nth(usize::from(event)));
            }
            is_over = is_end;
        }
        digits
    }
}

/// RFC 7983 §7: 128 to 191; RFC 5761 §4: a second byte of 192 to 223 is RTCP.
fn is_rtp(datagram: &Datagram) -> bool {
    let bytes = &datagram.payload;
    datagram.carrier == Carrier::Udp
        && bytes.len() >= 12
        && (128..=191).contains(&bytes[0])
        && !(192..=223).contains(&bytes[1])
}

/// RFC 3550 §5.1: what follows contributing sources and header extension.
fn payload_of(bytes: &[u8]) -> Option<&[u8]> {
    let mut start = 12 + usize::from(bytes[0] & 15) * 4;
    if bytes[0] & 0x10 != 0 {
        let words = bytes.get(start + 2..start + 4)?;
        start += 4 + usize::from(u16::from_be_bytes([words[0], words[1]])) * 4;
    }
    bytes.get(start..)
}

#[cfg(test)]
mod tests;
