//! What the numbering plans say of digits (libphonenumber). Pure.
//!
//! A number that its plan knows has the class that the plan gives it. One that no plan knows is
//! judged by what begins it: a provider may cut the digits that are too many, wait for those that
//! lack, or read a prefix in another way.

use phonenumber::country::Id;
use phonenumber::metadata::{DATABASE, Descriptor};
use phonenumber::{Metadata, Mode, Type};

use super::{Class, Home, MAX_SHORT, Number};

/// Country codes of satellites, ships and rates of their own: as dear as premium numbers.
const DEAR_CODES: [&str; 8] = ["870", "878", "881", "882", "883", "888", "979", "991"];
/// How many digits too many an emergency number may have and still resemble one.
pub(super) const SURPLUS_DIGITS: usize = 4;
/// Fewer digits than these are a number at home, whatever country code they begin with.
const FEWEST_DIGITS_ABROAD: usize = 10;
/// How many digits a number may lack and still resemble a premium one.
const LACKING_DIGITS: usize = 2;

/// A number with its `+`.
pub(super) fn international(digits: String, home: &Home) -> Number {
    let parsed = phonenumber::parse(None, &digits).ok();
    let is_valid = parsed.as_ref().is_some_and(phonenumber::PhoneNumber::is_valid);
    let id = parsed.as_ref().and_then(|parsed| parsed.country().id());
    let class = parsed
        .as_ref()
        .map_or_else(|| class_without_plan(&digits, home), |parsed| class(parsed, id, home));
    let country = id.map(|id| id.as_ref().to_owned());
    let resembles = if is_valid { None } else { resembled_in_full(&digits, home) };
    Number { digits, class, country, is_valid, resembles }
}

/// A number without its country code.
pub(super) fn national(digits: String, home: &Home) -> Number {
    let parsed = home.country.and_then(|id| phonenumber::parse(Some(id), &digits).ok());
    // What begins as national numbers do is one, though the plan may not know its block yet.
    let is_national = |parsed: &phonenumber::PhoneNumber| {
        parsed.is_valid() || (digits.len() > MAX_SHORT + 2 && has_trunk_prefix(&digits, home))
    };
    let Some(parsed) = parsed.filter(is_national) else {
        let class = if digits.len() <= MAX_SHORT { Class::Short } else { Class::Unknown };
        let resembles = resembled(&digits, home);
        return Number { digits, class, country: None, is_valid: false, resembles };
    };
    let id = parsed.country().id();
    let is_valid = parsed.is_valid();
    let resembles = if is_valid { None } else { resembled(&digits, home) };
    Number {
        digits: parsed.format().mode(Mode::E164).to_string(),
        class: class(&parsed, id, home),
        country: id.or(home.country).map(|id| id.as_ref().to_owned()),
        is_valid,
        resembles,
    }
}

/// The digits with `+` and country code, where they begin with the international prefix: that of the
/// home country, or without one 00 (ITU-T E.164 recommends it).
pub(super) fn with_country_code(digits: &str, home: &Home) -> Option<String> {
    let prefix = match metadata(home) {
        Some(plan) => plan
            .international_prefix()
            .and_then(|prefix| prefix.find(digits).filter(|found| found.start() == 0))
            .map(|found| found.end()),
        None => digits.starts_with("00").then_some(2),
    };
    let rest = &digits[prefix?..];
    (rest.len() > MAX_SHORT && !rest.starts_with('0')).then(|| format!("+{rest}"))
}

/// The class which must be allowed by name that digits no plan knows would have, read in any of the
/// ways a provider may read them.
pub(super) fn resembled(digits: &str, home: &Home) -> Option<Class> {
    if home.begins_as_emergency(digits) {
        return Some(Class::Emergency);
    }
    let mut worst = None;
    for full in readings(digits, home) {
        let read = match phonenumber::parse(None, &full) {
            Ok(parsed) if parsed.is_valid() => {
                let class = class(&parsed, parsed.country().id(), home);
                Some(class).filter(|class| class.is_refused_by_default())
            }
            Ok(parsed) => resembled_in_full(&full, home).or_else(|| abroad(&parsed, digits, home)),
            Err(_) => resembled_in_full(&full, home),
        };
        worst = worse(worst, read);
    }
    worst
}

/// International, where so many digits that no plan knows begin with the code of another country.
fn abroad(parsed: &phonenumber::PhoneNumber, digits: &str, home: &Home) -> Option<Class> {
    let is_foreign = home_code(home) != Some(parsed.code().value());
    (is_foreign && digits.len() >= FEWEST_DIGITS_ABROAD).then_some(Class::International)
}

/// Digits without `+` as a provider may read them: as national ones, with the trunk prefix or
/// without, after the usual international prefixes, or as if the `+` was left out.
fn readings(digits: &str, home: &Home) -> Vec<String> {
    let mut full = vec![format!("+{digits}")];
    full.extend(["00", "011"].iter().filter_map(|prefix| {
        digits.strip_prefix(prefix).map(|rest| format!("+{}", rest.trim_start_matches('0')))
    }));
    if let Some(plan) = metadata(home) {
        let code = plan.country_code();
        full.push(format!("+{code}{digits}"));
        let trunk = plan.national_prefix().filter(|prefix| !prefix.is_empty());
        let rest = trunk.and_then(|prefix| digits.strip_prefix(prefix));
        full.extend(rest.map(|rest| format!("+{code}{rest}")));
    }
    full
}

/// As [`resembled`], of a number with its `+`.
fn resembled_in_full(digits: &str, home: &Home) -> Option<Class> {
    let rest = digits.strip_prefix('+').unwrap_or(digits);
    if DEAR_CODES.iter().any(|code| rest.starts_with(code)) {
        return Some(Class::Premium);
    }
    let (plans, national) = plans(rest)?;
    if home.is_emergency(national) {
        return Some(Class::Emergency);
    }
    let without_zeros = national.trim_start_matches('0');
    let is_premium = plans.iter().any(|plan| {
        let descriptors = plan.descriptors();
        let dear = [descriptors.premium_rate(), descriptors.shared_cost()];
        dear.into_iter()
            .flatten()
            .any(|dear| begins_as(dear, plan, national) || begins_as(dear, plan, without_zeros))
    });
    is_premium.then_some(Class::Premium)
}

/// Whether digits are a number of this kind with some digits too many, or a few that lack.
fn begins_as(kind: &Descriptor, plan: &Metadata, national: &str) -> bool {
    let own = kind.possible_length();
    let lengths = if own.is_empty() { plan.descriptors().general().possible_length() } else { own };
    lengths.iter().map(|length| usize::from(*length)).any(|length| {
        match length.checked_sub(national.len()) {
            None | Some(0) => kind.is_match(&national[..length]),
            Some(lacking) if lacking <= LACKING_DIGITS => {
                let all = 10_usize.pow(u32::try_from(lacking).unwrap_or(0));
                (0..all).any(|rest| kind.is_match(&format!("{national}{rest:0lacking$}")))
            }
            Some(_) => false,
        }
    })
}

/// The plans that share the country code a number begins with, and the digits behind it.
fn plans(digits: &str) -> Option<(Vec<&'static Metadata>, &str)> {
    (1..=3).find_map(|length| {
        let code: u16 = digits.get(..length)?.parse().ok()?;
        Some((DATABASE.by_code(&code)?, &digits[length..]))
    })
}

/// The class that more must be allowed for.
pub(super) fn worse(one: Option<Class>, other: Option<Class>) -> Option<Class> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (Some(class), None) | (None, Some(class)) => Some(class),
        (None, None) => None,
    }
}

/// The class of what the library cannot read.
fn class_without_plan(digits: &str, home: &Home) -> Class {
    let is_dear = DEAR_CODES.iter().any(|code| digits[1..].starts_with(code));
    let is_home = home_code(home).is_some_and(|code| digits[1..].starts_with(&code.to_string()));
    match (is_dear, is_home) {
        (true, _) => Class::Premium,
        (false, true) => Class::National,
        (false, false) => Class::International,
    }
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
    match number.number_type(&DATABASE) {
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

/// The plan of the home country.
pub(super) fn metadata(home: &Home) -> Option<&'static Metadata> {
    DATABASE.by_id(home.country.as_ref()?.as_ref())
}

fn home_code(home: &Home) -> Option<u16> {
    Some(metadata(home)?.country_code())
}

fn has_trunk_prefix(digits: &str, home: &Home) -> bool {
    let prefix = metadata(home).and_then(Metadata::national_prefix);
    prefix.is_some_and(|prefix| !prefix.is_empty() && digits.starts_with(prefix))
}
