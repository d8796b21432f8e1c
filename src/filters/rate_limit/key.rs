//! By what requests are counted: the client's address, the route, the value of an expression, or several of these
//! together.
//!
//! Two requests are counted together only if every part of their keys is equal and of the same kind: each part is
//! written with its kind and its length before it.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde_json::Value as Json;

use super::Exchange;
use crate::expr::{Kind, Phase, Scalar};
use crate::filters::{Expression, Expressions, Fields};
use crate::values::Problem;

/// What requests are counted by: one part, or a list whose combination counts. A part is `ip`, `route` or an expression.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(rename = "RateKey", untagged)]
pub enum KeySpec {
    /// One part alone.
    One(String),
    /// The combination of all of these.
    All(Vec<String>),
}

impl Default for KeySpec {
    fn default() -> Self {
        Self::One(IP.to_owned())
    }
}

/// By hand, because the errors of an untagged enum do not say what is wrong.
impl<'de> Deserialize<'de> for KeySpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = KeySpec;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ip, route, an expression such as jwt.sub, or a list of these")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<KeySpec, E> {
        Ok(KeySpec::One(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<KeySpec, A::Error> {
        let mut parts = Vec::new();
        while let Some(part) = list.next_element()? {
            parts.push(part);
        }
        Ok(KeySpec::All(parts))
    }
}

/// What happens to a request that lacks a value it should be counted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnMissing {
    /// It counts for the client's address, apart from requests that have one.
    #[default]
    Ip,
    /// It gets 400 `rate_limit_key`.
    Refuse,
    /// It passes uncounted. Whoever leaves the value out has no limit then, so another filter must ask for it.
    DangerUnlimited,
}

/// How many leading bits of an address make one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IpPrefix {
    /// Of IPv4 addresses, 1 to 32. Default 32.
    pub v4: u8,
    /// Of IPv6 addresses, 1 to 128. Default 64.
    pub v6: u8,
}

impl Default for IpPrefix {
    fn default() -> Self {
        Self { v4: 32, v6: 64 }
    }
}

/// How the key of a request is found.
pub(super) struct Key {
    parts: Box<[Part]>,
    on_missing: OnMissing,
    v4_mask: u32,
    v6_mask: u128,
    route: Box<str>,
}

/// The word for the client's address.
const IP: &str = "ip";
/// The word for the route.
const ROUTE: &str = "route";

enum Part {
    Ip,
    Route,
    Value(Expression),
}

/// Why a request has no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Refused,
    Unlimited,
}

impl Key {
    pub(super) fn compile(
        spec: KeySpec,
        on_missing: Option<OnMissing>,
        prefix: Option<IpPrefix>,
        route: &str,
        expressions: Expressions<'_>,
    ) -> Result<Self, Problem> {
        let compile = |at: &str, part: &str| {
            Ok(match part {
                IP => Part::Ip,
                ROUTE => Part::Route,
                source => Part::Value(
                    expressions
                        .expression(at, source, Phase::RequestHead)
                        .map_err(|problem| if is_word(source) { hinted(problem) } else { problem })?,
                ),
            })
        };
        let parts: Box<[Part]> = match spec {
            KeySpec::One(part) => [compile("key", &part)?].into(),
            KeySpec::All(parts) if parts.is_empty() => {
                return Err(Problem::new("key", "is empty: to count all requests together, write route"));
            }
            KeySpec::All(parts) => {
                let parts = parts.iter().enumerate();
                parts
                    .map(|(index, part)| compile(&format!("key[{index}]"), part))
                    .collect::<Result<_, _>>()?
            }
        };
        let may_lack = parts.iter().any(|part| matches!(part, Part::Value(_)));
        if on_missing.is_some() && !may_lack {
            return Err(Problem::new("on_missing", "has no effect: what key names is never missing"));
        }
        let on_missing = on_missing.unwrap_or_default();
        let by_ip = parts.iter().any(Part::may_be_address) || (may_lack && on_missing == OnMissing::Ip);
        if prefix.is_some() && !by_ip {
            return Err(Problem::new("ip_prefix", "has no effect: nothing is counted by address"));
        }
        let IpPrefix { v4, v6 } = prefix.unwrap_or_default();
        if !(1..=32).contains(&v4) {
            return Err(Problem::new("ip_prefix.v4", format_args!("expected 1 to 32 bits, found {v4}")));
        }
        if !(1..=128).contains(&v6) {
            return Err(Problem::new("ip_prefix.v6", format_args!("expected 1 to 128 bits, found {v6}")));
        }
        Ok(Self {
            parts,
            on_missing,
            v4_mask: u32::MAX << (32 - v4),
            v6_mask: u128::MAX << (128 - v6),
            route: route.into(),
        })
    }

    /// The key of this request, or why it has none.
    pub(super) fn of(&self, exchange: &Exchange<'_>) -> Result<KeyBytes, Missing> {
        let fields = Fields::of_request(exchange);
        let mut bytes = KeyBytes::new();
        for part in &self.parts {
            let value = match part {
                Part::Ip => Some(exchange.client_ip().into()),
                Part::Route => {
                    bytes.push_part(b'r', self.route.as_bytes());
                    continue;
                }
                Part::Value(expression) => expression.evaluate(&fields).ok(),
            };
            if value.is_some_and(|value| self.push_value(value, &mut bytes)) {
                continue;
            }
            match self.on_missing {
                OnMissing::Ip => self.push_ip(b'm', exchange.client_ip(), &mut bytes),
                OnMissing::Refuse => return Err(Missing::Refused),
                OnMissing::DangerUnlimited => return Err(Missing::Unlimited),
            }
        }
        Ok(bytes)
    }

    /// Whether there was a value: none is empty, and a JSON array, an object or `null` is none.
    fn push_value(&self, value: Scalar<'_>, bytes: &mut KeyBytes) -> bool {
        let kind = match value {
            Scalar::Ip(address) => {
                self.push_ip(b'i', address.ip(), bytes);
                return true;
            }
            Scalar::Bytes(_) | Scalar::Json(Json::String(_)) => b's',
            Scalar::Int(_) | Scalar::Json(Json::Number(_)) => b'n',
            Scalar::Bool(_) | Scalar::Json(_) => b'b',
        };
        let text = value.into_text().unwrap_or(Cow::Borrowed(b""));
        if !text.is_empty() {
            bytes.push_part(kind, &text);
        }
        !text.is_empty()
    }

    fn push_ip(&self, kind: u8, address: IpAddr, bytes: &mut KeyBytes) {
        // An IPv4 client of a listener on `[::]` comes as `::ffff:a.b.c.d`, and all of them have one /64.
        match address.to_canonical() {
            IpAddr::V4(address) => bytes.push_part(kind, &(address.to_bits() & self.v4_mask).to_be_bytes()),
            IpAddr::V6(address) => bytes.push_part(kind, &(address.to_bits() & self.v6_mask).to_be_bytes()),
        }
    }
}

/// Whether a key is a name without dots, which no field of a request is but few.
fn is_word(source: &str) -> bool {
    source.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn hinted(problem: Problem) -> Problem {
    let message = format!(
        "{}; expected ip, route or an expression: a header is http.request.headers[\"x-tenant\"][0]",
        problem.message
    );
    Problem { message, ..problem }
}

impl Part {
    fn may_be_address(&self) -> bool {
        match self {
            Self::Ip => true,
            Self::Route => false,
            Self::Value(expression) => expression.kind() == Kind::Ip,
        }
    }
}

/// Longest key that takes no memory from the heap; few headers and no session cookie are longer.
const INLINE_BYTES: usize = 256;

/// The key of one request.
pub(super) struct KeyBytes {
    inline: [u8; INLINE_BYTES],
    length: usize,
    /// All of a key that does not fit inline.
    heap: Vec<u8>,
}

impl KeyBytes {
    const fn new() -> Self {
        Self { inline: [0; INLINE_BYTES], length: 0, heap: Vec::new() }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        if self.heap.is_empty() { self.inline.get(..self.length).unwrap_or_default() } else { &self.heap }
    }

    fn push_part(&mut self, kind: u8, value: &[u8]) {
        self.push(&[kind]);
        self.push(&value.len().to_le_bytes());
        self.push(value);
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.heap.is_empty() {
            let end = self.length + bytes.len();
            if let Some(room) = self.inline.get_mut(self.length..end) {
                room.copy_from_slice(bytes);
                self.length = end;
                return;
            }
            self.heap.extend(self.inline.iter().take(self.length));
        }
        self.heap.extend_from_slice(bytes);
    }
}
