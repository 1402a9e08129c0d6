//! The adapter's side of its channels.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gateway_core::LegId;
use gateway_core::ids::LEGS_PER_CALL;
use tokio::sync::mpsc;

use crate::{CHANNEL_CAPACITY, Command, Event, Outlet, Recorder, Resolver};

/// The switchboard has no room for new work: refuse on the wire, and say when to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the switchboard has no room for new work")]
pub struct Busy;

/// The adapter's side of its channels.
#[derive(Debug)]
pub struct Edge {
    commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<Event>,
    next_leg: Arc<AtomicU64>,
    outbox: VecDeque<Event>,
    resolver: Resolver,
    recorder: Recorder,
}

/// Makes the two ends for one adapter. `next_leg` is shared by all adapters.
#[must_use]
pub fn channel(
    next_leg: Arc<AtomicU64>,
    events: mpsc::Sender<Event>,
    resolver: Resolver,
    recorder: Recorder,
) -> (Outlet, Edge) {
    let (sender, commands) = mpsc::channel(CHANNEL_CAPACITY);
    let edge = Edge { commands, events, next_leg, outbox: VecDeque::new(), resolver, recorder };
    (Outlet::new(sender), edge)
}

impl Edge {
    /// An id for a new incoming leg. The rest of its block belongs to the call that will be.
    #[must_use]
    pub fn next_leg(&self) -> LegId {
        LegId(self.next_leg.fetch_add(LEGS_PER_CALL, Ordering::Relaxed))
    }

    /// Looks names up: keep a clone where it is needed.
    #[must_use]
    pub const fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// Counts legs and faults of this adapter.
    #[must_use]
    pub const fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Tells of new work: an incoming leg. Never waits.
    ///
    /// # Errors
    /// There is no room: the caller is refused on the wire, and nothing more is said of the leg.
    pub fn try_report(&mut self, event: Event) -> Result<(), Busy> {
        self.flush();
        if !self.outbox.is_empty() {
            return Err(Busy);
        }
        self.events.try_send(event).map_err(|_| Busy)
    }

    /// Tells of what exists: live legs, registrations, links. Never waits and is never lost; it is
    /// bounded by what the adapter lets live at once.
    pub fn report(&mut self, event: Event) {
        self.outbox.push_back(event);
        self.flush();
    }

    /// The next command; meanwhile hands over what waits in the outbox. `None`: the gateway closes
    /// this adapter. May be dropped between polls without loss.
    pub async fn next(&mut self) -> Option<Command> {
        loop {
            self.flush();
            if self.outbox.is_empty() {
                return self.commands.recv().await;
            }
            tokio::select! {
                permit = self.events.reserve() => match (permit, self.outbox.pop_front()) {
                    (Ok(permit), Some(event)) => permit.send(event),
                    (Ok(_) | Err(_), _) => self.outbox.clear(),
                },
                command = self.commands.recv() => return command,
            }
        }
    }

    fn flush(&mut self) {
        while let Some(event) = self.outbox.pop_front() {
            if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
                self.outbox.push_front(event);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Metrics, resolver};
    use gateway_core::Cause;
    use gateway_core::leg::{LegCommand, LegEvent};

    fn pair(capacity: usize) -> (Outlet, Edge, mpsc::Receiver<Event>) {
        let (events, receiver) = mpsc::channel(capacity);
        let (outlet, edge) = channel(
            Arc::new(AtomicU64::new(LEGS_PER_CALL)),
            events,
            resolver().0,
            Metrics::new().recorder("sip"),
        );
        (outlet, edge, receiver)
    }

    fn ringing(leg: u64) -> Event {
        Event::Leg(LegId(leg), LegEvent::Ringing)
    }

    #[test]
    fn leg_ids_leave_room_for_the_rest_of_their_call() {
        let (_outlet, edge, _events) = pair(1);
        let first = edge.next_leg();
        assert_eq!(edge.next_leg().0 - first.0, LEGS_PER_CALL);
    }

    #[tokio::test]
    async fn events_of_live_legs_wait_for_room_and_keep_their_order() {
        let (mut outlet, mut edge, mut events) = pair(1);
        for leg in 0..3 {
            edge.report(ringing(leg));
        }
        assert_eq!(edge.try_report(ringing(9)), Err(Busy), "new work does not overtake");
        outlet.send(LegId(1), LegCommand::End(Cause::Normal, None));
        let command = edge.next().await;
        assert!(matches!(command, Some(Command::Leg(LegId(1), LegCommand::End(..)))));
        drop(outlet);
        let reader = async {
            let mut seen = Vec::new();
            for _ in 0..3 {
                seen.push(events.recv().await.expect("an event"));
            }
            seen
        };
        let writer = async {
            while edge.next().await.is_some() {}
            while !edge.outbox.is_empty() {
                edge.flush();
                tokio::task::yield_now().await;
            }
        };
        let (seen, ()) = tokio::join!(reader, writer);
        assert_eq!(seen, [ringing(0), ringing(1), ringing(2)]);
    }
}
