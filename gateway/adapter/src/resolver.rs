//! Names to targets, and what would become of an address. Adapters ask, the gateway answers: they
//! need no dialplan and no DNS crate.

use std::net::SocketAddr;

use gateway_core::Address;
use gateway_core::route::{Origin, Require};
use tokio::sync::{mpsc, oneshot};

/// How many look-ups may wait.
const CAPACITY: usize = 1024;

/// A transport of signalling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A plain stream.
    Tcp,
    /// A stream under TLS.
    Tls,
}

/// What is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Host name or literal address; IPv6 with or without brackets.
    pub host: String,
    /// Port, if one was given: then no SRV record is asked for (RFC 3263 §4.2).
    pub port: Option<u16>,
    /// Transport, if one was given.
    pub transport: Option<Transport>,
    /// Only TLS will do (`sips:`).
    pub is_secure: bool,
}

/// One place to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Address and port.
    pub address: SocketAddr,
    /// How to speak to it.
    pub transport: Transport,
    /// The name a certificate must show (RFC 5922 §7): the domain asked for, not what DNS made of it.
    pub name: String,
}

/// What somebody is about to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Who.
    pub origin: Origin,
    /// Whom.
    pub to: Address,
    /// As typed, where `to` was made of it.
    pub dialled: Option<String>,
    /// What protection is asked for.
    pub require: Require,
    /// Whether the DNS may be asked: it tells others what is typed.
    pub may_ask_dns: bool,
}

/// What would become of a draft. It tells nothing of rules, devices or addresses that are not the
/// caller's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prospect {
    /// As what it is read: a number, an address, a name.
    pub kind: Option<String>,
    /// In its one form.
    pub text: Option<String>,
    /// What kind of number, where it is one.
    pub class: Option<String>,
    /// The ways, best first.
    pub ways: Vec<WayAhead>,
    /// Why there are none, in a sentence.
    pub refusal: Option<String>,
}

/// One way a call would take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayAhead {
    /// The network.
    pub network: String,
    /// `e2ee`, `hop`, `exposed` or `clear`.
    pub security: String,
    /// Who learns what by it, as sentences.
    pub notes: Vec<String>,
}

/// A question on its way, with where its answer goes.
#[derive(Debug)]
pub enum Lookup {
    /// For targets.
    Targets(Query, oneshot::Sender<Result<Vec<Target>, String>>),
    /// For what would become of a draft.
    Draft(Box<Draft>, oneshot::Sender<Result<Prospect, String>>),
}

/// Asks for targets.
#[derive(Clone, Debug)]
pub struct Resolver {
    sender: mpsc::Sender<Lookup>,
}

/// Makes a resolver and the queue its questions come out of.
#[must_use]
pub fn resolver() -> (Resolver, mpsc::Receiver<Lookup>) {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    (Resolver { sender }, receiver)
}

impl Resolver {
    /// The targets to try, in order; never empty.
    ///
    /// # Errors
    /// Why there are none, in a sentence for a person.
    pub async fn resolve(&self, query: Query) -> Result<Vec<Target>, String> {
        let (sender, receiver) = oneshot::channel();
        if self.sender.try_send(Lookup::Targets(query, sender)).is_err() {
            return Err("too many look-ups are waiting".to_owned());
        }
        receiver.await.unwrap_or_else(|_| Err("the resolver has stopped".to_owned()))
    }

    /// What would become of a draft.
    ///
    /// # Errors
    /// Nobody can say now, in a sentence for a person.
    pub async fn explain(&self, draft: Draft) -> Result<Prospect, String> {
        let (sender, receiver) = oneshot::channel();
        if self.sender.try_send(Lookup::Draft(Box::new(draft), sender)).is_err() {
            return Err("too many look-ups are waiting".to_owned());
        }
        receiver.await.unwrap_or_else(|_| Err("the resolver has stopped".to_owned()))
    }
}
