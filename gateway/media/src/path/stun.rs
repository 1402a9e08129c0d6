//! The parts of a STUN message that decide whether it may be looked at any further (RFC 8489).
//!
//! `rtc-ice` resolves role conflicts before it checks integrity, so nothing reaches it that has not passed here.
//!
//! ```text
//!  0      2        4              8                  20
//!  | type | length | magic cookie | transaction id   | attributes .. MESSAGE-INTEGRITY [FINGERPRINT] |
//! ```

mod reply;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

pub(crate) use reply::{role_conflict, success};

const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const HEADER_BYTES: usize = 20;
const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLED: u16 = 0x8029;
const ICE_CONTROLLING: u16 = 0x802a;
const INTEGRITY_BYTES: usize = 20;

/// Class of a Binding message (RFC 8489 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Request,
    Indication,
    Success,
    Error,
}

/// One Binding message with a MESSAGE-INTEGRITY that was not checked yet.
#[derive(Debug)]
pub(crate) struct Check<'a> {
    pub(crate) message: &'a [u8],
    /// Where the MESSAGE-INTEGRITY attribute starts.
    integrity_at: usize,
    pub(crate) class: Class,
    pub(crate) transaction: [u8; 12],
    pub(crate) username: Option<&'a str>,
    pub(crate) is_nominating: bool,
    /// Whether its sender takes the controlling role; `None` where it does not say (RFC 8445 §7.1.3).
    pub(crate) is_controlling: Option<bool>,
    pub(crate) error_code: Option<u16>,
}

/// The transaction of a Binding request that we are about to send.
pub(crate) fn request_transaction(message: &[u8]) -> Option<[u8; 12]> {
    let header: &[u8; HEADER_BYTES] = message.first_chunk()?;
    (header[..2] == [0, 1]).then(|| transaction(header))
}

impl<'a> Check<'a> {
    /// Reads a Binding message whose attributes are well formed; `None` for anything else.
    ///
    /// A message with anything but a FINGERPRINT behind its integrity is refused: what stands there is not covered
    /// by it (RFC 8489 §14.5).
    pub(crate) fn parse(message: &'a [u8]) -> Option<Self> {
        let header: &[u8; HEADER_BYTES] = message.first_chunk()?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if header[4..8] != MAGIC_COOKIE || length % 4 != 0 || HEADER_BYTES + length != message.len()
        {
            return None;
        }
        let class = match u16::from_be_bytes([header[0], header[1]]) {
            0x0001 => Class::Request,
            0x0011 => Class::Indication,
            0x0101 => Class::Success,
            0x0111 => Class::Error,
            _ => return None,
        };
        let mut check = Self {
            message,
            integrity_at: 0,
            class,
            transaction: transaction(header),
            username: None,
            is_nominating: false,
            is_controlling: None,
            error_code: None,
        };
        check.read_attributes()?;
        (check.integrity_at > 0).then_some(check)
    }

    fn read_attributes(&mut self) -> Option<()> {
        let mut at = HEADER_BYTES;
        while at < self.message.len() {
            let head: &[u8; 4] = self.message.get(at..)?.first_chunk()?;
            let kind = u16::from_be_bytes([head[0], head[1]]);
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let value = self.message.get(at + 4..at + 4 + length)?;
            if self.integrity_at > 0 && kind != FINGERPRINT {
                return None;
            }
            match kind {
                USERNAME => self.username = std::str::from_utf8(value).ok(),
                USE_CANDIDATE => self.is_nominating = true,
                ICE_CONTROLLED | ICE_CONTROLLING if length == 8 => {
                    self.is_controlling = Some(kind == ICE_CONTROLLING);
                }
                ERROR_CODE if length >= 4 => {
                    self.error_code = Some(u16::from(value[2] & 7) * 100 + u16::from(value[3]));
                }
                MESSAGE_INTEGRITY if length == INTEGRITY_BYTES => self.integrity_at = at,
                MESSAGE_INTEGRITY => return None,
                _ => {}
            }
            at += 4 + length.next_multiple_of(4);
        }
        Some(())
    }

    /// Whether the message was made by somebody who knows this password (RFC 8489 §14.5).
    pub(crate) fn is_authentic(&self, password: &str) -> bool {
        let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(password.as_bytes())
            .expect("HMAC takes any key");
        // The length in the header counts up to the end of the integrity attribute.
        let covered = self.integrity_at + 4 + INTEGRITY_BYTES - HEADER_BYTES;
        mac.update(&self.message[..2]);
        mac.update(&u16::try_from(covered).expect("a datagram is below 64 KiB").to_be_bytes());
        mac.update(&self.message[4..self.integrity_at]);
        let tag = &self.message[self.integrity_at + 4..][..INTEGRITY_BYTES];
        mac.verify_slice(tag).is_ok()
    }
}

fn transaction(header: &[u8; HEADER_BYTES]) -> [u8; 12] {
    *header.last_chunk().expect("20 is more than 12")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The sample request of RFC 5769 §2.1.
    const SAMPLE: &str = "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74\
        002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020\
        000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf";
    pub(super) const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

    pub(super) fn sample() -> Vec<u8> {
        let digits: Vec<u8> = SAMPLE.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn the_sample_request_of_rfc_5769_is_authentic() {
        let bytes = sample();
        let check = Check::parse(&bytes).unwrap();
        assert_eq!(check.class, Class::Request);
        assert_eq!(check.username, Some("evtj:h6vY"));
        assert!(check.is_authentic(PASSWORD));
        assert!(!check.is_authentic("VOkJxbRl1RmTxUk/WvJxBu"));
    }

    #[test]
    fn no_changed_bit_before_the_integrity_stays_authentic() {
        for at in 0..76 * 8 {
            let mut bytes = sample();
            bytes[at / 8] ^= 1 << (at % 8);
            assert!(!Check::parse(&bytes).is_some_and(|check| check.is_authentic(PASSWORD)));
        }
    }

    #[test]
    fn an_attribute_behind_the_integrity_is_refused() {
        let mut bytes = sample();
        bytes.truncate(bytes.len() - 8);
        bytes.extend([0x00, 0x25, 0, 0]);
        let length = u16::try_from(bytes.len() - 20).unwrap();
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        assert!(Check::parse(&bytes).is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..120), fix in any::<bool>()) {
            if fix && bytes.len() >= 20 {
                let length = u16::try_from(bytes.len() - 20).unwrap() & !3;
                bytes.truncate(20 + usize::from(length));
                bytes[..2].copy_from_slice(&[0, 1]);
                bytes[2..4].copy_from_slice(&length.to_be_bytes());
                bytes[4..8].copy_from_slice(&MAGIC_COOKIE);
            }
            if let Some(check) = Check::parse(&bytes) {
                let _ = check.is_authentic("password");
            }
        }
    }
}
