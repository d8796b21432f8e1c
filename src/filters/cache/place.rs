//! What tells requests apart: the key, and who asks.

use std::borrow::Cow;
use std::fmt::Write as _;

use http::header::{AUTHORIZATION, HOST};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Uri};

use super::Cache;
use crate::cache::key::Target;
use crate::cache::parents::Child;
use crate::cache::{Key, Query};
use crate::filters::{Caller, Exchange};
use crate::http::{cookie, head};

/// What a proxy in front says of the client's connection. Only trusted ones get it through to the origin, which may answer by
/// it; keyed from everyone, it does no harm.
const TOLD: [HeaderName; 2] =
    [HeaderName::from_static("x-forwarded-host"), HeaderName::from_static("x-forwarded-proto")];

/// Writes the query as it is keyed, so that the origin sees nothing else.
pub(super) fn settle_query(exchange: &mut Exchange<'_>, rules: &Query) {
    let uri = &exchange.request.uri;
    let Some(query) = uri.query() else { return };
    let target = match rules.apply(query) {
        Some(kept) if *kept == *query => return,
        Some(kept) => format!("{}?{kept}", uri.path()),
        None => uri.path().to_owned(),
    };
    let Ok(target) = PathAndQuery::try_from(target) else { return };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(target);
    if let Ok(uri) = Uri::from_parts(parts) {
        exchange.request.set_uri(uri);
    }
}

/// The host asked for, with its port where that is not the scheme's own; `None` where it cannot be told.
pub(super) fn host<'e>(exchange: &Exchange<'e>, scheme: &str) -> Option<Cow<'e, str>> {
    let facts = exchange.facts;
    let given = exchange.request.headers.get(HOST).map_or(&b""[..], HeaderValue::as_bytes);
    let own = if scheme == "https" { 443 } else { 80 };
    match head::authority(given)?.port {
        Some(port) if port != own => {
            let mut named = String::with_capacity(facts.host.len() + ":65535".len());
            named.push_str(&facts.host);
            // Writing to a string cannot fail.
            _ = write!(named, ":{port}");
            Some(named.into())
        }
        _ => Some(Cow::Borrowed(&*facts.host)),
    }
}

/// What is asked for at this host; `None` of requests that ask for nothing in particular (`OPTIONS *`).
pub(super) fn target<'e>(exchange: &'e Exchange<'_>, scheme: &'e str, host: &'e str) -> Option<Target<'e>> {
    let uri = &exchange.request.uri;
    let target = Target { scheme, host, path: uri.path(), query: uri.query() };
    target.path.starts_with('/').then_some(target)
}

/// Whether the request proves who asks, or somebody before us has seen to that. What proves a child to be one says nothing of
/// who asks.
pub(super) fn credentials(exchange: &Exchange<'_>, child: Option<&Child>) -> bool {
    if child.is_some() {
        return exchange.request.headers.contains_key(AUTHORIZATION);
    }
    let certificate = exchange.facts.tls.as_ref().is_some_and(|tls| tls.client.is_some());
    certificate || !exchange.callers().is_empty() || exchange.request.headers.contains_key(AUTHORIZATION)
}

/// Who asks, as far as it was verified: all of it tells subjects apart. Nobody, if nothing was.
pub(super) fn subject<'e>(exchange: &'e Exchange<'_>) -> Vec<&'e [u8]> {
    let of = |caller: &'e Caller| {
        let issuer = caller.claims().and_then(|claims| claims.issuer()).unwrap_or_default();
        [caller.method.as_bytes(), issuer.as_bytes(), caller.subject.as_bytes()]
    };
    let mut subject: Vec<_> = exchange.callers().iter().flat_map(of).collect();
    let certificate = exchange.facts.tls.as_ref().and_then(|tls| tls.client.as_ref());
    if let Some(client) = certificate {
        subject.extend([b"certificate", client.fingerprint_sha256.as_bytes()]);
    }
    subject
}

impl Cache {
    /// What tells this request from others; all that a child tells apart is in its own key.
    pub(super) fn key(
        &self,
        exchange: &Exchange<'_>,
        target: &Target<'_>,
        subject: &[&[u8]],
        child: Option<&Child>,
    ) -> Key {
        let told = if child.is_some() { &[][..] } else { &TOLD };
        let key = self.own_key(exchange, target, subject, told);
        child.map_or(key, |child| key.for_child(&child.key))
    }

    fn own_key(
        &self,
        exchange: &Exchange<'_>,
        target: &Target<'_>,
        subject: &[&[u8]],
        told: &[HeaderName],
    ) -> Key {
        let settings = &self.settings;
        let headers = &exchange.request.headers;
        if settings.headers.is_empty()
            && settings.cookies.is_empty()
            && !told.iter().any(|name| headers.contains_key(name))
        {
            return Key::new(target, &settings.policy, subject);
        }
        let mut policy = settings.policy.to_vec();
        // Each with its length, so that no two lists read alike; and as many as there are lines.
        let mut add = |value: &[u8]| {
            policy.extend_from_slice(&(value.len() as u64 + 1).to_be_bytes());
            policy.extend_from_slice(value);
        };
        for name in told.iter().chain(&settings.headers) {
            add(name.as_str().as_bytes());
            headers.get_all(name).iter().for_each(|value| add(value.as_bytes()));
        }
        for name in &settings.cookies {
            add(name.as_bytes());
            let values = cookie::pairs(headers).filter(|(known, _)| *known == name.as_bytes());
            values.for_each(|(_, value)| add(value));
        }
        Key::new(target, &policy, subject)
    }
}
