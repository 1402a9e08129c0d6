//! What RFC 3261 calls the transport and transaction layers, as one machine without IO.
//!
//! Whole messages enter by [`Stack::handle_message`], rendered ones leave by
//! [`Stack::poll_transmit`], and what they mean for calls by [`Stack::poll_event`]. Time is an
//! argument, randomness a [`Tokens`] made once.
//!
//! ```text
//!            handle_message            poll_event
//!   sockets ---------------> Stack ------------------> legs, registrar
//!           <--------------- (wire, <------------------
//!            poll_transmit    policy,  send_request, respond, cancel
//!                             gate,
//!                             transactions)
//! ```
//!
//! A request that proves nothing leaves no state: see [`gate`].

pub mod dialog;
pub mod digest;
pub mod flow;
pub mod frame;
pub mod gate;
pub mod overload;
pub mod policy;
pub mod tokens;
pub mod transaction;
pub mod transport;
pub mod wire;

mod inbound;
mod outbound;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flow::{Flow, LinkId, Transmit, Transport};
use gate::{Proof, Tags};
use gateway_core::reachable::Reachable;
pub(crate) use outbound::MAX_DATAGRAM_REQUEST_BYTES;
use tokens::Tokens;
use transaction::{Kept, Machine, Report, Step, Table, Timers, TransactionId};
use wire::{Request, Response};

/// Queues up to this length keep their memory.
const SMALL_QUEUE: usize = 1_024;

/// Limits of one stack.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Transactions kept at once, finished ones that absorb repetitions included.
    pub max_transactions: usize,
    /// Requests waiting for our final response, above which new ones get 503.
    pub max_pending: usize,
    /// What Retry-After of a 503 says.
    pub retry_after: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_transactions: 50_000, max_pending: 2_000, retry_after: Duration::from_secs(5) }
    }
}

/// What came in, or happened, that the transaction layer has no answer of its own for.
#[derive(Debug)]
pub enum Event {
    /// A request that passed the policy and the gate; it must be answered by [`Stack::respond`].
    Request {
        /// Its server transaction.
        id: TransactionId,
        /// The request, its Via completed by where it came from.
        request: Box<Request>,
        /// Where it came from.
        flow: Flow,
        /// What the gate let it in for.
        proof: Proof,
    },
    /// The caller gave up this INVITE; the CANCEL is answered, the INVITE wants its 487.
    Cancelled {
        /// The INVITE's server transaction.
        id: TransactionId,
    },
    /// The ACK of a 2xx.
    Acknowledged {
        /// The request.
        request: Box<Request>,
        /// Where it came from.
        flow: Flow,
    },
    /// A response to a request of ours. Of a 2xx to an INVITE every repetition is reported.
    Response {
        /// The client transaction.
        id: TransactionId,
        /// The response.
        response: Box<Response>,
        /// Where it came from.
        flow: Flow,
    },
    /// A request of ours will not be answered any more.
    Failed {
        /// The client transaction.
        id: TransactionId,
        /// Whether it could not be delivered, rather than went unanswered.
        is_unreachable: bool,
    },
    /// A connection is gone.
    LinkClosed(LinkId),
}

/// What the stack counts; numbers only rise, except `transactions` and `pending`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each counts what its name says")]
pub struct Counters {
    pub received: u64,
    pub sent: u64,
    pub malformed: u64,
    pub refused_by_policy: u64,
    pub challenged: u64,
    /// Answers not sent: they would have been too long for what a stranger sent.
    pub unanswered: u64,
    pub shed: u64,
    pub repeated: u64,
    pub stray_responses: u64,
    pub stray_acks: u64,
    pub timeouts: u64,
    pub unreachable: u64,
    pub transactions: u64,
    pub pending: u64,
}

/// Under which name and port each kind of listener is reached by others, and where we may send.
#[derive(Debug, Clone, Default)]
pub struct Advertised(BTreeMap<(Transport, bool), SocketAddr>, Arc<Reachable>);

impl Advertised {
    /// Notes where a transport is reached; the address family is the address's own.
    pub fn add(&mut self, transport: Transport, address: SocketAddr) {
        self.0.entry((transport, address.is_ipv6())).or_insert(address);
    }

    /// Adds what decides where we may send; it learns where we are reached. Call it after every
    /// [`Self::add`].
    pub fn within(self, reach: Reachable) -> Self {
        let reach = reach.with_listeners(self.0.values().copied());
        Self(self.0, Arc::new(reach))
    }

    /// What decides where we may send.
    pub fn reach(&self) -> &Arc<Reachable> {
        &self.1
    }

    /// The address peers of `remote`'s family reach this transport at; `None` when none is
    /// listening.
    pub fn address(&self, transport: Transport, remote: SocketAddr) -> Option<SocketAddr> {
        self.0.get(&(transport, remote.is_ipv6())).copied()
    }

    fn any(&self, remote: SocketAddr) -> Option<SocketAddr> {
        self.0.iter().find(|((_, v6), _)| *v6 == remote.is_ipv6()).map(|(_, address)| *address)
    }

    /// The sent-by of a Via towards `remote` (RFC 3261 §18.1.1). A transport we do not listen on
    /// borrows the address of another: answers come back on the connection.
    pub fn sent_by(&self, transport: Transport, remote: SocketAddr) -> String {
        self.address(transport, remote)
            .or_else(|| self.any(remote))
            .map_or_else(|| "invalid.invalid".to_owned(), |address| address.to_string())
    }
}

/// The transport and transaction layers of one SIP element.
#[derive(Debug)]
pub struct Stack {
    limits: Limits,
    timers: Timers,
    advertised: Advertised,
    tokens: Tokens,
    tags: Tags,
    table: Table,
    counters: Counters,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    is_draining: bool,
}

impl Stack {
    /// Makes a stack that knows nothing yet.
    pub fn new(limits: Limits, timers: Timers, advertised: Advertised, mut tokens: Tokens) -> Self {
        Self {
            tags: Tags::new(&mut tokens),
            limits,
            timers,
            advertised,
            tokens,
            table: Table::default(),
            counters: Counters::default(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            is_draining: false,
        }
    }

    /// Where we are reached.
    pub fn advertised(&self) -> &Advertised {
        &self.advertised
    }

    /// Fresh unguessable text for tags and Call-IDs.
    pub fn token(&mut self) -> String {
        self.tokens.token()
    }

    /// A number below `bound`, for jitter.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.tokens.below(bound)
    }

    /// Refuses every new request outside a dialog from now on (RFC 3261 §21.5.4).
    pub fn drain(&mut self) {
        self.is_draining = true;
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        let transmit = pop(&mut self.transmits)?;
        self.counters.sent += 1;
        Some(transmit)
    }

    /// The next thing to tell.
    pub fn poll_event(&mut self) -> Option<Event> {
        pop(&mut self.events)
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.table.poll_timeout()
    }

    /// The counters as they stand.
    pub fn counters(&self) -> Counters {
        Counters {
            transactions: self.table.len() as u64,
            pending: self.table.pending_servers() as u64,
            ..self.counters
        }
    }

    /// Does all that is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(id) = self.table.due(now) {
            self.feed(id, |kept| kept.machine.handle_timeout(now));
            // A machine that is due and does nothing would keep this loop busy for ever.
            if self.table.due(now) == Some(id) {
                break;
            }
        }
    }

    /// Takes the news that a connection is gone.
    pub fn handle_closed(&mut self, link: LinkId) {
        self.events.push_back(Event::LinkClosed(link));
    }

    /// Feeds one machine, sends what it sends, and queues what it reports; a passed message is
    /// the caller's to queue.
    fn feed(&mut self, id: TransactionId, input: impl FnOnce(&mut Kept) -> Step) -> bool {
        let Some(kept) = self.table.get_mut(id) else { return false };
        let step = input(kept);
        let target = kept.target.clone();
        let is_client = matches!(kept.machine, Machine::ClientInvite(_) | Machine::ClientOther(_));
        self.table.settle(id);
        if let Some(bytes) = step.transmit {
            self.transmits.push_back(Transmit { target, bytes, transaction: Some(id) });
        }
        match step.report {
            Some(Report::Pass) => return true,
            Some(Report::TimedOut) => self.counters.timeouts += 1,
            Some(Report::Unreachable) => self.counters.unreachable += 1,
            None => return false,
        }
        if is_client {
            let is_unreachable = step.report == Some(Report::Unreachable);
            self.events.push_back(Event::Failed { id, is_unreachable });
        }
        false
    }
}

/// Takes the first of a queue. A queue that a burst has made long gives its memory back when it is
/// empty.
pub(crate) fn pop<T>(queue: &mut VecDeque<T>) -> Option<T> {
    let first = queue.pop_front();
    if queue.is_empty() && queue.capacity() > SMALL_QUEUE {
        queue.shrink_to(0);
    }
    first
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod torture_tests;
