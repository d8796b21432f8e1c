//! Cross-origin resource sharing, after the Fetch standard (§3.3 "CORS protocol").
//!
//! A preflight is answered here and reaches neither later filters nor the upstream, so this filter stands before those
//! that authenticate: browsers send preflights without credentials. On every other exchange the response gets its
//! headers, refusals of other filters included, so that scripts can read why they were refused. It never refuses by
//! itself: the browser enforces, and other clients have no origin.
//!
//! What the upstream says of CORS is replaced in whole, for two answers would contradict each other.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use pingora::http::{RequestHeader, ResponseHeader};
use schemars::JsonSchema;
use serde::Deserialize;

mod listed;
mod origins;

use listed::Listed;
use origins::Origins;

use super::header_edits::Head;
use super::{Exchange, Filter, Phases, Refusal, Reply, Site, Step};
use crate::values::{DurationOrZero, Problem};

/// Lets scripts of other origins read answers, after the Fetch standard. Put it before filters that authenticate.
///
/// Preflights (`OPTIONS` with `Origin` and `Access-Control-Request-Method`) are answered with 204 here. Where the
/// origin, the method or a header is not allowed, the 204 bears no allow header, which makes the browser fail the
/// request. Other requests pass whatever their origin; only allowed origins may read the answer. `Vary` is kept right,
/// and the upstream's own CORS headers are replaced.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Origins whose scripts may read answers, as browsers write them: lower-case, no path, no default port.
    /// `https://*.example.com` stands for all subdomains at any depth, but not for `https://example.com`, nor for
    /// other ports. `null` stands for pages without an origin. `*`, alone, stands for all.
    /// Example: `["https://app.example.com", "https://*.example.org"]`.
    pub origins: Vec<String>,
    /// Methods that preflights may ask for; case counts. `*` stands for all, but not with `credentials`.
    /// Default: `[GET, HEAD, POST]`. Example: `[GET, PUT, DELETE]`.
    #[serde(default = "default_methods")]
    pub methods: Vec<String>,
    /// Request headers that preflights may ask for, beyond those that browsers always allow. JSON bodies need
    /// `content-type`. `*` stands for all but `authorization`, but not with `credentials`. Default: none.
    /// Example: `[content-type, authorization]`.
    #[serde(default)]
    pub headers: Vec<String>,
    /// Response headers that scripts may read, beyond those that browsers always show. `*` stands for all, but not with
    /// `credentials`. Default: none. Example: `[x-request-id, retry-after]`.
    #[serde(default)]
    pub expose_headers: Vec<String>,
    /// Whether browsers may send cookies, client certificates and HTTP authentication along. Cannot be combined with a
    /// `*` anywhere, nor with the origin `null`, which any site can take on. Default: `false`. Example: `true`.
    #[serde(default)]
    pub credentials: bool,
    /// How long browsers may remember the answer to a preflight, in whole seconds; `0s` for not at all. Browsers cap
    /// it, at 2 h or 24 h. Default: `10m`. Example: `1h`.
    #[serde(default = "default_max_age")]
    pub max_age: DurationOrZero,
    /// Whether pages of public sites may reach this server in a private network (Private Network Access).
    /// Default: `false`. Example: `true`.
    #[serde(default)]
    pub private_network: bool,
}

fn default_methods() -> Vec<String> {
    ["GET", "HEAD", "POST"].map(str::to_owned).into()
}

const fn default_max_age() -> DurationOrZero {
    DurationOrZero::from_secs(600)
}

impl super::Spec for Spec {
    const KIND: &'static str = "cors";
    const DECIDES: bool = false;

    fn compile(self, _site: &Site<'_>) -> Result<Box<dyn Filter>, Problem> {
        Ok(Box::new(self.build()?))
    }
}

impl Spec {
    fn build(&self) -> Result<Cors, Problem> {
        let origins = Origins::parse(&self.origins).map_err(|(index, message)| {
            Problem::new(
                index.map_or_else(|| "origins".to_owned(), |index| format!("origins[{index}]")),
                message,
            )
        })?;
        let methods = Listed::methods(&self.methods)?;
        let headers = Listed::headers("headers", &self.headers)?;
        let expose = Listed::headers("expose_headers", &self.expose_headers)?;
        if self.credentials {
            self.check_credentials(
                &origins,
                [("methods", &methods), ("headers", &headers), ("expose_headers", &expose)],
            )?;
        }
        if self.max_age.subsec_nanos() != 0 {
            return Err(Problem::new("max_age", "expected whole seconds such as 10m"));
        }
        let no_content = ResponseHeader::build(StatusCode::NO_CONTENT, Some(8)).map_err(Problem::whole)?;
        Ok(Cors {
            vary_by_origin: matches!(origins, Origins::Listed { .. }),
            origins,
            methods,
            headers,
            expose,
            credentials: self.credentials,
            max_age: HeaderValue::from(self.max_age.as_secs()),
            private_network: self.private_network,
            no_content,
        })
    }

    /// With credentials, `*` is no wildcard but a name, which would silently match nothing (Fetch §3.3.5).
    fn check_credentials(&self, origins: &Origins, lists: [(&str, &Listed); 3]) -> Result<(), Problem> {
        if matches!(origins, Origins::Any) {
            return Err(Problem::new(
                "origins[0]",
                "* cannot be combined with credentials: name the origins",
            ));
        }
        if let Some(index) = self.origins.iter().position(|origin| origin == "null") {
            let message = "any site can make itself the origin null: it cannot be combined with credentials";
            return Err(Problem::new(format!("origins[{index}]"), message));
        }
        match lists.iter().find(|(_, listed)| listed.is_any()) {
            Some((key, _)) => Err(Problem::new(*key, "* cannot be combined with credentials: name each")),
            None => Ok(()),
        }
    }
}

struct Cors {
    origins: Origins,
    /// Whether answers differ by origin; with `*` they do not, and caches may share them.
    vary_by_origin: bool,
    methods: Listed,
    headers: Listed,
    expose: Listed,
    credentials: bool,
    max_age: HeaderValue,
    private_network: bool,
    /// The empty answer to a preflight.
    no_content: ResponseHeader,
}

/// The request's origin as the client sent it, in case a later filter hides it from the upstream.
struct Sent(HeaderValue);

impl Filter for Cors {
    fn phases(&self) -> Phases {
        Phases::REQUEST.and(Phases::RESPONSE)
    }

    fn on_request<'a>(&'a self, exchange: &'a mut Exchange<'_>) -> Step<'a> {
        if is_preflight(exchange.request) {
            let mut head = self.no_content.clone();
            self.answer_preflight(exchange.request, &mut head);
            return Reply { head, body: bytes::Bytes::new() }.into();
        }
        if let Some(origin) = only(&exchange.request.headers, &ORIGIN).cloned() {
            exchange.keep(Sent(origin));
        }
        Step::NEXT
    }

    fn on_response(&self, exchange: &mut Exchange<'_>, response: &mut ResponseHeader) -> Result<(), Refusal> {
        if is_preflight(exchange.request) {
            self.answer_preflight(exchange.request, response);
            return Ok(());
        }
        let sent = exchange.slot::<Sent>().map(|sent| sent.0.clone());
        let origin = sent.or_else(|| only(&exchange.request.headers, &ORIGIN).cloned());
        self.open(response, origin.as_ref());
        if self.vary_by_origin {
            vary(response, &["Origin"]);
        }
        Ok(())
    }
}

impl Cors {
    /// Writes the headers of an answer to a preflight. Writing them twice changes nothing.
    fn answer_preflight(&self, request: &RequestHeader, response: &mut ResponseHeader) {
        clear(response);
        if self.vary_by_origin {
            vary(response, &["Origin"]);
        }
        vary(response, &["Access-Control-Request-Method", "Access-Control-Request-Headers"]);
        if self.private_network {
            vary(response, &["Access-Control-Request-Private-Network"]);
        }
        let Some(allowed) = self.allowed_origin(only(&request.headers, &ORIGIN)) else { return };
        if !self.permits(&request.headers) {
            return;
        }
        self.allow(response, allowed);
        insert_listed(response, &ACCESS_CONTROL_ALLOW_METHODS, &self.methods);
        insert_listed(response, &ACCESS_CONTROL_ALLOW_HEADERS, &self.headers);
        response.insert(&ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        let asks = only(&request.headers, &REQUEST_PRIVATE_NETWORK).is_some_and(|value| value == "true");
        if self.private_network && asks {
            response.insert(&ALLOW_PRIVATE_NETWORK, TRUE.clone());
        }
    }

    /// Writes the headers of any other answer.
    fn open(&self, response: &mut ResponseHeader, origin: Option<&HeaderValue>) {
        clear(response);
        if let Some(allowed) = self.allowed_origin(origin) {
            self.allow(response, allowed);
            insert_listed(response, &ACCESS_CONTROL_EXPOSE_HEADERS, &self.expose);
        }
    }

    /// What `Access-Control-Allow-Origin` says. `*` is said to everyone, so that one cached answer serves all (Fetch
    /// §3.3.6).
    fn allowed_origin(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        match &self.origins {
            Origins::Any => Some(HeaderValue::from_static("*")),
            listed @ Origins::Listed { .. } => {
                origin.filter(|origin| origin.to_str().is_ok_and(|text| listed.contains(text))).cloned()
            }
        }
    }

    fn allow(&self, response: &mut ResponseHeader, origin: HeaderValue) {
        response.insert(&ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.credentials {
            response.insert(&ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE.clone());
        }
    }

    /// Whether a preflight asks for nothing that is not allowed. Methods compare with their case, header names
    /// without; `*` covers every header but `authorization` (Fetch §4.8).
    fn permits(&self, headers: &HeaderMap) -> bool {
        let method = only(headers, &ACCESS_CONTROL_REQUEST_METHOD).and_then(|method| method.to_str().ok());
        if !method.is_some_and(|method| self.methods.contains(method)) {
            return false;
        }
        headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter().all(|line| {
            let Ok(line) = line.to_str() else { return false };
            let names = line.split(',').map(str::trim).filter(|name| !name.is_empty());
            names.map(str::to_ascii_lowercase).all(|name| {
                self.headers.names(&name) || (self.headers.is_any() && name != AUTHORIZATION.as_str())
            })
        })
    }
}

static TRUE: HeaderValue = HeaderValue::from_static("true");
static REQUEST_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-request-private-network");
static ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// An `OPTIONS` request with an origin that asks for a method (Fetch §3.3.2).
fn is_preflight(request: &RequestHeader) -> bool {
    request.method == Method::OPTIONS
        && request.headers.contains_key(ORIGIN)
        && request.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The value of a header that was sent exactly once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

fn insert_listed(response: &mut ResponseHeader, name: &HeaderName, listed: &Listed) {
    if let Some(value) = listed.value() {
        response.insert(name, value.clone());
    }
}

/// Removes every CORS header, whoever set it.
fn clear(response: &mut ResponseHeader) {
    for name in [
        &ACCESS_CONTROL_ALLOW_ORIGIN,
        &ACCESS_CONTROL_ALLOW_CREDENTIALS,
        &ACCESS_CONTROL_ALLOW_HEADERS,
        &ACCESS_CONTROL_ALLOW_METHODS,
        &ALLOW_PRIVATE_NETWORK,
        &ACCESS_CONTROL_EXPOSE_HEADERS,
        &ACCESS_CONTROL_MAX_AGE,
    ] {
        response.remove(name);
    }
}

/// Adds names to `Vary` that are not on it yet, and keeps it on one line. `*` covers all names (RFC 9110 §12.5.5).
fn vary(response: &mut ResponseHeader, names: &[&'static str]) {
    let lines: Vec<&[u8]> = response.headers.get_all(VARY).iter().map(HeaderValue::as_bytes).collect();
    let listed = |name: &str| {
        let mut members =
            lines.iter().flat_map(|line| line.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
        members.any(|member| member == b"*" || member.eq_ignore_ascii_case(name.as_bytes()))
    };
    let missing: Vec<&[u8]> = names.iter().filter(|name| !listed(name)).map(|name| name.as_bytes()).collect();
    if missing.is_empty() {
        return;
    }
    let kept = lines.iter().copied().filter(|line| !line.trim_ascii().is_empty());
    let all: Vec<&[u8]> = kept.chain(missing).collect();
    if let Ok(value) = HeaderValue::from_bytes(&all.join(&b", "[..])) {
        response.insert(&VARY, value);
    }
}

#[cfg(test)]
mod tests;
