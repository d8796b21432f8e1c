//! What answers to an old key tell its user: `Deprecation` (RFC 9745), `Sunset` (RFC 8594) and a link to read on.
//! RFC 9745 speaks of resources; an old key deprecates the resource as this key reaches it.

use super::check::Standing;

/// A page on how to change keys, as the value of a `Link` header (RFC 8288): `<https://…>; rel="deprecation"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentationLink(String);

/// The URL cannot stand in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a URL such as https://docs.example.com/keys")]
pub struct NotALink;

impl DocumentationLink {
    /// Takes an absolute `https` or `http` URL without characters that RFC 3986 leaves out.
    ///
    /// # Errors
    /// For anything else.
    pub fn new(url: &str) -> Result<Self, NotALink> {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).ok_or(NotALink)?;
        let fits = |byte: u8| byte.is_ascii_graphic() && !b"<>\"\\^`{|}".contains(&byte);
        if rest.is_empty() || rest.starts_with('/') || !rest.bytes().all(fits) {
            return Err(NotALink);
        }
        Ok(Self(format!("<{url}>; rel=\"deprecation\"; type=\"text/html\"")))
    }

    pub fn value(&self) -> &str {
        &self.0
    }
}

/// The header fields for answers to a deprecated key; none for a current one.
pub fn fields(
    standing: Standing,
    link: Option<&DocumentationLink>,
) -> impl Iterator<Item = (&'static str, String)> {
    let (deprecation, sunset) = match standing {
        Standing::Current => (None, None),
        Standing::Deprecated { since, sunset } => (Some(format!("@{}", since.unix())), sunset),
    };
    let link = link.filter(|_| deprecation.is_some()).map(|link| ("link", link.0.clone()));
    deprecation
        .map(|value| ("deprecation", value))
        .into_iter()
        .chain(sunset.map(|sunset| ("sunset", sunset.http_date())))
        .chain(link)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::keys::moment::Moment;

    fn told(standing: Standing, link: Option<&DocumentationLink>) -> Vec<(&'static str, String)> {
        fields(standing, link).collect()
    }

    #[test]
    fn an_old_key_is_told_since_when_until_when_and_where_to_read_on() {
        let since = Moment::from_unix(1_688_169_599); // the example of RFC 9745 §2.1
        let sunset = "2018-12-31T23:59:59Z".parse().ok(); // the example of RFC 8594 §3
        let link = DocumentationLink::new("https://docs.example.com/keys?v=2#rotate").unwrap();
        assert_eq!(
            told(Standing::Deprecated { since, sunset }, Some(&link)),
            [
                ("deprecation", "@1688169599".to_owned()),
                ("sunset", "Mon, 31 Dec 2018 23:59:59 GMT".to_owned()),
                (
                    "link",
                    "<https://docs.example.com/keys?v=2#rotate>; rel=\"deprecation\"; type=\"text/html\""
                        .to_owned()
                ),
            ]
        );
        let alone = Standing::Deprecated { since, sunset: None };
        assert_eq!(told(alone, None), [("deprecation", "@1688169599".to_owned())]);
    }

    #[test]
    fn a_current_key_is_told_nothing() {
        let link = DocumentationLink::new("https://docs.example.com").unwrap();
        assert_eq!(told(Standing::Current, Some(&link)), []);
    }

    #[test]
    fn refuses_links_that_could_break_out_of_the_header() {
        for url in [
            "",
            "docs",
            "ftp://a",
            "https://",
            "https:///a",
            "https://a/>; rel=x",
            "https://a b",
            "https://a\r\nx: y",
            "https://ä",
        ] {
            assert_eq!(DocumentationLink::new(url), Err(NotALink), "{url}");
        }
    }
}
