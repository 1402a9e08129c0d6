//! Identities: newtypes, so that a leg is never taken for a port nor a trunk for an account.

use std::fmt;
use std::sync::Arc;

/// How many consecutive leg ids belong to one call: its caller leg has the first of them.
pub const LEGS_PER_CALL: u64 = 256;

/// One party's side of a call. Unique for the life of the process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId(pub u64);

/// The gateway's end of one leg's media. A leg has one port, and they share their number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId(pub u64);

impl LegId {
    /// The port of this leg.
    #[must_use]
    pub const fn port(self) -> PortId {
        PortId(self.0)
    }
}

impl PortId {
    /// The leg this port belongs to.
    #[must_use]
    pub const fn leg(self) -> LegId {
        LegId(self.0)
    }
}

impl fmt::Debug for LegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "L{}", self.0)
    }
}

impl fmt::Debug for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "P{}", self.0)
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as it stands in the configuration.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self(name.into())
            }
        }

        impl From<String> for $name {
            fn from(name: String) -> Self {
                Self(name.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// One configured instance of an adapter: `procom`, `sip.local`, `sip.provider`.
    TrunkId
}
name! {
    /// One person or device owner, by its name in the configuration.
    AccountId
}

impl TrunkId {
    /// The network this trunk belongs to: the part before the first dot.
    #[must_use]
    pub fn network(&self) -> &str {
        self.0.split('.').next().unwrap_or(&self.0)
    }
}
