//! Hanging up what was left standing: by an earlier life of the gateway, or by a call of this one
//! whose peer could not be told.
//!
//! ```text
//!   journal entry, call --> Waiting --due | trunk up | phone registered--> Sending --answer--> done
//!                              ^                                             |
//!                              +------------------ not delivered ------------+   PATIENCE -> done
//! ```

use std::time::{Duration, Instant};

use gateway_adapter::Event;
use gateway_core::{Cause, LegId, TrunkId};

use super::Agent;
use crate::cause;
use crate::line::{Left, Output, Owner};
use crate::stack::dialog::{Dialog, Snapshot};
use crate::stack::flow::Flow;
use crate::stack::wire::{Method, Request, Response, Uri};

/// How long the far side may take to come back. Most phones register again within an hour, and all
/// calls without media end sooner by themselves.
const PATIENCE: Duration = Duration::from_secs(600);
/// Pauses between attempts: doubled from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LAST_PAUSE: Duration = Duration::from_secs(60);
/// Calls of this life that are kept for another attempt; those of an earlier one are few enough.
const MAX_LEFT: usize = 1_000;
/// Challenges answered for one BYE.
const MAX_CHALLENGES: u8 = 3;

/// A dialog to be hung up.
#[derive(Debug)]
pub(super) struct Release {
    dialog: Dialog,
    /// The configured trunk it went by; `None` for phones and names.
    trunk: Option<TrunkId>,
    state: State,
    pause: Duration,
    challenges: u8,
    give_up_at: Instant,
}

#[derive(Debug)]
enum State {
    /// This BYE is on its way.
    Sending(Box<Request>),
    /// The next attempt is due then; `None`: when the trunk is up.
    Waiting(Option<Instant>),
}

impl Release {
    fn new(dialog: Dialog, trunk: Option<TrunkId>, now: Instant) -> Self {
        let (state, give_up_at) = (State::Waiting(None), now + PATIENCE);
        Self { dialog, trunk, state, pause: FIRST_PAUSE, challenges: 0, give_up_at }
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        match self.state {
            State::Waiting(Some(at)) => at.min(self.give_up_at),
            State::Waiting(None) | State::Sending(_) => self.give_up_at,
        }
    }

    fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting(_))
    }

    fn is_due(&self, now: Instant) -> bool {
        matches!(self.state, State::Waiting(Some(at)) if at <= now)
    }
}

impl Agent {
    /// Hangs up what a journal entry describes, at once or when its trunk is up.
    pub(super) fn release(&mut self, key: u64, entry: &[u8], now: Instant) {
        let snapshot = serde_json::from_slice::<Snapshot>(entry).ok();
        let reach = self.stack.advertised().reach();
        let revived = snapshot.and_then(|entry| Some((entry.revive(reach)?, entry.trunk)));
        // Where it led in an earlier life may be a listener of ours now.
        let is_allowed =
            |(dialog, _): &(Dialog, _)| reach.judge_always(dialog.target().remote).is_ok();
        let Some((dialog, trunk)) = revived.filter(is_allowed) else {
            self.out.push_back(Output::Event(Event::Released(key)));
            return;
        };
        let trunk = trunk.map(TrunkId::from).filter(|trunk| self.trunks.contains_key(trunk));
        let key = Left::Entry(key);
        self.releases.insert(key, Release::new(dialog, trunk, now));
        self.send_release(key, now);
    }

    /// Takes over a call that is over but whose peer does not know; its journal entry stays.
    pub(super) fn take_over(&mut self, leg: LegId, trunk: TrunkId, dialog: Dialog, now: Instant) {
        if self.releases.len() >= MAX_LEFT {
            self.out.push_back(Output::Event(Event::Journal(leg, None)));
            return;
        }
        let trunk = Some(trunk).filter(|trunk| self.trunks.contains_key(trunk));
        let key = Left::Leg(leg);
        self.releases.insert(key, Release::new(dialog, trunk, now));
        self.strand(key, now);
    }

    fn send_release(&mut self, key: Left, now: Instant) {
        let Some(release) = self.releases.get_mut(&key) else { return };
        if let Some(trunk) = release.trunk.as_ref().and_then(|trunk| self.trunks.get(trunk)) {
            // Before it knows us it may refuse what it would take later.
            if !trunk.is_up() {
                release.state = State::Waiting(None);
                return;
            }
            if let Some(place) = trunk.place(&release.dialog.target()) {
                release.dialog.reach_by(&place);
            }
        }
        let mut bye = release.dialog.request(&Method::Bye);
        if let Some(reason) = cause::reason(Cause::Shutdown) {
            bye.push("Reason", reason);
        }
        self.transmit_release(key, bye, now);
    }

    fn transmit_release(&mut self, key: Left, bye: Request, now: Instant) {
        let Some(release) = self.releases.get_mut(&key) else { return };
        match self.stack.send_request(bye.clone(), release.dialog.target(), now) {
            Some(id) => {
                release.state = State::Sending(Box::new(bye));
                self.owners.insert(id, Owner::Release(key));
            }
            None => self.strand(key, now),
        }
    }

    /// Takes the final answer to a BYE.
    pub(super) fn handle_release_response(
        &mut self,
        key: Left,
        response: &Response,
        flow: Flow,
        now: Instant,
    ) {
        match response.status() {
            408 | 503 => self.strand(key, now),
            401 | 407 if self.authorize_release(key, response, flow, now) => {}
            _ => self.released(key),
        }
    }

    /// Answers a challenge of the trunk the dialog went by, and only where we made the dialog:
    /// else whoever calls us by the trunk could have our digest (CVE-2021-41158).
    fn authorize_release(
        &mut self,
        key: Left,
        response: &Response,
        flow: Flow,
        now: Instant,
    ) -> bool {
        let Some(release) = self.releases.get_mut(&key) else { return false };
        let State::Sending(bye) = &release.state else { return false };
        let trunk = release.trunk.as_ref().and_then(|trunk| self.trunks.get_mut(trunk));
        let may_answer = release.dialog.is_ours() && release.challenges < MAX_CHALLENGES;
        let Some(trunk) = trunk.filter(|_| may_answer) else { return false };
        let mut bye = (**bye).clone();
        if !trunk.authorize(&mut bye, response, flow, &self.stack.token()) {
            return false;
        }
        release.challenges += 1;
        let number = release.dialog.next_number();
        bye.set("CSeq", &format!("{number} BYE"));
        self.transmit_release(key, bye, now);
        true
    }

    /// A BYE did not arrive: it is tried again later.
    pub(super) fn strand(&mut self, key: Left, now: Instant) {
        let Some(release) = self.releases.get_mut(&key) else { return };
        release.state = State::Waiting(Some(now + release.pause));
        release.pause = (release.pause * 2).min(LAST_PAUSE);
    }

    /// A phone has come back: what was left for it is sent by its new way.
    pub(super) fn retry_for_phone(&mut self, user: &str, flow: Flow, now: Instant) {
        let home = Uri::sip(Some(user), &self.domain, None);
        let is_its = |release: &Release| {
            release.trunk.is_none() && home.as_ref() == Some(&release.dialog.remote().uri)
        };
        for (key, release) in &mut self.releases {
            if release.is_waiting() && is_its(release) {
                release.dialog.move_to(flow);
                release.state = State::Waiting(Some(now));
                tracing::debug!(?key, "the phone of an unfinished call is back");
            }
        }
        self.handle_releases(now);
    }

    /// A trunk has come up: what was left at it is sent.
    pub(super) fn retry_for_trunk(&mut self, trunk: &TrunkId, now: Instant) {
        for release in self.releases.values_mut() {
            if release.is_waiting() && release.trunk.as_ref() == Some(trunk) {
                release.state = State::Waiting(Some(now));
            }
        }
        self.handle_releases(now);
    }

    /// Does what is due: another attempt, or none any more.
    pub(super) fn handle_releases(&mut self, now: Instant) {
        let keys = |is_it: &dyn Fn(&Release) -> bool| -> Vec<Left> {
            let found = self.releases.iter().filter(|(_, release)| is_it(release));
            found.map(|(key, _)| *key).collect()
        };
        let over = keys(&|release| release.give_up_at <= now);
        let due = keys(&|release| release.is_due(now));
        for key in over {
            tracing::info!(?key, "a call could not be hung up at its far end");
            self.released(key);
        }
        for key in due {
            self.send_release(key, now);
        }
    }

    /// Dealt with, however it went. An answer that comes after that tells nothing.
    fn released(&mut self, key: Left) {
        if self.releases.remove(&key).is_some() {
            self.out.push_back(Output::Event(match key {
                Left::Entry(key) => Event::Released(key),
                Left::Leg(leg) => Event::Journal(leg, None),
            }));
        }
    }
}
