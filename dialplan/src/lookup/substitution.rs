//! The substitution of a NAPTR record: `!ere!replacement!flags` (RFC 3402 §3.2).
//!
//! It is text of whoever runs the zone. The engine takes linear time whatever the expression, its
//! size in memory is bounded, and back-references exist in the replacement only.

use regex::RegexBuilder;

/// Largest compiled expression, in bytes.
const MAX_COMPILED_BYTES: usize = 1 << 16;
/// Deepest nesting of groups.
const MAX_NESTING: u32 = 16;
/// Longest result, in bytes.
pub const MAX_RESULT_BYTES: usize = 1024;

/// Why a substitution gives nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubstitutionFault {
    /// Not three parts between equal delimiters.
    #[error("the substitution is not made of three parts")]
    Malformed,
    /// A flag other than `i`.
    #[error("the substitution has a flag that nobody knows")]
    UnknownFlag,
    /// Not an expression, or too large a one.
    #[error("its expression is broken or too large")]
    BadExpression,
    /// The number is not what it speaks of.
    #[error("its expression does not match")]
    NoMatch,
    /// A back-reference to a group that is not there.
    #[error("it refers to a group that is not there")]
    BadReference,
    /// The result is too long or has control characters.
    #[error("its result is too long or has odd characters")]
    BadResult,
}

/// Applies a substitution to `text`; the result is the replacement with its back-references filled.
///
/// # Errors
/// It is malformed, too large, or does not match.
pub fn apply(substitution: &str, text: &str) -> Result<String, SubstitutionFault> {
    let (expression, replacement, flags) = split(substitution)?;
    let ignores_case = match flags {
        "" => false,
        "i" | "I" => true,
        _ => return Err(SubstitutionFault::UnknownFlag),
    };
    let expression = RegexBuilder::new(&expression)
        .case_insensitive(ignores_case)
        .size_limit(MAX_COMPILED_BYTES)
        .dfa_size_limit(MAX_COMPILED_BYTES)
        .nest_limit(MAX_NESTING)
        .build()
        .map_err(|_| SubstitutionFault::BadExpression)?;
    let captures = expression.captures(text).ok_or(SubstitutionFault::NoMatch)?;
    let mut result = String::new();
    let mut letters = replacement.chars();
    while let Some(letter) = letters.next() {
        match (letter, letters.clone().next()) {
            ('\\', Some(digit @ '1'..='9')) => {
                letters.next();
                let group = digit.to_digit(10).expect("a digit") as usize;
                if group >= captures.len() {
                    return Err(SubstitutionFault::BadReference);
                }
                // A group that took no part is empty text.
                result.push_str(captures.get(group).map_or("", |found| found.as_str()));
            }
            ('\\', Some(escaped)) => {
                letters.next();
                result.push(escaped);
            }
            ('\\', None) => return Err(SubstitutionFault::Malformed),
            (letter, _) => result.push(letter),
        }
    }
    let is_fine = result.len() <= MAX_RESULT_BYTES && !result.chars().any(char::is_control);
    if is_fine { Ok(result) } else { Err(SubstitutionFault::BadResult) }
}

/// The expression, the replacement and the flags. A delimiter behind a backslash is a letter.
fn split(substitution: &str) -> Result<(String, String, &str), SubstitutionFault> {
    let malformed = SubstitutionFault::Malformed;
    let delimiter = substitution.chars().next().ok_or(malformed)?;
    // RFC 3402 §3.2: any character that is no digit from 1 to 9, no backslash and no flag.
    if matches!(delimiter, '1'..='9' | '\\' | 'i' | 'I') {
        return Err(malformed);
    }
    let mut parts = vec![String::new()];
    let mut letters = substitution[delimiter.len_utf8()..].char_indices();
    let mut end = 0;
    while let Some((at, letter)) = letters.next() {
        let part = parts.last_mut().expect("there is always one");
        match letter {
            '\\' => match letters.next() {
                Some((_, escaped)) if escaped == delimiter => part.push(escaped),
                Some((_, escaped)) => part.extend(['\\', escaped]),
                None => return Err(malformed),
            },
            letter if letter == delimiter => {
                parts.push(String::new());
                if parts.len() == 3 {
                    end = delimiter.len_utf8() + at + letter.len_utf8();
                    break;
                }
            }
            letter => part.push(letter),
        }
    }
    let [expression, replacement, _] = <[String; 3]>::try_from(parts).or(Err(malformed))?;
    Ok((expression, replacement, &substitution[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::{Duration, Instant};

    #[test]
    fn the_forms_of_the_standard_work() {
        for (substitution, text, result) in [
            ("!^.*$!sip:info@example.com!", "+441632960083", Ok("sip:info@example.com")),
            (
                "!^\\+44(.*)$!sip:0\\1@gw.example!",
                "+441632960083",
                Ok("sip:01632960083@gw.example"),
            ),
            ("/^(\\+44)(163)(.*)$/tel:\\1\\3\\2/", "+441632", Ok("tel:+442163")),
            ("#^\\+(E164)#\\1#i", "+e164", Ok("e164")),
            ("!^(a)|(b)$!x\\2y!", "a", Ok("xy")),
            ("!a\\!b!c\\!d!", "a!b", Ok("c!d")),
            ("!^a!x!", "b", Err(SubstitutionFault::NoMatch)),
            ("!a!\\2!", "a", Err(SubstitutionFault::BadReference)),
            ("!(!x!", "a", Err(SubstitutionFault::BadExpression)),
            ("!a!x!g", "a", Err(SubstitutionFault::UnknownFlag)),
            ("!a!x", "a", Err(SubstitutionFault::Malformed)),
            ("", "a", Err(SubstitutionFault::Malformed)),
            ("1a1b1", "a", Err(SubstitutionFault::Malformed)),
            ("!a!x\ny!", "a", Err(SubstitutionFault::BadResult)),
        ] {
            assert_eq!(apply(substitution, text), result.map(str::to_owned), "{substitution}");
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the time it takes is what is tested")]
    #[test]
    fn hostile_expressions_cost_no_time_and_no_memory() {
        let begun = Instant::now();
        let number = "+123456789012345";
        for expression in [
            "!^(a+)+$!x!",
            "!^((.*)*)*b$!x!",
            "!(.{1000}){1000}!x!",
            "!^(([0-9+]+)*)*x$!x!",
            "!((((((((((((((((((((a))))))))))))))))))))!x!",
            "!\\p{L}{900}\\p{L}{900}!x!",
            "!(?:.?){200}.{200}!x!",
        ] {
            assert!(apply(expression, number).is_err(), "{expression}");
        }
        assert!(begun.elapsed() < Duration::from_secs(2));
    }

    #[test]
    fn a_replacement_cannot_grow_without_limit() {
        let many = format!("!^(.*)$!{}!", "\\1".repeat(120));
        assert_eq!(apply(&many, "+123456789012345"), Err(SubstitutionFault::BadResult));
    }

    proptest! {
        #[test]
        fn no_substitution_panics(substitution in ".{0,80}", text in "\\+[0-9]{0,15}") {
            let _ = apply(&substitution, &text);
            let _ = apply(&format!("!{substitution}!{substitution}!i"), &text);
        }
    }
}
