//! API keys: where they are kept, and who is told of what becomes of them.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::Deserializer;

use super::choice::TextOr;

use crate::http::url::Url;
use crate::tls::ClientSpec;
use crate::values::{Duration, OneOrMany, Secret};

/// API keys: where they are kept, and who is told of what becomes of them.
///
/// ```yaml
/// api_keys:
///   store: keys.yaml
///   docs: https://docs.example.com/keys
///   notices: { url: https://hooks.example.com/keys, secret: { env: WEBHOOK_SECRET } }
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ApiKeys {
    /// Where there are more consumers beside those in `consumers`: a file in YAML or, if its name ends in `.json`, in JSON,
    /// relative to the policy; or `{ redis: NAME }`, one of those in `redis`, for a fleet. At most 4 MiB. `edgeward keys`
    /// changes it. Example: `keys.yaml`.
    pub store: Option<KeyStore>,
    /// Whether a file that changes is taken over within a few seconds, without a reload of the policy. A wrong one changes
    /// nothing, and log and `edgeward_key_store_reloads_total` say so. A store in a Redis always is. Default `true`.
    pub watch: bool,
    /// A page on how to change keys. Answers to a key that has a successor point to it by `Link: …; rel="deprecation"`.
    /// Example: `https://docs.example.com/keys`.
    pub docs: Option<String>,
    /// Who is told when keys are about to expire, expire, are rotated or retired, and when an old one is still used.
    pub notices: Option<KeyNotices>,
}

impl Default for ApiKeys {
    fn default() -> Self {
        Self { store: None, watch: true, docs: None, notices: None }
    }
}

/// Where a store is.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub enum KeyStore {
    /// A file, for one process or one machine.
    File(PathBuf),
    /// `{ redis: NAME }`: for all processes that use the same one with the same prefix. Each keeps the whole of it in
    /// memory and goes on with that while Redis is gone. One that never could read it knows nobody: keys that are not in
    /// its policy get 503 `key_store_unavailable`.
    Redis {
        /// The name of one of those in `redis`.
        redis: String,
    },
}

/// The map form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InRedis {
    redis: String,
}

impl<'de> Deserialize<'de> for KeyStore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOr {
            expected: "the path of a file, or `{ redis: NAME }`",
            text: |path| Ok(Self::File(path.into())),
            map: |InRedis { redis }| Ok(Self::Redis { redis }),
        })
    }
}

/// Notices of what becomes of keys, as signed webhooks (Standard Webhooks 1.0): a POST of JSON with `type` (`key.expiring`,
/// `key.expired`, `key.rotated`, `key.old_used` or `key.retired`), `timestamp` and `data`. One that is not answered with
/// a status of the 200s within 10 s is sent again, after 5 s at first and then ever more seldom, up to once an hour,
/// without end and over restarts. It may arrive twice; `webhook-id` is the same then.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyNotices {
    /// Where notices are sent. Example: `https://hooks.example.com/keys`.
    pub url: Url,
    /// What notices are signed with: base64, with or without `whsec_` before it. While it is changed, a list of the new one
    /// and the old; each notice has a signature by both. Example: `{ env: WEBHOOK_SECRET }`.
    pub secret: OneOrMany<Secret>,
    /// How long before its end a key is told to expire, at most 16 times. Default `[30d, 7d, 1d]`.
    pub before: Option<Vec<Duration>>,
    /// TLS to the receiver.
    pub tls: Option<ClientSpec>,
    /// Lets `url` be `http:` to another machine. Whoever sits between reads who has which keys. Default `false`.
    #[serde(default)]
    pub danger_http: bool,
}
