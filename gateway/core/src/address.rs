//! Addresses: who is reached, as a URI (RFC 3986, RFC 3261 §19.1, RFC 3966, RFC 5122).
//!
//! The user part is kept decoded and is percent-encoded again when rendered. `Display` prints the
//! whole address, for wires; `Debug` hides the user part, for logs.

use std::fmt;
use std::str::FromStr;

/// Longest address that is read, in bytes.
pub const MAX_ADDRESS_BYTES: usize = 1024;

/// The first part of an address: which kind of network it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// A Procom account.
    Procom,
    /// A SIP URI (RFC 3261 §19.1).
    Sip,
    /// A SIP URI that asks for TLS on every hop (RFC 3261 §26.2.2).
    Sips,
    /// A telephone number (RFC 3966).
    Tel,
    /// A number that takes short messages (RFC 5724).
    Sms,
    /// A Jabber id (RFC 5122).
    Xmpp,
}

impl Scheme {
    /// Every scheme.
    pub const ALL: [Self; 6] =
        [Self::Procom, Self::Sip, Self::Sips, Self::Tel, Self::Sms, Self::Xmpp];

    /// The word before the colon.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Procom => "procom",
            Self::Sip => "sip",
            Self::Sips => "sips",
            Self::Tel => "tel",
            Self::Sms => "sms",
            Self::Xmpp => "xmpp",
        }
    }
}

/// Why a text is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressFault {
    /// Nothing before the colon, or no colon.
    #[error("an address starts with its scheme, like sip: or tel:")]
    NoScheme,
    /// A scheme no network here serves.
    #[error("this scheme is not known here")]
    UnknownScheme,
    /// Longer than [`MAX_ADDRESS_BYTES`].
    #[error("an address has at most {MAX_ADDRESS_BYTES} bytes")]
    TooLong,
    /// No user, number or host where one must stand.
    #[error("the address names nobody")]
    Empty,
    /// A character that has no place in an address.
    #[error("there is a character at byte {0} that has no place in an address")]
    BadCharacter(usize),
    /// A port that is no number from 1 to 65,535.
    #[error("the port is not a number from 1 to 65535")]
    BadPort,
}

/// Who is reached.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// Which kind of network.
    pub scheme: Scheme,
    /// User or number, decoded. `tel:` and `procom:` always have one.
    pub user: Option<String>,
    /// Host or domain, in lower case; IPv6 in brackets. `tel:` and most `procom:` have none.
    pub host: Option<String>,
    /// Port, when given.
    pub port: Option<u16>,
    /// URI parameters in their order, names in lower case, as they stand on the wire.
    pub params: Vec<(String, Option<String>)>,
}

impl Address {
    /// The Procom address of a local account.
    #[must_use]
    pub fn procom(account: &str) -> Self {
        Self::bare(Scheme::Procom, Some(account.to_owned()), None)
    }

    /// A telephone number.
    #[must_use]
    pub fn tel(number: &str) -> Self {
        Self::bare(Scheme::Tel, Some(number.to_owned()), None)
    }

    /// `sip:user@host`, without port and parameters.
    #[must_use]
    pub fn sip(user: &str, host: &str) -> Self {
        Self::bare(Scheme::Sip, Some(user.to_owned()), Some(host.to_ascii_lowercase()))
    }

    const fn bare(scheme: Scheme, user: Option<String>, host: Option<String>) -> Self {
        Self { scheme, user, host, port: None, params: Vec::new() }
    }

    /// The user part or number, or the host where there is none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.user.as_deref().or(self.host.as_deref()).unwrap_or("")
    }

    /// The value of a URI parameter: `Some(None)` where it stands without one.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<Option<&str>> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_deref())
    }

    /// The host with its port, as a target for look-ups.
    #[must_use]
    pub fn host_and_port(&self) -> Option<(&str, Option<u16>)> {
        self.host.as_deref().map(|host| (host, self.port))
    }
}

impl FromStr for Address {
    type Err = AddressFault;

    fn from_str(text: &str) -> Result<Self, AddressFault> {
        if text.len() > MAX_ADDRESS_BYTES {
            return Err(AddressFault::TooLong);
        }
        if let Some(at) = text.bytes().position(|byte| byte <= b' ' || byte == 0x7f) {
            return Err(AddressFault::BadCharacter(at));
        }
        let (scheme, rest) = text.split_once(':').ok_or(AddressFault::NoScheme)?;
        let scheme = Scheme::ALL
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(scheme))
            .ok_or(AddressFault::UnknownScheme)?;
        let rest = rest.split(['?', '#']).next().unwrap_or(rest);
        match scheme {
            Scheme::Tel | Scheme::Sms => parse_number(scheme, rest),
            Scheme::Procom | Scheme::Sip | Scheme::Sips | Scheme::Xmpp => parse_user(scheme, rest),
        }
    }
}

/// RFC 3966 §3: digits and visual separators, which say nothing and are dropped.
fn parse_number(scheme: Scheme, rest: &str) -> Result<Address, AddressFault> {
    let (number, params) = rest.split_once(';').unwrap_or((rest, ""));
    let offset = scheme.as_str().len() + 1;
    let mut user = String::new();
    for (at, letter) in number.char_indices() {
        match letter {
            '0'..='9' | '*' | '#' | 'a'..='d' | 'A'..='D' => user.push(letter),
            '+' if at == 0 => user.push(letter),
            '-' | '.' | '(' | ')' => {}
            _ => return Err(AddressFault::BadCharacter(offset + at)),
        }
    }
    if !user.bytes().any(|byte| byte != b'+') {
        return Err(AddressFault::Empty);
    }
    Ok(Address { scheme, user: Some(user), host: None, port: None, params: parse_params(params) })
}

fn parse_user(scheme: Scheme, rest: &str) -> Result<Address, AddressFault> {
    // The user part may hold `;` and `?` (RFC 3261 §25.1 user-unreserved): it ends at the last `@`.
    let (user, rest) = match rest.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, rest),
    };
    let (hostport, params) = rest.split_once(';').unwrap_or((rest, ""));
    let is_local = scheme == Scheme::Procom && user.is_none();
    let (host, port) = if is_local { (None, None) } else { parse_hostport(hostport)? };
    let user = if is_local { Some(hostport) } else { user };
    let user = user.map(|user| decode(user.split(':').next().unwrap_or(user)));
    if user.as_deref() == Some("") || (user.is_none() && host.is_none()) {
        return Err(AddressFault::Empty);
    }
    if user.iter().any(|user| user.chars().any(char::is_control)) {
        return Err(AddressFault::BadCharacter(scheme.as_str().len() + 1));
    }
    Ok(Address { scheme, user, host, port, params: parse_params(params) })
}

fn parse_hostport(text: &str) -> Result<(Option<String>, Option<u16>), AddressFault> {
    let (host, port) = match (text.starts_with('['), text.find(']'), text.rsplit_once(':')) {
        (true, Some(end), _) => {
            let after = &text[end + 1..];
            (
                &text[..=end],
                after.strip_prefix(':').or(if after.is_empty() { None } else { Some("x") }),
            )
        }
        (true, None, _) => return Err(AddressFault::Empty),
        (false, _, Some((host, port))) => (host, Some(port)),
        (false, _, None) => (text, None),
    };
    if host.is_empty() {
        return Err(AddressFault::Empty);
    }
    let is_host_char = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_v6_char = |c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '.' | '[' | ']');
    let is_fine = if host.starts_with('[') {
        host.chars().all(is_v6_char)
    } else {
        host.chars().all(is_host_char)
    };
    if !is_fine {
        return Err(AddressFault::BadCharacter(0));
    }
    let port = match port {
        Some(port) => {
            Some(port.parse().ok().filter(|port| *port != 0).ok_or(AddressFault::BadPort)?)
        }
        None => None,
    };
    Ok((Some(host.to_ascii_lowercase()), port))
}

fn parse_params(text: &str) -> Vec<(String, Option<String>)> {
    text.split(';')
        .filter(|param| !param.is_empty())
        .map(|param| match param.split_once('=') {
            Some((name, value)) => (name.to_ascii_lowercase(), Some(value.to_owned())),
            None => (param.to_ascii_lowercase(), None),
        })
        .collect()
}

/// Undoes percent-encoding (RFC 3986 §2.1); what is not valid stays as it stands.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| bytes[at] == b'%') {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

/// Percent-encodes what RFC 3261 §25.1 does not allow in a user part.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme.as_str())?;
        match (&self.user, self.scheme) {
            (Some(user), Scheme::Tel | Scheme::Sms) => f.write_str(user)?,
            (Some(user), _) => f.write_str(&encode(user))?,
            (None, _) => {}
        }
        if let Some(host) = &self.host {
            let at = if self.user.is_some() { "@" } else { "" };
            write!(f, "{at}{host}")?;
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        for (name, value) in &self.params {
            match value {
                Some(value) => write!(f, ";{name}={value}")?,
                None => write!(f, ";{name}")?,
            }
        }
        Ok(())
    }
}

/// Hides the user part; of a number the last three digits stay.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme.as_str())?;
        if let Some(user) = &self.user {
            f.write_str(&hide(user))?;
        }
        match &self.host {
            Some(host) => write!(f, "@{host}"),
            None => Ok(()),
        }
    }
}

/// What of a user part or number a log may show: the last three digits of a number, else nothing.
#[must_use]
pub fn hide(user: &str) -> String {
    let digits: String = user.chars().filter(char::is_ascii_digit).collect();
    if digits.len() >= 6 { format!("...{}", &digits[digits.len() - 3..]) } else { "***".to_owned() }
}

#[cfg(test)]
mod tests;
