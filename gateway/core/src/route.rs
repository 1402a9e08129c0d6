//! Routes and locations: the ways to reach an address, best first.

use std::fmt;
use std::time::Duration;

use crate::address::Address;
use crate::ids::{AccountId, TrunkId};
use crate::media::Profile;

/// Where something came from, and how far that is proven. Rules and rights are decided on this,
/// never on a bare address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The trunk it came in by.
    pub trunk: TrunkId,
    /// The account that proved itself with its credentials, if one did.
    pub account: Option<AccountId>,
    /// The address the caller or sender claims.
    pub asserted: Address,
    /// Whether `asserted` is proven.
    pub verified: bool,
    /// What a guest's token names: the only addresses it may reach.
    pub only: Option<Vec<String>>,
}

/// A caller's own record of whom it asks for: it goes with one call and is not kept. It gives no
/// rights: each address is judged as if it had been dialled.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnContact {
    /// The name the caller uses for them.
    pub name: String,
    /// Where they are reached, best first: URIs, JIDs, or numbers as people write them.
    pub addresses: Vec<String>,
}

/// Logs get the number of addresses.
impl fmt::Debug for OwnContact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a contact of {} addresses", self.addresses.len())
    }
}

/// What protection the caller asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Require {
    /// Whatever can be had; it is shown.
    #[default]
    Any,
    /// Every hop encrypted, no key on an open wire.
    Encrypted,
    /// No key outside the two ends.
    EndToEnd,
}

/// Where an account can be rung now: a registration or a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The trunk that rings it.
    pub trunk: TrunkId,
    /// What the adapter needs to find it again; a secret to everybody else.
    pub contact: String,
    /// How its media may travel: one attempt each, best first.
    pub profiles: Vec<Profile>,
    /// Preference, 0 to 1000, higher first (`q` of RFC 3261 §20.10, times 1000).
    pub preference: u16,
}

/// One way to reach an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Dial a leg.
    Leg(LegRoute),
    /// The built-in echo: the caller's own media comes back.
    Echo,
}

/// A route that dials a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegRoute {
    /// The trunk that dials.
    pub trunk: TrunkId,
    /// Whom to ask for there.
    pub to: Address,
    /// The location to ring, where the callee is a local account.
    pub contact: Option<String>,
    /// The account rung, if local.
    pub account: Option<AccountId>,
    /// How the media may travel: one attempt each, best first.
    pub profiles: Vec<Profile>,
    /// How long it may ring.
    pub ring_limit: Duration,
}

/// Routes that ring together.
pub type Group = Vec<Route>;
