//! Connections: one task each, from handshake to close.

#![expect(clippy::disallowed_methods, reason = "a shell: deadlines of connections")]

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustls_pki_types::ServerName;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{Arrival, Notice, Queued};
use crate::stack::flow::{Flow, LinkId};
use crate::stack::frame::{Frame, Framer, Unframed};
use crate::stack::transaction::TransactionId;

/// How long a handshake, the rest of a begun message, a write, or the first message may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection attempt may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the answer to a broken message may take to be made.
const LAST_WORD: Duration = Duration::from_millis(200);
const CHUNK_BYTES: usize = 16 * 1024;

/// Binds one listener; an IPv6 one takes IPv6 only.
pub(super) fn listen(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(1_024)?;
    Ok(socket)
}

/// One connection's task.
pub(super) struct Task {
    flow: Flow,
    queue: mpsc::Receiver<Queued>,
    notify: mpsc::Sender<Notice>,
    idle: Duration,
}

impl Task {
    pub(super) fn new(
        flow: Flow,
        queue: mpsc::Receiver<Queued>,
        notify: mpsc::Sender<Notice>,
        idle: Duration,
    ) -> Self {
        Self { flow, queue, notify, idle }
    }

    pub(super) async fn accept_tcp(self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        self.serve(stream, false).await;
    }

    pub(super) async fn accept_tls(self, acceptor: TlsAcceptor, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        match timeout(PATIENCE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => self.serve(stream, false).await,
            Ok(Err(_)) | Err(_) => {
                tracing::debug!("no TLS handshake");
                self.close(Vec::new()).await;
            }
        }
    }

    pub(super) async fn connect(self, tls: Option<(TlsConnector, ServerName<'static>)>) {
        match timeout(CONNECT, TcpStream::connect(self.flow.remote)).await {
            Ok(Ok(stream)) => {
                let _ = stream.set_nodelay(true);
                match tls {
                    Some((connector, name)) => self.connect_tls(connector, name, stream).await,
                    None => self.serve(stream, true).await,
                }
            }
            Ok(Err(_)) | Err(_) => {
                tracing::debug!("cannot connect");
                self.close(Vec::new()).await;
            }
        }
    }

    async fn connect_tls(
        self,
        connector: TlsConnector,
        name: ServerName<'static>,
        stream: TcpStream,
    ) {
        match timeout(PATIENCE, connector.connect(name, stream)).await {
            Ok(Ok(stream)) => self.serve(stream, true).await,
            Ok(Err(error)) => {
                tracing::warn!(%error, "TLS refused");
                self.close(Vec::new()).await;
            }
            Err(_) => self.close(Vec::new()).await,
        }
    }

    /// Reads and writes until either side ends it.
    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut self, mut stream: S, is_known: bool) {
        let mut framer = Framer::default();
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut watch = Watch::new(self.idle, is_known);
        let mut unsent = Vec::new();
        loop {
            tokio::select! {
                read = stream.read(&mut chunk) => {
                    let Ok(length @ 1..) = read else { break };
                    framer.push(&chunk[..length]);
                    let Ok(pings) = self.hand_on(&mut framer, &mut watch).await else { break };
                    if pings > 0 && !write(&mut stream, &b"\r\n".repeat(pings)).await {
                        break;
                    }
                    if watch.is_broken {
                        self.write_last(&mut stream).await;
                        break;
                    }
                }
                queued = self.queue.recv() => {
                    // The owner has dropped us: too slow, or shutting down.
                    let Some(queued) = queued else { break };
                    if !write(&mut stream, &queued.bytes).await {
                        unsent.extend(queued.transaction);
                        break;
                    }
                    watch.handle_life();
                }
                () = sleep_until(watch.deadline()) => break,
            }
        }
        // A peer that does not read must not keep the task.
        let _ = timeout(Duration::from_secs(1), stream.shutdown()).await;
        self.close(unsent).await;
    }

    /// Lets the answer to a message that cannot be framed leave; nothing more is read.
    async fn write_last<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: &mut S) {
        let answer = timeout(LAST_WORD, self.queue.recv()).await;
        if let Ok(Some(queued)) = answer {
            write(stream, &queued.bytes).await;
        }
    }

    /// Hands whole messages to the owner and returns how many pings want a pong.
    async fn hand_on(&self, framer: &mut Framer, watch: &mut Watch) -> Result<usize, LinkId> {
        let mut pings = 0;
        watch.handle_life();
        loop {
            match framer.poll_frame() {
                Ok(Some(Frame::Ping)) => pings += 1,
                Ok(Some(Frame::Message(bytes))) => {
                    watch.handle_message();
                    self.tell(Arrival::Message(self.flow, bytes)).await?;
                }
                Ok(None) => {
                    watch.handle_partial(framer.is_partial());
                    return Ok(pings);
                }
                Err(Unframed(bytes)) => {
                    self.tell(Arrival::Broken(self.flow, bytes)).await?;
                    watch.is_broken = true;
                    return Ok(pings);
                }
            }
        }
    }

    async fn tell(&self, arrival: Arrival) -> Result<(), LinkId> {
        self.notify.send(Notice::Arrived(arrival)).await.map_err(|_| self.flow.link)
    }

    /// Tells the owner that it is over, and of everything that was not sent.
    async fn close(mut self, mut unsent: Vec<TransactionId>) {
        self.queue.close();
        while let Ok(queued) = self.queue.try_recv() {
            unsent.extend(queued.transaction);
        }
        // Without an owner nobody needs to know.
        let _ = self.notify.send(Notice::Closed { link: self.flow.link, unsent }).await;
    }
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> bool {
    let written = timeout(PATIENCE, async {
        stream.write_all(bytes).await?;
        stream.flush().await
    });
    matches!(written.await, Ok(Ok(())))
}

/// When a connection has been patient enough.
struct Watch {
    idle: Duration,
    idle_at: Instant,
    /// The end of a begun message, or of the first one, is due.
    owed_at: Option<Instant>,
    is_known: bool,
    /// The stream has lost its framing.
    is_broken: bool,
}

impl Watch {
    fn new(idle: Duration, is_known: bool) -> Self {
        let now = Instant::now();
        let owed_at = (!is_known).then(|| now + PATIENCE);
        Self { idle, idle_at: now + idle, owed_at, is_known, is_broken: false }
    }

    fn deadline(&self) -> Instant {
        self.owed_at.map_or(self.idle_at, |owed_at| owed_at.min(self.idle_at))
    }

    fn handle_life(&mut self) {
        self.idle_at = Instant::now() + self.idle;
    }

    fn handle_message(&mut self) {
        self.is_known = true;
        self.owed_at = None;
    }

    fn handle_partial(&mut self, is_partial: bool) {
        if is_partial {
            self.owed_at.get_or_insert_with(|| Instant::now() + PATIENCE);
        } else if self.is_known {
            self.owed_at = None;
        }
    }
}
