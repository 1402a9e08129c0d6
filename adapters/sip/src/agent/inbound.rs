//! Requests that come in: into a call, or to begin something (RFC 3261 §8.2, §10.3, §11.2, §22).

use std::time::Instant;

use gateway_core::leg::Incoming;
use gateway_core::media::Profile;
use gateway_core::route::{Origin, Require};
use gateway_core::{Address, LegId, Offer, Scheme, TrunkId};

use super::Agent;
use crate::config::LOCAL_TRUNK;
use crate::leg::Leg;
use crate::line::{Output, Owner, contact};
use crate::message;
use crate::offer::{self, Body};
use crate::registrar::place;
use crate::stack::dialog::{Dialog, DialogId};
use crate::stack::flow::Flow;
use crate::stack::gate::Proof;
use crate::stack::policy::{ALLOW, Refusal};
use crate::stack::transaction::TransactionId;
use crate::stack::wire::{self, Method, Request, Response, Uri};

/// Who calls or writes, whom, and what is allowed of the media.
pub(super) struct Caller {
    pub(super) origin: Origin,
    profile: Profile,
    pub(super) to: Address,
}

/// What a request outside a dialog begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Beginning {
    Call,
    Registration,
    Message,
    /// It asks what we can do, and begins nothing.
    Question,
    /// Its method belongs into a dialog.
    Nothing,
}

impl Beginning {
    pub(super) const fn of(method: &Method) -> Self {
        match method {
            Method::Invite => Self::Call,
            Method::Register => Self::Registration,
            Method::Message => Self::Message,
            Method::Options => Self::Question,
            Method::Bye
            | Method::Info
            | Method::Update
            | Method::Ack
            | Method::Cancel
            | Method::Prack
            | Method::Subscribe
            | Method::Notify
            | Method::Refer
            | Method::Publish
            | Method::Other(_) => Self::Nothing,
        }
    }
}

impl Agent {
    /// Takes a request that the gate has let in.
    pub(super) fn handle_request(
        &mut self,
        id: TransactionId,
        request: Request,
        (flow, proof): (Flow, Proof),
        next_leg: &mut dyn FnMut() -> LegId,
        now: Instant,
    ) {
        if proof == Proof::Dialog {
            self.handle_in_dialog(id, &request, flow, now);
            return;
        }
        match Beginning::of(&request.method()) {
            Beginning::Call => self.handle_invite(id, request, (flow, proof), next_leg, now),
            Beginning::Registration => self.handle_register(id, &request, (flow, proof), now),
            Beginning::Question => self.stack.respond(id, capabilities(&request), now),
            Beginning::Message => {
                self.handle_message_request(id, request, (flow, proof), now);
            }
            Beginning::Nothing => {
                self.stack.respond(id, Response::to_request(&request, 481), now);
            }
        }
    }

    /// The leg whose dialog a request names.
    pub(super) fn leg_of(&self, request: &Request) -> Option<LegId> {
        let dialog = DialogId::of_request(request)?;
        self.leg_of_dialog.get(&(dialog.call_id, dialog.local_tag)).copied()
    }

    fn handle_in_dialog(&mut self, id: TransactionId, request: &Request, flow: Flow, now: Instant) {
        let Some(leg) = self.leg_of(request) else {
            self.stack.respond(id, Response::to_request(request, 481), now);
            return;
        };
        if request.method() == Method::Invite {
            self.owners.insert(id, Owner::Leg(leg));
        }
        self.with_leg(leg, now, |leg, line| leg.handle_request(id, request, flow, line));
    }

    fn handle_invite(
        &mut self,
        id: TransactionId,
        request: Request,
        (flow, proof): (Flow, Proof),
        next_leg: &mut dyn FnMut() -> LegId,
        now: Instant,
    ) {
        let caller = match self.caller(&request, flow, proof.clone()) {
            Ok(caller) => caller,
            Err(refusal) => {
                self.stack.respond(id, refusal.response(&request), now);
                return;
            }
        };
        let (description, has_offer) = match offer::read(request.fields(), request.body()) {
            Body::Description(description) => (description, true),
            Body::Nothing => (offer::stand_in(), false),
            Body::Broken => {
                self.stack.respond(id, Response::to_request(&request, 488), now);
                return;
            }
        };
        let tag = self.stack.token();
        let Some(mut dialog) =
            Dialog::answering(&request, &tag, flow, self.stack.advertised().reach())
        else {
            self.stack.respond(id, Response::to_request(&request, 400), now);
            return;
        };
        let trunk = self.trunks.get(&caller.origin.trunk);
        if let Some(place) = trunk.and_then(|trunk| trunk.place(&flow.into())) {
            dialog.reach_by(&place);
        }
        let leg = next_leg();
        let user = request.uri().user().unwrap_or_else(|| "gateway".to_owned());
        let contact = contact(&self.stack, &user, &flow.into());
        let incoming = Incoming {
            leg,
            to: caller.to,
            dialled: None,
            record: None,
            display: request.fields().from().and_then(|from| from.display),
            require: match request.uri().scheme() {
                wire::Scheme::Sips => Require::Encrypted,
                wire::Scheme::Sip | wire::Scheme::Tel | wire::Scheme::Other => Require::Any,
            },
            offer: Offer(description),
            profile: caller.profile,
            hops_left: request.fields().max_forwards(),
            origin: caller.origin,
        };
        let trunk = incoming.origin.trunk.clone();
        let call_id = dialog.id().call_id.clone();
        self.owners.insert(id, Owner::Leg(leg));
        let made = Leg::offered(leg, trunk, contact, id, request, dialog, has_offer);
        self.add_leg(made, call_id, tag);
        self.door.note_leg(leg, &proof);
        self.out.push_back(Output::Incoming(Box::new(incoming)));
    }

    /// Who calls: a trunk by where the call comes from, else an account by its password.
    pub(super) fn caller(
        &self,
        request: &Request,
        flow: Flow,
        proof: Proof,
    ) -> Result<Caller, Refusal> {
        let peer = flow.remote.ip();
        let unknown = || Refusal::new(404);
        let user = match proof {
            Proof::User(user) => user,
            Proof::Trunk(id) => {
                let trunk = self.trunks.get(&id).ok_or_else(unknown)?;
                let to = called(request, Some(trunk.user())).ok_or_else(unknown)?;
                let profile = trunk.shields().to_answer(flow.transport, peer);
                let asserted = asserted(request);
                let origin =
                    Origin { trunk: id, account: None, asserted, verified: false, only: None };
                return Ok(Caller { origin, profile, to });
            }
            // The tags of a call prove no account.
            Proof::Dialog => return Err(Refusal::new(403)),
        };
        let to = called(request, None).ok_or_else(unknown)?;
        let shields = self.registrar.shields(&user).unwrap_or(&self.shields);
        let profile = shields.to_answer(flow.transport, peer);
        let origin = Origin {
            trunk: TrunkId::from(LOCAL_TRUNK),
            account: self.registrar.account(&user).cloned(),
            asserted: Address::sip(&user, &self.domain),
            verified: true,
            only: None,
        };
        Ok(Caller { origin, profile, to })
    }

    fn handle_register(
        &mut self,
        id: TransactionId,
        request: &Request,
        (flow, proof): (Flow, Proof),
        now: Instant,
    ) {
        let user = match proof {
            Proof::User(user) => user,
            // The gate lets only accounts register.
            Proof::Trunk(_) | Proof::Dialog => {
                self.stack.respond(id, Response::to_request(request, 403), now);
                return;
            }
        };
        let before = self.registrar.locations(&user);
        let secret = self.place_secrets.get(&user);
        let stack = &mut self.stack;
        let key = |uri: &Uri| {
            secret.map_or_else(|| stack.token(), |secret| place::name(secret, &user, uri, flow))
        };
        let response = self.registrar.handle_register(&user, request, flow, key, now);
        let is_granted = response.is_success();
        self.stack.respond(id, response, now);
        if self.registrar.locations(&user) != before {
            self.publish(&user);
        }
        if is_granted {
            self.retry_for_phone(&user, flow, now);
        }
    }
}

/// The answer to an OPTIONS (RFC 3261 §11.2).
pub(super) fn capabilities(request: &Request) -> Response {
    let mut ok = Response::to_request(request, 200);
    ok.push("Allow", ALLOW);
    ok.push("Accept", &format!("{}, {}", offer::SDP, message::ACCEPT));
    ok.push("Accept-Encoding", "identity");
    ok.push("Accept-Language", "en");
    ok
}

/// Whom the caller wants: the Request-URI, or, where that only names our own user at a trunk, the
/// number in To.
fn called(request: &Request, trunk_user: Option<&str>) -> Option<Address> {
    let uri = request.uri();
    if trunk_user.is_some() && uri.user().as_deref() == trunk_user {
        let number = request.fields().to().and_then(|to| to.uri.number());
        if let Some(number) = number.filter(|number| Some(number.as_str()) != trunk_user) {
            return Some(Address::tel(&number));
        }
    }
    let mut address: Address = uri.to_text().parse().ok()?;
    // What remains says where to go, not whom to ask for.
    address.params.retain(|(name, _)| name == "transport");
    Some(address)
}

/// The caller a trunk tells of, unproven.
fn asserted(request: &Request) -> Address {
    let from = request.fields().from();
    let number = from.as_ref().and_then(|from| from.uri.number());
    if let Some(number) = number.filter(|number| number.starts_with('+')) {
        return Address::tel(&number);
    }
    let address = from.and_then(|from| from.uri.to_text().parse::<Address>().ok());
    let known = address.filter(|address| matches!(address.scheme, Scheme::Sip | Scheme::Sips));
    known.map_or_else(
        || Address::sip("anonymous", "anonymous.invalid"),
        |mut address| {
            address.params.clear();
            address
        },
    )
}
