//! Webhooks that prove who sent them by an HMAC over their body, as GitHub, Stripe, Slack, Shopify and others sign.
//!
//! What always holds: a webhook is held until it is known to be genuine, so that no upstream ever gets one that is not; a
//! body too long to be held is refused.

mod scheme;

use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;

use super::http_signature::unix_seconds;
use super::{Caller, Exchange, Filter, Hold, Phases, Refusal, Site, Step};
use crate::auth::replay::Seen;
use crate::auth::signature::webhook::{self, SchemeError, Webhook};
use crate::values::{Duration, Problem, Secret, Size};
pub use scheme::{Custom, Elements, EncodingSpec, SchemeSpec, SecretFormSpec};

const KIND: &str = "webhook_signature";
/// Messages that are remembered; all are of one sender, who fills a 64th of it.
const MAX_MESSAGES: NonZeroUsize = NonZeroUsize::new(1 << 21).expect("it is not zero");
const LARGEST_BODY: Size = Size::from_mib(32);

/// Lets in webhooks that their sender signed with a shared secret. Refuses with 401: `webhook_missing`,
/// `webhook_malformed`, `webhook_outside_tolerance`, `webhook_invalid` (another secret, or another body),
/// `webhook_replayed`; with 413 `webhook_too_large`, and with 503 `webhook_replay_store_full`.
///
/// The body waits in memory until all of it has come and is known to be genuine: no upstream ever gets a forged one. One
/// with a `Content-Length` is verified before the upstream hears of it; of one without, the upstream may have the head
/// once 64 KiB have come (HTTP/2: 48 KiB).
///
/// ```yaml
/// - webhook_signature: { scheme: github, secrets: [{ env: GITHUB_SECRET }] }
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// How the sender signs: `github`, `stripe`, `slack`, `shopify`, `standard` (Standard Webhooks), or a description of
    /// its own. Example: `github`.
    pub scheme: SchemeSpec,
    /// What is shared with the sender, 1 to 4, so that a new secret can come before the old one goes. Any of them is good.
    pub secrets: Vec<Secret>,
    /// How far the signed time may be off, either way. Default: `5m`. Example: `1m`.
    #[serde(default)]
    pub tolerance: Option<Duration>,
    /// Whether a message is refused that was accepted before, within `tolerance` and over reloads too. Only messages with
    /// a signed time can be told apart from those that their sender sends again: it signs these anew. 32,768 messages are
    /// remembered, and beyond that webhooks get 503. Default: yes, if the scheme has a time. Example: `false`.
    #[serde(default)]
    pub refuse_replays: Option<bool>,
    /// The longest body, at most `32MiB`. Default: `1MiB`. Example: `5MiB`.
    #[serde(default = "default_max_body")]
    pub max_body: Size,
    /// What the sender is called in logs, and by upstreams' balancing. Filters that come later do not know it yet when
    /// they see the request, for it is known with the body's end. Default: the name of the scheme, or `webhook`.
    /// Example: `payments`.
    #[serde(default)]
    pub sender: Option<String>,
}

const fn default_max_body() -> Size {
    Size::from_mib(1)
}

impl super::Spec for Spec {
    const KIND: &'static str = KIND;
    const DECIDES: bool = true;

    fn compile(self, site: &Site<'_>) -> Result<Box<dyn Filter>, Problem> {
        if self.max_body > LARGEST_BODY {
            return Err(Problem::new("max_body", format_args!("expected at most {LARGEST_BODY}")));
        }
        let sender = self.sender.unwrap_or_else(|| self.scheme.name().to_owned());
        if sender.is_empty() {
            return Err(Problem::new("sender", "expected a name"));
        }
        let mut scheme = self.scheme.compile()?;
        if let Some(tolerance) = self.tolerance {
            scheme.tolerance = *tolerance;
        }
        let secrets = self.secrets.iter().enumerate().map(|(at, secret)| {
            secret.resolve(site.base).map_err(|error| Problem::new(format!("secrets[{at}]"), error))
        });
        let webhook = Webhook::new(scheme, &secrets.collect::<Result<Vec<_>, _>>()?).map_err(problem)?;
        if self.refuse_replays == Some(true) && !webhook.is_timed() {
            return Err(Problem::new(
                "refuse_replays",
                "the scheme signs no time, so a replay looks like the message",
            ));
        }
        let remembers = self.refuse_replays.unwrap_or(webhook.is_timed());
        // For each place on its own: no scheme signs where a message goes, so a sender may send one to several.
        let place = format!("{KIND} {} {}", site.route, site.ordinal);
        let seen = remembers.then(|| site.state.kept.find_or(&place, || Seen::new(MAX_MESSAGES)));
        if let Some(seen) = &seen {
            seen.accept_for(webhook.lifetime());
        }
        Ok(Box::new(WebhookSignature { webhook, seen, max_body: self.max_body.bytes(), sender }))
    }
}

fn problem(error: SchemeError) -> Problem {
    match error {
        SchemeError::Secrets | SchemeError::SecretForm => Problem::new("secrets", error),
        _ => Problem::new("scheme", error),
    }
}

struct WebhookSignature {
    webhook: Webhook,
    seen: Option<Arc<Seen>>,
    max_body: u64,
    sender: String,
}

/// A message of which not all has come.
struct Examined {
    check: Option<webhook::Check>,
    bytes: u64,
}

impl Filter for WebhookSignature {
    fn phases(&self) -> Phases {
        Phases::REQUEST.and(Phases::REQUEST_BODY)
    }

    fn on_request<'a>(&'a self, exchange: &'a mut Exchange<'_>) -> Step<'a> {
        let now = unix_seconds(exchange.facts.time);
        let check = match self.webhook.begin(&exchange.request.headers, now) {
            Ok(check) => check,
            Err(refusal) => return refuse(refusal).into(),
        };
        let length = exchange
            .request
            .headers
            .get(CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse().ok());
        if length.is_some_and(|length: u64| length > self.max_body) {
            return too_large().into();
        }
        if exchange.facts.has_body {
            exchange.keep(Examined { check: Some(check), bytes: 0 });
            exchange.hold_body(Hold { first: self.max_body, last: true });
            return Step::NEXT;
        }
        match self.conclude(check, exchange) {
            Ok(()) => Step::NEXT,
            Err(refusal) => refusal.into(),
        }
    }

    fn on_request_body(
        &self,
        exchange: &mut Exchange<'_>,
        body: &mut Option<Bytes>,
        end: bool,
    ) -> Result<(), Refusal> {
        let Some(examined) = exchange.slot::<Examined>() else { return Ok(()) };
        if let (Some(check), Some(piece)) = (&mut examined.check, body) {
            check.update(piece);
            examined.bytes += piece.len() as u64;
        }
        if examined.bytes > self.max_body {
            return Err(too_large());
        }
        match examined.check.take_if(|_| end) {
            Some(check) => self.conclude(check, exchange),
            None => Ok(()),
        }
    }
}

impl WebhookSignature {
    /// Nobody is said to have sent what nobody has proved to have sent.
    fn conclude(&self, check: webhook::Check, exchange: &mut Exchange<'_>) -> Result<(), Refusal> {
        let now = unix_seconds(exchange.facts.time);
        check.finish(&self.sender, self.seen.as_deref(), now).map_err(refuse)?;
        exchange.identify(Caller::named(KIND, self.sender.as_str()));
        Ok(())
    }
}

fn too_large() -> Refusal {
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "webhook_too_large")
}

fn refuse(refusal: webhook::Refusal) -> Refusal {
    if refusal == webhook::Refusal::ReplayStoreFull {
        return Refusal::new(StatusCode::SERVICE_UNAVAILABLE, refusal.reason())
            .header(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    Refusal::new(StatusCode::UNAUTHORIZED, refusal.reason())
        .header(WWW_AUTHENTICATE, HeaderValue::from_static("Signature"))
}

#[cfg(test)]
mod tests;
