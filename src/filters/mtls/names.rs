//! The names in a certificate, and what a policy says of them. There are no regular expressions: whoever gets them wrong
//! lets in strangers.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::tls::ClientIdentity;
use crate::values::Problem;

/// Whose certificate is good, by one of its names.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Allowed {
    /// A DNS name among the subject alternative names. `*.example.com` stands for every name with exactly one more label.
    SanDns(String),
    /// A URI among them, such as a SPIFFE ID. A path that ends with `/*` stands for everything below it.
    SanUri(String),
    /// A mail address among them. `*@example.com` stands for every one of the domain.
    SanEmail(String),
    /// The subject, as RFC 2253 writes it: `openssl x509 -noout -subject -nameopt RFC2253 -in client.crt`.
    Subject(String),
    /// SHA-256 of the certificate in hexadecimal, with or without colons:
    /// `openssl x509 -noout -fingerprint -sha256 -in client.crt`.
    Fingerprint(String),
}

/// What of a certificate names its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "CertificateName")]
pub enum Source {
    /// A URI among the subject alternative names.
    SanUri,
    /// A DNS name among them.
    SanDns,
    /// A mail address among them.
    SanEmail,
    /// The subject.
    Subject,
    /// SHA-256 of the certificate.
    Fingerprint,
}

/// What names of one kind are good.
#[derive(Debug)]
pub(super) struct Pattern {
    source: Source,
    shape: Shape,
}

#[derive(Debug)]
enum Shape {
    Exact(String),
    /// A mail address.
    Address(String),
    /// One label before this, which begins with a dot.
    Label(String),
    /// Whole segments after this, which ends with a slash.
    Below(String),
    /// Any mail address of this domain.
    Domain(String),
}

impl Source {
    pub(super) const IN_ORDER: [Self; 5] =
        [Self::SanUri, Self::SanDns, Self::SanEmail, Self::Subject, Self::Fingerprint];

    /// The certificate's names of that kind.
    pub(super) fn names(self, certificate: &ClientIdentity) -> impl Iterator<Item = &str> + use<'_> {
        let (list, one): (&[String], Option<&String>) = match self {
            Self::SanUri => (&certificate.san_uri, None),
            Self::SanDns => (&certificate.san_dns, None),
            Self::SanEmail => (&certificate.san_email, None),
            Self::Subject => (&[], Some(&certificate.subject)),
            Self::Fingerprint => (&[], Some(&certificate.fingerprint_sha256)),
        };
        list.iter().chain(one).map(String::as_str)
    }
}

impl Pattern {
    pub(super) fn compile(allowed: Allowed) -> Result<Self, Problem> {
        let (source, key, shape) = match allowed {
            Allowed::SanDns(name) => (Source::SanDns, "san_dns", dns(&name)),
            Allowed::SanUri(uri) => (Source::SanUri, "san_uri", uri_shape(uri)),
            Allowed::SanEmail(address) => (Source::SanEmail, "san_email", email(&address)),
            Allowed::Subject(name) => (Source::Subject, "subject", subject(name)),
            Allowed::Fingerprint(digest) => (Source::Fingerprint, "fingerprint", fingerprint(&digest)),
        };
        let shape = shape.map_err(|message| Problem::new(key, message))?;
        Ok(Self { source, shape })
    }

    pub(super) fn matches(&self, certificate: &ClientIdentity) -> bool {
        self.source.names(certificate).any(|name| self.shape.matches(name))
    }

    /// Whether it is about that kind of name, and this is one.
    pub(super) fn takes(&self, source: Source, name: &str) -> bool {
        self.source == source && self.shape.matches(name)
    }
}

impl Shape {
    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => name == exact,
            Self::Address(address) => same_address(address, name),
            Self::Label(suffix) => {
                let label = name.strip_suffix(suffix.as_str()).unwrap_or_default();
                // A name that is a pattern itself is nobody's.
                !label.is_empty() && !label.contains(['.', '*'])
            }
            Self::Below(prefix) => name.strip_prefix(prefix.as_str()).is_some_and(is_below),
            Self::Domain(domain) => name
                .rsplit_once('@')
                .is_some_and(|(local, of)| !local.is_empty() && of.eq_ignore_ascii_case(domain)),
        }
    }
}

/// Whole segments, none of which leads up again or means something else once it is decoded.
fn is_below(rest: &str) -> bool {
    !rest.contains(['%', '?', '#', '\\'])
        && rest.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
}

/// Domains have no case, and what stands before them may have (RFC 5321 section 2.4).
fn same_address(one: &str, other: &str) -> bool {
    match (one.rsplit_once('@'), other.rsplit_once('@')) {
        (Some((local, domain)), Some((other_local, other_domain))) => {
            local == other_local && domain.eq_ignore_ascii_case(other_domain)
        }
        _ => one == other,
    }
}

fn dns(name: &str) -> Result<Shape, &'static str> {
    const EXPECTED: &str = "expected a DNS name, whose first label may be `*`: `*.internal.example`";
    let name = name.to_ascii_lowercase();
    let rest = name.strip_prefix("*.").unwrap_or(&name);
    let label = |label: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !label.is_empty() && label.bytes().all(known)
    };
    if !rest.split('.').all(label) {
        return Err(EXPECTED);
    }
    Ok(match name.strip_prefix('*') {
        Some(suffix) => Shape::Label(suffix.to_owned()),
        None => Shape::Exact(name),
    })
}

fn uri_shape(uri: String) -> Result<Shape, &'static str> {
    const EXPECTED: &str = "expected a URI, whose path may end with `/*`: `spiffe://example.com/billing/*`";
    let Some(prefix) = uri.strip_suffix('*') else {
        let good = uri.contains(':') && !uri.contains('*');
        return if good { Ok(Shape::Exact(uri)) } else { Err(EXPECTED) };
    };
    let path = prefix.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
    let good = path.is_some_and(|(authority, _)| !authority.is_empty());
    if good && prefix.ends_with('/') && !prefix.contains('*') {
        Ok(Shape::Below(prefix.to_owned()))
    } else {
        Err(EXPECTED)
    }
}

fn email(address: &str) -> Result<Shape, &'static str> {
    const EXPECTED: &str = "expected a mail address, or `*@example.com` for all of a domain";
    match address.rsplit_once('@') {
        Some(("*", domain)) if !domain.is_empty() && !domain.contains('*') => {
            Ok(Shape::Domain(domain.to_owned()))
        }
        Some((local, domain)) if !local.is_empty() && !domain.is_empty() && !address.contains('*') => {
            Ok(Shape::Address(address.to_owned()))
        }
        _ => Err(EXPECTED),
    }
}

fn subject(name: String) -> Result<Shape, &'static str> {
    if name.contains('=') {
        return Ok(Shape::Exact(name));
    }
    Err("expected a subject as RFC 2253 writes it: `CN=billing,O=Example`")
}

fn fingerprint(digest: &str) -> Result<Shape, &'static str> {
    let digits: String = digest.chars().filter(|digit| *digit != ':').collect();
    if digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(Shape::Exact(digits.to_ascii_lowercase()));
    }
    Err("expected 64 hexadecimal digits, the certificate's SHA-256")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(allowed: Allowed, name: &str) -> bool {
        let pattern = Pattern::compile(allowed).unwrap();
        pattern.takes(pattern.source, name)
    }

    fn error(allowed: Allowed) -> String {
        Pattern::compile(allowed).unwrap_err().to_string()
    }

    #[test]
    fn a_star_stands_for_one_label() {
        let dns = |pattern: &str, name: &str| takes(Allowed::SanDns(pattern.into()), name);
        assert!(dns("billing.example", "billing.example") && dns("Billing.Example", "billing.example"));
        assert!(dns("*.example", "billing.example"));
        for name in
            ["example", ".example", "a.b.example", "*.example", "billingexample", "billing.example.org"]
        {
            assert!(!dns("*.example", name), "{name}");
        }
        assert!(!dns("billing.example", "xbilling.example"));
        for wrong in ["", "*", "*.", "a.*.example", "*a.example", "a..b", "a b", "**.example"] {
            assert!(
                error(Allowed::SanDns(wrong.into())).starts_with("san_dns: expected a DNS name"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_path_with_a_star_stands_for_whole_segments_below_it() {
        let uri = |pattern: &str, name: &str| takes(Allowed::SanUri(pattern.into()), name);
        assert!(uri("spiffe://a/billing", "spiffe://a/billing"));
        assert!(
            uri("spiffe://a/billing/*", "spiffe://a/billing/one") && uri("spiffe://a/*", "spiffe://a/x/y")
        );
        for name in [
            "spiffe://a/billing",
            "spiffe://a/billing/",
            "spiffe://a/billings/x",
            "spiffe://a/billing/../admin",
            "spiffe://a/billing/%2e%2e/admin",
            "spiffe://a/billing//x",
            "spiffe://b/billing/x",
            "spiffe://a/billing/x?y",
        ] {
            assert!(!uri("spiffe://a/billing/*", name), "{name}");
        }
        for wrong in
            ["spiffe://*", "spiffe:///*", "spiffe://a*", "spiffe://a/b*", "*", "no-scheme", "spiffe://*/a"]
        {
            assert!(error(Allowed::SanUri(wrong.into())).starts_with("san_uri: expected a URI"), "{wrong}");
        }
    }

    #[test]
    fn domains_of_mail_have_no_case() {
        let mail = |pattern: &str, name: &str| takes(Allowed::SanEmail(pattern.into()), name);
        assert!(mail("ann@example.com", "ann@EXAMPLE.com") && mail("*@example.com", "bob@Example.com"));
        assert!(!mail("ann@example.com", "Ann@example.com") && !mail("*@example.com", "@example.com"));
        assert!(!mail("*@example.com", "bob@example.com.org") && !mail("*@example.com", "bob"));
        for wrong in ["ann", "@example.com", "a*@example.com", "*@", "*@*.com"] {
            assert!(error(Allowed::SanEmail(wrong.into())).starts_with("san_email: expected"), "{wrong}");
        }
    }

    #[test]
    fn subjects_and_fingerprints_are_compared_whole() {
        assert!(takes(Allowed::Subject("CN=a,O=B".into()), "CN=a,O=B"));
        assert!(
            takes(Allowed::Subject("CN=a@b".into()), "CN=a@b")
                && !takes(Allowed::Subject("CN=a@b".into()), "CN=a@B")
        );
        assert!(!takes(Allowed::Subject("CN=a".into()), "CN=a,O=B"));
        let digest = "AB".repeat(32);
        assert!(takes(Allowed::Fingerprint(digest.clone()), &"ab".repeat(32)));
        let colons = ["AB"; 32].join(":");
        assert!(takes(Allowed::Fingerprint(colons), &"ab".repeat(32)));
        assert!(!takes(Allowed::Fingerprint(digest), &"ac".repeat(32)));
        assert!(error(Allowed::Fingerprint("ab".into())).starts_with("fingerprint: expected 64"));
        assert!(error(Allowed::Subject("billing".into())).starts_with("subject: expected"));
    }
}
