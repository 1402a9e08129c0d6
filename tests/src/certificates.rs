//! A certificate authority and one certificate for every peer of a test, made on the spot.

use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType,
};

use crate::namespace::Net;

/// Files in PEM that real programs take.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The authority all peers trust.
    pub authority: PathBuf,
    /// A certificate for `localhost`, `pbx.test` and 127.0.0.1.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Certificate and key in one file, as baresip wants them.
    pub both: PathBuf,
}

impl Certificates {
    /// Makes an authority and a certificate signed by it in the test's folder; the second time in
    /// one test they are the same.
    pub fn make(net: &Net) -> Self {
        let files = Self {
            authority: net.path("tls/authority.pem"),
            certificate: net.path("tls/certificate.pem"),
            key: net.path("tls/key.pem"),
            both: net.path("tls/both.pem"),
        };
        if !files.both.exists() {
            files.fill(net);
        }
        files
    }

    fn fill(&self, net: &Net) {
        let authority_key = KeyPair::generate().expect("ring makes P-256 keys");
        let mut authority = params("Authority of one test", Vec::new());
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_pem =
            authority.self_signed(&authority_key).expect("the parameters are complete").pem();
        let key = KeyPair::generate().expect("ring makes P-256 keys");
        let names = ["localhost", "pbx.test", "127.0.0.1", "::1"].map(String::from);
        let mut params = params("pbx.test", names.to_vec());
        let uri = "sip:pbx.test".try_into().expect("plain ASCII");
        params.subject_alt_names.push(SanType::URI(uri));
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let issuer = Issuer::new(authority, authority_key);
        let certificate =
            params.signed_by(&key, &issuer).expect("the parameters are complete").pem();
        let key = key.serialize_pem();
        net.write(&self.authority, authority_pem);
        net.write(&self.certificate, &certificate);
        net.write(&self.key, &key);
        net.write(&self.both, format!("{certificate}{key}"));
    }
}

fn params(name: &str, names: Vec<String>) -> CertificateParams {
    let mut params = CertificateParams::new(names).expect("plain ASCII");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
