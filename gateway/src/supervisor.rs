//! Starts the adapters, and starts those again that fail, later each time.
//!
//! ```text
//! Factory --build--> Adapter --run--> failed? --backoff with jitter--> build again
//!                       |  Attach / Detach
//!                       v
//!                  switchboard
//! ```
#![expect(clippy::disallowed_methods, reason = "a shell: it reads the clock")]

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use gateway_adapter::{Adapter, AdapterFailed, CHANNEL_CAPACITY, Metrics, Resolver, channel};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::secrets::random;
use crate::switchboard::Control;

/// The first wait before an adapter is started again, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Makes an adapter, and makes it again after it failed.
pub type Build = Box<dyn FnMut() -> Result<Box<dyn Adapter>, AdapterFailed> + Send>;

/// What every adapter is given.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Where the switchboard hears of adapters.
    pub controls: mpsc::Sender<Control>,
    /// The next call's first leg id.
    pub next_leg: Arc<AtomicU64>,
    /// Looks names up.
    pub resolver: Resolver,
    /// Counts.
    pub metrics: Metrics,
}

/// Runs one adapter until the gateway stops.
pub fn supervise(
    first: Box<dyn Adapter>,
    build: Build,
    surroundings: Surroundings,
) -> JoinHandle<()> {
    tokio::spawn(keep_running(first, build, surroundings))
}

async fn keep_running(first: Box<dyn Adapter>, mut build: Build, surroundings: Surroundings) {
    let name = first.name();
    let mut adapter = Some(first);
    let mut wait = BACKOFF.0;
    loop {
        let began = Instant::now();
        let outcome = match adapter.take().map_or_else(&mut build, Ok) {
            Ok(adapter) => run(name, adapter, &surroundings).await,
            Err(failed) => Err(failed),
        };
        match outcome {
            // The command channel closed: the gateway stops.
            Ok(()) => return,
            Err(failed) => tracing::error!(adapter = name, %failed, "the adapter failed"),
        }
        if surroundings.controls.is_closed() {
            return;
        }
        if began.elapsed() > BACKOFF.1 {
            wait = BACKOFF.0;
        }
        let [jitter] = random::<1>();
        tokio::time::sleep(wait.mul_f32(0.75 + f32::from(jitter) / 512.0)).await;
        wait = (wait * 2).min(BACKOFF.1);
    }
}

async fn run(
    name: &'static str,
    adapter: Box<dyn Adapter>,
    surroundings: &Surroundings,
) -> Result<(), AdapterFailed> {
    let (sender, events) = mpsc::channel(CHANNEL_CAPACITY);
    let recorder = surroundings.metrics.recorder(name);
    let resolver = surroundings.resolver.clone();
    let next_leg = Arc::clone(&surroundings.next_leg);
    let (outlet, edge) = channel(next_leg, sender, resolver, recorder);
    let attach = Control::Attach(name, outlet, events);
    if surroundings.controls.send(attach).await.is_err() {
        return Ok(());
    }
    // In a task of its own, so that a panic is this adapter's end and nobody else's.
    let ended = tokio::spawn(adapter.run(edge)).await;
    let _ = surroundings.controls.send(Control::Detach(name)).await;
    ended.unwrap_or_else(|panic| Err(AdapterFailed::new(name, panic)))
}
