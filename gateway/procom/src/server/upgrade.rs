//! Who may open a WebSocket: host, origin, version, key, subprotocol (RFC 6455 §4.2, security
//! row 20). Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::{Method, Request, Response, StatusCode, Version};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::pages;

/// The one subprotocol.
const SUBPROTOCOL: &str = "procom.v1";
/// The one version (RFC 6455 §4.1).
const VERSION: &str = "13";

/// What requests are held against.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) is_tls: bool,
    /// Only this machine can connect.
    pub(crate) is_loopback: bool,
    /// Browsers may be told never to come without TLS.
    pub(crate) is_strict_transport: bool,
    /// Origins besides our own.
    pub(crate) origins: Vec<String>,
}

/// A WebSocket may begin.
pub(super) struct Accepted {
    pub(super) response: Response<Full<Bytes>>,
    pub(super) origin: Option<String>,
    /// Whether the page is one of ours.
    pub(super) is_home: bool,
}

impl Policy {
    /// The host that was asked for.
    ///
    /// A page of another name that resolves to this machine must not pass for one of ours (DNS
    /// rebinding), so on loopback only names of loopback and of the configured origins are served.
    pub(super) fn check_host(&self, headers: &HeaderMap) -> Result<String, StatusCode> {
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return Err(StatusCode::BAD_REQUEST);
        };
        let host = host.to_str().map_err(|_| StatusCode::BAD_REQUEST)?.to_ascii_lowercase();
        let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        if host.is_empty() || !host.bytes().all(is_fine) {
            return Err(StatusCode::BAD_REQUEST);
        }
        let is_named = self.origins.iter().any(|origin| origin_host(origin) == host);
        if self.is_loopback && !is_named && !is_loopback_host(&host) {
            return Err(StatusCode::MISDIRECTED_REQUEST);
        }
        Ok(host)
    }

    /// Whether a request may become a WebSocket; otherwise what is answered.
    pub(super) fn check_upgrade<B>(
        &self,
        request: &Request<B>,
        host: &str,
    ) -> Result<Accepted, Box<Response<Full<Bytes>>>> {
        let headers = request.headers();
        let refuse = |status| Err(Box::new(pages::plain(status)));
        if request.method() != Method::GET {
            return refuse(StatusCode::METHOD_NOT_ALLOWED);
        }
        let is_websocket = request.version() == Version::HTTP_11
            && has_word(headers, &CONNECTION, "upgrade")
            && has_word(headers, &UPGRADE, "websocket");
        if !is_websocket || single(headers, &SEC_WEBSOCKET_VERSION) != Some(VERSION) {
            return Err(Box::new(upgrade_required()));
        }
        let key = single(headers, &SEC_WEBSOCKET_KEY)
            .filter(|key| STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16));
        let Some(key) = key else {
            return refuse(StatusCode::BAD_REQUEST);
        };
        if !has_word(headers, &SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
            return refuse(StatusCode::BAD_REQUEST);
        }
        match self.check_origin(headers, host) {
            Ok((origin, is_home)) => Ok(Accepted { response: switch(key), origin, is_home }),
            Err(status) => refuse(status),
        }
    }

    /// What is not a browser has no origin; a browser cannot hide its page's.
    fn check_origin(
        &self,
        headers: &HeaderMap,
        host: &str,
    ) -> Result<(Option<String>, bool), StatusCode> {
        let mut origins = headers.get_all(ORIGIN).iter();
        let (origin, other) = (origins.next(), origins.next());
        let Some(origin) = origin else {
            return Ok((None, false));
        };
        let origin = origin.to_str().map_err(|_| StatusCode::FORBIDDEN)?;
        let scheme = if self.is_tls { "https" } else { "http" };
        let is_own = origin == format!("{scheme}://{host}");
        if other.is_some() || !(is_own || self.origins.iter().any(|known| known == origin)) {
            return Err(StatusCode::FORBIDDEN);
        }
        Ok((Some(origin.to_owned()), is_own))
    }
}

fn origin_host(origin: &str) -> &str {
    origin.split_once("://").map_or(origin, |(_, host)| host)
}

fn is_loopback_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// Whether a comma-separated field holds a word, compared without case.
fn has_word(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(word))
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    value.to_str().ok()
}

fn switch(key: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()))
        .expect("base64 may stand in a header");
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    response
}

/// RFC 6455 §4.4: which version would do.
fn upgrade_required() -> Response<Full<Bytes>> {
    let mut response = pages::plain(StatusCode::UPGRADE_REQUIRED);
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
    response
}
