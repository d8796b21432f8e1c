//! The chunked transfer coding (RFC 9112 §7.1), a state at a time.

use super::{FramingFault, take};
use crate::http::{
    fields::is_token_byte,
    head::{field_line, is_forbidden_trailer},
};

/// Sixteen digits hold every size there is; more are only ever padding.
const MAX_SIZE_DIGITS: u8 = 16;

/// What may come besides data in one body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkLimits {
    /// Bytes of chunk extensions over the whole body, semicolons included; 0 refuses them. Default 1 KiB.
    pub extension_bytes: usize,
    /// Trailer fields; 0 refuses them. Default 32.
    pub trailers: usize,
    /// Bytes of the trailer section, line ends included. Default 8 KiB.
    pub trailer_bytes: usize,
}

impl Default for ChunkLimits {
    fn default() -> Self {
        Self { extension_bytes: 1 << 10, trailers: 32, trailer_bytes: 8 << 10 }
    }
}

#[derive(Debug)]
pub(super) struct Chunked {
    state: State,
    /// The size of the chunk being read, then what is left of its data.
    size: u64,
    digits: u8,
    extension_bytes: usize,
    trailer_bytes: usize,
    trailers: usize,
    /// The trailer line being read; nothing is allocated without trailers.
    line: Vec<u8>,
    limits: ChunkLimits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    ExtensionNameStart,
    ExtensionName,
    ExtensionValueStart,
    ExtensionValue,
    Quoted,
    QuotedEscape,
    AfterQuoted,
    SizeLineFeed,
    Data,
    DataCarriageReturn,
    DataLineFeed,
    Trailer,
    TrailerLineFeed,
    Done,
}

impl Chunked {
    pub(super) fn new(limits: ChunkLimits) -> Self {
        Self {
            state: State::Size,
            size: 0,
            digits: 0,
            extension_bytes: 0,
            trailer_bytes: 0,
            trailers: 0,
            line: Vec::new(),
            limits,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<usize, FramingFault> {
        let mut rest = bytes;
        while self.state != State::Done {
            if self.state == State::Data {
                let taken = take(&mut self.size, rest.len());
                rest = rest.get(taken..).unwrap_or_default();
                if self.size == 0 {
                    self.state = State::DataCarriageReturn;
                }
            }
            let Some((byte, after)) = rest.split_first() else { break };
            self.state = self.step(*byte)?;
            rest = after;
        }
        Ok(bytes.len() - rest.len())
    }

    /// Takes one byte of framing.
    fn step(&mut self, byte: u8) -> Result<State, FramingFault> {
        match self.state {
            State::Size => self.size_digit(byte),
            State::ExtensionNameStart
            | State::ExtensionName
            | State::ExtensionValueStart
            | State::ExtensionValue
            | State::Quoted
            | State::QuotedEscape
            | State::AfterQuoted => self.extension(byte),
            State::SizeLineFeed => {
                expect(byte, b'\n', "chunk_size_line_end")?;
                self.digits = 0;
                Ok(if self.size == 0 { State::Trailer } else { State::Data })
            }
            State::DataCarriageReturn => {
                expect(byte, b'\r', "chunk_data_line_end")?;
                Ok(State::DataLineFeed)
            }
            State::DataLineFeed => {
                expect(byte, b'\n', "chunk_data_line_end")?;
                Ok(State::Size)
            }
            State::Trailer | State::TrailerLineFeed => self.trailer(byte),
            State::Data | State::Done => Ok(self.state),
        }
    }

    fn size_digit(&mut self, byte: u8) -> Result<State, FramingFault> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b'\r' if self.digits > 0 => return Ok(State::SizeLineFeed),
            b'\n' if self.digits > 0 => return Err(FramingFault::new("chunk_size_line_end")),
            b';' if self.digits > 0 => return self.count_extension(State::ExtensionNameStart),
            _ => return Err(FramingFault::new("bad_chunk_size")),
        };
        self.digits += 1;
        if self.digits > MAX_SIZE_DIGITS || self.size >> 59 != 0 {
            return Err(FramingFault::new("chunk_size_overflow"));
        }
        self.size = self.size << 4 | u64::from(digit);
        Ok(State::Size)
    }

    /// `;name`, `;name=token`, `;name="quoted"`, any number of them, without whitespace outside of quotes.
    fn extension(&mut self, byte: u8) -> Result<State, FramingFault> {
        let token = is_token_byte(byte);
        let next = match (self.state, byte) {
            (State::ExtensionName | State::ExtensionValue | State::AfterQuoted, b'\r') => State::SizeLineFeed,
            (State::ExtensionName | State::ExtensionValue | State::AfterQuoted, b';') => {
                State::ExtensionNameStart
            }
            (State::ExtensionName, b'=') => State::ExtensionValueStart,
            (State::ExtensionNameStart | State::ExtensionName, _) if token => State::ExtensionName,
            (State::ExtensionValueStart, b'"') => State::Quoted,
            (State::ExtensionValueStart | State::ExtensionValue, _) if token => State::ExtensionValue,
            (State::Quoted, b'"') => State::AfterQuoted,
            (State::Quoted, b'\\') => State::QuotedEscape,
            (State::Quoted | State::QuotedEscape, b'\t' | b' '..=b'~' | 0x80..) => State::Quoted,
            _ => return Err(FramingFault::new("bad_chunk_extension")),
        };
        if next == State::SizeLineFeed { Ok(next) } else { self.count_extension(next) }
    }

    fn count_extension(&mut self, next: State) -> Result<State, FramingFault> {
        self.extension_bytes += 1;
        if self.extension_bytes > self.limits.extension_bytes {
            return Err(FramingFault::new("chunk_extensions_too_long"));
        }
        Ok(next)
    }

    fn trailer(&mut self, byte: u8) -> Result<State, FramingFault> {
        self.trailer_bytes += 1;
        // The final empty line is part of every body and does not count.
        if self.trailer_bytes > self.limits.trailer_bytes.saturating_add(2) {
            return Err(FramingFault::new("trailers_too_long"));
        }
        if self.state == State::TrailerLineFeed {
            expect(byte, b'\n', "bare_cr")?;
            return self.trailer_line();
        }
        match byte {
            b'\r' => Ok(State::TrailerLineFeed),
            b'\n' => Err(FramingFault::new("bare_lf")),
            _ => {
                self.line.push(byte);
                Ok(State::Trailer)
            }
        }
    }

    fn trailer_line(&mut self) -> Result<State, FramingFault> {
        if self.line.is_empty() {
            return Ok(State::Done);
        }
        let (name, _) = field_line(&self.line).map_err(FramingFault::new)?;
        if is_forbidden_trailer(name) {
            return Err(FramingFault::new("forbidden_trailer"));
        }
        self.trailers += 1;
        if self.trailers > self.limits.trailers {
            return Err(FramingFault::new("too_many_trailers"));
        }
        self.line.clear();
        Ok(State::Trailer)
    }
}

fn expect(byte: u8, expected: u8, reason: &'static str) -> Result<(), FramingFault> {
    if byte == expected { Ok(()) } else { Err(FramingFault::new(reason)) }
}
