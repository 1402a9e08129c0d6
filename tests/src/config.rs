//! The gateway's configuration file as the tests need it, in one place: accounts, trunks, routes
//! and limits are added by name, the ports are the same in every test's namespace.

use std::net::{Ipv6Addr, SocketAddr};

use argon2::password_hash::{PasswordHasher, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::certificates::Certificates;

const LOOPBACK: [u8; 4] = [127, 0, 0, 1];
const HTTP_PORT: u16 = 8080;
const ADMIN_PORT: u16 = 8081;
const SIP_PORT: u16 = 5080;
const SIP_TLS_PORT: u16 = 5081;
const ADMIN_TOKEN: &str = "token-of-the-tests-0123456789abcdef";

/// A configuration being put together.
#[derive(Clone, Debug)]
pub struct Config {
    sections: Vec<Section>,
    rest: String,
}

#[derive(Clone, Debug)]
struct Section {
    name: &'static str,
    lines: String,
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
    /// The one UDP port of everything with ICE.
    pub const MEDIA_PORT: u16 = 7_000;

    /// Returns a configuration on loopback, with the test's certificate on the TLS listener.
    pub fn new(certificates: &Certificates) -> Self {
        let sip = format!(
            "domain = \"127.0.0.1\"\n\
             listen = [\"udp:127.0.0.1:{SIP_PORT}\", \"tcp:127.0.0.1:{SIP_PORT}\", \
             \"tls:127.0.0.1:{SIP_TLS_PORT}\"]\n\
             certificate = \"{}\"\nkey = \"{}\"\nca_file = \"{}\"\n",
            certificates.certificate.display(),
            certificates.key.display(),
            certificates.authority.display(),
        );
        let section = |name, lines| Section { name, lines };
        Self {
            sections: vec![
                section("gateway", "state_dir = \"state\"\nlog = \"debug\"\n".to_owned()),
                section("procom", format!("listen = \"127.0.0.1:{HTTP_PORT}\"\nplain = true\n")),
                section(
                    "admin",
                    format!("listen = \"127.0.0.1:{ADMIN_PORT}\"\ntoken = \"{ADMIN_TOKEN}\"\n"),
                ),
                section(
                    "media",
                    format!(
                        "bind = [\"127.0.0.1\"]\nmedia_port = {}\nrtp_ports = [40000, 44999]\n\
                         allow_loopback = true\n",
                        Self::MEDIA_PORT
                    ),
                ),
                section("sip", sip),
            ],
            rest: String::new(),
        }
    }

    /// Adds an account.
    pub fn account(mut self, account: Account<'_>) -> Self {
        let hash = password_hash(account.password);
        let name = account.name;
        self.rest += &format!("[[account]]\nname = \"{name}\"\npassword_hash = \"{hash}\"\n");
        if let Some((user, password, protection)) = account.sip {
            self.rest += &format!(
                "[account.sip]\nuser = \"{user}\"\npassword = \"{password}\"\n\
                 protection = {protection:?}\n"
            );
        }
        self
    }

    /// Adds lines to one of the sections `gateway`, `procom`, `admin`, `media`, `sip`.
    pub fn set(mut self, section: &str, lines: &str) -> Self {
        let section = self.sections.iter_mut().find(|known| known.name == section);
        let section = section.expect("a section of Config::new");
        section.lines += lines;
        section.lines.push('\n');
        self
    }

    /// Listens on the loopback of IPv6 as well.
    pub fn with_ipv6(mut self) -> Self {
        for section in &mut self.sections {
            let listen = format!("listen = [\"udp:[::1]:{SIP_PORT}\", \"udp:127.0.0.1");
            section.lines = section.lines.replace("listen = [\"udp:127.0.0.1", &listen);
            section.lines = section.lines.replace("[\"127.0.0.1\"]", "[\"127.0.0.1\", \"::1\"]");
        }
        self
    }

    /// Adds lines after the sections: whole tables.
    pub fn tables(mut self, lines: &str) -> Self {
        self.rest += lines;
        self.rest.push('\n');
        self
    }

    /// Returns the text of the file.
    pub fn render(&self) -> String {
        let sections = self.sections.iter();
        let mut text: String =
            sections.map(|section| format!("[{}]\n{}\n", section.name, section.lines)).collect();
        text += &self.rest;
        text
    }

    /// Returns the address of the page.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{HTTP_PORT}/")
    }

    /// Returns where pages and WebSockets are served.
    pub fn http(&self) -> SocketAddr {
        SocketAddr::from((LOOPBACK, HTTP_PORT))
    }

    /// Returns where SIP is taken over UDP and TCP.
    pub fn sip(&self) -> SocketAddr {
        SocketAddr::from((LOOPBACK, SIP_PORT))
    }

    /// Returns where SIP is taken over UDP and IPv6, [`Config::with_ipv6`].
    pub fn sip_v6(&self) -> SocketAddr {
        SocketAddr::from((Ipv6Addr::LOCALHOST, SIP_PORT))
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
}

/// Cheap parameters, and the same salt always: these passwords protect nothing.
fn password_hash(password: &str) -> String {
    let params = Params::new(8, 1, 1, None).expect("argon2's least parameters");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let salt = SaltString::from_b64("dGVzdHNhbHQwMTIz").expect("base64 of ours");
    argon2.hash_password(password.as_bytes(), &salt).expect("argon2 hashes all input").to_string()
}
