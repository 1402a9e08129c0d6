//! A dialog on disk: enough to hang up after a crash.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use gateway_core::reachable::Reachable;
use serde::{Deserialize, Serialize};

use super::{Dialog, DialogId};
use crate::stack::flow::{Target, Transport};
use crate::stack::wire::{NameAddr, Uri};

/// What is needed to send a BYE in a dialog this process did not make. Kept by the gateway's
/// store; `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The Call-ID.
    pub call_id: String,
    /// Our address with our tag, as in From.
    pub local: String,
    /// Their address with their tag, as in To.
    pub remote: String,
    /// The Request-URI of requests to them.
    pub remote_target: String,
    /// The route set, in the order of use.
    pub routes: Vec<String>,
    /// The CSeq of our latest request.
    pub local_seq: u32,
    /// The CSeq of their latest request.
    pub remote_seq: Option<u32>,
    /// How they are reached.
    pub transport: Transport,
    /// Where they are reached.
    pub address: SocketAddr,
    /// The name their certificate must carry.
    pub server_name: Option<String>,
    /// Whether the dialog began with a request of ours.
    #[serde(default)]
    pub is_ours: bool,
    /// The configured trunk it went by.
    #[serde(default)]
    pub trunk: Option<String>,
}

impl Snapshot {
    /// Makes the dialog again; `None` when the snapshot is damaged. Its next CSeq leaves room for
    /// requests sent after the snapshot was written.
    pub fn revive(&self, reach: &Arc<Reachable>) -> Option<Dialog> {
        let local = NameAddr::parse(&self.local)?;
        let remote = NameAddr::parse(&self.remote)?;
        let id = DialogId {
            call_id: self.call_id.clone(),
            local_tag: local.tag()?.to_owned(),
            remote_tag: remote.tag().unwrap_or_default().to_owned(),
        };
        Some(Dialog {
            id,
            local,
            remote,
            remote_target: Uri::parse(&self.remote_target)?,
            routes: self
                .routes
                .iter()
                .map(|route| NameAddr::parse(route))
                .collect::<Option<_>>()?,
            local_seq: self.local_seq.saturating_add(100).min(i32::MAX as u32 - 1),
            remote_seq: self.remote_seq,
            target: Target {
                transport: self.transport,
                remote: self.address,
                link: None,
                server_name: self.server_name.clone(),
            },
            source: self.address,
            // The address was decided on when the peer was there.
            is_proxied: false,
            is_ours: self.is_ours,
            reach: Arc::clone(reach),
        })
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Snapshot")
    }
}
