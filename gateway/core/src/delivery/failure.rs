//! Why a message could not be brought.

use crate::cause::Cause;

/// What is kept of the failures of a message's hops: the one that says most.
#[derive(Clone, Debug, Default)]
pub(super) struct Failures {
    worst: Option<Failure>,
}

#[derive(Clone, Debug)]
struct Failure {
    is_final: bool,
    cause: Cause,
    why: String,
}

impl Failures {
    /// Keeps a refusal for good more than an attempt that came to nothing, and of two alike the one
    /// with the weightier cause.
    pub(super) fn note(&mut self, is_final: bool, cause: Cause, why: String) {
        let weight = (is_final, cause.weight());
        let worst = self.worst.as_ref().map(|worst| (worst.is_final, worst.cause.weight()));
        if worst.is_none_or(|worst| worst <= weight) {
            self.worst = Some(Failure { is_final, cause, why });
        }
    }

    /// The reason to tell; nothing is kept then.
    pub(super) fn take(&mut self) -> Option<String> {
        self.worst.take().map(|failure| failure.why)
    }
}
