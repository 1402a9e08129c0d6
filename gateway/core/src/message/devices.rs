//! Devices of an account: each is brought every message once, also what came while it was away.
//!
//! ```text
//! adapter --Returned, a page after the other--> switchboard --Backlog--> adapter
//!         --had------------------------------->    (what is owed to a device is kept until then)
//! ```

use std::fmt;

use super::{ConversationId, Message, MessageId};
use crate::ids::AccountId;
use crate::route::Origin;

/// A device, by a hash of the name it gave itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId(pub [u8; 16]);

/// Which device of which account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Device {
    /// The account that proved itself there.
    pub account: AccountId,
    /// Which of its devices.
    pub id: DeviceId,
}

/// A device is there again: what does it lack?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// The device.
    pub device: Device,
    /// The adapter's own name of where it is now.
    pub session: String,
    /// The place in the order up to which it was told.
    pub after: i64,
}

/// A message that a device has not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The message, on every network.
    pub message_id: MessageId,
    /// The conversation it is part of.
    pub conversation: ConversationId,
    /// Who wrote it.
    pub origin: Origin,
    /// What it says.
    pub message: Message,
}

/// A page of what a device lacks, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// As in [`Returned`].
    pub session: String,
    /// As in [`Returned`].
    pub after: i64,
    /// What it lacks.
    pub missed: Vec<Missed>,
    /// The place in the order where this page ends.
    pub until: i64,
    /// Whether nothing is left behind it.
    pub is_last: bool,
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "V{:02x}{:02x}{:02x}", self.0[0], self.0[1], self.0[2])
    }
}
