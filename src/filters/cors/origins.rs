//! Which origins may read answers. An origin is compared byte for byte, as browsers serialise it (RFC 6454 §6.2, Fetch
//! §3.2): lower-case, without a default port, without a path. Whatever would never match is refused when the policy is
//! loaded.

use std::collections::HashSet;

use crate::values::text::quoted;

/// The origins of a policy.
#[derive(Debug)]
pub enum Origins {
    /// Every one, `null` included.
    Any,
    /// Those alone that were named.
    Listed {
        /// Whole origins, and `null` where it was named.
        exact: HashSet<Box<str>>,
        /// Every subdomain of a domain.
        below: Vec<Subdomains>,
    },
}

/// `https://*.example.com:8443`, cut at its star.
#[derive(Debug)]
pub struct Subdomains {
    /// `https://`
    scheme: Box<str>,
    /// `.example.com:8443`
    suffix: Box<str>,
}

impl Origins {
    /// Reads a list of origins.
    ///
    /// # Errors
    /// The index of the first malformed one, and why; `None` where the list as a whole is wrong.
    pub fn parse(list: &[String]) -> Result<Self, (Option<usize>, String)> {
        if list.is_empty() {
            return Err((None, "no origin may read anything: name one, or remove the filter".to_owned()));
        }
        if let Some(index) = list.iter().position(|origin| origin == "*") {
            return match list.len() {
                1 => Ok(Self::Any),
                _ => {
                    Err((Some(index), "* stands for every origin: write it alone or leave it out".to_owned()))
                }
            };
        }
        let mut exact = HashSet::new();
        let mut below = Vec::new();
        for (index, origin) in list.iter().enumerate() {
            check(origin).map_err(|message| (Some(index), message))?;
            match origin.split_once("://*") {
                Some((scheme, suffix)) => {
                    below.push(Subdomains { scheme: format!("{scheme}://").into(), suffix: suffix.into() });
                }
                None => {
                    exact.insert(origin.as_str().into());
                }
            }
        }
        Ok(Self::Listed { exact, below })
    }

    /// Whether an `Origin` header with this value may read answers.
    pub fn contains(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Listed { exact, below } => {
                exact.contains(origin) || below.iter().any(|subdomains| subdomains.contains(origin))
            }
        }
    }
}

impl Subdomains {
    /// Whether the origin is one or more labels below the domain, with the same scheme and port.
    fn contains(&self, origin: &str) -> bool {
        let labels = origin.strip_prefix(&*self.scheme).and_then(|rest| rest.strip_suffix(&*self.suffix));
        labels.is_some_and(|labels| labels.split('.').all(is_label))
    }
}

/// Whether the text is an origin that a browser may send, or a pattern for such origins.
fn check(origin: &str) -> Result<(), String> {
    if origin == "null" {
        return Ok(());
    }
    let malformed =
        || format!("expected an origin such as https://app.example.com, found {}", quoted(origin));
    if let Some(upper) =
        origin.chars().find(|character| !character.is_ascii() || character.is_ascii_uppercase())
    {
        return Err(format!(
            "{}: browsers send origins in lower-case ASCII, found {upper:?}",
            quoted(origin)
        ));
    }
    let (scheme, authority) = origin.split_once("://").ok_or_else(malformed)?;
    if !is_scheme(scheme) {
        return Err(malformed());
    }
    if let Some((whole, _)) = authority.split_once('/') {
        return Err(format!(
            "an origin has no path and no slash at its end, did you mean {scheme}://{whole}?"
        ));
    }
    let (host, port) = split_port(authority);
    if let Some(port) = port {
        check_port(scheme, host, port)?;
    }
    match host.strip_prefix("*.") {
        Some(domain) if !domain.contains('.') && domain != "localhost" => {
            Err(format!("*.{domain} would let in every site below {domain}: name the domain"))
        }
        Some(domain) if domain.split('.').all(is_label) => Ok(()),
        None if is_host(host) => Ok(()),
        _ => Err(malformed()),
    }
}

fn check_port(scheme: &str, host: &str, port: &str) -> Result<(), String> {
    match (scheme, port) {
        ("https", "443") | ("http", "80") => {
            Err(format!("browsers leave the default port out, did you mean {scheme}://{host}?"))
        }
        _ if port.parse::<u16>().is_ok_and(|number| number > 0 && number.to_string() == port) => Ok(()),
        _ => Err(format!("expected a port from 1 to 65535, found {}", quoted(port))),
    }
}

/// Cuts `host:port`; colons inside of `[…]` belong to an IPv6 address.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

fn is_host(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(is_label),
    }
}

fn is_label(label: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    !label.is_empty() && label.bytes().all(allowed)
}

#[cfg(test)]
mod tests;
