//! Points in time as a policy and a store write them: RFC 3339 (`2026-12-31T00:00:00Z`), or a date for its first second
//! in UTC (`2026-12-31`). Whole seconds from 1970 to the end of 9999, so no arithmetic overflows.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::state::clock::unix_seconds;
use crate::values::text::quoted;

/// 9999-12-31T23:59:59Z, the last second that RFC 3339 can write.
const LAST: u64 = 253_402_300_799;

/// A second of Unix time. Written as `2026-12-31T00:00:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ].+)?$"))]
pub struct Moment(u64);

/// Why a text is not a [`Moment`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a time such as 2026-12-31T00:00:00Z, or a date such as 2026-12-31, found {0}")]
pub struct NotAMoment(String);

impl Moment {
    /// The end of the year 9999, the last that can be written.
    pub const LAST: Self = Self(LAST);

    /// The moment so many seconds after the Unix epoch, at most the end of the year 9999.
    pub const fn from_unix(seconds: u64) -> Self {
        Self(if seconds > LAST { LAST } else { seconds })
    }

    /// Seconds since the Unix epoch.
    pub const fn unix(self) -> u64 {
        self.0
    }

    /// So much later; a fraction of a second counts as a whole one.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self::from_unix(self.0.saturating_add(whole_seconds(duration)))
    }

    /// So much earlier, at the earliest the Unix epoch.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(whole_seconds(duration)))
    }

    /// How long ago `earlier` was; zero if it is yet to come.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }

    /// As HTTP writes dates (RFC 9110 §5.6.7): `Thu, 31 Dec 2026 00:00:00 GMT`.
    pub fn http_date(self) -> String {
        self.utc().format("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    fn utc(self) -> DateTime<Utc> {
        let seconds = i64::try_from(self.0).unwrap_or_default();
        DateTime::from_timestamp(seconds, 0).unwrap_or_default()
    }
}

const fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add((duration.subsec_nanos() > 0) as u64)
}

impl From<SystemTime> for Moment {
    /// A clock set before 1970 shows 1970.
    fn from(time: SystemTime) -> Self {
        Self::from_unix(unix_seconds(time))
    }
}

impl FromStr for Moment {
    type Err = NotAMoment;

    fn from_str(text: &str) -> Result<Self, NotAMoment> {
        let parsed = if is_date(text) {
            text.parse::<NaiveDate>().ok().map(|date| date.and_time(NaiveTime::MIN).and_utc().timestamp())
        } else {
            DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp())
        };
        parsed
            .and_then(|seconds| u64::try_from(seconds).ok())
            .filter(|seconds| *seconds <= LAST)
            .map(Self)
            .ok_or_else(|| NotAMoment(quoted(text)))
    }
}

/// Whether it has the shape of a date. chrono alone would take `+2026-1-1` for one too.
fn is_date(text: &str) -> bool {
    let fits =
        |(at, byte): (usize, u8)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() };
    text.len() == 10 && text.bytes().enumerate().all(fits)
}

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.utc().to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

impl TryFrom<String> for Moment {
    type Error = NotAMoment;

    fn try_from(text: String) -> Result<Self, NotAMoment> {
        text.parse()
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        moment.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn parsed(text: &str) -> Option<u64> {
        text.parse().ok().map(Moment::unix)
    }

    #[test]
    fn reads_times_and_dates() {
        // Expected values from GNU date, `date -u -d TEXT +%s`.
        for (text, expected) in [
            ("1970-01-01", 0),
            ("2024-02-29", 1_709_164_800),
            ("2026-12-31", 1_798_675_200),
            ("2026-12-31T00:00:00Z", 1_798_675_200),
            ("2026-12-31T01:30:00+01:30", 1_798_675_200),
            ("2026-12-31T00:00:00.999Z", 1_798_675_200),
            ("9999-12-31T23:59:59Z", LAST),
        ] {
            assert_eq!(parsed(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_neither() {
        for text in [
            "",
            "2026",
            "2026-12",
            "2026-02-29",
            "2026-13-01",
            "2026-1-1",
            "+2026-12-3",
            "20261231",
            "31-12-2026",
            "2026-12-31T00:00:00",
            "2026-12-31T24:00:00Z",
            "1969-12-31",
            "1969-12-31T23:59:59Z",
            "9999-12-31T23:59:59-00:01",
            "tomorrow",
            "２０２６-12-31",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
        let message = "soon".parse::<Moment>().unwrap_err().to_string();
        assert!(message.starts_with("expected a time such as") && message.ends_with("found \"soon\""));
    }

    #[test]
    fn prints_what_it_reads() {
        for text in ["1970-01-01T00:00:00Z", "2026-12-31T23:59:59Z", "9999-12-31T23:59:59Z"] {
            assert_eq!(text.parse::<Moment>().unwrap().to_string(), text);
        }
        assert_eq!(Moment::from_unix(u64::MAX).to_string(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn prints_dates_as_http_does() {
        // The example of RFC 8594 §3.
        let moment: Moment = "2018-12-31T23:59:59Z".parse().unwrap();
        assert_eq!(moment.http_date(), "Mon, 31 Dec 2018 23:59:59 GMT");
        assert_eq!(Moment::from_unix(0).http_date(), "Thu, 01 Jan 1970 00:00:00 GMT");
    }

    #[test]
    fn adds_and_takes_away_within_its_bounds() {
        let moment = Moment::from_unix(1000);
        assert_eq!(moment.plus(Duration::from_millis(1)).unix(), 1001);
        assert_eq!(moment.plus(Duration::MAX).unix(), LAST);
        assert_eq!(moment.minus(Duration::from_secs(1001)).unix(), 0);
        assert_eq!(moment.since(Moment::from_unix(400)), Duration::from_secs(600));
        assert_eq!(Moment::from_unix(400).since(moment), Duration::ZERO);
        assert_eq!(Moment::from(UNIX_EPOCH + Duration::from_millis(1999)).unix(), 1);
    }
}
