//! The signature base (RFC 9421 §2.5): the bytes that are signed.
//!
//! A value with a line feed would let one component pass for two, so each value is checked: fields may hold visible
//! ASCII, spaces and tabs; derived components visible ASCII alone. Obsolete line folding is not undone but refused, as
//! it is where requests are read (RFC 9112 §5.2).
//!
//! A component may be read once for each way to cover it, and a `key` parses its whole field, so everything that is
//! read or written is paid from one budget, at the price that it costs us.

use std::borrow::Cow;

use http::HeaderValue;
use sfv::{Dictionary, FieldType, InnerList, Item, KeyRef, List, ListEntry, ListSerializer};

use super::query::parameter;
use super::{Component, Form, MAX_BASE_BYTES, Message, Refusal};
use crate::http::fields::trim_ows;
use crate::http::structured::{self, Limits, Unreadable};

/// What a field may have that is parsed.
const PARSED: Limits = Limits { bytes: 4 * 1024, parts: 256 };
/// Parsing a byte takes about as long as reading and writing eight.
const PARSED_COST: usize = 8;

/// The base for what `covered` lists, with its parameters: `components` are its items, understood.
///
/// # Errors
/// When a component is not in the message or its value cannot be signed, or when the base grows too large.
pub fn build(message: &Message<'_>, covered: InnerList, components: &[Component]) -> Result<String, Refusal> {
    let mut base = Base { text: String::new(), left: MAX_BASE_BYTES };
    for (item, component) in covered.items.iter().zip(components) {
        base.push(&item.serialize())?;
        base.push(": ")?;
        base.push_value(message, component)?;
        base.push("\n")?;
    }
    base.push("\"@signature-params\": ")?;
    base.push(&member(covered))?;
    Ok(base.text)
}

/// What `Signature-Input` says of one signature, and the last line of its base.
pub fn member(value: impl Into<ListEntry>) -> String {
    let mut list = ListSerializer::new();
    list.members([&value.into()]);
    list.finish().unwrap_or_default()
}

struct Base {
    text: String,
    left: usize,
}

impl Base {
    fn spend(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.left = self.left.checked_sub(bytes).ok_or(Refusal::TooLarge)?;
        Ok(())
    }

    fn push(&mut self, text: &str) -> Result<(), Refusal> {
        self.spend(text.len())?;
        self.text.push_str(text);
        Ok(())
    }

    fn push_value(&mut self, message: &Message<'_>, component: &Component) -> Result<(), Refusal> {
        match component {
            Component::Field(name, form) => self.push_field(message, name, form),
            Component::QueryParam(name) => {
                let query = message.query.unwrap_or_default();
                self.spend(query.len())?;
                self.push(&parameter(query, name)?)
            }
            _ => {
                let value = derived(message, component)?;
                if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return Err(Refusal::MalformedComponent);
                }
                self.push(&value)
            }
        }
    }

    fn push_field(&mut self, message: &Message<'_>, name: &str, form: &Form) -> Result<(), Refusal> {
        if !message.fields.contains_key(name) {
            return Err(Refusal::AbsentComponent);
        }
        let lines = message.fields.get_all(name);
        let bytes: usize = lines.iter().map(HeaderValue::len).sum();
        self.spend(match form {
            Form::Joined | Form::Bytes => bytes,
            Form::Structured | Form::Member(_) => bytes.saturating_mul(PARSED_COST),
        })?;
        let lines = lines.iter().map(HeaderValue::as_bytes);
        match form {
            Form::Joined => {
                // HTTP/2 may have split one line of cookies (RFC 9113 §8.2.3).
                let separator = if name == "cookie" { "; " } else { ", " };
                for (at, line) in lines.enumerate() {
                    self.push(if at == 0 { "" } else { separator })?;
                    self.push(printable(trim_ows(line))?)?;
                }
                Ok(())
            }
            Form::Bytes => {
                let wrapped: List = lines.map(|line| Item::new(trim_ows(line)).into()).collect();
                self.push(&wrapped.serialize().unwrap_or_default())
            }
            Form::Structured => {
                let kind = kind(name).ok_or(Refusal::UnsupportedComponent)?;
                self.push(&rewritten(kind, lines).map_err(unreadable)?)
            }
            Form::Member(key) => {
                let fields: Option<Dictionary> = structured::read(lines, PARSED).map_err(unreadable)?;
                let key = KeyRef::from_str(key).map_err(|_| Refusal::AbsentComponent)?;
                let value = fields.and_then(|mut fields| fields.swap_remove(key));
                self.push(&member(value.ok_or(Refusal::AbsentComponent)?))
            }
        }
    }
}

/// What kind of structured field a field is.
#[derive(Clone, Copy)]
enum Kind {
    Item,
    List,
    Dictionary,
}

/// The structured fields of requests that a standard defines. Of others `sf` is refused, because reading a field as the
/// wrong kind gives another base (RFC 9421 §2.5).
fn kind(name: &str) -> Option<Kind> {
    match name {
        "capsule-protocol" | "client-cert" | "idempotency-key" => Some(Kind::Item),
        "cache-status" | "client-cert-chain" | "proxy-status" => Some(Kind::List),
        "accept-signature"
        | "content-digest"
        | "priority"
        | "repr-digest"
        | "signature"
        | "signature-input"
        | "want-content-digest"
        | "want-repr-digest" => Some(Kind::Dictionary),
        _ => None,
    }
}

fn rewritten<'a>(kind: Kind, lines: impl Iterator<Item = &'a [u8]>) -> Result<String, Unreadable> {
    let text = match kind {
        Kind::Item => structured::read::<Item>(lines, PARSED)?.map(|item| item.serialize()),
        Kind::List => structured::read::<List>(lines, PARSED)?.and_then(|list| list.serialize()),
        Kind::Dictionary => {
            structured::read::<Dictionary>(lines, PARSED)?.and_then(|fields| fields.serialize())
        }
    };
    Ok(text.unwrap_or_default())
}

fn unreadable(reason: Unreadable) -> Refusal {
    match reason {
        Unreadable::TooLong => Refusal::TooLarge,
        Unreadable::Malformed => Refusal::MalformedComponent,
    }
}

fn derived<'a>(message: &Message<'a>, component: &Component) -> Result<Cow<'a, str>, Refusal> {
    let path = if message.path.is_empty() { "/" } else { message.path };
    let target = || match message.query {
        Some(query) => Cow::Owned(format!("{path}?{query}")),
        None => Cow::Borrowed(path),
    };
    Ok(match component {
        Component::Method => message.method.into(),
        Component::Scheme => message.scheme.to_ascii_lowercase().into(),
        Component::Authority => normal_authority(message).into(),
        Component::RequestTarget => target(),
        Component::Path => path.into(),
        Component::Query => format!("?{}", message.query.unwrap_or_default()).into(),
        Component::TargetUri => {
            let scheme = message.scheme.to_ascii_lowercase();
            format!("{scheme}://{}{}", normal_authority(message), target()).into()
        }
        Component::QueryParam(_) | Component::Field(..) => return Err(Refusal::UnsupportedComponent),
    })
}

/// In lower case, without the port that the scheme has anyway (RFC 9110 §4.2.3).
fn normal_authority(message: &Message<'_>) -> String {
    let authority = message.authority.to_ascii_lowercase();
    let default = if message.scheme.eq_ignore_ascii_case("https") { "443" } else { "80" };
    match authority.rsplit_once(':') {
        Some((host, port)) if port.is_empty() || port == default => host.to_owned(),
        _ => authority,
    }
}

fn printable(value: &[u8]) -> Result<&str, Refusal> {
    if !value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
        return Err(Refusal::MalformedComponent);
    }
    std::str::from_utf8(value).map_err(|_| Refusal::MalformedComponent)
}
