//! What a message is matched to its transaction by.

use crate::stack::wire::{Fields, Method};

/// The start every branch of RFC 3261 has.
pub const MAGIC_COOKIE: &str = "z9hG4bK";

/// Matches requests to a server transaction (RFC 3261 §17.2.3).
///
/// Not supported: the rule for senders older than RFC 3261, whose branch lacks the magic cookie.
/// Theirs is taken as it is, which is what those do that put any unique value in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerKey {
    branch: String,
    sent_by: String,
    method: Method,
}

impl ServerKey {
    /// The key of a request; `None` when Via or its branch is missing.
    pub fn of(fields: Fields<'_>, method: &Method) -> Option<Self> {
        let via = fields.top_via()?;
        let sent_by = via.sent_by();
        let branch = match via.branch {
            Some(branch) => branch,
            // Older senders: what stays the same over repetitions stands in.
            None => format!("{}/{}", fields.call_id()?, fields.cseq()?.0),
        };
        Some(Self { branch, sent_by, method: owner(method) })
    }

    /// The key of the INVITE a CANCEL wants to end (RFC 3261 §9.2).
    pub fn cancelled(&self) -> Self {
        Self { method: Method::Invite, ..self.clone() }
    }
}

/// Matches responses to a client transaction (RFC 3261 §17.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientKey {
    branch: String,
    method: Method,
}

impl ClientKey {
    /// The key of a message with our Via on top; `None` when branch or CSeq is missing.
    pub fn of(fields: Fields<'_>) -> Option<Self> {
        let branch = fields.top_via()?.branch?;
        let (_, method) = fields.cseq()?;
        Some(Self { branch, method })
    }
}

/// An ACK of a refusal belongs to the INVITE's transaction.
fn owner(method: &Method) -> Method {
    match method {
        Method::Ack => Method::Invite,
        Method::Invite
        | Method::Bye
        | Method::Cancel
        | Method::Register
        | Method::Options
        | Method::Info
        | Method::Prack
        | Method::Update
        | Method::Subscribe
        | Method::Notify
        | Method::Refer
        | Method::Message
        | Method::Publish
        | Method::Other(_) => method.clone(),
    }
}
