//! RTCP packets.
#![no_main]
#![allow(dead_code, reason = "the checks of the media plane stand in one file")]

#[path = "../checks/media.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::check_rtcp(bytes));
