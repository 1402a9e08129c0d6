//! A MESSAGE of ours on its way: looked up, sent, sent to the next place, answered.

use std::collections::VecDeque;
use std::time::Instant;

use gateway_core::message::{Composing, Dispatch, Handover, Receipt};
use gateway_core::route::{Origin, Require};
use gateway_core::{AccountId, Address, Cause, TrunkId};

use crate::agent::Agent;
use crate::agent::dial::{Place, Way, Wish};
use crate::config::{DIRECT_TRUNK, LOCAL_TRUNK};
use crate::line::{Asker, ErrandId, Output, Owner};
use crate::message::{Ids, Letter, handover};
use crate::reach::{beside_trunks, judge, permitted};
use crate::registrar::place;
use crate::stack::MAX_DATAGRAM_REQUEST_BYTES;
use crate::stack::flow::{Flow, Target, Transport};
use crate::stack::transaction::TransactionId;
use crate::stack::wire::{Request, Response, Uri};

/// Challenges answered in one attempt: one each of a proxy and of the far side, and one stale.
const MAX_CHALLENGES: u8 = 3;
/// Notes on their way at once; more are not worth the memory.
const MAX_NOTES: usize = 1_000;

/// A MESSAGE of ours on its way.
#[derive(Debug)]
pub(super) struct Errand {
    trunk: TrunkId,
    ids: Ids,
    letter: Letter,
    uri: Uri,
    from: Uri,
    to: Uri,
    /// It goes straight to where a phone registered.
    is_phone: bool,
    /// It may not cross an open wire.
    needs_tls: bool,
    later: VecDeque<Target>,
    /// Requests sent so far: each has a branch of its own.
    steps: u32,
    challenges: u8,
    sent: Option<Sent>,
}

/// The request whose answer is awaited.
#[derive(Debug)]
struct Sent {
    request: Request,
    target: Target,
    transaction: TransactionId,
    /// It left by a stream for its length, though a datagram was asked for.
    is_too_long: bool,
}

impl Errand {
    pub(super) fn call_id(&self) -> String {
        self.ids.call_id()
    }

    /// How long a text may be that one datagram carries there.
    fn limit(&self) -> usize {
        let Some(sent) = &self.sent else { return 0 };
        let others = sent.request.render().len().saturating_sub(self.letter.len());
        // The Via, which is put on later.
        MAX_DATAGRAM_REQUEST_BYTES.saturating_sub(others + 100)
    }
}

impl Agent {
    /// Hands a message over. The same attempt again, while it lasts, is the same attempt.
    pub(in crate::agent) fn send(&mut self, dispatch: &Dispatch, now: Instant) {
        let id = ErrandId::Delivery(dispatch.delivery);
        if self.post.errands.contains_key(&id) {
            return;
        }
        if let Err(handover) = self.try_send(id, dispatch, now) {
            let event = gateway_adapter::Event::Sent(dispatch.delivery, handover);
            self.out.push_back(Output::Event(event));
        }
    }

    fn try_send(
        &mut self,
        id: ErrandId,
        dispatch: &Dispatch,
        now: Instant,
    ) -> Result<(), Handover> {
        let never = |(cause, why): (Cause, &str)| Handover::Never(cause, why.to_owned());
        // What may not travel on is refused where it comes in; not every network does.
        if dispatch.message.hops_left == Some(0) {
            return Err(never((Cause::Forbidden, "the message has come too far")));
        }
        let contact = self.contact(dispatch.contact.as_deref(), dispatch.account.as_ref());
        let place = self.remembered(dispatch, now);
        let is_local = dispatch.trunk.as_str() == LOCAL_TRUNK;
        if is_local && contact.is_none() && place.is_none() {
            let why = "no phone of the account is registered".to_owned();
            return Err(Handover::Later(Cause::Unreachable, why));
        }
        let contact = contact.as_deref().filter(|_| place.is_none());
        let (origin, trunk, to) = (&dispatch.origin, &dispatch.trunk, &dispatch.to);
        let way = match &place {
            Some(place) => self.way_back(origin, place),
            None => self.way_to(&Wish { origin, trunk, contact, to }),
        };
        let way = way.map_err(|(cause, why)| {
            let is_passing = cause == Cause::Unreachable;
            if is_passing { Handover::Later(cause, why.to_owned()) } else { never((cause, why)) }
        })?;
        let with_imdn = match &place {
            Some(place) => self.post.cpim_users.contains(&place.user),
            None => self.reads_cpim(&dispatch.trunk, contact),
        };
        let letter = Letter::text(dispatch, (&way.from, &way.to), with_imdn).map_err(never)?;
        let needs_tls = dispatch.message.require != Require::Any;
        let is_phone = contact.is_some() || place.is_some();
        let ids = Ids::of(dispatch);
        self.begin_errand(id, way, (ids, letter), &dispatch.trunk, (is_phone, needs_tls), now);
        Ok(())
    }

    /// Where a phone was that an earlier life may have sent this very attempt to.
    fn remembered(&self, dispatch: &Dispatch, now: Instant) -> Option<place::Place> {
        let key = dispatch.contact.as_deref()?;
        let is_known = self.registrar.find(key).is_some();
        let may = !is_known && self.post.may_be_repeated(dispatch.message.at_ms, now);
        place::recall(key, |user| self.place_secrets.get(user)).filter(|_| may)
    }

    /// The contact of a dispatch, or the preferred one of its account, where that has registered
    /// anew since.
    fn contact(&self, contact: Option<&str>, account: Option<&AccountId>) -> Option<String> {
        let known = contact.filter(|key| self.registrar.find(key).is_some()).map(str::to_owned);
        known.or_else(|| self.registrar.contacts(account?).into_iter().next())
    }

    fn reads_cpim(&self, trunk: &TrunkId, contact: Option<&str>) -> bool {
        match contact.and_then(|key| self.registrar.find(key)) {
            Some((user, _)) => self.post.cpim_users.contains(user),
            None => self.trunks.get(trunk).is_some_and(|trunk| trunk.reads_cpim()),
        }
    }

    fn begin_errand(
        &mut self,
        id: ErrandId,
        way: Way,
        (ids, letter): (Ids, Letter),
        trunk: &TrunkId,
        (is_phone, needs_tls): (bool, bool),
        now: Instant,
    ) {
        let errand = Errand {
            trunk: trunk.clone(),
            ids,
            letter,
            uri: way.uri,
            from: way.from,
            to: way.to,
            is_phone,
            needs_tls,
            later: VecDeque::new(),
            steps: 0,
            challenges: 0,
            sent: None,
        };
        self.post.call_ids.insert(errand.call_id());
        self.post.errands.insert(id, errand);
        match way.place {
            Place::At(targets) => self.handle_errand_targets(id, Ok(targets), now),
            Place::Named(query) => {
                self.out.push_back(Output::Resolve(Asker::Errand(id), query));
            }
        }
    }

    /// Tells a sender how far its message has come, if it asked for that (RFC 5438 §7.2).
    pub(in crate::agent) fn send_receipt(&mut self, receipt: &Receipt, now: Instant) {
        // A sender with several phones: whichever wrote knows the id, the others do not mind.
        let contacts = match &receipt.origin.account {
            Some(account) => self.registrar.contacts(account).into_iter().map(Some).collect(),
            None => vec![None],
        };
        for (at, contact) in contacts.into_iter().enumerate() {
            let from = named(&receipt.to, &receipt.trunk);
            let wish = Wish {
                origin: &from,
                trunk: &receipt.trunk,
                contact: contact.as_deref(),
                to: &receipt.origin.asserted,
            };
            let Ok(way) = self.way_to(&wish) else { continue };
            let Some(letter) = Letter::notice(receipt, &way.from, &way.to) else { return };
            let ids = Ids::of_receipt(receipt, at + 1);
            self.begin_note(way, (ids, letter), &receipt.trunk, contact.is_some(), now);
        }
    }

    /// Tells that somebody writes, to who has shown that it understands (RFC 3994 §3).
    pub(in crate::agent) fn send_composing(
        &mut self,
        trunk: TrunkId,
        composing: &Composing,
        now: Instant,
    ) {
        let home = composing.account.as_ref().and_then(|account| self.registrar.address(account));
        let peer = home.map_or_else(
            || composing.to.to_string(),
            |user| Address::sip(user, &self.domain).to_string(),
        );
        if !self.post.composers.contains(&peer) {
            return;
        }
        let contact = self.contact(None, composing.account.as_ref());
        let (origin, to) = (&composing.origin, &composing.to);
        let wish = Wish { origin, trunk: &trunk, contact: contact.as_deref(), to };
        let Ok(way) = self.way_to(&wish) else { return };
        let ids = Ids::fresh(&self.stack.token());
        let letter = Letter::composing(composing.is_on);
        self.begin_note(way, (ids, letter), &trunk, contact.is_some(), now);
    }

    fn begin_note(
        &mut self,
        way: Way,
        what: (Ids, Letter),
        trunk: &TrunkId,
        is_phone: bool,
        now: Instant,
    ) {
        let is_note = |id: &&ErrandId| matches!(id, ErrandId::Note(_));
        if self.post.errands.keys().rev().take_while(is_note).count() >= MAX_NOTES {
            return;
        }
        self.post.notes += 1;
        let id = ErrandId::Note(self.post.notes);
        self.begin_errand(id, way, what, trunk, (is_phone, false), now);
    }

    /// Takes where an errand can go.
    pub(in crate::agent) fn handle_errand_targets(
        &mut self,
        id: ErrandId,
        found: Result<Vec<Target>, String>,
        now: Instant,
    ) {
        let Some(errand) = self.post.errands.get_mut(&id) else { return };
        let reach = self.stack.advertised().reach();
        let is_of_trunk = self.trunks.contains_key(&errand.trunk);
        let found = found.and_then(|targets| {
            permitted(targets, |target| judge(reach, target, is_of_trunk))
                .map_err(|why| why.to_string())
        });
        let targets = match found {
            Ok(targets) => targets,
            Err(why) => {
                self.end_errand(id, Handover::Later(Cause::Unreachable, why));
                return;
            }
        };
        let found = targets.len();
        let is_direct = errand.trunk.as_str() == DIRECT_TRUNK;
        let is_at_trunk = |ip| self.trunks.values().any(|trunk| trunk.is_at(ip));
        let targets = match is_direct {
            true => beside_trunks(errand.uri.user().as_deref(), targets, is_at_trunk),
            false => targets,
        };
        if targets.is_empty() && found > 0 {
            let why = "this number leads to the server of a trunk, and goes by that trunk only";
            self.end_errand(id, Handover::Never(Cause::Forbidden, why.to_owned()));
            return;
        }
        let is_fine = |target: &Target| !errand.needs_tls || target.transport == Transport::Tls;
        errand.later = targets.into_iter().filter(is_fine).collect();
        if errand.later.is_empty() && found > 0 {
            let why = "the way to the recipient is not encrypted".to_owned();
            self.end_errand(id, Handover::Never(Cause::Security, why));
            return;
        }
        let why = "there is nowhere to send it".to_owned();
        self.try_next_place(id, Handover::Later(Cause::Unreachable, why), now);
    }

    /// Sends to the next place: another branch, else the same request (RFC 3263 §4.3). `last`: what
    /// to say when there is none.
    fn try_next_place(&mut self, id: ErrandId, last: Handover, now: Instant) {
        let Some(errand) = self.post.errands.get_mut(&id) else { return };
        let Some(target) = errand.later.pop_front() else {
            self.end_errand(id, last);
            return;
        };
        let number = errand.sent.as_ref().and_then(|sent| sent.request.fields().cseq());
        let number = number.map_or(1, |(number, _)| number);
        let names = (&errand.from, &errand.to);
        let request = errand.letter.request(&errand.ids, number, &errand.uri, names);
        self.transmit_errand(id, request, target, now);
    }

    fn transmit_errand(&mut self, id: ErrandId, request: Request, target: Target, now: Instant) {
        let Some(errand) = self.post.errands.get_mut(&id) else { return };
        let branch = errand.ids.branch(errand.steps);
        errand.steps += 1;
        let wanted = target.transport;
        let sent = self.stack.send_repeatable(request.clone(), target.clone(), &branch, now);
        let Some(transaction) = sent else {
            let why = "the gateway has too much to do".to_owned();
            self.end_errand(id, Handover::Later(Cause::Overload, why));
            return;
        };
        let taken = self.stack.target(transaction).map(|target| target.transport);
        let is_too_long = taken.is_some_and(|taken| taken != wanted);
        errand.sent = Some(Sent { request, target, transaction, is_too_long });
        self.owners.insert(transaction, Owner::Errand(id));
    }

    /// Takes the final answer.
    pub(in crate::agent) fn handle_errand_response(
        &mut self,
        id: ErrandId,
        response: &Response,
        flow: Flow,
        now: Instant,
    ) {
        let Some(errand) = self.post.errands.get(&id) else { return };
        let meaning = handover(response, errand.is_phone);
        match response.status() {
            401 | 407 if self.authorize_errand(id, response, flow, now) => {}
            // RFC 3263 §4.3: the next place.
            408 | 503 => self.try_next_place(id, meaning, now),
            _ => self.end_errand(id, meaning),
        }
    }

    /// Answers a challenge of the trunk it goes by, which is pinned by address and realm; nobody
    /// else's (CVE-2021-41158).
    fn authorize_errand(
        &mut self,
        id: ErrandId,
        response: &Response,
        flow: Flow,
        now: Instant,
    ) -> bool {
        let Some(errand) = self.post.errands.get_mut(&id) else { return false };
        let Some(sent) = &errand.sent else { return false };
        let may_answer = errand.challenges < MAX_CHALLENGES && !errand.is_phone;
        let trunk = self.trunks.get_mut(&errand.trunk).filter(|_| may_answer);
        let Some(trunk) = trunk else { return false };
        let (mut request, target) = (sent.request.clone(), sent.target.clone());
        if !trunk.authorize(&mut request, response, flow, &self.stack.token()) {
            return false;
        }
        errand.challenges += 1;
        let number = request.fields().cseq().map_or(1, |(number, _)| number) + 1;
        request.set("CSeq", &format!("{number} MESSAGE"));
        self.transmit_errand(id, request, target, now);
        true
    }

    /// Takes the news that no answer will come.
    pub(in crate::agent) fn handle_errand_failed(
        &mut self,
        id: ErrandId,
        transaction: TransactionId,
        is_unreachable: bool,
        now: Instant,
    ) {
        let Some(errand) = self.post.errands.get(&id) else { return };
        let Some(sent) = errand.sent.as_ref().filter(|sent| sent.transaction == transaction) else {
            return;
        };
        let last = if is_unreachable && sent.is_too_long {
            let limit = errand.limit();
            let why =
                format!("the limit is {limit} bytes: the recipient's side takes datagrams only");
            Handover::Never(Cause::NotAcceptable, why)
        } else if is_unreachable {
            Handover::Later(Cause::Unreachable, "the recipient's side cannot be reached".to_owned())
        } else {
            Handover::Later(Cause::NoAnswer, "the recipient's side does not answer".to_owned())
        };
        self.try_next_place(id, last, now);
    }
}

/// Somebody as the sender of what is said in its name.
fn named(address: &Address, trunk: &TrunkId) -> Origin {
    Origin {
        trunk: trunk.clone(),
        account: None,
        asserted: address.clone(),
        verified: false,
        only: None,
    }
}
