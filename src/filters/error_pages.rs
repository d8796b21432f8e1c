//! What errors look like to clients: Edgeward's own, and those of upstreams that should not be seen.
//!
//! Status and headers such as `Retry-After` or `WWW-Authenticate` stay; the body and everything that describes it is
//! replaced. The replacement goes out once, whole, in place of the first piece of the old body, so nothing of a stack
//! trace is ever passed on or buffered.

mod page;
mod statuses;

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION,
    CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, TRAILER, TRANSFER_ENCODING,
};
use http::{HeaderName, Method, StatusCode};
use pingora::http::ResponseHeader;
use schemars::JsonSchema;
use serde::Deserialize;

use self::page::Page;
pub use self::page::PageSpec;
pub use self::statuses::Statuses;
use super::{Exchange, Filter, Origin, Phases, Refusal, Site};
use crate::http::media_type::essence;
use crate::http::problem;
use crate::values::Problem;

/// Decides what error responses look like.
///
/// Edgeward's own errors are replaced where `pages` has one for the status, or `format` is not `problem`. An upstream's
/// are replaced where `mask` names the status. The status stays, and so do headers that don't describe the body. An
/// upstream's error without a body stays without one.
///
/// ```yaml
/// - error_pages:
///     mask: [5xx, 404]
///     pages:
///       404: { file: errors/404.html }
///       5xx: { body: "we are looking into it\n", content_type: text/plain }
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Spec {
    /// Upstream errors to replace: statuses, e.g. `404`, and classes, `4xx` or `5xx`. Default `[5xx]`, whose bodies are
    /// where stack traces come from. `[]` passes all on as they are.
    pub mask: Vec<Statuses>,
    /// What a replacement is where `pages` has none: `problem` (RFC 9457 JSON), `html` or `text`. Default `problem`.
    pub format: Format,
    /// Pages by status (`404`) or class (`4xx`, `5xx`); the status counts before its class.
    pub pages: BTreeMap<Statuses, PageSpec>,
}

/// How errors are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ErrorFormat")]
pub enum Format {
    /// `application/problem+json` (RFC 9457).
    #[default]
    Problem,
    /// A short HTML page with the status and the request's id.
    Html,
    /// Plain text with the status and the request's id.
    Text,
}

impl Default for Spec {
    fn default() -> Self {
        Self { mask: vec![Statuses::Class(5)], format: Format::default(), pages: BTreeMap::new() }
    }
}

impl super::Spec for Spec {
    const KIND: &'static str = "error_pages";
    const DECIDES: bool = false;

    fn compile(self, site: &Site<'_>) -> Result<Box<dyn Filter>, Problem> {
        let compiled = self.pages.into_iter().map(|(statuses, spec)| {
            let page = spec.compile(site.base);
            page.map(|page| (statuses, page)).map_err(|problem| problem.under(&format!("pages.{statuses}")))
        });
        let pages = compiled.collect::<Result<_, _>>()?;
        Ok(Box::new(ErrorPages { mask: self.mask.into(), format: self.format, pages }))
    }
}

struct ErrorPages {
    mask: Box<[Statuses]>,
    format: Format,
    pages: BTreeMap<Statuses, Page>,
}

/// What becomes of the body that follows.
pub(super) enum Replacement {
    /// It passes.
    Off,
    /// This is sent in its place.
    Due(Bytes),
    /// Its place is taken.
    Sent,
}

impl Replacement {
    /// A problem document in place of an upstream's error. Makes the head that of the document.
    pub(super) fn problem(exchange: &Exchange<'_>, response: &mut ResponseHeader) -> Self {
        Self::by(exchange, response, |status| {
            Page::generate(Format::Problem, status, &exchange.facts.request_id)
        })
    }

    /// A page in place of an error. Makes the head that of the page.
    fn by(
        exchange: &Exchange<'_>,
        response: &mut ResponseHeader,
        page: impl FnOnce(StatusCode) -> Page,
    ) -> Self {
        // Upstreams put messages there, too.
        _ = response.set_reason_phrase(None);
        let framing = Framing::of(response, exchange.origin);
        if framing == Framing::Empty {
            return Self::Off;
        }
        let page = page(response.status);
        replace_head(response, &page, framing);
        if exchange.request.method == Method::HEAD { Self::Off } else { Self::Due(page.body) }
    }

    /// Puts it in the place of what comes.
    pub(super) fn apply(&mut self, body: &mut Option<Bytes>) {
        if !matches!(self, Self::Off) {
            *body = match std::mem::replace(self, Self::Sent) {
                Self::Due(page) => Some(page),
                _ => None,
            };
        }
    }
}

impl Filter for ErrorPages {
    fn phases(&self) -> Phases {
        Phases::RESPONSE.and(Phases::RESPONSE_BODY)
    }

    fn on_response(&self, exchange: &mut Exchange<'_>, response: &mut ResponseHeader) -> Result<(), Refusal> {
        // A response that failed on its way is followed by another one, which starts anew.
        if let Some(replacement) = exchange.slot() {
            *replacement = Replacement::Off;
        }
        let status = response.status;
        if !(400..600).contains(&status.as_u16()) {
            return Ok(());
        }
        let page = self.page(status);
        match exchange.origin {
            Origin::Upstream if self.mask.iter().any(|masked| masked.contain(status)) => {}
            Origin::Edgeward
                if is_problem(response) && (page.is_some() || self.format != Format::Problem) => {}
            _ => return Ok(()),
        }
        let generate = |status| Page::generate(self.format, status, &exchange.facts.request_id);
        let replacement =
            Replacement::by(exchange, response, |status| page.cloned().unwrap_or_else(|| generate(status)));
        exchange.keep(replacement);
        Ok(())
    }

    fn on_response_body(
        &self,
        exchange: &mut Exchange<'_>,
        body: &mut Option<Bytes>,
        _end: bool,
    ) -> Result<(), Refusal> {
        if let Some(replacement) = exchange.slot::<Replacement>() {
            replacement.apply(body);
        }
        Ok(())
    }
}

impl ErrorPages {
    fn page(&self, status: StatusCode) -> Option<&Page> {
        let one = self.pages.get(&Statuses::One(status.as_u16()));
        one.or_else(|| self.pages.get(&Statuses::Class(status.as_u16() / 100)))
    }
}

/// Whether it is one of Edgeward's own error documents, and not the body of a `respond:`.
fn is_problem(response: &ResponseHeader) -> bool {
    let content_type = response.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| essence(value).eq_ignore_ascii_case(problem::CONTENT_TYPE))
}

/// What the head says about the body that follows it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// None does.
    Empty,
    /// One does, so there is a place for the replacement.
    Body,
    /// An HTTP/2 head without a length: one may follow or not, and a length we promise might never come.
    Unknown,
}

impl Framing {
    fn of(response: &ResponseHeader, origin: Origin) -> Self {
        match response.headers.get(CONTENT_LENGTH) {
            _ if origin == Origin::Edgeward => Self::Body,
            Some(length) if length == "0" => Self::Empty,
            Some(_) => Self::Body,
            None if response.headers.contains_key(TRANSFER_ENCODING) => Self::Body,
            None => Self::Unknown,
        }
    }
}

fn replace_head(response: &mut ResponseHeader, page: &Page, framing: Framing) {
    const OF_THE_OLD_BODY: [HeaderName; 15] = [
        CONTENT_LENGTH,
        TRANSFER_ENCODING,
        TRAILER,
        CONTENT_ENCODING,
        CONTENT_LANGUAGE,
        CONTENT_DISPOSITION,
        CONTENT_LOCATION,
        CONTENT_RANGE,
        ACCEPT_RANGES,
        ETAG,
        LAST_MODIFIED,
        HeaderName::from_static("content-digest"),
        HeaderName::from_static("repr-digest"),
        HeaderName::from_static("digest"),
        HeaderName::from_static("content-md5"),
    ];
    for name in &OF_THE_OLD_BODY {
        response.remove_header(name);
    }
    _ = response.insert_header(CONTENT_TYPE, page.content_type.clone());
    if framing == Framing::Body {
        _ = response.set_content_length(page.body.len());
    }
}

#[cfg(test)]
mod tests;
