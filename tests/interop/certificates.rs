//! Certificates live for weeks and gateways for months: a renewed one is shown to who connects next,
//! without a restart or a signal, and a broken file changes nothing.

use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use gateway_tests::certificates::Certificates;
use gateway_tests::interop;
use gateway_tests::namespace::command;
use rcgen::{CertificateParams, KeyPair};

use crate::scene::Scene;

/// The certificate OpenSSL is shown by the SIP listener, in PEM without line ends.
fn shown(scene: &Scene<'_>) -> String {
    let address = scene.config.sip_tls().to_string();
    let output = command("openssl")
        .args(["s_client", "-connect", &address])
        .stdin(Stdio::null())
        .output()
        .expect("OpenSSL runs");
    pem(&String::from_utf8_lossy(&output.stdout))
}

fn pem(text: &str) -> String {
    let from = text.find("-----BEGIN CERTIFICATE").expect("a certificate is shown");
    let to = text[from..].find("-----END").expect("a certificate ends");
    text[from..from + to].split_whitespace().collect()
}

fn wait_shown(scene: &Scene<'_>, wanted: &str) {
    for _ in 0..30 {
        if shown(scene) == wanted {
            return;
        }
        sleep(Duration::from_millis(300));
    }
    panic!("the renewed certificate is not shown");
}

#[test]
fn a_renewed_certificate_is_shown_to_who_connects_next() {
    interop!(["openssl"], |net| {
        let mut scene = Scene::new(net);
        let files = Certificates::make(net);
        let old = pem(&fs::read_to_string(&files.certificate).expect("it was written"));
        assert_eq!(shown(&scene), old);

        net.write(&files.certificate, "-----BEGIN CERTIFICATE-----\nhalf of one");
        sleep(Duration::from_millis(2_500));
        assert_eq!(shown(&scene), old, "a broken file changes nothing");

        let key = KeyPair::generate().expect("ring makes P-256 keys");
        let params = CertificateParams::new(vec!["pbx.test".to_owned()]).expect("plain ASCII");
        let renewed = params.self_signed(&key).expect("the parameters are complete").pem();
        net.write(&files.key, key.serialize_pem());
        net.write(&files.certificate, &renewed);
        wait_shown(&scene, &pem(&renewed));
        scene.gateway.assert_alive();
    });
}
