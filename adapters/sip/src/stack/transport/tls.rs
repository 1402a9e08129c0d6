//! Certificates: ours for those who connect, and whom we trust when we do (RFC 5922).
//!
//! TLS 1.2 and 1.3 with the AEAD suites of rustls. A server's certificate is always checked
//! against the name we meant to reach; there is no way to switch that off.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::Settings;

/// Where systems keep their trust anchors.
const BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// What both directions need.
pub(super) struct Contexts {
    acceptor: Option<TlsAcceptor>,
    connector: Option<TlsConnector>,
}

impl Contexts {
    /// Reads the files the settings name.
    pub(super) fn load(settings: &Settings) -> io::Result<Self> {
        let identity = load_identity(settings)?;
        let roots = load_roots(settings)?;
        let acceptor = match identity.as_ref().filter(|_| !settings.tls.is_empty()) {
            Some((chain, key)) => Some(acceptor(chain.clone(), key.clone_key())?),
            None => None,
        };
        let configured = identity.filter(|_| settings.certificate.is_some());
        let connector = match roots {
            Some(roots) => Some(connector(roots, configured)?),
            None => None,
        };
        Ok(Self { acceptor, connector })
    }

    pub(super) fn acceptor(&self) -> Option<TlsAcceptor> {
        self.acceptor.clone()
    }

    /// What connects to a server of that name; `None` without trust anchors or for no name.
    pub(super) fn connector(&self, name: &str) -> Option<(TlsConnector, ServerName<'static>)> {
        let name = ServerName::try_from(name.to_owned()).ok()?;
        Some((self.connector.clone()?, name))
    }
}

fn acceptor(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> io::Result<TlsAcceptor> {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(io::Error::other)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A trunk may ask for our certificate; it is shown if one is configured.
fn connector(roots: RootCertStore, identity: Option<Identity>) -> io::Result<TlsConnector> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots);
    let config = match identity {
        Some((chain, key)) => {
            builder.with_client_auth_cert(chain, key).map_err(io::Error::other)?
        }
        None => builder.with_no_client_auth(),
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

fn load_identity(settings: &Settings) -> io::Result<Option<Identity>> {
    match (&settings.certificate, &settings.key) {
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate)?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| at(key, &error))?;
            Ok(Some((chain, key)))
        }
        (None, None) if settings.tls.is_empty() => Ok(None),
        (None, None) => {
            tracing::warn!("no SIP certificate is configured; a self-signed one serves");
            self_signed(&settings.domain).map(Some)
        }
        (Some(_), None) | (None, Some(_)) => {
            Err(io::Error::other("a certificate needs its key, and a key its certificate"))
        }
    }
}

fn self_signed(domain: &str) -> io::Result<Identity> {
    let made =
        rcgen::generate_simple_self_signed(vec![domain.to_owned()]).map_err(io::Error::other)?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    Ok((vec![made.cert.der().clone()], key.into()))
}

/// A configured file must be good; of the system's bundles the first that exists is taken.
fn load_roots(settings: &Settings) -> io::Result<Option<RootCertStore>> {
    let configured = settings.ca_file.as_deref();
    let system = BUNDLES.iter().map(Path::new).find(|path| path.exists());
    let Some(path) = configured.or(system) else { return Ok(None) };
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(certificates(path)?);
    if taken == 0 && configured.is_some() {
        return Err(io::Error::other(format!("{}: no usable certificate", path.display())));
    }
    Ok(Some(roots))
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|error| at(path, &error))?.collect();
    let certificates = certificates.map_err(|error| at(path, &error))?;
    if certificates.is_empty() {
        return Err(io::Error::other(format!("{}: no certificate", path.display())));
    }
    Ok(certificates)
}

fn at(path: &Path, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}
