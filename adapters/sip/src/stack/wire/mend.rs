//! A mistake of many phones, forgiven: "any given parameter-name MUST NOT appear more than once"
//! (RFC 3261 §19.1.1), but baresip before 2.0 appends its transport to a URI that has it already.
//!
//! The same transport twice becomes once; two different ones stay an error.

use bytes::Bytes;

const TRANSPORTS: [&str; 3] = ["udp", "tcp", "tls"];

/// Mends start line and headers of a message, credentials excepted: their URI was hashed as it
/// stands. `None` when there is nothing to mend.
pub(super) fn message(bytes: &Bytes) -> Option<Bytes> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut is_mended = false;
    let mend = |line: &str| {
        let lower = line.to_ascii_lowercase();
        let is_secret = lower.starts_with("authorization") || lower.starts_with("proxy-auth");
        match text(line).filter(|_| !is_secret) {
            Some(mended) => {
                is_mended = true;
                mended
            }
            None => line.to_owned(),
        }
    };
    let lines: Vec<String> = head.split("\r\n").map(mend).collect();
    let mut out = lines.join("\r\n").into_bytes();
    out.extend_from_slice(&bytes[end..]);
    is_mended.then(|| Bytes::from(out))
}

/// Mends one line or URI; `None` when there is nothing to mend.
pub(super) fn text(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    TRANSPORTS.iter().find_map(|transport| {
        let once = format!(";transport={transport}");
        let at = lower.find(&format!("{once}{once}"))?;
        Some(format!("{}{}", &text[..at + once.len()], &text[at + 2 * once.len()..]))
    })
}
