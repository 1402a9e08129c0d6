//! Random lives of messages: whatever networks, accounts, the store, the clock and crashes do, the
//! delivery machine keeps its promises.
#![expect(clippy::disallowed_methods, reason = "a test needs some instant to begin with")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use gateway_core::delivery::{
    Deliveries, Devices, Hop, Moment, Output, Parcel, Patience, Progress, Way, climbs,
};
use gateway_core::message::{Confirmation, DeliveryId, Handover, MessageId, Status};
use gateway_core::route::Origin;
use gateway_core::{Address, Cause};
use proptest::prelude::*;

const LIFE: Duration = Duration::from_secs(7 * 86_400);

#[derive(Clone, Debug)]
enum Act {
    Write { kind: u8 },
    Answer { which: usize, how: u8 },
    Commit(usize),
    Crash,
    Come,
    Go,
    Devices(u8),
    Pass(u16),
    Lost(bool),
    Confirm { which: usize, is_read: bool },
    Woken(bool),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => any::<u8>().prop_map(|kind| Act::Write { kind }),
        8 => (any::<usize>(), any::<u8>()).prop_map(|(which, how)| Act::Answer { which, how }),
        6 => (1..4usize).prop_map(Act::Commit),
        1 => Just(Act::Crash),
        1 => Just(Act::Come),
        1 => Just(Act::Go),
        1 => any::<u8>().prop_map(Act::Devices),
        3 => any::<u16>().prop_map(Act::Pass),
        1 => any::<bool>().prop_map(Act::Lost),
        1 => any::<bool>().prop_map(Act::Woken),
        1 => (any::<usize>(), any::<bool>())
            .prop_map(|(which, is_read)| Act::Confirm { which, is_read }),
    ];
    prop::collection::vec(act, 0..100)
}

/// A message as the store has it.
#[derive(Clone)]
struct Stored {
    order: u64,
    conversation: String,
    status: Status,
    hops: BTreeMap<DeliveryId, Hop>,
    takers: Vec<Way>,
}

/// Everything around the deliveries, which it watches.
struct World {
    all: Deliveries,
    now: Instant,
    draw: u64,
    next_hop: u64,
    is_here: bool,
    devices: Vec<Way>,
    store: BTreeMap<MessageId, Stored>,
    writes: VecDeque<Progress>,
    flying: Vec<(MessageId, Hop)>,
    /// The number of the attempt each hop may make, and whether it is being made.
    attempts: BTreeMap<DeliveryId, (u32, bool)>,
    told: BTreeMap<MessageId, Status>,
    /// The order of the message each way took last, in each conversation.
    last: BTreeMap<(String, String), u64>,
    taken: BTreeSet<MessageId>,
    taken_by: BTreeSet<(MessageId, String)>,
    cut_off: BTreeSet<MessageId>,
    refused: BTreeSet<(MessageId, String)>,
}

fn mailbox() -> Way {
    Way {
        trunk: "procom".into(),
        to: Address::procom("bob"),
        contact: None,
        account: Some("bob".into()),
    }
}

fn device(contact: u8) -> Way {
    Way { trunk: "sip.local".into(), contact: Some(contact.to_string()), ..mailbox() }
}

fn trunk(name: &str) -> Way {
    let to = Address::tel("+4512345678");
    Way { trunk: name.into(), to, contact: None, account: None }
}

fn ways(kind: u8, devices: &[Way]) -> Vec<Vec<Way>> {
    match kind % 4 {
        0 | 1 => vec![[&[mailbox()], devices].concat()],
        2 => vec![vec![trunk("sip.a")], vec![trunk("sip.b")]],
        _ => vec![vec![mailbox()], vec![trunk("sip.a"), trunk("sip.b")]],
    }
}

impl World {
    fn new() -> Self {
        Self {
            all: Deliveries::new(Patience::default()),
            now: Instant::now(),
            draw: 0,
            next_hop: 0,
            is_here: true,
            devices: Vec::new(),
            store: BTreeMap::new(),
            writes: VecDeque::new(),
            flying: Vec::new(),
            attempts: BTreeMap::new(),
            told: BTreeMap::new(),
            last: BTreeMap::new(),
            taken: BTreeSet::new(),
            taken_by: BTreeSet::new(),
            cut_off: BTreeSet::new(),
            refused: BTreeSet::new(),
        }
    }

    fn moment(&mut self) -> Moment {
        self.draw = self.draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        Moment { now: self.now, draw: self.draw >> 33 }
    }

    fn act(&mut self, act: &Act) {
        let moment = self.moment();
        match act {
            Act::Write { kind } => self.write(*kind),
            Act::Answer { which, how } => self.answer(*which, *how),
            Act::Commit(count) => (0..*count).for_each(|_| self.commit()),
            Act::Crash => self.crash(),
            Act::Come => self.come(),
            Act::Go => {
                self.is_here = false;
                self.all.handle_left(&"bob".into(), moment);
            }
            Act::Devices(contact) => {
                self.devices = (0..contact % 3).map(|n| device(n + contact % 2)).collect();
                self.all.handle_gone(&"bob".into(), "sip", &self.devices, moment);
                self.drain();
                self.wake();
            }
            Act::Pass(seconds) => {
                self.now += Duration::from_secs(u64::from(*seconds));
                let moment = self.moment();
                self.all.handle_timeout(moment);
            }
            Act::Lost(is_sip) => {
                let network = if *is_sip { "sip" } else { "procom" };
                for (_, hop) in &self.flying {
                    if hop.way.trunk.network() == network {
                        self.attempts.get_mut(&hop.id).expect("it flew").1 = false;
                    }
                }
                self.flying.retain(|(_, hop)| hop.way.trunk.network() != network);
                self.all.handle_lost(network, moment);
            }
            Act::Woken(is_a) => {
                let way = trunk(if *is_a { "sip.a" } else { "sip.b" });
                self.all.handle_woken(&way.trunk, way.to.name(), moment);
            }
            Act::Confirm { which, is_read } => self.confirm(*which, *is_read),
        }
        self.drain();
    }

    fn devices(&mut self) -> Devices {
        let mut next_hop = || {
            self.next_hop += 1;
            DeliveryId(self.next_hop)
        };
        let ways = self.devices.iter().map(|way| (next_hop(), way.clone())).collect();
        Devices { account: "bob".into(), ways }
    }

    fn write(&mut self, kind: u8) {
        let order = self.store.len() as u64 + 1;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&order.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        let mut hops = Vec::new();
        for (group, ways) in (0..).zip(ways(kind, &self.devices)) {
            for way in ways {
                self.next_hop += 1;
                let id = DeliveryId(self.next_hop);
                hops.push((Hop { id, group, way, attempt: 0 }, Duration::ZERO));
            }
        }
        let conversation = format!("c{}", kind % 8);
        let stored = Stored {
            order,
            conversation,
            status: Status::Queued,
            hops: hops.iter().map(|(hop, _)| (hop.id, hop.clone())).collect(),
            takers: Vec::new(),
        };
        self.told.insert(MessageId(id), Status::Queued);
        self.store.insert(MessageId(id), stored);
        self.accept(MessageId(id));
    }

    fn accept(&mut self, id: MessageId) {
        let moment = self.moment();
        let devices = self.devices();
        let stored = &self.store[&id];
        let parcel = Parcel {
            message_id: id,
            conversation: stored.conversation.clone(),
            hops: stored.hops.values().map(|hop| (hop.clone(), Duration::ZERO)).collect(),
            status: stored.status,
            wants_receipts: true,
            takers: stored.takers.clone(),
            life: LIFE,
        };
        let is_here = self.is_here;
        self.all.accept(parcel, |_| is_here, Some(devices), moment);
        self.drain();
    }

    fn answer(&mut self, which: usize, how: u8) {
        if self.flying.is_empty() {
            return;
        }
        let (id, hop) = self.flying.remove(which % self.flying.len());
        let is_there = !hop.way.is_mailbox() || self.is_here;
        // Who refused it once refuses it again, and who took it takes it again.
        let refusal = (id, format!("{:?}", hop.way));
        let how = match (self.taken_by.contains(&refusal), self.refused.contains(&refusal)) {
            (true, _) => 0,
            (false, true) => 7,
            (false, false) => how,
        };
        let handover = match how % 8 {
            0..4 if is_there => {
                self.take(id, &hop);
                Handover::Taken(if how.is_multiple_of(2) {
                    Status::Sent
                } else {
                    Status::Delivered
                })
            }
            7 => {
                self.refused.insert(refusal);
                Handover::Never(Cause::NotFound, "never".to_owned())
            }
            6 if is_there => {
                let wait = Duration::from_secs(how as u64 * 7);
                Handover::After(wait, Cause::Overload, "much later".to_owned())
            }
            0..7 if is_there => Handover::Later(Cause::Overload, "later".to_owned()),
            _ => Handover::Later(Cause::Unreachable, "nobody".to_owned()),
        };
        let attempt = self.attempts.get_mut(&hop.id).expect("it flew");
        attempt.1 = false;
        if matches!(handover, Handover::Later(..) | Handover::After(..)) {
            attempt.0 += 1;
        }
        let moment = self.moment();
        self.all.handle_sent(hop.id, handover, moment);
    }

    fn take(&mut self, id: MessageId, hop: &Hop) {
        let stored = &self.store[&id];
        let way = format!("{:?}", hop.way);
        let last = self.last.entry((stored.conversation.clone(), way.clone())).or_default();
        // What a crash has cut off is a repeat, perhaps by another way than the first time.
        if self.taken_by.insert((id, way)) && !self.cut_off.contains(&id) {
            assert!(*last <= stored.order, "{} overtook {}", last, stored.order);
            *last = stored.order;
        }
        self.taken.insert(id);
    }

    fn confirm(&mut self, which: usize, is_read: bool) {
        let Some(id) = self.taken.iter().nth(which % self.taken.len().max(1)).copied() else {
            return;
        };
        let by = Origin {
            trunk: "procom".into(),
            account: Some("bob".into()),
            asserted: Address::procom("bob"),
            verified: true,
            only: None,
        };
        let status = if is_read { Status::Read } else { Status::Delivered };
        let confirmation = Confirmation { message_id: id, by, status };
        let moment = self.moment();
        self.all.handle_confirmed(&confirmation, moment);
    }

    fn commit(&mut self) {
        let Some(progress) = self.writes.pop_front() else { return };
        let id = progress.message_id;
        let stored = self.store.get_mut(&id).expect("it was accepted");
        if climbs(stored.status, progress.status) {
            stored.status = progress.status;
        }
        stored.takers.extend(progress.taker.clone());
        for gone in &progress.gone {
            stored.hops.remove(gone);
        }
        for (hop, _) in &progress.changed {
            stored.hops.insert(hop.id, hop.clone());
        }
        assert_eq!(progress.is_over, stored.hops.is_empty(), "{id:?}");
        let moment = self.moment();
        self.all.handle_stored(id, progress.version, moment);
        self.drain();
    }

    /// Only what is in the store is left; a status that is in it and was not told is told now.
    fn crash(&mut self) {
        self.all = Deliveries::new(Patience::default());
        self.devices.clear();
        self.is_here = false;
        self.cut_off.extend(&self.taken);
        // A refusal that was not durable yet: it is tried again, behind what went past it.
        let was_refused =
            |id: &MessageId, hop: &Hop| self.refused.contains(&(*id, format!("{:?}", hop.way)));
        let back = self
            .store
            .iter()
            .filter(|(id, stored)| stored.hops.values().any(|hop| was_refused(id, hop)));
        self.cut_off.extend(back.map(|(id, _)| *id).collect::<Vec<_>>());
        self.writes.clear();
        self.flying.clear();
        for (id, stored) in &self.store {
            if climbs(self.told[id], stored.status) {
                self.told.insert(*id, stored.status);
            }
            for hop in stored.hops.values() {
                self.attempts.insert(hop.id, (hop.attempt, false));
            }
        }
        for id in self.in_order(|hop| hop.way.account.is_none()) {
            self.accept(id);
        }
    }

    fn come(&mut self) {
        self.is_here = true;
        self.wake();
    }

    /// Somebody is there, or a device: the store is asked for what waits.
    fn wake(&mut self) {
        for id in self.in_order(|hop| hop.way.account.is_some()) {
            let moment = self.moment();
            if self.all.holds(id) {
                let devices = self.devices();
                self.all.handle_found(id, self.is_here, Some(devices), moment);
            } else {
                self.accept(id);
            }
            self.drain();
        }
    }

    fn in_order(&self, with: impl Fn(&Hop) -> bool) -> Vec<MessageId> {
        let waiting = self.store.iter().filter(|(_, stored)| stored.hops.values().any(&with));
        let mut ids: Vec<_> = waiting.map(|(id, stored)| (stored.order, *id)).collect();
        ids.sort_unstable();
        ids.into_iter().map(|(_, id)| id).collect()
    }

    fn drain(&mut self) {
        while let Some(output) = self.all.poll_output() {
            match output {
                Output::Dispatch(id, hop) => {
                    let stored = self.store[&id].hops.get(&hop.id).expect("a hop that is stored");
                    assert_eq!(stored.attempt, hop.attempt, "what flies is stored");
                    let (attempt, flies) = self.attempts.entry(hop.id).or_insert((0, false));
                    assert_eq!(*attempt, hop.attempt, "no new attempt without a failure");
                    assert!(!*flies, "one attempt at a time");
                    *flies = true;
                    self.flying.push((id, hop));
                }
                Output::Store(progress) => self.writes.push_back(*progress),
                Output::Tell(id, status, _) => {
                    let told = self.told.insert(id, status).expect("it was accepted");
                    assert!(climbs(told, status), "{told} then {status}");
                    assert_eq!(self.store[&id].status, status, "what is told is durable");
                }
                Output::Rests(id) => assert!(!self.all.holds(id)),
            }
        }
    }

    /// Everybody is there, every network takes what it is given.
    fn finish(&mut self) {
        for _ in 0..100_000 {
            while !self.writes.is_empty() {
                self.commit();
            }
            if !self.flying.is_empty() {
                self.answer(0, 0);
                self.drain();
            } else if let Some(at) = self.all.poll_timeout() {
                self.now = self.now.max(at);
                let moment = self.moment();
                self.all.handle_timeout(moment);
                self.drain();
            } else {
                return;
            }
        }
        panic!("it never ends");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000.max(ProptestConfig::default().cases)))]

    #[test]
    fn every_message_arrives_or_its_sender_is_told_once(acts in acts()) {
        let mut world = World::new();
        for act in &acts {
            world.act(act);
        }
        world.act(&Act::Come);
        world.finish();
        prop_assert!(world.all.is_empty());
        for (id, stored) in &world.store {
            prop_assert!(stored.hops.is_empty(), "a hop was left behind");
            prop_assert_eq!(world.told[id], stored.status);
            let arrived = world.taken.contains(id);
            prop_assert!(arrived || stored.status == Status::Failed);
            if stored.status != Status::Failed {
                prop_assert!(arrived, "told {} and never taken", stored.status);
            }
        }
    }
}
