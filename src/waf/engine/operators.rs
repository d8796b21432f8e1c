//! The tests that rules make on text.

use super::numbers::atoi;
use super::plan::{Comparison, DigitCheck, Plan, Test};
use crate::waf::ir::Number;
use crate::waf::libinjection;
use crate::waf::meter::byte_ns;
use crate::waf::pattern::{Caches, Groups};
use crate::waf::transform::ByteSet;

/// What a test looks at besides the text.
pub(super) struct Operands<'a> {
    pub(super) plan: &'a Plan,
    /// The test's argument, with its macros expanded.
    pub(super) argument: &'a [u8],
    pub(super) caches: &'a mut Caches,
}

impl Operands<'_> {
    /// Pays for one more reading of a text, of which libinjection needs some; whether there is time for it.
    fn reading(&mut self, text: &[u8]) -> impl FnMut() -> bool {
        let work_ns = text.len().saturating_mul(byte_ns::TOKENS);
        move || self.caches.meter.spend(work_ns)
    }
}

/// What a test found, for `TX.0` to `TX.9`.
#[derive(Debug, Default)]
pub(super) struct Captured {
    /// Parts of the text.
    pub(super) groups: Groups,
    /// In the place of the text, if it is something else.
    pub(super) instead: Option<Box<[u8]>>,
}

/// Whether the operator matches the text.
pub(super) fn matches(test: &Test, text: &[u8], operands: &mut Operands<'_>) -> bool {
    let argument = operands.argument;
    if !operands.caches.meter.spend(text.len().saturating_mul(ns_of_byte(test))) {
        return false;
    }
    match test {
        Test::Always => true,
        Test::Never => false,
        Test::Regex(id) | Test::RegexGlobal(id) => {
            let pattern = operands.plan.patterns.get(*id as usize);
            pattern.is_some_and(|pattern| pattern.is_match(*id as usize, operands.caches, text))
        }
        Test::RegexExpansion(_, last) => {
            expanded_regex(argument, last).is_some_and(|regex| regex.is_match(text))
        }
        Test::Phrases(phrases) => phrases.0.is_match(text),
        Test::Compare(comparison, _) => compares(*comparison, text, argument),
        Test::Addresses(set) => address(text).is_some_and(|address| set.contains(address)),
        Test::BytesOutside(allowed) => outside(text, allowed),
        Test::BadUrlEncoding => bad_url_encoding(text),
        Test::BadUtf8 => std::str::from_utf8(text).is_err(),
        Test::SqlInjection => is_sqli(text, operands).is_some(),
        Test::Xss => libinjection::is_xss_while(text, &mut operands.reading(text)),
        Test::Digits(id, check) => digits(operands, *id as usize, *check, text).is_some(),
    }
}

fn compares(comparison: Comparison, text: &[u8], argument: &[u8]) -> bool {
    match comparison {
        Comparison::Equals => text == argument,
        Comparison::StartsWith => text.starts_with(argument),
        Comparison::EndsWith => text.ends_with(argument),
        Comparison::Contains => argument.is_empty() || memchr::memmem::find(text, argument).is_some(),
        Comparison::ContainsWord => contains_word(text, argument),
        Comparison::Within => text.is_empty() || memchr::memmem::find(argument, text).is_some(),
        Comparison::Number(number) => compare(number, atoi(text), atoi(argument)),
    }
}

/// What a byte may cost at worst, for tests that pay nothing themselves.
const fn ns_of_byte(test: &Test) -> usize {
    match test {
        Test::Always
        | Test::Never
        | Test::Regex(_)
        | Test::RegexGlobal(_)
        | Test::SqlInjection
        | Test::Xss
        | Test::Digits(..) => 0,
        _ => byte_ns::SCAN,
    }
}

fn is_sqli(text: &[u8], operands: &mut Operands<'_>) -> Option<libinjection::Fingerprint> {
    libinjection::is_sqli_while(text, &mut operands.reading(text))
}

/// What the operator, which matches the text, found in it.
pub(super) fn capture(test: &Test, text: &[u8], operands: &mut Operands<'_>) -> Option<Captured> {
    let mut captured = Captured::default();
    match test {
        Test::Regex(id) => {
            let pattern = operands.plan.patterns.get(*id as usize)?;
            captured.groups = pattern.groups(*id as usize, operands.caches, text, 0)?;
        }
        Test::RegexGlobal(id) => captured.groups = all_matches(operands, *id as usize, text),
        Test::RegexExpansion(_, last) => {
            let regex = expanded_regex(operands.argument, last)?;
            let found = regex.captures(text)?;
            for (group, found) in captured.groups.iter_mut().zip(found.iter()) {
                *group = found.map(|found| (found.start(), found.end()));
            }
        }
        Test::Phrases(phrases) => {
            let found = phrases.0.find(text)?;
            captured.groups[0] = Some((found.start(), found.end()));
        }
        Test::Digits(id, check) => captured.groups[0] = digits(operands, *id as usize, *check, text),
        Test::Xss => captured.groups[0] = Some((0, text.len())),
        Test::SqlInjection => {
            captured.instead = Some(is_sqli(text, operands)?.as_bytes().into());
        }
        _ => return None,
    }
    Some(captured)
}

/// Of each match the groups, one match after the other, as far as there is room.
fn all_matches(operands: &mut Operands<'_>, id: usize, text: &[u8]) -> Groups {
    let mut all = Groups::default();
    let mut free = 0;
    let mut from = 0;
    let Some(pattern) = operands.plan.patterns.get(id) else { return all };
    while let Some(groups) = pattern.groups(id, operands.caches, text, from) {
        for group in groups.iter().flatten() {
            let Some(slot) = all.get_mut(free) else { return all };
            *slot = Some(*group);
            free += 1;
        }
        let Some((start, end)) = groups[0] else { return all };
        from = if end > start { end } else { end + 1 };
        if from > text.len() {
            break;
        }
    }
    all
}

/// The expression that the argument is, compiled anew only if it is another than the last.
fn expanded_regex(
    argument: &[u8],
    last: &std::sync::Mutex<Option<super::plan::LastRegex>>,
) -> Option<std::sync::Arc<regex::bytes::Regex>> {
    let mut last = last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some((text, regex)) = &*last
        && text == argument
    {
        return regex.clone();
    }
    let compiled = crate::waf::pattern::plain(argument).ok().map(std::sync::Arc::new);
    *last = Some((argument.to_vec(), compiled.clone()));
    compiled
}

const fn compare(comparison: Number, left: i64, right: i64) -> bool {
    match comparison {
        Number::Equal => left == right,
        Number::Greater => left > right,
        Number::GreaterOrEqual => left >= right,
        Number::Less => left < right,
        Number::LessOrEqual => left <= right,
    }
}

fn address(text: &[u8]) -> Option<std::net::IpAddr> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

fn outside(text: &[u8], allowed: &ByteSet) -> bool {
    text.iter().any(|byte| !allowed.contains(*byte))
}

fn contains_word(text: &[u8], word: &[u8]) -> bool {
    let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    if word.is_empty() {
        return true;
    }
    memchr::memmem::find_iter(text, word).any(|start| {
        let before = start.checked_sub(1).and_then(|at| text.get(at));
        !is_word(before) && !is_word(text.get(start + word.len()))
    })
}

fn bad_url_encoding(text: &[u8]) -> bool {
    memchr::memchr_iter(b'%', text).any(|at| {
        let digits = text.get(at + 1..at + 3).unwrap_or_default();
        digits.len() < 2 || !digits.iter().all(u8::is_ascii_hexdigit)
    })
}

/// The first match of the pattern whose digits pass the check.
fn digits(operands: &mut Operands<'_>, id: usize, check: DigitCheck, text: &[u8]) -> Option<(usize, usize)> {
    let pattern = operands.plan.patterns.get(id)?;
    let mut from = 0;
    while from <= text.len() {
        let (start, end) = pattern.groups(id, operands.caches, text, from).and_then(|groups| groups[0])?;
        let found = text.get(start..end).unwrap_or_default();
        let digits = found.iter().filter(|byte| byte.is_ascii_digit()).map(|digit| u32::from(digit - b'0'));
        if passes(check, &digits.take(32).collect::<Vec<_>>()) {
            return Some((start, end));
        }
        from = start + 1;
    }
    None
}

fn passes(check: DigitCheck, digits: &[u32]) -> bool {
    match check {
        DigitCheck::Card => luhn(digits),
        DigitCheck::SocialSecurity => social_security(digits),
        DigitCheck::Cpf => cpf(digits),
        DigitCheck::Svnr => svnr(digits),
    }
}

/// ISO/IEC 7812-1 annex B.
fn luhn(digits: &[u32]) -> bool {
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = digits
        .iter()
        .rev()
        .zip(0..)
        .map(|(digit, at)| if at % 2 == 1 { doubled(*digit) } else { *digit })
        .sum();
    !digits.is_empty() && sum.is_multiple_of(10)
}

/// Area, group and serial number as the administration gives them out; no runs such as 123456789.
fn social_security(digits: &[u32]) -> bool {
    if digits.len() != 9 {
        return false;
    }
    let number = |part: &[u32]| part.iter().fold(0, |number, digit| number * 10 + digit);
    let parts = (digits.get(..3), digits.get(3..5), digits.get(5..));
    let (Some(area), Some(group), Some(serial)) = parts else { return false };
    let (area, group, serial) = (number(area), number(group), number(serial));
    let rising = digits.windows(2).all(|pair| matches!(pair, [a, b] if a + 1 == *b));
    let equal = digits.windows(2).all(|pair| matches!(pair, [a, b] if a == b));
    (1..740).contains(&area) && area != 666 && group > 0 && serial > 0 && !rising && !equal
}

/// The fourth digit is the weighted sum of the others modulo 11, which is never 10; the first is no 0.
fn svnr(digits: &[u32]) -> bool {
    let weights = [3, 7, 9, 0, 5, 8, 4, 2, 1, 6];
    let sum: u32 = digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum();
    digits.len() == 10 && digits.first() != Some(&0) && digits.get(3) == Some(&(sum % 11))
}

/// Two check digits, each of the weighted sum of those before it modulo 11.
fn cpf(digits: &[u32]) -> bool {
    if digits.len() != 11 || digits.windows(2).all(|pair| matches!(pair, [a, b] if a == b)) {
        return false;
    }
    [9, 10].into_iter().all(|count: usize| {
        let weights = (2..).take(count).collect::<Vec<u32>>();
        let sum: u32 = digits.iter().zip(weights.iter().rev()).map(|(digit, weight)| digit * weight).sum();
        digits.get(count) == Some(&(sum * 10 % 11 % 10))
    })
}
