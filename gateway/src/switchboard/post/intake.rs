//! What comes in: checked, planned in the order it came, made durable, settled.

use dialplan::People;
use gateway_adapter::Event;
use gateway_core::call::Inquiry;
use gateway_core::delivery::{Hop, Parcel, Way};
use gateway_core::message::{
    Composing, IntakeId, Message, MessageId, Received, Settlement, Status,
};
use gateway_core::route::{Group, Origin, Require, Route};
use gateway_core::{AccountId, Address, Cause, Scheme, TrunkId};

use super::{Act, Clock, Letter, PROCOM, Post};
use crate::control::{ControlDesk, ControlMessage, GATEWAY};
use crate::store::messages::{MailWrite, Taking};

/// What the names of guests begin with.
const GUEST_PREFIX: &str = "guest.";

/// The ways to a recipient in groups, or why there are none.
type Ways = Result<Vec<Vec<Way>>, (Cause, String)>;

/// A message that is not settled yet.
#[derive(Debug)]
pub(super) struct Intake {
    /// Who brought it; empty once that one is gone, or where it is the gateway's own.
    pub(super) adapter: &'static str,
    id: IntakeId,
    origin: Origin,
    message: Message,
    queue: String,
    ways: Option<Ways>,
    hops: Vec<Hop>,
    conversation: String,
}

impl Post {
    /// Somebody writes.
    pub(in crate::switchboard) fn handle_received(
        &mut self,
        adapter: &'static str,
        received: Received,
        is_draining: bool,
        clock: Clock,
    ) {
        let Received { intake, origin, message } = received;
        let sender = sender_of(&origin);
        // Of one contact by whatever address: what is written first is taken first.
        let queue = format!("{sender} {}", self.people.asked(&message.to));
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let refusal = self.refusal(&sender, &origin, &message, is_draining, clock);
        let inquiry = Inquiry {
            origin: origin.clone(),
            to: message.to.clone(),
            dialled: message.dialled.clone(),
            record: None,
            // What is encrypted between the two ends needs nothing of the ways between.
            require: if self.config.is_opaque(&message.content) {
                Require::Any
            } else {
                message.require
            },
        };
        let intake = Intake {
            adapter,
            id: intake,
            origin,
            message,
            queue: queue.clone(),
            ways: None,
            hops: Vec::new(),
            conversation: String::new(),
        };
        let to = intake.message.to.clone();
        self.intakes.insert(ticket, intake);
        if let Some((cause, why)) = refusal {
            return self.refuse(ticket, cause, why);
        }
        self.queues.entry(queue).or_default().push_back(ticket);
        if ControlDesk::is_gateway(&to) {
            self.handle_ways(ticket, Ok(Vec::new()), clock);
        } else if let Some(guest) = guest_way(&to).filter(|_| inquiry.origin.account.is_some()) {
            self.handle_ways(ticket, Ok(vec![vec![guest]]), clock);
        } else {
            self.out.push_back(Act::Plan(ticket, Box::new(inquiry)));
        }
    }

    fn refusal(
        &mut self,
        sender: &str,
        origin: &Origin,
        message: &Message,
        is_draining: bool,
        clock: Clock,
    ) -> Option<(Cause, String)> {
        if is_draining {
            let why = "the gateway is stopping; try again in a minute";
            return Some((Cause::Shutdown, why.to_owned()));
        }
        if let Some(fault) = self.config.fault(message) {
            return Some(fault);
        }
        if ControlDesk::is_gateway(&message.to) && !self.control.admits(origin) {
            let why = "only accounts that the configuration names may write to the gateway itself";
            return Some((Cause::Forbidden, why.to_owned()));
        }
        if self.intakes.len() + self.all.len() >= self.config.most_under_way {
            let why = "the gateway has as many messages under way as it may; try again later";
            return Some((Cause::Overload, why.to_owned()));
        }
        if !self.by_sender.take(sender, clock.now) {
            let most = self.config.per_minute;
            let why = format!("more than {most} messages a minute are not taken; wait a moment");
            return Some((Cause::Overload, why));
        }
        if !self.by_recipient.take(&message.to.to_string(), clock.now) {
            let most = self.config.per_minute_to_one;
            let why = format!("more than {most} messages a minute to one recipient are not taken");
            return Some((Cause::Overload, why));
        }
        None
    }

    /// The ways to a recipient, in groups, or why there are none.
    pub(in crate::switchboard) fn handle_planned(
        &mut self,
        ticket: u64,
        routes: Result<Vec<Group>, (Cause, String)>,
        clock: Clock,
    ) {
        let Some(intake) = self.intakes.get(&ticket) else { return };
        let is_opaque = self.config.is_opaque(&intake.message.content);
        let ways = routes.and_then(|groups| ways(groups, &intake.message, is_opaque));
        self.handle_ways(ticket, ways, clock);
    }

    fn handle_ways(&mut self, ticket: u64, ways: Ways, clock: Clock) {
        let Some(intake) = self.intakes.get_mut(&ticket) else { return };
        intake.ways = Some(ways);
        let queue = intake.queue.clone();
        // A plan that took longer holds up those behind it.
        loop {
            let first = self.queues.get(&queue).and_then(|tickets| tickets.front().copied());
            let Some(first) = first else { break };
            let ways = self.intakes.get_mut(&first).map(|intake| intake.ways.take());
            match ways {
                Some(Some(Ok(ways))) => self.take(first, ways, clock),
                Some(Some(Err((cause, why)))) => self.refuse(first, cause, why),
                Some(None) => return,
                None => {}
            }
            self.unqueue(&queue);
        }
    }

    fn unqueue(&mut self, queue: &str) {
        if let Some(tickets) = self.queues.get_mut(queue) {
            tickets.pop_front();
            if tickets.is_empty() {
                self.queues.remove(queue);
            }
        }
    }

    /// Has the store make it durable.
    fn take(&mut self, ticket: u64, ways: Vec<Vec<Way>>, clock: Clock) {
        let mut hops = Vec::new();
        for (group, ways) in (0..=u8::MAX).zip(ways) {
            for way in ways {
                hops.push(Hop { id: self.next_hop(), group, way, attempt: 0 });
            }
        }
        let Some(intake) = self.intakes.get_mut(&ticket) else { return };
        let (origin, message) = (&intake.origin, &intake.message);
        let has_mailbox = hops.iter().any(|hop| hop.way.is_mailbox());
        let life_s = if has_mailbox { self.config.life_offline_s } else { self.config.life_s };
        intake.conversation = conversation(&self.people, origin, message, &hops);
        intake.hops.clone_from(&hops);
        let taking = Taking {
            ticket,
            message_id: MessageId(crate::secrets::random()),
            key: self.keys.of(&sender_of(origin), &message.sender_id),
            origin: origin.clone(),
            message: message.clone(),
            conversation: intake.conversation.clone(),
            // What is for the gateway itself has arrived.
            status: if hops.is_empty() { Status::Delivered } else { Status::Queued },
            is_for_guest: hops.len() == 1 && guest_way(&message.to).is_some(),
            hops,
            now_ms: clock.epoch_ms,
            life_ms: i64::try_from(life_s.saturating_mul(1000)).unwrap_or(i64::MAX),
            most_waiting: self.config.most_waiting,
        };
        self.out.push_back(Act::Store(MailWrite::Take(Box::new(taking))));
    }

    /// It is durable: its sender may forget it.
    pub(super) fn handle_taken(
        &mut self,
        ticket: u64,
        message_id: MessageId,
        status: Status,
        is_new: bool,
        clock: Clock,
    ) {
        let Some(intake) = self.intakes.remove(&ticket) else { return };
        let Intake { adapter, id, origin, message, hops, conversation, .. } = intake;
        let outcome = if is_new { "taken" } else { "again" };
        self.count(&origin.trunk, "in", outcome);
        let conversation_id = self.keys.of_conversation(&conversation);
        if !adapter.is_empty() {
            let taken = Settlement::Taken(message_id, status, conversation_id);
            self.out.push_back(Act::Settle(adapter, id, taken));
        }
        if !is_new {
            return;
        }
        if hops.is_empty() {
            let control = ControlMessage { origin, body: message.body };
            return self.out.push_back(Act::Control(Box::new(control)));
        }
        let ways: Vec<Way> = hops.iter().map(|hop| hop.way.clone()).collect();
        let devices = self.devices_for(&ways);
        let has_mailbox = ways.iter().any(Way::is_mailbox);
        let life_s = if has_mailbox { self.config.life_offline_s } else { self.config.life_s };
        let parcel = Parcel {
            message_id,
            conversation,
            hops: hops.into_iter().map(|hop| (hop, std::time::Duration::ZERO)).collect(),
            status,
            wants_receipts: message.wants_receipts,
            takers: Vec::new(),
            life: std::time::Duration::from_secs(life_s),
        };
        let letter = Letter { origin, message, conversation: conversation_id };
        self.letter_of_message.insert(message_id, letter);
        let here: Vec<Way> = ways.into_iter().filter(|way| self.is_here(way)).collect();
        self.all.accept(parcel, |way| here.contains(way), devices, clock.moment());
        self.drain(clock);
        self.keep_letter_of(message_id);
    }

    pub(super) fn refuse(&mut self, ticket: u64, cause: Cause, why: String) {
        let Some(intake) = self.intakes.remove(&ticket) else { return };
        self.count(&intake.origin.trunk, "in", "refused");
        tracing::debug!(trunk = %intake.origin.trunk, %cause, "a message is refused");
        if !intake.adapter.is_empty() {
            let refused = Settlement::Refused(cause, why);
            self.out.push_back(Act::Settle(intake.adapter, intake.id, refused));
        }
    }

    /// The gateway itself answers an account.
    pub(in crate::switchboard) fn answer(&mut self, to: &Origin, text: String, clock: Clock) {
        let Some(account) = to.account.clone() else { return };
        let origin = Origin {
            trunk: PROCOM.into(),
            account: None,
            asserted: Address::procom(GATEWAY),
            verified: true,
            only: None,
        };
        let address = Address::procom(account.as_str());
        let message = Message {
            sender_id: MessageId(crate::secrets::random()).to_string(),
            to: address.clone(),
            dialled: None,
            content: "text/plain".to_owned(),
            body: text.into(),
            thread: None,
            at_ms: clock.epoch_ms,
            require: Require::Any,
            may_fall_back: false,
            wants_receipts: false,
            hops_left: None,
        };
        let way = Way { trunk: PROCOM.into(), to: address, contact: None, account: Some(account) };
        let mut ways = vec![way];
        ways.extend(self.devices_for(&ways).into_iter().flat_map(|it| it.ways).map(|(_, way)| way));
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let intake = Intake {
            adapter: "",
            id: IntakeId(0),
            origin,
            message,
            queue: String::new(),
            ways: None,
            hops: Vec::new(),
            conversation: String::new(),
        };
        self.intakes.insert(ticket, intake);
        self.take(ticket, vec![ways], clock);
    }

    /// Somebody is writing: as often as that is worth telling.
    pub(in crate::switchboard) fn may_compose(&mut self, event: &Event, clock: Clock) -> bool {
        let Event::Composing(composing) = event else { return false };
        self.composing.take(&sender_of(&composing.origin), clock.now)
    }

    /// Somebody with an account writes to a guest, or has stopped. False if it is no guest.
    pub(in crate::switchboard) fn compose_to_guest(&mut self, composing: &Composing) -> bool {
        let Some(way) = guest_way(&composing.to).filter(|_| composing.origin.account.is_some())
        else {
            return false;
        };
        self.out.push_back(Act::Composing(way.trunk, Box::new(composing.clone())));
        true
    }

    /// Brings it to everybody it may reach now.
    pub(in crate::switchboard) fn handle_composing(
        &mut self,
        composing: &Composing,
        groups: Vec<Group>,
    ) {
        let mut told: Vec<(TrunkId, Option<String>)> = Vec::new();
        for route in groups.into_iter().next().unwrap_or_default() {
            let Route::Leg(leg) = route else { continue };
            // Devices of one account on one trunk are the adapter's matter.
            let key = (leg.trunk.clone(), leg.account.as_ref().map(ToString::to_string));
            if told.contains(&key) {
                continue;
            }
            told.push(key);
            let towards = Composing { to: leg.to, account: leg.account, ..composing.clone() };
            self.out.push_back(Act::Composing(leg.trunk, Box::new(towards)));
        }
    }
}

/// Who writes, as one text: an account on whatever network, or else an address on its trunk.
fn sender_of(origin: &Origin) -> String {
    match &origin.account {
        Some(account) => format!("account {account}"),
        None => format!("trunk {} {}", origin.trunk, origin.asserted),
    }
}

/// The two who talk, in an order that is the same for both. A contact is one of them by whatever
/// address; what is not proven of a sender joins by the address alone, and stays marked as not proven.
fn conversation(people: &People, origin: &Origin, message: &Message, hops: &[Hop]) -> String {
    let recipient = hops.first().and_then(|hop| hop.way.account.as_ref());
    // A guest is answered by what was written down of it: that must not change with a contact.
    let is_guest = |address: &Address| guest_way(address).is_some();
    let has_guest = is_guest(&origin.asserted) || is_guest(&message.to);
    let account = |account: &AccountId| match has_guest {
        true => Address::procom(account.as_str()).to_string(),
        false => people.account(account),
    };
    let sender = origin.account.as_ref();
    let from = sender.map_or_else(|| people.claimed(&origin.asserted), account);
    let to = recipient.map_or_else(|| people.asked(&message.to), account);
    if from <= to { format!("{from} {to}") } else { format!("{to} {from}") }
}

/// The sessions of a guest, if this is the address of one.
fn guest_way(to: &Address) -> Option<Way> {
    let is_guest =
        to.scheme == Scheme::Procom && to.host.is_none() && to.name().starts_with(GUEST_PREFIX);
    let way = Way { trunk: PROCOM.into(), to: to.clone(), contact: None, account: None };
    is_guest.then_some(way)
}

/// What of the routes a message may take: another address only if its sender allows it, and what is
/// encrypted end to end between Procom clients alone.
fn ways(groups: Vec<Group>, message: &Message, is_opaque: bool) -> Ways {
    let mut ways: Vec<Vec<Way>> = Vec::new();
    for group in groups {
        let legs = group.into_iter().filter_map(|route| match route {
            Route::Leg(leg) => Some(Way {
                trunk: leg.trunk,
                to: leg.to,
                contact: leg.contact,
                account: leg.account,
            }),
            Route::Echo => None,
        });
        let legs: Vec<Way> = legs.collect();
        let is_same = |way: &Way| {
            let first = ways.first().into_iter().flatten();
            let mut first = first.map(|first| (&first.to, &first.account));
            first.any(|first| first == (&way.to, &way.account))
        };
        if ways.is_empty() || message.may_fall_back || legs.iter().all(is_same) {
            ways.push(legs);
        }
    }
    ways.retain(|group| !group.is_empty());
    if ways.is_empty() {
        let why = "the echo takes calls, not messages".to_owned();
        return Err((Cause::NotAcceptable, why));
    }
    if is_opaque {
        for group in &mut ways {
            group.retain(|way| way.trunk.network() == PROCOM);
        }
        ways.retain(|group| !group.is_empty());
        if ways.is_empty() {
            let why = format!("{} is carried between Procom clients only", message.content);
            return Err((Cause::NotAcceptable, why));
        }
    }
    Ok(ways)
}
