//! Messages between sessions and the switchboard: what waits to be settled, and what waits for an
//! `ack`.
//!
//! ```text
//! session --Written--> intake --Received--> switchboard --Settle--> status; copies to other devices
//! switchboard --Send--> pending, shown to every device --first ack--> Sent(Taken(Delivered))
//!                          |--30 s, nobody acknowledges--> Sent(Later)
//!                          '--the last session ends------> Sent(Later)
//! ```
//!
//! A mailbox is the sessions of one account or of one guest.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::message::{
    Composing, Confirmation, ConversationId, DeliveryId, Dispatch, Handover, IntakeId, Message,
    MessageId, Receipt, Received, Settlement, Status,
};
use gateway_core::route::Origin;
use gateway_core::{Address, Cause};

use super::devices::Return;
use super::{Deadline, Hub, Now, Output};
use crate::frame::{MessageFrame, Moment};
use crate::memory::Memory;
use crate::session::{Session, SessionId, TRUNK};

/// How long a device may take to acknowledge a message before it is tried again later.
const ACKNOWLEDGEMENT_LIMIT: Duration = Duration::from_secs(30);
/// How many messages of one session, and of all, may wait to be settled.
const UNSETTLED_OF_SESSION: usize = 256;
const UNSETTLED: usize = 4096;
/// How many messages may wait for an `ack` in one mailbox.
const PENDING_OF_MAILBOX: usize = 256;
/// How many acknowledged messages are remembered, of all mailboxes.
const REMEMBERED: usize = 4096;

/// A message of a client's that the switchboard has not settled yet.
#[derive(Debug)]
struct Intake {
    session: SessionId,
    origin: Origin,
    message: Message,
}

/// A message that no device has acknowledged yet.
#[derive(Debug)]
struct Pending {
    /// Which came first.
    number: u64,
    deliveries: Vec<DeliveryId>,
    frame: MessageFrame,
}

/// Messages on their way through the hub.
#[derive(Debug)]
pub(super) struct Post {
    next_intake: u64,
    next_number: u64,
    intake_of_id: BTreeMap<IntakeId, Intake>,
    unsettled_of_session: BTreeMap<SessionId, usize>,
    pending_of_mailbox: BTreeMap<String, BTreeMap<MessageId, Pending>>,
    place_of_delivery: BTreeMap<DeliveryId, (String, MessageId)>,
    /// What devices of a mailbox have had lately: a session that ends takes nothing back.
    acknowledged: Memory<(String, MessageId), ()>,
    pub(super) return_of_session: BTreeMap<SessionId, Return>,
}

impl Post {
    pub(super) const fn new(first_intake: u64) -> Self {
        Self {
            next_intake: first_intake,
            next_number: 0,
            intake_of_id: BTreeMap::new(),
            unsettled_of_session: BTreeMap::new(),
            pending_of_mailbox: BTreeMap::new(),
            place_of_delivery: BTreeMap::new(),
            acknowledged: Memory::new(REMEMBERED),
            return_of_session: BTreeMap::new(),
        }
    }

    fn settle(&mut self, id: IntakeId) -> Option<Intake> {
        let intake = self.intake_of_id.remove(&id)?;
        match self.unsettled_of_session.get_mut(&intake.session) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => {
                self.unsettled_of_session.remove(&intake.session);
            }
        }
        Some(intake)
    }

    /// Takes a pending message out of its mailbox.
    fn take(&mut self, mailbox: &str, id: MessageId) -> Option<Pending> {
        let pendings = self.pending_of_mailbox.get_mut(mailbox)?;
        let pending = pendings.remove(&id)?;
        if pendings.is_empty() {
            self.pending_of_mailbox.remove(mailbox);
        }
        for delivery in &pending.deliveries {
            self.place_of_delivery.remove(delivery);
        }
        Some(pending)
    }
}

impl Hub {
    /// A client wrote something.
    pub(super) fn handle_written(&mut self, session: SessionId, message: Message) {
        let Some(origin) = self.session_of_id.get(&session).map(|known| known.birth().who.origin())
        else {
            return;
        };
        let unsettled = self.post.unsettled_of_session.get(&session).copied().unwrap_or(0);
        if unsettled >= UNSETTLED_OF_SESSION || self.post.intake_of_id.len() >= UNSETTLED {
            return self.refuse_message(session, &message.sender_id, NO_ROOM);
        }
        self.post.unsettled_of_session.insert(session, unsettled + 1);
        let intake = IntakeId(self.post.next_intake);
        self.post.next_intake += 1;
        let received = Received { intake, origin: origin.clone(), message: message.clone() };
        self.post.intake_of_id.insert(intake, Intake { session, origin, message });
        self.outputs.push_back(Output::Received(Box::new(received)));
    }

    /// The switchboard had no room for a message that was told.
    pub(crate) fn handle_no_room(&mut self, intake: IntakeId) {
        if let Some(intake) = self.post.settle(intake) {
            self.refuse_message(intake.session, &intake.message.sender_id, NO_ROOM);
        }
    }

    /// What became of a client's message.
    pub(super) fn handle_settled(&mut self, intake: IntakeId, settlement: Settlement) {
        let Some(Intake { session, origin, message }) = self.post.settle(intake) else {
            return;
        };
        match settlement {
            Settlement::Refused(_, reason) => {
                self.refuse_message(session, &message.sender_id, &reason);
            }
            Settlement::Taken(message_id, status, conversation) => {
                let mailbox = mailbox_of(&origin).to_owned();
                let receipt = Receipt {
                    trunk: TRUNK.into(),
                    origin: origin.clone(),
                    message_id,
                    sender_id: message.sender_id.clone(),
                    to: message.to.clone(),
                    status,
                    reason: None,
                };
                self.with_session(session, |session| {
                    session.own(message_id);
                    session.tell(&receipt, Some(conversation));
                });
                let to = message.to.to_string();
                let frame = frame(message_id, conversation, &origin, to, &message);
                for id in self.sessions_of(&mailbox) {
                    self.with_session(id, |session| session.show_own(message_id, &frame));
                }
            }
        }
    }

    /// How far a client's message has come: for the devices that know it, or else for all.
    pub(super) fn handle_receipt(&mut self, receipt: &Receipt) {
        let ids = self.sessions_of(mailbox_of(&receipt.origin));
        let knows = |id: &SessionId| {
            self.session_of_id.get(id).is_some_and(|session| session.knows_own(receipt))
        };
        let knowing: Vec<SessionId> = ids.iter().copied().filter(knows).collect();
        for id in if knowing.is_empty() { ids } else { knowing } {
            self.with_session(id, |session| session.tell(receipt, None));
        }
    }

    /// Somebody writes to a mailbox.
    pub(super) fn handle_dispatch(&mut self, dispatch: Dispatch, now: Now) {
        let Dispatch { delivery, message_id, conversation, origin, to, account, message, .. } =
            dispatch;
        let mailbox = account.as_ref().map_or_else(|| to.name(), |account| account.as_str());
        let ids = self.sessions_of(mailbox);
        let Some(first) = ids.first().and_then(|id| self.session_of_id.get(id)) else {
            return self.later(delivery, Cause::Unreachable, "Nobody is signed in there.");
        };
        let own_address = first.birth().who.address().to_string();
        // Who writes to itself has it, and its other devices were shown it when it was taken.
        let is_own = origin.trunk == TRUNK.into() && mailbox_of(&origin) == mailbox;
        let has_it = |id: &SessionId| {
            self.session_of_id.get(id).is_some_and(|session| session.has_acknowledged(message_id))
        };
        let was_had = self.post.acknowledged.get(&(mailbox.to_owned(), message_id)).is_some();
        if is_own || was_had || ids.iter().any(has_it) {
            let taken = Handover::Taken(Status::Delivered);
            return self.outputs.push_back(Output::Sent(delivery, taken));
        }
        let pendings = self.post.pending_of_mailbox.get(mailbox);
        if pendings.is_some_and(|pendings| pendings.len() >= PENDING_OF_MAILBOX) {
            return self.later(delivery, Cause::Overload, "Their devices do not keep up.");
        }
        let frame = frame(message_id, conversation, &origin, own_address, &message);
        let new = self.pend(delivery, mailbox, message_id, &frame);
        self.deadlines
            .insert((now.at + ACKNOWLEDGEMENT_LIMIT, Deadline::Acknowledgement(delivery)));
        let Some(number) = new else { return };
        for id in ids {
            if !self.set_aside(id, number, message_id, &frame) {
                self.with_session(id, |session| session.show(message_id, &frame));
            }
        }
    }

    /// Shows a session that has just begun what no device has acknowledged yet.
    pub(super) fn show_pending(&mut self, id: SessionId) {
        let mut waiting = self.pending_for(id);
        waiting.sort_by_key(|(number, ..)| *number);
        for (_, message, frame) in waiting {
            self.with_session(id, |session| session.show(message, &frame));
        }
    }

    /// What no device of this one's mailbox has acknowledged yet, by number.
    pub(super) fn pending_for(&self, id: SessionId) -> Vec<(u64, MessageId, MessageFrame)> {
        let session = self.session_of_id.get(&id);
        let mailbox = session.map(|session| session.birth().who.mailbox());
        let pendings = mailbox.and_then(|mailbox| self.post.pending_of_mailbox.get(mailbox));
        let pendings = pendings.into_iter().flatten();
        pendings
            .map(|(message, pending)| (pending.number, *message, pending.frame.clone()))
            .collect()
    }

    /// A device has a message.
    pub(super) fn handle_acknowledged(&mut self, id: SessionId, message: MessageId) {
        let Some(session) = self.session_of_id.get(&id) else {
            return;
        };
        let (mailbox, origin) =
            (session.birth().who.mailbox().to_owned(), session.birth().who.origin());
        if let Some(device) = session.birth().device.clone() {
            self.outputs.push_back(Output::Had(device, message));
        }
        self.post.acknowledged.note((mailbox.clone(), message), ());
        if let Some(pending) = self.post.take(&mailbox, message) {
            for delivery in pending.deliveries {
                let taken = Handover::Taken(Status::Delivered);
                self.outputs.push_back(Output::Sent(delivery, taken));
            }
            return;
        }
        // The first device has said so already.
        let is_known = |other: &SessionId| {
            let session = self.session_of_id.get(other);
            *other != id && session.is_some_and(|session| session.has_acknowledged(message))
        };
        if !self.sessions_of(&mailbox).iter().any(is_known) {
            self.confirm(message, origin, Status::Delivered);
        }
    }

    /// A person has read a message.
    pub(super) fn handle_read(&mut self, id: SessionId, message: MessageId) {
        if let Some(session) = self.session_of_id.get(&id) {
            let origin = session.birth().who.origin();
            self.confirm(message, origin, Status::Read);
        }
    }

    /// No device has acknowledged a message in time.
    pub(super) fn handle_unacknowledged(&mut self, delivery: DeliveryId) {
        let Some((mailbox, message)) = self.post.place_of_delivery.get(&delivery).cloned() else {
            return;
        };
        for delivery in self.post.take(&mailbox, message).into_iter().flat_map(|it| it.deliveries) {
            self.later(delivery, Cause::NoAnswer, "No device has taken it yet.");
        }
    }

    /// The last session of a mailbox may be gone: its messages wait elsewhere.
    pub(super) fn give_back_mail(&mut self, mailbox: &str) {
        if self.ids_of_mailbox.contains_key(mailbox) {
            return;
        }
        let pendings = self.post.pending_of_mailbox.get(mailbox).into_iter().flatten();
        let messages: Vec<MessageId> = pendings.map(|(message, _)| *message).collect();
        for message in messages {
            let pending = self.post.take(mailbox, message);
            for delivery in pending.into_iter().flat_map(|pending| pending.deliveries) {
                self.later(delivery, Cause::Unreachable, "Nobody is signed in there any more.");
            }
        }
    }

    /// Somebody is writing to a mailbox, or has stopped.
    pub(super) fn handle_composing(&mut self, composing: &Composing) {
        let account = composing.account.as_ref();
        let mailbox = account.map_or_else(|| composing.to.name(), |account| account.as_str());
        for id in self.sessions_of(mailbox) {
            let with = composing.origin.asserted.to_string();
            self.with_session(id, |session| session.tell_composing(with, composing.is_on));
        }
    }

    /// Its number, if it is not pending already.
    fn pend(
        &mut self,
        delivery: DeliveryId,
        mailbox: &str,
        message: MessageId,
        frame: &MessageFrame,
    ) -> Option<u64> {
        self.post.place_of_delivery.insert(delivery, (mailbox.to_owned(), message));
        let pendings = self.post.pending_of_mailbox.entry(mailbox.to_owned()).or_default();
        if let Some(pending) = pendings.get_mut(&message) {
            if !pending.deliveries.contains(&delivery) {
                pending.deliveries.push(delivery);
            }
            return None;
        }
        let number = self.post.next_number;
        self.post.next_number += 1;
        let pending = Pending { number, deliveries: vec![delivery], frame: frame.clone() };
        pendings.insert(message, pending);
        Some(number)
    }

    fn sessions_of(&self, mailbox: &str) -> Vec<SessionId> {
        self.ids_of_mailbox.get(mailbox).into_iter().flatten().copied().collect()
    }

    fn refuse_message(&mut self, session: SessionId, sender_id: &str, reason: &str) {
        self.with_session(session, |session: &mut Session| session.tell_refused(sender_id, reason));
    }

    fn later(&mut self, delivery: DeliveryId, cause: Cause, reason: &str) {
        self.outputs.push_back(Output::Sent(delivery, Handover::Later(cause, reason.to_owned())));
    }

    fn confirm(&mut self, message_id: MessageId, by: Origin, status: Status) {
        let confirmation = Confirmation { message_id, by, status };
        self.outputs.push_back(Output::Confirmed(Box::new(confirmation)));
    }
}

const NO_ROOM: &str =
    "The gateway has more messages to do than it can; try again in a few seconds.";

fn mailbox_of(origin: &Origin) -> &str {
    origin.account.as_ref().map_or_else(|| origin.asserted.name(), |account| account.as_str())
}

pub(super) fn frame(
    id: MessageId,
    conversation: ConversationId,
    origin: &Origin,
    to: String,
    message: &Message,
) -> MessageFrame {
    MessageFrame {
        id: id.to_string(),
        from: origin.asserted.to_string(),
        to,
        body: message.body.clone(),
        content: message.content.clone(),
        at: Moment(message.at_ms),
        verified: origin.verified,
        conversation: conversation.to_string(),
        account: origin
            .account
            .as_ref()
            .map(|account| Address::procom(account.as_str()).to_string()),
    }
}
