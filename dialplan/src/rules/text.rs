//! Rules as they stand in a file.
//!
//! ```toml
//! [[route]]
//! from = "alice"
//! match = "+45*"            # or prefix = "+45", range = "+4510 - +4519", regex = "\\+45(.*)"
//! trunk = "sip.provider"    # or trunks = [{ trunk = "..", weight = 3 }], choose = "weight"
//! ```

use gateway_core::route::Require;
use serde::{Deserialize, Serialize};

use super::RuleFault;
use crate::reading::Class;

/// One or several words.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Several {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Default for Several {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl From<&str> for Several {
    fn from(one: &str) -> Self {
        Self::One(one.to_owned())
    }
}

impl Several {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.all().is_empty()
    }

    /// All of them, or none where `*` says any.
    pub(super) fn names(&self) -> Vec<String> {
        if self.all().iter().any(|name| name == "*") { Vec::new() } else { self.all().to_vec() }
    }
}

/// One of several trunks.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ChoiceText {
    /// The trunk.
    pub trunk: String,
    /// Its share, with `choose = "weight"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u16>,
    /// What a call costs there, in any unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<u32>,
}

/// One `[[route]]`: lets accounts reach further. Without `match`, `prefix`, `range` or `regex` it is
/// about everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuleText {
    /// What explanations call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The account or accounts that may use it, or `*` for every account.
    pub from: Several,
    /// The network or trunk the caller is at, or several; any without.
    #[serde(skip_serializing_if = "Several::is_none")]
    pub network: Several,
    /// What is dialled, with `*` for any text and `?` for any letter: `+45*`, `sip:*@example.org`.
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// What a number begins with, or several. Of all rules with a prefix the longest counts.
    #[serde(skip_serializing_if = "Several::is_none")]
    pub prefix: Several,
    /// The first and last number: `+4512340000 - +4512349999`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
    /// An expression for the whole of what is dialled; `$1` in `rewrite` and `to` is its first group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// Weekdays: `mon-fri, sun`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<String>,
    /// Hours: `08:00-12:00, 13:00-17:00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The time zone of both: `Europe/Copenhagen`; UTC without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The trunk that dials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trunk: Option<String>,
    /// Several trunks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trunks: Vec<ChoiceText>,
    /// How one of several is chosen: `order` (the default), `weight` or `cost`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choose: Option<String>,
    /// What a call costs by `trunk`, in any unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<u32>,
    /// How many letters of the number are dropped from its front.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strip: Option<u8>,
    /// What is put in front of the number after that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prepend: Option<String>,
    /// What is dialled at the trunk: digits and `$1` of `regex`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<String>,
    /// Where the call goes instead: an address, which is looked for as if it was dialled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The protection asked for: `encrypted` or `end-to-end`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require: Option<String>,
    /// How long it may ring, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring_s: Option<u16>,
    /// Refuses, with this sentence for the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<String>,
    /// What may be dialled by it beside the usual: `emergency`, `premium`, `international`, and
    /// `unknown`: numbers that no plan knows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
}

/// The words of `require`.
pub(super) fn require(word: Option<&str>) -> Option<Require> {
    match word {
        None | Some("any") => Some(Require::Any),
        Some("encrypted") => Some(Require::Encrypted),
        Some("end-to-end") => Some(Require::EndToEnd),
        Some(_) => None,
    }
}

/// The word of `allow` for numbers that no plan knows.
pub(super) const UNKNOWN: &str = "unknown";

/// The other words of `allow`.
pub(super) fn class(word: &str) -> Option<Class> {
    let known = [Class::Emergency, Class::Premium, Class::International];
    known.into_iter().find(|class| class.as_str() == word)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    route: Vec<RuleText>,
}

/// Reads a file's rules.
pub(super) fn parse(file: &str) -> Result<Vec<RuleText>, RuleFault> {
    toml::from_str::<File>(file).map(|file| file.route).map_err(|why| {
        let start = why.span().map(|span| span.start.min(file.len()));
        let line = start.map(|start| file[..start].matches('\n').count() + 1);
        let rule = start.map_or(0, |start| file[..start].matches("[[route]]").count());
        RuleFault {
            line,
            rule: rule.saturating_sub(1),
            key: "route".to_owned(),
            why: why.message().to_owned(),
        }
    })
}

/// The line of a fault's key: within its `[[route]]`, else that line itself.
pub(super) fn line_of(file: &str, fault: &RuleFault) -> Option<usize> {
    let is_header = |line: &str| {
        let line = line.trim().split('#').next().unwrap_or("").replace(' ', "");
        line.trim_end() == "[[route]]"
    };
    let key = fault.key.rsplit('.').next().unwrap_or("");
    let mut lines = file.lines().enumerate().skip_while(|(_, line)| !is_header(line));
    let mut headers = 0;
    let start = lines.find(|(_, line)| {
        headers += usize::from(is_header(line));
        headers == fault.rule + 1
    });
    let (start, _) = start?;
    let within = lines.take_while(|(_, line)| !line.trim_start().starts_with('['));
    let is_key = |line: &str| line.split('=').next().is_some_and(|name| name.trim() == key);
    let found = within.map(|(at, line)| (at, is_key(line))).find(|(_, is_key)| *is_key);
    Some(found.map_or(start, |(at, _)| at) + 1)
}
