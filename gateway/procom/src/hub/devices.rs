//! Devices that come back: what came while they were away is shown first, page by page, and then
//! what came meanwhile.
//!
//! ```text
//! hello with device --Returned--> switchboard      dispatched meanwhile --> set aside
//!        ^                            |
//!        '-- acknowledged enough <-- Backlog --the last page--> what was set aside, what is pending
//! ```

use std::time::Duration;

use gateway_core::message::{Backlog, Device, MessageId, Missed, Returned};

use super::messages::frame;
use super::{Deadline, Hub, Now, Output};
use crate::frame::MessageFrame;
use crate::session::SessionId;

/// How many messages are set aside for a device before they are asked of the store instead.
const ASIDE: usize = 64;
/// With how many messages it has not acknowledged a device is shown another page.
const UNACKNOWLEDGED: usize = 128;
/// How long a page may take before it is asked for again.
const PAGE_LIMIT: Duration = Duration::from_secs(5);

/// A session that is shown what came while its device was away.
#[derive(Debug)]
pub(super) struct Return {
    device: Device,
    /// How far it was told.
    after: i64,
    /// Whether a page is on its way.
    is_asked: bool,
    /// What came meanwhile, by its number.
    aside: Vec<(u64, MessageId, MessageFrame)>,
    /// Whether more came than can be set aside.
    is_behind: bool,
}

impl Hub {
    /// A session of a device with a name has begun.
    pub(super) fn begin_return(&mut self, id: SessionId, device: Device, now: Now) {
        let (after, is_asked, is_behind) = (0, false, false);
        let aside = Vec::new();
        self.post
            .return_of_session
            .insert(id, Return { device, after, is_asked, aside, is_behind });
        self.ask_page(id, now);
    }

    /// Keeps a message for a session that is not shown new ones yet. False if it is.
    pub(super) fn set_aside(
        &mut self,
        id: SessionId,
        number: u64,
        message: MessageId,
        frame: &MessageFrame,
    ) -> bool {
        let Some(returning) = self.post.return_of_session.get_mut(&id) else { return false };
        if returning.aside.len() < ASIDE {
            returning.aside.push((number, message, frame.clone()));
        } else {
            returning.is_behind = true;
        }
        true
    }

    /// A page of what a device lacks.
    pub(super) fn handle_backlog(&mut self, backlog: Backlog, now: Now) {
        let Some(id) = self.id_of_contact.get(&backlog.session).copied() else { return };
        let Some(returning) = self.post.return_of_session.get_mut(&id) else { return };
        // One that was asked for twice comes twice.
        if !returning.is_asked || returning.after != backlog.after {
            return;
        }
        returning.is_asked = false;
        returning.after = backlog.until;
        for missed in backlog.missed {
            self.show_missed(id, missed);
        }
        let Some(returning) = self.post.return_of_session.get_mut(&id) else { return };
        if backlog.is_last && returning.is_behind {
            returning.is_behind = false;
            returning.aside.clear();
            self.ask_page(id, now);
        } else if backlog.is_last {
            self.finish_return(id);
        } else {
            self.go_on_returning(id, now);
        }
    }

    /// Asks for another page once the device has acknowledged enough of the last.
    pub(super) fn go_on_returning(&mut self, id: SessionId, now: Now) {
        let unacknowledged = self.session_of_id.get(&id).map_or(0, |it| it.unacknowledged());
        let is_idle = self.post.return_of_session.get(&id).is_some_and(|it| !it.is_asked);
        if is_idle && unacknowledged <= UNACKNOWLEDGED {
            self.ask_page(id, now);
        }
    }

    /// A page has not come in time: somebody was too busy for it.
    pub(super) fn handle_late_page(&mut self, id: SessionId, now: Now) {
        if self.post.return_of_session.get(&id).is_some_and(|it| it.is_asked) {
            self.ask_page(id, now);
        }
    }

    fn ask_page(&mut self, id: SessionId, now: Now) {
        let Some(session) = self.session_of_id.get(&id) else { return };
        let Some(returning) = self.post.return_of_session.get_mut(&id) else { return };
        returning.is_asked = true;
        self.outputs.push_back(Output::Returned(Box::new(Returned {
            device: returning.device.clone(),
            session: session.birth().contact.clone(),
            after: returning.after,
        })));
        self.deadlines.insert((now.at + PAGE_LIMIT, Deadline::Page(id)));
    }

    fn show_missed(&mut self, id: SessionId, missed: Missed) {
        let Missed { message_id, conversation, origin, message } = missed;
        let Some(session) = self.session_of_id.get(&id) else { return };
        let to = session.birth().who.address().to_string();
        let frame = frame(message_id, conversation, &origin, to, &message);
        self.with_session(id, |session| session.show_missed(message_id, &frame));
    }

    /// What came meanwhile, and what no other device has acknowledged yet, in the order it came.
    fn finish_return(&mut self, id: SessionId) {
        let Some(returning) = self.post.return_of_session.remove(&id) else { return };
        let mut waiting = self.pending_for(id);
        waiting.extend(returning.aside);
        waiting.sort_by_key(|(number, ..)| *number);
        for (_, message, frame) in waiting {
            self.with_session(id, |session| session.show_aside(message, &frame));
        }
    }
}
