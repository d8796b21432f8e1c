use crate::waf::testing::{Request, compile, ids, options, post, run};
use crate::waf::{Disruption, Exhausted, Limits, Mode, Options, Verdict};

const JSON: &str = "{\"a\":[\"a\\u0027b\"]}";

#[test]
fn what_backends_read_without_asking_for_a_type_is_read() {
    let rules = "SecRule ARGS|XML:/* \"@streq a'b\" \"id:1,phase:2,deny\"\n\
                 SecRule REQBODY_ERROR \"!@eq 0\" \"id:2,phase:2,deny\"\n";
    for (kind, body, found) in [
        ("", JSON, vec![1]),
        ("application/octet-stream", JSON, vec![1]),
        ("application/x-www-form-urlencoded", "\u{feff} [\"a\\u0027b\"]", vec![1]),
        ("text/plain", "<a><![CDATA[a'b]]></a>", vec![1]),
        ("text/plain", "{\"a\":\"a\\u0027b\",}", vec![1]),
        ("application/x-ndjson", "{}\n[{}] 1\n{\"b\":[\"a\\u0027b\"]}\n", vec![1]),
        ("text/plain", "{\"n\":NaN,\"a\":\"a\\u0027b\"}", vec![1]),
        ("application/octet-stream", "/* { */ [\"\\x\", 'a\\u0027b'", vec![1]),
        ("text/plain", "\"a\\u0027b\"", vec![1]),
        ("text/plain", "{\"a\":\"a\\u0027b\"}\0 and more", vec![1]),
        ("text/plain", "{\0 'a\\u0027b'", vec![]),
        ("text/plain", "<?xml version=\"1.0\" encoding=\"utf-7\"?><a>a'b</a>", vec![2]),
        ("text/plain", "{ is no JSON", vec![]),
        ("text/plain", "< is no XML", vec![]),
        ("text/plain", "say a'b", vec![]),
    ] {
        assert_eq!(ids(rules, post(&[("Content-Type", kind)], body)), found, "{kind} {body}");
    }
    let deep = "[".repeat(65);
    let (_, verdict) = run(rules, post(&[("Content-Type", "text/plain")], &deep));
    assert_eq!(verdict, Verdict::Exhausted(Exhausted::Values));
}

#[test]
fn documents_within_values_are_read() {
    let rules = "SecRule ARGS \"@streq a'b\" \"id:1,phase:2,deny,log,logdata:'%{MATCHED_VAR_NAME}'\"\n";
    for (target, kind, body, name) in [
        ("/?d=%7b%22e%22:%22a%5cu0027b%22%7d", "", "", "ARGS:d.e"),
        ("/", "application/x-www-form-urlencoded", "d=%5b%22a%5cu0027b%22%5d", "ARGS:d.array_0"),
        ("/", "application/json", r#"{"d":"{\"e\":\"a\\u0027b\"}"}"#, "ARGS:json.d.e"),
        ("/", "application/json", r#"{"d":"{\"e\":\"[\\\"a\\\\u0027b\\\"]\"}"}"#, "ARGS:json.d.e.array_0"),
    ] {
        let headers = [("Content-Type", kind)];
        let request = Request { method: "POST", target, headers: &headers, body: body.as_bytes() };
        let (transaction, _) = run(rules, request);
        let found: Vec<_> = transaction.matches().iter().map(|found| found.data.as_str()).collect();
        assert_eq!(found, [name], "{target} {body}");
    }
}

#[test]
fn documents_within_cookies_are_read() {
    let rules = "SecRule REQUEST_COOKIES:c.d \"@streq a'b\" \"id:1,phase:1,deny\"\n";
    for (cookie, found) in [
        ("c=%7b%22d%22:%22a%5cu0027b%22%7d", vec![1]),
        ("b; c=j:%7B%22d%22%3A%22a%5Cu0027b%22%7D; e", vec![1]),
        (r#"c={"d":"a\u0027b"}"#, vec![1]),
        ("c=%257b%22d%22:%22a%5cu0027b%22%7d", vec![]),
    ] {
        assert_eq!(ids(rules, post(&[("Cookie", cookie)], "")), found, "{cookie}");
    }
}

#[test]
fn a_body_of_two_types_is_faulty() {
    let rules = "SecRule REQBODY_ERROR \"!@eq 0\" \"id:1,phase:2,deny\"\n";
    let two = [("Content-Type", "application/json"), ("content-type", "application/json")];
    assert_eq!(ids(rules, post(&two, "{}")), [1]);
    assert!(ids(rules, post(&two[1..], "{}")).is_empty());
    assert!(ids(rules, post(&two, "")).is_empty());
}

#[test]
fn of_a_body_that_is_cut_the_end_is_no_fault() {
    let rules = "SecRule REQBODY_ERROR|MULTIPART_STRICT_ERROR|MULTIPART_UNMATCHED_BOUNDARY \"!@eq 0\" \
                 \"id:1,phase:2,pass\"\nSecRule ARGS \"@streq x\" \"id:2,phase:2,pass\"\n\
                 SecRule INBOUND_DATA_ERROR \"@eq 1\" \"id:3,phase:2,pass\"\n";
    let engine = compile(rules, options(Mode::Filtered)).unwrap().0;
    for (kind, body) in [
        ("application/json", "{\"a\":\"x\",\"b\":\"\\u00"),
        (
            "multipart/form-data; boundary=b",
            "--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--b\r\nContent-Dis",
        ),
    ] {
        for is_cut in [false, true] {
            let mut transaction = engine.begin("id");
            transaction.request(b"POST", b"/", b"HTTP/1.1");
            transaction.request_header(b"content-type", kind.as_bytes());
            transaction.request_headers();
            transaction.request_body(body.as_bytes());
            if is_cut {
                transaction.request_body_is_cut();
            }
            transaction.request_body_end();
            let mut found: Vec<_> = transaction.matches().iter().map(|found| found.rule).collect();
            found.dedup();
            assert_eq!(found, if is_cut { [2, 3] } else { [1, 2] }, "{kind}");
        }
    }
}

#[test]
fn documents_in_wide_characters_are_read() {
    let rules = "SecRule ARGS|XML:/* \"@streq a'b\" \"id:1,phase:2,deny\"\n\
                 SecRule REQBODY_ERROR \"!@eq 0\" \"id:2,phase:2,deny\"\n";
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    for (kind, text, found) in [
        ("application/octet-stream", JSON, vec![1]),
        (
            "application/octet-stream",
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-16\"?><a>a&apos;b</a>",
            vec![1],
        ),
        ("application/octet-stream", "a'b", vec![]),
        ("application/json", JSON, vec![2]),
    ] {
        let body = wide(text);
        let headers = [("Content-Type", kind)];
        let request = Request { method: "POST", target: "/", headers: &headers, body: &body };
        assert_eq!(ids(rules, request), found, "{kind} {text}");
    }
}

#[test]
fn queries_in_forms_are_read() {
    let rules = "SecRule ARGS:graphql.id \"@streq a'b\" \"id:1,phase:2,deny\"\n";
    let operations = r#"{"query":"{a(id:\"a\\u0027b\")}"}"#;
    let part =
        format!("--b\r\nContent-Disposition: form-data; name=operations\r\n\r\n{operations}\r\n--b--\r\n");
    for (kind, body) in [
        ("application/x-www-form-urlencoded", "query=%7ba(id:%22a%5cu0027b%22)%7d"),
        ("multipart/form-data; boundary=b", &part),
    ] {
        assert_eq!(ids(rules, post(&[("Content-Type", kind)], body)), [1], "{body}");
    }
}

#[test]
fn of_too_many_values_those_that_came_first_are_looked_at() {
    let rules = "SecRule ARGS \"@streq x\" \"id:1,phase:2,deny,status:403\"\n\
                 SecRule REQBODY_ERROR \"!@eq 0\" \"id:2,phase:2,deny,status:400\"\n";
    let limits = Limits { values: 5, ..Limits::default() };
    let engine = compile(rules, Options { limits, ..options(Mode::Filtered) }).unwrap().0;
    let long = |first: &str| format!("a={first}&{}", "b=1&".repeat(9));
    let outcome = |first: &str| {
        let (transaction, verdict) =
            post(&[("Content-Type", "application/x-www-form-urlencoded")], &long(first)).run(&engine);
        (verdict, transaction.matches().len())
    };
    assert_eq!(outcome("x"), (Verdict::Refuse(Disruption::Deny { status: 403 }), 1));
    assert_eq!(outcome("y"), (Verdict::Exhausted(Exhausted::Values), 0));
    let parts = "--b\r\nContent-Disposition: form-data; name=a\r\n\r\ny\r\n".repeat(9) + "--b--\r\n";
    let strict = "SecRule REQBODY_ERROR|MULTIPART_STRICT_ERROR \"!@eq 0\" \"id:1,phase:2,deny\"\n";
    let engine = compile(strict, Options { limits, ..options(Mode::Filtered) }).unwrap().0;
    let (_, verdict) = post(&[("Content-Type", "multipart/form-data; boundary=b")], &parts).run(&engine);
    assert_eq!(verdict, Verdict::Exhausted(Exhausted::Values));
    let deep = format!("[\"x\",{}", "[".repeat(65));
    let engine = compile(rules, options(Mode::Filtered)).unwrap().0;
    let (_, verdict) = post(&[("Content-Type", "application/json")], &deep).run(&engine);
    assert_eq!(verdict, Verdict::Refuse(Disruption::Deny { status: 403 }));
}
