//! The post with a real store in a folder of its own, a clock and networks played by the test.
#![expect(clippy::disallowed_methods, reason = "a test needs some moment to start at")]

use std::path::PathBuf;

use gateway_core::Address;
use gateway_core::message::Received;
use gateway_core::route::{Group, LegRoute, Location, Require, Route};
use tokio::sync::mpsc::UnboundedReceiver;

use super::*;
use crate::control::ControlConfig;

mod devices;
mod lives;
mod offline;
mod taking;
mod threads;

/// The gateway around the post.
struct World {
    post: Post,
    store: Store,
    replies: UnboundedReceiver<MailReply>,
    clock: Clock,
    folder: PathBuf,
    phones: Vec<Location>,
    next_intake: u64,
    settled: Vec<(IntakeId, Settlement)>,
    sent: Vec<Dispatch>,
    told: Vec<Receipt>,
    controls: Vec<ControlMessage>,
    backlogs: Vec<Backlog>,
}

fn world(name: &str) -> World {
    world_with(name, MessagesConfig { at_once: 100_000, per_minute: 60_000, ..generous() })
}

fn generous() -> MessagesConfig {
    MessagesConfig { per_minute_to_one: 60_000, ..MessagesConfig::default() }
}

fn world_with(name: &str, config: MessagesConfig) -> World {
    let folder = std::env::temp_dir().join(format!("procom-post-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    let clock = Clock { now: Instant::now(), epoch_ms: 1_800_000_000_000, draw: 1000 };
    World::open(folder, config, clock)
}

impl World {
    fn open(folder: PathBuf, config: MessagesConfig, clock: Clock) -> Self {
        let (mut store, _) = Store::open(&folder, clock.epoch_ms).expect("a store");
        let replies = store.replies().expect("the first to ask");
        let control = ControlDesk::new(&ControlConfig { accounts: vec!["alice".into()] });
        let post = Post::new(config, control, &store, &Metrics::new(), clock);
        let mut world = Self {
            post,
            store,
            replies,
            clock,
            folder,
            phones: Vec::new(),
            next_intake: 0,
            settled: Vec::new(),
            sent: Vec::new(),
            told: Vec::new(),
            controls: Vec::new(),
            backlogs: Vec::new(),
        };
        world.work();
        world
    }

    /// Another life of the gateway: what was only in memory is gone.
    fn crash(mut self) -> Self {
        let config = self.post.config.clone();
        self.clock.now += Duration::from_secs(1);
        let (folder, clock) = (self.folder.clone(), self.clock);
        drop(self);
        Self::open(folder, config, clock)
    }

    /// Until nobody has anything to do.
    fn work(&mut self) {
        loop {
            let mut is_idle = true;
            while let Some(act) = self.post.poll_act() {
                is_idle = false;
                self.perform(act);
            }
            // Nothing comes after the last one: whatever was asked before has been answered then.
            let account = AccountId::from("the last");
            let last = MailWrite::Waiting { account, after: 0, is_here: true, now_ms: 0 };
            self.store.mail(last);
            loop {
                let reply = self.replies.blocking_recv().expect("the store lives");
                let is_last = matches!(
                    &reply,
                    MailReply::Read(Some(account), ..) if account.as_str() == "the last"
                );
                self.post.handle_reply(reply, self.clock);
                if is_last {
                    break;
                }
            }
            if is_idle {
                return;
            }
        }
    }

    fn perform(&mut self, act: Act) {
        match act {
            Act::Plan(ticket, inquiry) => {
                let routes = self.plan(&inquiry);
                self.post.handle_planned(ticket, routes, self.clock);
            }
            Act::Store(write) => self.store.mail(write),
            Act::Settle(_, intake, settlement) => self.settled.push((intake, settlement)),
            Act::Send(dispatch) => self.sent.push(*dispatch),
            Act::Tell(receipt) => {
                self.post.handle_told(receipt.message_id, receipt.status);
                self.told.push(*receipt);
            }
            Act::Backlog(backlog) => self.backlogs.push(*backlog),
            Act::Composing(..) => {}
            Act::Control(message) => self.controls.push(*message),
        }
    }

    /// Accounts are reached wherever they are, numbers by a trunk; `procom:both` is both.
    fn plan(&self, inquiry: &Inquiry) -> Result<Vec<Group>, (Cause, String)> {
        let leg = |trunk: &str, to: Address, contact: Option<&str>, account: Option<&str>| {
            Route::Leg(LegRoute {
                trunk: trunk.into(),
                to,
                contact: contact.map(str::to_owned),
                account: account.map(Into::into),
                profiles: Vec::new(),
                ring_limit: Duration::from_secs(1),
            })
        };
        let number = || leg("sip.pbx", Address::tel("+4512345678"), None, None);
        let to = inquiry.to.clone();
        let name = to.name().to_owned();
        Ok(match (to.scheme, name.as_str()) {
            (gateway_core::Scheme::Procom, "both") => {
                vec![vec![leg("procom", to, None, Some("both"))], vec![number()]]
            }
            // A contact.
            (gateway_core::Scheme::Procom, "Eve") => vec![vec![number()]],
            (gateway_core::Scheme::Procom, "nobody") => {
                return Err((Cause::NotFound, "there is nobody of that name here".to_owned()));
            }
            (gateway_core::Scheme::Procom, name) => {
                let mut group = vec![leg("procom", to.clone(), None, Some(name))];
                let phones = self.phones.iter().filter(|_| name == "bob");
                group.extend(phones.map(|phone| {
                    leg(phone.trunk.as_str(), to.clone(), Some(&phone.contact), Some("bob"))
                }));
                vec![group]
            }
            _ => vec![vec![number()]],
        })
    }

    fn write(&mut self, from: &str, sender_id: &str, to: Address) -> IntakeId {
        self.write_as(origin(from), message(sender_id, to))
    }

    fn write_as(&mut self, origin: Origin, message: Message) -> IntakeId {
        self.next_intake += 1;
        let intake = IntakeId(self.next_intake);
        let received = Received { intake, origin, message };
        self.post.handle_received("procom", received, false, self.clock);
        self.work();
        intake
    }

    fn settlement(&self, intake: IntakeId) -> &Settlement {
        let settled = self.settled.iter().find(|(id, _)| *id == intake);
        &settled.expect("it was settled").1
    }

    fn taken(&self, intake: IntakeId) -> MessageId {
        match self.settlement(intake) {
            Settlement::Taken(id, ..) => *id,
            Settlement::Refused(cause, why) => panic!("refused: {cause}: {why}"),
        }
    }

    fn conversation(&self, intake: IntakeId) -> ConversationId {
        match self.settlement(intake) {
            Settlement::Taken(_, _, conversation) => *conversation,
            Settlement::Refused(cause, why) => panic!("refused: {cause}: {why}"),
        }
    }

    fn refused(&self, intake: IntakeId) -> (Cause, &str) {
        match self.settlement(intake) {
            Settlement::Taken(..) => panic!("it was taken"),
            Settlement::Refused(cause, why) => (*cause, why),
        }
    }

    fn pass(&mut self, time: Duration) {
        self.clock.now += time;
        self.clock.epoch_ms += i64::try_from(time.as_millis()).expect("not that long");
        self.post.handle_timeout(self.clock);
        self.work();
    }

    fn answer(&mut self, hop: DeliveryId, handover: Handover) {
        self.post.handle_sent(hop, handover, self.clock);
        self.work();
    }

    /// The sessions of an account come or go.
    fn sessions(&mut self, account: &str, are_there: bool) {
        let session = Location {
            trunk: "procom".into(),
            contact: "s1".into(),
            profiles: Vec::new(),
            preference: 500,
        };
        let locations = if are_there { vec![session] } else { Vec::new() };
        self.post.handle_located("procom", &account.into(), &locations, self.clock);
        self.work();
    }

    /// Bob's phone registers, or not.
    fn phone(&mut self, contacts: &[&str]) {
        let phone = |contact: &&str| Location {
            trunk: "sip.local".into(),
            contact: (*contact).to_owned(),
            profiles: Vec::new(),
            preference: 500,
        };
        self.phones = contacts.iter().map(phone).collect();
        self.post.handle_located("sip", &"bob".into(), &self.phones, self.clock);
        self.work();
    }

    fn statuses(&self, id: MessageId) -> Vec<Status> {
        let told = self.told.iter().filter(|receipt| receipt.message_id == id);
        told.map(|receipt| receipt.status).collect()
    }
}

fn origin(account: &str) -> Origin {
    Origin {
        trunk: "procom".into(),
        account: Some(account.into()),
        asserted: Address::procom(account),
        verified: true,
        only: None,
    }
}

fn message(sender_id: &str, to: Address) -> Message {
    Message {
        sender_id: sender_id.into(),
        to,
        dialled: None,
        content: "text/plain".into(),
        body: format!("body of {sender_id}").into(),
        thread: None,
        at_ms: 0,
        require: Require::Any,
        may_fall_back: false,
        wants_receipts: true,
        hops_left: Some(9),
    }
}

fn number() -> Address {
    Address::tel("+4512345678")
}

fn later(cause: Cause) -> Handover {
    Handover::Later(cause, "not now".to_owned())
}
