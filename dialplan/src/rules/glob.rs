//! Patterns with stars, and ranges of numbers.

/// `*` is any text, `?` any letter. Linear in the text for each star: no pattern is slow.
#[must_use]
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    // Most patterns and texts are ASCII, and many differ in their first letter.
    if pattern.is_ascii() && text.is_ascii() {
        return matches_letters(pattern.as_bytes(), text.as_bytes(), (b'*', b'?'));
    }
    let letters = |text: &str| text.chars().collect::<Vec<char>>();
    matches_letters(&letters(pattern), &letters(text), ('*', '?'))
}

fn matches_letters<L: Copy + PartialEq>(pattern: &[L], text: &[L], (any, one): (L, L)) -> bool {
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(letter) if *letter == any => {
                star = Some((p, t));
                p += 1;
            }
            Some(letter) if *letter == one || *letter == text[t] => {
                p += 1;
                t += 1;
            }
            Some(_) | None => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|letter| *letter == any)
}

/// `+4512340000 - +4512349999`: both ends included, of the same length.
pub(super) fn range(text: &str) -> Option<(u64, u64)> {
    let (low, high) = text.split_once('-')?;
    let digits = |end: &str| {
        let digits = end.trim().strip_prefix('+')?.to_owned();
        let is_number = !digits.is_empty() && digits.len() <= 15;
        (is_number && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
    };
    let (low, high) = (digits(low)?, digits(high)?);
    let ends = (low.parse().ok()?, high.parse().ok()?);
    (low.len() == high.len() && ends.0 <= ends.1).then_some(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        for (pattern, text, is_match) in [
            ("+45*", "+4512", true),
            ("+45*", "45", false),
            ("1??", "112", true),
            ("1??", "1123", false),
            ("*", "", true),
            ("sip:*@*.org", "sip:a@b@c.org", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b", "aXbX", false),
        ] {
            assert_eq!(matches(pattern, text), is_match, "{pattern} {text}");
        }
    }

    #[test]
    fn a_range_has_two_ends_of_one_length() {
        assert_eq!(range("+4510 - +4519"), Some((4510, 4519)));
        for broken in ["+4510", "4510-4519", "+4519-+4510", "+45-+4510", "+a-+b", "+-+"] {
            assert_eq!(range(broken), None, "{broken}");
        }
    }
}
