use super::*;
use crate::filters::exchange::Sample;

fn fill(text: &str, sample: &mut Sample) -> String {
    let template: Template = text.parse().unwrap();
    let value = template.header_value(&sample.exchange());
    let mut written = Vec::new();
    template.write(&sample.exchange(), &mut written);
    assert_eq!(written, value.as_bytes(), "both ways of filling in agree");
    String::from_utf8(written).unwrap()
}

fn error(text: &str) -> String {
    text.parse::<Template>().unwrap_err().to_string()
}

#[test]
fn fills_in_every_variable() {
    let mut sample = Sample::get("/", &[("x-tenant", "blue"), ("cookie", "a=1; session=s3; session=s4")]);
    for (text, expected) in [
        ("{client.ip}", "192.0.2.1"),
        ("{request.id}", "0123456789abcdef"),
        ("{route}", "orders"),
        ("{host}", "api.example.com"),
        ("{scheme}", "https"),
        ("{header.x-tenant}", "blue"),
        ("{header.X-Tenant}", "blue"),
        ("{cookie.session}", "s3"),
        ("<{route}|{header.x-tenant}>", "<orders|blue>"),
    ] {
        assert_eq!(fill(text, &mut sample), expected, "{text}");
    }
}

#[test]
fn keeps_texts_without_variables_and_unescapes_doubled_braces() {
    let mut sample = Sample::get("/", &[]);
    for (text, expected) in [
        ("", ""),
        ("plain; max-age=1", "plain; max-age=1"),
        ("{{route}}", "{route}"),
        ("{{{route}}}", "{orders}"),
        ("}}{{", "}{"),
        ("é", "é"),
    ] {
        assert_eq!(fill(text, &mut sample), expected, "{text}");
    }
}

#[test]
fn fills_in_nothing_for_what_is_missing() {
    let mut sample = Sample::get("/", &[]);
    assert_eq!(fill("<{header.x-tenant}{cookie.session}>", &mut sample), "<>");
}

#[test]
fn takes_the_first_of_repeated_headers() {
    let mut sample = Sample::get("/", &[("x-tenant", "blue"), ("x-tenant", "red")]);
    assert_eq!(fill("{header.x-tenant}", &mut sample), "blue");
}

#[test]
fn writes_a_mapped_address_as_ipv4() {
    let mut sample = Sample::get("/", &[]);
    sample.facts.client_ip = "::ffff:192.0.2.9".parse().unwrap();
    assert_eq!(fill("{client.ip}", &mut sample), "192.0.2.9");
}

#[test]
fn lets_no_line_break_in_whoever_brings_it() {
    let mut sample = Sample::get("/", &[]);
    sample.facts.host = "a\r\nset-cookie: x\0".into();
    sample.facts.request_id = "1\n2\t3\x7f".into();
    assert_eq!(fill("[{host}] {request.id}", &mut sample), "[aset-cookie: x] 12\t3");
    for text in ["a\nb", "a\rb", "{route}\r\nx: y", "\0", "\u{7f}"] {
        assert_eq!(text.parse::<Template>().unwrap_err(), TemplateError::Control, "{text:?}");
    }
    assert!("a\tb".parse::<Template>().is_ok());
}

#[test]
fn passes_bytes_beyond_ascii_as_they_came() {
    let mut sample = Sample::get("/", &[]);
    let raw = HeaderValue::from_bytes(b"caf\xe9").unwrap();
    sample.request.insert_header("x-name", raw.clone()).unwrap();
    let template: Template = "{header.x-name}".parse().unwrap();
    assert_eq!(template.header_value(&sample.exchange()), raw);
}

#[test]
fn names_the_nearest_variable() {
    assert_eq!(error("{client.ipp}"), r#"unknown variable "client.ipp", did you mean "client.ip"?"#);
    assert_eq!(error("{rout}"), r#"unknown variable "rout", did you mean "route"?"#);
    assert_eq!(error("{schema}"), r#"unknown variable "schema", did you mean "scheme"?"#);
    assert_eq!(error("{headers.x-a}"), r#"unknown variable "headers.x-a", did you mean "header.x-a"?"#);
    assert_eq!(error("{cookies.a}"), r#"unknown variable "cookies.a", did you mean "cookie.a"?"#);
}

#[test]
fn lists_the_variables_when_none_is_near() {
    for text in ["{}", "{jwt.claims.subject}", "{a-name-that-is-much-longer-than-any-variable}"] {
        assert!(error(text).contains("the variables are client.ip, request.id, route"), "{text}");
    }
}

#[test]
fn refuses_braces_that_do_not_pair() {
    for text in ["{route", "a {", "{{{route"] {
        assert_eq!(text.parse::<Template>().unwrap_err(), TemplateError::Unclosed, "{text}");
    }
    for text in ["route}", "{route}}", "}"] {
        assert_eq!(text.parse::<Template>().unwrap_err(), TemplateError::Unopened, "{text}");
    }
    assert_eq!(error("{route"), "a { is never closed: write {{ for the character itself");
    assert_eq!(error("route}"), "a } without { before it: write }} for the character itself");
}

#[test]
fn refuses_names_that_cannot_be_headers_or_cookies() {
    for text in ["{header.}", "{header.a b}", "{cookie.}", "{cookie.a=b}", "{header.é}"] {
        assert!(matches!(text.parse::<Template>(), Err(TemplateError::Name(_))), "{text}");
    }
}
