//! What a request must look like before anybody acts on it (RFC 3261 §8.2).
//!
//! A request enters, nothing or a [`Refusal`] leaves. Authentication is not judged here.

use super::wire::{Method, Request, Response, Scheme};

/// The methods served, as Allow tells them.
pub const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, INFO, UPDATE, MESSAGE";
/// How many hops a request may take (RFC 3261 §8.1.1.6).
pub const MAX_HOPS: u8 = 70;
/// The option tags understood, as Supported tells them: none that may be required of us.
const UNDERSTOOD: [&str; 0] = [];

/// An answer that refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status, 300 or above.
    pub status: u16,
    /// The headers that say more.
    pub headers: Vec<(&'static str, String)>,
}

impl Refusal {
    /// One with nothing but a status.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new() }
    }

    /// Adds a header.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Makes the response.
    pub fn response(&self, request: &Request) -> Response {
        let mut response = Response::to_request(request, self.status);
        for (name, value) in &self.headers {
            response.push(name, value);
        }
        response
    }
}

/// The Max-Forwards of what came with `left` and travels on (RFC 3261 §16.6 step 3), or begins here.
pub fn hops(left: Option<u8>) -> u8 {
    left.map_or(MAX_HOPS, |left| left.saturating_sub(1).min(MAX_HOPS))
}

/// Judges a request; `None` lets it pass. The order is that of RFC 3261 §8.2.
pub fn judge(request: &Request) -> Option<Refusal> {
    if let Some(status) = request.fault() {
        return Some(Refusal::new(status));
    }
    judge_method(&request.method())
        .or_else(|| judge_address(request))
        .or_else(|| judge_extensions(request))
        .or_else(|| judge_content(request))
}

/// RFC 3261 §8.2.1 and §21.5.2.
fn judge_method(method: &Method) -> Option<Refusal> {
    match method {
        Method::Invite
        | Method::Ack
        | Method::Bye
        | Method::Cancel
        | Method::Register
        | Method::Options
        | Method::Info
        | Method::Update
        | Method::Message => None,
        Method::Prack | Method::Subscribe | Method::Notify | Method::Refer | Method::Publish => {
            Some(Refusal::new(405).with("Allow", ALLOW))
        }
        Method::Other(_) => Some(Refusal::new(501).with("Allow", ALLOW)),
    }
}

/// RFC 3261 §8.2.2.1, §10.3 and §16.3.
fn judge_address(request: &Request) -> Option<Refusal> {
    let is_register = request.method() == Method::Register;
    match request.uri().scheme() {
        Scheme::Sip | Scheme::Sips => {}
        Scheme::Tel if !is_register => {}
        Scheme::Tel | Scheme::Other => return Some(Refusal::new(416)),
    }
    if is_register {
        let scheme = request.fields().to().map(|to| to.uri.scheme());
        if !matches!(scheme, Some(Scheme::Sip | Scheme::Sips)) {
            return Some(Refusal::new(400));
        }
    }
    // We forward what we let in: only what may travel on is taken.
    let is_spent = request.fields().max_forwards() == Some(0);
    let travels_on = matches!(request.method(), Method::Invite | Method::Message);
    (is_spent && travels_on).then(|| Refusal::new(483))
}

/// RFC 3261 §8.2.2.3. Proxy-Require is for proxies; a call ends here and begins anew.
fn judge_extensions(request: &Request) -> Option<Refusal> {
    let Some(required) = request.fields().require() else { return Some(Refusal::new(400)) };
    let unknown: Vec<String> = required
        .into_iter()
        .filter(|tag| !UNDERSTOOD.iter().any(|known| known.eq_ignore_ascii_case(tag)))
        .collect();
    (!unknown.is_empty()).then(|| Refusal::new(420).with("Unsupported", &unknown.join(", ")))
}

/// RFC 3261 §8.2.3, §20.1 and §20.11.
fn judge_content(request: &Request) -> Option<Refusal> {
    let fields = request.fields();
    if !matches!(request.method(), Method::Invite | Method::Update) {
        return None;
    }
    let is_optional = fields
        .text("Content-Disposition")
        .is_some_and(|value| value.to_ascii_lowercase().contains("handling=optional"));
    if !request.body().is_empty() && !is_optional {
        let is_encoded = fields
            .text("Content-Encoding")
            .is_some_and(|value| !value.trim().eq_ignore_ascii_case("identity"));
        if is_encoded {
            let refusal = Refusal::new(415).with("Accept-Encoding", "identity");
            return Some(refusal.with("Accept", "application/sdp"));
        }
        if fields.content_type().as_deref() != Some("application/sdp") {
            return Some(Refusal::new(415).with("Accept", "application/sdp"));
        }
    }
    let accept = fields.texts("Accept").join(",").to_ascii_lowercase();
    let accepts_sdp =
        ["application/sdp", "application/*", "*/*"].iter().any(|range| accept.contains(range));
    (fields.has("Accept") && !accepts_sdp).then(|| Refusal::new(406))
}
