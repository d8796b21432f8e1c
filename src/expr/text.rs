//! What functions make of strings and addresses. Each gives back what it got, borrowed, where there is nothing to
//! change.

use std::borrow::Cow;
use std::net::IpAddr;

pub(super) fn lower(text: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if text.iter().any(u8::is_ascii_uppercase) { Cow::Owned(text.to_ascii_lowercase()) } else { text }
}

pub(super) fn upper(text: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if text.iter().any(u8::is_ascii_lowercase) { Cow::Owned(text.to_ascii_uppercase()) } else { text }
}

/// From `start` up to `end`, both counted from the end of the text if negative, and cut to it.
pub(super) fn substring(text: Cow<'_, [u8]>, start: i64, end: Option<i64>) -> Cow<'_, [u8]> {
    let place = |index: i64| {
        let distance = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
        if index < 0 { text.len().saturating_sub(distance) } else { text.len().min(distance) }
    };
    let range = place(start)..end.map_or(text.len(), place);
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(range).unwrap_or_default()),
        Cow::Owned(text) => Cow::Owned(text.get(range).unwrap_or_default().to_vec()),
    }
}

/// A query without the parameters of these names, which are compared as they are written.
pub(super) fn without_args<'v>(query: Cow<'v, [u8]>, names: &[Box<[u8]>]) -> Cow<'v, [u8]> {
    let named = |pair: &[u8]| {
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        names.iter().any(|unwanted| **unwanted == *name)
    };
    let pairs = || query.split(|byte| *byte == b'&');
    if !pairs().any(named) {
        return query;
    }
    let kept: Vec<&[u8]> = pairs().filter(|pair| !named(pair)).collect();
    Cow::Owned(kept.join(&b'&'))
}

/// The network of an address, canonical, cut to this many leading bits of its family.
pub(super) fn network(address: IpAddr, v4_bits: u8, v6_bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(v4_bits.into())).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(v6_bits.into())).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn borrowed(text: &str) -> Cow<'_, [u8]> {
        Cow::Borrowed(text.as_bytes())
    }

    #[test]
    fn copies_only_what_it_changes() {
        assert!(matches!(lower(borrowed("abc-\u{c4}1")), Cow::Borrowed(_)));
        assert_eq!(*lower(borrowed("aBC")), *b"abc");
        assert!(matches!(upper(borrowed("ABC")), Cow::Borrowed(_)));
        assert_eq!(*upper(borrowed("aBc")), *b"ABC");
        assert!(matches!(substring(borrowed("abc"), 1, None), Cow::Borrowed(b"bc")));
    }

    #[test]
    fn cuts_substrings_as_cloudflare_documents() {
        let cases = [
            (2, Some(5), "dfg"),
            (2, None, "dfghjk"),
            (-2, None, "jk"),
            (0, Some(-2), "asdfgh"),
            (5, Some(2), ""),
            (100, None, ""),
            (-100, Some(2), "as"),
            (i64::MIN, Some(i64::MAX), "asdfghjk"),
        ];
        for (start, end, expected) in cases {
            assert_eq!(*substring(borrowed("asdfghjk"), start, end), *expected.as_bytes(), "{start} {end:?}");
            assert_eq!(
                *substring(Cow::Owned(b"asdfghjk".to_vec()), start, end),
                *expected.as_bytes(),
                "{start} {end:?}"
            );
        }
    }

    #[test]
    fn removes_parameters_as_cloudflare_documents() {
        let names =
            |names: &[&str]| -> Vec<Box<[u8]>> { names.iter().map(|name| name.as_bytes().into()).collect() };
        let cases = [
            ("order=asc&country=GB", &["country"][..], "order=asc"),
            ("order=asc&country=GB", &["search"], "order=asc&country=GB"),
            ("category=Foo&order=desc&category=Bar", &["category"], "order=desc"),
            ("category=Foo&order=desc&category=Bar", &["category", "order"], ""),
            ("a&ab=1", &["a"], "ab=1"),
            ("", &["a"], ""),
        ];
        for (query, unwanted, expected) in cases {
            assert_eq!(*without_args(borrowed(query), &names(unwanted)), *expected.as_bytes(), "{query}");
        }
    }

    #[test]
    fn masks_each_family_with_its_own_bits() {
        let masked = |address: &str, v4, v6| network(address.parse().unwrap(), v4, v6).to_string();
        assert_eq!(masked("113.10.0.2", 24, 24), "113.10.0.0");
        assert_eq!(masked("2001:0:130f::9c0:876a:130b", 24, 24), "2001::");
        assert_eq!(masked("255.255.255.255", 32, 1), "255.255.255.255");
        assert_eq!(masked("255.255.255.255", 1, 128), "128.0.0.0");
        assert_eq!(masked("ffff::1", 1, 128), "ffff::1");
    }
}
