//! The seam behind which requests of our own go out: to issuers, to who is asked whether a request may pass, to who
//! is told of events. Engines take an `Arc<dyn Fetch>` and know nothing of sockets; `outbound::Client` is the real one.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use super::url::Url;

#[cfg(test)]
pub(crate) mod testing;

/// Asks others by HTTP.
pub trait Fetch: Send + Sync {
    /// Sends a request and reads the whole answer, whatever its status. No redirect is followed. It ends within the
    /// request's deadline; dropped before, the request is cut off.
    fn fetch(&self, request: Request) -> Fetching<'_>;
}

/// An answer that is being waited for.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Response, Failure>> + Send + 'a>>;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    /// Fields to send. `Host`, framing and what else concerns one connection alone is not the caller's to say and
    /// left out.
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Whether it does no harm when it arrives twice. If so it is sent once more where a kept connection turns out
    /// to have been closed, which a server may do at any time (RFC 9112 §9.3.1).
    pub repeatable: bool,
    pub limits: Limits,
}

/// What an answer may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From the call to the last byte of the answer, the wait for a free connection included. Default 5 s.
    pub deadline: Duration,
    /// Bytes of the answer's head. Default 32 KiB.
    pub head_bytes: usize,
    /// Bytes of the answer's body. Default 64 KiB.
    pub body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(5), head_bytes: 32 << 10, body_bytes: 64 << 10 }
    }
}

impl Request {
    /// With no fields and no body, within the default limits. It is repeatable where its method is idempotent
    /// (RFC 9110 §9.2.2).
    #[must_use]
    pub fn new(method: Method, url: Url) -> Self {
        let repeatable = method.is_idempotent();
        let (headers, body, limits) = (HeaderMap::new(), Bytes::new(), Limits::default());
        Self { method, url, headers, body, repeatable, limits }
    }
}

/// What came back, complete.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why there is no answer. Messages are for logs: they name addresses and what the system said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("as many requests as may are under way already")]
    Busy,
    #[error("the name does not resolve: {0}")]
    Resolve(String),
    #[error("no connection: {0}")]
    Connect(String),
    #[error("the certificate is not to be trusted: {0}")]
    Certificate(String),
    #[error("no TLS connection: {0}")]
    Tls(String),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("the connection broke: {0}")]
    Closed(String),
    #[error("the answer's {part} has more than {limit} bytes")]
    TooLarge { part: Part, limit: usize },
    #[error("the answer is malformed: {0}")]
    Malformed(String),
}

/// What is too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Head,
    Body,
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Head => "head",
            Self::Body => "body",
        })
    }
}

impl Failure {
    /// One word, for a metric's label.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Resolve(_) => "resolve",
            Self::Connect(_) => "connect",
            Self::Certificate(_) => "certificate",
            Self::Tls(_) => "tls",
            Self::Timeout(_) => "timeout",
            Self::Closed(_) => "closed",
            Self::TooLarge { .. } => "too_large",
            Self::Malformed(_) => "malformed",
        }
    }
}
