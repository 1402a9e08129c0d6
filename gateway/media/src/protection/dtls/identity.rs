//! Who we are to DTLS peers, who they must be, and who opens (RFC 5763 §5, RFC 8122 §5).

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gateway_core::description::{Fingerprint, Setup};
use ring::digest;
use rtc_crypto::RTCCryptoProvider;
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig};
use rtc_dtls::crypto::Certificate;
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_shared::error::Error;
use subtle::ConstantTimeEq;

/// The first retransmission (RFC 6347 §4.2.4.1 recommends a second, RFC 9147 §5.8.2 less where that is known to do).
const FLIGHT_INTERVAL: Duration = Duration::from_millis(400);

/// Who we are to every DTLS peer: a certificate made at start, and how it is told in descriptions.
#[derive(Clone)]
pub struct Identity {
    pub(crate) provider: Arc<dyn RTCCryptoProvider>,
    certificate: Certificate,
    pub(super) fingerprint: Fingerprint,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// The system's cryptography gave no certificate.
#[derive(Debug, thiserror::Error)]
#[error("no certificate for DTLS could be made: {0}")]
pub struct NoIdentity(String);

impl Identity {
    /// Makes a self-signed ECDSA certificate on P-256.
    ///
    /// # Errors
    /// [`NoIdentity`] if the cryptography fails.
    pub fn generate() -> Result<Self, NoIdentity> {
        let provider =
            rtc_crypto::default_provider().map_err(|fault| NoIdentity(fault.to_string()))?;
        let names = vec!["gateway".to_owned()];
        let certificate = Certificate::generate_self_signed(names, provider.crypto())
            .map_err(|fault| NoIdentity(fault.to_string()))?;
        let der = certificate.certificate.first().ok_or(NoIdentity("empty".to_owned()))?;
        let bytes = digest::digest(&digest::SHA256, der.as_ref()).as_ref().to_vec();
        let fingerprint = Fingerprint { hash: "sha-256".to_owned(), bytes };
        Ok(Self { provider, certificate, fingerprint })
    }

    /// The fingerprint told to peers.
    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }
}

/// Who opens the association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Client,
    Server,
}

impl Role {
    /// Our role, and the word for it in our answer, by the peer's offer. Where we may choose, we open: that spares
    /// the round trip of a cookie, and no hello of a stranger means anything to us.
    pub(crate) fn by_offer(setup: Option<Setup>) -> Option<Self> {
        match setup {
            Some(Setup::ActPass | Setup::Passive) => Some(Self::Client),
            // An offer without the attribute is active (RFC 4145 §4).
            Some(Setup::Active) | None => Some(Self::Server),
            Some(Setup::HoldConn) => None,
        }
    }

    /// Our role by the peer's answer; one without the attribute is passive (RFC 4145 §4).
    pub(crate) fn by_answer(setup: Option<Setup>) -> Option<Self> {
        match setup {
            Some(Setup::Passive) | None => Some(Self::Client),
            Some(Setup::Active) => Some(Self::Server),
            Some(Setup::ActPass | Setup::HoldConn) => None,
        }
    }

    /// How an answer of ours tells it.
    pub(crate) fn setup(self) -> Setup {
        match self {
            Self::Client => Setup::Active,
            Self::Server => Setup::Passive,
        }
    }
}

/// Who the peer must be and who it showed to be, shared with the handshake, which asks in its own time.
#[derive(Clone, Default)]
pub(super) struct Peer(Arc<Mutex<PeerState>>);

#[derive(Default)]
struct PeerState {
    /// `None` until a description told: whoever comes is let in and remembered.
    expected: Option<Vec<Fingerprint>>,
    certificate: Option<Vec<u8>>,
    is_stranger: bool,
}

impl Peer {
    /// Says who it must be; false if it is somebody else already.
    pub(super) fn expect(&self, fingerprints: Vec<Fingerprint>) -> bool {
        let mut peer = self.state();
        if let Some(certificate) = peer.certificate.take() {
            peer.is_stranger = !is_expected(&certificate, &fingerprints);
        }
        peer.expected = Some(fingerprints);
        !peer.is_stranger
    }

    /// Whether nobody has said yet who it must be.
    pub(super) fn is_unknown(&self) -> bool {
        self.state().expected.is_none()
    }

    /// Whether it showed a certificate that is not the expected one.
    pub(super) fn is_stranger(&self) -> bool {
        self.state().is_stranger
    }

    /// Another attempt begins, in which it shows its certificate again.
    pub(super) fn forget_certificate(&self) {
        self.state().certificate = None;
    }

    fn verify(&self, certificate: Option<&Vec<u8>>) -> Result<(), Error> {
        let mut peer = self.state();
        let is_right = match (&peer.expected, certificate) {
            (Some(expected), Some(certificate)) => is_expected(certificate, expected),
            (None, Some(certificate)) => {
                peer.certificate = Some(certificate.clone());
                true
            }
            (_, None) => false,
        };
        if is_right {
            return Ok(());
        }
        peer.is_stranger = true;
        Err(Error::ErrNoMatchingCertificateFingerprint)
    }

    fn state(&self) -> MutexGuard<'_, PeerState> {
        // Each change is one assignment, so a panic leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The handshake's configuration.
pub(super) fn configure(identity: &Identity, role: Role, peer: &Peer) -> Option<HandshakeConfig> {
    let peer = peer.clone();
    let verify = move |chain: &[Vec<u8>], _: &[rustls_pki_types::CertificateDer<'static>]| {
        peer.verify(chain.first())
    };
    ConfigBuilder::default()
        .with_crypto_provider(identity.provider.clone())
        .with_certificates(vec![identity.certificate.clone()])
        .with_srtp_protection_profiles(vec![
            SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
            SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm,
            SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
        ])
        .with_client_auth(ClientAuthType::RequireAnyClientCert)
        // Certificates are self-signed: what is checked is the fingerprint, by the function below.
        .with_insecure_skip_verify(true)
        .with_verify_peer_certificate(Some(Arc::new(verify)))
        .with_extended_master_secret(ExtendedMasterSecretType::Request)
        .with_flight_interval(FLIGHT_INTERVAL)
        .build(role == Role::Client, None)
        .ok()
}

/// The hash functions that fingerprints are checked with.
pub(super) fn algorithm(hash: &str) -> Option<&'static digest::Algorithm> {
    match hash {
        "sha-256" => Some(&digest::SHA256),
        "sha-384" => Some(&digest::SHA384),
        "sha-512" => Some(&digest::SHA512),
        _ => None,
    }
}

/// Several fingerprints of one hash function are several certificates, of which one is used; several hash functions
/// are about the same certificate, so each must fit (RFC 8122 §5).
fn is_expected(certificate: &[u8], expected: &[Fingerprint]) -> bool {
    !expected.is_empty()
        && expected.iter().all(|one| {
            expected.iter().filter(|other| other.hash == one.hash).any(|other| {
                algorithm(&other.hash).is_some_and(|algorithm| {
                    let found = digest::digest(algorithm, certificate);
                    bool::from(found.as_ref().ct_eq(&other.bytes))
                })
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(hash: &str, of: &[u8]) -> Fingerprint {
        let algorithm = algorithm(hash).unwrap_or(&digest::SHA256);
        let bytes = digest::digest(algorithm, of).as_ref().to_vec();
        Fingerprint { hash: hash.to_owned(), bytes }
    }

    #[test]
    fn each_hash_function_must_fit_and_one_of_its_fingerprints_is_enough() {
        let (right, wrong) = (b"certificate", b"other");
        let fits = |expected: &[(&str, &[u8])]| {
            let expected: Vec<_> =
                expected.iter().map(|(hash, of)| fingerprint(hash, of)).collect();
            is_expected(right, &expected)
        };
        assert!(fits(&[("sha-256", right)]));
        assert!(fits(&[("sha-256", wrong), ("sha-256", right)]));
        assert!(fits(&[("sha-256", right), ("sha-512", right)]));
        assert!(!fits(&[("sha-256", right), ("sha-512", wrong)]));
        assert!(!fits(&[("sha-256", wrong)]));
        assert!(!fits(&[]));
    }

    #[test]
    fn nobody_answers_active_with_active() {
        for (setup, role) in [
            (Some(Setup::ActPass), Some(Role::Client)),
            (Some(Setup::Active), Some(Role::Server)),
            (Some(Setup::Passive), Some(Role::Client)),
            (None, Some(Role::Server)),
            (Some(Setup::HoldConn), None),
        ] {
            assert_eq!(Role::by_offer(setup), role);
        }
        assert_eq!(Role::Server.setup(), Setup::Passive);
        assert_eq!(Role::by_answer(Some(Setup::Active)), Some(Role::Server));
        assert_eq!(Role::by_answer(Some(Setup::ActPass)), None);
    }
}
