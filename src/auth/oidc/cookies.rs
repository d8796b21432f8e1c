//! The cookies of a login: their names, their attributes, and a text that is spread over several.
//!
//! All of them are `__Host-` cookies (RFC 6265bis §4.1.3.2): they come by https alone, go to this one host alone, and no
//! neighbouring host can plant one. Scripts cannot read them, and requests that other sites make in the background do
//! not carry them (`SameSite=Lax`; the way back from the issuer is a navigation, which does).

use std::fmt::Write;

use http::{HeaderMap, HeaderValue};

use crate::http::cookie;

/// Letters of a text in one cookie. Browsers take 4096 with the name.
const PART_BYTES: usize = 3800;
/// Cookies that one text may take.
const MOST_PARTS: usize = 4;

/// The names under which one login keeps what browsers keep for it.
#[derive(Debug, Clone)]
pub struct Names {
    /// `__Host-NAME`; parts after the first have `.2`, `.3` and `.4` behind it.
    session: Box<str>,
    /// `__Host-NAME.login.`, before what names an attempt.
    attempt: Box<str>,
}

/// Which parts of a session a request carries: a bit each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Present(u8);

/// A session that browsers would not keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session has more than {} bytes", MOST_PARTS * PART_BYTES)]
pub struct TooLarge;

impl Names {
    /// Names that begin with `__Host-` and `name`, which has no dot.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { session: format!("__Host-{name}").into(), attempt: format!("__Host-{name}.login.").into() }
    }

    /// The name of the session's first cookie.
    #[must_use]
    pub fn session(&self) -> &str {
        &self.session
    }

    /// Whether a cookie is one of these.
    #[must_use]
    pub fn are(&self, name: &[u8]) -> bool {
        cookie::is_part_of(name, &self.session)
    }

    /// The names of attempts, of those that a request carries.
    pub(super) fn attempts<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = &'a str> {
        let name = |name: &'a [u8]| {
            std::str::from_utf8(name.strip_prefix(self.attempt.as_bytes())?).ok().filter(|id| !id.is_empty())
        };
        cookie::pairs(headers).filter_map(move |(key, _)| name(key))
    }

    /// The cookie of an attempt.
    pub(super) fn attempt(&self, id: &str) -> String {
        format!("{}{id}", self.attempt)
    }

    fn part(&self, number: usize) -> String {
        if number == 1 { self.session.to_string() } else { format!("{}.{number}", self.session) }
    }

    /// The session's text, put together again.
    pub(super) fn session_of(&self, headers: &HeaderMap) -> Option<Vec<u8>> {
        let first = cookie::only(headers, &self.session)?;
        let (count, first) = match first {
            [count @ b'1'..=b'4', b'.', first @ ..] => (usize::from(count - b'0'), first),
            _ => return None,
        };
        let mut text = first.to_vec();
        for number in 2..=count {
            text.extend_from_slice(cookie::only(headers, &self.part(number))?);
        }
        Some(text)
    }

    /// Which parts of a session a request carries.
    #[must_use]
    pub fn present(&self, headers: &HeaderMap) -> Present {
        let has = |number: &usize| {
            let name = self.part(*number);
            cookie::pairs(headers).any(|(key, _)| key == name.as_bytes())
        };
        Present((1..=MOST_PARTS).filter(has).fold(0, |parts, number| parts | 1 << number))
    }

    /// Sets the session's text, and takes back what parts the request had beyond it.
    ///
    /// # Errors
    /// When it does not fit.
    pub(super) fn set_session(&self, text: &str, before: Present) -> Result<Vec<HeaderValue>, TooLarge> {
        let parts: Vec<&str> =
            text.as_bytes().chunks(PART_BYTES).filter_map(|part| std::str::from_utf8(part).ok()).collect();
        if parts.len() > MOST_PARTS {
            return Err(TooLarge);
        }
        let mut cookies = Vec::new();
        for (number, part) in (1..).zip(&parts) {
            let value = if number == 1 { format!("{}.{part}", parts.len()) } else { (*part).to_owned() };
            cookies.extend(set(&self.part(number), &value, None));
        }
        cookies.extend(self.clear_parts(parts.len() + 1, before));
        Ok(cookies)
    }

    /// Takes the session back, as far as the request had it.
    #[must_use]
    pub fn clear_session(&self, before: Present) -> Vec<HeaderValue> {
        self.clear_parts(1, before).collect()
    }

    fn clear_parts(&self, from: usize, before: Present) -> impl Iterator<Item = HeaderValue> {
        let present = (from..=MOST_PARTS).filter(move |number| before.0 & 1 << number != 0);
        present.filter_map(|number| clear(&self.part(number)))
    }
}

/// `Set-Cookie` for a value of letters that cookies take. Without `max_age`, in seconds, it goes with the browser.
pub(super) fn set(name: &str, value: &str, max_age: Option<u64>) -> Option<HeaderValue> {
    let mut line = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax");
    if let Some(seconds) = max_age {
        // Writing into a string does not fail.
        _ = write!(line, "; Max-Age={seconds}");
    }
    HeaderValue::try_from(line).ok()
}

/// `Set-Cookie` that takes a cookie back.
pub(super) fn clear(name: &str) -> Option<HeaderValue> {
    set(name, "", Some(0))
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;

    /// The request headers of a browser that took these.
    fn kept(cookies: &[HeaderValue]) -> HeaderMap {
        let pair = |line: &HeaderValue| {
            let line = line.to_str().unwrap().to_owned();
            line.split(';').next().unwrap().to_owned()
        };
        let line = cookies.iter().map(pair).collect::<Vec<_>>().join("; ");
        HeaderMap::from_iter([(header::COOKIE, line.parse().unwrap())])
    }

    fn text(length: usize) -> String {
        ('a'..='z').cycle().take(length).collect()
    }

    #[test]
    fn a_text_of_every_length_comes_back_whole() {
        let names = Names::new("app");
        for (length, parts) in [(1, 1), (3800, 1), (3801, 2), (7600, 2), (7601, 3), (15200, 4)] {
            let cookies = names.set_session(&text(length), Present::default()).unwrap();
            assert_eq!(cookies.len(), parts, "{length}");
            assert!(cookies.iter().all(|cookie| cookie.len() < 4096));
            assert_eq!(names.session_of(&kept(&cookies)).unwrap(), text(length).as_bytes());
        }
        assert_eq!(names.set_session(&text(15201), Present::default()), Err(TooLarge));
    }

    #[test]
    fn every_cookie_is_bound_to_the_host_and_closed_to_scripts_and_other_sites() {
        let names = Names::new("app");
        let mut cookies = names.set_session(&text(9000), Present::default()).unwrap();
        cookies.extend(names.clear_session(names.present(&kept(&cookies))));
        cookies.extend(set(&names.attempt("x"), "y", Some(600)));
        assert_eq!(cookies.len(), 7);
        for cookie in cookies {
            let cookie = cookie.to_str().unwrap().to_owned();
            assert!(cookie.starts_with("__Host-app"), "{cookie}");
            assert!(cookie.contains("; Path=/; Secure; HttpOnly; SameSite=Lax"), "{cookie}");
            assert!(!cookie.contains("Domain"), "{cookie}");
        }
    }

    #[test]
    fn a_session_that_shrank_leaves_no_parts_behind() {
        let names = Names::new("app");
        let cookies = names.set_session(&text(9000), Present::default()).unwrap();
        let before = names.present(&kept(&cookies));
        let now = names.set_session(&text(10), before).unwrap();
        let lines: Vec<_> = now.iter().map(|line| line.to_str().unwrap()).collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].starts_with("__Host-app.2=; ") && lines[1].ends_with("; Max-Age=0"));
        assert!(lines[2].starts_with("__Host-app.3=; "));
        assert_eq!(names.clear_session(before).len(), 3);
        assert_eq!(names.clear_session(Present::default()).len(), 0);
    }

    #[test]
    fn parts_that_are_missing_or_there_twice_make_no_text() {
        let names = Names::new("app");
        let of =
            |line: &str| names.session_of(&HeaderMap::from_iter([(header::COOKIE, line.parse().unwrap())]));
        assert_eq!(of("__Host-app=2.ab; __Host-app.2=cd").unwrap(), b"abcd");
        for line in [
            "",
            "__Host-app=",
            "__Host-app=ab",
            "__Host-app=0.ab",
            "__Host-app=5.ab",
            "__Host-app=2.ab",
            "__Host-app=2.ab; __Host-app.3=cd",
            "__Host-app=1.ab; __Host-app=1.cd",
            "__Host-app=2.ab; __Host-app.2=cd; __Host-app.2=cd",
            "app=1.ab",
        ] {
            assert_eq!(of(line), None, "{line}");
        }
    }

    #[test]
    fn knows_its_own_cookies() {
        let names = Names::new("app");
        for own in ["__Host-app", "__Host-app.2", "__Host-app.login.abc"] {
            assert!(names.are(own.as_bytes()), "{own}");
        }
        for other in ["app", "__Host-ap", "__Host-app2", "__Host-apple", "__host-app", "x__Host-app"] {
            assert!(!names.are(other.as_bytes()), "{other}");
        }
        let line = "__Host-app.login.abc=1; __Host-app.login.=2; __Host-app=3; __Host-app.login.d=4";
        let headers = HeaderMap::from_iter([(header::COOKIE, line.parse().unwrap())]);
        assert_eq!(names.attempts(&headers).collect::<Vec<_>>(), ["abc", "d"]);
    }
}
