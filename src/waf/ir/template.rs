//! Text with macros, such as `Matched %{TX.0} in %{MATCHED_VAR_NAME}`.

use super::Variable;

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Piece {
    /// As it is.
    Text(Box<[u8]>),
    /// The value of a variable; of the first of its members with this name, if it is a collection. Nothing if there is none.
    Variable(Variable, Option<Box<[u8]>>),
}

/// Text with macros.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Template {
    /// In order.
    pub pieces: Vec<Piece>,
}

impl Template {
    /// Text without macros.
    pub fn text(text: impl AsRef<[u8]>) -> Self {
        match text.as_ref() {
            [] => Self::default(),
            text => Self { pieces: vec![Piece::Text(text.into())] },
        }
    }

    /// The text, if there are no macros.
    pub fn as_text(&self) -> Option<&[u8]> {
        match self.pieces.as_slice() {
            [] => Some(b""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// As it was written.
    pub fn written(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(plain) => text.extend_from_slice(plain),
                Piece::Variable(variable, member) => {
                    text.extend_from_slice(b"%{");
                    text.extend_from_slice(variable.name().as_bytes());
                    if let Some(member) = member {
                        text.push(b'.');
                        text.extend_from_slice(member);
                    }
                    text.push(b'}');
                }
            }
        }
        text
    }

    /// Reads `%{NAME}`, `%{COLLECTION.member}` and `%{COLLECTION:member}`. A `%` without a brace is itself.
    ///
    /// # Errors
    /// The macro that names no variable, or that is not closed.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = Vec::new();
        let mut rest = text;
        while let Some(start) = memchr::memmem::find(rest, b"%{") {
            let (before, from) = rest.split_at(start);
            let Some(end) = memchr::memchr(b'}', from) else { return Err("%{ is not closed".to_owned()) };
            let (name, after) = from.split_at(end);
            plain.extend_from_slice(before);
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain).into()));
            }
            pieces.push(parse_macro(name.get(2..).unwrap_or_default())?);
            rest = after.get(1..).unwrap_or_default();
        }
        plain.extend_from_slice(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain.into()));
        }
        Ok(Self { pieces })
    }
}

fn parse_macro(text: &[u8]) -> Result<Piece, String> {
    let split = text.iter().position(|byte| matches!(byte, b'.' | b':'));
    let (name, member) = match split {
        Some(at) => (text.get(..at), text.get(at + 1..)),
        None => (Some(text), None),
    };
    let unknown = || format!("%{{{}}} names no variable", String::from_utf8_lossy(text));
    let name = std::str::from_utf8(name.unwrap_or_default()).map_err(|_| unknown())?;
    let variable = Variable::from_name(name).ok_or_else(unknown)?;
    match (member, variable.is_collection()) {
        (Some(member), true) if !member.is_empty() => {
            Ok(Piece::Variable(variable, Some(member.to_ascii_lowercase().into())))
        }
        (None, _) => Ok(Piece::Variable(variable, None)),
        _ => Err(unknown()),
    }
}
