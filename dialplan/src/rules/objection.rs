//! Why a number may not leave by a trunk. Pure.

use std::fmt;

use super::Match;
use super::action::Literal;
use crate::reading::{Class, Number};

/// What has more digits is no extension of a PBX.
const LONGEST_EXTENSION: usize = 6;

/// Why a number may not leave by a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objection {
    /// Numbers of this class must be allowed or named.
    Class(Class),
    /// No plan knows the number, and with other digits or read in another way it is of this class.
    Resembles(Class),
    /// No plan knows the number.
    Unknown,
    /// It is a short one, like those of services, and no rule names it whole.
    Short,
}

impl Objection {
    fn of_unknown(number: &Number) -> Self {
        if number.class == Class::Short { Self::Short } else { Self::Unknown }
    }
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Class(class) => {
                let class = class.as_str();
                write!(f, "{class} numbers are refused unless a [[route]] names or allows them")
            }
            Self::Resembles(class) => {
                let class = class.as_str();
                write!(
                    f,
                    "no numbering plan knows this number, and it resembles a number of the class \
                     {class}: those are refused unless a [[route]] names or allows them"
                )
            }
            Self::Short => f.write_str(
                "short numbers are refused unless a [[route]] says how long they are, like \
                 match = \"116117\" or \"1??\"",
            ),
            Self::Unknown => f.write_str(
                "no numbering plan knows this number: check its digits. A [[route]] with \
                 allow = [\"unknown\"] lets such numbers pass",
            ),
        }
    }
}

/// Why a number may not leave by a trunk to which no rule leads, if there is a reason.
#[must_use]
pub fn unruled(number: &Number) -> Option<Objection> {
    // A service acts on the line of the operator: the owner of a number cannot order it.
    let is_refused = |class: &Class| class.is_refused_by_default() || *class == Class::Service;
    let class = Some(number.class).filter(is_refused);
    let unknown = (!number.is_valid).then(|| Objection::of_unknown(number));
    class.map(Objection::Class).or(number.resembles.map(Objection::Resembles)).or(unknown)
}

impl Match<'_> {
    /// Why the rule does not let such a number be dialled by a trunk that charges for it, if there
    /// is a reason: emergency, premium and international numbers only where it allows or names them;
    /// numbers that no plan knows likewise.
    #[must_use]
    pub fn objection(&self, number: &Number) -> Option<Objection> {
        self.objection_to_class(number).or_else(|| {
            let resembled = number.resembles.filter(|class| !self.lets(*class));
            let is_unknown = !number.is_valid && !self.names_unknown();
            resembled
                .map(Objection::Resembles)
                .or(is_unknown.then(|| Objection::of_unknown(number)))
        })
    }

    /// Likewise where numbers that no plan knows have a meaning, as for a PBX: the class counts, and
    /// what a number resembles that is too long for an extension.
    #[must_use]
    pub fn objection_to_class(&self, number: &Number) -> Option<Objection> {
        if !self.lets(number.class) {
            return Some(Objection::Class(number.class));
        }
        let is_long = number.digits.len() > LONGEST_EXTENSION;
        let resembled = number.resembles.filter(|class| is_long && !self.lets(*class));
        resembled.map(Objection::Resembles)
    }

    /// Likewise of what a rule makes of a known number: only what the plans know of it counts.
    #[must_use]
    pub fn objection_to_known(&self, number: &Number) -> Option<Objection> {
        let is_refused = number.is_valid && !self.lets(number.class);
        is_refused.then_some(Objection::Class(number.class))
    }

    /// Whether the rule names the whole of what is dialled.
    #[must_use]
    pub fn names_all(&self) -> bool {
        self.literal == Literal::Whole
    }

    fn lets(&self, class: Class) -> bool {
        !class.is_refused_by_default()
            || self.action.allow.contains(&class)
            || self.literal.names(class)
    }

    fn names_unknown(&self) -> bool {
        self.action.allows_unknown || self.literal.names_unknown()
    }
}
