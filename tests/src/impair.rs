//! Loss and jitter on chosen UDP ports of a test's namespace, by `interop/peers/impair.py`
//! (NFQUEUE: the kernels of test machines have no netem).

use std::time::Duration;

use serde_json::{Value, json};

use crate::namespace::Net;
use crate::script::Script;

/// A running impairment; the path is clean again when it is stopped or dropped.
#[derive(Debug)]
pub struct Impairment {
    script: Script,
}

impl Impairment {
    /// Loses `loss` (0 to 1) of what is sent to the UDP ports and delays the rest by
    /// `jitter_ms` on average, by a normal distribution of half that width.
    pub fn start(
        net: &Net,
        ports: std::ops::RangeInclusive<u16>,
        loss: f64,
        jitter_ms: u32,
    ) -> Self {
        let settings = json!({
            "ports": format!("{}:{}", ports.start(), ports.end()),
            "loss": loss,
            "jitter_ms": jitter_ms,
        });
        Self { script: Script::start(net, "impair", "impair.py", &settings) }
    }

    /// Ends it and returns what it did: `seen` and `lost` packets.
    pub fn stop(mut self) -> Value {
        self.script.process.send("quit");
        self.script.wait("done", Duration::from_secs(5))
    }
}
