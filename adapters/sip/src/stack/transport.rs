#![expect(clippy::disallowed_methods, reason = "a shell: it looks after its files now and then")]
//! The sockets: UDP, TCP and TLS, IPv4 and IPv6 (RFC 3261 §18). The shell of the stack.
//!
//! Certificates that others renew are read again; running connections keep theirs.
//!
//! One owner, no locks: listeners and connections are tasks that tell the owner of a `Notice`;
//! the owner keeps the table of links and hands on what the stack must see.
//!
//! ```text
//!   UDP sockets --+
//!   listeners ----+--Notice--> Transports --Arrival--> adapter
//!   connections --+   <--queue--    <-------Transmit---
//! ```

mod datagram;
mod settings;
mod stream;
mod tls;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gateway_adapter::Watched;
use gateway_core::reachable::Kind;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;

pub use settings::Settings;

use super::Advertised;
use super::flow::{Flow, LinkId, Target, Transmit, Transport};
use super::transaction::TransactionId;

/// Notices that may wait for the owner; a full queue makes readers wait.
const NOTICES: usize = 1_024;
/// INVITEs by UDP that are remembered for the case that ICMP says that nobody took them.
const INVITES: usize = 512;
/// Messages that may wait for a slow connection before it is given up.
const QUEUE: usize = 256;

/// What the sockets have for the stack.
#[derive(Debug)]
pub enum Arrival {
    /// One whole message.
    Message(Flow, Bytes),
    /// What was there of a message when its stream lost its framing.
    Broken(Flow, Bytes),
    /// A connection is gone.
    Closed(LinkId),
    /// A message of this transaction could not be sent.
    Unsent(TransactionId),
}

/// What tasks tell the owner.
enum Notice {
    Accepted(Transport, TcpStream, SocketAddr),
    Arrived(Arrival),
    Closed {
        link: LinkId,
        unsent: Vec<TransactionId>,
    },
    /// Nobody takes datagrams there.
    Refused(SocketAddr),
}

/// One message in a connection's queue.
struct Queued {
    bytes: Bytes,
    transaction: Option<TransactionId>,
}

struct Connection {
    queue: mpsc::Sender<Queued>,
    target: Target,
    source: IpAddr,
}

/// All sockets of one SIP adapter.
pub struct Transports {
    settings: Settings,
    sockets: BTreeMap<LinkId, Arc<UdpSocket>>,
    connections: HashMap<LinkId, Connection>,
    /// Connections we opened, by where to and as whom.
    link_of_target: HashMap<(Transport, SocketAddr, Option<String>), LinkId>,
    connections_of_source: HashMap<IpAddr, usize>,
    notices: mpsc::Receiver<Notice>,
    notify: mpsc::Sender<Notice>,
    ready: VecDeque<Arrival>,
    /// The latest INVITEs sent by UDP, and whereto.
    invites: VecDeque<(SocketAddr, TransactionId)>,
    tls: tls::Contexts,
    files: Watched,
    advertised: Advertised,
    listening: Vec<(Transport, SocketAddr)>,
    next_link: u64,
}

impl Transports {
    /// Binds every listener and starts to read.
    ///
    /// # Errors
    /// When an address cannot be bound or a certificate cannot be used.
    pub fn bind(settings: Settings) -> io::Result<Self> {
        let (notify, notices) = mpsc::channel(NOTICES);
        let files = settings.files();
        let mut transports = Self {
            files: Watched::new(files, Instant::now()),
            tls: tls::Contexts::load(&settings)?,
            sockets: BTreeMap::new(),
            connections: HashMap::new(),
            link_of_target: HashMap::new(),
            connections_of_source: HashMap::new(),
            notices,
            notify,
            ready: VecDeque::new(),
            invites: VecDeque::new(),
            advertised: Advertised::default(),
            listening: Vec::new(),
            next_link: 0,
            settings,
        };
        for address in transports.settings.udp.clone() {
            transports.bind_udp(address)?;
        }
        for address in transports.settings.tcp.clone() {
            transports.listen(Transport::Tcp, address)?;
        }
        for address in transports.settings.tls.clone() {
            transports.listen(Transport::Tls, address)?;
        }
        transports.learn_reach();
        Ok(transports)
    }

    /// Notes which addresses are ours.
    fn learn_reach(&mut self) {
        let bound = || self.listening.iter().map(|(_, address)| *address);
        let host = bound().map(|address| address.ip()).filter(|ip| !ip.is_unspecified());
        let reach = self.settings.reach.clone().with_listeners(bound());
        let told = self.settings.advertised.iter().copied();
        let reach = reach.with_host(host).with_host(told).with_host(settings::host_addresses());
        self.advertised = std::mem::take(&mut self.advertised).within(reach);
    }

    /// Where others reach us.
    pub fn advertised(&self) -> &Advertised {
        &self.advertised
    }

    /// What was bound, with the ports the system chose.
    pub fn listening(&self) -> &[(Transport, SocketAddr)] {
        &self.listening
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Reads certificates and trust anchors that were written anew. Those that cannot be used are
    /// told of, and the old ones stay.
    fn renew(&mut self) {
        if self.files.has_changed(Instant::now()) {
            match tls::Contexts::load(&self.settings) {
                Ok(contexts) => {
                    tracing::info!("new SIP certificates are used");
                    self.tls = contexts;
                }
                Err(fault) => tracing::error!(%fault, "the old SIP certificates stay"),
            }
        }
    }

    fn bind_udp(&mut self, address: SocketAddr) -> io::Result<()> {
        let socket = Arc::new(datagram::bind(address)?);
        let link = self.new_link();
        self.note_listener(Transport::Udp, socket.local_addr()?);
        tokio::spawn(datagram::read(Arc::clone(&socket), link, self.notify.clone()));
        self.sockets.insert(link, socket);
        Ok(())
    }

    fn listen(&mut self, transport: Transport, address: SocketAddr) -> io::Result<()> {
        let listener = stream::listen(address)?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener.into())?;
        self.note_listener(transport, listener.local_addr()?);
        tokio::spawn(accept(listener, transport, self.notify.clone()));
        Ok(())
    }

    fn note_listener(&mut self, transport: Transport, bound: SocketAddr) {
        self.listening.push((transport, bound));
        let ip = self.settings.reached_at(bound.ip());
        self.advertised.add(transport, SocketAddr::new(ip, bound.port()));
    }

    fn new_link(&mut self) -> LinkId {
        self.next_link += 1;
        LinkId(self.next_link)
    }

    /// Waits for the next arrival. Cancel safe: nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Arrival {
        loop {
            if let Some(arrival) = self.ready.pop_front() {
                return arrival;
            }
            let notice = self.notices.recv().await.expect("the owner itself holds a sender");
            self.take(notice);
        }
    }

    /// The next arrival that is there already.
    pub fn try_next(&mut self) -> Option<Arrival> {
        loop {
            if let Some(arrival) = self.ready.pop_front() {
                return Some(arrival);
            }
            let notice = self.notices.try_recv().ok()?;
            self.take(notice);
        }
    }

    fn take(&mut self, notice: Notice) {
        match notice {
            Notice::Arrived(arrival) => self.ready.push_back(arrival),
            Notice::Refused(remote) => self.note_refused(remote),
            Notice::Accepted(transport, stream, remote) => self.admit(transport, stream, remote),
            Notice::Closed { link, unsent } => {
                self.ready.extend(unsent.into_iter().map(Arrival::Unsent));
                if self.forget(link) {
                    self.ready.push_back(Arrival::Closed(link));
                }
            }
        }
    }

    /// Only INVITEs end by this: who is called next is tried at once, and a forged ICMP error can
    /// do no more than that.
    fn note_refused(&mut self, remote: SocketAddr) {
        let is_there = |(sent_to, _): &&(SocketAddr, TransactionId)| *sent_to == remote;
        let unsent: BTreeSet<TransactionId> =
            self.invites.iter().filter(is_there).map(|(_, id)| *id).collect();
        self.invites.retain(|(sent_to, _)| *sent_to != remote);
        self.ready.extend(unsent.into_iter().map(Arrival::Unsent));
    }

    fn forget(&mut self, link: LinkId) -> bool {
        let Some(connection) = self.connections.remove(&link) else { return false };
        let target = connection.target;
        let key = (target.transport, target.remote, target.server_name);
        if self.link_of_target.get(&key) == Some(&link) {
            self.link_of_target.remove(&key);
        }
        if let Some(count) = self.connections_of_source.get_mut(&connection.source) {
            *count -= 1;
            if *count == 0 {
                self.connections_of_source.remove(&connection.source);
            }
        }
        true
    }

    /// Starts to serve an accepted connection, unless its source or all together have too many.
    fn admit(&mut self, transport: Transport, stream: TcpStream, remote: SocketAddr) {
        let held = self.connections_of_source.get(&remote.ip()).copied().unwrap_or(0);
        if held >= self.settings.max_connections_per_source
            || self.connections.len() >= self.settings.max_connections
        {
            tracing::debug!("connection refused: too many");
            return;
        }
        let (link, queue) = self.register(Target::new(transport, remote));
        let flow = Flow { transport, remote, link };
        let task = stream::Task::new(flow, queue, self.notify.clone(), self.settings.idle);
        self.renew();
        match (transport, self.tls.acceptor()) {
            (Transport::Tls, Some(acceptor)) => {
                tokio::spawn(task.accept_tls(acceptor, stream));
            }
            (Transport::Tls, None) => drop(task),
            (Transport::Udp | Transport::Tcp, _) => {
                tokio::spawn(task.accept_tcp(stream));
            }
        }
    }

    fn register(&mut self, target: Target) -> (LinkId, mpsc::Receiver<Queued>) {
        let link = self.new_link();
        let (queue, receiver) = mpsc::channel(QUEUE);
        let source = target.remote.ip();
        *self.connections_of_source.entry(source).or_insert(0) += 1;
        self.connections.insert(link, Connection { queue, target, source });
        (link, receiver)
    }

    /// Sends a message without waiting. What cannot be sent comes back as [`Arrival::Unsent`].
    pub fn send(&mut self, transmit: Transmit) {
        let transaction = transmit.transaction;
        let is_sent = !self.is_forbidden(&transmit.target)
            && match transmit.target.transport {
                Transport::Udp => self.send_datagram(&transmit),
                Transport::Tcp | Transport::Tls => self.send_stream(transmit),
            };
        if let Some(transaction) = transaction.filter(|_| !is_sent) {
            self.ready.push_back(Arrival::Unsent(transaction));
        }
    }

    /// The last line of defence: what names no single peer, and our own listeners.
    fn is_forbidden(&self, target: &Target) -> bool {
        let (remote, reach) = (target.remote, self.advertised.reach());
        let is_ours = self.listening.iter().any(|(transport, bound)| {
            *transport == target.transport && reach.is_at(remote, *bound)
        });
        let is_forbidden = is_ours || remote.port() == 0 || Kind::of(remote.ip()).is_never();
        if is_forbidden {
            tracing::debug!(is_ours, "a message has no place to go to");
        }
        is_forbidden
    }

    fn send_datagram(&mut self, transmit: &Transmit) -> bool {
        let remote = transmit.target.remote;
        let chosen = transmit.target.link.and_then(|link| self.sockets.get(&link));
        let socket = chosen.or_else(|| {
            self.sockets.values().find(|socket| {
                socket.local_addr().is_ok_and(|local| local.is_ipv6() == remote.is_ipv6())
            })
        });
        let Some(socket) = socket else { return false };
        // The first may tell of an earlier datagram that was refused, and clears that.
        let sent = socket.try_send_to(&transmit.bytes, remote).or_else(|error| {
            if error.kind() == io::ErrorKind::WouldBlock {
                return Err(error);
            }
            socket.try_send_to(&transmit.bytes, remote)
        });
        if let Some(id) = transmit.transaction
            && transmit.bytes.starts_with(b"INVITE ")
        {
            if self.invites.len() >= INVITES {
                self.invites.pop_front();
            }
            self.invites.push_back((remote, id));
        }
        match sent {
            Ok(_) => true,
            // A full socket is a lost datagram, which transactions repeat.
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }

    fn send_stream(&mut self, transmit: Transmit) -> bool {
        let Transmit { target, bytes, transaction } = transmit;
        let queued = Queued { bytes, transaction };
        let alive = target.link.filter(|link| self.connections.contains_key(link));
        let key = (target.transport, target.remote, target.server_name.clone());
        let link = alive.or_else(|| self.link_of_target.get(&key).copied());
        let link = match link {
            Some(link) => link,
            None => match self.open(target) {
                Some(link) => link,
                None => return false,
            },
        };
        let Some(connection) = self.connections.get(&link) else { return false };
        if connection.queue.try_send(queued).is_ok() {
            return true;
        }
        // Its reader does not read, or it is closing: dropping the queue ends the task.
        if self.forget(link) {
            self.ready.push_back(Arrival::Closed(link));
        }
        false
    }

    fn open(&mut self, target: Target) -> Option<LinkId> {
        if self.connections.len() >= self.settings.max_connections {
            return None;
        }
        self.renew();
        let connector = match (target.transport, &target.server_name) {
            (Transport::Tls, Some(name)) => Some(self.tls.connector(name)?),
            (Transport::Tls, None) => return None,
            (Transport::Udp | Transport::Tcp, _) => None,
        };
        let remote = target.remote;
        let transport = target.transport;
        let key = (transport, remote, target.server_name.clone());
        let (link, queue) = self.register(Target { link: None, ..target });
        self.link_of_target.insert(key, link);
        let flow = Flow { transport, remote, link };
        let task = stream::Task::new(flow, queue, self.notify.clone(), self.settings.idle);
        tokio::spawn(task.connect(connector));
        Some(link)
    }
}

/// Accepts for ever. Running out of descriptors passes when connections close.
async fn accept(listener: TcpListener, transport: Transport, notify: mpsc::Sender<Notice>) {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                let notice = Notice::Accepted(transport, stream, remote);
                if notify.send(notice).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        if notify.is_closed() {
            return;
        }
    }
}
