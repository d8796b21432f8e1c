//! Fields by which backends are told who asks, or what for. Only a proxy may say that, so a client's own go before anything
//! looks at the request; what filters say by the same names stays.
//!
//! No spelling helps: CGI and WSGI read `x_user` and `x-user` as the same variable.

use std::borrow::Cow;

use http::header::{HeaderMap, HeaderName};

/// Takes away what a client may not say: to nobody, and by what filters of this policy, which are `vouched`, tell upstreams
/// who calls.
pub fn remove_claims(headers: &mut HeaderMap, vouched: &[HeaderName]) {
    let is_vouched = |name: &str| vouched.iter().any(|vouched| dashed(vouched.as_str()) == name);
    let is_forged = |name: &&HeaderName| {
        if vouched.is_empty() && !matches!(name.as_str().as_bytes(), [b'x' | b't' | b'c', ..]) {
            return false;
        }
        let name = dashed(name.as_str());
        is_claim(&name) || is_vouched(&name)
    };
    let forged: Vec<HeaderName> = headers.keys().filter(is_forged).cloned().collect();
    for name in forged {
        headers.remove(name);
    }
}

fn dashed(name: &str) -> Cow<'_, str> {
    if name.contains('_') { name.replace('_', "-").into() } else { Cow::Borrowed(name) }
}

/// Whether backends are told so by proxies of some make. Most other names begin with another letter.
fn is_claim(name: &str) -> bool {
    matches!(
        name,
        "x-real-ip"
            | "x-client-ip"
            | "x-cluster-client-ip"
            | "true-client-ip"
            | "cf-connecting-ip"
            | "x-forwarded"
            | "x-forwarded-port"
            | "x-forwarded-prefix"
            | "x-original-url"
            | "x-rewrite-url"
            | "x-forwarded-scheme"
            | "x-forwarded-ssl"
            | "x-forwarded-server"
            | "x-url-scheme"
            | "x-host"
            | "x-original-host"
            | "x-http-host-override"
            | "x-http-method"
            | "x-http-method-override"
            | "x-method-override"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_go_in_every_spelling_and_nothing_else() {
        let names = ["x-real-ip", "x_real-ip", "x-user", "x_user", "x-users", "x-real", "accept"];
        let mut headers: HeaderMap =
            names.iter().map(|name| (HeaderName::from_static(name), "a".parse().unwrap())).collect();
        remove_claims(&mut headers, &[HeaderName::from_static("x-user")]);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "x-real", "x-users"]);
    }
}
