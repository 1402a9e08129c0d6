//! Codes of services, with `*` and `#`: the number inside one is dialled later, by the network.
//!
//! ```text
//! *21*32123456#    forward all calls to this number (3GPP TS 22.030 §6.5.2)
//!  |     `-- judged as any number is
//!  `-- the service
//! #31#32123456     call this number, hide mine
//! ```

use super::super::Refusal;
use super::{Class, Home, Number, plan, read};

/// Most digits of the code itself; a longer one has a number in it.
const MAX_CODE: usize = 3;
/// A shorter group is an option, like the seconds until a call is forwarded.
const FEWEST_OF_A_NUMBER: usize = 3;

/// A code of a service, as dear as the dearest number in it. No plan knows it unless all numbers in
/// it are known.
///
/// # Errors
/// A number in it cannot be read.
pub(super) fn number(digits: String, home: &Home) -> Result<Number, Refusal> {
    let mut number =
        Number { digits, class: Class::Service, country: None, is_valid: true, resembles: None };
    let is_target = |group: &str| group.len() >= FEWEST_OF_A_NUMBER;
    for (at, group) in groups(&number.digits.clone()).enumerate() {
        // `112#` is 112 to a provider that ends a number at the #.
        if home.is_emergency(group) {
            number.class = Class::Emergency;
            continue;
        }
        // The code of the service itself, unless a number is behind it in the same group.
        if at > 0 && is_target(group) {
            number.take_in(&read(group, home)?);
        } else if at == 0 && group.len() > MAX_CODE {
            let behind: Vec<Number> = (1..=MAX_CODE)
                .filter_map(|code| read(&group[code..], home).ok())
                .filter(|behind| behind.is_valid)
                .collect();
            // `*67` and a number that its plan knows; else the whole is a number that none knows.
            if behind.is_empty() {
                number.take_in(&read(group, home)?);
                let ends = (1..=MAX_CODE).map(|code| plan::resembled(&group[code..], home));
                number.resembles = ends.fold(number.resembles, plan::worse);
            }
            behind.iter().for_each(|behind| number.take_in(behind));
        }
    }
    Ok(number)
}

fn groups(digits: &str) -> impl Iterator<Item = &str> {
    digits.split(['*', '#']).filter(|group| !group.is_empty())
}

/// The numbers inside a code, as they stand there.
pub(super) fn targets(digits: &str) -> impl Iterator<Item = &str> {
    groups(digits)
        .enumerate()
        .flat_map(|(at, group)| {
            let is_long = at == 0 && group.len() > MAX_CODE;
            let behind = if is_long { MAX_CODE } else { 0 };
            let whole = Some(group).filter(|_| at > 0 || is_long);
            whole.into_iter().chain((1..=behind).map(|code| &group[code..]))
        })
        .filter(|target| target.len() >= FEWEST_OF_A_NUMBER)
}

impl Number {
    /// Makes a code as dear, and as unknown, as a number in it.
    fn take_in(&mut self, inner: &Self) {
        if inner.class.is_refused_by_default() {
            self.class = self.class.min(inner.class);
        }
        self.is_valid &= inner.is_valid;
        self.resembles = plan::worse(self.resembles, inner.resembles);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_in_a_code_are_found() {
        for (code, expected) in [
            ("*43#", &[][..]),
            ("*100#", &[]),
            ("*21*32123456#", &["32123456"]),
            ("**61*+4590112233*11*20#", &["+4590112233"]),
            ("#31#112", &["112"]),
            ("*6790112233", &["6790112233", "790112233", "90112233", "0112233"]),
        ] {
            assert_eq!(targets(code).collect::<Vec<_>>(), expected, "{code}");
        }
    }

    #[test]
    fn a_code_is_as_dear_as_what_is_in_it() {
        let home = Home::new(Some("DK"), &[]).unwrap();
        let read = |code: &str| {
            let number = number(code.to_owned(), &home).unwrap();
            (number.class, number.is_valid)
        };
        for (code, expected) in [
            ("*43#", (Class::Service, true)),
            ("*21*32123456#", (Class::Service, true)),
            ("*21*90112233#", (Class::Premium, true)),
            ("*21*004590112233#", (Class::Premium, true)),
            ("**61*+4590112233*11*20#", (Class::Premium, true)),
            ("*21*+442079460018#", (Class::International, true)),
            ("#31#112", (Class::Emergency, true)),
            ("*21*99#", (Class::Service, true)),
            ("112#", (Class::Emergency, true)),
            ("*112", (Class::Emergency, true)),
            ("#31#000", (Class::Emergency, true)),
            ("*21*321234567#", (Class::Service, false)),
        ] {
            assert_eq!(read(code), expected, "{code}");
        }
        let disguised = number("*6790112233".to_owned(), &home).unwrap();
        assert_eq!(disguised.class, Class::Premium);
        let american = Home::new(Some("US"), &[]).unwrap();
        let hidden = number("*674155552671".to_owned(), &american).unwrap();
        assert_eq!((hidden.class, hidden.is_valid), (Class::Service, true));
        assert!(number("*21*+44909879000000000#".to_owned(), &home).is_err(), "too long");
    }
}
