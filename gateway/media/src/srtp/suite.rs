//! The protections of SRTP that this gateway speaks, by all their names and lengths.
//!
//! ```text
//!            bytes of key salt RTP tag RTCP tag  SDES (RFC 4568 §6.2)      DTLS
//! CM 128, 80 bits   16   14      10       10  AES_CM_128_HMAC_SHA1_80   0x0001 (RFC 5764 §4.1.2)
//! CM 128, 32 bits   16   14       4       10  AES_CM_128_HMAC_SHA1_32   0x0002 (RFC 5764 §4.1.2)
//! CM 256, 80 bits   32   14      10       10  AES_256_CM_HMAC_SHA1_80   -      (RFC 6188)
//! CM 256, 32 bits   32   14       4       10  AES_256_CM_HMAC_SHA1_32   -      (RFC 6188)
//! GCM 128           16   12      16       16  AEAD_AES_128_GCM          0x0007 (RFC 7714 §14.2)
//! GCM 256           32   12      16       16  AEAD_AES_256_GCM          0x0008 (RFC 7714 §14.2)
//! ```

/// Cipher, tag and key lengths of one SRTP protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Suite {
    /// AES in counter mode, 128 bits, with HMAC-SHA1 cut to 80 bits (RFC 3711 §4).
    AesCm128HmacSha1_80,
    /// The same with 32-bit tags on RTP; RTCP keeps 80 bits (RFC 4568 §6.2.2).
    AesCm128HmacSha1_32,
    /// AES in counter mode, 256 bits, with HMAC-SHA1 cut to 80 bits (RFC 6188 §2).
    AesCm256HmacSha1_80,
    /// The same with 32-bit tags on RTP; RTCP keeps 80 bits (RFC 6188 §2).
    AesCm256HmacSha1_32,
    /// AES-GCM, 128 bits (RFC 7714).
    AeadAes128Gcm,
    /// AES-GCM, 256 bits (RFC 7714).
    AeadAes256Gcm,
}

impl Suite {
    /// Every suite, in the order this gateway prefers them.
    ///
    /// GCM 128 first: strong, and less than half the work of any other. The suites with 32-bit tags
    /// come last, because one forgery in 2^32 gets through (RFC 3711 §7.5).
    pub const PREFERRED: [Self; 6] = [
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
        Self::AesCm256HmacSha1_80,
        Self::AesCm128HmacSha1_80,
        Self::AesCm256HmacSha1_32,
        Self::AesCm128HmacSha1_32,
    ];

    /// The name in an `a=crypto` line (RFC 4568 §6.2, RFC 6188 §5.1, RFC 7714 §14.1).
    pub const fn sdes_name(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AesCm256HmacSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Self::AesCm256HmacSha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// The suite of an `a=crypto` line; names are tokens of the grammar and compared without regard
    /// to case.
    pub fn from_sdes_name(name: &str) -> Option<Self> {
        Self::PREFERRED.into_iter().find(|suite| suite.sdes_name().eq_ignore_ascii_case(name))
    }

    /// The number in DTLS's `use_srtp` extension (RFC 5764 §4.1.2, RFC 7714 §14.2); AES-256-CM has
    /// none.
    pub const fn dtls_profile(self) -> Option<u16> {
        match self {
            Self::AesCm128HmacSha1_80 => Some(0x0001),
            Self::AesCm128HmacSha1_32 => Some(0x0002),
            Self::AesCm256HmacSha1_80 | Self::AesCm256HmacSha1_32 => None,
            Self::AeadAes128Gcm => Some(0x0007),
            Self::AeadAes256Gcm => Some(0x0008),
        }
    }

    /// The suite with this number in DTLS's `use_srtp` extension.
    pub fn from_dtls_profile(profile: u16) -> Option<Self> {
        Self::PREFERRED.into_iter().find(|suite| suite.dtls_profile() == Some(profile))
    }

    /// Bytes of the master key, and of each session key for encryption.
    pub const fn key_bytes(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 | Self::AeadAes128Gcm => 16,
            Self::AesCm256HmacSha1_80 | Self::AesCm256HmacSha1_32 | Self::AeadAes256Gcm => 32,
        }
    }

    /// Bytes of the master salt, and of each session salt.
    pub const fn salt_bytes(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80
            | Self::AesCm128HmacSha1_32
            | Self::AesCm256HmacSha1_80
            | Self::AesCm256HmacSha1_32 => 14,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
        }
    }

    /// Bytes to ask of the TLS exporter: two keys and two salts (RFC 5764 §4.2).
    pub const fn exporter_bytes(self) -> usize {
        2 * (self.key_bytes() + self.salt_bytes())
    }

    /// Bytes by which sealing makes an RTP packet longer: its tag.
    pub const fn rtp_tail_bytes(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm256HmacSha1_80 => 10,
            Self::AesCm128HmacSha1_32 | Self::AesCm256HmacSha1_32 => 4,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
        }
    }

    /// Bytes by which sealing makes an RTCP packet longer: its tag and the index word
    /// (RFC 3711 §3.4).
    pub const fn rtcp_tail_bytes(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80
            | Self::AesCm128HmacSha1_32
            | Self::AesCm256HmacSha1_80
            | Self::AesCm256HmacSha1_32 => 10 + 4,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16 + 4,
        }
    }
}
