//! Many datagrams at a time: by one call of the system for the sockets that every port with ICE
//! shares, gathered from the others.
//!
//! ```text
//!  muxed socket ---recvmmsg--> Inbox:  up to 32 datagrams, each in its own buffer
//!  sockets of one port --recv-->
//!  Outbox: up to 32 transmits of one socket --sendmmsg--> muxed socket
//! ```
//!
//! A socket of one port has one datagram every 20 ms, so one is taken of each; but they are gathered
//! too, since neither the kernel's code nor ours has to be fetched anew for each datagram then.

use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};

use super::worker::MAX_DATAGRAM_BYTES;
use crate::io::{SocketId, Transmit};

/// Datagrams of one batch.
pub(super) const BATCH: usize = 32;

/// Not a power of two, since the first lines of all buffers would meet in a few sets of the cache.
const BUFFER_BYTES: usize = MAX_DATAGRAM_BYTES + 64;

/// Datagrams that were received and are not yet looked at.
pub(super) struct Inbox {
    headers: MultiHeaders<SockaddrStorage>,
    buffers: Vec<[u8; BUFFER_BYTES]>,
    /// Socket, source and length.
    received: Vec<(SocketId, SocketAddr, usize)>,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self {
            headers: MultiHeaders::preallocate(BATCH, None),
            buffers: vec![[0; BUFFER_BYTES]; BATCH],
            received: Vec::with_capacity(BATCH),
        }
    }

    /// Whether nothing more fits.
    pub(super) fn is_full(&self) -> bool {
        self.received.len() == BATCH
    }

    /// Adds the next datagram of a socket, if there is room and one has come.
    pub(super) fn receive_one(&mut self, id: SocketId, socket: &UdpSocket) {
        let Some(buffer) = self.buffers.get_mut(self.received.len()) else { return };
        // An ICMP error to something sent before was read now, and says nothing proven.
        if let Ok((length, source)) = socket.recv_from(&mut buffer[..MAX_DATAGRAM_BYTES]) {
            self.received.push((id, source, length));
        }
    }

    /// Takes what lies in the socket, at most [`BATCH`] datagrams, in place of what was there; and
    /// returns how many it was.
    ///
    /// # Errors
    /// [`Errno::EAGAIN`] when there is nothing; else an ICMP error to something sent before.
    pub(super) fn receive_many(
        &mut self,
        id: SocketId,
        socket: &UdpSocket,
    ) -> Result<usize, Errno> {
        self.received.clear();
        let mut slices = self.buffers.iter_mut();
        let mut slices: [_; BATCH] = std::array::from_fn(|_| {
            let buffer = slices.next().expect("there are as many buffers");
            [IoSliceMut::new(&mut buffer[..MAX_DATAGRAM_BYTES])]
        });
        let flags = MsgFlags::MSG_DONTWAIT;
        let messages =
            recvmmsg(socket.as_raw_fd(), &mut self.headers, slices.iter_mut(), flags, None)?;
        self.received.extend(messages.map(|message| {
            // Every datagram has a source; one without an address of IP is nobody's.
            let source = message.address.as_ref().and_then(address);
            (id, source.unwrap_or(SocketAddr::from(([0; 4], 0))), message.bytes)
        }));
        Ok(self.received.len())
    }

    /// What came, by socket and source.
    pub(super) fn arrivals(&self) -> impl Iterator<Item = (SocketId, SocketAddr)> {
        self.received.iter().map(|(id, source, _)| (*id, *source))
    }

    /// Hands out what came, by socket and source, and is empty then.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (SocketId, SocketAddr, &mut [u8])> {
        let buffers = self.buffers.iter_mut();
        let arrivals = self.received.drain(..).zip(buffers);
        arrivals.map(|((id, source, length), buffer)| (id, source, &mut buffer[..length]))
    }
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
    v4.or_else(|| storage.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
}

/// Datagrams that wait for one call.
pub(super) struct Outbox {
    headers: MultiHeaders<SockaddrStorage>,
    waiting: Vec<Transmit>,
}

impl Outbox {
    pub(super) fn new() -> Self {
        let headers = MultiHeaders::preallocate(BATCH, None);
        Self { headers, waiting: Vec::with_capacity(BATCH) }
    }

    /// Whether a transmit of this socket would have to wait for what is there.
    pub(super) fn must_leave_before(&self, transmit: &Transmit) -> bool {
        let is_other = |first: &Transmit| first.socket != transmit.socket;
        self.waiting.len() == BATCH || self.waiting.first().is_some_and(is_other)
    }

    /// Adds a transmit; [`Outbox::must_leave_before`] it was asked first.
    pub(super) fn push(&mut self, transmit: Transmit) {
        self.waiting.push(transmit);
    }

    /// The first transmit, whose socket is that of all.
    pub(super) fn first(&self) -> Option<&Transmit> {
        self.waiting.first()
    }

    /// Sends all by their socket, and returns how many the system did not take: their buffers are
    /// full, or an ICMP error to something sent before was told. Media does not repeat itself.
    pub(super) fn send(&mut self, socket: &UdpSocket) -> usize {
        let (mut refused, mut done) = (0, 0);
        while done < self.waiting.len() {
            match self.send_from(done, socket) {
                Ok(sent) if sent > 0 => done += sent,
                // The error is of the first one; the others have not been tried.
                Ok(_) | Err(_) => {
                    refused += 1;
                    done += 1;
                }
            }
        }
        refused
    }

    /// Hands out the bytes of all, and is empty then.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Vec<u8>> {
        self.waiting.drain(..).map(|transmit| transmit.bytes)
    }

    fn send_from(&mut self, first: usize, socket: &UdpSocket) -> Result<usize, Errno> {
        let waiting = &self.waiting[first..];
        let slices: Vec<_> =
            waiting.iter().map(|transmit| [IoSlice::new(&transmit.bytes)]).collect();
        let addresses: Vec<_> = waiting
            .iter()
            .map(|transmit| Some(SockaddrStorage::from(transmit.destination)))
            .collect();
        let flags = MsgFlags::MSG_DONTWAIT;
        let fd = socket.as_raw_fd();
        Ok(sendmmsg(fd, &mut self.headers, &slices, &addresses, [], flags)?.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(ip: &str) -> (UdpSocket, UdpSocket) {
        let bind = || UdpSocket::bind((ip, 0)).unwrap();
        (bind(), bind())
    }

    fn transmit(destination: SocketAddr, bytes: Vec<u8>) -> Transmit {
        Transmit { socket: SocketId(1), destination, bytes }
    }

    #[test]
    fn a_batch_arrives_whole_and_in_order() {
        for ip in ["127.0.0.1", "::1"] {
            let (one, other) = pair(ip);
            let (mut outbox, mut inbox) = (Outbox::new(), Inbox::new());
            for turn in 0..3 {
                for number in 0..BATCH as u8 {
                    outbox.push(transmit(other.local_addr().unwrap(), vec![number; 1 + turn]));
                }
                assert_eq!(outbox.send(&one), 0);
                assert_eq!(outbox.drain().count(), BATCH);
                assert_eq!(inbox.receive_many(SocketId(2), &other), Ok(BATCH));
                for ((id, source, bytes), number) in inbox.drain().zip(0..) {
                    assert_eq!((id, source), (SocketId(2), one.local_addr().unwrap()));
                    assert_eq!(*bytes, vec![number; 1 + turn]);
                }
                assert_eq!(inbox.receive_many(SocketId(2), &other), Err(Errno::EAGAIN));
                assert_eq!(inbox.drain().count(), 0);
            }
        }
    }

    #[test]
    fn datagrams_of_many_sockets_are_gathered_until_the_batch_is_full() {
        let (one, other) = pair("127.0.0.1");
        other.set_nonblocking(true).unwrap();
        let mut inbox = Inbox::new();
        inbox.receive_one(SocketId(2), &other);
        assert_eq!(inbox.drain().count(), 0);
        for number in 0..=BATCH as u8 {
            one.send_to(&[number], other.local_addr().unwrap()).unwrap();
            inbox.receive_one(SocketId(number.into()), &other);
        }
        assert!(inbox.is_full());
        for ((id, _, bytes), number) in inbox.drain().zip(0..) {
            assert_eq!((id.0, &*bytes), (u32::from(number), &[number][..]));
        }
        assert!(!inbox.is_full());
        inbox.receive_one(SocketId(2), &other);
        assert_eq!(inbox.drain().next().unwrap().2, [BATCH as u8]);
    }

    #[test]
    fn one_that_cannot_leave_does_not_stop_the_others() {
        let (one, other) = pair("127.0.0.1");
        let (mut outbox, mut inbox) = (Outbox::new(), Inbox::new());
        let good = other.local_addr().unwrap();
        for destination in [good, "[::1]:9".parse().unwrap(), good] {
            outbox.push(transmit(destination, vec![7]));
        }
        assert_eq!(outbox.send(&one), 1);
        assert_eq!(inbox.receive_many(SocketId(2), &other), Ok(2));
    }

    #[test]
    fn another_socket_or_a_full_batch_leaves_first() {
        let to: SocketAddr = "127.0.0.1:9".parse().unwrap();
        let mut outbox = Outbox::new();
        assert!(!outbox.must_leave_before(&transmit(to, vec![])));
        outbox.push(transmit(to, vec![]));
        let of_other = Transmit { socket: SocketId(2), ..transmit(to, vec![]) };
        assert!(outbox.must_leave_before(&of_other));
        for _ in 1..BATCH {
            assert!(!outbox.must_leave_before(&transmit(to, vec![])));
            outbox.push(transmit(to, vec![]));
        }
        assert!(outbox.must_leave_before(&transmit(to, vec![])));
        assert_eq!(outbox.drain().count(), BATCH);
        assert!(outbox.first().is_none());
    }
}
