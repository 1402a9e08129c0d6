//! Being built.

pub mod classify;
pub mod rtp;
pub mod srtp;
