//! One attempt to register: the places in turn, the password, a longer time where ours is too short
//! (RFC 3261 §10.2).

use std::time::Duration;

use super::{Desk, FIRST_PAUSE, REFUSED_PAUSE, Registering, State, Trunk};
use crate::line::contact;
use crate::stack::flow::{Flow, Target, Transport};
use crate::stack::transaction::TransactionId;
use crate::stack::wire::{Contact, Method, NameAddr, Request, Response, Uri};

/// Challenges answered in one attempt.
const MAX_CHALLENGES: u8 = 2;

impl Trunk {
    /// Registers at the first of these places.
    pub(super) fn try_places(
        &mut self,
        mut places: Vec<Target>,
        desk: &mut Desk<'_>,
    ) -> Option<TransactionId> {
        if places.is_empty() {
            self.fail("it cannot be reached", FIRST_PAUSE, desk);
            return None;
        }
        let mut target = places.remove(0);
        if target.transport.is_reliable() {
            target.link = self.link;
        }
        let request = self.register(self.expires, &target, desk)?;
        self.send(request, target, places, 0, desk)
    }

    pub(super) fn send(
        &mut self,
        request: Request,
        target: Target,
        later: Vec<Target>,
        challenges: u8,
        desk: &mut Desk<'_>,
    ) -> Option<TransactionId> {
        match desk.stack.send_request(request.clone(), target.clone(), desk.now) {
            Some(id) => {
                let registering = Registering { id, request, target, later, challenges };
                self.state = State::Registering(Box::new(registering));
                Some(id)
            }
            None => {
                self.fail("we are overloaded", FIRST_PAUSE, desk);
                None
            }
        }
    }

    pub(super) fn register(
        &mut self,
        expires: u32,
        target: &Target,
        desk: &Desk<'_>,
    ) -> Option<Request> {
        self.number += 1;
        let address = NameAddr::new(self.address()?);
        let mut server = Uri::sip(None, &self.config.domain(), None)?;
        if target.transport != Transport::Udp {
            server = server.with_param("transport", target.transport.param());
        }
        let mut request = Request::new(&Method::Register, server);
        request.push("Max-Forwards", "70");
        request.push("From", &address.clone().with_param("tag", &self.tag).to_text());
        request.push("To", &address.to_text());
        request.push("Call-ID", &self.call_id);
        request.push("CSeq", &format!("{} REGISTER", self.number));
        request.push("Contact", &contact(desk.stack, &self.config.user, target));
        request.push("Expires", &expires.to_string());
        Some(request)
    }

    pub(super) fn granted(
        &mut self,
        target: &Target,
        response: &Response,
        flow: Flow,
        desk: &mut Desk<'_>,
    ) {
        self.failures = 0;
        self.link = Some(flow.link);
        // The place that took us is the one to call by.
        if let Some(at) = self.targets.iter().position(|other| other.remote == target.remote) {
            self.targets.swap(0, at);
        }
        let seconds = granted_seconds(response, &self.config.user).unwrap_or(self.expires);
        // RFC 3261 §10.2.4 leaves the moment to us: early enough for a few tries more.
        let refresh = Duration::from_secs(u64::from(seconds.max(10)) * 85 / 100);
        self.state = State::Ready { until: desk.now + refresh };
        self.rise(desk);
    }

    pub(super) fn challenged(
        &mut self,
        registering: Registering,
        response: &Response,
        flow: Flow,
        desk: &mut Desk<'_>,
    ) -> Option<TransactionId> {
        let Registering { mut request, target, later, challenges, .. } = registering;
        let cnonce = desk.stack.token();
        let may_answer = challenges < MAX_CHALLENGES;
        if !may_answer || !self.authorize(&mut request, response, flow, &cnonce) {
            self.fail("it does not take our password", REFUSED_PAUSE, desk);
            return None;
        }
        self.number += 1;
        request.set("CSeq", &format!("{} REGISTER", self.number));
        self.send(request, target, later, challenges + 1, desk)
    }

    pub(super) fn too_brief(
        &mut self,
        registering: Registering,
        response: &Response,
        desk: &mut Desk<'_>,
    ) -> Option<TransactionId> {
        let least = response.fields().text("Min-Expires").and_then(|value| value.parse().ok());
        match least.filter(|least| *least > self.expires && *least <= 86_400) {
            Some(least) => {
                self.expires = least;
                let request = self.register(least, &registering.target, desk)?;
                self.send(request, registering.target, registering.later, 0, desk)
            }
            None => {
                self.fail("it finds every time too short", REFUSED_PAUSE, desk);
                None
            }
        }
    }
}

/// How long our contact was granted: its own parameter, or that of the whole answer.
fn granted_seconds(response: &Response, user: &str) -> Option<u32> {
    let contacts = response.fields().contacts().unwrap_or_default();
    let own = contacts.iter().find_map(|contact| match contact {
        Contact::One(address) if address.uri.user().as_deref() == Some(user) => {
            address.param("expires")?.parse().ok()
        }
        Contact::One(_) | Contact::All => None,
    });
    own.or_else(|| response.fields().expires())
}
