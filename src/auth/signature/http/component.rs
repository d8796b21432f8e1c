//! What a signature covers: the component identifiers of RFC 9421 §2, read from a request or from a policy.
//!
//! Two identifiers that mean the same are equal here whatever the order of their parameters (§2), which is how
//! duplicates are found.

use std::fmt;
use std::str::FromStr;

use sfv::{BareItem, FieldType, Item, Parser, StringRef, key_ref};

use crate::http::fields::is_token;

/// A part of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Component {
    Method,
    TargetUri,
    Authority,
    Scheme,
    RequestTarget,
    Path,
    Query,
    /// One parameter of the query, by its name as §2.2.8 encodes it.
    QueryParam(String),
    /// The header field of this name, in lower case.
    Field(String, Form),
}

/// How a field's lines become one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// Joined by commas (§2.1).
    Joined,
    /// Each line as a byte sequence: `bs` (§2.1.3).
    Bytes,
    /// Parsed as a structured field and written anew: `sf` (§2.1.1).
    Structured,
    /// One member of a dictionary: `key` (§2.1.2).
    Member(String),
}

/// The identifier is not one that can be covered here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a component of an HTTP message signature such as @method, @query-param;name=\"id\" or content-digest"
)]
pub struct UnknownComponent;

/// The parameters that are understood. `tr` and `req` are not.
#[derive(Default)]
struct Parameters<'a> {
    structured: bool,
    bytes: bool,
    member: Option<&'a str>,
    name: Option<&'a str>,
}

impl Component {
    /// Reads an identifier as it stands in `Signature-Input`.
    ///
    /// # Errors
    /// When it is unknown, has a parameter that is unknown or does not belong to it, or several that exclude each other
    /// (§2.5).
    pub fn from_item(item: &Item) -> Result<Self, UnknownComponent> {
        let name = item.bare_item.as_string().ok_or(UnknownComponent)?.as_str();
        let parameters = Parameters::read(item)?;
        match (name, parameters) {
            (
                "@query-param",
                Parameters { structured: false, bytes: false, member: None, name: Some(name) },
            ) => Ok(Self::QueryParam(name.to_owned())),
            (_, Parameters { name: Some(_), .. }) => Err(UnknownComponent),
            (_, Parameters { structured: false, bytes: false, member: None, .. })
                if name.starts_with('@') =>
            {
                derived(name)
            }
            (_, parameters) if is_lower_case_token(name) => {
                Ok(Self::Field(name.to_owned(), parameters.form()?))
            }
            _ => Err(UnknownComponent),
        }
    }

    /// The identifier, as it is written into `Signature-Input`. `None` if a name holds what no identifier can.
    pub fn to_item(&self) -> Option<Item> {
        let name = match self {
            Self::Method => "@method",
            Self::TargetUri => "@target-uri",
            Self::Authority => "@authority",
            Self::Scheme => "@scheme",
            Self::RequestTarget => "@request-target",
            Self::Path => "@path",
            Self::Query => "@query",
            Self::QueryParam(_) => "@query-param",
            Self::Field(name, _) => name,
        };
        let mut item = Item::new(StringRef::from_str(name).ok()?);
        let parameter = match self {
            Self::QueryParam(name) => Some((key_ref("name"), text(name)?)),
            Self::Field(_, Form::Member(key)) => Some((key_ref("key"), text(key)?)),
            Self::Field(_, Form::Bytes) => Some((key_ref("bs"), true.into())),
            Self::Field(_, Form::Structured) => Some((key_ref("sf"), true.into())),
            _ => None,
        };
        item.params.extend(parameter.map(|(key, value)| (key.to_owned(), value)));
        Some(item)
    }

    /// Whether a signature over `self` is one over `other` too.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::TargetUri, Self::Scheme | Self::Authority | Self::Path | Self::Query)
            | (Self::RequestTarget, Self::Path | Self::Query) => true,
            // All three speak of every line of the field.
            (
                Self::Field(name, Form::Joined | Form::Bytes | Form::Structured),
                Self::Field(wanted, Form::Joined),
            ) => name == wanted,
            _ => self == other,
        }
    }
}

impl FromStr for Component {
    type Err = UnknownComponent;

    /// Reads an identifier as people write it, `@method` or `example;key="a"`: like in `Signature-Input`, with or
    /// without the quotes around its name.
    fn from_str(text: &str) -> Result<Self, UnknownComponent> {
        let quoted = if text.starts_with('"') {
            text.to_owned()
        } else {
            let (name, parameters) = text.split_at(text.find(';').unwrap_or(text.len()));
            format!("\"{name}\"{parameters}")
        };
        Self::from_item(&Item::parse(Parser::new(&quoted)).map_err(|_| UnknownComponent)?)
    }
}

impl fmt::Display for Component {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.to_item().map(|item| item.serialize()).unwrap_or_default())
    }
}

impl<'a> Parameters<'a> {
    fn read(item: &'a Item) -> Result<Self, UnknownComponent> {
        let mut read = Self::default();
        for (key, value) in &item.params {
            match (key.as_str(), value) {
                ("sf", BareItem::Boolean(true)) => read.structured = true,
                ("bs", BareItem::Boolean(true)) => read.bytes = true,
                ("key", BareItem::String(member)) => read.member = Some(member.as_str()),
                ("name", BareItem::String(name)) => read.name = Some(name.as_str()),
                _ => return Err(UnknownComponent),
            }
        }
        Ok(read)
    }

    fn form(&self) -> Result<Form, UnknownComponent> {
        match (self.bytes, self.structured, self.member) {
            (false, false, None) => Ok(Form::Joined),
            (true, false, None) => Ok(Form::Bytes),
            (false, true, None) => Ok(Form::Structured),
            // A member is always written as a structured value, so `sf` beside `key` says nothing (§2.1).
            (false, _, Some(member)) => Ok(Form::Member(member.to_owned())),
            (true, ..) => Err(UnknownComponent),
        }
    }
}

/// Not `@signature-params`, which covers itself, nor `@status`, which requests do not have.
fn derived(name: &str) -> Result<Component, UnknownComponent> {
    match name {
        "@method" => Ok(Component::Method),
        "@target-uri" => Ok(Component::TargetUri),
        "@authority" => Ok(Component::Authority),
        "@scheme" => Ok(Component::Scheme),
        "@request-target" => Ok(Component::RequestTarget),
        "@path" => Ok(Component::Path),
        "@query" => Ok(Component::Query),
        _ => Err(UnknownComponent),
    }
}

fn is_lower_case_token(name: &str) -> bool {
    is_token(name.as_bytes()) && !name.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn text(value: &str) -> Option<BareItem> {
    StringRef::from_str(value).ok().map(BareItem::from)
}
