//! All transactions of one stack: by id, by key, by deadline.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Instant;

use super::{
    ClientInvite, ClientKey, ClientOther, ServerInvite, ServerKey, ServerOther, Step, TransactionId,
};
use crate::stack::flow::Target;
use crate::stack::wire::{Method, Request};

/// Maps up to this size stay as they are.
const SMALL: usize = 1_024;

/// Call-ID, From tag, CSeq: what a request has in common with its copy that came another way
/// (RFC 3261 §8.2.2.2).
pub type MergeKey = (String, String, u32, Method);

/// One of the four machines.
#[derive(Debug)]
#[expect(missing_docs, reason = "each wraps the machine of its name")]
pub enum Machine {
    ClientInvite(ClientInvite),
    ClientOther(ClientOther),
    ServerInvite(ServerInvite),
    ServerOther(ServerOther),
}

impl Machine {
    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::ClientInvite(machine) => machine.poll_timeout(),
            Self::ClientOther(machine) => machine.poll_timeout(),
            Self::ServerInvite(machine) => machine.poll_timeout(),
            Self::ServerOther(machine) => machine.poll_timeout(),
        }
    }

    fn is_over(&self) -> bool {
        match self {
            Self::ClientInvite(machine) => machine.is_over(),
            Self::ClientOther(machine) => machine.is_over(),
            Self::ServerInvite(machine) => machine.is_over(),
            Self::ServerOther(machine) => machine.is_over(),
        }
    }

    /// Whether this is a server transaction still without a final response.
    pub fn is_pending_server(&self) -> bool {
        match self {
            Self::ClientInvite(_) | Self::ClientOther(_) => false,
            Self::ServerInvite(machine) => machine.is_pending(),
            Self::ServerOther(machine) => machine.is_pending(),
        }
    }

    /// Lets the machine do what is due.
    pub fn handle_timeout(&mut self, now: Instant) -> Step {
        match self {
            Self::ClientInvite(machine) => machine.handle_timeout(now),
            Self::ClientOther(machine) => machine.handle_timeout(now),
            Self::ServerInvite(machine) => machine.handle_timeout(now),
            Self::ServerOther(machine) => machine.handle_timeout(now),
        }
    }

    /// Tells the machine that the transport failed.
    pub fn handle_unreachable(&mut self) -> Step {
        match self {
            Self::ClientInvite(machine) => machine.handle_unreachable(),
            Self::ClientOther(machine) => machine.handle_unreachable(),
            Self::ServerInvite(machine) => machine.handle_unreachable(),
            Self::ServerOther(machine) => machine.handle_unreachable(),
        }
    }
}

#[derive(Debug, Clone)]
enum Key {
    Client(ClientKey),
    Server(ServerKey),
}

/// What is kept of one transaction.
#[derive(Debug)]
pub struct Kept {
    /// The machine.
    pub machine: Machine,
    /// Where its messages go.
    pub target: Target,
    /// A CANCEL waits for the first provisional response (RFC 3261 §9.1); with its Reason.
    pub wants_cancel: Option<Option<&'static str>>,
    /// A request that went to TCP for its length, to be sent by UDP if TCP is refused
    /// (RFC 3261 §18.1.1).
    pub fallback: Option<Box<Request>>,
    key: Key,
    merge_key: Option<MergeKey>,
    deadline: Option<Instant>,
    is_counted: bool,
}

/// The transactions of one stack.
#[derive(Debug, Default)]
pub struct Table {
    kept: BTreeMap<TransactionId, Kept>,
    of_client_key: HashMap<ClientKey, TransactionId>,
    of_server_key: HashMap<ServerKey, TransactionId>,
    of_merge_key: HashMap<MergeKey, TransactionId>,
    deadlines: BTreeSet<(Instant, TransactionId)>,
    pending_servers: usize,
    next_id: u64,
}

impl Table {
    /// How many transactions there are.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// How many transactions are not over yet but for the repetitions they absorb: requests that
    /// wait for our answer, and our own requests.
    pub fn busy(&self) -> usize {
        self.pending_servers + self.of_client_key.len()
    }

    /// How many server transactions wait for a final response.
    pub fn pending_servers(&self) -> usize {
        self.pending_servers
    }

    /// Adds a client transaction.
    pub fn add_client(
        &mut self,
        key: ClientKey,
        machine: Machine,
        target: Target,
    ) -> TransactionId {
        let id = self.add(Key::Client(key.clone()), machine, target);
        self.of_client_key.insert(key, id);
        id
    }

    /// Adds a server transaction.
    pub fn add_server(
        &mut self,
        key: ServerKey,
        machine: Machine,
        target: Target,
    ) -> TransactionId {
        let id = self.add(Key::Server(key.clone()), machine, target);
        self.of_server_key.insert(key, id);
        id
    }

    fn add(&mut self, key: Key, machine: Machine, target: Target) -> TransactionId {
        let id = TransactionId(self.next_id);
        self.next_id += 1;
        let kept = Kept {
            machine,
            target,
            wants_cancel: None,
            fallback: None,
            key,
            merge_key: None,
            deadline: None,
            is_counted: false,
        };
        self.kept.insert(id, kept);
        self.settle(id);
        id
    }

    /// Finds the client transaction a response belongs to.
    pub fn client(&self, key: &ClientKey) -> Option<TransactionId> {
        self.of_client_key.get(key).copied()
    }

    /// Finds the server transaction a request belongs to.
    pub fn server(&self, key: &ServerKey) -> Option<TransactionId> {
        self.of_server_key.get(key).copied()
    }

    /// One transaction to be fed; call [`Self::settle`] afterwards.
    pub fn get_mut(&mut self, id: TransactionId) -> Option<&mut Kept> {
        self.kept.get_mut(&id)
    }

    /// One transaction.
    pub fn get(&self, id: TransactionId) -> Option<&Kept> {
        self.kept.get(&id)
    }

    /// Brings deadline, counters and keys in line with the machine after it was fed.
    pub fn settle(&mut self, id: TransactionId) {
        let Some(kept) = self.kept.get_mut(&id) else { return };
        let is_over = kept.machine.is_over();
        let deadline = if is_over { None } else { kept.machine.poll_timeout() };
        if kept.deadline != deadline {
            if let Some(old) = kept.deadline {
                self.deadlines.remove(&(old, id));
            }
            if let Some(new) = deadline {
                self.deadlines.insert((new, id));
            }
            kept.deadline = deadline;
        }
        let is_pending = !is_over && kept.machine.is_pending_server();
        if is_pending != kept.is_counted {
            kept.is_counted = is_pending;
            if is_pending {
                self.pending_servers += 1;
            } else {
                self.pending_servers -= 1;
            }
        }
        if is_over {
            self.remove(id);
        }
    }

    /// Whether a transaction has the same request.
    pub fn has_merged(&self, key: &MergeKey) -> bool {
        self.of_merge_key.contains_key(key)
    }

    /// Notes which request a transaction has.
    pub fn note_merge_key(&mut self, id: TransactionId, key: MergeKey) {
        if let Some(kept) = self.kept.get_mut(&id) {
            kept.merge_key = Some(key.clone());
            self.of_merge_key.insert(key, id);
        }
    }

    fn remove(&mut self, id: TransactionId) {
        let Some(kept) = self.kept.remove(&id) else { return };
        match kept.key {
            Key::Client(key) => {
                self.of_client_key.remove(&key);
                shrink(&mut self.of_client_key);
            }
            Key::Server(key) => {
                self.of_server_key.remove(&key);
                shrink(&mut self.of_server_key);
            }
        }
        if let Some(key) = kept.merge_key {
            self.of_merge_key.remove(&key);
            shrink(&mut self.of_merge_key);
        }
    }

    /// The next transaction whose deadline has come.
    pub fn due(&self, now: Instant) -> Option<TransactionId> {
        self.deadlines.first().filter(|(at, _)| *at <= now).map(|(_, id)| *id)
    }

    /// The earliest deadline.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }
}

/// Gives back what a flood has left of a map: a quarter full it is halved, so that it is long before
/// it grows again.
fn shrink<K: Eq + Hash, V>(map: &mut HashMap<K, V>) {
    if map.capacity() > SMALL && map.len() < map.capacity() / 4 {
        map.shrink_to(map.len() * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::flow::Transport;
    use crate::stack::transaction::Timers;
    use crate::testing::{invite, remote, request, start};

    #[test]
    fn a_flood_of_transactions_gives_its_memory_back() {
        let (mut table, now) = (Table::default(), start());
        let ids: Vec<_> = (0..20_000)
            .map(|number| {
                let request = request(&invite(&format!("z9hG4bK{number}")));
                let key = ServerKey::of(request.fields(), &Method::Register).unwrap();
                let machine = ServerOther::new(true, Timers::default(), now);
                let target = Target::new(Transport::Tcp, remote());
                let id = table.add_server(key, Machine::ServerOther(machine), target);
                table.note_merge_key(id, (number.to_string(), String::new(), 1, Method::Register));
                id
            })
            .collect();
        assert!(table.of_server_key.capacity() >= 20_000);
        for id in ids {
            table.remove(id);
        }
        assert!(table.is_empty());
        assert!(table.of_server_key.capacity() <= 2 * SMALL);
        assert!(table.of_merge_key.capacity() <= 2 * SMALL);
    }
}
