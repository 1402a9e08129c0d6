//! The certificate of the edge: our own, made on first start, or one of the configuration; and the
//! TLS that is spoken with it (1.2 and 1.3, suites with authenticated encryption only; RFC 9325).
//!
//! A self-signed certificate proves nothing by itself: its fingerprint is printed, to be compared.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use gateway_adapter::{AdapterFailed, Watched};
use rcgen::{CertificateParams, DnType, KeyPair};
use ring::digest::{SHA256, digest};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::ProcomConfig;

/// The files of a certificate made here, in the state folder.
const CERTIFICATE_FILE: &str = "procom-certificate.pem";
const KEY_FILE: &str = "procom-key.pem";

/// One certificate, as it was read.
struct Identity {
    server: Arc<ServerConfig>,
    fingerprint: String,
    is_configured: bool,
}

/// The certificate that is shown now: who renews the files need not restart the gateway.
pub(crate) struct Shown {
    config: ProcomConfig,
    state: PathBuf,
    first: Identity,
    latest: Mutex<(TlsAcceptor, Watched)>,
}

impl Shown {
    /// Reads the certificate, or makes one where there is none.
    ///
    /// # Errors
    /// A file cannot be read or written, or holds something else.
    pub(crate) fn load(
        config: &ProcomConfig,
        state: &Path,
        now: Instant,
    ) -> Result<Self, AdapterFailed> {
        let (certificate, key, _) = files(config, state);
        let watched = Watched::new([certificate, key], now);
        let first = load(config, state)?;
        let acceptor = TlsAcceptor::from(Arc::clone(&first.server));
        let latest = Mutex::new((acceptor, watched));
        Ok(Self { config: config.clone(), state: state.to_owned(), first, latest })
    }

    /// SHA-256 of the certificate the gateway began with, in hexadecimal pairs with colons.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.first.fingerprint
    }

    /// It is not self-made, so browsers may insist on it.
    pub(crate) const fn is_configured(&self) -> bool {
        self.first.is_configured
    }

    /// What the next connection is spoken to with. Files that cannot be used are told of, and what
    /// was shown before stays.
    pub(crate) fn acceptor(&self, now: Instant) -> TlsAcceptor {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.1.has_changed(now) {
            match load(&self.config, &self.state) {
                Ok(identity) => {
                    tracing::info!(
                        fingerprint = identity.fingerprint,
                        "a new certificate is shown"
                    );
                    latest.0 = TlsAcceptor::from(identity.server);
                }
                Err(fault) => tracing::error!(%fault, "the old certificate stays"),
            }
        }
        latest.0.clone()
    }
}

/// The certificate, its key, and whether they were configured.
fn files(config: &ProcomConfig, state: &Path) -> (PathBuf, PathBuf, bool) {
    match (&config.certificate, &config.key) {
        (Some(certificate), Some(key)) => (certificate.clone(), key.clone(), true),
        _ => (state.join(CERTIFICATE_FILE), state.join(KEY_FILE), false),
    }
}

fn load(config: &ProcomConfig, state: &Path) -> Result<Identity, AdapterFailed> {
    let (certificate, key, is_configured) = files(config, state);
    let is_there = certificate.exists() && key.exists();
    if !is_configured && !is_there {
        make(config, &certificate, &key)?;
    }
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&certificate)
        .and_then(Iterator::collect)
        .map_err(|fault| failed("read", &certificate, fault))?;
    let first =
        chain.first().ok_or_else(|| failed("read", &certificate, "no certificate in it"))?;
    let fingerprint = fingerprint(first);
    let private =
        PrivateKeyDer::from_pem_file(&key).map_err(|fault| failed("read", &key, fault))?;
    let mut server = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|fault| AdapterFailed::new("set up TLS", fault))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|fault| failed("use", &certificate, fault))?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Identity { server: Arc::new(server), fingerprint, is_configured })
}

fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let hash = digest(&SHA256, certificate);
    let pairs: Vec<String> = hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

fn make(config: &ProcomConfig, certificate: &Path, key: &Path) -> Result<(), AdapterFailed> {
    let fault = |fault: rcgen::Error| AdapterFailed::new("make a certificate", fault);
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let ip = config.listen.ip();
    if !ip.is_unspecified() && !ip.is_loopback() {
        names.push(ip.to_string());
    }
    let hosts = config.origins.iter().filter_map(|origin| Some(origin.split_once("://")?.1));
    names.extend(hosts.filter(|host| !host.contains([':', '['])).map(str::to_owned));
    let mut params = CertificateParams::new(names).map_err(fault)?;
    params.distinguished_name.push(DnType::CommonName, "Procom gateway");
    let pair = KeyPair::generate().map_err(fault)?;
    let made = params.self_signed(&pair).map_err(fault)?;
    if let Some(folder) = certificate.parent() {
        fs::create_dir_all(folder).map_err(|fault| failed("make", folder, fault))?;
    }
    let private = zeroize::Zeroizing::new(pair.serialize_pem());
    write(key, private.as_bytes())?;
    write(certificate, made.pem().as_bytes())
}

/// Writes a file only its owner may read, whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> Result<(), AdapterFailed> {
    let aside: PathBuf = path.with_extension("new");
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&aside)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&aside, path));
    written.map_err(|fault| failed("write", path, fault))
}

fn failed(verb: &str, path: &Path, why: impl ToString) -> AdapterFailed {
    AdapterFailed::new(format!("{verb} {}", path.display()), why)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_renewed_certificate_is_shown_and_a_broken_one_is_not() {
        let state = std::env::temp_dir().join(format!("procom-shown-{}", std::process::id()));
        let config = ProcomConfig::default();
        #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin with")]
        let start = Instant::now();
        let shown = Shown::load(&config, &state, start).unwrap();
        let at = |seconds| {
            let acceptor = shown.acceptor(start + Duration::from_secs(seconds));
            Arc::as_ptr(acceptor.config())
        };
        let first = at(1);
        fs::write(state.join(CERTIFICATE_FILE), "half of one").unwrap();
        assert_eq!(at(2), first, "the old one stays");
        fs::remove_file(state.join(CERTIFICATE_FILE)).unwrap();
        assert_ne!(load(&config, &state).unwrap().fingerprint, shown.fingerprint());
        assert_ne!(at(3), first);
        fs::remove_dir_all(&state).unwrap();
    }
}
