//! The one task that owns every call. Nothing in it awaits but its select.
//!
//! ```text
//! adapters --Event--+                      +--Command--> adapters (Outlet: never waits)
//! media ----Event---+--> Switchboard ------+--MediaCommand--> media plane
//! timers -----------+    (calls, reach)    +--Write--> store
//! dialplan -Planned-+
//! supervisor -Control+
//! ```
//!
//! A call shares nothing: if its machine panics, only that call is dropped.
#![expect(clippy::disallowed_methods, reason = "a shell: it reads the clock")]

mod planner;
mod post;
mod slot;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dialplan::{Purpose, Reach};
use gateway_adapter::{Command, Event, LinkState, Metrics, Outlet};
use gateway_core::call::{Call, Input, Limits, Output, Record};
use gateway_core::ids::LEGS_PER_CALL;
use gateway_core::leg::{Incoming, LegCommand, LegEvent};
use gateway_core::media::{MediaCommand, MediaEvent};
use gateway_core::route::{Group, Route};
use gateway_core::{Cause, LegId, TrunkId};
use prometheus::{Histogram, HistogramOpts};
use tokio::sync::{mpsc, oneshot};

use crate::control::{ControlConfig, ControlDesk};
use crate::planning::Plans;
use crate::store::messages::MailReply;
use crate::store::{Store, Unfinished};
use planner::Planner;
pub use post::MessagesConfig;
use post::Post;
use slot::{Slot, next_event};

/// How often a command that did not fit is tried again.
const RETRY: Duration = Duration::from_millis(20);

/// What the supervisor tells the switchboard.
#[derive(Debug)]
pub enum Control {
    /// An adapter runs: its channels.
    Attach(&'static str, Outlet, mpsc::Receiver<Event>),
    /// An adapter has stopped: its legs are gone.
    Detach(&'static str),
    /// Refuse new calls; say when the last one is over.
    Drain(oneshot::Sender<()>),
    /// Say what can be reached now.
    Reach(oneshot::Sender<Reach>),
    /// End every call now.
    EndAll,
    /// Return: the adapters' command channels close, and they return too.
    Stop,
}

/// How much may go on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Calls in all.
    pub calls: usize,
    /// Calls one account may have begun.
    pub calls_per_account: usize,
    /// Of these, calls that leave by a trunk.
    pub trunk_calls_per_account: usize,
    /// The limits of each call.
    pub limits: Limits,
}

/// How messages are dealt with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailConfig {
    /// `[messages]`.
    pub messages: MessagesConfig,
    /// `[control]`.
    pub control: ControlConfig,
}

/// Takes a media command; false if there is no room.
pub type MediaSink = Box<dyn Fn(MediaCommand) -> bool + Send>;

/// Owns every call and every message under way.
pub struct Switchboard {
    slots: Vec<Slot>,
    calls: BTreeMap<u64, Call>,
    due: BTreeSet<(Instant, u64)>,
    due_of_call: BTreeMap<u64, Instant>,
    account_of_call: BTreeMap<u64, String>,
    trunk_calls: BTreeSet<u64>,
    work: VecDeque<(u64, Input)>,
    planner: Planner,
    media: MediaSink,
    store: Store,
    post: Post,
    control: ControlDesk,
    mail_replies: mpsc::UnboundedReceiver<MailReply>,
    unfinished: Vec<Unfinished>,
    metrics: Metrics,
    latency: Histogram,
    capacity: Capacity,
    drained: Option<oneshot::Sender<()>>,
    is_draining: bool,
}

/// The channels the switchboard listens to.
#[derive(Debug)]
pub struct Inlets {
    /// From the supervisor.
    pub controls: mpsc::Receiver<Control>,
    /// From the media plane.
    pub media: mpsc::UnboundedReceiver<MediaEvent>,
}

impl Switchboard {
    /// A switchboard without adapters yet.
    #[must_use]
    pub fn new(
        plans: Plans,
        media: MediaSink,
        (mut store, unfinished): (Store, Vec<Unfinished>),
        metrics: Metrics,
        (capacity, mail): (Capacity, MailConfig),
    ) -> Self {
        let options = HistogramOpts::new("switchboard_loop_seconds", "How long one input takes.");
        let latency =
            Histogram::with_opts(options.buckets(vec![1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]))
                .expect("a valid metric");
        metrics.registry().register(Box::new(latency.clone())).expect("registered once");
        let mail_replies = store.replies().expect("a store is given to one switchboard");
        let control = ControlDesk::new(&mail.control);
        let post = Post::new(mail.messages, control.clone(), &store, &metrics, Self::clock());
        Self {
            slots: Vec::new(),
            calls: BTreeMap::new(),
            due: BTreeSet::new(),
            due_of_call: BTreeMap::new(),
            account_of_call: BTreeMap::new(),
            trunk_calls: BTreeSet::new(),
            work: VecDeque::new(),
            planner: Planner::new(plans),
            media,
            store,
            post,
            control,
            mail_replies,
            unfinished,
            metrics,
            latency,
            capacity,
            drained: None,
            is_draining: false,
        }
    }

    /// Serves until it is told to stop.
    pub async fn run(mut self, mut inlets: Inlets) {
        self.perform_mail();
        loop {
            let wake = self.next_wake();
            let sleep = tokio::time::sleep_until(wake.into());
            tokio::select! {
                control = inlets.controls.recv() => match control {
                    Some(Control::Stop) | None => return,
                    Some(control) => self.handle_control(control),
                },
                (name, event) = next_event(&mut self.slots) => self.handle_event(name, event),
                Some(event) = inlets.media.recv() => {
                    let call = event.port().0 / LEGS_PER_CALL;
                    self.feed(call, Input::Media(event));
                }
                planned = self.planner.next() => self.handle_planned(planned),
                Some(reply) = self.mail_replies.recv() => {
                    self.post.handle_reply(reply, Self::clock());
                    self.perform_mail();
                }
                () = sleep => self.handle_timeout(),
            }
        }
    }

    fn next_wake(&self) -> Instant {
        let now = Instant::now();
        let due = self.due.first().map(|(at, _)| *at);
        let mail = self.post.poll_timeout();
        let retry = self.slots.iter().any(|slot| slot.has_pending).then(|| now + RETRY);
        due.into_iter().chain(retry).chain([mail]).min().unwrap_or(now + Duration::from_secs(60))
    }

    fn handle_timeout(&mut self) {
        let now = Instant::now();
        for slot in &mut self.slots {
            slot.retry();
        }
        while let Some((at, id)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, id));
            self.due_of_call.remove(&id);
            self.step(id, |call| call.handle_timeout(now));
            self.work_off();
        }
        if self.post.poll_timeout() <= now {
            self.post.handle_timeout(Self::clock());
            self.perform_mail();
        }
    }

    fn handle_control(&mut self, control: Control) {
        match control {
            Control::Attach(name, outlet, events) => {
                self.slots.push(Slot::new(name, outlet, events));
                self.release(name);
                self.post.handle_attached();
                self.perform_mail();
            }
            Control::Detach(name) => self.detach(name),
            Control::Drain(drained) => {
                self.is_draining = true;
                self.drained = Some(drained);
                for slot in &self.slots {
                    slot.tell(Command::Drain);
                }
                self.check_drained();
            }
            Control::Reach(asked) => {
                // Whoever asked may have stopped waiting.
                let _ = asked.send(self.planner.reach.clone());
            }
            Control::EndAll => {
                for id in self.calls.keys().copied().collect::<Vec<_>>() {
                    self.feed(id, Input::End(Cause::Shutdown));
                }
            }
            // Dealt with where the channel is read.
            Control::Stop => {}
        }
    }

    /// Has an adapter end what an earlier life of the gateway left up.
    fn release(&mut self, name: &'static str) {
        let Some(slot) = self.slots.iter().find(|slot| slot.name == name) else { return };
        self.unfinished.retain(|left| {
            left.adapter != name || !slot.tell(Command::Release(left.key, left.entry.clone()))
        });
    }

    fn detach(&mut self, name: &str) {
        let Some(at) = self.slots.iter().position(|slot| slot.name == name) else { return };
        let slot = self.slots.remove(at);
        self.planner.reach.forget(name);
        self.post.handle_detached(slot.name, Self::clock());
        self.perform_mail();
        for trunk in &slot.links {
            self.metrics.link(trunk, false);
        }
        for (leg, (trunk, is_incoming)) in slot.legs {
            self.metrics.leg_ended(&trunk, is_incoming, Cause::Unreachable);
            let reason = format!("the {name} adapter stopped");
            let ended = LegEvent::Ended(Cause::Unreachable, Some(reason));
            self.feed(leg.0 / LEGS_PER_CALL, Input::Leg(leg, ended));
        }
    }

    fn handle_event(&mut self, name: &'static str, event: Event) {
        let _timer = self.latency.start_timer();
        match event {
            Event::Incoming(incoming) => self.handle_incoming(name, *incoming),
            Event::Leg(leg, event) => self.handle_leg(name, leg, event),
            event @ (Event::Received(_)
            | Event::Sent(..)
            | Event::Confirmed(_)
            | Event::Composing(_)
            | Event::Returned(_)
            | Event::Had(..)) => self.handle_mail(name, event),
            Event::Located(account, locations) => self.handle_located(name, account, locations),
            Event::Woken(trunk, guest) => self.handle_woken(&trunk, &guest),
            Event::Link(trunk, state) => self.handle_link(name, trunk, state),
            Event::Journal(leg, entry) => self.store.journal(leg, name, entry),
            Event::Released(key) => self.store.released(key),
            Event::Acquainted(learned) => self.store.acquainted(name, learned),
        }
    }

    fn handle_link(&mut self, name: &str, trunk: TrunkId, state: LinkState) {
        let profiles = match state {
            LinkState::Up(profiles) => {
                tracing::info!(%trunk, "the trunk is up");
                Some(profiles)
            }
            LinkState::Down(why) => {
                tracing::warn!(%trunk, why, "the trunk is down");
                None
            }
        };
        self.metrics.link(&trunk, profiles.is_some());
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.name == name) {
            slot.links.insert(trunk.clone());
        }
        self.planner.reach.link(trunk, profiles);
    }

    fn handle_incoming(&mut self, name: &str, incoming: Incoming) {
        let (leg, trunk) = (incoming.leg, incoming.origin.trunk.clone());
        let id = leg.0 / LEGS_PER_CALL;
        self.metrics.leg_began(&trunk);
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.name == name) {
            slot.legs.insert(leg, (trunk.clone(), true));
        }
        let account = incoming.origin.account.as_ref().map(ToString::to_string);
        if let Some((cause, reason)) = self.refusal(account.as_deref()) {
            let end = LegCommand::End(cause, Some(reason.to_owned()));
            return self.command(&trunk, leg, end);
        }
        tracing::info!(call = id, from = ?incoming.origin.asserted, to = ?incoming.to, "call");
        self.store.began(id, &incoming.origin.asserted, &incoming.to, epoch_ms());
        if let Some(account) = account {
            self.account_of_call.insert(id, account);
        }
        self.calls.insert(id, Call::new(incoming, self.capacity.limits, Instant::now()));
        self.step(id, |_| {});
        self.work_off();
    }

    /// Why a new call cannot be taken, if it cannot.
    fn refusal(&self, account: Option<&str>) -> Option<(Cause, &'static str)> {
        if self.is_draining {
            return Some((Cause::Shutdown, "the gateway is stopping; try again in a minute"));
        }
        if self.calls.len() >= self.capacity.calls {
            return Some((Cause::Overload, "the gateway has as many calls as it may"));
        }
        let begun = |account| self.account_of_call.values().filter(|by| *by == account).count();
        if account.is_some_and(|account| begun(account) >= self.capacity.calls_per_account) {
            return Some((Cause::Overload, "this account has as many calls as it may"));
        }
        None
    }

    fn handle_leg(&mut self, name: &str, leg: LegId, event: LegEvent) {
        if let LegEvent::Ended(cause, _) = &event {
            let slot = self.slots.iter_mut().find(|slot| slot.name == name);
            if let Some((trunk, is_incoming)) = slot.and_then(|slot| slot.legs.remove(&leg)) {
                self.metrics.leg_ended(&trunk, is_incoming, *cause);
            }
        }
        self.feed(leg.0 / LEGS_PER_CALL, Input::Leg(leg, event));
    }

    fn feed(&mut self, id: u64, input: Input) {
        self.work.push_back((id, input));
        self.work_off();
    }

    fn work_off(&mut self) {
        while let Some((id, input)) = self.work.pop_front() {
            let now = Instant::now();
            self.step(id, |call| call.handle(input, now));
        }
    }

    /// Lets a call take one step and drains what it asks. A stale id finds no call.
    fn step(&mut self, id: u64, step: impl FnOnce(&mut Call)) {
        let Some(mut call) = self.calls.remove(&id) else { return };
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            step(&mut call);
            std::iter::from_fn(|| call.poll_output()).collect::<Vec<_>>()
        }));
        let Ok(outputs) = outcome else { return self.drop_call(id, &call) };
        self.schedule(id, call.poll_timeout().map(|(at, _)| at));
        if !call.is_over() {
            self.calls.insert(id, call);
        }
        for output in outputs {
            self.perform(id, output);
        }
    }

    fn schedule(&mut self, id: u64, at: Option<Instant>) {
        if let Some(old) = self.due_of_call.remove(&id) {
            self.due.remove(&(old, id));
        }
        if let Some(at) = at {
            self.due.insert((at, id));
            self.due_of_call.insert(id, at);
        }
    }

    fn perform(&mut self, id: u64, output: Output) {
        match output {
            Output::Leg(trunk, leg, command) => self.command(&trunk, leg, command),
            Output::Media(command) => {
                let port = command.port();
                if !(self.media)(command) {
                    tracing::warn!(call = id, "the media plane has no room");
                    let reason = "the media plane has no room".to_owned();
                    let failed = MediaEvent::Failed(port, Cause::Overload, reason);
                    self.work.push_back((id, Input::Media(failed)));
                }
            }
            Output::Resolve(inquiry) => self.plan(id, *inquiry, Purpose::Call),
            Output::Record(record) => self.over(id, *record),
        }
    }

    /// Lets a call leave by a trunk if its account may have one more of those (security row 11).
    fn afford(&mut self, id: u64, groups: Vec<Group>) -> Result<Vec<Group>, (Cause, String)> {
        let leaves = |route: &Route| match route {
            Route::Leg(route) => route.account.is_none(),
            Route::Echo => false,
        };
        if !groups.iter().flatten().any(leaves) {
            return Ok(groups);
        }
        let account = self.account_of_call.get(&id);
        let is_same = |other: &&u64| self.account_of_call.get(other) == account;
        if self.trunk_calls.iter().filter(is_same).count() >= self.capacity.trunk_calls_per_account
        {
            let reason = "this account has as many calls by trunks as it may";
            return Err((Cause::Overload, reason.to_owned()));
        }
        self.trunk_calls.insert(id);
        Ok(groups)
    }

    fn command(&mut self, trunk: &TrunkId, leg: LegId, command: LegCommand) {
        let is_dial = matches!(command, LegCommand::Dial(_));
        let slot = self.slots.iter_mut().find(|slot| slot.name == trunk.network());
        match slot {
            Some(slot) => {
                if is_dial {
                    self.metrics.leg_began(trunk);
                    slot.legs.insert(leg, (trunk.clone(), false));
                }
                slot.send(leg, command);
            }
            // The adapter is gone, and its legs with it: only a new leg must still hear of it.
            None if is_dial => {
                let reason = format!("the {} adapter is not running", trunk.network());
                let ended = LegEvent::Ended(Cause::Unreachable, Some(reason));
                self.work.push_back((leg.0 / LEGS_PER_CALL, Input::Leg(leg, ended)));
            }
            None => {}
        }
    }

    fn over(&mut self, id: u64, record: Record) {
        let answered = record.answered_after;
        let talked = answered.map(|after| record.lived.saturating_sub(after));
        tracing::info!(
            call = id,
            cause = %record.cause,
            reason = record.reason.as_deref().unwrap_or(""),
            talked_s = talked.map(|talked| talked.as_secs()),
            "call ended"
        );
        self.store.ended(id, epoch_ms(), record);
        self.forget(id);
        self.check_drained();
    }

    /// A fault of ours in one call: that call ends, the others do not notice.
    fn drop_call(&mut self, id: u64, call: &Call) {
        tracing::error!(call = id, "a fault in the call machine: this call is dropped");
        self.forget(id);
        for (leg, trunk) in call.live_legs() {
            let _ = (self.media)(MediaCommand::Close { port: leg.port() });
            let reason = Some("a fault in the gateway".to_owned());
            self.command(&trunk, leg, LegCommand::End(Cause::Failed, reason));
        }
        self.check_drained();
    }

    fn forget(&mut self, id: u64) {
        self.schedule(id, None);
        self.account_of_call.remove(&id);
        self.trunk_calls.remove(&id);
    }

    fn check_drained(&mut self) {
        if self.is_draining
            && self.calls.is_empty()
            && let Some(drained) = self.drained.take()
        {
            // The supervisor may have stopped waiting.
            let _ = drained.send(());
        }
    }
}

/// Milliseconds since 1970.
#[must_use]
pub fn epoch_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
