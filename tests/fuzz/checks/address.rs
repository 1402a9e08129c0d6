//! What must hold of whatever the address parser is given.

use gateway_core::address::MAX_ADDRESS_BYTES;
use gateway_core::{Address, AddressFault};

/// What is accepted is printed and read again as the same address, and its user part shows in no
/// log. Whether the bytes were accepted is returned.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Ok(address) = text.parse::<Address>() else { return false };
    assert!(text.len() <= MAX_ADDRESS_BYTES);
    assert!(!address.name().is_empty());
    let printed = address.to_string();
    assert!(!printed.contains(['\r', '\n', '\0', ' ']), "{}", printed.escape_debug());
    match printed.parse::<Address>() {
        Ok(again) => assert!(again == address, "{} became {again}", text.escape_debug()),
        // Escapes take three times the space.
        Err(AddressFault::TooLong) => assert!(printed.len() > MAX_ADDRESS_BYTES),
        Err(fault) => panic!("{fault}: {}", printed.escape_debug()),
    }
    if let Some(user) = address.user.as_deref().filter(|user| user.len() > 3) {
        let hidden = format!("{address:?}");
        let shown = hidden.split('@').next().unwrap_or_default();
        assert!(!shown[address.scheme.as_str().len()..].contains(user), "{hidden}");
    }
    true
}
