//! What a datagram on a media port is, told by its first bytes (RFC 7983 §7, RFC 5761 §4).
//!
//! One UDP port carries connectivity checks, key agreement, media and reports at once. The first
//! byte separates the protocols, the second separates RTP from RTCP:
//!
//! ```text
//!              +----------------+
//!              |        [0..3] -+--> STUN
//!              |      [16..19] -+--> ZRTP
//!  datagram -->|      [20..63] -+--> DTLS
//!              |      [64..79] -+--> TURN channel
//!              |    [128..191] -+--> second byte & 0x7f in [64..95] --> RTCP, otherwise RTP
//!              +----------------+
//! ```

/// The protocol a datagram belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A connectivity or consent check (RFC 8489).
    Stun,
    /// Key agreement in the media path (RFC 6189).
    Zrtp,
    /// A DTLS record (RFC 9147).
    Dtls,
    /// Data relayed by a TURN server (RFC 8656 §12.4).
    TurnChannel,
    /// RTP, or SRTP if the port is protected.
    Rtp,
    /// RTCP, or SRTCP if the port is protected.
    Rtcp,
    /// Anything else, and what is too short to be what it claims: to be dropped.
    Unknown,
}

/// Tells the protocol of one datagram; never looks beyond the second byte.
///
/// A datagram that could not hold its protocol's fixed header is [`Kind::Unknown`], so that later
/// stages start from at least 20 bytes of STUN, 13 of DTLS, 12 of RTP and 8 of RTCP.
pub fn classify(datagram: &[u8]) -> Kind {
    let (Some(&first), bytes) = (datagram.first(), datagram.len()) else { return Kind::Unknown };
    match first {
        0..=3 if bytes >= 20 => Kind::Stun,
        16..=19 if bytes >= 12 => Kind::Zrtp,
        20..=63 if bytes >= 13 => Kind::Dtls,
        64..=79 if bytes >= 4 => Kind::TurnChannel,
        128..=191 => classify_rtp(datagram),
        _ => Kind::Unknown,
    }
}

/// RTP payload types 64 to 95 must not be used with RTCP on the same port, since they are RTCP
/// packet types 192 to 223 behind a marker bit (RFC 5761 §4).
fn classify_rtp(datagram: &[u8]) -> Kind {
    let bytes = datagram.len();
    match datagram.get(1).map(|second| second & 0x7f) {
        Some(64..=95) if bytes >= 8 => Kind::Rtcp,
        Some(0..=63 | 96..=127) if bytes >= 12 => Kind::Rtp,
        Some(_) | None => Kind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn datagram(first: u8, second: u8) -> [u8; 32] {
        let mut bytes = [0; 32];
        (bytes[0], bytes[1]) = (first, second);
        bytes
    }

    #[test]
    fn every_first_byte_has_the_kind_of_rfc_7983() {
        for first in 0..=255 {
            let expected = match first {
                0..=3 => Kind::Stun,
                16..=19 => Kind::Zrtp,
                20..=63 => Kind::Dtls,
                64..=79 => Kind::TurnChannel,
                128..=191 => Kind::Rtp,
                _ => Kind::Unknown,
            };
            assert_eq!(classify(&datagram(first, 0)), expected, "first byte {first}");
        }
    }

    #[test]
    fn packet_types_192_to_223_are_rtcp_and_their_neighbours_are_rtp() {
        for second in 0..=255u8 {
            let is_rtcp = (192..=223).contains(&second) || (64..=95).contains(&second);
            let expected = if is_rtcp { Kind::Rtcp } else { Kind::Rtp };
            assert_eq!(classify(&datagram(0x80, second)), expected, "second byte {second}");
        }
    }

    #[test]
    fn stubs_of_every_protocol_are_dropped() {
        for first in 0..=255 {
            let bytes = datagram(first, 200);
            assert_eq!(classify(&bytes[..1]), Kind::Unknown);
            assert_eq!(classify(&bytes[..3]), Kind::Unknown);
        }
        assert_eq!(classify(&[]), Kind::Unknown);
        assert_eq!(classify(&datagram(0x80, 200)[..7]), Kind::Unknown);
        assert_eq!(classify(&datagram(0x80, 0)[..11]), Kind::Unknown);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = classify(&bytes);
        }
    }
}
