//! STUN messages.
#![no_main]

use std::cell::RefCell;

#[path = "../checks/stun.rs"]
mod checks;

thread_local! {
    static STRANGER: RefCell<checks::Stranger> = RefCell::new(checks::Stranger::new());
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    STRANGER.with_borrow_mut(|stranger| stranger.check(bytes));
});
