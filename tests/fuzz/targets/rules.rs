//! Files of rules.
#![no_main]

#[path = "../checks/rules.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    checks::check(bytes);
});
