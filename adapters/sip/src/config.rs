//! The adapter's section of the configuration, and what the gateway knows of its accounts.
//!
//! ```toml
//! [sip]
//! domain = "gw.example"
//! listen = ["udp:0.0.0.0:5060", "tcp:0.0.0.0:5060", "tls:0.0.0.0:5061"]
//!
//! [[sip.trunk]]
//! name = "provider"
//! server = "sip:sip.provider.example;transport=tls"
//! user = "alice"
//! password = "..."
//! ```

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use gateway_adapter::Query;
use gateway_core::media::{Profile, Protection};
use gateway_core::{AccountId, TrunkId};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::stack::flow::Transport;
use crate::stack::transport::Settings;
use crate::stack::wire::{Scheme, Uri};

/// The trunk of everybody who is no configured trunk: phones of accounts.
pub const LOCAL_TRUNK: &str = "sip.local";
/// The trunk that dials any SIP address where its name leads.
pub const DIRECT_TRUNK: &str = "sip.direct";

/// `[sip]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The domain phones register in: the realm of their passwords, the host of their addresses.
    pub domain: String,
    /// Where to listen: `udp:`, `tcp:` or `tls:` before an address and port.
    pub listen: Vec<Listener>,
    /// Our certificate chain, PEM; without one a self-signed one serves.
    pub certificate: Option<PathBuf>,
    /// The key of the certificate, PEM.
    pub key: Option<PathBuf>,
    /// Whom we trust when we connect by TLS, PEM; without it the system's bundle.
    pub ca_file: Option<PathBuf>,
    /// The addresses others reach us at, behind a 1:1 NAT or in a container.
    pub advertised_address: Vec<IpAddr>,
    /// How media may be protected, best first, where account or trunk say nothing.
    pub protection: Vec<Shield>,
    /// The longest registration granted to a phone, in seconds.
    pub max_expires: u32,
    /// How long one of several places of an address may say nothing before the next is tried, in
    /// seconds.
    pub try_s: u16,
    /// Users whose phones read message/cpim: their messages go with a wish for notifications
    /// (RFC 5438).
    pub imdn: Vec<String>,
    /// Requests waiting for an answer of ours, above which new ones get 503.
    pub max_pending: usize,
    /// Connections one address may hold.
    pub max_connections_per_source: usize,
    /// What trunks, accounts and strangers may ask of us.
    pub limits: Limits,
    /// Providers and PBXs.
    pub trunk: Vec<TrunkConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            domain: "localhost".to_owned(),
            listen: Vec::new(),
            certificate: None,
            key: None,
            ca_file: None,
            advertised_address: Vec::new(),
            protection: vec![Shield::Sdes, Shield::Clear],
            max_expires: 3_600,
            try_s: 4,
            imdn: Vec::new(),
            max_pending: 2_000,
            limits: Limits::default(),
            max_connections_per_source: 64,
            trunk: Vec::new(),
        }
    }
}

impl Config {
    /// What the sockets need to know.
    pub(crate) fn settings(&self) -> Settings {
        let at = |transport| {
            self.listen
                .iter()
                .filter(move |listener| listener.transport == transport)
                .map(|listener| listener.address)
                .collect()
        };
        Settings {
            udp: at(Transport::Udp),
            tcp: at(Transport::Tcp),
            tls: at(Transport::Tls),
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            ca_file: self.ca_file.clone(),
            domain: self.domain.clone(),
            advertised: self.advertised_address.clone(),
            max_connections_per_source: self.max_connections_per_source,
            ..Settings::default()
        }
    }

    /// Checks what the types cannot.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn check(&self) -> Result<(), String> {
        if Uri::sip(None, &self.domain, None).is_none() {
            return Err("sip.domain is no host name".to_owned());
        }
        if self.certificate.is_some() != self.key.is_some() {
            return Err("sip.certificate and sip.key belong together".to_owned());
        }
        if !(1..=32).contains(&self.try_s) {
            return Err("sip.try_s is from 1 to 32 seconds".to_owned());
        }
        if self.max_pending == 0 {
            return Err("sip.max_pending must be at least 1".to_owned());
        }
        self.limits.check()?;
        if self.protection.is_empty() {
            return Err("sip.protection must name at least one".to_owned());
        }
        for (at, trunk) in self.trunk.iter().enumerate() {
            trunk.check().map_err(|why| format!("sip.trunk[{at}].{why}"))?;
            if self.trunk[..at].iter().any(|other| other.name == trunk.name) {
                return Err(format!("sip.trunk[{at}].name is taken"));
            }
        }
        Ok(())
    }
}

/// `[sip.limits]`: what trunks, accounts and strangers may ask of us.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Transactions kept at once, finished ones that absorb repetitions included. Only trunks,
    /// accounts and our own requests use them.
    pub max_transactions: usize,
    /// New requests a second of each trunk and account, within calls and outside, on average.
    pub requests_per_second: u32,
    /// New requests of each trunk and account at once.
    pub burst: u32,
    /// Answers a second to each address that has proven nothing: challenges and refusals. Requests
    /// above it get no answer.
    pub challenges_per_second: u32,
    /// Answers at once to each address that has proven nothing.
    pub challenge_burst: u32,
    /// What Retry-After of a 503 says, in seconds.
    pub retry_after_s: u16,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_transactions: 50_000,
            requests_per_second: 500,
            burst: 1_000,
            // All phones behind a carrier's NAT have one address.
            challenges_per_second: 5_000,
            challenge_burst: 10_000,
            retry_after_s: 5,
        }
    }
}

impl Limits {
    fn check(&self) -> Result<(), String> {
        let keys = [
            ("max_transactions", u32::try_from(self.max_transactions).unwrap_or(u32::MAX)),
            ("requests_per_second", self.requests_per_second),
            ("burst", self.burst),
            ("challenges_per_second", self.challenges_per_second),
            ("challenge_burst", self.challenge_burst),
            ("retry_after_s", self.retry_after_s.into()),
        ];
        match keys.iter().find(|(_, value)| *value == 0) {
            Some((key, _)) => Err(format!("sip.limits.{key} must be at least 1")),
            None => Ok(()),
        }
    }
}

/// One `[[sip.trunk]]`: a provider or PBX.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TrunkConfig {
    /// Its name; the trunk is called `sip.` and this.
    pub name: String,
    /// Where it is, like `sip:provider.example;transport=tls`.
    pub server: String,
    /// The host of its addresses, where it differs from that of `server`.
    #[serde(default)]
    pub domain: Option<String>,
    /// Our user there.
    pub user: String,
    /// Our password there.
    pub password: Password,
    /// The user of the digest, where it differs from `user`.
    #[serde(default)]
    pub auth_user: Option<String>,
    /// The realm of the digest; learned from the first challenge where it is not given.
    #[serde(default)]
    pub realm: Option<String>,
    /// Whether to register there.
    #[serde(default = "yes")]
    pub register: bool,
    /// How long a registration should last, in seconds.
    #[serde(default = "ten_minutes")]
    pub expires: u32,
    /// How media may be protected, best first.
    #[serde(default)]
    pub protection: Option<Vec<Shield>>,
    /// Addresses its calls may come from besides where it is registered.
    #[serde(default)]
    pub peers: Vec<IpAddr>,
    /// Whether it reads message/cpim: then its messages go with a wish for notifications (RFC 5438).
    #[serde(default)]
    pub imdn: bool,
    /// Whether it knows names and extensions, as a PBX does: what no numbering plan knows goes out
    /// to it as it was dialled. A provider gets numbers, and names without digits.
    #[serde(default)]
    pub names: bool,
}

fn yes() -> bool {
    true
}

fn ten_minutes() -> u32 {
    600
}

impl TrunkConfig {
    /// Its name in routes, metrics and logs.
    pub fn id(&self) -> TrunkId {
        TrunkId::from(format!("sip.{}", self.name))
    }

    /// Where it is; checked by [`Config::check`].
    pub(crate) fn server(&self) -> Option<Uri> {
        Uri::parse(&self.server).filter(|uri| matches!(uri.scheme(), Scheme::Sip | Scheme::Sips))
    }

    /// Where it may be found: its server, its domain, its peers.
    pub fn places(&self) -> Vec<Query> {
        let place = |host: String| Query { host, port: None, transport: None, is_secure: false };
        let server = self.server().and_then(|uri| {
            Some(Query {
                host: uri.host()?,
                port: uri.port(),
                transport: uri.transport().map(Into::into),
                is_secure: uri.scheme() == Scheme::Sips,
            })
        });
        let peers = self.peers.iter().map(|peer| place(peer.to_string()));
        server.into_iter().chain(self.domain.clone().map(place)).chain(peers).collect()
    }

    /// The host of `server`; `None` when that is no SIP address.
    pub fn host(&self) -> Option<String> {
        self.server()?.host()
    }

    /// The host of its addresses.
    pub(crate) fn domain(&self) -> String {
        let server = self.server().and_then(|uri| uri.host());
        self.domain.clone().or(server).unwrap_or_default()
    }

    fn check(&self) -> Result<(), String> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let is_taken = matches!(self.name.as_str(), "local" | "direct");
        if self.name.is_empty() || !self.name.chars().all(is_name) || is_taken {
            let rule = "name must be letters, digits, - or _, and not `local` or `direct`";
            return Err(rule.to_owned());
        }
        if self.server().is_none() {
            return Err("server is no SIP address".to_owned());
        }
        if self.user.is_empty() {
            return Err("user is empty".to_owned());
        }
        if self.protection.as_ref().is_some_and(Vec::is_empty) {
            return Err("protection must name at least one".to_owned());
        }
        Ok(())
    }
}

impl fmt::Debug for TrunkConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trunk({})", self.name)
    }
}

/// A password: masked wherever it is shown or written, zeroised on drop.
#[derive(Clone, PartialEq, Eq, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct Password(pub String);

impl Serialize for Password {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("********")
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("********")
    }
}

/// One listener: `udp:0.0.0.0:5060`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The transport.
    pub transport: Transport,
    /// The address and port.
    pub address: SocketAddr,
}

impl FromStr for Listener {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once(':').and_then(|(transport, address)| {
            Some((Transport::parse(transport)?, address.parse().ok()?))
        });
        let Some((transport, address)) = parsed else {
            return Err(format!("`{text}` is no listener like udp:0.0.0.0:5060"));
        };
        Ok(Self { transport, address })
    }
}

impl<'de> Deserialize<'de> for Listener {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Listener {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}:{}", self.transport.param(), self.address))
    }
}

/// A protection as the configuration names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Shield {
    /// Nothing.
    #[serde(rename = "clear")]
    Clear,
    /// SRTP with keys in the signalling.
    #[serde(rename = "sdes")]
    Sdes,
    /// SRTP with keys from DTLS.
    #[serde(rename = "dtls", alias = "dtls-srtp")]
    Dtls,
}

impl From<Shield> for Protection {
    fn from(shield: Shield) -> Self {
        match shield {
            Shield::Clear => Self::Clear,
            Shield::Sdes => Self::Sdes,
            Shield::Dtls => Self::Dtls,
        }
    }
}

/// The phone of an account.
#[derive(Clone, Debug)]
pub struct SipAccount {
    /// The account.
    pub id: AccountId,
    /// The user part of its address, and of its digest.
    pub user: String,
    /// The password of its digest.
    pub password: Password,
    /// How its media may be protected, best first; taken as it stands even where keys cross
    /// signalling in the clear. `None`: the section's list, without SDES where it protects nothing.
    pub protection: Option<Vec<Shield>>,
}

/// The protections of one peer, and whether somebody asked for exactly these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shields {
    list: Vec<Protection>,
    is_explicit: bool,
}

impl Shields {
    pub(crate) fn new(own: Option<&[Shield]>, section: &[Shield]) -> Self {
        let list = own.unwrap_or(section);
        Self { list: list.iter().copied().map(Into::into).collect(), is_explicit: own.is_some() }
    }

    /// What may be spoken over this transport. Keys in clear signalling protect nothing
    /// (RFC 4568 §8.3): without an explicit wish, and with clear media allowed, they are left out.
    fn over(&self, transport: Transport) -> Vec<Protection> {
        let is_open = transport != Transport::Tls;
        let allows_clear = self.list.contains(&Protection::Clear);
        let leaves_out = is_open && allows_clear && !self.is_explicit;
        let kept = |protection: &&Protection| !leaves_out || **protection != Protection::Sdes;
        self.list.iter().filter(kept).copied().collect()
    }

    /// One profile for each attempt to ring this peer, best first.
    pub(crate) fn to_ring(&self, transport: Transport, peer: Option<IpAddr>) -> Vec<Profile> {
        let keys_exposed = transport != Transport::Tls;
        let profile = |protection| {
            let mut profile = Profile::phone(protection, keys_exposed);
            profile.signalling_peer = peer;
            profile
        };
        self.over(transport).into_iter().map(profile).collect()
    }

    /// What is accepted of a peer that calls. Its own keys in the clear are taken where clear media
    /// would be: they make nothing worse, and are shown as exposed.
    pub(crate) fn to_answer(&self, transport: Transport, peer: IpAddr) -> Profile {
        let best = self.list.first().copied().unwrap_or(Protection::Clear);
        let mut profile = Profile::phone(best, transport != Transport::Tls);
        profile.accepts.clone_from(&self.list);
        profile.signalling_peer = Some(peer);
        profile
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protections(profiles: &[Profile]) -> Vec<Protection> {
        profiles.iter().map(|profile| profile.protection).collect()
    }

    #[test]
    fn a_listener_names_its_transport_and_address() {
        let listener: Listener = "tls:[::1]:5061".parse().unwrap();
        assert_eq!(listener.transport, Transport::Tls);
        assert!("sctp:127.0.0.1:1".parse::<Listener>().is_err());
        assert!("udp:localhost".parse::<Listener>().is_err());
    }

    #[test]
    fn a_section_with_an_unknown_key_is_refused() {
        let good = r#"{"domain": "gw.example", "listen": ["udp:127.0.0.1:5060"]}"#;
        let config: Config = serde_json::from_str(good).unwrap();
        assert!(config.check().is_ok());
        assert!(serde_json::from_str::<Config>(r#"{"listn": []}"#).is_err());
    }

    #[test]
    fn a_password_is_never_shown() {
        let password = Password("secret".to_owned());
        assert!(!format!("{password:?}").contains("secret"));
        assert!(!serde_json::to_string(&password).unwrap().contains("secret"));
    }

    #[test]
    fn keys_are_not_sent_in_the_clear_unless_somebody_asks_for_it() {
        let section = [Shield::Sdes, Shield::Clear];
        let usual = Shields::new(None, &section);
        assert_eq!(protections(&usual.to_ring(Transport::Udp, None)), [Protection::Clear]);
        let by_tls = usual.to_ring(Transport::Tls, None);
        assert_eq!(protections(&by_tls), [Protection::Sdes, Protection::Clear]);
        let wished = Shields::new(Some(&[Shield::Sdes]), &section);
        let exposed = wished.to_ring(Transport::Udp, None);
        assert_eq!(protections(&exposed), [Protection::Sdes]);
        assert!(exposed[0].keys_exposed);
    }

    #[test]
    fn a_limit_of_nothing_is_refused_by_its_key() {
        let with = |limits: &str| {
            let text = format!("{{\"limits\": {limits}}}");
            serde_json::from_str::<Config>(&text).map(|config| config.check())
        };
        assert_eq!(with("{}").unwrap(), Ok(()));
        assert_eq!(with(r#"{"burst": 7}"#).unwrap(), Ok(()));
        for key in [
            "max_transactions",
            "requests_per_second",
            "burst",
            "challenges_per_second",
            "challenge_burst",
            "retry_after_s",
        ] {
            let fault = with(&format!("{{\"{key}\": 0}}")).unwrap().unwrap_err();
            assert_eq!(fault, format!("sip.limits.{key} must be at least 1"));
        }
        assert!(with(r#"{"bursts": 7}"#).is_err());
        let none = Config { max_pending: 0, ..Config::default() };
        assert!(none.check().unwrap_err().contains("sip.max_pending"));
    }

    #[test]
    fn a_trunk_is_checked_by_key() {
        let trunk = |name: &str, server: &str| TrunkConfig {
            name: name.to_owned(),
            server: server.to_owned(),
            domain: None,
            user: "u".to_owned(),
            password: Password(String::new()),
            auth_user: None,
            realm: None,
            register: true,
            expires: 600,
            protection: None,
            peers: Vec::new(),
            imdn: false,
            names: false,
        };
        let check =
            |trunks: Vec<TrunkConfig>| Config { trunk: trunks, ..Config::default() }.check();
        assert!(check(vec![trunk("a", "sip:p.example")]).is_ok());
        assert!(check(vec![trunk("a", "mailto:x")]).unwrap_err().contains("trunk[0].server"));
        let twice = check(vec![trunk("a", "sip:p"), trunk("a", "sip:q")]);
        assert!(twice.unwrap_err().contains("trunk[1].name"));
    }
}
