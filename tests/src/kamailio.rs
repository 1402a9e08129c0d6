//! Kamailio as the PBX: registrar and proxy on UDP and TCP 5060 and TLS 5061 of 127.0.0.1, with
//! the configuration in `interop/peers/kamailio.cfg`. User U registers with password `secret-U`.

use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::Duration;

use crate::certificates::Certificates;
use crate::namespace::{Net, command, workspace};
use crate::process::Process;

/// A running Kamailio.
#[derive(Debug)]
pub struct Kamailio {
    /// The program.
    pub process: Process,
}

impl Kamailio {
    /// Where it takes UDP and TCP.
    pub const PORT: u16 = 5060;
    /// Where it takes TLS.
    pub const TLS_PORT: u16 = 5061;

    /// Starts it and waits until it listens.
    pub fn start(net: &Net, certificates: &Certificates) -> Self {
        let folder = net.folder("kamailio");
        let tls = net.write(
            folder.join("tls.cfg"),
            format!(
                "[server:default]\nmethod = TLSv1.2+\nverify_certificate = no\n\
                 require_certificate = no\nprivate_key = {key}\ncertificate = {certificate}\n\
                 [client:default]\nmethod = TLSv1.2+\nverify_certificate = no\n\
                 require_certificate = no\nprivate_key = {key}\ncertificate = {certificate}\n",
                key = certificates.key.display(),
                certificate = certificates.certificate.display(),
            ),
        );
        let template =
            std::fs::read_to_string(workspace().join("tests/interop/peers/kamailio.cfg"))
                .expect("the configuration is part of the project");
        let config = net.write(
            folder.join("kamailio.cfg"),
            template
                .replace("@TLS@", &tls.display().to_string())
                .replace("@FOLDER@", &folder.display().to_string()),
        );
        let mut program = command("kamailio");
        program.arg("-f").arg(config).args(["-DD", "-E", "-m", "64", "-M", "8", "-P"]);
        program.arg(folder.join("pid")).arg("-Y").arg(&folder).arg("-w").arg(&folder);
        let mut process = Process::start(net, "kamailio", &mut program);
        for _ in 0..100 {
            if TcpStream::connect(("127.0.0.1", Self::PORT)).is_ok() {
                return Self { process };
            }
            sleep(Duration::from_millis(100));
        }
        panic!("kamailio does not listen:\n{}", process.output());
    }

    /// Returns where phones register.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], Self::PORT))
    }

    /// Returns the password of a user.
    pub fn password(user: &str) -> String {
        format!("secret-{user}")
    }
}
