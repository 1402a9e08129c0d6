//! The ways to a recipient.

use crate::address::Address;
use crate::ids::{AccountId, TrunkId};
use crate::message::DeliveryId;
use crate::route::Origin;

/// One place a message can be brought to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Way {
    /// The trunk that carries it.
    pub trunk: TrunkId,
    /// To whom, there.
    pub to: Address,
    /// The location, where the recipient is a device of a local account.
    pub contact: Option<String>,
    /// The account, if local.
    pub account: Option<AccountId>,
}

impl Way {
    /// Whether it leads to an account wherever it is, now or later, and not to one device.
    #[must_use]
    pub const fn is_mailbox(&self) -> bool {
        self.account.is_some() && self.contact.is_none()
    }

    /// Whether whoever this is may speak for who is reached by this way: the account by whatever
    /// trunk it came, or by the same trunk the same user.
    #[must_use]
    pub fn is_of(&self, origin: &Origin) -> bool {
        match &self.account {
            Some(_) => self.account == origin.account,
            None => self.trunk == origin.trunk && self.to.name() == origin.asserted.name(),
        }
    }
}

/// A way with its place in the queue of ways and the attempt that is ahead or under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Its id, never used again.
    pub id: DeliveryId,
    /// Hops of one group go together; the next group begins when all of the one before failed once.
    pub group: u8,
    /// Where it leads.
    pub way: Way,
    /// The number of the attempt, from 0.
    pub attempt: u32,
}
