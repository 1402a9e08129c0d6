//! What a trunk dials: the servers behind an address, and how well they protect a call.

use gateway_core::media::{Profile, Protection};
use gateway_core::route::{LegRoute, Require, Route};
use gateway_core::{Address, Cause, Scheme, TrunkId};

use super::DIRECT_TRUNK;
use super::pursue::{Lead, Pursuit, Way};
use crate::explain::Node;
use crate::lookup::sip::{self, SipQuery, Target, Transport};
use crate::lookup::{Failure, Found, LookupFault, Proof};
use crate::rank::{self, RankedRoute};
use crate::rules::{Action, Choice, Match};

impl Pursuit<'_, '_> {
    /// One trunk dials what may leave by it.
    pub(super) fn dial(
        &mut self,
        node: &mut Node,
        lead: &Lead,
        via: Via<'_>,
        way: &Way,
    ) -> Found<()> {
        let trunk = TrunkId::from(via.choice.trunk.as_str());
        let to = match self.outgoing(lead, via.found, trunk.as_str()) {
            Ok(to) => to,
            Err(why) => {
                self.refuse_charge(node, &trunk, &why);
                return Ok(());
            }
        };
        let leg = Leg { to, choice: via.choice, cost: via.cost, action: via.action() };
        let Some(profiles) = self.asking.reach.trunk(&trunk) else {
            node.note(format!("the trunk {trunk} is not connected"));
            let why = format!("the trunk {trunk} is not connected now");
            self.refuse(Cause::Unreachable, &why);
            return Ok(());
        };
        let asked = leg.action.map_or(Require::Any, Action::require);
        let require = rank::stronger(self.asking.inquiry.require, asked);
        let (mut to, mut notes) = (leg.to, way.notes.clone());
        let mut usable = profiles.to_vec();
        if trunk.as_str() == DIRECT_TRUNK {
            let targets = match self.targets(node, &to)? {
                Ok(targets) => targets,
                Err((cause, why)) => {
                    self.refuse(cause, &why);
                    return Ok(());
                }
            };
            if let Some(why) = self.objection_to_servers(node, lead, &targets)? {
                self.refuse_charge(node, &trunk, why);
                return Ok(());
            }
            secure(&targets, require, &mut to);
            usable = usable_over(&targets, require, usable);
            notes.extend(notes_of(&targets));
        }
        let (profiles, level) = self.protected(&usable, require);
        let Some(level) = level else {
            node.note("not as protected as asked for");
            self.refuse_unprotected();
            return Ok(());
        };
        let batch = self.next_batch();
        let ring_limit = leg.action.and_then(Action::ring_limit).unwrap_or(self.plan.ring_limit);
        let (contact, account) = (None, None);
        let route = Route::Leg(LegRoute { trunk, to, contact, account, profiles, ring_limit });
        let (tier, cost) = (way.tier, leg.choice.cost.unwrap_or(leg.cost));
        self.add(RankedRoute { route, level, cost, notes, tier, batch });
        Ok(())
    }

    fn refuse_charge(&mut self, node: &mut Node, trunk: &TrunkId, why: &str) {
        node.note(format!("nothing leaves by {trunk}: {why}"));
        self.refuse(Cause::Forbidden, why);
    }

    /// Where a SIP address leads (RFC 3263).
    fn targets(
        &mut self,
        node: &mut Node,
        to: &Address,
    ) -> Found<Result<Vec<Target>, (Cause, String)>> {
        let is_sip = matches!(to.scheme, Scheme::Sip | Scheme::Sips);
        let Some((host, port)) = to.host_and_port().filter(|_| is_sip) else {
            return Ok(Err((Cause::NotFound, "that is no SIP address".to_owned())));
        };
        let transport = to.param("transport").flatten().and_then(Transport::parse);
        let is_secure = to.scheme == Scheme::Sips;
        let query = SipQuery { host: host.to_owned(), port, transport, is_secure };
        let found = sip::targets(self.desk, node, &query, &self.plan.targets)?;
        Ok(found.map_err(|fault| {
            let cause = match &fault {
                LookupFault::Failed(_, Failure::Bogus) => Cause::Security,
                LookupFault::Failed(..)
                | LookupFault::Nothing(_)
                | LookupFault::NotOffered(_)
                | LookupFault::NotAllowed(_) => Cause::Unreachable,
            };
            (cause, fault.to_string())
        }))
    }
}

/// A trunk that may dial, and the rule that says so.
pub(super) struct Via<'v> {
    pub(super) choice: &'v Choice,
    pub(super) cost: u32,
    pub(super) found: Option<&'v Match<'v>>,
}

impl<'v> Via<'v> {
    fn action(&self) -> Option<&'v Action> {
        self.found.map(|found| found.action)
    }
}

/// What a trunk is asked to dial, and by which rule.
struct Leg<'l> {
    to: Address,
    choice: &'l Choice,
    cost: u32,
    action: Option<&'l Action>,
}

fn is_tls(target: &Target) -> bool {
    target.transport == Transport::Tls
}

/// Where encryption is asked for, targets without TLS are not to be gone on to.
fn secure(targets: &[Target], require: Require, to: &mut Address) {
    let is_mixed = targets.iter().any(is_tls) && !targets.iter().all(is_tls);
    if require != Require::Any && is_mixed {
        to.params.push(("transport".to_owned(), Some("tls".to_owned())));
    }
}

/// The profiles that the targets allow: keys in the signalling need TLS (RFC 4568 §8.3).
fn usable_over(targets: &[Target], require: Require, profiles: Vec<Profile>) -> Vec<Profile> {
    let is_over_tls = match require {
        Require::Any => targets.first().is_some_and(is_tls),
        Require::Encrypted | Require::EndToEnd => targets.iter().any(is_tls),
    };
    let needs_tls =
        |profile: &Profile| profile.protection == Protection::Sdes && !profile.keys_exposed;
    profiles.into_iter().filter(|profile| is_over_tls || !needs_tls(profile)).collect()
}

/// Who learns what by sending there.
fn notes_of(targets: &[Target]) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(open) = targets.iter().find(|target| !is_tls(target)) {
        let transport = open.transport.as_str();
        notes.push(format!("over {transport}, everybody on the way sees who calls whom"));
        if targets.iter().any(|target| target.proof < Proof::Secure) {
            notes.push(format!("the DNS of {} is not signed: it could be forged", open.name));
        }
    }
    notes
}
