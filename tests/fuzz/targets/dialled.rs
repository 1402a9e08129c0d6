//! What people dial.
#![no_main]

#[path = "../checks/dialled.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    checks::check(bytes);
});
