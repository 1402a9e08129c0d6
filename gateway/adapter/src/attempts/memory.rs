//! What one life of the gateway tells the next about who signed in from where: keyed hashes, so that
//! the store holds neither a network nor a name (HMAC-SHA-256, RFC 2104).

use std::fmt;
use std::net::IpAddr;

use ring::hmac;
use zeroize::Zeroizing;

/// A keyed hash of an account, or of a network or device with an account.
pub type Mark = [u8; 16];

/// An account signed in from a network or with a device: what is kept of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acquaintance {
    /// The keyed hash of the account.
    pub account: Mark,
    /// The keyed hash of network and account, or of device and account.
    pub pair: Mark,
    /// The day of the last use, in days since 1970.
    pub day: u32,
}

/// What earlier lives learned, and the key of its hashes. The key is wiped on drop.
#[derive(Clone)]
pub struct Memory {
    key: Zeroizing<[u8; 32]>,
    known: Vec<Acquaintance>,
}

impl Memory {
    /// With the key of this installation.
    #[must_use]
    pub fn new(key: [u8; 32], known: Vec<Acquaintance>) -> Self {
        Self { key: Zeroizing::new(key), known }
    }

    /// What earlier lives learned, oldest use first.
    #[must_use]
    pub fn known(&self) -> &[Acquaintance] {
        &self.known
    }

    pub(super) fn marks(&self, scope: &'static str) -> Marks {
        Marks { key: hmac::Key::new(hmac::HMAC_SHA256, &*self.key), scope }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({} acquaintances)", self.known.len())
    }
}

/// Makes the hashes of one scope. `ring` does not wipe its keys.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    key: hmac::Key,
    scope: &'static str,
}

impl Marks {
    pub(super) fn account(&self, name: &str) -> Mark {
        self.of(&format!("{} account {name}", self.scope))
    }

    /// A network has no blank in it, so what follows the blank is the name.
    pub(super) fn pair(&self, network: IpAddr, name: &str) -> Mark {
        self.of(&format!("{} pair {network} {name}", self.scope))
    }

    /// The bytes of a device have a length of their own, so what follows them is the name.
    pub(super) fn device(&self, device: [u8; 16], name: &str) -> Mark {
        self.of(&format!("{} device {:032x} {name}", self.scope, u128::from_be_bytes(device)))
    }

    fn of(&self, text: &str) -> Mark {
        let tag = hmac::sign(&self.key, text.as_bytes());
        tag.as_ref().first_chunk().copied().expect("SHA-256 has 32 bytes")
    }
}
