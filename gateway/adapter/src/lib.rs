//! The contract between the switchboard and the adapters (ARCHITECTURE.md §3.1).
//!
//! ```text
//!              Command (bounded)                    Query (bounded)
//! switchboard ------------------> Edge (adapter) -----------------> resolver
//!      Outlet <------------------                <-----------------
//!               Event (bounded)                      Targets
//! ```
//!
//! Nobody waits in a circle: the switchboard only ever tries to send ([`Outlet`]), and an adapter
//! keeps the events of its live legs in an outbox of its own until there is room ([`Edge`]).

pub mod attempts;
mod edge;
mod metrics;
mod outlet;
mod resolver;
mod watched;

use std::future::Future;
use std::pin::Pin;

use gateway_core::leg::{Incoming, LegCommand, LegEvent};
use gateway_core::media::Profile;
use gateway_core::message::{
    Backlog, Composing, Confirmation, DeliveryId, Device, Dispatch, Handover, IntakeId, MessageId,
    Receipt, Received, Returned, Settlement,
};
use gateway_core::route::Location;
use gateway_core::{AccountId, LegId, Scheme, TrunkId};

use attempts::Acquaintance;
pub use edge::{Busy, Edge, channel};
pub use metrics::{Metrics, Recorder};
pub use outlet::Outlet;
pub use resolver::{
    Draft, Lookup, Prospect, Query, Resolver, Target, Transport, WayAhead, resolver,
};
pub use watched::Watched;

/// How many commands or events may wait in a channel.
pub const CHANNEL_CAPACITY: usize = 4096;

/// A running adapter.
pub type Running = Pin<Box<dyn Future<Output = Result<(), AdapterFailed>> + Send>>;

/// One network's edge.
pub trait Adapter: Send + 'static {
    /// As it appears in configuration, metrics and logs: `sip`.
    fn name(&self) -> &'static str;

    /// The addresses this adapter can dial.
    fn schemes(&self) -> &'static [Scheme];

    /// Serves the network until the command channel closes, then ends its legs and returns.
    ///
    /// # Errors
    /// The adapter cannot go on. Trouble with one leg is an [`Event`].
    fn run(self: Box<Self>, edge: Edge) -> Running;
}

/// The environment failed an adapter: a socket, a modem, a stream. The supervisor restarts it.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {why}")]
pub struct AdapterFailed {
    /// What could not be done, like `bind sip udp 127.0.0.1:5060`.
    pub what: String,
    /// The system's reason.
    pub why: String,
}

impl AdapterFailed {
    /// Says what could not be done and why.
    pub fn new(what: impl Into<String>, why: impl ToString) -> Self {
        Self { what: what.into(), why: why.to_string() }
    }
}

/// What the switchboard asks of an adapter.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Something for one leg.
    Leg(LegId, LegCommand),
    /// End what this journal entry of an earlier life describes, and say so by
    /// [`Event::Released`] with the same key.
    Release(u64, Vec<u8>),
    /// Hand a message to the network: answered once by [`Event::Sent`].
    Send(Box<Dispatch>),
    /// What became of a message that came in by [`Event::Received`].
    Settle(IntakeId, Settlement),
    /// Tell a sender how far its message has come.
    Receipt(Box<Receipt>),
    /// Somebody is writing, or has stopped.
    Composing(TrunkId, Box<Composing>),
    /// What a device lacks: the answer to [`Event::Returned`].
    Backlog(Box<Backlog>),
    /// Refuse new legs from now on; those that live may end by themselves.
    Drain,
}

/// What an adapter tells the switchboard.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Somebody calls.
    Incoming(Box<Incoming>),
    /// Something about one leg.
    Leg(LegId, LegEvent),
    /// Somebody writes. By [`Edge::try_report`]; answered once by [`Command::Settle`].
    Received(Box<Received>),
    /// What came of an attempt to hand a message over.
    Sent(DeliveryId, Handover),
    /// How far the far side says a message has come.
    Confirmed(Box<Confirmation>),
    /// Somebody is writing, or has stopped.
    Composing(Box<Composing>),
    /// A device is there again, or has room for more of what it lacks.
    Returned(Box<Returned>),
    /// A device has a message for good.
    Had(Device, MessageId),
    /// Somebody without an account is there again, by this name: what rests for them can be tried.
    Woken(TrunkId, String),
    /// Where an account can be rung through this adapter now: the whole list each time.
    Located(AccountId, Vec<Location>),
    /// How a trunk's link does.
    Link(TrunkId, LinkState),
    /// What must be known to end this leg's far side after a crash; `None` when it is no longer
    /// needed. The latest entry of a leg counts.
    Journal(LegId, Option<Vec<u8>>),
    /// The journal entry of that key has been dealt with.
    Released(u64),
    /// An account has signed in from a network or with a device: for the next life of the adapter.
    Acquainted(Acquaintance),
}

/// How a trunk's link does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Registered or connected; calls may be dialled with these profiles, best first.
    Up(Vec<Profile>),
    /// Not usable now, with the reason for a person.
    Down(String),
}
