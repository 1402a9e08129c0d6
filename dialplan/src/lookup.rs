//! Questions to the DNS and their answers, and the desk that look-ups ask at. Pure.
//!
//! A look-up is a function of the answers known so far. Where one is missing, the desk notes the
//! question and the look-up stops there with [`Pending`]; whoever runs it gets the answers and runs
//! it again. Questions that do not depend on each other are noted together.
//!
//! ```text
//! look-up --ask--> Desk --known?--> answer
//!                       --else----> noted, Pending --> shell --> Answers --> again
//! ```

pub mod draws;
pub mod e164;
pub mod service;
pub mod sip;
pub mod srv;
pub mod substitution;
#[cfg(test)]
pub(crate) mod zone;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::explain::{Node, Step};
use draws::Draws;

/// Most questions one resolution may ask: a hostile zone cannot make us busy.
pub const MAX_QUESTIONS: usize = 64;
/// Most records of one answer that are looked at.
pub const MAX_RECORDS: usize = 32;

/// A type of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// RFC 3403 §4.
    Naptr,
    /// RFC 2782.
    Srv,
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    Aaaa,
}

impl Kind {
    /// Its mnemonic.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Naptr => "NAPTR",
            Self::Srv => "SRV",
            Self::A => "A",
            Self::Aaaa => "AAAA",
        }
    }
}

/// What is asked. The name is absolute, in lower case, without the last dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Question {
    /// The name.
    pub name: String,
    /// The type of record.
    pub kind: Kind,
}

/// A rule of the DDDS (RFC 3403 §4.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Naptr {
    /// Lower first; a higher one only where no lower one can be used.
    pub order: u16,
    /// Lower first among the same order.
    pub preference: u16,
    /// `u`, `s`, `a`, or empty for a rule that leads to another name.
    pub flags: String,
    /// The services, as `E2U+sip` or `SIP+D2U`.
    pub services: String,
    /// The substitution, or empty.
    pub regexp: String,
    /// The next name, or empty.
    pub replacement: String,
}

/// The place of a service (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Srv {
    /// Lower first.
    pub priority: u16,
    /// Share among the same priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host; empty says that the service is decidedly not there.
    pub target: String,
}

/// A record of one of the types asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Record {
    /// A rule.
    Naptr(Naptr),
    /// A service.
    Srv(Srv),
    /// An address.
    A(Ipv4Addr),
    /// An address.
    Aaaa(Ipv6Addr),
}

/// What DNSSEC says of an answer (RFC 4035 §4.3). What is bogus is no answer: [`Failure::Bogus`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proof {
    /// It was not checked.
    Unchecked,
    /// The zone is provably not signed.
    Insecure,
    /// Signed, and the chain of trust holds.
    Secure,
}

impl Proof {
    /// The word in explanations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unchecked => "unchecked",
            Self::Insecure => "insecure",
            Self::Secure => "secure",
        }
    }
}

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Failure {
    /// Signatures that do not hold: somebody may be lying.
    #[error("its DNSSEC signatures do not hold")]
    Bogus,
    /// The servers say they cannot.
    #[error("its name servers fail")]
    ServFail,
    /// The servers said nothing in time.
    #[error("its name servers do not answer in time")]
    Timeout,
    /// That is no name of a domain.
    #[error("that is no domain name")]
    BadName,
    /// There is nobody to ask.
    #[error("no DNS server is configured")]
    NoServer,
    /// Nobody was asked: it would tell others what is typed.
    #[error("the DNS is asked only when somebody calls")]
    NotAsked,
    /// More questions than one call may ask.
    #[error("it leads to too many questions")]
    TooMany,
}

/// What the DNS says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Records; at least one of the type asked for.
    Found {
        /// The records.
        records: Vec<Record>,
        /// Seconds they stay good.
        ttl_s: u32,
        /// What DNSSEC says.
        proof: Proof,
        /// They are from before the servers failed.
        is_stale: bool,
    },
    /// There are none of that type, or there is no such name.
    Nothing {
        /// Seconds that stays good (RFC 2308 §5).
        ttl_s: u32,
        /// What DNSSEC says.
        proof: Proof,
        /// It is from before the servers failed.
        is_stale: bool,
    },
    /// No answer.
    Failed(Failure),
}

/// Every answer known so far.
pub type Answers = BTreeMap<Question, Answer>;

/// An answer is missing; its question is noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending;

/// What a look-up gives when all its answers are there.
pub type Found<T> = Result<T, Pending>;

/// Why a look-up found nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupFault {
    /// The DNS did not answer well.
    #[error("{0} cannot be looked up: {1}")]
    Failed(String, Failure),
    /// There is nothing of that name.
    #[error("{0} has no address")]
    Nothing(String),
    /// The domain says that it has no such service.
    #[error("{0} says that it does not offer this")]
    NotOffered(String),
    /// Only targets that this gateway may not call.
    #[error("{0} leads to an address this gateway does not call")]
    NotAllowed(String),
}

static TOO_MANY: Answer = Answer::Failed(Failure::TooMany);

/// Where look-ups ask.
pub struct Desk<'a> {
    answers: &'a Answers,
    noted: Vec<Question>,
    seed: u64,
}

impl<'a> Desk<'a> {
    /// A desk with these answers; `seed` decides between equals, the same way on every run.
    #[must_use]
    pub const fn new(answers: &'a Answers, seed: u64) -> Self {
        Self { answers, noted: Vec::new(), seed }
    }

    /// The answer to a question, if it is known.
    ///
    /// # Errors
    /// It is not known yet; the question is noted.
    pub fn ask(&mut self, node: &mut Node, name: &str, kind: Kind) -> Found<&'a Answer> {
        let question = Question { name: name.trim_end_matches('.').to_ascii_lowercase(), kind };
        if let Some(answer) = self.answers.get(&question) {
            node.open(shown(&question, answer));
            return Ok(answer);
        }
        if self.noted.contains(&question) {
            return Err(Pending);
        }
        if self.answers.len() + self.noted.len() >= MAX_QUESTIONS {
            node.open(shown(&question, &TOO_MANY));
            return Ok(&TOO_MANY);
        }
        self.noted.push(question);
        Err(Pending)
    }

    /// The draws for one set of records: the same for the same set in one resolution.
    #[must_use]
    pub fn draws(&self, name: &str) -> Draws {
        Draws::new(
            name.bytes().fold(self.seed, |seed, byte| {
                (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            }),
        )
    }

    /// The questions that were noted.
    #[must_use]
    pub fn into_noted(self) -> Vec<Question> {
        self.noted
    }
}

fn shown(question: &Question, answer: &Answer) -> Step {
    let (text, ttl_s, dnssec, is_stale) = match answer {
        Answer::Found { records, ttl_s, proof, is_stale } => {
            let text = records.iter().take(MAX_RECORDS).map(ToString::to_string).collect();
            (text, Some(*ttl_s), proof.as_str(), *is_stale)
        }
        Answer::Nothing { ttl_s, proof, is_stale } => {
            (vec!["nothing".to_owned()], Some(*ttl_s), proof.as_str(), *is_stale)
        }
        Answer::Failed(failure) => {
            let dnssec = if *failure == Failure::Bogus { "bogus" } else { "unchecked" };
            (vec![failure.to_string()], None, dnssec, false)
        }
    };
    Step::Question {
        name: question.name.clone(),
        kind: question.kind.as_str().to_owned(),
        answer: text,
        ttl_s,
        dnssec: dnssec.to_owned(),
        is_stale,
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Naptr(naptr) => write!(
                f,
                "{} {} \"{}\" \"{}\" \"{}\" {}.",
                naptr.order,
                naptr.preference,
                naptr.flags,
                naptr.services,
                naptr.regexp,
                naptr.replacement
            ),
            Self::Srv(srv) => {
                write!(f, "{} {} {} {}.", srv.priority, srv.weight, srv.port, srv.target)
            }
            Self::A(ip) => write!(f, "{ip}"),
            Self::Aaaa(ip) => write!(f, "{ip}"),
        }
    }
}
