#![expect(clippy::disallowed_methods, reason = "a shell: it tells the machines what time it is")]
//! The one public type: the shell that feeds the [`Hub`] and carries out what it says.
//!
//! ```text
//! sockets --FromSocket--> run --handle_*--> Hub --poll_output--> run --ToSocket--> sockets
//!                          ^ |                                    |
//!               Command ---+ +--- passwords, on other threads     +--> Event
//! ```

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use gateway_adapter::attempts::{Attempts, Memory};
use gateway_adapter::{Adapter, AdapterFailed, Draft, Edge, Event, LinkState, Prospect, Running};
use gateway_core::media::Profile;
use gateway_core::{LegId, Scheme};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

use crate::accounts::Accounts;
use crate::config::ProcomConfig;
use crate::fresh::Fresh;
use crate::hub::{Closing, Hub, Now, Output, Setup, Turn, Verdict};
use crate::secret::Secret;
use crate::server::{self, Context, FromSocket, Pace, Policy, ToSocket};
use crate::session::{SessionId, SocketId, TRUNK};
use crate::tls::Shown;
use crate::token::Tokens;
use crate::verifier::Verifier;

/// How many frames of all sockets may wait for the adapter.
const INBOX_FRAMES: usize = 256;

/// The edge Procom clients connect to.
pub struct ProcomAdapter {
    listener: TcpListener,
    address: SocketAddr,
    certificate: Option<Shown>,
    config: ProcomConfig,
    accounts: Arc<Accounts>,
    tokens: Tokens,
    networks: Vec<String>,
    memory: Memory,
    pub(crate) pace: Pace,
}

/// Where the edge listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Address and port.
    pub address: SocketAddr,
    /// SHA-256 of the certificate, in hexadecimal pairs with colons; none without TLS.
    pub fingerprint: Option<String>,
}

impl ProcomAdapter {
    /// Listens, and reads or makes the certificate; nobody is served before it runs. `state` is
    /// where a certificate made here is kept; `memory` is who has signed in from where before.
    ///
    /// # Errors
    /// The configuration cannot be, the address is taken, or a file cannot be read or written.
    pub fn bind(
        config: ProcomConfig,
        accounts: Accounts,
        tokens: Tokens,
        state: &Path,
        memory: Memory,
    ) -> Result<(Self, Bound), AdapterFailed> {
        config.check().map_err(|why| AdapterFailed::new("use the section [procom]", why))?;
        let certificate = match config.plain {
            true => None,
            false => Some(Shown::load(&config, state, Instant::now())?),
        };
        let what = || format!("bind procom {}", config.listen);
        let listener =
            TcpListener::bind(config.listen).map_err(|why| AdapterFailed::new(what(), why))?;
        listener.set_nonblocking(true).map_err(|why| AdapterFailed::new(what(), why))?;
        let address = listener.local_addr().map_err(|why| AdapterFailed::new(what(), why))?;
        let fingerprint = certificate.as_ref().map(|shown| shown.fingerprint().to_owned());
        let adapter = Self {
            listener,
            address,
            certificate,
            config,
            accounts: Arc::new(accounts),
            tokens,
            networks: vec![TRUNK.to_owned()],
            memory,
            pace: Pace::default(),
        };
        Ok((adapter, Bound { address, fingerprint }))
    }

    /// Tells clients which networks the gateway reaches, like `sip`.
    #[must_use]
    pub fn with_networks(mut self, networks: Vec<String>) -> Self {
        self.networks = networks;
        self
    }
}

impl Adapter for ProcomAdapter {
    fn name(&self) -> &'static str {
        TRUNK
    }

    fn schemes(&self) -> &'static [Scheme] {
        &[Scheme::Procom]
    }

    fn run(self: Box<Self>, edge: Edge) -> Running {
        Box::pin(run(*self, edge))
    }
}

async fn run(adapter: ProcomAdapter, edge: Edge) -> Result<(), AdapterFailed> {
    let listener = tokio::net::TcpListener::from_std(adapter.listener)
        .map_err(|why| AdapterFailed::new("listen for procom", why))?;
    let (to_hub, mut from_sockets) = mpsc::channel(INBOX_FRAMES);
    let (stop, stopped) = oneshot::channel();
    let certificate = adapter.certificate.map(Arc::new);
    let context = Context {
        policy: Arc::new(Policy {
            is_tls: certificate.is_some(),
            is_loopback: adapter.address.ip().to_canonical().is_loopback(),
            is_strict_transport: certificate.as_ref().is_some_and(|shown| shown.is_configured()),
            origins: adapter.config.origins.clone(),
        }),
        pace: adapter.pace,
        limits: Arc::new(adapter.config.limits.clone()),
        to_hub,
        tls: certificate,
    };
    let mut server = JoinSet::new();
    server.spawn(server::serve(listener, context, stopped));
    let resume = adapter.config.resume();
    let hub = hub(adapter.config, adapter.networks, adapter.tokens, &adapter.memory);
    let mut shell = Shell::new(hub, edge, Verifier::start(adapter.accounts)?);
    tracing::info!(address = %adapter.address, "procom clients are served");
    shell.edge.report(Event::Link(TRUNK.into(), LinkState::Up(vec![Profile::webrtc(resume)])));
    loop {
        shell.carry_out();
        let due = shell.hub.poll_timeout();
        tokio::select! {
            command = shell.edge.next() => match command {
                Some(command) => shell.hub.handle_command(command, now()),
                None => break,
            },
            Some(message) = from_sockets.recv() => shell.handle_socket(message),
            Some((socket, verdict)) = shell.verifier.next() => {
                shell.hub.handle_verdict(socket, verdict, now(), &mut System(&shell.edge));
            }
            Some((session, asked, outcome)) = shell.explained.recv() => {
                shell.hub.handle_explained(session, asked, outcome);
            }
            () = sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => {
                shell.hub.handle_timeout(now());
            }
            Some(_) = server.join_next() => {
                return Err(AdapterFailed::new("accept procom clients", "the listener has ended"));
            }
        }
    }
    shell.hub.handle_shutdown();
    shell.carry_out();
    // Sockets may still have something to say; nobody listens, but nobody must wait either.
    drop(stop);
    let farewell = async { while server.join_next().await.is_some() {} };
    let deaf = async { while from_sockets.recv().await.is_some() {} };
    let _ = timeout(server::FAREWELL, async { tokio::join!(farewell, deaf) }).await;
    Ok(())
}

fn hub(config: ProcomConfig, networks: Vec<String>, tokens: Tokens, memory: &Memory) -> Hub {
    let resume = config.resume();
    let setup = Setup {
        limits: config.limits,
        resume,
        ice_servers: config.ice_servers,
        networks,
        tokens,
        first_intake: first_intake(),
    };
    let start = now();
    Hub::new(setup, Attempts::new(memory, TRUNK, start.at, start.unix_s()))
}

fn now() -> Now {
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Now { at: Instant::now(), unix_ms: unix.map_or(0, milliseconds) }
}

fn milliseconds(since: Duration) -> u64 {
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Half of all numbers are left to count on.
fn first_intake() -> u64 {
    let mut bytes = [0; 8];
    SystemRandom::new().fill(&mut bytes).expect("the system has random numbers");
    u64::from_be_bytes(bytes) >> 1
}

/// Random bytes of the system, and leg ids of the edge.
struct System<'a>(&'a Edge);

impl Fresh for System<'_> {
    fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).expect("the system has random numbers");
        bytes
    }

    fn leg(&mut self) -> LegId {
        self.0.next_leg()
    }
}

struct Shell {
    hub: Hub,
    edge: Edge,
    socket_of_id: BTreeMap<SocketId, mpsc::Sender<ToSocket>>,
    verifier: Verifier,
    explain: mpsc::Sender<Explained>,
    explained: mpsc::Receiver<Explained>,
}

/// For whom, under which id of the client's, and what the gateway says.
type Explained = (SessionId, String, Result<Prospect, String>);

impl Shell {
    fn new(hub: Hub, edge: Edge, verifier: Verifier) -> Self {
        let (explain, explained) = mpsc::channel(INBOX_FRAMES);
        let socket_of_id = BTreeMap::new();
        Self { hub, edge, socket_of_id, verifier, explain, explained }
    }

    fn handle_socket(&mut self, message: FromSocket) {
        let now = now();
        match message {
            FromSocket::Opened(socket, peer, sender) => {
                self.socket_of_id.insert(socket, sender);
                self.hub.handle_opened(socket, peer, now);
            }
            FromSocket::Text(socket, text) => {
                self.hub.handle_text(socket, text, now, &mut System(&self.edge));
            }
            FromSocket::Garbage(socket, reason) => self.hub.handle_garbage(socket, reason, now),
            FromSocket::Closed(socket, closing) => {
                self.socket_of_id.remove(&socket);
                self.hub.handle_closed(socket, closing, now);
            }
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.hub.poll_output() {
            match output {
                Output::Send(socket, text) => self.send(socket, ToSocket::Text(text)),
                Output::Close(socket, code, reason) => {
                    self.send(socket, ToSocket::Close(code, reason));
                    self.socket_of_id.remove(&socket);
                }
                Output::Verify(socket, user, password, turn) => {
                    self.verify(socket, user, password, turn);
                }
                Output::Incoming(incoming) => {
                    let leg = incoming.leg;
                    if self.edge.try_report(Event::Incoming(incoming)).is_err() {
                        self.hub.handle_busy(leg);
                    }
                }
                Output::Leg(leg, event) => self.edge.report(Event::Leg(leg, event)),
                Output::Located(account, locations) => {
                    self.edge.report(Event::Located(account, locations));
                }
                Output::Woken(guest) => self.edge.report(Event::Woken(TRUNK.into(), guest)),
                Output::Received(received) => {
                    let intake = received.intake;
                    if self.edge.try_report(Event::Received(received)).is_err() {
                        self.hub.handle_no_room(intake);
                    }
                }
                Output::Confirmed(said) => self.edge.report(Event::Confirmed(said)),
                Output::Returned(returned) => self.edge.report(Event::Returned(returned)),
                Output::Had(device, message) => self.edge.report(Event::Had(device, message)),
                // It is worth nothing later, so it does not wait.
                Output::Composing(composing) => {
                    let _ = self.edge.try_report(Event::Composing(composing));
                }
                Output::Sent(delivery, handover) => {
                    self.edge.report(Event::Sent(delivery, handover));
                }
                Output::Explain(session, asked, draft) => self.explain(session, asked, *draft),
                Output::Acquainted(learned) => self.edge.report(Event::Acquainted(learned)),
                Output::Released(key) => self.edge.report(Event::Released(key)),
                Output::Fault(kind) => {
                    tracing::debug!(kind, "a client is at fault");
                    self.edge.recorder().fault(kind);
                }
            }
        }
    }

    /// Sessions are limited in how often they ask, so these tasks are few.
    fn explain(&self, session: SessionId, asked: String, draft: Draft) {
        let (resolver, explain) = (self.edge.resolver().clone(), self.explain.clone());
        tokio::spawn(async move {
            let outcome = resolver.explain(draft).await;
            // Without a shell nobody waits for the answer.
            let _ = explain.send((session, asked, outcome)).await;
        });
    }

    /// Never waits: a socket that does not keep up is dropped, and its session waits for another.
    fn send(&mut self, socket: SocketId, message: ToSocket) {
        let Some(sender) = self.socket_of_id.get(&socket) else {
            return;
        };
        if sender.try_send(message).is_err() {
            self.edge.recorder().fault("slow-reader");
            self.socket_of_id.remove(&socket);
            self.hub.handle_closed(socket, Closing::Dropped, now());
        }
    }

    fn verify(&mut self, socket: SocketId, user: String, password: Secret, turn: Turn) {
        if !self.verifier.ask(socket, user, password, turn) {
            self.hub.handle_verdict(socket, Verdict::Overload, now(), &mut System(&self.edge));
        }
    }
}
