//! Offers and answers in SIP bodies (RFC 3264, RFC 3261 §13.2.1), and digits in INFO (RFC 6086).

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bytes::Bytes;
use gateway_core::description::{Codec, Description, Direction, MediaLine};
use gateway_core::sdp;

use crate::stack::wire::Fields;

/// The type of a body that holds an offer or an answer.
pub const SDP: &str = "application/sdp";
/// The types of INFO bodies that hold digits.
pub const DIGITS: [&str; 2] = ["application/dtmf-relay", "application/dtmf"];
/// How long a digit lasts where nobody says.
const DIGIT: Duration = Duration::from_millis(160);

/// What a message says about media.
#[derive(Debug)]
pub enum Body {
    /// Nothing.
    Nothing,
    /// A description.
    Description(Description),
    /// SDP that cannot be read.
    Broken,
}

/// Reads the body of a message.
pub fn read(fields: Fields<'_>, body: &Bytes) -> Body {
    if body.is_empty() || fields.content_type().as_deref() != Some(SDP) {
        return Body::Nothing;
    }
    match std::str::from_utf8(body).ok().and_then(|text| sdp::parse(text).ok()) {
        Some(description) => Body::Description(description),
        None => Body::Broken,
    }
}

/// Renders a description as a body.
pub fn render(description: &Description) -> Bytes {
    Bytes::from(sdp::render(description))
}

/// What stands for the offer of an INVITE that has none (RFC 3261 §13.2.1): the codecs every phone
/// has, towards no address. The caller's own words come with its ACK.
pub fn stand_in() -> Description {
    let mut line = MediaLine::audio("RTP/AVP");
    line.address = Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    line.codecs = vec![Codec::new(8, "PCMA", 8_000), Codec::new(0, "PCMU", 8_000)];
    let mut digits = Codec::new(101, "telephone-event", 8_000);
    digits.fmtp = Some("0-15".to_owned());
    line.codecs.push(digits);
    line.direction = Direction::SendRecv;
    Description { media: vec![line], ..Description::default() }
}

/// Reads a digit out of an INFO: `Signal=5` and `Duration=160`, or the bare digit.
pub fn read_digit(content_type: &str, body: &Bytes) -> Option<(char, Duration)> {
    let text = std::str::from_utf8(body).ok()?;
    if content_type == DIGITS[1] {
        return Some((digit(text.trim())?, DIGIT));
    }
    let value = |name: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let duration = value("duration").and_then(|ms| ms.parse::<u64>().ok());
    let duration = duration.map_or(DIGIT, |ms| Duration::from_millis(ms.clamp(40, 8_000)));
    Some((digit(value("signal")?)?, duration))
}

/// A digit by its sign, or by its RFC 4733 §3.2 number where it has two figures.
fn digit(text: &str) -> Option<char> {
    let sign = match text {
        "10" => '*',
        "11" => '#',
        _ => {
            let mut signs = text.chars();
            let sign = signs.next()?.to_ascii_uppercase();
            if signs.next().is_some() {
                return None;
            }
            sign
        }
    };
    matches!(sign, '0'..='9' | '*' | '#' | 'A'..='D').then_some(sign)
}

/// Writes a digit for an INFO of `application/dtmf-relay`.
pub fn write_digit(digit: char, duration: Duration) -> Bytes {
    Bytes::from(format!("Signal={digit}\r\nDuration={}\r\n", duration.as_millis()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn digits_make_the_round_trip() {
        for sign in "0123456789*#ABCD".chars() {
            let body = write_digit(sign, Duration::from_millis(250));
            let read = read_digit(DIGITS[0], &body);
            assert_eq!(read, Some((sign, Duration::from_millis(250))));
        }
        let bare = read_digit(DIGITS[1], &Bytes::from_static(b" 7\r\n"));
        assert_eq!(bare, Some(('7', DIGIT)));
        let hash = read_digit(DIGITS[0], &Bytes::from_static(b"signal = 11\nduration = 1"));
        assert_eq!(hash, Some(('#', Duration::from_millis(40))));
    }

    #[test]
    fn what_is_no_digit_is_none() {
        for body in ["", "Signal=", "Signal=12", "Signal=x", "Duration=100", "Signal=%"] {
            assert_eq!(read_digit(DIGITS[0], &Bytes::from(body)), None, "{body}");
        }
    }

    #[test]
    fn the_stand_in_can_be_written_and_read() {
        let text = sdp::render(&stand_in());
        assert_eq!(sdp::parse(&text).unwrap().audio().unwrap().codecs.len(), 3);
    }

    proptest! {
        #[test]
        fn no_digit_body_panics(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = read_digit(DIGITS[0], &Bytes::from(bytes.clone()));
            let _ = read_digit(DIGITS[1], &Bytes::from(bytes));
        }
    }
}
