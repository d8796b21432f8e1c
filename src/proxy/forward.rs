//! The request as the upstream gets it: hop-by-hop fields and what clients may not claim taken out, who really asks
//! put in. Pingora has taken out what `Connection` names before this.

use http::header::{self, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use pingora_core::{ErrorType, OrErr, Result};
use pingora::http::RequestHeader;

use super::context::Context;
use crate::http::trace::tracestate_is_valid;
use crate::net::forwarded::{self, Style};
use crate::policy::{Filled, Route};
use crate::upstream::Protocol;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Fields by which backends are told who asks. Only a proxy may say that, so a client's own never pass.
const CLAIMS: [HeaderName; 13] = [
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-client-ip"),
    HeaderName::from_static("x-cluster-client-ip"),
    HeaderName::from_static("true-client-ip"),
    HeaderName::from_static("cf-connecting-ip"),
    HeaderName::from_static("x-forwarded"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("client-cert"),
    HeaderName::from_static("client-cert-chain"),
];

/// Turns a copy of the client's request into what the upstream gets.
pub fn forward(request: &mut RequestHeader, ctx: &Context, protocol: Protocol) -> Result<()> {
    for name in &CLAIMS {
        if request.headers.contains_key(name) {
            request.remove_header(name);
        }
    }
    say_who_asks(request, ctx)?;
    trace(request, ctx)?;
    if protocol == Protocol::Grpc {
        request.insert_header(header::TE, HeaderValue::from_static("trailers"))?;
    }
    rewrite(request, ctx, &ctx.route)
}

fn say_who_asks(request: &mut RequestHeader, ctx: &Context) -> Result<()> {
    let facts = &ctx.facts;
    let forwarding = &ctx.snapshot.forwarding;
    let hop = ctx.connection.as_ref().map_or(facts.peer_ip, |connection| connection.client_ip);
    let trusted = forwarding.trusted.contains(hop);
    let host = request.headers.get(header::HOST).cloned();
    let before = if trusted { request.headers.get_all(&X_FORWARDED_FOR).iter().collect() } else { Vec::new() };
    let chain = forwarded::x_forwarded_for(before, hop);
    request.insert_header(X_FORWARDED_FOR, chain)?;
    if !(trusted && request.headers.contains_key(&X_FORWARDED_PROTO)) {
        request.insert_header(X_FORWARDED_PROTO, HeaderValue::from_static(facts.scheme))?;
    }
    if !(trusted && request.headers.contains_key(&X_FORWARDED_HOST)) {
        request.remove_header(&X_FORWARDED_HOST);
        if let Some(host) = host.clone() {
            request.insert_header(X_FORWARDED_HOST, host)?;
        }
    }
    if !trusted {
        request.remove_header(&header::FORWARDED);
    }
    if forwarding.style == Style::Forwarded {
        let host = host.as_ref().and_then(|host| host.to_str().ok());
        let element = forwarded::forwarded_element(hop, None, facts.scheme, host);
        request.append_header(header::FORWARDED, element)?;
    }
    request.insert_header(X_REQUEST_ID, &*facts.request_id)?;
    Ok(())
}

fn trace(request: &mut RequestHeader, ctx: &Context) -> Result<()> {
    let parent = HeaderValue::from_bytes(&ctx.trace.to_bytes()).or_err(ErrorType::InternalError, "traceparent")?;
    if !request.headers.contains_key(&TRACEPARENT)
        || !tracestate_is_valid(request.headers.get_all(&TRACESTATE).iter().map(HeaderValue::as_bytes))
    {
        // Without its parent, or broken, the state means nothing (W3C Trace Context section 3.3).
        request.remove_header(&TRACESTATE);
    }
    request.insert_header(TRACEPARENT, parent)?;
    Ok(())
}

fn rewrite(request: &mut RequestHeader, ctx: &Context, route: &Route) -> Result<()> {
    if let Some(host) = &route.rewrite.host {
        request.insert_header(header::HOST, host.clone())?;
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
    let uri = http::Uri::from_parts(parts).or_err(ErrorType::InternalError, "rewritten path")?;
    request.set_uri(uri);
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
