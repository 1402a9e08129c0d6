//! The configuration: defaults in code, then the file, then the environment (`PROCOM__SIP__DOMAIN`
//! sets `sip.domain`). One section for each package, each of which owns its own type.
//!
//! Unknown keys are refused, and every error names file, line and key, and never shows the line
//! itself: there may be a password on it.

mod locate;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use adapter_sip::config::{Password, Shield, SipAccount};
use dialplan::plan::ECHO;
use dialplan::{DialplanConfig, InboundRule, RuleText};
use figment::Figment;
use figment::providers::{Env, Format, Toml};
use gateway_core::AccountId;
use gateway_core::call::Limits;
use gateway_media::config::MediaConfig;
use gateway_procom::{AccountFault, Accounts, ProcomAccount, ProcomConfig, Secret};
use serde::{Deserialize, Serialize};

use crate::control::ControlConfig;
use crate::switchboard::{Capacity, MailConfig, MessagesConfig};
use locate::locate;

/// The trunk that dials any SIP address, without a provider.
pub use dialplan::plan::DIRECT_TRUNK;

/// A key, and what is wrong with its value.
type Keyed = (String, String);

/// What the environment's variables begin with.
const PREFIX: &str = "PROCOM__";

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {why}")]
pub struct ConfigFault {
    place: String,
    why: String,
}

/// The whole configuration.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The gateway as a whole.
    pub gateway: GatewaySection,
    /// The operator's listener.
    pub admin: AdminSection,
    /// The media plane.
    pub media: MediaConfig,
    /// The edge that Procom clients connect to.
    pub procom: ProcomConfig,
    /// The SIP adapter; it does not run without a `listen`.
    pub sip: adapter_sip::Config,
    /// How what was dialled is read, and where it is looked for.
    pub dialplan: DialplanConfig,
    /// What messages are taken, and how long they are tried.
    pub messages: MessagesConfig,
    /// Who may control the gateway by messages.
    pub control: ControlConfig,
    /// People and device owners.
    pub account: Vec<AccountConfig>,
    /// What accounts may reach by trunks.
    pub route: Vec<RuleText>,
    /// What trunks may reach.
    pub inbound: Vec<InboundRule>,
}

/// `[gateway]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct GatewaySection {
    /// Where certificates, keys and the store live.
    pub state_dir: PathBuf,
    /// What is logged, as in `info` or `info,adapter_sip=debug`.
    pub log: String,
    /// How long calls may go on after SIGTERM, in seconds.
    pub drain_s: u64,
    /// How long a callee may ring, in seconds.
    pub ring_limit_s: u64,
    /// How long a call may last, in seconds.
    pub max_call_s: u64,
    /// Calls at once.
    pub max_calls: usize,
    /// Calls at once that one account may have begun.
    pub max_calls_per_account: usize,
    /// Of these, calls at once that leave by a trunk: what a stolen password can cost.
    pub max_trunk_calls_per_account: usize,
}

impl Default for GatewaySection {
    fn default() -> Self {
        Self {
            state_dir: "/var/lib/procom-gateway".into(),
            log: "info".to_owned(),
            drain_s: 60,
            ring_limit_s: 60,
            max_call_s: 12 * 3600,
            max_calls: 2000,
            max_calls_per_account: 500,
            max_trunk_calls_per_account: 10,
        }
    }
}

/// `[admin]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdminSection {
    /// Where `/health` and `/metrics` are; loopback only.
    pub listen: SocketAddr,
    /// What `/metrics` asks for; made on the first start, in `admin.token` of the state folder.
    pub token: Option<Secret>,
}

impl Default for AdminSection {
    fn default() -> Self {
        Self { listen: (Ipv4Addr::LOCALHOST, 9464).into(), token: None }
    }
}

/// One `[[account]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AccountConfig {
    /// Its name: `procom:NAME`.
    pub name: String,
    /// The name people are shown.
    #[serde(default)]
    pub display: Option<String>,
    /// What `procom-gateway passwd` printed.
    #[serde(default)]
    pub password_hash: Option<Secret>,
    /// Numbers and other names it is reached by.
    #[serde(default)]
    pub numbers: Vec<String>,
    /// Its SIP phone.
    #[serde(default)]
    pub sip: Option<PhoneConfig>,
}

/// `[account.sip]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PhoneConfig {
    /// Its user name; that of the account where none is given.
    #[serde(default)]
    pub user: Option<String>,
    /// Its password.
    pub password: Password,
    /// How its media may be protected, best first. Taken as it stands: `sdes` over UDP is shown to
    /// people as exposed. Without it, `sip.protection` counts.
    #[serde(default)]
    pub protection: Option<Vec<Shield>>,
}

impl Config {
    /// Reads the file and the environment.
    ///
    /// # Errors
    /// What is wrong, with file, line and key.
    pub fn load(path: &Path) -> Result<Self, ConfigFault> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|why| ConfigFault { place: name.clone(), why: why.to_string() })?;
        Self::read(&name, &text)
    }

    /// Reads a file's text and the environment.
    ///
    /// # Errors
    /// What is wrong, with file, line and key.
    pub fn read(name: &str, text: &str) -> Result<Self, ConfigFault> {
        // The figment knows the provenance of a value, but no line: the plain reader does.
        toml::from_str::<Self>(text).map_err(|why| in_file(name, text, &why))?;
        let figment = Figment::from(Toml::string(text)).merge(Env::prefixed(PREFIX).split("__"));
        let config: Self = figment.extract().map_err(|why| ConfigFault {
            place: format!("environment ({PREFIX}...)"),
            why: format!("{}: {}", why.path.join("."), why.kind),
        })?;
        config.check().map_err(|(key, why)| {
            let line = locate(text, &key).map_or(String::new(), |line| format!(":{line}"));
            ConfigFault { place: format!("{name}{line}"), why: format!("{key}: {why}") }
        })?;
        Ok(config)
    }

    /// Checks what the types cannot: the key, and what is wrong with it.
    fn check(&self) -> Result<(), Keyed> {
        self.media.check().map_err(|why| keyed("media", &why.to_string()))?;
        self.procom.check().map_err(|why| keyed("procom", &why))?;
        self.sip.check().map_err(|why| keyed("sip", &why))?;
        self.messages.check().map_err(|why| keyed("messages", &why))?;
        self.check_accounts()?;
        for (at, name) in self.control.accounts.iter().enumerate() {
            if !self.account.iter().any(|account| account.name == *name) {
                let why = format!("there is no account {name:?}");
                return Err((format!("control.accounts[{at}]"), why));
            }
        }
        self.check_dialplan()
    }

    fn check_accounts(&self) -> Result<(), Keyed> {
        self.procom_accounts().map_err(|fault| {
            let at = self.account.iter().position(|account| account.name == fault.name);
            (format!("account[{}].name", at.unwrap_or(0)), fault.why.to_owned())
        })?;
        let mut taken = BTreeMap::from([(ECHO, "the echo")]);
        for (at, account) in self.account.iter().enumerate() {
            let user = account.sip.as_ref().and_then(|sip| sip.user.as_deref());
            let names = account.numbers.iter().map(String::as_str).chain(user);
            for name in std::iter::once(account.name.as_str()).chain(names) {
                let owner = taken.insert(name, &account.name);
                if let Some(owner) = owner.filter(|owner| *owner != account.name) {
                    let why = format!("the name or number {name:?} belongs to {owner}");
                    return Err((format!("account[{at}].name"), why));
                }
            }
            if self.account[..at].iter().any(|other| other.name == account.name) {
                return Err((format!("account[{at}].name"), "it is there twice".to_owned()));
            }
        }
        Ok(())
    }

    /// The accounts as the Procom edge knows them.
    ///
    /// # Errors
    /// A name or a hash that cannot be.
    pub fn procom_accounts(&self) -> Result<Accounts, AccountFault> {
        let account = |account: &AccountConfig| ProcomAccount {
            name: account.name.clone(),
            display: account.display.clone(),
            password_hash: account.password_hash.clone(),
        };
        Accounts::new(self.account.iter().map(account).collect())
    }

    /// The accounts as the SIP adapter knows them.
    #[must_use]
    pub fn sip_accounts(&self) -> Vec<SipAccount> {
        let phone = |account: &AccountConfig| {
            let sip = account.sip.as_ref()?;
            Some(SipAccount {
                id: AccountId::from(account.name.as_str()),
                user: sip.user.clone().unwrap_or_else(|| account.name.clone()),
                password: sip.password.clone(),
                protection: sip.protection.clone(),
            })
        };
        self.account.iter().filter_map(phone).collect()
    }

    /// Hosts that may be spoken to wherever they are: the operator named them.
    #[must_use]
    pub fn trusted_hosts(&self) -> Vec<String> {
        self.sip.trunk.iter().filter_map(trunk_host).collect()
    }

    /// How messages are dealt with.
    #[must_use]
    pub fn mail(&self) -> MailConfig {
        MailConfig { messages: self.messages.clone(), control: self.control.clone() }
    }

    /// How much may go on at once.
    #[must_use]
    pub fn capacity(&self) -> Capacity {
        let talking = Duration::from_secs(self.gateway.max_call_s);
        Capacity {
            calls: self.gateway.max_calls,
            calls_per_account: self.gateway.max_calls_per_account,
            trunk_calls_per_account: self.gateway.max_trunk_calls_per_account,
            limits: Limits { talking, ..Limits::default() },
        }
    }
}

/// The host of a trunk's `server`.
fn trunk_host(trunk: &adapter_sip::config::TrunkConfig) -> Option<String> {
    let server: gateway_core::Address = trunk.server.parse().ok()?;
    let host = server.host?;
    Some(server.port.map_or_else(|| host.clone(), |port| format!("{host}:{port}")))
}

/// What the plain reader found, with its line; the key is what stands before the `=` there.
fn in_file(name: &str, text: &str, why: &toml::de::Error) -> ConfigFault {
    let Some(span) = why.span() else {
        return ConfigFault { place: name.to_owned(), why: why.message().to_owned() };
    };
    let start = span.start.min(text.len());
    let line = text[..start].matches('\n').count() + 1;
    let content = text.lines().nth(line - 1).unwrap_or("");
    let key = content.split('=').next().unwrap_or("").trim();
    ConfigFault { place: format!("{name}:{line}"), why: format!("{key}: {}", why.message()) }
}

/// Sections say `section.key: why` or only why.
fn keyed(section: &str, why: &str) -> Keyed {
    let is_key = |word: &str| word.starts_with(section) && !word.contains(' ');
    match why.split_once(": ").or_else(|| why.split_once(' ')) {
        Some((key, why)) if is_key(key) => (key.to_owned(), why.to_owned()),
        Some(_) | None => (section.to_owned(), why.to_owned()),
    }
}
