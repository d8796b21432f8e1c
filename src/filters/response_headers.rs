//! Edits the headers of a response before it goes to the client, whoever made it.
//!
//! First `only` and `remove`, then the preset of `security`, then `set`, then `add`: what is written out wins over the preset.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue, header};
use pingora::http::ResponseHeader;
use schemars::JsonSchema;
use serde::Deserialize;

use super::header_edits::{Edits, Head, Names, is_reserved, remove_all};
use super::{Exchange, Expressions, Fields, Filter, Origin, Phases, Refusal, Site};
use crate::expr::Phase;
use crate::values::Problem;

/// Edits the response's headers: first `only` and `remove`, then `security`, then `set`, then `add`. Refusals and other
/// answers of Edgeward itself are edited as well.
///
/// Values are templates: texts with expressions in braces, such as `{request.id}`, `{route.name}` or `{http.response.code}`,
/// with `{{` and `}}` for the braces themselves. They see the request as the filters edited it, and the response as it came
/// to this filter. What is missing is an empty text, and line breaks never get in. Headers that frame the message or belong
/// to the connection cannot be named.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// A preset after OWASP's guidance for APIs. `strict` sets these, over what the upstream sent:
    ///
    /// * `strict-transport-security: max-age=63072000; includeSubDomains` over https; over http the header is removed
    /// * `x-content-type-options: nosniff`
    /// * `x-frame-options: DENY`
    /// * `referrer-policy: no-referrer`
    /// * `cross-origin-resource-policy: same-origin`, which `cors` is not affected by
    /// * `content-security-policy: default-src 'none'; frame-ancestors 'none'`, where the upstream sent none: its own
    ///   is made for its own pages
    ///
    /// and removes what tells attackers the software behind: `server`, `via`, `x-powered-by`, `powered-by`,
    /// `x-aspnet-version`, `x-aspnetmvc-version`, `x-generator`, `x-runtime`, `x-php-version`, `x-backend-server`,
    /// `sourcemap`, `x-sourcemap`, and the harmful `x-xss-protection`. Caching is left to the upstream and to `cache`.
    /// Default: `off`. Example: `strict`.
    #[serde(default)]
    pub security: Security,
    /// Headers that get this one value, whatever the upstream or the preset set. Default: none.
    /// Example: `{ x-request-id: "{request.id}" }`.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    /// Headers that are added next to those of the same name. Default: none. Example: `{ vary: x-tenant }`.
    #[serde(default)]
    pub add: BTreeMap<String, String>,
    /// Headers that are taken away, by name or by prefix with a `*` at its end. Default: none.
    /// Example: `[server, x-debug-*]`.
    #[serde(default)]
    pub remove: Vec<String>,
    /// The only headers of upstreams' answers that go out, by name or by prefix with a `*` at its end. Beside these go those
    /// by which a client reads the answer and caches keep it to themselves: `content-type`, `content-length`,
    /// `content-encoding`, `content-range`, `cache-control`, `expires`, `vary`, `date`, `www-authenticate` and what belongs to
    /// the connection. Default: all go out. Example: `[location, etag, x-request-id]`.
    #[serde(default)]
    pub only: Option<Vec<String>>,
}

/// What no answer can do without.
static ESSENTIAL: [HeaderName; 9] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::CONTENT_RANGE,
    header::CACHE_CONTROL,
    header::EXPIRES,
    header::VARY,
    header::DATE,
    header::WWW_AUTHENTICATE,
];

/// A set of security headers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// Headers for an API whose answers are data, not pages.
    Strict,
    /// None.
    #[default]
    Off,
}

impl super::Spec for Spec {
    const KIND: &'static str = "response_headers";
    const DECIDES: bool = false;

    fn compile(self, site: &Site<'_>) -> Result<Box<dyn Filter>, Problem> {
        Ok(Box::new(self.build(site.expressions)?))
    }
}

impl Spec {
    fn build(&self, expressions: Expressions<'_>) -> Result<ResponseHeaders, Problem> {
        let edits = Edits::compile(&self.remove, &self.set, &self.add, (expressions, Phase::Response))?;
        let only = self.only.as_deref().map(|only| Names::compile("only", only)).transpose()?;
        if edits.is_empty() && self.security == Security::Off && only.is_none() {
            return Err(Problem::whole(
                "nothing is edited: name headers in set, add, remove or only, or a preset in security",
            ));
        }
        Ok(ResponseHeaders { only, edits, security: self.security })
    }
}

struct ResponseHeaders {
    only: Option<Names>,
    edits: Edits,
    security: Security,
}

impl Filter for ResponseHeaders {
    fn phases(&self) -> Phases {
        Phases::RESPONSE
    }

    fn on_response(&self, exchange: &mut Exchange<'_>, response: &mut ResponseHeader) -> Result<(), Refusal> {
        let filled = self.edits.fill(&Fields::of_response(exchange, response));
        if let Some(only) = self.only.as_ref().filter(|_| exchange.origin == Origin::Upstream) {
            let goes_out =
                |name: &HeaderName| only.contain(name) || ESSENTIAL.contains(name) || is_reserved(name);
            remove_all(response, |name| !goes_out(name));
        }
        self.edits.remove(response);
        if self.security == Security::Strict {
            secure(response, exchange.facts.scheme == "https");
        }
        self.edits.write(response, filled);
        Ok(())
    }
}

/// Names the software behind, which helps attackers alone (OWASP Secure Headers Project, "headers to remove").
static TELLTALE: [HeaderName; 13] = [
    header::SERVER,
    header::VIA,
    header::X_XSS_PROTECTION,
    HeaderName::from_static("powered-by"),
    HeaderName::from_static("sourcemap"),
    HeaderName::from_static("x-aspnet-version"),
    HeaderName::from_static("x-aspnetmvc-version"),
    HeaderName::from_static("x-backend-server"),
    HeaderName::from_static("x-generator"),
    HeaderName::from_static("x-php-version"),
    HeaderName::from_static("x-powered-by"),
    HeaderName::from_static("x-runtime"),
    HeaderName::from_static("x-sourcemap"),
];

/// Set over what the upstream sent. `cross-origin-resource-policy` is checked for `no-cors` requests alone (Fetch
/// §3.7), so scripts that `cors` lets in still read the answer.
static ALWAYS: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

static CONTENT_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// Two years, as browsers' preload lists ask for.
static TRANSPORT_SECURITY: HeaderValue = HeaderValue::from_static("max-age=63072000; includeSubDomains");

fn secure(response: &mut ResponseHeader, https: bool) {
    for name in &TELLTALE {
        response.remove(name);
    }
    for (name, value) in &ALWAYS {
        response.insert(name, value.clone());
    }
    if !response.headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        response.insert(&header::CONTENT_SECURITY_POLICY, CONTENT_POLICY.clone());
    }
    if https {
        response.insert(&header::STRICT_TRANSPORT_SECURITY, TRANSPORT_SECURITY.clone());
    } else {
        // Must not be sent over plain http (RFC 6797 §7.2).
        response.remove(&header::STRICT_TRANSPORT_SECURITY);
    }
}

#[cfg(test)]
mod tests;
