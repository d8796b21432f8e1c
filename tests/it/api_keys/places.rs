//! Where keys are looked for, and that they are taken away from there.

use super::{ask_with, new, origin, setup};
use crate::harness::Seen;

/// What the backend sees of a request that passes, with `KEY` for the key.
fn seen(filter: &str, path: &str, headers: &[(&str, &str)]) -> (u16, Option<Seen>) {
    let origin = origin();
    let setup = setup(filter, &origin);
    let key = new(setup.path(), &["partner-a"]);
    let edge = setup.start();
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.replace("KEY", &key))).collect();
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let status = ask_with(&edge, &path.replace("KEY", &key), &headers).status;
    let seen = origin.requests().pop().map(|mut seen| {
        seen.head = seen.head.replace(&key, "KEY");
        seen
    });
    (status, seen)
}

fn admitted(filter: &str, path: &str, headers: &[(&str, &str)]) -> Seen {
    let (status, seen) = seen(filter, path, headers);
    assert_eq!(status, 200, "{filter} {path} {headers:?}");
    seen.unwrap()
}

#[test]
fn a_header_of_any_name() {
    let filter = "{ api_key: { from: { header: x-token } } }";
    assert_eq!(admitted(filter, "/", &[("X-Token", "KEY")]).header("x-token"), None);
    assert_eq!(seen(filter, "/", &[("X-Api-Key", "KEY")]).0, 401);
}

#[test]
fn a_scheme_of_authorization() {
    let filter = "{ api_key: { from: { authorization: ApiKey } } }";
    for value in ["ApiKey KEY", "apikey  KEY"] {
        assert_eq!(admitted(filter, "/", &[("Authorization", value)]).header("authorization"), None);
    }
    for value in ["KEY", "ApiKeyKEY", "Bearer KEY", "ApiKey"] {
        assert_eq!(seen(filter, "/", &[("Authorization", value)]).0, 401, "{value}");
    }
}

#[test]
fn a_cookie_among_others() {
    let filter = "{ api_key: { from: { cookie: k } } }";
    let cookie =
        |value: &str| admitted(filter, "/", &[("Cookie", value)]).header("cookie").map(str::to_owned);
    assert_eq!(cookie("k=KEY"), None);
    assert_eq!(cookie("a=1; k=KEY; kk=2"), Some("a=1; kk=2".to_owned()));
    assert_eq!(seen(filter, "/", &[("Cookie", "kk=KEY")]).0, 401);
}

#[test]
fn a_parameter_of_the_query_among_others() {
    let filter = "{ api_key: { from: { danger_query: k } } }";
    let target = |path: &str| admitted(filter, path, &[]).target().to_owned();
    assert_eq!(target("/a?k=KEY"), "/a");
    assert_eq!(target("/a?b=1&k=KEY&c"), "/a?b=1&c");
    assert_eq!(target("/a?b=%20&%6B=KEY"), "/a?b=%20");
    assert_eq!(seen(filter, "/a?kk=KEY", &[]).0, 401);
    let shown = "{ api_key: { from: { danger_query: k }, hide_credentials: false } }";
    assert_eq!(admitted(shown, "/a?k=KEY", &[]).target(), "/a", "not even where others go upstream");
}

#[test]
fn any_of_several_places_but_no_two_keys() {
    let filter = "{ api_key: { from: [{ header: x-api-key }, { authorization: Bearer }] } }";
    admitted(filter, "/", &[("X-Api-Key", "KEY")]);
    let both = admitted(filter, "/", &[("Authorization", "Bearer KEY"), ("X-Api-Key", "KEY")]);
    assert_eq!((both.header("authorization"), both.header("x-api-key")), (None, None));
    for wrong in [
        [("X-Api-Key", "KEY"), ("Authorization", "Bearer other")],
        [("X-Api-Key", "other"), ("Authorization", "Bearer KEY")],
        [("X-Api-Key", "KEY"), ("X-Api-Key", "other")],
    ] {
        assert_eq!(seen(filter, "/", &wrong).0, 400, "{wrong:?}");
    }
    let basic = admitted(filter, "/", &[("X-Api-Key", "KEY"), ("Authorization", "Basic YTpi")]);
    assert_eq!(basic.header("authorization"), Some("Basic YTpi"), "not this filter's");
}

#[test]
fn keys_go_upstream_where_the_policy_says_so() {
    let filter = "{ api_key: { hide_credentials: false } }";
    assert_eq!(admitted(filter, "/", &[("X-Api-Key", "KEY")]).header("x-api-key"), Some("KEY"));
}
