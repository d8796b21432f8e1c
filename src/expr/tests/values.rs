//! Expressions with a value: limiter keys, header contents.

use std::borrow::Cow;

use crate::expr::fields::Name;
use crate::expr::testing::{Sample, expression};
use crate::expr::{Condition, Expression, Kind, Scalar};

fn text(source: &str) -> Result<String, String> {
    let expression = expression(source).unwrap_or_else(|errors| panic!("{source}: {errors:?}"));
    let sample = Sample::new();
    match expression.text(&sample) {
        Ok(text) => Ok(String::from_utf8_lossy(&text).into_owned()),
        Err(missing) => Err(missing.to_string()),
    }
}

#[test]
fn every_single_value_has_a_text() {
    let cases = [
        ("jwt.sub", "alice"),
        ("ip.src", "10.1.2.3"),
        ("cidr(ip.src, 8, 64)", "10.0.0.0"),
        ("ssl", "true"),
        ("ip.src in $corp", "true"),
        ("not ssl", "false"),
        ("http.request.timestamp.sec", "1700000000"),
        ("jwt.claims.level", "3"),
        (r#"concat(jwt.sub, "/", path.order)"#, "alice/7"),
        (r#""literal""#, "literal"),
        (r#"http.request.headers["x-env"][0]"#, "test"),
        ("42", "42"),
    ];
    for (source, expected) in cases {
        assert_eq!(text(source).as_deref(), Ok(expected), "{source}");
    }
    assert_eq!(text("consumer.name"), Err("consumer.name is absent".to_owned()));
    assert_eq!(
        text("jwt.claims.groups"),
        Err("jwt.claims.groups is of another type than it is used as".to_owned())
    );
}

#[test]
fn fields_are_borrowed() {
    let sample = Sample::new();
    for source in
        ["jwt.sub", "lower(jwt.sub)", "substring(jwt.claims.sub, 1)", r#"split(http.host, ".", 3)[1]"#]
    {
        let expression = expression(source).unwrap();
        assert!(matches!(expression.text(&sample), Ok(Cow::Borrowed(_))), "{source}");
    }
    let upper = expression("upper(jwt.sub)").unwrap();
    assert!(matches!(upper.text(&sample), Ok(Cow::Owned(_))));
}

#[test]
fn expressions_are_shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Condition<Name>>();
    shared::<Expression<Name>>();
}

#[test]
fn kinds_are_told_and_kept() {
    let address = expression("ip.src").unwrap();
    assert_eq!(address.kind(), Kind::Ip);
    assert_eq!(address.evaluate(&Sample::new()), Ok(Scalar::from(std::net::IpAddr::from([10, 1, 2, 3]))));
    assert_eq!(expression("jwt.claims.x").unwrap().kind(), Kind::Json);
    assert_eq!(expression("ssl and ssl").unwrap().kind(), Kind::Bool);
    assert_eq!(expression("jwt.sub").unwrap().source(), "jwt.sub");
}

#[test]
fn arrays_and_maps_are_no_values() {
    for source in ["consumer.tags", "jwt.claims", "http.request.headers", "split(jwt.sub, \",\", 2)", ""] {
        assert!(expression(source).is_err(), "{source}");
    }
}
