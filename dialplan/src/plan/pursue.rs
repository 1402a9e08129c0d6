//! Following one address after the other until there are routes, or none.
//!
//! Contacts, ENUM and rules lead to other addresses. Each address is followed once, and only so
//! many steps deep: nothing goes in a circle.

use std::collections::BTreeSet;

use gateway_core::media::Profile;
use gateway_core::route::Require;
use gateway_core::security::Level;
use gateway_core::{Address, Cause, Scheme};

use super::dial::Via;
use super::{Asking, Dialplan, Purpose};
use crate::contacts::{self, Contact, Named};
use crate::explain::{Node, Step};
use crate::lookup::e164::{self, Mapping, Service};
use crate::lookup::{Desk, Found, Proof};
use crate::rank::{self, RankedRoute};
use crate::reading::{self, Class, Dialled, Number, Reading, Variants};
use crate::rules::{Call, Choice, Match, Tried};

/// How many steps deep addresses lead to others.
const MAX_DEPTH: usize = 8;
/// Most addresses that are followed for one call.
const MAX_ADDRESSES: usize = 48;
/// Most routes of one call.
const MAX_ROUTES: usize = 64;

/// How an address was come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Way {
    /// Lower first.
    pub(super) tier: usize,
    /// Who learned what on the way.
    pub(super) notes: Vec<String>,
}

/// How deep it is, and what it may use.
#[derive(Clone, Debug, Default)]
struct Path {
    way: Way,
    depth: usize,
    /// ENUM led here: it is not asked again.
    by_enum: bool,
    /// A trunk that dials it without a rule.
    granted: Option<String>,
}

/// One address to follow.
pub(super) struct Lead {
    pub(super) address: Address,
    pub(super) number: Option<Number>,
    dialled: String,
}

/// A resolution under way.
pub(super) struct Pursuit<'p, 'd> {
    pub(super) plan: &'p Dialplan,
    pub(super) asking: &'p Asking<'p>,
    pub(super) desk: &'p mut Desk<'d>,
    routes: Vec<RankedRoute>,
    refusals: Vec<(Cause, String)>,
    seen: BTreeSet<String>,
    batches: usize,
}

impl<'p, 'd> Pursuit<'p, 'd> {
    pub(super) fn new(plan: &'p Dialplan, asking: &'p Asking<'p>, desk: &'p mut Desk<'d>) -> Self {
        let (routes, refusals, seen) = (Vec::new(), Vec::new(), BTreeSet::new());
        Self { plan, asking, desk, routes, refusals, seen, batches: 0 }
    }

    /// Follows everything the inquiry may mean.
    pub(super) fn begin(&mut self, node: &mut Node) -> Found<()> {
        let inquiry = self.asking.inquiry;
        if let Some(only) = &inquiry.origin.only {
            self.begin_as_guest(node, only);
            return Ok(());
        }
        if inquiry.origin.account.is_none() {
            self.begin_at_trunk(node);
            return Ok(());
        }
        let reading = match &inquiry.dialled {
            Some(text) => match reading::read(text, &self.plan.home) {
                Ok(reading) => reading,
                Err(refusal) => {
                    self.refuse(Cause::NotFound, &refusal.to_string());
                    return Ok(());
                }
            },
            None => Reading::of_address(&inquiry.to, &self.plan.home),
        };
        self.follow_reading(node, reading, inquiry.dialled.as_deref(), &Path::default())
    }

    /// The routes, and the refusal that says most where there are none.
    pub(super) fn finish(self) -> (Vec<RankedRoute>, (Cause, String)) {
        let says = |cause: Cause| match cause {
            Cause::Security => 4,
            Cause::Unreachable => 3,
            Cause::Forbidden => 2,
            Cause::NotFound => 1,
            Cause::Normal
            | Cause::Busy
            | Cause::Declined
            | Cause::NoAnswer
            | Cause::Cancelled
            | Cause::AnsweredElsewhere
            | Cause::Transferred
            | Cause::NotAcceptable
            | Cause::MediaTimeout
            | Cause::Overload
            | Cause::Failed
            | Cause::Shutdown => 0,
        };
        let mut best = (Cause::NotFound, "there is nobody of that name here".to_owned());
        let mut is_first = true;
        for refusal in self.refusals {
            if is_first || says(refusal.0) > says(best.0) {
                best = refusal;
            }
            is_first = false;
        }
        (self.routes, best)
    }

    pub(super) fn add(&mut self, route: RankedRoute) {
        let is_known = self.routes.iter().any(|known| known.route == route.route);
        if !is_known && self.routes.len() < MAX_ROUTES {
            self.routes.push(route);
        }
    }

    pub(super) fn refuse(&mut self, cause: Cause, why: &str) {
        self.refusals.push((cause, why.to_owned()));
    }

    pub(super) fn refuse_unprotected(&mut self) {
        self.refuse(Cause::Security, "no way to the callee is as protected as you asked for");
    }

    pub(super) const fn next_batch(&mut self) -> usize {
        self.batches += 1;
        self.batches
    }

    /// The profiles that are as protected as asked for, with the best level among them.
    pub(super) fn protected(
        &self,
        profiles: &[Profile],
        require: Require,
    ) -> (Vec<Profile>, Option<Level>) {
        let level = |profile: &Profile| rank::level(profile, self.asking.is_end_to_end);
        let is_enough = |profile: &&Profile| rank::satisfies(level(profile), require);
        let kept: Vec<Profile> = profiles.iter().filter(is_enough).cloned().collect();
        let best = kept.iter().map(level).max();
        (kept, best)
    }

    fn follow_reading(
        &mut self,
        node: &mut Node,
        reading: Reading,
        dialled: Option<&str>,
        path: &Path,
    ) -> Found<()> {
        let kind = reading.kind.as_str().to_owned();
        let node = node.open(Step::Read { kind, text: reading.to_string() });
        reading.notes.iter().for_each(|note| node.note(note.clone()));
        let mut result = Ok(());
        for address in reading.addresses {
            let dialled = dialled.map_or_else(|| address.to_string(), str::to_owned);
            let lead = Lead { address, number: reading.number.clone(), dialled };
            // Each goes as far as it can: their questions are asked together.
            result = self.follow(node, lead, path.clone()).and(result);
        }
        result
    }

    fn follow(&mut self, node: &mut Node, mut lead: Lead, path: Path) -> Found<()> {
        let address = lead.address.to_string();
        let node = node.open(Step::Address { address: address.clone() });
        if path.depth > MAX_DEPTH || self.seen.len() >= MAX_ADDRESSES || !self.seen.insert(address)
        {
            node.note("was here before, or is too many steps away");
            self.refuse(Cause::NotFound, "this leads in a circle, or too far");
            return Ok(());
        }
        let is_local = self.plan.is_local(&lead.address);
        if is_local && lead.number.is_none() {
            lead.number = Reading::of_address(&lead.address, &self.plan.home).number;
        }
        if let Some(here) = self.plan.here(&lead.address, lead.number.as_ref()) {
            self.reach(node, &here, path.way);
            return Ok(());
        }
        if is_local && lead.number.is_none() {
            let record = self.asking.record;
            let own = record.filter(|record| contacts::is_named(record, lead.address.name()));
            let plan = self.plan;
            match own.map_or_else(|| plan.contacts.find(lead.address.name()), Named::One) {
                Named::Nobody => {}
                Named::One(contact) => return self.follow_contact(node, contact, &path),
                Named::Several(count) => {
                    self.refuse(Cause::NotFound, &format!("{count} contacts have that name"));
                    return Ok(());
                }
            }
        }
        if let Some(number) = &lead.number {
            node.open(Step::Number {
                number: number.digits.clone(),
                class: number.class.as_str().to_owned(),
                country: number.country.clone(),
            });
        }
        self.by_rules(node, &lead, &path)
    }

    fn follow_contact(&mut self, node: &mut Node, contact: &Contact, path: &Path) -> Found<()> {
        let addresses = contact.addresses.len();
        let node = node.open(Step::Contact { name: contact.name.clone(), addresses });
        if contact.addresses.is_empty() {
            self.refuse(Cause::NotFound, "this contact has no address");
        }
        let (mut result, mut tier, mut preference) = (Ok(()), path.way.tier, None);
        for address in &contact.addresses {
            // Addresses of one preference are equals: protection and cost decide between them.
            tier += usize::from(preference.is_some_and(|before| before < address.preference));
            preference = Some(address.preference);
            match reading::read(&address.text, &self.plan.home) {
                Ok(reading) => {
                    let way = Way { tier, notes: path.way.notes.clone() };
                    let path = Path { way, depth: path.depth + 1, ..path.clone() };
                    result = self.follow_reading(node, reading, None, &path).and(result);
                }
                Err(refusal) => {
                    node.note(format!("{:?}: {refusal}", address.text));
                    self.refuse(Cause::NotFound, "an address of this contact cannot be read");
                }
            }
        }
        result
    }

    /// Rules, and before them ENUM: unless a rule forbids the number, what its owner published is
    /// the nearest way.
    fn by_rules(&mut self, node: &mut Node, lead: &Lead, path: &Path) -> Found<()> {
        let plan = self.plan;
        let text = match &lead.number {
            Some(number) => number.digits.clone(),
            None if plan.is_local(&lead.address) => lead.address.name().to_owned(),
            None => lead.address.to_string(),
        };
        let inquiry = self.asking.inquiry;
        let variants = match self.charged(lead) {
            Dialled::Number(number) => Variants::of(&number, &plan.home),
            Dialled::Garbled | Dialled::Name => Variants::default(),
        };
        let typed = lead.number.as_ref().and_then(|_| reading::typed_digits(&lead.dialled));
        let call = Call {
            account: inquiry.origin.account.as_ref().map_or("", |account| account.as_str()),
            trunk: inquiry.origin.trunk.as_str(),
            text: &text,
            dialled: typed.as_deref().unwrap_or(&lead.dialled),
            number: lead.number.as_ref(),
            variants: &variants,
            now_s: self.asking.now_s,
        };
        let mut matches = Vec::new();
        for tried in plan.rules.iter().flat_map(|rules| rules.find(&call)) {
            match tried {
                Tried::Applies(found) => {
                    let is_end = found.action.deny.is_some();
                    matches.push(found);
                    if is_end {
                        break;
                    }
                }
                Tried::NotNow(rule) => {
                    let outcome = "not at this time".to_owned();
                    node.open(Step::Rule { rule, outcome });
                }
            }
        }
        let is_denied = matches.first().is_some_and(|found| found.action.deny.is_some());
        let mut result = Ok(());
        if !is_denied {
            result = self.by_enum(node, lead, path);
            if let Some(trunk) = &path.granted {
                let choice = Choice { trunk: trunk.clone(), weight: 1, cost: None };
                let via = Via { choice: &choice, cost: 0, found: None };
                result = self.dial(node, lead, via, &path.way).and(result);
            }
        }
        if path.granted.is_some() && !is_denied {
            return result;
        }
        let before = (self.routes.len(), self.refusals.len());
        for found in &matches {
            result = self.apply(node, lead, found, path).and(result);
        }
        if result.is_ok() && before == (self.routes.len(), self.refusals.len()) {
            self.refuse_unruled(lead);
        }
        result
    }

    fn refuse_unruled(&mut self, lead: &Lead) {
        // A Procom name: if it is not known, nobody has it, and no rule could reach it.
        if lead.address.scheme == Scheme::Procom && lead.address.host.is_none() {
            return self.refuse(Cause::NotFound, "there is nobody of that name here");
        }
        let reason = "no [[route]] allows this address; ask whoever runs this gateway";
        self.refuse(Cause::Forbidden, reason);
    }

    fn apply(&mut self, node: &mut Node, lead: &Lead, found: &Match<'_>, path: &Path) -> Found<()> {
        let rule = found.name.clone();
        if let Some(why) = &found.action.deny {
            node.open(Step::Rule { rule, outcome: format!("refuses: {why}") });
            self.refuse(Cause::Forbidden, why);
            return Ok(());
        }
        if let Some(to) = found.redirected() {
            let objection = lead.number.as_ref().and_then(|it| found.objection_to_class(it));
            if let Some(objection) = objection {
                node.open(Step::Rule { rule, outcome: objection.to_string() });
                self.refuse(Cause::Forbidden, &objection.to_string());
                return Ok(());
            }
            let node = node.open(Step::Rule { rule, outcome: format!("leads to {to}") });
            return match reading::read(&to, &self.plan.home) {
                Ok(reading) => {
                    let path = Path { depth: path.depth + 1, granted: None, ..path.clone() };
                    self.follow_reading(node, reading, None, &path)
                }
                Err(refusal) => {
                    self.refuse(Cause::NotFound, &format!("the rule leads nowhere: {refusal}"));
                    Ok(())
                }
            };
        }
        let node = node.open(Step::Rule { rule, outcome: "applies".to_owned() });
        let mut result = Ok(());
        let mut draws = self.desk.draws(&format!("rule {}", found.order));
        for choice in found.action.ordered(found.cost, &mut draws) {
            let via = Via { choice, cost: found.cost, found: Some(found) };
            result = self.dial(node, lead, via, &path.way).and(result);
        }
        result
    }

    fn by_enum(&mut self, node: &mut Node, lead: &Lead, path: &Path) -> Found<()> {
        let Some(number) = &lead.number else { return Ok(()) };
        let is_asked = match number.class {
            Class::Emergency | Class::Service | Class::Short | Class::Unknown => false,
            Class::Premium | Class::International | Class::National => !path.by_enum,
        };
        let plan = self.plan;
        if !is_asked || plan.enum_roots.is_empty() {
            return Ok(());
        }
        let found = e164::look_up(self.desk, node, &number.digits, &plan.enum_roots)?;
        let mappings = match found {
            Ok(mappings) => mappings,
            Err(fault) => {
                node.note(format!("ENUM: {fault}"));
                return Ok(());
            }
        };
        let purpose = self.asking.purpose;
        let mut result = Ok(());
        for mapping in mappings.into_iter().filter(|mapping| is_for(mapping.service, purpose)) {
            let path = self.path_of(&mapping, path);
            let reading = Reading::of_address(&mapping.address, &plan.home);
            result = self.follow_reading(node, reading, None, &path).and(result);
        }
        result
    }

    fn path_of(&self, mapping: &Mapping, path: &Path) -> Path {
        let granted = match mapping.address.scheme {
            Scheme::Sip | Scheme::Sips => self.plan.enum_sip_trunk.clone(),
            Scheme::Xmpp => self.plan.enum_xmpp_trunk.clone(),
            Scheme::Procom | Scheme::Tel | Scheme::Sms => None,
        };
        let mut way = path.way.clone();
        let root = &mapping.root;
        way.notes.push(format!("this ENUM query tells the operator of {root} the number"));
        if mapping.proof < Proof::Secure {
            way.notes.push(format!("the answer of {root} is not signed: it could be forged"));
        }
        Path { way, depth: path.depth + 1, by_enum: true, granted }
    }
}

const fn is_for(service: Service, purpose: Purpose) -> bool {
    match (purpose, service) {
        (Purpose::Call, Service::Sip | Service::Pstn | Service::Xmpp)
        | (Purpose::Message, Service::Sip | Service::Sms | Service::Xmpp) => true,
        (Purpose::Call, Service::Sms) | (Purpose::Message, Service::Pstn) => false,
    }
}
