//! Each function with what Cloudflare's documentation says of it.

use crate::expr::Phase;
use crate::expr::functions::FUNCTIONS;
use crate::expr::testing::{Sample, compiled, outcome};

fn come_to(cases: &[(&str, &str)]) {
    for (source, expected) in cases {
        assert_eq!(outcome(source, &Sample::new()), *expected, "{source}");
    }
}

#[test]
fn strings_are_changed_and_measured() {
    come_to(&[
        (r#"lower("WWW.Example") == "www.example""#, "true"),
        (r#"upper(http.host) == "API.EXAMPLE.COM""#, "true"),
        (r"len(http.host) == 15", "true"),
        (r"len(jwt.claims.sub) == 5", "true"),
        (r#"len(http.request.headers["x-env"]) == 2"#, "true"),
        (r"len(jwt.claims.groups) == 2", "true"),
        (r"len(consumer.tags) == 3", "false"),
        (r#"starts_with(http.request.uri.path, "/ord")"#, "true"),
        (r#"starts_with(http.request.uri.path, "ord")"#, "false"),
        (r#"ends_with(http.host, ".com")"#, "true"),
        (r#"ends_with(http.host, ".co")"#, "false"),
        (r#"url_decode("a%20b+c") == "a b c""#, "true"),
        (r#"substring("asdfghjk", 2, 5) == "dfg""#, "true"),
        (r#"substring("asdfghjk", -2) == "jk""#, "true"),
        (r#"substring(http.host, len("api."), 11) == "example""#, "true"),
        (r#"remove_query_args(http.request.uri.query, "page") == """#, "true"),
    ]);
}

#[test]
fn values_become_strings() {
    come_to(&[
        (r#"to_string(http.response.code) == "200""#, "true"),
        (r#"to_string(ip.src) == "10.1.2.3""#, "true"),
        (r#"to_string(ssl) == "true""#, "true"),
        (r#"to_string(jwt.claims.level) == "3""#, "true"),
        (r#"to_string(http.response.code > 300) == "false""#, "true"),
        (r#"concat("a", 1, ip.src, ssl, jwt.sub) == "a110.1.2.3truealice""#, "true"),
        (r#"join(http.request.headers["x-env"], ",") == "test,prod""#, "true"),
        (r#"join(jwt.claims.groups, "") == "devops""#, "true"),
        (r#"join(jwt.aud, ",") == """#, "true"),
        (r#"join(jwt.claims.mixed, ",") == """#, "jwt.claims.mixed is of another type than it is used as"),
    ]);
}

#[test]
fn strings_are_split_up_to_a_limit() {
    come_to(&[
        (r#"split("groceries,electronics,diy,auto", ",", 3)[2] == "diy,auto""#, "true"),
        (r#"split("groceries,electronics,diy,auto", ",", 64)[3] == "auto""#, "true"),
        (r#"len(split("groceries,,electronics", ",", 64)) == 3"#, "true"),
        (r#"split("a,,b", ",", 64)[1] == """#, "true"),
        (r#"len(split("", ",", 64)) == 1"#, "true"),
        (r#"len(split("a,b", ",", 1)) == 1"#, "true"),
        (r#"split("a--b-c", "--", 9)[1] == "b-c""#, "true"),
        (r#"join(split("a,b", ",", 9), "-") == "a-b""#, "true"),
        (r#"split(upper("a,b"), ",", 9)[1] == "B""#, "true"),
        (r#"any(split(http.request.headers["x-list"][0], ",", 9)[*] == "c")"#, "true"),
        (r#"any(split(http.request.headers["x-list"][0], ",", 9)[*] == "b")"#, "false"),
    ]);
}

#[test]
fn addresses_are_cut_to_networks() {
    come_to(&[
        ("cidr(ip.src, 24, 64) == 10.1.2.0", "true"),
        ("cidr(ip.src, 16, 64) == 10.1.2.0", "false"),
        ("cidr(2001:db8:1:2:3::, 24, 48) == 2001:db8:1::", "true"),
        ("cidr(10.1.2.3, 8, 8) in {10.0.0.0}", "true"),
    ]);
}

#[test]
fn maps_and_arrays_are_searched() {
    come_to(&[
        (r#"has_key(jwt.claims, "sub")"#, "true"),
        (r#"has_key(jwt.claims, "absent")"#, "false"),
        (r#"has_key(jwt.claims.realm, "roles")"#, "true"),
        (r#"has_key(http.request.headers, "no")"#, "false"),
        (r#"has_value(consumer.tags, "eu")"#, "true"),
        (r#"has_value(consumer.tags, "us")"#, "false"),
        (r#"has_value(path, "alice")"#, "true"),
        (r#"has_value(path, "bob")"#, "false"),
        (r#"has_value(jwt.claims.groups, "dev")"#, "true"),
        (r#"any(path[*] == "7")"#, "true"),
    ]);
}

#[test]
fn quantifiers_unpack_one_array_as_cloudflare_writes_it() {
    come_to(&[
        (r#"any(http.request.headers["x-env"][*] == "prod")"#, "true"),
        (r#"any(lower(http.request.headers["x-env"][*])[*] == "prod")"#, "true"),
        (r#"any(lower(http.request.headers["x-env"][*]) == "prod")"#, "true"),
        (r#"all(len(http.request.headers["x-env"][*])[*] in {3 4})"#, "true"),
        (r#"all(not len(http.request.headers["x-env"][*])[*] in {3 4})"#, "false"),
        (
            r#"any(http.request.headers["x-env"][*] == "a" or http.request.headers["x-env"][*] == "prod")"#,
            "true",
        ),
        (r#"any(starts_with(http.request.headers["x-env"][*], "pr"))"#, "true"),
        (r#"any(http.request.headers["x-env"][*] in {"prod"})"#, "true"),
        (r"any(jwt.claims.groups[*] in consumer.tags)", "false"),
        // The inner one goes through what the outer one looks at.
        (r#"any(any(split(http.request.headers["x-list"][*], ", ", 9)[*] == "b,c"))"#, "true"),
        (r#"any(all(split(http.request.headers["x-env"][*], "x", 9)[*] == "prod"))"#, "true"),
        (r#"all(any(split(http.request.headers["x-env"][*], "x", 9)[*] == "prod"))"#, "false"),
        (r#"any(http.request.headers["x-env"][*] == "prod" and any(consumer.tags[*] == "eu"))"#, "true"),
    ]);
}

#[test]
fn wrong_arguments_are_refused_with_the_usage() {
    for signature in &FUNCTIONS {
        let name = signature.name;
        for arguments in ["", r#""a", "b", "c", "d""#] {
            let source = format!("{name}({arguments}) == 1");
            let found = compiled(&source, Phase::Response);
            match found {
                Err(errors) => assert!(!errors.is_empty()),
                Ok(_) => panic!("{source} compiles"),
            }
        }
        let errors = compiled(&format!("{name}() == 1"), Phase::Response).unwrap_err();
        assert_eq!(errors[0].message, format!("wrong number of arguments, expected {}", signature.usage));
    }
    assert!(FUNCTIONS.is_sorted_by(|one, other| one.name < other.name));
}
