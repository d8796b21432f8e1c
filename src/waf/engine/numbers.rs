//! Numbers within text, as rules add and compare them: 64 bits with a sign, of which sums stay at the ends.

use crate::values::digits;

/// As C's `atoi`: leading white space, a sign, digits; anything else ends it. What is no number is 0.
pub(super) fn atoi(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let value =
        digits.fold(0_i64, |value, digit| value.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    if negative { -value } else { value }
}

/// Appends a number in decimal.
pub(super) fn push(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    digits::push(out, number.unsigned_abs());
}

/// What `setvar:a=+b`, or with the sign -1 `setvar:a=-b`, makes of `a`.
pub(in crate::waf) fn add(old: &[u8], amount: &[u8], sign: i64) -> Vec<u8> {
    let mut sum = Vec::new();
    push(&mut sum, atoi(old).saturating_add(atoi(amount).saturating_mul(sign)));
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_what_is_a_number_and_stays_within_64_bits() {
        for (old, amount, sign, sum) in [
            ("5", "3", 1, "8"),
            ("5", " +7x", -1, "-2"),
            ("", "many", 1, "0"),
            ("-9223372036854775807", "9", -1, "-9223372036854775808"),
            ("9", "99999999999999999999", 1, "9223372036854775807"),
        ] {
            assert_eq!(add(old.as_bytes(), amount.as_bytes(), sign), sum.as_bytes(), "{old} {amount}");
        }
    }
}
