//! What a person types to reach somebody: a URI, a number, a JID, or a name. Pure.

use gateway_core::{Address, AddressFault, Scheme};

/// Reads what was typed. The text comes back too where the address was made from it, and was not one
/// by itself.
///
/// # Errors
/// It names nobody that could be reached.
pub(crate) fn read(text: &str) -> Result<(Address, Option<String>), AddressFault> {
    let typed = text.trim();
    match typed.parse::<Address>() {
        Ok(address) => return Ok((address, None)),
        // Not a URI, so it may be anything else.
        Err(AddressFault::NoScheme | AddressFault::BadCharacter(_)) if !has_scheme(typed) => {}
        Err(fault) => return Err(fault),
    }
    let address = if let Some(number) = number(typed) {
        format!("tel:{number}").parse()?
    } else if typed.contains('@') {
        format!("xmpp:{typed}").parse()?
    } else if typed.is_empty() {
        return Err(AddressFault::Empty);
    } else if let Some(at) = typed.find(char::is_control) {
        return Err(AddressFault::BadCharacter(at));
    } else {
        Address::procom(typed)
    };
    Ok((address, Some(typed.to_owned())))
}

fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(word, _)| {
        Scheme::ALL.iter().any(|scheme| scheme.as_str().eq_ignore_ascii_case(word))
    })
}

/// The digits of a number as people write it: `+45 12 34-56 78`, `(030) 1234`.
fn number(text: &str) -> Option<String> {
    let mut digits = String::new();
    for letter in text.chars() {
        match letter {
            '0'..='9' | '*' | '#' => digits.push(letter),
            '+' if digits.is_empty() => digits.push(letter),
            ' ' | '\u{a0}' | '-' | '.' | '(' | ')' | '/' => {}
            _ => return None,
        }
    }
    digits.bytes().any(|byte| byte != b'+').then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn made(text: &str) -> String {
        read(text).expect("readable").0.to_string()
    }

    #[test]
    fn a_uri_is_taken_as_it_stands() {
        assert_eq!(read("sip:bob@example.org").unwrap().1, None);
        assert_eq!(made("sip:bob@example.org"), "sip:bob@example.org");
        assert_eq!(made(" procom:echo "), "procom:echo");
    }

    #[test]
    fn a_number_as_typed_becomes_a_telephone_number() {
        assert_eq!(made("+45 12 34-56 78"), "tel:+4512345678");
        assert_eq!(made("(030) 12/34"), "tel:0301234");
        assert_eq!(read("112").unwrap().1.as_deref(), Some("112"));
    }

    #[test]
    fn a_jid_becomes_an_xmpp_address_and_a_name_a_procom_one() {
        assert_eq!(made("eve@example.org"), "xmpp:eve@example.org");
        assert_eq!(made("alice"), "procom:alice");
    }

    #[test]
    fn a_broken_or_foreign_uri_is_refused_and_not_guessed_at() {
        assert_eq!(read("sip:bad host"), Err(AddressFault::BadCharacter(7)));
        assert_eq!(read("mailto:bob@example.org"), Err(AddressFault::UnknownScheme));
        assert_eq!(read("  "), Err(AddressFault::Empty));
        assert!(read("sip:").is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            let _ = read(&text);
        }
    }
}
