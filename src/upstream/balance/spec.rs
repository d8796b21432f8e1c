//! `balance:` as written, and what it means.

use http::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::Algorithm;
use crate::upstream::hash::HashKey;
use crate::upstream::spec::word_or_map;
use crate::values::Problem;

/// How requests are spread over the usable backends: one word, or `consistent_hash: …`. Default:
/// `round_robin`.
///
/// ```yaml
/// balance: p2c_ewma
/// balance: { consistent_hash: { header: x-tenant } }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(rename = "Balance", untagged)]
pub enum Spec {
    /// By name.
    Word(Word),
    /// By a part of the request.
    Hash(Hash),
}

/// The algorithms that need nothing but their name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "BalanceAlgorithm")]
pub enum Word {
    /// In turn, by weight, a heavy backend's turns spread evenly between the others'.
    RoundRobin,
    /// At random, by weight.
    Random,
    /// Where the fewest requests are in flight for its weight; ties at random.
    LeastConnections,
    /// The cheaper of two at random: latency (peak-sensitive, decaying within ten seconds) times requests in
    /// flight, by weight. The best choice where backends differ or requests do.
    P2cEwma,
}

/// The same key goes to the same backend as long as it is usable, and to one and the same other while it is
/// not.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ConsistentHash")]
pub struct Hash {
    /// `ip`, `{ header: NAME }`, `{ cookie: NAME }` or `{ filter: KIND }`. A request without it goes to any backend.
    pub consistent_hash: Key,
}

/// What is hashed.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(rename = "HashKey", untagged)]
pub enum Key {
    /// Something about the connection.
    Word(KeyWord),
    /// A part of the request.
    Part(Part),
}

/// Something about the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "HashKeyWord")]
pub enum KeyWord {
    /// The client's address.
    Ip,
}

/// A part of the request: exactly one of these.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HashKeyPart")]
pub struct Part {
    /// Name of a request header, e.g. `x-tenant`.
    pub header: Option<String>,
    /// Name of a cookie, e.g. `session`.
    pub cookie: Option<String>,
    /// A filter that finds something out about the request, e.g. `basic_auth`: the user it let in.
    pub filter: Option<String>,
}

impl Spec {
    /// What it means.
    ///
    /// # Errors
    /// When the key to hash names nothing, several things, or no valid header.
    pub fn compile(self) -> Result<Algorithm, Problem> {
        Ok(match self {
            Self::Word(Word::RoundRobin) => Algorithm::RoundRobin,
            Self::Word(Word::Random) => Algorithm::Random,
            Self::Word(Word::LeastConnections) => Algorithm::LeastConnections,
            Self::Word(Word::P2cEwma) => Algorithm::P2cEwma,
            Self::Hash(hash) => {
                let key =
                    hash.consistent_hash.compile().map_err(|problem| problem.under("consistent_hash"))?;
                Algorithm::ConsistentHash(key)
            }
        })
    }
}

impl Key {
    fn compile(self) -> Result<HashKey, Problem> {
        match self {
            Self::Word(KeyWord::Ip) => Ok(HashKey::Ip),
            Self::Part(Part { header: Some(name), cookie: None, filter: None }) => {
                match name.parse::<HeaderName>() {
                    Ok(name) => Ok(HashKey::Header(name)),
                    Err(_) => Err(Problem::new("header", format_args!("{name:?} is no header name"))),
                }
            }
            Self::Part(Part { header: None, cookie: Some(name), filter: None }) => {
                // RFC 6265 §4.1.1: a cookie's name is a token, as a header's is.
                if HeaderName::from_bytes(name.as_bytes()).is_err() {
                    return Err(Problem::new("cookie", format_args!("{name:?} is no cookie name")));
                }
                Ok(HashKey::Cookie(name.into()))
            }
            Self::Part(Part { header: None, cookie: None, filter: Some(kind) }) => {
                Ok(HashKey::Filter(kind.into()))
            }
            Self::Part(_) => Err(Problem::whole("expected exactly one of header, cookie and filter")),
        }
    }
}

impl Default for Spec {
    fn default() -> Self {
        Self::Word(Word::RoundRobin)
    }
}

impl From<Word> for Spec {
    fn from(word: Word) -> Self {
        Self::Word(word)
    }
}

impl From<Hash> for Spec {
    fn from(hash: Hash) -> Self {
        Self::Hash(hash)
    }
}

impl From<KeyWord> for Key {
    fn from(word: KeyWord) -> Self {
        Self::Word(word)
    }
}

impl From<Part> for Key {
    fn from(part: Part) -> Self {
        Self::Part(part)
    }
}

impl<'de> Deserialize<'de> for Spec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        word_or_map::<_, Word, Hash, _>(deserializer, "a balancing algorithm such as round_robin")
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        word_or_map::<_, KeyWord, Part, _>(deserializer, "ip, { header: NAME } or { cookie: NAME }")
    }
}
