//! Files of contacts.
#![no_main]

#[path = "../checks/vcard.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    checks::check(bytes);
});
