//! Digest authentication (RFC 3261 §22, RFC 7616, RFC 8760), both sides.
//!
//! ```text
//!   request without credentials --> Guard::challenges --> 401 with SHA-256, then MD5
//!   request with credentials ----> Guard::claim ------> Dead | Live --Guard::judge--> Proven | ..
//!   401 or 407 to a request of ours --> Responder::answer --> credentials
//! ```

mod client;
mod nonce;
mod server;

use md5::{Digest as _, Md5};
use ring::digest::{SHA256, digest};
use zeroize::Zeroizing;

pub use client::Responder;
pub use server::{Claim, Credentials, Guard, Secret, Verdict};

use super::tokens::hex;

/// The hash functions we know (RFC 8760 §2.1), with their session variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Algorithm {
    Md5,
    Md5Sess,
    Sha256,
    Sha256Sess,
}

impl Algorithm {
    /// No name means MD5 (RFC 7616 §3.3).
    fn parse(name: Option<&str>) -> Option<Self> {
        match name.unwrap_or("MD5").to_ascii_uppercase().as_str() {
            "MD5" => Some(Self::Md5),
            "MD5-SESS" => Some(Self::Md5Sess),
            "SHA-256" => Some(Self::Sha256),
            "SHA-256-SESS" => Some(Self::Sha256Sess),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Md5Sess => "MD5-sess",
            Self::Sha256 => "SHA-256",
            Self::Sha256Sess => "SHA-256-sess",
        }
    }

    fn is_session(self) -> bool {
        matches!(self, Self::Md5Sess | Self::Sha256Sess)
    }

    /// The hash of the parts joined by colons, in hexadecimal.
    fn hash(self, parts: &[&str]) -> Zeroizing<String> {
        let input = Zeroizing::new(parts.join(":"));
        Zeroizing::new(match self {
            Self::Md5 | Self::Md5Sess => hex(&Md5::digest(input.as_bytes())),
            Self::Sha256 | Self::Sha256Sess => hex(digest(&SHA256, input.as_bytes()).as_ref()),
        })
    }
}

/// What goes into one response value (RFC 7616 §3.4.1).
struct Proof<'a> {
    algorithm: Algorithm,
    nonce: &'a str,
    /// Nonce count as sent, and cnonce; `None` is the form without qop of RFC 2069.
    counted: Option<(&'a str, &'a str)>,
    method: &'a str,
    uri: &'a str,
}

impl Proof<'_> {
    /// Computes the response value from the hash of user, realm and password.
    fn response(&self, ha1: &str) -> Zeroizing<String> {
        let algorithm = self.algorithm;
        let ha2 = algorithm.hash(&[self.method, self.uri]);
        match self.counted {
            Some((count, cnonce)) => {
                let session =
                    algorithm.is_session().then(|| algorithm.hash(&[ha1, self.nonce, cnonce]));
                let ha1 = session.as_ref().map_or(ha1, |session| session.as_str());
                algorithm.hash(&[ha1, self.nonce, count, cnonce, "auth", &ha2])
            }
            None => algorithm.hash(&[ha1, self.nonce, &ha2]),
        }
    }
}

/// The parameters of a challenge or of credentials.
struct Params(Vec<(String, String)>);

impl Params {
    /// Parses `Digest name=value, ...`; `None` for another scheme or broken quoting.
    fn parse(value: &str) -> Option<Self> {
        let (scheme, mut rest) = value.trim().split_once([' ', '\t'])?;
        if !scheme.eq_ignore_ascii_case("digest") {
            return None;
        }
        let mut params = Vec::new();
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if rest.is_empty() {
                return Some(Self(params));
            }
            let (name, after) = rest.split_once('=')?;
            let (value, after) = take_value(after.trim_start())?;
            params.push((name.trim().to_ascii_lowercase(), value));
            rest = after;
        }
    }

    /// The value of a parameter that is there once.
    fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(key, _)| key == name);
        let (_, value) = values.next()?;
        values.next().is_none().then_some(value.as_str())
    }
}

/// Takes a token or a quoted string off the front.
fn take_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        return Some((text[..end].trim().to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut is_escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            _ if is_escaped => {
                value.push(c);
                is_escaped = false;
            }
            '\\' => is_escaped = true,
            '"' => return Some((value, &quoted[at + 1..])),
            _ => value.push(c),
        }
    }
    None
}

fn quote(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests;
