//! Dialogs: what two ends remember of each other after an INVITE (RFC 3261 §12).
//!
//! A request or response that makes a dialog enters, a [`Dialog`] leaves; it checks what comes in
//! and builds what goes out. [`Snapshot`] is what must survive a crash so that a BYE can be sent.

mod answer;
mod snapshot;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use gateway_core::reachable::{Forbidden, Kind, Named, Reachable};

pub use answer::Repeat;
pub use snapshot::Snapshot;

use super::flow::{Flow, Target, Transport};
use super::wire::{Method, NameAddr, Request, Response, Uri};

/// Routes kept of one dialog; a longer list is no honest path.
const MAX_ROUTES: usize = 16;

/// What a dialog is found by: Call-ID, our tag, their tag (RFC 3261 §12).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialogId {
    /// The Call-ID.
    pub call_id: String,
    /// Our tag.
    pub local_tag: String,
    /// Their tag; empty for a peer older than tags.
    pub remote_tag: String,
}

impl DialogId {
    /// The dialog a request from the peer claims to be in; `None` outside dialogs.
    pub fn of_request(request: &Request) -> Option<Self> {
        let fields = request.fields();
        Some(Self {
            call_id: fields.call_id()?,
            local_tag: fields.to()?.tag()?.to_owned(),
            remote_tag: fields.from()?.tag().unwrap_or_default().to_owned(),
        })
    }

    /// The dialog a response to a request of ours makes or is in; `None` without a tag.
    pub fn of_response(response: &Response) -> Option<Self> {
        let fields = response.fields();
        Some(Self {
            call_id: fields.call_id()?,
            local_tag: fields.from()?.tag()?.to_owned(),
            remote_tag: fields.to()?.tag()?.to_owned(),
        })
    }
}

impl fmt::Debug for DialogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dialog({})", self.local_tag)
    }
}

/// Why a request claims a dialog in vain, as the status that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stray {
    /// It came from elsewhere than the peer: 481, as if there were no such dialog.
    Elsewhere,
    /// Its CSeq is not above the last one: 500 (RFC 3261 §12.2.2).
    OutOfOrder,
}

impl Stray {
    /// The status to answer with.
    pub fn status(self) -> u16 {
        match self {
            Self::Elsewhere => 481,
            Self::OutOfOrder => 500,
        }
    }
}

/// One end of a dialog.
#[derive(Debug, Clone)]
pub struct Dialog {
    id: DialogId,
    local: NameAddr,
    remote: NameAddr,
    remote_target: Uri,
    routes: Vec<NameAddr>,
    local_seq: u32,
    remote_seq: Option<u32>,
    target: Target,
    source: SocketAddr,
    /// Whether the peer may be elsewhere than where its messages come from.
    is_proxied: bool,
    is_ours: bool,
    /// What decides whether an address that the peer names is followed.
    reach: Arc<Reachable>,
}

impl Dialog {
    /// The dialog made by answering `request` under `local_tag` (RFC 3261 §12.1.1); `None` when
    /// its Contact or From is missing.
    pub fn answering(
        request: &Request,
        local_tag: &str,
        flow: Flow,
        reach: &Arc<Reachable>,
    ) -> Option<Self> {
        let fields = request.fields();
        let remote = fields.from()?;
        let local = fields.to()?.with_param("tag", local_tag);
        let mut routes = fields.record_routes()?;
        routes.truncate(MAX_ROUTES);
        let (number, _) = fields.cseq()?;
        let id = DialogId {
            call_id: fields.call_id()?,
            local_tag: local_tag.to_owned(),
            remote_tag: remote.tag().unwrap_or_default().to_owned(),
        };
        let dialog = Self {
            id,
            local,
            remote,
            remote_target: fields.contact()?.uri,
            routes,
            local_seq: 0,
            remote_seq: Some(number),
            target: flow.into(),
            source: flow.remote,
            is_proxied: fields.via_count()? > 1,
            is_ours: false,
            reach: Arc::clone(reach),
        };
        dialog.note_refusal();
        Some(dialog)
    }

    /// The dialog made by a response above 100 to `request` of ours, which went to `target`
    /// (RFC 3261 §12.1.2); `None` when its To tag is missing, or Contact in a 2xx.
    pub fn calling(
        request: &Request,
        response: &Response,
        target: &Target,
        flow: Flow,
        reach: &Arc<Reachable>,
    ) -> Option<Self> {
        let id = DialogId::of_response(response)?;
        let mut routes = response.fields().record_routes()?;
        routes.reverse();
        routes.truncate(MAX_ROUTES);
        let contact = response.fields().contact().map(|contact| contact.uri);
        let remote_target = match contact {
            Some(uri) => uri,
            None if response.is_success() => return None,
            None => request.uri(),
        };
        let (number, _) = request.fields().cseq()?;
        let target = Target {
            transport: flow.transport,
            remote: flow.remote,
            link: Some(flow.link),
            server_name: target.server_name.clone(),
        };
        let dialog = Self {
            id,
            local: request.fields().from()?,
            remote: response.fields().to()?,
            remote_target,
            routes,
            local_seq: number,
            remote_seq: None,
            target,
            source: flow.remote,
            is_proxied: true,
            is_ours: true,
            reach: Arc::clone(reach),
        };
        dialog.note_refusal();
        Some(dialog)
    }

    /// Whether it began with a request of ours.
    pub fn is_ours(&self) -> bool {
        self.is_ours
    }

    /// What it is found by.
    pub fn id(&self) -> &DialogId {
        &self.id
    }

    /// Our end's address.
    pub fn local(&self) -> &NameAddr {
        &self.local
    }

    /// The far end's address.
    pub fn remote(&self) -> &NameAddr {
        &self.remote
    }

    /// Where requests of this dialog go. A connection is kept to while it lives. Else the next
    /// hop's literal address counts (RFC 3261 §12.2.1.1), where it may be followed: else the peer is
    /// answered where it was seen. The certificate of a new connection must show the name of the
    /// trunk's server, or else the host of the next hop's URI (RFC 5922 §7.1).
    pub fn target(&self) -> Target {
        let mut target = self.target.clone();
        if let Some(Ok(hop)) = self.followed() {
            target.remote = hop;
        }
        if target.transport.is_reliable() && target.server_name.is_none() {
            target.server_name = self.hop().host();
        }
        target
    }

    /// The next hop's literal address, where the peer may name it. `None`: there is none, or one
    /// that only the peer's own network knows: without a proxy between, a peer with another address
    /// there than here is behind a NAT.
    fn followed(&self) -> Option<Result<SocketAddr, Forbidden>> {
        let hop = self.hop_address()?;
        let from = self.source.ip();
        let is_translated = !self.is_proxied && hop.ip() != from;
        if is_translated && Kind::of(hop.ip()).is_local() {
            return None;
        }
        let judged = self.reach.judge(hop, Named::Peer { from });
        Some(judged.map(|()| hop))
    }

    fn note_refusal(&self) {
        if let Some(Err(forbidden)) = self.followed() {
            tracing::debug!(%forbidden, "the peer is answered where it was seen");
        }
    }

    /// Says where the far side is connected to, and as whom, for when the connection at hand is
    /// gone: what came by a connection the peer opened does not show it.
    pub fn reach_by(&mut self, place: &Target) {
        if self.target.transport == place.transport && place.transport.is_reliable() {
            self.target.remote = place.remote;
            self.target.server_name.clone_from(&place.server_name);
        }
    }

    /// Makes requests go by that connection from now on.
    pub fn move_to(&mut self, flow: Flow) {
        self.target = Target { server_name: self.target.server_name.clone(), ..flow.into() };
        self.source = flow.remote;
    }

    /// Where the next request goes first (RFC 3261 §12.2.1.1).
    fn hop(&self) -> &Uri {
        self.routes.first().map_or(&self.remote_target, |route| &route.uri)
    }

    fn hop_address(&self) -> Option<SocketAddr> {
        let hop = self.hop();
        let port = hop.port().unwrap_or_else(|| self.target.transport.default_port());
        let ip = hop.ip()?;
        // A link-local address needs the link, which only the one it was seen at tells.
        let mut seen = self.source;
        seen.set_port(port);
        Some(if seen.ip() == ip { seen } else { SocketAddr::new(ip, port) })
    }

    /// Lets a request of the peer in, or not: it must come the way the dialog goes, and in order.
    ///
    /// # Errors
    /// [`Stray`], with the dialog unchanged.
    pub fn admit(&mut self, request: &Request, flow: Flow) -> Result<(), Stray> {
        if !self.is_peer(flow) {
            return Err(Stray::Elsewhere);
        }
        let number = request.fields().cseq().map_or(0, |(number, _)| number);
        if self.remote_seq.is_some_and(|last| number <= last) {
            return Err(Stray::OutOfOrder);
        }
        self.remote_seq = Some(number);
        Ok(())
    }

    /// Whether a message came the way this dialog goes: the same datagram address or the one the
    /// peer told us to send to; the same connection, or a new one from either host.
    pub fn is_peer(&self, flow: Flow) -> bool {
        if flow.transport != self.target.transport {
            return false;
        }
        let hop = self.hop_address();
        match flow.transport {
            Transport::Udp => flow.remote == self.source || Some(flow.remote) == hop,
            Transport::Tcp | Transport::Tls => {
                let ip = flow.remote.ip();
                ip == self.source.ip() || hop.is_some_and(|hop| hop.ip() == ip)
            }
        }
    }

    /// Takes the new Contact and connection of a request that may move the peer
    /// (RFC 3261 §12.2.2).
    pub fn refresh(&mut self, contact: Option<NameAddr>, flow: Flow) {
        let is_new = contact.is_some();
        if let Some(contact) = contact {
            self.remote_target = contact.uri;
        }
        if flow.transport == self.target.transport {
            // The port a connection comes from is none to connect to.
            if !flow.transport.is_reliable() || self.source.ip() != flow.remote.ip() {
                self.target.remote = flow.remote;
            }
            self.target.link = Some(flow.link);
            self.source = flow.remote;
        }
        if is_new {
            self.note_refusal();
        }
    }

    /// Starts a request inside the dialog (RFC 3261 §12.2.1.1), with the next CSeq.
    pub fn request(&mut self, method: &Method) -> Request {
        let number = self.next_number();
        self.build(method, number)
    }

    /// The CSeq of a request made otherwise, like one that is sent again with credentials.
    pub fn next_number(&mut self) -> u32 {
        self.local_seq += 1;
        self.local_seq
    }

    /// Makes the ACK of a 2xx to the INVITE of that CSeq (RFC 3261 §13.2.2.4).
    pub fn ack(&self, invite_seq: u32) -> Request {
        self.build(&Method::Ack, invite_seq)
    }

    fn build(&self, method: &Method, number: u32) -> Request {
        let strict = self.routes.first().filter(|route| !route.uri.is_loose());
        let uri = strict.map_or(&self.remote_target, |route| &route.uri);
        let mut request = Request::new(method, uri.clone());
        for route in self.routes.iter().skip(usize::from(strict.is_some())) {
            request.push("Route", &route.to_text());
        }
        if strict.is_some() {
            request.push("Route", &format!("<{}>", self.remote_target.to_text()));
        }
        request.push("Max-Forwards", "70");
        request.push("From", &self.local.to_text());
        request.push("To", &self.remote.to_text());
        request.push("Call-ID", &self.id.call_id);
        request.push("CSeq", &format!("{number} {method}"));
        request
    }

    /// The CSeq of our latest request.
    pub fn local_seq(&self) -> u32 {
        self.local_seq
    }

    /// What must survive a crash; whoever knows the trunk adds it.
    pub fn snapshot(&self) -> Snapshot {
        let target = self.target();
        Snapshot {
            call_id: self.id.call_id.clone(),
            local: self.local.to_text(),
            remote: self.remote.to_text(),
            remote_target: self.remote_target.to_text(),
            routes: self.routes.iter().map(NameAddr::to_text).collect(),
            local_seq: self.local_seq,
            remote_seq: self.remote_seq,
            transport: target.transport,
            address: target.remote,
            server_name: target.server_name,
            is_ours: self.is_ours,
            trunk: None,
        }
    }
}

#[cfg(test)]
mod tests;
