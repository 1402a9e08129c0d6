//! The messages of one session: what its client wrote and was told of it, and what it was shown.
//!
//! ```text
//! client --message----> handle_message --Written---> hub       told:  sender's id -> status
//!        --ack, read--> handle_ack     --Acknowledged, Read--> shown: MessageId   -> acknowledged?
//!        <--message, status------- show, tell <-- hub
//! ```

use std::time::{Duration, Instant};

use gateway_core::LegId;
use gateway_core::message::{
    Composing, ConversationId, MAX_BODY, Message, MessageId, Receipt, Status,
};

use super::{Output, Session};
use crate::bucket::{Bucket, Rate};
use crate::dialled;
use crate::frame::{Code, GatewayFrame, MessageFrame, MessageRequest, Refusal};
use crate::hub::Now;
use crate::memory::Memory;

/// How many messages are remembered in either direction.
const REMEMBERED: usize = 1000;
/// How many messages a client may leave without an `ack` before it is shown no more of them.
const UNACKNOWLEDGED: usize = 256;
/// How often a client may tell that its user is writing; more of that is not passed on.
const COMPOSING: Rate = Rate { burst: 8, every: Duration::from_secs(1) };
/// The ledger counts from 1 what went over the socket, and nothing else.
const NOT_COUNTED: u64 = 0;
/// Longest name of a type or subtype (RFC 6838 §4.2).
const MAX_MEDIA_NAME: usize = 127;

/// What is known of a message this client was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// It is of the client's own user, written here or on another device.
    Own,
    /// Sent as the ledger's object of that number.
    Unacknowledged(u64),
    Acknowledged,
    Read,
}

/// The messages of one session.
#[derive(Debug)]
pub(super) struct Chat {
    written: Bucket,
    composing: Bucket,
    told: Memory<String, Status>,
    /// What was last written over the channel of a call, by the client's id.
    in_call: Memory<String, LegId>,
    shown: Memory<MessageId, Shown>,
    /// What was shown because its device lacked it, before it came by itself.
    brought: Memory<MessageId, ()>,
    unacknowledged: usize,
}

impl Chat {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            written: Bucket::new(now),
            composing: Bucket::new(now),
            told: Memory::new(REMEMBERED),
            in_call: Memory::new(REMEMBERED),
            shown: Memory::new(REMEMBERED),
            brought: Memory::new(REMEMBERED),
            unacknowledged: 0,
        }
    }

    fn note(&mut self, id: MessageId, shown: Shown) {
        let is_open =
            |shown: Option<Shown>| usize::from(matches!(shown, Some(Shown::Unacknowledged(_))));
        let before = self.shown.get(&id).copied();
        let forgotten = self.shown.note(id, shown);
        self.unacknowledged += is_open(Some(shown));
        self.unacknowledged -= is_open(before) + is_open(forgotten);
    }
}

impl Session {
    /// The client writes to somebody. What cannot be is told at once, and nothing of it is kept.
    pub(super) fn handle_message(&mut self, request: MessageRequest, now: Now) {
        let id = request.id.clone();
        match self.channels.answered() {
            Some(leg) => drop(self.chat.in_call.note(id.clone(), leg)),
            None => drop(self.chat.in_call.forget(&id)),
        }
        if self.chat.written.take(self.birth.messages, now.at).is_err() {
            self.outputs.push_back(Output::Fault("message-flood"));
            let reason = "That is faster than messages may be written; wait a few seconds.";
            return self.send(&GatewayFrame::failed(&id, reason));
        }
        match compose(request, now) {
            Ok(message) => self.outputs.push_back(Output::Written(Box::new(message))),
            Err(reason) => self.send(&GatewayFrame::failed(&id, &reason)),
        }
    }

    /// The client has a message.
    pub(super) fn handle_ack(&mut self, id: &str) {
        // What is no id of ours was never shown.
        let Some(id) = MessageId::parse(id) else { return };
        match self.chat.shown.get(&id).copied() {
            Some(Shown::Own | Shown::Acknowledged | Shown::Read) => {}
            Some(Shown::Unacknowledged(number)) => {
                self.ledger.forget_until(number);
                self.acknowledge(id);
            }
            // It may have been shown in a session before this one.
            None => self.acknowledge(id),
        }
    }

    /// The person has read a message, which therefore has arrived.
    pub(super) fn handle_read(&mut self, id: &str) {
        self.handle_ack(id);
        let Some(id) = MessageId::parse(id) else { return };
        if self.chat.shown.get(&id) == Some(&Shown::Acknowledged) {
            self.chat.note(id, Shown::Read);
            self.outputs.push_back(Output::Read(id));
        }
    }

    /// The person is writing, or has stopped.
    pub(super) fn handle_composing(&mut self, with: &str, is_on: bool, now: Instant) {
        if self.chat.composing.take(COMPOSING, now).is_err() {
            return;
        }
        match dialled::read(with) {
            Ok((to, _)) => self.outputs.push_back(Output::Composing(Box::new(Composing {
                origin: self.birth.who.origin(),
                to,
                account: None,
                is_on,
            }))),
            Err(fault) => {
                let refusal = Refusal::new(Code::BadAddress, fault.to_string());
                self.send(&GatewayFrame::error(refusal));
            }
        }
    }

    /// Shows the client a message of somebody else's, again if it was not acknowledged.
    pub(crate) fn show(&mut self, id: MessageId, frame: &MessageFrame) {
        match self.chat.shown.get(&id) {
            Some(Shown::Own | Shown::Acknowledged | Shown::Read) => {}
            None if self.chat.unacknowledged >= UNACKNOWLEDGED => {}
            // It comes by itself now, for the first time.
            Some(Shown::Unacknowledged(_)) if self.chat.brought.forget(&id).is_some() => {}
            Some(Shown::Unacknowledged(_)) | None => {
                let message = GatewayFrame::Message(Box::new(frame.clone()));
                let account = frame.account.as_deref().unwrap_or(&frame.from);
                let leg = self.channels.with(&[&frame.from, account, &frame.conversation]);
                if let Some(leg) = leg.filter(|leg| self.say(*leg, &message, Some(id))) {
                    self.channels.learn(leg, frame.from.clone());
                    self.chat.note(id, Shown::Unacknowledged(NOT_COUNTED));
                } else {
                    self.show_by_socket(id, &message);
                }
            }
        }
    }

    /// Shows the client what came while its device was away, unless it has come meanwhile.
    pub(crate) fn show_missed(&mut self, id: MessageId, frame: &MessageFrame) {
        if self.chat.shown.get(&id).is_none() {
            self.show(id, frame);
            self.chat.brought.note(id, ());
        }
    }

    /// Shows the client what came while it was shown what it lacks, unless it was part of that.
    pub(crate) fn show_aside(&mut self, id: MessageId, frame: &MessageFrame) {
        if self.chat.shown.get(&id).is_none() {
            self.show(id, frame);
        } else {
            self.chat.brought.forget(&id);
        }
    }

    /// Shows what went over a channel that is closed now, unless it was acknowledged.
    pub(super) fn show_again(&mut self, id: MessageId, frame: &GatewayFrame) {
        match self.chat.shown.get(&id) {
            Some(Shown::Unacknowledged(_)) => self.show_by_socket(id, frame),
            Some(Shown::Own | Shown::Acknowledged | Shown::Read) | None => {}
        }
    }

    fn show_by_socket(&mut self, id: MessageId, frame: &GatewayFrame) {
        self.send_by_socket(frame);
        self.chat.note(id, Shown::Unacknowledged(self.ledger.sent()));
    }

    /// Shows the client what its own user wrote on another device.
    pub(crate) fn show_own(&mut self, id: MessageId, frame: &MessageFrame) {
        if self.chat.shown.get(&id).is_none() {
            self.chat.note(id, Shown::Own);
            self.send(&GatewayFrame::Message(Box::new(frame.clone())));
        }
    }

    /// Notes that this client wrote that message, which therefore need not be shown to it.
    pub(crate) fn own(&mut self, id: MessageId) {
        self.chat.note(id, Shown::Own);
    }

    /// How many messages this client has not acknowledged.
    pub(crate) const fn unacknowledged(&self) -> usize {
        self.chat.unacknowledged
    }

    /// Whether this client has acknowledged that message.
    pub(crate) fn has_acknowledged(&self, id: MessageId) -> bool {
        matches!(self.chat.shown.get(&id), Some(Shown::Acknowledged | Shown::Read))
    }

    /// Whether this client wrote the message, or was shown it as its user's.
    pub(crate) fn knows_own(&self, receipt: &Receipt) -> bool {
        self.chat.told.get(&receipt.sender_id).is_some()
            || self.chat.shown.get(&receipt.message_id) == Some(&Shown::Own)
    }

    /// Tells the client how far a message has come: each status once, and never back.
    /// The first time, with the thread it is part of.
    pub(crate) fn tell(&mut self, receipt: &Receipt, conversation: Option<ConversationId>) {
        let before = self.chat.told.get(&receipt.sender_id).copied();
        if before.is_some_and(|before| before >= receipt.status) {
            return;
        }
        self.chat.told.note(receipt.sender_id.clone(), receipt.status);
        if let (Some(leg), Some(conversation)) =
            (self.chat.in_call.get(&receipt.sender_id).copied(), conversation)
        {
            self.channels.learn(leg, conversation.to_string());
        }
        self.answer(&receipt.sender_id, &GatewayFrame::status(receipt, conversation));
    }

    /// Tells the client that a message was not taken. The same id may be tried again.
    pub(crate) fn tell_refused(&mut self, sender_id: &str, reason: &str) {
        self.chat.told.forget(sender_id);
        self.answer(sender_id, &GatewayFrame::failed(sender_id, reason));
    }

    /// Tells of a message the way it was written.
    fn answer(&mut self, sender_id: &str, frame: &GatewayFrame) {
        let leg = self.chat.in_call.get(sender_id).copied();
        if !leg.is_some_and(|leg| self.say(leg, frame, None)) {
            self.send_by_socket(frame);
        }
    }

    /// Whether a channel or a socket carries it: what is worth nothing later is told to nobody else.
    pub(crate) fn tell_composing(&mut self, with: String, is_on: bool) {
        let leg = self.channels.with(&[&with]);
        let frame = GatewayFrame::Composing { with, on: is_on };
        if leg.is_some_and(|leg| self.say(leg, &frame, None)) {
            return;
        }
        match self.link {
            super::Link::Attached(_) => self.send(&frame),
            super::Link::Detached { .. } => {}
        }
    }

    fn acknowledge(&mut self, id: MessageId) {
        self.channels.settle(id);
        self.chat.note(id, Shown::Acknowledged);
        self.outputs.push_back(Output::Acknowledged(id));
    }
}

/// Makes a message of a request, or says why not.
fn compose(request: MessageRequest, now: Now) -> Result<Message, String> {
    let MessageRequest { id, to, body, content, require, may_fall_back } = request;
    if body.is_empty() {
        return Err("An empty message is not sent.".to_owned());
    }
    if body.len() > MAX_BODY {
        let length = body.len();
        return Err(format!("A message has at most {MAX_BODY} bytes; this one has {length}."));
    }
    let content = media_type(&content)?;
    let (to, dialled) = dialled::read(&to).map_err(|fault| fault.to_string())?;
    Ok(Message {
        sender_id: id,
        to,
        dialled,
        content,
        body,
        thread: None,
        at_ms: i64::try_from(now.unix_ms).unwrap_or(i64::MAX),
        require,
        may_fall_back,
        hops_left: None,
        wants_receipts: true,
    })
}

/// A media type in lower case (RFC 9110 §8.3.1). Every body here is UTF-8, so that saying it is no
/// difference; other parameters would be lost on the way, so they are refused.
fn media_type(text: &str) -> Result<String, String> {
    let refused =
        || format!("The content of a message is a media type like text/plain, not {text}.");
    let lower = text.trim().to_ascii_lowercase();
    let (name, parameters) = lower.split_once(';').unwrap_or((lower.as_str(), ""));
    let parameters = parameters.trim();
    if !["", "charset=utf-8", "charset=\"utf-8\""].contains(&parameters) {
        return Err(refused());
    }
    let name = name.trim_end();
    let (kind, subtype) = name.split_once('/').ok_or_else(refused)?;
    let is_name = |name: &str| {
        let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        (1..=MAX_MEDIA_NAME).contains(&name.len()) && name.bytes().all(is_fine)
    };
    if !is_name(kind) || !is_name(subtype) {
        return Err(refused());
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::media_type;

    #[test]
    fn a_media_type_is_made_lower_case_and_what_would_be_lost_is_refused() {
        assert_eq!(media_type("Text/Plain; charset=UTF-8").as_deref(), Ok("text/plain"));
        assert_eq!(media_type("application/omemo+xml").as_deref(), Ok("application/omemo+xml"));
        for text in ["", "text", "text/", "/plain", "text/plain; a=b", "te xt/plain", "a/b/c"] {
            assert!(media_type(text).is_err(), "{text}");
        }
    }
}
