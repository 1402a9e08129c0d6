//! Text to [`ClientFrame`].

use std::time::Duration;

use gateway_core::Cause;
use gateway_core::description::Candidate;
use gateway_core::message::Body;
use gateway_core::route::{OwnContact, Require};
use serde::Deserialize;
use serde_json::Value;

use super::{
    CallRequest, ClientFrame, Code, ExplainRequest, Hello, MAX_DEPTH, MAX_FRAME_BYTES,
    MAX_ID_BYTES, MessageRequest, Refusal, Transfer, WithinCall, tidy,
};
use crate::secret::Secret;

/// Longest text of one candidate and of its fragments, in bytes.
const MAX_CANDIDATE_BYTES: usize = 1024;
/// A name or an address of a contact.
const MAX_CONTACT_TEXT_BYTES: usize = 256;
/// Addresses of a contact; those beyond are not read.
const MAX_CONTACT_ADDRESSES: usize = 16;
/// How long the secret of a visitor and the name of a device are: at least 128 bits in base64.
const VISITOR_BYTES: std::ops::RangeInclusive<usize> = 22..=64;
/// How long a digit sounds when the client does not say.
const DIGIT: Duration = Duration::from_millis(160);
/// The shortest and the longest digit that is passed on, in milliseconds.
const DIGIT_RANGE_MS: (u64, u64) = (40, 6000);

/// The frames as they stand on the wire.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Wire {
    Hello(HelloBody),
    Call(CallBody),
    Ringing {
        call: Id,
    },
    Answer {
        call: Id,
        sdp: String,
    },
    Offer {
        call: Id,
        sdp: String,
    },
    Candidate {
        call: Id,
        // Without a default, so that a missing member is not taken for the end of candidates.
        #[serde(deserialize_with = "Option::deserialize")]
        candidate: Option<CandidateBody>,
    },
    Digit {
        call: Id,
        digit: char,
        duration_ms: Option<u64>,
    },
    Hold {
        call: Id,
    },
    ResumeCall {
        call: Id,
    },
    Transfer {
        call: Id,
        to: Option<String>,
        with: Option<Id>,
    },
    End {
        call: Id,
        cause: Option<String>,
        reason: Option<String>,
    },
    Error {
        call: Option<Id>,
    },
    Message(Box<MessageBody>),
    Ack {
        id: Id,
    },
    Read {
        id: Id,
    },
    Explain {
        id: Id,
        to: String,
        #[serde(default)]
        require: RequireWord,
        #[serde(default)]
        dns: bool,
    },
    Presence {},
    Subscribe {},
    Composing {
        with: String,
        on: bool,
    },
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
struct HelloBody {
    version: u64,
    user: Option<String>,
    password: Option<Secret>,
    token: Option<Secret>,
    visitor: Option<Secret>,
    device: Option<Secret>,
    resume: Option<Secret>,
    received: Option<u64>,
}

#[derive(Deserialize)]
struct CallBody {
    call: Id,
    to: String,
    sdp: String,
    #[serde(default)]
    require: RequireWord,
    /// Read apart: a record that cannot be read is none, and the call goes on.
    contact: Option<Value>,
}

#[derive(Deserialize)]
struct ContactBody {
    name: String,
    addresses: Vec<String>,
}

/// The client's own record of the callee, if it can be used.
fn contact(value: Value) -> Option<OwnContact> {
    let body: ContactBody = serde_json::from_value(value).ok()?;
    let fits = |text: &String| !text.is_empty() && text.len() <= MAX_CONTACT_TEXT_BYTES;
    let addresses: Vec<String> =
        body.addresses.into_iter().filter(fits).take(MAX_CONTACT_ADDRESSES).collect();
    let is_usable = fits(&body.name) && !addresses.is_empty();
    is_usable.then_some(OwnContact { name: body.name, addresses })
}

#[derive(Deserialize, Default)]
enum RequireWord {
    #[default]
    #[serde(rename = "any")]
    Any,
    #[serde(rename = "encrypted")]
    Encrypted,
    #[serde(rename = "e2ee")]
    EndToEnd,
}

impl From<RequireWord> for Require {
    fn from(word: RequireWord) -> Self {
        match word {
            RequireWord::Any => Self::Any,
            RequireWord::Encrypted => Self::Encrypted,
            RequireWord::EndToEnd => Self::EndToEnd,
        }
    }
}

#[derive(Deserialize)]
struct MessageBody {
    id: Id,
    to: String,
    body: String,
    #[serde(default = "plain_text")]
    content: String,
    #[serde(default)]
    require: RequireWord,
    #[serde(default)]
    fallback: bool,
}

fn plain_text() -> String {
    "text/plain".to_owned()
}

/// `RTCIceCandidateInit` of the W3C WebRTC recommendation.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CandidateBody {
    #[serde(default)]
    candidate: String,
    sdp_mid: Option<String>,
    #[serde(rename = "sdpMLineIndex")]
    sdp_m_line_index: Option<u16>,
    username_fragment: Option<String>,
}

/// An id of a call or message.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Id(String);

impl TryFrom<String> for Id {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        if text.is_empty() || text.len() > MAX_ID_BYTES || text.chars().any(char::is_control) {
            return Err("an id has 1 to 64 bytes and no control characters");
        }
        Ok(Self(text))
    }
}

/// Reads one frame.
///
/// # Errors
/// The frame is refused, with the `error` to be answered. It names call and message where the frame
/// itself did so readably.
pub(crate) fn read(text: &str) -> Result<ClientFrame, Refusal> {
    if text.len() > MAX_FRAME_BYTES {
        return Err(Refusal::new(Code::TooLarge, "A frame has at most 65536 bytes."));
    }
    if depth(text) > MAX_DEPTH {
        return Err(malformed("A frame is nested at most 16 deep."));
    }
    let value: Value = serde_json::from_str(text).map_err(|_| malformed("This is not JSON."))?;
    let Some(members) = value.as_object() else {
        return Err(malformed("A frame is one JSON object."));
    };
    let Some(kind) = members.get("type").and_then(Value::as_str).map(tidy) else {
        return Err(malformed("A frame has a type."));
    };
    let own_id = |name: &str| {
        let id = members.get(name).and_then(Value::as_str)?;
        Id::try_from(id.to_owned()).ok().map(|id| id.0)
    };
    let (call, id) = (own_id("call"), own_id("id"));
    let refuse = |code, reason: String| Refusal { code, reason, call, id };
    match Wire::deserialize(value) {
        Ok(Wire::Unknown) => {
            Err(refuse(Code::UnknownType, format!("The type {kind} is not known.")))
        }
        Ok(wire) => check(wire).map_err(|(code, reason)| refuse(code, reason.to_owned())),
        Err(fault) => Err(refuse(Code::Malformed, tidy(&format!("{kind}: {fault}.")))),
    }
}

fn malformed(reason: &str) -> Refusal {
    Refusal::new(Code::Malformed, reason)
}

/// How deep objects and arrays are nested. Counted before parsing, so that depth costs no stack.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut is_escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

type Checked<T> = Result<T, (Code, &'static str)>;

fn check(wire: Wire) -> Checked<ClientFrame> {
    let within = |call: Id, what| Ok(ClientFrame::Within(call.0, what));
    match wire {
        Wire::Hello(body) => check_hello(body).map(ClientFrame::Hello),
        Wire::Call(CallBody { call, to, sdp, require, contact: record }) => {
            let (require, record) = (require.into(), record.and_then(contact));
            Ok(ClientFrame::Call(CallRequest { call: call.0, to, sdp, require, record }))
        }
        Wire::Ringing { call } => within(call, WithinCall::Ringing),
        Wire::Answer { call, sdp } => within(call, WithinCall::Answer(sdp)),
        Wire::Offer { call, sdp } => within(call, WithinCall::Offer(sdp)),
        Wire::Candidate { call, candidate } => {
            within(call, WithinCall::Candidate(check_candidate(candidate)?))
        }
        Wire::Digit { call, digit, duration_ms } => {
            let (digit, duration) = check_digit(digit, duration_ms)?;
            within(call, WithinCall::Digit(digit, duration))
        }
        Wire::Hold { call } => within(call, WithinCall::Hold),
        Wire::ResumeCall { call } => within(call, WithinCall::Resume),
        Wire::Transfer { call, to, with } => match (to, with) {
            (Some(to), None) => within(call, WithinCall::Transfer(Transfer::To(to))),
            (None, Some(with)) => within(call, WithinCall::Transfer(Transfer::With(with.0))),
            (Some(_), Some(_)) | (None, None) => {
                Err((Code::Malformed, "A transfer names either an address or another call."))
            }
        },
        Wire::End { call, cause, reason } => {
            // A word of a later version still ends the call.
            let cause =
                cause.map_or(Cause::Normal, |word| Cause::parse(&word).unwrap_or(Cause::Failed));
            within(call, WithinCall::End(cause, reason.as_deref().map(tidy)))
        }
        Wire::Error { call: Some(call) } => within(call, WithinCall::Error),
        Wire::Error { call: None } => Ok(ClientFrame::Error),
        Wire::Message(message) => Ok(ClientFrame::Message(Box::new(MessageRequest {
            id: message.id.0,
            to: message.to,
            body: Body::from(message.body),
            content: message.content,
            require: message.require.into(),
            may_fall_back: message.fallback,
        }))),
        Wire::Ack { id } => Ok(ClientFrame::Ack(id.0)),
        Wire::Read { id } => Ok(ClientFrame::Read(id.0)),
        Wire::Explain { id, to, require, dns } => {
            Ok(ClientFrame::Explain(Box::new(ExplainRequest {
                id: id.0,
                to,
                require: require.into(),
                may_ask_dns: dns,
            })))
        }
        Wire::Presence {} | Wire::Subscribe {} => Ok(ClientFrame::Presence),
        Wire::Composing { with, on } => Ok(ClientFrame::Composing { with, is_on: on }),
        Wire::Unknown => Err((Code::UnknownType, "The type is not known.")),
    }
}

fn check_hello(body: HelloBody) -> Checked<Hello> {
    if body.version != 1 {
        return Err((Code::UnsupportedVersion, "This gateway speaks version 1."));
    }
    let is_fine = |secret: &Secret| VISITOR_BYTES.contains(&secret.reveal().len());
    let (visitor, device) = (body.visitor, body.device);
    if !visitor.as_ref().is_none_or(is_fine) {
        return Err((Code::Malformed, "The secret of a visitor has 22 to 64 bytes."));
    }
    if !device.as_ref().is_none_or(is_fine) {
        return Err((Code::Malformed, "The name of a device has 22 to 64 bytes."));
    }
    match (body.user, body.password, body.token, body.resume) {
        (Some(user), Some(password), None, None) => Ok(Hello::Password { user, password, device }),
        (None, None, Some(token), None) => Ok(Hello::Token { token, visitor, device }),
        (None, None, None, Some(secret)) => {
            let received = body.received.ok_or((
                Code::Malformed,
                "A hello that resumes tells how many objects were received.",
            ))?;
            Ok(Hello::Resume { secret, received })
        }
        _ => Err((
            Code::Malformed,
            "A hello holds user and password, or a token, or the secret of a session to resume.",
        )),
    }
}

fn check_candidate(body: Option<CandidateBody>) -> Checked<Candidate> {
    let Some(body) = body else {
        return Ok(Candidate { text: String::new(), mid: None, line: None, ufrag: None });
    };
    let text = body.candidate.strip_prefix("candidate:").unwrap_or(&body.candidate).to_owned();
    let parts = [Some(&text), body.sdp_mid.as_ref(), body.username_fragment.as_ref()];
    let is_fine =
        |part: &String| part.len() <= MAX_CANDIDATE_BYTES && !part.chars().any(char::is_control);
    if !parts.into_iter().flatten().all(is_fine) {
        return Err((Code::Malformed, "A candidate is one line of at most 1024 bytes."));
    }
    Ok(Candidate {
        text,
        mid: body.sdp_mid,
        line: body.sdp_m_line_index,
        ufrag: body.username_fragment,
    })
}

fn check_digit(digit: char, duration_ms: Option<u64>) -> Checked<(char, Duration)> {
    let digit = digit.to_ascii_uppercase();
    if !matches!(digit, '0'..='9' | '*' | '#' | 'A'..='D') {
        return Err((Code::Malformed, "A digit is one of 0 to 9, *, #, A to D."));
    }
    let (shortest, longest) = DIGIT_RANGE_MS;
    let duration =
        duration_ms.map_or(DIGIT, |ms| Duration::from_millis(ms.clamp(shortest, longest)));
    Ok((digit, duration))
}
