//! SDP.
#![no_main]

#[path = "../checks/sdp.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    checks::check(bytes);
});
