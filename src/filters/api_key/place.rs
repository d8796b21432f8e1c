//! Where a request carries its key, and how it is taken away from there.

use std::borrow::Cow;
use std::fmt;

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode;
use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::filters::credentials::{cookies, hide_cookie, hide_parameter};
use crate::filters::header_edits::Head;
use crate::http::fields::is_token;
use crate::http::query;
use crate::values::Problem;

/// Places of one filter.
const MOST: usize = 8;
/// The scheme of a challenge where keys do not come by `Authorization`.
const SCHEME: &str = "ApiKey";

/// Where a key is.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(rename = "KeyPlace", rename_all = "snake_case")]
pub enum Place {
    /// The value of the request header of this name, e.g. `x-api-key`.
    Header(String),
    /// What follows this scheme in `Authorization`, e.g. `Bearer` or `ApiKey`.
    Authorization(String),
    /// The value of the cookie of this name. Browsers send cookies by themselves, also where another site has them do so.
    Cookie(String),
    /// The value of the query parameter of this name. Queries end up in logs, histories and `Referer`.
    DangerQuery(String),
}

/// The keys of a [`Place`].
#[derive(serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Header,
    Authorization,
    Cookie,
    DangerQuery,
}

/// By hand, because what the errors of an externally tagged enum say of a map without a key is no help.
impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entry;

        impl<'de> Visitor<'de> for Entry {
            type Value = Place;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("{ header: NAME } or { authorization: SCHEME }")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Place, A::Error> {
                let Some(kind) = map.next_key::<Kind>()? else {
                    return Err(A::Error::custom("expected a place such as { header: x-api-key }"));
                };
                let name = map.next_value()?;
                if map.next_key::<IgnoredAny>()?.is_some() {
                    return Err(A::Error::custom("expected one place; several are a list"));
                }
                Ok(match kind {
                    Kind::Header => Place::Header(name),
                    Kind::Authorization => Place::Authorization(name),
                    Kind::Cookie => Place::Cookie(name),
                    Kind::DangerQuery => Place::DangerQuery(name),
                })
            }
        }

        deserializer.deserialize_map(Entry)
    }
}

/// One place, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum KeyPlaces {
    /// One alone.
    One(Place),
    /// Any of these.
    Any(Vec<Place>),
}

impl Default for KeyPlaces {
    fn default() -> Self {
        Self::One(Place::Header("x-api-key".to_owned()))
    }
}

/// By hand, because the errors of an untagged enum do not say what is wrong.
impl<'de> Deserialize<'de> for KeyPlaces {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Choice;

        impl<'de> Visitor<'de> for Choice {
            type Value = KeyPlaces;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("{ header: NAME }, { authorization: SCHEME } or a list of such places")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<KeyPlaces, A::Error> {
                Place::deserialize(MapAccessDeserializer::new(map)).map(KeyPlaces::One)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<KeyPlaces, A::Error> {
                let mut places = Vec::new();
                while let Some(place) = list.next_element()? {
                    places.push(place);
                }
                Ok(KeyPlaces::Any(places))
            }
        }

        deserializer.deserialize_any(Choice)
    }
}

/// What a request presents.
pub(super) enum Presented<'a> {
    Nothing,
    Key(Cow<'a, [u8]>),
    /// Different ones: which is meant, nobody knows.
    Several,
}

/// Places, ready to be looked at.
pub(super) struct Places(Box<[Known]>);

enum Known {
    Header(HeaderName),
    Authorization(Box<str>),
    Cookie(Box<str>),
    Query(Box<str>),
}

impl Places {
    pub fn compile(from: KeyPlaces) -> Result<Self, Problem> {
        let places = match from {
            KeyPlaces::One(place) => [Known::compile(place, "from")?].into(),
            KeyPlaces::Any(places) if (1..=MOST).contains(&places.len()) => {
                let compile = |(index, place)| Known::compile(place, &format!("from[{index}]"));
                places.into_iter().enumerate().map(compile).collect::<Result<_, _>>()?
            }
            KeyPlaces::Any(places) => {
                let message = format_args!("expected 1 to {MOST} places, found {}", places.len());
                return Err(Problem::new("from", message));
            }
        };
        Ok(Self(places))
    }

    /// The scheme by which a key is asked for.
    pub fn scheme(&self) -> &str {
        match self.0.first() {
            Some(Known::Authorization(scheme)) => scheme,
            _ => SCHEME,
        }
    }

    /// Whether a key may come in this header.
    pub fn uses(&self, name: &HeaderName) -> bool {
        self.0.iter().any(|place| place.header() == Some(name))
    }

    /// The key. All places are looked at: a request with two different ones must not be judged by the one that is good.
    pub fn find<'r>(&self, request: &'r RequestHeader) -> Presented<'r> {
        let mut found = Presented::Nothing;
        for place in &self.0 {
            place.each(request, &mut |text| match &found {
                _ if text.is_empty() => {}
                Presented::Nothing => found = Presented::Key(text),
                Presented::Key(first) if *first == text => {}
                Presented::Key(_) | Presented::Several => found = Presented::Several,
            });
        }
        found
    }

    /// The headers that hold keys, alone or with other things.
    pub fn headers(&self) -> Vec<&HeaderName> {
        self.0.iter().filter_map(Known::header).collect()
    }

    /// The query parameters that hold keys.
    pub fn parameters(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for place in &self.0 {
            if let Known::Query(name) = place {
                names.push(&**name);
            }
        }
        names
    }

    /// Takes keys away: from the query in any case, from elsewhere if they are to be hidden.
    pub fn take(&self, request: &mut RequestHeader, hide: bool) {
        for place in &self.0 {
            match place {
                Known::Query(name) => hide_parameter(request, name),
                _ if !hide => {}
                Known::Header(name) => request.remove(name),
                Known::Authorization(scheme) => {
                    let ours = |value: &HeaderValue| credentials(value.as_bytes(), scheme).is_some();
                    if request.headers.get_all(AUTHORIZATION).iter().any(ours) {
                        request.remove(&AUTHORIZATION);
                    }
                }
                Known::Cookie(name) => hide_cookie(request, name),
            }
        }
    }
}

impl Known {
    fn compile(place: Place, at: &str) -> Result<Self, Problem> {
        let token = |text: String, what: &str, expected: &str| {
            if is_token(text.as_bytes()) {
                return Ok(text.into_boxed_str());
            }
            Err(Problem::new(format!("{at}.{what}"), format_args!("expected {expected}")))
        };
        Ok(match place {
            Place::Header(name) => match HeaderName::from_bytes(name.as_bytes()) {
                Ok(name) if name == AUTHORIZATION || name == COOKIE => {
                    let message = format_args!("{name} has a place of its own: {{ {} }}", own(&name));
                    return Err(Problem::new(format!("{at}.header"), message));
                }
                Ok(name) => Self::Header(name),
                Err(_) => {
                    let expected = "expected a header name such as x-api-key";
                    return Err(Problem::new(format!("{at}.header"), expected));
                }
            },
            Place::Authorization(scheme) => {
                Self::Authorization(token(scheme, "authorization", "a scheme such as Bearer or ApiKey")?)
            }
            Place::Cookie(name) => Self::Cookie(token(name, "cookie", "a cookie name such as api_key")?),
            Place::DangerQuery(name) => {
                Self::Query(token(name, "danger_query", "a parameter's name such as api_key")?)
            }
        })
    }

    fn header(&self) -> Option<&HeaderName> {
        match self {
            Self::Header(name) => Some(name),
            Self::Authorization(_) => Some(&AUTHORIZATION),
            Self::Cookie(_) => Some(&COOKIE),
            Self::Query(_) => None,
        }
    }

    fn each<'r>(&self, request: &'r RequestHeader, see: &mut dyn FnMut(Cow<'r, [u8]>)) {
        let lines = |name: &HeaderName| request.headers.get_all(name).iter().map(HeaderValue::as_bytes);
        match self {
            Self::Header(name) => lines(name).for_each(|value| see(value.into())),
            Self::Authorization(scheme) => lines(&AUTHORIZATION)
                .filter_map(|value| credentials(value, scheme))
                .for_each(|value| see(value.into())),
            Self::Cookie(name) => cookies(request, name).for_each(|value| see(value.into())),
            Self::Query(name) => query::values(request.uri.query().unwrap_or_default(), name)
                .for_each(|value| see(percent_decode(value.as_bytes()).into())),
        }
    }
}

fn own(name: &HeaderName) -> &'static str {
    if *name == COOKIE { "cookie: NAME" } else { "authorization: SCHEME" }
}

/// What follows a scheme (RFC 9110 §11.4), which is of either case.
fn credentials<'v>(value: &'v [u8], scheme: &str) -> Option<&'v [u8]> {
    let (given, rest) = value.split_at_checked(scheme.len())?;
    let rest = rest.strip_prefix(b" ")?;
    given.eq_ignore_ascii_case(scheme.as_bytes()).then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests;
