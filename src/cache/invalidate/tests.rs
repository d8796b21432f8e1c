use super::*;
use crate::cache::testing::fields;

const TARGET: Target<'_> =
    Target { scheme: "https", host: "api.example.com", path: "/orders/7", query: Some("a=1") };

fn after(method: &Method, status: u16, lines: &str) -> Vec<String> {
    let status = StatusCode::from_u16(status).unwrap();
    invalidated(method, &TARGET, status, &fields(lines), Rules::default())
        .into_iter()
        .map(|resource| {
            resource.query.map_or(resource.path.clone(), |query| format!("{}?{query}", resource.path))
        })
        .collect()
}

#[test]
fn writes_that_succeed_make_the_resource_untrue() {
    // RFC 9111 §4.4: "non-error status codes" are those of 2xx and 3xx.
    let unknown = Method::from_bytes(b"FOO").unwrap();
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, unknown] {
        for status in [200, 201, 204, 301, 303] {
            assert_eq!(after(&method, status, ""), ["/orders/7?a=1"], "{method} {status}");
        }
        for status in [100, 400, 404, 500, 503] {
            assert_eq!(after(&method, status, "location: /a"), [""; 0], "{method} {status}");
        }
    }
    for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE] {
        assert_eq!(after(&method, 200, "location: /a"), [""; 0], "{method}");
    }
}

#[test]
fn locations_on_the_same_origin_are_untrue_too() {
    for (reference, resource) in [
        ("/orders", "/orders"),
        ("/orders?b=2", "/orders?b=2"),
        ("https://api.example.com/x", "/x"),
        ("HTTPS://API.example.com:443/x#f", "/x"),
        ("https://api.example.com", "/"),
        ("https://api.example.com?q", "/?q"),
        ("//api.example.com/x", "/x"),
        ("8", "/orders/8"),
        ("../users/%41", "/users/A"),
        ("./", "/orders/"),
        ("?b", "/orders/7?b"),
        ("/a?u=https://other.example/", "/a?u=https://other.example/"),
    ] {
        for name in ["location", "content-location"] {
            let resources = after(&Method::POST, 201, &format!("{name}: {reference}"));
            assert_eq!(resources, ["/orders/7?a=1", resource], "{reference}");
        }
    }
    let both = after(&Method::POST, 201, "location: /a\ncontent-location: /b");
    assert_eq!(both, ["/orders/7?a=1", "/a", "/b"]);
    let same = after(&Method::POST, 201, "location: /a\ncontent-location: /a");
    assert_eq!(same, ["/orders/7?a=1", "/a"]);
}

#[test]
fn nothing_of_other_origins_is() {
    // "MUST NOT trigger an invalidation if the origin of the URI to be invalidated differs": denial of service.
    for reference in [
        "http://api.example.com/x",
        "https://api.example.com:8443/x",
        "https://other.example/x",
        "//other.example/x",
        "https://api.example.com@other.example/x",
        "https://api.example.com.other.example/x",
        "mailto:a",
        "data:/x",
        "/../../x",
        "/a b",
        "",
        "#f",
    ] {
        for name in ["location", "content-location"] {
            let resources = after(&Method::PUT, 200, &format!("{name}: {reference}"));
            assert_eq!(resources, ["/orders/7?a=1"], "{reference}");
        }
    }
}

#[test]
fn a_response_is_its_own_place_only_if_it_says_so() {
    let own = |lines: &str| is_its_own_place(&TARGET, &fields(lines), Rules::default());
    for place in
        ["/orders/7?a=1", "7?a=1", "https://api.example.com/orders/7?a=1", "/orders/./%37?a=1", "?a=1"]
    {
        assert!(own(&format!("content-location: {place}")), "{place}");
    }
    for place in
        ["/orders/7", "/orders/8?a=1", "http://api.example.com/orders/7?a=1", "//other.example/orders/7?a=1"]
    {
        assert!(!own(&format!("content-location: {place}")), "{place}");
    }
    assert!(!own("") && !own("location: /orders/7?a=1"));
    assert!(!own("content-location: /orders/7?a=1\ncontent-location: /orders/7?a=1"));
}
