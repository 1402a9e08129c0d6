//! The switchboard's side of an adapter's command channel. It never waits.

use std::collections::BTreeMap;

use gateway_core::leg::LegCommand;
use gateway_core::{Cause, LegId};
use tokio::sync::mpsc;

use crate::Command;

/// Sends commands to one adapter without ever waiting.
///
/// An `End` that does not fit is kept, one a leg, and repeated until it is taken. Any other leg
/// command that does not fit turns into `End(Overload)` by the same mark.
#[derive(Debug)]
pub struct Outlet {
    sender: mpsc::Sender<Command>,
    pending_end: BTreeMap<LegId, LegCommand>,
}

impl Outlet {
    pub(crate) const fn new(sender: mpsc::Sender<Command>) -> Self {
        Self { sender, pending_end: BTreeMap::new() }
    }

    /// Sends a command to a leg, or marks the leg for its end.
    pub fn send(&mut self, leg: LegId, command: LegCommand) {
        if self.pending_end.contains_key(&leg) {
            return;
        }
        let Err(mpsc::error::TrySendError::Full(Command::Leg(leg, command))) =
            self.sender.try_send(Command::Leg(leg, command))
        else {
            return;
        };
        let end = if matches!(command, LegCommand::End(..)) {
            command
        } else {
            LegCommand::End(Cause::Overload, None)
        };
        self.pending_end.insert(leg, end);
    }

    /// Sends what is not about a leg; false if there is no room or nobody to take it.
    pub fn tell(&self, command: Command) -> bool {
        self.sender.try_send(command).is_ok()
    }

    /// Tries the kept ends again. Returns whether any are still waiting.
    pub fn retry(&mut self) -> bool {
        while let Some((leg, end)) = self.pending_end.pop_first() {
            let Err(mpsc::error::TrySendError::Full(Command::Leg(leg, end))) =
                self.sender.try_send(Command::Leg(leg, end))
            else {
                continue;
            };
            self.pending_end.insert(leg, end);
            return true;
        }
        false
    }

    /// Whether the adapter is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_does_not_fit_is_repeated_until_taken() {
        let (sender, mut receiver) = mpsc::channel(1);
        let mut outlet = Outlet::new(sender);
        outlet.send(LegId(1), LegCommand::Ring);
        outlet.send(LegId(2), LegCommand::Ring);
        outlet.send(LegId(3), LegCommand::End(Cause::Busy, None));
        assert!(outlet.retry(), "there is still no room");
        assert_eq!(receiver.try_recv(), Ok(Command::Leg(LegId(1), LegCommand::Ring)));
        assert!(outlet.retry());
        let overload = LegCommand::End(Cause::Overload, None);
        assert_eq!(receiver.try_recv(), Ok(Command::Leg(LegId(2), overload)));
        assert!(!outlet.retry());
        let busy = LegCommand::End(Cause::Busy, None);
        assert_eq!(receiver.try_recv(), Ok(Command::Leg(LegId(3), busy)));
    }
}
