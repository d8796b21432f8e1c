//! Asks another server whether a request may pass, as Traefik's `ForwardAuth`, Caddy's `forward_auth` and nginx's
//! `auth_request` do.
//!
//! What always holds: nothing passes without a yes; the server sees the path that the upstream will see; what it tells
//! the upstream about the caller stands in place of whatever a client or an earlier filter wrote there; an answer is
//! used for another request only if all that the server was shown is the same.
//!
//! A body that the server is shown is read where the filter stands, not as it passes: filters after this one have to know
//! who calls.

use http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use pingora::http::ResponseHeader;
use schemars::JsonSchema;
use serde::Deserialize;

mod body;
mod memory;

use body::Body;
use memory::Memory;

use super::header_edits::{Head, editable};
use super::remote::{self, Way};
use super::token::answer::unavailable;
use super::{Beginning, Caller, Exchange, Filter, Phases, Refusal, Reply, Site, Step, Verdict};
use crate::auth::forward::{About, Answer, Authority, Shared, Shown, Trouble};
use crate::auth::jose::Thumbprint;
use crate::http::fetch::Response;
use crate::http::url::Url;
use crate::tls::ClientSpec;
use crate::values::{Duration, Problem};

const KIND: &str = "forward_auth";
/// What a request is shown with unless the policy says otherwise: what proves who calls, and what a server needs to
/// choose between a page to log in and a plain 401.
const FORWARDED: [&str; 6] =
    ["accept", "accept-language", "authorization", "cookie", "user-agent", "x-requested-with"];
/// What of a no reaches the client unless the policy says otherwise.
const REFUSED_WITH: [&str; 6] =
    ["location", "www-authenticate", "set-cookie", "cache-control", "retry-after", "vary"];
/// What a body cannot be read without.
const OF_THE_BODY: [&str; 3] = ["content-type", "content-encoding", "content-language"];

/// Lets in whom another server lets in. It is asked about every request, with the headers named in `forward_headers` and
/// with `X-Forwarded-Method`, `-Proto`, `-Host`, `-Uri` and `-For`, `X-Original-Method`, `X-Original-URL` and
/// `X-Request-Id`; with the body only where `body` says so.
///
/// 2xx: the request passes. 401, 403 and redirects reach the client as the server made them (its body up to 64 KiB, and
/// `refusal_headers`), and count as refused with `forward_auth`. Anything else, a failure or silence is 503
/// `forward_auth_unavailable`. What the client sent to prove itself goes on to the upstream, for only the server knows what
/// it was; `request_headers: { remove: [...] }` takes it away.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ForwardAuth")]
pub struct Spec {
    /// Where the server is asked; `https`, or `http` on this machine. Example: `http://127.0.0.1:9091/api/authz/forward-auth`.
    pub url: Url,
    /// What it is asked with: `get`, or the request's `original` method. Default: `get`, or `original` with `body`.
    /// Example: `original`.
    #[serde(default)]
    pub method: Option<AskedBy>,
    /// How long one question may take. Default: `5s`. Example: `500ms`.
    #[serde(default = "default_timeout")]
    pub timeout: Duration,
    /// Request headers that the server is shown. Default: `[accept, accept-language, authorization, cookie, user-agent,
    /// x-requested-with]`. Example: `[authorization, x-api-key]`.
    #[serde(default)]
    pub forward_headers: Option<Vec<String>>,
    /// Shows the server the request's body, too. Default: it is not shown. Example: `{ max: 1MiB }`.
    #[serde(default)]
    pub body: Option<body::Spec>,
    /// Headers of a 2xx answer that the upstream gets. Whatever a client sends under these names is removed, on every route;
    /// `authorization` and `cookie`, by which clients prove themselves, only where the request passes here. Default: none.
    /// Example: `[x-user, x-groups]`.
    #[serde(default)]
    pub copy_headers: Vec<String>,
    /// The header of a 2xx answer that names the caller, for logs, limits and expressions. Default: none.
    /// Example: `x-user`.
    #[serde(default)]
    pub subject_header: Option<String>,
    /// Headers of a refusal that reach the client. Default: `[location, www-authenticate, set-cookie, cache-control,
    /// retry-after, vary]`. Example: `[location]`.
    #[serde(default)]
    pub refusal_headers: Option<Vec<String>>,
    /// Headers of a 2xx answer that reach the client with the upstream's response, to prolong a session. Default: none.
    /// Example: `[set-cookie]`.
    #[serde(default)]
    pub response_headers: Vec<String>,
    /// Remembers who may pass. Default: every request is asked about. Example: `{ ttl: 10s }`.
    #[serde(default)]
    pub cache: Option<Cache>,
    /// TLS to the server, as for upstreams. Default: the system's authorities. Example: `{ ca: internal-ca.pem }`.
    #[serde(default)]
    pub tls: Option<ClientSpec>,
    /// Asks in cleartext over a network. Whoever sits between then decides who may pass. Default: `false`. Example: `true`.
    #[serde(default)]
    pub danger_http: bool,
}

/// What the server is asked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ForwardAuthMethod")]
pub enum AskedBy {
    /// `GET`.
    Get,
    /// The request's own method.
    Original,
}

/// How a yes is remembered. A no never is, nor a yes that sets a cookie; a shorter `Cache-Control: max-age`, `no-store` and
/// `no-cache` of the server are obeyed. Requests that are the same in all that counts and come at a time ask once.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ForwardAuthCache")]
pub struct Cache {
    /// For how long at most. Example: `10s`.
    pub ttl: Duration,
    /// Expressions for what else of a request counts, besides the headers that the server is shown, which always do. A
    /// request for which one has no value is asked about. Default: method, scheme, host, path, query and client address.
    /// Example: `[http.request.method, http.host]`.
    #[serde(default)]
    pub key: Option<Vec<String>>,
}

const fn default_timeout() -> Duration {
    Duration::from_secs(5)
}

impl super::Spec for Spec {
    const KIND: &'static str = KIND;
    const DECIDES: bool = true;
    // The other server does not say whether there was anything to go by, but what it says is what the client is to do.
    const NOTHING_SHOWN: Option<&'static str> = Some(KIND);

    fn compile(self, site: &Site<'_>) -> Result<Box<dyn Filter>, Problem> {
        Ok(Box::new(self.build(site)?))
    }
}

impl Spec {
    fn build(self, site: &Site<'_>) -> Result<ForwardAuth, Problem> {
        let mut forwarded = names_or("forward_headers", self.forward_headers.as_deref(), &FORWARDED)?;
        let copied = names("copy_headers", &self.copy_headers)?;
        let is_proof = |name: &HeaderName| [AUTHORIZATION, COOKIE].contains(name);
        let vouched: Vec<_> = copied.iter().filter(|name| !is_proof(name)).cloned().collect();
        if let Some(index) = copied.iter().position(|name| !is_proof(name) && forwarded.contains(name)) {
            let message =
                "is in forward_headers, too: a client's own copy is removed before the server is asked";
            return Err(Problem::new(format!("copy_headers[{index}]"), message));
        }
        let subject = self.subject_header.as_deref().map(editable).transpose();
        let body = self.body.as_ref().map(body::Spec::build).transpose()?;
        let method = match (self.method, &body) {
            (Some(AskedBy::Get), Some(_)) => {
                return Err(Problem::new("method", "a GET has no body: leave it out, or write original"));
            }
            (Some(AskedBy::Get) | None, None) => Some(Method::GET),
            (Some(AskedBy::Original), _) | (None, Some(_)) => None,
        };
        if body.is_some() {
            body::show_its_type(&mut forwarded);
        }
        let memory = self.cache.as_ref().map(|cache| {
            let method = method.as_ref().map_or("original", Method::as_str);
            Memory::compile(cache, &[self.url.as_str(), method], &forwarded, site)
        });
        let mut refused_with = names_or("refusal_headers", self.refusal_headers.as_deref(), &REFUSED_WITH)?;
        refused_with.extend(OF_THE_BODY.map(HeaderName::from_static));
        let (url, tls, danger_http) = (&self.url, self.tls.as_ref(), self.danger_http);
        let fetch = remote::client(site, Way { url, at: "url", tls, danger_http })?;
        Ok(ForwardAuth {
            memory: memory.transpose()?,
            authority: Authority { fetch, url: self.url, method, timeout: *self.timeout },
            body,
            forwarded,
            copied,
            vouched,
            subject: subject.map_err(|message| Problem::new("subject_header", message))?,
            refused_with,
            passed_with: names("response_headers", &self.response_headers)?,
        })
    }
}

fn names(at: &str, names: &[String]) -> Result<Vec<HeaderName>, Problem> {
    let mut parsed: Vec<HeaderName> = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let problem = |message: String| Problem::new(format!("{at}[{index}]"), message);
        let name = editable(name).map_err(problem)?;
        if is_ours(name.as_str()) {
            return Err(problem(format!("{name} is written by Edgeward itself")));
        }
        if parsed.contains(&name) {
            return Err(problem(format!("{name} is listed twice")));
        }
        parsed.push(name);
    }
    Ok(parsed)
}

fn names_or(
    at: &str,
    given: Option<&[String]>,
    default: &[&'static str],
) -> Result<Vec<HeaderName>, Problem> {
    match given {
        Some(given) => names(at, given),
        None => Ok(default.iter().map(|name| HeaderName::from_static(name)).collect()),
    }
}

/// Whether the server and the upstream are told by us, whatever anybody else says.
fn is_ours(name: &str) -> bool {
    let told =
        ["x-original-method", "x-original-url", "x-request-id", "traceparent", "tracestate", "forwarded"];
    name.starts_with("x-forwarded-") || told.contains(&name)
}

struct ForwardAuth {
    authority: Authority,
    memory: Option<Memory>,
    /// `None`: it is not for the server.
    body: Option<Body>,
    forwarded: Vec<HeaderName>,
    copied: Vec<HeaderName>,
    vouched: Vec<HeaderName>,
    subject: Option<HeaderName>,
    refused_with: Vec<HeaderName>,
    passed_with: Vec<HeaderName>,
}

/// What a yes adds to the response.
struct Passed(Vec<(HeaderName, HeaderValue)>);

impl Filter for ForwardAuth {
    fn phases(&self) -> Phases {
        if self.passed_with.is_empty() { Phases::REQUEST } else { Phases::REQUEST.and(Phases::RESPONSE) }
    }

    fn vouches_for(&self) -> &[HeaderName] {
        &self.vouched
    }

    fn on_request<'a>(&'a self, exchange: &'a mut Exchange<'_>) -> Step<'a> {
        let Some(body) = &self.body else {
            let key = self.key(exchange, &Beginning::NO_BODY);
            return match self.recall(exchange, key.as_ref()) {
                Some(verdict) => Step::Now(verdict),
                None => Step::Later(Box::pin(self.ask(exchange, key, Beginning::NO_BODY))),
            };
        };
        Step::Later(Box::pin(async move {
            let body = match body.read(exchange).await {
                Ok(body) => body,
                Err(refusal) => return Verdict::Refuse(Box::new(refusal)),
            };
            let key = self.key(exchange, &body);
            match self.recall(exchange, key.as_ref()) {
                Some(verdict) => verdict,
                None => self.ask(exchange, key, body).await,
            }
        }))
    }

    fn on_response(&self, exchange: &mut Exchange<'_>, response: &mut ResponseHeader) -> Result<(), Refusal> {
        if let Some(Passed(headers)) = exchange.slot() {
            for (name, value) in headers.drain(..) {
                response.append(&name, value);
            }
        }
        Ok(())
    }
}

impl ForwardAuth {
    fn key(&self, exchange: &Exchange<'_>, body: &Beginning) -> Option<Thumbprint> {
        self.memory.as_ref()?.key(exchange, &self.forwarded, body)
    }

    /// What was said of the same request not long ago.
    fn recall(&self, exchange: &mut Exchange<'_>, key: Option<&Thumbprint>) -> Option<Verdict> {
        match self.memory.as_ref()?.recall(key?, exchange.facts.received_ns)? {
            Shared::Pass(headers) => self.pass(exchange, &headers),
            Shared::AskYourself | Shared::Nothing => return None,
        }
        Some(Verdict::Next)
    }

    async fn ask(&self, exchange: &mut Exchange<'_>, key: Option<Thumbprint>, body: Beginning) -> Verdict {
        match self.answer(exchange, key, body).await {
            Ok(Answer::Pass(headers)) => {
                self.pass(exchange, &headers);
                Verdict::Next
            }
            Ok(Answer::Refuse(response)) => Verdict::Refuse(Box::new(self.refusal(*response))),
            Err(_) => Verdict::Refuse(Box::new(unavailable("forward_auth_unavailable"))),
        }
    }

    async fn answer(
        &self,
        exchange: &Exchange<'_>,
        key: Option<Thumbprint>,
        body: Beginning,
    ) -> Result<Answer, Trouble> {
        let about = about(exchange);
        let ask = || self.authority.ask(&about, self.shown(exchange, body.clone()));
        let (Some(memory), Some(key)) = (&self.memory, key) else { return ask().await };
        let mut own = None;
        let asking = async {
            let answer = ask().await;
            let landing = memory.landing(&answer);
            own = Some(answer);
            landing
        };
        let shared = memory.fetch(&key, exchange.facts.received_ns, asking).await;
        match (own, shared) {
            (Some(own), _) => own,
            (None, Shared::Pass(headers)) => Ok(Answer::Pass(headers)),
            (None, Shared::Nothing) => Err(Trouble::Shared),
            (None, Shared::AskYourself) => ask().await,
        }
    }

    /// The request, as far as the server sees it.
    fn shown(&self, exchange: &Exchange<'_>, body: Beginning) -> Shown {
        let mut shown = HeaderMap::with_capacity(self.forwarded.len() + 8);
        for name in &self.forwarded {
            for value in exchange.request.headers.get_all(name) {
                shown.append(name, value.clone());
            }
        }
        join_cookies(&mut shown);
        Shown { headers: shown, body: body.bytes, partial: !body.whole }
    }

    fn pass(&self, exchange: &mut Exchange<'_>, answer: &HeaderMap) {
        for name in &self.copied {
            exchange.request.remove(name);
            for value in answer.get_all(name) {
                exchange.request.append(name, value.clone());
            }
        }
        let subject = self.subject.as_ref().and_then(|name| answer.get(name)?.to_str().ok());
        if let Some(subject) = subject.filter(|subject| !subject.is_empty()) {
            exchange.identify(Caller::named(KIND, subject));
        }
        if !self.passed_with.is_empty() {
            exchange.keep(Passed(selected(answer, &self.passed_with)));
        }
    }

    fn refusal(&self, response: Response) -> Refusal {
        let refusal = Refusal::new(response.status, KIND);
        let Ok(mut head) = ResponseHeader::build(response.status, Some(8)) else { return refusal };
        for (name, value) in selected(&response.headers, &self.refused_with) {
            head.append(&name, value);
        }
        if !head.headers.contains_key(CACHE_CONTROL) {
            head.insert(&CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        refusal.answered(Reply { head, body: response.body })
    }
}

fn selected(headers: &HeaderMap, names: &[HeaderName]) -> Vec<(HeaderName, HeaderValue)> {
    let lines =
        |name| headers.get_all(name).iter().map(move |value| (HeaderName::clone(name), value.clone()));
    names.iter().flat_map(lines).collect()
}

/// HTTP/2 clients may send cookies one by one; HTTP/1, by which the server is asked, knows one field alone (RFC 9113
/// section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let cookies: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if cookies.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&cookies.join(&b"; "[..]))
    {
        headers.insert(COOKIE, joined);
    }
}

fn about<'a>(exchange: &'a Exchange<'_>) -> About<'a> {
    let (request, facts) = (&*exchange.request, exchange.facts);
    About {
        method: &request.method,
        scheme: facts.scheme,
        authority: request.headers.get(HOST).map_or(facts.host.as_bytes(), HeaderValue::as_bytes),
        target: request.uri.path_and_query().map_or("/", |target| target.as_str()),
        client_ip: facts.client_ip,
        request_id: &facts.request_id,
    }
}

#[cfg(test)]
mod tests;
