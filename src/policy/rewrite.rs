//! Text with holes, for redirects and rewritten paths: `https://{host}{path}`, `/v2/orders/{id}`.

use percent_encoding::{AsciiSet, utf8_percent_encode};

use super::pattern::Pattern;

/// A text whose holes are filled from the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Host,
    Path,
    Query,
    Capture(Box<str>),
}

/// What the holes are filled with.
pub struct Filled<'a> {
    /// The client's host, without port.
    pub host: &'a str,
    /// The normalised path.
    pub path: &'a str,
    /// The query without `?`, or empty.
    pub query: &'a str,
    /// The path patterns of the route, of which one matched.
    pub patterns: &'a [Pattern],
}

impl Template {
    /// Takes a text apart. `captures` are the names every path of the route defines.
    pub fn parse(text: &str, captures: &[&str]) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        if let Some(odd) = text.chars().find(|c| c.is_control() || *c == ' ') {
            return Err(format!("{odd:?} cannot stand in an address"));
        }
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else {
                return Err("a `{` without its `}`".into());
            };
            if !before.is_empty() {
                pieces.push(Piece::Text(before.into()));
            }
            pieces.push(match name {
                "host" => Piece::Host,
                "path" => Piece::Path,
                "query" => Piece::Query,
                name if captures.contains(&name) => Piece::Capture(name.into()),
                name => return Err(unknown(name, captures)),
            });
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.into()));
        }
        Ok(Self(pieces))
    }

    /// Whether it needs to know the client's host.
    #[must_use]
    pub fn names_host(&self) -> bool {
        self.0.contains(&Piece::Host)
    }

    /// The text with its holes filled. `{query}` brings its `?`, if there is a query.
    #[must_use]
    pub fn fill(&self, with: &Filled<'_>) -> String {
        let mut out = String::with_capacity(64);
        let mut in_query = false;
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => {
                    out.push_str(text);
                    in_query |= text.contains('?');
                }
                Piece::Host => out.push_str(with.host),
                Piece::Path => push_path(&mut out, with.path, in_query),
                Piece::Query if with.query.is_empty() => {}
                Piece::Query => {
                    out.push('?');
                    out.push_str(with.query);
                }
                Piece::Capture(name) => push_path(&mut out, with.capture(name), in_query),
            }
        }
        out
    }
}

/// What means nothing in a path and separates parameters in a query, or stands for a space there.
const ONLY_IN_PATHS: &AsciiSet = &percent_encoding::CONTROLS.add(b'&').add(b';').add(b'+');

/// A piece of a path. In a query it stays one value: `/orders/1&admin=1` must not add a parameter.
fn push_path(out: &mut String, text: &str, in_query: bool) {
    if in_query {
        out.extend(utf8_percent_encode(text, ONLY_IN_PATHS));
    } else {
        out.push_str(text);
    }
}

impl<'a> Filled<'a> {
    /// What stands in the path where the matching pattern has `{name}`.
    #[must_use]
    pub fn capture(&self, name: &str) -> &'a str {
        let pattern = self.patterns.iter().find(|pattern| pattern.matches(self.path));
        pattern.and_then(|pattern| self.path.get(pattern.capture(self.path, name)?)).unwrap_or_default()
    }
}

fn unknown(name: &str, captures: &[&str]) -> String {
    let mut known = vec!["host", "path", "query"];
    known.extend(captures);
    format!("unknown `{{{name}}}`; here are known: {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_in_what_the_request_has() {
        let patterns = [Pattern::parse("/shop/{id}/x").unwrap(), Pattern::parse("/orders/{id}").unwrap()];
        let with = Filled { host: "a.example", path: "/orders/7", query: "q=1", patterns: &patterns };
        let template = Template::parse("https://{host}/v2{path}/{id}{query}", &["id"]).unwrap();
        assert_eq!(template.fill(&with), "https://a.example/v2/orders/7/7?q=1");
        assert_eq!(template.fill(&Filled { query: "", ..with }), "https://a.example/v2/orders/7/7");
    }

    #[test]
    fn what_stands_in_a_path_adds_no_parameter_to_a_query() {
        let patterns = [Pattern::parse("/orders/{id}").unwrap()];
        let with = Filled { host: "a", path: "/orders/1&x=2+3;y%26", query: "", patterns: &patterns };
        let filled = |text: &str| Template::parse(text, &["id"]).unwrap().fill(&with);
        assert_eq!(filled("/v2?id={id}&z=1"), "/v2?id=1%26x=2%2B3%3By%26&z=1");
        assert_eq!(filled("https://id/?to={path}"), "https://id/?to=/orders/1%26x=2%2B3%3By%26");
        assert_eq!(filled("/v2/{id}?z=1"), "/v2/1&x=2+3;y%26?z=1");
    }

    #[test]
    fn refuses_what_it_cannot_fill() {
        for text in ["/{id", "/{nobody}", "/a b", "/a\r\nx"] {
            assert!(Template::parse(text, &["id"]).is_err(), "{text}");
        }
    }
}
