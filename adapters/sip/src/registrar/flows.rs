//! From where registered phones speak, so that a flood of others costs one look-up each.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::Binding;
use crate::stack::flow::{Flow, Transport};

/// How many phones are registered from each transport, address and port.
#[derive(Debug, Default)]
pub(super) struct Flows {
    phones_at: BTreeMap<(Transport, SocketAddr), usize>,
}

impl Flows {
    pub(super) fn add(&mut self, bindings: &[Binding]) {
        for binding in bindings {
            *self.phones_at.entry(place(binding.flow)).or_insert(0) += 1;
        }
    }

    pub(super) fn remove(&mut self, bindings: &[Binding]) {
        for binding in bindings {
            let at = place(binding.flow);
            if let Some(phones) = self.phones_at.get_mut(&at) {
                *phones -= 1;
                if *phones == 0 {
                    self.phones_at.remove(&at);
                }
            }
        }
    }

    pub(super) fn has(&self, flow: Flow) -> bool {
        self.phones_at.contains_key(&place(flow))
    }
}

/// What makes two messages those of one phone: a NAT gives every phone a port of its own.
pub(super) fn place(flow: Flow) -> (Transport, SocketAddr) {
    (flow.transport, flow.remote)
}
