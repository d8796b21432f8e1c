//! API keys: lets in the consumers that the policy and its store name, by the keys they have now.
//!
//! What always holds: whoever presents two different keys is refused, whatever either is worth; a key that was presented
//! and is no good is refused, also where none is needed; consumers' limits are counted over all routes, by the
//! consumer and not by the key; no key goes upstream or into a log unless the policy says so.

mod place;

use std::sync::Arc;

use http::header::{LINK, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use pingora::http::ResponseHeader;
use schemars::JsonSchema;
use serde::Deserialize;

pub use self::place::{KeyPlaces, Place};
use self::place::{Places, Presented};
use super::credentials::realm;
use super::header_edits::{Head, editable};
use super::rate_limit::{Counted, Fields, refusal};
use super::{Caller, Exchange, Filter, Phases, Proof, Refusal, Site, Step};
use crate::auth::keys::headers;
use crate::auth::keys::names::{check_scope, check_tag};
use crate::auth::keys::{ConsumerName, Key, Keyring, Moment, Reason, Standing};
use crate::state::Quotas;
use crate::state::quota::Limit;
use crate::values::Problem;

const KIND: &str = "api_key";
/// What limits of consumers are called in `RateLimit`.
const TOLD_AS: &str = "consumer";
/// When a request whose key nobody could look up may come again.
const LOOK_AGAIN_SECONDS: &str = "2";

/// Lets in consumers by their API keys, as `consumers` and `api_keys.store` name them.
///
/// Refuses with 401 `key_missing`, `key_malformed` (also a wrong checksum), `key_unknown`, `key_not_yet_valid`,
/// `key_expired` and `key_retired`; 400 `key_conflict` (two different keys in one request); 403 `key_consumer`,
/// `key_scope` and `key_tag`; 429 `rate_limit` (beyond the consumer's own `limits`); 503 `key_store_unavailable` (a store in
/// a Redis that could not be read yet, and a key that is not in the policy itself). Answers to a key that has a
/// successor carry `Deprecation` (RFC 9745), `Sunset` (RFC 8594) and a `Link` to `api_keys.docs`.
///
/// ```yaml
/// - api_key: {}
/// - api_key: { from: [{ authorization: Bearer }, { header: x-api-key }], scopes: [orders:read] }
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Spec {
    /// Where the key is looked for: `{ header: NAME }`, `{ authorization: SCHEME }`, `{ cookie: NAME }`,
    /// `{ danger_query: NAME }`, or a list of these. Default `{ header: x-api-key }`.
    pub from: KeyPlaces,
    /// Scopes that the key must have, all of them. Default: none. Example: `[orders:read]`.
    pub scopes: Vec<String>,
    /// Tags that the key or its consumer must have, all of them. Default: none. Example: `[gold]`.
    pub tags: Vec<String>,
    /// The only consumers let in. Default: all. Example: `[partner-a]`.
    pub consumers: Option<Vec<ConsumerName>>,
    /// Whether a request without a key passes, as nobody's. One with a bad key never does. Default `false`.
    pub optional: bool,
    /// What a refusal says it is about, in ASCII: `WWW-Authenticate: ApiKey realm="…"`. Default `Restricted`.
    pub realm: String,
    /// Request headers that tell the upstream who calls. What clients send under these names is removed.
    pub forward: Forward,
    /// Whether the key is removed before the request goes upstream. One from the query is in any case. Default `true`.
    pub hide_credentials: bool,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            from: KeyPlaces::default(),
            scopes: Vec::new(),
            tags: Vec::new(),
            consumers: None,
            optional: false,
            realm: "Restricted".to_owned(),
            forward: Forward::default(),
            hide_credentials: true,
        }
    }
}

/// Request headers that tell the upstream who calls.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ForwardKey")]
pub struct Forward {
    /// For the consumer's name. Example: `x-consumer`.
    pub consumer: Option<String>,
    /// For the id of the key. Example: `x-consumer-key`.
    pub key: Option<String>,
    /// For the key's scopes, with spaces between. Example: `x-consumer-scopes`.
    pub scopes: Option<String>,
    /// For the tags of key and consumer, with commas between. Example: `x-consumer-tags`.
    pub tags: Option<String>,
}

impl super::Spec for Spec {
    const KIND: &'static str = KIND;
    const DECIDES: bool = true;
    const NOTHING_SHOWN: Option<&'static str> = Some("key_missing");

    fn compile(self, site: &Site<'_>) -> Result<Box<dyn Filter>, Problem> {
        let Some(ring) = site.ring else {
            return Err(Problem::whole(
                "nobody has a key: name consumers in `consumers` or in `api_keys.store`",
            ));
        };
        let places = Places::compile(self.from)?;
        checked("scopes", &self.scopes, check_scope)?;
        checked("tags", &self.tags, check_tag)?;
        let consumers = self.consumers.map(|names| known(names, ring)).transpose()?;
        Ok(Box::new(ApiKey {
            challenges: Challenges::new(&places, &self.realm, &self.scopes)?,
            forward: forward(&self.forward, &places)?,
            places,
            scopes: self.scopes.into(),
            tags: self.tags.into(),
            consumers,
            optional: self.optional,
            hide_credentials: self.hide_credentials,
            ring: Arc::clone(ring),
            quotas: Arc::clone(&site.state.quotas),
        }))
    }
}

/// Words that keys could have.
fn checked<E: std::fmt::Display>(
    at: &str,
    words: &[String],
    check: impl Fn(&str) -> Result<(), E>,
) -> Result<(), Problem> {
    for (index, word) in words.iter().enumerate() {
        check(word).map_err(|error| Problem::new(format!("{at}[{index}]"), error))?;
    }
    Ok(())
}

/// Names of consumers that there are, or that a store may name one day.
fn known(names: Vec<ConsumerName>, ring: &Keyring) -> Result<Box<[ConsumerName]>, Problem> {
    if names.is_empty() {
        return Err(Problem::new(
            "consumers",
            "is empty, so nobody would be let in; leave it out to let in all",
        ));
    }
    let keys = ring.load();
    let unknown = |name: &ConsumerName| keys.keys().iter().all(|key| key.consumer.name != *name);
    match names.iter().position(unknown).filter(|_| ring.complete) {
        Some(index) => Err(Problem::new(format!("consumers[{index}]"), "no consumer of this name has a key")),
        None => Ok(names.into()),
    }
}

/// What is told of a key, and in which header.
#[derive(Clone, Copy)]
enum Told {
    Consumer,
    Key,
    Scopes,
    Tags,
}

/// The headers of `forward`, and what each tells, in the same order.
struct Forwarded {
    names: Box<[HeaderName]>,
    told: Box<[Told]>,
}

fn forward(spec: &Forward, places: &Places) -> Result<Forwarded, Problem> {
    let all = [
        ("consumer", &spec.consumer, Told::Consumer),
        ("key", &spec.key, Told::Key),
        ("scopes", &spec.scopes, Told::Scopes),
        ("tags", &spec.tags, Told::Tags),
    ];
    let (mut names, mut told) = (Vec::new(), Vec::new());
    for (at, name, what) in all {
        let Some(name) = name else { continue };
        let problem = |message: String| Problem::new(format!("forward.{at}"), message);
        let name = editable(name).map_err(problem)?;
        if places.uses(&name) {
            return Err(problem(format!("{name} holds the key itself: name another header")));
        }
        if names.contains(&name) {
            return Err(problem(format!("{name} tells something else already")));
        }
        names.push(name);
        told.push(what);
    }
    Ok(Forwarded { names: names.into(), told: told.into() })
}

/// The values of `WWW-Authenticate`. Those of `Bearer` say what is wrong (RFC 6750 §3).
struct Challenges {
    missing: HeaderValue,
    invalid: HeaderValue,
    /// With 403, if there is one.
    scope: Option<HeaderValue>,
}

impl Challenges {
    fn new(places: &Places, text: &str, scopes: &[String]) -> Result<Self, Problem> {
        let realm = realm(text).map_err(|message| Problem::new("realm", message))?;
        let scheme = places.scheme();
        let value = |more: &str| {
            HeaderValue::try_from(format!("{scheme} {realm}{more}"))
                .map_err(|error| Problem::new("realm", error))
        };
        let missing = value("")?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Ok(Self { invalid: missing.clone(), missing, scope: None });
        }
        let scopes = scopes.join(" ");
        let scope = value(&format!(", error=\"insufficient_scope\", scope=\"{scopes}\""))?;
        Ok(Self { missing, invalid: value(", error=\"invalid_token\"")?, scope: Some(scope) })
    }
}

struct ApiKey {
    places: Places,
    scopes: Box<[String]>,
    tags: Box<[String]>,
    consumers: Option<Box<[ConsumerName]>>,
    optional: bool,
    hide_credentials: bool,
    challenges: Challenges,
    forward: Forwarded,
    ring: Arc<Keyring>,
    quotas: Arc<Quotas>,
}

/// What a response tells the user of a key.
struct Answer {
    standing: Standing,
    counted: Option<(Limit, Counted)>,
}

impl Filter for ApiKey {
    fn phases(&self) -> Phases {
        Phases::REQUEST.and(Phases::RESPONSE)
    }

    fn vouches_for(&self) -> &[HeaderName] {
        &self.forward.names
    }

    fn secret_headers(&self) -> Vec<&HeaderName> {
        self.places.headers()
    }

    fn secret_parameters(&self) -> Vec<&str> {
        self.places.parameters()
    }

    fn on_request<'a>(&'a self, exchange: &'a mut Exchange<'_>) -> Step<'a> {
        let (key, standing) = match self.proven(exchange) {
            Ok(Some(proven)) => proven,
            Ok(None) => return Step::NEXT,
            Err(refusal) => return refusal.into(),
        };
        let (proof, subject) = (Proof::Key(Arc::clone(&key)), key.consumer.name.as_str().into());
        exchange.identify(Caller { method: KIND, subject, proof });
        if let Err(refusal) = self.permitted(&key) {
            self.keep(exchange, standing, None);
            return refusal.into();
        }
        if let Err(refusal) = self.counted(exchange, &key, standing) {
            return refusal.into();
        }
        key.tally.record(Moment::from(exchange.facts.time));
        if standing != Standing::Current {
            key.tally.record_deprecated();
        }
        self.places.take(exchange.request, self.hide_credentials);
        self.tell_upstream(exchange, &key);
        Step::NEXT
    }

    fn on_response(&self, exchange: &mut Exchange<'_>, response: &mut ResponseHeader) -> Result<(), Refusal> {
        let Some(Answer { standing, counted }) = exchange.slot() else { return Ok(()) };
        if let Some((limit, counted)) = counted
            && let Ok(fields) = Fields::new(TOLD_AS, limit)
        {
            fields.append(counted, response);
        }
        for (name, value) in headers::fields(*standing, self.ring.docs.as_ref()) {
            let (name, Ok(value)) = (HeaderName::from_static(name), HeaderValue::try_from(value)) else {
                continue;
            };
            if name == LINK {
                response.append(&name, value);
            } else {
                // That the key ends concerns this client more than what becomes of the resource.
                response.insert(&name, value);
            }
        }
        Ok(())
    }
}

impl ApiKey {
    /// The valid key that the request presents; `None` without one, where none is needed.
    fn proven(&self, exchange: &mut Exchange<'_>) -> Result<Option<(Arc<Key>, Standing)>, Refusal> {
        let presented = match self.places.find(exchange.request) {
            Presented::Nothing if self.optional => return Ok(None),
            Presented::Nothing => None,
            Presented::Key(text) => Some(text),
            Presented::Several => return Err(Refusal::new(StatusCode::BAD_REQUEST, "key_conflict")),
        };
        let directory = self.ring.load();
        let refused = match directory.check(presented.as_deref(), Moment::from(exchange.facts.time)) {
            Ok(admitted) => return Ok(Some((Arc::clone(admitted.key), admitted.standing))),
            Err(refused) => refused,
        };
        if refused.reason == Reason::StoreUnavailable {
            let reason = refused.reason.as_str();
            let again = HeaderValue::from_static(LOOK_AGAIN_SECONDS);
            return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, reason).header(RETRY_AFTER, again));
        }
        let challenge = if presented.is_some() { &self.challenges.invalid } else { &self.challenges.missing };
        let refusal = Refusal::new(StatusCode::UNAUTHORIZED, refused.reason.as_str())
            .header(WWW_AUTHENTICATE, challenge.clone());
        if let Some(id) = refused.id.map(str::to_owned) {
            exchange.name_key(&id);
        }
        Err(refusal)
    }

    /// Whether the route is for this key.
    fn permitted(&self, key: &Key) -> Result<(), Refusal> {
        let forbidden = |reason| Err(Refusal::new(StatusCode::FORBIDDEN, reason));
        if self.consumers.as_ref().is_some_and(|names| !names.contains(&key.consumer.name)) {
            return forbidden("key_consumer");
        }
        if !self.scopes.iter().all(|scope| key.has_scope(scope)) {
            let refusal = Refusal::new(StatusCode::FORBIDDEN, "key_scope");
            return Err(match &self.challenges.scope {
                Some(challenge) => refusal.header(WWW_AUTHENTICATE, challenge.clone()),
                None => refusal,
            });
        }
        if !self.tags.iter().all(|tag| key.has_tag(tag)) {
            return forbidden("key_tag");
        }
        Ok(())
    }

    /// Counts the request for the consumer, if it has a limit.
    fn counted(&self, exchange: &mut Exchange<'_>, key: &Key, standing: Standing) -> Result<(), Refusal> {
        let consumer = &key.consumer;
        let Some(limit) = consumer.limit else {
            self.keep(exchange, standing, None);
            return Ok(());
        };
        let name = consumer.name.as_str().as_bytes();
        let decision = self.quotas.check(&limit, name, 1, exchange.facts.received_ns);
        self.keep(exchange, standing, Some((limit, Counted::from(decision))));
        if decision.allowed { Ok(()) } else { Err(refusal(StatusCode::TOO_MANY_REQUESTS, &decision)) }
    }

    /// Keeps what the response is to tell, if it is anything.
    #[expect(clippy::unused_self, reason = "reads as what it is at each call")]
    fn keep(&self, exchange: &mut Exchange<'_>, standing: Standing, counted: Option<(Limit, Counted)>) {
        if standing != Standing::Current || counted.is_some() {
            exchange.keep(Answer { standing, counted });
        }
    }

    fn tell_upstream(&self, exchange: &mut Exchange<'_>, key: &Key) {
        for (name, told) in self.forward.names.iter().zip(&self.forward.told) {
            let value = match told {
                Told::Consumer => HeaderValue::from_str(key.consumer.name.as_str()),
                Told::Key => HeaderValue::from_str(key.id.as_str()),
                Told::Scopes => HeaderValue::try_from(key.scopes.join(" ")),
                Told::Tags => {
                    let tags: Vec<_> =
                        key.consumer.tags.iter().chain(&key.tags).map(String::as_str).collect();
                    HeaderValue::try_from(tags.join(","))
                }
            };
            // All of these are printable ASCII.
            if let Ok(value) = value {
                exchange.request.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
