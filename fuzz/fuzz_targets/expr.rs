//! Whatever is written is compiled, or refused with a place that is in it; whatever is sent, an expression and its
//! negation never both hold, and what is missing in one is missing in the other.
#![no_main]

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use edgeward::expr::fields::{Name, SCHEME};
use edgeward::expr::list::{EntriesBuilder, ListKind};
use edgeward::expr::{Condition, Context, Expression, Lists, Phase, Scalar, Truth, Values, Visit, enclosed};
use libfuzzer_sys::fuzz_target;
use serde_json::Value as Json;

static LISTS: LazyLock<Lists> = LazyLock::new(|| {
    let mut lists = Lists::new();
    for (name, kind, content) in [
        ("corp", ListKind::Ip, &b"10.0.0.0/8\n2001:db8::/32"[..]),
        ("people", ListKind::String, b"alice\nbob"),
        ("ports", ListKind::Int, b"80\n8000..8080"),
    ] {
        let mut entries = EntriesBuilder::new(kind);
        entries.push_file(content).expect("a list");
        lists.insert(name, Arc::new(entries.finish()));
    }
    lists
});

fuzz_target!(|data: &[u8]| {
    // What is sent stands behind the first NUL.
    let (source, sent) = match data.iter().position(|byte| *byte == 0) {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &b"a"[..]),
    };
    let source = String::from_utf8_lossy(source);
    let context = Context { scheme: &SCHEME, lists: &LISTS, phase: Phase::Response, closed: None };
    let request = Request { sent, claims: serde_json::from_slice(sent).unwrap_or(Json::Null) };
    if let Ok(Some(inside)) = enclosed(&source) {
        assert!(source[inside.len()..].starts_with('}') && source.starts_with(inside), "{source:?}");
    }
    if let Ok(value) = Expression::compile(&source, &context) {
        let _any = value.text(&request);
    }
    let condition = match Condition::compile(&source, &context) {
        Ok(condition) => condition,
        Err(errors) => {
            assert!(!errors.is_empty(), "refused without a reason");
            for error in errors {
                assert!(source.get(error.span.start..error.span.end).is_some(), "{error:?}");
                let shown = error.render(&source);
                assert!(shown.chars().all(|character| character == '\n' || !character.is_control()));
            }
            return;
        }
    };
    // One level deeper and longer, which may be too much.
    let Ok(negation) = Condition::compile(&format!("not ({source})"), &context) else { return };
    match (condition.evaluate(&request), negation.evaluate(&request)) {
        (Truth::True, Truth::False) | (Truth::False, Truth::True) => {}
        (Truth::Missing(one), Truth::Missing(other)) => assert_eq!(one, other),
        both => panic!("{source:?}: {both:?}"),
    }
});

/// A request in which what was sent stands everywhere, and some fields are absent.
struct Request<'d> {
    sent: &'d [u8],
    claims: Json,
}

impl Values for Request<'_> {
    type Field = Name;

    fn scalar(&self, field: Name) -> Option<Scalar<'_>> {
        Some(match field {
            Name::HttpHost | Name::RequestUriPath | Name::JwtSub => self.sent.into(),
            Name::RequestFullUri => Scalar::Bytes(Cow::Owned(self.sent.to_vec())),
            Name::IpSrc => IpAddr::from([10, 0, 0, 1]).into(),
            Name::ResponseCode => i64::try_from(self.sent.len()).ok()?.into(),
            Name::Ssl => (self.sent.len() % 2 == 0).into(),
            _ => return None,
        })
    }

    fn entry(&self, field: Name, key: &str) -> Option<Scalar<'_>> {
        match field {
            Name::JwtClaims => self.claims.get(key).map(Scalar::from),
            Name::Path => Some(self.sent.into()),
            _ => None,
        }
    }

    fn each<'v>(&'v self, field: Name, key: Option<&str>, visit: &mut Visit<'_, 'v>) -> Option<()> {
        if !matches!((field, key), (Name::RequestHeaders, Some("x")) | (Name::ConsumerTags, None)) {
            return None;
        }
        let _ended = self.sent.split(|byte| *byte == b' ').map(Scalar::from).try_for_each(visit);
        Some(())
    }
}
