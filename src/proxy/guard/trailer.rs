//! How a trailer section of HTTP/2 begins. It may hold no pseudo-header field (RFC 9113 section 8.1), and those come before
//! all others, so its first field tells; `h2` refuses them anywhere else, but drops them here.
//!
//! This reads as much of HPACK (RFC 7541) as that takes. What stands in the dynamic table is not known here: an entry of it
//! that is a pseudo-header field passes, and is dropped.

const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;
const PRIORITY_BYTES: usize = 5;
/// The pseudo-header fields of the static table (RFC 7541 appendix A).
const LAST_PSEUDO: u8 = 14;
/// `:` in Huffman code has seven bits (RFC 7541 appendix B).
const COLON_BITS: u8 = 0b101_1100;

/// Where in the beginning of a block the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// So many bytes before the block.
    Before(usize),
    Field,
    /// In the number of an update of the table's size.
    Size,
    NameLength,
    Name {
        huffman: bool,
    },
    /// All is known that there is to know.
    Over,
}

impl Opening {
    /// At the start of the payload of a HEADERS frame with these flags.
    pub(super) fn of(flags: u8) -> Self {
        let padded = usize::from(flags & PADDED != 0);
        let priority = if flags & PRIORITY == 0 { 0 } else { PRIORITY_BYTES };
        match padded + priority {
            0 => Self::Field,
            before => Self::Before(before),
        }
    }

    /// Takes the next bytes of the payload; whether a pseudo-header field begins there.
    pub(super) fn is_pseudo(&mut self, payload: &[u8]) -> bool {
        for byte in payload {
            match self.step(*byte) {
                Ok(Self::Over) => {
                    *self = Self::Over;
                    return false;
                }
                Ok(next) => *self = next,
                Err(Pseudo) => return true,
            }
        }
        false
    }

    fn step(self, byte: u8) -> Result<Self, Pseudo> {
        Ok(match self {
            Self::Before(left) if left > 1 => Self::Before(left - 1),
            Self::Field => return field(byte),
            Self::Size if byte & 0x80 != 0 => Self::Size,
            Self::Before(_) | Self::Size => Self::Field,
            Self::NameLength if byte << 1 == 0 => Self::Over,
            Self::NameLength => Self::Name { huffman: byte & 0x80 != 0 },
            Self::Name { huffman: true } if byte >> 1 == COLON_BITS => return Err(Pseudo),
            Self::Name { huffman: false } if byte == b':' => return Err(Pseudo),
            Self::Name { .. } | Self::Over => Self::Over,
        })
    }
}

/// It is one.
struct Pseudo;

/// The first byte of a field's representation (RFC 7541 section 6).
fn field(byte: u8) -> Result<Opening, Pseudo> {
    let index = match byte {
        0x80.. => byte & 0x7f,
        0x40.. => byte & 0x3f,
        0x3f => return Ok(Opening::Size),
        0x20.. => return Ok(Opening::Field),
        _ => byte & 0x0f,
    };
    match index {
        0 if byte < 0x80 => Ok(Opening::NameLength),
        1..=LAST_PSEUDO => Err(Pseudo),
        _ => Ok(Opening::Over),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever way it is cut.
    fn is_pseudo(flags: u8, payload: &[u8]) -> bool {
        let whole = Opening::of(flags).is_pseudo(payload);
        let mut opening = Opening::of(flags);
        assert_eq!(payload.iter().any(|byte| opening.is_pseudo(&[*byte])), whole);
        whole
    }

    #[test]
    fn finds_a_pseudo_header_field_however_it_is_written() {
        for block in [
            &b"\x82"[..],
            b"\x8e",
            b"\x42\x03200",
            b"\x04\x02/y",
            b"\x1e\x03200",
            b"\x40\x05:test\x01x",
            b"\x00\x83\xb9\x49\x50",
            b"\x10\x05:path\x01/",
            b"\x20\x3f\xe1\x1f\x82",
        ] {
            assert!(is_pseudo(0, block), "{block:?}");
            assert!(is_pseudo(PADDED | PRIORITY, &[b"\x00\0\0\0\0\x10", block].concat()), "{block:?}");
        }
    }

    #[test]
    fn lets_other_fields_pass() {
        for block in [
            &b""[..],
            b"\x8f",
            b"\xbe",
            b"\x4f\x01x",
            b"\x0f\x01\x01x",
            b"\x00\x01x\x01:",
            b"\x40\x81\xf3\x01:",
            b"\x00\x00\x82",
            b"\x80",
        ] {
            assert!(!is_pseudo(0, block), "{block:?}");
        }
        assert!(!is_pseudo(PADDED, b"\x82\x8f"));
    }
}
