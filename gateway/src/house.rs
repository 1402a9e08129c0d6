//! The gateway put together: what is started, in which order, and how it stops.
//!
//! ```text
//! dialplan -> store -> media plane -> adapters bound -> switchboard -> adapters run -> operator's listener
//! SIGTERM: refuse new calls -> wait for the last, at most drain_s -> end the rest -> adapters
//! return -> store written -> exit. A second SIGTERM skips the wait.
//! ```

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use adapter_sip::SipAdapter;
use dialplan::config::Targets;
use gateway_adapter::attempts::Memory;
use gateway_adapter::{Adapter, AdapterFailed, Metrics, resolver};
use gateway_core::ids::LEGS_PER_CALL;
use gateway_core::reachable::Reachable;
use gateway_media::shell::MediaHandle;
use gateway_procom::{ProcomAdapter, Tokens};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::admin::{self, Admin};
use crate::config::{Config, ConfigFault};
use crate::explain::Explainer;
use crate::planning::Planning;
use crate::resolver::serve;
use crate::secrets::{make_private, random_text, write_private};
use crate::store::{Store, StoreFault, recall};
use crate::supervisor::{Build, Surroundings, supervise};
use crate::switchboard::{Control, Inlets, MediaSink, Switchboard, epoch_ms};

/// How long legs may take to end when the gateway stops.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Why the gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// A socket, a certificate, a file.
    #[error(transparent)]
    Adapter(#[from] AdapterFailed),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// The dialplan.
    #[error(transparent)]
    Dialplan(#[from] ConfigFault),
    /// The media plane.
    #[error("media: {0}")]
    Media(String),
    /// The state folder.
    #[error("gateway.state_dir {0}: {1}")]
    State(PathBuf, std::io::Error),
}

/// What listens where.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The Procom edge.
    pub procom: SocketAddr,
    /// The SHA-256 fingerprint of its certificate; `None` without TLS.
    pub fingerprint: Option<String>,
    /// The operator's listener.
    pub admin: SocketAddr,
    /// What `/metrics` asks for.
    pub admin_token: String,
}

/// A running gateway.
#[derive(Debug)]
pub struct House {
    /// What listens where.
    pub bound: Bound,
    controls: mpsc::Sender<Control>,
    plans: watch::Sender<Arc<Planning>>,
    board: JoinHandle<()>,
    adapters: Vec<JoinHandle<()>>,
    drain: Duration,
}

impl House {
    /// Starts everything; when this returns, everything listens.
    ///
    /// # Errors
    /// What could not be started, and why.
    pub async fn start(
        config: &Config,
        tokens: Tokens,
        targets: Targets,
    ) -> Result<Self, StartFault> {
        let reach = targets.reachable();
        let planning = config.planning(targets, None)?;
        if !planning.names.has_servers() {
            tracing::warn!("there is no DNS server: name one in dialplan.dns.servers");
        }
        let (plans, plan) = watch::channel(Arc::new(planning));
        let state = &config.gateway.state_dir;
        make_private(state).map_err(|why| StartFault::State(state.clone(), why))?;
        let store = Store::open(state, epoch_ms())?;
        let metrics = Metrics::new();
        let (media_sender, media_events) = mpsc::unbounded_channel();
        let media = MediaHandle::start(&config.media, move |event| {
            // The switchboard is gone only when the gateway stops.
            let _ = media_sender.send(event);
        })
        .map_err(|why| StartFault::Media(why.to_string()))?;
        let media = Arc::new(media);

        let (procom, procom_bound) = bind_procom(config, &tokens)?;
        let admin_token = admin_token(config)?;
        let listener = admin::bind(config.admin.listen).await?;
        let admin_at = listener.local_addr().map_err(|why| AdapterFailed::new("admin", why))?;
        let reach = reach.with_listeners([procom_bound.address, admin_at]);
        let sip = if config.sip.listen.is_empty() { None } else { Some(bind_sip(config, &reach)?) };

        let (controls, receiver) = mpsc::channel(64);
        let sink: MediaSink = Box::new({
            let media = Arc::clone(&media);
            move |command| media.send(command).is_ok()
        });
        let board = Switchboard::new(
            plan.clone(),
            sink,
            store,
            metrics.clone(),
            (config.capacity(), config.mail()),
        );
        let board = tokio::spawn(board.run(Inlets { controls: receiver, media: media_events }));
        let (resolver, lookups) = resolver();
        let explainer = Explainer { controls: controls.clone(), plans: plan };
        tokio::spawn(serve(lookups, explainer.clone()));
        let next_leg = Arc::new(AtomicU64::new(LEGS_PER_CALL));
        let surroundings = Surroundings {
            controls: controls.clone(),
            next_leg,
            resolver,
            metrics: metrics.clone(),
        };
        let mut adapters =
            vec![supervise(procom, rebuild_procom(config, tokens), surroundings.clone())];
        adapters.extend(sip.map(|sip| supervise(sip, rebuild_sip(config, reach), surroundings)));
        let admin = Admin { token: admin_token.clone(), metrics, media, explainer };
        tokio::spawn(admin::serve(listener, Arc::new(admin)));
        let bound = Bound {
            procom: procom_bound.address,
            fingerprint: procom_bound.fingerprint,
            admin: admin_at,
            admin_token,
        };
        let drain = Duration::from_secs(config.gateway.drain_s);
        Ok(Self { bound, controls, plans, board, adapters, drain })
    }

    /// Puts the dialplan of this configuration in the place of the one in force: for calls that
    /// begin from now on. Nothing else of the configuration is looked at.
    ///
    /// # Errors
    /// What is wrong with it; the one in force stays so.
    pub fn reload(&self, config: &Config) -> Result<(), ConfigFault> {
        let before = Arc::clone(&self.plans.borrow());
        let targets = before.dialplan.targets.clone();
        self.plans.send_replace(Arc::new(config.planning(targets, Some(&before))?));
        Ok(())
    }

    /// Stops: waits for calls to end by themselves until `hurry` completes or the drain time is
    /// over, ends the rest, and returns when everything is closed.
    pub async fn stop(self, hurry: impl Future<Output = ()>) {
        tracing::info!("stopping: no new calls are taken");
        let is_drained = async {
            let drained = self.drained().await;
            let _ = drained.await;
        };
        tokio::select! {
            () = is_drained => {}
            () = tokio::time::sleep(self.drain) => tracing::info!("the drain time is over"),
            () = hurry => tracing::info!("stopping at once"),
        }
        let _ = self.controls.send(Control::EndAll).await;
        let last = self.drained().await;
        let _ = tokio::time::timeout(LAST_WORDS, last).await;
        let _ = self.controls.send(Control::Stop).await;
        let _ = tokio::time::timeout(LAST_WORDS, self.board).await;
        for adapter in self.adapters {
            let _ = tokio::time::timeout(LAST_WORDS, adapter).await;
        }
        tracing::info!("stopped");
    }

    async fn drained(&self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        let _ = self.controls.send(Control::Drain(sender)).await;
        receiver
    }
}

type ProcomBound = gateway_procom::Bound;

fn bind_procom(
    config: &Config,
    tokens: &Tokens,
) -> Result<(Box<dyn Adapter>, ProcomBound), AdapterFailed> {
    let accounts = config.procom_accounts().map_err(|why| AdapterFailed::new("procom", why))?;
    let state = &config.gateway.state_dir;
    let memory = memory(config, "procom")?;
    let (adapter, bound) =
        ProcomAdapter::bind(config.procom.clone(), accounts, tokens.clone(), state, memory)?;
    let networks = if config.sip.listen.is_empty() { vec![] } else { vec!["sip".to_owned()] };
    Ok((Box::new(adapter.with_networks(networks)), bound))
}

fn rebuild_procom(config: &Config, tokens: Tokens) -> Build {
    let config = config.clone();
    Box::new(move || bind_procom(&config, &tokens).map(|(adapter, _)| adapter))
}

fn bind_sip(config: &Config, reach: &Reachable) -> Result<Box<dyn Adapter>, AdapterFailed> {
    let (accounts, memory) = (config.sip_accounts(), memory(config, "sip")?);
    Ok(Box::new(SipAdapter::bind(config.sip.clone(), accounts, memory, reach.clone())?))
}

fn rebuild_sip(config: &Config, reach: Reachable) -> Build {
    let config = config.clone();
    Box::new(move || bind_sip(&config, &reach))
}

/// The networks that accounts have signed in from, with those that were added since the start.
fn memory(config: &Config, adapter: &'static str) -> Result<Memory, AdapterFailed> {
    recall(&config.gateway.state_dir, adapter, epoch_ms())
        .map_err(|why| AdapterFailed::new("read who signed in from where", why))
}

/// The token of the operator's listener: configured, or kept in the state folder.
fn admin_token(config: &Config) -> Result<String, AdapterFailed> {
    if let Some(token) = &config.admin.token {
        return Ok(token.reveal().to_owned());
    }
    let path: &Path = &config.gateway.state_dir.join("admin.token");
    if let Ok(token) = std::fs::read_to_string(path) {
        return Ok(token.trim().to_owned());
    }
    let token = random_text::<32>();
    write_private(path, token.as_bytes())
        .map_err(|why| AdapterFailed::new(path.display().to_string(), why))?;
    Ok(token)
}
