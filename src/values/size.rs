//! Amounts of data: `512B`, `64KiB`, `10MiB`, `1GiB`, and the decimal `KB`, `MB`, `GB`. A unit is always
//! written.

use std::fmt;
use std::str::FromStr;

use super::text::{Malformed, Notation, written_as_text};

/// Units with their size in bytes, largest first.
const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

const LARGEST: u64 = 1 << 40;

/// A number of bytes from zero (`0B`) to 1024 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

impl Size {
    /// For defaults. At most 1024 GiB, more is cut to that.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(if bytes > LARGEST { LARGEST } else { bytes })
    }

    /// For defaults: `Size::from_kib(64)` is `64KiB`.
    pub const fn from_kib(kib: u64) -> Self {
        Self::from_bytes(kib.saturating_mul(1 << 10))
    }

    /// For defaults: `Size::from_mib(10)` is `10MiB`.
    pub const fn from_mib(mib: u64) -> Self {
        Self::from_bytes(mib.saturating_mul(1 << 20))
    }

    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// For buffers in memory. Where the address space is smaller than the size, all of the address space.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for Size {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let refused = || Malformed::new(Self::EXPECTED, text);
        let unit = text.trim_start_matches(|character: char| character.is_ascii_digit());
        let number = &text[..text.len() - unit.len()];
        if number.is_empty() {
            return Err(refused());
        }
        if unit.is_empty() {
            return Err(refused().hint(format_args!("it needs a unit, write {text}B or {text}KiB")));
        }
        let Some((_, factor)) = UNITS.into_iter().find(|(name, _)| *name == unit) else {
            return Err(refused().hint("the units are B, KiB, MiB, GiB and the decimal KB, MB, GB"));
        };
        number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(factor))
            .filter(|bytes| *bytes <= LARGEST)
            .map(Self)
            .ok_or_else(|| Malformed::new("a size of at most 1024GiB", text))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let largest_whole =
            UNITS.into_iter().find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor));
        let (unit, factor) = largest_whole.unwrap_or(("B", 1));
        write!(formatter, "{}{unit}", self.0 / factor)
    }
}

impl Notation for Size {
    const NAME: &'static str = "Size";
    const EXPECTED: &'static str = "a size such as 64KiB";
    const PATTERN: &'static str = "^[0-9]+([KMG]i?)?B$";
}

written_as_text!(Size);

#[cfg(test)]
mod tests;
