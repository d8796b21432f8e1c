//! How long session ticket keys live.
//!
//! BoringSSL makes ticket keys for each context by itself, never shows them, makes new ones after 48 hours and honours
//! the previous ones for as long again. Setting keys of our own is an `unsafe` function of its binding, so keys are
//! retired with their context: when they are due, handshakes start from a fresh one, and a client with an old ticket
//! does one full handshake. A stolen key thus opens the TLS 1.2 traffic of one period at most (TLS 1.3 resumption
//! does its own key exchange). The price: no ticket survives a rotation, a restart or a hand-over to another process.

use std::time::Duration;

use super::spec::{TicketsMode, TicketsSpec};
use crate::values::Problem;

const DEFAULT_PERIOD: Duration = Duration::from_secs(12 * 3600);
const LONGEST_PERIOD: Duration = Duration::from_secs(48 * 3600);

/// Session tickets, compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tickets {
    Off,
    /// Keys are retired after this many seconds.
    Rotated(i64),
}

impl Tickets {
    pub(super) fn compile(spec: &TicketsSpec) -> Result<Self, Problem> {
        match (spec.mode, spec.rotate) {
            (TicketsMode::Off, None) => Ok(Self::Off),
            (TicketsMode::Off, Some(_)) => Err(Problem::new("rotate", "no keys rotate with mode `off`")),
            (TicketsMode::On, Some(period)) if *period > LONGEST_PERIOD => {
                Err(Problem::new("rotate", "ticket keys live for at most 48h"))
            }
            (TicketsMode::On, period) => {
                let period = period.map_or(DEFAULT_PERIOD, Duration::from);
                Ok(Self::Rotated(i64::try_from(period.as_secs()).unwrap_or(i64::MAX).max(1)))
            }
        }
    }

    /// Whether keys made at `since` are to be retired at `now`. They are also when the clock was set back.
    pub(super) fn due(self, since: i64, now: i64) -> bool {
        match self {
            Self::Off => false,
            Self::Rotated(period) => !(since..since.saturating_add(period)).contains(&now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(mode: TicketsMode, rotate: Option<&str>) -> TicketsSpec {
        TicketsSpec { mode, rotate: rotate.map(|text| text.parse().unwrap()) }
    }

    #[test]
    fn retires_keys_when_their_period_is_over_or_the_clock_was_set_back() {
        let tickets = Tickets::compile(&spec(TicketsMode::On, Some("1h"))).unwrap();
        assert!(!tickets.due(1000, 1000));
        assert!(!tickets.due(1000, 4599));
        assert!(tickets.due(1000, 4600));
        assert!(tickets.due(1000, 999));
        assert!(!Tickets::Off.due(1000, i64::MAX));
    }

    #[test]
    fn keeps_keys_for_twelve_hours_unless_told_otherwise() {
        assert_eq!(Tickets::compile(&TicketsSpec::default()), Ok(Tickets::Rotated(43_200)));
        assert_eq!(Tickets::compile(&spec(TicketsMode::Off, None)), Ok(Tickets::Off));
    }

    #[test]
    fn refuses_periods_that_mean_nothing() {
        assert!(Tickets::compile(&spec(TicketsMode::On, Some("48h"))).is_ok());
        assert_eq!(Tickets::compile(&spec(TicketsMode::On, Some("49h"))).unwrap_err().at, "rotate");
        assert_eq!(Tickets::compile(&spec(TicketsMode::Off, Some("1h"))).unwrap_err().at, "rotate");
    }
}
