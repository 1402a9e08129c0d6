//! Substitutions of NAPTR records.
#![no_main]

#[path = "../checks/naptr.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    checks::check(bytes);
});
