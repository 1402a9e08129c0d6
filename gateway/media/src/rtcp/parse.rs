//! Reading compound RTCP packets without copying, and without trusting any length in them.

use super::{
    CNAME, GOODBYE, PAYLOAD_FEEDBACK, PICTURE_LOSS, RECEIVER_REPORT, ReportBlock, SENDER_REPORT,
    SOURCE_DESCRIPTION, SenderInfo, TRANSPORT_FEEDBACK,
};

/// Bytes of a report block.
const BLOCK_BYTES: usize = 24;
/// Bytes of a sender's information.
const SENDER_BYTES: usize = 20;

/// The lengths in a packet contradict each other, or it is no RTCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed RTCP packet")]
pub struct Malformed;

/// One packet of a compound packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// What a sender sends and receives.
    SenderReport {
        /// The reporter.
        ssrc: u32,
        /// What it sent.
        sender: SenderInfo,
        /// What it received.
        blocks: ReportBlocks<'a>,
    },
    /// What a participant that does not send receives.
    ReceiverReport {
        /// The reporter.
        ssrc: u32,
        /// What it received.
        blocks: ReportBlocks<'a>,
    },
    /// Who a source is: the canonical name of the first one described, if it has one.
    SourceDescription {
        /// The name, in no particular encoding.
        cname: Option<&'a [u8]>,
    },
    /// Sources that say they leave. Anybody on the path of a clear call could say so: never a
    /// reason to end it.
    Goodbye(Ssrcs<'a>),
    /// The receiver needs a new picture (RFC 4585 §6.3.1).
    PictureLoss {
        /// Who asks.
        sender: u32,
        /// Whose picture it is.
        media: u32,
    },
    /// Anything else; only its lengths were looked at.
    Other {
        /// The packet type.
        packet_type: u8,
    },
}

/// The report blocks of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlocks<'a>(&'a [u8]);

impl Iterator for ReportBlocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        let (block, rest) = self.0.split_first_chunk::<BLOCK_BYTES>()?;
        self.0 = rest;
        let lost = i32::from_be_bytes([block[5], block[6], block[7], 0]) >> 8;
        Some(ReportBlock {
            ssrc: word(block, 0)?,
            fraction_lost: block[4],
            cumulative_lost: lost,
            highest_sequence: word(block, 8)?,
            jitter: word(block, 12)?,
            last_sender_report: word(block, 16)?,
            delay_since: word(block, 20)?,
        })
    }
}

/// The sources of a goodbye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ssrcs<'a>(&'a [u8]);

impl Iterator for Ssrcs<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let (ssrc, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*ssrc))
    }
}

/// The packets of a compound packet that [`parse`] has accepted as a whole.
#[derive(Clone, Copy, Debug)]
pub struct Packets<'a>(&'a [u8]);

impl<'a> Iterator for Packets<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        let (packet, rest) = parse_one(self.0).ok()?;
        self.0 = rest;
        Some(packet)
    }
}

/// Checks a clear compound packet to its end (RFC 3550 Appendix A.2) and gives its packets.
///
/// Reduced-size packets pass (RFC 5506): the first one need not be a report.
///
/// # Errors
/// [`Malformed`] if any packet of it is, so that nothing is taken from half of a datagram.
pub fn parse(datagram: &[u8]) -> Result<Packets<'_>, Malformed> {
    let mut rest = datagram;
    loop {
        (_, rest) = parse_one(rest)?;
        if rest.is_empty() {
            return Ok(Packets(datagram));
        }
    }
}

fn parse_one(bytes: &[u8]) -> Result<(Packet<'_>, &[u8]), Malformed> {
    let header: &[u8; 4] = bytes.first_chunk().ok_or(Malformed)?;
    let words = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[0] >> 6 != 2 || !(192..=223).contains(&header[1]) {
        return Err(Malformed);
    }
    let (packet, rest) = bytes.split_at_checked(4 + 4 * words).ok_or(Malformed)?;
    let mut body = &packet[4..];
    if header[0] & 0x20 != 0 {
        // Padding is for the last packet only (RFC 3550 §6.4.1).
        let padding = usize::from(*body.last().ok_or(Malformed)?);
        if !rest.is_empty() || padding == 0 || padding % 4 != 0 {
            return Err(Malformed);
        }
        body = body.get(..body.len().wrapping_sub(padding)).ok_or(Malformed)?;
    }
    let packet = parse_body(header[1], header[0] & 0x1f, body).ok_or(Malformed)?;
    Ok((packet, rest))
}

fn parse_body(packet_type: u8, count: u8, body: &[u8]) -> Option<Packet<'_>> {
    let items = usize::from(count);
    Some(match packet_type {
        SENDER_REPORT => Packet::SenderReport {
            ssrc: word(body, 0)?,
            sender: parse_sender(body.get(4..)?)?,
            blocks: parse_blocks(body.get(4 + SENDER_BYTES..)?, items)?,
        },
        RECEIVER_REPORT => Packet::ReceiverReport {
            ssrc: word(body, 0)?,
            blocks: parse_blocks(body.get(4..)?, items)?,
        },
        SOURCE_DESCRIPTION if items == 0 => Packet::SourceDescription { cname: None },
        SOURCE_DESCRIPTION => Packet::SourceDescription { cname: parse_cname(body.get(4..)?)? },
        GOODBYE => Packet::Goodbye(Ssrcs(body.get(..4 * items)?)),
        PAYLOAD_FEEDBACK if count == PICTURE_LOSS => {
            Packet::PictureLoss { sender: word(body, 0)?, media: word(body, 4)? }
        }
        TRANSPORT_FEEDBACK | PAYLOAD_FEEDBACK if body.len() < 8 => return None,
        _ => Packet::Other { packet_type },
    })
}

fn parse_sender(bytes: &[u8]) -> Option<SenderInfo> {
    Some(SenderInfo {
        ntp: u64::from(word(bytes, 0)?) << 32 | u64::from(word(bytes, 4)?),
        rtp_timestamp: word(bytes, 8)?,
        packets: word(bytes, 12)?,
        octets: word(bytes, 16)?,
    })
}

fn parse_blocks(bytes: &[u8], count: usize) -> Option<ReportBlocks<'_>> {
    bytes.get(..BLOCK_BYTES * count).map(ReportBlocks)
}

/// The canonical name among the items of the first chunk (RFC 3550 §6.5): `None` if they are
/// malformed, `Some(None)` if it is not among them.
fn parse_cname(mut items: &[u8]) -> Option<Option<&[u8]>> {
    loop {
        let (kind, rest) = items.split_first()?;
        if *kind == 0 {
            return Some(None);
        }
        let (length, rest) = rest.split_first()?;
        let (text, rest) = rest.split_at_checked(usize::from(*length))?;
        if *kind == CNAME {
            return Some(Some(text));
        }
        items = rest;
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}
