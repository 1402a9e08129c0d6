//! What a message is, and what the switchboard and the adapters say about one (ARCHITECTURE.md §3).
//!
//! ```text
//! sender's adapter --Received--> switchboard --Dispatch--> recipient's adapter
//!                  <--Settled---             <--Handover--
//!                  <--Receipt---             <--Receipt---
//! ```
//!
//! A message has one [`MessageId`] on every network, made when the gateway takes it. Each way to a
//! recipient is one delivery with a [`DeliveryId`] of its own. A body is never shown by `Debug`.

mod devices;

use std::fmt;
use std::time::Duration;

use crate::address::Address;
use crate::cause::Cause;
use crate::ids::{AccountId, TrunkId};
use crate::route::{Origin, Require};

pub use devices::{Backlog, Device, DeviceId, Missed, Returned};

/// The largest body the gateway takes, in bytes.
pub const MAX_BODY: usize = 32 * 1024;
/// The longest id a sender may give its message, in bytes.
pub const MAX_SENDER_ID: usize = 128;

/// One message on all networks: random, so that who was not sent it cannot name it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub [u8; 16]);

/// One message on its way by one route. Never used again, not even by a later life of the gateway.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId(pub u64);

/// One conversation, for those who have it: the same whatever network a contact writes by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConversationId(pub [u8; 16]);

/// A message that an adapter has read and not answered yet: the adapter's own number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IntakeId(pub u64);

impl MessageId {
    /// Reads the 32 hexadecimal digits that [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() != 32 || !digits.iter().all(is_hex) {
            return None;
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
            let value = |digit: u8| if digit <= b'9' { digit - b'0' } else { digit - b'a' + 10 };
            *byte = value(pair[0]) << 4 | value(pair[1]);
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "C{:02x}{:02x}{:02x}", self.0[0], self.0[1], self.0[2])
    }
}

/// Who knows the id may confirm the message: logs get its first bytes only.
impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "M{:02x}{:02x}{:02x}", self.0[0], self.0[1], self.0[2])
    }
}

impl fmt::Debug for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "D{}", self.0)
    }
}

/// The text of a message, or what an end-to-end encrypted one looks like from outside.
#[derive(Clone, PartialEq, Eq)]
pub struct Body(String);

impl Body {
    /// The body, to be carried untouched.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its length in bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// A message as its sender gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The sender's own id: the same id of the same sender is the same message.
    pub sender_id: String,
    /// To whom.
    pub to: Address,
    /// The text as the person typed it, where `to` was made from it.
    pub dialled: Option<String>,
    /// The media type, like `text/plain`; lower case, without parameters.
    pub content: String,
    /// What it says.
    pub body: Body,
    /// The conversation it belongs to, where the sender's network has such a name.
    pub thread: Option<String>,
    /// When it was sent, in milliseconds since 1970; the gateway's clock where the sender says none.
    pub at_ms: i64,
    /// What protection the sender asks for.
    pub require: Require,
    /// Whether the sender allows another address of the recipient, on another network.
    pub may_fall_back: bool,
    /// Whether the sender wants to hear that it was delivered and read.
    pub wants_receipts: bool,
    /// How many more gateways and servers it may pass, where its network counts them.
    pub hops_left: Option<u8>,
}

/// A message that has come in from a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// What the adapter will know it by when it is settled.
    pub intake: IntakeId,
    /// Who writes, and how far that is proven.
    pub origin: Origin,
    /// What it says.
    pub message: Message,
}

/// What became of a message that came in. The network it came from may forget it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It is durable, under this id; or it was already, and has come so far. It is part of that
    /// conversation.
    Taken(MessageId, Status, ConversationId),
    /// It is not taken: the cause for the wire, and a sentence for the person. Nothing of it is kept.
    Refused(Cause, String),
}

/// How far a message has come. A message climbs this ladder and never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// The gateway has it and will not lose it.
    Queued,
    /// The next network took it.
    Sent,
    /// A device of the recipient has it.
    Delivered,
    /// The recipient saw it.
    Read,
    /// It will not arrive.
    Failed,
}

impl Status {
    /// Every status, in the order of the ladder.
    pub const ALL: [Self; 5] =
        [Self::Queued, Self::Sent, Self::Delivered, Self::Read, Self::Failed];

    /// The word on the Procom wire, in metrics and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Failed => "failed",
        }
    }

    /// The status of that word, if there is one.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One attempt to hand a message to the next network.
///
/// Whatever an adapter puts on the wire to tell a repeat from a new message (Call-ID, branch, tags,
/// ids of receipts) is made of `message_id`, `delivery` and `attempt` alone: these are stored before
/// the attempt is made, so that an attempt which a crash cut off is repeated byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispatch {
    /// The way it takes.
    pub delivery: DeliveryId,
    /// Which attempt this is, from 0. The same number again after a crash is the same attempt.
    pub attempt: u32,
    /// The message, on every network.
    pub message_id: MessageId,
    /// The conversation it is part of.
    pub conversation: ConversationId,
    /// The trunk to send it by.
    pub trunk: TrunkId,
    /// Who writes.
    pub origin: Origin,
    /// To whom, there.
    pub to: Address,
    /// The location, where the recipient is a local account's device; none for an account that the
    /// adapter itself knows how to reach on all its devices.
    pub contact: Option<String>,
    /// The account, if local.
    pub account: Option<AccountId>,
    /// What it says. Its `to` is what the sender asked for.
    pub message: Message,
}

/// What came of an attempt. Said once for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handover {
    /// The next network took it; it has come so far ([`Status::Sent`] or [`Status::Delivered`]).
    Taken(Status),
    /// Not now: nobody is there, no answer came, the network is overloaded. To be tried again.
    Later(Cause, String),
    /// Not now, and by the far side's word not before that time has passed.
    After(Duration, Cause, String),
    /// Not by this way, ever: the cause, and a sentence for the sender, with the limit if one is it.
    Never(Cause, String),
}

/// How far the far side says a message has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// The message.
    pub message_id: MessageId,
    /// Who says so.
    pub by: Origin,
    /// How far.
    pub status: Status,
}

/// What a sender is told of its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The trunk the message came in by.
    pub trunk: TrunkId,
    /// Who sent it.
    pub origin: Origin,
    /// The message, on every network.
    pub message_id: MessageId,
    /// The sender's own id of it.
    pub sender_id: String,
    /// To whom the sender had sent it.
    pub to: Address,
    /// How far it has come.
    pub status: Status,
    /// Why it failed, for the person.
    pub reason: Option<String>,
}

/// Somebody is writing, or has stopped. Never stored, never repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composing {
    /// Who writes.
    pub origin: Origin,
    /// To whom; towards an adapter, whom it reaches there.
    pub to: Address,
    /// The account written to, if local.
    pub account: Option<AccountId>,
    /// Whether the writing goes on.
    pub is_on: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_and_nothing_else_is_one() {
        let id = MessageId([0xab; 16]);
        assert_eq!(MessageId::parse(&id.to_string()), Some(id));
        for text in ["", "ab", &"AB".repeat(16), &"zz".repeat(16), &"é".repeat(16)] {
            assert_eq!(MessageId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn neither_body_nor_id_is_shown_whole() {
        assert_eq!(format!("{:?}", Body::from("secret")), "6 bytes");
        assert_eq!(format!("{:?}", MessageId([1; 16])), "M010101");
    }

    #[test]
    fn every_status_is_read_back_and_the_ladder_is_in_order() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
        }
        assert!(Status::ALL.is_sorted());
    }
}
