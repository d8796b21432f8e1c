//! What is for one caller is never another's.

use super::{client, get, is_hit, policy, told};
use crate::harness::tools::edgeward;
use crate::harness::{Edge, Origin, Reply, Response, Seen};

/// An Edgeward that knows two consumers, before an origin that answers each by name.
struct Known {
    edge: Edge,
    origin: Origin,
    alice: String,
    bob: String,
}

impl Known {
    fn start(keys: &str, cache: &str, control: &'static str) -> Self {
        let origin = Origin::start(move |request: &Seen| {
            let name = request.header("x-user").unwrap_or("nobody").to_owned();
            Reply::status(200, &[("cache-control", control)], format!("for {name}"))
        });
        let filters = format!("[{{ api_key: {{ {keys}forward: {{ consumer: x-user }} }} }}, {{ cache");
        let text =
            format!("api_keys: {{ store: keys.yaml }}\n{}", policy(cache).replace("[{ cache", &filters));
        let setup = Edge::policy(&text).with("origin", origin.address());
        let store = setup.path().join("keys.yaml").display().to_string();
        let key = |consumer: &str| {
            let output = edgeward(&["keys", "new", consumer, "--store", &store]);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        let (alice, bob) = (key("alice"), key("bob"));
        Self { edge: setup.start(), origin, alice, bob }
    }

    fn ask(&self, key: &str) -> Response {
        client(&self.edge).request("GET", "/", &[("x-api-key", key)], b"")
    }

    fn nobody(&self) -> Response {
        get(&self.edge, "/")
    }
}

#[test]
fn answers_to_callers_are_not_stored_unless_they_are_for_everyone() {
    let known = Known::start("optional: true, ", "{}", "max-age=60");
    let first = known.ask(&known.alice);
    assert_eq!(first.text(), "for alice");
    assert!(told(&first).ends_with("detail=credentials"), "{}", told(&first));
    assert_eq!(known.ask(&known.bob).text(), "for bob");
    assert_eq!(known.ask(&known.alice).text(), "for alice");
    assert_eq!(known.nobody().text(), "for nobody");
    assert_eq!(known.origin.count(), 4);
    for control in ["public, max-age=60", "s-maxage=60", "must-revalidate, max-age=60"] {
        let known = Known::start("", "{}", control);
        assert_eq!(known.ask(&known.alice).text(), "for alice");
        assert!(is_hit(&known.ask(&known.bob)), "{control}");
        // Who may not ask is not answered from the cache either.
        assert_eq!(known.nobody().status, 401);
        assert_eq!(known.origin.count(), 1);
    }
}

#[test]
fn what_is_stored_for_each_is_given_to_each_alone() {
    for control in ["max-age=60", "public, max-age=60"] {
        let known = Known::start("optional: true, ", "{ per_identity: true }", control);
        for _ in 0..2 {
            assert_eq!(known.ask(&known.alice).text(), "for alice");
            assert_eq!(known.ask(&known.bob).text(), "for bob");
            assert_eq!(known.nobody().text(), "for nobody");
        }
        assert_eq!(known.origin.count(), 3, "{control}");
        assert!(is_hit(&known.ask(&known.alice)));
        let forged = format!("{}x", known.alice);
        assert_eq!(known.ask(&forged).status, 401);
    }
}

#[test]
fn private_answers_are_not_even_stored_for_each() {
    let known = Known::start("", "{ per_identity: true }", "private, max-age=60");
    known.ask(&known.alice);
    known.ask(&known.alice);
    assert_eq!(known.origin.count(), 2);
}

#[test]
fn credentials_that_nobody_looked_at_count_too() {
    const ALICE: &str = "Basic YWxpY2U6YQ==";
    const BOB: &str = "Basic Ym9iOmI=";
    let origin = Origin::start(|request: &Seen| {
        let name = request.header("authorization").unwrap_or("nobody").to_owned();
        Reply::status(200, &[("cache-control", "max-age=60")], name)
    });
    let edge = Edge::policy(&policy("{}")).with("origin", origin.address()).start();
    let ask = |who| client(&edge).request("GET", "/", &[("authorization", who)], b"");
    assert_eq!((ask(ALICE).text().as_str(), ask(BOB).text().as_str()), (ALICE, BOB));
    assert_eq!(get(&edge, "/").text(), "nobody");
    assert!(is_hit(&get(&edge, "/")));
    // RFC 9111 section 3.5 is about what is stored: what everyone may have, callers may have as well.
    assert!(is_hit(&ask(ALICE)));
}
