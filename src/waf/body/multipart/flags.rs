//! What is odd about a multipart body: the strict flags of ModSecurity, and one for what they do not see.

/// Something odd. In brackets: the variable of ModSecurity that is 1 then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flag {
    /// The boundary is in quotes (`MULTIPART_BOUNDARY_QUOTED`).
    BoundaryQuoted,
    /// White space around the `=` of the boundary (`MULTIPART_BOUNDARY_WHITESPACE`).
    BoundaryWhitespace,
    /// Something before the first boundary (`MULTIPART_DATA_BEFORE`).
    DataBefore,
    /// Something after the last boundary (`MULTIPART_DATA_AFTER`).
    DataAfter,
    /// A header of a part goes on in the next line (`MULTIPART_HEADER_FOLDING`).
    HeaderFolding,
    /// A boundary or a header ends in LF alone (`MULTIPART_LF_LINE`); so does the line before a boundary, which
    /// belongs to it (RFC 2046 section 5.1.1).
    LfLine,
    /// A boundary or a header ends in CRLF. Not odd; see [`Flags::mixed_lines`].
    CrlfLine,
    /// No semicolon before the boundary parameter (`MULTIPART_MISSING_SEMICOLON`).
    MissingSemicolon,
    /// Single quotes, or text after a quoted value (`MULTIPART_INVALID_QUOTING`).
    InvalidQuoting,
    /// A part without a name (`MULTIPART_INVALID_PART`).
    InvalidPart,
    /// A header goes on after white space that is neither space nor tab (`MULTIPART_INVALID_HEADER_FOLDING`).
    InvalidHeaderFolding,
    /// More files than allowed (`MULTIPART_FILE_LIMIT_EXCEEDED`).
    FileLimitExceeded,
    /// The body, or a part of it, could not be read (`REQBODY_ERROR`).
    Error,
}

/// A set of [`Flag`]s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags(u16);

impl Flags {
    /// Whether the flag is in the set.
    pub const fn has(self, flag: Flag) -> bool {
        self.0 & Self::bit(flag) != 0
    }

    /// `MULTIPART_CRLF_LF_LINES`: lines end in CRLF here and in LF there.
    pub const fn mixed_lines(self) -> bool {
        self.has(Flag::LfLine) && self.has(Flag::CrlfLine)
    }

    /// `MULTIPART_STRICT_ERROR`: whether anything is odd at all.
    pub const fn strict_error(self) -> bool {
        self.0 & !Self::bit(Flag::CrlfLine) != 0
    }

    pub(super) const fn set(&mut self, flag: Flag) {
        self.0 |= Self::bit(flag);
    }

    const fn bit(flag: Flag) -> u16 {
        1 << flag as u16
    }
}
