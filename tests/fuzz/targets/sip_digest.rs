//! Digest header fields.
#![no_main]

#[path = "../checks/sip_digest.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    checks::check(bytes);
});
