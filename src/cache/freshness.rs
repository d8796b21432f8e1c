//! How long a response is fresh, how old it is, and whether that is good enough for a request (RFC 9111 §4.2).

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

use bytes::{Buf, BufMut};
use http::header::{AGE, DATE, EXPIRES, LAST_MODIFIED};
use http::{HeaderMap, StatusCode};

use super::directives::{RequestDirectives, ResponseDirectives, Scope};
use super::scalars::{MAX_SECONDS, date, delta_seconds};
use crate::http::fields::{list, trim_ows};

/// A response as it came, without its content.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    pub status: StatusCode,
    pub headers: &'a HeaderMap,
    /// When the request was sent that it answers.
    pub requested_at: SystemTime,
    /// When its head was complete.
    pub received_at: SystemTime,
}

/// What an operator adds to what origins say. Times are in seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Responses that say nothing of their lifetime are fresh for a tenth of the time since they were last modified, at
    /// most this long (RFC 9111 §4.2.2). Zero: never.
    pub heuristic_max: u32,
    /// How long responses of which status are fresh that say nothing of it. The first that fits counts; a 401 asks for
    /// credentials that the next client may have, so only what names it alone fits it.
    pub default_lifetimes: Vec<(RangeInclusive<u16>, u32)>,
    /// What responses that do not say `stale-while-revalidate` are taken to say.
    pub stale_while_revalidate: u32,
    /// What responses that do not say `stale-if-error` are taken to say.
    pub stale_if_error: u32,
    /// How long stale responses are used at least while the origin cannot be reached at all (RFC 9111 §4.2.4).
    pub stale_if_unreachable: u32,
}

/// A day's heuristics at most, no lifetimes of its own, nothing stale but for five minutes without an origin.
impl Default for Rules {
    fn default() -> Self {
        Self {
            heuristic_max: 86_400,
            default_lifetimes: Vec::new(),
            stale_while_revalidate: 0,
            stale_if_error: 0,
            stale_if_unreachable: 300,
        }
    }
}

/// What is to be known of a stored response to judge it at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// In milliseconds of Unix time, because a million of these are kept.
    received_at_ms: u64,
    /// `corrected_initial_age` of RFC 9111 §4.2.3, in milliseconds.
    initial_age_ms: u64,
    lifetime: u32,
    stale_while_revalidate: u32,
    stale_if_error: u32,
    reuse: Reuse,
}

/// What a response allows without asking the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reuse {
    /// While it is fresh, and stale where something permits that.
    Usual = 0,
    /// While it is fresh alone: `must-revalidate`, `proxy-revalidate`, `s-maxage` (§5.2.2.2, §5.2.2.8, §5.2.2.10).
    Fresh = 1,
    /// Never: `no-cache` (§5.2.2.4).
    Never = 2,
}

/// Whether a stored response answers a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It does, and is fresh.
    Fresh,
    /// It does although it is stale, because the client said `max-stale`.
    Stale,
    /// It does although it is stale; ask the origin in the background (RFC 5861 §3).
    StaleWhileRevalidate,
    /// The origin must be asked first.
    Validate(Why),
}

/// Why the origin must be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The response is stale, or says `no-cache`.
    Stale,
    /// The response is fresh; the client wants more than that.
    Request,
}

impl Freshness {
    /// Judges a response by what it says and by `rules`.
    #[must_use]
    pub fn new(response: &Received<'_>, directives: &ResponseDirectives, rules: &Rules) -> Self {
        let never_stale =
            directives.must_revalidate || directives.proxy_revalidate || directives.s_maxage.is_some();
        let reuse = match directives.no_cache {
            Scope::Response => Reuse::Never,
            Scope::Fields(_) | Scope::Nothing if never_stale => Reuse::Fresh,
            Scope::Fields(_) | Scope::Nothing => Reuse::Usual,
        };
        Self {
            received_at_ms: unix_millis(response.received_at),
            initial_age_ms: millis(initial_age(response)),
            lifetime: lifetime(response, directives, rules).unwrap_or(0),
            stale_while_revalidate: directives.stale_while_revalidate.unwrap_or(rules.stale_while_revalidate),
            stale_if_error: directives.stale_if_error.unwrap_or(rules.stale_if_error),
            reuse,
        }
    }

    /// How old the response is (RFC 9111 §4.2.3), for `Age`. A wall clock that was set back adds nothing.
    #[must_use]
    pub fn age(&self, now: SystemTime) -> Duration {
        let resident = unix_millis(now).saturating_sub(self.received_at_ms);
        Duration::from_millis(self.initial_age_ms.saturating_add(resident))
    }

    /// The whole seconds it stays fresh, negative once it is stale, for `ttl` in `Cache-Status`.
    #[must_use]
    pub fn ttl(&self, now: SystemTime) -> i64 {
        let age = i64::try_from(self.age(now).as_secs()).unwrap_or(i64::MAX);
        i64::from(self.lifetime).saturating_sub(age)
    }

    /// Whether it can ever answer a request before the origin was asked.
    #[must_use]
    pub fn is_ever_reusable(&self) -> bool {
        let lasting = self.lifetime.saturating_add(match self.reuse {
            Reuse::Usual => self.stale_while_revalidate.max(self.stale_if_error),
            Reuse::Fresh | Reuse::Never => 0,
        });
        self.reuse != Reuse::Never && Duration::from_millis(self.initial_age_ms) < seconds(lasting)
    }

    /// The same response, stale since `when` if not before: a purge that leaves it for want of a better one.
    #[must_use]
    pub fn expired_at(mut self, when: SystemTime) -> Self {
        let age = u32::try_from(self.age(when).as_secs()).unwrap_or(MAX_SECONDS);
        self.lifetime = self.lifetime.min(age);
        self
    }

    /// Whether it answers a request that says `asked`, at `now`. With `only_if_cached`, [`Verdict::Validate`] means a
    /// 504 (RFC 9111 §5.2.1.7).
    #[must_use]
    pub fn judge(&self, asked: &RequestDirectives, now: SystemTime) -> Verdict {
        if self.reuse == Reuse::Never {
            return Verdict::Validate(Why::Stale);
        }
        let age = self.age(now);
        let Some(staleness) = self.staleness(age) else {
            let enough = is_enough(age, self.lifetime, asked);
            return if enough { Verdict::Fresh } else { Verdict::Validate(Why::Request) };
        };
        // `max-age` alone asks for a fresh response (RFC 9111 §5.2.1.1).
        let young = asked.max_age.is_none_or(|max| asked.max_stale.is_some() && age <= seconds(max));
        if self.reuse == Reuse::Fresh || !young || asked.no_cache || asked.min_fresh > 0 {
            return Verdict::Validate(Why::Stale);
        }
        if asked.max_stale.is_some_and(|max| max == u32::MAX || staleness <= seconds(max)) {
            return Verdict::Stale;
        }
        let refreshing = staleness < seconds(self.stale_while_revalidate);
        if refreshing { Verdict::StaleWhileRevalidate } else { Verdict::Validate(Why::Stale) }
    }

    /// Whether it may stand in for an origin that fails or cannot be reached (RFC 5861 §4; [`is_failure`]), for at `least` so
    /// many seconds after it was fresh. If not, the client gets the origin's error, or a 504 where there is none (RFC 9111
    /// §5.2.2.2).
    #[must_use]
    pub fn stands_in_for_an_error(&self, asked: &RequestDirectives, least: u32, now: SystemTime) -> bool {
        let window = seconds(self.stale_if_error.max(asked.stale_if_error.unwrap_or(0)).max(least));
        match (self.reuse, self.staleness(self.age(now))) {
            (Reuse::Never, _) | (Reuse::Fresh, Some(_)) => false,
            (Reuse::Usual | Reuse::Fresh, None) => true,
            (Reuse::Usual, Some(staleness)) => staleness < window,
        }
    }

    /// Appends it as it is stored on disk.
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        bytes.put_u64_le(self.received_at_ms);
        bytes.put_u64_le(self.initial_age_ms);
        for seconds in [self.lifetime, self.stale_while_revalidate, self.stale_if_error] {
            bytes.put_u32_le(seconds);
        }
        bytes.put_u8(self.reuse as u8);
    }

    /// Reads what [`write`](Self::write) wrote.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let mut seconds = || bytes.try_get_u64_le().ok();
        let (received_at_ms, initial_age_ms) = (seconds()?, seconds()?);
        let mut seconds = || bytes.try_get_u32_le().ok();
        let (lifetime, stale_while_revalidate, stale_if_error) = (seconds()?, seconds()?, seconds()?);
        let reuse = match bytes.try_get_u8().ok()? {
            0 => Reuse::Usual,
            1 => Reuse::Fresh,
            2 => Reuse::Never,
            _ => return None,
        };
        Some(Self { received_at_ms, initial_age_ms, lifetime, stale_while_revalidate, stale_if_error, reuse })
    }

    /// For how long it has been stale; `None` while it is fresh.
    fn staleness(&self, age: Duration) -> Option<Duration> {
        age.checked_sub(seconds(self.lifetime))
    }
}

/// Whether a status is an error that a stale response may stand in for (RFC 5861 §4).
#[must_use]
pub const fn is_failure(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}

/// How long a response is fresh, in seconds, counted from its age zero (RFC 9111 §4.2.1); `None` if neither it nor the
/// rules say anything, not even that it is stale.
#[must_use]
pub fn lifetime(response: &Received<'_>, directives: &ResponseDirectives, rules: &Rules) -> Option<u32> {
    let told = directives.s_maxage.or(directives.max_age);
    let expires = || if directives.targeted { None } else { expires(response) };
    told.or_else(expires).or_else(|| {
        let status = response.status.as_u16();
        let fits = |statuses: &RangeInclusive<u16>| {
            statuses.contains(&status) && (status != 401 || statuses.start() == statuses.end())
        };
        let default = rules.default_lifetimes.iter().find(|(statuses, _)| fits(statuses));
        default.map(|(_, lifetime)| *lifetime).or_else(|| heuristic(response, directives, rules))
    })
}

/// Statuses whose responses may be fresh without saying so (RFC 9110 §15.1).
#[must_use]
pub const fn is_heuristically_cacheable(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// `Expires` less `Date`. What is no date, `0` above all, is in the past (§5.3); of several, the first counts (§4.2.1).
fn expires(response: &Received<'_>) -> Option<u32> {
    let expires = response.headers.get(EXPIRES)?;
    let lifetime = date(expires).and_then(|expires| expires.duration_since(date_value(response)).ok());
    Some(whole_seconds(lifetime.unwrap_or_default()))
}

fn heuristic(response: &Received<'_>, directives: &ResponseDirectives, rules: &Rules) -> Option<u32> {
    if !is_heuristically_cacheable(response.status) && !directives.public {
        return None;
    }
    let modified = date(response.headers.get(LAST_MODIFIED)?)?;
    let unchanged = date_value(response).duration_since(modified).ok()?;
    Some(whole_seconds(unchanged / 10).min(rules.heuristic_max)).filter(|lifetime| *lifetime > 0)
}

/// When the origin made the response; when it came, if it does not say (RFC 9110 §6.6.1).
fn date_value(response: &Received<'_>) -> SystemTime {
    response.headers.get(DATE).and_then(date).unwrap_or(response.received_at)
}

/// RFC 9111 §4.2.3. `Date` is in whole seconds, so the apparent age is, too: half a second more than nothing is nothing.
fn initial_age(response: &Received<'_>) -> Duration {
    let apparent = response.received_at.duration_since(date_value(response)).unwrap_or_default();
    let apparent = Duration::from_secs(apparent.as_secs());
    let delay = response.received_at.duration_since(response.requested_at).unwrap_or_default();
    let corrected = seconds(age_value(response.headers)).saturating_add(delay);
    apparent.max(corrected)
}

/// Of a list the first member counts; one that is no non-negative integer counts for nothing (RFC 9111 §5.1).
fn age_value(headers: &HeaderMap) -> u32 {
    let first = headers.get(AGE).and_then(|line| list(line.as_bytes()).next());
    first.and_then(|age| delta_seconds(trim_ows(age))).unwrap_or(0)
}

/// Whether a fresh response is what the client asks for (RFC 9111 §5.2.1).
fn is_enough(age: Duration, lifetime: u32, asked: &RequestDirectives) -> bool {
    // `max-age=0` is how browsers ask for validation; nothing stored is so young, however quick the client.
    let young = asked.max_age.is_none_or(|max| max > 0 && age <= seconds(max));
    let lasting = seconds(lifetime) >= age.saturating_add(seconds(asked.min_fresh));
    young && lasting && !asked.no_cache
}

const fn seconds(count: u32) -> Duration {
    Duration::from_secs(count as u64)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn unix_millis(time: SystemTime) -> u64 {
    millis(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(MAX_SECONDS).min(MAX_SECONDS)
}

#[cfg(test)]
mod tests;
