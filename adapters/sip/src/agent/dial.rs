//! Calls that go out: to a registered phone, by a trunk, or to where a name leads.

use std::time::Instant;

use gateway_adapter::Query;
use gateway_core::leg::{Dial, LegEvent};
use gateway_core::media::Protection;
use gateway_core::route::Origin;
use gateway_core::{Address, Cause, LegId, Scheme, TrunkId};

use super::Agent;
use crate::leg::{Leg, Outgoing};
use crate::line::{Asker, Output};
use crate::offer;
use crate::registrar;
use crate::stack::flow::Target;
use crate::stack::policy::hops;
use crate::stack::wire::{NameAddr, Uri};

/// Whom to reach, as whom, and where that is.
pub(super) struct Way {
    pub(super) uri: Uri,
    pub(super) from: Uri,
    pub(super) to: Uri,
    user: String,
    pub(super) place: Place,
}

pub(super) enum Place {
    At(Vec<Target>),
    Named(Query),
}

/// Who wants to reach whom, by which trunk or at which location.
pub(super) struct Wish<'a> {
    pub(super) origin: &'a Origin,
    pub(super) trunk: &'a TrunkId,
    pub(super) contact: Option<&'a str>,
    pub(super) to: &'a Address,
}

impl Agent {
    pub(super) fn dial(&mut self, id: LegId, dial: Dial, now: Instant) {
        let way = match self.way(&dial) {
            Ok(way) => way,
            Err((cause, why)) => {
                let ended = LegEvent::Ended(cause, Some(why.to_owned()));
                self.out.push_back(Output::Event(gateway_adapter::Event::Leg(id, ended)));
                return;
            }
        };
        let tag = self.stack.token();
        let call_id = self.stack.token();
        let mut from = NameAddr::new(way.from).with_param("tag", &tag);
        from.display = dial.display;
        let profile = &dial.profile;
        let outgoing = Outgoing {
            uri: way.uri,
            from,
            to: NameAddr::new(way.to),
            call_id: call_id.clone(),
            user: way.user,
            hops: hops(dial.hops_left),
            sdp: offer::render(&dial.offer.0),
            needs_tls: profile.protection == Protection::Sdes && !profile.keys_exposed,
        };
        self.add_leg(Leg::resolving(id, dial.trunk, outgoing), call_id, tag);
        match way.place {
            Place::At(targets) => {
                self.with_leg(id, now, |leg, line| leg.handle_targets(targets, line));
            }
            Place::Named(query) => {
                self.out.push_back(Output::Resolve(Asker::Leg(id), query));
            }
        }
    }

    fn way(&self, dial: &Dial) -> Result<Way, (Cause, &'static str)> {
        // What may not travel on is refused where it comes in; not every network does.
        if dial.hops_left == Some(0) {
            return Err((Cause::Forbidden, "the call has come too far"));
        }
        let contact = dial.contact.as_deref();
        let wish = Wish { origin: &dial.origin, trunk: &dial.trunk, contact, to: &dial.to };
        self.way_to(&wish)
    }

    /// The way of a call or message.
    pub(super) fn way_to(&self, wish: &Wish<'_>) -> Result<Way, (Cause, &'static str)> {
        let caller = self.caller_uri(wish.origin).ok_or((Cause::Failed, "no caller address"))?;
        let user = caller.user().unwrap_or_else(|| "gateway".to_owned());
        if let Some(key) = wish.contact {
            let (owner, binding) = self
                .registrar
                .find(key)
                .ok_or((Cause::Unreachable, "the phone is not registered any more"))?;
            let to = Uri::sip(Some(owner), &self.domain, None);
            let to = to.ok_or((Cause::Failed, "the account has no address"))?;
            let place = Place::At(vec![binding.target()]);
            return Ok(Way { uri: binding.uri().clone(), from: caller, to, user, place });
        }
        if let Some(trunk) = self.trunks.get(wish.trunk) {
            let uri = trunk
                .address_of(wish.to.name())
                .ok_or((Cause::NotFound, "the trunk has no such address"))?;
            let from = trunk.address().ok_or((Cause::Failed, "the trunk has no address"))?;
            let targets = trunk.targets();
            if targets.is_empty() {
                return Err((Cause::Unreachable, "the trunk is not connected"));
            }
            let (to, user) = (uri.clone(), trunk.user().to_owned());
            return Ok(Way { uri, from, to, user, place: Place::At(targets) });
        }
        let uri = match wish.to.scheme {
            Scheme::Sip | Scheme::Sips => Uri::parse(&wish.to.to_string()),
            Scheme::Procom | Scheme::Tel | Scheme::Sms | Scheme::Xmpp => None,
        };
        let uri = uri.ok_or((Cause::NotFound, "that is no SIP address"))?;
        let query = Query {
            host: uri.host().ok_or((Cause::NotFound, "the address has no host"))?,
            port: uri.port(),
            transport: uri.transport().map(Into::into),
            is_secure: wish.to.scheme == Scheme::Sips,
        };
        Ok(Way { to: uri.clone(), uri, from: caller, user, place: Place::Named(query) })
    }

    /// The way to where a phone was when an earlier life knew it: the same as that life took.
    pub(super) fn way_back(
        &self,
        origin: &Origin,
        place: &registrar::place::Place,
    ) -> Result<Way, (Cause, &'static str)> {
        let from = self.caller_uri(origin).ok_or((Cause::Failed, "no caller address"))?;
        let to = Uri::sip(Some(&place.user), &self.domain, None);
        let to = to.ok_or((Cause::Failed, "the account has no address"))?;
        let user = from.user().unwrap_or_else(|| "gateway".to_owned());
        let (uri, at) = (place.uri.clone(), Place::At(vec![place.target.clone()]));
        Ok(Way { uri, from, to, user, place: at })
    }

    /// The caller as SIP sees it: somebody in our domain, so that calling back comes to us.
    fn caller_uri(&self, origin: &Origin) -> Option<Uri> {
        let asserted = &origin.asserted;
        let name = match asserted.scheme {
            Scheme::Sip | Scheme::Sips | Scheme::Procom => {
                let host = asserted.host.as_deref();
                let is_home = host.is_none_or(|host| host.eq_ignore_ascii_case(&self.domain));
                if is_home { asserted.name().to_owned() } else { bare(asserted) }
            }
            Scheme::Tel | Scheme::Sms => asserted.name().to_owned(),
            Scheme::Xmpp => bare(asserted),
        };
        let uri = Uri::sip(Some(&name), &self.domain, None)?;
        Some(match asserted.scheme {
            Scheme::Tel | Scheme::Sms => uri.with_param("user", "phone"),
            Scheme::Procom | Scheme::Sip | Scheme::Sips | Scheme::Xmpp => uri,
        })
    }
}

/// `user@host` of an address elsewhere, to be escaped into a user part here.
fn bare(address: &Address) -> String {
    match (&address.user, &address.host) {
        (Some(user), Some(host)) => format!("{user}@{host}"),
        (Some(name), None) | (None, Some(name)) => name.clone(),
        (None, None) => "anonymous".to_owned(),
    }
}
