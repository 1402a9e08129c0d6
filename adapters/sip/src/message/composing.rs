//! Somebody is writing, or has stopped (RFC 3994).

use super::xml;

/// The media type (RFC 3994).
pub const TYPE: &str = "application/im-iscomposing+xml";

/// Reads it: whether the writing goes on; `None` when it is something else.
pub fn parse(bytes: &[u8]) -> Option<bool> {
    let root = xml::parse(bytes).filter(|root| root.name == "isComposing")?;
    // Any state but `active` means idle (RFC 3994 §3.2).
    Some(root.child("state")?.text == "active")
}

/// Writes it.
pub fn render(is_on: bool) -> String {
    let state = if is_on { "active" } else { "idle" };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
         <isComposing xmlns=\"urn:ietf:params:xml:ns:im-iscomposing\"><state>{state}</state>\
         <contenttype>text/plain</contenttype></isComposing>\r\n"
    )
}
