//! Reads captures: pcapng (draft-ietf-opsawg-pcapng) and classic pcap, Ethernet frames, IPv4 and
//! IPv6, UDP and TCP. What is neither is left out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const SECTION_HEADER: u32 = 0x0A0D_0D0A;
const INTERFACE: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const OPTION_TIME_RESOLUTION: u16 = 9;
const ETHERNET_HEADER_BYTES: usize = 14;

/// What carried a payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Carrier {
    /// A whole datagram.
    Udp,
    /// A piece of a stream, in the order it was captured.
    Tcp,
}

/// One payload on the wire.
#[derive(Clone, Debug, PartialEq)]
pub struct Datagram {
    /// When it was captured, seconds since 1970.
    pub at_s: f64,
    /// Who sent it.
    pub source: SocketAddr,
    /// To whom.
    pub destination: SocketAddr,
    /// Over what.
    pub carrier: Carrier,
    /// What follows the UDP or TCP header.
    pub payload: Vec<u8>,
}

/// Parses a capture file; a last packet that was cut off is left out.
pub fn parse(bytes: &[u8]) -> Result<Vec<Datagram>, String> {
    match bytes.get(..4).map(|magic| le_u32(magic, 0)) {
        Some(Some(SECTION_HEADER)) => Ok(parse_blocks(bytes)),
        Some(Some(0xA1B2_C3D4)) => Ok(parse_classic(bytes, 1e-6)),
        Some(Some(0xA1B2_3C4D)) => Ok(parse_classic(bytes, 1e-9)),
        _ => Err(format!("not a capture of this machine ({} bytes)", bytes.len())),
    }
}

fn parse_classic(bytes: &[u8], unit_s: f64) -> Vec<Datagram> {
    let mut datagrams = Vec::new();
    let mut at = 24;
    while let (Some(seconds), Some(fraction), Some(length)) =
        (le_u32(bytes, at), le_u32(bytes, at + 4), le_u32(bytes, at + 8))
    {
        let Some(frame) = bytes.get(at + 16..at + 16 + length as usize) else { break };
        let at_s = f64::from(seconds) + f64::from(fraction) * unit_s;
        datagrams.extend(parse_frame(frame, at_s));
        at += 16 + length as usize;
    }
    datagrams
}

fn parse_blocks(bytes: &[u8]) -> Vec<Datagram> {
    let mut datagrams = Vec::new();
    let mut unit_s = 1e-6;
    let mut at = 0;
    while let (Some(kind), Some(length)) = (le_u32(bytes, at), le_u32(bytes, at + 4)) {
        let Some(block) = bytes.get(at..at + length as usize) else { break };
        match kind {
            INTERFACE => unit_s = time_unit_s(block),
            ENHANCED_PACKET => datagrams.extend(parse_packet(block, unit_s)),
            _ => {}
        }
        if length < 12 {
            break;
        }
        at += length as usize;
    }
    datagrams
}

fn time_unit_s(interface: &[u8]) -> f64 {
    let mut at = 16;
    while let (Some(code), Some(length)) = (le_u16(interface, at), le_u16(interface, at + 2)) {
        if code == OPTION_TIME_RESOLUTION {
            // A negative power of ten, or of two when the highest bit is set.
            let value = interface.get(at + 4).copied().unwrap_or(6);
            let base: f64 = if value & 0x80 == 0 { 10.0 } else { 2.0 };
            return base.powi(-i32::from(value & 0x7F));
        }
        if code == 0 {
            break;
        }
        at += 4 + usize::from(length).next_multiple_of(4);
    }
    1e-6
}

fn parse_packet(block: &[u8], unit_s: f64) -> Option<Datagram> {
    let ticks = u64::from(le_u32(block, 12)?) << 32 | u64::from(le_u32(block, 16)?);
    let length = le_u32(block, 20)? as usize;
    parse_frame(block.get(28..28 + length)?, ticks as f64 * unit_s)
}

fn parse_frame(frame: &[u8], at_s: f64) -> Option<Datagram> {
    let packet = frame.get(ETHERNET_HEADER_BYTES..)?;
    match be_u16(frame, 12)? {
        0x0800 => parse_ipv4(packet, at_s),
        0x86DD => parse_ipv6(packet, at_s),
        _ => None,
    }
}

fn parse_ipv4(packet: &[u8], at_s: f64) -> Option<Datagram> {
    let header = usize::from(packet.first()? & 15) * 4;
    let length = usize::from(be_u16(packet, 2)?);
    // With segmentation offload the kernel may leave the length at zero.
    let end = if length == 0 { packet.len() } else { length.min(packet.len()) };
    let address = |at: usize| {
        let bytes: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
        Some(IpAddr::V4(Ipv4Addr::from(bytes)))
    };
    let ends = (address(12)?, address(16)?);
    parse_carried(*packet.get(9)?, packet.get(header..end)?, ends, at_s)
}

fn parse_ipv6(packet: &[u8], at_s: f64) -> Option<Datagram> {
    let address = |at: usize| {
        let bytes: [u8; 16] = packet.get(at..at + 16)?.try_into().ok()?;
        Some(IpAddr::V6(Ipv6Addr::from(bytes)))
    };
    let ends = (address(8)?, address(24)?);
    parse_carried(*packet.get(6)?, packet.get(40..)?, ends, at_s)
}

fn parse_carried(
    protocol: u8,
    segment: &[u8],
    (from, to): (IpAddr, IpAddr),
    at_s: f64,
) -> Option<Datagram> {
    let (carrier, header) = match protocol {
        17 => (Carrier::Udp, 8),
        6 => (Carrier::Tcp, usize::from(segment.get(12)? >> 4) * 4),
        _ => return None,
    };
    Some(Datagram {
        at_s,
        source: SocketAddr::new(from, be_u16(segment, 0)?),
        destination: SocketAddr::new(to, be_u16(segment, 2)?),
        carrier,
        payload: segment.get(header..)?.to_vec(),
    })
}

fn le_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn le_u16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn be_u16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One UDP datagram `hi` from 127.0.0.1:5060 to 127.0.0.2:5070 in an Ethernet frame.
    fn frame() -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x00]);
        frame.extend([0x45, 0, 0, 30, 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 2]);
        frame.extend([0x13, 0xC4, 0x13, 0xCE, 0, 10, 0, 0]);
        frame.extend(b"hi");
        frame
    }

    fn block(kind: u32, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(12 + body.len().next_multiple_of(4)).unwrap();
        let mut block = kind.to_le_bytes().to_vec();
        block.extend(length.to_le_bytes());
        block.extend(body);
        block.resize(length as usize - 4, 0);
        block.extend(length.to_le_bytes());
        block
    }

    fn capture() -> Vec<u8> {
        let mut bytes = block(SECTION_HEADER, b"\x4D\x3C\x2B\x1A\x01\0\0\0________");
        // Link type, snap length, then time resolution 10^-9.
        bytes.extend(block(INTERFACE, b"\x01\0\0\0\0\0\x04\0\x09\0\x01\0\x09\0\0\0\0\0\0\0"));
        let mut packet = vec![0; 4];
        packet.extend(0_u32.to_le_bytes());
        packet.extend(1_500_000_000_u32.to_le_bytes());
        packet.extend([u8::try_from(frame().len()).unwrap(), 0, 0, 0].repeat(2));
        packet.extend(frame());
        bytes.extend(block(ENHANCED_PACKET, &packet));
        bytes
    }

    #[test]
    fn a_datagram_is_read_from_a_pcapng_file() {
        let datagrams = parse(&capture()).unwrap();
        assert_eq!(datagrams.len(), 1);
        assert_eq!(datagrams[0].source, "127.0.0.1:5060".parse().unwrap());
        assert_eq!(datagrams[0].destination, "127.0.0.2:5070".parse().unwrap());
        assert_eq!(datagrams[0].payload, b"hi");
        assert!((datagrams[0].at_s - 1.5).abs() < 1e-9);
    }

    #[test]
    fn a_file_cut_off_anywhere_gives_what_is_whole() {
        let bytes = capture();
        for end in 4..bytes.len() {
            assert!(parse(&bytes[..end]).unwrap().len() <= 1);
        }
        assert!(parse(b"\0\0\0\0").is_err());
    }
}
