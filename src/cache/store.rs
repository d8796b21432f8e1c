//! Whether a response may be stored, and which of its fields (RFC 9111 §3).

use std::fmt;

use http::header::{
    AGE, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, DATE, ETAG, EXPECT, EXPIRES, IF_MATCH, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE, SET_COOKIE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::directives::{RequestDirectives, ResponseDirectives, Scope};
use super::freshness::{Freshness, Received, Rules, is_heuristically_cacheable, lifetime};
use super::part::Part;
use super::scalars::date;
use super::vary::Selector;
use crate::http::fields::{Direction, is_hop_by_hop, nominated_names};

/// The request that a response answers.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub method: &'a Method,
    pub headers: &'a HeaderMap,
    /// Whether content came with it. The key knows nothing of that, so it neither stores nor finds anything ("fat GET").
    pub has_content: bool,
    /// Whether it proves who asks by other means than `Authorization`: a key, a client certificate, a token elsewhere.
    pub has_credentials: bool,
    pub audience: Audience,
}

/// Whom a stored response is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Whoever asks.
    Anyone,
    /// One verified subject, who is part of the key.
    Subject,
}

/// Why a response is not stored, or a stored one not looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The method is not GET or HEAD, or a HEAD's response is to be stored.
    Method,
    /// The request has content.
    RequestContent,
    /// The request says `no-store`.
    RequestNoStore,
    /// The status is that of an interim or partial response, speaks of this request alone, or is not understood.
    Status,
    /// The response says `no-store`, or something that nobody can read.
    NoStore,
    /// The response says `private`.
    Private,
    /// The request had credentials, and the response does not say that it is for others, too (RFC 9111 §3.5).
    Credentials,
    /// The response sets a cookie.
    SetCookie,
    /// `Vary` is `*` or names too much.
    Vary,
    /// Nothing says for how long the response holds, or it could never be used.
    NotFresh,
}

impl Refusal {
    /// The stable word for metrics, logs and `Cache-Status`.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::RequestContent => "request_content",
            Self::RequestNoStore => "request_no_store",
            Self::Status => "status",
            Self::NoStore => "no_store",
            Self::Private => "private",
            Self::Credentials => "credentials",
            Self::SetCookie => "set_cookie",
            Self::Vary => "vary",
            Self::NotFresh => "not_fresh",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.reason())
    }
}

/// Whether a request may be answered from the cache at all (RFC 9111 §4).
///
/// # Errors
/// When it must go to the origin, whatever is stored.
pub fn may_look_up(asked: &Asked<'_>) -> Result<(), Refusal> {
    match *asked.method {
        Method::GET | Method::HEAD if asked.has_content => Err(Refusal::RequestContent),
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(Refusal::Method),
    }
}

/// Whether a response may be stored (RFC 9111 §3): the request is a GET, the status is final and understood, nobody
/// forbids it, credentials do not stand against it, and something says for how long it holds.
///
/// # Errors
/// When it may not.
pub fn may_store(
    asked: &Asked<'_>,
    wants: &RequestDirectives,
    response: &Received<'_>,
    directives: &ResponseDirectives,
    rules: &Rules,
) -> Result<(), Refusal> {
    may_look_up(asked)?;
    if *asked.method != Method::GET {
        return Err(Refusal::Method);
    }
    if wants.no_store {
        return Err(Refusal::RequestNoStore);
    }
    check_status(asked.headers, response, directives)?;
    // "SHOULD ignore the no-store directive" if the status is understood (§5.2.2.3).
    if directives.no_store && !directives.must_understand {
        return Err(Refusal::NoStore);
    }
    if directives.private == Scope::Response {
        return Err(Refusal::Private);
    }
    let credentials = asked.has_credentials || asked.headers.contains_key(AUTHORIZATION);
    if credentials && asked.audience == Audience::Anyone && !is_for_others(directives) {
        return Err(Refusal::Credentials);
    }
    if response.headers.contains_key(SET_COOKIE) && !withheld(directives).any(|name| *name == SET_COOKIE) {
        return Err(Refusal::SetCookie);
    }
    Selector::read(response.headers).ok_or(Refusal::Vary)?;
    check_freshness(response, directives, rules)
}

/// §3.5: "must-revalidate, public, and s-maxage have such an effect".
const fn is_for_others(directives: &ResponseDirectives) -> bool {
    directives.must_revalidate || directives.public || directives.s_maxage.is_some()
}

fn check_status(
    asked: &HeaderMap,
    response: &Received<'_>,
    directives: &ResponseDirectives,
) -> Result<(), Refusal> {
    let sent = |names: &[HeaderName]| names.iter().any(|name| asked.contains_key(name));
    let refused = match response.status.as_u16() {
        // Interim (§3), what only a condition brings, and what RFC 6585 forbids to store.
        0..200 | 304 | 428 | 429 | 431 | 511 => true,
        // A part that nobody asked for, or that does not say which one it is (§3.3).
        206 => !sent(&[RANGE]) || Part::read(response.headers).is_none(),
        // Said about fields that no key holds: stored, it would be what one client can make of a resource for all others.
        412 => sent(&[IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, IF_RANGE]),
        416 => sent(&[RANGE]),
        417 => sent(&[EXPECT]),
        425 => sent(&[EARLY_DATA]),
        _ => directives.must_understand && !is_understood(response.status),
    };
    if refused { Err(Refusal::Status) } else { Ok(()) }
}

/// RFC 8470 §5.1.
const EARLY_DATA: HeaderName = HeaderName::from_static("early-data");

/// Statuses of RFC 9110 whose caching requirements, if any, are met here (RFC 9111 §3).
const fn is_understood(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200..=206 | 300..=303 | 307 | 308 | 400..=406 | 409..=411 | 413..=415 | 422 | 500..=505
    )
}

/// The last condition of §3, and that there is a use in it: it will be fresh, or can be validated.
fn check_freshness(
    response: &Received<'_>,
    directives: &ResponseDirectives,
    rules: &Rules,
) -> Result<(), Refusal> {
    let told = lifetime(response, directives, rules).is_some() || directives.public;
    let storable = told || is_heuristically_cacheable(response.status);
    let can_be_validated =
        response.headers.contains_key(ETAG) || response.headers.contains_key(LAST_MODIFIED);
    let useful = can_be_validated || Freshness::new(response, directives, rules).is_ever_reusable();
    if storable && useful { Ok(()) } else { Err(Refusal::NotFresh) }
}

/// Whether a response says by itself how long it is fresh, as one to a POST must to be stored (RFC 9110 §9.3.3).
#[must_use]
pub fn says_its_lifetime(response: &HeaderMap, directives: &ResponseDirectives) -> bool {
    let expires = !directives.targeted && response.contains_key(EXPIRES);
    directives.s_maxage.or(directives.max_age).is_some() || expires
}

/// Fields that `private="…"` or `no-cache="…"` names. Those of `no-cache` could be stored and left out until validated;
/// left out from the start they are, too.
fn withheld(directives: &ResponseDirectives) -> impl Iterator<Item = &HeaderName> {
    directives.private.fields().iter().chain(directives.no_cache.fields())
}

/// The fields of a response as they are stored (RFC 9111 §3.1): none that end at this hop, none that the response keeps
/// to itself, no `Set-Cookie`. `Age` and `Content-Length` are left out because they are written anew whenever the
/// response is used; a `Date` that is missing or none is when it came (RFC 9110 §6.6.1).
#[must_use]
pub fn stored_fields(response: &Received<'_>, directives: &ResponseDirectives) -> HeaderMap {
    let connection = || response.headers.get_all(CONNECTION).iter().map(HeaderValue::as_bytes);
    let is_kept = |name: &HeaderName| {
        !is_hop_by_hop(name.as_str().as_bytes(), Direction::Response)
            && ![AGE, CONTENT_LENGTH, SET_COOKIE].contains(name)
            && !withheld(directives).any(|withheld| withheld == name)
            && !nominated_names(connection())
                .any(|nominated| nominated.eq_ignore_ascii_case(name.as_str().as_bytes()))
    };
    let mut fields = HeaderMap::with_capacity(response.headers.keys_len() + 1);
    for name in response.headers.keys().filter(|name| is_kept(name)) {
        for value in response.headers.get_all(name) {
            fields.append(name.clone(), value.clone());
        }
    }
    if fields.get(DATE).and_then(date).is_none()
        && let Ok(now) = HeaderValue::from_str(&httpdate::fmt_http_date(response.received_at))
    {
        fields.insert(DATE, now);
    }
    fields
}

#[cfg(test)]
mod tests;
