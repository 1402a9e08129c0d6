//! The other ways to write a number: a rule that refuses one of them refuses them all. Pure.

use super::{Home, Number, plan, service};

/// The fewest digits that are left of a number whose end is cut off.
const FEWEST_DIGITS: usize = 4;
/// How many digits are cut off a number.
const MOST_CUT: usize = 6;

/// The other ways to write one number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variants {
    /// Itself, with the country code or without, behind each prefix; those of a number in a service
    /// code.
    pub whole: Vec<String>,
    /// Where no plan knows the number: with digits cut off its end, since a provider may do so.
    pub cut: Vec<String>,
}

impl Variants {
    /// The variants of a number.
    #[must_use]
    pub fn of(number: &Number, home: &Home) -> Self {
        let mut variants = Self::default();
        variants.add(&number.digits, number.is_valid, home);
        if number.digits.contains(['*', '#']) {
            for target in service::targets(&number.digits) {
                if let Ok(inner) = super::read(target, home) {
                    variants.add(&inner.digits, inner.is_valid, home);
                }
            }
        }
        for all in [&mut variants.whole, &mut variants.cut] {
            all.sort_unstable();
            all.dedup();
        }
        variants
    }

    fn add(&mut self, digits: &str, is_known: bool, home: &Home) {
        let begin = self.whole.len();
        self.whole.push(digits.to_owned());
        let full: Vec<String> = match digits.strip_prefix('+') {
            Some(_) => vec![digits.to_owned()],
            None => plan::readings(digits, home),
        };
        for full in full {
            self.add_full(&full, home);
        }
        if !is_known {
            let ends = |all: &String| {
                let shortest = FEWEST_DIGITS.max(all.len().saturating_sub(MOST_CUT));
                (shortest..all.len()).map(|end| all[..end].to_owned()).collect::<Vec<_>>()
            };
            let cut: Vec<String> = self.whole[begin..].iter().flat_map(ends).collect();
            self.cut.extend(cut);
        }
    }

    /// A number with its `+`, with and without the zeros that networks drop.
    fn add_full(&mut self, full: &str, home: &Home) {
        let plan = plan::metadata(home);
        let code = plan.map(|plan| plan.country_code().to_string()).unwrap_or_default();
        let trunk = plan.and_then(|plan| plan.national_prefix()).unwrap_or_default();
        let digits = full.trim_start_matches('+');
        self.whole.extend([full.to_owned(), format!("00{digits}")]);
        let Some(own) = digits.strip_prefix(&code).filter(|_| !code.is_empty()) else { return };
        for own in [own, own.trim_start_matches('0')] {
            self.whole.extend([own.to_owned(), format!("{trunk}{own}")]);
            self.whole.extend([format!("+{code}{own}"), format!("00{code}{own}")]);
        }
    }
}
