//! What a rule does: trunks, rewriting, refusal; and what its text names by itself.

use std::time::Duration;

use gateway_core::route::Require;

use super::text::{self, RuleText};
use crate::lookup::Srv;
use crate::lookup::draws::Draws;
use crate::lookup::srv;
use crate::reading::Class;

/// Most digits that are dialled at a trunk.
const MAX_DIALLED: usize = 32;

/// How one of several trunks is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Choose {
    /// As they stand.
    #[default]
    Order,
    /// By draws, as RFC 2782 does.
    Weight,
    /// The cheapest first.
    Cost,
}

/// One trunk of a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Choice {
    /// The trunk.
    pub trunk: String,
    /// Its share.
    pub weight: u16,
    /// What a call costs there, where that is not the cost of the rule.
    pub cost: Option<u32>,
}

/// What a rule does. Kept once for all rules that do the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Action {
    /// The trunks that dial.
    pub trunks: Vec<Choice>,
    /// How one of several is chosen.
    pub choose: Choose,
    /// Refuses, with this sentence.
    pub deny: Option<String>,
    /// Where the call goes instead.
    pub to: Option<String>,
    /// What it asks of the protection: 0 any, 1 encrypted, 2 end to end.
    require: u8,
    /// How long it may ring, in seconds.
    ring_s: Option<u16>,
    /// Classes of numbers it allows beside the usual.
    pub allow: Vec<Class>,
    /// Whether it allows numbers that no plan knows.
    pub allows_unknown: bool,
    strip: u8,
    prepend: Option<String>,
    rewrite: Option<String>,
}

impl Action {
    pub(super) fn read(text: &RuleText) -> Result<Self, (&'static str, String)> {
        let single =
            text.trunk.as_ref().map(|trunk| Choice { trunk: trunk.clone(), weight: 1, cost: None });
        let several = text.trunks.iter().map(|choice| Choice {
            trunk: choice.trunk.clone(),
            weight: choice.weight.unwrap_or(1),
            cost: choice.cost,
        });
        let trunks: Vec<Choice> = single.into_iter().chain(several).collect();
        let ends = [!trunks.is_empty(), text.deny.is_some(), text.to.is_some()];
        if ends.iter().filter(|is_there| **is_there).count() != 1 {
            return Err(("trunk", "a rule has one of trunk, trunks, to and deny".to_owned()));
        }
        let choose = match text.choose.as_deref() {
            None | Some("order") => Choose::Order,
            Some("weight") => Choose::Weight,
            Some("cost") => Choose::Cost,
            Some(_) => return Err(("choose", "order, weight or cost".to_owned())),
        };
        let require = match text::require(text.require.as_deref()) {
            Some(Require::Any) => 0,
            Some(Require::Encrypted) => 1,
            Some(Require::EndToEnd) => 2,
            None => return Err(("require", "any, encrypted or end-to-end".to_owned())),
        };
        let (mut allow, mut allows_unknown) = (Vec::new(), false);
        for word in &text.allow {
            if word == text::UNKNOWN {
                allows_unknown = true;
                continue;
            }
            let why = "emergency, premium, international or unknown";
            allow.push(text::class(word).ok_or(("allow", why.to_owned()))?);
        }
        if text.rewrite.is_some() && (text.strip.is_some() || text.prepend.is_some()) {
            return Err(("rewrite", "either rewrite, or strip and prepend".to_owned()));
        }
        let is_dialled = |text: &str| text.bytes().all(|byte| b"0123456789+*#$".contains(&byte));
        for (key, part) in [("rewrite", &text.rewrite), ("prepend", &text.prepend)] {
            if part.as_deref().is_some_and(|part| !is_dialled(part)) {
                return Err((key, "only digits, +, *, # and groups like $1".to_owned()));
            }
        }
        Ok(Self {
            trunks,
            choose,
            deny: text.deny.clone(),
            to: text.to.clone(),
            require,
            ring_s: text.ring_s,
            allow,
            allows_unknown,
            strip: text.strip.unwrap_or(0),
            prepend: text.prepend.clone(),
            rewrite: text.rewrite.clone(),
        })
    }

    /// The protection it asks for.
    #[must_use]
    pub const fn require(&self) -> Require {
        match self.require {
            0 => Require::Any,
            1 => Require::Encrypted,
            _ => Require::EndToEnd,
        }
    }

    /// How long it may ring.
    #[must_use]
    pub fn ring_limit(&self) -> Option<Duration> {
        self.ring_s.map(|ring_s| Duration::from_secs(ring_s.into()))
    }

    /// The trunks in the order to try them; `cost` is that of the rule.
    #[must_use]
    pub fn ordered(&self, cost: u32, draws: &mut Draws) -> Vec<&Choice> {
        match self.choose {
            Choose::Order => self.trunks.iter().collect(),
            Choose::Cost => {
                let mut trunks: Vec<&Choice> = self.trunks.iter().collect();
                trunks.sort_by_key(|choice| choice.cost.unwrap_or(cost));
                trunks
            }
            Choose::Weight => {
                let record = |(place, choice): (usize, &Choice)| Srv {
                    priority: 0,
                    weight: choice.weight,
                    port: u16::try_from(place).unwrap_or(u16::MAX),
                    target: String::new(),
                };
                let records = self.trunks.iter().enumerate().map(record).collect();
                let ordered = srv::order(records, draws);
                ordered
                    .iter()
                    .filter_map(|record| self.trunks.get(usize::from(record.port)))
                    .collect()
            }
        }
    }

    /// What is dialled at the trunk: still a number, or nothing.
    pub(super) fn rewrite(&self, number: &str, captures: &[String]) -> Option<String> {
        let dialled = match &self.rewrite {
            Some(rewrite) => fill(rewrite, captures),
            None => {
                let rest = number.get(usize::from(self.strip)..)?;
                format!("{}{rest}", self.prepend.as_deref().unwrap_or(""))
            }
        };
        let digits = dialled.strip_prefix('+').unwrap_or(&dialled);
        let is_number = !digits.is_empty()
            && dialled.len() <= MAX_DIALLED
            && digits.bytes().all(|byte| byte.is_ascii_digit() || b"*#".contains(&byte));
        is_number.then_some(dialled)
    }

    /// Whether it leaves numbers as they are.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        self.rewrite.is_none() && self.strip == 0 && self.prepend.is_none()
    }
}

/// Fills `$0` to `$9` with what an expression caught.
pub(super) fn fill(template: &str, captures: &[String]) -> String {
    let mut out = String::with_capacity(template.len());
    let mut letters = template.chars().peekable();
    while let Some(letter) = letters.next() {
        let group = letters.peek().and_then(|next| next.to_digit(10)).filter(|_| letter == '$');
        match group {
            Some(group) => {
                letters.next();
                out.push_str(captures.get(group as usize).map_or("", String::as_str));
            }
            None => out.push(letter),
        }
    }
    out
}

/// How much of a number a rule's own text names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Literal {
    /// Nothing: `*`, `+*`, an expression.
    Nothing,
    /// How long it is and what begins it: `1??`.
    Length,
    /// At least the country: `+45*`.
    Country,
    /// The country and the length: a range, `+4570??????`.
    Block,
    /// The whole number: `112`.
    Whole,
}

impl Literal {
    pub(super) fn of_pattern(pattern: &str) -> Self {
        let begin = pattern.split(['*', '?']).next().unwrap_or("");
        let has_length = !pattern.contains('*') && begin.contains(|c: char| c.is_ascii_digit());
        match (pattern == begin, has_length, Self::of_prefix(begin)) {
            (true, ..) => Self::Whole,
            (false, true, Self::Country) => Self::Block,
            (false, true, _) => Self::Length,
            (false, false, named) => named,
        }
    }

    pub(super) fn of_prefix(prefix: &str) -> Self {
        let prefix = prefix.strip_prefix("tel:").unwrap_or(prefix);
        let after = prefix.strip_prefix('+').or_else(|| prefix.strip_prefix("00")).unwrap_or("");
        if after.is_empty() { Self::Nothing } else { Self::Country }
    }

    /// Whether it names numbers of this class.
    pub(super) const fn names(self, class: Class) -> bool {
        match (self, class) {
            (Self::Whole, _) | (Self::Country | Self::Block, Class::International) => true,
            (
                Self::Country | Self::Block,
                Class::Emergency
                | Class::Premium
                | Class::National
                | Class::Short
                | Class::Service
                | Class::Unknown,
            )
            | (Self::Nothing | Self::Length, _) => false,
        }
    }

    /// Whether it names numbers that no plan knows, since it says how long they are.
    pub(super) const fn names_unknown(self) -> bool {
        match self {
            Self::Whole | Self::Block | Self::Length => true,
            Self::Nothing | Self::Country => false,
        }
    }
}
