//! Rules: who may reach what, by which trunk, when, and how it is dialled there. Pure.
//!
//! ```text
//! [[route]] --compile--> conditions + action, each kept once
//!   prefix = ..  --> table, the longest prefix that applies counts
//!   all others   --> list
//! matching rules in the order of the file; the first `deny` ends them
//! ```
//!
//! A broken file changes nothing: [`Rules::parse`] gives new rules or says which line is wrong.

mod action;
mod glob;
mod matcher;
mod objection;
mod prefix;
mod text;
mod when;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use action::{Action, Choice, Choose};
pub use objection::{Objection, unruled};
pub use text::{RuleText, Several};

use crate::reading::{Number, Variants};
use action::Literal;
use matcher::Matcher;
use prefix::{Entry, PrefixTable};
use when::When;

/// Most rules.
const MAX_RULES: usize = 2_000_000;
/// Most rules that can apply to one call.
const MAX_MATCHES: usize = 64;

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{key}: {why}", line.map_or(String::new(), |line| format!("line {line}: ")))]
pub struct RuleFault {
    /// The line of the file, from 1, where the text was at hand.
    pub line: Option<usize>,
    /// Which rule, from 0.
    pub rule: usize,
    /// Which of its keys.
    pub key: String,
    /// What is wrong.
    pub why: String,
}

/// One `[[inbound]]`: lets a trunk reach an account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct InboundRule {
    /// The trunk the call comes in by.
    pub trunk: String,
    /// The number or user that is called, or `*` for all.
    pub number: String,
    /// The account it is for, or `echo`.
    pub account: String,
}

/// Who, from where: what a rule asks of a call. Kept once for all rules with the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Conditions {
    /// Accounts; none is any.
    from: Vec<String>,
    /// Networks or trunks; none is any.
    networks: Vec<String>,
    when: Option<When>,
}

/// A rule whose address matches; its conditions are not checked yet.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    order: u32,
    conditions: u32,
    action: u32,
    cost: u32,
}

/// A rule that is not found by its prefix.
#[derive(Debug)]
struct General {
    found: Candidate,
    matcher: Matcher,
    literal: Literal,
}

/// All rules.
#[derive(Debug, Default)]
pub struct Rules {
    general: Vec<General>,
    prefixes: PrefixTable,
    conditions: Vec<Conditions>,
    actions: Vec<Action>,
    names: BTreeMap<u32, Box<str>>,
    count: usize,
}

/// A call, as rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'c> {
    /// The account that calls.
    pub account: &'c str,
    /// The trunk the call came in by.
    pub trunk: &'c str,
    /// What is reached: a number in its international form, a name, or a whole address.
    pub text: &'c str,
    /// As it was typed; of a number its digits only.
    pub dialled: &'c str,
    /// The number, if it is one.
    pub number: Option<&'c Number>,
    /// The other ways to write it: a rule that refuses one of them refuses it.
    pub variants: &'c Variants,
    /// Seconds since 1970, UTC.
    pub now_s: i64,
}

/// A rule that applies.
#[derive(Debug)]
pub struct Match<'r> {
    /// Its place in the file, from 0.
    pub order: u32,
    /// Its name, or its number in the file.
    pub name: String,
    /// What it does.
    pub action: &'r Action,
    /// What a call costs by it, where its trunk says nothing else.
    pub cost: u32,
    /// What it says of the number by itself: `+45` names Denmark, `*` names nothing.
    literal: Literal,
    /// What its expression caught.
    captures: Vec<String>,
}

impl Match<'_> {
    /// What is dialled at the trunk in place of `number`.
    #[must_use]
    pub fn rewritten(&self, number: &str) -> Option<String> {
        self.action.rewrite(number, &self.captures)
    }

    /// Where the call is sent instead, if the rule says so.
    #[must_use]
    pub fn redirected(&self) -> Option<String> {
        let to = self.action.to.as_deref()?;
        Some(action::fill(to, &self.captures))
    }
}

/// What a rule that matched asks the caller to be, and what came of it.
#[derive(Debug)]
pub enum Tried<'r> {
    /// It applies.
    Applies(Match<'r>),
    /// It would, at another time.
    NotNow(String),
}

impl Tried<'_> {
    fn denies(&self) -> bool {
        match self {
            Self::Applies(found) => found.action.deny.is_some(),
            Self::NotNow(_) => false,
        }
    }
}

impl Rules {
    /// Compiles rules.
    ///
    /// # Errors
    /// What is wrong, and with which rule.
    pub fn compile(texts: &[RuleText]) -> Result<Self, RuleFault> {
        let mut rules = Self { count: texts.len(), ..Self::default() };
        let (mut condition_ids, mut action_ids) = (BTreeMap::new(), BTreeMap::new());
        let mut entries = Vec::new();
        for (at, text) in texts.iter().enumerate() {
            let fault = |(key, why): (&str, String)| RuleFault {
                line: None,
                rule: at,
                key: format!("route[{at}].{key}"),
                why,
            };
            if at >= MAX_RULES {
                return Err(fault(("from", "there are too many rules".to_owned())));
            }
            let order = u32::try_from(at).expect("below MAX_RULES");
            let conditions = Conditions {
                from: text.from.names(),
                networks: text.network.names(),
                when: When::read(text).map_err(fault)?,
            };
            let action = Action::read(text).map_err(fault)?;
            let conditions = intern(&mut rules.conditions, &mut condition_ids, conditions);
            let action = intern(&mut rules.actions, &mut action_ids, action);
            if let Some(name) = &text.name {
                rules.names.insert(order, name.as_str().into());
            }
            let found = Candidate { order, conditions, action, cost: text.cost.unwrap_or(0) };
            let prefixes = text.prefix.all();
            for prefix in prefixes {
                let entry = Entry::new(prefix, &found);
                let why = "a prefix is a + or not, and 1 to 14 digits";
                entries.push(entry.ok_or_else(|| fault(("prefix", why.to_owned())))?);
            }
            if prefixes.is_empty() {
                let (matcher, literal) = matcher::read(text).map_err(fault)?;
                rules.general.push(General { found, matcher, literal });
            } else if text.pattern.is_some() || text.range.is_some() || text.regex.is_some() {
                let why = "one of match, prefix, range and regex".to_owned();
                return Err(fault(("prefix", why)));
            }
        }
        rules.prefixes = PrefixTable::new(entries);
        rules.conditions.shrink_to_fit();
        rules.actions.shrink_to_fit();
        Ok(rules)
    }

    /// Reads a file of `[[route]]`.
    ///
    /// # Errors
    /// What is wrong, and on which line.
    pub fn parse(file: &str) -> Result<Self, RuleFault> {
        let texts = text::parse(file)?;
        Self::compile(&texts).map_err(|mut fault| {
            fault.line = text::line_of(file, &fault);
            fault
        })
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes the compiled rules take beyond their own text, about.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>()
            + self.prefixes.size_bytes()
            + self.general.capacity() * size_of::<General>()
            + self.conditions.capacity() * size_of::<Conditions>()
            + self.actions.capacity() * size_of::<Action>()
            + self.names.len() * 3 * size_of::<(u32, Box<str>)>()
    }

    /// Every trunk that a rule names, with the rule.
    pub fn trunks(&self) -> impl Iterator<Item = &str> {
        self.actions.iter().flat_map(|action| &action.trunks).map(|choice| choice.trunk.as_str())
    }

    /// The rules for a call, in the order of the file. Nothing after a `deny` comes.
    #[must_use]
    pub fn find(&self, call: &Call<'_>) -> Vec<Tried<'_>> {
        let mut tried = self.by_address(call);
        // Only a number has a prefix.
        let number = call.number.map_or("", |number| number.digits.as_str());
        tried.extend(self.by_prefix(call, number));
        for variant in &call.variants.whole {
            let found = self.by_prefix(call, variant).into_iter();
            tried.extend(found.filter(|(_, tried)| tried.denies()));
        }
        tried.sort_by_key(|(order, _)| *order);
        tried.dedup_by_key(|(order, _)| *order);
        let end = tried.iter().position(|(_, tried)| tried.denies());
        tried.truncate(end.map_or(tried.len(), |at| at + 1));
        tried.into_iter().map(|(_, tried)| tried).collect()
    }

    /// The rules without a prefix that match.
    fn by_address(&self, call: &Call<'_>) -> Vec<(u32, Tried<'_>)> {
        let mut tried = Vec::new();
        for rule in &self.general {
            if tried.len() >= MAX_MATCHES {
                break;
            }
            let denies = self.actions[rule.found.action as usize].deny.is_some();
            let captures = rule
                .matcher
                .catch(call)
                .or_else(|| denies.then(|| rule.matcher.catch_variant(call.variants)).flatten());
            let Some(captures) = captures else { continue };
            tried.extend(self.apply(&rule.found, call, rule.literal, captures));
        }
        tried
    }

    /// The rules with the longest prefix that apply: it hides the shorter ones.
    fn by_prefix(&self, call: &Call<'_>, digits: &str) -> Vec<(u32, Tried<'_>)> {
        let mut tried = Vec::new();
        for entries in self.prefixes.longest_first(digits) {
            for entry in entries.iter().take(MAX_MATCHES) {
                let literal = Literal::of_prefix(&digits[..entry.len().min(digits.len())]);
                let caught = vec![digits.to_owned()];
                tried.extend(self.apply(&entry.candidate(), call, literal, caught));
            }
            if tried.iter().any(|(_, tried)| matches!(tried, Tried::Applies(_))) {
                break;
            }
        }
        tried
    }

    fn apply(
        &self,
        found: &Candidate,
        call: &Call<'_>,
        literal: Literal,
        captures: Vec<String>,
    ) -> Option<(u32, Tried<'_>)> {
        let conditions = &self.conditions[found.conditions as usize];
        let is_from =
            conditions.from.is_empty() || conditions.from.iter().any(|from| from == call.account);
        let network = call.trunk.split('.').next().unwrap_or(call.trunk);
        let is_network = conditions.networks.is_empty()
            || conditions.networks.iter().any(|name| name == call.trunk || name == network);
        if !is_from || !is_network {
            return None;
        }
        let name = self.name(found.order);
        if conditions.when.as_ref().is_some_and(|when| !when.is_now(call.now_s)) {
            return Some((found.order, Tried::NotNow(name)));
        }
        let action = &self.actions[found.action as usize];
        let Candidate { order, cost, .. } = *found;
        let found = Match { order, name, action, cost, literal, captures };
        Some((order, Tried::Applies(found)))
    }

    fn name(&self, order: u32) -> String {
        self.names.get(&order).map_or_else(|| (order + 1).to_string(), ToString::to_string)
    }
}

fn intern<T: Clone + Ord>(all: &mut Vec<T>, ids: &mut BTreeMap<T, u32>, one: T) -> u32 {
    let next = u32::try_from(all.len()).expect("below MAX_RULES");
    *ids.entry(one).or_insert_with_key(|one| {
        all.push(one.clone());
        next
    })
}

#[cfg(test)]
mod tests;
