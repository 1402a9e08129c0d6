//! What an operator can say about media: addresses, ports, deadlines.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The section `[media]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct MediaConfig {
    /// Where sockets are bound: at most one IPv4 and one IPv6 address; the first is used for phones.
    pub bind: Vec<IpAddr>,
    /// UDP port of the first worker for everything with ICE; worker `i` has this port plus `i`.
    pub media_port: u16,
    /// First and last UDP port for peers without ICE; pairs of RTP (even) and RTCP (odd) are taken from it.
    pub rtp_ports: (u16, u16),
    /// The address told to peers where it differs from the bound one (address translation one to one).
    pub advertised_address: Option<IpAddr>,
    /// Be an ICE lite agent (RFC 8445 §2.5): only for a gateway that everybody can reach.
    pub ice_lite: bool,
    /// Take peers on loopback addresses: for tests and demonstrations on one machine only.
    pub allow_loopback: bool,
    /// Threads that carry media.
    pub workers: u16,
    /// Sound is missed after this many seconds.
    #[serde(rename = "quiet_after_s", deserialize_with = "seconds", serialize_with = "in_seconds")]
    pub quiet_after: Duration,
    /// A peer of whom nothing at all is heard is lost after this many seconds.
    #[serde(rename = "lost_after_s", deserialize_with = "seconds", serialize_with = "in_seconds")]
    pub lost_after: Duration,
    /// Consent to send ends this many seconds after it was last given (RFC 7675 §5.1).
    #[serde(
        rename = "consent_timeout_s",
        deserialize_with = "seconds",
        serialize_with = "in_seconds"
    )]
    pub consent_timeout: Duration,
    /// Most ports a worker holds at once.
    pub max_ports: usize,
}

impl Default for MediaConfig {
    fn default() -> Self {
        Self {
            bind: vec![IpAddr::from([0, 0, 0, 0])],
            media_port: 7_000,
            rtp_ports: (20_000, 29_999),
            advertised_address: None,
            ice_lite: false,
            allow_loopback: false,
            workers: 1,
            quiet_after: Duration::from_secs(3),
            lost_after: Duration::from_secs(30),
            consent_timeout: Duration::from_secs(30),
            max_ports: 4_000,
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigFault {
    /// No address, or two of one family.
    #[error("media.bind must have one IPv4 address, one IPv6 address, or one of each")]
    Bind,
    /// The first port is zero or not before the last.
    #[error("media.rtp_ports must be two ports, the first before the last")]
    RtpPorts,
    /// Zero workers, or more than there are ports behind `media_port`.
    #[error("media.workers must be between 1 and 64, and media_port + workers below 65536")]
    Workers,
    /// A bound address of 0.0.0.0 or :: tells no peer where to send.
    #[error("media.advertised_address is needed where media.bind is a wildcard")]
    Advertised,
    /// A deadline of zero.
    #[error("media.quiet_after_s, lost_after_s and consent_timeout_s must be more than 0")]
    Deadline,
}

impl MediaConfig {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// See [`ConfigFault`].
    pub fn check(&self) -> Result<(), ConfigFault> {
        let families = |is_v4| self.bind.iter().filter(|ip| ip.is_ipv4() == is_v4).count();
        if self.bind.is_empty() || families(true) > 1 || families(false) > 1 {
            return Err(ConfigFault::Bind);
        }
        if self.rtp_ports.0 == 0 || self.rtp_ports.0 >= self.rtp_ports.1 {
            return Err(ConfigFault::RtpPorts);
        }
        let is_sane = (1..=64).contains(&self.workers);
        if !is_sane || self.media_port.checked_add(self.workers).is_none() {
            return Err(ConfigFault::Workers);
        }
        let has_address =
            |ip: &IpAddr| !ip.is_unspecified() || self.advertised_for(ip.is_ipv4()).is_some();
        if !self.bind.iter().any(has_address) {
            return Err(ConfigFault::Advertised);
        }
        if [self.quiet_after, self.lost_after, self.consent_timeout].contains(&Duration::ZERO) {
            return Err(ConfigFault::Deadline);
        }
        Ok(())
    }

    /// The addresses our media comes from, as far as they are told.
    #[must_use]
    pub fn own_ips(&self) -> Vec<IpAddr> {
        let told = self.bind.iter().copied().chain(self.advertised_address);
        told.filter(|ip| !ip.is_unspecified()).collect()
    }

    /// The advertised address, if it is of this family.
    #[must_use]
    pub fn advertised_for(&self, is_v4: bool) -> Option<IpAddr> {
        self.advertised_address.filter(|ip| ip.is_ipv4() == is_v4)
    }
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u32::deserialize(deserializer).map(|seconds| Duration::from_secs(seconds.into()))
}

fn in_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_needs_an_advertised_address() {
        let mut config = MediaConfig::default();
        assert_eq!(config.check(), Err(ConfigFault::Advertised));
        config.advertised_address = Some([192, 0, 2, 1].into());
        assert_eq!(config.check(), Ok(()));
    }

    #[test]
    fn two_addresses_of_one_family_are_refused() {
        let bind = vec![[127, 0, 0, 1].into(), [127, 0, 0, 2].into()];
        let config = MediaConfig { bind, ..MediaConfig::default() };
        assert_eq!(config.check(), Err(ConfigFault::Bind));
    }
}
