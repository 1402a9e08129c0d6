//! Honest peers: phones that register with their right password, and a trunk that calls. Each waits
//! and repeats as RFC 3261 §17.1 says, in a thread of its own.

use std::net::{IpAddr, UdpSocket};
use std::sync::mpsc::Sender;
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use gateway_tests::sip_caller::{ack, authorize};
use gateway_tests::sip_client::{SipClient, status};

use super::tally::{Asker, End, Outcome};
use super::text::{Ids, header};
use super::{DOMAIN, Load, PHONES, SIP, TRUNK};

/// Every phone's.
pub(super) const PASSWORD: &str = "correct horse battery";
/// The port of the trunk that the configuration names.
pub(super) const TRUNK_PORT: u16 = 5090;
/// The number that rings at the echo when the trunk calls it.
pub(super) const ECHO: &str = "+4512340000";
/// A number without an account here.
const NOBODY: &str = "+4512340001";
/// Every phone and line asks once in this time.
const PERIOD: Duration = Duration::from_secs(1);
/// RFC 3261 §17.1.1.1: T1 and T2.
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
/// How long a request may go without a final answer.
const PATIENCE: Duration = Duration::from_secs(4);
/// A challenge may say once more that its nonce was too old (RFC 7616 §3.3).
const MOST_CHALLENGES: u32 = 2;

/// The account of a phone.
pub(super) fn user(number: u32) -> String {
    format!("u{number}")
}

/// Starts all phones and lines; each tells what became of its requests.
///
/// # Errors
/// When a socket cannot be opened.
pub(super) fn start(
    load: &Load,
    begun: Instant,
    flood_from: Instant,
    until: Instant,
    told: &Sender<Outcome>,
) -> Result<(), String> {
    for number in 0..load.phones {
        let phase = PERIOD.mul_f64(f64::from(number) / f64::from(load.phones));
        let told = told.clone();
        // Half of them are registered before the flood.
        if number % 2 == 0 {
            let mut phone = Phone::open(number, "known")?;
            let turn = move || phone.register(Asker::KnownPhone);
            spawn(move || take_turns(begun + phase, until, turn, &told));
        } else {
            let mut opened = 0;
            let turn = move || {
                opened += 1;
                let phone = Phone::open(number, &format!("new{opened}"));
                phone.map_or(Vec::new(), |mut phone| phone.register(Asker::NewPhone))
            };
            spawn(move || take_turns(flood_from + phase, until, turn, &told));
        }
    }
    for number in 0..load.lines {
        let phase = PERIOD.mul_f64(f64::from(number) / f64::from(load.lines));
        let told = told.clone();
        let port = if number == 0 { TRUNK_PORT } else { 0 };
        let mut line = Line { peer: Peer::open(TRUNK.into(), port)?, number, calls: 0 };
        let turn = move || line.call();
        spawn(move || take_turns(begun + phase, until, turn, &told));
    }
    Ok(())
}

/// One turn after the other, never two at once: a turn that takes long moves the next.
fn take_turns(
    first: Instant,
    until: Instant,
    mut turn: impl FnMut() -> Vec<Outcome>,
    told: &Sender<Outcome>,
) {
    let mut due = first;
    while due < until {
        sleep(due.saturating_duration_since(Instant::now()));
        for outcome in turn() {
            let _ = told.send(outcome);
        }
        due = (due + PERIOD).max(Instant::now());
    }
}

/// A socket that asks the gateway.
struct Peer {
    client: SipClient,
    repeats: u32,
}

impl Peer {
    fn open(from: IpAddr, port: u16) -> Result<Self, String> {
        let open = || {
            let socket = UdpSocket::bind((from, port))?;
            socket.connect(SIP)?;
            Ok(socket)
        };
        let socket = open().map_err(|why: std::io::Error| format!("{from}: {why}"))?;
        Ok(Self { client: SipClient::Udp(socket), repeats: 0 })
    }

    /// Sends a request, again and again until something comes, and returns its final answer
    /// (RFC 3261 §17.1.1.2 and §17.1.2.2).
    fn ask(&mut self, request: &str, branch: &str) -> Option<String> {
        let is_invite = request.starts_with("INVITE");
        let begun = Instant::now();
        let mut pause = T1;
        let mut again = Some(begun + pause);
        let _ = self.client.send(request.as_bytes());
        loop {
            let now = Instant::now();
            if now >= begun + PATIENCE {
                return None;
            }
            if again.is_some_and(|again| again <= now) {
                let _ = self.client.send(request.as_bytes());
                self.repeats += 1;
                pause = if is_invite { pause * 2 } else { T2.min(pause * 2) };
                again = Some(now + pause);
            }
            let until = again.map_or(begun + PATIENCE, |again| again.min(begun + PATIENCE));
            // A socket takes no time-out of zero.
            let wait = until.saturating_duration_since(now).max(Duration::from_millis(1));
            let answer = String::from_utf8_lossy(&self.client.receive(wait)).into_owned();
            let is_ours = header(&answer, "Via").is_some_and(|via| via.contains(branch));
            match status(answer.as_bytes()).filter(|_| is_ours) {
                Some(200..) => return Some(answer),
                Some(_) if is_invite => again = None,
                Some(_) => pause = T2,
                None => {}
            }
        }
    }
}

/// One phone on one socket.
struct Phone {
    peer: Peer,
    user: String,
    call_id: String,
    cseq: u32,
}

impl Phone {
    fn open(number: u32, name: &str) -> Result<Self, String> {
        let peer = Peer::open(PHONES.into(), 0)?;
        let call_id = format!("{name}-{number}");
        Ok(Self { peer, user: user(number), call_id, cseq: 0 })
    }

    /// Registers: without credentials, and then with them.
    fn register(&mut self, asker: Asker) -> Vec<Outcome> {
        let begun = Instant::now();
        self.peer.repeats = 0;
        let mut challenges = 0;
        let mut credentials = String::new();
        let end = loop {
            let Some(answer) = self.ask(&credentials) else { break End::Silent };
            let code = status(answer.as_bytes()).unwrap_or(0);
            match code {
                200 => break End::Right,
                503 => break End::Shed,
                401 if challenges < MOST_CHALLENGES => challenges += 1,
                _ => break End::Wrong(code),
            }
            let uri = format!("sip:{DOMAIN}");
            match authorize(&answer, &self.user, PASSWORD, "REGISTER", &uri) {
                Some(line) => credentials = line,
                None => break End::Wrong(code),
            }
        };
        let (repeats, took) = (self.peer.repeats, begun.elapsed());
        let extra_challenges = challenges.saturating_sub(1);
        vec![Outcome { asker, begun, end, repeats, extra_challenges, took }]
    }

    fn ask(&mut self, credentials: &str) -> Option<String> {
        self.cseq += 1;
        let address = format!("<sip:{}@{DOMAIN}>", self.user);
        let ids = Ids {
            local: self.peer.client.local(),
            from: &format!("{address};tag={}", self.call_id),
            to: &address,
            call_id: &self.call_id,
            cseq: self.cseq,
        };
        let lines = format!("Expires: 120\r\n{credentials}");
        let request = ids.request("REGISTER", &format!("sip:{DOMAIN}"), &lines, "");
        let branch = ids.branch("REGISTER");
        self.peer.ask(&request, &branch)
    }
}

/// One line of the trunk: one call at a time.
struct Line {
    peer: Peer,
    number: u32,
    calls: u32,
}

impl Line {
    /// Calls the echo, or a number without an account, in turns.
    fn call(&mut self) -> Vec<Outcome> {
        self.calls += 1;
        let (to, right) = if self.calls.is_multiple_of(2) { (NOBODY, 404) } else { (ECHO, 200) };
        let uri = format!("sip:{to}@{SIP}");
        let call_id = format!("trunk-{}-{}", self.number, self.calls);
        let local = self.peer.client.local();
        let from = format!("<sip:+4512345678@{TRUNK}>;tag={call_id}");
        let invite =
            Ids { local, from: &from, to: &format!("<{uri}>"), call_id: &call_id, cseq: 1 };
        let lines = "Content-Type: application/sdp\r\n";
        let request = invite.request("INVITE", &uri, lines, &sdp());
        let (answer, outcome) =
            self.outcome(Asker::TrunkInvite, &request, &invite.branch("INVITE"), right);
        let mut outcomes = vec![outcome];
        let Some(answer) = answer else { return outcomes };
        let contact = header(&answer, "Contact").unwrap_or_default();
        let target = contact.trim_start_matches('<').split('>').next().unwrap_or_default();
        let is_taken = status(answer.as_bytes()) == Some(200);
        ack(&mut self.peer.client, &answer, if is_taken { target } else { &uri });
        if is_taken {
            let to = header(&answer, "To").unwrap_or_default();
            let bye = Ids { to, cseq: 2, ..invite };
            let request = bye.request("BYE", target, "", "");
            outcomes.push(self.outcome(Asker::TrunkBye, &request, &bye.branch("BYE"), 200).1);
        }
        outcomes
    }

    /// Asks, and says what became of it.
    fn outcome(
        &mut self,
        asker: Asker,
        request: &str,
        branch: &str,
        right: u16,
    ) -> (Option<String>, Outcome) {
        let begun = Instant::now();
        self.peer.repeats = 0;
        let answer = self.peer.ask(request, branch);
        let end = match answer.as_ref().map(|answer| status(answer.as_bytes()).unwrap_or(0)) {
            None => End::Silent,
            Some(code) if code == right => End::Right,
            Some(503) => End::Shed,
            Some(code) => End::Wrong(code),
        };
        let (repeats, took) = (self.peer.repeats, begun.elapsed());
        (answer, Outcome { asker, begun, end, repeats, extra_challenges: 0, took })
    }
}

fn sdp() -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {TRUNK}\r\ns=-\r\nc=IN IP4 {TRUNK}\r\nt=0 0\r\n\
         m=audio 29000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
    )
}
