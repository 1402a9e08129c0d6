//! Remote control: messages that are addressed to the gateway itself.
//!
//! They come with the origin their network has proven, never through the dialplan, and only accounts
//! that the configuration names are listened to (security row 14: a sender's number proves nothing).
//!
//! ```text
//! switchboard --ControlMessage--> Control --text--> switchboard --message--> the account
//! ```

use std::collections::BTreeSet;

use gateway_core::message::Body;
use gateway_core::route::Origin;
use gateway_core::{Address, Scheme};
use serde::{Deserialize, Serialize};

/// The name of the gateway itself, as an account has one.
pub const GATEWAY: &str = "gateway";

/// `[control]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ControlConfig {
    /// Accounts that may control the gateway by messages; nobody where there are none.
    pub accounts: Vec<String>,
}

/// A message to the gateway itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlMessage {
    /// Who writes, and how far that is proven.
    pub origin: Origin,
    /// What it says.
    pub body: Body,
}

/// What a control message may ask about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Calls that live.
    pub calls: usize,
    /// Messages under way.
    pub messages: usize,
    /// Adapters that run.
    pub adapters: usize,
}

/// Deals with control messages.
#[derive(Clone, Debug)]
pub struct ControlDesk {
    accounts: BTreeSet<String>,
}

impl ControlDesk {
    /// A desk that listens to these accounts.
    #[must_use]
    pub fn new(config: &ControlConfig) -> Self {
        Self { accounts: config.accounts.iter().cloned().collect() }
    }

    /// Whether an address is the gateway itself.
    #[must_use]
    pub fn is_gateway(to: &Address) -> bool {
        to.scheme == Scheme::Procom && to.host.is_none() && to.name() == GATEWAY
    }

    /// Whether that origin is listened to: an account of ours that has proven itself.
    #[must_use]
    pub fn admits(&self, origin: &Origin) -> bool {
        let account = origin.account.as_ref().filter(|_| origin.verified && origin.only.is_none());
        account.is_some_and(|account| self.accounts.contains(account.as_str()))
    }

    /// The answer to a control message; none to who is not listened to.
    #[must_use]
    pub fn handle(&self, message: &ControlMessage, standing: Standing) -> Option<String> {
        if !self.admits(&message.origin) {
            return None;
        }
        Some(match message.body.as_str().trim() {
            "status" => format!(
                "{} calls, {} messages under way, {} adapters running.",
                standing.calls, standing.messages, standing.adapters
            ),
            "help" => "help: this text. status: what goes on.".to_owned(),
            _ => "This is not understood; write help.".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(account: Option<&str>, verified: bool, body: &str) -> ControlMessage {
        let origin = Origin {
            trunk: "procom".into(),
            account: account.map(Into::into),
            asserted: Address::procom("alice"),
            verified,
            only: None,
        };
        ControlMessage { origin, body: body.into() }
    }

    #[test]
    fn only_named_accounts_that_proved_themselves_are_answered() {
        let desk = ControlDesk::new(&ControlConfig { accounts: vec!["alice".into()] });
        let standing = Standing { calls: 1, messages: 2, adapters: 3 };
        let answer = |message: &ControlMessage| desk.handle(message, standing);
        let status = answer(&message(Some("alice"), true, " status\n")).expect("an answer");
        assert!(status.contains("2 messages"), "{status}");
        assert!(
            answer(&message(Some("alice"), true, "rm -rf")).is_some_and(|it| it.contains("help"))
        );
        assert_eq!(answer(&message(Some("alice"), false, "status")), None);
        assert_eq!(answer(&message(Some("eve"), true, "status")), None);
        assert_eq!(answer(&message(None, true, "status")), None);
    }

    #[test]
    fn nobody_controls_a_gateway_that_names_nobody() {
        let desk = ControlDesk::new(&ControlConfig::default());
        assert!(!desk.admits(&message(Some("alice"), true, "").origin));
        assert!(ControlDesk::is_gateway(&Address::procom("gateway")));
        assert!(!ControlDesk::is_gateway(&Address::sip("gateway", "example.org")));
    }
}
