//! A hand-made SIP phone for messages: it registers again and again, answers every MESSAGE, writes its
//! own until they are answered, and tells what it saw of each request.
//!
//! Over UDP it repeats what is not answered; by a stream it does so when it has connected anew, from
//! another port, and is another contact then.

#![expect(clippy::disallowed_methods, reason = "a shell: repeats in real time")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use regex::Regex;

use crate::phone::Transport;
use crate::sip_caller::authorize;
use crate::sip_client::{SipClient, status};

/// How often it registers, and repeats a message that is not answered.
const REGISTER: Duration = Duration::from_secs(1);
const REPEAT: Duration = Duration::from_millis(500);
/// How long it waits before it connects anew.
const RECONNECT: Duration = Duration::from_millis(50);
/// How long nothing may come before it does something else.
const IDLE: Duration = Duration::from_millis(5);

/// What the phone saw.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Seen {
    /// A message came: its Call-ID, CSeq and branch, what it says, and all of it.
    Message {
        /// Call-ID, CSeq and branch: a request that has the same is the same request.
        transaction: String,
        /// The body.
        body: String,
        /// The whole request.
        bytes: Vec<u8>,
    },
    /// What it wrote was taken.
    Accepted(String),
    /// What it wrote was refused, with the code.
    Refused(String, u16),
    /// It is registered.
    Registered,
}

/// A phone in a thread of its own.
#[derive(Debug)]
pub struct SipMessenger {
    texts: Sender<(String, String)>,
    seen: Receiver<Seen>,
}

impl SipMessenger {
    /// Starts the phone of `user`, which registers at `server` over UDP.
    pub fn start(server: SocketAddr, user: &str, password: &str) -> Self {
        Self::start_by(Transport::Udp, server, user, password)
    }

    /// Starts the phone of `user`, which registers at `server`.
    pub fn start_by(transport: Transport, server: SocketAddr, user: &str, password: &str) -> Self {
        Self::run(transport, server, (user, password), None)
    }

    /// Starts the phone of `user` with all messages forwarded to `to`, as a PBX does it that makes new
    /// requests and passes the answers back. It does not count hops.
    pub fn forward(server: SocketAddr, user: &str, password: &str, to: &str) -> Self {
        let forwards_to = Some(format!("sip:{to}@{server}"));
        Self::run(Transport::Udp, server, (user, password), forwards_to)
    }

    fn run(
        transport: Transport,
        server: SocketAddr,
        (user, password): (&str, &str),
        forwards_to: Option<String>,
    ) -> Self {
        let (texts, to_write) = channel();
        let (sender, seen) = channel();
        let mut phone = Phone {
            line: Line { transport, server, client: None, rest: Vec::new() },
            server,
            user: user.into(),
            password: password.into(),
            serial: 0,
            unanswered: BTreeMap::new(),
            forwards_to,
            forwarded: BTreeSet::new(),
            seen: sender,
        };
        spawn(move || phone.run(&to_write));
        Self { texts, seen }
    }

    /// Writes to an account here.
    pub fn write(&self, to: &str, text: &str) {
        self.texts.send((to.into(), text.into())).expect("the phone runs");
    }

    /// What was seen since the last time.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.try_iter().collect()
    }
}

/// A request that is not answered yet.
#[derive(Debug)]
struct Unanswered {
    text: Option<String>,
    method: &'static str,
    uri: String,
    cseq: u32,
    authorization: String,
    next: Instant,
    /// Of a message: Max-Forwards and what it is.
    hops: String,
    kind: String,
    /// The request it was made of, which is answered alike.
    forwarded: Option<String>,
}

/// The way to the server.
#[derive(Debug)]
struct Line {
    transport: Transport,
    server: SocketAddr,
    client: Option<SipClient>,
    /// What came of a stream and is no whole message yet.
    rest: Vec<u8>,
}

impl Line {
    /// Connects where it is not connected; whether it has done so just now.
    fn connect(&mut self) -> bool {
        if self.client.is_some() {
            return false;
        }
        let client = match self.transport {
            Transport::Udp => Ok(SipClient::udp(self.server)),
            Transport::Tcp => SipClient::tcp(self.server),
            Transport::Tls => SipClient::tls(self.server),
        };
        self.rest.clear();
        self.client = client.ok();
        if self.client.is_none() {
            sleep(RECONNECT);
        }
        self.client.is_some()
    }

    fn send(&mut self, message: &str) {
        let Some(client) = &mut self.client else { return };
        // The gateway may be down just now: what was sent is sent again.
        let is_lost = client.send(message.as_bytes()).is_err();
        if is_lost && self.transport != Transport::Udp {
            self.client = None;
        }
    }

    /// The next message, if one comes soon.
    fn receive(&mut self) -> Option<String> {
        let client = self.client.as_mut()?;
        if self.transport == Transport::Udp {
            let datagram = client.receive(IDLE);
            return String::from_utf8(datagram).ok().filter(|text| !text.is_empty());
        }
        if let Some(message) = cut(&mut self.rest) {
            return Some(message);
        }
        match client.read_on(IDLE) {
            Ok(bytes) => self.rest.extend(bytes),
            Err(_) => self.client = None,
        }
        cut(&mut self.rest)
    }
}

/// Takes a whole message off the front of a stream.
fn cut(stream: &mut Vec<u8>) -> Option<String> {
    let end = stream.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&stream[..end]).into_owned();
    let length: usize = header(&head, "Content-Length")?.parse().ok()?;
    if stream.len() < end + length {
        return None;
    }
    let rest = stream.split_off(end + length);
    String::from_utf8(std::mem::replace(stream, rest)).ok()
}

#[derive(Debug)]
struct Phone {
    line: Line,
    server: SocketAddr,
    user: String,
    password: String,
    serial: u64,
    unanswered: BTreeMap<String, Unanswered>,
    forwards_to: Option<String>,
    /// The transactions forwarded so far.
    forwarded: BTreeSet<String>,
    seen: Sender<Seen>,
}

impl Phone {
    fn run(&mut self, to_write: &Receiver<(String, String)>) {
        let mut register = Instant::now();
        loop {
            loop {
                match to_write.try_recv() {
                    Ok((to, text)) => {
                        let uri = format!("sip:{to}@{}", self.server);
                        let _ = self.ask("MESSAGE", uri, Some(text));
                    }
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            if register <= Instant::now() {
                register = Instant::now() + REGISTER;
                self.unanswered.retain(|_, request| request.method != "REGISTER");
                let _ = self.ask("REGISTER", format!("sip:{}", self.server), None);
            }
            if self.line.connect() {
                self.unanswered.values_mut().for_each(|request| request.next = Instant::now());
            }
            self.repeat();
            if let Some(text) = self.line.receive() {
                self.take(&text);
            }
        }
    }

    fn ask(&mut self, method: &'static str, uri: String, text: Option<String>) -> &mut Unanswered {
        self.serial += 1;
        let call_id = format!("{}-{}", self.user, self.serial);
        let request = Unanswered {
            text,
            method,
            uri,
            cseq: 1,
            authorization: String::new(),
            next: Instant::now(),
            hops: "70".to_owned(),
            kind: "text/plain;charset=utf-8".to_owned(),
            forwarded: None,
        };
        self.unanswered.entry(call_id).or_insert(request)
    }

    fn repeat(&mut self) {
        let now = Instant::now();
        let Some(local) = self.line.client.as_ref().and_then(SipClient::local_if_open) else {
            return;
        };
        let parameter = self.line.transport.parameter();
        let via = parameter.to_ascii_uppercase();
        let again = match self.line.transport {
            Transport::Udp => REPEAT,
            // Until it has connected anew.
            Transport::Tcp | Transport::Tls => Duration::from_secs(3600),
        };
        for (call_id, request) in &mut self.unanswered {
            if request.next > now {
                continue;
            }
            request.next = now + again;
            let Unanswered { text, method, uri, cseq, authorization, hops, kind, .. } = &*request;
            let (user, server) = (&self.user, self.server);
            let to =
                if *method == "REGISTER" { format!("sip:{user}@{server}") } else { uri.clone() };
            let more = if *method == "REGISTER" {
                format!("Contact: <sip:{user}@{local};transport={parameter}>\r\nExpires: 300\r\n")
            } else {
                format!("Content-Type: {kind}\r\n")
            };
            let body = text.as_deref().unwrap_or("");
            let message = format!(
                "{method} {uri} SIP/2.0\r\n\
                 Via: SIP/2.0/{via} {local};branch=z9hG4bK{call_id}-{cseq};rport\r\n\
                 Max-Forwards: {hops}\r\nFrom: <sip:{user}@{server}>;tag=t{call_id}\r\nTo: <{to}>\r\n\
                 Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n{more}{authorization}\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            self.line.send(&message);
        }
    }

    fn take(&mut self, text: &str) {
        match status(text.as_bytes()) {
            Some(code) => self.take_answer(text, code),
            None => self.take_request(text),
        }
    }

    fn take_answer(&mut self, text: &str, code: u16) {
        let Some(call_id) = header(text, "Call-ID") else { return };
        let cseq = header(text, "CSeq").unwrap_or_default();
        let Some(request) = self.unanswered.get_mut(&call_id) else { return };
        if code < 200 || !cseq.starts_with(&format!("{} ", request.cseq)) {
            return;
        }
        let (user, password) = (&self.user, &self.password);
        if matches!(code, 401 | 407)
            && (request.authorization.is_empty() || is_stale(text))
            && let Some(line) = authorize(text, user, password, request.method, &request.uri)
        {
            request.authorization = line;
            request.cseq += 1;
            request.next = Instant::now();
            return;
        }
        // 503: the gateway is busy or starting.
        if code == 503 {
            request.cseq += 1;
            request.next = Instant::now() + REPEAT;
            return;
        }
        let request = self.unanswered.remove(&call_id).expect("it was just there");
        if let Some(forwarded) = &request.forwarded {
            self.answer(forwarded, code);
        }
        let seen = match request.text {
            Some(text) if code < 300 => Seen::Accepted(text),
            Some(text) => Seen::Refused(text, code),
            None if code < 300 => Seen::Registered,
            None => Seen::Refused(request.method.to_owned(), code),
        };
        let _ = self.seen.send(seen);
    }

    fn answer(&mut self, request: &str, code: u16) {
        let all = |name: &str| -> String {
            let lines = request.lines().filter(|line| {
                line.split(':').next().is_some_and(|it| it.eq_ignore_ascii_case(name))
            });
            lines.map(|line| format!("{line}\r\n")).collect()
        };
        let to = all("To").trim_end().to_owned();
        let tag = if to.contains(";tag=") { "" } else { ";tag=phone" };
        let answer = format!(
            "SIP/2.0 {code} Whatever\r\n{}{}{to}{tag}\r\n{}{}Content-Length: 0\r\n\r\n",
            all("Via"),
            all("From"),
            all("Call-ID"),
            all("CSeq"),
        );
        self.line.send(&answer);
    }

    fn forward(&mut self, request: &str, transaction: &str, body: &str, to: String) {
        // What is repeated is on its way already, or answered.
        if !self.forwarded.insert(transaction.to_owned()) {
            return;
        }
        let forward = self.ask("MESSAGE", to, Some(body.to_owned()));
        forward.hops = header(request, "Max-Forwards").unwrap_or_default();
        forward.kind = header(request, "Content-Type").unwrap_or_default();
        forward.forwarded = Some(request.to_owned());
    }

    fn take_request(&mut self, text: &str) {
        if !text.starts_with("MESSAGE ") {
            return self.answer(text, 200);
        }
        let branch = header(text, "Via").unwrap_or_default();
        let branch = branch.split("branch=").nth(1).unwrap_or("").split(';').next().unwrap_or("");
        let transaction = format!(
            "{} {} {branch}",
            header(text, "Call-ID").unwrap_or_default(),
            header(text, "CSeq").unwrap_or_default(),
        );
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned();
        match self.forwards_to.clone() {
            Some(to) => self.forward(text, &transaction, &body, to),
            None => self.answer(text, 200),
        }
        let bytes = text.as_bytes().to_vec();
        let _ = self.seen.send(Seen::Message { transaction, body, bytes });
    }
}

/// Whether a challenge says that the password was right and the nonce too old (RFC 7616 §3.3): it is
/// answered however often it comes, as lives of the gateway may be short.
fn is_stale(challenge: &str) -> bool {
    header(challenge, "WWW-Authenticate").is_some_and(|value| value.contains("stale=true"))
}

fn header(text: &str, name: &str) -> Option<String> {
    let regex = Regex::new(&format!(r"(?im)^{name}:[ \t]*([^\r\n]*)")).expect("written by us");
    regex.captures(text).map(|found| found[1].to_owned())
}
