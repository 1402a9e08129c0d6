//! The operator's listener: `/health`, `/metrics` and the API over HTTP, on loopback, with a token.
//!
//! ```text
//! GET /api/explain?to=TEXT&from=ACCOUNT   the dialplan's steps; format=text, purpose=message,
//!                                         require=encrypted
//! ```
//!
//! The token comes as `Authorization: Bearer TOKEN` or as `?token=TOKEN`; `/health` tells nothing
//! that needs one.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gateway_adapter::{AdapterFailed, Metrics};
use gateway_media::shell::MediaHandle;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;

use crate::explain::{Explainer, Question};

/// How long a request's head may take.
const HEAD: Duration = Duration::from_secs(10);

/// What the listener shows.
#[derive(Debug)]
pub struct Admin {
    /// What a request must know.
    pub token: String,
    /// Adapters' and switchboard's metrics.
    pub metrics: Metrics,
    /// The media plane, for its counts.
    pub media: Arc<MediaHandle>,
    /// Explains what would be dialled.
    pub explainer: Explainer,
}

/// Binds the listener.
///
/// # Errors
/// The address is not loopback, or cannot be bound.
pub async fn bind(listen: SocketAddr) -> Result<TcpListener, AdapterFailed> {
    let what = format!("admin.listen {listen}");
    if !listen.ip().is_loopback() {
        return Err(AdapterFailed::new(what, "only a loopback address is safe without TLS"));
    }
    TcpListener::bind(listen).await.map_err(|why| AdapterFailed::new(what, why))
}

/// Serves until it is dropped.
pub async fn serve(listener: TcpListener, admin: Arc<Admin>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let admin = Arc::clone(&admin);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let admin = Arc::clone(&admin);
                async move { Ok::<_, Infallible>(admin.answer(&request).await) }
            });
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(16 * 1024);
            // A client that goes away is its own affair.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl Admin {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here\n".into());
        }
        match request.uri().path() {
            "/health" => json(StatusCode::OK, "{\"status\":\"ok\"}\n".into()),
            "/metrics" if self.knows(request) => text(StatusCode::OK, self.render()),
            "/api/explain" if self.knows(request) => {
                self.explain(request.uri().query().unwrap_or("")).await
            }
            "/metrics" | "/api/explain" => text(
                StatusCode::UNAUTHORIZED,
                "give the token as Authorization: Bearer TOKEN or as ?token=TOKEN\n".into(),
            ),
            _ => {
                text(StatusCode::NOT_FOUND, "here are /health, /metrics and /api/explain\n".into())
            }
        }
    }

    async fn explain(&self, query: &str) -> Response<Full<Bytes>> {
        let explained = match Question::of_query(query) {
            Ok((question, as_json)) => {
                self.explainer.explain(&question).await.map(|tree| (tree, as_json))
            }
            Err(why) => Err(why),
        };
        match explained {
            Ok((tree, true)) => json(StatusCode::OK, tree.to_json()),
            Ok((tree, false)) => text(StatusCode::OK, tree.to_text()),
            Err(why) => text(StatusCode::BAD_REQUEST, format!("{why}\n")),
        }
    }

    fn knows(&self, request: &Request<Incoming>) -> bool {
        let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = header.and_then(|value| value.strip_prefix("Bearer "));
        let query = request.uri().query().unwrap_or("");
        let parameter = query.split('&').find_map(|pair| pair.strip_prefix("token="));
        let given = bearer.or(parameter).unwrap_or("");
        given.as_bytes().ct_eq(self.token.as_bytes()).into()
    }

    fn render(&self) -> String {
        let mut families = self.metrics.registry().gather();
        families.extend(self.media_registry().gather());
        TextEncoder::new().encode_to_string(&families).unwrap_or_default()
    }

    /// The media plane counts in plain atomics: they become metrics only when somebody looks.
    fn media_registry(&self) -> Registry {
        let registry = Registry::new();
        let packets = Opts::new("packets_total", "Media packets by what became of them.");
        let packets = IntCounterVec::new(packets, &["direction", "outcome"]).expect("valid");
        for (direction, outcome, count) in self.media.counters().snapshot() {
            packets.with_label_values(&[direction, outcome]).inc_by(count);
        }
        let ports = Opts::new("ports_active", "Open ports by their protection.");
        let ports = IntGaugeVec::new(ports, &["protection"]).expect("valid");
        for protection in gateway_media::counters::PROTECTIONS {
            let count = self.media.counters().ports_active(protection);
            ports.with_label_values(&[protection.as_str()]).set(count);
        }
        registry.register(Box::new(packets)).expect("registered once");
        registry.register(Box::new(ports)).expect("registered once");
        registry
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    respond(status, "text/plain; charset=utf-8", body)
}

fn json(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    respond(status, "application/json", body)
}

fn respond(status: StatusCode, content: &'static str, body: String) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, content)
        .header(CACHE_CONTROL, "no-store")
        .body(Full::new(Bytes::from(body)))
        .expect("a response of constant parts")
}
