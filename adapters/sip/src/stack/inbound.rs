//! The way in: parse, shed, judge, match (RFC 3261 §8.2, §17.1.3, §17.2.3, §18.2).

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;

use super::flow::{Flow, Target, Transmit, Transport};
use super::gate::{Admission, Allowance, Gate, Proof};
use super::policy::{self, Refusal};
use super::transaction::{
    ClientKey, Machine, MergeKey, ServerInvite, ServerKey, ServerOther, TransactionId,
};
use super::wire::{self, Message, Method, Request, Response};
use super::{Event, Stack};

/// How many times as many transactions as are busy may only absorb repetitions.
const IDLE_SHARE: usize = 4;

/// Where, when and with how many bytes a message came.
#[derive(Clone, Copy)]
struct Came {
    flow: Flow,
    length: usize,
    now: Instant,
}

impl Stack {
    /// Takes one whole message: a datagram, or what the framer cut from a stream. `gate` judges what
    /// wants to begin something.
    pub fn handle_message(&mut self, flow: Flow, bytes: Bytes, gate: &mut dyn Gate, now: Instant) {
        match wire::parse(bytes.clone()) {
            Ok(Message::Request(request)) => {
                self.counters.received += 1;
                self.handle_request(request, Came { flow, length: bytes.len(), now }, gate);
            }
            Ok(Message::Response(response)) => {
                self.counters.received += 1;
                self.handle_response(flow, response, now);
            }
            Err(_) => self.handle_broken(flow, &bytes, gate, now),
        }
    }

    /// Takes what was there of a message when a stream lost its framing: it is answered 400 if it
    /// shows whom to answer.
    pub fn handle_broken(&mut self, flow: Flow, bytes: &[u8], gate: &mut dyn Gate, now: Instant) {
        self.counters.received += 1;
        self.counters.malformed += 1;
        let Some(answer) = wire::salvage(bytes) else { return };
        if !Allowance::of(flow.transport, bytes.len()).allows(answer.len()) {
            self.counters.unanswered += 1;
        } else if gate.may_answer(flow, now) {
            self.send_stateless(flow.into(), answer);
        } else {
            self.counters.shed += 1;
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

    fn handle_request(&mut self, mut request: Request, came: Came, gate: &mut dyn Gate) {
        // No phone sends so little, and what gets no answer must not use up anybody's share.
        if Allowance::of(came.flow.transport, came.length).is_none() {
            self.counters.unanswered += 1;
            return;
        }
        request.note_source(came.flow.remote);
        let method = request.method();
        let Some(key) = ServerKey::of(request.fields(), &method) else {
            if method != Method::Ack {
                self.refuse(&Refusal::new(400), &request, came, gate);
            }
            return;
        };
        if let Some(id) = self.table.server(&key) {
            self.handle_known(id, &method, request, came);
            return;
        }
        match method {
            Method::Ack => self.handle_stray_ack(request, came.flow, gate),
            Method::Cancel => self.handle_cancel(&request, key, came, gate),
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
            | Method::Other(_) => self.handle_new(request, key, came, gate),
        }
    }

    fn handle_known(&mut self, id: TransactionId, method: &Method, request: Request, came: Came) {
        let Came { flow, now, .. } = came;
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

    /// An ACK outside every transaction is that of a 2xx, or that of an answer of ours that left no
    /// state. The latter and a broken one are dropped: no ACK is ever answered (RFC 3261 §8.2.6).
    fn handle_stray_ack(&mut self, request: Request, flow: Flow, gate: &dyn Gate) {
        if !gate.has_dialog(&request) || request.fault().is_some() {
            self.counters.stray_acks += 1;
            return;
        }
        self.events.push_back(Event::Acknowledged { request: Box::new(request), flow });
    }

    fn handle_new(&mut self, request: Request, key: ServerKey, came: Came, gate: &mut dyn Gate) {
        if let Some(refusal) = self.judge(&request) {
            self.refuse(&refusal, &request, came, gate);
            return;
        }
        match gate.admit(&request, came.flow, came.now) {
            Admission::Pass(proof) => self.let_in(request, key, proof, came),
            Admission::Answer(answers) => self.answer(answers, &request, came),
            Admission::Drop => self.counters.shed += 1,
        }
    }

    /// What can be said of a request without knowing its sender.
    fn judge(&mut self, request: &Request) -> Option<Refusal> {
        let is_in_dialog = request.fields().to().is_some_and(|to| to.tag().is_some());
        let goes_on = matches!(request.method(), Method::Bye | Method::Options);
        if self.is_draining && !is_in_dialog && !goes_on {
            return Some(self.overloaded());
        }
        let refusal = policy::judge(request);
        if refusal.is_some() {
            self.counters.refused_by_policy += 1;
            return refusal;
        }
        // RFC 3261 §8.2.2.2: the same request by two ways is one request too many.
        let is_merged = merge_key(request).is_some_and(|key| self.table.has_merged(&key));
        is_merged.then(|| Refusal::new(482))
    }

    fn let_in(&mut self, request: Request, key: ServerKey, proof: Proof, came: Came) {
        if self.is_full(&request.method()) {
            let answers = vec![self.overloaded().response(&request)];
            self.answer(answers, &request, came);
            return;
        }
        let id = self.open(&request, key, came);
        if let Some(key) = merge_key(&request) {
            self.table.note_merge_key(id, key);
        }
        let (request, flow) = (Box::new(request), came.flow);
        self.events.push_back(Event::Request { id, request, flow, proof });
    }

    /// Opens the server transaction; an INVITE's sends its 100.
    fn open(&mut self, request: &Request, key: ServerKey, came: Came) -> TransactionId {
        let is_reliable = came.flow.transport.is_reliable();
        let target = answer_target(came.flow, request);
        if request.method() != Method::Invite {
            let machine = ServerOther::new(is_reliable, self.timers, came.now);
            return self.table.add_server(key, Machine::ServerOther(machine), target);
        }
        let trying = Response::to_request(request, 100).render();
        let (machine, step) = ServerInvite::new(trying, is_reliable, self.timers);
        let id = self.table.add_server(key, Machine::ServerInvite(machine), target.clone());
        if let Some(bytes) = step.transmit {
            self.transmits.push_back(Transmit { target, bytes, transaction: Some(id) });
        }
        id
    }

    /// RFC 3261 §9.2: the CANCEL is answered 200 when its INVITE is known, 481 otherwise. It must
    /// come the way the INVITE came: that INVITE's proof is its own.
    fn handle_cancel(
        &mut self,
        request: &Request,
        key: ServerKey,
        came: Came,
        gate: &mut dyn Gate,
    ) {
        let invite = self.table.server(&key.cancelled());
        let target = answer_target(came.flow, request);
        let known = invite.and_then(|invite| Some((invite, self.table.get(invite)?)));
        let known = known.filter(|(_, kept)| kept.target == target);
        let known = known.map(|(invite, kept)| (invite, kept.machine.is_pending_server()));
        let Some((invite, is_pending)) = known else {
            self.refuse(&Refusal::new(481), request, came, gate);
            return;
        };
        if self.is_full(&Method::Cancel) {
            self.refuse(&self.overloaded(), request, came, gate);
            return;
        }
        let id = self.open(request, key, came);
        self.respond(id, Response::to_request(request, 200), came.now);
        if is_pending {
            self.events.push_back(Event::Cancelled { id: invite });
        }
    }

    /// Whether there is no room for one more transaction. Those that only absorb repetitions
    /// (timers D, I, J and K, RFC 3261 §17) count little: some accounts that ask all the time would
    /// keep all others out. A BYE and a CANCEL make the load smaller.
    fn is_full(&self, method: &Method) -> bool {
        let (most, all) = (self.limits.max_transactions, self.table.len());
        if matches!(method, Method::Bye | Method::Cancel) {
            return all >= 2 * IDLE_SHARE * most;
        }
        let is_busy =
            self.table.pending_servers() >= self.limits.max_pending || self.table.busy() >= most;
        is_busy || all >= IDLE_SHARE * most
    }

    fn overloaded(&self) -> Refusal {
        let seconds = self.limits.retry_after.as_secs().max(1).to_string();
        Refusal::new(503).with("Retry-After", &seconds)
    }

    fn refuse(&mut self, refusal: &Refusal, request: &Request, came: Came, gate: &mut dyn Gate) {
        if gate.may_answer(came.flow, came.now) {
            self.answer(vec![refusal.response(request)], request, came);
        } else {
            self.counters.shed += 1;
        }
    }

    /// Sends the first answer that is short enough, and keeps nothing of it.
    fn answer(&mut self, answers: Vec<Response>, request: &Request, came: Came) {
        let tag = self.tags.tag(request);
        let allowance = Allowance::of(came.flow.transport, came.length);
        for mut response in answers {
            response.tag_to(&tag);
            let bytes = response.render();
            if allowance.allows(bytes.len()) {
                match response.status() {
                    401 => self.counters.challenged += 1,
                    503 => self.counters.shed += 1,
                    _ => {}
                }
                self.send_stateless(answer_target(came.flow, request), bytes);
                return;
            }
        }
        self.counters.unanswered += 1;
    }

    fn send_stateless(&mut self, target: Target, bytes: Bytes) {
        self.transmits.push_back(Transmit { target, bytes, transaction: None });
    }
}

/// What a request outside a dialog has in common with its copies; `None` within a dialog.
fn merge_key(request: &Request) -> Option<MergeKey> {
    let fields = request.fields();
    if fields.to().is_some_and(|to| to.tag().is_some()) {
        return None;
    }
    let (number, method) = fields.cseq()?;
    let tag = fields.from()?.tag().unwrap_or_default().to_owned();
    Some((fields.call_id()?, tag, number, method))
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
