//! Our transactions against those of the parser's crate: the same random life must send the same
//! messages at the same times and tell its user the same.
//!
//! Three differences are meant: what comes after a final response and is no repetition of it is not
//! acknowledged again (RFC 3261 §17.1.1.2 speaks of retransmissions); we answer an INVITE with 100 at once, not after 200 ms, and we give
//! up non-INVITE requests that our own side never answers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use sipx_sip::transaction as theirs;

use super::*;
use crate::stack::wire::{Request, Response};
use crate::testing::{invite, request, start};

/// What can be seen from outside, with its time in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    Sent(u64, String),
    Told(u64, &'static str),
}

#[derive(Debug, Clone, Copy)]
enum Input {
    Wait(u64),
    Again,
    Ack,
    Status(u16),
}

fn input(can_ack: bool) -> impl Strategy<Value = Input> {
    let statuses =
        prop::sample::select(vec![180u16, 183, 200, 200, 302, 486, 603]).prop_map(Input::Status);
    let ack = if can_ack { Input::Ack } else { Input::Again };
    prop_oneof![3 => (1u64..9_000).prop_map(Input::Wait), 3 => statuses, 1 => Just(Input::Again), 1 => Just(ack)]
}

fn start_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.lines().next().unwrap_or_default().to_owned()
}

/// A clock with the timers of one of their machines.
struct Oracle {
    timers: BTreeMap<(u64, usize), theirs::Timer>,
    seen: Vec<Seen>,
    now: u64,
    is_over: bool,
}

impl Oracle {
    fn new() -> Self {
        Self { timers: BTreeMap::new(), seen: Vec::new(), now: 0, is_over: false }
    }

    fn take(&mut self, outputs: Vec<theirs::Output>) {
        for output in outputs {
            match output {
                theirs::Output::Send(message) => {
                    self.seen.push(Seen::Sent(self.now, start_line(&message.to_bytes())));
                }
                theirs::Output::SetTimer { timer, after } => {
                    self.timers.retain(|_, kept| *kept != timer);
                    let at = self.now + u64::try_from(after.as_millis()).unwrap();
                    self.timers.insert((at, timer as usize), timer);
                }
                theirs::Output::ClearTimer(timer) => self.timers.retain(|_, kept| *kept != timer),
                theirs::Output::ToTu(event) => match *event {
                    theirs::TuEvent::Response(_) => self.seen.push(Seen::Told(self.now, "pass")),
                    theirs::TuEvent::Ack(_) => self.seen.push(Seen::Told(self.now, "pass")),
                    theirs::TuEvent::Timeout => self.seen.push(Seen::Told(self.now, "timeout")),
                    theirs::TuEvent::Request(_) | theirs::TuEvent::TransportError | _ => {}
                },
                theirs::Output::Terminated(_) => {
                    self.is_over = true;
                    self.timers.clear();
                }
                _ => {}
            }
        }
    }

    fn pass_time(
        &mut self,
        until: u64,
        mut fire: impl FnMut(theirs::Timer) -> Vec<theirs::Output>,
    ) {
        while let Some(((at, _), timer)) = self.timers.pop_first() {
            if at > until {
                self.timers.insert((at, timer as usize), timer);
                break;
            }
            self.now = at;
            let outputs = fire(timer);
            self.take(outputs);
        }
        self.now = until;
    }
}

/// The same for one of ours.
struct Ours {
    machine: Machine,
    seen: Vec<Seen>,
    begin: Instant,
    now: u64,
}

impl Ours {
    fn at(&self) -> Instant {
        self.begin + Duration::from_millis(self.now)
    }

    fn take(&mut self, step: Step) {
        if let Some(bytes) = step.transmit {
            self.seen.push(Seen::Sent(self.now, start_line(&bytes)));
        }
        match step.report {
            Some(Report::Pass) => self.seen.push(Seen::Told(self.now, "pass")),
            Some(Report::TimedOut) => self.seen.push(Seen::Told(self.now, "timeout")),
            Some(Report::Unreachable) | None => {}
        }
    }

    fn pass_time(&mut self, until: u64) {
        let limit = self.begin + Duration::from_millis(until);
        while let Some(at) = deadline(&self.machine).filter(|at| *at <= limit) {
            self.now = u64::try_from((at - self.begin).as_millis()).unwrap();
            let step = self.machine.handle_timeout(at);
            self.take(step);
        }
        self.now = until;
    }
}

fn deadline(machine: &Machine) -> Option<Instant> {
    match machine {
        Machine::ClientInvite(machine) => machine.poll_timeout(),
        Machine::ClientOther(machine) => machine.poll_timeout(),
        Machine::ServerInvite(machine) => machine.poll_timeout(),
        Machine::ServerOther(machine) => machine.poll_timeout(),
    }
}

fn text(is_invite: bool) -> String {
    let invite = invite("z9hG4bKoracle");
    if is_invite { invite } else { invite.replace("INVITE", "OPTIONS") }
}

fn their_request(request: &Request) -> sipx_sip::Request {
    let parsed = sipx_sip::parse_datagram(request.render(), &sipx_sip::Limits::datagram());
    parsed.unwrap().as_request().unwrap().clone()
}

fn their_response(response: &Response) -> sipx_sip::Response {
    let parsed = sipx_sip::parse_datagram(response.render(), &sipx_sip::Limits::datagram());
    parsed.unwrap().as_response().unwrap().clone()
}

fn reliability(is_reliable: bool) -> theirs::Reliability {
    if is_reliable { theirs::Reliability::Reliable } else { theirs::Reliability::Unreliable }
}

fn sorted(mut seen: Vec<Seen>) -> Vec<Seen> {
    seen.sort();
    seen
}

proptest! {
    #[test]
    fn clients_live_as_the_oracle_does(
        is_invite: bool,
        is_reliable: bool,
        inputs in prop::collection::vec(input(false), 0..12),
    ) {
        let begin = start();
        let sent = request(&text(is_invite));
        let (machine, step) = if is_invite {
            let (machine, step) = ClientInvite::new(sent.render(), is_reliable, Timers::default(), begin);
            (Machine::ClientInvite(machine), step)
        } else {
            let (machine, step) = ClientOther::new(sent.render(), is_reliable, Timers::default(), begin);
            (Machine::ClientOther(machine), step)
        };
        let mut ours = Ours { machine, seen: Vec::new(), begin, now: 0 };
        ours.take(step);
        let (mut their, outputs) = theirs::ClientTransaction::new(
            their_request(&sent), reliability(is_reliable), theirs::Timers::default());
        let mut oracle = Oracle::new();
        oracle.take(outputs);
        let mut last_word = None;
        for input in inputs.into_iter().chain([Input::Wait(70_000)]) {
            match input {
                Input::Wait(ms) => {
                    let until = oracle.now + ms;
                    oracle.pass_time(until, |timer| their.on_timer(timer));
                    ours.pass_time(until);
                }
                Input::Again | Input::Ack => {}
                Input::Status(status) => {
                    let status = last_word.unwrap_or(status);
                    last_word = last_word.or((status >= 200).then_some(status));
                    let mut response = Response::to_request(&sent, status);
                    response.tag_to("b");
                    if !oracle.is_over {
                        let outputs = their.on_response(their_response(&response));
                        oracle.take(outputs);
                        oracle.pass_time(oracle.now, |timer| their.on_timer(timer));
                    }
                    let at = ours.at();
                    let step = match &mut ours.machine {
                        Machine::ClientInvite(machine) => machine.handle_response(&response, at),
                        Machine::ClientOther(machine) => machine.handle_response(&response, at),
                        Machine::ServerInvite(_) | Machine::ServerOther(_) => unreachable!(),
                    };
                    ours.take(step);
                }
            }
        }
        prop_assert_eq!(sorted(ours.seen), sorted(oracle.seen));
    }

    #[test]
    fn servers_live_as_the_oracle_does(
        is_invite: bool,
        is_reliable: bool,
        inputs in prop::collection::vec(input(true), 0..12),
    ) {
        let begin = start();
        let got = request(&text(is_invite));
        let trying = Response::to_request(&got, 100);
        let (mut their, outputs) = theirs::ServerTransaction::new(
            their_request(&got), reliability(is_reliable), theirs::Timers::default());
        let mut oracle = Oracle::new();
        oracle.take(outputs);
        let mut ours = if is_invite {
            let (machine, step) = ServerInvite::new(trying.render(), is_reliable, Timers::default());
            let mut ours = Ours { machine: Machine::ServerInvite(machine), seen: Vec::new(), begin, now: 0 };
            ours.take(step);
            oracle.timers.clear();
            let outputs = their.on_timer(theirs::Timer::Trying100);
            oracle.take(outputs);
            ours
        } else {
            let machine = ServerOther::new(is_reliable, Timers::default(), begin);
            Ours { machine: Machine::ServerOther(machine), seen: Vec::new(), begin, now: 0 }
        };
        let ack = {
            let refusal = Response::to_request(&got, 486);
            got.ack_for(&refusal)
        };
        let mut is_answered = false;
        for input in inputs {
            // Our own give-up of unanswered requests has no match there.
            if !is_invite && !is_answered && ours.now > 20_000 { break; }
            match input {
                Input::Wait(ms) => {
                    let until = oracle.now + ms;
                    oracle.pass_time(until, |timer| their.on_timer(timer));
                    ours.pass_time(until);
                }
                Input::Again | Input::Ack => {
                    let is_ack = matches!(input, Input::Ack) && is_invite;
                    let message = if is_ack { &ack } else { &got };
                    if !oracle.is_over {
                        let outputs = their.on_request(&their_request(message));
                        oracle.take(outputs);
                        oracle.pass_time(oracle.now, |timer| their.on_timer(timer));
                    }
                    let at = ours.at();
                    let step = match &mut ours.machine {
                        Machine::ServerInvite(machine) if is_ack => machine.handle_ack(at),
                        Machine::ServerInvite(machine) => machine.handle_request(),
                        Machine::ServerOther(machine) => machine.handle_request(),
                        Machine::ClientInvite(_) | Machine::ClientOther(_) => unreachable!(),
                    };
                    ours.take(step);
                }
                Input::Status(status) => {
                    let response = Response::to_request(&got, status);
                    is_answered |= status >= 200;
                    if !oracle.is_over {
                        let outputs = their.on_tu_response(their_response(&response));
                        oracle.take(outputs);
                        oracle.pass_time(oracle.now, |timer| their.on_timer(timer));
                    }
                    let (at, bytes) = (ours.at(), response.render());
                    let step = match &mut ours.machine {
                        Machine::ServerInvite(machine) => machine.handle_response(status, bytes, at),
                        Machine::ServerOther(machine) => machine.handle_response(status, bytes, at),
                        Machine::ClientInvite(_) | Machine::ClientOther(_) => unreachable!(),
                    };
                    ours.take(step);
                }
            }
        }
        prop_assert_eq!(sorted(ours.seen), sorted(oracle.seen));
    }
}
