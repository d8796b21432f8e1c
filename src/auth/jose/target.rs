//! Whether a proof's `htu` names the resource of a request (RFC 9449 section 4.3, point 9): compared after the
//! normalisation of RFC 3986 sections 6.2.2 and 6.2.3, without query and fragment.
//!
//! Both paths are normalised by the same code as every other path here, so no spelling of one reaches the other's rule.

use crate::http::path::{self, normalise};

/// The resource of a request, as its client named it.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// `https` or `http`.
    pub scheme: &'a str,
    /// Host and, unless it is the scheme's own, port; of `Host` or `:authority`.
    pub authority: &'a str,
    /// The normalised path, without query.
    pub path: &'a str,
    /// How it was normalised.
    pub path_rules: &'a path::Rules,
}

impl Target<'_> {
    pub(super) fn is_named_by(&self, uri: &str) -> bool {
        let Some((scheme, rest)) = uri.split_once("://") else { return false };
        let end = rest.find(['?', '#']).unwrap_or(rest.len());
        let rest = rest.get(..end).unwrap_or_default();
        let (authority, path) = match rest.find('/') {
            Some(start) => rest.split_at_checked(start).unwrap_or_default(),
            None => (rest, "/"),
        };
        let is_same_path =
            || normalise(path.as_bytes(), self.path_rules).is_ok_and(|path| path.path() == self.path);
        scheme.eq_ignore_ascii_case(self.scheme) && self.is_authority(authority) && is_same_path()
    }

    fn is_authority(&self, authority: &str) -> bool {
        match (self.split(authority), self.split(self.authority)) {
            (Some((host, port)), Some((own_host, own_port))) => {
                port == own_port && host.eq_ignore_ascii_case(own_host)
            }
            _ => false,
        }
    }

    /// Host and port. `None` for what is none, user information included.
    fn split<'a>(&self, authority: &'a str) -> Option<(&'a str, u16)> {
        let default = if self.scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
        // The colons of an IPv6 address are within brackets.
        let after_address = authority.rfind(']').map_or(0, |bracket| bracket + 1);
        let (host, port) = match authority.get(after_address..)?.find(':') {
            Some(colon) => authority.split_at_checked(after_address + colon)?,
            None => (authority, ""),
        };
        let digits = port.strip_prefix(':').unwrap_or_default();
        if host.is_empty() || host.contains('@') || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let port = if digits.is_empty() { default } else { digits.parse().ok()? };
        Some((host, port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(uri: &str, scheme: &str, authority: &str, path: &str) -> bool {
        Target { scheme, authority, path, path_rules: &path::Rules::default() }.is_named_by(uri)
    }

    #[test]
    fn takes_every_spelling_of_one_resource() {
        for uri in [
            "https://api.example.com/orders/7",
            "HTTPS://API.example.COM:443/orders/7",
            "https://api.example.com:/orders/7",
            "https://api.example.com/orders/7?query=1",
            "https://api.example.com/orders/7#fragment",
            "https://api.example.com/orders/7?a#b",
            "https://api.example.com/x/../orders/%37",
        ] {
            assert!(names(uri, "https", "api.example.com", "/orders/7"), "{uri}");
            assert!(names(uri, "https", "API.example.com:443", "/orders/7"), "{uri}");
        }
        assert!(names("https://a.example", "https", "a.example", "/"));
        assert!(names("https://a.example?x", "https", "a.example", "/"));
        assert!(names("http://[::1]:8080/", "http", "[::1]:8080", "/"));
        assert!(names("http://[::1]/", "http", "[::1]:80", "/"));
    }

    #[test]
    fn refuses_every_other_resource() {
        for uri in [
            "",
            "/orders/7",
            "api.example.com/orders/7",
            "http://api.example.com/orders/7",
            "https://api.example.com:8443/orders/7",
            "https://api.example.com:99999/orders/7",
            "https://api.example.com:+443/orders/7",
            "https://api.example.com.evil.example/orders/7",
            "https://evil.example/https://api.example.com/orders/7",
            "https://api.example.com@evil.example/orders/7",
            "https://user@api.example.com/orders/7",
            "https://api.example.com/orders/70",
            "https://api.example.com/orders/7/",
            "https://api.example.com/Orders/7",
            "https://api.example.com/orders%2F7",
            "https://api.example.com\\orders\\7",
            "https:///orders/7",
            "https://api.example.com/orders/%zz",
        ] {
            assert!(!names(uri, "https", "api.example.com", "/orders/7"), "{uri}");
        }
        assert!(!names("http://[::1]:8080/", "http", "[::2]:8080", "/"));
    }
}
