//! One message: its hops, their attempts, and what its sender is told.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::failure::Failures;
use super::trip::{State, Trip};
use super::{Devices, Hop, Input, Moment, Parcel, Patience, Progress, Way, climbs};
use crate::cause::Cause;
use crate::ids::AccountId;
use crate::message::{Confirmation, DeliveryId, Handover, MessageId, Status};

/// What one message asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A place at the end of the hop's lane.
    Enter(DeliveryId, Way),
    /// The hop's place in its lane is free.
    Leave(DeliveryId),
    /// To make this attempt.
    Dispatch(Hop),
    /// To make this durable.
    Store(Box<Progress>),
    /// To tell the sender, with the reason of a failure.
    Tell(Status, Option<String>),
}

/// One message on its way.
#[derive(Clone, Debug)]
pub struct Delivery {
    id: MessageId,
    trips: Vec<Trip>,
    /// The last group that has begun.
    group: u8,
    status: Status,
    reason: Option<String>,
    takers: Vec<Way>,
    /// Devices that will never take it.
    refusers: Vec<Way>,
    wants_receipts: bool,
    ends: Instant,
    has_expired: bool,
    life: Duration,
    patience: Patience,
    failures: Failures,
    version: u32,
    stored: u32,
    pending: Pending,
    gated: VecDeque<(u32, Ask)>,
    out: VecDeque<Ask>,
}

/// What the next progress will say.
#[derive(Clone, Debug, Default)]
struct Pending {
    is_dirty: bool,
    taker: Option<Way>,
    changed: Vec<(DeliveryId, Duration)>,
    gone: Vec<DeliveryId>,
}

impl Delivery {
    /// A message that is durable: just taken, or as an earlier life stored it. `is_here` says of a
    /// mailbox whether somebody is there now.
    #[must_use]
    pub fn new(
        parcel: Parcel,
        patience: Patience,
        is_here: impl Fn(&Way) -> bool,
        moment: Moment,
    ) -> Self {
        let mut delivery = Self {
            id: parcel.message_id,
            trips: Vec::new(),
            group: parcel.hops.iter().map(|(hop, _)| hop.group).min().unwrap_or(0),
            status: parcel.status,
            reason: None,
            takers: parcel.takers,
            refusers: Vec::new(),
            wants_receipts: parcel.wants_receipts,
            ends: moment.now + parcel.life,
            has_expired: false,
            life: parcel.life,
            patience,
            failures: Failures::default(),
            version: 0,
            stored: 0,
            pending: Pending::default(),
            gated: VecDeque::new(),
            out: VecDeque::new(),
        };
        for (hop, wait) in parcel.hops {
            let is_away = hop.way.is_mailbox() && !is_here(&hop.way);
            let state = if is_away {
                State::Away
            } else {
                // Also of groups that have not begun: a later message does not overtake this one.
                delivery.out.push_back(Ask::Enter(hop.id, hop.way.clone()));
                // Who has come is not kept waiting for what failed before.
                let wait = if hop.way.is_mailbox() { Duration::ZERO } else { wait };
                State::Queued(moment.now + wait)
            };
            delivery.trips.push(Trip { hop, state, since: 0 });
        }
        delivery.settle(moment);
        delivery
    }

    /// Takes one input in. Drain [`Self::poll_ask`] afterwards.
    pub fn handle(&mut self, input: Input, moment: Moment) {
        match input {
            Input::Turn(id) => self.handle_turn(id),
            Input::Sent(id, handover) => self.handle_sent(id, handover, moment),
            Input::Lost(id) => self.handle_lost(id, moment),
            Input::Here(id) => self.handle_here(id, moment),
            Input::Woken(id) => self.handle_woken(id, moment),
            Input::Left(id) => self.handle_left(id),
            Input::Gone { account, network, there } => {
                self.handle_gone(&account, network.as_deref(), &there)
            }
            Input::Devices(devices) => self.handle_devices(devices, moment.now),
            Input::Confirmed(confirmation) => self.handle_confirmed(&confirmation),
            Input::Stored(version) => self.stored = self.stored.max(version),
        }
        self.settle(moment);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, moment: Moment) {
        self.settle(moment);
    }

    /// The next thing asked, until there is none.
    pub fn poll_ask(&mut self) -> Option<Ask> {
        if let Some(ask) = self.out.pop_front() {
            return Some(ask);
        }
        // What is told has rising versions: it stays in order.
        let open = self.gated.iter().position(|(version, _)| *version <= self.stored)?;
        self.gated.remove(open).map(|(_, ask)| ask)
    }

    /// When something is due, and what.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        if self.trips.is_empty() {
            return None;
        }
        let rests = self.trips.iter().filter_map(|trip| match trip.state {
            State::Resting(until) => Some((until, "another attempt")),
            State::Queued(_) | State::Ready | State::Flying | State::Away => None,
        });
        let is_idle = self.trips.iter().any(|trip| trip.state != State::Flying);
        rests.chain(is_idle.then_some((self.ends, "the end of its life"))).min()
    }

    /// Whether it can be dropped from memory: it is over, or only waits for somebody to come, and
    /// all of that is durable.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        let waits = self.trips.iter().all(|trip| trip.state == State::Away);
        waits && self.stored == self.version && self.gated.is_empty() && self.out.is_empty()
    }

    /// How far it has come.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// The hops that are not over, with whether an adapter has them.
    pub fn hops(&self) -> impl Iterator<Item = (&Hop, bool)> {
        self.trips.iter().map(|trip| (&trip.hop, trip.state == State::Flying))
    }

    fn trip(&mut self, id: DeliveryId) -> Option<&mut Trip> {
        self.trips.iter_mut().find(|trip| trip.hop.id == id)
    }

    fn handle_turn(&mut self, id: DeliveryId) {
        // A turn of a hop that waits elsewhere by now says nothing.
        if let Some(trip) = self.trip(id)
            && let State::Queued(until) = trip.state
        {
            trip.state = State::Resting(until);
        }
    }

    fn handle_sent(&mut self, id: DeliveryId, handover: Handover, moment: Moment) {
        let Some(trip) = self.trip(id).filter(|trip| trip.state == State::Flying) else {
            // Of a hop that is over, or said twice.
            return;
        };
        match handover {
            Handover::Taken(status) => {
                let way = trip.hop.way.clone();
                let group = trip.hop.group;
                self.remove(id);
                self.taken(way, group, status);
            }
            Handover::Later(cause, why) => self.postpone(id, None, cause, why, moment),
            Handover::After(wait, cause, why) => self.postpone(id, Some(wait), cause, why, moment),
            Handover::Never(cause, why) => {
                let way = trip.hop.way.clone();
                self.failures.note(true, cause, why);
                self.remove(id);
                self.refused(way);
            }
        }
    }

    /// Another attempt is to be made; where the far side has told how long to wait, not before.
    fn postpone(
        &mut self,
        id: DeliveryId,
        told: Option<Duration>,
        cause: Cause,
        why: String,
        moment: Moment,
    ) {
        self.failures.note(false, cause, why);
        let (patience, next) = (self.patience, self.version + 1);
        let Some(trip) = self.trip(id) else { return };
        trip.hop.attempt += 1;
        trip.since = next;
        // Whoever tells when to come again is there.
        let is_away = trip.hop.way.is_mailbox() && cause == Cause::Unreachable && told.is_none();
        let told = told.unwrap_or_default();
        let wait = patience.wait_at_least(told, trip.hop.attempt, moment.draw);
        let wait = if is_away { Duration::ZERO } else { wait };
        trip.state = if is_away { State::Away } else { State::Resting(moment.now + wait) };
        if is_away {
            self.out.push_back(Ask::Leave(id));
        }
        self.pending.is_dirty = true;
        self.pending.changed.push((id, wait));
    }

    fn handle_lost(&mut self, id: DeliveryId, moment: Moment) {
        let wait = self.patience.wait(1, moment.draw);
        if let Some(trip) = self.trip(id).filter(|trip| trip.state == State::Flying) {
            trip.state = State::Resting(moment.now + wait);
            self.ground(id);
        }
    }

    /// What has not left yet does not leave any more.
    fn ground(&mut self, id: DeliveryId) {
        let is_of = |ask: &Ask| matches!(ask, Ask::Dispatch(hop) if hop.id == id);
        self.gated.retain(|(_, ask)| !is_of(ask));
    }

    fn handle_here(&mut self, id: DeliveryId, moment: Moment) {
        let Some(trip) = self.trip(id).filter(|trip| trip.state == State::Away) else { return };
        trip.state = State::Queued(moment.now);
        let way = trip.hop.way.clone();
        self.out.push_back(Ask::Enter(id, way));
    }

    fn handle_woken(&mut self, id: DeliveryId, moment: Moment) {
        if let Some(trip) = self.trip(id)
            && let State::Resting(until) | State::Queued(until) = &mut trip.state
        {
            *until = moment.now.min(*until);
        }
    }

    fn handle_left(&mut self, id: DeliveryId) {
        let Some(trip) = self.trip(id).filter(|trip| trip.hop.way.is_mailbox()) else { return };
        match trip.state {
            State::Queued(_) | State::Ready | State::Resting(_) => {
                trip.state = State::Away;
                self.out.push_back(Ask::Leave(id));
            }
            // Its adapter will say what came of it.
            State::Flying | State::Away => {}
        }
    }

    /// Devices that have gone are no way any more, where the account itself stays one.
    fn handle_gone(&mut self, account: &AccountId, network: Option<&str>, there: &[Way]) {
        if self.mailbox_group(account).is_none() && self.status < Status::Sent {
            return;
        }
        let has_gone = |trip: &&Trip| {
            let way = &trip.hop.way;
            let is_device = way.contact.is_some() && way.account.as_ref() == Some(account);
            let is_theirs = is_device && network.is_none_or(|on| on == way.trunk.network());
            is_theirs && trip.state != State::Flying && !there.contains(way)
        };
        let gone = self.trips.iter().filter(has_gone).map(|trip| trip.hop.id);
        for id in gone.collect::<Vec<_>>() {
            self.remove(id);
        }
    }

    fn handle_devices(&mut self, devices: Devices, now: Instant) {
        let Some(group) = self.mailbox_group(&devices.account) else { return };
        // A device that comes when another has it already gets what comes from now on.
        if self.status >= Status::Sent {
            return;
        }
        for (id, way) in devices.ways {
            let is_new = self.trips.iter().all(|trip| trip.hop.way != way);
            if is_new && !self.refusers.contains(&way) {
                let hop = Hop { id, group, way, attempt: 0 };
                self.out.push_back(Ask::Enter(id, hop.way.clone()));
                let state = State::Queued(now);
                self.trips.push(Trip { hop, state, since: self.version + 1 });
                self.pending.is_dirty = true;
                self.pending.changed.push((id, Duration::ZERO));
            }
        }
    }

    fn mailbox_group(&self, account: &AccountId) -> Option<u8> {
        let is_theirs = |way: &Way| way.is_mailbox() && way.account.as_ref() == Some(account);
        self.trips.iter().find(|trip| is_theirs(&trip.hop.way)).map(|trip| trip.hop.group)
    }

    fn handle_confirmed(&mut self, confirmation: &Confirmation) {
        let hops = self.trips.iter().map(|trip| &trip.hop.way);
        if hops.chain(&self.takers).any(|way| way.is_of(&confirmation.by)) {
            match confirmation.status {
                Status::Delivered | Status::Read => self.climb(confirmation.status, None),
                // One device that could not show it says nothing while others are being tried.
                Status::Failed if self.trips.is_empty() => {
                    let why = "the recipient's side says it could not be delivered";
                    self.climb(Status::Failed, Some(why.to_owned()));
                }
                Status::Queued | Status::Sent | Status::Failed => {}
            }
        }
    }

    /// One way has been enough: the groups behind it are not needed, the recipient's other devices
    /// still get it.
    fn taken(&mut self, way: Way, group: u8, status: Status) {
        self.pending.is_dirty = true;
        self.pending.taker = Some(way.clone());
        self.takers.push(way);
        let idle: Vec<DeliveryId> = self
            .trips
            .iter()
            .filter(|trip| trip.hop.group != group && trip.state != State::Flying)
            .map(|trip| trip.hop.id)
            .collect();
        for id in idle {
            self.remove(id);
        }
        self.climb(status.clamp(Status::Sent, Status::Delivered), None);
    }

    /// A device that is there has refused it for good: where only the account's empty mailbox is
    /// left, its sender hears of that now and not when the life of the message ends.
    fn refused(&mut self, way: Way) {
        let is_device = way.contact.is_some() && way.account.is_some();
        self.refusers.push(way);
        if is_device && self.trips.iter().all(|trip| trip.state == State::Away) {
            for id in self.trips.iter().map(|trip| trip.hop.id).collect::<Vec<_>>() {
                self.remove(id);
            }
        }
    }

    fn remove(&mut self, id: DeliveryId) {
        let Some(at) = self.trips.iter().position(|trip| trip.hop.id == id) else { return };
        let trip = self.trips.remove(at);
        self.ground(id);
        match trip.state {
            State::Queued(_) | State::Ready | State::Flying | State::Resting(_) => {
                self.out.push_back(Ask::Leave(id));
            }
            State::Away => {}
        }
        self.pending.is_dirty = true;
        self.pending.gone.push(id);
        self.pending.changed.retain(|(changed, _)| *changed != id);
    }

    fn climb(&mut self, to: Status, reason: Option<String>) {
        if !climbs(self.status, to) {
            return;
        }
        self.status = to;
        self.reason.clone_from(&reason);
        self.pending.is_dirty = true;
        let is_told = match to {
            Status::Delivered | Status::Read => self.wants_receipts,
            Status::Queued | Status::Sent | Status::Failed => true,
        };
        if is_told {
            self.gated.push_back((self.version + 1, Ask::Tell(to, reason)));
        }
    }

    /// The end of its life. What an adapter has is waited for: it may be taken yet, and a sender
    /// who was told of a failure would have been told a lie.
    fn expire(&mut self) {
        let idle = self.trips.iter().filter(|trip| trip.state != State::Flying);
        let idle: Vec<DeliveryId> = idle.map(|trip| trip.hop.id).collect();
        if !idle.is_empty() && !self.has_expired {
            self.has_expired = true;
            let days = self.life.as_secs_f64() / 86_400.0;
            let last = self.failures.take().map_or(String::new(), |why| format!(": {why}"));
            let why = format!("not taken in {days:.1} days{last}");
            self.failures.note(true, Cause::Unreachable, why);
        }
        idle.into_iter().for_each(|id| self.remove(id));
    }

    fn settle(&mut self, moment: Moment) {
        if self.ends <= moment.now {
            self.expire();
        }
        for trip in &mut self.trips {
            if matches!(trip.state, State::Resting(until) if until <= moment.now) {
                trip.state = State::Ready;
            }
        }
        self.begin_group();
        self.fly();
        if self.trips.is_empty() && self.status == Status::Queued {
            let why = self.failures.take();
            let why = why.unwrap_or_else(|| "there is no way to the recipient".to_owned());
            self.climb(Status::Failed, Some(why));
        }
        self.store();
    }

    /// Begins the next group once every hop of those begun has failed at least once.
    fn begin_group(&mut self) {
        let is_tried = |trip: &Trip| match trip.state {
            State::Queued(_) | State::Ready | State::Flying => false,
            // What an adapter took with it when it went has not failed yet.
            State::Resting(_) => trip.hop.attempt > 0,
            State::Away => true,
        };
        let begun = self.group;
        if self.trips.iter().filter(|trip| trip.hop.group <= begun).all(is_tried) {
            let groups = self.trips.iter().map(|trip| trip.hop.group);
            self.group = groups.filter(|group| *group > begun).min().unwrap_or(begun);
        }
    }

    /// Lets fly what is ready, but never two groups at once: both might take it.
    fn fly(&mut self) {
        let flying = self.trips.iter().find(|trip| trip.state == State::Flying);
        let is_ready = |trip: &&Trip| trip.state == State::Ready && trip.hop.group <= self.group;
        let ready = self.trips.iter().filter(is_ready);
        let group = flying.map(|trip| trip.hop.group);
        let Some(group) = group.or_else(|| ready.map(|trip| trip.hop.group).min()) else { return };
        for trip in &mut self.trips {
            if trip.state == State::Ready && trip.hop.group == group {
                trip.state = State::Flying;
                self.gated.push_back((trip.since, Ask::Dispatch(trip.hop.clone())));
            }
        }
    }

    fn store(&mut self) {
        if !self.pending.is_dirty {
            return;
        }
        self.version += 1;
        let pending = std::mem::take(&mut self.pending);
        let hop = |id: DeliveryId| self.trips.iter().find(|trip| trip.hop.id == id);
        let changed = pending.changed.iter();
        let changed =
            changed.filter_map(|(id, wait)| Some((hop(*id)?.hop.clone(), *wait))).collect();
        self.out.push_back(Ask::Store(Box::new(Progress {
            message_id: self.id,
            version: self.version,
            status: self.status,
            reason: self.reason.clone(),
            taker: pending.taker,
            changed,
            gone: pending.gone,
            is_over: self.trips.is_empty(),
        })));
    }
}
