//! Edits the headers of a request before it goes upstream.
//!
//! First `remove`, then `set`, then `add`. All templates are filled in from the request as it came to this filter, so a
//! header can be renamed by removing it and setting another one from it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::header_edits::Edits;
use super::{Exchange, Expressions, Fields, Filter, Phases, Site, Step};
use crate::expr::Phase;
use crate::values::Problem;

/// Edits the request's headers towards the upstream: first `remove`, then `set`, then `add`.
///
/// Values are templates: texts with expressions in braces, such as `{ip.src}`, `{request.id}`, `{jwt.sub}` or
/// `{http.request.headers["x-tenant"][0]}`, with `{{` and `}}` for the braces themselves. They see the request as it came to
/// this filter. What is missing is an empty text, and line breaks never get in. Headers that frame the message or belong to
/// the connection cannot be named, nor can `host`, which the rewrite of the route changes. `Forwarded`, `X-Forwarded-For`,
/// `-Host` and `-Proto`, `X-Request-Id` and `traceparent` can be removed for filters that follow, but are Edgeward's to
/// write.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Headers that get this one value, whatever the client sent; with an empty value where a template finds nothing.
    /// Default: none. Example: `{ x-client-ip: "{ip.src}" }`.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    /// Headers that are added next to those of the same name. Default: none. Example: `{ x-hop: edge }`.
    #[serde(default)]
    pub add: BTreeMap<String, String>,
    /// Headers that are taken away, by name or by prefix with a `*` at its end. Default: none.
    /// Example: `[x-debug, x-internal-*]`.
    #[serde(default)]
    pub remove: Vec<String>,
}

impl super::Spec for Spec {
    const KIND: &'static str = "request_headers";
    const DECIDES: bool = false;

    fn compile(self, site: &Site<'_>) -> Result<Box<dyn Filter>, Problem> {
        Ok(Box::new(self.build(site.expressions)?))
    }
}

impl Spec {
    fn build(&self, expressions: Expressions<'_>) -> Result<RequestHeaders, Problem> {
        let named = |name: &&String| OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours));
        let set = self.set.keys().find(named).map(|name| ("set", name));
        if let Some((section, name)) = set.or_else(|| self.add.keys().find(named).map(|name| ("add", name))) {
            let message = "Edgeward tells upstreams this itself, after all filters";
            return Err(Problem::new(format!("{section}.{name}"), message));
        }
        let edits = Edits::compile(&self.remove, &self.set, &self.add, (expressions, Phase::RequestHead))?;
        if edits.is_empty() {
            return Err(Problem::whole("nothing is edited: name headers in set, add or remove"));
        }
        Ok(RequestHeaders(edits))
    }
}

/// What is written when filters have had their say: `proxy::forward`.
const OURS: [&str; 6] =
    ["forwarded", "traceparent", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-request-id"];

struct RequestHeaders(Edits);

impl Filter for RequestHeaders {
    fn phases(&self) -> Phases {
        Phases::REQUEST
    }

    fn on_request<'a>(&'a self, exchange: &'a mut Exchange<'_>) -> Step<'a> {
        let filled = self.0.fill(&Fields::of_request(exchange));
        self.0.remove(exchange.request);
        self.0.write(exchange.request, filled);
        Step::NEXT
    }
}

#[cfg(test)]
mod tests;
