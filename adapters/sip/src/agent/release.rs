//! Hanging up what an earlier life of the gateway left standing.
//!
//! A phone whose connection died with the gateway is told as soon as it registers again.

use std::time::{Duration, Instant};

use gateway_adapter::Event;
use gateway_core::Cause;

use super::Agent;
use crate::cause;
use crate::line::{Output, Owner};
use crate::stack::dialog::{Dialog, Snapshot};
use crate::stack::flow::Flow;
use crate::stack::wire::{Method, Uri};

/// How long a phone may take to come back. Most register again within an hour, and all calls
/// without media end sooner by themselves.
const PATIENCE: Duration = Duration::from_secs(600);

/// A dialog of an earlier life.
#[derive(Debug)]
pub(super) struct Release {
    dialog: Dialog,
    give_up_at: Instant,
    /// No BYE of it is on its way.
    is_stranded: bool,
}

impl Release {
    pub(super) fn poll_timeout(&self) -> Instant {
        self.give_up_at
    }
}

impl Agent {
    /// Sends the BYE of a journal entry.
    pub(super) fn release(&mut self, key: u64, entry: &[u8], now: Instant) {
        let snapshot = serde_json::from_slice::<Snapshot>(entry).ok();
        match snapshot.and_then(|snapshot| snapshot.revive()) {
            Some(dialog) => {
                let give_up_at = now + PATIENCE;
                self.releases.insert(key, Release { dialog, give_up_at, is_stranded: false });
                self.send_release(key, now);
            }
            None => self.released(key),
        }
    }

    fn send_release(&mut self, key: u64, now: Instant) {
        let Some(release) = self.releases.get_mut(&key) else { return };
        let mut bye = release.dialog.request(&Method::Bye);
        if let Some(reason) = cause::reason(Cause::Shutdown) {
            bye.push("Reason", reason);
        }
        release.is_stranded = false;
        match self.stack.send_request(bye, release.dialog.target(), now) {
            Some(id) => self.owners.insert(id, Owner::Release(key)),
            None => self.strand(key, now),
        }
    }

    /// A BYE did not arrive: it waits for its phone to come back.
    pub(super) fn strand(&mut self, key: u64, now: Instant) {
        if let Some(release) = self.releases.get_mut(&key) {
            release.is_stranded = true;
        }
        self.give_up_stranded(now);
    }

    /// A phone has come back: what was left for it is sent by its new way.
    pub(super) fn retry_stranded(&mut self, user: &str, flow: Flow, now: Instant) {
        let home = Uri::sip(Some(user), &self.domain, None);
        let keys: Vec<u64> = self
            .releases
            .iter_mut()
            .filter(|(_, release)| release.is_stranded)
            .filter(|(_, release)| home.as_ref() == Some(&release.dialog.remote().uri))
            .map(|(key, release)| {
                release.dialog.move_to(flow);
                *key
            })
            .collect();
        for key in keys {
            self.send_release(key, now);
        }
    }

    pub(super) fn give_up_stranded(&mut self, now: Instant) {
        let over: Vec<u64> = self
            .releases
            .iter()
            .filter(|(_, release)| release.give_up_at <= now)
            .map(|(key, _)| *key)
            .collect();
        for key in over {
            self.released(key);
        }
    }

    /// Dealt with, however it went.
    pub(super) fn released(&mut self, key: u64) {
        self.releases.remove(&key);
        self.out.push_back(Output::Event(Event::Released(key)));
    }
}
