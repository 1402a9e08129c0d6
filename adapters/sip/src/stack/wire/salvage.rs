//! The answer to a request that cannot be parsed: a 400 made from the lines that can be found.
//!
//! RFC 4475 §3.1.2 asks for a 400 where the message still shows whom to answer. Raw bytes enter,
//! a rendered response leaves.

use bytes::Bytes;

const ECHOED: [&str; 9] = ["via", "v", "from", "f", "to", "t", "call-id", "i", "cseq"];
/// A longer echo would let a stranger make us send more than a request of ours would be.
const MAX_ECHO_BYTES: usize = 8 * 1024;
/// What an answer may have more than its question.
const MAX_MORE_BYTES: usize = 120;

/// Makes a 400 for bytes the parser refused; `None` when they are a response, an ACK (never
/// answered, RFC 3261 §8.2.6), or show no Via. The answer is never longer than
/// 120 bytes more than the input: where bare line feeds, which grow to CR LF, would make it
/// so, there is none.
pub fn salvage(raw: &[u8]) -> Option<Bytes> {
    let end = raw.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(raw.len());
    let head = &raw[..end];
    if raw.starts_with(b"SIP/") || raw.starts_with(b"ACK ") {
        return None;
    }
    let mut lines = head.split(|&byte| byte == b'\n');
    let is_request = lines.next()?.windows(4).any(|four| four.eq_ignore_ascii_case(b"SIP/"));
    let mut out = b"SIP/2.0 400 Bad Request\r\n".to_vec();
    let (mut is_kept, mut has_via) = (false, false);
    for line in lines {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !matches!(line.first(), Some(b' ' | b'\t')) {
            let name = line.split(|&byte| byte == b':').next().unwrap_or(b"");
            // Gaps may stand before the colon (RFC 3261 §25.1, HCOLON), other controls may not.
            let name = String::from_utf8_lossy(name);
            let name = name.trim_end_matches([' ', '\t']).to_ascii_lowercase();
            is_kept = line.contains(&b':') && ECHOED.contains(&name.as_str());
            has_via |= is_kept && matches!(name.as_str(), "via" | "v");
        }
        if is_kept && !line.iter().any(|byte| matches!(byte, b'\r' | 0)) {
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    let is_brief = out.len() <= MAX_ECHO_BYTES.min(raw.len() + MAX_MORE_BYTES);
    (is_request && has_via && is_brief).then(|| Bytes::from(out))
}
