//! `balance:` as written, and what it means.

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::Algorithm;
use crate::expr::Phase;
use crate::expr::policy::Expressions;
use crate::upstream::hash::HashKey;
use crate::upstream::spec::word_or_map;
use crate::values::Problem;

/// How requests are spread over the usable backends: one word, or `consistent_hash: …`. Default:
/// `round_robin`.
///
/// ```yaml
/// balance: p2c_ewma
/// balance: { consistent_hash: jwt.sub }
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(rename = "BalanceAlgorithm", rename_all = "snake_case")]
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
    /// What is hashed: `ip` for the client's address, or an expression such as `basic_auth.user` or
    /// `http.request.headers["x-tenant"][0]`. A request in which it is missing goes to any backend.
    pub consistent_hash: String,
}

impl Spec {
    /// What it means.
    ///
    /// # Errors
    /// When what is to be hashed is no expression.
    pub fn compile(self, expressions: Expressions<'_>) -> Result<Algorithm, Problem> {
        Ok(match self {
            Self::Word(Word::RoundRobin) => Algorithm::RoundRobin,
            Self::Word(Word::Random) => Algorithm::Random,
            Self::Word(Word::LeastConnections) => Algorithm::LeastConnections,
            Self::Word(Word::P2cEwma) => Algorithm::P2cEwma,
            Self::Hash(Hash { consistent_hash }) => {
                let source = if consistent_hash == "ip" { "ip.src" } else { &consistent_hash };
                let expression = expressions.expression("consistent_hash", source, Phase::RequestHead)?;
                Algorithm::ConsistentHash(HashKey::new(expression))
            }
        })
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

/// By hand, so that an unknown word is told of the form that is no word, too.
impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const NAMES: [&str; 5] =
            ["round_robin", "random", "least_connections", "p2c_ewma", "{ consistent_hash: … }"];
        match String::deserialize(deserializer)?.as_str() {
            "round_robin" => Ok(Self::RoundRobin),
            "random" => Ok(Self::Random),
            "least_connections" => Ok(Self::LeastConnections),
            "p2c_ewma" => Ok(Self::P2cEwma),
            other => Err(D::Error::unknown_variant(other, &NAMES)),
        }
    }
}

impl<'de> Deserialize<'de> for Spec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        word_or_map::<_, Word, Hash, _>(deserializer, "a balancing algorithm such as round_robin")
    }
}
