//! The gateway against real programs. Each test runs in a network namespace of its own; see
//! `gateway_tests::namespace`.

mod calls;
mod endings;
mod harness;
mod scene;
