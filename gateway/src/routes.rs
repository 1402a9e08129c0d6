//! From whom somebody asked for to routes, by the configuration alone.
//!
//! Accounts reach accounts; `[[route]]` lets accounts reach further by a trunk; `[[inbound]]` lets
//! a trunk reach accounts. Everything else is refused: foreign hosts, trunk to trunk, guests beyond
//! what their token names.
//!
//! ```text
//! Inquiry --local account?--> locations --> one group that rings together
//!         --[[route]]-------> a trunk
//!         --otherwise-------> forbidden
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::call::Inquiry;
use gateway_core::media::Profile;
use gateway_core::route::{Group, LegRoute, Location, Route};
use gateway_core::{AccountId, Address, Cause, Scheme, TrunkId};
use serde::{Deserialize, Serialize};

/// The name of the built-in echo.
pub const ECHO: &str = "echo";

/// One `[[route]]`: lets accounts reach further.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RouteRule {
    /// The account that may use it, or `*` for every account.
    pub from: String,
    /// What is dialled, with `*` for any text and `?` for any letter: `+45*`, `sip:*@example.org`.
    #[serde(rename = "match")]
    pub pattern: String,
    /// The trunk that dials.
    pub trunk: String,
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

/// What routes are made of.
#[derive(Debug, Default)]
pub struct Routes {
    accounts: BTreeMap<String, AccountId>,
    local_hosts: Vec<(String, Vec<u16>)>,
    rules: Vec<RouteRule>,
    inbound: Vec<InboundRule>,
    ring_limit: Duration,
    locations: BTreeMap<(AccountId, String), Vec<Location>>,
    trunks: BTreeMap<TrunkId, Vec<Profile>>,
}

type Refusal = (Cause, String);

fn refused(cause: Cause, reason: impl Into<String>) -> Refusal {
    (cause, reason.into())
}

/// Who is asked for, once the local names are known.
enum Callee {
    Echo,
    Account(AccountId),
    /// Nobody here: the text rules are matched against, and the address to dial.
    Elsewhere(String, Address),
}

impl Routes {
    /// Routes by these rules, for these names: accounts by any of their names and numbers, hosts
    /// that are ourselves with the ports that are ours there.
    #[must_use]
    pub fn new(
        accounts: BTreeMap<String, AccountId>,
        local_hosts: Vec<(String, Vec<u16>)>,
        rules: Vec<RouteRule>,
        inbound: Vec<InboundRule>,
        ring_limit: Duration,
    ) -> Self {
        Self { accounts, local_hosts, rules, inbound, ring_limit, ..Self::default() }
    }

    /// An adapter says where an account can be rung through it now.
    pub fn locate(&mut self, adapter: &str, account: AccountId, locations: Vec<Location>) {
        let key = (account, adapter.to_owned());
        if locations.is_empty() {
            self.locations.remove(&key);
        } else {
            self.locations.insert(key, locations);
        }
    }

    /// Forgets everything an adapter said: it has stopped.
    pub fn forget(&mut self, adapter: &str) {
        self.locations.retain(|(_, by), _| by != adapter);
        self.trunks.retain(|trunk, _| trunk.network() != adapter);
    }

    /// A trunk can be dialled with these profiles, or not at all.
    pub fn link(&mut self, trunk: TrunkId, profiles: Option<Vec<Profile>>) {
        match profiles {
            Some(profiles) => self.trunks.insert(trunk, profiles),
            None => self.trunks.remove(&trunk),
        };
    }

    /// The routes to whom somebody asked for, in groups that ring together.
    ///
    /// # Errors
    /// Why there are none: the cause for the wire and a sentence for the person.
    pub fn find(&self, inquiry: &Inquiry) -> Result<Vec<Group>, (Cause, String)> {
        let origin = &inquiry.origin;
        if let Some(only) = &origin.only {
            let is_named = only.iter().any(|name| names(name, inquiry));
            if !is_named {
                return Err(refused(
                    Cause::Forbidden,
                    "your guest token does not name this address",
                ));
            }
            return self.local(&self.callee(inquiry));
        }
        if origin.account.is_none() {
            return self.inbound_call(inquiry);
        }
        let callee = self.callee(inquiry);
        match &callee {
            Callee::Echo | Callee::Account(_) => self.local(&callee),
            Callee::Elsewhere(text, to) => self.outbound(inquiry, text, to),
        }
    }

    fn callee(&self, inquiry: &Inquiry) -> Callee {
        let to = &inquiry.to;
        let is_here = |host: &String| {
            self.local_hosts.iter().any(|(local, ports)| {
                local == host && to.port.is_none_or(|port| ports.contains(&port))
            })
        };
        let is_local = match to.scheme {
            Scheme::Procom | Scheme::Sip | Scheme::Sips => to.host.as_ref().is_none_or(is_here),
            Scheme::Tel => true,
            Scheme::Sms | Scheme::Xmpp => false,
        };
        if !is_local {
            return Callee::Elsewhere(to.to_string(), to.clone());
        }
        let name = to.name();
        if let Some(account) = self.accounts.get(name) {
            return Callee::Account(account.clone());
        }
        if name == ECHO {
            return Callee::Echo;
        }
        Callee::Elsewhere(name.to_owned(), to.clone())
    }

    /// A call from a trunk reaches what `[[inbound]]` says, never another trunk.
    fn inbound_call(&self, inquiry: &Inquiry) -> Result<Vec<Group>, Refusal> {
        let trunk = inquiry.origin.trunk.as_str();
        let number = inquiry.to.name();
        let rule = self.inbound.iter().find(|rule| {
            rule.trunk == trunk && (rule.number == "*" || same_number(&rule.number, number))
        });
        let Some(rule) = rule else {
            return Err(refused(Cause::NotFound, "no [[inbound]] rule names this number"));
        };
        match self.accounts.get(&rule.account) {
            Some(account) => self.local(&Callee::Account(account.clone())),
            None if rule.account == ECHO => self.local(&Callee::Echo),
            None => Err(refused(Cause::NotFound, "the account of this number does not exist")),
        }
    }

    fn local(&self, callee: &Callee) -> Result<Vec<Group>, Refusal> {
        match callee {
            Callee::Echo => Ok(vec![vec![Route::Echo]]),
            Callee::Account(account) => self.account(account),
            Callee::Elsewhere(..) => {
                Err(refused(Cause::NotFound, "there is nobody of that name here"))
            }
        }
    }

    fn account(&self, account: &AccountId) -> Result<Vec<Group>, Refusal> {
        let mut locations: Vec<&Location> = self
            .locations
            .iter()
            .filter(|((located, _), _)| located == account)
            .flat_map(|(_, locations)| locations)
            .collect();
        if locations.is_empty() {
            let reason = "no device of this account is connected now";
            return Err(refused(Cause::Unreachable, reason));
        }
        locations.sort_by_key(|location| std::cmp::Reverse(location.preference));
        let group = locations.into_iter().map(|location| self.ring(account, location)).collect();
        Ok(vec![group])
    }

    fn ring(&self, account: &AccountId, location: &Location) -> Route {
        Route::Leg(LegRoute {
            trunk: location.trunk.clone(),
            to: Address::procom(account.as_str()),
            contact: Some(location.contact.clone()),
            account: Some(account.clone()),
            profiles: location.profiles.clone(),
            ring_limit: self.ring_limit,
        })
    }

    fn outbound(&self, inquiry: &Inquiry, text: &str, to: &Address) -> Result<Vec<Group>, Refusal> {
        let account = inquiry.origin.account.as_ref().map_or("", |account| account.as_str());
        let dialled = inquiry.dialled.as_deref().unwrap_or(text);
        let rules = self.rules.iter().filter(|rule| {
            let is_for = rule.from == "*" || rule.from == account;
            is_for && (matches(&rule.pattern, text) || matches(&rule.pattern, dialled))
        });
        let mut groups = Vec::new();
        let mut is_down = None;
        for rule in rules {
            let trunk = TrunkId::from(rule.trunk.as_str());
            match self.trunks.get(&trunk) {
                Some(profiles) => groups.push(vec![Route::Leg(LegRoute {
                    trunk,
                    to: to.clone(),
                    contact: None,
                    account: None,
                    profiles: profiles.clone(),
                    ring_limit: self.ring_limit,
                })]),
                None => is_down = Some(trunk),
            }
        }
        match (groups.is_empty(), is_down) {
            (false, _) => Ok(groups),
            (true, Some(trunk)) => {
                Err(refused(Cause::Unreachable, format!("the trunk {trunk} is not connected now")))
            }
            (true, None) if is_a_name(inquiry) => {
                Err(refused(Cause::NotFound, "there is nobody of that name here"))
            }
            (true, None) => {
                let reason = "no [[route]] allows this address; ask whoever runs this gateway";
                Err(refused(Cause::Forbidden, reason))
            }
        }
    }
}

/// A Procom name: if it is not known, nobody has it, and no rule could reach it.
fn is_a_name(inquiry: &Inquiry) -> bool {
    inquiry.to.scheme == Scheme::Procom && inquiry.to.host.is_none()
}

/// Whether an entry of a guest's token names the address asked for.
fn names(entry: &str, inquiry: &Inquiry) -> bool {
    entry.parse::<Address>().is_ok_and(|address| address == inquiry.to)
        || inquiry.dialled.as_deref() == Some(entry)
}

/// Numbers are the same with or without the plus in front.
fn same_number(a: &str, b: &str) -> bool {
    a.trim_start_matches('+') == b.trim_start_matches('+')
}

/// `*` is any text, `?` any letter. Linear in the text for each star: no pattern is slow.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(letter) if *letter == '?' || *letter == text[t] => {
                p += 1;
                t += 1;
            }
            Some(_) | None => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|letter| *letter == '*')
}

#[cfg(test)]
mod tests;
