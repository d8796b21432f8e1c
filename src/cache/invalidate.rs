//! What a write makes untrue (RFC 9111 §4.4): the resource itself, and what `Location` and `Content-Location` name on the
//! same origin. On other origins nobody may invalidate anything.

use http::header::{CONTENT_LOCATION, LOCATION};
use http::{HeaderMap, Method, StatusCode};

use super::key::Target;
use crate::http::path::{Rules, normalise};

/// A resource on the origin of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Normalised.
    pub path: String,
    pub query: Option<String>,
}

/// Whether responses to this method make stored ones untrue: what is not known to be safe is not (RFC 9110 §9.2.1).
#[must_use]
pub fn is_unsafe(method: &Method) -> bool {
    !matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS" | "TRACE" | "QUERY")
}

/// The resources whose stored responses a response makes untrue, that of the request first; none if the method is safe or
/// the response is an error. At most three.
#[must_use]
pub fn invalidated(
    method: &Method,
    target: &Target<'_>,
    status: StatusCode,
    response: &HeaderMap,
    rules: Rules,
) -> Vec<Resource> {
    if !is_unsafe(method) || !(status.is_success() || status.is_redirection()) {
        return Vec::new();
    }
    let itself = Resource { path: target.path.to_owned(), query: target.query.map(str::to_owned) };
    let mut resources = vec![itself];
    for name in [LOCATION, CONTENT_LOCATION] {
        let reference = response.get(name).and_then(|value| value.to_str().ok());
        if let Some(resource) = reference.and_then(|reference| resolve(reference.trim(), target, rules))
            && !resources.contains(&resource)
        {
            resources.push(resource);
        }
    }
    resources
}

/// Whether a response says that its content is what a GET of the request's own target would bring (RFC 9110 §8.7, §9.3.3).
#[must_use]
pub fn is_its_own_place(target: &Target<'_>, response: &HeaderMap, rules: Rules) -> bool {
    let mut lines = response.get_all(CONTENT_LOCATION).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return false };
    let named = line.to_str().ok().and_then(|reference| resolve(reference.trim(), target, rules));
    named.is_some_and(|named| named.path == target.path && named.query.as_deref() == target.query)
}

/// The resource that a reference names, if it lies on the origin of `base` (RFC 3986 §5.2, RFC 9110 §4.3.1).
fn resolve(reference: &str, base: &Target<'_>, rules: Rules) -> Option<Resource> {
    let reference = reference.split('#').next().unwrap_or_default();
    let on_host = match reference.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => {
            Some(rest).filter(|_| scheme.eq_ignore_ascii_case(base.scheme)).map(Some)?
        }
        _ => reference.strip_prefix("//"),
    };
    let relative = match on_host {
        Some(rest) => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, rest) = rest.split_at_checked(end)?;
            if without_default_port(authority, base.scheme) != base.host {
                return None;
            }
            if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") }
        }
        None => match reference.bytes().next() {
            None => base.query.map_or(base.path.to_owned(), |query| format!("{}?{query}", base.path)),
            Some(b'/') => reference.to_owned(),
            Some(b'?') => format!("{}{reference}", base.path),
            Some(_) if reference.split(['/', '?']).next()?.contains(':') => return None, // `mailto:a`
            Some(_) => {
                let directory = base.path.rfind('/').and_then(|at| base.path.get(..=at)).unwrap_or("/");
                format!("{directory}{reference}")
            }
        },
    };
    let normal = normalise(relative.as_bytes(), &rules).ok()?;
    Some(Resource { path: normal.path().to_owned(), query: normal.query().map(str::to_owned) })
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// As [`Target::host`] is written.
fn without_default_port(authority: &str, scheme: &str) -> String {
    let default = if scheme == "https" { ":443" } else { ":80" };
    let authority = authority.to_ascii_lowercase();
    let host = authority.strip_suffix(default).or_else(|| authority.strip_suffix(':')).unwrap_or(&authority);
    host.to_owned()
}

#[cfg(test)]
mod tests;
