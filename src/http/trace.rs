//! W3C Trace Context: `traceparent` read strictly, written anew for the next hop; `tracestate` bounded.
//!
//! Source: <https://www.w3.org/TR/trace-context/>, §3.2 to §3.4 and §4.

use crate::values::digits;

/// The random-trace-id flag of Trace Context level 2; it belongs to the trace and is passed on.
const RANDOM: u8 = 0b10;
const SAMPLED: u8 = 0b01;

/// Bytes of `tracestate` passed on, over all its lines joined with commas (§3.3.1.5 demands 512 at least).
pub const TRACESTATE_MAX_BYTES: usize = 512;
/// Members of `tracestate` passed on (§3.3.1.1).
pub const TRACESTATE_MAX_MEMBERS: usize = 32;

/// A position in a trace: what `traceparent` says. Neither id is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

impl TraceParent {
    /// Starts a trace. The ids come from the caller's random source; a zero becomes one.
    #[must_use]
    pub fn start(trace_id: u128, span_id: u64, sampled: bool) -> Self {
        Self { trace_id: trace_id.max(1), span_id: span_id.max(1), flags: u8::from(sampled) }
    }

    /// Reads a `traceparent` value; `None` if it must be ignored and a new trace started (§4.3).
    ///
    /// Version `00` has exactly 55 bytes, `ff` is invalid, later versions may go on after another `-`. Ids
    /// and flags are lower-case hexadecimal, ids not all zero. More than one `traceparent` line counts as
    /// none: that check is the caller's.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (value, rest) = value.split_at_checked(55)?;
        let mut parts = value.split(|byte| *byte == b'-');
        let version = hex(parts.next()?, 2)?;
        let trace_id = hex(parts.next()?, 32)?;
        let span_id = u64::try_from(hex(parts.next()?, 16)?).ok()?;
        let flags = u8::try_from(hex(parts.next()?, 2)?).ok()?;
        let complete = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.is_empty() || rest.starts_with(b"-"),
        };
        let valid = complete && trace_id != 0 && span_id != 0;
        valid.then_some(Self { trace_id, span_id, flags: flags & (SAMPLED | RANDOM) })
    }

    /// The same trace with a span of this hop's own; the caller gives a random id, a zero becomes one.
    #[must_use]
    pub fn child(self, span_id: u64) -> Self {
        Self { span_id: span_id.max(1), ..self }
    }

    #[must_use]
    pub fn trace_id(&self) -> u128 {
        self.trace_id
    }

    #[must_use]
    pub fn span_id(&self) -> u64 {
        self.span_id
    }

    /// Whether the caller may have recorded this trace.
    #[must_use]
    pub fn sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The value to send: always version `00`.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 55] {
        let mut out = *b"00-00000000000000000000000000000000-0000000000000000-00";
        let [.., tens, ones] = digits::hex(u64::from(self.flags));
        let (high, low) = halves(self.trace_id);
        let parts: [(usize, &[u8]); 4] = [
            (3, &digits::hex(high)),
            (19, &digits::hex(low)),
            (36, &digits::hex(self.span_id)),
            (53, &[tens, ones]),
        ];
        for (from, digits) in parts {
            if let Some(place) = out.get_mut(from..from + digits.len()) {
                place.copy_from_slice(digits);
            }
        }
        out
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of the word")]
const fn halves(id: u128) -> (u64, u64) {
    ((id >> 64) as u64, id as u64)
}

/// Reads exactly `length` lower-case hexadecimal digits.
fn hex(text: &[u8], length: usize) -> Option<u128> {
    if text.len() != length {
        return None;
    }
    text.iter().try_fold(0_u128, |value, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u128::from(digit))
    })
}

/// Whether `tracestate` may be passed on as it is; else it is dropped whole, as §3.3.1.5 and §4.3 let a hop
/// do.
///
/// At most [`TRACESTATE_MAX_BYTES`] and [`TRACESTATE_MAX_MEMBERS`]; every member a valid key, `=`, a valid
/// value. Drop it too when `traceparent` is missing or invalid.
pub fn tracestate_is_valid<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> bool {
    let (mut bytes, mut members) = (0, 0);
    for value in values {
        bytes += value.len() + usize::from(bytes > 0);
        if bytes > TRACESTATE_MAX_BYTES {
            return false;
        }
        for member in value.split(|byte| *byte == b',') {
            let member = super::fields::trim_ows(member);
            members += usize::from(!member.is_empty());
            if members > TRACESTATE_MAX_MEMBERS || !(member.is_empty() || is_member(member)) {
                return false;
            }
        }
    }
    true
}

fn is_member(member: &[u8]) -> bool {
    let Some(equals) = memchr::memchr(b'=', member) else { return false };
    let (key, value) = (member.get(..equals).unwrap_or_default(), member.get(equals..).unwrap_or_default());
    is_key(key) && value.get(1..).is_some_and(is_value)
}

/// `simple-key` or `tenant@system` (§3.3.1.3.1), in the looser spelling of level 2, which level 1's fit in.
fn is_key(key: &[u8]) -> bool {
    let first = key.first().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let rest = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(byte);
    first && key.len() <= 256 && key.iter().all(rest)
}

fn is_value(value: &[u8]) -> bool {
    let good = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'=');
    (1..=256).contains(&value.len()) && value.iter().all(good)
}

#[cfg(test)]
mod tests;
