//! A request made of plain values, for tests of the engine.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use serde_json::Value as Json;

use super::fields::{self, Name};
use super::list::{EntriesBuilder, ListKind};
use super::{Condition, Context, Expression, Lists, Phase, Scalar, Truth, Values, Visit};

/// What a test says about a request; all else is absent.
pub(super) struct Sample {
    method: &'static str,
    path: &'static str,
    query: &'static str,
    ip: &'static str,
    headers: Vec<(&'static str, Vec<u8>)>,
    segments: BTreeMap<&'static str, &'static str>,
    tags: Vec<&'static str>,
    claims: Option<Json>,
}

impl Sample {
    pub(super) fn new() -> Self {
        Self {
            method: "GET",
            path: "/orders/7",
            query: "page=2&page=3",
            ip: "10.1.2.3",
            headers: vec![
                ("host", b"api.example.com".to_vec()),
                ("x-env", b"test".to_vec()),
                ("x-env", b"prod".to_vec()),
                ("x-list", b"a, b,c".to_vec()),
            ],
            segments: [("order", "7"), ("owner", "alice")].into(),
            tags: vec!["gold", "eu"],
            claims: Some(serde_json::json!({
                "sub": "alice", "level": 3, "half": 2.5, "two": 2.0, "huge": u64::MAX, "admin": true,
                "guest": false, "nothing": null, "groups": ["dev", "ops"], "mixed": ["dev", 5, null],
                "empty": [], "realm": { "roles": ["r1", "r2"], "name": "main" }, "7": "seven",
                "people": [{ "name": "ann" }, { "name": "bob" }, { "age": 3 }]
            })),
        }
    }

    pub(super) fn ip(self, ip: &'static str) -> Self {
        Self { ip, ..self }
    }

    pub(super) fn header(mut self, name: &'static str, value: &[u8]) -> Self {
        self.headers.push((name, value.to_vec()));
        self
    }

    pub(super) fn claims(self, claims: Option<Json>) -> Self {
        Self { claims, ..self }
    }
}

impl Values for Sample {
    type Field = Name;

    fn scalar(&self, field: Name) -> Option<Scalar<'_>> {
        Some(match field {
            Name::RequestMethod => self.method.into(),
            Name::RequestUriPath => self.path.into(),
            Name::RequestUriQuery => self.query.into(),
            Name::HttpHost => "api.example.com".into(),
            Name::HttpUserAgent => b"caf\xe9/1 (X)".as_slice().into(),
            Name::RequestTimestampSec => 1_700_000_000.into(),
            Name::ResponseCode => 200.into(),
            Name::IpSrc => self.ip.parse::<std::net::IpAddr>().unwrap().into(),
            Name::Ssl => true.into(),
            Name::TlsClientVerified => false.into(),
            Name::JwtSub => self.claims.as_ref()?.get("sub")?.as_str()?.into(),
            // What an implementation gets wrong is missing.
            Name::TlsVersion => 13.into(),
            _ => return None,
        })
    }

    fn entry(&self, field: Name, key: &str) -> Option<Scalar<'_>> {
        match field {
            Name::JwtClaims => self.claims.as_ref()?.get(key).map(Scalar::Json),
            Name::Path => self.segments.get(key).map(|segment| (*segment).into()),
            _ => None,
        }
    }

    fn each<'v>(&'v self, field: Name, key: Option<&str>, visit: &mut Visit<'_, 'v>) -> Option<()> {
        let found: Vec<Scalar<'v>> = match (field, key) {
            (Name::RequestHeaders, Some(key)) => {
                let named = self.headers.iter().filter(|(name, _)| *name == key);
                let values: Vec<_> = named.map(|(_, value)| value.as_slice().into()).collect();
                (!values.is_empty()).then_some(values)?
            }
            (Name::ConsumerTags, None) => self.tags.iter().map(|tag| (*tag).into()).collect(),
            (Name::JwtAud, None) => Vec::new(),
            (Name::Path, None) => self.segments.values().map(|segment| (*segment).into()).collect(),
            _ => return None,
        };
        let _ended: ControlFlow<()> = found.into_iter().try_for_each(visit);
        Some(())
    }
}

pub(super) fn lists() -> Lists {
    let mut lists = Lists::new();
    let mut add = |name: &str, kind, content: &str| {
        let mut entries = EntriesBuilder::new(kind);
        entries.push_file(content.as_bytes()).unwrap();
        lists.insert(name, Arc::new(entries.finish()));
    };
    add("corp", ListKind::Ip, "10.0.0.0/8\n192.168.0.1");
    add("people", ListKind::String, "alice\nbob");
    add("ports", ListKind::Int, "1..5\n9");
    lists
}

pub(super) fn compiled(source: &str, phase: Phase) -> Result<Condition<Name>, Vec<super::Error>> {
    Condition::compile(source, &Context { scheme: &fields::SCHEME, lists: &lists(), phase, closed: None })
}

pub(super) fn expression(source: &str) -> Result<Expression<Name>, Vec<super::Error>> {
    let phase = Phase::RequestHead;
    Expression::compile(source, &Context { scheme: &fields::SCHEME, lists: &lists(), phase, closed: None })
}

/// What a source comes to: `"true"`, `"false"`, or the reason why it is missing.
pub(super) fn outcome(source: &str, sample: &Sample) -> String {
    let condition = match compiled(source, Phase::Response) {
        Ok(condition) => condition,
        Err(errors) => panic!("{source}: {errors:?}"),
    };
    match condition.evaluate(sample) {
        Truth::True => "true".to_owned(),
        Truth::False => "false".to_owned(),
        Truth::Missing(missing) => missing.to_string(),
    }
}

/// All errors of a source, as shown to its author.
pub(super) fn rendered(source: &str, phase: Phase) -> String {
    let errors = compiled(source, phase).err().unwrap_or_default();
    errors.iter().map(|error| error.render(source)).collect::<Vec<_>>().join("\n")
}
