//! `[dialplan]` of the configuration, and which targets may be spoken to.
//!
//! Not in here: `[[route]]` and `[[inbound]]`, which are [`crate::rules`].

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use gateway_core::reachable::{Reachable, Scope};
use serde::{Deserialize, Serialize};

use crate::reading::Home;

/// Stands for every port but 0.
const ANY_PORT: u16 = 1;

/// `[dialplan]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct DialplanConfig {
    /// Where the gateway stands, as `DK` (ISO 3166): how national numbers are read.
    pub country: Option<String>,
    /// Emergency numbers beyond those of the country.
    pub emergency: Vec<String>,
    /// A file of contacts (vCard 4).
    pub contacts: Option<PathBuf>,
    /// A file of more `[[route]]`, read again on reload.
    pub rules: Option<PathBuf>,
    /// Roots of ENUM, asked in order: `e164.arpa`. None is asked by default: each question tells the
    /// number to whoever runs the root.
    pub enum_roots: Vec<String>,
    /// The trunk that dials SIP addresses found by ENUM; without one, a `[[route]]` must allow them.
    pub enum_sip_trunk: Option<String>,
    /// Likewise for XMPP.
    pub enum_xmpp_trunk: Option<String>,
    /// The DNS.
    pub dns: DnsConfig,
}

impl Default for DialplanConfig {
    fn default() -> Self {
        Self {
            country: None,
            emergency: Vec::new(),
            contacts: None,
            rules: None,
            enum_roots: Vec::new(),
            enum_sip_trunk: Some("sip.direct".to_owned()),
            enum_xmpp_trunk: None,
            dns: DnsConfig::default(),
        }
    }
}

/// `[dialplan.dns]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct DnsConfig {
    /// Servers: `192.0.2.1`, `192.0.2.1:53`, `tls://192.0.2.1#name`, `https://192.0.2.1/dns-query#name`.
    /// Without any, those of the system.
    pub servers: Vec<String>,
    /// Validate signatures. What is bogus is refused in any case the validator sees.
    pub dnssec: bool,
    /// A file of DNSKEY records to trust instead of the root's.
    pub trust_anchors: Option<PathBuf>,
    /// A file of certificates (PEM) to trust for DNS over TLS and HTTPS instead of the public ones.
    pub ca: Option<PathBuf>,
    /// How long one question may take, in milliseconds.
    pub question_ms: u64,
    /// How long all questions of one call may take together, in milliseconds.
    pub budget_ms: u64,
    /// Answers kept.
    pub cache: usize,
}

impl Default for DnsConfig {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            dnssec: true,
            trust_anchors: None,
            ca: None,
            question_ms: 1500,
            budget_ms: 2000,
            cache: 10_000,
        }
    }
}

impl DnsConfig {
    /// How long one question may take.
    #[must_use]
    pub const fn question(&self) -> Duration {
        Duration::from_millis(self.question_ms)
    }

    /// How long all questions of one call may take together.
    #[must_use]
    pub const fn budget(&self) -> Duration {
        Duration::from_millis(self.budget_ms)
    }
}

impl DialplanConfig {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// `dialplan.key: why`.
    pub fn check(&self) -> Result<(), String> {
        Home::new(self.country.as_deref(), &self.emergency)
            .map_err(|why| format!("dialplan.country: {why}"))?;
        for root in &self.enum_roots {
            let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            if root.is_empty() || root.len() > 200 || !root.bytes().all(is_fine) {
                return Err(format!("dialplan.enum_roots: {root:?} is no domain name"));
            }
        }
        crate::dns::servers::read_all(&self.dns.servers)
            .map_err(|why| format!("dialplan.dns.servers: {why}"))?;
        if self.dns.question_ms == 0 || self.dns.budget_ms == 0 || self.dns.budget_ms > 30_000 {
            return Err("dialplan.dns.budget_ms: from 1 to 30000".to_owned());
        }
        Ok(())
    }
}

/// Which targets may be spoken to, whatever name led to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// Addresses on this machine only: the demo.
    LoopbackOnly,
    /// Public addresses, and whatever these hosts of the configuration are.
    Public(Vec<String>),
}

impl Targets {
    /// What decides on each address.
    #[must_use]
    pub fn reachable(&self) -> Reachable {
        match self {
            Self::LoopbackOnly => Reachable::new(Scope::Loopback, &[]),
            Self::Public(named) => Reachable::new(Scope::Public, named),
        }
    }

    /// Whether `host`, which led to `ip`, may be spoken to at any port.
    #[must_use]
    pub fn allows(&self, host: &str, ip: IpAddr) -> bool {
        self.reachable().judge_found(host, None, SocketAddr::new(ip, ANY_PORT)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_targets_are_refused_whatever_their_spelling() {
        let public = Targets::Public(vec!["10.0.0.9".into()]);
        for ip in [
            "127.0.0.1",
            "::1",
            "::ffff:127.0.0.1",
            "10.0.0.1",
            "169.254.1.1",
            "0.0.0.0",
            "192.168.1.1",
            "172.16.0.1",
            "100.64.0.1",
            "224.0.0.1",
            "fe80::1",
            "fd00::1",
        ] {
            assert!(!public.allows("some.test", ip.parse().unwrap()), "{ip}");
        }
        assert!(public.allows("some.test", "192.0.2.1".parse().unwrap()));
        assert!(
            public.allows("10.0.0.9", "10.0.0.9".parse().unwrap()),
            "the configuration names it"
        );
        assert!(Targets::LoopbackOnly.allows("x", "127.0.0.1".parse().unwrap()));
        assert!(!Targets::LoopbackOnly.allows("x", "192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn a_wrong_setting_is_named_by_its_key() {
        let config = |text: &str| toml::from_str::<DialplanConfig>(text).unwrap().check();
        assert_eq!(config("country = \"DK\"\nenum_roots = [\"e164.arpa\"]"), Ok(()));
        assert!(config("country = \"Mars\"").unwrap_err().starts_with("dialplan.country"));
        assert!(config("enum_roots = [\"a b\"]").unwrap_err().starts_with("dialplan.enum_roots"));
        assert!(
            config("[dns]\nservers = [\"x\"]").unwrap_err().starts_with("dialplan.dns.servers")
        );
        assert!(config("[dns]\nbudget_ms = 0").is_err());
    }
}
