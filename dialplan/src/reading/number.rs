//! Telephone numbers as people dial them: international, national, short, emergency, services.
//!
//! ```text
//! text --spelling--> digits --plan--> number: class, country, whether its plan knows it,
//!                                     and what it resembles if the plan does not
//! ```
//!
//! Numbering plans are those of libphonenumber. Only digits reach that library, and few of them.

mod plan;
mod service;
mod spelling;
mod variants;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use phonenumber::country::Id;

use super::Refusal;
pub(super) use spelling::{Spelled, ascii, digits, looks_like_one, read_extension, spelled};
pub use variants::Variants;

/// Most digits of a number with its country code (ITU-T E.164 §6.2).
const MAX_E164_DIGITS: usize = 15;
/// Up to how many digits a number that the plan does not know is taken as a short code.
const MAX_SHORT: usize = 6;

/// Emergency numbers that are such everywhere: callers and carriers know them from elsewhere.
const EMERGENCY_EVERYWHERE: [&str; 4] = ["112", "911", "999", "000"];
/// Emergency numbers by country.
const EMERGENCY: [(&str, &[&str]); 24] = [
    ("AR", &["100", "101", "107"]),
    ("AT", &["122", "133", "144"]),
    ("AU", &["000", "106"]),
    ("BR", &["190", "192", "193"]),
    ("CH", &["117", "118", "144"]),
    ("CN", &["110", "119", "120"]),
    ("CZ", &["150", "155", "158"]),
    ("DE", &["110"]),
    ("FR", &["15", "17", "18", "114"]),
    ("GB", &["999"]),
    ("HK", &["999"]),
    ("IE", &["999"]),
    ("IL", &["100", "101", "102"]),
    ("IN", &["100", "101", "102", "108"]),
    ("IT", &["113", "115", "118"]),
    ("JP", &["110", "118", "119"]),
    ("KR", &["119"]),
    ("NO", &["110", "113"]),
    ("NZ", &["111"]),
    ("PL", &["997", "998", "999"]),
    ("RU", &["101", "102", "103"]),
    ("SG", &["995", "999"]),
    ("UA", &["101", "102", "103"]),
    ("ZA", &["10111", "10177"]),
];

/// What kind of number: what may be dialled by default is decided on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Police, fire, ambulance.
    Emergency,
    /// Charged above the usual: premium rate, shared cost, satellite.
    Premium,
    /// In another country, or in a country nobody told us is ours.
    International,
    /// In the home country.
    National,
    /// A short code or an internal number.
    Short,
    /// A code of the network, with `*` or `#`.
    Service,
    /// Of no plan we know.
    Unknown,
}

impl Class {
    /// The word in rules and explanations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Emergency => "emergency",
            Self::Premium => "premium",
            Self::International => "international",
            Self::National => "national",
            Self::Short => "short",
            Self::Service => "service",
            Self::Unknown => "unknown",
        }
    }

    /// Whether a rule must allow it by name.
    #[must_use]
    pub const fn is_refused_by_default(self) -> bool {
        match self {
            Self::Emergency | Self::Premium | Self::International => true,
            Self::National | Self::Short | Self::Service | Self::Unknown => false,
        }
    }
}

/// A number.
#[derive(Clone, PartialEq, Eq)]
pub struct Number {
    /// `+4512345678`, or what is dialled where there is no international form.
    pub digits: String,
    /// What kind of number.
    pub class: Class,
    /// ISO code of its country, where the plan tells.
    pub country: Option<String>,
    /// Whether the plan of its country knows such numbers.
    pub is_valid: bool,
    /// Where no plan knows it: the class that a rule must allow by name which it would have with
    /// some digits less or more, or read in another way. A provider may read it so.
    pub resembles: Option<Class>,
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", gateway_core::address::hide(&self.digits), self.class.as_str())
    }
}

impl Number {
    /// What a person may want to know of how it was read.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        let country = self.country.as_deref()?;
        (!self.is_valid).then(|| format!("the plan of {country} has no numbers like this"))
    }
}

/// Where the gateway stands: how numbers without a country code are read.
#[derive(Clone, Debug, Default)]
pub struct Home {
    country: Option<Id>,
    emergency: BTreeSet<String>,
}

impl Home {
    /// A home in this country (ISO 3166), with these emergency numbers beside its own.
    ///
    /// # Errors
    /// There is no such country, or a number is none.
    pub fn new(country: Option<&str>, emergency: &[String]) -> Result<Self, String> {
        let country = country
            .map(|code| {
                let upper = code.to_ascii_uppercase();
                Id::from_str(&upper).map_err(|_| format!("there is no country {code:?}"))
            })
            .transpose()?;
        let own = EMERGENCY
            .iter()
            .filter(|(code, _)| country.as_ref().is_some_and(|id| id.as_ref() == *code))
            .flat_map(|(_, numbers)| numbers.iter().copied());
        let mut all: BTreeSet<String> =
            own.chain(EMERGENCY_EVERYWHERE).map(str::to_owned).collect();
        for number in emergency {
            if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(format!("{number:?} is no emergency number"));
            }
            all.insert(number.clone());
        }
        Ok(Self { country, emergency: all })
    }

    /// Whether this is an emergency number here.
    #[must_use]
    pub fn is_emergency(&self, digits: &str) -> bool {
        self.emergency.contains(digits) || EMERGENCY_EVERYWHERE.contains(&digits)
    }

    /// Whether an emergency number with up to four digits more behind it.
    fn begins_as_emergency(&self, digits: &str) -> bool {
        let own = self.emergency.iter().map(String::as_str);
        own.chain(EMERGENCY_EVERYWHERE).any(|number| {
            digits.strip_prefix(number).is_some_and(|rest| rest.len() <= plan::SURPLUS_DIGITS)
        })
    }
}

/// Reads a number with its extension, if it has one.
pub(super) fn read_with_extension(
    text: &str,
    home: &Home,
) -> Result<(Number, Option<String>), Refusal> {
    let (number, extension) = spelling::split_extension(text);
    let at = text.chars().count() - extension.map_or(0, |extension| extension.chars().count());
    let extension = extension.map(|extension| read_extension(extension, at)).transpose()?;
    Ok((read(number, home)?, extension))
}

/// Reads a number by the plan of the home country.
pub(super) fn read(text: &str, home: &Home) -> Result<Number, Refusal> {
    let text: String = text.trim().chars().map(ascii).collect();
    let digits = digits(&without_bracketed_zero(&text))?;
    if digits.contains(['*', '#']) {
        return match digits.starts_with('+') {
            true => Err(Refusal::new(0, "a number with a country code has no * and no #")),
            false => service::number(digits, home),
        };
    }
    if home.is_emergency(&digits) {
        let country = home.country.as_ref().map(|id| id.as_ref().to_owned());
        let class = Class::Emergency;
        return Ok(Number { digits, class, country, is_valid: true, resembles: None });
    }
    let digits = plan::with_country_code(&digits, home).unwrap_or(digits);
    if let Some(rest) = digits.strip_prefix('+') {
        if rest.len() > MAX_E164_DIGITS {
            return Err(Refusal::new(0, "a number with its country code has at most 15 digits"));
        }
        if rest.starts_with('0') {
            return Err(Refusal::new(1, "no country code begins with 0"));
        }
        return Ok(plan::international(digits, home));
    }
    Ok(plan::national(digits, home))
}

/// `+44 (0)20 ...`: the trunk prefix in brackets is not dialled after a country code. Elsewhere it is
/// a digit like any other.
fn without_bracketed_zero(text: &str) -> String {
    match text.split_once("(0)") {
        Some((code, rest)) if digits(code).is_ok_and(|code| plan::is_country_code(&code)) => {
            format!("{code}{rest}")
        }
        Some(_) | None => text.to_owned(),
    }
}

/// The digits of a typed number, as rules see them; `None` where the text is no number.
pub(super) fn typed(text: &str) -> Option<String> {
    let text: String = text.trim().chars().map(ascii).collect();
    match spelled(&without_bracketed_zero(&text)) {
        Spelled::Digits(digits) => Some(digits),
        Spelled::Garbled | Spelled::Name => None,
    }
}

/// The number in a text that has something else beside its digits, if they are one.
pub(super) fn read_garbled(text: &str, home: &Home) -> Option<Number> {
    let letters = text.chars().map(ascii);
    let digits: String = letters.filter(char::is_ascii_digit).collect();
    read(&digits, home).ok()
}

/// A number of a network that only its context tells (RFC 3966 §5.1.5): no plan knows it.
pub(super) fn of_context(digits: String, home: &Home) -> Number {
    let class = if home.is_emergency(&digits) { Class::Emergency } else { Class::Unknown };
    let resembles = plan::resembled(&digits, home);
    Number { digits, class, country: None, is_valid: false, resembles }
}

/// The emergency number everybody knows.
pub(super) fn emergency() -> Number {
    let (digits, class) = ("112".to_owned(), Class::Emergency);
    Number { digits, class, country: None, is_valid: true, resembles: None }
}
