//! All messages that are under way, and the lanes that keep their order.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Instant;

use super::{Ask, Delivery, Devices, Hop, Input, Moment, Parcel, Patience, Progress, Way};
use crate::ids::{AccountId, TrunkId};
use crate::message::{Confirmation, DeliveryId, Handover, MessageId, Status};

/// What is asked for all messages together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// To make this attempt.
    Dispatch(MessageId, Hop),
    /// To make this durable, and say so.
    Store(Box<Progress>),
    /// To tell the sender, with the reason of a failure.
    Tell(MessageId, Status, Option<String>),
    /// Nothing of it is under way here any more.
    Rests(MessageId),
}

/// Somebody without an account, by trunk and name.
type Place = (TrunkId, String);

/// A conversation, and a place its messages go to one after the other.
type LaneKey = (String, Way);

/// A message with the conversation it belongs to.
#[derive(Debug)]
struct Held {
    delivery: Delivery,
    conversation: String,
    /// Counts up as messages are taken: the order of a conversation.
    order: u64,
    accounts: BTreeSet<AccountId>,
    places: BTreeSet<Place>,
}

/// All messages under way.
#[derive(Debug, Default)]
pub struct Deliveries {
    patience: Patience,
    held: BTreeMap<MessageId, Held>,
    message_of_hop: HashMap<DeliveryId, MessageId>,
    messages_of_account: HashMap<AccountId, BTreeSet<(u64, MessageId)>>,
    messages_of_place: HashMap<Place, BTreeSet<(u64, MessageId)>>,
    lanes: HashMap<LaneKey, VecDeque<DeliveryId>>,
    lane_of_hop: HashMap<DeliveryId, LaneKey>,
    due: BTreeSet<(Instant, MessageId)>,
    due_of_message: HashMap<MessageId, Instant>,
    turns: VecDeque<DeliveryId>,
    accepted: u64,
    out: VecDeque<Output>,
}

impl Deliveries {
    /// None yet.
    #[must_use]
    pub fn new(patience: Patience) -> Self {
        Self { patience, ..Self::default() }
    }

    /// Takes a message that is durable: just taken, or as an earlier life stored it. Messages of one
    /// conversation come in their order. `is_here` says whether somebody is there at a mailbox;
    /// `devices` are all that its account has now.
    pub fn accept(
        &mut self,
        parcel: Parcel,
        is_here: impl Fn(&Way) -> bool,
        devices: Option<Devices>,
        moment: Moment,
    ) {
        let (id, conversation) = (parcel.message_id, parcel.conversation.clone());
        if self.held.contains_key(&id) {
            return;
        }
        let mut delivery = Delivery::new(parcel, self.patience, is_here, moment);
        if let Some(devices) = devices {
            let there = devices.ways.iter().map(|(_, way)| way.clone()).collect();
            let account = devices.account.clone();
            delivery.handle(Input::Gone { account, network: None, there }, moment);
            delivery.handle(Input::Devices(devices), moment);
        }
        self.accepted += 1;
        let (order, accounts, places) = (self.accepted, BTreeSet::new(), BTreeSet::new());
        self.held.insert(id, Held { delivery, conversation, order, accounts, places });
        self.drain(id, moment);
        self.take_turns(moment);
    }

    /// What came of an attempt.
    pub fn handle_sent(&mut self, hop: DeliveryId, handover: Handover, moment: Moment) {
        if let Some(id) = self.message_of_hop.get(&hop).copied() {
            self.step(id, Input::Sent(hop, handover), moment);
        }
    }

    /// The far side says how far a message has come. False if that message is not under way here.
    pub fn handle_confirmed(&mut self, confirmation: &Confirmation, moment: Moment) -> bool {
        let id = confirmation.message_id;
        let is_held = self.held.contains_key(&id);
        self.step(id, Input::Confirmed(confirmation.clone()), moment);
        is_held
    }

    /// What was to be made durable is.
    pub fn handle_stored(&mut self, id: MessageId, version: u32, moment: Moment) {
        self.step(id, Input::Stored(version), moment);
    }

    /// The adapter of a network is gone: what it had is to be given to it again.
    pub fn handle_lost(&mut self, network: &str, moment: Moment) {
        for id in self.held.keys().copied().collect::<Vec<_>>() {
            let Some(held) = self.held.get_mut(&id) else { continue };
            let is_lost = |hop: &Hop, flies: bool| flies && hop.way.trunk.network() == network;
            let hops = held.delivery.hops().filter(|(hop, flies)| is_lost(hop, *flies));
            let hops: Vec<DeliveryId> = hops.map(|(hop, _)| hop.id).collect();
            // All before what any of them asks is done: nothing more goes to that adapter.
            for hop in &hops {
                held.delivery.handle(Input::Lost(*hop), moment);
            }
            if !hops.is_empty() {
                self.drain(id, moment);
                self.take_turns(moment);
            }
        }
    }

    /// Somebody is there for a message that waits: at its mailbox, or by these devices. To be said
    /// of all messages of the account in their order.
    pub fn handle_found(
        &mut self,
        id: MessageId,
        is_here: bool,
        devices: Option<Devices>,
        moment: Moment,
    ) {
        let Some(held) = self.held.get(&id) else { return };
        for hop in mailboxes(&held.delivery).into_iter().filter(|_| is_here) {
            self.step(id, Input::Here(hop), moment);
        }
        if let Some(devices) = devices {
            self.step(id, Input::Devices(devices), moment);
        }
    }

    /// Somebody who has no account here is there again: what rests for them is tried now.
    pub fn handle_woken(&mut self, trunk: &TrunkId, name: &str, moment: Moment) {
        let place = (trunk.clone(), name.to_owned());
        let ids = self.messages_of_place.get(&place).into_iter().flatten();
        for id in ids.map(|(_, id)| *id).collect::<Vec<_>>() {
            let hops = self.held.get(&id).into_iter().flat_map(|held| held.delivery.hops());
            let hops = hops.filter(|(hop, _)| place_of(&hop.way).as_ref() == Some(&place));
            for hop in hops.map(|(hop, _)| hop.id).collect::<Vec<_>>() {
                self.step(id, Input::Woken(hop), moment);
            }
        }
    }

    /// Nobody is there any more at an account.
    pub fn handle_left(&mut self, account: &AccountId, moment: Moment) {
        for id in self.of_account(account) {
            let hops = self.held.get(&id).map(|held| mailboxes(&held.delivery));
            for hop in hops.unwrap_or_default() {
                self.feed(id, Input::Left(hop), moment);
            }
        }
        // Only now: nobody's turn comes by the leaving of one who comes back before it.
        self.take_turns(moment);
    }

    /// The devices of an account on one network that are still there: the others are no ways now.
    pub fn handle_gone(
        &mut self,
        account: &AccountId,
        network: &str,
        there: &[Way],
        moment: Moment,
    ) {
        for id in self.of_account(account) {
            let (account, network) = (account.clone(), Some(network.to_owned()));
            let gone = Input::Gone { account, network, there: there.to_vec() };
            self.feed(id, gone, moment);
        }
        self.take_turns(moment);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, moment: Moment) {
        while let Some((at, id)) = self.due.first().copied().filter(|(at, _)| *at <= moment.now) {
            self.due.remove(&(at, id));
            self.due_of_message.remove(&id);
            if let Some(held) = self.held.get_mut(&id) {
                held.delivery.handle_timeout(moment);
            }
            self.drain(id, moment);
            self.take_turns(moment);
        }
    }

    /// The next thing asked, until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When something is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// How many messages are under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether this one is.
    #[must_use]
    pub fn holds(&self, id: MessageId) -> bool {
        self.held.contains_key(&id)
    }

    /// Where a hop leads.
    #[must_use]
    pub fn way_of(&self, hop: DeliveryId) -> Option<&Way> {
        let held = self.held.get(self.message_of_hop.get(&hop)?)?;
        let mut hops = held.delivery.hops().map(|(hop, _)| hop);
        hops.find(|known| known.id == hop).map(|hop| &hop.way)
    }

    fn of_account(&self, account: &AccountId) -> Vec<MessageId> {
        let ids = self.messages_of_account.get(account).into_iter().flatten();
        ids.map(|(_, id)| *id).collect()
    }

    fn step(&mut self, id: MessageId, input: Input, moment: Moment) {
        self.feed(id, input, moment);
        self.take_turns(moment);
    }

    fn feed(&mut self, id: MessageId, input: Input, moment: Moment) {
        if let Some(held) = self.held.get_mut(&id) {
            held.delivery.handle(input, moment);
            self.drain(id, moment);
        }
    }

    /// Gives turns until nobody's turn comes by another's.
    fn take_turns(&mut self, moment: Moment) {
        while let Some(hop) = self.turns.pop_front() {
            let Some(id) = self.message_of_hop.get(&hop).copied() else { continue };
            self.feed(id, Input::Turn(hop), moment);
        }
    }

    fn drain(&mut self, id: MessageId, moment: Moment) {
        let Some(mut held) = self.held.remove(&id) else { return };
        self.learn_hops(id, &mut held);
        while let Some(ask) = held.delivery.poll_ask() {
            match ask {
                Ask::Enter(hop, way) => self.enter(hop, (held.conversation.clone(), way)),
                Ask::Leave(hop) => self.leave(hop),
                Ask::Dispatch(hop) => self.out.push_back(Output::Dispatch(id, hop)),
                Ask::Store(progress) => {
                    for hop in &progress.gone {
                        self.message_of_hop.remove(hop);
                    }
                    self.out.push_back(Output::Store(progress));
                }
                Ask::Tell(status, reason) => self.out.push_back(Output::Tell(id, status, reason)),
            }
        }
        self.schedule(id, held.delivery.poll_timeout().map(|(at, _)| at.max(moment.now)));
        if held.delivery.is_at_rest() {
            self.forget(id, &held);
        } else {
            self.held.insert(id, held);
        }
    }

    fn learn_hops(&mut self, id: MessageId, held: &mut Held) {
        for (hop, _) in held.delivery.hops() {
            self.message_of_hop.insert(hop.id, id);
            if let Some(account) = &hop.way.account
                && held.accounts.insert(account.clone())
            {
                let ids = self.messages_of_account.entry(account.clone()).or_default();
                ids.insert((held.order, id));
            }
            if let Some(place) = place_of(&hop.way)
                && held.places.insert(place.clone())
            {
                self.messages_of_place.entry(place).or_default().insert((held.order, id));
            }
        }
    }

    fn forget(&mut self, id: MessageId, held: &Held) {
        self.schedule(id, None);
        for (hop, _) in held.delivery.hops() {
            self.message_of_hop.remove(&hop.id);
        }
        for account in &held.accounts {
            if let Some(ids) = self.messages_of_account.get_mut(account) {
                ids.remove(&(held.order, id));
                if ids.is_empty() {
                    self.messages_of_account.remove(account);
                }
            }
        }
        for place in &held.places {
            if let Some(ids) = self.messages_of_place.get_mut(place) {
                ids.remove(&(held.order, id));
                if ids.is_empty() {
                    self.messages_of_place.remove(place);
                }
            }
        }
        self.out.push_back(Output::Rests(id));
    }

    fn schedule(&mut self, id: MessageId, at: Option<Instant>) {
        if let Some(old) = self.due_of_message.remove(&id) {
            self.due.remove(&(old, id));
        }
        if let Some(at) = at {
            self.due.insert((at, id));
            self.due_of_message.insert(id, at);
        }
    }

    fn enter(&mut self, hop: DeliveryId, key: LaneKey) {
        let lane = self.lanes.entry(key.clone()).or_default();
        lane.push_back(hop);
        if lane.len() == 1 {
            self.turns.push_back(hop);
        }
        self.lane_of_hop.insert(hop, key);
    }

    fn leave(&mut self, hop: DeliveryId) {
        let Some(key) = self.lane_of_hop.remove(&hop) else { return };
        let Some(lane) = self.lanes.get_mut(&key) else { return };
        let was_first = lane.front() == Some(&hop);
        lane.retain(|queued| *queued != hop);
        match lane.front() {
            Some(next) if was_first => self.turns.push_back(*next),
            Some(_) => {}
            None => {
                self.lanes.remove(&key);
            }
        }
    }
}

/// Whose place a way leads to, if it is nobody's of ours.
fn place_of(way: &Way) -> Option<Place> {
    way.account.is_none().then(|| (way.trunk.clone(), way.to.name().to_owned()))
}

fn mailboxes(delivery: &Delivery) -> Vec<DeliveryId> {
    delivery.hops().filter(|(hop, _)| hop.way.is_mailbox()).map(|(hop, _)| hop.id).collect()
}
