//! The message side of the switchboard: what comes in is checked, planned, made durable and settled;
//! what is durable is brought to where it goes.
//!
//! ```text
//! Received -> checks -> Plan -> Store(Take) -> Settle(Taken) -> Deliveries -> Send -> Sent
//!                                                                   |  '-> Store(Progress) -> Receipt
//! Located --> Store(Waiting), page by page -------------------------'
//! ```
//!
//! Pure: time and randomness are arguments, and what is to be done leaves by [`Post::poll_act`].
//! No body, no id and no whole address is ever logged.

mod devices;
mod hooks;
mod intake;
mod limits;
mod presence;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dialplan::People;
use gateway_adapter::Metrics;
use gateway_core::call::Inquiry;
use gateway_core::delivery::{Deliveries, Moment, Output, Way, climbs};
use gateway_core::message::{
    Backlog, Composing, Confirmation, ConversationId, DeliveryId, Dispatch, Handover, IntakeId,
    Message, MessageId, Receipt, Settlement, Status,
};
use gateway_core::route::Origin;
use gateway_core::{AccountId, Cause, TrunkId};
use prometheus::{IntCounterVec, IntGauge, Opts};

use crate::control::{ControlDesk, ControlMessage};
use crate::store::messages::{MailReply, MailWrite};
use crate::store::{MessageKeys, Store};
use intake::Intake;
use limits::Buckets;
pub use limits::MessagesConfig;
use presence::Presence;

/// The network of the accounts' sessions.
const PROCOM: &str = "procom";
/// How often the store is asked what has outlived its life.
const SWEEP: Duration = Duration::from_secs(60);
/// How many delivery ids one life of the gateway has, in bits.
const HOP_BITS: u32 = 40;

/// A moment on both clocks, and a number nobody can foretell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub(super) now: Instant,
    pub(super) epoch_ms: i64,
    pub(super) draw: u64,
}

impl Clock {
    const fn moment(self) -> Moment {
        Moment { now: self.now, draw: self.draw }
    }
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Act {
    /// Ask for the ways to a recipient; [`Post::handle_planned`] gets them.
    Plan(u64, Box<Inquiry>),
    /// Ask the store; [`Post::handle_reply`] gets what it answers.
    Store(MailWrite),
    /// Settle what came in.
    Settle(&'static str, IntakeId, Settlement),
    /// Make an attempt; [`Post::handle_unsent`] hears if there is no room.
    Send(Box<Dispatch>),
    /// Tell a sender; [`Post::handle_told`] hears if it could be.
    Tell(Box<Receipt>),
    /// Tell a device what it lacks; it asks again if it was not told.
    Backlog(Box<Backlog>),
    /// Somebody is writing.
    Composing(TrunkId, Box<Composing>),
    /// A message to the gateway itself.
    Control(Box<ControlMessage>),
}

/// What is kept of a message in memory while it is under way.
#[derive(Debug)]
struct Letter {
    origin: Origin,
    message: Message,
    conversation: ConversationId,
}

/// The message side of the switchboard.
pub(super) struct Post {
    config: MessagesConfig,
    control: ControlDesk,
    keys: MessageKeys,
    people: Arc<People>,
    next_hop: u64,
    next_ticket: u64,
    all: Deliveries,
    letter_of_message: HashMap<MessageId, Letter>,
    intakes: BTreeMap<u64, Intake>,
    /// Messages of one sender to one recipient are taken in the order they came.
    queues: HashMap<String, VecDeque<u64>>,
    presences: BTreeMap<AccountId, Presence>,
    by_sender: Buckets,
    by_recipient: Buckets,
    composing: Buckets,
    /// What senders were told since the last sweep, and since the one before.
    told: HashMap<MessageId, Status>,
    told_before: HashMap<MessageId, Status>,
    next_sweep: Instant,
    messages_total: IntCounterVec,
    under_way: IntGauge,
    writable: IntGauge,
    out: VecDeque<Act>,
}

impl Post {
    /// A post that has read nothing of the store yet.
    pub(super) fn new(
        config: MessagesConfig,
        control: ControlDesk,
        store: &Store,
        metrics: &Metrics,
        clock: Clock,
    ) -> Self {
        let options = Opts::new("messages_total", "Messages, by what became of them.");
        let labels = ["trunk", "direction", "outcome"];
        let messages_total = IntCounterVec::new(options, &labels).expect("a valid metric");
        let gauge = |name, help| {
            let gauge = IntGauge::new(name, help).expect("a valid metric");
            metrics.registry().register(Box::new(gauge.clone())).expect("registered once");
            gauge
        };
        metrics.registry().register(Box::new(messages_total.clone())).expect("registered once");
        let writable = gauge("store_writable", "Whether the disk takes what is written.");
        writable.set(1);
        let mut post = Self {
            by_sender: Buckets::new(config.per_minute, config.at_once),
            by_recipient: Buckets::new(config.per_minute_to_one, config.per_minute_to_one),
            composing: Buckets::new(120, 20),
            all: Deliveries::new(config.patience()),
            config,
            control,
            keys: store.message_keys(),
            people: Arc::new(People::of(Arc::default())),
            // No two lives of the gateway share a delivery id.
            next_hop: store.boot().cast_unsigned() << HOP_BITS,
            next_ticket: 0,
            letter_of_message: HashMap::new(),
            intakes: BTreeMap::new(),
            queues: HashMap::new(),
            presences: BTreeMap::new(),
            told: HashMap::new(),
            told_before: HashMap::new(),
            next_sweep: clock.now + SWEEP,
            messages_total,
            under_way: gauge("messages_under_way", "Messages on their way to where they go."),
            writable,
            out: VecDeque::new(),
        };
        let unfinished = MailWrite::Unfinished { after: 0, now_ms: clock.epoch_ms };
        post.out.push_back(Act::Store(unfinished));
        post.out.push_back(Act::Store(MailWrite::Expire(clock.epoch_ms)));
        post
    }

    /// What is to be done next, until there is nothing.
    pub(super) fn poll_act(&mut self) -> Option<Act> {
        self.out.pop_front()
    }

    /// When something is due.
    pub(super) fn poll_timeout(&self) -> Instant {
        self.all.poll_timeout().map_or(self.next_sweep, |at| at.min(self.next_sweep))
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&mut self, clock: Clock) {
        self.all.handle_timeout(clock.moment());
        if self.next_sweep <= clock.now {
            self.next_sweep = clock.now + SWEEP;
            self.told_before = std::mem::take(&mut self.told);
            self.out.push_back(Act::Store(MailWrite::Expire(clock.epoch_ms)));
            self.out.push_back(Act::Store(MailWrite::Untold(None)));
        }
        self.drain(clock);
    }

    /// Whose address is whose, from now on.
    pub(super) fn handle_people(&mut self, people: Arc<People>) {
        self.people = people;
    }

    /// How many messages are under way.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The store has answered.
    pub(super) fn handle_reply(&mut self, reply: MailReply, clock: Clock) {
        match reply {
            MailReply::Taken { ticket, message_id, status, is_new } => {
                self.handle_taken(ticket, message_id, status, is_new, clock);
            }
            MailReply::Refused(ticket, cause, why) => self.refuse(ticket, cause, why),
            MailReply::Stored(id, version) => self.all.handle_stored(id, version, clock.moment()),
            MailReply::Read(account, mails, more) => {
                self.handle_read(account, mails, more, clock);
            }
            MailReply::Receipts(receipts) => {
                for receipt in receipts {
                    self.tell(receipt);
                }
            }
            MailReply::Missed(returned, unseen, until, is_last) => {
                self.handle_missed(*returned, unseen, until, is_last);
            }
            MailReply::Writable(is_writable) => self.writable.set(i64::from(is_writable)),
        }
        self.drain(clock);
    }

    /// What came of an attempt.
    pub(super) fn handle_sent(&mut self, hop: DeliveryId, handover: Handover, clock: Clock) {
        let handover = self.judge(hop, handover);
        self.all.handle_sent(hop, handover, clock.moment());
        self.drain(clock);
    }

    /// An attempt could not even be given to its adapter.
    pub(super) fn handle_unsent(&mut self, hop: DeliveryId, clock: Clock) {
        let why = "the gateway could not pass it on".to_owned();
        self.handle_sent(hop, Handover::Later(Cause::Overload, why), clock);
    }

    /// The far side says how far a message has come.
    pub(super) fn handle_confirmed(&mut self, confirmation: Confirmation, clock: Clock) {
        if !self.all.handle_confirmed(&confirmation, clock.moment()) {
            let confirm = MailWrite::Confirm(Box::new(confirmation));
            self.out.push_back(Act::Store(confirm));
        }
        self.drain(clock);
    }

    /// A sender has been told.
    pub(super) fn handle_told(&mut self, id: MessageId, status: Status) {
        self.told.insert(id, status);
        self.out.push_back(Act::Store(MailWrite::Told(id, status)));
    }

    /// An adapter has stopped: what it had is to be given to the next one.
    pub(super) fn handle_detached(&mut self, network: &'static str, clock: Clock) {
        // Its next life numbers what comes in anew: nothing of the old is settled any more.
        self.intakes.values_mut().filter(|intake| intake.adapter == network).for_each(|intake| {
            intake.adapter = "";
        });
        let accounts: Vec<AccountId> = self.presences.keys().cloned().collect();
        for account in accounts {
            self.handle_located(network, &account, &[], clock);
        }
        self.all.handle_lost(network, clock.moment());
        self.drain(clock);
    }

    /// An adapter runs again: its senders can be told.
    pub(super) fn handle_attached(&mut self) {
        self.out.push_back(Act::Store(MailWrite::Untold(None)));
    }

    /// Where somebody is known to be there, that nobody was is a failure like others: a message that
    /// waits for somebody to come would wait for what has happened already.
    fn judge(&self, hop: DeliveryId, handover: Handover) -> Handover {
        let Some(way) = self.all.way_of(hop) else { return handover };
        let outcome = match &handover {
            Handover::Taken(status) => status.as_str(),
            Handover::Later(..) | Handover::After(..) => "later",
            Handover::Never(..) => "never",
        };
        self.count(&way.trunk, "out", outcome);
        let account = way.account.as_ref().filter(|_| way.is_mailbox());
        match handover {
            Handover::Later(Cause::Unreachable, why)
                if account.is_some_and(|account| self.is_coming(account)) =>
            {
                Handover::Later(Cause::NoAnswer, why)
            }
            Handover::Taken(_)
            | Handover::Later(..)
            | Handover::After(..)
            | Handover::Never(..) => handover,
        }
    }

    fn drain(&mut self, clock: Clock) {
        while let Some(output) = self.all.poll_output() {
            match output {
                Output::Dispatch(id, hop) => self.dispatch(id, hop.id, hop.attempt, hop.way),
                Output::Store(progress) => {
                    let progress = MailWrite::Progress(progress, clock.epoch_ms);
                    self.out.push_back(Act::Store(progress));
                }
                Output::Tell(id, status, reason) => self.tell_of(id, status, reason),
                Output::Rests(id) => {
                    self.letter_of_message.remove(&id);
                }
            }
        }
        self.under_way.set(i64::try_from(self.all.len()).unwrap_or(i64::MAX));
    }

    fn dispatch(&mut self, message_id: MessageId, delivery: DeliveryId, attempt: u32, way: Way) {
        let Some(letter) = self.letter_of_message.get(&message_id) else { return };
        let dispatch = Dispatch {
            delivery,
            attempt,
            message_id,
            conversation: letter.conversation,
            trunk: way.trunk,
            origin: letter.origin.clone(),
            to: way.to,
            contact: way.contact,
            account: way.account,
            message: letter.message.clone(),
        };
        tracing::debug!(id = ?message_id, ?delivery, attempt, trunk = %dispatch.trunk, "sent");
        self.out.push_back(Act::Send(Box::new(dispatch)));
    }

    fn tell_of(&mut self, message_id: MessageId, status: Status, reason: Option<String>) {
        let Some(letter) = self.letter_of_message.get(&message_id) else { return };
        self.count(&letter.origin.trunk, "in", status.as_str());
        let receipt = Receipt {
            trunk: letter.origin.trunk.clone(),
            origin: letter.origin.clone(),
            message_id,
            sender_id: letter.message.sender_id.clone(),
            to: letter.message.to.clone(),
            status,
            reason,
        };
        self.tell(receipt);
    }

    /// Tells a sender who is there; who is not is told when it comes.
    fn tell(&mut self, receipt: Receipt) {
        // The store may have been asked before it knew of the last one.
        let known = [&self.told, &self.told_before];
        let known = known.iter().find_map(|told| told.get(&receipt.message_id));
        if known.is_some_and(|told| !climbs(*told, receipt.status)) {
            return;
        }
        if self.can_hear(&receipt.origin) {
            self.out.push_back(Act::Tell(Box::new(receipt)));
        }
    }

    fn count(&self, trunk: &TrunkId, direction: &str, outcome: &str) {
        self.messages_total.with_label_values(&[trunk.as_str(), direction, outcome]).inc();
    }

    fn next_hop(&mut self) -> DeliveryId {
        self.next_hop += 1;
        DeliveryId(self.next_hop)
    }
}
