//! What the post wants done, done by the switchboard.

use dialplan::Purpose;
use gateway_adapter::{Command, Event};
use gateway_core::call::Inquiry;
use gateway_core::message::Composing;
use gateway_core::route::Location;
use gateway_core::{AccountId, TrunkId};

use super::{Act, Clock, PROCOM};
use crate::control::Standing;
use crate::planning::seed;
use crate::switchboard::{Switchboard, epoch_ms};

impl Switchboard {
    /// This moment, as the post wants it.
    #[expect(clippy::disallowed_methods, reason = "a shell: it reads the clock")]
    pub(in crate::switchboard) fn clock() -> Clock {
        Clock { now: std::time::Instant::now(), epoch_ms: epoch_ms(), draw: seed() }
    }

    /// An adapter says something about messages.
    pub(in crate::switchboard) fn handle_mail(&mut self, name: &'static str, event: Event) {
        let clock = Self::clock();
        if let Event::Composing(composing) = &event {
            if self.post.may_compose(&event, clock) {
                self.handle_composing(composing);
            }
            return self.perform_mail();
        }
        match event {
            Event::Received(received) => {
                self.post.handle_people(self.planner.people());
                self.post.handle_received(name, *received, self.is_draining, clock);
            }
            Event::Sent(hop, handover) => self.post.handle_sent(hop, handover, clock),
            Event::Confirmed(confirmation) => self.post.handle_confirmed(*confirmation, clock),
            Event::Returned(returned) => self.post.handle_returned(*returned, clock),
            Event::Had(device, message) => self.post.handle_had(device, message),
            Event::Incoming(_)
            | Event::Leg(..)
            | Event::Composing(_)
            | Event::Located(..)
            | Event::Woken(..)
            | Event::Link(..)
            | Event::Journal(..)
            | Event::Released(_)
            | Event::Acquainted(_) => {}
        }
        self.perform_mail();
    }

    /// An account can be reached elsewhere now: it is rung there, and brought what waits.
    pub(in crate::switchboard) fn handle_located(
        &mut self,
        name: &'static str,
        account: AccountId,
        locations: Vec<Location>,
    ) {
        self.post.handle_located(name, &account, &locations, Self::clock());
        self.planner.reach.locate(name, account, locations);
        self.perform_mail();
    }

    /// A guest is there again, and brought what waits.
    pub(in crate::switchboard) fn handle_woken(&mut self, trunk: &TrunkId, guest: &str) {
        self.post.handle_woken(trunk, guest, Self::clock());
        self.perform_mail();
    }

    /// Only where it takes no look-up: what is said of writing is stale a moment later.
    fn handle_composing(&mut self, composing: &Composing) {
        // The plan knows no guests.
        if self.post.compose_to_guest(composing) {
            return;
        }
        let inquiry = Inquiry {
            origin: composing.origin.clone(),
            to: composing.to.clone(),
            dialled: None,
            record: None,
            require: gateway_core::route::Require::Any,
        };
        if let Some(Ok(groups)) = self.planner.at_once(inquiry, Purpose::Message) {
            self.post.handle_composing(composing, groups);
        }
    }

    /// Does what the post wants done, until it wants nothing more.
    pub(in crate::switchboard) fn perform_mail(&mut self) {
        while let Some(act) = self.post.poll_act() {
            match act {
                Act::Plan(ticket, inquiry) => self.plan(ticket, *inquiry, Purpose::Message),
                Act::Store(write) => self.store.mail(write),
                Act::Settle(adapter, intake, settlement) => {
                    // Who hears nothing sends it again, and hears then.
                    self.tell_adapter(adapter, Command::Settle(intake, settlement));
                }
                Act::Send(dispatch) => {
                    let (hop, trunk) = (dispatch.delivery, dispatch.trunk.clone());
                    if !self.tell_adapter(trunk.network(), Command::Send(dispatch)) {
                        self.post.handle_unsent(hop, Self::clock());
                    }
                }
                Act::Tell(receipt) => {
                    let (id, status) = (receipt.message_id, receipt.status);
                    let trunk = receipt.trunk.clone();
                    if self.tell_adapter(trunk.network(), Command::Receipt(receipt)) {
                        self.post.handle_told(id, status);
                    }
                }
                Act::Backlog(backlog) => {
                    self.tell_adapter(PROCOM, Command::Backlog(backlog));
                }
                Act::Composing(trunk, composing) => {
                    let network = trunk.network().to_owned();
                    self.tell_adapter(&network, Command::Composing(trunk, composing));
                }
                Act::Control(message) => {
                    let standing = Standing {
                        calls: self.calls.len(),
                        messages: self.post.len(),
                        adapters: self.slots.len(),
                    };
                    if let Some(text) = self.control.handle(&message, standing) {
                        self.post.answer(&message.origin, text, Self::clock());
                    }
                }
            }
        }
    }

    fn tell_adapter(&self, network: &str, command: Command) -> bool {
        let slot = self.slots.iter().find(|slot| slot.name == network);
        slot.is_some_and(|slot| slot.tell(command))
    }
}
