//! Answers of ours to a check that comes before the agent can work, which needs the peer's credentials for it.
//!
//! ```text
//!  | type | length | magic cookie | transaction of the check | what is told | MESSAGE-INTEGRITY | FINGERPRINT |
//! ```

use std::net::{IpAddr, SocketAddr};

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use super::{
    Check, ERROR_CODE, FINGERPRINT, HEADER_BYTES, INTEGRITY_BYTES, MAGIC_COOKIE, MESSAGE_INTEGRITY,
};

const SUCCESS: u16 = 0x0101;
const ERROR: u16 = 0x0111;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const ROLE_CONFLICT: &[u8] = b"\0\0\x04\x57Role Conflict";
/// What a FINGERPRINT is told apart by from other checksums (RFC 8489 §14.7).
const FINGERPRINT_MASK: u32 = 0x5354_554e;

/// The answer to a check that was taken (RFC 8445 §7.3.1.2).
pub(crate) fn success(check: &Check<'_>, source: SocketAddr, password: &str) -> Vec<u8> {
    let mut value = vec![0, if source.is_ipv4() { 1 } else { 2 }];
    let address = match source.ip() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let mask = || MAGIC_COOKIE.into_iter().chain(check.transaction);
    let masked =
        |bytes: &[u8]| bytes.iter().zip(mask()).map(|(byte, mask)| byte ^ mask).collect::<Vec<_>>();
    value.extend(masked(&source.port().to_be_bytes()));
    value.extend(masked(&address));
    finish(SUCCESS, check, XOR_MAPPED_ADDRESS, &value, password)
}

/// The answer to a check whose sender should change its role (RFC 8445 §7.3.1.1).
pub(crate) fn role_conflict(check: &Check<'_>, password: &str) -> Vec<u8> {
    finish(ERROR, check, ERROR_CODE, ROLE_CONFLICT, password)
}

fn finish(kind: u16, check: &Check<'_>, told: u16, value: &[u8], password: &str) -> Vec<u8> {
    let mut message = Vec::with_capacity(96);
    message.extend(kind.to_be_bytes());
    message.extend([0, 0]);
    message.extend(MAGIC_COOKIE);
    message.extend(check.transaction);
    append(&mut message, told, value);
    set_length(&mut message, 4 + INTEGRITY_BYTES);
    let mut mac =
        <Hmac<Sha1> as KeyInit>::new_from_slice(password.as_bytes()).expect("HMAC takes any key");
    mac.update(&message);
    append(&mut message, MESSAGE_INTEGRITY, &mac.finalize().into_bytes());
    set_length(&mut message, 8);
    let sum = crc32(&message) ^ FINGERPRINT_MASK;
    append(&mut message, FINGERPRINT, &sum.to_be_bytes());
    message
}

fn append(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(value.len()).expect("our attributes are short");
    message.extend(kind.to_be_bytes());
    message.extend(length.to_be_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

/// Sets the length in the header to what there is and what follows: checksums cover it (RFC 8489 §14.5, §14.7).
fn set_length(message: &mut [u8], following: usize) {
    let length = u16::try_from(message.len() - HEADER_BYTES + following);
    let length = length.expect("our messages are short");
    message[2..4].copy_from_slice(&length.to_be_bytes());
}

/// The checksum of ITU-T V.42.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1))
        })
    };
    !bytes.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::stun::Class;
    use crate::path::stun::tests::{PASSWORD, sample};

    #[test]
    fn the_checksum_of_nine_digits_is_the_published_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn the_fingerprint_is_that_of_the_sample_request_of_rfc_5769() {
        let bytes = sample();
        let (covered, told) = bytes.split_at(bytes.len() - 8);
        assert_eq!((crc32(covered) ^ FINGERPRINT_MASK).to_be_bytes(), told[4..]);
    }

    #[test]
    fn the_mapped_address_is_masked_as_in_rfc_5769() {
        let bytes = sample();
        let check = Check::parse(&bytes).unwrap();
        let answer = success(&check, "192.0.2.1:32853".parse().unwrap(), PASSWORD);
        assert_eq!(answer[20..32], [0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
        let v6 = "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap();
        let answer = success(&check, v6, PASSWORD);
        assert_eq!(answer[24..28], [0, 2, 0xa1, 0x47]);
        assert_eq!(answer[28..36], [0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79]);
    }

    #[test]
    fn both_answers_are_authentic_and_of_the_same_transaction() {
        let bytes = sample();
        let check = Check::parse(&bytes).unwrap();
        for (answer, class, code) in [
            (success(&check, "[::1]:9".parse().unwrap(), "ours"), Class::Success, None),
            (role_conflict(&check, "ours"), Class::Error, Some(487)),
        ] {
            let answer = Check::parse(&answer).unwrap();
            assert_eq!((answer.class, answer.error_code), (class, code));
            assert_eq!(answer.transaction, check.transaction);
            assert!(answer.is_authentic("ours") && !answer.is_authentic("theirs"));
        }
    }
}
