//! The sockets of one worker: the muxed ones, and pairs that come and go with their ports.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::rc::Rc;

use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use socket2::{Domain, Protocol, Socket, Type};

use crate::config::MediaConfig;
use crate::io::{MuxedSocket, SocketId, SocketPair, Sockets};

/// A muxed socket takes a burst of every port; the kernel may grant less.
const MUXED_BUFFER_BYTES: usize = 4 << 20;
/// A second of one call, many times over.
const PAIR_BUFFER_BYTES: usize = 256 << 10;

/// Binds the sockets that all ports of a worker with ICE share, with what peers are told of each.
pub(super) fn bind_muxed(
    config: &MediaConfig,
    number: u16,
) -> io::Result<Vec<(UdpSocket, SocketAddr)>> {
    let port = if config.media_port == 0 { 0 } else { config.media_port + number };
    let mut addresses = config.bind.clone();
    addresses.sort_by_key(IpAddr::is_ipv6);
    let mut bound = Vec::new();
    for ip in addresses {
        let Some(advertised) = advertised(config, ip) else { continue };
        let socket = bind(SocketAddr::new(ip, port), MUXED_BUFFER_BYTES)?;
        let port = socket.local_addr()?.port();
        bound.push((socket, SocketAddr::new(advertised, port)));
    }
    Ok(bound)
}

/// What peers are told instead of a bound address; `None` where nothing could be told.
fn advertised(config: &MediaConfig, ip: IpAddr) -> Option<IpAddr> {
    config.advertised_for(ip.is_ipv4()).or(Some(ip)).filter(|ip| !ip.is_unspecified())
}

fn bind(address: SocketAddr, buffer_bytes: usize) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    // The kernel caps both silently; media works with less, too.
    socket.set_recv_buffer_size(buffer_bytes)?;
    socket.set_send_buffer_size(buffer_bytes)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// A socket and what it is for.
pub(super) enum Bound {
    /// All ports with ICE.
    Muxed(UdpSocket),
    /// One port.
    Own(UdpSocket),
}

impl Bound {
    pub(super) fn socket(&self) -> &UdpSocket {
        match self {
            Self::Muxed(socket) | Self::Own(socket) => socket,
        }
    }
}

/// All sockets of a worker by number, known to its epoll.
pub(super) struct SocketTable {
    epoll: Rc<Epoll>,
    bound_of_id: Vec<Option<Bound>>,
    /// Numbers to be used again. A worker has sent what is due before it takes the command that
    /// opens the next socket, so nothing meant for the last holder of a number is left.
    free_ids: Vec<u32>,
    bind: Vec<IpAddr>,
    config: MediaConfig,
    /// First (even) port of the pairs that are this worker's, and the one to try next.
    pairs: Vec<u16>,
    next_pair: usize,
}

impl SocketTable {
    pub(super) fn new(config: &MediaConfig, number: u16, epoll: Rc<Epoll>) -> Self {
        let (first, last) = config.rtp_ports;
        let even = (first..last).filter(|port| port % 2 == 0);
        let mine = even.filter(|port| port / 2 % config.workers == number);
        Self {
            epoll,
            bound_of_id: Vec::new(),
            free_ids: Vec::new(),
            bind: config.bind.clone(),
            config: config.clone(),
            pairs: mine.collect(),
            next_pair: 0,
        }
    }

    /// Adds a muxed socket.
    pub(super) fn add_muxed(
        &mut self,
        socket: UdpSocket,
        advertised: SocketAddr,
    ) -> io::Result<MuxedSocket> {
        Ok(MuxedSocket { socket: self.add(Bound::Muxed(socket))?, advertised })
    }

    pub(super) fn get(&self, id: SocketId) -> Option<&Bound> {
        self.bound_of_id.get(id.0 as usize)?.as_ref()
    }

    fn add(&mut self, bound: Bound) -> io::Result<SocketId> {
        let id = self.free_ids.pop().unwrap_or_else(|| {
            self.bound_of_id.push(None);
            u32::try_from(self.bound_of_id.len() - 1).expect("no process has so many sockets")
        });
        let event = EpollEvent::new(EpollFlags::EPOLLIN, id.into());
        if let Err(fault) = self.epoll.add(bound.socket(), event) {
            self.free_ids.push(id);
            return Err(fault.into());
        }
        self.bound_of_id[id as usize] = Some(bound);
        Ok(SocketId(id))
    }

    fn remove(&mut self, id: SocketId) {
        if let Some(bound) = self.bound_of_id.get_mut(id.0 as usize).and_then(Option::take) {
            // Closing takes it out of the epoll anyway.
            let _ = self.epoll.delete(bound.socket());
            self.free_ids.push(id.0);
        }
    }

    /// Binds the next pair that is free, trying each once.
    fn open_pair(&mut self, wants_v6: bool) -> Option<SocketPair> {
        let of_family = |ip: &&IpAddr| ip.is_ipv6() == wants_v6;
        let ip = *self.bind.iter().find(of_family).or(self.bind.first())?;
        let advertised = advertised(&self.config, ip)?;
        for _ in 0..self.pairs.len() {
            let port = self.pairs[self.next_pair];
            self.next_pair = (self.next_pair + 1) % self.pairs.len();
            let bind = |port| bind(SocketAddr::new(ip, port), PAIR_BUFFER_BYTES);
            match bind(port).and_then(|rtp| Ok((rtp, bind(port + 1)?))) {
                Ok((rtp, rtcp)) => {
                    let rtp = self.add(Bound::Own(rtp)).ok()?;
                    let Ok(rtcp) = self.add(Bound::Own(rtcp)) else {
                        self.remove(rtp);
                        return None;
                    };
                    let advertised = SocketAddr::new(advertised, port);
                    return Some(SocketPair { rtp, rtcp, advertised });
                }
                Err(fault) if fault.kind() == io::ErrorKind::AddrInUse => {}
                Err(fault) => {
                    tracing::warn!(%fault, "no media socket could be opened");
                    return None;
                }
            }
        }
        tracing::warn!("every media port of the range is in use");
        None
    }
}

/// The table as the plane sees it.
pub(super) struct SharedTable(pub(super) Rc<RefCell<SocketTable>>);

impl Sockets for SharedTable {
    fn open(&mut self, wants_v6: bool) -> Option<SocketPair> {
        self.0.borrow_mut().open_pair(wants_v6)
    }

    fn close(&mut self, pair: SocketPair) {
        let mut table = self.0.borrow_mut();
        table.remove(pair.rtp);
        table.remove(pair.rtcp);
    }
}
