//! Threads, sockets and a clock for the pure [`Plane`](crate::plane::Plane).
//!
//! ```text
//!  MediaHandle --bounded queue, eventfd--> worker 0: epoll, Plane, muxed sockets, pairs of sockets
//!              \-------------------------> worker 1: ..
//!  sink(MediaEvent) <--------------------- each worker
//! ```
//!
//! A call's ports have numbers of one block, and the block picks the worker: joined ports are always together. There
//! is no async runtime in here.

mod batch;
mod sockets;
mod worker;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use gateway_core::ids::{LEGS_PER_CALL, PortId};
use gateway_core::media::{MediaCommand, MediaEvent};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::config::{ConfigFault, MediaConfig};
use crate::counters::Counters;
use crate::protection::dtls::{Identity, NoIdentity};
use worker::Worker;

/// Commands that may wait for one worker.
const MAX_COMMANDS: usize = 4_096;

/// Why the media plane did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigFault),
    /// There is no certificate.
    #[error(transparent)]
    Identity(#[from] NoIdentity),
    /// A socket or thread could not be had.
    #[error("media sockets or threads: {0}")]
    Io(#[from] io::Error),
}

/// A command that was not taken.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum NotTaken {
    /// The worker's queue is full; here is the command back.
    #[error("the media worker is too busy")]
    Full(Box<MediaCommand>),
    /// The worker is gone.
    #[error("the media worker has stopped")]
    Stopped,
}

/// The running media plane; it stops when this is dropped.
pub struct MediaHandle {
    workers: Vec<Running>,
    counters: Arc<Counters>,
    addresses: Vec<SocketAddr>,
}

struct Running {
    commands: Option<SyncSender<MediaCommand>>,
    wake: Arc<EventFd>,
    is_stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for MediaHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MediaHandle").field("workers", &self.workers.len()).finish_non_exhaustive()
    }
}

impl MediaHandle {
    /// Binds the sockets and starts the workers; `sink` is called from their threads and must not wait.
    ///
    /// # Errors
    /// See [`StartFault`].
    pub fn start(
        config: &MediaConfig,
        sink: impl Fn(MediaEvent) + Send + Sync + 'static,
    ) -> Result<Self, StartFault> {
        config.check()?;
        let identity = Identity::generate()?;
        let counters = Arc::new(Counters::default());
        let sink: Arc<dyn Fn(MediaEvent) + Send + Sync> = Arc::new(sink);
        let mut handle = Self { workers: Vec::new(), counters, addresses: Vec::new() };
        for number in 0..config.workers {
            let muxed = sockets::bind_muxed(config, number)?;
            handle.addresses.extend(muxed.iter().map(|(_, advertised)| *advertised));
            let (commands, queue) = sync_channel(MAX_COMMANDS);
            let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
            let wake = Arc::new(EventFd::from_flags(flags).map_err(io::Error::from)?);
            let is_stopping = Arc::new(AtomicBool::new(false));
            let worker = Worker {
                config: config.clone(),
                number,
                muxed,
                queue,
                wake: wake.clone(),
                is_stopping: is_stopping.clone(),
                identity: identity.clone(),
                counters: handle.counters.clone(),
                sink: sink.clone(),
            };
            let thread = std::thread::Builder::new()
                .name(format!("media-{number}"))
                .spawn(move || worker.run())?;
            let (commands, thread) = (Some(commands), Some(thread));
            handle.workers.push(Running { commands, wake, is_stopping, thread });
        }
        Ok(handle)
    }

    /// Hands a command to the worker of its call.
    ///
    /// # Errors
    /// [`NotTaken`]; it never waits.
    pub fn send(&self, command: MediaCommand) -> Result<(), NotTaken> {
        let worker = &self.workers[self.worker_of(command.port())];
        let Some(commands) = &worker.commands else { return Err(NotTaken::Stopped) };
        match commands.try_send(command) {
            Ok(()) => {
                // A full counter of an eventfd means that the worker is already to wake up.
                let _ = worker.wake.write(1);
                Ok(())
            }
            Err(TrySendError::Full(command)) => Err(NotTaken::Full(Box::new(command))),
            Err(TrySendError::Disconnected(_)) => Err(NotTaken::Stopped),
        }
    }

    /// The counts of all workers.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The addresses that peers with ICE are told, worker by worker.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Ports of one call have one worker.
    fn worker_of(&self, port: PortId) -> usize {
        let workers = self.workers.len() as u64;
        usize::try_from(port.0 / LEGS_PER_CALL % workers).expect("there are at most 64 workers")
    }
}

impl Drop for MediaHandle {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            worker.is_stopping.store(true, Ordering::Release);
            worker.commands = None;
            let _ = worker.wake.write(1);
        }
        for thread in self.workers.iter_mut().filter_map(|worker| worker.thread.take()) {
            if thread.join().is_err() {
                tracing::error!("a media worker had failed");
            }
        }
    }
}
