//! Names to targets. Adapters ask, the gateway answers: they need no dialplan and no DNS crate.

use std::net::SocketAddr;

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

/// A look-up on its way, with where its answer goes.
pub type Lookup = (Query, oneshot::Sender<Result<Vec<Target>, String>>);

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
        if self.sender.try_send((query, sender)).is_err() {
            return Err("too many look-ups are waiting".to_owned());
        }
        receiver.await.unwrap_or_else(|_| Err("the resolver has stopped".to_owned()))
    }
}
