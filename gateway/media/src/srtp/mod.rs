//! SRTP and SRTCP as a transform in place (RFC 3711, RFC 6188, RFC 7714).
//!
//! The ciphers are other people's, and reviewed (`aes`, `ctr`, `hmac`, `sha1`, `ring`); what is
//! here is what RFC 3711 puts around them: key derivation, the guess of the roll-over counter, the
//! replay window and the order of checks.
//!
//! ```text
//!  MasterKey (SDES or DTLS) --> Opener:  datagram --> open_rtp, open_rtcp --> clear packet
//!                          \--> Sealer:  clear packet --> seal_rtp, seal_rtcp --> datagram
//! ```
//!
//! A packet costs no allocation, except the first of each SSRC. Keys are wiped when dropped and
//! never printed. Not supported: MKI, `<From, To>`, key derivation rates other than 0 and
//! unencrypted SRTP or SRTCP; none of them is ever offered by us, and an offer that demands one is
//! declined.

mod cipher;
mod context;
mod keys;
mod suite;
#[cfg(test)]
mod tests;
mod window;

#[cfg(test)]
pub(crate) use tests::hex;

pub use context::{MAX_STREAMS, Opener, Refused, Sealer};
pub use keys::MasterKey;
pub use suite::Suite;

/// Room behind a clear packet that is enough for the tail of every suite, in bytes.
pub const MAX_TAIL_BYTES: usize = 20;
