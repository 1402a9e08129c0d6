//! What the machines cannot make themselves: random ids, and the ids of legs. An argument to them.

use gateway_core::LegId;

/// Gives what must be new each time.
pub(crate) trait Fresh {
    /// Random bytes nobody can guess.
    fn bytes(&mut self) -> [u8; 32];
    /// An id for a new incoming leg.
    fn leg(&mut self) -> LegId;
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all that is written");
        text
    })
}
