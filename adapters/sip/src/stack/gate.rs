//! The gate: what a request has to prove before it costs us anything (RFC 3261 §26.3.2.4).
//!
//! The stack asks the gate before it opens a transaction. What the gate does not let in gets one
//! answer at most. That answer is made from the request alone, as that of a stateless server
//! (RFC 3261 §8.2.7): no 100, no repetition, and the same To tag for the same request.
//!
//! ```text
//!   request --length, policy, merge--> Gate::admit --Pass(proof), room--> transaction, Event::Request
//!                                          |  \--Answer--> one answer, if it is short enough
//!                                          \--Drop--> nothing
//! ```

use std::time::Instant;

use gateway_core::TrunkId;
use ring::hmac;
use zeroize::Zeroizing;

use super::flow::{Flow, Transport};
use super::tokens::{Tokens, hex};
use super::wire::{Request, Response};

/// No phone sends a shorter datagram: the shortest legal request with the six header fields that
/// RFC 3261 §8.1.1 demands, in their compact forms, with IPv4 addresses of 7 letters and with 32
/// random bits (RFC 3261 §19.3) in the branch, the tag and the Call-ID.
pub const LEAST_BYTES: usize = 157;
/// How many times as many bytes as came in a datagram may go back to a source that has proven
/// nothing. More would make us a tool to flood others.
pub const MOST_TIMES: usize = 3;

/// What a request was let in for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// It came from where this trunk is.
    Trunk(TrunkId),
    /// It has the right password of this user.
    User(String),
    /// It belongs to a dialog of ours: it knows our tag.
    Dialog,
}

/// What the gate says of a request.
#[derive(Debug)]
pub enum Admission {
    /// It may have a transaction.
    Pass(Proof),
    /// It gets the first of these answers that is short enough, and is forgotten. The gate has seen
    /// to it that they are not too many.
    Answer(Vec<Response>),
    /// It gets no answer.
    Drop,
}

/// Knows accounts, trunks and dialogs, and judges for the stack.
pub trait Gate {
    /// Judges a request that is neither ACK nor CANCEL and that the policy lets pass. It is asked
    /// once for each request: credentials are good for one time.
    fn admit(&mut self, request: &Request, flow: Flow, now: Instant) -> Admission;

    /// Whether a request is of a dialog of ours.
    fn has_dialog(&self, request: &Request) -> bool;

    /// Whether one more answer of the stack's own, without state, may go there now.
    fn may_answer(&mut self, flow: Flow, now: Instant) -> bool;
}

/// What one answer to a stranger may weigh.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance(Option<usize>);

impl Allowance {
    /// That of a message of `length` bytes. By TCP and TLS the handshake has proven where the
    /// source is: no third party can be flooded.
    pub(super) fn of(transport: Transport, length: usize) -> Self {
        Self(
            (transport == Transport::Udp)
                .then(|| if length < LEAST_BYTES { 0 } else { length.saturating_mul(MOST_TIMES) }),
        )
    }

    /// Whether no answer at all may be sent.
    pub(super) fn is_none(self) -> bool {
        self.0 == Some(0)
    }

    /// Whether an answer of so many bytes may be sent.
    pub(super) fn allows(self, bytes: usize) -> bool {
        self.0.is_none_or(|most| bytes <= most)
    }
}

/// Makes To tags that need no memory: the same request gets the same tag (RFC 3261 §8.2.7), in this
/// life of the gateway.
#[derive(Debug)]
pub(super) struct Tags(hmac::Key);

impl Tags {
    pub(super) fn new(tokens: &mut Tokens) -> Self {
        let key = Zeroizing::new(format!("{}{}", tokens.token(), tokens.token()));
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()))
    }

    pub(super) fn tag(&self, request: &Request) -> String {
        let fields = request.fields();
        let from = fields.from().and_then(|from| from.tag().map(str::to_owned));
        let number = fields.cseq().map_or(0, |(number, _)| number);
        let branch = fields.top_via().and_then(|via| via.branch);
        let mut context = hmac::Context::with_key(&self.0);
        for part in [fields.call_id(), from, branch] {
            let part = part.unwrap_or_default();
            // With its length, so that no two lists of parts are the same text.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        context.update(&number.to_be_bytes());
        hex(&context.sign().as_ref()[..6])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{invite, lines, request};

    #[test]
    fn no_legal_request_is_shorter_than_the_least_length() {
        let shortest = lines(
            "BYE sip:1.1.1.1 SIP/2.0\n\
             v:SIP/2.0/UDP 1.1.1.1;branch=z9hG4bK12345678\n\
             f:sip:1.1.1.1;tag=12345678\n\
             t:sip:1.1.1.1\n\
             i:12345678\n\
             CSeq:1 BYE\n\
             Max-Forwards:70",
        );
        assert!(crate::stack::policy::judge(&request(&shortest.replace("\r\n", "\n"))).is_none());
        assert_eq!(shortest.len(), LEAST_BYTES);
    }

    #[test]
    fn a_datagram_allows_three_times_its_bytes_and_a_stream_any_number() {
        let udp = Allowance::of(Transport::Udp, 200);
        assert!(udp.allows(600) && !udp.allows(601));
        assert!(!Allowance::of(Transport::Udp, LEAST_BYTES - 1).allows(1));
        for transport in [Transport::Tcp, Transport::Tls] {
            assert!(Allowance::of(transport, 1).allows(10_000));
        }
    }

    #[test]
    fn the_same_request_gets_the_same_tag_and_every_other_one_another() {
        let tags = Tags::new(&mut Tokens::new([1; 32]));
        let first = tags.tag(&request(&invite("z9hG4bK1")));
        assert_eq!(first, tags.tag(&request(&invite("z9hG4bK1"))));
        assert_ne!(first, tags.tag(&request(&invite("z9hG4bK2"))));
        for (from, to) in [("call-1", "call-2"), ("tag=a1", "tag=a2"), ("1 INVITE", "2 INVITE")] {
            assert_ne!(first, tags.tag(&request(&invite("z9hG4bK1").replace(from, to))), "{to}");
        }
        let other = Tags::new(&mut Tokens::new([2; 32]));
        assert_ne!(first, other.tag(&request(&invite("z9hG4bK1"))), "another life");
    }
}
