//! Finding servers by SRV alone: XMPP (RFC 6120 §3.2.1, XEP-0368) and other Procom gateways. Pure.

use std::net::SocketAddr;

use super::{Answer, Desk, Found, Kind, LookupFault, Record, sip, srv};
use crate::config::Targets;
use crate::explain::{Node, Step};

/// Most hosts whose addresses one look-up asks for.
const MAX_HOSTS: usize = 12;

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// XMPP, as a client of the server.
    XmppClient,
    /// XMPP, as another server.
    XmppServer,
    /// A Procom gateway of another domain.
    Procom,
}

impl Service {
    /// The SRV prefixes, with whether TLS begins at once, and the port without a record.
    const fn names(self) -> (&'static [(&'static str, bool)], Option<u16>) {
        match self {
            Self::XmppClient => {
                (&[("_xmpps-client._tcp", true), ("_xmpp-client._tcp", false)], Some(5222))
            }
            Self::XmppServer => {
                (&[("_xmpps-server._tcp", true), ("_xmpp-server._tcp", false)], Some(5269))
            }
            Self::Procom => (&[("_procom._tls", true)], None),
        }
    }
}

/// One place to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Address and port.
    pub address: SocketAddr,
    /// TLS begins at once (XEP-0368); else by STARTTLS.
    pub is_direct_tls: bool,
    /// The name a certificate must show: the domain (RFC 6120 §13.7.2.1).
    pub name: String,
}

/// The servers of a domain, in the order to try them; never empty where it succeeds.
///
/// # Errors
/// Inside: why there are none.
pub fn servers(
    desk: &mut Desk<'_>,
    node: &mut Node,
    service: Service,
    domain: &str,
    policy: &Targets,
) -> Found<Result<Vec<Server>, LookupFault>> {
    let node = node.open(Step::Servers { of: format!("{domain} ({service:?})") });
    let (prefixes, port) = service.names();
    let names: Vec<String> =
        prefixes.iter().map(|(prefix, _)| format!("{prefix}.{domain}")).collect();
    let asked: Vec<_> = names.iter().map(|name| desk.ask(node, name, Kind::Srv)).collect();
    let (mut records, mut is_direct, mut fault) = (Vec::new(), Vec::new(), None);
    for ((_, is_tls), answer) in prefixes.iter().zip(asked) {
        match answer? {
            Answer::Found { records: found, .. } => {
                // XEP-0368 §2: the records of both names are one set, mixed by priority and weight.
                for record in found {
                    if let Record::Srv(record) = record {
                        records.push(record.clone());
                        is_direct.push((record.clone(), *is_tls));
                    }
                }
            }
            Answer::Nothing { .. } => {}
            Answer::Failed(failure) => {
                fault.get_or_insert(LookupFault::Failed(domain.to_owned(), *failure));
            }
        }
    }
    let mut places: Vec<(String, u16, bool)> = srv::order(records, &mut desk.draws(domain))
        .into_iter()
        .map(|record| {
            let is_tls = is_direct.iter().any(|(other, is_tls)| *other == record && *is_tls);
            (record.target, record.port, is_tls)
        })
        .collect();
    if places.iter().any(|(host, ..)| host.is_empty()) && places.len() == 1 {
        return Ok(Err(LookupFault::NotOffered(domain.to_owned())));
    }
    places.retain(|(host, ..)| !host.is_empty());
    match (places.is_empty(), fault, port) {
        (false, ..) => {}
        (true, Some(fault), _) => return Ok(Err(fault)),
        // RFC 6120 §3.2.2: without records, the domain itself.
        (true, None, Some(port)) => places.push((domain.to_owned(), port, false)),
        (true, None, None) => return Ok(Err(LookupFault::NotOffered(domain.to_owned()))),
    }
    addresses(desk, node, domain, places, policy)
}

fn addresses(
    desk: &mut Desk<'_>,
    node: &mut Node,
    domain: &str,
    mut places: Vec<(String, u16, bool)>,
    policy: &Targets,
) -> Found<Result<Vec<Server>, LookupFault>> {
    places.truncate(MAX_HOSTS);
    let hosts: Vec<String> = places.iter().map(|(host, ..)| host.clone()).collect();
    let asked: Vec<_> = hosts.iter().map(|host| sip::host_addresses(desk, node, host)).collect();
    let (mut servers, mut fault) = (Vec::new(), LookupFault::Nothing(domain.to_owned()));
    for ((_, port, is_direct_tls), found) in places.into_iter().zip(asked) {
        match found? {
            Ok((ips, _)) => {
                servers.extend(ips.into_iter().filter(|ip| policy.allows(domain, *ip)).map(|ip| {
                    Server {
                        address: SocketAddr::new(ip, port),
                        is_direct_tls,
                        name: domain.to_owned(),
                    }
                }))
            }
            Err(other) => fault = other,
        }
    }
    Ok(if servers.is_empty() { Err(fault) } else { Ok(servers) })
}
