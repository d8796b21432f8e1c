use super::*;
use crate::cache::testing::{at, fields, http_date, received};

struct Case<'a> {
    method: Method,
    request: &'a str,
    status: u16,
    response: &'a str,
    rules: Rules,
}

const FRESH: &str = "cache-control: max-age=60";

impl Default for Case<'_> {
    fn default() -> Self {
        Self { method: Method::GET, request: "", status: 200, response: FRESH, rules: Rules::default() }
    }
}

impl Case<'_> {
    fn decide_for(
        &self,
        audience: Audience,
        has_credentials: bool,
        has_content: bool,
    ) -> Result<(), Refusal> {
        let (headers, response) = (fields(self.request), fields(self.response));
        let asked = Asked { method: &self.method, headers: &headers, has_content, has_credentials, audience };
        let directives = ResponseDirectives::read(&response);
        let wants = RequestDirectives::read(&headers);
        may_store(&asked, &wants, &received(self.status, &response), &directives, &self.rules)
    }

    fn decide(&self) -> Result<(), Refusal> {
        self.decide_for(Audience::Anyone, false, false)
    }
}

fn response(status: u16, lines: &str) -> Result<(), Refusal> {
    Case { status, response: lines, ..Case::default() }.decide()
}

#[test]
fn stores_answers_to_get_alone() {
    assert_eq!(Case::default().decide(), Ok(()));
    for method in [Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::TRACE] {
        assert_eq!(Case { method, ..Case::default() }.decide(), Err(Refusal::Method));
    }
    let with_content = Case::default().decide_for(Audience::Anyone, false, true);
    assert_eq!(with_content, Err(Refusal::RequestContent));
}

#[test]
fn looks_up_for_get_and_head_without_content() {
    let (headers, audience) = (HeaderMap::new(), Audience::Anyone);
    for (method, has_content, result) in [
        (Method::GET, false, Ok(())),
        (Method::HEAD, false, Ok(())),
        (Method::GET, true, Err(Refusal::RequestContent)),
        (Method::POST, false, Err(Refusal::Method)),
    ] {
        let asked =
            Asked { method: &method, headers: &headers, has_content, has_credentials: false, audience };
        assert_eq!(may_look_up(&asked), result, "{method}");
    }
}

#[test]
fn forbidden_is_forbidden() {
    // RFC 9111 §3: no-store, private; §5.2.1.5: no-store of a request.
    let refused = |lines: &str| response(200, &format!("{FRESH}\n{lines}"));
    assert_eq!(refused("cache-control: no-store"), Err(Refusal::NoStore));
    assert_eq!(refused("cache-control: private"), Err(Refusal::Private));
    assert_eq!(refused("cache-control: private=\"x-a\""), Ok(()));
    assert_eq!(refused("cache-control: no-cache"), Err(Refusal::NotFresh));
    assert_eq!(refused("cache-control: no-cache\netag: \"a\""), Ok(()));
    assert_eq!(refused("vary: *"), Err(Refusal::Vary));
    assert_eq!(refused("vary: accept, *"), Err(Refusal::Vary));
    assert_eq!(refused("vary: accept"), Ok(()));
    let request = "cache-control: no-store";
    assert_eq!(Case { request, ..Case::default() }.decide(), Err(Refusal::RequestNoStore));
}

#[test]
fn cookies_are_never_stored() {
    let sets = |control: &str| response(200, &format!("cache-control: {control}\nset-cookie: a=b"));
    for control in ["max-age=60", "public, max-age=60", "s-maxage=60"] {
        assert_eq!(sets(control), Err(Refusal::SetCookie), "{control}");
    }
    // These leave the cookie out (RFC 9111 §5.2.2.4, §5.2.2.7).
    for control in ["max-age=60, no-cache=\"set-cookie\"", "max-age=60, private=\"Set-Cookie\""] {
        assert_eq!(sets(control), Ok(()), "{control}");
    }
}

#[test]
fn credentials_are_shared_only_as_rfc_9111_3_5_allows() {
    let request = "authorization: Bearer a";
    let with = |response: &str| Case { request, response, ..Case::default() }.decide();
    assert_eq!(with(FRESH), Err(Refusal::Credentials));
    for control in ["public", "must-revalidate", "s-maxage=60"] {
        assert_eq!(with(&format!("{FRESH}\ncache-control: {control}")), Ok(()), "{control}");
    }
    for control in ["proxy-revalidate", "immutable", "no-transform"] {
        let response = format!("{FRESH}\ncache-control: {control}");
        assert_eq!(with(&response), Err(Refusal::Credentials), "{control}");
    }
    assert_eq!(with("cdn-cache-control: max-age=60\ncache-control: public"), Err(Refusal::Credentials));
    assert_eq!(with("cdn-cache-control: max-age=60, public"), Ok(()));
    // A key or certificate counts like the field.
    assert_eq!(Case::default().decide_for(Audience::Anyone, true, false), Err(Refusal::Credentials));
    let case = Case { request, ..Case::default() };
    assert_eq!(case.decide_for(Audience::Subject, true, false), Ok(()));
    let private = Case { request, response: "cache-control: private, max-age=60", ..Case::default() };
    assert_eq!(private.decide_for(Audience::Subject, true, false), Err(Refusal::Private));
}

#[test]
fn statuses_that_speak_of_one_request_are_not_stored() {
    for status in [100, 101, 103, 206, 304, 428, 429, 431, 511] {
        assert_eq!(response(status, FRESH), Err(Refusal::Status), "{status}");
    }
    let part = format!("{FRESH}\ncontent-range: bytes 0-4/10");
    for (status, request, response) in [
        (412, "if-none-match: \"a\"", FRESH),
        (416, "range: bytes=9-", FRESH),
        (417, "expect: x", FRESH),
        (425, "early-data: 1", FRESH),
        (206, "", &part),
        (206, "range: bytes=0-4", FRESH),
    ] {
        let case = Case { request, status, response, ..Case::default() };
        assert_eq!(case.decide(), Err(Refusal::Status), "{status} {request}");
    }
    for status in [412, 416, 417, 425] {
        assert_eq!(response(status, FRESH), Ok(()), "{status}");
    }
    let case = Case { status: 206, request: "range: bytes=0-4", response: &part, ..Case::default() };
    assert_eq!(case.decide(), Ok(()));
    // RFC 9111 §3: any final status with explicit freshness.
    for status in [200, 201, 226, 302, 307, 400, 403, 404, 410, 451, 499, 500, 503, 599] {
        assert_eq!(response(status, FRESH), Ok(()), "{status}");
    }
}

#[test]
fn must_understand_takes_the_place_of_no_store() {
    // RFC 9111 §5.2.2.3.
    let lines = "cache-control: max-age=60, must-understand, no-store";
    assert_eq!(response(200, lines), Ok(()));
    assert_eq!(response(404, lines), Ok(()));
    for status in [226, 299, 499, 599] {
        assert_eq!(response(status, lines), Err(Refusal::Status), "{status}");
    }
    assert_eq!(response(299, "cache-control: max-age=60"), Ok(()));
}

#[test]
fn something_must_say_how_long_it_holds() {
    let modified = format!("last-modified: {}", http_date(-1000));
    for (status, lines, result) in [
        (200, "", Err(Refusal::NotFresh)),
        (200, "etag: \"a\"", Ok(())),
        (200, &*modified, Ok(())),
        (302, &*modified, Err(Refusal::NotFresh)),
        (302, "etag: \"a\"\ncache-control: public", Ok(())),
        (200, "cache-control: public", Err(Refusal::NotFresh)),
        (200, "cache-control: max-age=0", Err(Refusal::NotFresh)),
        (200, "cache-control: max-age=0\netag: \"a\"", Ok(())),
        (200, "cache-control: max-age=0, stale-while-revalidate=9", Ok(())),
        (404, "", Err(Refusal::NotFresh)),
        (500, "etag: \"a\"", Err(Refusal::NotFresh)),
    ] {
        assert_eq!(response(status, lines), result, "{status} {lines}");
    }
    let rules = Rules { default_lifetimes: vec![(404..=404, 10)], ..Rules::default() };
    assert_eq!(Case { status: 404, response: "", rules, ..Case::default() }.decide(), Ok(()));
}

#[test]
fn keeps_no_field_that_ends_at_this_hop_or_is_withheld() {
    // RFC 9111 §3.1.
    let headers = fields(
        "connection: close, X-Hop\nx-hop: 1\nkeep-alive: 5\ntransfer-encoding: chunked\ntrailer: x\nupgrade: h2c
        proxy-authenticate: Basic\nproxy-authentication-info: a\nage: 5\ncontent-length: 3
        cache-control: max-age=9, private=\"x-private\", no-cache=\"X-Checked\"\nx-private: 1\nx-checked: 1
        content-type: text/plain\nx-a: 1\nx-a: 2\netag: \"a\"\ncdn-cache-control: none=\"",
    );
    let directives = ResponseDirectives::read(&headers);
    let stored = stored_fields(&received(200, &headers), &directives);
    let mut names: Vec<_> = stored.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["cache-control", "cdn-cache-control", "content-type", "date", "etag", "x-a"]);
    assert_eq!(stored.get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(stored[DATE], http_date(0));
}

#[test]
fn a_date_is_kept_unless_it_is_none() {
    let date_of = |lines: &str| {
        let headers = fields(lines);
        let response = Received { received_at: at(5), ..received(200, &headers) };
        stored_fields(&response, &ResponseDirectives::default())[DATE].clone()
    };
    assert_eq!(date_of(&format!("date: {}", http_date(-9))), http_date(-9));
    assert_eq!(date_of("date: yesterday"), http_date(5));
    assert_eq!(date_of(""), http_date(5));
}

#[test]
fn reasons_are_words() {
    for refusal in [Refusal::Method, Refusal::RequestContent, Refusal::NotFresh, Refusal::SetCookie] {
        assert!(refusal.to_string().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
    }
}
