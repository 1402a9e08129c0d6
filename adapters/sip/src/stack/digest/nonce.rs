//! Nonces (RFC 7616 §3.3): each carries when it was made and a MAC, so that a flood of challenges
//! costs no memory; and, for a MESSAGE, for which request it was made.
//!
//! ```text
//!   MESSAGE, CSeq 1 ---> 401 with a nonce that says "the request with CSeq 2 and this text was 1 first"
//!   MESSAGE, CSeq 2 ---> taken as 1; the gateway dies before it has answered
//!   MESSAGE, CSeq 2 ---> the next life knows no such nonce: 401 with one that says "3 was 1 first"
//!   MESSAGE, CSeq 3 ---> taken before, as 1
//! ```
//!
//! A challenged request comes again under the next CSeq (RFC 3261 §8.1.3.5, §22.2), and nothing else
//! in it tells that it is the same message. What the nonce says of that is believed also when it was
//! made by an earlier life, whose key nobody has any more: the phone has signed it with its password,
//! and whoever can make a phone sign another one could as well answer it in our place. It proves
//! nothing else: who is to be let in has to answer a nonce of this life.

use std::time::{Duration, Instant};

use ring::digest::{Context, SHA256};
use ring::hmac;
use subtle::ConstantTimeEq;

use crate::stack::tokens::{Tokens, hex};
use crate::stack::wire::{Method, Request};
use zeroize::Zeroizing;

/// Age, serial, first number and subject.
const BODY_BYTES: usize = 32;
const SUBJECT_BYTES: usize = 12;
const MAC_BYTES: usize = 16;

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

    /// One for the request that will come in the place of this one, which came under `first` when it
    /// came first.
    pub(super) fn make(&mut self, request: &Request, first: Option<u32>, now: Instant) -> String {
        self.serial += 1;
        let age = now.saturating_duration_since(self.started).as_millis();
        let age = u64::try_from(age).unwrap_or(u64::MAX);
        let subject = subject(request, 1).unwrap_or_default();
        let parts: [&[u8]; 4] = [
            &age.to_be_bytes(),
            &self.serial.to_be_bytes(),
            &first.unwrap_or(0).to_be_bytes(),
            &subject,
        ];
        let body = parts.concat();
        let mac = hmac::sign(&self.key, &body);
        hex(&[&body, &mac.as_ref()[..MAC_BYTES]].concat())
    }

    /// Reads a nonce of this life; `None` for every other text.
    pub(super) fn read(&self, nonce: &str, now: Instant) -> Option<Made> {
        let bytes = unhex(nonce)?;
        let (body, mac) = bytes.split_at(BODY_BYTES);
        let right = hmac::sign(&self.key, body);
        if !bool::from(right.as_ref()[..MAC_BYTES].ct_eq(mac)) {
            return None;
        }
        let (age, rest) = body.split_first_chunk()?;
        let (serial, _) = rest.split_first_chunk()?;
        let made = Duration::from_millis(u64::from_be_bytes(*age));
        let age = now.saturating_duration_since(self.started).checked_sub(made)?;
        Some(Made { age, serial: u64::from_be_bytes(*serial) })
    }
}

/// The number under which a MESSAGE came first, where its nonce, of whatever life, was made for it.
pub(super) fn first_number(nonce: &str, request: &Request) -> Option<u32> {
    let bytes = unhex(nonce)?;
    let (_, rest) = bytes.split_at_checked(16)?;
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

fn unhex(text: &str) -> Option<[u8; BODY_BYTES + MAC_BYTES]> {
    let digits = text.as_bytes();
    let mut out = [0; BODY_BYTES + MAC_BYTES];
    if digits.len() != 2 * out.len() {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(out)
}
