use super::*;
use crate::filters::exchange::Sample;
use crate::filters::{Origin, Verdict};

const APP: &str = "https://app.example.com";
const ALL: &str = "{ origins: ['https://app.example.com'], methods: [GET, PUT], headers: [X-Tenant, content-type],
                     expose_headers: [X-Request-Id, etag], credentials: true, max_age: 1h, private_network: true }";

fn compile(yaml: &str) -> Result<Cors, Problem> {
    serde_yaml::from_str::<Spec>(yaml).unwrap().build()
}

fn problem(yaml: &str) -> (String, String) {
    let problem = compile(yaml).err().unwrap();
    (problem.at, problem.message)
}

fn values<'r>(response: &'r ResponseHeader, name: &str) -> Vec<&'r str> {
    response.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

fn cors_headers(response: &ResponseHeader) -> Vec<String> {
    let names = response.headers.keys().map(|name| name.as_str().to_owned());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("access-control-")).collect();
    names.sort();
    names
}

/// The answer to `OPTIONS` with these headers, after the filter saw its own answer on the way out as well.
fn preflight(yaml: &str, headers: &[(&'static str, &str)]) -> ResponseHeader {
    let filter = compile(yaml).unwrap();
    let mut sample = Sample::new("OPTIONS", "/orders", headers);
    let Step::Now(Verdict::Respond(reply)) = filter.on_request(&mut sample.exchange()) else {
        panic!("a preflight is answered")
    };
    assert_eq!(reply.head.status, StatusCode::NO_CONTENT);
    assert!(reply.body.is_empty());
    let mut exchange = sample.exchange();
    exchange.origin = Origin::Edgeward;
    let mut again = reply.head.clone();
    filter.on_response(&mut exchange, &mut again).unwrap();
    assert_eq!(again.headers, reply.head.headers, "seeing the answer again changes nothing");
    reply.head
}

/// The answer to a GET with these headers, where the upstream said `response`.
fn simple(yaml: &str, headers: &[(&'static str, &str)], response: &[(&'static str, &str)]) -> ResponseHeader {
    let filter = compile(yaml).unwrap();
    let mut sample = Sample::get("/orders", headers);
    assert!(matches!(filter.on_request(&mut sample.exchange()), Step::Now(Verdict::Next)));
    let mut head = ResponseHeader::build(200, None).unwrap();
    for (name, value) in response {
        head.append_header(*name, *value).unwrap();
    }
    filter.on_response(&mut sample.exchange(), &mut head).unwrap();
    head
}

fn asks<'h>(origin: &'h str, method: &'h str) -> Vec<(&'static str, &'h str)> {
    vec![("origin", origin), ("access-control-request-method", method)]
}

#[test]
fn answers_an_allowed_preflight_with_everything_the_browser_needs() {
    let mut headers = asks(APP, "PUT");
    headers.push(("access-control-request-headers", "content-type,x-tenant"));
    let answer = preflight(ALL, &headers);
    for (name, value) in [
        ("access-control-allow-origin", APP),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "GET, PUT"),
        ("access-control-allow-headers", "x-tenant, content-type"),
        ("access-control-max-age", "3600"),
        (
            "vary",
            "Origin, Access-Control-Request-Method, Access-Control-Request-Headers, Access-Control-Request-Private-Network",
        ),
    ] {
        assert_eq!(values(&answer, name), [value], "{name}");
    }
    assert_eq!(cors_headers(&answer).len(), 5, "and nothing else: {:?}", cors_headers(&answer));
}

#[test]
fn gives_no_allow_header_to_a_preflight_that_asks_for_too_much() {
    let with = |origin, method, headers| {
        let mut all = asks(origin, method);
        all.push(("access-control-request-headers", headers));
        preflight(ALL, &all)
    };
    assert_eq!(cors_headers(&with(APP, "PUT", "X-TENANT, Content-Type")).len(), 5);
    assert_eq!(cors_headers(&with(APP, "PUT", " , ")).len(), 5);
    for (origin, method, headers) in [
        ("https://evil.example", "PUT", "x-tenant"),
        ("null", "PUT", "x-tenant"),
        (APP, "DELETE", "x-tenant"),
        (APP, "put", "x-tenant"),
        (APP, "", "x-tenant"),
        (APP, "PUT", "x-other"),
        (APP, "PUT", "x-tenant,authorization"),
        (APP, "PUT", "*"),
    ] {
        let answer = with(origin, method, headers);
        assert!(cors_headers(&answer).is_empty(), "{origin} {method} {headers}");
        assert!(values(&answer, "vary")[0].starts_with("Origin, Access-Control-Request-Method"));
    }
}

#[test]
fn trusts_no_origin_or_method_that_was_sent_twice() {
    let mut origins = asks(APP, "PUT");
    origins.push(("origin", APP));
    assert!(cors_headers(&preflight(ALL, &origins)).is_empty());
    let mut methods = asks(APP, "PUT");
    methods.push(("access-control-request-method", "GET"));
    assert!(cors_headers(&preflight(ALL, &methods)).is_empty());
    assert!(cors_headers(&simple(ALL, &[("origin", APP), ("origin", APP)], &[])).is_empty());
}

#[test]
fn leaves_options_requests_that_are_no_preflight_to_the_upstream() {
    for headers in [&[("origin", APP)][..], &[("access-control-request-method", "PUT")][..]] {
        let mut sample = Sample::new("OPTIONS", "/", headers);
        let filter = compile(ALL).unwrap();
        assert!(matches!(filter.on_request(&mut sample.exchange()), Step::Now(Verdict::Next)));
    }
    let mut sample = Sample::new("POST", "/", &asks(APP, "PUT"));
    assert!(matches!(compile(ALL).unwrap().on_request(&mut sample.exchange()), Step::Now(Verdict::Next)));
}

#[test]
fn allows_a_private_network_only_where_asked_and_configured() {
    let mut headers = asks(APP, "PUT");
    assert!(values(&preflight(ALL, &headers), "access-control-allow-private-network").is_empty());
    headers.push(("access-control-request-private-network", "true"));
    assert_eq!(values(&preflight(ALL, &headers), "access-control-allow-private-network"), ["true"]);
    let off = preflight("origins: ['https://app.example.com']", &asks(APP, "GET"));
    assert!(values(&off, "access-control-allow-private-network").is_empty());
    headers[1].1 = "GET";
    let off = preflight("origins: ['https://app.example.com']", &headers);
    assert!(values(&off, "access-control-allow-private-network").is_empty());
    assert_eq!(values(&off, "access-control-allow-origin"), [APP]);
}

#[test]
fn lets_an_allowed_origin_read_the_answer_and_no_other() {
    let answer = simple(ALL, &[("origin", APP)], &[]);
    assert_eq!(values(&answer, "access-control-allow-origin"), [APP]);
    assert_eq!(values(&answer, "access-control-allow-credentials"), ["true"]);
    assert_eq!(values(&answer, "access-control-expose-headers"), ["x-request-id, etag"]);
    assert_eq!(cors_headers(&answer).len(), 3);
    assert_eq!(values(&answer, "vary"), ["Origin"]);
    for headers in [&[][..], &[("origin", "https://evil.example")][..]] {
        let answer = simple(ALL, headers, &[]);
        assert!(cors_headers(&answer).is_empty());
        assert_eq!(values(&answer, "vary"), ["Origin"], "caches must know, whoever asked");
    }
}

#[test]
fn replaces_what_the_upstream_said_of_cors() {
    let upstream = [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-origin", "https://evil.example"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "DELETE"),
        ("access-control-allow-headers", "x-evil"),
        ("access-control-max-age", "9"),
        ("access-control-expose-headers", "x-secret"),
        ("access-control-allow-private-network", "true"),
    ];
    let answer = simple("origins: ['https://app.example.com']", &[("origin", APP)], &upstream);
    assert_eq!(cors_headers(&answer), ["access-control-allow-origin"]);
    assert_eq!(values(&answer, "access-control-allow-origin"), [APP]);
    assert!(cors_headers(&simple(ALL, &[], &upstream)).is_empty());
}

#[test]
fn adds_to_the_vary_of_the_upstream_what_is_missing() {
    for (upstream, expected) in [
        (&[("vary", "accept-encoding")][..], "accept-encoding, Origin"),
        (&[("vary", "accept"), ("vary", "cookie")][..], "accept, cookie, Origin"),
        (&[("vary", "accept , ORIGIN")][..], "accept , ORIGIN"),
        (&[("vary", "*")][..], "*"),
        (&[("vary", "")][..], "Origin"),
        (&[("vary", "x-origin")][..], "x-origin, Origin"),
    ] {
        assert_eq!(values(&simple(ALL, &[], upstream), "vary"), [expected]);
    }
}

#[test]
fn says_the_same_to_everyone_where_every_origin_is_allowed() {
    let yaml = "{ origins: ['*'], expose_headers: ['*'] }";
    for headers in [&[][..], &[("origin", "https://any.example")][..], &[("origin", "null")][..]] {
        let answer = simple(yaml, headers, &[]);
        assert_eq!(values(&answer, "access-control-allow-origin"), ["*"]);
        assert_eq!(values(&answer, "access-control-expose-headers"), ["*"]);
        assert!(
            values(&answer, "vary").is_empty()
                && values(&answer, "access-control-allow-credentials").is_empty()
        );
    }
    let answer = preflight(yaml, &asks("https://any.example", "POST"));
    assert_eq!(values(&answer, "vary"), ["Access-Control-Request-Method, Access-Control-Request-Headers"]);
    assert_eq!(values(&answer, "access-control-allow-methods"), ["GET, HEAD, POST"]);
    assert_eq!(values(&answer, "access-control-max-age"), ["600"]);
    assert!(values(&answer, "access-control-allow-headers").is_empty());
}

#[test]
fn covers_every_header_but_authorization_with_a_star() {
    let ask = |yaml, header| {
        let mut headers = asks(APP, "DELETE");
        headers.push(("access-control-request-headers", header));
        preflight(yaml, &headers)
    };
    let stars = "{ origins: ['*'], methods: ['*'], headers: ['*'] }";
    let answer = ask(stars, "x-a,x-b");
    assert_eq!(values(&answer, "access-control-allow-methods"), ["*"]);
    assert_eq!(values(&answer, "access-control-allow-headers"), ["*"]);
    assert!(cors_headers(&ask(stars, "Authorization")).is_empty());
    let named = "{ origins: ['*'], methods: ['*'], headers: ['*', authorization] }";
    assert_eq!(
        values(&ask(named, "authorization,x-a"), "access-control-allow-headers"),
        ["*, authorization"]
    );
}

#[test]
fn opens_refusals_of_other_filters_without_a_slot() {
    let filter = compile(ALL).unwrap();
    let mut sample = Sample::get("/", &[("origin", APP)]);
    let mut exchange = sample.exchange();
    exchange.origin = Origin::Edgeward;
    let mut response = ResponseHeader::build(401, None).unwrap();
    filter.on_response(&mut exchange, &mut response).unwrap();
    assert_eq!(values(&response, "access-control-allow-origin"), [APP]);
}

#[test]
fn remembers_the_origin_that_a_later_filter_hides_from_the_upstream() {
    let filter = compile(ALL).unwrap();
    let mut sample = Sample::get("/", &[("origin", APP)]);
    assert!(matches!(filter.on_request(&mut sample.exchange()), Step::Now(Verdict::Next)));
    sample.request.remove_header("origin");
    let mut response = ResponseHeader::build(200, None).unwrap();
    filter.on_response(&mut sample.exchange(), &mut response).unwrap();
    assert_eq!(values(&response, "access-control-allow-origin"), [APP]);
}

#[test]
fn refuses_credentials_for_whoever_asks() {
    for (yaml, at) in [
        ("{ credentials: true, origins: ['*'] }", "origins[0]"),
        ("{ credentials: true, origins: ['https://a.example', 'null'] }", "origins[1]"),
        ("{ credentials: true, origins: ['https://a.example'], methods: ['*'] }", "methods"),
        ("{ credentials: true, origins: ['https://a.example'], headers: ['*'] }", "headers"),
        ("{ credentials: true, origins: ['https://a.example'], expose_headers: ['*'] }", "expose_headers"),
    ] {
        let (place, message) = problem(yaml);
        assert_eq!(place, at);
        assert!(message.contains("cannot be combined with credentials"), "{message}");
        assert!(compile(&yaml.replace("credentials: true", "credentials: false")).is_ok());
    }
}

#[test]
fn says_which_entry_is_wrong() {
    for (yaml, at, expected) in [
        ("origins: []", "origins", "no origin may read anything"),
        ("origins: ['https://a.example', 'https://b.example/']", "origins[1]", "an origin has no path"),
        ("{ origins: ['*'], methods: [GET, patch] }", "methods[1]", "did you mean PATCH?"),
        ("{ origins: ['*'], methods: [TRACE] }", "methods[0]", "no browser lets scripts send TRACE"),
        ("{ origins: ['*'], methods: ['A B'] }", "methods[0]", "expected a method such as GET"),
        ("{ origins: ['*'], methods: [] }", "methods", "no method is allowed"),
        ("{ origins: ['*'], headers: [x-a, 'x b'] }", "headers[1]", "expected a header name"),
        ("{ origins: ['*'], expose_headers: ['x-*'] }", "expose_headers[0]", "expected a header name"),
        ("{ origins: ['*'], max_age: 1500ms }", "max_age", "expected whole seconds"),
    ] {
        let (place, message) = problem(yaml);
        assert_eq!(place, at);
        assert!(message.contains(expected), "{message}");
    }
    assert!(serde_yaml::from_str::<Spec>("{ origins: ['*'], max_ages: 1h }").is_err());
    assert!(serde_yaml::from_str::<Spec>("{}").is_err());
}

#[test]
fn tells_browsers_not_to_remember_on_demand() {
    let answer = preflight("{ origins: ['*'], max_age: 0s }", &asks(APP, "GET"));
    assert_eq!(values(&answer, "access-control-max-age"), ["0"]);
}
