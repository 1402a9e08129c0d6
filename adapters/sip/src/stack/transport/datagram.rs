//! UDP sockets (RFC 3261 §18.1.1 and §18.2.1).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::{Arrival, Notice};
use crate::stack::flow::{Flow, LinkId, Transport};

/// Room for a burst while the owner is busy; the system may give less.
const BUFFER_BYTES: usize = 4 << 20;
/// Shorter datagrams are keep-alives, no messages.
const SHORTEST_BYTES: usize = 16;

/// Binds one socket; an IPv6 one takes IPv6 only.
pub(super) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // The system's limit may be lower; what it grants is enough to run.
    let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

/// Reads one socket until the owner is gone.
pub(super) async fn read(socket: Arc<UdpSocket>, link: LinkId, notify: mpsc::Sender<Notice>) {
    let mut buffer = vec![0; 65_536];
    loop {
        let (length, remote) = match socket.recv_from(&mut buffer).await {
            Ok(read) => read,
            Err(error) => {
                tracing::debug!(%error, "cannot receive");
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        if length < SHORTEST_BYTES {
            continue;
        }
        let flow = Flow { transport: Transport::Udp, remote, link };
        let bytes = Bytes::copy_from_slice(&buffer[..length]);
        if notify.send(Notice::Arrived(Arrival::Message(flow, bytes))).await.is_err() {
            return;
        }
    }
}
