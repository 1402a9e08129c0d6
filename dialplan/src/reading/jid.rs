//! Jabber ids (RFC 7622), and what their local part cannot hold, escaped (XEP-0106).

use std::fmt;

use gateway_core::{Address, Scheme};
use precis_profiles::precis_core::profile::PrecisFastInvocation;
use precis_profiles::{OpaqueString, UsernameCaseMapped};

use super::{Refusal, host};

/// Most bytes of each part (RFC 7622 §3.2 to §3.4).
const MAX_PART_BYTES: usize = 1023;

/// The characters XEP-0106 §2 escapes, with their codes.
const ESCAPES: [(char, &str); 10] = [
    (' ', "\\20"),
    ('"', "\\22"),
    ('&', "\\26"),
    ('\'', "\\27"),
    ('/', "\\2f"),
    (':', "\\3a"),
    ('<', "\\3c"),
    ('>', "\\3e"),
    ('@', "\\40"),
    ('\\', "\\5c"),
];

/// A Jabber id in its normal form.
#[derive(Clone, PartialEq, Eq)]
pub struct Jid {
    /// The local part, escaped.
    pub local: Option<String>,
    /// The domain, in the form people read.
    pub domain: String,
    /// The resource.
    pub resource: Option<String>,
}

impl Jid {
    /// Reads a JID as it stands in a stanza or as a person types it.
    ///
    /// # Errors
    /// Where and why it is none.
    pub fn read(text: &str) -> Result<Self, Refusal> {
        // RFC 7622 §3.1: the resource begins at the first slash, the local part ends at the first @.
        let slash = text.find('/');
        let (bare, resource) = match slash {
            Some(slash) => (&text[..slash], Some(&text[slash + 1..])),
            None => (text, None),
        };
        let (local, domain) = match bare.split_once('@') {
            Some((local, domain)) => (Some(local), domain),
            None => (None, bare),
        };
        let before = local.map_or(0, |local| local.chars().count() + 1);
        let domain = match domain.parse::<std::net::Ipv6Addr>() {
            Ok(ip) => format!("[{ip}]"),
            Err(_) => domain.to_owned(),
        };
        let domain = host::to_ascii(&domain).map_err(|why| Refusal::new(before, why))?;
        let local = local.map(local_part).transpose()?;
        let at = slash.map_or(0, |slash| text[..slash].chars().count() + 1);
        let resource = resource.map(|resource| resource_part(resource, at)).transpose()?;
        Ok(Self { local, domain: host::to_unicode(&domain), resource })
    }

    /// The bare JID as an address.
    #[must_use]
    pub fn address(&self) -> Address {
        Address {
            scheme: Scheme::Xmpp,
            user: self.local.clone(),
            host: Some(self.domain.clone()),
            port: None,
            params: Vec::new(),
        }
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.local.iter().try_for_each(|local| write!(f, "{local}@"))?;
        f.write_str(&self.domain)?;
        self.resource.iter().try_for_each(|resource| write!(f, "/{resource}"))
    }
}

impl fmt::Debug for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "***@{}", self.domain)
    }
}

/// RFC 7622 §3.3: the UsernameCaseMapped profile without nine characters, which are escaped.
fn local_part(text: &str) -> Result<String, Refusal> {
    if text.is_empty() {
        return Err(Refusal::new(0, "there is no name before the @"));
    }
    let escaped = escape(text);
    let local = UsernameCaseMapped::enforce(escaped.as_str()).map_err(|_| {
        Refusal::new(first_bad(text), "there is a character that no name before an @ may have")
    })?;
    if local.len() > MAX_PART_BYTES {
        return Err(Refusal::new(0, "the name before the @ is too long"));
    }
    // Case mapping may bring such a character out of another.
    if local.contains(['"', '&', '\'', '/', ':', '<', '>', '@', ' ']) {
        return Err(Refusal::new(0, "the name before the @ cannot be"));
    }
    Ok(local.into_owned())
}

fn first_bad(text: &str) -> usize {
    let is_bad = |letter: char| {
        let escaped = escape(letter.encode_utf8(&mut [0; 4]));
        UsernameCaseMapped::enforce(escaped.as_str()).is_err()
    };
    text.chars().position(is_bad).unwrap_or(0)
}

/// RFC 7622 §3.4: the OpaqueString profile.
fn resource_part(text: &str, at: usize) -> Result<String, Refusal> {
    let resource = OpaqueString::enforce(text)
        .map_err(|_| Refusal::new(at, "that is no resource of a Jabber id"))?;
    let is_fine = resource.len() <= MAX_PART_BYTES && resource.trim() == resource;
    if is_fine {
        Ok(resource.into_owned())
    } else {
        Err(Refusal::new(at, "the resource cannot be"))
    }
}

/// Escapes a name for the local part of a JID (XEP-0106 §4.2). A backslash is escaped only where
/// it would read as an escape otherwise; one that is an escape already stays, so that escaping twice
/// is escaping once.
#[must_use]
pub fn escape(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for letter in name.chars() {
        match ESCAPES[..9].iter().find(|(plain, _)| *plain == letter) {
            Some((_, code)) => out.push_str(code),
            None => out.push(letter),
        }
    }
    out
}

/// Undoes [`escape`].
#[must_use]
pub fn unescape(local: &str) -> String {
    let mut out = String::with_capacity(local.len());
    let mut rest = local;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let code = ESCAPES
            .iter()
            .find(|(_, code)| rest.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(code)));
        let (plain, len) = code.map_or(('\\', 1), |(plain, _)| (*plain, 3));
        out.push(plain);
        rest = &rest[len..];
    }
    out.push_str(rest);
    out
}
