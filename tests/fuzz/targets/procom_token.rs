//! Tokens.
#![no_main]

#[path = "../checks/procom_token.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    checks::check(bytes);
});
