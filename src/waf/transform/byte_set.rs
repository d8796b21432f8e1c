//! A set of bytes, as 256 bits.

/// Which of the 256 bytes are in it. Made of a value, it tells in a few instructions which transformations cannot
/// change the value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ByteSet([u64; 4]);

impl ByteSet {
    /// The set without a byte.
    pub const EMPTY: Self = Self([0; 4]);

    /// The bytes that occur in `bytes`. Reads each once, about a nanosecond a byte.
    #[must_use]
    pub const fn of(bytes: &[u8]) -> Self {
        let mut set = [0_u64; 4];
        let mut rest = bytes;
        while let [byte, after @ ..] = rest {
            set[(*byte >> 6) as usize] |= 1 << (*byte & 63);
            rest = after;
        }
        Self(set)
    }

    /// All bytes from `first` to `last`, both included.
    #[must_use]
    pub const fn range(first: u8, last: u8) -> Self {
        let mut set = Self::EMPTY;
        let mut byte = first;
        while byte <= last {
            set.0[(byte >> 6) as usize] |= 1 << (byte & 63);
            if byte == u8::MAX {
                break;
            }
            byte += 1;
        }
        set
    }

    /// The bytes of either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        let mut set = self.0;
        let mut word = 0;
        while word < 4 {
            set[word] |= other.0[word];
            word += 1;
        }
        Self(set)
    }

    /// The bytes of both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        self.complement().union(other.complement()).complement()
    }

    /// The bytes that are not in it.
    #[must_use]
    pub const fn complement(self) -> Self {
        let [a, b, c, d] = self.0;
        Self([!a, !b, !c, !d])
    }

    /// Whether the byte is in it.
    #[must_use]
    pub const fn contains(&self, byte: u8) -> bool {
        self.0[(byte >> 6) as usize] >> (byte & 63) & 1 == 1
    }

    /// Whether any byte is in both.
    #[must_use]
    pub const fn intersects(&self, other: &Self) -> bool {
        let (these, those) = (&self.0, &other.0);
        (these[0] & those[0]) | (these[1] & those[1]) | (these[2] & those[2]) | (these[3] & those[3]) != 0
    }

    /// With each capital letter's bit moved to its small one.
    #[must_use]
    pub const fn to_ascii_lowercase(self) -> Self {
        const CAPITALS: u64 = ((1 << 26) - 1) << 1;
        let [a, b, c, d] = self.0;
        Self([a, (b & !CAPITALS) | (b & CAPITALS) << 32, c, d])
    }

    /// The bytes in it, from the least.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        let starts = [0_u8, 64, 128, 192];
        self.0.into_iter().zip(starts).flat_map(|(mut word, start)| {
            std::iter::from_fn(move || {
                let bit = u8::try_from(word.trailing_zeros()).ok().filter(|bit| *bit < 64)?;
                word &= word - 1;
                Some(start + bit)
            })
        })
    }

    /// Whether no byte is in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        let [a, b, c, d] = self.0;
        a | b | c | d == 0
    }
}

#[cfg(test)]
mod tests {
    use super::ByteSet;

    #[test]
    fn holds_what_was_put_in_and_nothing_else() {
        let set = ByteSet::of(b"\x00az\xff").union(ByteSet::range(b'0', b'9'));
        for byte in 0..=255 {
            let expected = matches!(byte, 0 | b'a' | b'z' | 255 | b'0'..=b'9');
            assert_eq!(set.contains(byte), expected, "{byte}");
            assert_eq!(set.complement().contains(byte), !expected, "{byte}");
            assert_eq!(set.intersects(&ByteSet::of(&[byte])), expected, "{byte}");
            assert!(ByteSet::range(0, 255).contains(byte));
        }
        assert!(ByteSet::EMPTY.is_empty() && !set.is_empty());
        assert_eq!(set.intersection(ByteSet::of(b"az!")), ByteSet::of(b"az"));
        assert_eq!(set.iter().collect::<Vec<_>>(), b"\x000123456789az\xff");
        assert_eq!(ByteSet::of(b"AZ@[az").to_ascii_lowercase(), ByteSet::of(b"az@["));
    }
}
