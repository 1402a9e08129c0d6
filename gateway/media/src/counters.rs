//! Numbers for the metrics, shared between a worker and whoever reads them.
//!
//! Plain atomics: the media plane counts, the gateway reads [`Counters::snapshot`] when it is asked for its metrics.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use gateway_core::media::Protection;

/// Whether a packet came in or goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From a peer.
    In,
    /// To a peer.
    Out,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Outcome {
    /// Taken or sent.
    Passed,
    /// From an address that is not the peer's.
    WrongSource,
    /// Its tag is wrong, or its connectivity check has no valid integrity.
    NotAuthentic,
    /// Seen before, or too old to tell.
    Replayed,
    /// Not what its first byte promises.
    Malformed,
    /// There are no keys yet.
    NoKeys,
    /// The direction does not allow it, or nobody is joined.
    NotWanted,
    /// The other side has not agreed to its codec.
    NoCodec,
    /// It has no place in the stream to the receiver.
    OutOfPlace,
    /// There is no consent, or no address, to send it to.
    NoRoute,
    /// More than the budget for it.
    Excess,
}

impl Outcome {
    /// Every outcome, in the order of their declaration.
    pub const ALL: [Self; 11] = [
        Self::Passed,
        Self::WrongSource,
        Self::NotAuthentic,
        Self::Replayed,
        Self::Malformed,
        Self::NoKeys,
        Self::NotWanted,
        Self::NoCodec,
        Self::OutOfPlace,
        Self::NoRoute,
        Self::Excess,
    ];

    /// The word in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::WrongSource => "wrong-source",
            Self::NotAuthentic => "not-authentic",
            Self::Replayed => "replayed",
            Self::Malformed => "malformed",
            Self::NoKeys => "no-keys",
            Self::NotWanted => "not-wanted",
            Self::NoCodec => "no-codec",
            Self::OutOfPlace => "out-of-place",
            Self::NoRoute => "no-route",
            Self::Excess => "excess",
        }
    }
}

/// Protections in the order of the metrics.
pub const PROTECTIONS: [Protection; 4] =
    [Protection::Clear, Protection::Sdes, Protection::Dtls, Protection::Zrtp];

/// Counts of one worker, or of all.
#[derive(Debug, Default)]
pub struct Counters {
    packets_in: [AtomicU64; Outcome::ALL.len()],
    packets_out: [AtomicU64; Outcome::ALL.len()],
    ports_active: [AtomicI64; PROTECTIONS.len()],
    panics: AtomicU64,
}

impl Counters {
    /// Counts one packet.
    pub fn count(&self, way: Way, outcome: Outcome) {
        let counts = match way {
            Way::In => &self.packets_in,
            Way::Out => &self.packets_out,
        };
        counts[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many packets had this outcome so far.
    #[must_use]
    pub fn packets(&self, way: Way, outcome: Outcome) -> u64 {
        let counts = match way {
            Way::In => &self.packets_in,
            Way::Out => &self.packets_out,
        };
        counts[outcome as usize].load(Ordering::Relaxed)
    }

    /// How many ports are open under this protection.
    #[must_use]
    pub fn ports_active(&self, protection: Protection) -> i64 {
        self.ports_active[index(protection)].load(Ordering::Relaxed)
    }

    /// How many ports were closed because of a fault of our own.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// All packet counts as `(direction, outcome, count)`, in a fixed order.
    #[must_use]
    pub fn snapshot(&self) -> Vec<(&'static str, &'static str, u64)> {
        let of = |way, word| {
            Outcome::ALL.map(|outcome| (word, outcome.as_str(), self.packets(way, outcome)))
        };
        [of(Way::In, "in"), of(Way::Out, "out")].concat()
    }

    pub(crate) fn port_opened(&self, protection: Protection) {
        self.ports_active[index(protection)].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn port_closed(&self, protection: Protection) {
        self.ports_active[index(protection)].fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }
}

const fn index(protection: Protection) -> usize {
    match protection {
        Protection::Clear => 0,
        Protection::Sdes => 1,
        Protection::Dtls => 2,
        Protection::Zrtp => 3,
    }
}
