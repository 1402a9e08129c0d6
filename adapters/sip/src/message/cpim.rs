//! Messages with headers of their own, for what SIP has no header for (RFC 3862), here ids and wishes
//! for notifications (RFC 5438 §6).
//!
//! ```text
//!   From: <sip:alice@gw.example>
//!   NS: imdn <urn:ietf:params:imdn>
//!   imdn.Message-ID: 34jk324j
//!
//!   Content-Type: text/plain
//!
//!   Hello
//! ```

use super::date;

/// The name space of RFC 5438 §6.
const IMDN: &str = "urn:ietf:params:imdn";
/// The most header lines read.
const MAX_LINES: usize = 64;
/// The longest Message-ID read or made.
const MAX_ID_BYTES: usize = 100;

/// Which notifications a sender asks for (RFC 5438 §6.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// That it was delivered.
    pub delivered: bool,
    /// That it was not.
    pub failed: bool,
    /// That it was shown.
    pub read: bool,
}

impl Wishes {
    /// Every notification there is.
    pub const ALL: Self = Self { delivered: true, failed: true, read: true };

    fn parse(value: &str) -> Self {
        let has = |word: &str| value.split(',').any(|one| one.trim().eq_ignore_ascii_case(word));
        Self {
            delivered: has("positive-delivery"),
            failed: has("negative-delivery"),
            read: has("display"),
        }
    }

    fn render(self) -> String {
        let words = [
            (self.delivered, "positive-delivery"),
            (self.failed, "negative-delivery"),
            (self.read, "display"),
        ];
        let wished: Vec<_> = words.iter().filter(|word| word.0).map(|word| word.1).collect();
        wished.join(", ")
    }
}

/// What a CPIM message holds, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The sender's id of it (RFC 5438 §6.3).
    pub id: Option<String>,
    /// The notifications asked for.
    pub wishes: Wishes,
    /// When it was sent, in milliseconds since 1970 (RFC 3862 §4.4).
    pub at_ms: Option<i64>,
    /// The Content-Type of what is inside, as it stands.
    pub content_type: Option<String>,
    /// What is inside.
    pub content: Vec<u8>,
}

/// Reads a CPIM message; `None` when it has not the three parts of one (RFC 3862 §2).
pub fn parse(bytes: &[u8]) -> Option<Envelope> {
    let (headers, rest) = block(bytes)?;
    let (inner, content) = block(rest)?;
    let prefix = headers.iter().find_map(|(name, value)| {
        let (prefix, urn) = value.split_once('<')?;
        let is_it = name.eq_ignore_ascii_case("NS") && urn.trim_end_matches('>') == IMDN;
        is_it.then(|| prefix.trim().to_owned())
    });
    let prefix = prefix.unwrap_or_else(|| "imdn".to_owned());
    let imdn = |wanted: &str| {
        let is_it = |name: &str| {
            name.split_once('.')
                .is_some_and(|(own, name)| own == prefix && name.eq_ignore_ascii_case(wanted))
        };
        headers.iter().find(|(name, _)| is_it(name)).map(|(_, value)| value.as_str())
    };
    let id = imdn("Message-ID").filter(|id| is_id(id)).map(str::to_owned);
    let wishes = imdn("Disposition-Notification").map(Wishes::parse).unwrap_or_default();
    let at_ms = find(&headers, "DateTime").and_then(date::parse);
    let length = find(&inner, "Content-Length").and_then(|value| value.parse::<usize>().ok());
    let content = content.get(..length.unwrap_or(content.len()))?.to_vec();
    let content_type = find(&inner, "Content-Type").map(str::to_owned);
    Some(Envelope { id, wishes, at_ms, content_type, content })
}

/// Writes a CPIM message. `from` and `to` are URIs.
pub fn render(from: &str, to: &str, envelope: &Envelope) -> Vec<u8> {
    let mut out = format!("From: <{from}>\r\nTo: <{to}>\r\n");
    if let Some(at_ms) = envelope.at_ms {
        out.push_str(&format!("DateTime: {}\r\n", date::render(at_ms)));
    }
    if let Some(id) = &envelope.id {
        out.push_str(&format!("NS: imdn <{IMDN}>\r\nimdn.Message-ID: {id}\r\n"));
        let wishes = envelope.wishes.render();
        if !wishes.is_empty() {
            out.push_str(&format!("imdn.Disposition-Notification: {wishes}\r\n"));
        }
    }
    let length = envelope.content.len();
    let kind = envelope.content_type.as_deref().unwrap_or("text/plain;charset=UTF-8");
    out.push_str(&format!("\r\nContent-Type: {kind}\r\n"));
    if kind == super::imdn::TYPE {
        // RFC 5438 §7.2.1.1: so that it is not shown to the person.
        out.push_str("Content-Disposition: notification\r\n");
    }
    out.push_str(&format!("Content-Length: {length}\r\n\r\n"));
    let mut out = out.into_bytes();
    out.extend_from_slice(&envelope.content);
    out
}

/// Whether an id can be repeated on any wire: visible ASCII, not long (RFC 5438 §6.3 `Token`).
pub(super) fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= MAX_ID_BYTES && id.bytes().all(|byte| byte.is_ascii_graphic())
}

type Headers = Vec<(String, String)>;

/// Header lines up to an empty one, and what follows that. Lines end by CR LF or LF.
fn block(bytes: &[u8]) -> Option<(Headers, &[u8])> {
    let (mut headers, mut rest) = (Vec::new(), bytes);
    loop {
        let end = rest.iter().position(|&byte| byte == b'\n')?;
        let line = std::str::from_utf8(&rest[..end]).ok()?;
        rest = &rest[end + 1..];
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            return Some((headers, rest));
        }
        if headers.len() >= MAX_LINES {
            return None;
        }
        let (name, value) = line.split_once(':')?;
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
}

fn find<'a>(headers: &'a Headers, wanted: &str) -> Option<&'a str> {
    let found = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    found.map(|(_, value)| value.as_str())
}
