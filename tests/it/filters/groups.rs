//! `any_of` and `all_of`: several ways in.

use super::{ALICE, WONDERLAND, running};

/// `bob:wonderland`.
const BOB: (&str, &str) = ("Authorization", "Basic Ym9iOndvbmRlcmxhbmQ=");

fn two(more: &str) -> String {
    format!(
        "{{ any_of: {{ filters: [{{ basic_auth: {{ users: ['alice:{WONDERLAND}'], realm: A, forward_user_as: x-a }} }}, \
         {{ basic_auth: {{ users: ['bob:{WONDERLAND}'], realm: B, forward_user_as: x-b }} }}]{more} }} }}"
    )
}

#[test]
fn either_of_two_ways_leads_in() {
    let (edge, origin) = running(&two(""));
    let ask = |headers: &[(&str, &str)]| edge.client("listen").request("GET", "/", headers, b"");
    for (credentials, header, name) in [(ALICE, "x-a", "alice"), (BOB, "x-b", "bob")] {
        assert_eq!(ask(&[credentials, ("X-A", "forged"), ("X-B", "forged")]).status, 200);
        let seen = origin.last();
        assert_eq!(seen.header(header), Some(name));
        assert_eq!([seen.all("x-a"), seen.all("x-b")].concat(), [name], "nobody else is named");
        assert_eq!(seen.header("authorization"), None);
        assert_eq!(edge.logged(name, |line| line["consumer"] == name)["status"], 200);
    }
    let missing = ask(&[]);
    assert_eq!((missing.status, missing.reason()), (401, "basic_auth_missing".to_owned()));
    let both = ["Basic realm=\"A\", charset=\"UTF-8\"", "Basic realm=\"B\", charset=\"UTF-8\""];
    assert_eq!(missing.all("www-authenticate"), both);
    let wrong = ask(&[("Authorization", "Basic YWxpY2U6d3Jvbmc=")]);
    assert_eq!((wrong.status, wrong.reason()), (401, "basic_auth_invalid".to_owned()));
    let line = edge.logged("invalid", |line| line["reason"] == "basic_auth_invalid");
    assert_eq!(
        (&line["filter"], &line["why"]),
        (&"any_of".into(), &"basic_auth: basic_auth_invalid, basic_auth: basic_auth_invalid".into())
    );
    assert_eq!(origin.count(), 2);
}

#[test]
fn a_group_has_a_shadow_and_a_condition_as_a_whole() {
    let (edge, origin) = running(&two(", mode: shadow"));
    assert_eq!(edge.client("listen").get("/").status, 200);
    assert_eq!(edge.client("listen").request("GET", "/", &[BOB], b"").status, 200);
    assert_eq!(origin.last().header("x-b"), None, "a shadow changes nothing");
    let line = edge.logged("any_of", |line| line["shadow_refusals"].is_array());
    assert_eq!(line["shadow_refusals"], serde_json::json!(["any_of:basic_auth_missing"]));

    let (edge, _origin) = running(&two(", when: 'http.request.method != \"GET\"'"));
    assert_eq!(edge.client("listen").get("/").status, 200);
    assert_eq!(edge.client("listen").request("POST", "/", &[], b"").status, 401);
}

#[test]
fn members_have_conditions_too_and_all_of_asks_for_each() {
    let filters = format!(
        "{{ any_of: [{{ basic_auth: {{ users: ['alice:{WONDERLAND}'], when: 'http.request.method == \"GET\"' }} }}, \
         {{ all_of: [{{ basic_auth: {{ users: ['bob:{WONDERLAND}'], hide_credentials: false }} }}, \
                     {{ basic_auth: {{ users: ['bob:{WONDERLAND}', 'alice:{WONDERLAND}'] }} }}] }}] }}"
    );
    let (edge, origin) = running(&filters);
    let ask = |method, who| edge.client("listen").request(method, "/", &[who], b"").status;
    assert_eq!(
        (ask("GET", ALICE), ask("PUT", ALICE), ask("GET", BOB), ask("PUT", BOB)),
        (200, 401, 200, 200)
    );
    assert_eq!(origin.count(), 3);
}
