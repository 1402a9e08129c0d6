//! DTLS records as they come in, and which handshake messages were there before (RFC 6347 §4).

/// Messages of the peer whose repetition is known.
const MAX_HEARD: usize = 64;
/// Content type, version, epoch, sequence number and length (RFC 6347 §4.1).
pub(super) const RECORD_HEADER_BYTES: usize = 13;
/// The message type of a client's hello (RFC 5246 §7.4).
pub(super) const CLIENT_HELLO: u8 = 1;
/// Type, length, sequence number, offset and length of the fragment (RFC 6347 §4.2.2).
const HANDSHAKE_HEADER_BYTES: usize = 12;

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
    /// A server has answered that client's hello with more than a cookie.
    pub(super) is_answered: bool,
}

/// What to do with a message of the peer.
pub(super) enum Hearing {
    New,
    Repeated,
    /// A client gave up its attempt and makes another (compare RFC 6347 §4.2.8).
    BegunAnew,
}

impl Heard {
    /// Forgets all but whose hello it is that begins anew.
    pub(super) fn begin_anew(&mut self) {
        *self = Self { client_random: self.client_random, ..Self::default() };
    }

    /// Notes a message, and says whether it was there before.
    pub(super) fn hear(&mut self, message: &[u8]) -> Hearing {
        let Some(header) = message.first_chunk::<HANDSHAKE_HEADER_BYTES>() else {
            return Hearing::Repeated;
        };
        if header[0] == CLIENT_HELLO {
            return self.hear_hello(message);
        }
        let key = [header[0], header[4], header[5], header[6], header[7], header[8]];
        if self.messages.contains(&key) {
            return Hearing::Repeated;
        }
        if self.messages.len() < MAX_HEARD {
            self.messages.push(key);
        }
        Hearing::New
    }

    /// A server keeps no state before the cookie came back, so until then it answers every hello (RFC 6347 §4.2.1).
    fn hear_hello(&mut self, message: &[u8]) -> Hearing {
        let random = message.get(HANDSHAKE_HEADER_BYTES + 2..).and_then(|it| it.first_chunk());
        let is_start = message[6..9] == [0; 3];
        let Some(random) = random.filter(|_| is_start) else {
            // A later piece of a hello.
            return if self.is_answered { Hearing::Repeated } else { Hearing::New };
        };
        let is_same = self.client_random.replace(*random).is_none_or(|known| known == *random);
        match (is_same, self.is_answered) {
            (true, true) => Hearing::Repeated,
            (false, true) => Hearing::BegunAnew,
            (true | false, false) => Hearing::New,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, sequence: u8, random: u8) -> Vec<u8> {
        let mut message = vec![kind, 0, 0, 40, 0, sequence, 0, 0, 0, 0, 0, 40, 0xfe, 0xfd];
        message.extend([random; 40]);
        message
    }

    #[test]
    fn a_repeated_message_is_known_and_another_is_new() {
        let mut heard = Heard::default();
        assert!(matches!(heard.hear(&message(11, 2, 0)), Hearing::New));
        assert!(matches!(heard.hear(&message(11, 2, 0)), Hearing::Repeated));
        assert!(matches!(heard.hear(&message(16, 3, 0)), Hearing::New));
    }

    #[test]
    fn a_client_that_begins_anew_is_heard_once_its_first_hello_was_answered() {
        let mut heard = Heard::default();
        assert!(matches!(heard.hear(&message(CLIENT_HELLO, 0, 7)), Hearing::New));
        assert!(matches!(heard.hear(&message(CLIENT_HELLO, 1, 7)), Hearing::New));
        heard.is_answered = true;
        assert!(matches!(heard.hear(&message(CLIENT_HELLO, 1, 7)), Hearing::Repeated));
        assert!(matches!(heard.hear(&message(CLIENT_HELLO, 0, 8)), Hearing::BegunAnew));
    }

    #[test]
    fn records_end_where_the_datagram_does() {
        let record = [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2];
        let datagram = [&record[..], &record[..], &record[..14]].concat();
        assert_eq!(Records(&datagram).collect::<Vec<_>>(), [&record[..], &record[..]]);
        assert_eq!(Records(&[]).count(), 0);
    }
}
