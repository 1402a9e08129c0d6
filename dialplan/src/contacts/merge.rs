//! Contacts of one file taken into those of another.
//!
//! In: the contacts that are there, and those that come. Out: all of them, and what became of each.
//! Who has the same name is the same person; of two with one name nobody can say who is meant, so
//! nothing is guessed then.

use super::{Contact, Contacts, MAX_ADDRESSES, MAX_CONTACTS, Named, fold};

/// What an import made of the contacts that came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// New people.
    pub new: usize,
    /// People who were there and have an address or a name more now.
    pub changed: usize,
    /// People who were there just so.
    pub same: usize,
    /// Names that mean several people already: left out.
    pub unclear: Vec<String>,
}

impl Contacts {
    /// Takes others in. Addresses that are there keep their preference.
    ///
    /// # Errors
    /// There would be too many contacts, or too many addresses of one; nothing is taken then.
    pub fn import(&self, others: &Self) -> Result<(Self, Imported), String> {
        let mut all = self.clone();
        let mut imported = Imported::default();
        for other in others.iter() {
            let place = match all.find(&other.name) {
                Named::Several(_) => {
                    imported.unclear.push(other.name.clone());
                    continue;
                }
                Named::Nobody => None,
                Named::One(known) => all.contacts.iter().position(|contact| contact == known),
            };
            let Some(place) = place else {
                imported.new += 1;
                all.contacts.push(other.clone());
                all = Self::new(all.contacts);
                continue;
            };
            let merged = merge(&all.contacts[place], other)?;
            if merged == all.contacts[place] {
                imported.same += 1;
            } else {
                imported.changed += 1;
                all.contacts[place] = merged;
                all = Self::new(all.contacts);
            }
        }
        if all.contacts.len() > MAX_CONTACTS {
            return Err(format!("there would be more than {MAX_CONTACTS} contacts"));
        }
        Ok((all, imported))
    }
}

fn merge(known: &Contact, other: &Contact) -> Result<Contact, String> {
    let mut merged = known.clone();
    for name in other.names() {
        if !merged.names().any(|known| fold(known) == fold(name)) {
            merged.nicknames.push(name.to_owned());
        }
    }
    for address in &other.addresses {
        if !merged.addresses.iter().any(|known| known.text == address.text) {
            merged.addresses.push(address.clone());
        }
    }
    if merged.addresses.len() > MAX_ADDRESSES {
        return Err(format!("{:?} would have more than {MAX_ADDRESSES} addresses", known.name));
    }
    merged.addresses.sort_by_key(|address| address.preference);
    for line in &other.others {
        if !merged.others.contains(line) {
            merged.others.push(line.clone());
        }
    }
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_known_gets_the_addresses_and_who_is_not_comes_in() {
        let eve = Contact::new("Eve").with("xmpp:eve@example.org", 1);
        let here = Contacts::new(vec![eve, Contact::new("Bob"), Contact::new("bob")]);
        let more = Contact::new("EVE").with("xmpp:eve@example.org", 5).with("+4532123456", 2);
        let come = Contacts::new(vec![more, Contact::new("Bob"), Contact::new("Carl")]);
        let (all, imported) = here.import(&come).unwrap();
        let Named::One(eve) = all.find("eve") else { panic!("one Eve") };
        let addresses = eve.addresses.iter().map(|it| (it.text.as_str(), it.preference));
        let addresses: Vec<_> = addresses.collect();
        assert_eq!(addresses, [("xmpp:eve@example.org", 1), ("+4532123456", 2)]);
        let unclear = vec!["Bob".to_owned()];
        assert_eq!(imported, Imported { new: 1, changed: 1, same: 0, unclear });
        let (again, imported) = all.import(&all).unwrap();
        assert_eq!((again.render(), imported.new, imported.changed), (all.render(), 0, 0));
    }
}
