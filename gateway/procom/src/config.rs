//! The section `[procom]` of the configuration.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bucket::Rate;
use crate::secret::Secret;

/// Shortest and longest life of TURN credentials, in seconds.
const TTL_RANGE_S: std::ops::RangeInclusive<u64> = 60..=7 * 24 * 3600;
/// Shortest and longest time a session waits for its socket to come back, in seconds.
const RESUME_RANGE_S: std::ops::RangeInclusive<u64> = 1..=3600;

/// The section `[procom]`. Everything has a default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProcomConfig {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// A certificate chain in PEM; made on first start where there is none.
    pub certificate: Option<PathBuf>,
    /// Its private key in PEM.
    pub key: Option<PathBuf>,
    /// No TLS. Only on loopback.
    pub plain: bool,
    /// Web origins whose pages may connect besides our own, like `https://shop.example`.
    pub origins: Vec<String>,
    /// How long a session waits for a dropped socket to come back, in seconds.
    pub resume_s: u64,
    /// STUN and TURN servers for clients.
    pub ice_servers: Vec<IceServer>,
    /// What guest tokens are signed with, at least 32 bytes; made at start where there is none.
    pub token_key: Option<Secret>,
    /// Bounds on what strangers and clients may take.
    pub limits: Limits,
}

impl Default for ProcomConfig {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 8443).into(),
            certificate: None,
            key: None,
            plain: false,
            origins: Vec::new(),
            resume_s: 30,
            ice_servers: Vec::new(),
            token_key: None,
            limits: Limits::default(),
        }
    }
}

/// One STUN or TURN server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct IceServer {
    /// URLs (RFC 7064, RFC 7065), like `turn:turn.example.org?transport=udp`.
    pub urls: Vec<String>,
    /// A fixed user name.
    pub username: Option<String>,
    /// Its password.
    pub credential: Option<Secret>,
    /// Instead of both: the secret shared with the TURN server, to make short-lived ones of.
    pub secret: Option<Secret>,
    /// How long those live, in seconds.
    #[serde(default = "an_hour_s")]
    pub ttl_s: u64,
}

const fn an_hour_s() -> u64 {
    3600
}

/// Bounds on what strangers and clients may take.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address (of IPv6: one /64).
    pub connections_per_address: usize,
    /// Sessions at once.
    pub sessions: usize,
    /// Sessions at once of one account: its devices.
    pub sessions_per_account: usize,
    /// Sessions at once by one guest token.
    pub sessions_per_token: usize,
    /// Calls at once in one session.
    pub calls_per_session: usize,
    /// Frames a second from one client; more are read later.
    pub frames_per_second: u32,
    /// Messages a second from one session, four seconds' worth at once; more are refused.
    pub messages_per_second: u32,
    /// Messages a minute from one guest, twenty at once; more are refused.
    pub guest_messages_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 2048,
            connections_per_address: 64,
            sessions: 4096,
            sessions_per_account: 16,
            sessions_per_token: 32,
            calls_per_session: 16,
            frames_per_second: 50,
            messages_per_second: 50,
            guest_messages_per_minute: 60,
        }
    }
}

impl ProcomConfig {
    /// How long a session waits for a dropped socket to come back.
    #[must_use]
    pub const fn resume(&self) -> Duration {
        Duration::from_secs(self.resume_s)
    }

    /// Checks what types cannot.
    ///
    /// # Errors
    /// What cannot be, in a sentence for a person that names the key.
    pub fn check(&self) -> Result<(), String> {
        if self.plain && !self.listen.ip().to_canonical().is_loopback() {
            return Err("procom.plain: without TLS clients are served on loopback only".to_owned());
        }
        if self.certificate.is_some() != self.key.is_some() {
            return Err("procom.certificate and procom.key stand together or not at all".to_owned());
        }
        if self.plain && self.certificate.is_some() {
            return Err("procom.plain: with a certificate there is TLS".to_owned());
        }
        if !RESUME_RANGE_S.contains(&self.resume_s) {
            return Err("procom.resume_s: a number from 1 to 3600".to_owned());
        }
        if let Some(origin) = self.origins.iter().find(|origin| !is_origin(origin)) {
            return Err(format!(
                "procom.origins: {origin:?} is not an origin like https://shop.example"
            ));
        }
        if self.token_key.as_ref().is_some_and(|key| key.reveal().len() < 32) {
            return Err("procom.token_key: at least 32 bytes".to_owned());
        }
        self.ice_servers.iter().try_for_each(check_ice_server)?;
        self.limits.check()
    }
}

impl Limits {
    /// How fast an account's client may write.
    pub(crate) fn messages(&self) -> Rate {
        let per_second = self.messages_per_second.max(1);
        Rate { burst: per_second.saturating_mul(4), every: Duration::from_secs(1) / per_second }
    }

    /// How fast a guest may write.
    pub(crate) fn guest_messages(&self) -> Rate {
        Rate { burst: 20, every: Duration::from_secs(60) / self.guest_messages_per_minute.max(1) }
    }

    fn check(&self) -> Result<(), String> {
        let counts = [
            ("connections", self.connections),
            ("connections_per_address", self.connections_per_address),
            ("sessions", self.sessions),
            ("sessions_per_account", self.sessions_per_account),
            ("sessions_per_token", self.sessions_per_token),
            ("calls_per_session", self.calls_per_session),
            ("frames_per_second", self.frames_per_second as usize),
            ("messages_per_second", self.messages_per_second as usize),
            ("guest_messages_per_minute", self.guest_messages_per_minute as usize),
        ];
        match counts.iter().find(|(_, count)| !(1..=1_000_000).contains(count)) {
            Some((name, _)) => Err(format!("procom.limits.{name}: a number from 1 to 1000000")),
            None => Ok(()),
        }
    }
}

fn check_ice_server(server: &IceServer) -> Result<(), String> {
    let is_known = |url: &String| {
        ["stun:", "stuns:", "turn:", "turns:"].iter().any(|scheme| url.starts_with(scheme))
    };
    if server.urls.is_empty() || !server.urls.iter().all(is_known) {
        return Err("procom.ice_servers.urls: URLs that begin with stun:, stuns:, turn: or turns:"
            .to_owned());
    }
    if server.username.is_some() != server.credential.is_some() {
        return Err("procom.ice_servers: username and credential stand together".to_owned());
    }
    if server.secret.is_some() && server.username.is_some() {
        return Err("procom.ice_servers: a secret, or username and credential".to_owned());
    }
    if !TTL_RANGE_S.contains(&server.ttl_s) {
        return Err("procom.ice_servers.ttl_s: a number from 60 to 604800".to_owned());
    }
    Ok(())
}

/// A serialised tuple origin (RFC 6454 §6.2).
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| {
        let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        !host.is_empty()
            && host.bytes().all(is_fine)
            && !host.bytes().any(|b| b.is_ascii_uppercase())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ProcomConfig, String> {
        let config: ProcomConfig = toml::from_str(text).map_err(|fault| fault.to_string())?;
        config.check().map(|()| config)
    }

    #[test]
    fn an_empty_section_is_a_safe_one() {
        let config = parse("").unwrap();
        assert!(config.listen.ip().is_loopback() && !config.plain);
        assert_eq!(config.resume_s, 30);
    }

    #[test]
    fn plain_is_refused_anywhere_but_on_loopback() {
        assert!(parse("listen = '127.0.0.1:80'\nplain = true").is_ok());
        assert!(parse("listen = '[::1]:80'\nplain = true").is_ok());
        for listen in ["0.0.0.0:80", "[::]:80", "192.0.2.1:80"] {
            assert!(parse(&format!("listen = '{listen}'\nplain = true")).is_err(), "{listen}");
        }
    }

    #[test]
    fn unknown_keys_and_halves_are_refused() {
        for text in [
            "listn = '127.0.0.1:80'",
            "certificate = 'a.pem'",
            "resume_s = 0",
            "origins = ['shop.example']",
            "origins = ['https://shop.example/']",
            "origins = ['*']",
            "token_key = 'short'",
            "limits = { sessions = 0 }",
            "limits = { session = 1 }",
            "ice_servers = [{ urls = ['http://x'] }]",
            "ice_servers = [{ urls = ['turn:x'], username = 'a' }]",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn secrets_are_masked_when_the_configuration_is_shown() {
        let config = parse(
            "token_key = '0123456789abcdef0123456789abcdef'\n\
             ice_servers = [{ urls = ['turn:x'], secret = 'north' }]",
        )
        .unwrap();
        let shown = format!("{config:?}{}", serde_json::to_string(&config).unwrap());
        assert!(!shown.contains("north") && !shown.contains("0123456789"), "{shown}");
    }
}
