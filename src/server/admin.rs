//! The listener for operators: metrics, health, the policy in force, and reload.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::header::{self, HeaderValue};
use http::{Method, Response, StatusCode};
use pingora_core::apps::http_app::ServeHttp;
use pingora_core::protocols::http::ServerSession;
use serde_json::json;

use super::Shared;
use super::reload::ReloadError;
use crate::cache::fleet::Reach;
use crate::cache::purge::Order;
use crate::telemetry::metrics;

/// The longest order to purge, in bytes.
const LONGEST_ORDER: usize = 8 << 20;

/// How long a purge waits for the fleet to be told.
const PURGE_WITHIN: Duration = Duration::from_secs(3);

/// Answers operators.
pub struct Admin(pub Arc<Shared>);

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let request = session.req_header();
        let probe = is_probe(request);
        if !probe && !self.admits(request.headers.get(header::AUTHORIZATION)) {
            let mut response =
                told(StatusCode::UNAUTHORIZED, &json!({ "error": "a bearer token is needed" }));
            let challenge = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            return response;
        }
        let (method, path) = (request.method.clone(), request.uri.path().to_owned());
        match (&method, path.as_str()) {
            (&Method::GET | &Method::HEAD, "/metrics") => self.metrics(),
            (&Method::GET | &Method::HEAD, "/healthz") => told(StatusCode::OK, &json!({ "status": "ok" })),
            (&Method::GET | &Method::HEAD, "/readyz") => self.readiness(),
            (&Method::GET | &Method::HEAD, "/config") => {
                made(StatusCode::OK, "application/json", self.0.snapshot.load().redacted.clone().into_bytes())
            }
            (&Method::GET | &Method::HEAD, "/keys") => self.keys(),
            (&Method::POST, "/reload") => self.reload().await,
            (&Method::POST, "/cache/purge") => self.purge(session).await,
            (_, "/metrics" | "/healthz" | "/readyz" | "/config" | "/keys") => not_allowed("GET, HEAD"),
            (_, "/reload" | "/cache/purge") => not_allowed("POST"),
            _ => {
                let known =
                    ["/metrics", "/healthz", "/readyz", "/config", "/keys", "/reload", "/cache/purge"];
                told(StatusCode::NOT_FOUND, &json!({ "error": "not found", "known": known }))
            }
        }
    }
}

/// Whether it asks for nothing but how the process is. Load balancers and orchestrators do, which have no token, and learn no
/// more than from a connection.
fn is_probe(request: &http::request::Parts) -> bool {
    matches!(request.method, Method::GET | Method::HEAD)
        && matches!(request.uri.path(), "/healthz" | "/readyz")
}

impl Admin {
    fn admits(&self, authorization: Option<&HeaderValue>) -> bool {
        let snapshot = self.0.snapshot.load();
        let Some(token) = snapshot.admin.as_ref().and_then(|admin| admin.token.as_ref()) else { return true };
        let given = authorization.map_or(&b""[..], HeaderValue::as_bytes);
        given.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "))
            && given.get(7..).is_some_and(|given| token.matches(given))
    }

    fn metrics(&self) -> Response<Vec<u8>> {
        self.0.refresh_metrics();
        made(StatusCode::OK, metrics::CONTENT_TYPE, self.0.materials.metrics.encode())
    }

    /// Who has which keys, and uses them.
    fn keys(&self) -> Response<Vec<u8>> {
        match &self.0.snapshot.load().consumers {
            Some(consumers) => told(StatusCode::OK, &consumers.report()),
            None => told(StatusCode::NOT_FOUND, &json!({ "error": "the policy has no consumers" })),
        }
    }

    fn readiness(&self) -> Response<Vec<u8>> {
        if *self.0.draining().borrow() {
            return told(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "draining" }));
        }
        told(StatusCode::OK, &json!({ "status": "ready" }))
    }

    /// Removes stored responses.
    async fn purge(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let snapshot = self.0.snapshot.load_full();
        let Some(cache) = &snapshot.cache else {
            return told(StatusCode::NOT_FOUND, &json!({ "error": "no route of the policy has a cache" }));
        };
        let mut body = Vec::new();
        while let Ok(Some(piece)) = session.read_request_body().await {
            body.extend_from_slice(&piece);
            if body.len() > LONGEST_ORDER {
                return told(StatusCode::PAYLOAD_TOO_LARGE, &json!({ "error": "the order is too long" }));
            }
        }
        let now = self.0.materials.state.clock.wall();
        match Order::parse(&body).and_then(|order| order.scopes(snapshot.paths, now)) {
            Ok((scopes, how)) => match cache.purge(&scopes, how).within(PURGE_WITHIN).await {
                Reach::Alone => told(StatusCode::OK, &json!({ "purged": true })),
                Reach::Fleet => told(StatusCode::OK, &json!({ "purged": true, "fleet": "told" })),
                Reach::HereSoFar => told(StatusCode::ACCEPTED, &json!({ "purged": true, "fleet": "waits" })),
            },
            Err(error) => told(StatusCode::BAD_REQUEST, &json!({ "error": error.to_string() })),
        }
    }

    async fn reload(&self) -> Response<Vec<u8>> {
        match self.0.reload().await {
            Ok(()) => told(StatusCode::OK, &json!({ "reloaded": true })),
            Err(ReloadError::Wrong(diagnostics)) => {
                let errors: Vec<_> = diagnostics.iter().collect();
                told(StatusCode::UNPROCESSABLE_ENTITY, &json!({ "reloaded": false, "errors": errors }))
            }
            Err(error) => told(
                StatusCode::CONFLICT,
                &json!({ "reloaded": false, "errors": [{ "message": error.to_string() }] }),
            ),
        }
    }
}

fn not_allowed(methods: &'static str) -> Response<Vec<u8>> {
    let mut response = told(StatusCode::METHOD_NOT_ALLOWED, &json!({ "error": "method not allowed" }));
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(methods));
    response
}

fn told(status: StatusCode, value: &serde_json::Value) -> Response<Vec<u8>> {
    made(status, "application/json", format!("{value}\n").into_bytes())
}

fn made(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response<Vec<u8>> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let length = response.body().len();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
