//! Who is here: accounts by their names, numbers and devices, the echo, and what trunks reach.

use gateway_core::route::{LegRoute, Route};
use gateway_core::security::Level;
use gateway_core::{AccountId, Address, Cause, Scheme};

use super::pursue::{Pursuit, Way};
use super::{Dialplan, ECHO, Purpose};
use crate::explain::{Node, Step};
use crate::rank::{self, RankedRoute};
use crate::reading::Number;

/// The trunk of the accounts' sessions.
const PROCOM: &str = "procom";

/// Who is asked for, where they are here.
pub(super) enum Here {
    Echo,
    Account(AccountId),
}

impl Dialplan {
    /// Whether an address names somebody of ours, if anybody.
    pub(super) fn is_local(&self, to: &Address) -> bool {
        let is_here = |host: &String| {
            self.local_hosts.iter().any(|(local, ports)| {
                local == host && to.port.is_none_or(|port| ports.contains(&port))
            })
        };
        match to.scheme {
            Scheme::Procom | Scheme::Sip | Scheme::Sips => to.host.as_ref().is_none_or(is_here),
            Scheme::Tel => true,
            Scheme::Sms | Scheme::Xmpp => false,
        }
    }

    /// Who has this name or number here. A number is looked for as dialled and in full.
    pub(super) fn here(&self, to: &Address, number: Option<&Number>) -> Option<Here> {
        if !self.is_local(to) {
            return None;
        }
        let full = number.map(|number| number.digits.as_str());
        let account = [Some(to.name()), full].into_iter().flatten();
        match account.filter_map(|name| self.accounts.get(name)).next() {
            Some(account) => Some(Here::Account(account.clone())),
            None => (to.name() == ECHO).then_some(Here::Echo),
        }
    }
}

impl Pursuit<'_, '_> {
    /// A call from a trunk reaches what `[[inbound]]` says, never another trunk.
    pub(super) fn begin_at_trunk(&mut self, node: &mut Node) {
        let inquiry = self.asking.inquiry;
        let trunk = inquiry.origin.trunk.as_str();
        let number = inquiry.to.name();
        let rule = self.plan.inbound.iter().find(|rule| {
            rule.trunk == trunk && (rule.number == "*" || same_number(&rule.number, number))
        });
        let Some(rule) = rule else {
            return self.refuse(Cause::NotFound, "no [[inbound]] rule names this number");
        };
        node.open(Step::Rule {
            rule: format!("[[inbound]] {}", rule.number),
            outcome: format!("account {}", rule.account),
        });
        match self.plan.accounts.get(&rule.account) {
            Some(account) => self.reach(node, &Here::Account(account.clone()), Way::default()),
            None if rule.account == ECHO => self.reach(node, &Here::Echo, Way::default()),
            None => self.refuse(Cause::NotFound, "the account of this number does not exist"),
        }
    }

    /// A guest reaches what its token names, here.
    pub(super) fn begin_as_guest(&mut self, node: &mut Node, only: &[String]) {
        let inquiry = self.asking.inquiry;
        let is_named = only.iter().any(|entry| {
            entry.parse::<Address>().is_ok_and(|address| address == inquiry.to)
                || inquiry.dialled.as_deref() == Some(entry)
        });
        if !is_named {
            return self.refuse(Cause::Forbidden, "your guest token does not name this address");
        }
        match self.plan.here(&inquiry.to, None) {
            Some(here) => self.reach(node, &here, Way::default()),
            None => self.refuse(Cause::NotFound, "there is nobody of that name here"),
        }
    }

    /// Routes to somebody here: all devices of an account ring together, the preferred first. A
    /// message goes to the account, and to its devices on other networks.
    pub(super) fn reach(&mut self, node: &mut Node, here: &Here, way: Way) {
        let require = self.asking.inquiry.require;
        let batch = self.next_batch();
        let Here::Account(account) = here else {
            // The gateway opens and seals what it echoes.
            if !rank::satisfies(Level::Hop, require) {
                return self.refuse_unprotected();
            }
            let Way { tier, notes } = way;
            let level = Level::Hop;
            self.add(RankedRoute { route: Route::Echo, level, cost: 0, notes, tier, batch });
            return;
        };
        let mut locations = self.asking.reach.locations(account);
        node.open(Step::Account { account: account.to_string(), devices: locations.len() });
        let is_message = self.asking.purpose == Purpose::Message;
        let is_kept = is_message && rank::satisfies(Level::Hop, require);
        if is_kept {
            self.keep_for(account, &way, batch);
        }
        if is_message {
            // Its sessions are what the mailbox leads to.
            locations.retain(|location| location.trunk.network() != PROCOM);
        }
        if locations.is_empty() && !is_message {
            return self.refuse(Cause::Unreachable, "no device of this account is connected now");
        }
        let mut is_any = is_kept;
        for location in locations {
            let (profiles, level) = self.protected(&location.profiles, require);
            let Some(level) = level else { continue };
            is_any = true;
            let route = Route::Leg(LegRoute {
                trunk: location.trunk.clone(),
                to: Address::procom(account.as_str()),
                contact: Some(location.contact.clone()),
                account: Some(account.clone()),
                profiles,
                ring_limit: self.plan.ring_limit,
            });
            let Way { tier, notes } = way.clone();
            self.add(RankedRoute { route, level, cost: 0, notes, tier, batch });
        }
        if !is_any {
            self.refuse_unprotected();
        }
    }

    /// A route to an account wherever it is, now or later: a message is kept until it is there.
    fn keep_for(&mut self, account: &AccountId, way: &Way, batch: usize) {
        let route = Route::Leg(LegRoute {
            trunk: PROCOM.into(),
            to: Address::procom(account.as_str()),
            contact: None,
            account: Some(account.clone()),
            profiles: Vec::new(),
            ring_limit: self.plan.ring_limit,
        });
        let Way { tier, notes } = way.clone();
        self.add(RankedRoute { route, level: Level::Hop, cost: 0, notes, tier, batch });
    }
}

/// Numbers are the same with or without the plus in front.
fn same_number(a: &str, b: &str) -> bool {
    a.trim_start_matches('+') == b.trim_start_matches('+')
}
