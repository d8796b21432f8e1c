//! What a request says of who sends it (RFC 7617 §2).

use argon2::password_hash::Encoding;
use http::HeaderMap;
use http::header::AUTHORIZATION;

/// Longest encoded credentials that are looked at, in bytes. Longer ones belong to nobody.
const LONGEST: usize = 2048;

/// The `Authorization` of a request, as far as it concerns the Basic scheme.
#[derive(Debug, PartialEq, Eq)]
pub enum Presented {
    /// None, or those of another scheme.
    Nothing,
    /// Basic, but malformed, or together with other credentials.
    Malformed,
    /// A name and a password.
    Credentials {
        /// Without colons.
        name: String,
        /// Possibly empty, possibly with colons.
        password: String,
    },
}

impl Presented {
    /// Reads the header. UTF-8 is the only encoding, as the challenge says; control characters are refused.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut lines = headers.get_all(AUTHORIZATION).iter();
        let Some(line) = lines.next() else { return Self::Nothing };
        if lines.next().is_some() {
            return Self::Malformed;
        }
        let Ok(line) = line.to_str() else { return Self::Malformed };
        let (scheme, token) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        if !scheme.eq_ignore_ascii_case("basic") {
            return Self::Nothing;
        }
        decode(token.trim()).unwrap_or(Self::Malformed)
    }
}

fn decode(token: &str) -> Option<Presented> {
    let unpadded = token.trim_end_matches('=');
    if token.len() > LONGEST || token.len() - unpadded.len() > 2 {
        return None;
    }
    let mut buffer = vec![0; unpadded.len()];
    let decoded = Encoding::B64.decode(unpadded, &mut buffer).ok()?;
    let text = std::str::from_utf8(decoded).ok()?;
    if text.chars().any(char::is_control) {
        return None;
    }
    let (name, password) = text.split_once(':')?;
    Some(Presented::Credentials { name: name.to_owned(), password: password.to_owned() })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(lines: &[&str]) -> Presented {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        Presented::of(&headers)
    }

    fn credentials(name: &str, password: &str) -> Presented {
        Presented::Credentials { name: name.to_owned(), password: password.to_owned() }
    }

    #[test]
    fn reads_names_and_passwords() {
        // The example of RFC 7617 §2, and that of §2.1 in UTF-8.
        assert_eq!(of(&["Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="]), credentials("Aladdin", "open sesame"));
        assert_eq!(of(&["Basic dGVzdDoxMjPCow=="]), credentials("test", "123£"));
        assert_eq!(of(&["bAsIc   QWxhZGRpbjpvcGVuIHNlc2FtZQ "]), credentials("Aladdin", "open sesame"));
        assert_eq!(of(&["Basic YTpiOmM="]), credentials("a", "b:c"));
        assert_eq!(of(&["Basic YTo="]), credentials("a", ""));
        assert_eq!(of(&["Basic Og=="]), credentials("", ""));
    }

    #[test]
    fn finds_nothing_where_another_scheme_is_used() {
        assert_eq!(of(&[]), Presented::Nothing);
        for line in ["", "Bearer abc", "Basically YTo=", "Digest username=\"a\""] {
            assert_eq!(of(&[line]), Presented::Nothing, "{line}");
        }
    }

    #[test]
    fn refuses_what_is_malformed() {
        for line in [
            "Basic",
            "Basic ",
            "Basic YQ==",
            "Basic YTo",
            "Basic YT_o",
            "Basic YTo=YTo=",
            "Basic YT o=",
            "Basic YTo====",
            "Basic /zo=",
            "Basic YToKYg==",
            "Basic YTp/",
            "Basic é",
        ] {
            let expected = if line == "Basic YTo" { credentials("a", "") } else { Presented::Malformed };
            assert_eq!(of(&[line]), expected, "{line}");
        }
        assert_eq!(of(&["Basic YTo=", "Basic YTo="]), Presented::Malformed);
        assert_eq!(of(&["Bearer x", "Basic YTo="]), Presented::Malformed);
    }

    #[test]
    fn looks_at_no_endless_credentials() {
        let line = |length: usize| format!("Basic {}", "YTph".repeat(length / 4));
        assert!(matches!(of(&[&line(LONGEST)]), Presented::Credentials { .. }));
        assert_eq!(of(&[&line(LONGEST + 4)]), Presented::Malformed);
    }
}
