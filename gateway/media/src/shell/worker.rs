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

use super::sockets::{SharedTable, SocketTable};
use crate::config::MediaConfig;
use crate::counters::{Counters, Outcome, Way};
use crate::io::SocketId;
use crate::plane::{Plane, PlaneParts};
use crate::protection::dtls::Identity;

/// The eventfd's number in the epoll.
const WAKE: u64 = u64::MAX;
/// Events of one wait.
const MAX_EVENTS: usize = 256;
/// Datagrams read of one socket before the others have their turn.
const MAX_READS: usize = 64;
/// Commands taken in one round.
const MAX_COMMANDS: usize = 256;
/// Larger than any datagram that media has use for, and than what an Ethernet carries.
const MAX_DATAGRAM_BYTES: usize = 2_048;
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
        let mut plane = Plane::new(&self.config, parts);
        let mut events = [EpollEvent::empty(); MAX_EVENTS];
        let mut buffer = vec![0; MAX_DATAGRAM_BYTES];
        while !self.is_stopping.load(Ordering::Acquire) {
            let ready = match epoll.wait(&mut events, wait(&plane)) {
                Ok(ready) => ready,
                Err(Errno::EINTR) => 0,
                Err(fault) => return Err(fault.into()),
            };
            for event in &events[..ready] {
                match u32::try_from(event.data()) {
                    Ok(id) => self.read(SocketId(id), &table, &mut plane, &mut buffer),
                    // Only the count of wake-ups is in there.
                    Err(_) => drop(self.wake.read()),
                }
            }
            self.take_commands(&mut plane, &table);
            plane.handle_timeout(Instant::now());
            self.drain(&mut plane, &table);
        }
        Ok(())
    }

    fn read(
        &self,
        id: SocketId,
        table: &RefCell<SocketTable>,
        plane: &mut Plane,
        buffer: &mut [u8],
    ) {
        for _ in 0..MAX_READS {
            // The port that owns the socket may close in the middle.
            let Some(socket) = table.borrow().get(id) else { return };
            match socket.recv_from(buffer) {
                Ok((length, _)) if length == buffer.len() => {
                    self.counters.count(Way::In, Outcome::Malformed);
                }
                Ok((length, source)) => {
                    plane.handle_datagram(id, source, &mut buffer[..length], Instant::now());
                    self.drain(plane, table);
                }
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => return,
                // An ICMP error to something sent before: it was read now, and says nothing proven.
                Err(_) => {}
            }
        }
    }

    fn take_commands(&self, plane: &mut Plane, table: &RefCell<SocketTable>) {
        for _ in 0..MAX_COMMANDS {
            let Ok(command) = self.queue.try_recv() else { return };
            plane.handle_command(command, Instant::now());
            self.drain(plane, table);
        }
        // There may be more: wake up again at once.
        let _ = self.wake.write(1);
    }

    fn drain(&self, plane: &mut Plane, table: &RefCell<SocketTable>) {
        while let Some(transmit) = plane.poll_transmit() {
            let Some(socket) = table.borrow().get(transmit.socket) else { continue };
            // A full buffer, or an ICMP error to something sent before: media does not repeat itself.
            if socket.send_to(&transmit.bytes, transmit.destination).is_err() {
                self.counters.count(Way::Out, Outcome::NoRoute);
            }
        }
        while let Some(event) = plane.poll_event() {
            (self.sink)(event);
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
