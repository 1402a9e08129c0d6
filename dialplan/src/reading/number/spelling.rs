//! How numbers are written: digits of any script, what people put between them, extensions.
//!
//! Text enters, ASCII digits with `+`, `*` and `#` leave. Pure.

use super::super::Refusal;

/// Most digits of what is dialled, with prefixes and codes of services.
const MAX_DIALLED: usize = 32;
/// So many digits in a name are a number in disguise, if they do not read as one.
const FEWEST_DIGITS_OF_A_NUMBER: usize = 3;
/// The zeros of the decimal digits of other scripts (Unicode, general category Nd, plane 0); nine
/// more digits follow each.
const ZEROS: [char; 36] = [
    '\u{660}', '\u{6f0}', '\u{7c0}', '\u{966}', '\u{9e6}', '\u{a66}', '\u{ae6}', '\u{b66}',
    '\u{be6}', '\u{c66}', '\u{ce6}', '\u{d66}', '\u{de6}', '\u{e50}', '\u{ed0}', '\u{f20}',
    '\u{1040}', '\u{1090}', '\u{17e0}', '\u{1810}', '\u{1946}', '\u{19d0}', '\u{1a80}', '\u{1a90}',
    '\u{1b50}', '\u{1bb0}', '\u{1c40}', '\u{1c50}', '\u{a620}', '\u{a8d0}', '\u{a900}', '\u{a9d0}',
    '\u{a9f0}', '\u{aa50}', '\u{abf0}', '\u{ff10}',
];

/// What the name in an address is for a trunk that dials numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::reading) enum Spelled {
    /// A number: its digits.
    Digits(String),
    /// It has the digits of a number, and something else beside them.
    Garbled,
    /// The name of somebody.
    Name,
}

/// The ASCII form of a digit, or of what stands among digits; every other letter as it is.
pub(in crate::reading) fn ascii(letter: char) -> char {
    match letter {
        '\u{ff0b}' | '\u{fe62}' => '+',
        '\u{ff0a}' | '\u{fe61}' | '\u{2217}' => '*',
        '\u{ff03}' | '\u{fe5f}' => '#',
        letter => digit(letter).unwrap_or(letter),
    }
}

fn digit(letter: char) -> Option<char> {
    let zero = ZEROS.iter().rev().find(|zero| **zero <= letter)?;
    let value = u32::from(letter) - u32::from(*zero);
    char::from_digit(value.min(10), 10)
}

/// What people put between digits (RFC 3966 §5.1.1, and a little more).
fn is_gap(letter: char) -> bool {
    letter.is_whitespace()
        || matches!(
            letter,
            '-' | '.' | '(' | ')' | '/' | '\u{2010}'
                ..='\u{2015}'
                    | '\u{2212}'
                    | '\u{fe58}'
                    | '\u{fe63}'
                    | '\u{ff0d}'
                    | '\u{ff08}'
                    | '\u{ff09}'
                    | '\u{ff0e}'
                    | '\u{ff0f}'
                    | '\u{b7}'
        )
}

/// Letters that take no room on paper: they separate nothing and say nothing.
fn is_unseen(letter: char) -> bool {
    super::super::is_unseen(letter)
        || matches!(
            letter,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                | '\u{180b}'..='\u{180f}' | '\u{206a}'..='\u{206f}' | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// What a trunk would make of a name: its digits, however they are spelled. What follows `;` or `,`
/// is an extension, a parameter or a pause (RFC 3966 §3).
pub(in crate::reading) fn spelled(name: &str) -> Spelled {
    let is_letter = |letter: &char| !is_unseen(*letter) && !is_gap(*letter);
    let all: Vec<char> = name.chars().map(ascii).collect();
    let number = all.split(|letter| matches!(letter, ';' | ',')).next().unwrap_or(&all);
    let digits: String = number.iter().filter(|letter| is_letter(letter)).collect();
    if is_dialled(&digits) && digits.len() <= MAX_DIALLED {
        return Spelled::Digits(digits);
    }
    let count = all.iter().filter(|letter| letter.is_numeric()).count();
    if count < FEWEST_DIGITS_OF_A_NUMBER { Spelled::Name } else { Spelled::Garbled }
}

/// Whether these are the keys of a phone, a `+` in front or not.
fn is_dialled(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let is_key = |byte: u8| byte.is_ascii_digit() || b"*#+".contains(&byte);
    digits.bytes().any(|byte| byte != b'+') && digits.bytes().all(is_key)
}

/// Whether a typed text begins as numbers do, and has only what numbers have.
pub(in crate::reading) fn looks_like_one(text: &str) -> bool {
    let (number, extension) = split_extension(text);
    let is_letter =
        |letter: char| letter.is_ascii_digit() || "+*#".contains(letter) || is_gap(letter);
    let has_digit = number.chars().any(|letter| letter.is_ascii_digit() || "*#".contains(letter));
    has_digit
        && number.starts_with(|letter: char| letter.is_ascii_digit() || "+*#(".contains(letter))
        && number.chars().all(is_letter)
        && extension.is_none_or(|extension| extension.chars().any(|letter| letter.is_ascii_digit()))
}

/// Splits `12345678 ext. 12`, `12345678x12`, `12345678,12`.
pub(in crate::reading) fn split_extension(text: &str) -> (&str, Option<&str>) {
    let lower = text.to_ascii_lowercase();
    for word in ["extension", "ext.", "ext", "x", ","] {
        if let Some(at) = lower.find(word).filter(|at| *at > 0) {
            // More commas are a longer pause.
            return (&text[..at], Some(text[at + word.len()..].trim_start_matches(',')));
        }
    }
    (text, None)
}

/// The digits of an extension.
pub(in crate::reading) fn read_extension(text: &str, at: usize) -> Result<String, Refusal> {
    if let Some(odd) = text.chars().position(|letter| !letter.is_ascii_digit() && !is_gap(letter)) {
        return Err(Refusal::new(at + odd, "an extension is digits"));
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if digits.is_empty() || digits.len() > 20 {
        return Err(Refusal::new(at, "an extension has 1 to 20 digits"));
    }
    Ok(digits)
}

/// The digits of what is dialled, without what people put between them. Inside a code of a service
/// a number may begin with its `+`.
pub(in crate::reading) fn digits(text: &str) -> Result<String, Refusal> {
    let mut out = String::new();
    for (at, letter) in text.chars().map(ascii).enumerate() {
        match letter {
            '0'..='9' | '*' | '#' => out.push(letter),
            '+' if out.is_empty() || out.ends_with(['*', '#']) => out.push(letter),
            '+' => return Err(Refusal::new(at, "a + stands only before the country code")),
            letter if is_gap(letter) => {}
            _ => return Err(Refusal::new(at, format!("{letter:?} is no digit"))),
        }
    }
    if !out.bytes().any(|byte| byte != b'+') {
        return Err(Refusal::new(0, "there are no digits"));
    }
    if out.len() > MAX_DIALLED {
        return Err(Refusal::new(MAX_DIALLED, "that is too long for a number"));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_every_script_are_digits() {
        assert_eq!("٤٥۴५".chars().map(ascii).collect::<String>(), "4545");
        assert_eq!("＋４５＃＊".chars().map(ascii).collect::<String>(), "+45#*");
        for zero in ZEROS {
            let nine = char::from_u32(u32::from(zero) + 9).unwrap();
            assert!(zero.is_numeric() && nine.is_numeric());
            assert_eq!((ascii(zero), ascii(nine)), ('0', '9'), "{zero}");
        }
        for letter in ['a', '/', ':', '\u{666a}', '\u{2460}', '\u{b2}'] {
            assert_eq!(ascii(letter), letter);
        }
    }

    #[test]
    fn a_number_in_disguise_is_a_number_or_garbled_and_never_a_name() {
        let digits = |text: &str| Spelled::Digits(text.to_owned());
        for (name, expected) in [
            ("+45 90-12.34(56)", digits("+4590123456")),
            ("+4590123456;ext=1", digits("+4590123456")),
            ("+4590123456,,1", digits("+4590123456")),
            ("+45\u{200b}90\u{ad}123456", digits("+4590123456")),
            ("*21*+4590123456#", digits("*21*+4590123456#")),
            ("+45%2090123456", Spelled::Garbled),
            ("90123456p1", Spelled::Garbled),
            ("agent007", Spelled::Garbled),
            ("\u{2460}\u{2461}\u{2462}", Spelled::Garbled),
            ("bob;isub=112", Spelled::Garbled),
            ("bob", Spelled::Name),
            ("bob-12", Spelled::Name),
            ("", Spelled::Name),
            ("+", Spelled::Name),
        ] {
            assert_eq!(spelled(name), expected, "{name}");
        }
    }
}
