//! How datagrams are secured: the ways to come to keys.

pub mod dtls;
pub(crate) mod guard;
pub mod sdes;
