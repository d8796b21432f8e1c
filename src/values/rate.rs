//! Rates, a count per period: `100/1m`, `5/1s`, `1000/1h`.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use super::duration::Duration;
use super::text::{Malformed, Notation, written_as_text};

/// At least one event per period of at least a millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    count: NonZeroU32,
    period: Duration,
}

impl Rate {
    pub const fn new(count: NonZeroU32, period: Duration) -> Self {
        Self { count, period }
    }

    /// Events per [`period`](Self::period).
    pub const fn count(self) -> NonZeroU32 {
        self.count
    }

    /// The time in which [`count`](Self::count) events may happen.
    pub fn period(self) -> std::time::Duration {
        *self.period
    }
}

impl FromStr for Rate {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let refused = || Malformed::new(Self::EXPECTED, text);
        let (count, period) = text.split_once('/').ok_or_else(refused)?;
        if count.is_empty() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refused());
        }
        let count = count
            .parse::<u32>()
            .ok()
            .and_then(NonZeroU32::new)
            .ok_or_else(|| refused().hint("the count is from 1 to 4294967295"))?;
        match period.parse() {
            Ok(period) => Ok(Self { count, period }),
            Err(_) if matches!(period, "d" | "h" | "m" | "s" | "ms") => {
                Err(refused().hint(format_args!("write {count}/1{period}")))
            }
            Err(error) => Err(refused().hint(error)),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.count, self.period)
    }
}

impl Notation for Rate {
    const NAME: &'static str = "Rate";
    const EXPECTED: &'static str = "a rate such as 100/1m";
    const PATTERN: &'static str = "^[0-9]+/([0-9]+(d|h|m|s|ms))+$";
}

written_as_text!(Rate);

#[cfg(test)]
mod tests;
