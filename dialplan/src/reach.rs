//! Where accounts can be rung now, and which trunks are up: what adapters say. Pure.

use std::collections::BTreeMap;

use gateway_core::media::Profile;
use gateway_core::route::Location;
use gateway_core::{AccountId, TrunkId};

/// What can be reached now. A copy of it goes with each resolution.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    locations: BTreeMap<(AccountId, String), Vec<Location>>,
    trunks: BTreeMap<TrunkId, Vec<Profile>>,
}

impl Reach {
    /// An adapter says where an account can be rung through it now.
    pub fn locate(&mut self, adapter: &str, account: AccountId, locations: Vec<Location>) {
        let key = (account, adapter.to_owned());
        if locations.is_empty() {
            self.locations.remove(&key);
        } else {
            self.locations.insert(key, locations);
        }
    }

    /// Forgets everything an adapter said: it has stopped.
    pub fn forget(&mut self, adapter: &str) {
        self.locations.retain(|(_, by), _| by != adapter);
        self.trunks.retain(|trunk, _| trunk.network() != adapter);
    }

    /// A trunk can be dialled with these profiles, or not at all.
    pub fn link(&mut self, trunk: TrunkId, profiles: Option<Vec<Profile>>) {
        match profiles {
            Some(profiles) => self.trunks.insert(trunk, profiles),
            None => self.trunks.remove(&trunk),
        };
    }

    /// Where an account can be rung, the preferred first.
    #[must_use]
    pub fn locations(&self, account: &AccountId) -> Vec<&Location> {
        let mut locations: Vec<&Location> = self
            .locations
            .iter()
            .filter(|((located, _), _)| located == account)
            .flat_map(|(_, locations)| locations)
            .collect();
        locations.sort_by_key(|location| std::cmp::Reverse(location.preference));
        locations
    }

    /// How a trunk can be dialled, if it can.
    #[must_use]
    pub fn trunk(&self, trunk: &TrunkId) -> Option<&[Profile]> {
        self.trunks.get(trunk).map(Vec::as_slice)
    }
}
