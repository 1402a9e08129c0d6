//! What a MESSAGE says (RFC 3428 §7): its text, or what it tells of another message.

use std::io::Read as _;

use flate2::read::ZlibDecoder;
use gateway_core::message::{MAX_BODY, MAX_SENDER_ID};
use ring::digest::{SHA256, digest};

use super::cpim::{self, Envelope, Wishes};
use super::imdn::{self, Notice};
use super::{ACCEPT, CPIM, TEXT, composing};
use crate::stack::policy::Refusal;
use crate::stack::tokens::hex;
use crate::stack::wire::Fields;

/// The most that a packed body may become, in bytes: the longest text, and headers around it.
const MAX_UNPACKED_BYTES: u64 = MAX_BODY as u64 + 4096;

/// What a MESSAGE says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Text for a person.
    Text(Text),
    /// What became of a message of ours.
    Notice(Notice),
    /// Whether somebody is writing.
    Composing(bool),
}

/// Text for a person.
#[derive(Clone, PartialEq, Eq)]
pub struct Text {
    /// What it says.
    pub body: String,
    /// What its sender calls it; the same over every repetition.
    pub sender_id: String,
    /// When it was sent, in milliseconds since 1970, where its sender says so.
    pub at_ms: Option<i64>,
    /// Whether its sender wants to hear that it was delivered or read.
    pub wants_receipts: bool,
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Text({} bytes)", self.body.len())
    }
}

/// Reads a MESSAGE's body. `number`: that of the first of several requests that said the same, where
/// its own is another.
///
/// # Errors
/// The answer to it: 400, 413 or 415, with a sentence.
pub fn read(fields: Fields<'_>, body: &[u8], number: Option<u32>) -> Result<Content, Refusal> {
    let own = || transaction_id(fields, number);
    let unpacked = unpack(fields, body)?;
    let body = unpacked.as_deref().unwrap_or(body);
    // What says nothing of its type is text (RFC 2045 §5.2).
    let kind = fields.text("Content-Type").unwrap_or_else(|| TEXT.to_owned());
    let Some(envelope) = (Kind::of(&kind).name == CPIM).then(|| cpim::parse(body)) else {
        return content(&kind, body, &Envelope::default(), own);
    };
    let envelope = envelope.ok_or_else(|| refuse(400, "the message/cpim cannot be read"))?;
    let kind = envelope.content_type.clone().unwrap_or_else(|| TEXT.to_owned());
    content(&kind, &envelope.content, &envelope, own)
}

/// Undoes the encoding of a body, where it has one (RFC 3261 §20.12). linphone packs notifications,
/// and sends them never again when that is refused.
fn unpack(fields: Fields<'_>, body: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
    match fields.text("Content-Encoding").map(|coding| coding.to_ascii_lowercase()).as_deref() {
        None | Some("identity") => Ok(None),
        Some("deflate") => {
            let mut out = Vec::new();
            let reader = ZlibDecoder::new(body).take(MAX_UNPACKED_BYTES + 1);
            let is_read = { reader }.read_to_end(&mut out).is_ok();
            if !is_read {
                return Err(refuse(400, "the body cannot be unpacked"));
            }
            if out.len() as u64 > MAX_UNPACKED_BYTES {
                return Err(refuse(413, &format!("the limit is {MAX_BODY} bytes")));
            }
            Ok(Some(out))
        }
        Some(_) => {
            let refusal = unsupported("the body is encoded");
            Err(refusal.with("Accept-Encoding", "deflate, identity"))
        }
    }
}

fn content(
    kind: &str,
    body: &[u8],
    envelope: &Envelope,
    own_id: impl FnOnce() -> Option<String>,
) -> Result<Content, Refusal> {
    let kind = Kind::of(kind);
    match kind.name.as_str() {
        TEXT => text(&kind, body, envelope, own_id).map(Content::Text),
        imdn::TYPE => {
            let notice = imdn::parse(body).map(Content::Notice);
            notice.ok_or_else(|| refuse(400, "the notification cannot be read"))
        }
        composing::TYPE => {
            let is_on = composing::parse(body).map(Content::Composing);
            is_on.ok_or_else(|| refuse(400, "the composing state cannot be read"))
        }
        _ => Err(unsupported("only plain text is taken")),
    }
}

fn text(
    kind: &Kind,
    body: &[u8],
    envelope: &Envelope,
    own_id: impl FnOnce() -> Option<String>,
) -> Result<Text, Refusal> {
    if !matches!(kind.charset.as_str(), "" | "utf-8" | "utf8" | "us-ascii") {
        return Err(unsupported("text must be UTF-8"));
    }
    let body = std::str::from_utf8(body).map_err(|_| unsupported("text must be UTF-8"))?;
    if body.is_empty() {
        return Err(refuse(400, "an empty message"));
    }
    if body.len() > MAX_BODY {
        return Err(refuse(413, &format!("the limit is {MAX_BODY} bytes")));
    }
    let marked = envelope.id.as_deref().map(|id| mark(id, envelope));
    let sender_id = match marked {
        Some(id) => id,
        None => own_id().ok_or_else(|| Refusal::new(400))?,
    };
    let wants_receipts =
        envelope.id.is_some() && (envelope.wishes.delivered || envelope.wishes.read);
    Ok(Text { body: body.to_owned(), sender_id, at_ms: envelope.at_ms, wants_receipts })
}

/// What a sender asked to be told about its message.
pub(super) struct Asked<'a> {
    /// What it calls the message.
    pub(super) id: &'a str,
    pub(super) wishes: Wishes,
    /// When it sent it, in milliseconds since 1970.
    pub(super) at_ms: i64,
}

/// The sender's own id with all that must be known to answer it, even after a crash.
fn mark(id: &str, envelope: &Envelope) -> String {
    let wishes = envelope.wishes;
    let letters = [(wishes.delivered, 'p'), (wishes.failed, 'n'), (wishes.read, 'd')];
    let flags: String = letters.iter().filter(|letter| letter.0).map(|letter| letter.1).collect();
    format!("imdn-{flags}.{}:{id}", envelope.at_ms.unwrap_or(0))
}

/// What [`mark`] made a sender's id of, undone; `None` where the sender asked for nothing.
pub(super) fn unmark(sender_id: &str) -> Option<Asked<'_>> {
    let (marks, id) = sender_id.strip_prefix("imdn-")?.split_once(':')?;
    let (flags, at_ms) = marks.split_once('.')?;
    let has = |letter| flags.contains(letter);
    let wishes = Wishes { delivered: has('p'), failed: has('n'), read: has('d') };
    Some(Asked { id, wishes, at_ms: at_ms.parse().ok()? })
}

/// Call-ID and CSeq: the same over repetitions of the request, another for every other message
/// (RFC 3261 §8.2.2.2 has the From tag too, which would tell apart what a crash of the sender's
/// repeats). What is too long is hashed.
fn transaction_id(fields: Fields<'_>, number: Option<u32>) -> Option<String> {
    let (own, _) = fields.cseq()?;
    let id = format!("{}/{}", fields.call_id()?, number.unwrap_or(own));
    if id.len() <= MAX_SENDER_ID {
        return Some(id);
    }
    Some(hex(digest(&SHA256, id.as_bytes()).as_ref()))
}

/// A media type taken apart.
struct Kind {
    /// In lower case.
    name: String,
    /// In lower case, without quotes; empty where none is stated.
    charset: String,
}

impl Kind {
    fn of(value: &str) -> Self {
        let mut parts = value.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let charset = parts.find_map(|part| {
            let (key, value) = part.split_once('=')?;
            key.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
        });
        Self { name, charset: charset.unwrap_or_default().to_ascii_lowercase() }
    }
}

fn refuse(status: u16, why: &str) -> Refusal {
    Refusal::new(status).with("Warning", &warning(why))
}

/// RFC 3261 §21.4.13.
fn unsupported(why: &str) -> Refusal {
    refuse(415, why).with("Accept", ACCEPT)
}

/// A sentence for the person, as a Warning (RFC 3261 §20.43).
pub(crate) fn warning(why: &str) -> String {
    let clean: String =
        why.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).collect();
    format!("399 gateway \"{clean}\"")
}
