//! The `procom` data channel of a session's calls: the same message objects as on the socket, not
//! counted, and lost with the channel.
//!
//! ```text
//! client --text--> read --> message, ack, read, composing --> as from the socket
//!        <--text-- what answers it; what the far side of that call writes
//!                     '-- not known to have arrived when the channel closes --> the socket
//! ```

use std::collections::{BTreeMap, VecDeque};

use gateway_core::channel::{ChannelCommand, ChannelEvent, ChannelText, MAX_CHANNEL_TEXT};
use gateway_core::leg::LegEvent;
use gateway_core::message::MessageId;
use gateway_core::{AccountId, Address, LegId};

use super::{GARBAGE, Output, Session};
use crate::dialled;
use crate::frame::{ClientFrame, Code, GatewayFrame, MessageRequest, Refusal, read};
use crate::hub::Now;

/// How many objects of one channel are remembered as perhaps not arrived.
const UNSETTLED: usize = 256;
/// Names the far side of one call is known by.
const FAR_NAMES: usize = 8;

/// The channels of one session's calls.
#[derive(Debug, Default)]
pub(super) struct Channels {
    open: BTreeMap<LegId, Open>,
    /// Who is at the far side of each call.
    far_of_leg: BTreeMap<LegId, Vec<String>>,
    /// The channel that brought what is dealt with now.
    answered: Option<LegId>,
}

/// An open channel.
#[derive(Debug)]
struct Open {
    /// The far side: its addresses, those written to in the call, and the threads with them.
    far: Vec<String>,
    /// What was said and may not have arrived, oldest first.
    unsettled: VecDeque<(Option<MessageId>, GatewayFrame)>,
}

impl Channels {
    /// A call begins, with that far side, of that account if it is one.
    pub(super) fn expect(&mut self, leg: LegId, far: &Address, account: Option<&AccountId>) {
        let account = account.map(|account| Address::procom(account.as_str()).to_string());
        self.far_of_leg.insert(leg, account.into_iter().chain([far.to_string()]).collect());
    }

    /// The far side of a call is known by that name too.
    pub(super) fn learn(&mut self, leg: LegId, name: String) {
        if let Some(open) = self.open.get_mut(&leg)
            && open.far.len() < FAR_NAMES
            && !open.far.contains(&name)
        {
            open.far.push(name);
        }
    }

    /// The channel that brought what is dealt with now.
    pub(super) const fn answered(&self) -> Option<LegId> {
        self.answered
    }

    /// The open channel of a call whose far side has one of these names.
    pub(super) fn with(&self, names: &[&str]) -> Option<LegId> {
        let is_far =
            |(_, open): &(&LegId, &Open)| open.far.iter().any(|far| names.contains(&far.as_str()));
        self.open.iter().find(is_far).map(|(leg, _)| *leg)
    }

    /// The channel is ordered: with that message everything before it has arrived.
    pub(super) fn settle(&mut self, id: MessageId) {
        for open in self.open.values_mut() {
            let place = open.unsettled.iter().position(|(said, _)| *said == Some(id));
            open.unsettled.drain(..place.map_or(0, |place| place + 1));
        }
    }
}

impl Session {
    /// Something became of the channel of a call.
    pub(crate) fn handle_channel(&mut self, leg: LegId, event: ChannelEvent, now: Now) {
        match event {
            ChannelEvent::Opened => {
                self.close_channel(leg);
                let far = self.channels.far_of_leg.get(&leg).cloned().unwrap_or_default();
                let open = Open { far, unsettled: VecDeque::new() };
                self.channels.open.insert(leg, open);
            }
            ChannelEvent::Heard(text) => {
                self.channels.answered = Some(leg);
                self.handle_channel_text(leg, text.as_str(), now);
                self.channels.answered = None;
            }
            ChannelEvent::Closed => self.close_channel(leg),
        }
    }

    /// Says something over the channel of a call. False if there is none to take it.
    pub(super) fn say(&mut self, leg: LegId, frame: &GatewayFrame, id: Option<MessageId>) -> bool {
        let Some(open) = self.channels.open.get_mut(&leg) else { return false };
        let text = frame.render();
        if text.len() > MAX_CHANNEL_TEXT {
            return false;
        }
        open.unsettled.push_back((id, frame.clone()));
        if open.unsettled.len() > UNSETTLED {
            open.unsettled.pop_front();
        }
        let say = ChannelCommand::Say(ChannelText::from(text));
        self.outputs.push_back(Output::Leg(leg, LegEvent::Channel(say)));
        true
    }

    /// A call is over.
    pub(super) fn forget_channel(&mut self, leg: LegId) {
        self.channels.far_of_leg.remove(&leg);
        self.close_channel(leg);
    }

    fn close_channel(&mut self, leg: LegId) {
        let Some(open) = self.channels.open.remove(&leg) else { return };
        for (id, frame) in open.unsettled {
            match id {
                Some(id) => self.show_again(id, &frame),
                None => self.send_by_socket(&frame),
            }
        }
    }

    fn handle_channel_text(&mut self, leg: LegId, text: &str, now: Now) {
        let refusal = match read(text) {
            Ok(ClientFrame::Message(request)) => {
                self.note_far(leg, &request);
                return self.handle_message(*request, now);
            }
            Ok(ClientFrame::Ack(id)) => return self.handle_ack(&id),
            Ok(ClientFrame::Read(id)) => return self.handle_read(&id),
            Ok(ClientFrame::Composing { with, is_on }) => {
                return self.handle_composing(&with, is_on, now.at);
            }
            Ok(
                ClientFrame::Hello(_)
                | ClientFrame::Call(_)
                | ClientFrame::Within(..)
                | ClientFrame::Error
                | ClientFrame::Presence
                | ClientFrame::Explain(_),
            ) => Refusal::new(Code::Unexpected, "Only messages go over the channel of a call."),
            Err(refusal) => refusal,
        };
        self.send(&GatewayFrame::error(refusal));
        // Who keeps on loses the channel; the call is not to blame.
        if self.garbage.take(GARBAGE, now.at).is_err() {
            self.outputs.push_back(Output::Fault("garbage-channel"));
            self.outputs.push_back(Output::Leg(leg, LegEvent::Channel(ChannelCommand::Close)));
        }
    }

    /// Whoever is written to in the call may answer in it.
    fn note_far(&mut self, leg: LegId, request: &MessageRequest) {
        if let Ok((to, _)) = dialled::read(&request.to) {
            self.channels.learn(leg, to.to_string());
        }
    }
}
