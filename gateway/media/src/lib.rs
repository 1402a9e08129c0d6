//! Being built.

pub mod classify;
pub mod protection;
pub mod rewriter;
pub mod rtp;
pub mod srtp;
