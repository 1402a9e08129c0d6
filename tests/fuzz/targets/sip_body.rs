//! Bodies of SIP messages.
#![no_main]

#[path = "../checks/sip_body.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    checks::check(bytes);
});
