//! JSON values as values of expressions, and comparisons in which they may take part.

use std::cmp::Ordering;

use serde_json::{Number, Value as Json};

use super::access::Scalar;

/// Whole numbers up to here are exact in a double (RFC 8259 §6).
const EXACT: f64 = 9_007_199_254_740_991.0;

/// The string, whole number or boolean that the value is. `None` for everything else.
pub(super) fn plain(value: &Json) -> Option<Scalar<'_>> {
    match value {
        Json::Bool(value) => Some(Scalar::Bool(*value)),
        Json::Number(number) => integer(number).map(Scalar::Int),
        Json::String(text) => Some(text.as_str().into()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

/// A number as an integer, `2.0` too. Fractions are not rounded: there is no integer to compare them with.
pub(super) fn integer(number: &Number) -> Option<i64> {
    #[allow(clippy::cast_possible_truncation, reason = "whole and within 53 bits")]
    let whole = |number: f64| (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64);
    number.as_i64().or_else(|| number.as_f64().filter(|_| number.is_f64()).and_then(whole))
}

/// Whether two values are equal, if they are of one kind.
#[inline]
pub(super) fn equal(left: &Scalar<'_>, right: &Scalar<'_>) -> Option<bool> {
    match (left, right) {
        (Scalar::Bytes(left), Scalar::Bytes(right)) => Some(left == right),
        (Scalar::Ip(left), Scalar::Ip(right)) => Some(left == right),
        (Scalar::Json(Json::String(left)), Scalar::Bytes(right)) => Some(left.as_bytes() == &**right),
        _ => compare(left, right).map(Ordering::is_eq),
    }
}

/// How two values relate, if they are of one kind. Booleans and addresses are equal or not: their order means nothing,
/// and the checker lets nobody ask for it, but where both sides are JSON.
pub(super) fn compare(left: &Scalar<'_>, right: &Scalar<'_>) -> Option<Ordering> {
    match (left, right) {
        (Scalar::Bytes(left), Scalar::Bytes(right)) => Some(left.cmp(right)),
        (Scalar::Int(left), Scalar::Int(right)) => Some(left.cmp(right)),
        (Scalar::Bool(left), Scalar::Bool(right)) => Some(left.cmp(right)),
        (Scalar::Ip(left), Scalar::Ip(right)) => Some(left.ip().cmp(&right.ip())),
        (Scalar::Json(left), right) => compare(&plain(left)?, right),
        (left, Scalar::Json(right)) => compare(left, &plain(right)?),
        _ => None,
    }
}
