//! The other ways to write a number: a rule that refuses one of them refuses them all. Pure.

use super::{Class, Home, Number, plan, service};

/// The fewest digits that are left of a number whose end is cut off.
const FEWEST_DIGITS: usize = 4;

/// The other ways to write one number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variants {
    /// With the country code or without, behind each prefix; those of a number in a service code.
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
                    variants.whole.push(inner.digits.clone());
                    variants.add(
                        &inner.digits,
                        inner.is_valid && inner.class != Class::Short,
                        home,
                    );
                }
            }
        }
        variants
    }

    fn add(&mut self, digits: &str, is_known: bool, home: &Home) {
        let begin = self.whole.len();
        let plan = plan::metadata(home);
        let code = plan.map(|plan| plan.country_code().to_string());
        let trunk = plan.and_then(|plan| plan.national_prefix()).unwrap_or_default();
        match (digits.strip_prefix('+'), code) {
            (Some(full), code) => {
                self.whole.push(format!("00{full}"));
                let own = code.as_deref().and_then(|code| full.strip_prefix(code));
                if let Some(national) = own {
                    let national = national.trim_start_matches('0');
                    self.whole.push(national.to_owned());
                    self.whole.push(format!("{trunk}{national}"));
                    let code = code.unwrap_or_default();
                    self.whole.push(format!("+{code}{national}"));
                    self.whole.push(format!("00{code}{national}"));
                }
            }
            (None, Some(code)) => {
                let national = digits.trim_start_matches('0');
                self.whole.push(format!("+{code}{national}"));
                self.whole.push(format!("00{code}{national}"));
                self.whole.push(format!("+{national}"));
                self.whole.push(national.to_owned());
            }
            (None, None) => self.whole.push(format!("+{}", digits.trim_start_matches('0'))),
        }
        if !is_known {
            let all = self.whole[begin..].iter().map(String::as_str).chain([digits]);
            let cut = all.flat_map(|all| (FEWEST_DIGITS..all.len()).rev().map(|end| &all[..end]));
            self.cut.extend(cut.map(str::to_owned).collect::<Vec<_>>());
        }
    }
}
