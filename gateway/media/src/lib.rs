//! Being built.

pub mod classify;
pub mod protection;
pub mod rtp;
pub mod srtp;
