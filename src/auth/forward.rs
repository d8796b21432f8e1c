//! Asking another server whether a request may pass, as Traefik's `ForwardAuth`, Caddy's `forward_auth` and nginx's
//! `auth_request` do.
//!
//! Always holds: 2xx alone is a yes; 401, 403 and redirects with a `Location` are a no in the server's words; everything
//! else is no answer at all, and neither is silence. A yes that sets a cookie, or asks not to be kept, is for the one
//! request that it was given to.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::freshness;
use crate::http::fetch::{Failure, Fetch, Limits, Request, Response};
use crate::http::url::Url;
use crate::state::Clock;
use crate::state::flights::{Keep, Landing, Trust};

const X_FORWARDED_BODY_PARTIAL: HeaderName = HeaderName::from_static("x-forwarded-body-partial");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const X_ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
const X_ORIGINAL_URL: HeaderName = HeaderName::from_static("x-original-url");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The server that decides.
pub struct Authority {
    /// How it is reached.
    pub fetch: Arc<dyn Fetch>,
    /// Where it is asked.
    pub url: Url,
    /// What it is asked with in place of the request's own method.
    pub method: Option<Method>,
    /// For one question.
    pub timeout: Duration,
}

/// The request that it is asked about.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    pub method: &'a Method,
    /// `https` or `http`.
    pub scheme: &'a str,
    /// `Host`, as it came.
    pub authority: &'a [u8],
    /// The normalised path, with its query.
    pub target: &'a str,
    pub client_ip: IpAddr,
    /// Under which name logs speak of it.
    pub request_id: &'a str,
}

/// What of the request the server is shown.
#[derive(Debug, Clone)]
pub struct Shown {
    pub headers: HeaderMap,
    /// The body, or its beginning; empty where it is not for the server.
    pub body: Bytes,
    /// Whether there is more of the body.
    pub partial: bool,
}

/// What the server says.
#[derive(Debug, Clone)]
pub enum Answer {
    /// It may pass. The fields of the answer.
    Pass(Arc<HeaderMap>),
    /// It may not, in these words.
    Refuse(Box<Response>),
}

/// What those get who waited for the answer to another request that is the same in all that counts.
#[derive(Debug, Clone)]
pub enum Shared {
    /// They may pass, too.
    Pass(Arc<HeaderMap>),
    /// They have to ask for themselves.
    AskYourself,
    /// There was no answer, and to ask again at once would bring none either.
    Nothing,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error(transparent)]
    Fetch(#[from] Failure),
    #[error("the server answers {0}, which is neither yes nor no")]
    Status(StatusCode),
    #[error("the server answers {0} and does not say where to")]
    NoLocation(StatusCode),
    #[error("another request had no answer just now")]
    Shared,
}

impl Authority {
    /// Asks about a request.
    ///
    /// # Errors
    /// When there is no answer: the request must not pass.
    pub async fn ask(&self, about: &About<'_>, shown: Shown) -> Result<Answer, Trouble> {
        let request = Request {
            headers: with_claims(shown.headers, about, shown.partial),
            body: shown.body,
            limits: Limits { deadline: self.timeout, ..Limits::default() },
            // Whoever decides changes nothing, or would be asked twice by every client that tries again.
            repeatable: true,
            ..Request::new(self.method.clone().unwrap_or_else(|| about.method.clone()), self.url.clone())
        };
        let answer = self.fetch.fetch(request).await.map_err(Trouble::from).and_then(understand);
        if let Err(trouble) = &answer {
            log::warn!(url:% = self.url, trouble:%; "whether a request may pass is not known, so it may not");
        }
        answer
    }
}

/// What the server is told about the request, in the words of those who did this first.
fn with_claims(mut headers: HeaderMap, about: &About<'_>, partial: bool) -> HeaderMap {
    let original = [about.scheme.as_bytes(), b"://", about.authority, about.target.as_bytes()].concat();
    let client_ip = about.client_ip.to_canonical().to_string();
    let claims = [
        (X_FORWARDED_METHOD, about.method.as_str().as_bytes()),
        (X_FORWARDED_PROTO, about.scheme.as_bytes()),
        (X_FORWARDED_HOST, about.authority),
        (X_FORWARDED_URI, about.target.as_bytes()),
        (X_FORWARDED_FOR, client_ip.as_bytes()),
        (X_ORIGINAL_METHOD, about.method.as_str().as_bytes()),
        (X_ORIGINAL_URL, &original),
        (X_REQUEST_ID, about.request_id.as_bytes()),
    ];
    for (name, value) in claims {
        headers.remove(&name);
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(name, value);
        }
    }
    headers.remove(&X_FORWARDED_BODY_PARTIAL);
    if partial {
        headers.insert(X_FORWARDED_BODY_PARTIAL, HeaderValue::from_static("true"));
    }
    headers
}

fn understand(response: Response) -> Result<Answer, Trouble> {
    let status = response.status;
    match status.as_u16() {
        200..=299 => Ok(Answer::Pass(Arc::new(response.headers))),
        401 | 403 => Ok(Answer::Refuse(Box::new(response))),
        301 | 302 | 303 | 307 | 308 if response.headers.contains_key(header::LOCATION) => {
            Ok(Answer::Refuse(Box::new(response)))
        }
        301 | 302 | 303 | 307 | 308 => Err(Trouble::NoLocation(status)),
        _ => Err(Trouble::Status(status)),
    }
}

/// What becomes of an answer for others, and for how long: `ttl` at most, and less where the server says so.
pub fn landing(answer: &Result<Answer, Trouble>, ttl: Duration, clock: &Clock) -> Landing<Shared> {
    let headers = match answer {
        Ok(Answer::Pass(headers)) if !headers.contains_key(header::SET_COOKIE) => headers,
        Ok(_) => return Landing { value: Shared::AskYourself, keep: Keep::Not },
        Err(_) => return Landing { value: Shared::Nothing, keep: Keep::Not },
    };
    let lifetime = freshness::lifetime(headers).unwrap_or(ttl).min(ttl);
    if lifetime.is_zero() {
        return Landing { value: Shared::AskYourself, keep: Keep::Not };
    }
    let bytes =
        headers.iter().map(|(name, value)| 64 + name.as_str().len() + value.len()).sum::<usize>() + 256;
    let ns = clock.nanos().saturating_add(u64::try_from(lifetime.as_nanos()).unwrap_or(u64::MAX));
    Landing { value: Shared::Pass(Arc::clone(headers)), keep: Keep::Until { ns, bytes, trust: Trust::Good } }
}

#[cfg(test)]
mod tests;
