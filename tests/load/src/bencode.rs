//! Bencoding, the notation of rtpengine's control protocol: numbers, byte strings, lists and
//! dictionaries.
//!
//! ```text
//!  i42e   4:text   l<value>..e   d<string><value>..e
//! ```

use std::collections::BTreeMap;

/// Deeper than any answer; so that nobody's input overflows the stack.
const MAX_DEPTH: usize = 16;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// A number.
    Number(i64),
    /// A text; everything that rtpengine sends is one.
    Text(String),
    /// Values in order.
    List(Vec<Self>),
    /// Values by name.
    Dictionary(BTreeMap<String, Self>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Value {
    /// The text under a name, if this is a dictionary that has one.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let Self::Dictionary(entries) = self else { return None };
        match entries.get(name)? {
            Self::Text(text) => Some(text),
            Self::Number(_) | Self::List(_) | Self::Dictionary(_) => None,
        }
    }

    /// Writes the value behind what `out` has.
    pub(crate) fn render(&self, out: &mut String) {
        match self {
            Self::Number(number) => out.push_str(&format!("i{number}e")),
            Self::Text(text) => render_text(text, out),
            Self::List(values) => {
                out.push('l');
                values.iter().for_each(|value| value.render(out));
                out.push('e');
            }
            Self::Dictionary(entries) => {
                out.push('d');
                for (name, value) in entries {
                    render_text(name, out);
                    value.render(out);
                }
                out.push('e');
            }
        }
    }

    /// Reads one value that is the whole of `bytes`.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (value, rest) = parse_value(bytes, MAX_DEPTH)?;
        rest.is_empty().then_some(value)
    }
}

fn render_text(text: &str, out: &mut String) {
    out.push_str(&format!("{}:{text}", text.len()));
}

fn parse_value(bytes: &[u8], depth: usize) -> Option<(Value, &[u8])> {
    let depth = depth.checked_sub(1)?;
    match bytes.first()? {
        b'i' => {
            let (number, rest) = parse_number(&bytes[1..], b'e')?;
            Some((Value::Number(number), rest))
        }
        b'l' => {
            let (mut values, mut rest) = (Vec::new(), &bytes[1..]);
            while *rest.first()? != b'e' {
                let (value, behind) = parse_value(rest, depth)?;
                values.push(value);
                rest = behind;
            }
            Some((Value::List(values), &rest[1..]))
        }
        b'd' => {
            let (mut entries, mut rest) = (BTreeMap::new(), &bytes[1..]);
            while *rest.first()? != b'e' {
                let (name, behind) = parse_text(rest)?;
                let (value, behind) = parse_value(behind, depth)?;
                entries.insert(name, value);
                rest = behind;
            }
            Some((Value::Dictionary(entries), &rest[1..]))
        }
        _ => parse_text(bytes).map(|(text, rest)| (Value::Text(text), rest)),
    }
}

fn parse_text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = parse_number(bytes, b':')?;
    let (text, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((String::from_utf8_lossy(text).into_owned(), rest))
}

fn parse_number(bytes: &[u8], end: u8) -> Option<(i64, &[u8])> {
    let length = bytes.iter().position(|byte| *byte == end)?;
    let number = std::str::from_utf8(&bytes[..length]).ok()?.parse().ok()?;
    Some((number, &bytes[length + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let entries = [
            ("flags", Value::List(vec!["a".into(), Value::Number(-7)])),
            ("sdp", "v=0\r\n".into()),
        ];
        let entries = entries.map(|(name, value)| (name.to_owned(), value));
        let value = Value::Dictionary(entries.into_iter().collect());
        let mut text = String::new();
        value.render(&mut text);
        assert_eq!(text, "d5:flagsl1:ai-7ee3:sdp5:v=0\r\ne");
        assert_eq!(Value::parse(text.as_bytes()), Some(value));
    }

    #[test]
    fn what_is_cut_off_or_too_deep_is_refused() {
        let deep = "l".repeat(1_000);
        for text in ["", "i7", "5:four", "d1:a", "l", "i7ei7e", "-1:x", &deep] {
            assert_eq!(Value::parse(text.as_bytes()), None, "{text:?}");
        }
    }
}
