//! Parameters of a query, as far as they are looked for by name: `access_token=…`.
//!
//! The syntax of a query is the application's; parameters are what stands between `&`, and a name counts in every
//! spelling that percent-encoding allows, as servers decode it.

use std::borrow::Cow;

use percent_encoding::{percent_decode, percent_decode_str};

/// The values of a parameter, as they came.
pub fn values<'a>(query: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    query.split('&').filter(move |pair| is_named(pair, name)).map(|pair| {
        let (_, value) = pair.split_once('=').unwrap_or((pair, ""));
        value
    })
}

/// A value as servers read it (application/x-www-form-urlencoded): `%XX` and `+` decoded, once. What is no escape stays.
#[must_use]
pub fn decoded(value: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'%', b'+', &value).is_none() {
        return value;
    }
    let mut value = value.into_owned();
    for byte in value.iter_mut().filter(|byte| **byte == b'+') {
        *byte = b' ';
    }
    Cow::Owned(percent_decode(&value).collect())
}

/// The query without a parameter; `None` where it has none of that name.
#[must_use]
pub fn without(query: &str, name: &str) -> Option<String> {
    query.split('&').any(|pair| is_named(pair, name)).then(|| {
        let others: Vec<_> = query.split('&').filter(|pair| !is_named(pair, name)).collect();
        others.join("&")
    })
}

fn is_named(pair: &str, name: &str) -> bool {
    let (key, _) = pair.split_once('=').unwrap_or((pair, ""));
    key == name || (key.contains('%') && percent_decode_str(key).eq(name.bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_parameter_by_its_whole_name_in_every_spelling() {
        let query = "a=1&token=x&tokens=y&to%6Ben=z&token&Token=n";
        assert_eq!(values(query, "token").collect::<Vec<_>>(), ["x", "z", ""]);
        assert_eq!(values(query, "b").count(), 0);
        assert_eq!(values("token=a=b", "token").collect::<Vec<_>>(), ["a=b"]);
    }

    #[test]
    fn takes_a_parameter_out_and_leaves_the_rest_as_it_is() {
        assert_eq!(without("a=1&token=x&b=%zz&to%6ben=y", "token").as_deref(), Some("a=1&b=%zz"));
        assert_eq!(without("token=x", "token").as_deref(), Some(""));
        assert_eq!(without("a=1&tokens=x", "token"), None);
        assert_eq!(without("", "token"), None);
    }

    #[test]
    fn decodes_once_and_leaves_what_is_no_escape() {
        let decoded = |text: &'static str| decoded(Cow::Borrowed(text.as_bytes()));
        let cases = [("a%20b+c", "a b c"), ("%2520", "%20"), ("%zz%4", "%zz%4"), ("%2B", "+"), ("", "")];
        for (text, expected) in cases {
            assert_eq!(*decoded(text), *expected.as_bytes(), "{text}");
        }
        assert_eq!(*decoded("%e4%00"), [0xe4, 0]);
        assert!(matches!(decoded("a/b"), Cow::Borrowed(_)), "copies only what it changes");
    }
}
