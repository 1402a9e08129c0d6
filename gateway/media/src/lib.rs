//! Being built.

pub mod classify;
pub mod dtmf;
pub mod protection;
pub mod quality;
pub mod rewriter;
pub mod rtcp;
pub mod rtp;
pub mod srtp;
