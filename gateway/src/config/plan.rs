//! The dialplan of a configuration: `[dialplan]`, `[[route]]`, `[[inbound]]` and the two files they
//! may name.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use adapter_sip::config::TrunkConfig;
use dialplan::config::Targets;
use dialplan::dns::Resolver;
use dialplan::plan::ECHO;
use dialplan::reading::{self, Home};
use dialplan::{Dialplan, People, Rules, Setup, SetupFault};
use gateway_core::AccountId;

use super::{Config, ConfigFault, DIRECT_TRUNK, Keyed};
use crate::planning::Planning;
use crate::resolver::wanted;

/// Networks and the parts of trunks' names that say them.
const NETWORKS: [&str; 4] = ["procom", "sip", "xmpp", "gsm"];

impl Config {
    /// The dialplan, with the files it names read now.
    ///
    /// # Errors
    /// What is wrong, with file, line and key.
    pub fn dialplan(&self, targets: Targets) -> Result<Dialplan, ConfigFault> {
        let [rules, contacts] =
            [&self.dialplan.rules, &self.dialplan.contacts].map(|path| path.as_deref());
        let (rules_file, contacts_file) = (read(rules)?, read(contacts)?);
        let setup = Setup {
            config: &self.dialplan,
            routes: &self.route,
            rules_file: rules_file.as_deref(),
            contacts_file: contacts_file.as_deref(),
        };
        let mut plan = Dialplan::new(&setup).map_err(|fault| placed(fault, rules, contacts))?;
        if let (Some(path), Some(text)) = (rules, &rules_file) {
            self.check_trunks_of(path, text, &plan)?;
        }
        plan.accounts = self.names(&plan.home);
        plan.local_hosts = self.local_hosts();
        plan.inbound.clone_from(&self.inbound);
        plan.ring_limit = Duration::from_secs(self.gateway.ring_limit_s);
        plan.targets = targets;
        let trunks = &self.sip.trunk;
        let named = trunks.iter().filter(|trunk| trunk.names);
        plan.name_trunks = named.map(|trunk| trunk.id().to_string()).collect();
        plan.trunk_servers =
            trunks.iter().flat_map(TrunkConfig::places).map(|place| wanted(&place)).collect();
        Ok(plan)
    }

    /// The dialplan with its DNS; what the DNS has answered is kept where its servers stay the same.
    ///
    /// # Errors
    /// What is wrong, with file, line and key.
    pub fn planning(
        &self,
        targets: Targets,
        before: Option<&Planning>,
    ) -> Result<Planning, ConfigFault> {
        let dns = self.dialplan.dns.clone();
        let dialplan = Arc::new(self.dialplan(targets)?);
        let same = before.filter(|before| before.dns == dns);
        let names = match same {
            Some(before) => Arc::clone(&before.names),
            None => Arc::new(Resolver::new(&dns).map_err(|why| ConfigFault {
                place: "dialplan.dns".to_owned(),
                why: why.to_string(),
            })?),
        };
        let people = Arc::new(People::of(Arc::clone(&dialplan)));
        Ok(Planning { dialplan, people, names, dns })
    }

    /// Every trunk there is.
    #[must_use]
    pub fn trunks(&self) -> Vec<String> {
        let sip = self.sip.trunk.iter().map(|trunk| trunk.id().to_string());
        sip.chain([DIRECT_TRUNK.to_owned()]).collect()
    }

    pub(super) fn check_dialplan(&self) -> Result<(), Keyed> {
        let keyed = |why: String| match why.split_once(": ") {
            Some((key, why)) => (key.to_owned(), why.to_owned()),
            None => ("dialplan".to_owned(), why),
        };
        self.dialplan.check().map_err(keyed)?;
        Rules::compile(&self.route).map_err(|fault| (fault.key, fault.why))?;
        let trunks = self.trunks();
        for (key, trunk) in [
            ("dialplan.enum_sip_trunk", &self.dialplan.enum_sip_trunk),
            ("dialplan.enum_xmpp_trunk", &self.dialplan.enum_xmpp_trunk),
        ] {
            check_trunk(&trunks, key, trunk.iter().map(String::as_str))?;
        }
        for (at, rule) in self.route.iter().enumerate() {
            let choices = rule.trunks.iter().map(|choice| choice.trunk.as_str());
            check_trunk(&trunks, &format!("route[{at}].trunk"), rule.trunk.as_deref())?;
            check_trunk(&trunks, &format!("route[{at}].trunks"), choices)?;
            let mut names = rule.from.all().iter().filter(|name| *name != "*");
            if let Some(name) = names.find(|name| !self.has_account(name)) {
                let why = format!("there is no account {name:?}; `*` is every account");
                return Err((format!("route[{at}].from"), why));
            }
            let is_unknown = |name: &&String| {
                !NETWORKS.contains(&name.split('.').next().unwrap_or("")) && *name != "*"
            };
            if let Some(name) = rule.network.all().iter().find(is_unknown) {
                let why = format!("{name:?} is no network; there are {}", NETWORKS.join(", "));
                return Err((format!("route[{at}].network"), why));
            }
        }
        for (at, rule) in self.inbound.iter().enumerate() {
            check_trunk(&trunks, &format!("inbound[{at}].trunk"), [rule.trunk.as_str()])?;
            if rule.account != ECHO && !self.has_account(&rule.account) {
                let why = format!("there is no account {:?}", rule.account);
                return Err((format!("inbound[{at}].account"), why));
            }
        }
        Ok(())
    }

    fn has_account(&self, name: &str) -> bool {
        self.account.iter().any(|account| account.name == name)
    }

    /// The trunks of a file of rules; one that is not there is told with its line.
    fn check_trunks_of(&self, path: &Path, text: &str, plan: &Dialplan) -> Result<(), ConfigFault> {
        let trunks = self.trunks();
        let named = plan.rules.iter().flat_map(|rules| rules.trunks());
        check_trunk(&trunks, "trunk", named).map_err(|(key, why)| {
            let is_there = |line: &str| {
                let mut words = line.split('"').skip(1).step_by(2);
                line.contains("trunk") && words.any(|word| !trunks.iter().any(|name| name == word))
            };
            let line = text.lines().position(is_there).map_or(0, |at| at + 1);
            ConfigFault {
                place: format!("{}:{line}", path.display()),
                why: format!("{key}: {why}"),
            }
        })
    }

    /// Accounts by any of their names and numbers; a national number also in its full form.
    fn names(&self, home: &Home) -> BTreeMap<String, AccountId> {
        let mut accounts = BTreeMap::new();
        let mut full_numbers = BTreeMap::new();
        for account in &self.account {
            let id = AccountId::from(account.name.as_str());
            let user = account.sip.as_ref().and_then(|sip| sip.user.clone());
            for number in &account.numbers {
                let number = reading::read(number, home).ok().and_then(|reading| reading.number);
                full_numbers.extend(number.map(|number| (number.digits, id.clone())));
            }
            let names = account.numbers.iter().cloned().chain(user);
            for name in std::iter::once(account.name.clone()).chain(names) {
                accounts.insert(name, id.clone());
            }
        }
        for (number, id) in full_numbers {
            accounts.entry(number).or_insert(id);
        }
        accounts
    }

    /// What of `sip:user@host:port` is ourselves: host names with the ports that are ours there.
    fn local_hosts(&self) -> Vec<(String, Vec<u16>)> {
        let ports: Vec<u16> = self.sip.listen.iter().map(|at| at.address.port()).collect();
        let bound = self.sip.listen.iter().map(|at| at.address.ip());
        let addresses = bound.chain(self.sip.advertised_address.iter().copied());
        let host = |ip: std::net::IpAddr| match ip {
            std::net::IpAddr::V4(ip) => ip.to_string(),
            std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let hosts = std::iter::once(self.sip.domain.to_lowercase()).chain(addresses.map(host));
        hosts.map(|host| (host, ports.clone())).collect()
    }
}

fn check_trunk<'n>(
    trunks: &[String],
    key: &str,
    named: impl IntoIterator<Item = &'n str>,
) -> Result<(), Keyed> {
    let mut named = named.into_iter();
    match named.find(|name| !trunks.iter().any(|trunk| trunk == name)) {
        Some(name) => {
            let known = trunks.join(", ");
            Err((key.to_owned(), format!("there is no trunk {name:?}; there are {known}")))
        }
        None => Ok(()),
    }
}

fn read(path: Option<&Path>) -> Result<Option<String>, ConfigFault> {
    path.map(std::fs::read_to_string).transpose().map_err(|why| ConfigFault {
        place: path.map_or_else(String::new, |path| path.display().to_string()),
        why: why.to_string(),
    })
}

/// Where a fault of the setup stands.
fn placed(fault: SetupFault, rules: Option<&Path>, contacts: Option<&Path>) -> ConfigFault {
    let name =
        |path: Option<&Path>| path.map_or_else(String::new, |path| path.display().to_string());
    let (place, why) = match fault {
        SetupFault::Config(why) => ("dialplan".to_owned(), why),
        SetupFault::Rule(fault) => ("route".to_owned(), fault.to_string()),
        SetupFault::RulesFile(fault) => {
            let line = fault.line.map_or(String::new(), |line| format!(":{line}"));
            (format!("{}{line}", name(rules)), format!("{}: {}", fault.key, fault.why))
        }
        SetupFault::ContactsFile(fault) => (name(contacts), fault.to_string()),
    };
    ConfigFault { place, why }
}
