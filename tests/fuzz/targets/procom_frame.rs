//! Frames of the Procom wire. Their reader is private: its source is built in here.
#![no_main]

#[allow(dead_code, unused_imports, reason = "only the reader is wanted")]
#[path = "../../../gateway/procom/src"]
mod procom {
    pub(crate) mod dialled;
    pub(crate) mod frame;
    pub(crate) mod secret;
}
use procom::{dialled, frame, secret};

#[path = "../checks/procom_frame.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    checks::check(bytes);
});
