//! One session: who it belongs to, whether a socket carries it, what was sent and received, its
//! calls. Pure; the rules are those of `PROTOCOL.md`.
//!
//! ```text
//!            +--dropped--> Detached --resume in time--+
//! Attached --+                |                       +--> Attached
//!            |                +--too late--> over
//!            +--closed (1000, 1001), garbage--> over
//! ```

mod calls;
mod channel;
mod explain;
mod messages;

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway_adapter::Draft;
use gateway_core::leg::{Incoming, LegEvent};
use gateway_core::media::Profile;
use gateway_core::message::{Composing, Device, Message, MessageId};
use gateway_core::route::{Location, Origin};
use gateway_core::{AccountId, Address, LegId, TrunkId};

use crate::bucket::{Bucket, Rate};
use crate::frame::{ClientFrame, Code, GatewayFrame, Refusal, read};
use crate::hub::Now;
use crate::ledger::{Gap, Ledger};
use crate::leg::{Leg, Loss};
use crate::secret::Secret;
use channel::Channels;
use messages::Chat;

/// What a client may send that no client should, before it is disconnected.
pub(crate) const GARBAGE: Rate = Rate { burst: 20, every: Duration::from_secs(10) };
/// The trunk of every session.
pub(crate) const TRUNK: &str = "procom";
/// How many ids of ended calls are remembered, so that stale frames are known as such.
const REMEMBERED_CALLS: usize = 64;

/// One WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SocketId(pub(crate) u64);

/// One session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SessionId(pub(crate) u64);

/// Whom a session belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Account { account: AccountId, display: Option<String> },
    Guest { name: String, display: Option<String>, only: Vec<String>, token: String },
}

impl Who {
    /// What sessions are counted by.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Account { account, .. } => format!("account {account}"),
            Self::Guest { token, .. } => format!("token {token}"),
        }
    }

    /// What its messages are kept under: the name of its address.
    pub(crate) fn mailbox(&self) -> &str {
        match self {
            Self::Account { account, .. } => account.as_str(),
            Self::Guest { name, .. } => name,
        }
    }

    /// Its Procom address.
    pub(crate) fn address(&self) -> Address {
        match self {
            Self::Account { account, .. } => Address::procom(account.as_str()),
            Self::Guest { name, .. } => Address::procom(name),
        }
    }

    /// The account, if it has one.
    pub(crate) const fn account(&self) -> Option<&AccountId> {
        match self {
            Self::Account { account, .. } => Some(account),
            Self::Guest { .. } => None,
        }
    }

    fn display(&self) -> Option<String> {
        match self {
            Self::Account { display, .. } | Self::Guest { display, .. } => display.clone(),
        }
    }

    /// Who writes and calls, for the switchboard.
    pub(crate) fn origin(&self) -> Origin {
        let (account, verified, only) = match self {
            Self::Account { account, .. } => (Some(account.clone()), true, None),
            Self::Guest { only, .. } => (None, false, Some(only.clone())),
        };
        Origin { trunk: TRUNK.into(), account, asserted: self.address(), verified, only }
    }
}

/// What a new session is given.
#[derive(Clone, Debug)]
pub(crate) struct Birth {
    pub(crate) who: Who,
    /// The id the client is told.
    pub(crate) name: String,
    /// What takes the session up again.
    pub(crate) secret: Secret,
    /// What the switchboard rings it by.
    pub(crate) contact: String,
    pub(crate) resume: Duration,
    pub(crate) calls_limit: usize,
    /// How fast its client may write.
    pub(crate) messages: Rate,
    /// Which of the account's devices it is, where that told a name.
    pub(crate) device: Option<Device>,
}

/// Whether a socket carries the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Attached(SocketId),
    Detached { until: Instant },
}

/// What a session says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Output {
    /// To the socket that carries it.
    Send(SocketId, Arc<str>),
    /// A call of the client's.
    Incoming(Box<Incoming>),
    /// Something about a leg.
    Leg(LegId, LegEvent),
    /// A message of the client's.
    Written(Box<Message>),
    /// The client has a message.
    Acknowledged(MessageId),
    /// The person has read a message.
    Read(MessageId),
    /// The person is writing, or has stopped.
    Composing(Box<Composing>),
    /// The client asks, under its own id, what would become of this.
    Explain(String, Box<Draft>),
    /// The client misbehaved in a way that has a name.
    Fault(&'static str),
}

/// Whether the session may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Conduct {
    Fine,
    /// The client keeps sending garbage and is to be disconnected.
    Intolerable,
}

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    birth: Birth,
    link: Link,
    ledger: Ledger,
    leg_of_call: BTreeMap<String, Leg>,
    call_of_leg: BTreeMap<LegId, String>,
    ended_calls: VecDeque<String>,
    channels: Channels,
    chat: Chat,
    garbage: Bucket,
    explained: Bucket,
    next_call: u64,
    outputs: VecDeque<Output>,
}

impl Session {
    /// A session carried by that socket.
    pub(crate) fn new(birth: Birth, socket: SocketId, now: Instant) -> Self {
        Self {
            birth,
            link: Link::Attached(socket),
            ledger: Ledger::default(),
            leg_of_call: BTreeMap::new(),
            call_of_leg: BTreeMap::new(),
            ended_calls: VecDeque::new(),
            channels: Channels::default(),
            chat: Chat::new(now),
            garbage: Bucket::new(now),
            explained: Bucket::new(now),
            next_call: 1,
            outputs: VecDeque::new(),
        }
    }

    /// What it was given when it began.
    pub(crate) const fn birth(&self) -> &Birth {
        &self.birth
    }

    /// Whether a socket carries it.
    pub(crate) const fn link(&self) -> Link {
        self.link
    }

    /// How many objects of the client's have come.
    pub(crate) const fn received(&self) -> u64 {
        self.ledger.received()
    }

    /// Where the account can be rung through this session.
    pub(crate) fn location(&self) -> Location {
        Location {
            trunk: TrunkId::from(TRUNK),
            contact: self.birth.contact.clone(),
            profiles: vec![Profile::webrtc(self.birth.resume)],
            preference: 1000,
        }
    }

    /// What it has to say next.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Another socket takes the session up; what the client lacks is to be sent after `welcome`.
    ///
    /// # Errors
    /// The two sides disagree beyond repair about what was sent.
    pub(crate) fn handle_resumed(
        &mut self,
        socket: SocketId,
        received: u64,
    ) -> Result<Vec<Arc<str>>, Gap> {
        let missing = self.ledger.missing(received)?;
        self.link = Link::Attached(socket);
        Ok(missing)
    }

    /// The socket is gone. Returns until when the session waits for another.
    pub(crate) fn handle_dropped(&mut self, now: Instant) -> Instant {
        let until = now + self.birth.resume;
        self.link = Link::Detached { until };
        until
    }

    /// The session is over: its calls end.
    pub(crate) fn handle_loss(&mut self, loss: Loss) {
        let calls: Vec<String> = self.leg_of_call.keys().cloned().collect();
        for call in calls {
            self.with_leg(&call, |leg| leg.handle_loss(loss));
        }
    }

    /// Takes one text frame. `leg` is an unused id, for a call that begins.
    pub(crate) fn handle_text(
        &mut self,
        text: &str,
        now: Now,
        leg: impl FnOnce() -> LegId,
        is_draining: bool,
    ) -> Conduct {
        self.ledger.note_received();
        match read(text) {
            Ok(frame) => {
                self.handle_frame(frame, now, leg, is_draining);
                Conduct::Fine
            }
            Err(refusal) => self.refuse(refusal, now.at),
        }
    }

    /// Takes a frame that is none: binary, or not UTF-8.
    pub(crate) fn handle_garbage(&mut self, reason: &str, now: Instant) -> Conduct {
        self.ledger.note_received();
        self.refuse(Refusal::new(Code::Malformed, reason), now)
    }

    /// Sends one object, over the channel whose object it answers if there is one.
    pub(crate) fn send(&mut self, frame: &GatewayFrame) {
        let is_said = self.channels.answered().is_some_and(|leg| self.say(leg, frame, None));
        if !is_said {
            self.send_by_socket(frame);
        }
    }

    /// Counts and sends one object.
    fn send_by_socket(&mut self, frame: &GatewayFrame) {
        let text: Arc<str> = frame.render().into();
        self.ledger.note_sent(Arc::clone(&text));
        if let Link::Attached(socket) = self.link {
            self.outputs.push_back(Output::Send(socket, text));
        }
    }

    fn refuse(&mut self, refusal: Refusal, now: Instant) -> Conduct {
        let is_garbage = refusal.is_garbage();
        self.send(&GatewayFrame::error(refusal));
        if !is_garbage {
            return Conduct::Fine;
        }
        self.outputs.push_back(Output::Fault("garbage-frame"));
        match self.garbage.take(GARBAGE, now) {
            Ok(()) => Conduct::Fine,
            Err(_) => Conduct::Intolerable,
        }
    }

    fn handle_frame(
        &mut self,
        frame: ClientFrame,
        now: Now,
        leg: impl FnOnce() -> LegId,
        is_draining: bool,
    ) {
        match frame {
            ClientFrame::Hello(_) => self.send(&GatewayFrame::error(Refusal::new(
                Code::Unexpected,
                "The session has begun already.",
            ))),
            ClientFrame::Call(request) => self.handle_call(request, leg, is_draining),
            ClientFrame::Within(call, what) => self.handle_within(&call, what),
            ClientFrame::Error => {}
            ClientFrame::Message(request) => self.handle_message(*request, now),
            ClientFrame::Ack(id) => self.handle_ack(&id),
            ClientFrame::Read(id) => self.handle_read(&id),
            ClientFrame::Composing { with, is_on } => self.handle_composing(&with, is_on, now.at),
            ClientFrame::Explain(request) => self.handle_explain(*request, now.at),
            ClientFrame::Presence => self.send(&GatewayFrame::error(Refusal::new(
                Code::NotSupported,
                "This gateway does not tell how reachable people are.",
            ))),
        }
    }
}

/// Where a socket comes from.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) ip: IpAddr,
    /// The web origin of the page that opened it; none for what is not a browser.
    pub(crate) origin: Option<String>,
    /// Whether that is the gateway's own.
    pub(crate) is_home: bool,
}
