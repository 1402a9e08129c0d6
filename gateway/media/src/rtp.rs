//! The fixed part of an RTP packet, read and written in place (RFC 3550 §5.1).
//!
//! Nothing here copies: the media plane works on the datagram as it lies in the socket's buffer.
//! What leaves is a [`Header`], plain numbers, checked against the length of the datagram; payload
//! and header extensions stay bytes.
//!
//! ```text
//! 0          1      2          4           8      12       12 + 4 CC    header_bytes
//! | V P X CC | M PT | sequence | timestamp | SSRC | CSRCs  | extension? | payload | padding? |
//! ```

/// Bytes of a header without CSRC list and extension (RFC 3550 §5.1).
pub const FIXED_HEADER_BYTES: usize = 12;

/// The fields of an RTP header that a gateway needs, already checked against the packet's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// The marker bit; its meaning is the payload format's.
    pub is_marked: bool,
    /// Sequence number, wraps at 16 bits.
    pub sequence: u16,
    /// Timestamp in units of the payload format's clock.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Where the payload starts: fixed header, CSRC list and extension.
    pub header_bytes: usize,
    /// Bytes of padding at the end, which are no payload; 0 without the P bit.
    pub padding_bytes: usize,
}

impl Header {
    /// Reads the header of a clear packet; `None` when the bytes are no RTP version 2 packet.
    ///
    /// Must not be used before SRTP is opened when padding matters: the padding count is encrypted.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let mut header = Self::parse_protected(packet)?;
        if packet[0] & 0x20 != 0 {
            let padding = usize::from(*packet.last()?);
            if padding == 0 || header.header_bytes + padding > packet.len() {
                return None;
            }
            header.padding_bytes = padding;
        }
        Some(header)
    }

    /// As [`Header::parse`], but leaves the padding count, which lies in the encrypted part of an
    /// SRTP packet, alone.
    pub fn parse_protected(packet: &[u8]) -> Option<Self> {
        let fixed: &[u8; FIXED_HEADER_BYTES] = packet.first_chunk()?;
        if fixed[0] >> 6 != 2 {
            return None;
        }
        Some(Self {
            payload_type: fixed[1] & 0x7f,
            is_marked: fixed[1] & 0x80 != 0,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            header_bytes: header_bytes(packet)?,
            padding_bytes: 0,
        })
    }

    /// The payload of the packet this header was read from, without padding.
    pub fn payload<'a>(&self, packet: &'a [u8]) -> &'a [u8] {
        let end = packet.len().saturating_sub(self.padding_bytes);
        packet.get(self.header_bytes..end).unwrap_or_default()
    }
}

/// Length of fixed header, CSRC list and extension (RFC 3550 §5.3.1), at most the packet's own.
fn header_bytes(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    let mut bytes = FIXED_HEADER_BYTES + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let extension = packet.get(bytes..bytes + 4)?;
        bytes += 4 + 4 * usize::from(u16::from_be_bytes([extension[2], extension[3]]));
    }
    (bytes <= packet.len()).then_some(bytes)
}

/// Writes a header without CSRC list, extension and padding into the first 12 bytes of `packet`.
///
/// `None`, and nothing is written, when `packet` is shorter than that.
pub fn write_header(packet: &mut [u8], header: &Header) -> Option<()> {
    let fixed: &mut [u8; FIXED_HEADER_BYTES] = packet.first_chunk_mut()?;
    fixed[0] = 0x80;
    fixed[1] = header.payload_type & 0x7f | u8::from(header.is_marked) << 7;
    fixed[2..4].copy_from_slice(&header.sequence.to_be_bytes());
    fixed[4..8].copy_from_slice(&header.timestamp.to_be_bytes());
    fixed[8..12].copy_from_slice(&header.ssrc.to_be_bytes());
    Some(())
}

/// Replaces the payload type of a packet that [`Header::parse`] has accepted; the marker stays.
pub fn set_payload_type(packet: &mut [u8], payload_type: u8) {
    packet[1] = packet[1] & 0x80 | payload_type & 0x7f;
}

/// Sets the marker bit of a packet that [`Header::parse`] has accepted.
pub fn set_marker(packet: &mut [u8]) {
    packet[1] |= 0x80;
}

/// Replaces sequence, timestamp and SSRC of a packet that [`Header::parse`] has accepted.
pub fn set_stream(packet: &mut [u8], sequence: u16, timestamp: u32, ssrc: u32) {
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
    packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn csrc_list_extension_and_padding_are_no_payload() {
        let mut packet = vec![0xb1, 0x88, 0, 7, 0, 0, 0, 160, 0xca, 0xfe, 0xba, 0xbe];
        packet.extend([0, 0, 0, 1]);
        packet.extend([0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0]);
        packet.extend([1, 2, 3, 0, 2]);
        let header = Header::parse(&packet).unwrap();
        assert_eq!(header.payload(&packet), [1, 2, 3]);
        assert_eq!((header.payload_type, header.is_marked), (8, true));
        assert_eq!((header.sequence, header.timestamp, header.ssrc), (7, 160, 0xcafe_babe));
    }

    #[test]
    fn padding_longer_than_the_packet_is_refused() {
        let mut packet = [0u8; 16];
        packet[0] = 0xa0;
        for padding in [0, 5, 255] {
            packet[15] = padding;
            assert_eq!(Header::parse(&packet), None);
        }
        packet[15] = 4;
        assert!(Header::parse(&packet).unwrap().payload(&packet).is_empty());
    }

    #[test]
    fn an_extension_reaching_beyond_the_packet_is_refused() {
        let mut packet = [0u8; 20];
        packet[0] = 0x90;
        packet[15] = 2;
        assert_eq!(Header::parse(&packet), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(packet in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Some(header) = Header::parse(&packet) {
                prop_assert!(header.header_bytes + header.padding_bytes <= packet.len());
                let _ = header.payload(&packet);
            }
        }

        #[test]
        fn what_is_written_is_read(
            payload_type in 0u8..128, is_marked: bool, sequence: u16, timestamp: u32, ssrc: u32
        ) {
            let header = Header {
                payload_type, is_marked, sequence, timestamp, ssrc,
                header_bytes: FIXED_HEADER_BYTES, padding_bytes: 0,
            };
            let mut packet = [0u8; 12];
            write_header(&mut packet, &header).unwrap();
            prop_assert_eq!(Header::parse(&packet), Some(header));
        }
    }
}
