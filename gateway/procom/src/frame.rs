//! The frames of the Procom wire, both ways (`PROTOCOL.md` of this package).
//!
//! ```text
//! text --read--> ClientFrame --> hub        hub --> GatewayFrame --render--> text
//! ```
//!
//! What enters is checked here once: size, depth, types, the lengths of everything that is kept.
//! SDP stays text, because only the leg knows what refusing it means.

mod gateway;
mod messages;
mod read;
#[cfg(test)]
pub(crate) mod schema;
#[cfg(test)]
mod tests;

pub(crate) use gateway::{
    CandidateBody, ExplainedFrame, GatewayFrame, IceServerFrame, IncomingFrame, Welcome,
    require_word,
};
pub(crate) use messages::{MessageFrame, MessageRequest, Moment};
pub(crate) use read::read;

use std::time::Duration;

use gateway_core::Cause;
use gateway_core::description::Candidate;
use gateway_core::route::{OwnContact, Require};

use crate::secret::Secret;

/// Largest frame, in bytes.
pub(crate) const MAX_FRAME_BYTES: usize = 64 * 1024;
/// Deepest nesting of objects and arrays in a frame.
pub(crate) const MAX_DEPTH: usize = 16;
/// Longest id of a call or message, in bytes.
pub(crate) const MAX_ID_BYTES: usize = 64;
/// Longest name of somebody that is passed on, in characters.
const MAX_NAME_CHARS: usize = 64;
/// Longest reason that is passed on, in characters.
pub(crate) const MAX_REASON_CHARS: usize = 200;

/// The stable word of an `error` frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    BadAddress,
    BadCredentials,
    BadToken,
    DuplicateCall,
    Malformed,
    NotAcceptable,
    NotNow,
    NotSupported,
    Overload,
    ResumeExpired,
    TooLarge,
    TooManyAttempts,
    TooManyCandidates,
    TooManySessions,
    Unexpected,
    UnknownCall,
    UnknownType,
    UnsupportedVersion,
}

impl Code {
    /// The word on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::BadAddress => "bad-address",
            Self::BadCredentials => "bad-credentials",
            Self::BadToken => "bad-token",
            Self::DuplicateCall => "duplicate-call",
            Self::Malformed => "malformed",
            Self::NotAcceptable => "not-acceptable",
            Self::NotNow => "not-now",
            Self::NotSupported => "not-supported",
            Self::Overload => "overload",
            Self::ResumeExpired => "resume-expired",
            Self::TooLarge => "too-large",
            Self::TooManyAttempts => "too-many-attempts",
            Self::TooManyCandidates => "too-many-candidates",
            Self::TooManySessions => "too-many-sessions",
            Self::Unexpected => "unexpected",
            Self::UnknownCall => "unknown-call",
            Self::UnknownType => "unknown-type",
            Self::UnsupportedVersion => "unsupported-version",
        }
    }
}

/// A frame that is refused, with what is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) reason: String,
    pub(crate) call: Option<String>,
    pub(crate) id: Option<String>,
}

impl Refusal {
    /// About no call in particular.
    pub(crate) fn new(code: Code, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), call: None, id: None }
    }

    /// Of that call.
    pub(crate) fn of_call(code: Code, call: &str, reason: impl Into<String>) -> Self {
        Self { call: Some(call.to_owned()), ..Self::new(code, reason) }
    }

    /// Whether it counts towards being disconnected: what no client of any version would send.
    pub(crate) const fn is_garbage(&self) -> bool {
        matches!(self.code, Code::Malformed | Code::TooLarge)
    }
}

/// How somebody signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hello {
    Password {
        user: String,
        password: Secret,
        device: Option<Secret>,
    },
    /// `visitor` makes a guest the same guest again, `device` a device of an account the same one.
    Token {
        token: Secret,
        visitor: Option<Secret>,
        device: Option<Secret>,
    },
    Resume {
        secret: Secret,
        received: u64,
    },
}

/// A frame of a client, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClientFrame {
    Hello(Hello),
    Call(CallRequest),
    /// Something within the call of that id.
    Within(String, WithinCall),
    /// An error of the client's that is about no call.
    Error,
    /// The client writes to somebody.
    Message(Box<MessageRequest>),
    /// A message of that id has arrived at the client.
    Ack(String),
    /// A message of that id was read.
    Read(String),
    /// The client's user is writing to somebody, or has stopped.
    Composing {
        with: String,
        is_on: bool,
    },
    /// How reachable people are: not served yet.
    Presence,
    /// What would become of what is typed.
    Explain(Box<ExplainRequest>),
}

/// The client asks what would become of what is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExplainRequest {
    pub(crate) id: String,
    pub(crate) to: String,
    pub(crate) require: Require,
    pub(crate) may_ask_dns: bool,
}

/// The client calls somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallRequest {
    pub(crate) call: String,
    pub(crate) to: String,
    pub(crate) sdp: String,
    pub(crate) require: Require,
    pub(crate) record: Option<OwnContact>,
}

/// What a client says within a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WithinCall {
    Ringing,
    Answer(String),
    Offer(String),
    Candidate(Candidate),
    Digit(char, Duration),
    Hold,
    Resume,
    Transfer(Transfer),
    End(Cause, Option<String>),
    /// The client refuses what was last proposed.
    Error,
}

/// Where a call is to be handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Transfer {
    To(String),
    With(String),
}

/// A name from elsewhere in one line, cut, without what cannot be seen or turns the direction of
/// writing (Unicode Standard Annex 9). Joiners stay: some scripts need them. None if nothing is left.
pub(crate) fn tidy_name(name: &str) -> Option<String> {
    let is_hidden = |letter: &char| {
        letter.is_control()
            || matches!(letter,
                '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    let gap = |letter: char| if letter.is_whitespace() { ' ' } else { letter };
    let seen: String = name.chars().map(gap).filter(|letter| !is_hidden(letter)).collect();
    let words: Vec<&str> = seen.split_whitespace().collect();
    let name: String = words.join(" ").chars().take(MAX_NAME_CHARS).collect();
    (!name.is_empty()).then_some(name)
}

/// A sentence from elsewhere, cut and without control characters.
pub(crate) fn tidy(reason: &str) -> String {
    reason.chars().filter(|letter| !letter.is_control()).take(MAX_REASON_CHARS).collect()
}
