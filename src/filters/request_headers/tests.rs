use super::*;
use crate::filters::Verdict;
use crate::filters::exchange::Sample;
use crate::filters::testing::EXPRESSIONS;

fn compile(yaml: &str) -> Result<RequestHeaders, Problem> {
    serde_yaml::from_str::<Spec>(yaml).unwrap().build(EXPRESSIONS)
}

fn problem(yaml: &str) -> (String, String) {
    let problem = compile(yaml).err().unwrap();
    (problem.at, problem.message)
}

/// All values of `name` after the filter saw a request with `headers`.
fn values(yaml: &str, headers: &[(&'static str, &str)], name: &str) -> Vec<String> {
    let filter = compile(yaml).unwrap();
    let mut sample = Sample::get("/", headers);
    assert!(matches!(filter.on_request(&mut sample.exchange()), Step::Now(Verdict::Next)));
    let found = sample.request.headers.get_all(name).iter();
    found.map(|value| value.to_str().unwrap().to_owned()).collect()
}

#[test]
fn sets_a_header_whatever_the_client_sent() {
    let yaml = "set: { x-client-ip: '{ip.src}', x-edge: one }";
    let sent = [("x-client-ip", "6.6.6.6"), ("X-Client-IP", "7.7.7.7")];
    assert_eq!(values(yaml, &sent, "x-client-ip"), ["192.0.2.1"]);
    assert_eq!(values(yaml, &[], "x-edge"), ["one"]);
}

#[test]
fn sets_an_empty_header_where_the_template_finds_nothing() {
    let yaml = "set: { x-user: '{http.request.headers[\"x-auth-user\"][0]}' }";
    assert_eq!(values(yaml, &[("x-user", "admin")], "x-user"), [""]);
}

#[test]
fn adds_a_header_next_to_the_clients() {
    assert_eq!(values("add: { x-hop: edge }", &[("x-hop", "phone")], "x-hop"), ["phone", "edge"]);
    assert_eq!(values("add: { x-hop: edge }", &[], "x-hop"), ["edge"]);
}

#[test]
fn removes_headers_by_name_and_by_prefix() {
    let yaml = "remove: [X-Debug, x-internal-*]";
    let sent = [
        ("x-debug", "1"),
        ("x-internal-a", "2"),
        ("X-Internal-B", "3"),
        ("x-internals", "4"),
        ("x-debugger", "5"),
    ];
    for (name, left) in
        [("x-debug", 0), ("x-internal-a", 0), ("x-internal-b", 0), ("x-internals", 1), ("x-debugger", 1)]
    {
        assert_eq!(values(yaml, &sent, name).len(), left, "{name}");
    }
}

#[test]
fn removes_before_it_sets_and_sets_before_it_adds() {
    let yaml = "{ remove: [x-*], set: { x-a: set }, add: { x-a: added } }";
    assert_eq!(values(yaml, &[("x-a", "sent"), ("x-b", "sent")], "x-a"), ["set", "added"]);
    assert!(values(yaml, &[("x-b", "sent")], "x-b").is_empty());
}

#[test]
fn renames_a_header() {
    let yaml = "{ remove: [x-old], set: { x-new: '{http.request.headers[\"x-old\"][0]}' } }";
    assert_eq!(values(yaml, &[("x-old", "kept")], "x-new"), ["kept"]);
    assert!(values(yaml, &[("x-old", "kept")], "x-old").is_empty());
}

#[test]
fn refuses_names_that_frame_the_message_or_belong_to_the_connection() {
    for name in [
        "connection",
        "Content-Length",
        "expect",
        "http2-settings",
        "keep-alive",
        "proxy-connection",
        "TE",
        "trailer",
        "Transfer-Encoding",
        "upgrade",
    ] {
        let expected = format!("{} belongs to the connection", name.to_lowercase());
        for (yaml, at) in [
            (format!("set: {{ {name}: x }}"), format!("set[{name:?}]")),
            (format!("add: {{ {name}: x }}"), format!("add[{name:?}]")),
            (format!("remove: [x-a, {name}]"), "remove[1]".to_owned()),
        ] {
            let (place, message) = problem(&yaml);
            assert_eq!(place, at);
            assert!(message.starts_with(&expected), "{message}");
        }
    }
    assert_eq!(problem("set: { Host: x }").1, "host is changed by the rewrite of the route, not here");
}

#[test]
fn refuses_prefixes_that_cover_a_reserved_name() {
    for prefix in ["content-*", "t*", "Upgrade*", "connection*"] {
        let (at, message) = problem(&format!("remove: [{prefix:?}]"));
        assert_eq!(at, "remove[0]");
        assert!(message.contains("which no policy edits"), "{message}");
    }
    assert!(compile("remove: ['content-security-*']").is_ok());
    assert!(compile("remove: ['upgrade-*']").is_ok());
}

#[test]
fn refuses_malformed_names_and_patterns() {
    for yaml in ["set: { 'a b': x }", "set: { ':path': x }", "add: { '': x }", "set: { é: x }"] {
        assert!(problem(yaml).1.starts_with("expected a header name"), "{yaml}");
    }
    for yaml in ["remove: ['*']", "remove: ['x-**']", "remove: ['*-x*']", "remove: ['a b*']"] {
        assert!(problem(yaml).1.starts_with("expected a name or a prefix"), "{yaml}");
    }
}

#[test]
fn refuses_a_name_written_twice() {
    let (at, message) = problem("set: { X-A: one, x-a: two }");
    assert_eq!((at.as_str(), message.as_str()), ("set[\"x-a\"]", "written twice: header names ignore case"));
}

#[test]
fn says_which_template_is_wrong() {
    let (at, message) = problem("{ set: { x-a: '{route.name}' }, add: { x-b: '{route.nam}' } }");
    assert_eq!(at, "add[\"x-b\"]");
    assert!(message.contains("did you mean \"route.name\"?"), "{message}");
    assert!(problem("set: { x-a: \"a\\r\\nb: c\" }").1.contains("line breaks"));
}

#[test]
fn refuses_a_spec_that_edits_nothing() {
    assert_eq!(problem("{}").0, "");
    assert!(serde_yaml::from_str::<Spec>("sets: {}").is_err());
}
