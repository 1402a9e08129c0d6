//! Why a leg ended: one enum for all networks. Each adapter has one table from and to its own codes.

use std::fmt;

/// Why a leg ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// Somebody hung up.
    Normal,
    /// The callee is in another call.
    Busy,
    /// The callee said no.
    Declined,
    /// Nobody answered in time.
    NoAnswer,
    /// The caller gave up before an answer.
    Cancelled,
    /// Another device of the callee answered.
    AnsweredElsewhere,
    /// The leg was replaced by a transfer.
    Transferred,
    /// There is nobody of that address.
    NotFound,
    /// The address exists, but nothing there can be reached now.
    Unreachable,
    /// The two sides have no way of media in common.
    NotAcceptable,
    /// A rule of the gateway refuses it.
    Forbidden,
    /// The protection asked for cannot be had.
    Security,
    /// No media, or no consent to send it (RFC 7675), for too long.
    MediaTimeout,
    /// The gateway has more to do than it can.
    Overload,
    /// Something broke on the way.
    Failed,
    /// The gateway is stopping.
    Shutdown,
}

impl Cause {
    /// Every cause, in the order of their declaration.
    pub const ALL: [Self; 16] = [
        Self::Normal,
        Self::Busy,
        Self::Declined,
        Self::NoAnswer,
        Self::Cancelled,
        Self::AnsweredElsewhere,
        Self::Transferred,
        Self::NotFound,
        Self::Unreachable,
        Self::NotAcceptable,
        Self::Forbidden,
        Self::Security,
        Self::MediaTimeout,
        Self::Overload,
        Self::Failed,
        Self::Shutdown,
    ];

    /// The word on the Procom wire, in metrics and in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Busy => "busy",
            Self::Declined => "declined",
            Self::NoAnswer => "no-answer",
            Self::Cancelled => "cancelled",
            Self::AnsweredElsewhere => "answered-elsewhere",
            Self::Transferred => "transferred",
            Self::NotFound => "not-found",
            Self::Unreachable => "unreachable",
            Self::NotAcceptable => "not-acceptable",
            Self::Forbidden => "forbidden",
            Self::Security => "security",
            Self::MediaTimeout => "media-timeout",
            Self::Overload => "overload",
            Self::Failed => "failed",
            Self::Shutdown => "shutdown",
        }
    }

    /// The cause of that word, if there is one.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == word)
    }

    /// Whether another route to the same callee may be tried after this.
    ///
    /// A busy or unwilling callee is an answer; a network that could not reach it is not.
    #[must_use]
    pub const fn allows_another_route(self) -> bool {
        match self {
            Self::NoAnswer
            | Self::NotFound
            | Self::Unreachable
            | Self::NotAcceptable
            | Self::Security
            | Self::MediaTimeout
            | Self::Overload
            | Self::Failed => true,
            Self::Normal
            | Self::Busy
            | Self::Declined
            | Self::Cancelled
            | Self::AnsweredElsewhere
            | Self::Transferred
            | Self::Forbidden
            | Self::Shutdown => false,
        }
    }

    /// How much this cause says about the callee, when several devices failed: the highest is told
    /// to the caller.
    #[must_use]
    pub const fn weight(self) -> u8 {
        match self {
            Self::Declined => 9,
            Self::Busy => 8,
            Self::NoAnswer => 7,
            Self::Security => 6,
            Self::NotAcceptable => 5,
            Self::Forbidden => 4,
            Self::Overload => 3,
            Self::NotFound | Self::Unreachable => 2,
            Self::MediaTimeout | Self::Failed => 1,
            Self::Normal
            | Self::Cancelled
            | Self::AnsweredElsewhere
            | Self::Transferred
            | Self::Shutdown => 0,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Cause;

    #[test]
    fn every_cause_is_read_back_from_its_word() {
        for cause in Cause::ALL {
            assert_eq!(Cause::parse(cause.as_str()), Some(cause));
        }
        assert_eq!(Cause::parse("tired"), None);
    }
}
