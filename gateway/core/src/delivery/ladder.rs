//! The ladder of statuses: `queued`, `sent`, `delivered`, `read`, and `failed` from the first two.

use crate::message::Status;

/// Whether a message that has come as far as `from` may climb to `to`: never back, never twice, and
/// what a device of the recipient has does not fail any more.
#[must_use]
pub fn climbs(from: Status, to: Status) -> bool {
    match from {
        Status::Queued | Status::Sent => to > from,
        Status::Delivered | Status::Read => to > from && to != Status::Failed,
        Status::Failed => false,
    }
}
