//! Devices that were away: what they lack is read page by page.

use gateway_core::message::{Backlog, Device, MessageId, Missed, Returned};

use super::{Act, Clock, Post};
use crate::store::messages::{MailWrite, Unseen};

impl Post {
    /// A device is there again, or has room for more.
    pub(in crate::switchboard) fn handle_returned(&mut self, returned: Returned, clock: Clock) {
        let missed = MailWrite::Missed(Box::new(returned), clock.epoch_ms);
        self.out.push_back(Act::Store(missed));
    }

    /// A device has a message for good.
    pub(in crate::switchboard) fn handle_had(&mut self, device: Device, message_id: MessageId) {
        self.out.push_back(Act::Store(MailWrite::Had(device, message_id)));
    }

    /// A page of what a device lacks has been read.
    pub(super) fn handle_missed(
        &mut self,
        returned: Returned,
        unseen: Vec<Unseen>,
        until: i64,
        is_last: bool,
    ) {
        let Returned { session, after, .. } = returned;
        let missed = |unseen: Unseen| Missed {
            message_id: unseen.message_id,
            conversation: self.keys.of_conversation(&unseen.conversation),
            origin: unseen.origin,
            message: unseen.message,
        };
        let missed = unseen.into_iter().map(missed).collect();
        let backlog = Backlog { session, after, missed, until, is_last };
        self.out.push_back(Act::Backlog(Box::new(backlog)));
    }
}
