//! Responses: reading and building (RFC 3261 §8.2.6).

use std::fmt;

use bytes::Bytes;
use sipx_sip::HeaderName;

use super::fields::Fields;
use super::header;
use super::request::Request;

/// A response, parsed or being built. `Debug` shows the status only.
#[derive(Clone)]
pub struct Response(sipx_sip::Response);

impl Response {
    pub(super) fn wrap(response: sipx_sip::Response) -> Self {
        Self(response)
    }

    /// Starts the response to a request: Via, From, To, Call-ID and CSeq are copied, in 100 also
    /// Timestamp (RFC 3261 §8.2.6.1 and §8.2.6.2). A `status` outside 100..=699 becomes 500.
    pub fn to_request(request: &Request, status: u16) -> Self {
        let code = sipx_sip::StatusCode::new(status)
            .unwrap_or_else(|| sipx_sip::StatusCode::new(500).expect("500 is a status code"));
        let reason = Bytes::from_static(reason_phrase(code.code()).as_bytes());
        let mut out = Self(sipx_sip::Response::new(code, reason));
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            for value in request.fields().texts(name) {
                out.push(name, &value);
            }
        }
        if let Some(timestamp) = request.fields().text("Timestamp").filter(|_| status == 100) {
            out.push("Timestamp", &timestamp);
        }
        out
    }

    /// The status code, 100..=699.
    pub fn status(&self) -> u16 {
        self.0.status.code()
    }

    /// Whether the status is 1xx.
    pub fn is_provisional(&self) -> bool {
        self.status() < 200
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status())
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

    /// Puts a tag on To, when there is none (RFC 3261 §8.2.6.2).
    pub fn tag_to(&mut self, tag: &str) {
        let Some(to) = self.fields().text("To") else { return };
        if self.fields().to().is_some_and(|to| to.tag().is_some()) {
            return;
        }
        self.0.headers.remove_all(&HeaderName::To);
        self.push("To", &format!("{to};tag={tag}"));
    }

    /// Sets the body and its type; [`Self::render`] writes the length.
    pub fn set_body(&mut self, content_type: &str, body: Bytes) {
        self.push("Content-Type", content_type);
        self.0.set_body(body);
    }

    /// Renders the response with its Content-Length.
    pub fn render(&self) -> Bytes {
        let mut response = self.0.clone();
        response.headers.remove_all(&HeaderName::ContentLength);
        response.headers.push(header("Content-Length", &response.body().len().to_string()));
        let mut out = Vec::with_capacity(512 + response.body().len());
        response.write_to(&mut out);
        Bytes::from(out)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({})", self.status())
    }
}

/// The usual words for a status (RFC 3261 §21 and the registry it founded).
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        305 => "Use Proxy",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        485 => "Ambiguous",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        491 => "Request Pending",
        493 => "Undecipherable",
        494 => "Security Agreement Required",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        607 => "Unwanted",
        _ => "Unknown",
    }
}
