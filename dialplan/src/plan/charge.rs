//! What leaves by a trunk, and whether it may. Calls, messages, contacts, ENUM results: all pass
//! here, and here toll fraud ends.
//!
//! ```text
//! address --> number, garbled or name --rule, kind of trunk--> what goes out, or why nothing does
//! ```
//!
//! A provider dials what looks like a number to it. So what goes out to one is the number that was
//! read and judged, never the text it was read from; and what has digits but cannot be read stays.

use std::collections::BTreeSet;
use std::net::IpAddr;

use gateway_core::Address;
use gateway_core::reachable::{faces, plain};

use super::pursue::{Lead, Pursuit};
use super::{DIRECT_TRUNK, Dialplan};
use crate::config::Targets;
use crate::explain::Node;
use crate::lookup::Found;
use crate::lookup::sip::{self, Target};
use crate::reading::{Dialled, Number};
use crate::rules::{Match, Objection, unruled};

/// What a trunk dials.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// An address at a host of its own: such a call costs us nothing.
    Addresses,
    /// Numbers of the public plans, charged to us; and names without digits.
    Numbers,
    /// The names and extensions of a PBX, as they are.
    Names,
}

const GARBLED: &str = "this has digits like a number, but it cannot be read as one: write it as \
                       +COUNTRY NUMBER";
const AT_TRUNK: &str = "this number is at the server of a trunk: dial it without @ and host, so that \
                        it goes by the trunk";

impl Dialplan {
    /// What a trunk dials, where this is the address. A number at the host of a trunk is charged
    /// like one by the trunk.
    fn takes(&self, trunk: &str, address: &Address) -> Takes {
        let host = address.host.as_deref().map(plain);
        let is_charged =
            host.is_some_and(|host| self.trunk_servers.iter().any(|it| plain(&it.host) == host));
        match (trunk == DIRECT_TRUNK, self.name_trunks.contains(trunk)) {
            (true, _) if !is_charged => Takes::Addresses,
            (false, true) => Takes::Names,
            (true | false, _) => Takes::Numbers,
        }
    }
}

impl Pursuit<'_, '_> {
    /// What the trunk is to dial by this rule; without one, because ENUM led there.
    ///
    /// # Errors
    /// Why it must not leave, as a sentence for the person.
    pub(super) fn outgoing(
        &self,
        lead: &Lead,
        found: Option<&Match<'_>>,
        trunk: &str,
    ) -> Result<Address, String> {
        let takes = self.plan.takes(trunk, &lead.address);
        if takes == Takes::Addresses {
            return rewritten(lead, lead.number.as_ref(), found);
        }
        match self.charged(lead) {
            Dialled::Name => Ok(lead.address.clone()),
            Dialled::Garbled if takes == Takes::Names => self.outgoing_garbled(lead, found),
            Dialled::Garbled if found.is_some_and(Match::names_all) => Ok(lead.address.clone()),
            Dialled::Garbled => Err(GARBLED.to_owned()),
            Dialled::Number(number) if takes == Takes::Names => {
                let objection = match found {
                    Some(found) => found.objection_to_class(&number),
                    None => unruled(&number),
                };
                objection.map_or(Ok(()), |objection| Err(objection.to_string()))?;
                // What was not read with the number does not go out with it.
                let is_cut = lead.address.name().contains([';', ',']);
                rewritten(lead, lead.number.as_ref().or(is_cut.then_some(&number)), found)
            }
            Dialled::Number(_) if trunk == DIRECT_TRUNK => Err(AT_TRUNK.to_owned()),
            Dialled::Number(number) => self.outgoing_number(lead, &number, found),
        }
    }

    /// Why nothing is dialled directly, where this is a number and the servers that were found are
    /// those of a trunk, by whatever name.
    pub(super) fn objection_to_servers(
        &mut self,
        node: &mut Node,
        lead: &Lead,
        targets: &[Target],
    ) -> Found<Option<&'static str>> {
        if self.charged(lead) == Dialled::Name {
            return Ok(None);
        }
        let servers = self.servers_of_trunks(node)?;
        let mut ips = targets.iter().flat_map(|target| faces(target.address.ip()));
        Ok(ips.any(|ip| servers.contains(&ip)).then_some(AT_TRUNK))
    }

    /// The addresses of all trunks. One whose name leads nowhere now has none.
    fn servers_of_trunks(&mut self, node: &mut Node) -> Found<BTreeSet<IpAddr>> {
        let plan = self.plan;
        let mut servers = BTreeSet::new();
        let mut result = Ok(());
        for query in &plan.trunk_servers {
            if let Ok(ip) = plain(&query.host).parse::<IpAddr>() {
                servers.extend(faces(ip));
                continue;
            }
            let named = Targets::Public(vec![query.host.clone()]);
            // All of them are asked for together.
            match sip::targets(self.desk, node, query, &named) {
                Ok(Ok(found)) => {
                    servers.extend(found.iter().flat_map(|target| faces(target.address.ip())));
                }
                Ok(Err(_)) => {}
                Err(pending) => result = Err(pending),
            }
        }
        result.map(|()| servers)
    }

    /// The number that a trunk would be charged for, if this is one.
    pub(super) fn charged(&self, lead: &Lead) -> Dialled {
        match &lead.number {
            Some(number) => Dialled::Number(number.clone()),
            None => Dialled::of(&lead.address, &self.plan.home),
        }
    }

    /// What a PBX may make of a name with digits: an extension of its own, or the number beneath.
    fn outgoing_garbled(&self, lead: &Lead, found: Option<&Match<'_>>) -> Result<Address, String> {
        let beneath = Dialled::beneath(&lead.address, &self.plan.home);
        let objection = beneath.as_ref().and_then(|number| match found {
            Some(found) => found.objection_to_class(number),
            None => unruled(number),
        });
        match objection {
            Some(objection) => Err(objection.to_string()),
            // What is escaped twice could be read twice.
            None if lead.address.name().contains('%') => Err(GARBLED.to_owned()),
            None => Ok(lead.address.clone()),
        }
    }

    fn outgoing_number(
        &self,
        lead: &Lead,
        number: &Number,
        found: Option<&Match<'_>>,
    ) -> Result<Address, String> {
        let objection = match found {
            Some(found) if found.action.is_plain() => found.objection(number),
            Some(found) => self.objection_to_rewritten(number, found),
            None => unruled(number),
        };
        if let Some(objection) = objection {
            return Err(objection.to_string());
        }
        let Address { user: digits, .. } = rewritten(lead, Some(number), found)?;
        Ok(Address::tel(digits.as_deref().unwrap_or(&number.digits)))
    }

    /// A rule that rewrites a known number is the operator's word for what goes out. Of any other
    /// number, like one behind the prefix of an outside line, what goes out is judged.
    fn objection_to_rewritten(&self, number: &Number, found: &Match<'_>) -> Option<Objection> {
        let outgoing = found
            .rewritten(&number.digits)
            .map(|digits| Dialled::of(&Address::tel(&digits), &self.plan.home));
        if number.is_valid {
            let class = match &outgoing {
                Some(Dialled::Number(outgoing)) => found.objection_to_known(outgoing),
                Some(Dialled::Garbled | Dialled::Name) | None => None,
            };
            return found.objection(number).or(class);
        }
        let has_country = number.digits.starts_with('+');
        let own = found.objection(number).filter(|objection| match objection {
            Objection::Class(_) => true,
            Objection::Resembles(_) => has_country,
            Objection::Unknown | Objection::Short => false,
        });
        own.or_else(|| match outgoing? {
            Dialled::Number(outgoing) => found.objection(&outgoing),
            Dialled::Garbled | Dialled::Name => Some(Objection::Unknown),
        })
    }
}

/// The address, or the number it was read as, rewritten by the rule.
fn rewritten(
    lead: &Lead,
    number: Option<&Number>,
    found: Option<&Match<'_>>,
) -> Result<Address, String> {
    let Some(number) = number else { return Ok(lead.address.clone()) };
    let is_plain = found.is_none_or(|found| found.action.is_plain());
    if is_plain && number.digits == lead.address.name() {
        return Ok(lead.address.clone());
    }
    let digits = match found {
        Some(found) => found.rewritten(&number.digits),
        None => Some(number.digits.clone()),
    };
    let digits = digits.ok_or("the rule makes no number of what was dialled")?;
    let mut address = Address::tel(&digits);
    if lead.address.scheme == gateway_core::Scheme::Tel {
        address.params.clone_from(&lead.address.params);
    }
    Ok(address)
}
