//! What a filter may answer. A refusal is a decision, not an error: it has a status and one stable reason, which is
//! the metric's label, the log's field and the `reason` of the problem document.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use pingora::http::ResponseHeader;

/// What becomes of the exchange after a filter saw its request.
pub enum Verdict {
    /// The next filter's turn.
    Next,
    /// The filter answers by itself, and this is no refusal (a preflight, a redirect to log in).
    Respond(Box<Reply>),
    /// It is answered with a stored response, which the filter found for its [plan](super::cache::Plan).
    Stored,
    /// The request ends here.
    Refuse(Box<Refusal>),
}

/// A verdict now, without allocating, or later, when the filter has to wait for something.
pub enum Step<'a> {
    /// Decided.
    Now(Verdict),
    /// Still to be awaited.
    Later(Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>),
}

impl Step<'_> {
    /// On to the next filter.
    pub const NEXT: Self = Self::Now(Verdict::Next);

    /// Refuses with a status and a stable `snake_case` reason.
    #[must_use]
    pub fn refuse(status: StatusCode, reason: &'static str) -> Self {
        Refusal::new(status, reason).into()
    }
}

impl From<Refusal> for Step<'_> {
    fn from(refusal: Refusal) -> Self {
        Self::Now(Verdict::Refuse(Box::new(refusal)))
    }
}

impl From<Reply> for Step<'_> {
    fn from(reply: Reply) -> Self {
        Self::Now(Verdict::Respond(Box::new(reply)))
    }
}

/// The decision not to go on.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// What the client is told.
    pub status: StatusCode,
    /// Stable `snake_case`; label, log field and problem type.
    pub reason: &'static str,
    /// One sentence for the client, never about internals.
    pub detail: Option<Cow<'static, str>>,
    /// What exactly brought it about, for the access log alone. May name fields of expressions and of rules, never their
    /// values.
    pub why: Option<Box<str>>,
    /// Headers the status calls for, e.g. `Retry-After` or `WWW-Authenticate`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What the client is sent in place of a problem document, where somebody else decided and said it in their words.
    pub answer: Option<Box<Reply>>,
    /// Whether the client's connection is closed after it (HTTP/1).
    pub closes: bool,
}

impl Refusal {
    /// A refusal with nothing but its status and reason.
    #[must_use]
    pub const fn new(status: StatusCode, reason: &'static str) -> Self {
        Self { status, reason, detail: None, why: None, headers: Vec::new(), answer: None, closes: false }
    }

    /// The same, with a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same, with what brought it about, for the access log.
    #[must_use]
    pub fn why(mut self, why: impl Into<Box<str>>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// The same, and the client's connection is closed.
    #[must_use]
    pub const fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    /// The same, with a sentence for the client.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same, in the words of whoever decided.
    #[must_use]
    pub fn answered(mut self, reply: Reply) -> Self {
        self.answer = Some(Box::new(reply));
        self
    }
}

/// A whole response made here.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Status and headers; framing headers are added when it is sent.
    pub head: ResponseHeader,
    /// The body, possibly empty.
    pub body: Bytes,
}
