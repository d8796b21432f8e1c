//! The request as the upstream gets it: who asks is put in, and what the route rewrites. Pingora has taken out what ends at
//! this hop before this, and the entrance what clients may not claim.

use std::borrow::Cow;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::response::Parts as ResponseParts;
use http::uri::PathAndQuery;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora_core::{ErrorType, OrErr, Result};

use super::context::Context;
use crate::cache::parents::EDGEWARD_CHILD;
use crate::http::cookie;
use crate::http::trace::{TraceParent, tracestate_is_valid};
use crate::net::forwarded::{self, Style};
use crate::policy::{Filled, Route};
use crate::upstream::Protocol;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// A head that asks for nothing, to stand where one was taken away. Allocates nothing.
pub fn nothing() -> RequestHeader {
    RequestHeader::from(http::Request::new(()).into_parts().0)
}

/// Edits a request's head as plain parts. Pingora keeps a second map with the spelling of each name, which every edit
/// of its own has to keep up; names have no case (RFC 9110 section 5.1), so that map is dropped, as HTTP/2 does.
pub fn edit<T>(request: &mut RequestHeader, change: impl FnOnce(&mut Parts) -> T) -> T {
    let mut parts = Parts::from(std::mem::replace(request, nothing()));
    let result = change(&mut parts);
    *request = RequestHeader::from(parts);
    result
}

/// The same for a response.
pub fn edit_response<T>(response: &mut ResponseHeader, change: impl FnOnce(&mut ResponseParts) -> T) -> T {
    let empty = ResponseHeader::from(http::Response::new(()).into_parts().0);
    let mut parts = ResponseParts::from(std::mem::replace(response, empty));
    let result = change(&mut parts);
    *response = ResponseHeader::from(parts);
    result
}

/// Turns a copy of the client's request into what the upstream gets. What goes `alone` has a body that an upstream may
/// leave unread and then take for the next request (CL.0 desync), so its connection is not used again. A client that
/// `waits` sends its body when it is asked to.
pub fn forward(
    request: &mut RequestHeader,
    ctx: &Context,
    protocol: Protocol,
    alone: bool,
    waits: bool,
) -> Result<()> {
    edit(request, |parts| {
        let headers = &mut parts.headers;
        // What is added below, in one go.
        headers.reserve(6);
        headers.remove(&EDGEWARD_CHILD);
        settle_expectation(headers, waits && ctx.facts.has_body);
        hide_cookies(headers, &ctx.snapshot.secret_cookies);
        join_cookies(headers)?;
        say_who_asks(headers, ctx)?;
        trace(headers, ctx)?;
        if protocol == Protocol::Grpc {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
        if alone {
            parts.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        match ctx.errand.as_ref().and_then(|errand| errand.parents.as_ref()) {
            // A parent is asked what was asked here, and rewrites it itself.
            Some(parents) => {
                parts.headers.insert(EDGEWARD_CHILD, parents.child.to_value());
            }
            None => rewrite(parts, ctx, &ctx.route)?,
        }
        name_backend(&mut parts.headers, ctx)
    })
}

/// Only a body can be waited for, and asked twice is asked once. Filters see what the client sent: the Core Rule Set has
/// a rule for it.
fn settle_expectation(headers: &mut HeaderMap, waits: bool) {
    headers.remove(header::EXPECT);
    if waits {
        headers.insert(header::EXPECT, HeaderValue::from_static("100-continue"));
    }
}

/// A client of HTTP/1.0 may name no host. What is sent is HTTP/1.1, which is malformed without one (RFC 9112 section 3.2).
fn name_backend(headers: &mut HeaderMap, ctx: &Context) -> Result<()> {
    if let (false, Some(authority)) = (headers.contains_key(header::HOST), ctx.attempts.authority()) {
        let host = HeaderValue::from_str(authority).or_err(ErrorType::InternalError, "host")?;
        headers.insert(header::HOST, host);
    }
    Ok(())
}

/// A session is between a browser and the filter that made it. Whoever else has it can be whose session it is.
fn hide_cookies(headers: &mut HeaderMap, secret: &[Box<str>]) {
    if secret.is_empty() {
        return;
    }
    let is_secret = |cookie: &[u8]| secret.iter().any(|name| cookie::is_part_of(cookie, name));
    if let Some(lines) = cookie::without(headers, is_secret) {
        headers.remove(header::COOKIE);
        headers.extend(lines.into_iter().map(|line| (header::COOKIE, line)));
    }
}

/// HTTP/2 clients may send cookies one by one; what is not HTTP/2 knows one field alone (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) -> Result<()> {
    if let Some(Cow::Owned(joined)) = cookie::line(headers) {
        let joined = HeaderValue::try_from(joined).or_err(ErrorType::InternalError, "cookies")?;
        headers.insert(header::COOKIE, joined);
    }
    Ok(())
}

fn say_who_asks(headers: &mut HeaderMap, ctx: &Context) -> Result<()> {
    let facts = &ctx.facts;
    let Some(connection) = &ctx.connection else { return Ok(()) };
    let hop = connection.client_ip;
    let forwarding = &ctx.snapshot.forwarding;
    let trusted = forwarding.trusted.contains(hop);
    let chain = if trusted {
        forwarded::x_forwarded_for(headers.get_all(&X_FORWARDED_FOR), hop)
    } else {
        connection.forwarded_for.clone()
    };
    headers.insert(X_FORWARDED_FOR, chain);
    if !(trusted && headers.contains_key(&X_FORWARDED_PROTO)) {
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(facts.scheme));
    }
    if !(trusted && headers.contains_key(&X_FORWARDED_HOST)) {
        match headers.get(header::HOST).cloned() {
            Some(host) => headers.insert(X_FORWARDED_HOST, host),
            None => headers.remove(&X_FORWARDED_HOST),
        };
    }
    if !trusted {
        headers.remove(&header::FORWARDED);
    }
    if forwarding.style == Style::Forwarded {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let element = forwarded::forwarded_element(hop, None, facts.scheme, host);
        let element = HeaderValue::try_from(element).or_err(ErrorType::InternalError, "forwarded")?;
        headers.append(header::FORWARDED, element);
    }
    let id = HeaderValue::from_str(&facts.request_id).or_err(ErrorType::InternalError, "request id")?;
    headers.insert(X_REQUEST_ID, id);
    Ok(())
}

fn trace(headers: &mut HeaderMap, ctx: &Context) -> Result<()> {
    let parent =
        HeaderValue::from_bytes(&ctx.trace.to_bytes()).or_err(ErrorType::InternalError, "traceparent")?;
    let given = headers.insert(TRACEPARENT, parent);
    let continued = given.is_some_and(|given| TraceParent::parse(given.as_bytes()).is_some());
    let state = || headers.get_all(&TRACESTATE).iter().map(HeaderValue::as_bytes);
    if state().next().is_some() && !(continued && tracestate_is_valid(state())) {
        // Without its parent, or broken, the state means nothing (W3C Trace Context section 3.3).
        headers.remove(&TRACESTATE);
    }
    Ok(())
}

fn rewrite(request: &mut Parts, ctx: &Context, route: &Route) -> Result<()> {
    if let Some(host) = &route.rewrite.host {
        request.headers.insert(header::HOST, host.clone());
    }
    let path = request.uri.path();
    let rewritten = if let Some(template) = &route.rewrite.path {
        template.fill(&Filled { host: &ctx.facts.host, path, query: "", patterns: &route.patterns })
    } else if let Some(rest) = route.rewrite.strip_prefix.as_ref().and_then(|prefix| below(path, prefix)) {
        rest.to_owned()
    } else {
        return Ok(());
    };
    let target = match request.uri.query() {
        Some(query) if !rewritten.contains('?') => format!("{rewritten}?{query}"),
        _ => rewritten,
    };
    let target = PathAndQuery::try_from(target).or_err(ErrorType::InternalError, "rewritten path")?;
    let mut parts = request.uri.clone().into_parts();
    parts.path_and_query = Some(target);
    request.uri = http::Uri::from_parts(parts).or_err(ErrorType::InternalError, "rewritten path")?;
    Ok(())
}

/// The path below a prefix of whole segments.
fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    match path.strip_prefix(prefix)? {
        "" => Some("/"),
        rest => rest.starts_with('/').then_some(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::below;

    #[test]
    fn a_prefix_ends_where_a_segment_does() {
        assert_eq!(below("/api/orders", "/api"), Some("/orders"));
        assert_eq!(below("/api", "/api"), Some("/"));
        assert_eq!(below("/apiary", "/api"), None);
    }
}
