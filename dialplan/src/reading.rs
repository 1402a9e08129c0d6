//! Reading an address as a person types it. Pure.
//!
//! ```text
//! text --scheme:--> URI (RFC 3261 §19.1, RFC 3966, RFC 5122, RFC 3860, RFC 3859)
//!      --digits---> number, by the numbering plan of the home country
//!      --a@b------> SIP or XMPP, whichever a rule allows
//!      --else-----> the name of an account or contact
//! ```
//!
//! What comes out prints in one form, and that form reads as the same again.

mod host;
mod jid;
mod number;
mod uri;

use std::fmt;

use gateway_core::{Address, Scheme};

pub use jid::{Jid, escape, unescape};
pub use number::{Class, Home, Number, Variants};

/// Longest text that is read, in bytes.
pub const MAX_TEXT_BYTES: usize = gateway_core::address::MAX_ADDRESS_BYTES;

/// Why a text names nobody: where, and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why} (at letter {})", .at + 1)]
pub struct Refusal {
    /// How many letters of the text were fine.
    pub at: usize,
    /// A sentence for the person.
    pub why: String,
}

impl Refusal {
    fn new(at: usize, why: impl Into<String>) -> Self {
        Self { at, why: why.into() }
    }

    /// Moves the place by what stood before the part that was read.
    const fn after(mut self, before: usize) -> Self {
        self.at += before;
        self
    }
}

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An address with its scheme.
    Uri,
    /// A number.
    Number,
    /// `user@host`, which may be of several networks.
    UserAtHost,
    /// The name of an account or contact.
    Name,
}

impl Kind {
    /// The word in explanations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uri => "an address",
            Self::Number => "a number",
            Self::UserAtHost => "user@host",
            Self::Name => "a name",
        }
    }
}

/// What a text means.
#[derive(Clone, PartialEq, Eq)]
pub struct Reading {
    /// What it is.
    pub kind: Kind,
    /// The addresses it may stand for, best first; never empty.
    pub addresses: Vec<Address>,
    /// The number in it, if there is one.
    pub number: Option<Number>,
    /// The resource of a JID (RFC 7622 §3.4).
    pub resource: Option<String>,
    /// What was dropped or assumed, as sentences.
    pub notes: Vec<String>,
    printed: String,
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.printed)
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.kind, self.addresses)
    }
}

impl Reading {
    fn of(kind: Kind, address: Address) -> Self {
        let printed = address.to_string();
        let addresses = vec![address];
        Self { kind, addresses, number: None, resource: None, notes: Vec::new(), printed }
    }

    /// Reads an address that an adapter already took apart.
    #[must_use]
    pub fn of_address(address: &Address, home: &Home) -> Self {
        let mut reading = Self::of(Kind::Uri, address.clone());
        reading.number = match (address.scheme, Dialled::of(address, home)) {
            (Scheme::Xmpp, _) | (_, Dialled::Name | Dialled::Garbled) => None,
            (_, Dialled::Number(number)) => Some(number),
        };
        reading
    }
}

/// What a trunk that dials numbers would make of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dialled {
    /// A number, however it is spelled.
    Number(Number),
    /// It has digits like a number, and no number can be read in it.
    Garbled,
    /// The name of somebody.
    Name,
}

impl Dialled {
    /// Reads what would leave by a trunk: the user part, or the host where there is none.
    #[must_use]
    pub fn of(address: &Address, home: &Home) -> Self {
        let name = match address.scheme {
            Scheme::Xmpp => unescape(address.name()),
            Scheme::Procom | Scheme::Sip | Scheme::Sips | Scheme::Tel | Scheme::Sms => {
                address.name().to_owned()
            }
        };
        if let Some(context) = address.param("phone-context").flatten() {
            return uri::in_context(&name, context, home).map_or(Self::Garbled, Self::Number);
        }
        match number::spelled(&name) {
            number::Spelled::Digits(digits) => match number::read(&digits, home) {
                Ok(number) => Self::Number(number),
                Err(_) => Self::Garbled,
            },
            number::Spelled::Garbled => Self::Garbled,
            // Emergency numbers of two digits.
            number::Spelled::Name => match number::read_garbled(&name, home) {
                Some(number) if number.class == Class::Emergency => Self::Garbled,
                Some(_) | None => Self::Name,
            },
        }
    }

    /// The number in an address that is garbled, if its digits alone are one.
    #[must_use]
    pub fn beneath(address: &Address, home: &Home) -> Option<Number> {
        number::read_garbled(address.name(), home)
    }
}

/// The digits of a typed number, as rules see them; `None` where the text is no number.
#[must_use]
pub fn typed_digits(text: &str) -> Option<String> {
    number::typed(text)
}

/// Loads the numbering plans, which takes a while the first time: better now than in the first call.
pub fn warm_up(home: &Home) {
    for text in ["+4532123456", "32123456"] {
        // Only that it was read matters, not what came of it.
        let _ = number::read(text, home);
    }
}

/// Reads a text.
///
/// # Errors
/// It names nobody; where and why.
pub fn read(text: &str, home: &Home) -> Result<Reading, Refusal> {
    let before = text.chars().take_while(|letter| letter.is_whitespace()).count();
    let typed = text.trim();
    if typed.is_empty() {
        return Err(Refusal::new(0, "there is nothing to dial"));
    }
    if typed.len() > MAX_TEXT_BYTES {
        return Err(Refusal::new(0, format!("an address has at most {MAX_TEXT_BYTES} bytes")));
    }
    if let Some(at) = typed.chars().position(is_unseen) {
        return Err(Refusal::new(before + at, "there is a character nobody can see"));
    }
    // Whatever the gap between two letters is made of, it is one.
    let gap = |letter: char| if letter.is_whitespace() { ' ' } else { letter };
    let typed: String = typed.chars().map(gap).collect();
    read_trimmed(&typed, home).map_err(|refusal| refusal.after(before))
}

/// Control characters, and those that turn the direction of writing: what is read must be what is
/// seen.
fn is_unseen(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn read_trimmed(typed: &str, home: &Home) -> Result<Reading, Refusal> {
    if let Some(reading) = uri::read(typed, home)? {
        return Ok(reading);
    }
    let digits: String = typed.chars().map(number::ascii).collect();
    if !typed.contains('@') && number::looks_like_one(&digits) {
        let (number, extension) = number::read_with_extension(&digits, home)?;
        return Ok(of_number(number, extension));
    }
    if typed.contains('@') {
        return user_at_host(typed);
    }
    let name = typed.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut reading = Reading::of(Kind::Name, Address::procom(&name));
    reading.printed = name;
    Ok(reading)
}

/// A number as an address: `tel:` with its extension (RFC 3966 §5.3).
fn of_number(number: Number, extension: Option<String>) -> Reading {
    let mut address = Address::tel(&number.digits);
    address.params.extend(extension.map(|extension| ("ext".to_owned(), Some(extension))));
    let mut reading = Reading::of(Kind::Number, address);
    reading.notes.extend(number.note());
    reading.number = Some(number);
    reading
}

/// `user@host` may be SIP or XMPP. A port or parameters are SIP's alone, a resource XMPP's.
fn user_at_host(typed: &str) -> Result<Reading, Refusal> {
    let sip = || uri::read_sip(Scheme::Sip, typed, 0);
    let after = typed.rsplit_once('@').map_or("", |(_, after)| after);
    if after.contains([':', ';']) {
        let mut reading = sip()?;
        reading.kind = Kind::UserAtHost;
        return Ok(reading);
    }
    let jid = Jid::read(typed)?;
    let xmpp = jid.address();
    let mut reading = Reading::of(Kind::UserAtHost, xmpp.clone());
    reading.printed = jid.to_string();
    reading.resource = jid.resource;
    if reading.resource.is_none() {
        // As SIP the host is in its ASCII form. A name only XMPP can have is XMPP's alone.
        let sip = host::to_ascii(&jid.domain).ok().zip(xmpp.user.as_deref());
        let sip = sip.map(|(host, user)| Address::sip(&unescape(user), &host));
        reading.addresses.splice(0..0, sip);
    }
    Ok(reading)
}

#[cfg(test)]
mod tests;
