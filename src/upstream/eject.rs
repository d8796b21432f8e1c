//! Passive ejection: a backend whose requests keep failing gets none for a while, long before active checks
//! see it.
//!
//! When the time is over it gets requests again; the first failure then ejects it anew, the first success
//! clears it.

use std::num::NonZeroU32;
use std::time::Duration as StdDuration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::spec::word_or_map;
use crate::values::{Duration, Problem};

/// Keeps backends out whose requests keep failing, or `off`. On by default.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(rename = "Eject", untagged)]
pub enum Spec {
    /// Turned off.
    Word(Word),
    /// With these limits.
    On(Limits),
}

/// `off`: no backend is kept out because requests to it failed.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "EjectOff")]
pub enum Word {
    Off,
}

/// When a backend is kept out, and for how long.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "EjectLimits")]
pub struct Limits {
    /// Failures in a row: no connection, no answer in time, a broken answer, or status 502, 503 or 504. Other
    /// statuses count as success, 500 too: it is the application's own.
    pub failures: NonZeroU32,
    /// How long it gets no requests.
    #[serde(rename = "for")]
    pub period: Duration,
    /// Share of the backends that may be out at once, 1 to 100. One always stays, whatever the share.
    pub max_percent: u8,
}

/// When a backend is ejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Eject {
    pub(super) failures: u32,
    pub(super) period: StdDuration,
    max_percent: usize,
}

impl Spec {
    /// What it means; `None` when turned off.
    ///
    /// # Errors
    /// When `max_percent` is no share.
    pub fn compile(self) -> Result<Option<Eject>, Problem> {
        let limits = match self {
            Self::Word(Word::Off) => return Ok(None),
            Self::On(limits) => limits,
        };
        if !(1..=100).contains(&limits.max_percent) {
            return Err(Problem::new("max_percent", "expected 1 to 100; write eject: off for no ejection"));
        }
        Ok(Some(Eject {
            failures: limits.failures.get(),
            period: *limits.period,
            max_percent: limits.max_percent.into(),
        }))
    }
}

impl Eject {
    /// How many of so many backends may be out at once.
    #[must_use]
    pub fn most(&self, backends: usize) -> usize {
        (backends.saturating_mul(self.max_percent) / 100).min(backends.saturating_sub(1))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            failures: const { NonZeroU32::new(5).unwrap() },
            period: Duration::from_secs(10),
            max_percent: 50,
        }
    }
}

impl Default for Spec {
    fn default() -> Self {
        Self::On(Limits::default())
    }
}

impl From<Word> for Spec {
    fn from(word: Word) -> Self {
        Self::Word(word)
    }
}

impl From<Limits> for Spec {
    fn from(limits: Limits) -> Self {
        Self::On(limits)
    }
}

impl<'de> Deserialize<'de> for Spec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        word_or_map::<_, Word, Limits, _>(deserializer, "off or limits such as { failures: 5, for: 10s }")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<Option<Eject>, String> {
        let spec: Spec = serde_yaml::from_str(yaml).map_err(|error| error.to_string())?;
        spec.compile().map_err(|problem| problem.to_string())
    }

    #[test]
    fn is_on_by_default_and_can_be_turned_off() {
        assert_eq!(read("{}"), Ok(Spec::default().compile().unwrap()));
        assert!(read("{}").unwrap().is_some());
        assert_eq!(read("off"), Ok(None));
    }

    #[test]
    fn takes_each_limit() {
        let eject = read("{ failures: 3, for: 1m, max_percent: 20 }").unwrap().unwrap();
        assert_eq!((eject.failures, eject.period, eject.most(10)), (3, StdDuration::from_secs(60), 2));
    }

    #[test]
    fn never_lets_all_be_out() {
        let eject = read("{ max_percent: 100 }").unwrap().unwrap();
        assert_eq!([0, 1, 2, 10].map(|backends| eject.most(backends)), [0, 0, 1, 9]);
        assert_eq!(read("{}").unwrap().unwrap().most(3), 1);
    }

    #[test]
    fn refuses_what_is_no_limit() {
        for yaml in
            ["on", "{ failures: 0 }", "{ for: 0s }", "{ max_percent: 0 }", "{ max_percent: 101 }", "{ x: 1 }"]
        {
            assert!(read(yaml).is_err(), "{yaml}");
        }
    }
}
