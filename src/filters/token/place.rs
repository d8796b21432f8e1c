//! Where a token is in a request, and taking it from there.

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderName, HeaderValue};
use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::Deserialize;

use super::dpop::PROOF;
use crate::auth::jose::possession::Scheme;
use crate::filters::TokenText;
use crate::filters::credentials::{cookies, hide_cookie, hide_parameter};
use crate::filters::header_edits::{Head, editable};
use crate::http::query;
use crate::values::Problem;

/// Where the token is, as a policy says it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum From {
    /// In a request header.
    Header(String),
    /// In a cookie.
    Cookie(String),
    /// In a parameter of the query.
    DangerQuery(String),
}

/// Where the token is.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::filters) enum Place {
    /// `Authorization`, behind `Bearer` or `DPoP`.
    Authorization,
    /// A header that holds nothing else.
    Header(HeaderName),
    Cookie(Box<str>),
    Query(Box<str>),
}

/// What is there.
pub(in crate::filters) enum Found {
    /// Nothing, or credentials of another kind.
    Nothing,
    /// More than one token, so that nobody can tell which counts (RFC 6750 section 3.1).
    Repeated,
    /// A token.
    One(Presented),
}

/// A token as it came, and the proof beside it.
pub(in crate::filters) struct Presented {
    /// Holds the token from `start` on.
    value: HeaderValue,
    start: usize,
    /// How it came.
    pub scheme: Scheme,
    /// What came as `DPoP`; looked at with [`Scheme::Dpop`] alone.
    pub proof: Option<HeaderValue>,
    /// Whether there was more than one such field.
    pub proof_repeated: bool,
}

impl Presented {
    /// The token's text.
    pub fn token(&self) -> &[u8] {
        self.value.as_bytes().get(self.start..).unwrap_or_default()
    }

    /// The same, to be kept.
    pub fn text(&self) -> TokenText {
        TokenText::new(self.value.clone(), self.start)
    }

    fn bearer(value: HeaderValue, start: usize) -> Self {
        Self { value, start, scheme: Scheme::Bearer, proof: None, proof_repeated: false }
    }
}

impl Place {
    pub(in crate::filters) fn compile(from: Option<&From>) -> Result<Self, Problem> {
        match from {
            None => Ok(Self::Authorization),
            Some(From::Header(name)) => {
                match editable(name).map_err(|text| Problem::new("from.header", text))? {
                    AUTHORIZATION => Ok(Self::Authorization),
                    COOKIE => Err(Problem::new("from.header", "write `{ cookie: NAME }`")),
                    header => Ok(Self::Header(header)),
                }
            }
            Some(From::Cookie(name)) => named(name, "cookie", "session").map(Self::Cookie),
            Some(From::DangerQuery(name)) => named(name, "danger_query", "access_token").map(Self::Query),
        }
    }

    /// The query parameter that holds it.
    pub(in crate::filters) fn parameter(&self) -> Option<&str> {
        match self {
            Self::Query(name) => Some(name),
            _ => None,
        }
    }

    /// The header that holds it, alone or with other things.
    pub(in crate::filters) fn header(&self) -> Option<&HeaderName> {
        match self {
            Self::Authorization => Some(&AUTHORIZATION),
            Self::Header(name) => Some(name),
            Self::Cookie(_) => Some(&COOKIE),
            Self::Query(_) => None,
        }
    }

    /// What is there.
    pub(in crate::filters) fn find(&self, request: &RequestHeader) -> Found {
        match self {
            Self::Authorization => match only(request, &AUTHORIZATION) {
                Ok(Some(value)) => credentials(request, value),
                Ok(None) => Found::Nothing,
                Err(Repeated) => Found::Repeated,
            },
            Self::Header(name) => match only(request, name) {
                Ok(Some(value)) => Found::One(Presented::bearer(value.clone(), 0)),
                Ok(None) => Found::Nothing,
                Err(Repeated) => Found::Repeated,
            },
            Self::Cookie(name) => text(cookies(request, name)),
            Self::Query(name) => {
                text(query::values(request.uri.query().unwrap_or_default(), name).map(str::as_bytes))
            }
        }
    }

    /// Takes it out of the request: from the query in any case, from elsewhere if it is to be hidden.
    pub(in crate::filters) fn hide(&self, request: &mut RequestHeader, hide: bool) {
        match self {
            Self::Query(name) => hide_parameter(request, name),
            _ if !hide => {}
            Self::Authorization => {
                request.remove(&AUTHORIZATION);
                request.remove(&PROOF);
            }
            Self::Header(name) => request.remove(name),
            Self::Cookie(name) => hide_cookie(request, name),
        }
    }
}

fn named(name: &str, key: &str, example: &str) -> Result<Box<str>, Problem> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&'*.^_`|~-".contains(&byte);
    if !name.is_empty() && name.bytes().all(is_token) {
        return Ok(name.into());
    }
    Err(Problem::new(format!("from.{key}"), format_args!("expected a name such as {example}")))
}

/// There is more than one.
struct Repeated;

fn only<'a>(request: &'a RequestHeader, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Repeated> {
    let mut values = request.headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (first, None) => Ok(first),
        _ => Err(Repeated),
    }
}

/// The token after `Bearer` or `DPoP`, in whatever case (RFC 9110 section 11.1); nothing after other schemes.
fn credentials(request: &RequestHeader, value: &HeaderValue) -> Found {
    let bytes = value.as_bytes();
    let end = bytes.iter().position(|byte| *byte == b' ').unwrap_or(bytes.len());
    let (scheme, rest) = bytes.split_at_checked(end).unwrap_or_default();
    let start = end + rest.iter().take_while(|byte| **byte == b' ').count();
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Found::One(Presented::bearer(value.clone(), start));
    }
    if !scheme.eq_ignore_ascii_case(b"dpop") {
        return Found::Nothing;
    }
    let proof = only(request, &PROOF);
    Found::One(Presented {
        value: value.clone(),
        start,
        scheme: Scheme::Dpop,
        proof_repeated: proof.is_err(),
        proof: proof.ok().flatten().cloned(),
    })
}

fn text<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Found {
    match (values.next(), values.next()) {
        (None, _) => Found::Nothing,
        (Some(_), Some(_)) => Found::Repeated,
        (Some(value), None) => match HeaderValue::from_bytes(value) {
            Ok(value) => Found::One(Presented::bearer(value, 0)),
            Err(_) => Found::Nothing,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filters::exchange::Sample;

    fn place(from: From) -> Place {
        Place::compile(Some(&from)).unwrap()
    }

    fn found(place: &Place, sample: &Sample) -> Result<Option<(String, Scheme)>, ()> {
        match place.find(&sample.request) {
            Found::Nothing => Ok(None),
            Found::Repeated => Err(()),
            Found::One(one) => Ok(Some((String::from_utf8(one.token().to_vec()).unwrap(), one.scheme))),
        }
    }

    #[test]
    fn reads_two_schemes_of_authorization_in_any_case() {
        let of = |value: &str| found(&Place::Authorization, &Sample::get("/", &[("authorization", value)]));
        let one = |token: &str, scheme| Ok(Some((token.to_owned(), scheme)));
        assert_eq!(of("Bearer a.b.c"), one("a.b.c", Scheme::Bearer));
        assert_eq!(of("bEARER   a.b.c"), one("a.b.c", Scheme::Bearer));
        assert_eq!(of("dpop a.b.c"), one("a.b.c", Scheme::Dpop));
        assert_eq!(of("Bearer"), one("", Scheme::Bearer));
        assert_eq!(of("Bearer\ta"), Ok(None));
        assert_eq!(of("Basic a.b.c"), Ok(None));
        assert_eq!(of("a.b.c"), Ok(None));
        assert_eq!(of(""), Ok(None));
        let twice = Sample::get("/", &[("authorization", "Bearer a"), ("authorization", "Basic b")]);
        assert_eq!(found(&Place::Authorization, &twice), Err(()));
        assert_eq!(found(&Place::Authorization, &Sample::get("/?access_token=a", &[])), Ok(None));
    }

    #[test]
    fn a_proof_is_looked_for_beside_a_token_that_needs_one() {
        let proofs = |headers: &[(&'static str, &str)]| match Place::Authorization
            .find(&Sample::get("/", headers).request)
        {
            Found::One(one) => (one.proof.is_some(), one.proof_repeated),
            _ => panic!("no token"),
        };
        assert_eq!(proofs(&[("authorization", "DPoP a"), ("dpop", "p")]), (true, false));
        assert_eq!(proofs(&[("authorization", "DPoP a")]), (false, false));
        assert_eq!(proofs(&[("authorization", "DPoP a"), ("dpop", "p"), ("dpop", "p")]), (false, true));
        assert_eq!(proofs(&[("authorization", "Bearer a"), ("dpop", "p"), ("dpop", "p")]), (false, false));
    }

    #[test]
    fn another_header_holds_nothing_but_the_token() {
        let place = place(From::Header("X-Token".to_owned()));
        let one = |headers: &[(&'static str, &str)]| found(&place, &Sample::get("/", headers));
        assert_eq!(one(&[("x-token", "a.b.c")]), Ok(Some(("a.b.c".to_owned(), Scheme::Bearer))));
        assert_eq!(one(&[("x-token", "a"), ("x-token", "b")]), Err(()));
        assert_eq!(one(&[("authorization", "Bearer a")]), Ok(None));
    }

    #[test]
    fn a_cookie_counts_once_and_is_taken_out_alone() {
        let place = place(From::Cookie("sid".to_owned()));
        let mut sample = Sample::get("/", &[("cookie", "a=1; sid=x.y; b=2"), ("cookie", "sid2=3")]);
        assert_eq!(found(&place, &sample), Ok(Some(("x.y".to_owned(), Scheme::Bearer))));
        place.hide(&mut sample.request, false);
        assert!(found(&place, &sample).unwrap().is_some());
        place.hide(&mut sample.request, true);
        let left: Vec<_> = sample.request.headers.get_all("cookie").iter().collect();
        assert_eq!(left, ["a=1; b=2", "sid2=3"]);
        let mut alone = Sample::get("/", &[("cookie", "sid=x")]);
        place.hide(&mut alone.request, true);
        assert!(!alone.request.headers.contains_key("cookie"));
        assert_eq!(found(&place, &Sample::get("/", &[("cookie", "sid=x; sid=y")])), Err(()));
        assert_eq!(found(&place, &Sample::get("/", &[("cookie", "sid=x"), ("cookie", "sid=y")])), Err(()));
    }

    #[test]
    fn a_parameter_is_taken_out_of_the_query_in_any_case() {
        let place = place(From::DangerQuery("access_token".to_owned()));
        let mut sample = Sample::get("/orders?a=1&access_token=x.y&b=%zz", &[]);
        assert_eq!(found(&place, &sample), Ok(Some(("x.y".to_owned(), Scheme::Bearer))));
        place.hide(&mut sample.request, false);
        assert_eq!(sample.request.uri, "/orders?a=1&b=%zz");
        assert_eq!(sample.request.raw_path(), b"/orders?a=1&b=%zz");
        let mut alone = Sample::get("/orders?access_token=x", &[]);
        place.hide(&mut alone.request, true);
        assert_eq!(alone.request.uri, "/orders");
        assert_eq!(found(&place, &Sample::get("/?access_token=x&access%5Ftoken=y", &[])), Err(()));
        assert_eq!(place.parameter(), Some("access_token"));
    }

    #[test]
    fn refuses_places_that_are_none() {
        let wrong = |from| Place::compile(Some(&from)).unwrap_err().to_string();
        assert_eq!(wrong(From::Header("cookie".to_owned())), "from.header: write `{ cookie: NAME }`");
        assert!(wrong(From::Header("content-length".to_owned())).starts_with("from.header: "));
        assert_eq!(wrong(From::Cookie("a b".to_owned())), "from.cookie: expected a name such as session");
        assert_eq!(
            wrong(From::DangerQuery(String::new())),
            "from.danger_query: expected a name such as access_token"
        );
        assert_eq!(place(From::Header("Authorization".to_owned())), Place::Authorization);
    }
}
