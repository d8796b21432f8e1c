//! What the transformations share: finding the first byte to change, and copying what stays in whole stretches.

/// Writes the output of a transformation that changes its input here and there. Nothing is written before the first
/// change, so a value that stands costs no copy.
pub(super) struct Rewriter<'a> {
    input: &'a [u8],
    out: &'a mut Vec<u8>,
    /// What is before was copied or replaced.
    done: usize,
    changed: bool,
}

impl<'a> Rewriter<'a> {
    pub(super) fn new(input: &'a [u8], out: &'a mut Vec<u8>) -> Self {
        Self { input, out, done: 0, changed: false }
    }

    /// Puts `with`, which must be something else, in the place of `start..end`. Places come in order and do not overlap.
    #[inline]
    pub(super) fn replace(&mut self, start: usize, end: usize, with: &[u8]) {
        self.copy_to(start);
        self.out.extend_from_slice(with);
        self.done = end;
    }

    #[inline]
    pub(super) fn replace_with_byte(&mut self, start: usize, end: usize, with: u8) {
        self.copy_to(start);
        self.out.push(with);
        self.done = end;
    }

    #[inline]
    pub(super) fn remove(&mut self, start: usize, end: usize) {
        self.copy_to(start);
        self.done = end;
    }

    #[inline]
    fn copy_to(&mut self, start: usize) {
        if !self.changed {
            self.changed = true;
            self.out.clear();
            self.out.reserve(self.input.len());
        }
        if self.done < start {
            self.out.extend_from_slice(self.input.get(self.done..start).unwrap_or_default());
        }
    }

    /// Copies the rest. Whether anything was replaced.
    pub(super) fn finish(self) -> bool {
        if self.changed {
            self.out.extend_from_slice(self.input.get(self.done..).unwrap_or_default());
        }
        self.changed
    }
}

/// Replaces all of `out`; always a change.
pub(super) fn set(out: &mut Vec<u8>, with: &[u8]) -> bool {
    out.clear();
    out.extend_from_slice(with);
    true
}

/// Where the first byte is that `is` holds for. Asked of 32 bytes at once, which the compiler turns into a few
/// instructions.
#[inline]
pub(super) fn find(input: &[u8], is: impl Fn(u8) -> bool) -> Option<usize> {
    let (chunks, rest) = input.as_chunks::<32>();
    let skipped =
        chunks.iter().take_while(|chunk| !chunk.iter().fold(false, |found, byte| found | is(*byte)));
    let start = skipped.count() * 32;
    let tail = if start < chunks.len() * 32 { input.get(start..).unwrap_or_default() } else { rest };
    tail.iter().position(|byte| is(*byte)).map(|at| start + at)
}

/// `isspace` of the C locale.
pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// The value of a hexadecimal digit.
#[inline]
pub(super) const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The byte that two hexadecimal digits stand for.
#[inline]
pub(super) const fn hex_byte(high: u8, low: u8) -> Option<u8> {
    match (hex_digit(high), hex_digit(low)) {
        (Some(high), Some(low)) => Some(high << 4 | low),
        _ => None,
    }
}

/// The low byte of a code point, where full-width letters (U+FF01 to U+FF5E) are read as ASCII.
#[inline]
pub(super) const fn low_byte(high: u8, low: u8) -> u8 {
    if high == 0xff && low > 0 && low < 0x5f { low + 0x20 } else { low }
}
