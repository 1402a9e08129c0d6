//! Answers the adapters' questions for names (RFC 3263 §4, the part without NAPTR and SRV): literal
//! addresses, and A and AAAA records by the system's resolver.
//!
//! This is where targets on this machine or in private networks are refused, whatever name led
//! there, unless the configuration names the host or the policy is that of the demo.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use gateway_adapter::{Lookup, Query, Target, Transport};
use tokio::sync::{Semaphore, mpsc};

/// How long one look-up may take.
const BUDGET: Duration = Duration::from_secs(2);
/// How many look-ups run at once.
const AT_ONCE: usize = 32;

/// Which targets may be spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// Addresses on this machine only: the demo.
    LoopbackOnly,
    /// Public addresses, and whatever these hosts of the configuration are.
    Public(Vec<String>),
}

/// Serves look-ups until nobody can ask any more.
pub async fn serve(mut lookups: mpsc::Receiver<Lookup>, targets: Targets) {
    let (targets, permits) = (Arc::new(targets), Arc::new(Semaphore::new(AT_ONCE)));
    while let Some((query, answer)) = lookups.recv().await {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let targets = Arc::clone(&targets);
        tokio::spawn(async move {
            let result = tokio::time::timeout(BUDGET, resolve(&query, &targets)).await;
            let slow = || Err(format!("looking {} up took longer than 2 s", query.host));
            // Whoever asked may be gone: then nobody needs the answer.
            let _ = answer.send(result.unwrap_or_else(|_| slow()));
            drop(permit);
        });
    }
}

async fn resolve(query: &Query, targets: &Targets) -> Result<Vec<Target>, String> {
    let transport = match (query.transport, query.is_secure) {
        (_, true) => Transport::Tls,
        (Some(transport), false) => transport,
        (None, false) => Transport::Udp,
    };
    let port = query.port.unwrap_or(if transport == Transport::Tls { 5061 } else { 5060 });
    let host = query.host.trim_start_matches('[').trim_end_matches(']');
    let addresses = addresses(host, port).await?;
    let allowed: Vec<Target> = addresses
        .into_iter()
        .filter(|address| is_allowed(host, address.ip(), targets))
        .map(|address| Target { address, transport, name: host.to_owned() })
        .collect();
    if allowed.is_empty() {
        return Err(format!("{host} leads to an address this gateway does not call"));
    }
    Ok(allowed)
}

async fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let found = tokio::net::lookup_host((host, port)).await;
    let found: Vec<_> =
        found.map_err(|why| format!("{host} cannot be looked up: {why}"))?.collect();
    if found.is_empty() { Err(format!("{host} has no address")) } else { Ok(found) }
}

fn is_allowed(host: &str, ip: IpAddr, targets: &Targets) -> bool {
    match targets {
        Targets::LoopbackOnly => ip.to_canonical().is_loopback(),
        Targets::Public(named) => named.iter().any(|name| name == host) || is_public(ip),
    }
}

/// Not this machine, a private or link-local network, a group, or nowhere (RFC 6890).
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let is_shared = a == 100 && (64..128).contains(&b);
            !(ip.is_loopback()
                || ip.is_private()
                || ip.is_link_local()
                || ip.is_multicast()
                || ip.is_broadcast()
                || is_shared
                || a == 0
                || a >= 240)
        }
        IpAddr::V6(ip) => {
            let is_local = matches!(ip.segments()[0] & 0xffc0, 0xfe80 | 0xfec0);
            let is_unique_local = ip.segments()[0] & 0xfe00 == 0xfc00;
            !(ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || is_local
                || is_unique_local)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(host: &str, targets: Targets) -> Result<Vec<Target>, String> {
        let query = Query { host: host.into(), port: None, transport: None, is_secure: false };
        resolve(&query, &targets).await
    }

    #[tokio::test]
    async fn private_targets_are_refused_whatever_their_spelling() {
        let public = Targets::Public(vec!["10.0.0.9".into()]);
        for host in [
            "127.0.0.1",
            "::1",
            "[::ffff:127.0.0.1]",
            "10.0.0.1",
            "169.254.1.1",
            "0.0.0.0",
            "192.168.1.1",
            "172.16.0.1",
            "100.64.0.1",
            "224.0.0.1",
            "fe80::1",
            "fd00::1",
            "localhost",
        ] {
            assert!(ask(host, public.clone()).await.is_err(), "{host}");
        }
        assert!(ask("192.0.2.1", public.clone()).await.is_ok());
        assert!(ask("10.0.0.9", public).await.is_ok(), "the configuration names it");
    }

    #[tokio::test]
    async fn the_demo_calls_this_machine_only() {
        assert!(ask("127.0.0.1", Targets::LoopbackOnly).await.is_ok());
        assert!(ask("192.0.2.1", Targets::LoopbackOnly).await.is_err());
    }

    #[tokio::test]
    async fn the_transport_decides_the_port() {
        let mut query =
            Query { host: "192.0.2.1".into(), port: None, transport: None, is_secure: true };
        let targets = Targets::Public(Vec::new());
        let found = resolve(&query, &targets).await.expect("a target");
        assert_eq!((found[0].address.port(), found[0].transport), (5061, Transport::Tls));
        query.is_secure = false;
        assert_eq!(resolve(&query, &targets).await.expect("a target")[0].address.port(), 5060);
    }
}
