//! RFC 3339 timestamps in UTC with milliseconds, e.g. `2026-01-02T03:04:05.678Z`: always 24 bytes, so that log
//! lines sort as text. The calendar is the proleptic Gregorian one; leap seconds do not exist in Unix time.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::values::digits;

/// The last millisecond that four digits of a year can say: 9999-12-31T23:59:59.999Z.
const LAST_MS: u64 = 253_402_300_799_999;
const DAY_MS: u64 = 86_400_000;

/// Milliseconds since the Unix epoch; 0 for a clock set before it.
#[must_use]
pub fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A second as text, up to the point before its milliseconds: `2026-01-02T03:04:05.`
type Second = [u8; 20];

/// Appends the moment `unix_ms` milliseconds after the Unix epoch. Moments after the year 9999 are written as its end.
pub fn push_rfc3339(out: &mut Vec<u8>, unix_ms: u64) {
    thread_local! {
        /// The second asked for last: thousands of requests share one.
        static LAST: Cell<(u64, Second)> = const { Cell::new((0, *b"1970-01-01T00:00:00.")) };
    }
    let unix_ms = unix_ms.min(LAST_MS);
    let (mut second, mut text) = LAST.get();
    if second != unix_ms / 1000 {
        (second, text) = (unix_ms / 1000, render(unix_ms));
        LAST.set((second, text));
    }
    out.extend_from_slice(&text);
    digits::push_padded(out, unix_ms % 1000, 3);
    out.push(b'Z');
}

fn render(unix_ms: u64) -> Second {
    let mut out = Vec::with_capacity(32);
    let (year, month, day) = civil_from_days(unix_ms / DAY_MS);
    digits::push_padded(&mut out, year, 4);
    for (separator, number) in [(b'-', month), (b'-', day)] {
        out.push(separator);
        digits::push_padded(&mut out, number, 2);
    }
    out.push(b'T');
    push_time_of_day(&mut out, unix_ms);
    out.first_chunk().copied().unwrap_or_default()
}

/// Appends the UTC time of day alone, e.g. `03:04:05.678`.
pub fn push_time_of_day(out: &mut Vec<u8>, unix_ms: u64) {
    let ms = unix_ms % DAY_MS;
    digits::push_padded(out, ms / 3_600_000, 2);
    out.push(b':');
    digits::push_padded(out, ms / 60_000 % 60, 2);
    out.push(b':');
    digits::push_padded(out, ms / 1000 % 60, 2);
    out.push(b'.');
    digits::push_padded(out, ms % 1000, 3);
}

/// Year, month and day of a day counted from 1970-01-01.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`. Years begin in March
/// there, so that the leap day comes last and month lengths follow one linear formula.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // since 0000-03-01
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn text(unix_ms: u64) -> String {
        let mut out = Vec::new();
        push_rfc3339(&mut out, unix_ms);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_known_moments() {
        // Expected values from GNU date, `date -u -d @SECONDS --iso-8601=ns`.
        for (unix_ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_767_323_045_678, "2026-01-02T03:04:05.678Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (LAST_MS, "9999-12-31T23:59:59.999Z"),
            (u64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(text(unix_ms), expected);
        }
    }

    #[test]
    fn counts_days_like_a_calendar_walked_day_by_day() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..200_000 {
            assert_eq!(civil_from_days(days), (year, month, day));
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 => 28 + u64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
    }

    #[test]
    fn takes_a_clock_before_the_epoch_for_the_epoch() {
        assert_eq!(unix_ms(UNIX_EPOCH - Duration::from_secs(1)), 0);
        assert_eq!(unix_ms(UNIX_EPOCH + Duration::from_micros(1_999)), 1);
    }
}
