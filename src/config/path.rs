//! Where in a document a value is: `routes[0].filters[1].rate_limit`.

use std::fmt;

/// The keys and indices that lead from the top of a document to one value.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<Segment>);

/// One step of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// Into a map.
    Key(String),
    /// Into a list, counted from 0.
    Index(usize),
}

impl Path {
    /// The whole document.
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// The value at `key` of the map here.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.step(Segment::Key(key.to_owned()))
    }

    /// The value at `index` of the list here.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.step(Segment::Index(index))
    }

    /// The path that first goes here, then along `rest`.
    #[must_use]
    pub fn join(&self, rest: &Self) -> Self {
        Self(self.0.iter().chain(&rest.0).cloned().collect())
    }

    /// Where the map or list is that holds this value; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        self.0.split_last().map(|(_, parent)| Self(parent.to_vec()))
    }

    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Whether this is `ancestor` or somewhere inside of it.
    pub fn starts_with(&self, ancestor: &Self) -> bool {
        self.0.starts_with(&ancestor.0)
    }

    /// Reads the notation that `Display` writes. Every text is some path: what does not fit the notation is
    /// part of a key, because this reads what our own code writes, and a message at a place that does not
    /// exist is still a message.
    pub fn parse(text: &str) -> Self {
        let mut segments = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (segment, next) = split_bracket(rest).unwrap_or_else(|| split_key(rest));
            segments.push(segment);
            rest = next.strip_prefix('.').unwrap_or(next);
        }
        Self(segments)
    }

    fn step(&self, segment: Segment) -> Self {
        Self(self.0.iter().cloned().chain([segment]).collect())
    }
}

impl From<Vec<Segment>> for Path {
    fn from(segments: Vec<Segment>) -> Self {
        Self(segments)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(formatter, "[{index}]")?,
                Segment::Key(key) if !is_plain(key) => write!(formatter, "[{key:?}]")?,
                Segment::Key(key) if position == 0 => formatter.write_str(key)?,
                Segment::Key(key) => write!(formatter, ".{key}")?,
            }
        }
        Ok(())
    }
}

/// Whether a key can stand between dots without quotes.
fn is_plain(key: &str) -> bool {
    !key.is_empty()
        && key.chars().all(|character| character.is_alphanumeric() || matches!(character, '_' | '-'))
}

/// Splits off `[3]` or `["a.b"]`.
fn split_bracket(text: &str) -> Option<(Segment, &str)> {
    let inside = text.strip_prefix('[')?;
    if let Some(quoted) = inside.strip_prefix('"') {
        let (key, rest) = unquote(quoted)?;
        return Some((Segment::Key(key), rest.strip_prefix(']')?));
    }
    let (index, rest) = inside.split_once(']')?;
    Some((Segment::Index(index.parse().ok()?), rest))
}

/// Reads up to the closing quote. A backslash takes the next character as it is.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut key = String::new();
    let mut characters = text.chars();
    loop {
        match characters.next()? {
            '"' => return Some((key, characters.as_str())),
            '\\' => key.push(characters.next()?),
            character => key.push(character),
        }
    }
}

/// Splits off the key before the next dot or bracket. Takes at least one character, so that a loop over it
/// ends.
fn split_key(text: &str) -> (Segment, &str) {
    let end = text
        .char_indices()
        .skip(1)
        .find(|(_, character)| matches!(character, '.' | '['))
        .map_or(text.len(), |(position, _)| position);
    let (key, rest) = text.split_at(end);
    (Segment::Key(key.to_owned()), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_keys_with_dots_and_indices_in_brackets() {
        let path = Path::root().key("routes").index(0).key("filters").index(1).key("rate_limit");
        assert_eq!(path.to_string(), "routes[0].filters[1].rate_limit");
        assert_eq!(Path::root().to_string(), "");
        assert_eq!(Path::root().index(2).key("a").to_string(), "[2].a");
    }

    #[test]
    fn quotes_keys_that_would_read_as_something_else() {
        let path = Path::root().key("hosts").key("api.example.com").key("").key("a\"b");
        assert_eq!(path.to_string(), r#"hosts["api.example.com"][""]["a\"b"]"#);
    }

    #[test]
    fn reads_what_it_prints() {
        for path in [
            Path::root(),
            Path::root().key("a").index(0).key("b"),
            Path::root().index(7).index(0),
            Path::root().key("api.example.com").key("a]\"\\b").key("c"),
        ] {
            assert_eq!(Path::parse(&path.to_string()), path);
        }
    }

    #[test]
    fn reads_any_text_as_some_path() {
        for text in ["[", "[x]", "[\"", "..", "a[1", "]", ".a", "[1]]", "é[", "[99999999999999999999]"] {
            assert!(!Path::parse(text).segments().is_empty(), "{text}");
        }
    }

    #[test]
    fn knows_its_ancestors() {
        let path = Path::parse("a[1].b");
        assert!(
            path.starts_with(&Path::parse("a[1]"))
                && path.starts_with(&path)
                && path.starts_with(&Path::root())
        );
        assert!(!path.starts_with(&Path::parse("a[2]")) && !path.starts_with(&path.key("c")));
        assert_eq!(path.parent(), Some(Path::parse("a[1]")));
        assert_eq!(Path::root().parent(), None);
        assert_eq!(Path::parse("a").join(&Path::parse("[1].b")), path);
    }
}
