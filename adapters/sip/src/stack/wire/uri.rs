//! URIs and name-addr values (RFC 3261 §19.1 and §25.1, RFC 3966 for `tel:`).

use std::fmt;
use std::net::IpAddr;

use bytes::Bytes;

use super::{mend, text};
use crate::stack::flow::Transport;

/// The scheme of a URI, as far as it matters to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Anything else.
    Other,
}

/// A parsed URI. `Debug` hides the user part.
#[derive(Clone)]
pub struct Uri(pub(super) sipx_sip::Uri);

impl Uri {
    /// Parses a URI without brackets around it; `None` when it breaks the grammar.
    pub fn parse(text: &str) -> Option<Self> {
        let strictly = |text: String| sipx_sip::Uri::parse(Bytes::from(text)).ok();
        let uri = strictly(text.to_owned()).or_else(|| strictly(mend::text(text)?));
        uri.map(Self)
    }

    /// Makes `sip:user@host:port`, escaping the user (RFC 3261 §25.1).
    pub fn sip(user: Option<&str>, host: &str, port: Option<u16>) -> Option<Self> {
        let mut out = String::from("sip:");
        if let Some(user) = user {
            out.push_str(&escape_user(user));
            out.push('@');
        }
        if host.contains(':') && !host.starts_with('[') {
            out.push_str(&format!("[{host}]"));
        } else {
            out.push_str(host);
        }
        if let Some(port) = port {
            out.push_str(&format!(":{port}"));
        }
        Self::parse(&out)
    }

    /// The URI as it goes on the wire.
    pub fn to_text(&self) -> String {
        text(&self.0.to_bytes())
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        match self.0.scheme() {
            sipx_sip::Scheme::Sip => Scheme::Sip,
            sipx_sip::Scheme::Sips => Scheme::Sips,
            sipx_sip::Scheme::Tel => Scheme::Tel,
            sipx_sip::Scheme::Other(_) | _ => Scheme::Other,
        }
    }

    /// The user part without escapes; `None` when absent or not UTF-8.
    pub fn user(&self) -> Option<String> {
        String::from_utf8(self.0.decoded_user()?).ok()
    }

    /// The host in lower case, an IPv6 address without brackets.
    pub fn host(&self) -> Option<String> {
        self.0.host().map(|host| text(&host.to_bytes()).to_ascii_lowercase())
    }

    /// The host, when it is an address.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.0.host()? {
            sipx_sip::Host::Ip(ip) => Some(*ip),
            sipx_sip::Host::Name(_) => None,
        }
    }

    /// The port, when stated.
    pub fn port(&self) -> Option<u16> {
        self.0.port()
    }

    /// A URI parameter: `None` absent, `Some("")` without a value.
    pub fn param(&self, name: &str) -> Option<String> {
        let param = self.0.params()?.get(name)?;
        Some(param.value().map(text).unwrap_or_default())
    }

    /// Adds `;name=value` or, with an empty value, `;name`.
    pub fn with_param(mut self, name: &str, value: &str) -> Self {
        let name = name.to_owned().into_bytes();
        let value = value.to_owned().into_bytes();
        self.0.push_param(if value.is_empty() {
            sipx_sip::Param::flag(name)
        } else {
            sipx_sip::Param::new(name, value)
        });
        self
    }

    /// Whether this is a loose router's URI (RFC 3261 §16.12).
    pub fn is_loose(&self) -> bool {
        self.param("lr").is_some()
    }

    /// The transport this URI asks for: `sips` means TLS, no parameter means no wish.
    pub fn transport(&self) -> Option<Transport> {
        if self.scheme() == Scheme::Sips {
            return Some(Transport::Tls);
        }
        Transport::parse(&self.param("transport")?)
    }

    /// The number of a `tel:` URI, or of a SIP URI, without visual separators; `None` for names.
    pub fn number(&self) -> Option<String> {
        let raw = match self.0.tel_parts() {
            Some(parts) => text(parts.subscriber()),
            None => self.user()?.split(';').next()?.to_owned(),
        };
        let number: String = raw.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')')).collect();
        let digits = number.strip_prefix('+').unwrap_or(&number);
        (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then_some(number)
    }
}

impl PartialEq for Uri {
    fn eq(&self, other: &Self) -> bool {
        self.0.equivalent(&other.0)
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host() {
            Some(host) => write!(f, "{:?}:*@{host}", self.scheme()),
            None => write!(f, "{:?}:*", self.scheme()),
        }
    }
}

/// Escapes what RFC 3261 §25.1 does not allow bare in a user part.
fn escape_user(user: &str) -> String {
    let mut out = String::with_capacity(user.len());
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// `"Display" <uri>;params`: From, To, Contact, Route, Record-Route (RFC 3261 §20).
#[derive(Clone, Debug, PartialEq)]
pub struct NameAddr {
    /// The display name without its quotes.
    pub display: Option<String>,
    /// The URI.
    pub uri: Uri,
    /// The header parameters, names in lower case.
    pub params: Vec<(String, Option<String>)>,
}

impl NameAddr {
    /// One with nothing but a URI.
    pub fn new(uri: Uri) -> Self {
        Self { display: None, uri, params: Vec::new() }
    }

    /// Parses one value; `None` when it breaks the grammar.
    pub fn parse(value: &str) -> Option<Self> {
        sipx_sip::Address::parse(value.as_bytes(), "address").ok().map(Self::from_wire)
    }

    pub(super) fn from_wire(address: sipx_sip::Address) -> Self {
        let params = address
            .params
            .into_iter()
            .map(|param| (text(&param.name), param.value.as_deref().map(text)))
            .collect();
        Self { display: address.display_name.as_deref().map(text), uri: Uri(address.uri), params }
    }

    /// A header parameter's value; `None` when absent or without a value.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name)?.1.as_deref()
    }

    /// The tag (RFC 3261 §19.3).
    pub fn tag(&self) -> Option<&str> {
        self.param("tag")
    }

    /// Puts a parameter in, in place of one of the same name.
    pub fn with_param(mut self, name: &str, value: &str) -> Self {
        self.params.retain(|(key, _)| key != name);
        self.params.push((name.to_owned(), Some(value.to_owned())));
        self
    }

    /// The value as it goes on the wire, the URI always in brackets.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        if let Some(display) = self.display.as_deref().filter(|display| !display.is_empty()) {
            out.push_str(&format!("\"{}\" ", escape_quoted(display)));
        }
        out.push_str(&format!("<{}>", self.uri.to_text()));
        for (name, value) in &self.params {
            match value {
                Some(value) if is_token(value) => out.push_str(&format!(";{name}={value}")),
                Some(value) => out.push_str(&format!(";{name}=\"{}\"", escape_quoted(value))),
                None => out.push_str(&format!(";{name}")),
            }
        }
        out
    }
}

fn escape_quoted(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"")
}

/// RFC 3261 §25.1.
pub(super) fn is_token(value: &str) -> bool {
    !value.is_empty()
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b))
}
