//! Causes to status codes and back (RFC 3261 §21; RFC 3398 §8.2.6.1 for what they mean to others).

use gateway_core::Cause;

/// The final response that refuses an INVITE for this cause.
pub fn to_status(cause: Cause) -> u16 {
    match cause {
        Cause::Busy => 486,                            // RFC 3261 §21.4.24
        Cause::Declined => 603,                        // RFC 3261 §21.6.2
        Cause::Cancelled => 487,                       // RFC 3261 §21.4.25
        Cause::NotFound => 404,                        // RFC 3261 §21.4.5
        Cause::NotAcceptable | Cause::Security => 488, // RFC 3261 §21.4.26
        Cause::Forbidden => 403,                       // RFC 3261 §21.4.4
        Cause::Overload | Cause::Shutdown => 503,      // RFC 3261 §21.5.4
        Cause::Failed | Cause::MediaTimeout => 500,    // RFC 3261 §21.5.1
        Cause::Normal
        | Cause::NoAnswer
        | Cause::AnsweredElsewhere
        | Cause::Transferred
        | Cause::Unreachable => 480, // RFC 3261 §21.4.18
    }
}

/// What a final response of 300 or above to an INVITE of ours means.
///
/// Not supported: following redirections (3xx); whoever wants calls elsewhere says so in a route.
pub fn from_status(status: u16) -> Cause {
    match status {
        300..=399 => Cause::Unreachable,     // RFC 3261 §21.3
        401 | 403 | 407 => Cause::Forbidden, // RFC 3261 §21.4.2, §21.4.4, §21.4.8
        // A call that goes in a circle must not be tried by yet another route at every turn.
        482 | 483 => Cause::Forbidden, // RFC 3261 §21.4.20, §21.4.21
        404 | 410 | 484 | 485 | 604 => Cause::NotFound, // RFC 3261 §21.4.5, §21.6.3
        406 | 415 | 416 | 420 | 488 | 606 => Cause::NotAcceptable, // RFC 3261 §21.4.26, §21.6.4
        408 => Cause::NoAnswer,        // RFC 3261 §21.4.9
        480 | 502 | 504 => Cause::Unreachable, // RFC 3261 §21.4.18, §21.5.5
        486 | 600 => Cause::Busy,      // RFC 3261 §21.4.24, §21.6.1
        487 => Cause::Cancelled,       // RFC 3261 §21.4.25
        493 | 494 => Cause::Security,  // RFC 3261 §21.4.28, RFC 3329 §2
        503 => Cause::Overload,        // RFC 3261 §21.5.4
        603 | 607 => Cause::Declined,  // RFC 3261 §21.6.2, RFC 8197 §4
        _ => Cause::Failed,
    }
}

/// The Reason header of a BYE or CANCEL for this cause (RFC 3326 §2).
pub fn reason(cause: Cause) -> Option<&'static str> {
    match cause {
        Cause::AnsweredElsewhere => Some("SIP;cause=200;text=\"Call completed elsewhere\""),
        Cause::MediaTimeout => Some("Q.850;cause=102;text=\"No media\""),
        Cause::Overload => Some("Q.850;cause=42"),
        Cause::Security => Some("Q.850;cause=58"),
        Cause::Failed => Some("Q.850;cause=41"),
        Cause::Shutdown => Some("Q.850;cause=27"),
        Cause::NoAnswer => Some("Q.850;cause=19"),
        Cause::Normal
        | Cause::Busy
        | Cause::Declined
        | Cause::Cancelled
        | Cause::Transferred
        | Cause::NotFound
        | Cause::Unreachable
        | Cause::NotAcceptable
        | Cause::Forbidden => None,
    }
}

/// What the Reason header of a peer's BYE or CANCEL says, if it says more than its method.
pub fn from_reason(value: Option<&str>) -> Option<Cause> {
    let value = value?.to_ascii_lowercase().replace(' ', "");
    let is_elsewhere = value.starts_with("sip;") && value.contains("cause=200");
    is_elsewhere.then_some(Cause::AnsweredElsewhere)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_with_a_status_of_its_own_makes_the_round_trip() {
        for cause in [
            Cause::Busy,
            Cause::Declined,
            Cause::Cancelled,
            Cause::NotFound,
            Cause::NotAcceptable,
            Cause::Forbidden,
            Cause::Overload,
            Cause::Unreachable,
            Cause::Failed,
        ] {
            assert_eq!(from_status(to_status(cause)), cause);
        }
    }

    #[test]
    fn every_status_means_something_and_every_cause_refuses() {
        for status in 300..700 {
            let _ = from_status(status);
        }
        for cause in Cause::ALL {
            assert!((400..700).contains(&to_status(cause)));
        }
    }

    #[test]
    fn a_call_answered_elsewhere_is_recognised() {
        let value = reason(Cause::AnsweredElsewhere);
        assert_eq!(from_reason(value), Some(Cause::AnsweredElsewhere));
        assert_eq!(from_reason(Some("Q.850;cause=16")), None);
    }
}
