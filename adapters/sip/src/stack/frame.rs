//! Cutting messages out of a stream (RFC 3261 §18.3), and the keep-alive between them
//! (RFC 5626 §3.5.1).
//!
//! ```text
//!   chunks --push--> Framer --poll_frame--> Message | Ping
//! ```

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

use super::wire::MAX_MESSAGE_BYTES;

/// What a stream carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// One whole message.
    Message(Bytes),
    /// CRLF CRLF: the peer wants one CRLF back.
    Ping,
}

/// The stream cannot be cut any further; what was there of the message is kept, to answer it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("framing lost")]
pub struct Unframed(pub Bytes);

/// Cuts one connection's stream. Holds at most one message of 64 KiB and what was read with it.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
    searched: usize,
    wanted: Option<usize>,
}

impl Framer {
    /// Takes bytes as they were read.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// Whether a message has begun and not ended, so that its sender owes us the rest.
    pub fn is_partial(&self) -> bool {
        !b"\r\n\r".starts_with(&self.buffer)
    }

    /// The next frame, `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`Unframed`] when the length is missing, contradictory or over the limit; the connection is
    /// of no use any more then.
    pub fn poll_frame(&mut self) -> Result<Option<Frame>, Unframed> {
        if self.wanted.is_none() {
            if let Some(frame) = self.skip_keep_alive() {
                return Ok(Some(frame));
            }
            let Some(head) = self.find_head()? else { return Ok(None) };
            let length = match content_length(&self.buffer[..head]) {
                Some(length) if head + length <= MAX_MESSAGE_BYTES => length,
                Some(_) | None => return Err(self.lose()),
            };
            self.wanted = Some(head + length);
        }
        match self.wanted {
            Some(wanted) if self.buffer.len() >= wanted => {
                self.wanted = None;
                self.searched = 0;
                Ok(Some(Frame::Message(self.buffer.split_to(wanted).freeze())))
            }
            Some(_) | None => Ok(None),
        }
    }

    /// Drops CRLFs before a start line (RFC 3261 §7.5); two together are a ping.
    fn skip_keep_alive(&mut self) -> Option<Frame> {
        while self.buffer.starts_with(b"\r\n") {
            if self.buffer.starts_with(b"\r\n\r\n") {
                self.buffer.advance(4);
                self.searched = 0;
                return Some(Frame::Ping);
            }
            if b"\r\n\r".starts_with(&self.buffer) {
                return None;
            }
            self.buffer.advance(2);
            self.searched = 0;
        }
        None
    }

    /// The length of the head, its empty line included.
    fn find_head(&mut self) -> Result<Option<usize>, Unframed> {
        let from = self.searched.saturating_sub(3);
        let found = self.buffer[from..].windows(4).position(|four| four == b"\r\n\r\n");
        self.searched = self.buffer.len();
        match found {
            Some(position) => Ok(Some(from + position + 4)),
            None if self.buffer.len() > MAX_MESSAGE_BYTES => Err(self.lose()),
            None => Ok(None),
        }
    }

    fn lose(&mut self) -> Unframed {
        let mut kept = std::mem::take(&mut self.buffer).freeze();
        kept.truncate(MAX_MESSAGE_BYTES);
        self.searched = 0;
        Unframed(kept)
    }
}

/// The one Content-Length of a head; `None` when it is missing, no number, or said twice
/// differently.
fn content_length(head: &[u8]) -> Option<usize> {
    let mut found = None;
    for line in head.split(|&byte| byte == b'\n') {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let name = line[..colon].trim_ascii();
        if !name.eq_ignore_ascii_case(b"content-length") && !name.eq_ignore_ascii_case(b"l") {
            continue;
        }
        let digits = line[colon + 1..].trim_ascii();
        if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let value = digits.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
        if found.is_some_and(|earlier| earlier != value) {
            return None;
        }
        found = Some(value);
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: &[u8] = b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 4\r\n\r\nbody";
    const TWO: &[u8] = b"OPTIONS sip:c@d SIP/2.0\r\nl:0\r\n\r\n";

    fn drain(framer: &mut Framer) -> Vec<Frame> {
        std::iter::from_fn(|| framer.poll_frame().unwrap()).collect()
    }

    #[test]
    fn a_length_that_is_missing_negative_or_contradictory_ends_the_stream() {
        for head in [
            "OPTIONS sip:a@b SIP/2.0\r\nFrom: x\r\n\r\n",
            "OPTIONS sip:a@b SIP/2.0\r\nContent-Length: -1\r\n\r\n",
            "OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 1\r\nl: 2\r\n\r\n",
            "OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 99999\r\n\r\n",
        ] {
            let mut framer = Framer::default();
            framer.push(head.as_bytes());
            assert!(framer.poll_frame().is_err(), "{head}");
        }
    }

    #[test]
    fn a_head_without_end_is_cut_off_at_the_limit() {
        let mut framer = Framer::default();
        for _ in 0..70 {
            framer.push(&[b'x'; 1024]);
        }
        assert!(framer.poll_frame().is_err());
    }

    #[test]
    fn a_lone_crlf_does_not_make_the_peer_owe_us_anything() {
        let mut framer = Framer::default();
        framer.push(b"\r\n");
        assert_eq!(framer.poll_frame(), Ok(None));
        assert!(!framer.is_partial());
        framer.push(TWO);
        assert_eq!(drain(&mut framer), [Frame::Message(Bytes::from_static(TWO))]);
    }

    proptest! {
        #[test]
        fn a_stream_is_cut_alike_however_it_arrives(cuts in prop::collection::vec(1usize..40, 1..40)) {
            let stream = [b"\r\n\r\n", ONE, TWO, b"\r\n", ONE, b"\r\n\r\n"].concat();
            let mut framer = Framer::default();
            let (mut rest, mut frames) = (&stream[..], Vec::new());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (chunk, later) = rest.split_at((*cut).min(rest.len()));
                framer.push(chunk);
                frames.extend(drain(&mut framer));
                rest = later;
            }
            let one = Frame::Message(Bytes::from_static(ONE));
            let two = Frame::Message(Bytes::from_static(TWO));
            prop_assert_eq!(frames, [Frame::Ping, one.clone(), two, one, Frame::Ping]);
        }

        #[test]
        fn no_bytes_make_the_framer_panic(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..32)) {
            let mut framer = Framer::default();
            for chunk in chunks {
                framer.push(&chunk);
                while let Ok(Some(_)) = framer.poll_frame() {}
            }
        }
    }
}
