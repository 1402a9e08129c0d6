//! What must hold of whatever substitution the DNS gives (RFC 3402 §3.2).

use dialplan::lookup::substitution::{MAX_RESULT_BYTES, apply};

/// A result is short and has no control characters. Whatever it is, it takes no time worth naming.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Ok(result) = apply(&text, "+4532123456") else { return false };
    assert!(result.len() <= MAX_RESULT_BYTES);
    assert!(!result.contains(char::is_control), "{}", result.escape_debug());
    true
}
