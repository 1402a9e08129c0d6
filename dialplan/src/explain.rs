//! The tree of every step on the way from text to routes: typed, and rendered as text or JSON.
//!
//! Whoever takes a step writes it down as it goes, so an explanation cannot differ from what a call
//! does. It holds full addresses: it is for the person who asks, never for a log.

use std::fmt::{self, Write as _};

use serde::Serialize;

/// Most children of one step; more are counted, not kept.
const MAX_CHILDREN: usize = 200;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// What was dialled, and by whom.
    Dialled {
        /// The text.
        text: String,
        /// The account, or the trunk a call came in by.
        by: String,
    },
    /// How it was read.
    Read {
        /// As what: URI, number, name.
        kind: String,
        /// In its one form.
        text: String,
    },
    /// A number.
    Number {
        /// In international form where the numbering plan is known.
        number: String,
        /// What kind of number.
        class: String,
        /// ISO code of its country.
        country: Option<String>,
    },
    /// A contact of that name.
    Contact {
        /// The name.
        name: String,
        /// How many addresses it has.
        addresses: usize,
    },
    /// One of the addresses being pursued.
    Address {
        /// The address.
        address: String,
    },
    /// A local account.
    Account {
        /// Its name.
        account: String,
        /// How many devices can be rung now.
        devices: usize,
    },
    /// ENUM below one root (RFC 6116).
    Enum {
        /// The number.
        number: String,
        /// The root.
        root: String,
    },
    /// Servers of a domain (RFC 3263, RFC 6120).
    Servers {
        /// Of what.
        of: String,
    },
    /// A question to the DNS, and its answer.
    Question {
        /// The name.
        name: String,
        /// NAPTR, SRV, A or AAAA.
        kind: String,
        /// The records, or why there are none.
        answer: Vec<String>,
        /// Seconds the answer stays good.
        ttl_s: Option<u32>,
        /// secure, insecure, bogus or unchecked.
        dnssec: String,
        /// The answer is an old one: the servers do not answer now.
        is_stale: bool,
    },
    /// Somewhere to send to.
    Target {
        /// Address, port and transport.
        to: String,
        /// The name its certificate must show.
        name: String,
    },
    /// A rule, and what came of it.
    Rule {
        /// Its name, or its number in the file.
        rule: String,
        /// What it said.
        outcome: String,
    },
    /// A route in its place.
    Route {
        /// 1 is tried first. Equal ranks ring together.
        rank: usize,
        /// The trunk.
        trunk: String,
        /// Whom it asks for there.
        to: String,
        /// e2ee, hop, exposed or clear.
        security: String,
        /// What it costs, by the rules.
        cost: u32,
        /// Who learns what by it.
        notes: Vec<String>,
    },
    /// A sentence.
    Note {
        /// The sentence.
        text: String,
    },
    /// Why nothing can be had this way.
    Refused {
        /// The cause on the wire.
        cause: String,
        /// The sentence for the person.
        why: String,
    },
}

/// A step with what it led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// The step.
    #[serde(flatten)]
    pub step: Step,
    /// What it led to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Self>,
}

impl Node {
    /// A step that led nowhere yet.
    #[must_use]
    pub const fn new(step: Step) -> Self {
        Self { step, steps: Vec::new() }
    }

    /// Adds a step below this one, to be filled.
    pub fn open(&mut self, step: Step) -> &mut Self {
        if self.steps.len() >= MAX_CHILDREN {
            self.steps.truncate(MAX_CHILDREN - 1);
        }
        self.steps.push(Self::new(step));
        self.steps.last_mut().expect("one was just pushed")
    }

    /// Adds a sentence below this step.
    pub fn note(&mut self, text: impl Into<String>) {
        self.open(Step::Note { text: text.into() });
    }

    /// The tree as text, two spaces a level.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        self.write(0, &mut out);
        out
    }

    /// The tree as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings and numbers always render")
    }

    /// Every step, depth first.
    pub fn walk(&self) -> impl Iterator<Item = &Step> {
        let mut stack = vec![self];
        std::iter::from_fn(move || {
            let node = stack.pop()?;
            stack.extend(node.steps.iter().rev());
            Some(&node.step)
        })
    }

    fn write(&self, depth: usize, out: &mut String) {
        let indent = "  ".repeat(depth);
        writeln!(out, "{indent}{}", self.step).expect("writing to a string cannot fail");
        for step in &self.steps {
            step.write(depth + 1, out);
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dialled { text, by } => write!(f, "{by} dials {text}"),
            Self::Read { kind, text } => write!(f, "read as {kind}: {text}"),
            Self::Number { number, class, country } => {
                write!(f, "number {number}, {class}")?;
                country.iter().try_for_each(|country| write!(f, ", {country}"))
            }
            Self::Contact { name, addresses } => {
                write!(f, "contact {name} with {addresses} address(es)")
            }
            Self::Address { address } => write!(f, "address {address}"),
            Self::Account { account, devices } => {
                write!(f, "account {account}, {devices} device(s) connected")
            }
            Self::Enum { number, root } => write!(f, "ENUM of {number} below {root}"),
            Self::Servers { of } => write!(f, "servers of {of}"),
            Self::Question { name, kind, answer, ttl_s, dnssec, is_stale } => {
                write!(f, "{name} {kind}? {}", answer.join(" | "))?;
                ttl_s.iter().try_for_each(|ttl_s| write!(f, " (TTL {ttl_s} s)"))?;
                write!(f, " [{dnssec}]{}", if *is_stale { " an old answer" } else { "" })
            }
            Self::Target { to, name } => write!(f, "target {to} as {name}"),
            Self::Rule { rule, outcome } => write!(f, "rule {rule}: {outcome}"),
            Self::Route { rank, trunk, to, security, cost, notes } => {
                write!(f, "{rank}. {to} by {trunk} [{security}] cost {cost}")?;
                notes.iter().try_for_each(|note| write!(f, "; {note}"))
            }
            Self::Note { text } => f.write_str(text),
            Self::Refused { cause, why } => write!(f, "refused ({cause}): {why}"),
        }
    }
}
