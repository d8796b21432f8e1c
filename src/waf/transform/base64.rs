//! `base64Decode`, `base64DecodeExt` and `base64Encode`.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Not in the alphabet.
const NONE: u8 = 0xff;

const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut value = 0_u8;
    while value < 64 {
        values[ALPHABET[value as usize] as usize] = value;
        value += 1;
    }
    values
};

/// Bytes of the values of digits; a last digit alone is none.
struct Digits<'a> {
    out: &'a mut Vec<u8>,
    bits: u32,
    count: usize,
}

impl Digits<'_> {
    #[inline]
    fn push(&mut self, value: u8) {
        self.bits = self.bits << 6 | u32::from(value);
        self.count += 1;
        if self.count.is_multiple_of(4) {
            let [_, bytes @ ..] = self.bits.to_be_bytes();
            self.out.extend_from_slice(&bytes);
        }
    }

    fn finish(self) {
        let [_, first, second, _] = match self.count % 4 {
            2 => (self.bits << 12).to_be_bytes(),
            3 => (self.bits << 6).to_be_bytes(),
            _ => return,
        };
        self.out.push(first);
        if self.count % 4 == 3 {
            self.out.push(second);
        }
    }
}

/// RFC 4648 §4 with line breaks; stops at the first other byte, and needs no padding. ModSecurity 2 does so, and so do the
/// decoders that an attack is aimed at; ModSecurity 3 decodes nothing then.
pub(super) fn decode(input: &[u8], out: &mut Vec<u8>) -> bool {
    if input.is_empty() {
        return false;
    }
    out.clear();
    out.reserve(input.len() / 4 * 3 + 3);
    let mut digits = Digits { out, bits: 0, count: 0 };
    for byte in input {
        match VALUES[usize::from(*byte)] {
            NONE if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') => {}
            NONE => break,
            value => digits.push(value),
        }
    }
    digits.finish();
    true
}

/// As PHP does: both alphabets of RFC 4648, and other bytes are skipped. Padding after one digit of four makes it nothing.
pub(super) fn decode_forgiving(input: &[u8], out: &mut Vec<u8>) -> bool {
    if input.is_empty() {
        return false;
    }
    out.clear();
    out.reserve(input.len() / 4 * 3 + 3);
    let mut digits = Digits { out, bits: 0, count: 0 };
    let mut rest = input;
    while let [byte, after @ ..] = rest {
        rest = after;
        match (*byte, VALUES[usize::from(*byte)]) {
            (b'=', _) if digits.count % 4 == 1 && after.first() != Some(&b'=') => {
                digits.out.clear();
                return true;
            }
            (b'-', _) => digits.push(62),
            (b'_', _) => digits.push(63),
            (_, NONE) => {}
            (_, value) => digits.push(value),
        }
    }
    digits.finish();
    true
}

/// RFC 4648 §4, padded.
pub(super) fn encode(input: &[u8], out: &mut Vec<u8>) -> bool {
    if input.is_empty() {
        return false;
    }
    out.clear();
    out.reserve(input.len().div_ceil(3) * 4);
    let symbols = |bits: u32| [18, 12, 6, 0].map(|shift| ALPHABET[(bits >> shift & 63) as usize]);
    let (triples, rest) = input.as_chunks::<3>();
    for [a, b, c] in triples {
        out.extend_from_slice(&symbols(u32::from_be_bytes([0, *a, *b, *c])));
    }
    match rest {
        [a] => {
            let [first, second, ..] = symbols(u32::from_be_bytes([0, *a, 0, 0]));
            out.extend_from_slice(&[first, second, b'=', b'=']);
        }
        [a, b] => {
            let [first, second, third, _] = symbols(u32::from_be_bytes([0, *a, *b, 0]));
            out.extend_from_slice(&[first, second, third, b'=']);
        }
        _ => {}
    }
    true
}
