//! How datagrams are secured: the ways to come to keys.

pub mod sdes;
