//! What the numbering plans say of digits (metadata of libphonenumber). Pure.
//!
//! ```text
//! digits --international prefix, home--> +code national --plan's patterns--> class, or none
//!                                                          none: what it resembles
//! ```
//!
//! The patterns are asked here and not through the library's own reader, which takes digits off the
//! front of national numbers: 8 of St Petersburg, 45 of Danish ones. A number that no plan knows is
//! judged by what begins it: a provider may cut the digits that are too many, wait for those that
//! lack, or read a prefix in another way.

use phonenumber::Metadata;
use phonenumber::metadata::{DATABASE, Descriptor};

use super::{Class, Home, MAX_SHORT, Number};

/// Country codes of satellites, ships and rates of their own: as dear as premium numbers.
const DEAR_CODES: [&str; 8] = ["870", "878", "881", "882", "883", "888", "979", "991"];
/// How many digits too many an emergency number may have and still resemble one.
pub(super) const SURPLUS_DIGITS: usize = 4;
/// How many digits a number may lack and still resemble a premium one.
const LACKING_DIGITS: usize = 2;
/// Fewer digits than these are a number at home, whatever country code they begin with.
const FEWEST_DIGITS_ABROAD: usize = 10;

/// What a plan says of a number that it knows.
struct Known {
    plan: &'static Metadata,
    is_dear: bool,
}

/// A number with its `+`.
pub(super) fn international(digits: String, home: &Home) -> Number {
    let rest = digits.strip_prefix('+').unwrap_or(&digits);
    let Some((plans, national)) = plans(rest) else {
        let class = if is_dear_code(rest) { Class::Premium } else { Class::International };
        return Number { digits, class, country: None, is_valid: false, resembles: None };
    };
    let code = &rest[..rest.len() - national.len()];
    for national in with_and_without_trunk_prefix(&plans, national) {
        if let Some(known) = known(&plans, national) {
            return known.number(format!("+{code}{national}"), code, home);
        }
    }
    let is_home = home_code(home).is_some_and(|own| own == code);
    let class = match (is_dear_code(rest), is_home) {
        (true, _) => Class::Premium,
        (false, true) => Class::National,
        (false, false) => Class::International,
    };
    let country = if is_home { home.country.map(|id| id.as_ref().to_owned()) } else { None };
    let resembles = resembled_in_full(&digits, home);
    Number { digits, class, country, is_valid: false, resembles }
}

/// A number without its country code.
pub(super) fn national(digits: String, home: &Home) -> Number {
    let own = metadata(home).zip(home_code(home));
    if let Some((plan, code)) = &own {
        let read = |national: &str| {
            let number = international(format!("+{code}{national}"), home);
            (number.is_valid && number.country.as_deref() == Some(plan.id())).then_some(number)
        };
        let trunk = trunk_prefix(plan).and_then(|prefix| digits.strip_prefix(prefix));
        let without_code = digits.strip_prefix(code.as_str());
        let ways = [Some(digits.as_str()), trunk, without_code].into_iter().flatten();
        let known = ways.filter_map(read).next().or_else(|| {
            // Codes of carriers and mobile prefixes of some countries are known to the library only.
            let id = home.country.filter(|_| without_code.is_none())?;
            let parsed = phonenumber::parse(Some(id), &digits).ok()?;
            let full = parsed.format().mode(phonenumber::Mode::E164).to_string();
            read(full.strip_prefix('+')?.strip_prefix(code.as_str())?)
        });
        if let Some(number) = known {
            return number;
        }
        // What begins as national numbers do is one, though the plan may not know its block yet.
        if let Some(rest) = trunk.filter(|_| digits.len() > MAX_SHORT + 2) {
            let resembles = resembled(&digits, home);
            return Number { resembles, ..international(format!("+{code}{rest}"), home) };
        }
    }
    let class = if digits.len() <= MAX_SHORT { Class::Short } else { Class::Unknown };
    let resembles = resembled(&digits, home);
    Number { digits, class, country: None, is_valid: false, resembles }
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

/// Whether a country code stands alone between `+` and the end.
pub(super) fn is_country_code(text: &str) -> bool {
    let code = text.strip_prefix('+').and_then(|code| code.parse::<u16>().ok());
    code.is_some_and(|code| DATABASE.by_code(&code).is_some())
}

/// For digits that no plan knows: the refused class they could be read as, in any of the ways a
/// provider may read them.
pub(super) fn resembled(digits: &str, home: &Home) -> Option<Class> {
    if home.begins_as_emergency(digits) {
        return Some(Class::Emergency);
    }
    let classes = readings(digits, home).into_iter().map(|full| {
        let number = international(full, home);
        let class = Some(number.class).filter(|class| class.is_refused_by_default());
        // Few digits that no plan knows are no number of another country.
        let counts = number.is_valid || digits.len() >= FEWEST_DIGITS_ABROAD;
        let class = class.filter(|class| counts || *class != Class::International);
        worse(class, number.resembles)
    });
    classes.fold(None, worse)
}

/// Digits without `+` as a provider may read them: as national ones, with the trunk prefix or
/// without, after the usual international prefixes, or as if the `+` was left out.
pub(super) fn readings(digits: &str, home: &Home) -> Vec<String> {
    let mut full = vec![format!("+{digits}")];
    full.extend(["00", "011", "810"].iter().filter_map(|prefix| {
        digits.strip_prefix(prefix).map(|rest| format!("+{}", rest.trim_start_matches('0')))
    }));
    if let Some((plan, code)) = metadata(home).zip(home_code(home)) {
        full.push(format!("+{code}{digits}"));
        let rest = trunk_prefix(plan).and_then(|prefix| digits.strip_prefix(prefix));
        full.extend(rest.map(|rest| format!("+{code}{rest}")));
    }
    full
}

/// As [`resembled`], of a number with its `+`.
fn resembled_in_full(digits: &str, home: &Home) -> Option<Class> {
    let rest = digits.strip_prefix('+').unwrap_or(digits);
    if is_dear_code(rest) {
        return Some(Class::Premium);
    }
    let (plans, national) = plans(rest)?;
    let mut is_premium = false;
    let without_zeros = national.trim_start_matches('0');
    let ways = with_and_without_trunk_prefix(&plans, national);
    for national in ways.into_iter().chain([without_zeros, rest]) {
        if home.is_emergency(national) {
            return Some(Class::Emergency);
        }
        is_premium |= national != rest && plans.iter().any(|plan| begins_dear(plan, national));
    }
    is_premium.then_some(Class::Premium)
}

/// Whether digits are a premium number of a plan with some digits too many, or a few that lack.
fn begins_dear(plan: &Metadata, national: &str) -> bool {
    dear(plan).into_iter().flatten().any(|kind| begins_as(kind, plan, national))
}

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

fn dear(plan: &Metadata) -> [Option<&Descriptor>; 2] {
    let kinds = plan.descriptors();
    [kinds.premium_rate(), kinds.shared_cost()]
}

/// The plans that share the country code a number begins with, and the digits behind it.
fn plans(digits: &str) -> Option<(Vec<&'static Metadata>, &str)> {
    (1..=3).find_map(|length| {
        let code: u16 = digits.get(..length)?.parse().ok()?;
        Some((DATABASE.by_code(&code)?, &digits[length..]))
    })
}

/// A national number as it stands, and without the trunk prefix of its country: people write that
/// behind the country code.
fn with_and_without_trunk_prefix<'n>(plans: &[&Metadata], national: &'n str) -> Vec<&'n str> {
    let prefixes = plans.iter().filter_map(|plan| trunk_prefix(plan));
    let stripped = prefixes.filter_map(|prefix| national.strip_prefix(prefix));
    let mut all: Vec<&str> = [national].into_iter().chain(stripped).collect();
    all.dedup();
    all
}

fn trunk_prefix(plan: &Metadata) -> Option<&str> {
    plan.national_prefix().filter(|prefix| !prefix.is_empty())
}

/// The plan that knows a national number. Countries that share a code (+1, +7, +44) are told apart
/// by the digits that begin their numbers, where the plans say so.
fn known(plans: &[&'static Metadata], national: &str) -> Option<Known> {
    plans.iter().find_map(|plan| {
        let is_led = plan
            .leading_digits()
            .is_none_or(|digits| digits.find(national).is_some_and(|found| found.start() == 0));
        let is_general = plan.descriptors().general().is_match(national);
        let is_known = is_led && is_general && kinds(plan).any(|kind| kind.is_match(national));
        is_known.then(|| {
            let is_dear = dear(plan).into_iter().flatten().any(|kind| kind.is_match(national));
            Known { plan, is_dear }
        })
    })
}

/// Every kind of number of a plan.
fn kinds(plan: &Metadata) -> impl Iterator<Item = &Descriptor> {
    let kinds = plan.descriptors();
    [
        kinds.fixed_line(),
        kinds.mobile(),
        kinds.premium_rate(),
        kinds.shared_cost(),
        kinds.toll_free(),
        kinds.voip(),
        kinds.personal_number(),
        kinds.uan(),
        kinds.voicemail(),
        kinds.pager(),
    ]
    .into_iter()
    .flatten()
}

impl Known {
    /// The number. Countries that share a code have prices of their own.
    fn number(&self, digits: String, code: &str, home: &Home) -> Number {
        let is_home = home.country.is_some_and(|id| id.as_ref() == self.plan.id());
        let class = match (self.is_dear || DEAR_CODES.contains(&code), is_home) {
            (true, _) => Class::Premium,
            (false, true) => Class::National,
            (false, false) => Class::International,
        };
        let country = Some(self.plan.id()).filter(|id| *id != "001").map(str::to_owned);
        Number { digits, class, country, is_valid: true, resembles: None }
    }
}

fn is_dear_code(digits: &str) -> bool {
    DEAR_CODES.iter().any(|code| digits.starts_with(code))
}

/// The class that more must be allowed for.
pub(super) fn worse(one: Option<Class>, other: Option<Class>) -> Option<Class> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (Some(class), None) | (None, Some(class)) => Some(class),
        (None, None) => None,
    }
}

/// The plan of the home country.
pub(super) fn metadata(home: &Home) -> Option<&'static Metadata> {
    DATABASE.by_id(home.country.as_ref()?.as_ref())
}

fn home_code(home: &Home) -> Option<String> {
    Some(metadata(home)?.country_code().to_string())
}
