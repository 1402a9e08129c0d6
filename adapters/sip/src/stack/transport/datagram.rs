//! UDP sockets (RFC 3261 §18.1.1 and §18.2.1), and what ICMP says of the datagrams sent by them
//! (RFC 3261 §18.4).

use std::io;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nix::sys::socket::{MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::{Arrival, Notice};
use crate::stack::flow::{Flow, LinkId, Transport};

/// Room for a burst while the owner is busy; the system may give less.
const BUFFER_BYTES: usize = 4 << 20;
/// Shorter datagrams are keep-alives, no messages.
const SHORTEST_BYTES: usize = 16;

/// Messages read in one go before errors are looked at again.
const BATCH: usize = 64;

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
    // Without it the system keeps to itself that nobody listens where a datagram went.
    if address.is_ipv6() {
        setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
    } else {
        setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
    }
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

/// Reads one socket until the owner is gone.
pub(super) async fn read(socket: Arc<UdpSocket>, link: LinkId, notify: mpsc::Sender<Notice>) {
    let mut buffer = vec![0; 65_536];
    loop {
        let Ok(ready) = socket.ready(Interest::READABLE | Interest::ERROR).await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let mut notices = Vec::new();
        if ready.is_error() {
            notices.extend(refused(&socket).into_iter().map(Notice::Refused));
        }
        for _ in 0..BATCH {
            match socket.try_recv_from(&mut buffer) {
                Ok((length, remote)) if length >= SHORTEST_BYTES => {
                    let flow = Flow { transport: Transport::Udp, remote, link };
                    let bytes = Bytes::copy_from_slice(&buffer[..length]);
                    notices.push(Notice::Arrived(Arrival::Message(flow, bytes)));
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // An error of a datagram that was sent: it is in the queue of errors, too.
                Err(error) => tracing::debug!(%error, "a datagram did not arrive"),
            }
        }
        for notice in notices {
            if notify.send(notice).await.is_err() {
                return;
            }
        }
    }
}

/// Where datagrams went that did not arrive: the kernel has found the ICMP error to belong to one
/// of ours, and says whereto that was (ip(7), `IP_RECVERR`).
fn refused(socket: &UdpSocket) -> Vec<SocketAddr> {
    let mut remotes = Vec::new();
    while remotes.len() < BATCH {
        let next = socket.try_io(Interest::ERROR, || {
            let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
            let read = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut [], None, flags)?;
            Ok(read.address.and_then(|address| to_std(&address)))
        });
        match next {
            Ok(remote) => remotes.extend(remote),
            Err(_) => break,
        }
    }
    remotes
}

/// A socket address of the system as one of the library.
pub(super) fn to_std(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::V4(SocketAddrV4::from(*v4)));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6(SocketAddrV6::from(*v6))))
}
