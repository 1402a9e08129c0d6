//! How a socket comes to carry a session: by a password, a token, or the secret of a session that
//! waits.

use std::collections::BTreeSet;
use std::sync::Arc;

use gateway_adapter::attempts::Standing;
use gateway_core::message::{Device, DeviceId};
use ring::digest::{SHA256, digest as hash};

use super::{
    CLOSE_TAKEN_OVER, Deadline, Hub, Link, Loss, Now, Output, REFUSAL_DELAY, Socket, Turn, Verdict,
};
use crate::accounts::GUEST_PREFIX;
use crate::frame::{ClientFrame, Code, GatewayFrame, Hello, Refusal, Welcome, read, tidy_name};
use crate::fresh::{Fresh, hex};
use crate::ice;
use crate::secret::Secret;
use crate::session::{Birth, Session, SessionId, SocketId, Who};
use crate::token::{Bearer, TokenFault};

/// The same visitor is the same guest, whom answers find again; anybody else is a new one.
fn guest_name(visitor: Option<&Secret>, fresh: &mut dyn Fresh) -> String {
    let bytes = match visitor {
        Some(visitor) => digest(&format!("procom visitor 1 {}", visitor.reveal())),
        None => fresh.bytes(),
    };
    format!("{GUEST_PREFIX}{}", hex(&bytes[..8]))
}

/// Which device it is that gave itself this name.
fn device_id(name: &Secret) -> DeviceId {
    let hash = digest(&format!("procom device 1 {}", name.reveal()));
    DeviceId(hash.first_chunk().copied().expect("SHA-256 has 32 bytes"))
}

/// How a secret is looked up: by its hash.
pub(super) fn digest(secret: &str) -> [u8; 32] {
    hash(&SHA256, secret.as_bytes()).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

impl Hub {
    /// Takes the first frame of a socket.
    pub(super) fn handle_hello(
        &mut self,
        socket: SocketId,
        text: &str,
        now: Now,
        fresh: &mut dyn Fresh,
    ) {
        match read(text) {
            Ok(ClientFrame::Hello(Hello::Password { user, password, device })) => {
                let device = device.as_ref().map(device_id);
                self.handle_password(socket, user, password, device, now);
            }
            Ok(ClientFrame::Hello(Hello::Token { token, visitor, device })) => {
                let device = device.as_ref().map(device_id);
                self.handle_token(socket, &token, visitor.as_ref(), device, now, fresh);
            }
            Ok(ClientFrame::Hello(Hello::Resume { secret, received })) => {
                self.handle_resume(socket, &secret, received, now);
            }
            Ok(
                ClientFrame::Call(_)
                | ClientFrame::Within(..)
                | ClientFrame::Error
                | ClientFrame::Message(_)
                | ClientFrame::Ack(_)
                | ClientFrame::Read(_)
                | ClientFrame::Composing { .. }
                | ClientFrame::Presence
                | ClientFrame::Explain(_),
            ) => {
                self.refuse_socket(socket, Refusal::new(Code::Unexpected, "Say hello first."));
            }
            Err(refusal) => self.refuse_socket(socket, refusal),
        }
    }

    /// A password was looked at.
    pub(crate) fn handle_verdict(
        &mut self,
        socket: SocketId,
        verdict: Verdict,
        now: Now,
        fresh: &mut dyn Fresh,
    ) {
        let Some(Socket::Verifying { .. }) = self.socket_of_id.get(&socket) else {
            return;
        };
        let Some(Socket::Verifying { peer, attempt, held, device }) =
            self.socket_of_id.remove(&socket)
        else {
            return;
        };
        self.socket_of_id.insert(socket, Socket::Greeting { peer });
        match verdict {
            Verdict::Right(verified) => {
                self.attempts.handle_right(attempt, now.at);
                let learned = std::iter::from_fn(|| self.attempts.poll_learned());
                self.outputs.extend(learned.map(Output::Acquainted));
                let (account, display) = (verified.account, verified.display);
                self.begin(socket, Who::Account { account, display }, device, now, fresh);
                for text in held {
                    self.handle_text(socket, text, now, fresh);
                }
            }
            Verdict::Wrong => {
                self.attempts.handle_wrong(attempt, now.at);
                self.outputs.push_back(Output::Fault("bad-credentials"));
                let reason = "The name or the password is wrong.";
                self.refuse_socket(socket, Refusal::new(Code::BadCredentials, reason));
            }
            Verdict::Overload => {
                self.attempts.handle_abandoned(attempt);
                let reason = "Too many people sign in at this moment; try again in a few seconds.";
                self.refuse_socket(socket, Refusal::new(Code::Overload, reason));
            }
        }
    }

    fn handle_password(
        &mut self,
        socket: SocketId,
        user: String,
        password: Secret,
        device: Option<DeviceId>,
        now: Now,
    ) {
        let Some(Socket::Greeting { peer }) = self.socket_of_id.get(&socket) else {
            return;
        };
        let peer = peer.clone();
        let standing = device.map_or(Standing::Stranger, |device| Standing::Device(device.0));
        match self.attempts.begin(peer.ip, &user, standing, now.at) {
            Ok(attempt) => {
                let held = Vec::new();
                let turn = if attempt.is_known() { Turn::Known } else { Turn::Stranger };
                let verifying = Socket::Verifying { peer, attempt, held, device };
                self.socket_of_id.insert(socket, verifying);
                self.outputs.push_back(Output::Verify(socket, user, password, turn));
            }
            Err(wait) => {
                self.outputs.push_back(Output::Fault("too-many-attempts"));
                let reason = format!(
                    "Too many wrong passwords; wait {} s.",
                    wait.as_secs().saturating_add(1)
                );
                self.socket_of_id.insert(socket, Socket::Refusing { reason });
                self.deadlines.insert((now.at + REFUSAL_DELAY, Deadline::Refusal(socket)));
            }
        }
    }

    fn handle_token(
        &mut self,
        socket: SocketId,
        token: &Secret,
        visitor: Option<&Secret>,
        device: Option<DeviceId>,
        now: Now,
        fresh: &mut dyn Fresh,
    ) {
        let Some(Socket::Greeting { peer }) = self.socket_of_id.get(&socket) else {
            return;
        };
        let granted = self.setup.tokens.verify(token.reveal(), now.unix_s()).and_then(|granted| {
            // A token for one page is of no use to another, our own excepted: a widget opens that
            // for calls.
            let is_at_home =
                granted.origin.is_none() || peer.is_home || granted.origin == peer.origin;
            if is_at_home { Ok(granted) } else { Err(TokenFault::Forged) }
        });
        let who = match granted.map(|granted| granted.bearer) {
            Ok(Bearer::Demo(account)) => Who::Account { account, display: None },
            Ok(Bearer::Guest { display, only }) => Who::Guest {
                name: guest_name(visitor, fresh),
                display: display.as_deref().and_then(tidy_name),
                only,
                token: hex(&digest(token.reveal())[..16]),
            },
            Err(fault) => {
                self.outputs.push_back(Output::Fault("bad-token"));
                let reason = format!("The sign-in is refused: {fault}.");
                return self.refuse_socket(socket, Refusal::new(Code::BadToken, reason));
            }
        };
        self.begin(socket, who, device, now, fresh);
    }

    /// A socket takes a session up. Whatever carried it before is closed.
    fn handle_resume(&mut self, socket: SocketId, secret: &Secret, received: u64, now: Now) {
        let id = self.id_of_secret.get(&digest(secret.reveal())).copied();
        let Some((id, session)) = id.and_then(|id| Some((id, self.session_of_id.get_mut(&id)?)))
        else {
            return self.refuse_resume(socket);
        };
        let before = session.link();
        let who = session.birth().who.clone();
        let Ok(missing) = session.handle_resumed(socket, received) else {
            self.end_session(id, Loss::Expired);
            return self.refuse_resume(socket);
        };
        if let Link::Attached(other) = before {
            self.close(other, CLOSE_TAKEN_OVER, "resumed on another socket");
        }
        self.socket_of_id.insert(socket, Socket::Carrying(id));
        self.welcome(socket, id, true, now);
        self.outputs.extend(missing.into_iter().map(|text| Output::Send(socket, text)));
        // What could not be handed over meanwhile may be tried again.
        self.report_there(&who);
    }

    /// Not the end of the socket: a full hello may follow.
    fn refuse_resume(&mut self, socket: SocketId) {
        let reason = "The session is not known any more; sign in again.";
        self.send_error(socket, Refusal::new(Code::ResumeExpired, reason));
    }

    fn begin(
        &mut self,
        socket: SocketId,
        who: Who,
        device: Option<DeviceId>,
        now: Now,
        fresh: &mut dyn Fresh,
    ) {
        let key = who.key();
        let limits = &self.setup.limits;
        let (limit, messages) = match who {
            Who::Account { .. } => (limits.sessions_per_account, limits.messages()),
            Who::Guest { .. } => (limits.sessions_per_token, limits.guest_messages()),
        };
        if self.ids_of_who.get(&key).map_or(0, BTreeSet::len) >= limit && !self.end_oldest(&key) {
            let reason = "There are too many sessions of this account; close one first.";
            return self.refuse_socket(socket, Refusal::new(Code::TooManySessions, reason));
        }
        if self.session_of_id.len() >= self.setup.limits.sessions {
            let reason = "The gateway has more sessions than it can; try again later.";
            return self.refuse_socket(socket, Refusal::new(Code::Overload, reason));
        }
        let id = SessionId(self.next_session);
        self.next_session += 1;
        let secret = hex(&fresh.bytes());
        let (account, bearer) = (who.account().cloned(), who.clone());
        // A guest has one device, which is what its visitor's secret says.
        let device = account.zip(device).map(|(account, id)| Device { account, id });
        let birth = Birth {
            who,
            name: hex(&fresh.bytes()[..8]),
            secret: Secret::from(secret.as_str()),
            contact: hex(&fresh.bytes()[..16]),
            resume: self.setup.resume,
            calls_limit: self.setup.limits.calls_per_session,
            messages,
            device: device.clone(),
        };
        let mailbox = birth.who.mailbox().to_owned();
        self.id_of_secret.insert(digest(&secret), id);
        self.id_of_contact.insert(birth.contact.clone(), id);
        self.ids_of_who.entry(key.clone()).or_default().insert(id);
        self.ids_of_mailbox.entry(mailbox).or_default().insert(id);
        self.session_of_id.insert(id, Session::new(birth, socket, now.at));
        self.socket_of_id.insert(socket, Socket::Carrying(id));
        self.welcome(socket, id, false, now);
        self.schedule_ice_servers(id, now);
        match device {
            Some(device) => self.begin_return(id, device, now),
            None => self.show_pending(id),
        }
        self.report_there(&bearer);
    }

    fn report_there(&mut self, who: &Who) {
        match who {
            Who::Account { account, .. } => self.report_located(account.clone(), &who.key()),
            Who::Guest { name, .. } => self.outputs.push_back(Output::Woken(name.clone())),
        }
    }

    /// Ends the session that has waited longest for its socket; false if none waits.
    fn end_oldest(&mut self, key: &str) -> bool {
        let ids = self.ids_of_who.get(key).into_iter().flatten();
        let waiting = ids.filter_map(|id| match self.session_of_id.get(id)?.link() {
            Link::Detached { until } => Some((until, *id)),
            Link::Attached(_) => None,
        });
        let Some((_, id)) = waiting.min() else {
            return false;
        };
        self.end_session(id, Loss::Expired);
        true
    }

    /// Sent beside the count: it is what the count begins after.
    fn welcome(&mut self, socket: SocketId, id: SessionId, is_resumed: bool, now: Now) {
        let Some(session) = self.session_of_id.get(&id) else {
            return;
        };
        let birth = session.birth();
        let welcome = GatewayFrame::Welcome(Box::new(Welcome {
            session: birth.name.clone(),
            resume: birth.secret.reveal().to_owned(),
            resume_s: birth.resume.as_secs(),
            address: birth.who.address().to_string(),
            ice_servers: ice::servers(&self.setup.ice_servers, &birth.name, now.unix_s()),
            networks: self.setup.networks.clone(),
            resumed: is_resumed.then_some(true),
            received: is_resumed.then(|| session.received()),
        }));
        self.outputs.push_back(Output::Send(socket, Arc::from(welcome.render())));
    }
}
