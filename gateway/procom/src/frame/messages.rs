//! The frames of messages: what a client asks for, and what it is shown.

use std::fmt;

use gateway_core::message::{Body, ConversationId, Receipt, Status};
use gateway_core::route::Require;
use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::GatewayFrame;

/// The client writes to somebody. Nothing but the lengths of its ids is checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MessageRequest {
    /// The client's own id.
    pub(crate) id: String,
    pub(crate) to: String,
    pub(crate) body: Body,
    pub(crate) content: String,
    pub(crate) require: Require,
    /// Whether another address of the recipient would do.
    pub(crate) may_fall_back: bool,
}

/// A message as a client is shown it.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub(crate) struct MessageFrame {
    /// The gateway's id, the same on every device.
    pub(crate) id: String,
    pub(crate) from: String,
    pub(crate) to: String,
    #[serde(serialize_with = "as_text")]
    pub(crate) body: Body,
    pub(crate) content: String,
    #[serde(serialize_with = "as_moment")]
    pub(crate) at: Moment,
    /// Whether `from` is proven.
    pub(crate) verified: bool,
    /// The thread it is part of, whichever address of the other one it goes by.
    pub(crate) conversation: String,
    /// The Procom address of who wrote it, where that is an account: a call with it may be known by that.
    #[serde(skip)]
    pub(crate) account: Option<String>,
}

/// Neither who nor what.
impl fmt::Debug for MessageFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageFrame").field("body", &self.body).finish_non_exhaustive()
    }
}

/// Milliseconds since 1970, written as RFC 3339 has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) i64);

fn as_text<S: Serializer>(body: &Body, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(body.as_str())
}

fn as_moment<S: Serializer>(moment: &Moment, serializer: S) -> Result<S::Ok, S::Error> {
    // Years beyond what RFC 3339 §5.6 can write are nobody's time of writing.
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(moment.0) * 1_000_000);
    let text = at.ok().and_then(|at| at.format(&Rfc3339).ok());
    serializer.serialize_str(text.as_deref().unwrap_or("1970-01-01T00:00:00Z"))
}

impl GatewayFrame {
    /// How far a message has come, for its sender.
    pub(crate) fn status(receipt: &Receipt, conversation: Option<ConversationId>) -> Self {
        Self::Status {
            id: receipt.sender_id.clone(),
            message: Some(receipt.message_id.to_string()),
            conversation: conversation.map(|conversation| conversation.to_string()),
            status: receipt.status.as_str(),
            reason: receipt.reason.as_deref().map(sentence),
        }
    }

    /// A message that is not taken.
    pub(crate) fn failed(id: &str, reason: &str) -> Self {
        Self::Status {
            id: id.to_owned(),
            message: None,
            conversation: None,
            status: Status::Failed.as_str(),
            reason: Some(sentence(reason)),
        }
    }
}

/// A reason as a person is told it: with a capital and a full stop.
fn sentence(reason: &str) -> String {
    let reason = super::tidy(reason);
    let reason = reason.trim();
    let mut letters = reason.chars();
    let Some(first) = letters.next() else {
        return String::new();
    };
    let end = if reason.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{}{}{end}", first.to_uppercase(), letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_rfc_3339_has_it_and_none_panics() {
        let written = |at: i64| serde_json::to_string(&Holder { at: Moment(at) }).unwrap();
        assert_eq!(written(1_767_225_600_000), r#"{"at":"2026-01-01T00:00:00Z"}"#);
        assert_eq!(written(1_767_225_600_250), r#"{"at":"2026-01-01T00:00:00.25Z"}"#);
        for at in [i64::MIN, i64::MAX, -1] {
            assert!(written(at).ends_with("Z\"}"));
        }
    }

    #[test]
    fn a_reason_is_told_as_a_sentence() {
        assert_eq!(sentence("nobody has this address"), "Nobody has this address.");
        assert_eq!(sentence(" \u{7}Why? "), "Why?");
        assert_eq!(sentence(""), "");
    }

    #[derive(Serialize)]
    struct Holder {
        #[serde(serialize_with = "as_moment")]
        at: Moment,
    }
}
