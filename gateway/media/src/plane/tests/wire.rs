//! Planes joined by a network in memory, with a clock that only moves when it is told to.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway_core::description::{Answer, Description, Offer};
use gateway_core::ids::PortId;
use gateway_core::media::{MediaCommand, MediaEvent, Profile, Secured};

use crate::config::MediaConfig;
use crate::counters::Counters;
use crate::io::{MuxedSocket, SocketId, SocketPair, Sockets, Transmit};
use crate::plane::{Plane, PlaneParts};
use crate::protection::dtls::Identity;

/// The only clock of the tests.
#[expect(clippy::disallowed_methods, reason = "an Instant can only be had from the clock")]
pub(super) fn start_of_time() -> Instant {
    Instant::now()
}

pub(super) const MUXED: SocketId = SocketId(0);

/// Hands out pairs and counts those that are open.
struct Pairs {
    host: u8,
    next: u16,
    open: Arc<std::sync::atomic::AtomicI64>,
}

impl Sockets for Pairs {
    fn open(&mut self, wants_v6: bool) -> Option<SocketPair> {
        let port = 20_000 + 2 * self.next;
        self.next += 1;
        self.open.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Some(SocketPair {
            rtp: SocketId(u32::from(port)),
            rtcp: SocketId(u32::from(port) + 1),
            advertised: if wants_v6 {
                SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(self.host)], port))
            } else {
                SocketAddr::from(([192, 0, 2, self.host], port))
            },
        })
    }

    fn close(&mut self, _pair: SocketPair) {
        self.open.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }
}

/// One plane on a host of its own.
pub(super) struct Host {
    pub(super) plane: Plane,
    pub(super) events: Vec<MediaEvent>,
    pub(super) counters: Arc<Counters>,
    pub(super) open_pairs: Arc<std::sync::atomic::AtomicI64>,
    host: u8,
}

impl Host {
    pub(super) fn new(host: u8, config: &MediaConfig) -> Self {
        let counters = Arc::new(Counters::default());
        let open_pairs = Arc::new(std::sync::atomic::AtomicI64::new(0));
        let mut state = u64::from(host) + 1;
        let parts = PlaneParts {
            muxed: vec![MuxedSocket { socket: MUXED, advertised: muxed_address(host) }],
            sockets: Box::new(Pairs { host, next: 0, open: open_pairs.clone() }),
            identity: Identity::generate().unwrap(),
            random: Box::new(move |bytes| {
                for byte in bytes {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(144_115_188_075_855_873);
                    *byte = (state >> 56) as u8;
                }
            }),
            counters: counters.clone(),
        };
        Self { plane: Plane::new(config, parts), events: Vec::new(), counters, open_pairs, host }
    }

    /// The address datagrams of a socket come from.
    fn address(&self, socket: SocketId) -> SocketAddr {
        if socket == MUXED {
            return muxed_address(self.host);
        }
        SocketAddr::from(([192, 0, 2, self.host], u16::try_from(socket.0).unwrap()))
    }

    fn socket(&self, address: SocketAddr) -> Option<SocketId> {
        if address == muxed_address(self.host) {
            return Some(MUXED);
        }
        let is_ours = address.ip() == muxed_address(self.host).ip();
        is_ours.then(|| SocketId(u32::from(address.port())))
    }

    fn drain_events(&mut self) {
        while let Some(event) = self.plane.poll_event() {
            self.events.push(event);
        }
    }

    /// Takes the events so far.
    pub(super) fn take(&mut self) -> Vec<MediaEvent> {
        self.drain_events();
        std::mem::take(&mut self.events)
    }

    pub(super) fn secured(&self) -> Option<&Secured> {
        self.events.iter().find_map(|event| match event {
            MediaEvent::Secured(_, secured) => Some(secured),
            _ => None,
        })
    }
}

pub(super) fn muxed_address(host: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], 7_000))
}

/// A datagram under way.
#[derive(Clone)]
pub(super) struct Flying {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

/// Hosts, what flies between them, and what flew to addresses of no host.
pub(super) struct Wire {
    pub(super) now: Instant,
    pub(super) hosts: Vec<Host>,
    pub(super) elsewhere: Vec<Flying>,
    /// Everything that was sent.
    pub(super) log: Vec<Flying>,
    /// Returns whether a datagram is lost.
    pub(super) loses: Box<dyn FnMut(&Flying) -> bool>,
    flying: VecDeque<Flying>,
}

impl Wire {
    pub(super) fn new(hosts: u8) -> Self {
        Self::with(hosts, &MediaConfig::default())
    }

    pub(super) fn with(hosts: u8, config: &MediaConfig) -> Self {
        Self {
            now: start_of_time(),
            hosts: (1..=hosts).map(|host| Host::new(host, config)).collect(),
            elsewhere: Vec::new(),
            log: Vec::new(),
            loses: Box::new(|_| false),
            flying: VecDeque::new(),
        }
    }

    pub(super) fn command(&mut self, host: usize, command: MediaCommand) {
        let now = self.now;
        self.hosts[host].plane.handle_command(command, now);
        self.collect();
    }

    /// Puts a datagram of a stranger, or of a peer that is no host, on the wire.
    pub(super) fn inject(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        self.flying.push_back(Flying { from, to, bytes: bytes.to_vec() });
        self.deliver();
    }

    /// Lets time pass in steps that no deadline is missed by.
    pub(super) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            self.deliver();
            let next = self
                .hosts
                .iter()
                .filter_map(|host| host.plane.poll_timeout())
                .map(|(at, _)| at)
                .min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = next.max(self.now + Duration::from_micros(100));
            for host in &mut self.hosts {
                host.plane.handle_timeout(self.now);
            }
            self.collect();
        }
        self.now = end;
    }

    fn deliver(&mut self) {
        while let Some(mut flying) = self.flying.pop_front() {
            self.log.push(flying.clone());
            if (self.loses)(&flying) {
                continue;
            }
            let found =
                self.hosts.iter_mut().find_map(|host| Some((host.socket(flying.to)?, host)));
            match found {
                Some((socket, host)) => {
                    // As the shell does; it must change nothing.
                    host.plane.expect_datagrams([(socket, flying.from)].into_iter());
                    host.plane.handle_datagram(socket, flying.from, &mut flying.bytes, self.now);
                }
                None => self.elsewhere.push(flying),
            }
            self.collect();
        }
    }

    fn collect(&mut self) {
        for host in &mut self.hosts {
            while let Some(Transmit { socket, destination, bytes }) = host.plane.poll_transmit() {
                // What was in a buffer before must not show in the next packet.
                host.plane.reuse(vec![0xee; 10 + 7 * bytes.len()]);
                self.flying.push_back(Flying {
                    from: host.address(socket),
                    to: destination,
                    bytes,
                });
            }
            host.drain_events();
        }
    }

    /// Makes host 0 offer and host 1 answer, and lets them agree.
    pub(super) fn call(&mut self, offerer: Profile, answerer: Profile) {
        self.offer(PortId(1), offerer);
        let offer = self.offered();
        self.answer(PortId(2), answerer, offer);
        let answer = self.answered();
        self.command(
            0,
            MediaCommand::Accept { port: PortId(1), answer: Answer(answer), is_final: true },
        );
    }

    pub(super) fn offer(&mut self, port: PortId, profile: Profile) {
        self.command(0, MediaCommand::Offer { port, profile, like: None });
    }

    pub(super) fn answer(&mut self, port: PortId, profile: Profile, offer: Description) {
        self.command(1, MediaCommand::Answer { port, profile, offer: Offer(offer), like: None });
    }

    /// The last offer of host 0, as it would be read from SDP.
    pub(super) fn offered(&self) -> Description {
        let offers = self.hosts[0].events.iter().rev();
        let offer = offers.into_iter().find_map(|event| match event {
            MediaEvent::Offered(_, offer) => Some(&offer.0),
            _ => None,
        });
        through_sdp(offer.expect("host 0 offered"))
    }

    /// The last answer of host 1, as it would be read from SDP.
    pub(super) fn answered(&self) -> Description {
        let answers = self.hosts[1].events.iter().rev();
        let answer = answers.into_iter().find_map(|event| match event {
            MediaEvent::Answered(_, answer) => Some(&answer.0),
            _ => None,
        });
        through_sdp(answer.unwrap_or_else(|| panic!("host 1 answered: {:?}", self.hosts[1].events)))
    }
}

fn through_sdp(description: &Description) -> Description {
    gateway_core::sdp::parse(&gateway_core::sdp::render(description)).unwrap()
}
