//! Who is there, and what waits for whoever comes.
//!
//! ```text
//! Away --sessions--> Coming --the last page is read--> Here
//!   ^                   |                               |
//!   +-------------------+---------- no sessions --------+
//! ```
//!
//! While somebody is coming, new messages join those that wait in the store, so that none overtakes.

use std::collections::BTreeMap;

use gateway_core::delivery::{Devices, Way};
use gateway_core::message::MessageId;
use gateway_core::route::{Location, Origin};
use gateway_core::{AccountId, Address, TrunkId};

use super::{Act, Clock, Letter, PROCOM, Post};
use crate::store::messages::{Mail, MailWrite};

/// Whether an account's sessions can take messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sessions {
    #[default]
    Away,
    Coming,
    Here,
}

/// What is read of an account's waiting messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Pass {
    #[default]
    None,
    Reading,
    /// Something changed: from the beginning once more.
    Again,
}

/// Where an account is.
#[derive(Debug, Default)]
pub(super) struct Presence {
    sessions: Sessions,
    /// Its devices on other networks, by adapter.
    devices: BTreeMap<&'static str, Vec<Way>>,
    pass: Pass,
}

impl Post {
    /// Where an account can be reached through an adapter now.
    pub(in crate::switchboard) fn handle_located(
        &mut self,
        network: &'static str,
        account: &AccountId,
        locations: &[Location],
        clock: Clock,
    ) {
        if network == PROCOM {
            self.handle_sessions(account, !locations.is_empty(), clock);
        } else {
            let devices = locations.iter().map(|location| device(account, location)).collect();
            self.handle_devices(network, account, devices, clock);
        }
        self.drain(clock);
    }

    /// Somebody who has no account here is there again.
    pub(in crate::switchboard) fn handle_woken(
        &mut self,
        trunk: &TrunkId,
        name: &str,
        clock: Clock,
    ) {
        self.all.handle_woken(trunk, name, clock.moment());
        self.drain(clock);
    }

    fn handle_sessions(&mut self, account: &AccountId, is_there: bool, clock: Clock) {
        let presence = self.presences.entry(account.clone()).or_default();
        match (presence.sessions, is_there) {
            (Sessions::Away, true) => {
                presence.sessions = Sessions::Coming;
                self.read_waiting(account, clock);
                self.out.push_back(Act::Store(MailWrite::Untold(Some(account.clone()))));
            }
            (Sessions::Coming | Sessions::Here, false) => {
                presence.sessions = Sessions::Away;
                self.all.handle_left(account, clock.moment());
                self.forget_if_away(account);
            }
            (Sessions::Away, false) => self.forget_if_away(account),
            (Sessions::Coming | Sessions::Here, true) => {}
        }
    }

    fn handle_devices(
        &mut self,
        network: &'static str,
        account: &AccountId,
        devices: Vec<Way>,
        clock: Clock,
    ) {
        let presence = self.presences.entry(account.clone()).or_default();
        let before = presence.devices.remove(network).unwrap_or_default();
        self.all.handle_gone(account, network, &devices, clock.moment());
        let is_more = devices.iter().any(|device| !before.contains(device));
        if !devices.is_empty() {
            let presence = self.presences.entry(account.clone()).or_default();
            presence.devices.insert(network, devices);
        }
        if is_more {
            self.read_waiting(account, clock);
            self.out.push_back(Act::Store(MailWrite::Untold(Some(account.clone()))));
        }
        self.forget_if_away(account);
    }

    fn forget_if_away(&mut self, account: &AccountId) {
        let is_away = |presence: &Presence| {
            let nobody = presence.sessions == Sessions::Away && presence.devices.is_empty();
            nobody && presence.pass == Pass::None
        };
        if self.presences.get(account).is_some_and(is_away) {
            self.presences.remove(account);
        }
    }

    /// Begins to read what waits for an account, or begins again.
    fn read_waiting(&mut self, account: &AccountId, clock: Clock) {
        let Some(presence) = self.presences.get_mut(account) else { return };
        if presence.pass == Pass::None {
            presence.pass = Pass::Reading;
            self.read_page(account, 0, clock);
        } else {
            presence.pass = Pass::Again;
        }
    }

    fn read_page(&mut self, account: &AccountId, after: i64, clock: Clock) {
        let is_here = self.is_coming(account);
        let (account, now_ms) = (account.clone(), clock.epoch_ms);
        self.out.push_back(Act::Store(MailWrite::Waiting { account, after, is_here, now_ms }));
    }

    /// A page of what waits has been read.
    pub(super) fn handle_read(
        &mut self,
        account: Option<AccountId>,
        mails: Vec<Mail>,
        more: Option<i64>,
        clock: Clock,
    ) {
        // Who is coming is there for those that waited, in their order.
        let coming = account.clone().filter(|account| self.is_coming(account));
        for mail in mails {
            self.resume(mail, coming.as_ref(), clock);
        }
        let Some(account) = account else {
            if let Some(after) = more {
                let now_ms = clock.epoch_ms;
                self.out.push_back(Act::Store(MailWrite::Unfinished { after, now_ms }));
            }
            return;
        };
        let Some(presence) = self.presences.get_mut(&account) else { return };
        match (presence.pass, more) {
            (Pass::Again, _) => {
                presence.pass = Pass::Reading;
                self.read_page(&account, 0, clock);
            }
            (Pass::Reading | Pass::None, Some(after)) => self.read_page(&account, after, clock),
            (Pass::Reading | Pass::None, None) => {
                presence.pass = Pass::None;
                if presence.sessions == Sessions::Coming {
                    presence.sessions = Sessions::Here;
                }
                self.forget_if_away(&account);
            }
        }
    }

    /// A message that waited is under way again.
    fn resume(&mut self, mail: Mail, coming: Option<&AccountId>, clock: Clock) {
        let Mail { parcel, origin, message, .. } = mail;
        let ways: Vec<Way> = parcel.hops.iter().map(|(hop, _)| hop.way.clone()).collect();
        let devices = self.devices_for(&ways);
        let id = parcel.message_id;
        if self.all.holds(id) {
            self.all.handle_found(id, coming.is_some(), devices, clock.moment());
        } else {
            let conversation = self.keys.of_conversation(&parcel.conversation);
            let letter = Letter { origin, message, conversation };
            self.letter_of_message.insert(id, letter);
            let presences = &self.presences;
            let is_here = |way: &Way| {
                way.account.as_ref().is_some_and(|account| {
                    coming == Some(account) || is_here(presences.get(account))
                })
            };
            self.all.accept(parcel, is_here, devices, clock.moment());
            self.keep_letter_of(id);
        }
        self.drain(clock);
    }

    /// Whether somebody is there for what comes now.
    pub(super) fn is_here(&self, way: &Way) -> bool {
        let account = way.account.as_ref();
        account.is_some_and(|account| is_here(self.presences.get(account)))
    }

    /// The devices of the account whose mailbox is among these ways.
    pub(super) fn devices_for(&mut self, ways: &[Way]) -> Option<Devices> {
        let mailbox = ways.iter().find(|way| way.is_mailbox());
        let account = mailbox.and_then(|way| way.account.clone())?;
        let presence = self.presences.get(&account);
        let there: Vec<Way> = presence
            .map(|presence| presence.devices.values().flatten().cloned().collect())
            .unwrap_or_default();
        let ways = there.into_iter().map(|way| (self.next_hop(), way)).collect();
        Some(Devices { account, ways })
    }

    /// Whether a sender can be told something now.
    pub(super) fn can_hear(&self, origin: &Origin) -> bool {
        if origin.trunk.network() != PROCOM {
            return true;
        }
        origin.account.as_ref().is_none_or(|account| self.is_coming(account))
    }

    /// Whether an account has sessions.
    pub(super) fn is_coming(&self, account: &AccountId) -> bool {
        let presence = self.presences.get(account);
        presence.is_some_and(|presence| presence.sessions != Sessions::Away)
    }

    /// A letter is kept as long as its message is under way.
    pub(super) fn keep_letter_of(&mut self, id: MessageId) {
        if !self.all.holds(id) {
            self.letter_of_message.remove(&id);
        }
    }
}

fn is_here(presence: Option<&Presence>) -> bool {
    presence.is_some_and(|presence| presence.sessions == Sessions::Here)
}

fn device(account: &AccountId, location: &Location) -> Way {
    Way {
        trunk: location.trunk.clone(),
        to: Address::procom(account.as_str()),
        contact: Some(location.contact.clone()),
        account: Some(account.clone()),
    }
}
