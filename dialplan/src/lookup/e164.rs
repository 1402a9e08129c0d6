//! ENUM: from a number to addresses (RFC 6116). Pure.
//!
//! ```text
//! +4512 --> 2.1.5.4.<root> NAPTR --"u"--> substitution --> address
//!                                --"" --> another name, at most 5 times
//! ```
//!
//! Whoever runs the zone writes the records: results are parsed as addresses, limited in number, and
//! go through rules like anything that is dialled. Not supported: services other than `sip`, `pstn`,
//! `xmpp`, `sms` and `voice:tel`; they are passed over.

use gateway_core::{Address, Scheme};

use super::substitution;
use super::{Answer, Desk, Failure, Found, Kind, LookupFault, MAX_RECORDS, Naptr, Proof, Record};
use crate::explain::{Node, Step};

/// How often a rule may lead to another name.
pub const MAX_HOPS: usize = 5;
/// Most results of one look-up.
const MAX_RESULTS: usize = 16;

/// What a result is good for (RFC 6118).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// `E2U+sip` (RFC 3764).
    Sip,
    /// `E2U+pstn:tel`, `E2U+pstn:sip` (RFC 4769), `E2U+voice:tel` (RFC 4415).
    Pstn,
    /// `E2U+xmpp` (RFC 4979).
    Xmpp,
    /// `E2U+sms:tel` (RFC 4355): short messages only.
    Sms,
}

impl Service {
    fn allows(self, scheme: Scheme) -> bool {
        match self {
            Self::Sip => matches!(scheme, Scheme::Sip | Scheme::Sips),
            Self::Pstn => matches!(scheme, Scheme::Tel | Scheme::Sip | Scheme::Sips),
            Self::Xmpp => scheme == Scheme::Xmpp,
            Self::Sms => matches!(scheme, Scheme::Tel | Scheme::Sms),
        }
    }
}

/// One result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// What it is good for.
    pub service: Service,
    /// The address.
    pub address: Address,
    /// The root it was found below.
    pub root: String,
    /// What DNSSEC says of the answers that led to it; the weakest.
    pub proof: Proof,
}

/// The name of a number below a root (RFC 6116 §3.2), if it is an international one.
#[must_use]
pub fn name_of(number: &str, root: &str) -> Option<String> {
    let digits = number.strip_prefix('+')?;
    if digits.is_empty() || digits.len() > 15 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut name = String::with_capacity(2 * digits.len() + root.len());
    for digit in digits.chars().rev() {
        name.push(digit);
        name.push('.');
    }
    name.push_str(root.trim_matches('.'));
    Some(name)
}

/// The addresses of a number: those below the first root that has any, in the order to try them.
///
/// # Errors
/// Inside: there are none; the worst of what went wrong.
pub fn look_up(
    desk: &mut Desk<'_>,
    node: &mut Node,
    number: &str,
    roots: &[String],
) -> Found<Result<Vec<Mapping>, LookupFault>> {
    let mut worst = None;
    for root in roots {
        let Some(name) = name_of(number, root) else { break };
        let node = node.open(Step::Enum { number: number.to_owned(), root: root.clone() });
        let mut walk = Walk { number, root, seen: Vec::new(), proof: Proof::Secure };
        match walk.follow(desk, node, &name)? {
            Ok(mappings) if mappings.is_empty() => {}
            Ok(mappings) => return Ok(Ok(mappings)),
            Err(failure) => {
                worst.get_or_insert(LookupFault::Failed(root.clone(), failure));
            }
        }
    }
    Ok(Err(worst.unwrap_or_else(|| LookupFault::Nothing(number.to_owned()))))
}

/// The way through the rules below one root.
struct Walk<'w> {
    number: &'w str,
    root: &'w str,
    seen: Vec<String>,
    proof: Proof,
}

impl Walk<'_> {
    fn follow(
        &mut self,
        desk: &mut Desk<'_>,
        node: &mut Node,
        name: &str,
    ) -> Found<Result<Vec<Mapping>, Failure>> {
        if self.seen.len() > MAX_HOPS || self.seen.iter().any(|seen| seen == name) {
            node.note("the rules lead in a circle, or too far");
            return Ok(Ok(Vec::new()));
        }
        self.seen.push(name.to_owned());
        let (records, proof) = match desk.ask(node, name, Kind::Naptr)? {
            Answer::Found { records, proof, .. } => (rules(records), *proof),
            Answer::Nothing { .. } => return Ok(Ok(Vec::new())),
            Answer::Failed(failure) => return Ok(Err(*failure)),
        };
        self.proof = self.proof.min(proof);
        let mut mappings: Vec<Mapping> = Vec::new();
        let mut order = None;
        for naptr in records {
            // RFC 3403 §4.1: once a record of one order was used, those of a higher are not.
            if order.is_some_and(|order| naptr.order > order) || mappings.len() >= MAX_RESULTS {
                break;
            }
            let used = if naptr.flags.is_empty() {
                match self.next_name(node, naptr) {
                    Some(next) => match self.follow(desk, node, &next)? {
                        Ok(found) => found,
                        Err(failure) => return Ok(Err(failure)),
                    },
                    None => Vec::new(),
                }
            } else {
                self.terminal(node, naptr)
            };
            if !used.is_empty() {
                order = Some(naptr.order);
                mappings.extend(used);
            }
        }
        mappings.truncate(MAX_RESULTS);
        Ok(Ok(mappings))
    }

    /// A rule without a flag leads to another name (RFC 6116 §5.2.1): by its replacement or its
    /// substitution.
    fn next_name(&self, node: &mut Node, naptr: &Naptr) -> Option<String> {
        let name = if naptr.regexp.is_empty() {
            naptr.replacement.clone()
        } else {
            substitution::apply(&naptr.regexp, self.number)
                .map_err(|fault| node.note(fault.to_string()))
                .ok()?
        };
        let name = name.trim_matches('.').to_ascii_lowercase();
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        (!name.is_empty() && name.len() <= 253 && name.bytes().all(is_letter)).then_some(name)
    }

    fn terminal(&self, node: &mut Node, naptr: &Naptr) -> Vec<Mapping> {
        let services = services(&naptr.services);
        if !naptr.flags.eq_ignore_ascii_case("u") || services.is_empty() {
            node.note(format!("passed over: \"{}\" \"{}\"", naptr.flags, naptr.services));
            return Vec::new();
        }
        let result = match substitution::apply(&naptr.regexp, self.number) {
            Ok(result) => result,
            Err(fault) => {
                node.note(format!("{}: {fault}", naptr.services));
                return Vec::new();
            }
        };
        let address = match result.parse::<Address>() {
            Ok(address) => address,
            Err(fault) => {
                node.note(format!("{result:?} is no address: {fault}"));
                return Vec::new();
            }
        };
        let allowed = services.into_iter().filter(|service| service.allows(address.scheme));
        let mapping = |service| Mapping {
            service,
            address: address.clone(),
            root: self.root.to_owned(),
            proof: self.proof,
        };
        let mappings: Vec<Mapping> = allowed.map(mapping).collect();
        if mappings.is_empty() {
            node.note(format!("{} may not lead to {result}", naptr.services));
        }
        mappings
    }
}

fn rules(records: &[Record]) -> Vec<&Naptr> {
    let mut rules: Vec<&Naptr> = records
        .iter()
        .filter_map(|record| match record {
            Record::Naptr(naptr) => Some(naptr),
            Record::Srv(_) | Record::A(_) | Record::Aaaa(_) => None,
        })
        .take(MAX_RECORDS)
        .collect();
    rules.sort_by_key(|naptr| (naptr.order, naptr.preference));
    rules
}

/// `E2U+sip`, `E2U+voice:tel+sms:tel` (RFC 6116 §3.4.3), and `sip+E2U` as in RFC 2916.
fn services(text: &str) -> Vec<Service> {
    let words: Vec<String> = text.split('+').map(str::to_ascii_lowercase).collect();
    if !words.iter().any(|word| word == "e2u") {
        return Vec::new();
    }
    let mut found = Vec::new();
    for word in &words {
        let service = match word.split(':').next().unwrap_or(word) {
            "sip" => Service::Sip,
            "pstn" => Service::Pstn,
            "voice" if word == "voice:tel" => Service::Pstn,
            "tel" => Service::Pstn,
            "xmpp" => Service::Xmpp,
            "sms" if word != "sms:mailto" => Service::Sms,
            _ => continue,
        };
        if !found.contains(&service) {
            found.push(service);
        }
    }
    found
}

#[cfg(test)]
mod tests;
