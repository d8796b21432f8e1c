//! Requests that prove who made them by an HTTP message signature (RFC 9421), their bodies by a digest (RFC 9530).
//!
//! What always holds: what is verified is what the client sent, before Edgeward normalised it; a digest that is signed,
//! or just there, is compared with the body, also where somebody took the body away; and no upstream gets the end of a
//! body that is another one.

mod keys;

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;

use super::header_edits::Head;
use super::token::answer::unavailable;
use super::{Caller, Exchange, Filter, Hold, Phases, Refusal, Site, Step, Verdict};
use crate::auth::keyset::Refreshed;
use crate::auth::signature::digest;
use crate::auth::signature::http::{self as message, Component, Message, Policy};
use crate::values::text::quoted;
use crate::values::{Duration, DurationOrZero, Problem, Size};
pub use keys::{AlgorithmSpec, KeySpec};
use keys::{Keys, Present};

const KIND: &str = "http_signature";
const SIGNATURE: HeaderName = HeaderName::from_static("signature");
const SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
/// What a client should sign.
pub(super) const ACCEPT_SIGNATURE: HeaderName = HeaderName::from_static("accept-signature");
const WANT_CONTENT_DIGEST: HeaderName = HeaderName::from_static("want-content-digest");
const LARGEST_BUFFER: Size = Size::from_mib(16);

/// Lets in whose requests are signed (RFC 9421). Refuses with 401 `signature_…` (`missing`, `invalid`, `too_old`,
/// `unknown_key`, `uncovered` …), 400 `digest_…` (`missing`, `mismatch` …) where the body is not what was signed, and 503
/// `signature_replay_store_full` and, while the keys of `issuer` cannot be had, `keys_unavailable`.
///
/// The signature is verified against the request as the client sent it; put this filter before those that edit headers.
/// `@authority` is `Host`, without the port that the scheme has anyway.
///
/// A body of up to `buffer` is checked before the upstream hears of the request. Of a longer one the upstream gets pieces
/// as they come, and the last when all is well: it never gets a whole request with a wrong body.
///
/// ```yaml
/// - http_signature:
///     keys: { billing: { algorithm: ed25519, public_key_file: billing.pem } }
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Who may sign: keys by their `keyid`. A signature that names none is taken for the only key's, if there is one.
    #[serde(default)]
    pub keys: std::collections::BTreeMap<String, KeySpec>,
    /// An issuer in `issuers` whose keys may sign, too, each under its `kid`, which names the caller: at a URL, found out,
    /// in a file or in the policy, rotated and given up as for tokens. Each is for the one algorithm that its `alg`, or else
    /// its curve, says. Default: none. Example: `partners`.
    #[serde(default)]
    pub issuer: Option<String>,
    /// What every signature has to cover: components such as `"@method"`, `"@query-param;name=\"id\""`, and header
    /// fields. A larger component covers its parts (`@target-uri` covers `@path`); `@query` and `content-digest` are
    /// asked for only where there is a query or a body. Default: `["@method", "@target-uri"]`.
    #[serde(default = "default_required")]
    pub required: Vec<String>,
    /// Whether a body needs a signed `Content-Digest`. Default: `required`. Example: `optional`.
    #[serde(default)]
    pub digest: DigestMode,
    /// How old a signature may be. One without `created` is refused. Default: `5m`. Example: `1m`.
    #[serde(default = "default_max_age")]
    pub max_age: Duration,
    /// How far a signer's clock may be off, either way. Default: `30s`. Example: `5s`.
    #[serde(default = "default_clock_skew")]
    pub clock_skew: DurationOrZero,
    /// Whether every signature needs a nonce. One that is there is accepted once by all routes that take its key from the same
    /// place, over reloads too; 32,768 are remembered for a key, as long as the longest `max_age` of these says, and beyond
    /// that requests get 503. Default: `optional`. Example: `required`.
    #[serde(default)]
    pub nonce: NonceMode,
    /// The `tag` that signatures for this purpose carry; others are passed over. Default: any or none.
    /// Example: `orders-api`.
    #[serde(default)]
    pub tag: Option<String>,
    /// How much of a body waits until its digest was checked, at most `16MiB`. Default: `64KiB`. Example: `1MiB`.
    #[serde(default = "default_buffer")]
    pub buffer: Size,
    /// `https` or `http` as signers see it, where something before Edgeward ends TLS. Default: as the listener speaks.
    #[serde(default)]
    pub scheme: Option<Scheme>,
    /// Whether `Signature` and `Signature-Input` are removed before the request goes upstream. Default: `true`.
    /// Example: `false`.
    #[serde(default = "default_hide_credentials")]
    pub hide_credentials: bool,
}

/// Whether a body needs a signed digest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DigestMode {
    /// Every body does.
    #[default]
    Required,
    /// One that is there is checked, signed or not; without one a body passes as it is.
    Optional,
}

/// Whether a signature needs a nonce.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NonceMode {
    /// Every signature does.
    Required,
    /// One that is there counts.
    #[default]
    Optional,
}

/// The scheme of a URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SignedScheme")]
pub enum Scheme {
    /// With TLS.
    Https,
    /// Without.
    Http,
}

fn default_required() -> Vec<String> {
    ["@method", "@target-uri"].map(str::to_owned).to_vec()
}

const fn default_max_age() -> Duration {
    Duration::from_secs(300)
}

const fn default_clock_skew() -> DurationOrZero {
    DurationOrZero::from_secs(30)
}

const fn default_buffer() -> Size {
    Size::from_kib(64)
}

const fn default_hide_credentials() -> bool {
    true
}

impl super::Spec for Spec {
    const KIND: &'static str = KIND;
    const DECIDES: bool = true;
    const NOTHING_SHOWN: Option<&'static str> = Some("signature_missing");

    fn compile(self, site: &Site<'_>) -> Result<Box<dyn Filter>, Problem> {
        if self.buffer > LARGEST_BUFFER {
            return Err(Problem::new("buffer", format_args!("expected at most {LARGEST_BUFFER}")));
        }
        let mut required = components(&self.required)?;
        if self.digest == DigestMode::Required {
            required.push(Component::Field(CONTENT_DIGEST.as_str().to_owned(), message::Form::Joined));
        }
        let accept = accept_signature(&required, self.tag.as_deref())?;
        let policy = Policy {
            required,
            max_age: *self.max_age,
            clock_skew: *self.clock_skew,
            nonce_required: self.nonce == NonceMode::Required,
            tag: self.tag,
        };
        Ok(Box::new(HttpSignature {
            keys: Keys::compile(self.keys, self.issuer.as_deref(), policy.lifetime(), site)?,
            policy,
            accept,
            buffer: self.buffer.bytes(),
            scheme: self.scheme.map(|scheme| match scheme {
                Scheme::Https => "https",
                Scheme::Http => "http",
            }),
            hide_credentials: self.hide_credentials,
        }))
    }
}

fn components(texts: &[String]) -> Result<Vec<Component>, Problem> {
    let texts = texts.iter().enumerate();
    texts
        .map(|(at, text)| {
            text.parse().map_err(|_| {
                let message = format!(
                    "expected a component such as \"@method\" or a header field, found {}",
                    quoted(text)
                );
                Problem::new(format!("required[{at}]"), message)
            })
        })
        .collect()
}

/// What a client should sign, in the words of RFC 9421 section 5.1.
fn accept_signature(required: &[Component], tag: Option<&str>) -> Result<HeaderValue, Problem> {
    let refused = || Problem::new("tag", "expected printable ASCII characters");
    let items: Vec<_> = required.iter().map(Component::to_string).collect();
    let tag = match tag {
        None => String::new(),
        Some(tag) if tag.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) => {
            format!(";tag=\"{tag}\"")
        }
        Some(_) => return Err(refused()),
    };
    HeaderValue::try_from(format!("sig=({});created;keyid{tag}", items.join(" "))).map_err(|_| refused())
}

struct HttpSignature {
    keys: Keys,
    policy: Policy,
    accept: HeaderValue,
    buffer: u64,
    scheme: Option<&'static str>,
    hide_credentials: bool,
}

/// A body whose digest is still to be compared.
struct Examined(Option<digest::Check>);

impl Filter for HttpSignature {
    fn phases(&self) -> Phases {
        Phases::REQUEST.and(Phases::REQUEST_BODY)
    }

    fn on_request<'a>(&'a self, exchange: &'a mut Exchange<'_>) -> Step<'a> {
        let present = self.keys.present();
        match (self.verify(exchange, &present), present.missed()) {
            (Ok(verified), _) => Step::Now(self.conclude(exchange, &verified, &present)),
            (Err(refusal), None) => self.refuse(refusal).into(),
            (Err(refusal), Some(seen)) => Step::Later(Box::pin(self.verify_again(exchange, refusal, seen))),
        }
    }

    fn on_request_body(
        &self,
        exchange: &mut Exchange<'_>,
        body: &mut Option<Bytes>,
        end: bool,
    ) -> Result<(), Refusal> {
        let Some(Examined(examined)) = exchange.slot() else { return Ok(()) };
        if let (Some(check), Some(piece)) = (examined.as_mut(), body) {
            check.update(piece);
        }
        match examined.take_if(|_| end) {
            Some(check) => check.finish().map_err(wrong_body),
            None => Ok(()),
        }
    }
}

impl HttpSignature {
    /// Once more, when the issuer was asked for keys other than those `seen`.
    async fn verify_again(
        &self,
        exchange: &mut Exchange<'_>,
        refusal: message::Refusal,
        seen: u64,
    ) -> Verdict {
        let refusal = match self.keys.ask(seen).await {
            Refreshed::Newer => {
                let present = self.keys.present();
                match self.verify(exchange, &present) {
                    Ok(verified) => return self.conclude(exchange, &verified, &present),
                    Err(refusal) => self.refuse(refusal),
                }
            }
            Refreshed::Same => self.refuse(refusal),
            Refreshed::Unavailable => unavailable("keys_unavailable"),
        };
        Verdict::Refuse(Box::new(refusal))
    }

    /// What follows from a signature that counts.
    fn conclude(
        &self,
        exchange: &mut Exchange<'_>,
        verified: &message::Verified,
        present: &Present<'_>,
    ) -> Verdict {
        let headers = &exchange.request.headers;
        if verified.covers_body() || headers.contains_key(&CONTENT_DIGEST) {
            let lines = headers.get_all(&CONTENT_DIGEST).iter().map(HeaderValue::as_bytes);
            let check = match digest::Check::begin(lines) {
                Ok(check) => check,
                Err(refusal) => return Verdict::Refuse(Box::new(wrong_body(refusal))),
            };
            if exchange.facts.has_body {
                exchange.keep(Examined(Some(check)));
                exchange.hold_body(Hold { first: self.buffer, last: true });
            } else if let Err(refusal) = check.finish() {
                return Verdict::Refuse(Box::new(wrong_body(refusal)));
            }
        }
        if self.hide_credentials {
            exchange.request.remove(&SIGNATURE);
            exchange.request.remove(&SIGNATURE_INPUT);
        }
        exchange.identify(Caller::named(KIND, present.subject(verified.key_id.as_deref())));
        Verdict::Next
    }

    fn verify(
        &self,
        exchange: &mut Exchange<'_>,
        present: &Present<'_>,
    ) -> Result<message::Verified, message::Refusal> {
        let mut spent = std::mem::take(exchange.spent());
        let (request, facts) = (&*exchange.request, exchange.facts);
        let target = facts.sent_target.as_deref();
        let target = target.or_else(|| Some(request.uri.path_and_query()?.as_str())).unwrap_or_default();
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let message = Message {
            method: request.method.as_str(),
            scheme: self.scheme.unwrap_or(facts.scheme),
            authority: exchange.header("host").unwrap_or_default(),
            path,
            query,
            fields: &request.headers,
            has_body: facts.has_body,
        };
        let verified =
            self.policy.verify(&message, |id| present.find(id), &mut spent, unix_seconds(facts.time));
        *exchange.spent() = spent;
        verified
    }

    /// No scheme of authentication is registered for RFC 9421, but a 401 has to name one (RFC 9110 section 15.5.2):
    /// `Signature` is what its drafts had. What to sign is said by `Accept-Signature` (section 5).
    fn refuse(&self, refusal: message::Refusal) -> Refusal {
        if refusal == message::Refusal::ReplayStoreFull {
            return Refusal::new(StatusCode::SERVICE_UNAVAILABLE, refusal.reason())
                .header(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        Refusal::new(StatusCode::UNAUTHORIZED, refusal.reason())
            .header(WWW_AUTHENTICATE, HeaderValue::from_static("Signature"))
            .header(ACCEPT_SIGNATURE, self.accept.clone())
    }
}

/// The signer is who it should be, and the request is broken: 400, with the algorithms that count.
fn wrong_body(refusal: digest::Refusal) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, refusal.reason())
        .header(WANT_CONTENT_DIGEST, HeaderValue::from_static("sha-256=10, sha-512=5"))
}

/// Seconds since 1970.
pub(super) fn unix_seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
