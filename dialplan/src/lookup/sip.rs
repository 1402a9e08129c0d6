//! Finding SIP servers (RFC 3263 §4). Pure.
//!
//! ```text
//! host --numeric?--> target
//!      --port?-----> A, AAAA
//!      --transport?-> SRV --> A, AAAA
//!      --else------> NAPTR --> SRV --> A, AAAA
//! ```
//!
//! Everything that can be tried comes out, in order: whoever sends goes on to the next where one
//! fails (RFC 3263 §4.3). Not supported: SCTP.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::srv;
use super::{
    Answer, Desk, Failure, Found, Kind, LookupFault, MAX_RECORDS, Naptr, Pending, Proof, Record,
    Srv,
};
use crate::config::Targets;
use crate::explain::{Node, Step};

/// Most targets of one look-up.
const MAX_TARGETS: usize = 32;
/// Most hosts whose addresses one look-up asks for.
const MAX_HOSTS: usize = 12;

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

impl Transport {
    /// The word in URIs (RFC 3261 §19.1.1).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// The transport of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let is_word = |transport: &Self| transport.as_str().eq_ignore_ascii_case(word);
        [Self::Udp, Self::Tcp, Self::Tls].into_iter().find(is_word)
    }

    const fn port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }

    /// RFC 3263 §4.1.
    const fn service(self) -> &'static str {
        match self {
            Self::Udp => "_sip._udp",
            Self::Tcp => "_sip._tcp",
            Self::Tls => "_sips._tcp",
        }
    }
}

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipQuery {
    /// Host name or literal address; IPv6 with or without brackets.
    pub host: String,
    /// Port, if one was given.
    pub port: Option<u16>,
    /// Transport, if one was given.
    pub transport: Option<Transport>,
    /// Only TLS will do (`sips:`, RFC 3261 §26.2.2).
    pub is_secure: bool,
}

/// One place to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Address and port.
    pub address: SocketAddr,
    /// How to speak to it.
    pub transport: Transport,
    /// The name a certificate must show: the domain asked for, not what the DNS made of it
    /// (RFC 5922 §7.1).
    pub name: String,
    /// What DNSSEC says of the answers that led to it; the weakest.
    pub proof: Proof,
}

/// A host to find the addresses of.
struct Place {
    host: String,
    port: u16,
    transport: Transport,
    proof: Proof,
}

/// The targets of a query, in the order to try them; never empty where it succeeds.
///
/// # Errors
/// Inside: why there are none.
pub fn targets(
    desk: &mut Desk<'_>,
    node: &mut Node,
    query: &SipQuery,
    policy: &Targets,
) -> Found<Result<Vec<Target>, LookupFault>> {
    let host = query.host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    let node = node.open(Step::Servers { of: host.to_owned() });
    let places = match places(desk, node, host, query)? {
        Ok(places) => places,
        Err(fault) => return Ok(Err(fault)),
    };
    let found = match addresses(desk, node, host, places)? {
        Ok(found) => found,
        Err(fault) => return Ok(Err(fault)),
    };
    let reach = policy.reachable();
    let (mut allowed, mut refused) = (Vec::new(), BTreeSet::new());
    for target in found {
        match reach.judge_found(host, query.port, target.address) {
            Ok(()) => allowed.push(target),
            Err(forbidden) => {
                refused.insert(forbidden.to_string());
            }
        }
    }
    for why in refused {
        node.note(why);
    }
    allowed.truncate(MAX_TARGETS);
    for target in &allowed {
        let to = format!("{} {}", target.transport.as_str(), target.address);
        node.open(Step::Target { to, name: target.name.clone() });
    }
    Ok(if allowed.is_empty() { Err(LookupFault::NotAllowed(host.to_owned())) } else { Ok(allowed) })
}

/// RFC 3263 §4.1 and §4.2 up to the names of hosts.
fn places(
    desk: &mut Desk<'_>,
    node: &mut Node,
    host: &str,
    query: &SipQuery,
) -> Found<Result<Vec<Place>, LookupFault>> {
    let is_numeric = host.parse::<IpAddr>().is_ok();
    let given = match (query.is_secure, query.transport) {
        // `sips:` with a datagram transport asks for what cannot be; TLS is what it means.
        (true, _) => Some(Transport::Tls),
        (false, given) => given,
    };
    if is_numeric || query.port.is_some() {
        let transport = given.unwrap_or(Transport::Udp);
        let port = query.port.unwrap_or(transport.port());
        return Ok(Ok(vec![Place {
            host: host.to_owned(),
            port,
            transport,
            proof: Proof::Secure,
        }]));
    }
    let services = match (query.transport, query.is_secure) {
        (Some(transport), false) => {
            vec![(transport, format!("{}.{host}", transport.service()), Proof::Secure)]
        }
        (None, _) | (Some(_), true) => match by_naptr(desk, node, host, query.is_secure)? {
            Ok(services) => services,
            Err(fault) => return Ok(Err(fault)),
        },
    };
    by_srv(desk, node, host, services, given.unwrap_or(Transport::Udp))
}

type Service = (Transport, String, Proof);

/// The services of a domain: those its NAPTR records name, else all that we speak.
fn by_naptr(
    desk: &mut Desk<'_>,
    node: &mut Node,
    host: &str,
    is_secure: bool,
) -> Found<Result<Vec<Service>, LookupFault>> {
    let mut services = Vec::new();
    match desk.ask(node, host, Kind::Naptr)? {
        Answer::Found { records, proof, .. } => {
            let mut rules: Vec<&Naptr> =
                records.iter().filter_map(naptr).take(MAX_RECORDS).collect();
            rules.sort_by_key(|naptr| (naptr.order, naptr.preference));
            let usable = rules.into_iter().filter_map(|naptr| service_of(naptr, is_secure));
            services.extend(usable.map(|(transport, name)| (transport, name, *proof)));
        }
        Answer::Nothing { .. } => {}
        // Some servers fail on types they do not know; silence and lies are another thing.
        Answer::Failed(Failure::ServFail) => {}
        Answer::Failed(failure) => return Ok(Err(LookupFault::Failed(host.to_owned(), *failure))),
    }
    if services.is_empty() {
        let spoken: &[Transport] = if is_secure {
            &[Transport::Tls]
        } else {
            &[Transport::Tls, Transport::Tcp, Transport::Udp]
        };
        let service = |transport: &Transport| {
            (*transport, format!("{}.{host}", transport.service()), Proof::Secure)
        };
        services.extend(spoken.iter().map(service));
    }
    Ok(Ok(services))
}

const fn naptr(record: &Record) -> Option<&Naptr> {
    match record {
        Record::Naptr(naptr) => Some(naptr),
        Record::Srv(_) | Record::A(_) | Record::Aaaa(_) => None,
    }
}

/// RFC 3263 §4.1: `SIP+D2U`, `SIP+D2T`, `SIPS+D2T`, all with the flag `s`.
fn service_of(naptr: &Naptr, is_secure: bool) -> Option<(Transport, String)> {
    let transport = match naptr.services.to_ascii_lowercase().as_str() {
        "sip+d2u" => Transport::Udp,
        "sip+d2t" => Transport::Tcp,
        "sips+d2t" => Transport::Tls,
        _ => return None,
    };
    let is_usable = naptr.flags.eq_ignore_ascii_case("s")
        && naptr.regexp.is_empty()
        && !naptr.replacement.is_empty()
        && (!is_secure || transport == Transport::Tls);
    is_usable.then(|| (transport, naptr.replacement.clone()))
}

/// RFC 3263 §4.2. Where there is no SRV record at all, the host itself.
fn by_srv(
    desk: &mut Desk<'_>,
    node: &mut Node,
    host: &str,
    services: Vec<Service>,
    without: Transport,
) -> Found<Result<Vec<Place>, LookupFault>> {
    let asked: Vec<Found<&Answer>> =
        services.iter().map(|(_, name, _)| desk.ask(node, name, Kind::Srv)).collect();
    let (mut places, mut fault, mut is_refused) = (Vec::new(), None, false);
    for ((transport, name, by), answer) in services.into_iter().zip(asked) {
        match answer? {
            Answer::Found { records, proof, .. } => {
                let records = records.iter().filter_map(service_record).cloned().collect();
                for srv in srv::order(records, &mut desk.draws(&name)) {
                    // RFC 2782: a target of "." means that the service is decidedly not there.
                    is_refused |= srv.target.is_empty();
                    let proof = by.min(*proof);
                    let Srv { port, target: host, .. } = srv;
                    places.extend((!host.is_empty()).then_some(Place {
                        host,
                        port,
                        transport,
                        proof,
                    }));
                }
            }
            Answer::Nothing { .. } => {}
            Answer::Failed(failure) => {
                fault.get_or_insert(LookupFault::Failed(name, *failure));
            }
        }
    }
    Ok(match (places.is_empty(), fault, is_refused) {
        (false, ..) => Ok(places),
        (true, Some(fault), _) => Err(fault),
        (true, None, true) => Err(LookupFault::NotOffered(host.to_owned())),
        (true, None, false) => {
            let (host, port) = (host.to_owned(), without.port());
            Ok(vec![Place { host, port, transport: without, proof: Proof::Secure }])
        }
    })
}

const fn service_record(record: &Record) -> Option<&Srv> {
    match record {
        Record::Srv(srv) => Some(srv),
        Record::Naptr(_) | Record::A(_) | Record::Aaaa(_) => None,
    }
}

/// The addresses of each place, asked for together.
fn addresses(
    desk: &mut Desk<'_>,
    node: &mut Node,
    name: &str,
    mut places: Vec<Place>,
) -> Found<Result<Vec<Target>, LookupFault>> {
    places.truncate(MAX_HOSTS);
    let hosts = places.iter().map(|place| place.host.clone()).collect::<Vec<_>>();
    let asked: Vec<_> = hosts.iter().map(|host| host_addresses(desk, node, host)).collect();
    let (mut targets, mut fault) = (Vec::new(), None);
    for (place, found) in places.into_iter().zip(asked) {
        match found? {
            Ok((ips, proof)) => targets.extend(ips.into_iter().map(|ip| Target {
                address: SocketAddr::new(ip, place.port),
                transport: place.transport,
                name: name.to_owned(),
                proof: proof.min(place.proof),
            })),
            Err(other) => {
                fault.get_or_insert(other);
            }
        }
    }
    Ok(match (targets.is_empty(), fault) {
        (false, _) => Ok(targets),
        (true, Some(fault)) => Err(fault),
        (true, None) => Err(LookupFault::Nothing(name.to_owned())),
    })
}

/// The addresses of one host, IPv4 first. A bogus answer of one family spoils the other.
pub(super) fn host_addresses(
    desk: &mut Desk<'_>,
    node: &mut Node,
    host: &str,
) -> Found<Result<(Vec<IpAddr>, Proof), LookupFault>> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(Ok((vec![ip], Proof::Secure)));
    }
    let (v4, v6) = (desk.ask(node, host, Kind::A), desk.ask(node, host, Kind::Aaaa));
    let (v4, v6): (&Answer, &Answer) = (v4?, v6.map_err(|Pending| Pending)?);
    let (mut ips, mut weakest, mut fault) = (Vec::new(), Proof::Secure, None);
    for answer in [v4, v6] {
        match answer {
            Answer::Found { records, proof, .. } => {
                weakest = weakest.min(*proof);
                ips.extend(records.iter().take(MAX_RECORDS).filter_map(|record| match record {
                    Record::A(ip) => Some(IpAddr::V4(*ip)),
                    Record::Aaaa(ip) => Some(IpAddr::V6(*ip)),
                    Record::Naptr(_) | Record::Srv(_) => None,
                }));
            }
            Answer::Nothing { .. } => {}
            Answer::Failed(Failure::Bogus) => {
                return Ok(Err(LookupFault::Failed(host.to_owned(), Failure::Bogus)));
            }
            Answer::Failed(failure) => {
                fault.get_or_insert(LookupFault::Failed(host.to_owned(), *failure));
            }
        }
    }
    Ok(match (ips.is_empty(), fault) {
        (false, _) => Ok((ips, weakest)),
        (true, Some(fault)) => Err(fault),
        (true, None) => Err(LookupFault::Nothing(host.to_owned())),
    })
}

#[cfg(test)]
mod tests;
