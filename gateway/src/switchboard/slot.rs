//! The switchboard's side of one adapter.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::task::Poll;

use gateway_adapter::{Command, Event, Outlet};
use gateway_core::leg::LegCommand;
use gateway_core::{LegId, TrunkId};
use tokio::sync::mpsc;

/// One running adapter.
pub(super) struct Slot {
    pub(super) name: &'static str,
    outlet: Outlet,
    events: mpsc::Receiver<Event>,
    /// Live legs with their trunk and whether they came in.
    pub(super) legs: BTreeMap<LegId, (TrunkId, bool)>,
    /// Trunks it told of.
    pub(super) links: BTreeSet<TrunkId>,
    /// Whether an end waits for room.
    pub(super) has_pending: bool,
}

impl Slot {
    pub(super) fn new(name: &'static str, outlet: Outlet, events: mpsc::Receiver<Event>) -> Self {
        let (legs, links) = (BTreeMap::new(), BTreeSet::new());
        Self { name, outlet, events, legs, links, has_pending: false }
    }

    pub(super) fn send(&mut self, leg: LegId, command: LegCommand) {
        self.outlet.send(leg, command);
        self.retry();
    }

    pub(super) fn retry(&mut self) {
        self.has_pending = self.outlet.retry();
    }

    pub(super) fn tell(&self, command: Command) -> bool {
        self.outlet.tell(command)
    }
}

/// The next event of any adapter, each in turn first. Never ready while there is none: an adapter
/// whose channel closed is detached by the supervisor.
pub(super) async fn next_event(slots: &mut [Slot]) -> (&'static str, Event) {
    poll_fn(|context| {
        for at in 0..slots.len() {
            if let Poll::Ready(Some(event)) = slots[at].events.poll_recv(context) {
                let name = slots[at].name;
                // Whoever was served stands last the next time.
                slots[at..].rotate_left(1);
                return Poll::Ready((name, event));
            }
        }
        Poll::Pending
    })
    .await
}
