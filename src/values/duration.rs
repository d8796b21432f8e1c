//! Lengths of time: `250ms`, `1s`, `5m`, `1h`, `30d`, and compounds such as `1m30s` with the largest unit
//! first.
//!
//! A unit is always written. [`Duration`] is never zero, because a timeout or interval of zero means "never"
//! to some readers and "at once" to others; where zero has one meaning, [`DurationOrZero`] takes it. Neither
//! exceeds ten years, so adding one to a clock cannot overflow.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::time::Duration as StdDuration;

use super::text::{Malformed, Notation, written_as_text};

/// Units with their length in milliseconds, largest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

const LONGEST_DAYS: u64 = 3650;
const LONGEST_MS: u64 = LONGEST_DAYS * 86_400_000;

/// A length of time from 1 millisecond to 3650 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(StdDuration);

/// A length of time from zero (written `0s`) to 3650 days.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DurationOrZero(StdDuration);

impl Duration {
    /// For defaults. Clamped to the range of the type.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(StdDuration::from_millis(match milliseconds {
            0 => 1,
            1..=LONGEST_MS => milliseconds,
            _ => LONGEST_MS,
        }))
    }

    /// For defaults. Clamped to the range of the type.
    pub const fn from_secs(seconds: u64) -> Self {
        Self::from_millis(seconds.saturating_mul(1_000))
    }
}

impl DurationOrZero {
    pub const ZERO: Self = Self(StdDuration::ZERO);

    /// For defaults. Clamped to the range of the type.
    pub const fn from_millis(milliseconds: u64) -> Self {
        match milliseconds {
            0 => Self::ZERO,
            _ => Self(Duration::from_millis(milliseconds).0),
        }
    }

    /// For defaults. Clamped to the range of the type.
    pub const fn from_secs(seconds: u64) -> Self {
        Self::from_millis(seconds.saturating_mul(1_000))
    }
}

impl Deref for Duration {
    type Target = StdDuration;

    fn deref(&self) -> &StdDuration {
        &self.0
    }
}

impl Deref for DurationOrZero {
    type Target = StdDuration;

    fn deref(&self) -> &StdDuration {
        &self.0
    }
}

impl From<Duration> for StdDuration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl From<DurationOrZero> for StdDuration {
    fn from(duration: DurationOrZero) -> Self {
        duration.0
    }
}

impl FromStr for Duration {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        match milliseconds(text)? {
            0 => Err(Malformed::new("a duration above zero such as 1s", text)),
            milliseconds => Ok(Self(StdDuration::from_millis(milliseconds))),
        }
    }
}

impl FromStr for DurationOrZero {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        Ok(Self(StdDuration::from_millis(milliseconds(text)?)))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_units(self.0, formatter)
    }
}

impl fmt::Display for DurationOrZero {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_units(self.0, formatter)
    }
}

impl Notation for Duration {
    const NAME: &'static str = "Duration";
    const EXPECTED: &'static str = "a duration such as 1s";
    const PATTERN: &'static str = "^([0-9]+(d|h|m|s|ms))+$";
}

impl Notation for DurationOrZero {
    const NAME: &'static str = "DurationOrZero";
    const EXPECTED: &'static str = "a duration such as 1s or 0s";
    const PATTERN: &'static str = Duration::PATTERN;
}

written_as_text!(Duration);
written_as_text!(DurationOrZero);

fn milliseconds(text: &str) -> Result<u64, Malformed> {
    let refused = || Malformed::new(Duration::EXPECTED, text);
    let mut total = 0_u64;
    let mut smallest = u64::MAX;
    let mut rest = text;
    loop {
        let tail = rest.trim_start_matches(|character: char| character.is_ascii_digit());
        let number = &rest[..rest.len() - tail.len()];
        let next = tail.trim_start_matches(|character: char| !character.is_ascii_digit());
        let unit = &tail[..tail.len() - next.len()];
        if number.is_empty() {
            return Err(refused());
        }
        if unit.is_empty() {
            return Err(refused().hint(format_args!("it needs a unit, write {text}s or {text}ms")));
        }
        let Some((_, length)) = UNITS.into_iter().find(|(name, _)| *name == unit) else {
            return Err(refused().hint("the units are d, h, m, s and ms"));
        };
        if length >= smallest {
            return Err(refused().hint("write the largest unit first, each once"));
        }
        smallest = length;
        total = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(length))
            .and_then(|part| part.checked_add(total))
            .filter(|total| *total <= LONGEST_MS)
            .ok_or_else(|| Malformed::new(&format!("a duration of at most {LONGEST_DAYS}d"), text))?;
        rest = next;
        if rest.is_empty() {
            return Ok(total);
        }
    }
}

fn write_units(duration: StdDuration, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut rest = duration.as_millis();
    if rest == 0 {
        return formatter.write_str("0s");
    }
    for (unit, length) in UNITS {
        let count = rest / u128::from(length);
        rest %= u128::from(length);
        if count > 0 {
            write!(formatter, "{count}{unit}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
