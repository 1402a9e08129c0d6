//! Messages both ways (RFC 3428): what comes in waits for the switchboard, what goes out for its answer.
//!
//! ```text
//!   MESSAGE --authenticated, read--> Intake --Settle | TOO_SLOW--> 200, 202, 4xx, 5xx
//!                                      \--Received, Confirmed, Composing--> switchboard
//!   Send, Receipt, Composing --> Errand --looked up--> MESSAGE --answer | silence--> Sent
//!                                   ^------- next place, challenge of the trunk ---'
//! ```

mod errand;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use gateway_adapter::Event;
use gateway_core::message::{
    Composing, Confirmation, Handover, IntakeId, Message, Received, Settlement,
};
use gateway_core::route::Require;

use super::inbound::Caller;
use super::{Agent, Began};
use crate::line::{ErrandId, Output};
use crate::message::{self, Content, Text, to_status};
use crate::stack::flow::Flow;
use crate::stack::gate::Proof;
use crate::stack::policy::Refusal;
use crate::stack::transaction::TransactionId;
use crate::stack::wire::{self, Request, Response};

use errand::Errand;

/// How long the switchboard may take to settle: of the 32 s after which nobody waits for an answer
/// (timer F) enough is left for ours to be repeated (RFC 4320 §4.2 forbids a 408, and one too late).
const TOO_SLOW: Duration = Duration::from_secs(24);
/// How long what an earlier life knew of phones is believed, and the oldest message it is used for.
/// Longer, and another phone may have got the address.
const FRESH: Duration = Duration::from_secs(120);
/// When those are to come back who found no room.
const RETRY_AFTER: &str = "5";
/// Peers remembered to tell who is composing.
const MAX_COMPOSERS: usize = 10_000;
/// The longest name of a conversation taken.
const MAX_THREAD_BYTES: usize = 128;

/// All messages that are on their way.
#[derive(Debug)]
pub(super) struct Post {
    /// Users whose phones read message/cpim.
    cpim_users: BTreeSet<String>,
    /// By the number of the transaction: the oldest is the first.
    intakes: BTreeMap<IntakeId, Intake>,
    errands: BTreeMap<ErrandId, Errand>,
    /// The Call-IDs of our errands: one that comes back to us goes in a circle.
    call_ids: BTreeSet<String>,
    /// Who has told us of its own composing, and so understands it.
    composers: BTreeSet<String>,
    notes: u64,
    began: Began,
}

/// A MESSAGE without an answer.
#[derive(Debug)]
struct Intake {
    request: Request,
    /// Whether it is answered as soon as the switchboard knows of it.
    is_passing: bool,
    give_up_at: Instant,
}

impl Post {
    pub(super) fn new(cpim_users: &[String], began: Began) -> Self {
        Self {
            cpim_users: cpim_users.iter().cloned().collect(),
            intakes: BTreeMap::new(),
            errands: BTreeMap::new(),
            call_ids: BTreeSet::new(),
            composers: BTreeSet::new(),
            notes: 0,
            began,
        }
    }

    /// The Call-IDs of messages of ours that are on their way.
    pub(super) fn call_ids(&self) -> &BTreeSet<String> {
        &self.call_ids
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.intakes.first_key_value().map(|(_, intake)| intake.give_up_at)
    }

    /// Whether a message is one of the last that an earlier life may have sent, and was taken so
    /// recently that where its recipient was then is where it is now.
    fn may_be_repeated(&self, at_ms: i64, now: Instant) -> bool {
        let life = now.saturating_duration_since(self.began.at);
        let life_ms = i64::try_from(life.as_millis()).unwrap_or(i64::MAX);
        let age_ms = self.began.ms.saturating_add(life_ms).saturating_sub(at_ms);
        let youth_ms = i64::try_from(FRESH.as_millis()).unwrap_or(i64::MAX);
        life < FRESH && (0..youth_ms).contains(&age_ms)
    }

    fn learn_composer(&mut self, peer: String) {
        if self.composers.len() < MAX_COMPOSERS {
            self.composers.insert(peer);
        }
    }
}

impl Agent {
    /// Takes a MESSAGE, within a call or outside.
    pub(super) fn handle_message_request(
        &mut self,
        id: TransactionId,
        request: Request,
        (flow, proof): (Flow, Proof),
        now: Instant,
    ) {
        let event = match self.read_message(id, &request, flow, proof) {
            Ok(event) => event,
            Err(refusal) => {
                self.stack.respond(id, refusal.response(&request), now);
                return;
            }
        };
        let Some(event) = event else {
            self.stack.respond(id, Response::to_request(&request, 200), now);
            return;
        };
        let is_passing = !matches!(event, Event::Received(_));
        let intake = Intake { request, is_passing, give_up_at: now + TOO_SLOW };
        self.post.intakes.insert(IntakeId(id.0), intake);
        self.out.push_back(Output::Message(IntakeId(id.0), Box::new(event)));
    }

    /// What the switchboard is to be told of a MESSAGE; `None`: nothing that it has a word for.
    fn read_message(
        &mut self,
        id: TransactionId,
        request: &Request,
        flow: Flow,
        proof: Proof,
    ) -> Result<Option<Event>, Refusal> {
        let fields = request.fields();
        let caller = self.caller(request, flow, proof)?;
        let is_proven = caller.origin.account.is_some();
        let guard = &self.door.guard;
        let number = is_proven.then(|| guard.first_number(request, "Authorization")).flatten();
        let content = message::read(fields, request.body(), number)?;
        Ok(match content {
            Content::Text(text) => Some(received(IntakeId(id.0), request, caller, text)),
            Content::Notice(notice) => {
                let message_id = message::noticed(&notice.id);
                message_id.zip(notice.status).map(|(message_id, status)| {
                    Event::Confirmed(Box::new(Confirmation {
                        message_id,
                        by: caller.origin,
                        status,
                    }))
                })
            }
            Content::Composing(is_on) => {
                self.post.learn_composer(caller.origin.asserted.to_string());
                let (origin, to) = (caller.origin, caller.to);
                Some(Event::Composing(Box::new(Composing { origin, to, account: None, is_on })))
            }
        })
    }

    /// Takes whether the switchboard had room for what a MESSAGE says.
    pub fn handle_offered(&mut self, id: IntakeId, has_room: bool, now: Instant) {
        let is_passing = self.post.intakes.get(&id).is_some_and(|intake| intake.is_passing);
        if !has_room {
            self.answer_intake(id, 503, None, now);
        } else if is_passing {
            self.answer_intake(id, 200, None, now);
        }
    }

    /// Takes what became of a message that came in; too late, it tells nothing.
    pub(super) fn settle(&mut self, id: IntakeId, settlement: &Settlement, now: Instant) {
        let why = match settlement {
            Settlement::Taken(..) => None,
            Settlement::Refused(_, why) => Some(why.as_str()),
        };
        self.answer_intake(id, to_status(settlement), why, now);
    }

    /// Answers what the switchboard did not settle in time. The sender may try again: 500
    /// (RFC 3261 §21.5.1), and not 408, which no server may answer here (RFC 4320 §4.2).
    pub(super) fn handle_slow_intakes(&mut self, now: Instant) {
        while let Some((id, intake)) = self.post.intakes.first_key_value()
            && intake.give_up_at <= now
        {
            self.answer_intake(*id, 500, Some("the gateway is slow, try again"), now);
        }
    }

    fn answer_intake(&mut self, id: IntakeId, status: u16, why: Option<&str>, now: Instant) {
        let Some(intake) = self.post.intakes.remove(&id) else { return };
        let mut response = Response::to_request(&intake.request, status);
        if let Some(why) = why {
            response.push("Warning", &message::incoming::warning(why));
        }
        if status == 503 {
            response.push("Retry-After", RETRY_AFTER);
        }
        self.stack.respond(TransactionId(id.0), response, now);
    }

    /// Tells what came of an errand, and forgets it.
    fn end_errand(&mut self, id: ErrandId, handover: Handover) {
        let Some(errand) = self.post.errands.remove(&id) else { return };
        self.post.call_ids.remove(&errand.call_id());
        match id {
            ErrandId::Delivery(delivery) => {
                self.out.push_back(Output::Event(Event::Sent(delivery, handover)));
            }
            // Nobody asks what became of it.
            ErrandId::Note(_) => {}
        }
    }
}

fn received(intake: IntakeId, request: &Request, caller: Caller, text: Text) -> Event {
    let fields = request.fields();
    let is_name = |name: &String| name.len() <= MAX_THREAD_BYTES && !name.is_empty();
    let message = Message {
        sender_id: text.sender_id,
        to: caller.to,
        dialled: None,
        content: message::TEXT.to_owned(),
        body: text.body.into(),
        // RFC 3261 has no name for a conversation; that of GSMA RCC.07 §2.6 is widely sent.
        thread: fields.text("Conversation-ID").filter(is_name),
        at_ms: text.at_ms.unwrap_or(0),
        require: match request.uri().scheme() {
            wire::Scheme::Sips => Require::Encrypted,
            wire::Scheme::Sip | wire::Scheme::Tel | wire::Scheme::Other => Require::Any,
        },
        may_fall_back: false,
        wants_receipts: text.wants_receipts,
        hops_left: fields.max_forwards(),
    };
    Event::Received(Box::new(Received { intake, origin: caller.origin, message }))
}
