use http::HeaderValue;
use pingora::http::ResponseHeader;

use super::*;
use crate::filters::Caller;
use crate::filters::exchange::Sample;
use crate::filters::testing::EXPRESSIONS;

fn sample() -> Sample {
    Sample::get("/", &[("x-tenant", "blue"), ("x-tenant", "red"), ("cookie", "a=1; session=s3")])
}

fn template(text: &str) -> Template {
    Template::compile("set", text, EXPRESSIONS, Phase::RequestHead).unwrap()
}

fn fill(text: &str, sample: &mut Sample) -> String {
    let value = template(text).header_value(&Fields::of_request(&sample.exchange()));
    String::from_utf8(value.as_bytes().to_vec()).unwrap()
}

fn problem(text: &str) -> Problem {
    Template::compile("set", text, EXPRESSIONS, Phase::RequestHead).unwrap_err()
}

#[test]
fn fills_in_expressions() {
    for (text, filled) in [
        ("{ip.src}", "192.0.2.1"),
        ("{request.id}", "0123456789abcdef"),
        ("{route.name}", "orders"),
        ("{http.host}", "api.example.com"),
        ("{http.request.scheme}", "https"),
        (r#"{http.request.headers["X-Tenant"][0]}"#, "blue"),
        (r#"{http.request.headers["x-tenant"][1]}"#, "red"),
        (r#"{http.request.cookies["session"][0]}"#, "s3"),
        (r#"<{ route.name }|{upper(http.request.headers["x-tenant"][0])}>"#, "<orders|BLUE>"),
        (r#"{join(http.request.headers["x-tenant"], ", ")}"#, "blue, red"),
        ("{http.request.timestamp.sec}{ssl}", "0false"),
        ("plain", "plain"),
        ("", ""),
        ("gr\u{fc}n", "gr\u{fc}n"),
    ] {
        assert_eq!(fill(text, &mut sample()), filled, "{text}");
    }
}

#[test]
fn braces_are_doubled_outside_of_expressions_and_free_inside() {
    for (text, filled) in [
        ("{{route.name}}", "{route.name}"),
        ("{{{route.name}}}", "{orders}"),
        ("}}{{", "}{"),
        (r#"{concat("{", route.name, "}")}"#, "{orders}"),
        (r##"{concat(r#""}"#, "\"}{")}"##, "\"}\"}{"),
        (r#"{http.request.method in {"GET" "PUT"}}}}"#, "true}"),
        (r#"{len("}")}{len("}}")}"#, "12"),
    ] {
        assert_eq!(fill(text, &mut sample()), filled, "{text}");
    }
}

#[test]
fn what_is_missing_is_an_empty_text() {
    let mut sample = Sample::get("/", &[]);
    let text = r#"<{http.request.headers["x-tenant"][0]}{jwt.sub}{http.request.cookies["a"][0]}>"#;
    assert_eq!(fill(text, &mut sample), "<>");
}

#[test]
fn knows_who_calls_and_what_was_answered() {
    let mut sample = sample();
    sample.exchange().identify(Caller::named("basic_auth", "alice"));
    assert_eq!(fill("{basic_auth.user}", &mut sample), "alice");
    let text = "{http.response.code}";
    assert!(problem(text).message.contains("known only with the response"));
    let template = Template::compile("set", text, EXPRESSIONS, Phase::Response).unwrap();
    let response = ResponseHeader::build(418, None).unwrap();
    assert_eq!(template.header_value(&Fields::of_response(&sample.exchange(), &response)), "418");
}

#[test]
fn nothing_ends_a_header_line() {
    let mut sample = sample();
    sample.facts.host = "a\r\nset-cookie: x".into();
    sample.facts.request_id = "1\u{0}2\t3\u{7f}".into();
    assert_eq!(fill("[{http.host}] {request.id}", &mut sample), "[aset-cookie: x] 12\t3");
    assert_eq!(fill(r#"{concat("a\r\n", "b")}"#, &mut sample), "ab");
    for text in ["a\nb", "a\rb", "{route.name}\r\nx: y", "\0", "\u{7f}"] {
        assert!(problem(text).message.starts_with("control characters"), "{text:?}");
    }
}

#[test]
fn keeps_bytes_as_they_are() {
    let mut sample = Sample::get("/", &[]);
    let latin = HeaderValue::from_bytes(b"M\xfcller").unwrap();
    sample.request.insert_header("x-name", latin.clone()).unwrap();
    let template = template(r#"{http.request.headers["x-name"][0]}"#);
    assert_eq!(template.header_value(&Fields::of_request(&sample.exchange())), latin);
}

#[test]
fn refuses_what_nginx_would_fill_in() {
    for text in ["$remote_addr", "$host", "$proxy_add_x_forwarded_for"] {
        assert!(problem(text).message.starts_with("there are no variables with $"), "{text}");
    }
    let mut sample = sample();
    for (text, filled) in [
        ("{\"$host\"}", "$host"),
        ("$", "$"),
        ("$1.50", "$1.50"),
        ("US$ 5", "US$ 5"),
        ("$Id: a $", "$Id: a $"),
    ] {
        assert_eq!(fill(text, &mut sample), filled);
    }
}

#[test]
fn says_what_is_wrong_and_where() {
    for (text, message, part) in [
        ("a {ip.srcc}", "unknown field \"ip.srcc\", did you mean \"ip.src\"?", 3..10),
        ("{{{route", "a { is never closed", 2..3),
        ("{len(\"}\")", "a { is never closed", 0..1),
        ("route}", "a } without { before it", 5..6),
        ("{ssl}}", "a } without { before it", 5..6),
        ("{}", "expected", 1..1),
        ("x{'a'}", "strings are written in double quotes", 2..3),
        ("{http.request.headers}", "a map of arrays of strings has many values", 1..21),
    ] {
        let problem = problem(text);
        assert!(problem.message.starts_with(message), "{text}: {problem}");
        assert_eq!((problem.at.as_str(), problem.part), ("set", Some(part)), "{text}");
    }
}
