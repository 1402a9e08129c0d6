//! A hand-made SIP phone for messages over UDP: it registers again and again, answers every MESSAGE,
//! writes its own until they are answered, and tells what it saw of each request.

#![expect(clippy::disallowed_methods, reason = "a shell: repeats in real time")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::spawn;
use std::time::{Duration, Instant};

use regex::Regex;

use crate::sip_caller::authorize;
use crate::sip_client::{SipClient, status};

/// How often it registers, and repeats a message that is not answered.
const REGISTER: Duration = Duration::from_secs(1);
const REPEAT: Duration = Duration::from_millis(500);

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
    /// Starts the phone of `user`, which registers at `server`.
    pub fn start(server: SocketAddr, user: &str, password: &str) -> Self {
        let (texts, to_write) = channel();
        let (sender, seen) = channel();
        let mut phone = Phone {
            client: SipClient::udp(server),
            server,
            user: user.into(),
            password: password.into(),
            serial: 0,
            unanswered: BTreeMap::new(),
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
}

#[derive(Debug)]
struct Phone {
    client: SipClient,
    server: SocketAddr,
    user: String,
    password: String,
    serial: u64,
    unanswered: BTreeMap<String, Unanswered>,
    seen: Sender<Seen>,
}

impl Phone {
    fn run(&mut self, to_write: &Receiver<(String, String)>) {
        let mut register = Instant::now();
        loop {
            loop {
                match to_write.try_recv() {
                    Ok((to, text)) => {
                        self.ask("MESSAGE", format!("sip:{to}@{}", self.server), Some(text));
                    }
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            if register <= Instant::now() {
                register = Instant::now() + REGISTER;
                self.unanswered.retain(|_, request| request.method != "REGISTER");
                self.ask("REGISTER", format!("sip:{}", self.server), None);
            }
            self.repeat();
            let datagram = self.client.receive(Duration::from_millis(5));
            if let Ok(text) = String::from_utf8(datagram)
                && !text.is_empty()
            {
                self.take(&text);
            }
        }
    }

    fn ask(&mut self, method: &'static str, uri: String, text: Option<String>) {
        self.serial += 1;
        let call_id = format!("{}-{}", self.user, self.serial);
        let request = Unanswered {
            text,
            method,
            uri,
            cseq: 1,
            authorization: String::new(),
            next: Instant::now(),
        };
        self.unanswered.insert(call_id, request);
    }

    fn repeat(&mut self) {
        let now = Instant::now();
        let local = self.client.local();
        for (call_id, request) in &mut self.unanswered {
            if request.next > now {
                continue;
            }
            request.next = now + REPEAT;
            let Unanswered { text, method, uri, cseq, authorization, .. } = &*request;
            let (user, server) = (&self.user, self.server);
            let to =
                if *method == "REGISTER" { format!("sip:{user}@{server}") } else { uri.clone() };
            let more = if *method == "REGISTER" {
                format!("Contact: <sip:{user}@{local}>\r\nExpires: 300\r\n")
            } else {
                "Content-Type: text/plain;charset=utf-8\r\n".to_owned()
            };
            let body = text.as_deref().unwrap_or("");
            let message = format!(
                "{method} {uri} SIP/2.0\r\n\
                 Via: SIP/2.0/UDP {local};branch=z9hG4bK{call_id}-{cseq};rport\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:{user}@{server}>;tag=t{call_id}\r\nTo: <{to}>\r\n\
                 Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n{more}{authorization}\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            // The gateway may be down just now: it is repeated.
            let _ = self.client.send(message.as_bytes());
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
            && request.cseq < 8
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
            return;
        }
        let request = self.unanswered.remove(&call_id).expect("it was just there");
        let seen = match request.text {
            Some(text) if code < 300 => Seen::Accepted(text),
            Some(text) => Seen::Refused(text, code),
            None if code < 300 => Seen::Registered,
            None => Seen::Refused(request.method.to_owned(), code),
        };
        let _ = self.seen.send(seen);
    }

    fn take_request(&mut self, text: &str) {
        let all = |name: &str| -> String {
            let lines = text.lines().filter(|line| {
                line.split(':').next().is_some_and(|it| it.eq_ignore_ascii_case(name))
            });
            lines.map(|line| format!("{line}\r\n")).collect()
        };
        let to = all("To").trim_end().to_owned();
        let tag = if to.contains(";tag=") { "" } else { ";tag=phone" };
        let answer = format!(
            "SIP/2.0 200 OK\r\n{}{}{to}{tag}\r\n{}{}Content-Length: 0\r\n\r\n",
            all("Via"),
            all("From"),
            all("Call-ID"),
            all("CSeq"),
        );
        let _ = self.client.send(answer.as_bytes());
        if !text.starts_with("MESSAGE ") {
            return;
        }
        let branch = header(text, "Via").unwrap_or_default();
        let branch = branch.split("branch=").nth(1).unwrap_or("").split(';').next().unwrap_or("");
        let transaction = format!(
            "{} {} {branch}",
            header(text, "Call-ID").unwrap_or_default(),
            header(text, "CSeq").unwrap_or_default(),
        );
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned();
        let bytes = text.as_bytes().to_vec();
        let _ = self.seen.send(Seen::Message { transaction, body, bytes });
    }
}

fn header(text: &str, name: &str) -> Option<String> {
    let regex = Regex::new(&format!(r"(?im)^{name}:[ \t]*([^\r\n]*)")).expect("written by us");
    regex.captures(text).map(|found| found[1].to_owned())
}
