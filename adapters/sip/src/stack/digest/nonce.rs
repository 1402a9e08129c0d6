//! Nonces (RFC 7616 §3.3): each carries when it was made and a MAC, so that a flood of challenges
//! costs no memory; and, for a MESSAGE, for which request it was made.
//!
//! ```text
//!   age 4 | serial 6 | first CSeq 4 | subject 6 | MAC 12     32 bytes, in base64 43 letters
//!                                                 \--over all before it, and the asker
//!
//!   MESSAGE, CSeq 1 ---> 401 with a nonce that says "the request with CSeq 2 and this text was 1 first"
//!   MESSAGE, CSeq 2 ---> taken as 1; the gateway dies before it has answered
//!   MESSAGE, CSeq 2 ---> the next life knows no such nonce: 401 with one that says "3 was 1 first"
//!   MESSAGE, CSeq 3 ---> taken before, as 1
//! ```
//!
//! A nonce is live only for the asker: for the transport and the address that the request came
//! from (RFC 7616 §5.4). By UDP the port counts as well, because a neighbour behind the same NAT is
//! another asker. By TCP and TLS it does not, because a phone has another port for each connection.
//! An answer from elsewhere is not even judged.
//!
//! A challenged request comes again under the next CSeq (RFC 3261 §8.1.3.5, §22.2), and nothing else
//! in it tells that it is the same message. What the nonce says of that is believed also when it was
//! made by an earlier life, whose key nobody has any more: the phone has signed it with its password,
//! and a forger of challenges could forge our answer too. It proves nothing else: to be let in, a
//! phone has to answer a nonce of this life.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{Context, SHA256};
use ring::hmac;
use subtle::ConstantTimeEq;

use crate::stack::flow::{Flow, Transport};
use crate::stack::tokens::Tokens;
use crate::stack::wire::{Method, Request};
use zeroize::Zeroizing;

const AGE_BYTES: usize = 4;
const SERIAL_BYTES: usize = 6;
const FIRST_BYTES: usize = 4;
const SUBJECT_BYTES: usize = 6;
const BODY_BYTES: usize = AGE_BYTES + SERIAL_BYTES + FIRST_BYTES + SUBJECT_BYTES;
const MAC_BYTES: usize = 12;
const NONCE_BYTES: usize = BODY_BYTES + MAC_BYTES;
/// In base64: short enough that a 401 with two challenges stays below three times a short INVITE.
const NONCE_LETTERS: usize = 43;

/// Makes nonces and knows them again.
pub(super) struct Nonces {
    key: hmac::Key,
    started: Instant,
    serial: u64,
}

/// A nonce of ours.
pub(super) struct Made {
    pub(super) age: Duration,
    /// Counts up as nonces are made.
    pub(super) serial: u64,
}

impl Nonces {
    /// With a key of its own.
    pub(super) fn new(tokens: &mut Tokens, now: Instant) -> Self {
        let key = Zeroizing::new(format!("{}{}", tokens.token(), tokens.token()));
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
        Self { key, started: now, serial: 0 }
    }

    /// One for the request that will come in the place of this one from where it came, which came
    /// under `first` when it came first.
    pub(super) fn make(
        &mut self,
        request: &Request,
        flow: Flow,
        first: Option<u32>,
        now: Instant,
    ) -> String {
        self.serial += 1;
        let age = now.saturating_duration_since(self.started).as_secs();
        let age = u32::try_from(age).unwrap_or(u32::MAX);
        let subject = subject(request, 1).unwrap_or_default();
        let parts: [&[u8]; 4] = [
            &age.to_be_bytes(),
            // 6 bytes last for centuries of ten thousand challenges a second.
            &self.serial.to_be_bytes()[8 - SERIAL_BYTES..],
            &first.unwrap_or(0).to_be_bytes(),
            &subject,
        ];
        let body = parts.concat();
        let mac = self.mac(&body, flow);
        URL_SAFE_NO_PAD.encode([&body, &mac.as_ref()[..MAC_BYTES]].concat())
    }

    /// Reads a nonce of this life that was made for the asker at this flow; `None` for every other
    /// text.
    pub(super) fn read(&self, nonce: &str, flow: Flow, now: Instant) -> Option<Made> {
        let bytes = decode(nonce)?;
        let (body, mac) = bytes.split_at(BODY_BYTES);
        let right = self.mac(body, flow);
        if !bool::from(right.as_ref()[..MAC_BYTES].ct_eq(mac)) {
            return None;
        }
        let (age, rest) = body.split_first_chunk::<AGE_BYTES>()?;
        let (serial, _) = rest.split_first_chunk::<SERIAL_BYTES>()?;
        let made = Duration::from_secs(u32::from_be_bytes(*age).into());
        let age = now.saturating_duration_since(self.started).checked_sub(made)?;
        let mut wide = [0; 8];
        wide[8 - SERIAL_BYTES..].copy_from_slice(serial);
        Some(Made { age, serial: u64::from_be_bytes(wide) })
    }

    fn mac(&self, body: &[u8], flow: Flow) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(body);
        context.update(flow.transport.param().as_bytes());
        match flow.remote.ip().to_canonical() {
            IpAddr::V4(v4) => context.update(&v4.octets()),
            IpAddr::V6(v6) => context.update(&v6.octets()),
        }
        match flow.transport {
            Transport::Udp => context.update(&flow.remote.port().to_be_bytes()),
            Transport::Tcp | Transport::Tls => {}
        }
        context.sign()
    }
}

/// The number under which a MESSAGE came first, where its nonce, of whatever life, was made for it.
pub(super) fn first_number(nonce: &str, request: &Request) -> Option<u32> {
    let bytes = decode(nonce)?;
    let (_, rest) = bytes.split_at_checked(AGE_BYTES + SERIAL_BYTES)?;
    let (first, rest) = rest.split_first_chunk()?;
    let (said, _) = rest.split_first_chunk::<SUBJECT_BYTES>()?;
    (subject(request, 0)? == *said).then_some(u32::from_be_bytes(*first))
}

/// What a MESSAGE says under the CSeq that is `later` than its own. The method, the user and the host
/// are in what the phone signs (RFC 7616 §3.4.3).
fn subject(request: &Request, later: u32) -> Option<[u8; SUBJECT_BYTES]> {
    let fields = request.fields();
    let (number, _) = fields.cseq().filter(|_| request.method() == Method::Message)?;
    let number = number.checked_add(later)?.to_be_bytes();
    let text = |name| fields.text(name).unwrap_or_default();
    let (call_id, uri) = (fields.call_id()?, request.uri().to_text());
    let (kind, coding) = (text("Content-Type"), text("Content-Encoding"));
    let heads = [call_id.as_bytes(), uri.as_bytes(), kind.as_bytes(), coding.as_bytes()];
    let mut context = Context::new(&SHA256);
    for part in heads.into_iter().chain([&number[..], request.body()]) {
        // With their lengths, so that no two lists are the same text.
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context.finish().as_ref().first_chunk().copied()
}

fn decode(text: &str) -> Option<[u8; NONCE_BYTES]> {
    // The text is a stranger's: what has another length is not read.
    if text.len() != NONCE_LETTERS {
        return None;
    }
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}
