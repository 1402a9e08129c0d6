//! Whose address is whose: a contact's number, SIP address and JID are one person. Pure.
//!
//! ```text
//! address --one form--> key --held by one contact alone?--> that contact's best address
//!                           '--no----------------------------> the key itself
//! ```
//!
//! Only contacts of the house's own file join addresses, and only by the address itself: a name that
//! somebody gives is never looked at. An address that two contacts hold belongs to neither. What a
//! network merely claims is never taken for one of our own accounts.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway_core::{AccountId, Address, Scheme};

use super::Dialplan;
use super::local::Here;
use crate::contacts::Named;
use crate::reading::{self, Reading};

/// Who is behind addresses, by the accounts and contacts of one dialplan.
#[derive(Clone, Debug)]
pub struct People {
    plan: Arc<Dialplan>,
    /// The contact that alone holds an address, by its place; none where several do.
    holder_of_key: BTreeMap<String, Option<usize>>,
    /// What each contact goes by: the best address that is its own.
    party_of_contact: Vec<Option<String>>,
}

impl People {
    /// Those of a dialplan. Reads every contact: for where a dialplan is made, not for every message.
    #[must_use]
    pub fn of(plan: Arc<Dialplan>) -> Self {
        let mut people =
            Self { plan, holder_of_key: BTreeMap::new(), party_of_contact: Vec::new() };
        let contacts = Arc::clone(&people.plan.contacts);
        let keys_of_contact: Vec<Vec<String>> = contacts
            .iter()
            .map(|contact| {
                let texts = contact.addresses.iter().map(|address| &address.text);
                texts.flat_map(|text| people.keys_of_text(text)).collect()
            })
            .collect();
        for (place, keys) in keys_of_contact.iter().enumerate() {
            for key in keys {
                let holder = people.holder_of_key.entry(key.clone()).or_insert(Some(place));
                if *holder != Some(place) {
                    *holder = None;
                }
            }
        }
        let is_own = |place, key: &&String| people.holder_of_key.get(*key) == Some(&Some(place));
        let party = |(place, keys): (usize, &Vec<String>)| {
            keys.iter().find(|key| is_own(place, key)).cloned()
        };
        people.party_of_contact = keys_of_contact.iter().enumerate().map(party).collect();
        people
    }

    /// What one of our accounts goes by in conversations.
    #[must_use]
    pub fn account(&self, account: &AccountId) -> String {
        self.joined(key_of_account(account))
    }

    /// What somebody on another network goes by, who is said to have this address.
    #[must_use]
    pub fn claimed(&self, address: &Address) -> String {
        self.joined(self.foreign_key(address))
    }

    /// What somebody goes by whom one of ours asked for: by an address, or a contact's name.
    #[must_use]
    pub fn asked(&self, to: &Address) -> String {
        let is_name = to.scheme == Scheme::Procom && to.host.is_none();
        let key = self.key(to);
        if is_name
            && !self.holder_of_key.contains_key(&key)
            && self.plan.here(to, None).is_none()
            && let Named::One(contact) = self.plan.contacts.find(to.name())
        {
            let texts = contact.addresses.iter().map(|address| &address.text);
            let mut keys = texts.flat_map(|text| self.keys_of_text(text));
            let holder = keys.find_map(|key| self.holder_of_key.get(&key).copied().flatten());
            let party = holder.and_then(|place| self.party_of_contact[place].clone());
            return party.unwrap_or(key);
        }
        self.joined(key)
    }

    fn joined(&self, key: String) -> String {
        let holder = self.holder_of_key.get(&key).copied().flatten();
        let party = holder.and_then(|place| self.party_of_contact[place].clone());
        party.unwrap_or(key)
    }

    fn keys_of_text(&self, text: &str) -> Vec<String> {
        // What cannot be read is nobody's address.
        let reading = reading::read(text, &self.plan.home);
        let addresses = reading.into_iter().flat_map(|reading| reading.addresses);
        addresses.map(|address| self.key(&address)).collect()
    }

    /// One form for what names one place, accounts of ours by their own address.
    fn key(&self, address: &Address) -> String {
        let number = Reading::of_address(address, &self.plan.home).number;
        match self.plan.here(address, number.as_ref()) {
            Some(Here::Account(account)) => key_of_account(&account),
            Some(Here::Echo) | None => self.foreign_key(address),
        }
    }

    fn foreign_key(&self, address: &Address) -> String {
        let mut bare = Address { params: Vec::new(), ..address.clone() };
        match address.scheme {
            Scheme::Tel | Scheme::Sms => {
                bare.scheme = Scheme::Tel;
                let number = Reading::of_address(address, &self.plan.home).number;
                bare.user = number.map(|number| number.digits).or(bare.user);
                let is_extension = |(name, _): &&(String, Option<String>)| name == "ext";
                bare.params = address.params.iter().filter(is_extension).cloned().collect();
            }
            Scheme::Sips => bare.scheme = Scheme::Sip,
            Scheme::Procom | Scheme::Sip | Scheme::Xmpp => {}
        }
        bare.to_string()
    }
}

fn key_of_account(account: &AccountId) -> String {
    Address::procom(account.as_str()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contacts::Contacts;
    use crate::reading::Home;

    const FILE: &str = "BEGIN:VCARD\nFN:Eve\nTEL;PREF=1:+45 32 12 34 56\nIMPP;PREF=2:xmpp:eve@example.org\n\
        IMPP;PREF=3:sip:eve@example.org\nTEL;PREF=4:+45 44 00 00 00\nEND:VCARD\n\
        BEGIN:VCARD\nFN:Adam\nTEL;PREF=1:+45 44 00 00 00\nIMPP;PREF=2:sip:adam@example.org\nEND:VCARD\n\
        BEGIN:VCARD\nFN:Bobby\nTEL;PREF=1:+45 21 00 00 00\nIMPP;PREF=2:procom:bob\nEND:VCARD\n\
        BEGIN:VCARD\nFN:Alice at work\nTEL;PREF=1:+45 32 99 99 99\nIMPP:xmpp:alice@example.org\nEND:VCARD\n";

    fn people() -> People {
        let plan = Dialplan {
            home: Home::new(Some("DK"), &[]).expect("a country"),
            contacts: Arc::new(Contacts::parse(FILE).expect("contacts")),
            accounts: [("bob", "bob"), ("alice", "alice"), ("+4532999999", "alice")]
                .map(|(name, account)| (name.to_owned(), AccountId::from(account)))
                .into(),
            local_hosts: vec![("gw.example".to_owned(), vec![5060])],
            ..Dialplan::default()
        };
        People::of(Arc::new(plan))
    }

    fn address(text: &str) -> Address {
        text.parse().expect("an address")
    }

    #[test]
    fn all_addresses_of_a_contact_and_its_name_are_one_party() {
        let people = people();
        for text in ["tel:+4532123456", "tel:32123456", "sms:+4532123456", "sips:eve@EXAMPLE.org"] {
            assert_eq!(people.asked(&address(text)), "tel:+4532123456", "{text}");
        }
        for text in ["tel:+4532123456", "xmpp:eve@example.org", "sip:eve@example.org;x=y"] {
            assert_eq!(people.claimed(&address(text)), "tel:+4532123456", "{text}");
        }
        assert_eq!(people.asked(&Address::procom("EVE")), "tel:+4532123456");
    }

    #[test]
    fn an_address_of_two_contacts_joins_neither() {
        let people = people();
        assert_eq!(people.claimed(&address("tel:+4544000000")), "tel:+4544000000");
        assert_eq!(people.claimed(&address("sip:adam@example.org")), "sip:adam@example.org");
        assert_eq!(people.asked(&Address::procom("Adam")), "sip:adam@example.org");
    }

    #[test]
    fn an_account_that_is_a_contact_is_one_party_with_its_number() {
        let people = people();
        assert_eq!(people.account(&"bob".into()), "tel:+4521000000");
        assert_eq!(people.asked(&Address::procom("bob")), "tel:+4521000000");
        assert_eq!(people.asked(&address("sip:bob@gw.example")), "tel:+4521000000");
        assert_eq!(people.claimed(&address("tel:+4521000000")), "tel:+4521000000");
        assert_eq!(people.account(&"carol".into()), "procom:carol");
    }

    #[test]
    fn who_only_claims_the_address_of_an_account_is_not_taken_for_it() {
        let people = people();
        assert_eq!(people.account(&"alice".into()), "procom:alice");
        for text in ["tel:+4532999999", "sip:alice@gw.example"] {
            assert_eq!(people.claimed(&address(text)), text);
        }
        assert_ne!(people.claimed(&address("sip:bob@gw.example")), people.account(&"bob".into()));
    }

    #[test]
    fn a_name_nobody_has_and_addresses_of_nobody_stay_what_they_are() {
        let people = people();
        for text in ["procom:nobody", "sip:mallory@example.net", "tel:112", "procom:guest.1f"] {
            assert_eq!(people.asked(&address(text)), text);
            assert_eq!(people.claimed(&address(text)), text);
        }
        assert_eq!(people.claimed(&address("sip:Eve@example.net")), "sip:Eve@example.net");
    }
}
