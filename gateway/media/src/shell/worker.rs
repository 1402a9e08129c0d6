//! One worker: waits, reads, feeds the plane, sends what it says.

#![expect(clippy::disallowed_methods, reason = "a shell reads the clock for the plane")]

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use gateway_core::media::{MediaCommand, MediaEvent};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::EventFd;
use ring::rand::{SecureRandom, SystemRandom};

use super::batch::{BATCH, Inbox, Outbox};
use super::sockets::{Bound, SharedTable, SocketTable};
use crate::config::MediaConfig;
use crate::counters::{Counters, Outcome, Way};

use crate::io::{SocketId, Transmit};
use crate::plane::{Plane, PlaneParts};
use crate::protection::dtls::Identity;

/// The eventfd's number in the epoll.
const WAKE: u64 = u64::MAX;
/// Events of one wait.
const MAX_EVENTS: usize = 256;
/// Batches read of one muxed socket before the others have their turn.
const MAX_BATCHES: usize = 4;
/// Commands taken in one round.
const MAX_COMMANDS: usize = 256;
/// Larger than any datagram that media has use for, and than what an Ethernet carries.
pub(super) const MAX_DATAGRAM_BYTES: usize = 2_048;
/// Rounds begin at least this far apart. A worker with work for every moment would be woken for each
/// datagram, and waking costs more than relaying; one that is idle still reacts at once. Media is
/// later by half of this on average, by all of it at worst, and that is not heard.
const ROUND: Duration = Duration::from_micros(1_500);
/// Without any deadline the worker looks around this often.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// All a worker needs to begin.
pub(super) struct Worker {
    pub(super) config: MediaConfig,
    pub(super) number: u16,
    pub(super) muxed: Vec<(UdpSocket, SocketAddr)>,
    pub(super) queue: Receiver<MediaCommand>,
    pub(super) wake: Arc<EventFd>,
    pub(super) is_stopping: Arc<AtomicBool>,
    pub(super) identity: Identity,
    pub(super) counters: Arc<Counters>,
    pub(super) sink: Arc<dyn Fn(MediaEvent) + Send + Sync>,
}

impl Worker {
    /// Serves until it is told to stop.
    pub(super) fn run(self) {
        let number = self.number;
        if let Err(fault) = self.serve() {
            tracing::error!(%fault, number, "a media worker cannot go on");
        }
    }

    fn serve(mut self) -> io::Result<()> {
        let epoll = Rc::new(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?);
        epoll.add(&*self.wake, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        let table = SocketTable::new(&self.config, self.number, epoll.clone());
        let table = Rc::new(RefCell::new(table));
        let mut muxed = Vec::new();
        for (socket, advertised) in std::mem::take(&mut self.muxed) {
            muxed.push(table.borrow_mut().add_muxed(socket, advertised)?);
        }
        let system = SystemRandom::new();
        let parts = PlaneParts {
            muxed,
            sockets: Box::new(SharedTable(table.clone())),
            identity: self.identity.clone(),
            random: Box::new(move |bytes| {
                system.fill(bytes).expect("the system's generator does not fail once it is up");
            }),
            counters: self.counters.clone(),
        };
        let plane = Plane::new(&self.config, parts);
        Serving { worker: self, epoll, table, plane, inbox: Inbox::new(), outbox: Outbox::new() }
            .serve()
    }
}

/// A worker at work.
struct Serving {
    worker: Worker,
    epoll: Rc<Epoll>,
    table: Rc<RefCell<SocketTable>>,
    plane: Plane,
    inbox: Inbox,
    outbox: Outbox,
}

impl Serving {
    fn serve(mut self) -> io::Result<()> {
        let mut events = [EpollEvent::empty(); MAX_EVENTS];
        while !self.worker.is_stopping.load(Ordering::Acquire) {
            let ready = match self.epoll.wait(&mut events, wait(&self.plane)) {
                Ok(ready) => ready,
                Err(Errno::EINTR) => 0,
                Err(fault) => return Err(fault.into()),
            };
            let round = Instant::now();
            for event in &events[..ready] {
                match u32::try_from(event.data()) {
                    Ok(id) => self.read(SocketId(id)),
                    // Only the count of wake-ups is in there.
                    Err(_) => drop(self.worker.wake.read()),
                }
            }
            self.empty_inbox();
            self.take_commands();
            self.plane.handle_timeout(Instant::now());
            self.drain();
            if ready < MAX_EVENTS {
                std::thread::sleep(ROUND.saturating_sub(round.elapsed()));
            }
        }
        Ok(())
    }

    fn read(&mut self, id: SocketId) {
        // The port that owns the socket may have closed in this round.
        let is_muxed = match self.table.borrow().get(id) {
            None => false,
            Some(Bound::Own(socket)) => {
                // There is seldom a second: if there is, the next wait tells at once.
                self.inbox.receive_one(id, socket);
                false
            }
            Some(Bound::Muxed(_)) => true,
        };
        if is_muxed {
            self.read_muxed(id);
        } else if self.inbox.is_full() {
            self.empty_inbox();
        }
    }

    fn read_muxed(&mut self, id: SocketId) {
        self.empty_inbox();
        for _ in 0..MAX_BATCHES {
            let received = match self.table.borrow().get(id) {
                None => return,
                Some(bound) => self.inbox.receive_many(id, bound.socket()),
            };
            let received = match received {
                Ok(received) => received,
                Err(Errno::EAGAIN) => return,
                // An ICMP error to something sent before was read now, and says nothing proven.
                Err(_) => continue,
            };
            self.empty_inbox();
            if received < BATCH {
                return;
            }
        }
    }

    /// Looks at what was received and sends what follows from it.
    fn empty_inbox(&mut self) {
        // Read once: what lay in the sockets together came together.
        let now = Instant::now();
        self.plane.expect_datagrams(self.inbox.arrivals());
        for (id, source, datagram) in self.inbox.drain() {
            if datagram.len() == MAX_DATAGRAM_BYTES {
                self.worker.counters.count(Way::In, Outcome::Malformed);
            } else {
                self.plane.handle_datagram(id, source, datagram, now);
            }
        }
        self.drain();
    }

    fn take_commands(&mut self) {
        for _ in 0..MAX_COMMANDS {
            let Ok(command) = self.worker.queue.try_recv() else { return };
            self.plane.handle_command(command, Instant::now());
            self.drain();
        }
        // There may be more: wake up again at once.
        let _ = self.worker.wake.write(1);
    }

    fn drain(&mut self) {
        while let Some(transmit) = self.plane.poll_transmit() {
            self.send(transmit);
        }
        self.empty_outbox();
        while let Some(event) = self.plane.poll_event() {
            (self.worker.sink)(event);
        }
    }

    fn send(&mut self, transmit: Transmit) {
        let sent = match self.table.borrow().get(transmit.socket) {
            None => return,
            Some(Bound::Own(socket)) => Some(socket.send_to(&transmit.bytes, transmit.destination)),
            Some(Bound::Muxed(_)) => None,
        };
        match sent {
            Some(sent) => {
                self.count_refused(usize::from(sent.is_err()));
                self.plane.reuse(transmit.bytes);
            }
            None => {
                if self.outbox.must_leave_before(&transmit) {
                    self.empty_outbox();
                }
                self.outbox.push(transmit);
            }
        }
    }

    fn empty_outbox(&mut self) {
        let Some(first) = self.outbox.first() else { return };
        let refused = match self.table.borrow().get(first.socket) {
            Some(bound) => self.outbox.send(bound.socket()),
            None => 0,
        };
        for bytes in self.outbox.drain() {
            self.plane.reuse(bytes);
        }
        self.count_refused(refused);
    }

    /// A full buffer, or an ICMP error to something sent before: media does not repeat itself.
    fn count_refused(&self, transmits: usize) {
        for _ in 0..transmits {
            self.worker.counters.count(Way::Out, Outcome::NoRoute);
        }
    }
}

/// Until the plane's next deadline, rounded up so that it has passed then.
fn wait(plane: &Plane) -> EpollTimeout {
    let until = plane.poll_timeout().map(|(at, _)| at.saturating_duration_since(Instant::now()));
    let wait = until.map_or(LONGEST_WAIT, |until| until.min(LONGEST_WAIT));
    let milliseconds = wait.as_micros().div_ceil(1_000);
    EpollTimeout::try_from(milliseconds).expect("five seconds fit")
}
