//! What a person is told about the protection of a call. The weakest leg wins.

use crate::media::Protection;

/// How well a whole call is protected, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// At least one leg is not encrypted.
    Clear,
    /// Encrypted, but the keys of a leg crossed a wire that others can read.
    Exposed,
    /// Encrypted up to the gateway, which holds session keys while the call lasts.
    Hop,
    /// No key outside the two ends.
    EndToEnd,
}

impl Level {
    /// The word on the Procom wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Exposed => "exposed",
            Self::Hop => "hop",
            Self::EndToEnd => "e2ee",
        }
    }
}

/// How one leg is protected, as it was negotiated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegSecurity {
    /// The network of the leg.
    pub network: String,
    /// How its datagrams are secured.
    pub protection: Protection,
    /// The cipher suite by its registered name; empty for clear.
    pub suite: String,
    /// The short authentication string of ZRTP (RFC 6189 §7), where there is one.
    pub sas: Option<String>,
    /// The keys crossed signalling that was not encrypted.
    pub keys_exposed: bool,
}

impl LegSecurity {
    /// The level of this leg alone, when the gateway opens and seals its media.
    #[must_use]
    pub const fn level(&self) -> Level {
        match (self.protection, self.keys_exposed) {
            (Protection::Clear, _) => Level::Clear,
            (Protection::Sdes, true) => Level::Exposed,
            (Protection::Sdes, false) | (Protection::Dtls | Protection::Zrtp, _) => Level::Hop,
        }
    }
}

/// What both legs of a call are told whenever it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The weakest leg's level.
    pub level: Level,
    /// Whether people compared fingerprints or strings. Always false where the gateway holds keys.
    pub verified: bool,
    /// Local and remote certificate fingerprints as the receiver of this report sees them.
    pub fingerprints: Option<(String, String)>,
    /// The legs, the receiver's own first.
    pub legs: Vec<LegSecurity>,
    /// Who holds keys of this call, in the order of the media's way.
    pub keys: Vec<String>,
}
