//! Questions to real servers, by hickory.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ProtocolConfig, ResolveHosts, ResolverConfig, ResolverOpts,
    ServerOrderingStrategy,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::{Proof as DnssecProof, TrustAnchors};
use hickory_resolver::proto::rr::{Name, RData, Record as DnsRecord, RecordType};
use hickory_resolver::{Resolver as Hickory, TlsConfig, TokioResolver};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::sync::Semaphore;

use super::Dns;
use super::cache::Cache;
use super::hosts::Hosts;
use super::servers::{self, ServerText};
use crate::config::DnsConfig;
use crate::lookup::{Answer, Failure, Kind, MAX_RECORDS, Naptr, Proof, Question, Record, Srv};

/// How many questions are under way at once.
const AT_ONCE: usize = 64;
/// How long one server may take before the next is asked.
const ATTEMPT: Duration = Duration::from_millis(600);
/// How long nothing stays nothing where the servers do not say.
const NEGATIVE_TTL_S: u32 = 60;
/// Where the system names its servers.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Where the system names hosts.
const HOSTS: &str = "/etc/hosts";

/// Why there can be no resolver.
#[derive(Debug, thiserror::Error)]
pub enum DnsFault {
    /// A file cannot be read.
    #[error("{0}: {1}")]
    File(String, std::io::Error),
    /// A file is not what it should be.
    #[error("{0}: {1}")]
    Content(String, String),
    /// A server is not written as servers are.
    #[error("{0}")]
    Server(String),
}

/// Asks servers, and remembers.
pub struct Resolver {
    /// None where neither the configuration nor the system names a server.
    hickory: Option<TokioResolver>,
    hosts: Hosts,
    cache: Mutex<Cache>,
    permits: Semaphore,
    deadline: Duration,
    is_validating: bool,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl Resolver {
    /// A resolver by this configuration.
    ///
    /// # Errors
    /// A file or a server in it is wrong.
    pub fn new(config: &DnsConfig) -> Result<Self, DnsFault> {
        let mut texts = servers::read_all(&config.servers).map_err(DnsFault::Server)?;
        if texts.is_empty() {
            // A machine without the file has no servers.
            texts = servers::of_system(&read(RESOLV_CONF).unwrap_or_default());
        }
        let is_served = !texts.is_empty();
        let name_servers = texts.iter().map(name_server).collect();
        let config_of_servers = ResolverConfig::from_name_servers(name_servers);
        let provider = TokioRuntimeProvider::default();
        let mut builder =
            Hickory::builder_with_config(config_of_servers, provider).with_options(options(config));
        if let Some(path) = &config.trust_anchors {
            let path = path.display().to_string();
            let anchors = read(&path)?
                .parse::<TrustAnchors>()
                .map_err(|why| DnsFault::Content(path, why.to_string()))?;
            builder = builder.with_trust_anchor(Arc::new(anchors));
        }
        if let Some(path) = &config.ca {
            builder = builder.with_tls_config(tls(&path.display().to_string())?);
        }
        let hickory = builder.build().map_err(|why| DnsFault::Server(why.to_string()))?;
        Ok(Self {
            hickory: is_served.then_some(hickory),
            hosts: Hosts::read(&read(HOSTS).unwrap_or_default()),
            cache: Mutex::new(Cache::new(config.cache.max(1))),
            permits: Semaphore::new(AT_ONCE),
            deadline: config.question(),
            is_validating: config.dnssec || config.trust_anchors.is_some(),
        })
    }

    /// Whether there is anybody to ask.
    #[must_use]
    pub const fn has_servers(&self) -> bool {
        self.hickory.is_some()
    }

    async fn ask_servers(&self, question: &Question) -> Answer {
        let Some(hickory) = &self.hickory else { return Answer::Failed(Failure::NoServer) };
        let Ok(mut name) = Name::from_ascii(&question.name) else {
            return Answer::Failed(Failure::BadName);
        };
        name.set_fqdn(true);
        let kind = match question.kind {
            Kind::Naptr => RecordType::NAPTR,
            Kind::Srv => RecordType::SRV,
            Kind::A => RecordType::A,
            Kind::Aaaa => RecordType::AAAA,
        };
        match tokio::time::timeout(self.deadline, hickory.lookup(name, kind)).await {
            Ok(Ok(lookup)) => self.answer(question.kind, &lookup),
            Ok(Err(fault)) => self.failure(&fault),
            Err(_) => Answer::Failed(Failure::Timeout),
        }
    }

    fn answer(&self, kind: Kind, lookup: &Lookup) -> Answer {
        let records = lookup.answers();
        let found: Vec<Record> = records
            .iter()
            .filter_map(record)
            .filter(|record| kind_of(record) == kind)
            .take(MAX_RECORDS)
            .collect();
        let ttl_s = records.iter().map(|record| record.ttl).min().unwrap_or(NEGATIVE_TTL_S);
        // Aliases on the way count: a chain is as strong as its weakest link.
        let links = records.iter().filter(|record| record.record_type() != RecordType::RRSIG);
        let Some(proof) = self.proof(links.map(|record| record.proof)) else {
            return Answer::Failed(Failure::Bogus);
        };
        if found.is_empty() {
            return Answer::Nothing { ttl_s, proof, is_stale: false };
        }
        Answer::Found { records: found, ttl_s, proof, is_stale: false }
    }

    /// The weakest of some proofs; `None` where one is bogus.
    fn proof(&self, proofs: impl Iterator<Item = DnssecProof>) -> Option<Proof> {
        if !self.is_validating {
            return Some(Proof::Unchecked);
        }
        match proofs.min() {
            Some(DnssecProof::Secure) => Some(Proof::Secure),
            Some(DnssecProof::Insecure) => Some(Proof::Insecure),
            Some(DnssecProof::Bogus) => None,
            Some(DnssecProof::Indeterminate) | None => Some(Proof::Unchecked),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "faults of the crate, of which it may get more"
    )]
    fn failure(&self, fault: &NetError) -> Answer {
        let nothing = |ttl_s: Option<u32>, proof| Answer::Nothing {
            ttl_s: ttl_s.unwrap_or(NEGATIVE_TTL_S),
            proof,
            is_stale: false,
        };
        match fault {
            NetError::Dns(DnsError::NoRecordsFound(none)) => {
                let authorities = none.authorities.as_deref().unwrap_or(&[]);
                match self.proof(authorities.iter().map(|record| record.proof)) {
                    Some(proof) => nothing(none.negative_ttl, proof),
                    None => Answer::Failed(Failure::Bogus),
                }
            }
            NetError::Dns(DnsError::Nsec { response, proof, .. }) => {
                match self.proof(std::iter::once(*proof)) {
                    Some(proof) => nothing(response.negative_ttl(), proof),
                    None => Answer::Failed(Failure::Bogus),
                }
            }
            NetError::Dns(DnsError::DnssecBogus) => Answer::Failed(Failure::Bogus),
            NetError::Timeout => Answer::Failed(Failure::Timeout),
            _ => Answer::Failed(Failure::ServFail),
        }
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dns for Resolver {
    async fn ask(&self, question: &Question) -> Answer {
        if let Some(answer) = self.hosts.answer(question) {
            return answer;
        }
        if let Some(answer) = self.cache().find(question, Instant::now()) {
            return answer;
        }
        let Ok(_permit) = self.permits.acquire().await else {
            return Answer::Failed(Failure::ServFail);
        };
        let answer = self.ask_servers(question).await;
        self.cache().take(question, answer, Instant::now())
    }
}

fn options(config: &DnsConfig) -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = ATTEMPT.min(config.question());
    options.attempts = 1;
    options.validate = config.dnssec;
    // Ours knows how to serve what was good before.
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    // Two servers are asked at once, those that answered best first: a dead one costs no time.
    options.server_ordering_strategy = ServerOrderingStrategy::QueryStatistics;
    options.num_concurrent_reqs = 2;
    options.try_tcp_on_error = false;
    options
}

fn name_server(text: &ServerText) -> NameServerConfig {
    let on = |port: u16, protocol: ProtocolConfig| {
        let mut connection = ConnectionConfig::new(protocol);
        connection.port = port;
        connection
    };
    let (address, connections) = match text {
        ServerText::Plain(address) => {
            let port = address.port();
            (address, vec![on(port, ProtocolConfig::Udp), on(port, ProtocolConfig::Tcp)])
        }
        ServerText::Tls(address, name) => {
            let protocol = ProtocolConfig::Tls { server_name: name.as_str().into() };
            (address, vec![on(address.port(), protocol)])
        }
        ServerText::Https(address, name, path) => {
            let (server_name, path) = (name.as_str().into(), path.as_str().into());
            (address, vec![on(address.port(), ProtocolConfig::Https { server_name, path })])
        }
    };
    NameServerConfig::new(address.ip(), true, connections)
}

/// Certificates of the configuration in place of the public ones.
fn tls(path: &str) -> Result<rustls::ClientConfig, DnsFault> {
    let broken = |why: String| DnsFault::Content(path.to_owned(), why);
    let pem = read(path)?;
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|why| broken(why.to_string()))?;
        roots.add(certificate).map_err(|why| broken(why.to_string()))?;
    }
    let mut config = TlsConfig::new().map_err(|why| broken(why.to_string()))?.config;
    let provider = Arc::clone(config.crypto_provider());
    config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|why| broken(why.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

fn read(path: &str) -> Result<String, DnsFault> {
    std::fs::read_to_string(path).map_err(|why| DnsFault::File(path.to_owned(), why))
}

const fn kind_of(record: &Record) -> Kind {
    match record {
        Record::Naptr(_) => Kind::Naptr,
        Record::Srv(_) => Kind::Srv,
        Record::A(_) => Kind::A,
        Record::Aaaa(_) => Kind::Aaaa,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "types of records that nobody here asks for")]
fn record(record: &DnsRecord) -> Option<Record> {
    let host = |name: &Name| name.to_ascii().trim_end_matches('.').to_ascii_lowercase();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match &record.data {
        RData::A(ip) => Some(Record::A(ip.0)),
        RData::AAAA(ip) => Some(Record::Aaaa(ip.0)),
        RData::SRV(srv) => Some(Record::Srv(Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: host(&srv.target),
        })),
        RData::NAPTR(naptr) => Some(Record::Naptr(Naptr {
            order: naptr.order,
            preference: naptr.preference,
            flags: text(&naptr.flags),
            services: text(&naptr.services),
            regexp: text(&naptr.regexp),
            replacement: host(&naptr.replacement),
        })),
        _ => None,
    }
}
