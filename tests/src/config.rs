//! The gateway's configuration file as the tests need it, in one place: accounts, trunks, routes
//! and limits are added by name, the ports are the same in every test's namespace.

use std::fmt::Write;
use std::net::SocketAddr;

use argon2::password_hash::{PasswordHasher, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::certificates::Certificates;

const LOOPBACK: [u8; 4] = [127, 0, 0, 1];
const HTTP_PORT: u16 = 8080;
const ADMIN_PORT: u16 = 8081;
const SIP_PORT: u16 = 5080;
const SIP_TLS_PORT: u16 = 5081;
const ADMIN_TOKEN: &str = "token-of-the-tests";

/// A configuration being put together.
#[derive(Clone, Debug)]
pub struct Config {
    text: String,
}

/// One account: a person's name and password, and the phone that belongs to it.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    /// `procom:NAME`, and the user that signs in on the page.
    pub name: &'a str,
    /// The password of the page.
    pub password: &'a str,
    /// Digest user and password of its phone, and the protections it may use.
    pub sip: Option<(&'a str, &'a str, &'a [&'a str])>,
}

impl Config {
    /// Returns a configuration on loopback, with the test's certificate on the TLS listener.
    pub fn new(certificates: &Certificates) -> Self {
        let text = format!(
            "[procom]\nlisten = \"127.0.0.1:{HTTP_PORT}\"\n\n\
             [admin]\nlisten = \"127.0.0.1:{ADMIN_PORT}\"\ntoken = \"{ADMIN_TOKEN}\"\n\n\
             [media]\nport = 40000\n\n\
             [sip]\nlisten = [\"udp:127.0.0.1:{SIP_PORT}\", \"tcp:127.0.0.1:{SIP_PORT}\", \
             \"tls:127.0.0.1:{SIP_TLS_PORT}\"]\ncertificate = \"{}\"\nkey = \"{}\"\n\n",
            certificates.certificate.display(),
            certificates.key.display(),
        );
        Self { text }
    }

    /// Adds an account.
    pub fn account(mut self, account: Account<'_>) -> Self {
        let hash = password_hash(account.password);
        let name = account.name;
        self.add(&format!("[[account]]\nname = \"{name}\"\npassword_hash = \"{hash}\"\n"));
        if let Some((user, password, protection)) = account.sip {
            self.add(&format!(
                "[account.sip]\nuser = \"{user}\"\npassword = \"{password}\"\n\
                 protection = {protection:?}\n"
            ));
        }
        self
    }

    /// Adds lines as they are.
    pub fn lines(mut self, lines: &str) -> Self {
        self.add(lines);
        self
    }

    /// Returns the text of the file.
    pub fn render(&self) -> String {
        self.text.clone()
    }

    /// Returns the address of the page.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{HTTP_PORT}/")
    }

    /// Returns where SIP is taken over UDP and TCP.
    pub fn sip(&self) -> SocketAddr {
        SocketAddr::from((LOOPBACK, SIP_PORT))
    }

    /// Returns where SIP is taken over TLS.
    pub fn sip_tls(&self) -> SocketAddr {
        SocketAddr::from((LOOPBACK, SIP_TLS_PORT))
    }

    /// Returns where metrics and health are.
    pub fn admin(&self) -> SocketAddr {
        SocketAddr::from((LOOPBACK, ADMIN_PORT))
    }

    /// Returns the token of that listener.
    pub fn admin_token(&self) -> &str {
        ADMIN_TOKEN
    }

    fn add(&mut self, lines: &str) {
        writeln!(self.text, "{lines}").expect("a String takes everything");
    }
}

/// Cheap parameters, and the same salt always: these passwords protect nothing.
fn password_hash(password: &str) -> String {
    let params = Params::new(8, 1, 1, None).expect("argon2's least parameters");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let salt = SaltString::from_b64("dGVzdHNhbHQwMTIz").expect("base64 of ours");
    argon2.hash_password(password.as_bytes(), &salt).expect("argon2 hashes all input").to_string()
}
