//! A purge as operators ask for it, in JSON: `{ "url": "https://api.example.com/a" }`, `{ "tag": ["a", "b"], "soft": true }`.

use std::time::SystemTime;

use serde::Deserialize;

use super::{How, Scope, tag};
use crate::http::head::{self, Authority};
use crate::http::path::{Rules, normalise};
use crate::values::OneOrMany;

/// URLs, prefixes and tags of one order together.
const MAX_SCOPES: usize = 65_536;
const LONGEST_URL: usize = 64 * 1024;

/// What is to be purged. At least something.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// URLs with their query as it is keyed, for whomever and under whichever policy something is stored.
    pub url: Option<OneOrMany<String>>,
    /// How URLs begin.
    pub prefix: Option<OneOrMany<String>>,
    /// Tags.
    pub tag: Option<OneOrMany<String>>,
    /// Everything.
    #[serde(default)]
    pub all: bool,
    /// Whether it becomes stale instead of going.
    #[serde(default)]
    pub soft: bool,
}

/// What is wrong with an order.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// It is no JSON, or not of this form.
    #[error("expected an object with `url`, `prefix`, `tag` or `all`, and maybe `soft`: {0}")]
    Malformed(String),
    /// It names nothing.
    #[error("names nothing to purge: expected `url`, `prefix`, `tag` or `all`")]
    Empty,
    /// It names more than is purged at once.
    #[error("names more than {MAX_SCOPES} things to purge")]
    TooMuch,
    /// Something in it is no URL of something stored.
    #[error("expected an absolute URL such as https://api.example.com/orders, found {0:?}")]
    NoUrl(String),
    /// No response has such a tag: it is empty, or there would be several.
    #[error("expected a tag, without spaces and commas, found {0:?}")]
    NoTag(String),
}

impl Order {
    /// # Errors
    /// When it is not of this form.
    pub fn parse(json: &[u8]) -> Result<Self, OrderError> {
        serde_json::from_slice(json).map_err(|error| OrderError::Malformed(error.to_string()))
    }

    /// What it means. `rules` are those by which paths of requests are normalised.
    ///
    /// # Errors
    /// When it means nothing.
    pub fn scopes(&self, rules: Rules, now: SystemTime) -> Result<(Vec<Scope>, How), OrderError> {
        let each = |texts: &Option<OneOrMany<String>>| -> Vec<String> {
            texts.as_ref().map(|texts| texts.as_slice().to_vec()).unwrap_or_default()
        };
        let (urls, prefixes, tags) = (each(&self.url), each(&self.prefix), each(&self.tag));
        if urls.len() + prefixes.len() + tags.len() > MAX_SCOPES {
            return Err(OrderError::TooMuch);
        }
        let normal = |text: String| normal(&text, rules).ok_or(OrderError::NoUrl(text));
        let mut scopes = Vec::new();
        for url in urls {
            scopes.push(Scope::Url(normal(url)?));
        }
        for prefix in prefixes {
            scopes.push(Scope::Prefix(normal(prefix)?));
        }
        for text in tags {
            let one = text.trim();
            if one.is_empty() || one.contains([',', ' ', '\t']) {
                return Err(OrderError::NoTag(text));
            }
            scopes.push(Scope::Tag(tag(one.as_bytes())));
        }
        if self.all {
            scopes.push(Scope::All);
        }
        if scopes.is_empty() {
            return Err(OrderError::Empty);
        }
        Ok((scopes, if self.soft { How::Soft(now) } else { How::Hard }))
    }
}

/// A URL as [`crate::cache::key::Target`] prints it.
fn normal(text: &str, rules: Rules) -> Option<String> {
    let (scheme, rest) = text.trim().split_once("://").filter(|_| text.len() <= LONGEST_URL)?;
    let scheme = scheme.to_ascii_lowercase();
    let default = match scheme.as_str() {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    let (authority, target) = rest.split_at_checked(rest.find(['/', '?']).unwrap_or(rest.len()))?;
    let Authority { host, port } = head::authority(authority.as_bytes())?;
    let host = std::str::from_utf8(host).ok()?.to_ascii_lowercase();
    let host = host.trim_end_matches('.');
    let port = port.filter(|port| *port != default).map(|port| format!(":{port}")).unwrap_or_default();
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    let normal = normalise(target.as_bytes(), &rules).ok()?;
    Some(format!("{scheme}://{host}{port}{}", normal.to_target()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(json: &str) -> Result<(Vec<Scope>, How), OrderError> {
        Order::parse(json.as_bytes())?.scopes(Rules::default(), SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn urls_are_written_as_they_are_keyed() {
        for (given, keyed) in [
            ("https://API.example.com:443/a/../b?c=d", "https://api.example.com/b?c=d"),
            ("http://a.example:8080", "http://a.example:8080/"),
            ("HTTP://a.example.:8080/", "http://a.example:8080/"),
            ("https://[::1]:443/", "https://[::1]/"),
            ("http://a.example:80?b", "http://a.example/?b"),
        ] {
            let (found, how) = scopes(&format!("{{ \"url\": \"{given}\" }}")).unwrap();
            assert_eq!((found, how), (vec![Scope::Url(keyed.into())], How::Hard));
        }
        for given in
            ["/a", "ftp://a/b", "https://", "a", "https:///a", "https://b@a/", "https://a:b/", "https://a b/"]
        {
            let refused = scopes(&format!("{{ \"prefix\": \"{given}\" }}"));
            assert_eq!(refused, Err(OrderError::NoUrl(given.into())), "{given}");
        }
    }

    #[test]
    fn a_prefix_without_a_path_ends_with_the_host() {
        let (found, _) = scopes("{ \"prefix\": \"https://a.example\" }").unwrap();
        assert_eq!(found, [Scope::Prefix("https://a.example/".into())]);
    }

    #[test]
    fn several_things_are_purged_at_once() {
        let (found, how) = scopes("{ \"tag\": [\"a\", \" b\"], \"all\": true, \"soft\": true }").unwrap();
        assert_eq!(found, [Scope::Tag(tag(b"a")), Scope::Tag(tag(b"b")), Scope::All]);
        assert_eq!(how, How::Soft(SystemTime::UNIX_EPOCH));
    }

    #[test]
    fn refuses_what_means_nothing() {
        for nothing in ["{}", "{ \"soft\": true }", "{ \"tag\": [] }", "{ \"all\": false }"] {
            assert_eq!(scopes(nothing), Err(OrderError::Empty), "{nothing}");
        }
        for malformed in ["", "[]", "{ \"tags\": [\"a\"] }", "{ \"all\": 1 }", "{ \"tag\": 7 }"] {
            assert!(matches!(scopes(malformed), Err(OrderError::Malformed(_))), "{malformed}");
        }
        for nothing in ["", " ", "a b", "a,b", "a\tb"] {
            let order = serde_json::json!({ "tag": ["a", nothing] }).to_string();
            assert_eq!(scopes(&order), Err(OrderError::NoTag(nothing.into())));
        }
        let many = serde_json::json!({ "tag": vec!["a"; MAX_SCOPES + 1] }).to_string();
        assert_eq!(scopes(&many), Err(OrderError::TooMuch));
    }
}
