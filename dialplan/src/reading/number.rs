//! Telephone numbers as people dial them: international, national, short, emergency, services.
//!
//! Numbering plans are those of libphonenumber. Only digits reach that library, and few of them.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use phonenumber::country::Id;
use phonenumber::{Mode, Type};

use super::Refusal;

/// Most digits of a number with its country code (ITU-T E.164 §6.2).
const MAX_E164_DIGITS: usize = 15;
/// Most digits of what is dialled, with prefixes and codes of services.
const MAX_DIALLED: usize = 32;
/// Up to how many digits a number that the plan does not know is taken as a short code.
const MAX_SHORT: usize = 6;
/// Country codes of satellites, ships and rates of their own: as dear as premium numbers.
const DEAR_CODES: [&str; 8] = ["870", "878", "881", "882", "883", "888", "979", "991"];

/// Emergency numbers by country; 112 and 911 are taken as such everywhere.
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
    Local,
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
            Self::Local => "local",
        }
    }

    /// Whether a rule must allow it by name.
    #[must_use]
    pub const fn is_refused_by_default(self) -> bool {
        match self {
            Self::Emergency | Self::Premium | Self::International => true,
            Self::National | Self::Short | Self::Service | Self::Local => false,
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
        (!self.is_valid).then(|| format!("{country} has no numbers like this; taken as it stands"))
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
        let mut all: BTreeSet<String> = own.chain(["112", "911"]).map(str::to_owned).collect();
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
        self.emergency.contains(digits) || matches!(digits, "112" | "911")
    }
}

/// Whether a text begins as numbers do, and has only what numbers have.
pub(super) fn looks_like_one(text: &str) -> bool {
    let (number, extension) = split_extension(text);
    let is_letter =
        |letter: char| letter.is_ascii_digit() || "+*#".contains(letter) || is_gap(letter);
    let has_digit = number.chars().any(|letter| letter.is_ascii_digit() || "*#".contains(letter));
    has_digit
        && number.starts_with(|letter: char| letter.is_ascii_digit() || "+*#(".contains(letter))
        && number.chars().all(is_letter)
        && extension.is_none_or(|extension| extension.chars().any(|letter| letter.is_ascii_digit()))
}

/// Whether a user part of an address is what somebody dialled on a keypad.
pub(super) fn is_dialled(user: &str) -> bool {
    let digits = user.strip_prefix('+').unwrap_or(user);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || b"*#".contains(&byte))
}

/// What people put between digits (RFC 3966 §5.1.1, and a little more).
const fn is_gap(letter: char) -> bool {
    matches!(
        letter,
        ' ' | '\u{a0}' | '\u{2009}' | '\u{202f}' | '-' | '\u{2010}'
            ..='\u{2013}' | '.' | '(' | ')' | '/'
    )
}

/// Splits `12345678 ext. 12`, `12345678x12`, `12345678,12`.
fn split_extension(text: &str) -> (&str, Option<&str>) {
    let lower = text.to_ascii_lowercase();
    for word in ["extension", "ext.", "ext", "x", ","] {
        if let Some(at) = lower.find(word).filter(|at| *at > 0) {
            return (&text[..at], Some(&text[at + word.len()..]));
        }
    }
    (text, None)
}

/// Reads a number with its extension, if it has one.
pub(super) fn read_with_extension(
    text: &str,
    home: &Home,
) -> Result<(Number, Option<String>), Refusal> {
    let (number, extension) = split_extension(text);
    let at = text.chars().count() - extension.map_or(0, |extension| extension.chars().count());
    let extension = extension.map(|extension| read_extension(extension, at)).transpose()?;
    Ok((read(number, home)?, extension))
}

/// The digits of an extension.
pub(super) fn read_extension(text: &str, at: usize) -> Result<String, Refusal> {
    if let Some(odd) = text.chars().position(|letter| !letter.is_ascii_digit() && !is_gap(letter)) {
        return Err(Refusal::new(at + odd, "an extension is digits"));
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if digits.is_empty() || digits.len() > 20 {
        return Err(Refusal::new(at, "an extension has 1 to 20 digits"));
    }
    Ok(digits)
}

/// The digits of what is dialled, without what people put between them.
pub(super) fn digits(text: &str) -> Result<String, Refusal> {
    let mut out = String::new();
    for (at, letter) in text.chars().enumerate() {
        match letter {
            '0'..='9' | '*' | '#' => out.push(letter),
            '+' if out.is_empty() => out.push(letter),
            '+' => return Err(Refusal::new(at, "a + stands only before the country code")),
            letter if is_gap(letter) => {}
            _ => return Err(Refusal::new(at, format!("{letter:?} is no digit"))),
        }
    }
    if !out.bytes().any(|byte| byte != b'+') {
        return Err(Refusal::new(0, "there are no digits"));
    }
    if out.len() > MAX_DIALLED {
        return Err(Refusal::new(MAX_DIALLED, "that is too long for a number"));
    }
    Ok(out)
}

/// Reads a number by the plan of the home country.
pub(super) fn read(text: &str, home: &Home) -> Result<Number, Refusal> {
    // `+44 (0)20 ...`: the trunk prefix in brackets is not dialled after a country code.
    let text =
        if text.trim_start().starts_with('+') { text.replace("(0)", "") } else { text.to_owned() };
    let digits = digits(&text)?;
    if digits.contains(['*', '#']) {
        let is_fine = !digits.starts_with('+');
        let class = Class::Service;
        return if is_fine {
            Ok(Number { digits, class, country: None, is_valid: true })
        } else {
            Err(Refusal::new(0, "a number with a country code has no * and no #"))
        };
    }
    if home.is_emergency(&digits) {
        let country = home.country.as_ref().map(|id| id.as_ref().to_owned());
        return Ok(Number { digits, class: Class::Emergency, country, is_valid: true });
    }
    let digits = match (digits.strip_prefix("00"), home.country) {
        // ITU-T E.164 recommends 00 as the international prefix; with a country its own plan counts.
        (Some(rest), None) if rest.len() > MAX_SHORT && !rest.starts_with('0') => {
            format!("+{rest}")
        }
        (Some(_) | None, Some(_) | None) => digits,
    };
    if let Some(rest) = digits.strip_prefix('+') {
        if rest.len() > MAX_E164_DIGITS {
            return Err(Refusal::new(0, "a number with its country code has at most 15 digits"));
        }
        if rest.starts_with('0') {
            return Err(Refusal::new(1, "no country code begins with 0"));
        }
        return Ok(international(digits, home));
    }
    Ok(national(digits, home))
}

fn international(digits: String, home: &Home) -> Number {
    let parsed = phonenumber::parse(None, &digits).ok();
    let is_valid = parsed.as_ref().is_some_and(phonenumber::PhoneNumber::is_valid);
    let id = parsed.as_ref().and_then(|parsed| parsed.country().id());
    let class = parsed
        .as_ref()
        .map_or_else(|| class_without_plan(&digits), |parsed| class(parsed, id, home));
    let country = id.map(|id| id.as_ref().to_owned());
    Number { digits, class, country, is_valid }
}

/// What the library cannot read can still be too dear.
fn class_without_plan(digits: &str) -> Class {
    let is_dear = DEAR_CODES.iter().any(|code| digits[1..].starts_with(code));
    if is_dear { Class::Premium } else { Class::International }
}

fn class(number: &phonenumber::PhoneNumber, id: Option<Id>, home: &Home) -> Class {
    let code = number.code().value().to_string();
    if DEAR_CODES.contains(&code.as_str()) {
        return Class::Premium;
    }
    // Countries that share a code (+1, +7, +44) are countries of their own, and so are their prices.
    // Where the plan cannot tell, the code decides.
    let is_home = match id {
        Some(id) => Some(id) == home.country,
        None => home_code(home) == Some(number.code().value()),
    };
    match number.number_type(&phonenumber::metadata::DATABASE) {
        Type::PremiumRate | Type::SharedCost => Class::Premium,
        Type::Emergency => Class::Emergency,
        Type::FixedLine
        | Type::Mobile
        | Type::FixedLineOrMobile
        | Type::TollFree
        | Type::PersonalNumber
        | Type::Voip
        | Type::Pager
        | Type::Uan
        | Type::Voicemail
        | Type::ShortCode
        | Type::StandardRate
        | Type::Carrier
        | Type::NoInternational
        | Type::Unknown => {
            if is_home {
                Class::National
            } else {
                Class::International
            }
        }
    }
}

fn home_code(home: &Home) -> Option<u16> {
    let metadata = phonenumber::metadata::DATABASE.by_id(home.country.as_ref()?.as_ref())?;
    Some(metadata.country_code())
}

fn national(digits: String, home: &Home) -> Number {
    let local = |class| Number { digits: digits.clone(), class, country: None, is_valid: false };
    let parsed = home.country.and_then(|id| phonenumber::parse(Some(id), &digits).ok());
    // What begins as national numbers do is one, though the plan may not know its block yet.
    let is_national = |parsed: &phonenumber::PhoneNumber| {
        parsed.is_valid() || (digits.len() > MAX_SHORT + 2 && has_trunk_prefix(&digits, home))
    };
    let Some(parsed) = parsed.filter(is_national) else {
        return local(if digits.len() <= MAX_SHORT { Class::Short } else { Class::Local });
    };
    let id = parsed.country().id();
    Number {
        digits: parsed.format().mode(Mode::E164).to_string(),
        class: class(&parsed, id, home),
        country: id.or(home.country).map(|id| id.as_ref().to_owned()),
        is_valid: parsed.is_valid(),
    }
}

fn has_trunk_prefix(digits: &str, home: &Home) -> bool {
    let id = home.country.as_ref().map(AsRef::as_ref);
    let metadata = id.and_then(|id: &str| phonenumber::metadata::DATABASE.by_id(id));
    let prefix = metadata.and_then(|metadata| metadata.national_prefix());
    prefix.is_some_and(|prefix| !prefix.is_empty() && digits.starts_with(prefix))
}
