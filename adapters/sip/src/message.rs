//! Messages in SIP (RFC 3428): what a MESSAGE says, what we make one say, and what its answer means.
//!
//! ```text
//!   MESSAGE in  --read--> Text | Notice (it was delivered, read) | Composing | Refusal
//!                          \ text/plain, or message/cpim around it (RFC 3862, RFC 5438)
//!   Dispatch, Receipt, Composing --outgoing--> Letter --> MESSAGE out --status--> Handover
//! ```
//!
//! Pure; the agent authenticates, finds the way, and keeps the transactions.
//!
//! Not supported: MSRP (RFC 4975), multipart and HTML bodies, messages by reference. A message that has
//! outlived its Expires is brought all the same, which RFC 3428 §7 leaves to us.
//!
//! "A UAC MUST NOT initiate a new out-of-dialog MESSAGE transaction to a given URI if there is a
//! previous out-of-dialog transaction pending for the same URI" (RFC 3428 §8): held for each
//! conversation. Two people who write to a third do not wait for each other, as behind a proxy.

pub mod composing;
pub mod cpim;
pub mod date;
pub mod imdn;
pub mod incoming;
pub(crate) mod outgoing;
mod status;
mod xml;

pub use incoming::{Content, Text, read};
pub(crate) use outgoing::{Ids, Letter, noticed};
pub(crate) use status::{handover, to_status};

/// Text as everybody sends and shows it (RFC 3428 §4 and §7).
pub(crate) const TEXT: &str = "text/plain";
/// A message with headers of its own (RFC 3862).
pub(crate) const CPIM: &str = "message/cpim";
/// What the bodies are that we read, as Accept tells them (RFC 3261 §20.1).
pub(crate) const ACCEPT: &str =
    "text/plain, message/cpim, message/imdn+xml, application/im-iscomposing+xml";

#[cfg(test)]
mod tests;
