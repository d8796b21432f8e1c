//! A small backend that tells what it was asked, for trials: `server: { echo: 127.0.0.1:9902 }`.

use async_trait::async_trait;
use bytes::BytesMut;
use http::{Response, StatusCode};
use pingora_core::apps::http_app::ServeHttp;
use pingora_core::protocols::http::ServerSession;
use serde_json::{Map, Value, json};

/// Longest body that is told back.
const MAX_BODY_BYTES: usize = 1 << 20;

/// The backend.
pub struct Echo;

#[async_trait]
impl ServeHttp for Echo {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let mut body = BytesMut::new();
        while let Ok(Some(piece)) = session.read_request_body().await {
            if body.len() + piece.len() > MAX_BODY_BYTES {
                return reply(StatusCode::PAYLOAD_TOO_LARGE, &json!({ "error": "body too large to echo" }));
            }
            body.extend_from_slice(&piece);
        }
        let request = session.req_header();
        let headers: Map<String, Value> = request
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
            .collect();
        reply(
            StatusCode::OK,
            &json!({
                "method": request.method.as_str(),
                "path": request.uri.path(),
                "query": request.uri.query(),
                "headers": headers,
                "body": String::from_utf8_lossy(&body),
            }),
        )
    }
}

fn reply(status: StatusCode, value: &Value) -> Response<Vec<u8>> {
    let body = format!("{value:#}\n").into_bytes();
    let mut response = Response::new(Vec::new());
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_LENGTH, body.len().into());
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    *response.body_mut() = body;
    response
}
