//! What a leg works with: the stack, its trunk's credentials, and the way to the switchboard.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use gateway_adapter::{Event, Query};
use gateway_core::leg::{Incoming, LegEvent};
use gateway_core::message::{DeliveryId, IntakeId};
use gateway_core::reachable::Reachable;
use gateway_core::{LegId, TrunkId};

use crate::registration::Trunk;
use crate::stack::Stack;
use crate::stack::dialog::Dialog;
use crate::stack::flow::{Flow, Target};
use crate::stack::transaction::{Timers, TransactionId};
use crate::stack::wire::{Request, Response, Uri};

/// What the adapter's pure half asks of its shell.
#[derive(Debug)]
pub enum Output {
    /// Tell the switchboard.
    Event(Event),
    /// Offer the switchboard a new leg; if it has no room, tell [`crate::agent::Agent::refuse`].
    Incoming(Box<Incoming>),
    /// Offer the switchboard what a MESSAGE says, and tell [`crate::agent::Agent::handle_offered`]
    /// whether it had room.
    Message(IntakeId, Box<Event>),
    /// Look a name up for [`crate::agent::Agent::handle_targets`].
    Resolve(Asker, Query),
}

/// Who waits for a look-up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asker {
    /// A leg that wants to dial.
    Leg(LegId),
    /// A trunk that wants to register.
    Trunk(TrunkId),
    /// Something that is to be written to somebody.
    Errand(ErrandId),
}

/// A MESSAGE of ours on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrandId {
    /// One that carries a message.
    Delivery(DeliveryId),
    /// One that tells something of a message, or that somebody writes; of which nobody asks.
    Note(u64),
}

/// Whom a transaction belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    Leg(LegId),
    Trunk(TrunkId),
    /// The BYE of a call that was left standing.
    Release(Left),
    Errand(ErrandId),
}

/// A call that was left standing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Left {
    /// By an earlier life: a journal entry.
    Entry(u64),
    /// By a leg of this life, whose BYE did not arrive.
    Leg(LegId),
}

/// Whom every transaction belongs to.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    owner_of: BTreeMap<TransactionId, Owner>,
    transactions_of: BTreeMap<LegId, BTreeSet<TransactionId>>,
}

impl Owners {
    pub(crate) fn insert(&mut self, id: TransactionId, owner: Owner) {
        if let Owner::Leg(leg) = owner {
            self.transactions_of.entry(leg).or_default().insert(id);
        }
        self.owner_of.insert(id, owner);
    }

    pub(crate) fn get(&self, id: TransactionId) -> Option<Owner> {
        self.owner_of.get(&id).cloned()
    }

    pub(crate) fn remove(&mut self, id: TransactionId) -> Option<Owner> {
        let owner = self.owner_of.remove(&id)?;
        if let Owner::Leg(leg) = owner
            && let Some(transactions) = self.transactions_of.get_mut(&leg)
        {
            transactions.remove(&id);
        }
        Some(owner)
    }

    /// Forgets everything of a leg that is over.
    pub(crate) fn forget(&mut self, leg: LegId) {
        for id in self.transactions_of.remove(&leg).unwrap_or_default() {
            self.owner_of.remove(&id);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.owner_of.is_empty()
    }
}

/// Borrowed for the time one leg handles one input.
pub(crate) struct Line<'a> {
    pub(crate) leg: LegId,
    /// The leg's own trunk.
    pub(crate) trunk: TrunkId,
    pub(crate) stack: &'a mut Stack,
    pub(crate) trunks: &'a mut BTreeMap<TrunkId, Trunk>,
    pub(crate) owners: &'a mut Owners,
    pub(crate) out: &'a mut VecDeque<Output>,
    /// What the leg leaves standing at its end.
    pub(crate) left: &'a mut Option<Dialog>,
    pub(crate) timers: Timers,
    pub(crate) now: Instant,
}

impl Line<'_> {
    /// Tells the switchboard something of this leg.
    pub(crate) fn tell(&mut self, event: LegEvent) {
        self.out.push_back(Output::Event(Event::Leg(self.leg, event)));
    }

    /// Sends a request whose answer is this leg's. `None`: too many transactions.
    pub(crate) fn request(&mut self, request: Request, target: Target) -> Option<TransactionId> {
        let id = self.stack.send_request(request, target, self.now)?;
        self.owners.insert(id, Owner::Leg(self.leg));
        Some(id)
    }

    /// What decides where we may send.
    pub(crate) fn reach(&self) -> &Arc<Reachable> {
        self.stack.advertised().reach()
    }

    /// Answers a request.
    pub(crate) fn respond(&mut self, id: TransactionId, response: Response) {
        self.stack.respond(id, response, self.now);
    }

    /// Answers a request with nothing but a status.
    pub(crate) fn refuse(&mut self, id: TransactionId, request: &Request, status: u16) {
        self.respond(id, Response::to_request(request, status));
    }

    /// Puts the trunk's credentials into a request that it refused for want of them; `false` when
    /// there is nothing to answer, or the challenge is not the trunk's own.
    pub(crate) fn authorize(
        &mut self,
        trunk: &TrunkId,
        request: &mut Request,
        response: &Response,
        flow: Flow,
    ) -> bool {
        let cnonce = self.stack.token();
        self.trunks
            .get_mut(trunk)
            .is_some_and(|trunk| trunk.authorize(request, response, flow, &cnonce))
    }

    /// Keeps what is needed to hang up after a crash, or forgets it.
    pub(crate) fn journal(&mut self, dialog: Option<&Dialog>) {
        let is_known = self.trunks.contains_key(&self.trunk);
        let entry = dialog.map(|dialog| {
            let mut snapshot = dialog.snapshot();
            snapshot.trunk = is_known.then(|| self.trunk.as_str().to_owned());
            serde_json::to_vec(&snapshot).expect("a snapshot is text and numbers")
        });
        self.out.push_back(Output::Event(Event::Journal(self.leg, entry)));
    }

    /// Leaves a dialog standing whose peer cannot be told now: the agent goes on trying, and the
    /// journal entry stays until it is done.
    pub(crate) fn leave_behind(&mut self, dialog: Dialog) {
        *self.left = Some(dialog);
    }
}

/// The value of our Contact header towards `target` (RFC 3261 §8.1.1.8).
pub(crate) fn contact(stack: &Stack, user: &str, target: &Target) -> String {
    let sent_by = stack.advertised().sent_by(target.transport, target.remote);
    let (host, port) = match sent_by.parse::<std::net::SocketAddr>() {
        Ok(address) => (address.ip().to_string(), Some(address.port())),
        Err(_) => (sent_by, None),
    };
    let uri = Uri::sip(Some(user), &host, port)
        .or_else(|| Uri::sip(None, "invalid.invalid", None))
        .expect("that is a URI");
    format!("<{}>", uri.with_param("transport", target.transport.param()).to_text())
}
