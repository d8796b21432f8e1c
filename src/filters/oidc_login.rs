//! People log in by a browser at an issuer, and come back with a session that their browser keeps.
//!
//! What always holds: nobody passes without a session that was made here; what upstreams are told of the user comes from
//! an ID token that was verified here; neither the session nor a pending login goes further than this filter. The path that
//! the issuer sends browsers back to, and the one that logs out, are answered here, whatever the route does with others.

mod compile;
mod request;
mod spec;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, COOKIE, LOCATION, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE,
};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use pingora::http::ResponseHeader;

use super::header_edits::Head;
use super::token::told::Told;
use super::{Caller, Exchange, Filter, Phases, Proof, Refusal, Reply, Step, Verdict};
use crate::auth::oidc::{Failed, Fault, Guest, Look, Party, Present, Renewal, Sent, Session};
use crate::http::cookie;
use crate::state::clock::unix_seconds;
pub use spec::{SessionSpec, Spec};

const KIND: &str = "oidc_login";
/// The refusal of somebody without a session.
const LOGIN_REQUIRED: &str = "oidc_login_required";
/// What logs must not show: whoever has the code may try to spend it.
const CODE: &str = "code";

struct OidcLogin {
    party: Arc<Party>,
    /// The paths that are answered here: back from the issuer, and out.
    paths: [Box<str>; 2],
    /// Where a browser goes that logged out.
    after_logout: Box<str>,
    logout_at_issuer: bool,
    /// What browsers call us; without it, what the request says.
    origin: Option<Box<str>>,
    told: Told,
    forwards: bool,
    challenge: HeaderValue,
}

/// A session whose browser is to be given a new cookie.
struct Tell {
    session: Arc<Session>,
    before: Present,
}

impl Filter for OidcLogin {
    fn phases(&self) -> Phases {
        Phases::REQUEST.and(Phases::RESPONSE)
    }

    fn vouches_for(&self) -> &[HeaderName] {
        self.told.headers()
    }

    fn secret_parameters(&self) -> Vec<&str> {
        vec![CODE]
    }

    fn secret_cookie(&self) -> Option<&str> {
        Some(self.party.names().session())
    }

    fn answers(&self) -> &[Box<str>] {
        &self.paths
    }

    fn on_request<'a>(&'a self, exchange: &'a mut Exchange<'_>) -> Step<'a> {
        let now = unix_seconds(exchange.facts.time);
        let [back, out] = &self.paths;
        let path = exchange.request.uri.path();
        if *path == **back {
            return Step::Later(Box::pin(self.complete(exchange, now)));
        }
        if *path == **out {
            return Step::Later(Box::pin(self.end(exchange, now)));
        }
        match self.party.look(&exchange.request.headers, now) {
            Look::In(guest) => Step::Now(self.admit(exchange, guest)),
            Look::Due(guest) => Step::Later(Box::pin(self.renew(exchange, guest, now))),
            Look::Nobody { over } if request::is_navigation(exchange) => {
                Step::Later(Box::pin(self.begin(exchange, over, now)))
            }
            Look::Nobody { over } => Step::Now(self.unknown(exchange, over)),
        }
    }

    fn on_response(&self, exchange: &mut Exchange<'_>, response: &mut ResponseHeader) -> Result<(), Refusal> {
        let now = unix_seconds(exchange.facts.time);
        let Some(Tell { session, before }) = exchange.slot() else { return Ok(()) };
        let cookies = self.party.cookies(session, *before, now);
        if !cookies.is_empty() {
            // A cache that kept this would hand the session to everybody (RFC 9111 §7.3).
            response.insert(&CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        for cookie in cookies {
            response.append(&SET_COOKIE, cookie);
        }
        Ok(())
    }
}

impl OidcLogin {
    /// Lets somebody pass.
    fn admit(&self, exchange: &mut Exchange<'_>, guest: Guest) -> Verdict {
        let Some(claims) = guest.session.claims() else { return self.unknown(exchange, true) };
        let names = self.party.names();
        let before = names.present(&exchange.request.headers);
        let request = &mut *exchange.request;
        if let Some(lines) = cookie::without(&request.headers, |name| names.are(name)) {
            request.remove(&COOKIE);
            for line in lines {
                request.append(&COOKIE, line);
            }
        }
        self.told.tell(&claims, request);
        if self.forwards {
            let value = guest.session.access_token().map(|token| format!("Bearer {token}"));
            let Some(Ok(mut value)) = value.map(HeaderValue::try_from) else {
                return self.unknown(exchange, true);
            };
            value.set_sensitive(true);
            request.insert(&AUTHORIZATION, value);
        }
        let subject = claims.subject().unwrap_or_default().into();
        exchange.identify(Caller { method: KIND, subject, proof: Proof::Claims(claims) });
        if guest.tell {
            exchange.keep(Tell { session: guest.session, before });
        }
        Verdict::Next
    }

    async fn renew(&self, exchange: &mut Exchange<'_>, guest: Guest, now: u64) -> Verdict {
        match self.party.renew(guest, now).await {
            Ok(guest) => self.admit(exchange, guest),
            Err(Renewal::Unavailable) => refused(Fault::ProviderUnavailable, Vec::new()),
            Err(_) if request::is_navigation(exchange) => self.begin(exchange, true, now).await,
            Err(_) => self.unknown(exchange, true),
        }
    }

    /// Sends a browser to the issuer.
    async fn begin(&self, exchange: &mut Exchange<'_>, over: bool, now: u64) -> Verdict {
        let Some(origin) = request::origin(exchange, self.origin.as_deref()) else { return no_origin() };
        let uri = &exchange.request.uri;
        let wanted = uri.path_and_query().map_or("/", |target| target.as_str());
        let wanted = if *uri.path() == *self.paths[1] { "/" } else { wanted };
        let headers = &exchange.request.headers;
        match self.party.begin(&origin, wanted, headers, now).await {
            Ok(mut sent) => {
                sent.cookies.extend(self.taken_back(exchange, over));
                sent_to(&sent)
            }
            Err(fault) => refused(fault, self.taken_back(exchange, over)),
        }
    }

    /// Back from the issuer.
    async fn complete(&self, exchange: &mut Exchange<'_>, now: u64) -> Verdict {
        if exchange.request.method != Method::GET {
            return not_allowed("GET");
        }
        let Some(origin) = request::origin(exchange, self.origin.as_deref()) else { return no_origin() };
        let request = &*exchange.request;
        let query = request.uri.query().unwrap_or_default();
        match self.party.complete(&origin, query, &request.headers, now).await {
            Ok(sent) => sent_to(&sent),
            Err(Failed { fault, cookies }) => refused(fault, cookies),
        }
    }

    /// Logs out. Another site must not do that to somebody.
    async fn end(&self, exchange: &mut Exchange<'_>, now: u64) -> Verdict {
        if ![Method::GET, Method::POST].contains(&exchange.request.method) {
            return not_allowed("GET, POST");
        }
        if exchange.header("sec-fetch-site") == Some("cross-site") {
            return Verdict::Refuse(Box::new(Refusal::new(StatusCode::FORBIDDEN, "oidc_logout_cross_site")));
        }
        let Some(origin) = request::origin(exchange, self.origin.as_deref()) else { return no_origin() };
        let headers = &exchange.request.headers;
        let then = &*self.after_logout;
        sent_to(&self.party.end(&origin, then, self.logout_at_issuer, headers, now).await)
    }

    /// 401 to what is no navigation: a script cannot follow a redirect to a page where somebody logs in.
    fn unknown(&self, exchange: &Exchange<'_>, over: bool) -> Verdict {
        let refusal = Refusal::new(StatusCode::UNAUTHORIZED, LOGIN_REQUIRED)
            .header(WWW_AUTHENTICATE, self.challenge.clone());
        Verdict::Refuse(Box::new(with_cookies(refusal, self.taken_back(exchange, over))))
    }

    /// The session's cookies, where they are of no more use.
    fn taken_back(&self, exchange: &Exchange<'_>, over: bool) -> Vec<HeaderValue> {
        let names = self.party.names();
        if over { names.clear_session(names.present(&exchange.request.headers)) } else { Vec::new() }
    }
}

/// A redirect. It is nobody else's, so no cache keeps it.
fn sent_to(sent: &Sent) -> Verdict {
    let head = || {
        let mut head = ResponseHeader::build(StatusCode::FOUND, Some(3 + sent.cookies.len())).ok()?;
        head.insert_header(LOCATION, HeaderValue::try_from(&sent.location).ok()?).ok()?;
        head.insert_header(CACHE_CONTROL, HeaderValue::from_static("no-store")).ok()?;
        for cookie in &sent.cookies {
            head.append_header(SET_COOKIE, cookie.clone()).ok()?;
        }
        Some(head)
    };
    match head() {
        Some(head) => Verdict::Respond(Box::new(Reply { head, body: Bytes::new() })),
        None => refused(Fault::Internal, Vec::new()),
    }
}

fn refused(fault: Fault, cookies: Vec<HeaderValue>) -> Verdict {
    let mut refusal = Refusal::new(fault.status(), fault.reason());
    if let Some(detail) = fault.detail() {
        refusal = refusal.detail(detail);
    }
    if fault.status() == StatusCode::SERVICE_UNAVAILABLE {
        refusal = refusal.header(RETRY_AFTER, HeaderValue::from_static("5"));
    }
    Verdict::Refuse(Box::new(with_cookies(refusal, cookies)))
}

fn with_cookies(refusal: Refusal, cookies: Vec<HeaderValue>) -> Refusal {
    cookies.into_iter().fold(refusal, |refusal, cookie| refusal.header(SET_COOKIE, cookie))
}

fn not_allowed(methods: &'static str) -> Verdict {
    let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "oidc_method");
    Verdict::Refuse(Box::new(refusal.header(ALLOW, HeaderValue::from_static(methods))))
}

fn no_origin() -> Verdict {
    Verdict::Refuse(Box::new(Refusal::new(StatusCode::BAD_REQUEST, "missing_host")))
}

#[cfg(test)]
mod tests;
