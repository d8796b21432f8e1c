//! An issuer of tokens.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::Deserializer;
use serde_json::{Map, Value};

use super::choice::TextOr;
use crate::auth::jose::Algorithm;
use crate::http::url::Url;
use crate::tls::ClientSpec;
use crate::values::{Duration, DurationOrZero, OneOrMany, Secret, Size};

/// Who issues tokens, what they must hold, and where the keys are that verify them: at one of `jwks`, `discovery` and
/// `secret`; without any of them, where the issuer's own metadata says.
///
/// Every token must have `iss`, `aud` and `exp`. The algorithm is that of the key: a token can only agree. Start-up does
/// not fail where an issuer is down; requests that need its keys get 503 `keys_unavailable` until it is back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// The `iss` of its tokens, letter for letter. Example: `https://id.example.com`.
    pub issuer: String,
    /// Whom tokens must be for: one of these is in their `aud`. `jwt` needs it. Example: `orders-api`.
    pub audience: Option<OneOrMany<String>>,
    /// The public keys: the URL of a JWK Set, `{ file: PATH }` with a JWK Set or one key in PEM, read again when it
    /// changes, or `{ inline: { keys: […] } }`. Example: `https://id.example.com/jwks.json`.
    pub jwks: Option<Jwks>,
    /// Whether the keys are where the issuer's metadata says (`OpenID` Connect Discovery, RFC 8414). The issuer must be
    /// a URL then. Default: `true` without `jwks` and `secret`.
    pub discovery: Option<bool>,
    /// A secret shared with the issuer, in place of public keys: at least 32 bytes, as they are or as a JWK of type `oct`.
    /// Whoever has it can sign tokens.
    pub secret: Option<Secret>,
    /// What tokens may be signed with. Default: whatever the public keys are for; `[HS256]` with `secret`.
    /// Example: `[ES256, EdDSA]`.
    pub algorithms: Option<Vec<Algorithm>>,
    /// By how much our clock and the issuer's may differ, at most `5m`. Default: `30s`.
    pub leeway: Option<DurationOrZero>,
    /// What the `typ` of tokens must be. Default: `any`.
    #[serde(rename = "type", default)]
    pub kind: TokenType,
    /// How long a token is good at most, whatever its `exp` says; needs `iat`. Default: as long as `exp` says.
    pub max_age: Option<Duration>,
    /// Longest token. Default: `16KiB`.
    pub max_size: Option<Size>,
    /// What the issuer must prove where its keys are fetched by `https`, and what is proven to it.
    pub tls: Option<ClientSpec>,
    /// When keys are fetched, and how long they are good.
    pub refresh: Option<Refresh>,
    /// Takes tokens for whatever audience, in place of `audience`: a token for any other service of the issuer opens this
    /// one too. Default: `false`.
    #[serde(default)]
    pub danger_any_audience: bool,
    /// Fetches keys by plain `http`, where anybody on the way may put in his own. Not needed for loopback addresses.
    /// Default: `false`.
    #[serde(default)]
    pub danger_http: bool,
}

/// What the `typ` of a token must be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenType {
    /// `JWT`, `at+jwt`, or none: what issuers write who do not follow RFC 9068.
    #[default]
    Any,
    /// `at+jwt` (RFC 9068), so that no ID token passes for an access token.
    Access,
}

/// When keys are fetched, and how long they are good.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Refresh {
    /// Time between two fetches where the answer does not say how long it is good for. Default: `5m`.
    pub interval: Option<Duration>,
    /// The shortest time, whatever the answer says. Default: `30s`.
    pub shortest: Option<Duration>,
    /// The longest: a key that was withdrawn is gone by then. Default: `1h`, or half of `max_stale` if that is less.
    pub longest: Option<Duration>,
    /// Between two fetches because of tokens by keys that nobody knows, which anybody can make up. Default: `10s`.
    pub cooldown: Option<Duration>,
    /// How long keys are used after the issuer last confirmed them. Default: `24h`.
    pub max_stale: Option<Duration>,
    /// For one fetch. Default: `5s`.
    pub timeout: Option<Duration>,
    /// How long a request waits for a fetch that it asked for. Default: `3s`.
    pub max_wait: Option<Duration>,
}

/// Where public keys are.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum Jwks {
    /// The URL of a JWK Set.
    Url(Url),
    /// `{ file: PATH }`: a JWK Set, or one public key in PEM.
    File {
        /// The file.
        file: PathBuf,
    },
    /// `{ inline: { keys: […] } }`: a JWK Set of public keys.
    Inline {
        /// The set.
        inline: Map<String, Value>,
    },
}

/// The map form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    file: Option<PathBuf>,
    inline: Option<Map<String, Value>>,
}

impl<'de> Deserialize<'de> for Jwks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOr {
            expected: "a URL, `{ file: PATH }` or `{ inline: { keys: […] } }`",
            text: |url| url.parse().map(Self::Url).map_err(|error| format!("{error}")),
            map: |place: Place| match (place.file, place.inline) {
                (Some(file), None) => Ok(Self::File { file }),
                (None, Some(inline)) => Ok(Self::Inline { inline }),
                _ => Err("expected exactly one of `file` and `inline`"),
            },
        })
    }
}
