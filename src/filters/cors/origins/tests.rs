use super::*;

fn origins(list: &[&str]) -> Result<Origins, (Option<usize>, String)> {
    Origins::parse(&list.iter().map(|origin| (*origin).to_owned()).collect::<Vec<_>>())
}

#[test]
fn compares_whole_origins_byte_for_byte() {
    let origins =
        origins(&["https://app.example.com", "http://localhost:3000", "https://[::1]:8443"]).unwrap();
    for origin in ["https://app.example.com", "http://localhost:3000", "https://[::1]:8443"] {
        assert!(origins.contains(origin), "{origin}");
    }
    for origin in [
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com.evil.example",
        "https://evil.app.example.com",
        "https://APP.example.com",
        "https://app.example.com/",
        "http://localhost",
        "http://localhost:30001",
        "null",
        "",
    ] {
        assert!(!origins.contains(origin), "{origin}");
    }
}

#[test]
fn matches_every_subdomain_and_nothing_that_only_looks_like_one() {
    let origins = origins(&["https://*.example.com", "https://*.example.org:8443"]).unwrap();
    for origin in ["https://a.example.com", "https://a.b-1.example.com", "https://a.example.org:8443"] {
        assert!(origins.contains(origin), "{origin}");
    }
    for origin in [
        "https://example.com",
        "https://.example.com",
        "https://evilexample.com",
        "https://a.example.com.evil.example",
        "https://a.example.com:8443",
        "https://a.example.org",
        "https://a.example.org:18443",
        "http://a.example.com",
        "https://evil.example/.example.com",
        "https://evil.example:1.example.com",
        "https://user@a.example.com",
        "https://a..example.com",
        "https://A.example.com",
        "null",
    ] {
        assert!(!origins.contains(origin), "{origin}");
    }
}

#[test]
fn takes_null_only_where_it_is_named() {
    assert!(origins(&["null"]).unwrap().contains("null"));
    assert!(!origins(&["https://a.example"]).unwrap().contains("null"));
    assert!(origins(&["*"]).unwrap().contains("null"));
}

#[test]
fn refuses_origins_that_no_browser_sends() {
    for (origin, message) in [
        ("app.example.com", "expected an origin such as"),
        ("https://", "expected an origin such as"),
        ("https://a b", "expected an origin such as"),
        ("://a.example", "expected an origin such as"),
        ("https://a*.example.com", "expected an origin such as"),
        ("https://a.*.example.com", "expected an origin such as"),
        ("https://*example.com", "expected an origin such as"),
        ("https://[::x]", "expected an origin such as"),
        ("https://user@a.example", "expected an origin such as"),
        ("https://App.example.com", "\"https://App.example.com\": browsers send origins in lower-case ASCII"),
        ("https://é.example", "\"https://é.example\": browsers send origins in lower-case ASCII"),
        (
            "https://a.example/",
            "an origin has no path and no slash at its end, did you mean https://a.example?",
        ),
        ("https://a.example:443", "browsers leave the default port out, did you mean https://a.example?"),
        ("http://*.a.example:80", "browsers leave the default port out, did you mean http://*.a.example?"),
        ("https://a.example:0", "expected a port"),
        ("https://a.example:08443", "expected a port"),
        ("https://a.example:*", "expected a port"),
        ("https://*.com", "*.com would let in every site below com"),
    ] {
        let (index, found) = origins(&["https://ok.example", origin]).unwrap_err();
        assert_eq!(index, Some(1), "{origin}");
        assert!(found.starts_with(message), "{origin}: {found}");
    }
    for origin in ["https://a.example:80", "capacitor://localhost", "http://*.localhost:3000"] {
        assert!(origins(&[origin]).is_ok(), "{origin}");
    }
}

#[test]
fn refuses_lists_that_say_nothing_or_two_things() {
    assert_eq!(origins(&[]).unwrap_err().0, None);
    assert_eq!(origins(&["https://a.example", "*"]).unwrap_err().0, Some(1));
}
