//! Typed reading of header fields (RFC 3261 §20). Nothing is parsed before it is asked for.

use std::net::IpAddr;
use std::time::Duration;

use sipx_sip::headers::{
    ContactValue, ContentType, Date, Expires, MaxForwards, ProxyRequire, RecordRoute, Require,
    Route, Supported,
};
use sipx_sip::{HeaderName, TypedHeader};

use super::uri::{NameAddr, is_token};
use super::{Method, text};

/// The headers of one message, read only.
#[derive(Clone, Copy)]
pub struct Fields<'a>(pub(super) &'a sipx_sip::Headers);

/// One hop of the Via list (RFC 3261 §20.42).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via {
    /// `UDP`, `TCP`, `TLS` or another token, as written.
    pub transport: String,
    /// The host of sent-by in lower case, an IPv6 address without brackets.
    pub host: String,
    /// The port of sent-by, when stated.
    pub port: Option<u16>,
    /// The branch.
    pub branch: Option<String>,
    /// The source address the next hop saw.
    pub received: Option<IpAddr>,
    /// RFC 3581: `Some(None)` asks for the port, `Some(Some(port))` tells it.
    pub rport: Option<Option<u16>>,
}

impl Via {
    /// `host:port` as transactions are matched by (RFC 3261 §17.2.3).
    pub fn sent_by(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }
}

/// One Contact value (RFC 3261 §20.10).
#[derive(Debug, Clone, PartialEq)]
pub enum Contact {
    /// `*`, every binding.
    All,
    /// An address.
    One(NameAddr),
}

impl<'a> Fields<'a> {
    /// Whether the message has such a header.
    pub fn has(&self, name: &str) -> bool {
        self.0.get(&header_name(name)).is_some()
    }

    /// The first header of that name, unfolded and trimmed.
    pub fn text(&self, name: &str) -> Option<String> {
        self.0.value(&header_name(name)).map(|value| text(&value))
    }

    /// Every header line of that name, unfolded and trimmed.
    pub fn texts(&self, name: &str) -> Vec<String> {
        self.0.get_all(&header_name(name)).map(|header| text(&header.value())).collect()
    }

    /// The Call-ID, when present and UTF-8 without control characters (RFC 3261 §25.1 `callid`).
    pub fn call_id(&self) -> Option<String> {
        let value = self.0.value(&HeaderName::CallId)?;
        let value = String::from_utf8(value.to_vec()).ok()?;
        (!value.is_empty() && !value.chars().any(char::is_control)).then_some(value)
    }

    /// The CSeq number and method.
    pub fn cseq(&self) -> Option<(u32, Method)> {
        let cseq = self.0.typed::<sipx_sip::CSeq>()?.ok()?;
        Some((cseq.sequence, Method::from_wire(&cseq.method)))
    }

    /// The From address.
    pub fn from(&self) -> Option<NameAddr> {
        let from = self.0.typed::<sipx_sip::headers::From>()?.ok()?;
        Some(NameAddr::from_wire(from.0))
    }

    /// The To address.
    pub fn to(&self) -> Option<NameAddr> {
        let to = self.0.typed::<sipx_sip::headers::To>()?.ok()?;
        Some(NameAddr::from_wire(to.0))
    }

    /// The topmost Via.
    pub fn top_via(&self) -> Option<Via> {
        let via = self.0.typed::<sipx_sip::Via>()?.ok()?;
        let number = |raw: &[u8]| std::str::from_utf8(raw).ok()?.parse::<u16>().ok();
        Some(Via {
            transport: text(&via.transport),
            host: text(&via.host.to_bytes()).to_ascii_lowercase(),
            port: via.port,
            branch: via.branch().map(text),
            received: via
                .received()
                .and_then(|raw| text(raw).trim_matches(['[', ']']).parse().ok()),
            rport: via.rport().map(|value| value.and_then(number)),
        })
    }

    /// How many Via hops there are; `None` when one of them is malformed.
    pub fn via_count(&self) -> Option<usize> {
        let hops: Result<Vec<_>, _> = self.0.typed_all::<sipx_sip::Via>().collect();
        hops.ok().map(|hops| hops.len())
    }

    /// Every Contact; `None` when one of them is malformed.
    pub fn contacts(&self) -> Option<Vec<Contact>> {
        self.0
            .typed_all::<ContactValue>()
            .map(|value| match value {
                Ok(ContactValue::Wildcard) => Some(Contact::All),
                Ok(ContactValue::Address(address)) => {
                    Some(Contact::One(NameAddr::from_wire(address)))
                }
                Err(_) => None,
            })
            .collect()
    }

    /// The first Contact address; `None` when absent or malformed.
    pub fn contact(&self) -> Option<NameAddr> {
        match self.contacts()?.into_iter().next()? {
            Contact::One(address) => Some(address),
            Contact::All => None,
        }
    }

    /// The Record-Route values from top to bottom; `None` when one is malformed.
    pub fn record_routes(&self) -> Option<Vec<NameAddr>> {
        let routes = self.0.typed_all::<RecordRoute>();
        routes.map(|route| route.ok().map(|route| NameAddr::from_wire(route.0))).collect()
    }

    /// The Route values from top to bottom; `None` when one is malformed.
    pub fn routes(&self) -> Option<Vec<NameAddr>> {
        let routes = self.0.typed_all::<Route>();
        routes.map(|route| route.ok().map(|route| NameAddr::from_wire(route.0))).collect()
    }

    /// Max-Forwards.
    pub fn max_forwards(&self) -> Option<u8> {
        self.0.typed::<MaxForwards>()?.ok().map(|hops| hops.0)
    }

    /// Expires, in seconds.
    pub fn expires(&self) -> Option<u32> {
        self.0.typed::<Expires>()?.ok().map(|seconds| seconds.0)
    }

    /// Retry-After: seconds, perhaps with a comment and parameters (RFC 3261 §20.33).
    pub fn retry_after(&self) -> Option<Duration> {
        let value = self.text("Retry-After")?;
        let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
        // More digits than a number has are longer than anybody waits.
        let (digits, is_number) = (&value[..end], end > 0);
        is_number.then(|| Duration::from_secs(digits.parse::<u32>().unwrap_or(u32::MAX).into()))
    }

    /// Whether there is a Date that does not parse (RFC 4475 §3.1.2.12).
    pub fn is_date_malformed(&self) -> bool {
        matches!(self.0.typed::<Date>(), Some(Err(_)))
    }

    /// The option tags a UAS must understand: Require; `None` when malformed.
    pub fn require(&self) -> Option<Vec<String>> {
        self.0
            .typed_all::<Require>()
            .map(|list| list.ok().map(|list| list.0.0.iter().map(|tag| text(tag)).collect()))
            .collect::<Option<Vec<Vec<String>>>>()
            .map(|lists| lists.concat())
            .filter(|tags| tags.iter().all(|tag| is_token(tag)))
    }

    /// The option tags a proxy must understand: Proxy-Require; `None` when malformed.
    pub fn proxy_require(&self) -> Option<Vec<String>> {
        self.0
            .typed_all::<ProxyRequire>()
            .map(|list| list.ok().map(|list| list.0.0.iter().map(|tag| text(tag)).collect()))
            .collect::<Option<Vec<Vec<String>>>>()
            .map(|lists| lists.concat())
            .filter(|tags| tags.iter().all(|tag| is_token(tag)))
    }

    /// Whether Supported names this option tag.
    pub fn supports(&self, tag: &str) -> bool {
        self.0.typed_all::<Supported>().filter_map(Result::ok).any(|list| list.0.contains(tag))
    }

    /// The body's type as `type/subtype` in lower case; `None` when absent or malformed.
    pub fn content_type(&self) -> Option<String> {
        let kind = self.0.typed::<ContentType>()?.ok()?;
        Some(format!("{}/{}", text(&kind.media_type), text(&kind.subtype)))
    }

    /// Whether a header that must parse is there but does not.
    pub(super) fn is_malformed<H: TypedHeader>(&self) -> bool {
        self.0.typed_all::<H>().any(|value| value.is_err())
    }

    /// Whether a Contact is there but does not parse.
    pub fn is_contact_malformed(&self) -> bool {
        self.is_malformed::<ContactValue>()
    }
}

fn header_name(name: &str) -> HeaderName {
    HeaderName::parse(&bytes::Bytes::copy_from_slice(name.as_bytes()))
}
