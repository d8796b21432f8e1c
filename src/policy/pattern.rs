//! Path patterns: `/exact`, `/below/**`, `/users/{id}/orders`.

use std::ops::Range;
use std::sync::Arc;

use percent_encoding::{AsciiSet, utf8_percent_encode};

use crate::http::path::{Rules, normalise};

/// Most segments of a pattern. It bounds the depth of the tree and thus of the search in it.
pub const MAX_SEGMENTS: usize = 64;

/// One step of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Exactly this text.
    Literal(Box<str>),
    /// `{name}`: one segment that is not empty.
    Capture(Arc<str>),
}

/// A pattern, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// Its segments, without a final `**`.
    pub segments: Vec<Segment>,
    /// Whether it ends in `/**`: what it names itself, and everything below.
    pub open: bool,
}

impl Pattern {
    /// Takes a pattern apart, or says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some(path) = text.strip_prefix('/') else {
            return Err(format!("a path must begin with `/`, found \"{text}\""));
        };
        let (path, open) = match path.strip_suffix("**") {
            Some("") => ("", true),
            Some(rest) if rest.ends_with('/') => (rest.trim_end_matches('/'), true),
            Some(_) => return Err("`**` must be a segment of its own, as in `/orders/**`".into()),
            None => (path, false),
        };
        let mut segments = Vec::new();
        if !(path.is_empty() && open) {
            for segment in path.split('/') {
                segments.push(Self::segment(segment)?);
            }
        }
        if segments.len() > MAX_SEGMENTS {
            return Err(format!("a path may have at most {MAX_SEGMENTS} segments"));
        }
        let pattern = Self { segments, open };
        let names: Vec<_> = pattern.captures().collect();
        match names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
            Some((_, name)) => Err(format!("`{{{name}}}` is there twice")),
            None => Ok(pattern),
        }
    }

    /// Itself, if paths can be as it says once they are normalised; else no request would ever come to its route, and
    /// perhaps to one with fewer filters.
    ///
    /// # Errors
    /// When no path can, with how to write it if there is a way.
    pub fn normal(self, rules: Rules) -> Result<Self, String> {
        let mut written = String::new();
        for segment in &self.segments {
            written.push('/');
            written.push_str(match segment {
                Segment::Literal(text) => text,
                Segment::Capture(name) => name,
            });
        }
        if self.open {
            written.push_str("/below");
        }
        // Normal paths are ASCII: other characters come percent-encoded.
        let asked = utf8_percent_encode(&written, &AsciiSet::EMPTY).to_string();
        match normalise(asked.as_bytes(), &rules) {
            Ok(path) if path.path() == written => Ok(self),
            Ok(path) => Err(format!("no request has such a path: what asks for it has `{}`", path.path())),
            Err(error) => Err(format!("no request has such a path: what asks for it is refused ({error})")),
        }
    }

    fn segment(text: &str) -> Result<Segment, String> {
        if let Some(name) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
            let word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if name.is_empty() || !word {
                return Err(format!("`{{{name}}}` must be a name of letters, digits and `_`"));
            }
            return Ok(Segment::Capture(name.into()));
        }
        if let Some(odd) = text.chars().find(|&c| matches!(c, '{' | '}' | '*' | '?' | '#') || c <= ' ') {
            let hint = match odd {
                '*' => ": `{name}` is any one segment, `/**` at the end everything below",
                '?' => ": parameters have a condition of their own, `query`",
                _ => "",
            };
            return Err(format!("`{odd}` cannot stand in the segment \"{text}\"{hint}"));
        }
        Ok(Segment::Literal(text.into()))
    }

    /// The names of its captures, in order.
    pub fn captures(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Capture(name) => Some(&**name),
            Segment::Literal(_) => None,
        })
    }

    /// Whether it matches a normalised path.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let mut rest = path.strip_prefix('/');
        for segment in &self.segments {
            let Some(text) = rest else { return false };
            let (here, after) =
                text.split_once('/').map_or((text, None), |(here, after)| (here, Some(after)));
            let fits = match segment {
                Segment::Literal(literal) => **literal == *here,
                Segment::Capture(_) => !here.is_empty(),
            };
            if !fits {
                return false;
            }
            rest = after;
        }
        self.open || rest.is_none()
    }

    /// The captures with what stands for them in `path`, percent-decoded. The path must be one that the pattern matches.
    pub fn captured(&self, path: &str) -> Vec<(Arc<str>, Box<str>)> {
        let texts = path.strip_prefix('/').unwrap_or(path).split('/');
        let captures = self.segments.iter().zip(texts).filter_map(|(segment, text)| match segment {
            Segment::Capture(name) => Some((name.clone(), decoded(text))),
            Segment::Literal(_) => None,
        });
        captures.collect()
    }

    /// Where in `path` the capture `name` lies. The path must be one that the pattern matches.
    pub fn capture(&self, path: &str, name: &str) -> Option<Range<usize>> {
        let mut start = 1;
        for segment in &self.segments {
            let rest = path.get(start..)?;
            let end = start + rest.find('/').unwrap_or(rest.len());
            if matches!(segment, Segment::Capture(capture) if **capture == *name) {
                return Some(start..end);
            }
            start = end + 1;
        }
        None
    }
}

fn decoded(text: &str) -> Box<str> {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_template_apart() {
        let pattern = Pattern::parse("/users/{id}/**").unwrap();
        assert_eq!(pattern.segments, [Segment::Literal("users".into()), Segment::Capture("id".into())]);
        assert!(pattern.open);
    }

    #[test]
    fn a_final_slash_is_an_empty_segment() {
        assert_eq!(Pattern::parse("/a/").unwrap().segments.len(), 2);
        assert_eq!(Pattern::parse("/a").unwrap().segments.len(), 1);
        assert_eq!(Pattern::parse("/").unwrap().segments, [Segment::Literal("".into())]);
        assert!(Pattern::parse("/**").unwrap().segments.is_empty());
    }

    #[test]
    fn refuses_what_it_would_misread() {
        for text in ["orders", "/a**", "/a/*/b", "/{}", "/{a-b}", "/{a", "/a?b", "/{a}/{a}", "/a b"] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn matches_what_it_names_and_nothing_else() {
        let open = Pattern::parse("/users/{id}/**").unwrap();
        let closed = Pattern::parse("/users/{id}").unwrap();
        assert!(open.matches("/users/7") && open.matches("/users/7/") && open.matches("/users/7/a/b"));
        assert!(closed.matches("/users/7") && !closed.matches("/users/7/") && !closed.matches("/users/"));
        assert!(!open.matches("/users") && !open.matches("/user/7"));
    }

    #[test]
    fn finds_its_captures() {
        let pattern = Pattern::parse("/users/{id}/orders/{order}").unwrap();
        let path = "/users/7/orders/abc";
        assert_eq!(&path[pattern.capture(path, "id").unwrap()], "7");
        assert_eq!(&path[pattern.capture(path, "order").unwrap()], "abc");
        assert_eq!(pattern.capture(path, "other"), None);
    }
}
