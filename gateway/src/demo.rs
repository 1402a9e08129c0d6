//! `procom-gateway demo`: a whole gateway on loopback, with nothing to configure and nothing
//! written outside one temporary folder.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use adapter_sip::config::{Listener, Password, Shield};
use dialplan::RuleText;
use gateway_core::AccountId;
use gateway_procom::{Bearer, Token, Tokens};
use serde_json::json;

use crate::config::{AccountConfig, Config, DIRECT_TRUNK, PhoneConfig};
use crate::house::Bound;
use crate::secrets::{make_private, random_text};
use crate::switchboard::epoch_ms;

/// Who signs in on the page.
const PERSON: &str = "demo";
/// Whose phones may register.
const PHONES: [&str; 2] = ["alice", "bob"];
/// How long the page's token lives.
const TOKEN_S: u64 = 24 * 3600;
/// This machine.
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The ports of a demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ports {
    http: u16,
    sip: u16,
    sip_tls: u16,
    admin: u16,
    media: u16,
    rtp: (u16, u16),
}

impl Ports {
    const fn new(base: Option<u16>) -> Self {
        match base {
            None => Self {
                http: 8080,
                sip: 5060,
                sip_tls: 5061,
                admin: 8081,
                media: 7000,
                rtp: (20_000, 29_999),
            },
            Some(base) => Self {
                http: base,
                sip: base + 1,
                sip_tls: base + 2,
                admin: base + 3,
                media: base + 4,
                rtp: (base + 100, base + 2099),
            },
        }
    }
}

/// A demo's configuration, and the folder it writes to, which is gone when this is dropped.
#[derive(Debug)]
pub struct Demo {
    /// The configuration to start with.
    pub config: Config,
    /// The tokens of this life.
    pub tokens: Tokens,
    ports: Ports,
    passwords: [String; 2],
    folder: PathBuf,
}

impl Demo {
    /// Makes the folder and the configuration.
    ///
    /// # Errors
    /// The folder cannot be made, or the ports do not fit below 65,536.
    pub fn prepare(port_base: Option<u16>) -> Result<Self, String> {
        if port_base.is_some_and(|base| !(1024..=63_000).contains(&base)) {
            return Err("--port-base: a number from 1024 to 63000".to_owned());
        }
        let folder = std::env::temp_dir().join(format!("procom-demo-{}", random_text::<12>()));
        make_private(&folder).map_err(|why| format!("{}: {why}", folder.display()))?;
        let passwords = [random_text::<16>(), random_text::<16>()];
        let ports = Ports::new(port_base);
        let config = configuration(&folder, ports, &passwords);
        Ok(Self { config, tokens: Tokens::generate(), ports, passwords, folder })
    }

    /// What is told on standard output once everything listens.
    #[must_use]
    pub fn announce(&self, bound: &Bound, as_json: bool) -> String {
        let token = self.tokens.sign(&Token {
            bearer: Bearer::Demo(AccountId::from(PERSON)),
            expires_unix_s: u64::try_from(epoch_ms() / 1000).unwrap_or(0) + TOKEN_S,
            origin: None,
        });
        let url = format!("http://{}/#{token}", bound.procom);
        let metrics = format!("http://{}/metrics?token={}", bound.admin, bound.admin_token);
        let (sip, tls) = (
            SocketAddr::new(LOOPBACK, self.ports.sip),
            SocketAddr::new(LOOPBACK, self.ports.sip_tls),
        );
        if as_json {
            let accounts: Vec<_> = PHONES
                .iter()
                .zip(&self.passwords)
                .map(|(user, password)| json!({"user": user, "password": password}))
                .collect();
            let sip = json!({"udp": sip, "tcp": sip, "tls": tls, "accounts": accounts});
            return json!({"url": url, "token": token, "sip": sip, "metrics": metrics}).to_string();
        }
        self.in_words(&url, sip, tls, &metrics)
    }

    fn in_words(&self, url: &str, sip: SocketAddr, tls: SocketAddr, metrics: &str) -> String {
        let [alice, bob] = &self.passwords;
        format!(
            "The Procom gateway is up, on this machine only. Stop it with Ctrl-C.\n\n  \
             Open in a browser:  {url}\n  and press \"Call echo\": you hear yourself.\n\n  \
             Two SIP phones may register at {sip} (UDP, TCP) or {tls} (TLS):\n    \
             user alice, password {alice}\n    user bob,   password {bob}\n\n  \
             With baresip:\n    baresip -n 127.0.0.1 -e '/uanew \
             sip:alice@{sip};transport=udp;auth_pass={alice}'\n  With linphonec:\n    linphonec, then \
             type: register sip:bob@{sip} {sip} {bob}\n\n  \
             From the page call procom:alice, procom:bob or a phone on this machine \
             (sip:NAME@127.0.0.1:PORT);\n  from a phone call sip:demo@{sip} or sip:echo@{sip}.\n\n  \
             Metrics: {metrics}\n"
        )
    }
}

/// The folder was for this life only.
impl Drop for Demo {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn configuration(folder: &Path, ports: Ports, passwords: &[String; 2]) -> Config {
    let mut config = Config::default();
    config.gateway.state_dir = folder.to_owned();
    config.gateway.drain_s = 0;
    config.gateway.log = "warn".to_owned();
    config.admin.listen = SocketAddr::new(LOOPBACK, ports.admin);
    config.media.bind = vec![LOOPBACK];
    config.media.media_port = ports.media;
    config.media.rtp_ports = ports.rtp;
    config.media.allow_loopback = true;
    config.procom.listen = SocketAddr::new(LOOPBACK, ports.http);
    config.procom.plain = true;
    config.sip.domain = LOOPBACK.to_string();
    config.sip.listen = ["udp", "tcp", "tls"]
        .iter()
        .map(|transport| {
            let port = if *transport == "tls" { ports.sip_tls } else { ports.sip };
            format!("{transport}:{LOOPBACK}:{port}")
                .parse::<Listener>()
                .expect("a listener of constant parts")
        })
        .collect();
    config.sip.protection = vec![Shield::Sdes, Shield::Clear];
    config.account.push(account(PERSON, None));
    let phones = PHONES.iter().zip(passwords);
    config.account.extend(phones.map(|(user, password)| account(user, Some(password))));
    config.route.push(RuleText {
        from: "*".into(),
        pattern: Some("sip:*".to_owned()),
        trunk: Some(DIRECT_TRUNK.to_owned()),
        ..RuleText::default()
    });
    config
}

fn account(name: &str, password: Option<&String>) -> AccountConfig {
    AccountConfig {
        name: name.to_owned(),
        display: None,
        password_hash: None,
        numbers: Vec::new(),
        sip: password.map(|password| PhoneConfig {
            user: None,
            password: Password(password.clone()),
            protection: None,
        }),
    }
}
