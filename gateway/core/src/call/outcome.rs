//! What is kept of a call when it is over.

use std::time::{Duration, Instant};

use super::Call;
use super::party::{Life, Party};
use crate::address::Address;
use crate::cause::Cause;
use crate::ids::{LegId, TrunkId};
use crate::media::Protection;

/// What is kept of a call. Times are durations from its beginning: the shell knows the date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Who called.
    pub from: Address,
    /// Whom they asked for.
    pub to: Address,
    /// Why the call ended.
    pub cause: Cause,
    /// The same in words, where there are any.
    pub reason: Option<String>,
    /// When it was answered, if it was.
    pub answered_after: Option<Duration>,
    /// How long it lived.
    pub lived: Duration,
    /// Its legs, the caller's first.
    pub legs: Vec<LegRecord>,
}

/// What is kept of one leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegRecord {
    /// The leg.
    pub leg: LegId,
    /// The trunk it was on.
    pub trunk: TrunkId,
    /// Whether it was the caller's.
    pub is_caller: bool,
    /// Whether an adapter ever served it.
    pub was_dialled: bool,
    /// Why it ended.
    pub cause: Cause,
    /// How its media was protected, if it came to that.
    pub protection: Option<Protection>,
}

impl Call {
    pub(super) fn record(&self, now: Instant) -> Record {
        let (cause, reason) = self.history.verdict.clone().unwrap_or((Cause::Failed, None));
        Record {
            from: self.inquiry.origin.asserted.clone(),
            to: self.inquiry.to.clone(),
            cause,
            reason,
            answered_after: self.history.answered.map(|at| at - self.history.began),
            lived: now.saturating_duration_since(self.history.began),
            legs: self.parties().map(|party| self.leg_record(party)).collect(),
        }
    }

    fn leg_record(&self, party: &Party) -> LegRecord {
        LegRecord {
            leg: party.leg,
            trunk: party.trunk.clone(),
            is_caller: party.leg == self.caller.leg,
            was_dialled: party.leg == self.caller.leg || party.local.is_some(),
            cause: match party.life {
                Life::Ended(cause) => cause,
                Life::Preparing | Life::Setup | Life::Ringing | Life::Talking | Life::Ending => {
                    Cause::Failed
                }
            },
            protection: party.secured.as_ref().map(|secured| secured.protection),
        }
    }
}
