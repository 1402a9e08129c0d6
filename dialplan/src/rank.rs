//! Ranking: what protection a route has, and which is tried first. Pure.
//!
//! Among addresses that are equally preferred the better protected route wins, then the cheaper,
//! then the one found first: that is the order of the DNS and of the file of rules.

use std::cmp::Reverse;

use gateway_core::media::{PathKind, Profile, Protection};
use gateway_core::route::{Group, Require, Route};
use gateway_core::security::Level;

use crate::explain::{Node, Step};

/// A route with what speaks for and against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankedRoute {
    /// The route.
    pub route: Route,
    /// What protection it can have.
    pub level: Level,
    /// What it costs, by the rules.
    pub cost: u32,
    /// Who learns what by it, as sentences.
    pub notes: Vec<String>,
    /// Lower first: the preference of a contact's addresses.
    pub(crate) tier: usize,
    /// Routes of one batch ring together.
    pub(crate) batch: usize,
}

/// The protection of one leg with this profile. `is_end_to_end` says that caller and media plane can
/// leave the keys with the two ends.
#[must_use]
pub fn level(profile: &Profile, is_end_to_end: bool) -> Level {
    match (profile.protection, profile.path) {
        (Protection::Clear, _) => Level::Clear,
        (Protection::Sdes, _) if profile.keys_exposed => Level::Exposed,
        (Protection::Dtls, PathKind::Ice) if is_end_to_end => Level::EndToEnd,
        (Protection::Sdes | Protection::Dtls | Protection::Zrtp, _) => Level::Hop,
    }
}

/// Whether a level is what somebody asks for.
#[must_use]
pub const fn satisfies(level: Level, require: Require) -> bool {
    match (require, level) {
        (Require::Any, _)
        | (Require::Encrypted, Level::Hop | Level::EndToEnd)
        | (Require::EndToEnd, Level::EndToEnd) => true,
        (Require::Encrypted, Level::Clear | Level::Exposed)
        | (Require::EndToEnd, Level::Clear | Level::Exposed | Level::Hop) => false,
    }
}

/// The stronger of two demands.
#[must_use]
pub const fn stronger(one: Require, other: Require) -> Require {
    match (one, other) {
        (Require::EndToEnd, _) | (_, Require::EndToEnd) => Require::EndToEnd,
        (Require::Encrypted, _) | (_, Require::Encrypted) => Require::Encrypted,
        (Require::Any, Require::Any) => Require::Any,
    }
}

/// Puts routes in the order to try them. The routes of a batch stay together, as good as the worst.
pub(crate) fn rank(mut routes: Vec<RankedRoute>) -> Vec<RankedRoute> {
    let worst = |batch: usize, routes: &[RankedRoute]| {
        let levels = routes.iter().filter(|route| route.batch == batch).map(|route| route.level);
        levels.min().unwrap_or(Level::Clear)
    };
    let keys: Vec<_> = routes
        .iter()
        .map(|route| (route.tier, Reverse(worst(route.batch, &routes)), route.cost, route.batch))
        .collect();
    let mut keyed: Vec<_> = keys.into_iter().zip(routes.drain(..)).collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, route)| route).collect()
}

/// Ranked routes as groups that ring together, written into the tree.
pub(crate) fn groups(node: &mut Node, routes: &[RankedRoute]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut batch = None;
    for route in routes {
        if batch != Some(route.batch) {
            groups.push(Vec::new());
            batch = Some(route.batch);
        }
        let (trunk, to) = match &route.route {
            Route::Echo => ("echo".to_owned(), "the caller".to_owned()),
            Route::Leg(leg) => (leg.trunk.to_string(), leg.to.to_string()),
        };
        node.open(Step::Route {
            rank: groups.len(),
            trunk,
            to,
            security: route.level.as_str().to_owned(),
            cost: route.cost,
            notes: route.notes.clone(),
        });
        groups.last_mut().expect("one was just pushed").push(route.route.clone());
    }
    groups
}
