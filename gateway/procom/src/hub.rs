//! All sockets and sessions: who may begin one, which socket carries it, when it is over. Pure.
//!
//! ```text
//! sockets --handle_opened, handle_text, handle_closed--> Hub --poll_output--> sockets, switchboard
//! switchboard --handle_command------------------------->     --Verify--> a thread that hashes
//!                                                            <--handle_verdict--
//! ```
//!
//! A socket begins with `hello`. What comes while its password is looked at waits.

mod boundary;
mod devices;
mod hello;
mod messages;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use gateway_adapter::attempts::{Attempt, Attempts};
use gateway_adapter::{Command, Prospect};
use gateway_core::leg::{Dial, LegCommand, LegEvent};
use gateway_core::message::{DeliveryId, DeviceId};
use gateway_core::{AccountId, Cause, LegId};

use crate::frame::{Code, GatewayFrame, Refusal};
use crate::fresh::Fresh;
use crate::ice;
use crate::leg::Loss;
use crate::session::{self, Conduct, Link, Peer, Session, SessionId, SocketId};

pub(crate) use boundary::{Closing, Now, Output, Setup, Turn, Verdict};
use messages::Post;

/// How long a socket may take to say a `hello` that is accepted.
const HELLO_LIMIT: Duration = Duration::from_secs(10);
/// How long whoever guesses passwords waits to be told that there were too many.
const REFUSAL_DELAY: Duration = Duration::from_secs(1);
/// How many frames may wait while a password is looked at.
const HELD_FRAMES: usize = 8;

/// Close codes (RFC 6455 §7.4.1, and 4000 upwards for our own).
pub(crate) const CLOSE_POLICY: u16 = 1008;
pub(crate) const CLOSE_RESTART: u16 = 1012;
pub(crate) const CLOSE_EXPIRED: u16 = 4000;
pub(crate) const CLOSE_TAKEN_OVER: u16 = 4001;

#[derive(Debug)]
enum Socket {
    /// No session yet.
    Greeting { peer: Peer },
    /// A password is being looked at.
    Verifying { peer: Peer, attempt: Attempt, held: Vec<String>, device: Option<DeviceId> },
    /// Too many wrong passwords came before: told so in a while, and not heard until then.
    Refusing { reason: String },
    /// Carries a session.
    Carrying(SessionId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deadline {
    Hello(SocketId),
    Refusal(SocketId),
    Resume(SessionId),
    IceServers(SessionId),
    Acknowledgement(DeliveryId),
    Page(SessionId),
}

/// All sockets and sessions.
#[derive(Debug)]
pub(crate) struct Hub {
    setup: Setup,
    attempts: Attempts,
    socket_of_id: BTreeMap<SocketId, Socket>,
    session_of_id: BTreeMap<SessionId, Session>,
    /// By the hash of the resume secret, so that a look-up tells nothing of the secret by its time.
    id_of_secret: BTreeMap<[u8; 32], SessionId>,
    id_of_contact: BTreeMap<String, SessionId>,
    id_of_leg: BTreeMap<LegId, SessionId>,
    ids_of_who: BTreeMap<String, BTreeSet<SessionId>>,
    ids_of_mailbox: BTreeMap<String, BTreeSet<SessionId>>,
    post: Post,
    deadlines: BTreeSet<(Instant, Deadline)>,
    next_session: u64,
    is_draining: bool,
    outputs: VecDeque<Output>,
}

impl Hub {
    /// Without any connection. `attempts` knows what was learned of passwords before.
    pub(crate) fn new(setup: Setup, attempts: Attempts) -> Self {
        Self {
            post: Post::new(setup.first_intake),
            setup,
            attempts,
            socket_of_id: BTreeMap::new(),
            session_of_id: BTreeMap::new(),
            id_of_secret: BTreeMap::new(),
            id_of_contact: BTreeMap::new(),
            id_of_leg: BTreeMap::new(),
            ids_of_who: BTreeMap::new(),
            ids_of_mailbox: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            next_session: 1,
            is_draining: false,
            outputs: VecDeque::new(),
        }
    }

    /// What it has to say next.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When `handle_timeout` is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// A socket is open.
    pub(crate) fn handle_opened(&mut self, socket: SocketId, peer: Peer, now: Now) {
        self.socket_of_id.insert(socket, Socket::Greeting { peer });
        self.deadlines.insert((now.at + HELLO_LIMIT, Deadline::Hello(socket)));
    }

    /// A text frame has come.
    pub(crate) fn handle_text(
        &mut self,
        socket: SocketId,
        text: String,
        now: Now,
        fresh: &mut dyn Fresh,
    ) {
        match self.socket_of_id.get_mut(&socket) {
            Some(Socket::Carrying(id)) => {
                let id = *id;
                let is_draining = self.is_draining;
                let conduct = self
                    .session_of_id
                    .get_mut(&id)
                    .map(|session| session.handle_text(&text, now, || fresh.leg(), is_draining));
                self.judge(id, conduct);
                self.go_on_returning(id, now);
            }
            Some(Socket::Verifying { held, .. }) if held.len() < HELD_FRAMES => held.push(text),
            Some(Socket::Verifying { .. }) => {
                let refusal = Refusal::new(Code::Unexpected, "Wait for the welcome.");
                self.refuse_socket(socket, refusal);
            }
            Some(Socket::Greeting { .. }) => self.handle_hello(socket, &text, now, fresh),
            // It is about to be closed, or was.
            Some(Socket::Refusing { .. }) | None => {}
        }
    }

    /// A frame has come that cannot be one: binary, too large, or not UTF-8.
    pub(crate) fn handle_garbage(&mut self, socket: SocketId, reason: &str, now: Now) {
        match self.socket_of_id.get(&socket) {
            Some(Socket::Carrying(id)) => {
                let id = *id;
                let session = self.session_of_id.get_mut(&id);
                let conduct = session.map(|session| session.handle_garbage(reason, now.at));
                self.judge(id, conduct);
            }
            Some(Socket::Greeting { .. } | Socket::Verifying { .. }) => {
                self.refuse_socket(socket, Refusal::new(Code::Malformed, reason));
            }
            Some(Socket::Refusing { .. }) | None => {}
        }
    }

    /// A socket is closed.
    pub(crate) fn handle_closed(&mut self, socket: SocketId, closing: Closing, now: Now) {
        match self.socket_of_id.remove(&socket) {
            Some(Socket::Carrying(id)) => match closing {
                Closing::Clean => self.end_session(id, Loss::Closed),
                Closing::Dropped => {
                    if let Some(session) = self.session_of_id.get_mut(&id) {
                        let until = session.handle_dropped(now.at);
                        self.deadlines.insert((until, Deadline::Resume(id)));
                    }
                }
            },
            // The attempt counts: who hangs up before the verdict may have been guessing.
            Some(Socket::Greeting { .. } | Socket::Verifying { .. } | Socket::Refusing { .. })
            | None => {}
        }
    }

    /// Takes what the switchboard asks.
    pub(crate) fn handle_command(&mut self, command: Command, now: Now) {
        match command {
            Command::Leg(leg, LegCommand::Dial(dial)) => self.handle_dial(leg, &dial),
            Command::Leg(leg, LegCommand::Channel(event)) => {
                if let Some(id) = self.id_of_leg.get(&leg).copied() {
                    self.with_session(id, |session| session.handle_channel(leg, event, now));
                }
            }
            Command::Leg(leg, command) => {
                if let Some(id) = self.id_of_leg.get(&leg).copied() {
                    self.with_session(id, |session| session.handle_command(leg, command));
                }
            }
            // Nothing of a Procom leg outlives the gateway.
            Command::Release(key, _) => self.outputs.push_back(Output::Released(key)),
            Command::Send(dispatch) => self.handle_dispatch(*dispatch, now),
            Command::Settle(intake, settlement) => self.handle_settled(intake, settlement),
            Command::Receipt(receipt) => self.handle_receipt(&receipt),
            Command::Backlog(backlog) => self.handle_backlog(*backlog, now),
            Command::Composing(_, composing) => self.handle_composing(&composing),
            Command::Drain => self.is_draining = true,
        }
    }

    /// The gateway says what would become of what a client typed, unless that session is over.
    pub(crate) fn handle_explained(
        &mut self,
        id: SessionId,
        asked: String,
        outcome: Result<Prospect, String>,
    ) {
        self.with_session(id, |session| session.handle_explained(asked, outcome));
    }

    /// The switchboard had no room for a leg that was told.
    pub(crate) fn handle_busy(&mut self, leg: LegId) {
        self.outputs.retain(|output| !matches!(output, Output::Leg(other, _) if *other == leg));
        if let Some(id) = self.id_of_leg.remove(&leg) {
            self.with_session(id, |session| session.handle_busy(leg));
        }
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Now) {
        while let Some((at, deadline)) = self.deadlines.first().copied()
            && at <= now.at
        {
            self.deadlines.pop_first();
            match deadline {
                Deadline::Hello(socket) => self.handle_silent_socket(socket),
                Deadline::Refusal(socket) => {
                    if let Some(Socket::Refusing { reason }) = self.socket_of_id.get(&socket) {
                        let refusal = Refusal::new(Code::TooManyAttempts, reason.clone());
                        self.refuse_socket(socket, refusal);
                    }
                }
                Deadline::Resume(id) => {
                    let link = self.session_of_id.get(&id).map(Session::link);
                    // It may have been taken up and dropped again since this was noted.
                    if link == Some(Link::Detached { until: at }) {
                        self.end_session(id, Loss::Expired);
                    }
                }
                Deadline::IceServers(id) => self.send_ice_servers(id, now),
                Deadline::Page(id) => self.handle_late_page(id, now),
                Deadline::Acknowledgement(delivery) => self.handle_unacknowledged(delivery),
            }
        }
    }

    /// The gateway stops: every call ends, every socket closes.
    pub(crate) fn handle_shutdown(&mut self) {
        let ids: Vec<SessionId> = self.session_of_id.keys().copied().collect();
        for id in ids {
            self.end_session(id, Loss::Shutdown);
        }
        for socket in std::mem::take(&mut self.socket_of_id).into_keys() {
            self.outputs.push_back(Output::Close(socket, CLOSE_RESTART, "the gateway stops"));
        }
    }

    fn handle_silent_socket(&mut self, socket: SocketId) {
        match self.socket_of_id.get(&socket) {
            Some(Socket::Greeting { .. } | Socket::Verifying { .. }) => {
                self.close(socket, CLOSE_POLICY, "no hello in time");
            }
            Some(Socket::Carrying(_) | Socket::Refusing { .. }) | None => {}
        }
    }

    fn handle_dial(&mut self, leg: LegId, dial: &Dial) {
        let id = dial.contact.as_ref().and_then(|contact| self.id_of_contact.get(contact)).copied();
        match id {
            Some(id) => {
                self.id_of_leg.insert(leg, id);
                self.with_session(id, |session| session.handle_dial(leg, dial));
            }
            None => {
                let ended = LegEvent::Ended(Cause::Unreachable, None);
                self.outputs.push_back(Output::Leg(leg, ended));
            }
        }
    }

    fn send_ice_servers(&mut self, id: SessionId, now: Now) {
        let Some(name) = self.session_of_id.get(&id).map(|session| session.birth().name.clone())
        else {
            return;
        };
        let ice_servers = ice::servers(&self.setup.ice_servers, &name, now.unix_s());
        self.with_session(id, |session| session.send(&GatewayFrame::IceServers { ice_servers }));
        self.schedule_ice_servers(id, now);
    }

    fn schedule_ice_servers(&mut self, id: SessionId, now: Now) {
        if let Some(after) = ice::refresh_after(&self.setup.ice_servers) {
            self.deadlines.insert((now.at + after, Deadline::IceServers(id)));
        }
    }

    /// Drains a session that was fed, and ends it if it cannot be borne any longer.
    fn judge(&mut self, id: SessionId, conduct: Option<Conduct>) {
        self.drain(id);
        if conduct == Some(Conduct::Intolerable) {
            self.end_session(id, Loss::Misbehaved);
        }
    }

    fn with_session(&mut self, id: SessionId, input: impl FnOnce(&mut Session)) {
        if let Some(session) = self.session_of_id.get_mut(&id) {
            input(session);
            self.drain(id);
        }
    }

    fn drain(&mut self, id: SessionId) {
        while let Some(output) = self.session_of_id.get_mut(&id).and_then(Session::poll_output) {
            let output = match output {
                session::Output::Send(socket, text) => Output::Send(socket, text),
                session::Output::Incoming(incoming) => {
                    self.id_of_leg.insert(incoming.leg, id);
                    Output::Incoming(incoming)
                }
                session::Output::Leg(leg, event) => {
                    if matches!(event, LegEvent::Ended(..)) {
                        self.id_of_leg.remove(&leg);
                    }
                    Output::Leg(leg, event)
                }
                session::Output::Fault(kind) => Output::Fault(kind),
                session::Output::Written(message) => {
                    self.handle_written(id, *message);
                    continue;
                }
                session::Output::Acknowledged(message) => {
                    self.handle_acknowledged(id, message);
                    continue;
                }
                session::Output::Read(message) => {
                    self.handle_read(id, message);
                    continue;
                }
                session::Output::Composing(composing) => Output::Composing(composing),
                session::Output::Explain(asked, draft) => Output::Explain(id, asked, draft),
            };
            self.outputs.push_back(output);
        }
    }

    fn end_session(&mut self, id: SessionId, loss: Loss) {
        self.with_session(id, |session| session.handle_loss(loss));
        let Some(session) = self.session_of_id.remove(&id) else {
            return;
        };
        let birth = session.birth();
        self.id_of_secret.remove(&hello::digest(birth.secret.reveal()));
        self.id_of_contact.remove(&birth.contact);
        let (key, mailbox) = (birth.who.key(), birth.who.mailbox().to_owned());
        strike(&mut self.ids_of_who, &key, id);
        strike(&mut self.ids_of_mailbox, &mailbox, id);
        if let Link::Attached(socket) = session.link() {
            match loss {
                // Its socket is gone already, or is told by another close code.
                Loss::Closed => {}
                Loss::Expired => self.close(socket, CLOSE_EXPIRED, "the session is over"),
                Loss::Misbehaved => self.close(socket, CLOSE_POLICY, "too much garbage"),
                Loss::Shutdown => self.close(socket, CLOSE_RESTART, "the gateway stops"),
            }
        }
        if let Some(account) = birth.who.account() {
            self.report_located(account.clone(), &key);
        }
        self.post.return_of_session.remove(&id);
        self.give_back_mail(&mailbox);
    }

    fn report_located(&mut self, account: AccountId, key: &str) {
        let ids = self.ids_of_who.get(key).into_iter().flatten();
        let locations =
            ids.filter_map(|id| self.session_of_id.get(id)).map(Session::location).collect();
        self.outputs.push_back(Output::Located(account, locations));
    }

    fn refuse_socket(&mut self, socket: SocketId, refusal: Refusal) {
        self.send_error(socket, refusal);
        self.close(socket, CLOSE_POLICY, "no session");
    }

    fn send_error(&mut self, socket: SocketId, refusal: Refusal) {
        let text = GatewayFrame::error(refusal).render();
        self.outputs.push_back(Output::Send(socket, text.into()));
    }

    fn close(&mut self, socket: SocketId, code: u16, why: &'static str) {
        if self.socket_of_id.remove(&socket).is_some() {
            self.outputs.push_back(Output::Close(socket, code, why));
        }
    }
}

/// Takes a session out of a set of them; empty sets are not kept.
fn strike(ids_of: &mut BTreeMap<String, BTreeSet<SessionId>>, key: &str, id: SessionId) {
    if let Some(ids) = ids_of.get_mut(key) {
        ids.remove(&id);
        if ids.is_empty() {
            ids_of.remove(key);
        }
    }
}
