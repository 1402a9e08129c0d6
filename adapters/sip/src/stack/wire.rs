//! SIP message syntax: the only module that knows the parser crate (`sipx-sip`).
//!
//! RFC 3261 §7 and §25. Bytes enter [`parse`], a [`Message`] comes out; a [`Request`] or
//! [`Response`] is rendered back to bytes. Everything above this module speaks its types only, so
//! that another parser is a day's work.
//!
//! ```text
//!   bytes --parse--> Message --fields()--> typed values
//!   bytes <--render-- Request / Response <--push-- values of ours
//! ```

mod fields;
mod mend;
mod request;
mod response;
mod salvage;
mod uri;

use std::fmt;

use bytes::Bytes;
use thiserror::Error;

pub use fields::{Contact, Fields, Via};
pub use request::Request;
pub use response::{Response, reason_phrase};
pub use salvage::salvage;
pub use uri::{NameAddr, Scheme, Uri};

/// The longest message taken or made, in bytes, headers and body together.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;

const LIMITS: sipx_sip::Limits = sipx_sip::Limits {
    max_message_bytes: MAX_MESSAGE_BYTES,
    max_body_bytes: MAX_MESSAGE_BYTES,
    max_headers: 128,
    max_header_bytes: 8 * 1024,
    max_folding_lines: 16,
};

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Malformed {
    /// The start line, a header line or the body's length breaks the grammar.
    #[error("not a SIP message")]
    Syntax,
    /// The message or a part of it exceeds a limit.
    #[error("over a limit")]
    TooLarge,
}

/// A request method; compared with its case (RFC 3261 §7.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is the method of its name")]
pub enum Method {
    Invite,
    Ack,
    Bye,
    Cancel,
    Register,
    Options,
    Info,
    Prack,
    Update,
    Subscribe,
    Notify,
    Refer,
    Message,
    Publish,
    /// A token this list does not have.
    Other(String),
}

impl Method {
    /// The token on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Invite => "INVITE",
            Self::Ack => "ACK",
            Self::Bye => "BYE",
            Self::Cancel => "CANCEL",
            Self::Register => "REGISTER",
            Self::Options => "OPTIONS",
            Self::Info => "INFO",
            Self::Prack => "PRACK",
            Self::Update => "UPDATE",
            Self::Subscribe => "SUBSCRIBE",
            Self::Notify => "NOTIFY",
            Self::Refer => "REFER",
            Self::Message => "MESSAGE",
            Self::Publish => "PUBLISH",
            Self::Other(token) => token,
        }
    }

    fn from_wire(method: &sipx_sip::Method) -> Self {
        let token = method.as_bytes();
        match token {
            b"INVITE" => Self::Invite,
            b"ACK" => Self::Ack,
            b"BYE" => Self::Bye,
            b"CANCEL" => Self::Cancel,
            b"REGISTER" => Self::Register,
            b"OPTIONS" => Self::Options,
            b"INFO" => Self::Info,
            b"PRACK" => Self::Prack,
            b"UPDATE" => Self::Update,
            b"SUBSCRIBE" => Self::Subscribe,
            b"NOTIFY" => Self::Notify,
            b"REFER" => Self::Refer,
            b"MESSAGE" => Self::Message,
            b"PUBLISH" => Self::Publish,
            other => Self::Other(text(other)),
        }
    }

    fn to_wire(&self) -> sipx_sip::Method {
        sipx_sip::Method::parse(&Bytes::copy_from_slice(self.as_str().as_bytes()))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request or a response (RFC 3261 §7).
#[derive(Debug, Clone)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

/// Parses one whole message, as a datagram carries it or as the framer cut it from a stream.
///
/// # Errors
/// [`Malformed`] when the bytes break the grammar or a limit; single malformed headers are no
/// error here, they show when they are read.
pub fn parse(bytes: Bytes) -> Result<Message, Malformed> {
    let parsed = parse_strictly(bytes.clone());
    let is_askew = match &parsed {
        Ok(Message::Request(request)) => {
            request.fields().has("To") && request.fields().to().is_none()
        }
        Ok(Message::Response(_)) | Err(Malformed::TooLarge) => false,
        Err(Malformed::Syntax) => true,
    };
    let mended = if is_askew { mend::message(&bytes) } else { None };
    match mended {
        Some(mended) => parse_strictly(mended),
        None => parsed,
    }
}

fn parse_strictly(bytes: Bytes) -> Result<Message, Malformed> {
    match sipx_sip::parse_datagram(bytes, &LIMITS) {
        Ok(sipx_sip::Message::Request(request)) => Ok(Message::Request(Request::wrap(request))),
        Ok(sipx_sip::Message::Response(response)) => {
            Ok(Message::Response(Response::wrap(response)))
        }
        Err(sipx_sip::error::ParseError::Limit { .. }) => Err(Malformed::TooLarge),
        Err(_) => Err(Malformed::Syntax),
    }
}

/// Makes text of wire bytes; what is not UTF-8 becomes U+FFFD.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Makes a header of a name and a value of ours. A line break or NUL in the value becomes a space,
/// so that no value can start a header of its own.
fn header(name: &str, value: &str) -> sipx_sip::Header {
    let name = sipx_sip::HeaderName::parse(&Bytes::copy_from_slice(name.as_bytes()));
    let clean: String =
        value.chars().map(|c| if matches!(c, '\r' | '\n' | '\0') { ' ' } else { c }).collect();
    sipx_sip::Header::build(name, clean.into_bytes())
        .expect("names are tokens of ours and the value has no line break left")
}

#[cfg(test)]
mod tests;
