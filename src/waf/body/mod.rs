//! What a request says, as names and values: forms, multipart, JSON, XML, cookies, and what they are compressed with.
//!
//! A parser takes all bytes of its input and hands every name and value to a [`Sink`], in the order of the input,
//! named as ModSecurity names them (version 3; where it differs from version 2, the module says so). A value is a
//! range of the input, or of the caller's [`Arena`] where it had to be decoded, so a parser that has warmed up
//! allocates nothing. Time is linear in the input and the arena; both are bounded, and so is whatever else grows
//! ([`Limits`]).
//!
//! What comes before a [`Fault`] has been handed over and stays worth inspecting.

pub mod content_type;
pub mod cookie;
pub mod graphql;
pub mod json;
pub mod multipart;
mod output;
#[cfg(test)]
mod testing;
pub mod urlencoded;
pub mod wide;
pub mod xml;

use thiserror::Error;

/// What an item is. In brackets: the collections of ModSecurity that it makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A field of a query, a form or a JSON document (`ARGS`, `ARGS_NAMES`, …).
    Argument,
    /// A cookie (`REQUEST_COOKIES`, `REQUEST_COOKIES_NAMES`).
    Cookie,
    /// A part of a multipart body that is a file: the field's name (`FILES_NAMES`) and the file's (`FILES`).
    File,
    /// The field's name and the length of its file in bytes, as decimal digits (`FILES_SIZES`).
    FileSize,
    /// The file's name and its bytes (`FILES_TMP_CONTENT`).
    FileContent,
    /// The field's name and one header line of its part, `Name: value`, without the line's end
    /// (`MULTIPART_PART_HEADERS`).
    PartHeader,
    /// A `name` parameter of a `Content-Disposition`, as name and value (`MULTIPART_NAME`).
    PartName,
    /// A `filename` or `filename*` parameter of a `Content-Disposition`, as name and value (`MULTIPART_FILENAME`).
    PartFilename,
    /// All text of an XML document, concatenated, no name (`XML:/*`).
    XmlText,
    /// An attribute of an XML element, by its name (`XML://@*`).
    XmlAttribute,
}

/// Bytes of an item: a range of the input that was parsed, or of the arena it was decoded into. Start and end in
/// bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// As the request has it.
    Input(u32, u32),
    /// Decoded.
    Arena(u32, u32),
}

impl Text {
    /// No bytes.
    pub const EMPTY: Self = Self::Input(0, 0);

    /// How many bytes.
    pub const fn len(self) -> usize {
        match self {
            Self::Input(start, end) | Self::Arena(start, end) => end.saturating_sub(start) as usize,
        }
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The bytes from `from` up to `to` of these.
    fn part(self, from: usize, to: usize) -> Self {
        let (from, to) = (u32::try_from(from).unwrap_or(u32::MAX), u32::try_from(to).unwrap_or(u32::MAX));
        let cut =
            |start: u32, end: u32| (start.saturating_add(from).min(end), start.saturating_add(to).min(end));
        match self {
            Self::Input(start, end) => {
                let (start, end) = cut(start, end);
                Self::Input(start, end)
            }
            Self::Arena(start, end) => {
                let (start, end) = cut(start, end);
                Self::Arena(start, end)
            }
        }
    }
}

/// One name with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub kind: Kind,
    /// Decoded.
    pub name: Text,
    /// Decoded.
    pub value: Text,
}

/// Whoever takes what a parser finds.
pub trait Sink {
    /// Takes one item. It is within the [`Limits`].
    fn item(&mut self, item: Item);
}

impl<F: FnMut(Item)> Sink for F {
    fn item(&mut self, item: Item) {
        self(item);
    }
}

/// How much a parser does before it stops with [`Fault::Limit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Items of one input.
    pub items: usize,
    /// Bytes of one name.
    pub name_bytes: usize,
    /// Bytes of one value, [`Kind::FileContent`] and [`Kind::XmlText`] excepted.
    pub value_bytes: usize,
    /// Bytes in the arena, those that were there before included.
    pub arena_bytes: usize,
    /// Objects and arrays, or elements, within each other.
    pub depth: usize,
    /// Files of one multipart body.
    pub files: usize,
}

/// Which limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum Limit {
    /// [`Limits::items`].
    #[error("too many names and values")]
    Items,
    /// [`Limits::name_bytes`].
    #[error("a name is too long")]
    NameBytes,
    /// [`Limits::value_bytes`].
    #[error("a value is too long")]
    ValueBytes,
    /// [`Limits::arena_bytes`].
    #[error("names and values are too long once decoded")]
    ArenaBytes,
    /// [`Limits::depth`].
    #[error("nested too deeply")]
    Depth,
    /// [`Limits::files`]. A multipart body is read to its end nonetheless, and its other files are not handed over.
    #[error("too many files")]
    Files,
    /// The input has 4 GiB or more.
    #[error("the input is too long")]
    InputBytes,
}

/// Why a parser stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Fault {
    /// The input is not what it should be (`REQBODY_ERROR`); the message is a fragment for `REQBODY_ERROR_MSG`.
    #[error("{what} at byte {at}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
        /// Bytes before it.
        at: usize,
    },
    /// There is too much of it.
    #[error(transparent)]
    Limit(#[from] Limit),
}

/// Where decoded names and values go. Belongs to the caller, who keeps it from request to request.
#[derive(Debug, Default)]
pub struct Arena {
    bytes: Vec<u8>,
    /// What a parser puts together while it writes other things to `bytes`.
    side: Vec<u8>,
    json_levels: Vec<json::Level>,
    xml_levels: Vec<xml::Level>,
    xml_attributes: Vec<(usize, usize)>,
}

impl Arena {
    /// Forgets all bytes and keeps at most `most_bytes` of memory for the next request.
    pub fn clear(&mut self, most_bytes: usize) {
        self.reset();
        self.bytes.clear();
        self.bytes.shrink_to(most_bytes);
        self.side.shrink_to(most_bytes);
        self.xml_attributes.shrink_to(most_bytes / size_of::<(usize, usize)>());
    }

    /// Forgets what the last parser worked with.
    fn reset(&mut self) {
        self.side.clear();
        self.json_levels.clear();
        self.xml_levels.clear();
        self.xml_attributes.clear();
    }

    /// The bytes of `text`, which a parser found in `input`. Empty if they are not from here.
    pub fn text<'a>(&'a self, input: &'a [u8], text: Text) -> &'a [u8] {
        let (bytes, start, end) = match text {
            Text::Input(start, end) => (input, start, end),
            Text::Arena(start, end) => (self.bytes.as_slice(), start, end),
        };
        bytes.get(start as usize..end as usize).unwrap_or_default()
    }

    /// Bytes in use.
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether none are in use.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

#[cfg(test)]
mod tests;
