//! DTLS records as they come in, and which handshake messages were there before (RFC 6347 §4).

use std::time::{Duration, Instant};

/// Messages of the peer whose repetition is known.
const MAX_HEARD: usize = 64;
/// Content type, version, epoch, sequence number and length (RFC 6347 §4.1).
pub(super) const RECORD_HEADER_BYTES: usize = 13;
/// The message type of a client's hello (RFC 5246 §7.4).
pub(super) const CLIENT_HELLO: u8 = 1;
/// Type, length, sequence number, offset and length of the fragment (RFC 6347 §4.2.2).
const HANDSHAKE_HEADER_BYTES: usize = 12;

/// A client that was silent for so long gives way to another hello; clients repeat theirs sooner.
const STALE_AFTER: Duration = Duration::from_secs(1);

/// The whole records of a datagram, headers included.
pub(super) struct Records<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        let header = self.0.first_chunk::<RECORD_HEADER_BYTES>()?;
        let length = usize::from(u16::from_be_bytes([header[11], header[12]]));
        let (record, rest) = self.0.split_at_checked(RECORD_HEADER_BYTES + length)?;
        self.0 = rest;
        Some(record)
    }
}

/// What the peer has said in the clear.
///
/// `rtc-dtls` stops its timer for any message, also for a repeated one, after which both sides would wait for ever. So
/// repetitions do not reach it: each side's own timer repeats what was lost.
#[derive(Default)]
pub(super) struct Heard {
    /// Type, sequence number and offset of messages.
    messages: Vec<[u8; 6]>,
    client_random: Option<[u8; 32]>,
    heard_at: Option<Instant>,
    /// A server has answered that client's hello with more than a cookie.
    pub(super) is_answered: bool,
}

/// What to do with a message of the peer.
pub(super) enum Hearing {
    New,
    Repeated,
    /// A client gave up its attempt and makes another (compare RFC 6347 §4.2.8), or the one before was forged.
    BegunAnew,
}

impl Heard {
    /// Forgets all but whose hello it is that begins anew.
    pub(super) fn begin_anew(&mut self) {
        let Self { client_random, heard_at, .. } = *self;
        *self = Self { client_random, heard_at, ..Self::default() };
    }

    /// Notes a message, and says whether it was there before.
    ///
    /// What is shorter than it says counts as heard: `rtc-dtls` would wait for the rest and be deaf to the true one.
    pub(super) fn hear(&mut self, message: &[u8], now: Instant) -> Hearing {
        let Some(header) = message.first_chunk::<HANDSHAKE_HEADER_BYTES>() else {
            return Hearing::Repeated;
        };
        let length = u32::from_be_bytes([0, header[9], header[10], header[11]]);
        if usize::try_from(length)
            .is_ok_and(|length| HANDSHAKE_HEADER_BYTES + length > message.len())
        {
            return Hearing::Repeated;
        }
        if header[0] == CLIENT_HELLO {
            return self.hear_hello(message, now);
        }
        self.heard_at = Some(now);
        let key = [header[0], header[4], header[5], header[6], header[7], header[8]];
        if self.messages.contains(&key) {
            return Hearing::Repeated;
        }
        if self.messages.len() < MAX_HEARD {
            self.messages.push(key);
        }
        Hearing::New
    }

    /// A server keeps no state before the cookie came back, so until then it answers every hello of one client (RFC
    /// 6347 §4.2.1). Another client's, which may be forged, waits until nothing more is heard of the first.
    fn hear_hello(&mut self, message: &[u8], now: Instant) -> Hearing {
        let random = message.get(HANDSHAKE_HEADER_BYTES + 2..).and_then(|it| it.first_chunk());
        let is_start = message[6..9] == [0; 3];
        let Some(random) = random.filter(|_| is_start) else {
            // A later piece of a hello.
            return if self.is_answered { Hearing::Repeated } else { Hearing::New };
        };
        let is_stale = self.heard_at.is_none_or(|at| at + STALE_AFTER <= now);
        let hearing = match (self.client_random, self.is_answered) {
            (None, _) => Hearing::New,
            (Some(known), true) if known == *random => return Hearing::Repeated,
            (Some(known), false) if known == *random => Hearing::New,
            (Some(_), _) if is_stale => Hearing::BegunAnew,
            (Some(_), _) => return Hearing::Repeated,
        };
        self.client_random = Some(*random);
        self.heard_at = Some(now);
        hearing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, sequence: u8, random: u8) -> Vec<u8> {
        let mut message = vec![kind, 0, 0, 42, 0, sequence, 0, 0, 0, 0, 0, 42, 0xfe, 0xfd];
        message.extend([random; 40]);
        message
    }

    #[expect(clippy::disallowed_methods, reason = "an Instant can only be had from the clock")]
    fn start_of_time() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_repeated_message_is_known_and_another_is_new() {
        let (mut heard, now) = (Heard::default(), start_of_time());
        assert!(matches!(heard.hear(&message(11, 2, 0), now), Hearing::New));
        assert!(matches!(heard.hear(&message(11, 2, 0), now), Hearing::Repeated));
        assert!(matches!(heard.hear(&message(16, 3, 0), now), Hearing::New));
    }

    #[test]
    fn a_message_that_is_cut_off_is_not_let_in() {
        let (mut heard, now) = (Heard::default(), start_of_time());
        let whole = message(CLIENT_HELLO, 0, 7);
        let cut = &whole[..whole.len() - 3];
        assert!(matches!(heard.hear(cut, now), Hearing::Repeated));
        assert!(matches!(heard.hear(&message(CLIENT_HELLO, 0, 8), now), Hearing::New));
    }

    #[test]
    fn another_client_is_heard_once_the_first_is_silent() {
        for is_answered in [false, true] {
            let (mut heard, mut now) = (Heard::default(), start_of_time());
            let hello = |sequence, random| message(CLIENT_HELLO, sequence, random);
            assert!(matches!(heard.hear(&hello(0, 7), now), Hearing::New));
            assert!(matches!(heard.hear(&hello(1, 7), now), Hearing::New));
            heard.is_answered = is_answered;
            now += STALE_AFTER / 2;
            assert!(matches!(heard.hear(&hello(0, 8), now), Hearing::Repeated));
            let again = heard.hear(&hello(1, 7), now);
            assert_eq!(matches!(again, Hearing::Repeated), is_answered);
            now += STALE_AFTER;
            assert!(matches!(heard.hear(&hello(0, 8), now), Hearing::BegunAnew));
        }
    }

    #[test]
    fn records_end_where_the_datagram_does() {
        let record = [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2];
        let datagram = [&record[..], &record[..], &record[..14]].concat();
        assert_eq!(Records(&datagram).collect::<Vec<_>>(), [&record[..], &record[..]]);
        assert_eq!(Records(&[]).count(), 0);
    }
}
