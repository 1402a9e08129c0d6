//! Answers the adapters' questions: for SIP servers (RFC 3263) by the dialplan's look-up and DNS, and
//! for what would become of what somebody types.
//!
//! What a name leads to is judged by [`gateway_core::reachable`]: this machine and private networks
//! are refused, unless the configuration names the host or this is the demo. The adapters ask it
//! again, since they know where they listen.

use std::sync::Arc;

use dialplan::dns::sip_targets;
use dialplan::lookup::sip;
use dialplan::{SipQuery, Transport as Spoken};
use gateway_adapter::{Lookup, Query, Target, Transport};
use tokio::sync::{Semaphore, mpsc};

use crate::explain::Explainer;
use crate::planning::{Planning, seed};

/// How many look-ups run at once.
const AT_ONCE: usize = 32;

/// Serves look-ups until nobody can ask any more.
pub async fn serve(mut lookups: mpsc::Receiver<Lookup>, explainer: Explainer) {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    while let Some(lookup) = lookups.recv().await {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let explainer = explainer.clone();
        tokio::spawn(async move {
            // Whoever asked may be gone: then nobody needs the answer.
            match lookup {
                Lookup::Targets(query, answer) => {
                    let planning = Arc::clone(&explainer.plans.borrow());
                    let _ = answer.send(resolve(&query, &planning).await);
                }
                Lookup::Draft(draft, answer) => {
                    let _ = answer.send(explainer.prospect(*draft).await);
                }
            }
            drop(permit);
        });
    }
}

async fn resolve(query: &Query, planning: &Planning) -> Result<Vec<Target>, String> {
    let query = wanted(query);
    let policy = &planning.dialplan.targets;
    let found =
        sip_targets(&query, policy, seed(), planning.names.as_ref(), planning.budget()).await;
    found
        .map(|targets| targets.into_iter().map(target).collect())
        .map_err(|fault| fault.to_string())
}

/// A question of an adapter, as the dialplan takes it.
pub(crate) fn wanted(query: &Query) -> SipQuery {
    SipQuery {
        host: query.host.clone(),
        port: query.port,
        transport: query.transport.map(spoken),
        is_secure: query.is_secure,
    }
}

fn target(found: sip::Target) -> Target {
    let transport = match found.transport {
        Spoken::Udp => Transport::Udp,
        Spoken::Tcp => Transport::Tcp,
        Spoken::Tls => Transport::Tls,
    };
    Target { address: found.address, transport, name: found.name }
}

const fn spoken(transport: Transport) -> Spoken {
    match transport {
        Transport::Udp => Spoken::Udp,
        Transport::Tcp => Spoken::Tcp,
        Transport::Tls => Spoken::Tls,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use dialplan::config::Targets;

    async fn ask(query: &Query, targets: Targets) -> Result<Vec<Target>, String> {
        let planning = Config::default().planning(targets, None).expect("a plan");
        resolve(query, &planning).await
    }

    fn query(host: &str) -> Query {
        Query { host: host.into(), port: None, transport: None, is_secure: false }
    }

    #[tokio::test]
    async fn private_targets_are_refused_whatever_their_spelling() {
        let public = Targets::Public(vec!["10.0.0.9".into()]);
        for host in [
            "127.0.0.1",
            "::1",
            "[::ffff:127.0.0.1]",
            "[::127.0.0.1]",
            "[::ffff:0:127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b:1::7f00:1]",
            "[2002:7f00:1::]",
            "[2001:0:c000:201::80ff:fffe]",
            "[2001:db8::5efe:10.0.0.1]",
            "10.0.0.1",
            "fd00::1",
            "fec0::1",
            "localhost",
        ] {
            assert!(ask(&query(host), public.clone()).await.is_err(), "{host}");
        }
        assert!(ask(&query("192.0.2.1"), public.clone()).await.is_ok());
        assert!(
            ask(&query("10.0.0.9"), public.clone()).await.is_ok(),
            "the configuration names it"
        );
        let no_port = Query { port: Some(0), ..query("192.0.2.1") };
        assert!(ask(&no_port, public).await.is_err());
    }

    #[tokio::test]
    async fn what_names_no_single_peer_is_refused_though_the_configuration_names_it() {
        for host in ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1"] {
            let named = Targets::Public(vec![host.into()]);
            assert!(ask(&query(host), named).await.is_err(), "{host}");
        }
    }

    #[tokio::test]
    async fn the_demo_calls_this_machine_only() {
        assert!(ask(&query("127.0.0.1"), Targets::LoopbackOnly).await.is_ok());
        assert!(ask(&query("localhost"), Targets::LoopbackOnly).await.is_ok());
        assert!(ask(&query("192.0.2.1"), Targets::LoopbackOnly).await.is_err());
    }

    #[tokio::test]
    async fn the_transport_decides_the_port() {
        let targets = Targets::Public(Vec::new());
        let mut query = query("192.0.2.1");
        query.is_secure = true;
        let found = ask(&query, targets.clone()).await.expect("a target");
        assert_eq!((found[0].address.port(), found[0].transport), (5061, Transport::Tls));
        query.is_secure = false;
        assert_eq!(ask(&query, targets).await.expect("a target")[0].address.port(), 5060);
    }
}
