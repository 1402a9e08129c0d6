//! SRTP keys in the signalling: `a=crypto` lines (RFC 4568).
//!
//! Each side names the key it *sends* with. The offerer lists one line a suite, the answerer takes
//! one of them and answers with its tag, its suite and a key of its own (RFC 4568 §5.1).
//!
//! ```text
//!  offer ---> 1 AEAD_AES_128_GCM inline:..        answer ---> 2 AES_CM_128_HMAC_SHA1_80 inline:..
//!             2 AES_CM_128_HMAC_SHA1_80 inline:..
//!             3 ..
//!  tag  suite  "inline:" base64(key, salt) ["|" lifetime] ["|" MKI ":" bytes]  *(session parameter)
//! ```
//!
//! What enters are the texts behind `a=crypto:`, what leaves is an [`Agreement`]: one key for each
//! direction. Whether keys may be put on this wire at all (RFC 4568 §8.3: only where the signalling
//! is encrypted) is decided before this module is asked.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use gateway_core::description::CryptoLine;
use zeroize::Zeroizing;

use crate::srtp::{MasterKey, Suite};

/// Lines of one description that are looked at; an offer has one for each suite.
const MAX_LINES: usize = 16;
/// The longest line looked at: a 256-bit key with all its parameters has about 150 bytes.
const MAX_LINE_BYTES: usize = 512;
/// A key must not serve more packets than 48 bits of index (RFC 3711 §9.2).
const MAX_LIFETIME: u64 = 1 << 48;

/// Why a line cannot be used; other lines of the same description still can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It does not follow the grammar (RFC 4568 §9), or its key has the wrong length.
    #[error("malformed crypto line")]
    Malformed,
    /// We do not have its suite.
    #[error("unknown suite")]
    UnknownSuite,
    /// It has a master key identifier, or several keys, which need one.
    ///
    /// Not supported: with an MKI each packet carries more bytes between payload and tag
    /// (RFC 3711 §3.1); to ignore the parameter would mean to refuse every packet.
    #[error("master key identifiers are not supported")]
    KeyIdentifier,
    /// It switches encryption or authentication off, or changes the transform (RFC 4568 §6.3).
    #[error("session parameter not accepted")]
    SessionParameter,
}

/// Why two descriptions do not lead to keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAgreement {
    /// None of the offered lines can be used; with the reason of the first, if there was one.
    #[error("no usable crypto line")]
    NothingUsable(Option<Unusable>),
    /// The answer has no line, or more than one (RFC 4568 §5.1.2).
    #[error("the answer has not exactly one crypto line")]
    NotOneLine,
    /// The answer's tag was not offered, or with another suite (RFC 4568 §5.1.3).
    #[error("the answer's crypto line was not offered")]
    NotOffered,
    /// The peer sends with our own key: our packets, thrown back at us, would pass for the peer's.
    #[error("the peer answered with our own key")]
    Reflected,
}

/// One `a=crypto` line that can be used.
#[derive(Clone, Debug)]
pub struct Line {
    /// What an answer refers to; unique in one description.
    pub tag: u32,
    /// The key its author sends with.
    pub key: MasterKey,
}

/// The keys two descriptions led to, and the tag under which they did.
#[derive(Clone, Debug)]
pub struct Agreement {
    /// The tag of the line that was taken.
    pub tag: u32,
    /// What we seal with.
    pub ours: MasterKey,
    /// What the peer seals with, so that we open with it.
    pub theirs: MasterKey,
}

impl Agreement {
    /// The suite of both directions.
    pub fn suite(&self) -> Suite {
        self.ours.suite()
    }

    /// Our line, for the answer.
    pub fn line(&self) -> Line {
        Line { tag: self.tag, key: self.ours.clone() }
    }
}

impl Line {
    /// Reads the text behind `a=crypto:`.
    ///
    /// A lifetime is checked and then left to the peer, who counts what it sends; the suite's own
    /// limits hold anyway.
    ///
    /// # Errors
    /// See [`Unusable`].
    pub fn parse(line: &CryptoLine) -> Result<Self, Unusable> {
        if line.0.len() > MAX_LINE_BYTES {
            return Err(Unusable::Malformed);
        }
        let mut words = line.0.split_ascii_whitespace();
        let tag = words.next().and_then(parse_tag).ok_or(Unusable::Malformed)?;
        let suite = words.next().ok_or(Unusable::Malformed)?;
        let parameters = words.next().ok_or(Unusable::Malformed)?;
        let suite = Suite::from_sdes_name(suite).ok_or(Unusable::UnknownSuite)?;
        let key = parse_key(suite, parameters)?;
        words.try_for_each(check_session_parameter)?;
        Ok(Self { tag, key })
    }

    /// The text behind `a=crypto:`, without lifetime: the key lives as long as its suite lets it.
    pub fn render(&self) -> CryptoLine {
        let inline = Zeroizing::new(STANDARD.encode(self.key.to_inline()));
        CryptoLine(format!(
            "{} {} inline:{}",
            self.tag,
            self.key.suite().sdes_name(),
            inline.as_str()
        ))
    }
}

/// Lines for an offer with a fresh key for each suite, tags from 1; `random` fills from the
/// system's generator.
pub fn offer(suites: &[Suite], random: &mut dyn FnMut(&mut [u8])) -> Vec<Line> {
    (1..)
        .zip(suites)
        .map(|(tag, suite)| Line { tag, key: MasterKey::generate(*suite, random) })
        .collect()
}

/// The line for another offer of a leg that has keys: they stay, so that no packet in flight is
/// lost.
pub fn offer_again(standing: &Agreement) -> Vec<Line> {
    vec![Line { tag: 1, key: standing.ours.clone() }]
}

/// Takes the first offered line that can be used and whose suite is in `allowed`: the order is the
/// offerer's preference (RFC 4568 §5.1.2).
///
/// While the offer repeats the key that `standing` has of the peer, our key stays as well; else it
/// is made anew.
///
/// # Errors
/// [`NoAgreement::NothingUsable`].
pub fn answer(
    offered: &[CryptoLine],
    allowed: &[Suite],
    standing: Option<&Agreement>,
    random: &mut dyn FnMut(&mut [u8]),
) -> Result<Agreement, NoAgreement> {
    let lines: Vec<_> = offered.iter().take(MAX_LINES).map(Line::parse).collect();
    let usable = || lines.iter().flatten().filter(|line| allowed.contains(&line.key.suite()));
    if let Some(standing) = standing
        && let Some(line) = usable().find(|line| line.key.is_same(&standing.theirs))
    {
        return Ok(Agreement { tag: line.tag, ..standing.clone() });
    }
    let Some(line) = usable().next() else {
        let reason = lines.iter().find_map(|line| line.as_ref().err().copied());
        return Err(NoAgreement::NothingUsable(reason));
    };
    let ours = MasterKey::generate(line.key.suite(), random);
    Ok(Agreement { tag: line.tag, ours, theirs: line.key.clone() })
}

/// Finds the key pair of the one line in an answer to our `offered` lines (RFC 4568 §5.1.3).
///
/// # Errors
/// See [`NoAgreement`]; the call must not go on in the clear then.
pub fn accept(offered: &[Line], answered: &[CryptoLine]) -> Result<Agreement, NoAgreement> {
    let [line] = answered else { return Err(NoAgreement::NotOneLine) };
    let line = Line::parse(line).map_err(|reason| NoAgreement::NothingUsable(Some(reason)))?;
    let ours = offered
        .iter()
        .find(|ours| ours.tag == line.tag && ours.key.suite() == line.key.suite())
        .ok_or(NoAgreement::NotOffered)?;
    if offered.iter().any(|ours| ours.key.is_same(&line.key)) {
        return Err(NoAgreement::Reflected);
    }
    Ok(Agreement { tag: line.tag, ours: ours.key.clone(), theirs: line.key })
}

/// One to nine digits without leading zeros (RFC 4568 §9.1). Zero is taken, too: some phones count
/// from it.
fn parse_tag(word: &str) -> Option<u32> {
    let is_number = (1..=9).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = word.len() == 1 || !word.starts_with('0');
    (is_number && is_plain).then(|| word.parse().ok()).flatten()
}

/// `inline:` with key and salt, perhaps a lifetime, but neither a second key nor an identifier
/// (RFC 4568 §6.1).
fn parse_key(suite: Suite, parameters: &str) -> Result<MasterKey, Unusable> {
    let (method, info) = parameters.split_once(':').ok_or(Unusable::Malformed)?;
    if !method.eq_ignore_ascii_case("inline") {
        return Err(Unusable::Malformed);
    }
    if info.contains(';') {
        return Err(Unusable::KeyIdentifier);
    }
    let mut fields = info.split('|');
    let key = fields.next().unwrap_or_default();
    for field in fields {
        if field.contains(':') {
            return Err(Unusable::KeyIdentifier);
        }
        parse_lifetime(field).ok_or(Unusable::Malformed)?;
    }
    let decoded = STANDARD
        .decode(key)
        // Several phones leave the padding of 46-byte keys away.
        .or_else(|_| STANDARD_NO_PAD.decode(key))
        .map(Zeroizing::new)
        .map_err(|_| Unusable::Malformed)?;
    MasterKey::from_inline(suite, &decoded).ok_or(Unusable::Malformed)
}

/// A number of packets, or a power of two (RFC 4568 §6.1).
fn parse_lifetime(field: &str) -> Option<u64> {
    let lifetime = match field.strip_prefix("2^") {
        Some(exponent) => 1u64.checked_shl(exponent.parse().ok()?)?,
        None => field.parse().ok()?,
    };
    (1..=MAX_LIFETIME).contains(&lifetime).then_some(lifetime)
}

/// Only what changes nothing about the packets is accepted: a hint for the replay window's size
/// (RFC 4568 §6.3.6) and extensions marked as optional (RFC 4568 §6.3.7).
fn check_session_parameter(word: &str) -> Result<(), Unusable> {
    if word.starts_with("WSH=") || word.starts_with('-') {
        Ok(())
    } else {
        Err(Unusable::SessionParameter)
    }
}

#[cfg(test)]
mod tests;
