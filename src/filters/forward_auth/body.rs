//! How much of a request's body the server is shown.

use http::{HeaderName, StatusCode, header};
use schemars::JsonSchema;
use serde::Deserialize;

use super::OF_THE_BODY;
use crate::filters::{Beginning, Exchange, Refusal};
use crate::values::{Problem, Size};

/// All of it waits in memory, twice while the server is asked.
const LARGEST: Size = Size::from_mib(16);

/// How the server is shown a request's body, with its `Content-Type`, `-Encoding` and `-Language` and a `Content-Length` of
/// what it is shown. No upstream hears of the request before the server has answered.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ForwardAuthBody")]
pub struct Spec {
    /// Bytes that the server is shown at most, up to `16MiB`. A body without a `Content-Length` is read no further than
    /// 64 KiB (HTTP/2: 48 KiB). Default: `64KiB`. Example: `1MiB`.
    #[serde(default = "default_max")]
    pub max: Size,
    /// What becomes of requests with more. Default: `reject`. Example: `partial`.
    #[serde(default)]
    pub over_limit: OverLimit,
}

const fn default_max() -> Size {
    Size::from_kib(64)
}

/// What becomes of requests whose body is longer than what the server may be shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ForwardAuthOverLimit")]
pub enum OverLimit {
    /// They are refused: 413 `forward_auth_body_too_large`, and 411 `forward_auth_length_required` where a body without a
    /// length is too long to be read before an upstream hears of it.
    #[default]
    Reject,
    /// The server is shown the beginning, and told `X-Forwarded-Body-Partial: true`.
    Partial,
}

/// The same, checked.
pub(super) struct Body {
    most: usize,
    over_limit: OverLimit,
}

impl Spec {
    pub(super) fn build(&self) -> Result<Body, Problem> {
        if self.max.bytes() == 0 || self.max > LARGEST {
            return Err(Problem::new(
                "body.max",
                format_args!("expected 1B to {LARGEST}: it waits in memory"),
            ));
        }
        Ok(Body { most: self.max.as_usize(), over_limit: self.over_limit })
    }
}

impl Body {
    /// Reads what the server is shown.
    pub(super) async fn read(&self, exchange: &mut Exchange<'_>) -> Result<Beginning, Refusal> {
        let most = self.most as u64;
        let rejects = self.over_limit == OverLimit::Reject;
        if rejects && announced(exchange).is_some_and(|length| length > most) {
            return Err(too_large());
        }
        let Beginning { mut bytes, whole } = exchange.read_body(most).await?;
        let fits = bytes.len() <= self.most;
        if rejects && !(whole && fits) {
            return Err(if fits { length_required() } else { too_large() });
        }
        bytes.truncate(self.most);
        Ok(Beginning { bytes, whole: whole && fits })
    }
}

fn announced(exchange: &Exchange<'_>) -> Option<u64> {
    exchange.header(header::CONTENT_LENGTH.as_str())?.parse().ok()
}

fn too_large() -> Refusal {
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "forward_auth_body_too_large")
}

fn length_required() -> Refusal {
    Refusal::new(StatusCode::LENGTH_REQUIRED, "forward_auth_length_required")
}

/// Adds what a body cannot be read without to the headers that the server is shown.
pub(super) fn show_its_type(shown: &mut Vec<HeaderName>) {
    for name in OF_THE_BODY.map(HeaderName::from_static) {
        if !shown.contains(&name) {
            shown.push(name);
        }
    }
}
