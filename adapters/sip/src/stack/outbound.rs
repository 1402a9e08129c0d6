//! The way out: requests of ours, responses, CANCEL (RFC 3261 §8.1, §9.1, §18.1).

use std::time::Instant;

use super::Stack;
use super::flow::{Target, Transmit, Transport};
use super::transaction::{
    ClientInvite, ClientKey, ClientOther, MAGIC_COOKIE, Machine, TransactionId,
};
use super::wire::{self, Message, Method, Request, Response};

/// Above this many bytes a request leaves by a stream (RFC 3261 §18.1.1).
pub(crate) const MAX_DATAGRAM_REQUEST_BYTES: usize = 1_300;

impl Stack {
    /// Sends a request in a client transaction of its own. `None`: too many transactions.
    ///
    /// The Via is put on here. The answer is an [`Event::Response`](super::Event::Response) or
    /// [`Event::Failed`](super::Event::Failed).
    pub fn send_request(
        &mut self,
        request: Request,
        target: Target,
        now: Instant,
    ) -> Option<TransactionId> {
        let branch = format!("{MAGIC_COOKIE}{}", self.tokens.token());
        self.send_signed(request, target, &branch, true, now)
    }

    /// Sends a request whose branch is given, so that another life sends the same one. Where it is
    /// too long for a datagram it goes by a stream or not at all: "the size of MESSAGE requests
    /// outside of a media session MUST NOT exceed 1300 bytes" where congestion is not controlled
    /// (RFC 3428 §8).
    pub fn send_repeatable(
        &mut self,
        request: Request,
        target: Target,
        branch: &str,
        now: Instant,
    ) -> Option<TransactionId> {
        self.send_signed(request, target, branch, false, now)
    }

    fn send_signed(
        &mut self,
        mut request: Request,
        mut target: Target,
        branch: &str,
        may_fall_back: bool,
        now: Instant,
    ) -> Option<TransactionId> {
        if self.table.len() >= self.limits.max_transactions {
            return None;
        }
        self.sign(&mut request, &target, branch);
        let mut bytes = request.render();
        let mut fallback = None;
        if target.transport == Transport::Udp && bytes.len() > MAX_DATAGRAM_REQUEST_BYTES {
            fallback = may_fall_back.then(|| Box::new(request.clone()));
            target = Target { transport: Transport::Tcp, link: None, ..target };
            self.sign(&mut request, &target, branch);
            bytes = request.render();
        }
        let key = ClientKey::of(request.fields())?;
        let is_reliable = target.transport.is_reliable();
        let (machine, step) = if request.method() == Method::Invite {
            let (machine, step) = ClientInvite::new(bytes, is_reliable, self.timers, now);
            (Machine::ClientInvite(machine), step)
        } else {
            let (machine, step) = ClientOther::new(bytes, is_reliable, self.timers, now);
            (Machine::ClientOther(machine), step)
        };
        let id = self.table.add_client(key, machine, target.clone());
        if let Some(kept) = self.table.get_mut(id) {
            kept.fallback = fallback;
        }
        if let Some(bytes) = step.transmit {
            self.transmits.push_back(Transmit { target, bytes, transaction: Some(id) });
        }
        Some(id)
    }

    /// Renders and sends the ACK of a 2xx, which has no transaction (RFC 3261 §13.2.2.4), and
    /// returns what was sent, for when the 2xx is repeated.
    pub fn send_ack(&mut self, mut ack: Request, target: Target) -> Transmit {
        let branch = format!("{MAGIC_COOKIE}{}", self.tokens.token());
        self.sign(&mut ack, &target, &branch);
        let transmit = Transmit { target, bytes: ack.render(), transaction: None };
        self.transmits.push_back(transmit.clone());
        transmit
    }

    /// Sends again what was sent before, outside every transaction.
    pub fn resend(&mut self, transmit: Transmit) {
        self.transmits.push_back(transmit);
    }

    /// Answers a request. Above 100 a To without a tag gets one.
    pub fn respond(&mut self, id: TransactionId, mut response: Response, now: Instant) {
        let status = response.status();
        if status > 100 {
            response.tag_to(&self.tokens.token());
        }
        let bytes = response.render();
        self.feed(id, |kept| match &mut kept.machine {
            Machine::ServerInvite(machine) => machine.handle_response(status, bytes, now),
            Machine::ServerOther(machine) => machine.handle_response(status, bytes, now),
            Machine::ClientInvite(_) | Machine::ClientOther(_) => Default::default(),
        });
    }

    /// Gives up an INVITE of ours: the CANCEL leaves at once or, as RFC 3261 §9.1 demands, after
    /// the first provisional response. Whatever answer comes is still reported. `reason` is the
    /// value of its Reason header (RFC 3326).
    pub fn cancel(&mut self, id: TransactionId, reason: Option<&'static str>, now: Instant) {
        let Some(kept) = self.table.get_mut(id) else { return };
        let Machine::ClientInvite(machine) = &mut kept.machine else { return };
        if !machine.is_pending() {
            return;
        }
        if !machine.is_proceeding() {
            kept.wants_cancel = Some(reason);
            return;
        }
        kept.wants_cancel = None;
        machine.handle_cancelled(now);
        let invite = machine.request().clone();
        let target = kept.target.clone();
        self.table.settle(id);
        let Ok(Message::Request(invite)) = wire::parse(invite) else { return };
        let mut cancel = invite.cancel();
        if let Some(reason) = reason {
            cancel.push("Reason", reason);
        }
        self.send_cancel(&cancel, target, now);
    }

    /// The CANCEL keeps the INVITE's branch and goes the INVITE's way; its answer tells nothing.
    fn send_cancel(&mut self, cancel: &Request, target: Target, now: Instant) {
        let Some(key) = ClientKey::of(cancel.fields()) else { return };
        let is_reliable = target.transport.is_reliable();
        let (machine, step) = ClientOther::new(cancel.render(), is_reliable, self.timers, now);
        let id = self.table.add_client(key, Machine::ClientOther(machine), target.clone());
        if let Some(bytes) = step.transmit {
            self.transmits.push_back(Transmit { target, bytes, transaction: Some(id) });
        }
    }

    /// Takes the news that a message of a transaction could not be sent. A request that left by
    /// TCP for its length is sent by UDP after all (RFC 3261 §18.1.1).
    pub fn handle_unsent(&mut self, id: TransactionId, now: Instant) {
        let fallback = self.table.get_mut(id).and_then(|kept| kept.fallback.take());
        let Some(request) = fallback else {
            self.feed(id, |kept| kept.machine.handle_unreachable());
            return;
        };
        let bytes = request.render();
        let is_invite = request.method() == Method::Invite;
        let timers = self.timers;
        self.feed(id, |kept| {
            kept.target.transport = Transport::Udp;
            kept.target.link = None;
            if is_invite {
                let (machine, step) = ClientInvite::new(bytes, false, timers, now);
                kept.machine = Machine::ClientInvite(machine);
                step
            } else {
                let (machine, step) = ClientOther::new(bytes, false, timers, now);
                kept.machine = Machine::ClientOther(machine);
                step
            }
        });
    }

    /// Puts our Via on top (RFC 3261 §18.1.1, RFC 3581 §3).
    fn sign(&self, request: &mut Request, target: &Target, branch: &str) {
        let transport = target.transport.via_name();
        let sent_by = self.advertised.sent_by(target.transport, target.remote);
        request.set_top_via(&format!("SIP/2.0/{transport} {sent_by};rport;branch={branch}"));
    }

    /// Where a transaction's messages go.
    pub fn target(&self, id: TransactionId) -> Option<&Target> {
        self.table.get(id).map(|kept| &kept.target)
    }

    /// Whether a client transaction still waits for its final response.
    pub fn is_waiting(&self, id: TransactionId) -> bool {
        self.table.get(id).is_some_and(|kept| match &kept.machine {
            Machine::ClientInvite(machine) => machine.is_pending(),
            Machine::ClientOther(machine) => machine.is_pending(),
            Machine::ServerInvite(_) | Machine::ServerOther(_) => false,
        })
    }
}
