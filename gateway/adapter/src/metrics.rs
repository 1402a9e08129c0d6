//! The same metrics for every adapter (ARCHITECTURE.md §3.4). Never an address in a label.

use gateway_core::{Cause, TrunkId};
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

/// All adapters' metrics, in one registry.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    legs_total: IntCounterVec,
    legs_active: IntGaugeVec,
    link_up: IntGaugeVec,
    faults_total: IntCounterVec,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Registers the metrics in a registry of their own.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let vec = IntCounterVec::new(Opts::new(name, help), labels).expect("a valid metric");
            registry.register(Box::new(vec.clone())).expect("registered once");
            vec
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            let vec = IntGaugeVec::new(Opts::new(name, help), labels).expect("a valid metric");
            registry.register(Box::new(vec.clone())).expect("registered once");
            vec
        };
        Self {
            legs_total: counter("legs_total", "Legs that ended.", &["trunk", "direction", "cause"]),
            legs_active: gauge("legs_active", "Legs that live.", &["trunk"]),
            link_up: gauge("link_up", "Whether a trunk can be used.", &["trunk"]),
            faults_total: counter("faults_total", "Peers' faults.", &["trunk", "kind"]),
            registry,
        }
    }

    /// The registry, to be gathered or added to.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What one adapter counts with.
    #[must_use]
    pub fn recorder(&self, adapter: &'static str) -> Recorder {
        Recorder { adapter, metrics: self.clone() }
    }

    /// A leg began on that trunk.
    pub fn leg_began(&self, trunk: &TrunkId) {
        self.legs_active.with_label_values(&[trunk.as_str()]).inc();
    }

    /// A leg ended.
    pub fn leg_ended(&self, trunk: &TrunkId, is_incoming: bool, cause: Cause) {
        let direction = if is_incoming { "in" } else { "out" };
        self.legs_active.with_label_values(&[trunk.as_str()]).dec();
        self.legs_total.with_label_values(&[trunk.as_str(), direction, cause.as_str()]).inc();
    }

    /// A trunk's link changed.
    pub fn link(&self, trunk: &TrunkId, is_up: bool) {
        self.link_up.with_label_values(&[trunk.as_str()]).set(i64::from(is_up));
    }
}

/// What one adapter counts with. Legs and links are counted by the switchboard.
#[derive(Clone, Debug)]
pub struct Recorder {
    adapter: &'static str,
    metrics: Metrics,
}

impl Recorder {
    /// A peer misbehaved in a way that has a name, like `missing-call-id`.
    pub fn fault(&self, kind: &'static str) {
        self.metrics.faults_total.with_label_values(&[self.adapter, kind]).inc();
    }
}
