//! The way in: parse, shed, judge, match (RFC 3261 §8.2, §17.1.3, §17.2.3, §18.2).

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;

use super::flow::{Flow, Target, Transmit, Transport};
use super::policy::{self, Refusal};
use super::transaction::{ClientKey, Machine, ServerInvite, ServerKey, ServerOther, TransactionId};
use super::wire::{self, Message, Method, Request, Response};
use super::{Event, Stack};

impl Stack {
    /// Takes one whole message: a datagram, or what the framer cut from a stream.
    pub fn handle_message(&mut self, flow: Flow, bytes: Bytes, now: Instant) {
        match wire::parse(bytes.clone()) {
            Ok(Message::Request(request)) => {
                self.counters.received += 1;
                self.handle_request(flow, request, now);
            }
            Ok(Message::Response(response)) => {
                self.counters.received += 1;
                self.handle_response(flow, response, now);
            }
            Err(_) => self.handle_broken(flow, &bytes, now),
        }
    }

    /// Takes what was there of a message when a stream lost its framing: it is answered 400 if it
    /// shows whom to answer.
    pub fn handle_broken(&mut self, flow: Flow, bytes: &[u8], now: Instant) {
        self.counters.received += 1;
        self.counters.malformed += 1;
        if self.buckets.take(flow.remote.ip(), now)
            && let Some(answer) = wire::salvage(bytes)
        {
            self.send_stateless(flow.into(), answer);
        }
    }

    fn handle_response(&mut self, flow: Flow, response: Response, now: Instant) {
        let id = ClientKey::of(response.fields()).and_then(|key| self.table.client(&key));
        // RFC 3261 §8.1.3.3: more than one Via means it is not for us.
        let Some(id) = id.filter(|_| response.fields().via_count() == Some(1)) else {
            self.counters.stray_responses += 1;
            return;
        };
        let mut wants_cancel = None;
        let is_passed = self.feed(id, |kept| match &mut kept.machine {
            Machine::ClientInvite(machine) => {
                let step = machine.handle_response(&response, now);
                wants_cancel = kept.wants_cancel.filter(|_| machine.is_proceeding());
                step
            }
            Machine::ClientOther(machine) => machine.handle_response(&response, now),
            Machine::ServerInvite(_) | Machine::ServerOther(_) => Default::default(),
        });
        if let Some(reason) = wants_cancel {
            self.cancel(id, reason, now);
        }
        if is_passed {
            self.events.push_back(Event::Response { id, response: Box::new(response), flow });
        }
    }

    fn handle_request(&mut self, flow: Flow, mut request: Request, now: Instant) {
        request.note_source(flow.remote);
        let method = request.method();
        let Some(key) = ServerKey::of(request.fields(), &method) else {
            self.refuse_stateless(flow, &request, &Refusal::new(400));
            return;
        };
        if let Some(id) = self.table.server(&key) {
            self.handle_known(id, &method, request, flow, now);
            return;
        }
        match method {
            Method::Ack => self.handle_stray_ack(flow, request),
            Method::Cancel => self.handle_cancel(flow, request, key, now),
            Method::Invite
            | Method::Bye
            | Method::Register
            | Method::Options
            | Method::Info
            | Method::Prack
            | Method::Update
            | Method::Subscribe
            | Method::Notify
            | Method::Refer
            | Method::Message
            | Method::Publish
            | Method::Other(_) => self.handle_new(flow, request, key, now),
        }
    }

    fn handle_known(
        &mut self,
        id: TransactionId,
        method: &Method,
        request: Request,
        flow: Flow,
        now: Instant,
    ) {
        self.counters.repeated += 1;
        let is_passed = self.feed(id, |kept| match &mut kept.machine {
            Machine::ServerInvite(machine) if *method == Method::Ack => machine.handle_ack(now),
            Machine::ServerInvite(machine) => machine.handle_request(),
            Machine::ServerOther(machine) => machine.handle_request(),
            Machine::ClientInvite(_) | Machine::ClientOther(_) => Default::default(),
        });
        if is_passed {
            self.events.push_back(Event::Acknowledged { request: Box::new(request), flow });
        }
    }

    /// An ACK outside every transaction is that of a 2xx; a broken one is dropped, as no ACK is
    /// ever answered (RFC 3261 §8.2.6).
    fn handle_stray_ack(&mut self, flow: Flow, request: Request) {
        if request.fault().is_some() {
            self.counters.stray_acks += 1;
            return;
        }
        self.events.push_back(Event::Acknowledged { request: Box::new(request), flow });
    }

    fn handle_new(&mut self, flow: Flow, request: Request, key: ServerKey, now: Instant) {
        if let Some(refusal) = self.overload(flow, &request, now) {
            self.counters.shed += 1;
            self.refuse_stateless(flow, &request, &refusal);
            return;
        }
        let refusal = policy::judge(&request);
        let is_invite = request.method() == Method::Invite;
        let id = self.open(flow, &request, key, is_invite && refusal.is_none(), now);
        if let Some(refusal) = refusal {
            self.counters.refused_by_policy += 1;
            self.respond(id, refusal.response(&request), now);
            return;
        }
        if self.is_merged(&request, id) {
            self.respond(id, Response::to_request(&request, 482), now);
            return;
        }
        self.events.push_back(Event::Request { id, request: Box::new(request), flow });
    }

    /// Opens the server transaction; an INVITE's sends its 100.
    fn open(
        &mut self,
        flow: Flow,
        request: &Request,
        key: ServerKey,
        wants_trying: bool,
        now: Instant,
    ) -> TransactionId {
        let is_reliable = flow.transport.is_reliable();
        let target = answer_target(flow, request);
        if request.method() != Method::Invite {
            let machine = ServerOther::new(is_reliable, self.timers, now);
            return self.table.add_server(key, Machine::ServerOther(machine), target);
        }
        let trying = Response::to_request(request, 100).render();
        let (machine, step) = ServerInvite::new(trying, is_reliable, self.timers);
        let id = self.table.add_server(key, Machine::ServerInvite(machine), target.clone());
        if let Some(bytes) = step.transmit.filter(|_| wants_trying) {
            self.transmits.push_back(Transmit { target, bytes, transaction: Some(id) });
        }
        id
    }

    /// RFC 3261 §9.2: the CANCEL is answered 200 when its INVITE is known, 481 otherwise. It must
    /// come the way the INVITE came.
    fn handle_cancel(&mut self, flow: Flow, request: Request, key: ServerKey, now: Instant) {
        if let Some(refusal) = self.overload(flow, &request, now) {
            self.counters.shed += 1;
            self.refuse_stateless(flow, &request, &refusal);
            return;
        }
        let invite = self.table.server(&key.cancelled());
        let id = self.open(flow, &request, key, false, now);
        let target = answer_target(flow, &request);
        let known = invite.and_then(|invite| Some((invite, self.table.get(invite)?)));
        match known.filter(|(_, kept)| kept.target == target) {
            Some((invite, kept)) => {
                let is_pending = kept.machine.is_pending_server();
                self.respond(id, Response::to_request(&request, 200), now);
                if is_pending {
                    self.events.push_back(Event::Cancelled { id: invite });
                }
            }
            None => self.respond(id, Response::to_request(&request, 481), now),
        }
    }

    fn overload(&mut self, flow: Flow, request: &Request, now: Instant) -> Option<Refusal> {
        let is_in_dialog = request.fields().to().is_some_and(|to| to.tag().is_some());
        let is_over = self.table.pending_servers() >= self.limits.max_pending
            || self.table.len() >= self.limits.max_transactions
            || !self.buckets.take(flow.remote.ip(), now);
        // Whoever wants to hang up makes the load smaller.
        let is_refused = match request.method() {
            Method::Bye | Method::Cancel => self.table.len() >= 2 * self.limits.max_transactions,
            Method::Options => is_over,
            Method::Invite
            | Method::Ack
            | Method::Register
            | Method::Info
            | Method::Prack
            | Method::Update
            | Method::Subscribe
            | Method::Notify
            | Method::Refer
            | Method::Message
            | Method::Publish
            | Method::Other(_) => is_over || (self.is_draining && !is_in_dialog),
        };
        let seconds = self.limits.retry_after.as_secs().max(1).to_string();
        is_refused.then(|| Refusal::new(503).with("Retry-After", &seconds))
    }

    /// RFC 3261 §8.2.2.2: the same request by two ways is one request too many.
    fn is_merged(&mut self, request: &Request, id: TransactionId) -> bool {
        let fields = request.fields();
        if fields.to().is_some_and(|to| to.tag().is_some()) {
            return false;
        }
        let (Some(call_id), Some(from), Some((number, method))) =
            (fields.call_id(), fields.from(), fields.cseq())
        else {
            return false;
        };
        let tag = from.tag().unwrap_or_default().to_owned();
        self.table.is_merged(id, (call_id, tag, number, method))
    }

    fn refuse_stateless(&mut self, flow: Flow, request: &Request, refusal: &Refusal) {
        if request.method() == Method::Ack {
            return;
        }
        let mut response = refusal.response(request);
        response.tag_to("shed");
        self.send_stateless(answer_target(flow, request), response.render());
    }

    fn send_stateless(&mut self, target: Target, bytes: Bytes) {
        self.transmits.push_back(Transmit { target, bytes, transaction: None });
    }
}

/// Where the response goes: back on the connection; by UDP to the source address, and to its port
/// when `rport` asked for it, else to that of sent-by (RFC 3261 §18.2.2, RFC 3581 §4). `maddr` is
/// not followed: it would let a stranger aim our answers.
fn answer_target(flow: Flow, request: &Request) -> Target {
    let mut target = Target::from(flow);
    if flow.transport == Transport::Udp
        && let Some(via) = request.fields().top_via()
        && via.rport.is_none()
    {
        let port = via.port.unwrap_or_else(|| flow.transport.default_port());
        target.remote = SocketAddr::new(flow.remote.ip(), port);
    }
    target
}
