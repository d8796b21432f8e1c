use serde_json::json;

use super::*;
use crate::auth::jose::mint::claims;

fn check(demands: &Demands, changes: Value) -> Result<(), Fault> {
    demands.check(&Claims::read(claims(changes)).unwrap())
}

fn scopes(wanted: &[&str]) -> Demands {
    Demands { scopes: wanted.iter().map(ToString::to_string).collect(), ..Demands::default() }
}

fn rule(name: &str, one_of: Value) -> Demands {
    let one_of = one_of.as_array().unwrap().clone();
    Demands { claims: vec![ClaimRule::new(name, one_of).unwrap()], ..Demands::default() }
}

#[test]
fn demands_every_scope_as_a_whole() {
    let token = || json!({ "scope": "orders:readonly_not profile orders:write" });
    assert_eq!(check(&scopes(&["profile", "orders:write"]), token()), Ok(()));
    assert_eq!(check(&scopes(&[]), token()), Ok(()));
    for wanted in ["orders:read", "orders:readonly", "orders", "ORDERS:write", "profile orders:write", ""] {
        assert_eq!(check(&scopes(&[wanted]), token()), Err(Fault::ScopeMissing), "{wanted:?}");
    }
    assert_eq!(check(&scopes(&["profile", "admin"]), token()), Err(Fault::ScopeMissing));
    assert_eq!(check(&scopes(&["profile"]), json!({ "scope": null })), Err(Fault::ScopeMissing));
    assert_eq!(check(&scopes(&["b"]), json!({ "scope": null, "scp": ["a", "b"] })), Ok(()));
}

#[test]
fn compares_a_claim_with_values_of_its_own_type() {
    let demands = rule("tenant", json!(["blue", 7, true]));
    for tenant in [json!("blue"), json!(7), json!(true), json!(["red", "blue"])] {
        assert_eq!(check(&demands, json!({ "tenant": tenant })), Ok(()), "{tenant}");
    }
    for tenant in [
        json!("blu"),
        json!("blue "),
        json!("7"),
        json!(7.0),
        json!("true"),
        json!({ "blue": 1 }),
        json!([]),
        json!([["blue"]]),
    ] {
        assert_eq!(check(&demands, json!({ "tenant": tenant })), Err(Fault::ClaimMismatch), "{tenant}");
    }
    assert_eq!(check(&demands, json!({})), Err(Fault::ClaimMismatch), "missing is not anything");
}

#[test]
fn follows_a_pointer_through_objects_alone() {
    let demands = rule("/realm_access/roles", json!(["admin"]));
    assert_eq!(check(&demands, json!({ "realm_access": { "roles": ["user", "admin"] } })), Ok(()));
    assert_eq!(check(&demands, json!({ "realm_access": { "roles": ["user"] } })), Err(Fault::ClaimMismatch));
    assert_eq!(check(&demands, json!({ "realm_access": ["roles"] })), Err(Fault::ClaimMismatch));
    assert_eq!(check(&demands, json!({ "/realm_access/roles": "admin" })), Err(Fault::ClaimMismatch));
    assert_eq!(check(&rule("/a~1b/c~0d", json!(["x"])), json!({ "a/b": { "c~d": "x" } })), Ok(()));
    let name = "https://example.com/roles";
    assert_eq!(
        check(&rule(name, json!(["x"])), json!({ name: "x" })),
        Ok(()),
        "a name with slashes is one name"
    );
}

#[test]
fn every_rule_must_hold() {
    let rules =
        [("a", "1"), ("b", "2")].map(|(name, value)| ClaimRule::new(name, vec![json!(value)]).unwrap());
    let demands = Demands { claims: rules.into(), ..Demands::default() };
    assert_eq!(check(&demands, json!({ "a": "1", "b": "2" })), Ok(()));
    assert_eq!(check(&demands, json!({ "a": "1", "b": "3" })), Err(Fault::ClaimMismatch));
}

#[test]
fn refuses_rules_that_mean_nothing() {
    for name in ["", "/", "/a/", "/a//b", "//a"] {
        assert!(ClaimRule::new(name, vec![json!("x")]).is_err(), "{name:?}");
    }
    for values in [vec![], vec![json!(null)], vec![json!(["a"])], vec![json!("a"), json!({})]] {
        assert!(ClaimRule::new("a", values).is_err());
    }
}
