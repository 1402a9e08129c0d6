//! Requests: reading, building, and the two requests made from another one (ACK, CANCEL).

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;
use sipx_sip::HeaderName;
use sipx_sip::validate::Finding;

use super::fields::Fields;
use super::response::Response;
use super::uri::Uri;
use super::{Method, header, text};

/// A request, parsed or being built. `Debug` shows the method only.
#[derive(Clone)]
pub struct Request(sipx_sip::Request);

impl Request {
    pub(super) fn wrap(request: sipx_sip::Request) -> Self {
        Self(request)
    }

    /// Starts a request with no headers.
    pub fn new(method: &Method, uri: Uri) -> Self {
        Self(sipx_sip::Request::new(method.to_wire(), uri.0))
    }

    /// The method.
    pub fn method(&self) -> Method {
        Method::from_wire(&self.0.method)
    }

    /// The Request-URI.
    pub fn uri(&self) -> Uri {
        Uri(self.0.uri.clone())
    }

    /// The headers.
    pub fn fields(&self) -> Fields<'_> {
        Fields(&self.0.headers)
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        self.0.body()
    }

    /// Appends a header. A line break in the value becomes a space.
    pub fn push(&mut self, name: &str, value: &str) {
        self.0.headers.push(header(name, value));
    }

    /// Puts a header in place of all of that name.
    pub fn set(&mut self, name: &str, value: &str) {
        let header = header(name, value);
        self.0.headers.remove_all(header.name());
        self.0.headers.push(header);
    }

    /// Puts a Via on top (RFC 3261 §18.1.1), in place of an earlier one of ours.
    pub fn set_top_via(&mut self, value: &str) {
        self.0.headers.remove_all(&HeaderName::Via);
        self.0.headers.push_front(header("Via", value));
    }

    /// Sets the body and its type; [`Self::render`] writes the length.
    pub fn set_body(&mut self, content_type: &str, body: Bytes) {
        self.set("Content-Type", content_type);
        self.0.set_body(body);
    }

    /// Renders the request, with the Content-Length a stream needs (RFC 3261 §18.3).
    pub fn render(&self) -> Bytes {
        let mut request = self.0.clone();
        request.headers.remove_all(&HeaderName::ContentLength);
        request.headers.push(header("Content-Length", &request.body().len().to_string()));
        let mut out = Vec::with_capacity(512 + request.body().len());
        request.write_to(&mut out);
        Bytes::from(out)
    }

    /// Notes in the topmost Via where the request really came from (RFC 3261 §18.2.1,
    /// RFC 3581 §4), so that every response made from it carries it.
    pub fn note_source(&mut self, source: SocketAddr) {
        let Some(row) = self.0.headers.get(&HeaderName::Via).map(|via| via.value().to_vec()) else {
            return;
        };
        let Some(via) = self.fields().top_via() else { return };
        let end = sipx_sip::headers::first_hop_end(&row);
        let (top, rest) = (text(&row[..end]), text(&row[end..]));
        let wants_port = via.rport.is_some();
        let is_other = via.host != source.ip().to_string();
        if !wants_port && !is_other {
            return;
        }
        let mut parts = split_params(&top);
        parts.retain(|part| {
            let name = part.split('=').next().unwrap_or("").trim().to_ascii_lowercase();
            name != "received" && name != "rport"
        });
        parts.push(format!("received={}", source.ip()));
        if wants_port {
            parts.push(format!("rport={}", source.port()));
        }
        let line = header("Via", &format!("{}{rest}", parts.join(";")));
        self.0.headers.remove_first(&HeaderName::Via);
        self.0.headers.push_front(line);
    }

    /// What RFC 3261 §8.1.1 demands and this request lacks, as a status: 505, 400 or nothing.
    /// A missing Max-Forwards is forgiven, as §16.6 step 3 lets a proxy do.
    pub fn fault(&self) -> Option<u16> {
        let findings = sipx_sip::validate_request(&self.0);
        if findings.contains(&Finding::UnsupportedVersion) {
            return Some(505);
        }
        let fields = self.fields();
        let is_broken = findings.iter().any(|finding| !finding.is_repairable())
            || fields.is_malformed::<sipx_sip::Via>()
            || fields.is_contact_malformed()
            || fields.is_date_malformed()
            // An answer repeats them, and cannot repeat a NUL.
            || fields.texts("Via").iter().any(|via| via.contains('\0'))
            || fields.call_id().is_none();
        is_broken.then_some(400)
    }

    /// Makes the ACK for a response of 300 or above (RFC 3261 §17.1.1.3).
    pub fn ack_for(&self, response: &Response) -> Self {
        let mut ack = self.sibling(&Method::Ack);
        if let Some(to) = response.fields().text("To") {
            ack.set("To", &to);
        }
        ack
    }

    /// Makes the CANCEL of this INVITE (RFC 3261 §9.1).
    pub fn cancel(&self) -> Self {
        self.sibling(&Method::Cancel)
    }

    fn sibling(&self, method: &Method) -> Self {
        let mut out = Self::new(method, self.uri());
        if let Some(via) = self.fields().text("Via") {
            out.push("Via", &via);
        }
        for name in ["Route", "From", "To", "Call-ID"] {
            for value in self.fields().texts(name) {
                out.push(name, &value);
            }
        }
        let number = self.fields().cseq().map_or(0, |(number, _)| number);
        out.push("CSeq", &format!("{number} {method}"));
        out.push("Max-Forwards", "70");
        out
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({})", self.method())
    }
}

/// Splits at semicolons outside quotes.
fn split_params(value: &str) -> Vec<String> {
    let (mut parts, mut part, mut is_quoted, mut is_escaped) =
        (Vec::new(), String::new(), false, false);
    for c in value.chars() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            ';' if !is_quoted => {
                parts.push(std::mem::take(&mut part).trim().to_owned());
                continue;
            }
            _ => {}
        }
        part.push(c);
    }
    parts.push(part.trim().to_owned());
    parts
}
