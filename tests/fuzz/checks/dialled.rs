//! What must hold of whatever a person may dial.

use dialplan::Home;
use dialplan::reading::read;

/// The longest text that is read.
const MAX_BYTES: usize = 1024;

/// What is read is printed and read again as the same addresses, and none has a line break. A refusal
/// names a place within the text.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let home = Home::new(Some("DK"), &[]).expect("Denmark has a numbering plan");
    let Ok(reading) = read(&text, &home) else { return false };
    assert!(!reading.addresses.is_empty());
    for address in &reading.addresses {
        let address = address.to_string();
        assert!(!address.contains(['\r', '\n', '\0', ' ']), "{}", address.escape_debug());
    }
    let printed = reading.to_string();
    // Escapes take three times the space.
    if printed.len() > MAX_BYTES {
        return true;
    }
    let again = read(&printed, &home);
    let again = again.unwrap_or_else(|refusal| panic!("{}: {refusal}", printed.escape_debug()));
    assert_eq!(again.to_string(), printed, "{}", text.escape_debug());
    true
}
