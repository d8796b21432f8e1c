//! The transformations of SecLang: what is done to a value before an operator looks at it.
//!
//! Each gives the bytes that ModSecurity 3 gives, on any input. A transformation that would give its input back says so
//! instead and writes nothing, and [`Transformation::triggers`] tells beforehand, from the bytes that occur in a value, when
//! that is certain. What stays is copied in stretches; time is linear, and the output is at most four times as long.
//!
//! # Where versions of ModSecurity differ
//! * `base64Decode` stops at the first byte outside the alphabet and needs no padding, as in version 2. Version 3 gives
//!   nothing then, so that one byte too many hides what PHP and Node decode.
//! * `base64DecodeExt` knows `-` and `_` (RFC 4648 §5), `htmlEntityDecode` knows all names for ASCII (`&colon;`), `sqlHexDecode`
//!   and `cssDecode` go on after a NUL: all as in the newest version 3, and unlike 3.0.9.
//! * `urlDecodeUni` always has the map of code page 20127, which the recommended configuration and CRS ask for.
//! * `removeComments` adds no NUL for a comment at the end, and `normalizePathWin` makes a slash of a third backslash too.

mod base64;
mod best_fit;
mod byte_set;
mod cmd_line;
mod comments;
mod escapes;
mod hex;
mod html;
mod path;
mod rewrite;
mod text;
mod url;
mod utf8;

pub use byte_set::ByteSet;

use text::Parity;

/// One transformation (`t:…`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transformation {
    Base64Decode,
    Base64DecodeExt,
    Base64Encode,
    CmdLine,
    CompressWhitespace,
    CssDecode,
    EscapeSeqDecode,
    HexDecode,
    HexEncode,
    HtmlEntityDecode,
    JsDecode,
    Length,
    Lowercase,
    Md5,
    /// Changes nothing. In a rule it also clears the transformations before it, which is the loader's to do.
    None,
    NormalizePath,
    NormalizePathWin,
    ParityEven7bit,
    ParityOdd7bit,
    ParityZero7bit,
    RemoveComments,
    RemoveCommentsChar,
    RemoveNulls,
    RemoveWhitespace,
    ReplaceComments,
    ReplaceNulls,
    Sha1,
    SqlHexDecode,
    Trim,
    TrimLeft,
    TrimRight,
    Uppercase,
    UrlDecode,
    UrlDecodeUni,
    UrlEncode,
    Utf8toUnicode,
}

/// When a transformation may change a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Triggers {
    /// Only if one of these bytes occurs in it.
    Any(ByteSet),
    /// Whatever is in it.
    Always,
}

impl Triggers {
    /// Whether a value that holds these bytes may change.
    #[must_use]
    pub const fn apply_to(&self, bytes: &ByteSet) -> bool {
        match self {
            Self::Any(set) => set.intersects(bytes),
            Self::Always => true,
        }
    }
}

/// By name, the usual spelling first.
#[rustfmt::skip]
const NAMES: [(&str, Transformation); 38] = [
    ("base64Decode", Transformation::Base64Decode),
    ("base64DecodeExt", Transformation::Base64DecodeExt),
    ("base64Encode", Transformation::Base64Encode),
    ("cmdLine", Transformation::CmdLine),
    ("compressWhitespace", Transformation::CompressWhitespace),
    ("cssDecode", Transformation::CssDecode),
    ("escapeSeqDecode", Transformation::EscapeSeqDecode),
    ("hexDecode", Transformation::HexDecode),
    ("hexEncode", Transformation::HexEncode),
    ("htmlEntityDecode", Transformation::HtmlEntityDecode),
    ("jsDecode", Transformation::JsDecode),
    ("length", Transformation::Length),
    ("lowercase", Transformation::Lowercase),
    ("md5", Transformation::Md5),
    ("none", Transformation::None),
    ("normalizePath", Transformation::NormalizePath),
    ("normalisePath", Transformation::NormalizePath),
    ("normalizePathWin", Transformation::NormalizePathWin),
    ("normalisePathWin", Transformation::NormalizePathWin),
    ("parityEven7bit", Transformation::ParityEven7bit),
    ("parityOdd7bit", Transformation::ParityOdd7bit),
    ("parityZero7bit", Transformation::ParityZero7bit),
    ("removeComments", Transformation::RemoveComments),
    ("removeCommentsChar", Transformation::RemoveCommentsChar),
    ("removeNulls", Transformation::RemoveNulls),
    ("removeWhitespace", Transformation::RemoveWhitespace),
    ("replaceComments", Transformation::ReplaceComments),
    ("replaceNulls", Transformation::ReplaceNulls),
    ("sha1", Transformation::Sha1),
    ("sqlHexDecode", Transformation::SqlHexDecode),
    ("trim", Transformation::Trim),
    ("trimLeft", Transformation::TrimLeft),
    ("trimRight", Transformation::TrimRight),
    ("uppercase", Transformation::Uppercase),
    ("urlDecode", Transformation::UrlDecode),
    ("urlDecodeUni", Transformation::UrlDecodeUni),
    ("urlEncode", Transformation::UrlEncode),
    ("utf8toUnicode", Transformation::Utf8toUnicode),
];

const SPACE: ByteSet = ByteSet::of(b" \t\n\x0b\x0c\r");
const COMMENT: ByteSet = ByteSet::of(b"*-#");

/// The bytes whose parity is not right.
const fn wrong(parity: Parity) -> ByteSet {
    let mut set = ByteSet::EMPTY;
    let mut byte = 0_u8;
    loop {
        if parity.of(byte) != byte {
            set = set.union(ByteSet::of(&[byte]));
        }
        if byte == u8::MAX {
            return set;
        }
        byte += 1;
    }
}

impl Transformation {
    /// The transformation of this name, in any case, as ModSecurity reads them.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, found)| *found)
    }

    /// The usual spelling of its name, e.g. `urlDecodeUni`.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, known)| *known == self).map_or("none", |(name, _)| name)
    }

    /// All of them, with their usual names.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().filter(|(name, known)| known.name() == *name).map(|(_, known)| *known)
    }

    /// A bit of its own, for sets of transformations.
    #[must_use]
    pub const fn bit(self) -> u64 {
        1 << self as u8
    }

    /// What a value must hold to be changed at all.
    #[must_use]
    pub const fn triggers(self) -> Triggers {
        Triggers::Any(match self {
            Self::Base64Decode
            | Self::Base64DecodeExt
            | Self::Base64Encode
            | Self::HexDecode
            | Self::HexEncode
            | Self::Length
            | Self::Md5
            | Self::Sha1 => return Triggers::Always,
            Self::None => ByteSet::EMPTY,
            Self::CmdLine => const { ByteSet::of(b"\"'\\^ ,;\t\r\n").union(ByteSet::range(b'A', b'Z')) },
            Self::CompressWhitespace | Self::Trim | Self::TrimLeft | Self::TrimRight => SPACE,
            Self::CssDecode | Self::EscapeSeqDecode | Self::JsDecode => const { ByteSet::of(b"\\") },
            Self::HtmlEntityDecode => const { ByteSet::of(b"&") },
            Self::Lowercase => const { ByteSet::range(b'A', b'Z') },
            Self::Uppercase => const { ByteSet::range(b'a', b'z') },
            Self::NormalizePath => const { ByteSet::of(b"/.") },
            Self::NormalizePathWin => const { ByteSet::of(b"/.\\") },
            Self::ParityEven7bit => const { wrong(Parity::Even) },
            Self::ParityOdd7bit => const { wrong(Parity::Odd) },
            Self::ParityZero7bit => const { wrong(Parity::Zero) },
            Self::RemoveComments | Self::RemoveCommentsChar => COMMENT,
            Self::ReplaceComments => const { ByteSet::of(b"*") },
            Self::RemoveNulls | Self::ReplaceNulls => const { ByteSet::of(b"\0") },
            Self::RemoveWhitespace => const { SPACE.union(ByteSet::of(b"\xc2\xa0")) },
            Self::SqlHexDecode => const { ByteSet::of(b"xX") },
            Self::UrlDecode | Self::UrlDecodeUni => const { ByteSet::of(b"%+") },
            Self::UrlEncode => {
                const {
                    ByteSet::range(b'a', b'z')
                        .union(ByteSet::range(b'A', b'Z'))
                        .union(ByteSet::range(b'0', b'9'))
                        .union(ByteSet::of(b"*"))
                        .complement()
                }
            }
            Self::Utf8toUnicode => const { ByteSet::of(b"\0").union(ByteSet::range(0xc0, 0xf7)) },
        })
    }

    /// Puts what becomes of `input` into `out`, in place of what is there. `false` if the input stands as it is: then
    /// `out` was not touched.
    pub fn apply(self, input: &[u8], out: &mut Vec<u8>) -> bool {
        match self {
            Self::Base64Decode => base64::decode(input, out),
            Self::Base64DecodeExt => base64::decode_forgiving(input, out),
            Self::Base64Encode => base64::encode(input, out),
            Self::CmdLine => cmd_line::cmd_line(input, out),
            Self::CompressWhitespace => text::compress_whitespace(input, out),
            Self::CssDecode => escapes::decode_css(input, out),
            Self::EscapeSeqDecode => escapes::decode_c(input, out),
            Self::HexDecode => hex::decode(input, out),
            Self::HexEncode => hex::encode(input, out),
            Self::HtmlEntityDecode => html::decode(input, out),
            Self::JsDecode => escapes::decode_js(input, out),
            Self::Length => text::length(input, out),
            Self::Lowercase => text::lowercase(input, out),
            Self::Md5 => text::md5(input, out),
            Self::None => false,
            Self::NormalizePath => path::normalise(input, out, false),
            Self::NormalizePathWin => path::normalise(input, out, true),
            Self::ParityEven7bit => text::parity(input, out, Parity::Even),
            Self::ParityOdd7bit => text::parity(input, out, Parity::Odd),
            Self::ParityZero7bit => text::parity(input, out, Parity::Zero),
            Self::RemoveComments => comments::remove(input, out),
            Self::RemoveCommentsChar => comments::remove_signs(input, out),
            Self::RemoveNulls => text::remove_nulls(input, out),
            Self::RemoveWhitespace => text::remove_whitespace(input, out),
            Self::ReplaceComments => comments::replace(input, out),
            Self::ReplaceNulls => text::replace_nulls(input, out),
            Self::Sha1 => text::sha1(input, out),
            Self::SqlHexDecode => hex::decode_sql(input, out),
            Self::Trim => text::trim(input, out, true, true),
            Self::TrimLeft => text::trim(input, out, true, false),
            Self::TrimRight => text::trim(input, out, false, true),
            Self::Uppercase => text::uppercase(input, out),
            Self::UrlDecode => url::decode(input, out),
            Self::UrlDecodeUni => url::decode_unicode(input, out),
            Self::UrlEncode => url::encode(input, out),
            Self::Utf8toUnicode => utf8::to_unicode(input, out),
        }
    }
}

#[cfg(test)]
mod tests;
