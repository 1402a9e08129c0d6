//! Host names in any script (IDNA, UTS 46) and literal addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The ASCII form of a host: for the DNS and for SIP (RFC 3261 §25.1 knows no other). A literal
/// IPv6 address keeps its brackets.
///
/// # Errors
/// What is wrong with it.
pub(super) fn to_ascii(host: &str) -> Result<String, &'static str> {
    if let Some(inside) = host.strip_prefix('[') {
        let inside = inside.strip_suffix(']').ok_or("the bracket of the address is not closed")?;
        let ip = inside.parse::<Ipv6Addr>().map_err(|_| "that is no IPv6 address")?;
        return Ok(format!("[{ip}]"));
    }
    if let Ok(ip) = host.parse::<Ipv4Addr>() {
        return Ok(ip.to_string());
    }
    if host.is_empty() {
        return Err("there is no host");
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    // Labels of services (`_sip`) are no hosts, but private networks do name hosts with `_`.
    let ascii = idna::domain_to_ascii(host).map_err(|_| "that is no name of a host")?;
    let is_fine = |letter: u8| letter.is_ascii_alphanumeric() || b".-_".contains(&letter);
    let has_labels = ascii.split('.').all(|label| !label.is_empty() && label.len() <= 63);
    if ascii.len() > 253 || !has_labels || !ascii.bytes().all(is_fine) {
        return Err("that is no name of a host");
    }
    // What is all numbers but no address is neither: 1.2.3.400 (RFC 1123 §2.1).
    let last = ascii.rsplit('.').next().unwrap_or(&ascii);
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("that is neither an address nor a name");
    }
    Ok(ascii)
}

/// The form people read, of a host in its ASCII form (RFC 7622 §3.2 keeps JIDs in it).
pub(super) fn to_unicode(ascii: &str) -> String {
    let (unicode, is_fine) = idna::domain_to_unicode(ascii);
    match (is_fine, to_ascii(&unicode)) {
        (Ok(()), Ok(back)) if back == ascii => unicode,
        (Ok(()) | Err(_), Ok(_) | Err(_)) => ascii.to_owned(),
    }
}
