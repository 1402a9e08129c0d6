//! The dialplan itself: from whom somebody asked for to ranked routes. Pure.
//!
//! Accounts reach accounts; `[[route]]` lets accounts reach further by a trunk; `[[inbound]]` lets
//! a trunk reach accounts. Everything else is refused: foreign hosts, trunk to trunk, guests beyond
//! what their token names.
//!
//! ```text
//! Inquiry --guest----> what the token names, here
//!         --trunk----> [[inbound]] --> account
//!         --account--> pursue(address) --local?----> account, echo
//!                          ^   ^       --name?-----> contact --+
//!                          |   +---------------------addresses-+
//!                          |           --number?---> ENUM -----+
//!                          +-------------------------addresses-+
//!                                      --[[route]]-> trunk, or another address
//! ```

mod charge;
mod dial;
mod local;
mod people;
mod pursue;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use gateway_core::call::Inquiry;
use gateway_core::route::Group;
use gateway_core::{AccountId, Cause};

use crate::config::{DialplanConfig, Targets};
use crate::contacts::{Contact, ContactFault, Contacts};
use crate::explain::{Node, Step};
use crate::lookup::sip::SipQuery;
use crate::lookup::{Answers, Desk, Question};
use crate::rank::{self, RankedRoute};
use crate::reach::Reach;
use crate::reading::{self, Home};
use crate::rules::{InboundRule, RuleFault, RuleText, Rules};
pub use people::People;
use pursue::Pursuit;

/// The name of the built-in echo.
pub const ECHO: &str = "echo";
/// The trunk that dials any SIP address, found by RFC 3263.
pub const DIRECT_TRUNK: &str = "sip.direct";

/// What routes are made of.
#[derive(Clone, Debug)]
pub struct Dialplan {
    /// Accounts by any of their names and numbers.
    pub accounts: BTreeMap<String, AccountId>,
    /// Hosts that are ourselves, with the ports that are ours there.
    pub local_hosts: Vec<(String, Vec<u16>)>,
    /// Where the gateway stands.
    pub home: Home,
    /// What accounts may reach: those of the configuration, then those of the file.
    pub rules: Vec<Arc<Rules>>,
    /// What trunks may reach.
    pub inbound: Vec<InboundRule>,
    /// Contacts.
    pub contacts: Arc<Contacts>,
    /// Roots of ENUM, in order.
    pub enum_roots: Vec<String>,
    /// The trunk that dials SIP addresses found by ENUM.
    pub enum_sip_trunk: Option<String>,
    /// Likewise for XMPP.
    pub enum_xmpp_trunk: Option<String>,
    /// How long a callee may ring, where no rule says otherwise.
    pub ring_limit: Duration,
    /// Which targets may be spoken to.
    pub targets: Targets,
    /// Trunks that know names and extensions of their own, like a PBX: what no numbering plan knows
    /// goes out by them as it is.
    pub name_trunks: BTreeSet<String>,
    /// The servers of trunks: a number that goes there directly is charged as by the trunk.
    pub trunk_servers: Vec<SipQuery>,
}

impl Default for Dialplan {
    fn default() -> Self {
        Self {
            accounts: BTreeMap::new(),
            local_hosts: Vec::new(),
            home: Home::default(),
            rules: Vec::new(),
            inbound: Vec::new(),
            contacts: Arc::default(),
            enum_roots: Vec::new(),
            enum_sip_trunk: None,
            enum_xmpp_trunk: None,
            ring_limit: Duration::from_secs(60),
            targets: Targets::Public(Vec::new()),
            name_trunks: BTreeSet::new(),
            trunk_servers: Vec::new(),
        }
    }
}

/// What a dialplan is set up from: the configuration, and what its files say.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'s> {
    /// `[dialplan]`.
    pub config: &'s DialplanConfig,
    /// `[[route]]`.
    pub routes: &'s [RuleText],
    /// The text of the file of rules, where there is one.
    pub rules_file: Option<&'s str>,
    /// The text of the file of contacts, where there is one.
    pub contacts_file: Option<&'s str>,
}

/// What is wrong with a setup. The dialplan in force stays so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupFault {
    /// A setting.
    #[error("{0}")]
    Config(String),
    /// A rule of the configuration.
    #[error("{0}")]
    Rule(RuleFault),
    /// A rule of the file of rules.
    #[error("the file of rules: {0}")]
    RulesFile(RuleFault),
    /// The file of contacts.
    #[error("the file of contacts: {0}")]
    ContactsFile(ContactFault),
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// Call.
    #[default]
    Call,
    /// Write.
    Message,
}

/// One question to the dialplan.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// Who asks for whom.
    pub inquiry: &'a Inquiry,
    /// What can be reached now.
    pub reach: &'a Reach,
    /// The caller's own record of the callee, where one came with the call.
    pub record: Option<&'a Contact>,
    /// What for.
    pub purpose: Purpose,
    /// The caller and the media plane can leave the keys with the two ends.
    pub is_end_to_end: bool,
    /// Seconds since 1970, UTC.
    pub now_s: i64,
    /// Decides between equals.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Resolution {
    /// Routes in groups that ring together, best first; or the cause for the wire and a sentence for
    /// the person.
    pub outcome: Result<Vec<Group>, (Cause, String)>,
    /// The same routes with their protection, cost and notes.
    pub routes: Vec<RankedRoute>,
    /// Every step that led there.
    pub tree: Node,
}

/// How far a plan got.
#[derive(Debug)]
pub enum Progress {
    /// Answers to these are missing.
    Ask(Vec<Question>),
    /// It is done.
    Done(Box<Resolution>),
}

impl Dialplan {
    /// A dialplan by a setup. Accounts, hosts, inbound rules and targets are for the caller to add.
    /// A reload makes a new one and puts it in the place of the old: calls in progress keep theirs.
    ///
    /// # Errors
    /// What is wrong, with its key or line.
    pub fn new(setup: &Setup<'_>) -> Result<Self, SetupFault> {
        let config = setup.config;
        config.check().map_err(SetupFault::Config)?;
        let home = Home::new(config.country.as_deref(), &config.emergency)
            .map_err(|why| SetupFault::Config(format!("dialplan.country: {why}")))?;
        reading::warm_up(&home);
        let mut rules = vec![Arc::new(Rules::compile(setup.routes).map_err(SetupFault::Rule)?)];
        if let Some(file) = setup.rules_file {
            rules.push(Arc::new(Rules::parse(file).map_err(SetupFault::RulesFile)?));
        }
        let contacts = setup.contacts_file.map(Contacts::parse).transpose();
        Ok(Self {
            home,
            rules,
            contacts: Arc::new(contacts.map_err(SetupFault::ContactsFile)?.unwrap_or_default()),
            enum_roots: config.enum_roots.clone(),
            enum_sip_trunk: config.enum_sip_trunk.clone(),
            enum_xmpp_trunk: config.enum_xmpp_trunk.clone(),
            ..Self::default()
        })
    }

    /// Plans with the answers known so far. The same arguments give the same result.
    #[must_use]
    pub fn plan(&self, asking: &Asking<'_>, answers: &Answers) -> Progress {
        let mut desk = Desk::new(answers, asking.seed);
        let mut tree = self.root(asking);
        let mut pursuit = Pursuit::new(self, asking, &mut desk);
        if pursuit.begin(&mut tree).is_err() {
            return Progress::Ask(desk.into_noted());
        }
        let (routes, refusal) = pursuit.finish();
        let routes = rank::rank(routes);
        let groups = rank::groups(&mut tree, &routes);
        let outcome = if groups.is_empty() {
            tree.open(Step::Refused { cause: refusal.0.to_string(), why: refusal.1.clone() });
            Err(refusal)
        } else {
            Ok(groups)
        };
        Progress::Done(Box::new(Resolution { outcome, routes, tree }))
    }

    fn root(&self, asking: &Asking<'_>) -> Node {
        let inquiry = asking.inquiry;
        let text = inquiry.dialled.clone().unwrap_or_else(|| inquiry.to.to_string());
        let by = match &inquiry.origin.account {
            Some(account) => account.to_string(),
            None => inquiry.origin.trunk.to_string(),
        };
        Node::new(Step::Dialled { text, by })
    }
}

#[cfg(test)]
mod tests;
