//! The shell: sockets, clock and channels around the [`Agent`].

#![expect(clippy::disallowed_methods, reason = "a shell: it reads the clock")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gateway_adapter::attempts::{Attempts, Memory};
use gateway_adapter::{Adapter, AdapterFailed, Edge, Event, Query, Resolver, Running};
use gateway_core::Scheme;
use gateway_core::reachable::Reachable;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};

use crate::agent::{Agent, Began, Life};
use crate::config::{Config, SipAccount};
use crate::line::{Asker, Output};
use crate::stack::Counters;
use crate::stack::flow::Target;
use crate::stack::transport::{Arrival, Settings, Transports};

/// Messages handled in one go before commands get their turn.
const BATCH: usize = 64;

/// How old a message may be by its sender's word, in milliseconds: a phone keeps what it could not
/// send for a week.
const OLDEST_MS: i64 = 7 * 86_400_000;

/// What the hashes of names and networks are made for.
const SCOPE: &str = "sip";

type Found = (Asker, Result<Vec<Target>, String>);

/// The SIP network.
pub struct SipAdapter {
    config: Config,
    accounts: Vec<SipAccount>,
    memory: Memory,
    transports: Transports,
}

impl SipAdapter {
    /// Takes its configuration, the phones of all accounts and the memory of who has signed in from
    /// where before, and binds its sockets; it serves from when it runs. `reach` says what the
    /// configuration allows, and knows the gateway's other listeners. Needs a tokio runtime around
    /// it.
    ///
    /// # Errors
    /// The configuration cannot be used, or a socket, certificate or key cannot be had.
    pub fn bind(
        config: Config,
        accounts: Vec<SipAccount>,
        memory: Memory,
        reach: Reachable,
    ) -> Result<Self, AdapterFailed> {
        config.check().map_err(|why| AdapterFailed::new("configure sip", why))?;
        let transports = Transports::bind(Settings { reach, ..config.settings() })
            .map_err(|error| AdapterFailed::new("bind the sip sockets", error))?;
        Ok(Self { config, accounts, memory, transports })
    }
}

impl Adapter for SipAdapter {
    fn name(&self) -> &'static str {
        "sip"
    }

    fn schemes(&self) -> &'static [Scheme] {
        &[Scheme::Sip, Scheme::Sips, Scheme::Tel]
    }

    fn run(self: Box<Self>, edge: Edge) -> Running {
        Box::pin(async move { Shell::start(*self, edge)?.run().await })
    }
}

struct Shell {
    agent: Agent,
    transports: Transports,
    edge: Edge,
    found: mpsc::Receiver<Found>,
    find: mpsc::Sender<Found>,
    counted: Counters,
}

impl Shell {
    fn start(adapter: SipAdapter, edge: Edge) -> Result<Self, AdapterFailed> {
        let SipAdapter { config, accounts, memory, transports } = adapter;
        let mut seed = [0; 32];
        SystemRandom::new()
            .fill(&mut seed)
            .map_err(|_| AdapterFailed::new("read random numbers", "the system has none"))?;
        let advertised = transports.advertised().clone();
        let began = Began { at: Instant::now(), ms: wall_ms() };
        let unix_s = u64::try_from(began.ms / 1000).unwrap_or(0);
        let attempts = Attempts::new(&memory, SCOPE, began.at, unix_s);
        let life = Life { began, seed, attempts };
        let agent = Agent::new(&config, &accounts, advertised, life);
        let (find, found) = mpsc::channel(64);
        for (transport, address) in transports.listening() {
            tracing::info!(?transport, %address, "sip listens");
        }
        let counted = Counters::default();
        Ok(Self { agent, transports, edge, found, find, counted })
    }

    async fn run(mut self) -> Result<(), AdapterFailed> {
        self.agent.handle_timeout(Instant::now());
        loop {
            self.pump();
            self.count();
            let deadline = self.agent.poll_timeout().map(Into::into);
            tokio::select! {
                command = self.edge.next() => match command {
                    Some(command) => self.agent.handle_command(command, Instant::now()),
                    None => break,
                },
                arrival = self.transports.next() => self.take_batch(arrival),
                Some((asker, found)) = self.found.recv() => {
                    self.agent.handle_targets(&asker, found, Instant::now());
                }
                () = sleep_until(deadline.unwrap_or_else(far_away)) => {
                    self.agent.handle_timeout(Instant::now());
                }
            }
        }
        self.say_farewell().await;
        Ok(())
    }

    /// Ends what lives and gives the wire a moment to hear of it.
    async fn say_farewell(&mut self) {
        self.agent.stop(Instant::now());
        self.pump();
        let until_quiet = async {
            while !self.agent.is_quiet() {
                let deadline = self.agent.poll_timeout().map(Into::into);
                tokio::select! {
                    arrival = self.transports.next() => self.take_batch(arrival),
                    () = sleep_until(deadline.unwrap_or_else(far_away)) => {
                        self.agent.handle_timeout(Instant::now());
                    }
                }
                self.pump();
            }
        };
        // Whoever does not answer in time is left to find out.
        let _ = timeout(Agent::FAREWELL, until_quiet).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    fn take_batch(&mut self, first: Arrival) {
        self.take(first);
        for _ in 1..BATCH {
            match self.transports.try_next() {
                Some(arrival) => self.take(arrival),
                None => break,
            }
        }
    }

    fn take(&mut self, arrival: Arrival) {
        let now = Instant::now();
        match arrival {
            Arrival::Message(flow, bytes) => {
                let edge = &self.edge;
                self.agent.handle_message(flow, bytes, || edge.next_leg(), now);
            }
            Arrival::Broken(flow, bytes) => self.agent.handle_broken(flow, &bytes, now),
            Arrival::Closed(link) => self.agent.handle_closed(link, now),
            Arrival::Unsent(id) => self.agent.handle_unsent(id, now),
        }
    }

    /// Counts the faults of peers since the last time.
    fn count(&mut self) {
        let (now, before) = (self.agent.counters(), self.counted);
        let kinds = [
            ("malformed", now.malformed - before.malformed),
            ("refused-by-policy", now.refused_by_policy - before.refused_by_policy),
            ("shed", now.shed - before.shed),
            ("unanswered", now.unanswered - before.unanswered),
            ("stray-response", now.stray_responses - before.stray_responses),
            ("stray-ack", now.stray_acks - before.stray_acks),
            ("timeout", now.timeouts - before.timeouts),
            ("unreachable", now.unreachable - before.unreachable),
        ];
        for (kind, count) in kinds {
            for _ in 0..count {
                self.edge.recorder().fault(kind);
            }
        }
        self.counted = now;
    }

    /// Carries out everything the agent wants.
    fn pump(&mut self) {
        loop {
            while let Some(transmit) = self.agent.poll_transmit() {
                self.transports.send(transmit);
            }
            let Some(output) = self.agent.poll_output() else { return };
            match output {
                Output::Event(event) => self.edge.report(event),
                Output::Incoming(incoming) => {
                    let leg = incoming.leg;
                    if self.edge.try_report(Event::Incoming(incoming)).is_err() {
                        self.edge.recorder().fault("switchboard-busy");
                        self.agent.refuse(leg, Instant::now());
                    }
                }
                Output::Message(intake, mut event) => {
                    date(&mut event);
                    let has_room = self.edge.try_report(*event).is_ok();
                    if !has_room {
                        self.edge.recorder().fault("switchboard-busy");
                    }
                    self.agent.handle_offered(intake, has_room, Instant::now());
                }
                Output::Resolve(asker, query) => {
                    let resolver = self.edge.resolver().clone();
                    tokio::spawn(resolve(resolver, asker, query, self.find.clone()));
                }
            }
        }
    }
}

async fn resolve(resolver: Resolver, asker: Asker, query: Query, find: mpsc::Sender<Found>) {
    let found = resolver.resolve(query).await;
    let targets = found.map(|targets| targets.into_iter().map(Into::into).collect());
    // Without a shell nobody waits for the answer.
    let _ = find.send((asker, targets)).await;
}

/// Gives a message our time, where its sender says none or one that cannot be.
fn date(event: &mut Event) {
    let Event::Received(received) = event else { return };
    let now_ms = wall_ms();
    let at_ms = &mut received.message.at_ms;
    if !(now_ms - OLDEST_MS..=now_ms).contains(at_ms) {
        *at_ms = now_ms;
    }
}

/// Milliseconds since 1970.
fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A deadline for when there is none.
fn far_away() -> tokio::time::Instant {
    tokio::time::Instant::now() + Duration::from_secs(86_400)
}
