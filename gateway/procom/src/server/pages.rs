//! The pages of the web client, with the headers that keep them to themselves.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, ORIGIN, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};
use ring::digest::{SHA256, digest};

use super::files::{FILES, File};
use super::upgrade::Policy;
use crate::fresh::hex;

/// Answers with no more than the status.
pub(super) fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response =
        Response::new(Full::from(status.canonical_reason().unwrap_or("refused").to_owned()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

/// Answers with a file of the web client.
pub(super) fn respond<B>(
    request: &Request<B>,
    policy: &Policy,
    host: &str,
) -> Response<Full<Bytes>> {
    let path = match request.uri().path() {
        "/" => "index.html",
        path => path.strip_prefix('/').unwrap_or(path),
    };
    let Some(file) = FILES.iter().find(|file| file.path == path) else {
        return plain(StatusCode::NOT_FOUND);
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return plain(StatusCode::METHOD_NOT_ALLOWED);
    }
    let tag = format!("\"{}\"", hex(&digest(&SHA256, file.bytes).as_ref()[..16]));
    let is_known = is_among(request.headers(), &tag);
    let mut response = Response::new(if is_known || request.method() == Method::HEAD {
        Full::default()
    } else {
        Full::from(Bytes::from_static(file.bytes))
    });
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    dress(response.headers_mut(), file, &tag, policy, host);
    if file.is_shared() {
        share(response.headers_mut(), request.headers(), policy);
    }
    response
}

/// Lets the pages that may connect load what they need for it (Fetch Standard §3.2), and no others.
fn share(headers: &mut HeaderMap, asked: &HeaderMap, policy: &Policy) {
    headers.insert(VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = asked.get(ORIGIN) else { return };
    if policy.origins.iter().any(|known| known.as_bytes() == origin.as_bytes()) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        let name = HeaderName::from_static("cross-origin-resource-policy");
        headers.insert(name, HeaderValue::from_static("cross-origin"));
    }
}

/// RFC 9110 §13.1.2.
fn is_among(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|known| known.trim().trim_start_matches("W/") == tag || known.trim() == "*")
}

fn dress(headers: &mut HeaderMap, file: &File, tag: &str, policy: &Policy, host: &str) {
    let text = |value: String| HeaderValue::from_str(&value).expect("host and tag are plain text");
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.media_type()));
    headers.insert(ETAG, text(tag.to_owned()));
    // Always asked again, so that page and gateway are of one version.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CONTENT_SECURITY_POLICY, text(content_policy(policy, host)));
    let more = [
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "microphone=(self), camera=(), geolocation=()"),
        ("x-frame-options", "DENY"),
    ];
    for (name, value) in more {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if policy.is_strict_transport {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(STRICT_TRANSPORT_SECURITY, year);
    }
}

/// Content Security Policy Level 3: nothing inline, nothing from elsewhere. Not every browser takes
/// `'self'` for the WebSocket of the same host, so that is named.
fn content_policy(policy: &Policy, host: &str) -> String {
    let socket = if policy.is_tls { "wss" } else { "ws" };
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; \
         connect-src 'self' {socket}://{host}; media-src 'self' blob: mediastream:; \
         manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'"
    )
}
