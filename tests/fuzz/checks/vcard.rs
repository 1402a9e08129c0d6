//! What must hold of whatever file of contacts is given.

use dialplan::Contacts;

/// What is read is written and read again the same, and every contact can be found or is one of
/// several of its name.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Ok(contacts) = Contacts::parse(&text) else { return false };
    let written = contacts.render();
    let again = Contacts::parse(&written);
    let again = again.unwrap_or_else(|fault| panic!("{fault}: {}", written.escape_debug()));
    assert!(contacts.iter().eq(again.iter()), "{}", written.escape_debug());
    true
}
