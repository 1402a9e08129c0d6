//! What a rule without a prefix asks of an address. Pure.

use regex::{Regex, RegexBuilder};

use super::action::Literal;
use super::text::RuleText;
use super::{Call, glob};
use crate::reading::Variants;

/// Largest compiled expression, in bytes.
const MAX_COMPILED_BYTES: usize = 1 << 18;

/// What a rule asks of the address.
#[derive(Debug)]
pub(super) enum Matcher {
    Any,
    Glob(String),
    Range(u64, u64),
    Regex(Regex),
}

impl Matcher {
    /// What was caught of another way to write the number.
    pub(super) fn catch_variant(&self, variants: &Variants) -> Option<Vec<String>> {
        variants.whole.iter().chain(&variants.cut).find_map(|text| self.catch_text(text))
    }

    fn catch_text(&self, text: &str) -> Option<Vec<String>> {
        let whole = || vec![text.to_owned()];
        match self {
            Self::Any => None,
            Self::Glob(pattern) => glob::matches(pattern, text).then(whole),
            Self::Range(low, high) => {
                let digits = text.strip_prefix('+')?.parse::<u64>().ok()?;
                (*low..=*high).contains(&digits).then(whole)
            }
            Self::Regex(expression) => expression.is_match(text).then(whole),
        }
    }

    /// What was caught, the whole first; `None` where it does not match.
    pub(super) fn catch(&self, call: &Call<'_>) -> Option<Vec<String>> {
        let whole = || vec![call.text.to_owned()];
        match self {
            Self::Any => Some(whole()),
            Self::Glob(pattern) => {
                let is_match =
                    glob::matches(pattern, call.text) || glob::matches(pattern, call.dialled);
                is_match.then(whole)
            }
            Self::Range(low, high) => {
                let digits = call.number?.digits.strip_prefix('+')?.parse::<u64>().ok()?;
                (*low..=*high).contains(&digits).then(whole)
            }
            Self::Regex(expression) => {
                let captures = expression.captures(call.text)?;
                let text = |group: Option<regex::Match<'_>>| {
                    group.map_or(String::new(), |found| found.as_str().to_owned())
                };
                Some(captures.iter().map(text).collect())
            }
        }
    }
}

/// The matcher of a rule without a prefix, with what its text names by itself.
pub(super) fn read(text: &RuleText) -> Result<(Matcher, Literal), (&'static str, String)> {
    match (&text.pattern, &text.range, &text.regex) {
        (None, None, None) => Ok((Matcher::Any, Literal::Nothing)),
        (Some(pattern), None, None) => {
            Ok((Matcher::Glob(pattern.clone()), Literal::of_pattern(pattern)))
        }
        (None, Some(range), None) => {
            let (low, high) = glob::range(range)
                .ok_or_else(|| ("range", "a range is +4512340000 - +4512349999".to_owned()))?;
            Ok((Matcher::Range(low, high), Literal::Block))
        }
        (None, None, Some(expression)) => {
            let compiled = RegexBuilder::new(&format!("^(?:{expression})$"))
                .size_limit(MAX_COMPILED_BYTES)
                .dfa_size_limit(MAX_COMPILED_BYTES)
                .build()
                .map_err(|why| {
                    ("regex", why.to_string().lines().last().unwrap_or("").to_owned())
                })?;
            Ok((Matcher::Regex(compiled), Literal::Nothing))
        }
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) | (None, Some(_), Some(_)) => {
            Err(("match", "one of match, prefix, range and regex".to_owned()))
        }
    }
}
