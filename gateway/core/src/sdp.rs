//! SDP (RFC 8866) to and from [`Description`](crate::description::Description): the rendering
//! that SIP and WebRTC share.
//!
//! Reading is lenient where real endpoints are sloppy (line ends, order, unknown attributes) and
//! strict where it matters (sizes, numbers, one value per attribute). Session-level attributes are
//! spread over the media lines, which is where they are used.

mod parse;
mod render;
#[cfg(test)]
mod tests;

pub use parse::parse;
pub use render::render;

/// Largest SDP that is read, in bytes.
pub const MAX_SDP_BYTES: usize = 32 * 1024;
/// Most media lines that are read.
pub const MAX_MEDIA_LINES: usize = 16;
/// Most formats a media line may have.
pub const MAX_FORMATS: usize = 64;
/// Most candidates a media line may bring (security row 18).
pub const MAX_CANDIDATES: usize = 50;
/// Most `a=crypto` lines and fingerprints that are kept of a media line.
pub const MAX_KEYS: usize = 16;

/// Why a text is not a description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpFault {
    /// Longer than [`MAX_SDP_BYTES`].
    #[error("an SDP has at most {MAX_SDP_BYTES} bytes")]
    TooLong,
    /// It does not start with `v=0`.
    #[error("an SDP starts with v=0")]
    NoVersion,
    /// No media line.
    #[error("the SDP has no media line")]
    NoMedia,
    /// More media lines, formats or candidates than are read.
    #[error("line {0}: more media lines, formats or candidates than are allowed")]
    TooMany(usize),
    /// A line that cannot be read.
    #[error("line {0} cannot be read")]
    BadLine(usize),
}
