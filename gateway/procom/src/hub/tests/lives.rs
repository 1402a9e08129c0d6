//! Random lives of sessions, sockets and legs.

use super::*;

/// A client over sockets that lose what is under way.
struct Client {
    world: World,
    socket: SocketId,
    is_up: bool,
    is_welcomed: bool,
    secret: Value,
    log: Vec<String>,
    received: u64,
    got: Vec<String>,
    up: VecDeque<String>,
    down: VecDeque<Value>,
}

#[derive(Clone, Debug)]
enum Step {
    Send,
    Up(usize),
    Down(usize),
    Drop,
    Resume,
}

impl Client {
    fn new() -> Self {
        let mut world = world();
        let welcome = world.sign_in(A);
        Self {
            world,
            socket: A,
            is_up: true,
            is_welcomed: true,
            secret: welcome,
            log: Vec::new(),
            received: 0,
            got: Vec::new(),
            up: VecDeque::new(),
            down: VecDeque::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Send => {
                let text = format!(r#"{{"type":"x{}"}}"#, self.log.len());
                self.log.push(text.clone());
                if self.is_welcomed {
                    self.up.push_back(text);
                }
            }
            Step::Up(count) => {
                for text in self.up.drain(..self.up.len().min(*count)).collect::<Vec<_>>() {
                    self.world.text(self.socket, &text);
                }
                self.listen();
            }
            Step::Down(count) => {
                for frame in self.down.drain(..self.down.len().min(*count)).collect::<Vec<_>>() {
                    self.hear(&frame);
                }
            }
            Step::Drop => {
                if self.is_up {
                    self.world.close(self.socket, Closing::Dropped);
                }
                self.lose();
            }
            // The hub may not have noticed that the old socket is gone.
            Step::Resume => {
                self.lose();
                self.socket = SocketId(self.socket.0 + 1);
                self.is_up = true;
                self.world.open(self.socket);
                self.world.text(self.socket, &resume(&self.secret, self.received));
                self.listen();
            }
        }
    }

    fn lose(&mut self) {
        (self.is_up, self.is_welcomed) = (false, false);
        self.up.clear();
        self.down.clear();
        self.world.said.clear();
    }

    fn listen(&mut self) {
        for (socket, frame) in std::mem::take(&mut self.world.said) {
            if socket == self.socket && self.is_up {
                self.down.push_back(frame);
            }
        }
    }

    fn hear(&mut self, frame: &Value) {
        if frame["type"] == "welcome" {
            let received = frame["received"].as_u64().expect("a number");
            let missing = &self.log[usize::try_from(received).expect("a count")..];
            self.up.extend(missing.iter().cloned());
            self.is_welcomed = true;
            return;
        }
        self.received += 1;
        self.got.push(frame["reason"].as_str().expect("a reason").to_owned());
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Send),
        4 => (1_usize..8).prop_map(Step::Up),
        4 => (1_usize..8).prop_map(Step::Down),
        1 => Just(Step::Drop),
        2 => Just(Step::Resume),
    ]
}

proptest! {
    /// Each frame of the client is answered by an error that names it, so the answers tell of both
    /// directions.
    #[test]
    fn over_any_drops_and_resumes_each_object_is_delivered_once_and_in_order(
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut client = Client::new();
        for step in &steps {
            client.step(step);
        }
        for step in [Step::Resume, Step::Down(2000), Step::Up(2000), Step::Down(2000)] {
            client.step(&step);
        }
        let expected: Vec<String> =
            (0..client.log.len()).map(|at| format!("The type x{at} is not known.")).collect();
        prop_assert_eq!(client.got, expected);
    }

    #[test]
    fn no_text_of_a_stranger_panics(texts in prop::collection::vec("\\PC{0,60}", 0..20)) {
        let mut world = world();
        world.open(A);
        world.sign_in(B);
        for text in texts {
            world.text(A, &text);
            world.text(B, &text);
        }
    }
}

/// Something that may happen to a session of alice's, or to one of its legs.
#[derive(Clone, Debug)]
enum Fate {
    SignIn,
    Call,
    Dial,
    Busy,
    Say(&'static str),
    Command(LegCommand),
    Drop,
    Close,
    Resume,
    Garbage,
    Pass(u64),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        2 => Just(Fate::SignIn),
        4 => Just(Fate::Call),
        4 => Just(Fate::Dial),
        1 => Just(Fate::Busy),
        6 => prop::sample::select(vec!["ringing", "answer", "offer", "hold", "end", "error"])
            .prop_map(Fate::Say),
        4 => prop::sample::select(vec![
            LegCommand::Ring,
            LegCommand::Progress(answer()),
            LegCommand::Answer(None),
            LegCommand::Reoffer(Offer(answer().0)),
            LegCommand::End(Cause::Normal, None),
        ])
        .prop_map(Fate::Command),
        1 => Just(Fate::Drop),
        1 => Just(Fate::Close),
        2 => Just(Fate::Resume),
        1 => Just(Fate::Garbage),
        2 => (1_u64..40).prop_map(Fate::Pass),
    ]
}

/// What became of the legs the switchboard knows.
#[derive(Default)]
struct Ledger {
    ended_of_leg: BTreeMap<LegId, bool>,
}

impl Ledger {
    fn note(&mut self, rest: &[Output]) {
        for output in rest {
            match output {
                Output::Incoming(incoming) => {
                    assert_eq!(self.ended_of_leg.insert(incoming.leg, false), None);
                }
                Output::Leg(leg, event) => {
                    let ended = self.ended_of_leg.get_mut(leg).expect("a leg that is known");
                    assert!(!*ended, "nothing follows the end of {leg:?}: {event:?}");
                    *ended = matches!(event, LegEvent::Ended(..));
                }
                _ => {}
            }
        }
    }
}

proptest! {
    #[test]
    fn every_leg_of_every_session_ends_exactly_once(
        fates in prop::collection::vec((fate(), any::<prop::sample::Index>()), 0..120),
    ) {
        let mut world = world();
        let mut ledger = Ledger::default();
        let (mut sockets, mut welcomes, mut next) = (Vec::new(), Vec::new(), 1_u64);
        for (fate, which) in fates {
            next += 1;
            let socket = if sockets.is_empty() { SocketId(0) } else { *which.get(&sockets) };
            let legs: Vec<LegId> = ledger.ended_of_leg.keys().copied().collect();
            match fate {
                Fate::SignIn => {
                    world.open(SocketId(next));
                    world.text(SocketId(next), &hello());
                    let verified = Verified { account: "alice".into(), display: None };
                    world.verdict(SocketId(next), Verdict::Right(verified));
                    sockets.push(SocketId(next));
                }
                Fate::Call => world.text(socket, &call(&format!("c{}", next % 40), "112")),
                Fate::Dial => {
                    let contacts: Vec<String> = world.hub.id_of_contact.keys().cloned().collect();
                    if !contacts.is_empty() {
                        let leg = LegId(1_000_000_000 + next);
                        ledger.ended_of_leg.insert(leg, false);
                        let contact: &String = which.get(&contacts);
                        let command = LegCommand::Dial(dial(contact));
                        world.command(Command::Leg(leg, command));
                    }
                }
                Fate::Busy => {
                    world.text(socket, &call(&format!("busy{next}"), "112"));
                    let is_new = |output: &Output| matches!(output, Output::Incoming(_));
                    let at = world.rest.iter().position(is_new);
                    if let Some(Output::Incoming(incoming)) = at.map(|at| world.rest.remove(at)) {
                        world.hub.handle_busy(incoming.leg);
                        world.drain();
                    }
                }
                Fate::Say(kind) => {
                    for call in (0..40).map(|at| format!("c{at}"))
                        .chain((1..6).map(|at| format!("g{at}")))
                    {
                        let frame = json!({"type": kind, "call": call, "sdp": SDP, "code": "x"});
                        world.text(socket, &frame.to_string());
                    }
                }
                Fate::Command(command) => {
                    if !legs.is_empty() {
                        world.command(Command::Leg(*which.get(&legs), command));
                    }
                }
                Fate::Drop => world.close(socket, Closing::Dropped),
                Fate::Close => world.close(socket, Closing::Clean),
                Fate::Resume => {
                    if !welcomes.is_empty() {
                        world.open(SocketId(next));
                        let count = world.said.len() as u64 % 3;
                        world.text(SocketId(next), &resume(which.get(&welcomes), count));
                        sockets.push(SocketId(next));
                    }
                }
                Fate::Garbage => (0..15).for_each(|_| world.text(socket, "{")),
                Fate::Pass(seconds) => world.pass(seconds),
            }
            welcomes.extend(
                world.said.drain(..).map(|(_, frame)| frame)
                    .filter(|frame| frame["type"] == "welcome"),
            );
            ledger.note(&std::mem::take(&mut world.rest));
        }
        world.hub.handle_shutdown();
        world.drain();
        ledger.note(&std::mem::take(&mut world.rest));
        prop_assert!(ledger.ended_of_leg.values().all(|ended| *ended));
        prop_assert!(world.hub.session_of_id.is_empty() && world.hub.id_of_leg.is_empty());
        prop_assert!(world.hub.id_of_secret.is_empty() && world.hub.id_of_contact.is_empty());
        prop_assert!(world.hub.ids_of_who.is_empty() && world.hub.socket_of_id.is_empty());
    }
}
