//! Addresses.
#![no_main]

#[path = "../checks/address.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    checks::check(bytes);
});
