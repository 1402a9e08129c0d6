//! Texts inside a call: what a leg's data channel carries, from the media plane to the adapter and
//! back. What the texts mean is the adapter's business.
//!
//! ```text
//! peer <--SCTP over DTLS--> port --ChannelEvent--> Call --ChannelEvent--> adapter
//!                                <--ChannelCommand--    <--ChannelCommand--
//! ```

use std::fmt;

/// The longest text a channel carries, in bytes; descriptions say so (RFC 8841 §6).
pub const MAX_CHANNEL_TEXT: usize = 64 * 1024;

/// One text of a channel. Never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct ChannelText(String);

impl ChannelText {
    /// The text as it came.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for ChannelText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for ChannelText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// What becomes of a leg's channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelEvent {
    /// The peer opened it: texts may go both ways.
    Opened,
    /// The peer said something.
    Heard(ChannelText),
    /// It is gone; what was said last may not have arrived. The peer may open another.
    Closed,
}

/// What an adapter asks of a leg's channel. A channel that is not open is asked in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelCommand {
    /// Say this to the peer.
    Say(ChannelText),
    /// Close it; the call goes on.
    Close,
}
