//! What answers to a MESSAGE mean (RFC 3428 §4, RFC 3261 §21), and which one a settlement becomes.

use gateway_core::Cause;
use gateway_core::message::{Handover, Settlement, Status};

use crate::cause;
use crate::stack::wire::{Response, reason_phrase};

/// The status that settles a MESSAGE. What is taken but not at its recipient's yet is 202, as a relay
/// that stores a message and forwards it later has to answer (RFC 3428 §7).
pub(crate) fn to_status(settlement: &Settlement) -> u16 {
    match settlement {
        Settlement::Taken(_, Status::Delivered | Status::Read, _) => 200,
        Settlement::Taken(_, Status::Queued | Status::Sent | Status::Failed, _) => 202,
        Settlement::Refused(cause, _) => cause::to_status(*cause),
    }
}

/// What a final answer to a MESSAGE of ours means. `is_phone`: it went straight to where a phone
/// registered, so that 200 is the word of the device; any other may be a relay's.
pub(crate) fn handover(response: &Response, is_phone: bool) -> Handover {
    let status = response.status();
    match status {
        200 if is_phone => return Handover::Taken(Status::Delivered),
        200..=299 => return Handover::Taken(Status::Sent),
        _ => {}
    }
    let meaning = cause::from_status(status);
    let why = reason(response);
    match response.fields().retry_after() {
        _ if !is_passing(status) => Handover::Never(meaning, why),
        Some(wait) => Handover::After(wait, meaning, why),
        None => Handover::Later(meaning, why),
    }
}

/// Whether the same message may be taken later.
fn is_passing(status: u16) -> bool {
    match status {
        // Nobody there, nobody in time, busy, a clash, or a server's trouble (RFC 3261 §21.4.9,
        // §21.4.18, §21.4.24, §21.4.25, §21.4.27).
        408 | 430 | 480 | 486 | 487 | 491 => true,
        // Of a message it means that it was delivered, but refused (RFC 3428 §7).
        600..=699 => false,
        // It will not understand us any better later (RFC 3261 §21.5.2, §21.5.6, §21.5.7).
        501 | 505 | 513 => false,
        500..=599 => true,
        _ => false,
    }
}

/// The words of the answer for the sender: those of its Warning, else those of its status.
fn reason(response: &Response) -> String {
    let status = response.status();
    let warning = response.fields().text("Warning").and_then(|value| {
        let quoted = value.split('"').nth(1)?;
        let clean: String = quoted.chars().filter(|c| !c.is_control()).take(120).collect();
        (!clean.is_empty()).then_some(clean)
    });
    let words = warning.unwrap_or_else(|| reason_phrase(status).to_owned());
    if matches!(status, 482 | 483) {
        return format!("the message went in a circle: {words} ({status})");
    }
    let subject = match cause::from_status(status) {
        Cause::NotAcceptable => "the recipient's side takes no such message",
        Cause::Forbidden => "the recipient's side does not let us",
        Cause::NotFound => "nobody has that address there",
        Cause::Normal
        | Cause::Busy
        | Cause::Declined
        | Cause::NoAnswer
        | Cause::Cancelled
        | Cause::AnsweredElsewhere
        | Cause::Transferred
        | Cause::Unreachable
        | Cause::Security
        | Cause::MediaTimeout
        | Cause::Overload
        | Cause::Failed
        | Cause::Shutdown => "the recipient's side answers",
    };
    format!("{subject}: {words} ({status})")
}
