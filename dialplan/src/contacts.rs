//! Contacts: who is meant by a name, and where they are reached. Pure.
//!
//! They come from a file of vCards (RFC 6350), or with a call: a caller's own record of whom they
//! call is used for that call and kept nowhere.

mod merge;
mod vcard;

use std::collections::BTreeMap;

pub use merge::Imported;

/// Most contacts kept.
pub const MAX_CONTACTS: usize = 20_000;
/// Longest vCard, in bytes: photographs and all.
pub const MAX_CARD_BYTES: usize = 1 << 20;
/// Most addresses of one contact.
pub const MAX_ADDRESSES: usize = 32;

/// What is wrong with a file of contacts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct ContactFault {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub why: &'static str,
}

/// One way to reach a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactAddress {
    /// As it stands in the vCard: a URI, or a number as people write it.
    pub text: String,
    /// 1 is best, 100 is worst (RFC 6350 §5.3).
    pub preference: u8,
}

/// Somebody by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The name shown (RFC 6350 §6.2.1).
    pub name: String,
    /// Other names (RFC 6350 §6.2.3).
    pub nicknames: Vec<String>,
    /// Where they are reached, best first.
    pub addresses: Vec<ContactAddress>,
    /// Lines we have no use for, kept for the export.
    others: Vec<String>,
}

impl Contact {
    /// A contact without addresses.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let (nicknames, addresses, others) = (Vec::new(), Vec::new(), Vec::new());
        Self { name: name.to_owned(), nicknames, addresses, others }
    }

    /// Adds an address; beyond [`MAX_ADDRESSES`] it is dropped.
    #[must_use]
    pub fn with(mut self, text: &str, preference: u8) -> Self {
        if self.addresses.len() < MAX_ADDRESSES {
            self.addresses.push(ContactAddress { text: text.to_owned(), preference });
            self.addresses.sort_by_key(|address| address.preference);
        }
        self
    }

    /// The one vCard in `text`: a record that came with a call.
    ///
    /// # Errors
    /// It is none, or more than one.
    pub fn parse(text: &str) -> Result<Self, ContactFault> {
        let mut cards = vcard::parse(text)?;
        match (cards.pop(), cards.is_empty()) {
            (Some(contact), true) => Ok(contact),
            (Some(_) | None, _) => Err(ContactFault { line: 1, why: "one vCard is expected" }),
        }
    }

    /// The vCard of this contact.
    #[must_use]
    pub fn render(&self) -> String {
        vcard::render(self)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.name).chain(&self.nicknames).map(String::as_str)
    }
}

/// Contacts by their names.
#[derive(Clone, Debug, Default)]
pub struct Contacts {
    contacts: Vec<Contact>,
    places_of_name: BTreeMap<String, Vec<usize>>,
}

/// What a name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named<'c> {
    /// Nobody.
    Nobody,
    /// This contact.
    One(&'c Contact),
    /// So many; whom of them is meant, nobody can say.
    Several(usize),
}

impl Contacts {
    /// These contacts.
    #[must_use]
    pub fn new(contacts: Vec<Contact>) -> Self {
        let mut places_of_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (place, contact) in contacts.iter().enumerate() {
            for name in contact.names() {
                let places = places_of_name.entry(fold(name)).or_default();
                if !places.contains(&place) {
                    places.push(place);
                }
            }
        }
        Self { contacts, places_of_name }
    }

    /// Reads a file of vCards.
    ///
    /// # Errors
    /// What is wrong, and on which line. Contacts in use stay as they are: nothing is half read.
    pub fn parse(text: &str) -> Result<Self, ContactFault> {
        vcard::parse(text).map(Self::new)
    }

    /// A file of vCards.
    #[must_use]
    pub fn render(&self) -> String {
        self.contacts.iter().map(vcard::render).collect()
    }

    /// Whom a name means: small and capital letters and the width of gaps make no difference.
    #[must_use]
    pub fn find(&self, name: &str) -> Named<'_> {
        match self.places_of_name.get(&fold(name)).map(Vec::as_slice) {
            None | Some([]) => Named::Nobody,
            Some([place]) => Named::One(&self.contacts[*place]),
            Some(places) => Named::Several(places.len()),
        }
    }

    /// All of them, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Contact> {
        self.contacts.iter()
    }
}

/// Whether a contact has this name.
#[must_use]
pub fn is_named(contact: &Contact, name: &str) -> bool {
    contact.names().any(|other| fold(other) == fold(name))
}

fn fold(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Eve Example\r\nNICKNAME:eve,the\\, boss\r\n\
        TEL;VALUE=uri;PREF=2;TYPE=\"voice,home\":tel:+45-32-12-34-56;ext=\r\n 7\r\n\
        item1.IMPP;PREF=1:xmpp:eve@example.org\r\nTEL;TYPE=cell:+45 32 12 34 57\r\n\
        NOTE:line one\\nline two\r\nX-OTHER;A=b:c\r\nEND:VCARD\r\n\
        BEGIN:VCARD\nVERSION:3.0\nFN:Bob\nTEL;TYPE=work,pref:12345\nEND:VCARD\n";

    fn addresses(contact: &Contact) -> Vec<&str> {
        contact.addresses.iter().map(|address| address.text.as_str()).collect()
    }

    #[test]
    fn a_contact_is_found_by_any_of_its_names_with_its_addresses_in_order() {
        let contacts = Contacts::parse(FILE).unwrap();
        for name in ["Eve Example", "eve  EXAMPLE", "the, boss"] {
            let Named::One(eve) = contacts.find(name) else { panic!("{name}") };
            let expected = ["xmpp:eve@example.org", "tel:+45-32-12-34-56;ext=7", "+45 32 12 34 57"];
            assert_eq!(addresses(eve), expected);
        }
        let Named::One(bob) = contacts.find("bob") else { panic!("bob") };
        assert_eq!(bob.addresses[0].preference, 1, "TYPE=pref of vCard 3");
        assert_eq!(contacts.find("nobody"), Named::Nobody);
    }

    #[test]
    fn what_is_exported_is_imported_again_with_the_lines_we_do_not_know() {
        let contacts = Contacts::parse(FILE).unwrap();
        let text = contacts.render();
        let again = Contacts::parse(&text).unwrap();
        assert_eq!(again.contacts, contacts.contacts);
        assert!(text.contains("X-OTHER;A=b:c\r\n") && text.contains("VERSION:4.0\r\n"));
        assert!(text.split("\r\n").all(|line| line.len() <= 75), "folded");
    }

    #[test]
    fn two_contacts_of_one_name_are_nobody_in_particular() {
        let contacts = Contacts::new(vec![Contact::new("Bob"), Contact::new("BOB")]);
        assert_eq!(contacts.find("bob"), Named::Several(2));
    }

    #[test]
    fn a_broken_file_is_named_by_its_line() {
        for (text, line) in [
            ("FN:x\n", 1),
            ("BEGIN:VCARD\nFN:x\n", 2),
            ("BEGIN:VCARD\nEND:VCARD\n", 2),
            ("BEGIN:VCARD\nFN:x\nBEGIN:VCARD\n", 3),
            ("BEGIN:VCARD\nno colon\nEND:VCARD\n", 2),
        ] {
            assert_eq!(Contacts::parse(text).unwrap_err().line, line, "{text}");
        }
        assert!(Contact::parse(FILE).is_err(), "two cards are not one");
    }

    proptest! {
        #[test]
        fn no_file_panics_and_names_survive(text in "\\PC{0,200}", name in "[^\\p{C}]{1,40}") {
            let _ = Contacts::parse(&text);
            let _ = Contacts::parse(&format!("BEGIN:VCARD\n{text}\nEND:VCARD"));
            prop_assume!(!name.trim().is_empty());
            let contact = Contact::new(name.trim()).with(name.trim(), 7);
            prop_assert_eq!(Contact::parse(&contact.render()), Ok(contact));
        }
    }
}
