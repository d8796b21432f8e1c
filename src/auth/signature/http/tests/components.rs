//! The examples of RFC 9421 §2, and what must not be read as a component.

use super::super::base;
use super::super::{Component, Form, Refusal};
use super::{Request, parsed};
use sfv::{InnerList, Item};

/// The value of one component, as the base has it.
fn value(request: &Request, component: &str) -> Result<String, Refusal> {
    let components = parsed(&[component]);
    let item = components[0].to_item().unwrap();
    let base = base::build(&request.message(), InnerList::new(vec![item]), &components)?;
    let line = base.lines().next().unwrap();
    assert!(line.starts_with(&format!("{}: ", components[0])), "{line}");
    Ok(line[components[0].to_string().len() + 2..].to_owned())
}

fn fields() -> Request {
    Request::new("GET", "www.example.com", "/")
        .with("host", "www.example.com")
        .with("x-ows-header", "   Leading and trailing whitespace. \t ")
        .with("cache-control", "max-age=60")
        .with("cache-control", "   must-revalidate")
        .with("example-dict", " a=1,    b=2;x=1;y=2,   c=(a   b   c), d")
        .with("priority", "u=1,   i")
        .with("x-empty-header", "")
        .with("x-commas", "value, with, lots")
        .with("x-commas", "of, commas")
        .with("cookie", "a=1")
        .with("cookie", "b=2; c=3")
}

#[test]
fn fields_are_trimmed_and_joined() {
    for (component, expected) in [
        ("host", "www.example.com"),
        ("x-ows-header", "Leading and trailing whitespace."),
        ("cache-control", "max-age=60, must-revalidate"),
        ("example-dict", "a=1,    b=2;x=1;y=2,   c=(a   b   c), d"),
        ("x-empty-header", ""),
        ("x-commas", "value, with, lots, of, commas"),
        ("cookie", "a=1; b=2; c=3"),
        ("x-commas;bs", ":dmFsdWUsIHdpdGgsIGxvdHM=:, :b2YsIGNvbW1hcw==:"),
        ("x-empty-header;bs", "::"),
        ("example-dict;key=\"a\"", "1"),
        ("example-dict;key=\"b\"", "2;x=1;y=2"),
        ("example-dict;key=\"c\"", "(a b c)"),
        ("example-dict;key=\"d\"", "?1"),
        ("priority;sf", "u=1, i"),
        ("priority;sf;key=\"i\"", "?1"),
    ] {
        let component = component.replace(";sf;", ";");
        assert_eq!(value(&fields(), &component).as_deref(), Ok(expected), "{component}");
    }
}

#[test]
fn lines_with_commas_are_told_from_one_line_when_wrapped() {
    let one = Request::new("GET", "a", "/").with("x-commas", "value, with, lots, of, commas");
    assert_eq!(value(&one, "x-commas"), value(&fields(), "x-commas"));
    assert_ne!(value(&one, "x-commas;bs"), value(&fields(), "x-commas;bs"));
}

#[test]
fn what_is_not_there_or_not_printable_is_refused() {
    let request = fields().with("x-latin", "caf\u{e9}").with("x-tab", "a\tb").with("content-digest", "a=");
    for (component, refusal) in [
        ("x-missing", Refusal::AbsentComponent),
        ("x-missing;bs", Refusal::AbsentComponent),
        ("example-dict;key=\"e\"", Refusal::AbsentComponent),
        ("example-dict;key=\"E\"", Refusal::AbsentComponent),
        ("x-ows-header;key=\"a\"", Refusal::MalformedComponent),
        ("example-dict;sf", Refusal::UnsupportedComponent),
        ("x-latin", Refusal::MalformedComponent),
        ("content-digest;sf", Refusal::MalformedComponent),
        ("@query-param;name=\"a\"", Refusal::AbsentComponent),
    ] {
        assert_eq!(value(&request, component), Err(refusal), "{component}");
    }
    assert_eq!(value(&request, "x-tab").as_deref(), Ok("a\tb"));
    assert_eq!(value(&request, "x-latin;bs").as_deref(), Ok(":Y2Fmw6k=:"));
}

#[test]
fn derives_what_the_request_line_says() {
    let mut request = Request::new("POST", "www.example.com", "/path?param=value&foo=bar&baz=bat%2Dman");
    for (component, expected) in [
        ("@method", "POST"),
        ("@target-uri", "https://www.example.com/path?param=value&foo=bar&baz=bat%2Dman"),
        ("@authority", "www.example.com"),
        ("@scheme", "https"),
        ("@request-target", "/path?param=value&foo=bar&baz=bat%2Dman"),
        ("@path", "/path"),
        ("@query", "?param=value&foo=bar&baz=bat%2Dman"),
    ] {
        assert_eq!(value(&request, component).as_deref(), Ok(expected), "{component}");
    }
    request.query = None;
    assert_eq!(value(&request, "@query").as_deref(), Ok("?"));
    assert_eq!(value(&request, "@request-target").as_deref(), Ok("/path"));
    request.query = Some(String::new());
    assert_eq!(value(&request, "@query").as_deref(), Ok("?"));
    assert_eq!(value(&request, "@target-uri").as_deref(), Ok("https://www.example.com/path?"));
    request.path = String::new();
    assert_eq!(value(&request, "@path").as_deref(), Ok("/"));
    request.path = "/a b".to_owned();
    assert_eq!(value(&request, "@path"), Err(Refusal::MalformedComponent));
    request.path = "/a\n\"@authority\": evil".to_owned();
    assert_eq!(value(&request, "@path"), Err(Refusal::MalformedComponent));
}

#[test]
fn authorities_are_one_whatever_their_spelling() {
    for (scheme, authority, expected) in [
        ("https", "Example.COM", "example.com"),
        ("https", "example.com:443", "example.com"),
        ("https", "example.com:", "example.com"),
        ("https", "example.com:80", "example.com:80"),
        ("http", "example.com:80", "example.com"),
        ("HTTP", "example.com:443", "example.com:443"),
        ("https", "[2001:DB8::443]", "[2001:db8::443]"),
        ("https", "[2001:db8::1]:443", "[2001:db8::1]"),
        ("https", "[2001:db8::1]:8443", "[2001:db8::1]:8443"),
    ] {
        let mut request = Request::new("GET", authority, "/");
        request.scheme = scheme;
        assert_eq!(value(&request, "@authority").as_deref(), Ok(expected), "{scheme} {authority}");
    }
}

#[test]
fn query_parameters_have_one_spelling() {
    let query = "/p?var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something\
                 &qux=&flag&x=a=b&y=1%2B1&z=*-._~!&&%70lain=p";
    let request = Request::new("GET", "www.example.com", query);
    for (name, expected) in [
        ("var", "this%20is%20a%20big%0Amultiline%20value"),
        ("bar", "with%20plus%20whitespace"),
        ("fa%C3%A7ade%22%3A%20", "something"),
        ("qux", ""),
        ("flag", ""),
        ("x", "a%3Db"),
        ("y", "1%2B1"),
        ("z", "*-._%7E%21"),
        ("plain", "p"),
    ] {
        assert_eq!(
            value(&request, &format!("@query-param;name=\"{name}\"")).as_deref(),
            Ok(expected),
            "{name}"
        );
    }
    for name in ["missing", "Var", "%70lain", "fa%c3%a7ade%22%3a%20", "fa%C3%A7ade%22%3A+", ""] {
        let refused = value(&request, &format!("@query-param;name=\"{name}\""));
        assert_eq!(refused, Err(Refusal::AbsentComponent), "{name}");
    }
}

#[test]
fn a_query_parameter_that_servers_could_read_differently_is_refused() {
    for query in ["a=1&a=1", "a=1&%61=2", "a&a=1", "a=%FF", "a=%C3%28", "a=%ED%A0%80"] {
        let request = Request::new("GET", "www.example.com", &format!("/p?{query}"));
        assert_eq!(value(&request, "@query-param;name=\"a\""), Err(Refusal::MalformedComponent), "{query}");
    }
}

#[test]
fn identifiers_are_read_and_written_alike() {
    for text in [
        "\"@method\"",
        "\"@target-uri\"",
        "\"@authority\"",
        "\"@scheme\"",
        "\"@request-target\"",
        "\"@path\"",
        "\"@query\"",
        "\"@query-param\";name=\"a%20b\"",
        "\"content-type\"",
        "\"x\";bs",
        "\"x\";sf",
        "\"x\";key=\"a\\\"b\"",
    ] {
        let component: Component = text.parse().unwrap();
        assert_eq!(component.to_string(), text);
        assert_eq!(text.replacen('"', "", 2).parse(), Ok(component), "{text}");
    }
    assert_eq!("x;sf;key=\"a\"".parse(), Ok(Component::Field("x".to_owned(), Form::Member("a".to_owned()))));
}

#[test]
fn refuses_an_identifier_that_means_nothing_here() {
    for text in [
        "",
        "@",
        "@status",
        "@signature-params",
        "@unknown",
        "@method;req",
        "@method;name=\"a\"",
        "@method;key=\"a\"",
        "@path;bs",
        "@query-param",
        "@query-param;name=a",
        "@query-param;name=\"a\";sf",
        "x;name=\"a\"",
        "x;tr",
        "x;req",
        "x;bs;sf",
        "x;bs;key=\"a\"",
        "x;sf=?0",
        "x;sf=1",
        "x;key=a",
        "x;key",
        "x;unknown",
        "Content-Type",
        "x y",
        "x:",
        "é",
        "1x;",
        "(\"x\")",
        "\"x",
    ] {
        assert!(text.parse::<Component>().is_err(), "{text}");
    }
    assert!(Component::from_item(&Item::new(1)).is_err());
    assert_eq!(Component::QueryParam("é".to_owned()).to_item(), None);
}
