#![expect(clippy::disallowed_methods, reason = "a shell: it reads the clock for its sockets")]
//! The shell of the edge: connections, TLS, HTTP, WebSockets (RFC 9112, RFC 6455).
//!
//! ```text
//! accept --cap--> TLS --deadline--> HTTP --GET /--> pages
//!                                        \--GET /procom--> WebSocket <--channels--> adapter
//! ```
//!
//! A connection waits for the adapter, never the adapter for a connection.

pub(crate) mod files;
mod pages;
mod socket;
#[cfg(test)]
mod tests;
mod upgrade;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway_adapter::attempts::network;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{Id, JoinSet};
use tokio::time::{sleep, timeout};

use crate::config::Limits;
use crate::session::{Peer, SocketId};
use crate::tls::Shown;

pub(crate) use socket::{FromSocket, ToSocket};
pub(crate) use upgrade::Policy;

/// Longest head of a request, in bytes (security row 16).
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Most header fields of a request.
const MAX_FIELDS: usize = 64;
/// How long live sockets have for their farewell when the gateway stops.
pub(crate) const FAREWELL: Duration = Duration::from_secs(2);
/// How long to wait before accepting again when the system has no more descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// The TLS handshake, and the head of a request.
    pub(crate) head: Duration,
    /// All requests of one connection together.
    pub(crate) requests: Duration,
    /// Between two pings; 20 s to 60 s by the protocol.
    pub(crate) ping: Duration,
    /// From a ping to any sign of life.
    pub(crate) pong: Duration,
    /// One write to a reader that does not read; also the farewell of a socket.
    pub(crate) write: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            requests: Duration::from_secs(60),
            ping: Duration::from_secs(30),
            pong: Duration::from_secs(15),
            write: Duration::from_secs(10),
        }
    }
}

/// What every connection needs.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) tls: Option<Arc<Shown>>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) pace: Pace,
    pub(crate) limits: Arc<Limits>,
    pub(crate) to_hub: mpsc::Sender<FromSocket>,
}

/// Accepts connections until told to stop, then lets those that live say farewell.
pub(crate) async fn serve(
    listener: TcpListener,
    context: Context,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    let mut ip_of_task: BTreeMap<Id, IpAddr> = BTreeMap::new();
    let mut count_of_ip: BTreeMap<IpAddr, usize> = BTreeMap::new();
    let mut next_socket = 1;
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            accepted = listener.accept() => {
                let (stream, address) = match accepted {
                    Ok(accepted) => accepted,
                    Err(fault) => {
                        tracing::warn!(%fault, "a connection could not be accepted");
                        sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                };
                let ip = network(address.ip());
                let count = count_of_ip.get(&ip).copied().unwrap_or(0);
                // The cheapest refusal there is: nothing has been read yet.
                if connections.len() >= context.limits.connections
                    || count >= context.limits.connections_per_address
                {
                    continue;
                }
                let task = connection(stream, address, SocketId(next_socket), context.clone());
                next_socket += 1;
                ip_of_task.insert(connections.spawn(task).id(), ip);
                count_of_ip.insert(ip, count + 1);
            }
            Some(ended) = connections.join_next_with_id() => {
                let id = ended.map_or_else(|fault| fault.id(), |(id, ())| id);
                let Some(ip) = ip_of_task.remove(&id) else { continue };
                match count_of_ip.get_mut(&ip) {
                    Some(count) if *count > 1 => *count -= 1,
                    Some(_) | None => { count_of_ip.remove(&ip); }
                }
            }
        }
    }
    drop(listener);
    let farewell = async { while connections.join_next().await.is_some() {} };
    // Whoever has not left by then is cut off when the set is dropped.
    let _ = timeout(FAREWELL, farewell).await;
}

async fn connection(stream: TcpStream, address: SocketAddr, socket: SocketId, context: Context) {
    // Small frames should not wait for each other (RFC 9293 §3.7.4).
    let _ = stream.set_nodelay(true);
    let ip = address.ip().to_canonical();
    match &context.tls {
        None => http(stream, ip, socket, &context).await,
        Some(shown) => {
            let tls = shown.acceptor(Instant::now());
            if let Ok(Ok(stream)) = timeout(context.pace.head, tls.accept(stream)).await {
                http(stream, ip, socket, &context).await;
            }
        }
    }
}

/// Serves requests, and the WebSocket one of them may turn the connection into.
async fn http<S>(stream: S, ip: IpAddr, socket: SocketId, context: &Context)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (upgraded, mut upgrades) = mpsc::channel(1);
    let service = service_fn(|request| {
        let response = respond(request, &context.policy, &upgraded);
        async { Ok::<_, std::convert::Infallible>(response) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(context.pace.head)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_FIELDS)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // What goes wrong here is between the peer and its own connection.
    let _ = timeout(context.pace.requests, served).await;
    let Ok((upgrade, origin, is_home)) = upgrades.try_recv() else {
        return;
    };
    if let Ok(stream) = upgrade.await {
        let peer = Peer { ip, origin, is_home };
        socket::run(TokioIo::new(stream), socket, peer, context).await;
    }
}

type Upgrades = mpsc::Sender<(OnUpgrade, Option<String>, bool)>;

fn respond(
    mut request: Request<Incoming>,
    policy: &Policy,
    upgraded: &Upgrades,
) -> Response<Full<Bytes>> {
    let host = match policy.check_host(request.headers()) {
        Ok(host) => host,
        Err(status) => return pages::plain(status),
    };
    if request.uri().path() != "/procom" {
        return pages::respond(&request, policy, &host);
    }
    match policy.check_upgrade(&request, &host) {
        Ok(accepted) => {
            let upgrade = (hyper::upgrade::on(&mut request), accepted.origin, accepted.is_home);
            match upgraded.try_send(upgrade) {
                Ok(()) => accepted.response,
                Err(_) => pages::plain(hyper::StatusCode::BAD_REQUEST),
            }
        }
        Err(refused) => *refused,
    }
}
