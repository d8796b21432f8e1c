//! Who calls, by the certificate that the client proved to own in the TLS handshake.
//!
//! What always holds: only certificates that the listener verified count, and only as long as they are valid, however
//! long the connection lives; whoever is let in has a name.
//!
//! A missing certificate is answered with 403 and not with 401: that must name a scheme to authenticate by (RFC 9110
//! section 15.5.2), and none stands for certificates. Apache and Envoy answer the same; nginx' 400 says something untrue
//! of the request.

mod names;

use http::{HeaderName, HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;

use super::header_edits::{Head, editable};
use super::{Caller, Exchange, Filter, Phases, Site, Step};
use crate::auth::client_cert::{CLIENT_CERT, CLIENT_CERT_CHAIN, client_cert, client_cert_chain};
use crate::state::clock::unix_seconds;
use crate::tls::ClientIdentity;
use crate::values::Problem;
use names::Pattern;
pub use names::{Allowed, Source};

const KIND: &str = "mtls";

/// Lets in whose certificate is named. Refuses with 403: `mtls_missing` (no certificate), `mtls_expired` (it has expired
/// since the connection began), `mtls_not_allowed` (it is somebody else's).
///
/// The listener has to ask for certificates: `tls: { client: { mode: optional, ca: clients.crt } }`; what it verified
/// counts here.
///
/// ```yaml
/// - mtls: { allow: [{ san_dns: "*.internal.example" }, { san_uri: "spiffe://example.com/billing/*" }] }
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Whose certificates are good: one of these is enough. Default: every certificate that the listener verified.
    /// Example: `[{ san_dns: "*.internal.example" }]`.
    #[serde(default)]
    pub allow: Option<Vec<Allowed>>,
    /// The issuer that certificates must come from, as RFC 2253 writes its name. Default: any authority of the listener.
    /// Example: `CN=Services,O=Example`.
    #[serde(default)]
    pub issuer: Option<String>,
    /// What names the caller, in logs, expressions and limits. A certificate without it is refused. Of several names of
    /// that kind, one that `allow` lists comes first. Default: the first of `san_uri`, `san_dns`, `san_email`, `subject`
    /// and `fingerprint` that the certificate has.
    #[serde(default)]
    pub subject_from: Option<Source>,
    /// What the upstream is told. Default: nothing.
    #[serde(default)]
    pub forward: Forward,
}

/// What the upstream is told of the client's certificate.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ForwardCertificate")]
pub struct Forward {
    /// The certificate, in `Client-Cert` (RFC 9440). Copies that clients send are removed from every request, on every
    /// route. Default: `false`.
    pub client_cert: bool,
    /// The certificates between that one and the listener's authority, in `Client-Cert-Chain` (RFC 9440), as the listener
    /// verified them. The header is left out where there are none, and where they have more than 16 KiB. Needs
    /// `client_cert`. Default: `false`.
    pub client_cert_chain: bool,
    /// A header that names the caller. Whatever a client sends under that name is removed. Default: none.
    /// Example: `x-client`.
    pub subject_as: Option<String>,
}

impl super::Spec for Spec {
    const KIND: &'static str = KIND;
    const DECIDES: bool = true;
    const NOTHING_SHOWN: Option<&'static str> = Some("mtls_missing");

    fn compile(self, _: &Site<'_>) -> Result<Box<dyn Filter>, Problem> {
        let allow = match self.allow {
            None => None,
            Some(list) if list.is_empty() => {
                return Err(Problem::new("allow", "an empty list lets nobody in"));
            }
            Some(list) => Some(patterns(list)?),
        };
        if self.forward.client_cert_chain && !self.forward.client_cert {
            let message =
                "is above a certificate that the upstream does not get: it needs client_cert (RFC 9440)";
            return Err(Problem::new("forward.client_cert_chain", message));
        }
        let subject_as = self.forward.subject_as.as_deref().map(editable).transpose();
        let mut vouched = Vec::new();
        let subject_as = subject_as.map_err(|message| Problem::new("forward.subject_as", message))?;
        vouched.extend(subject_as.clone());
        Ok(Box::new(Mtls {
            allow,
            issuer: self.issuer,
            subject_from: self.subject_from,
            client_cert: self.forward.client_cert,
            client_cert_chain: self.forward.client_cert_chain,
            subject_as,
            vouched,
        }))
    }
}

fn patterns(list: Vec<Allowed>) -> Result<Vec<Pattern>, Problem> {
    let list = list.into_iter().enumerate();
    list.map(|(at, allowed)| {
        Pattern::compile(allowed).map_err(|problem| problem.under(&format!("allow[{at}]")))
    })
    .collect()
}

struct Mtls {
    allow: Option<Vec<Pattern>>,
    issuer: Option<String>,
    subject_from: Option<Source>,
    client_cert: bool,
    client_cert_chain: bool,
    subject_as: Option<HeaderName>,
    vouched: Vec<HeaderName>,
}

impl Filter for Mtls {
    fn phases(&self) -> Phases {
        Phases::REQUEST
    }

    fn vouches_for(&self) -> &[HeaderName] {
        &self.vouched
    }

    fn on_request<'a>(&'a self, exchange: &'a mut Exchange<'_>) -> Step<'a> {
        let facts = exchange.facts;
        let Some(certificate) = facts.tls.as_deref().and_then(|tls| tls.client.as_deref()) else {
            return Step::refuse(StatusCode::FORBIDDEN, "mtls_missing");
        };
        let now = unix_seconds(facts.time);
        if i64::try_from(now).is_ok_and(|now| now > certificate.not_after) {
            return Step::refuse(StatusCode::FORBIDDEN, "mtls_expired");
        }
        let Some((subject, headers)) = self.admitted(certificate) else {
            return Step::refuse(StatusCode::FORBIDDEN, "mtls_not_allowed");
        };
        for (name, value) in headers {
            exchange.request.insert(&name, value);
        }
        exchange.identify(Caller::named(KIND, subject));
        Step::NEXT
    }
}

type Headers = Vec<(HeaderName, HeaderValue)>;

impl Mtls {
    /// What the owner of the certificate is called, and what the upstream is told. `None` if he is not let in.
    fn admitted<'c>(&self, certificate: &'c ClientIdentity) -> Option<(&'c str, Headers)> {
        if self.issuer.as_ref().is_some_and(|issuer| *issuer != certificate.issuer) {
            return None;
        }
        let allow = self.allow.as_deref();
        if allow.is_some_and(|allow| !allow.iter().any(|pattern| pattern.matches(certificate))) {
            return None;
        }
        let subject = self.subject(certificate)?;
        let mut headers = Vec::new();
        if let Some(name) = &self.subject_as {
            headers.push((name.clone(), HeaderValue::from_str(subject).ok()?));
        }
        if self.client_cert {
            headers.push((CLIENT_CERT, HeaderValue::try_from(client_cert(&certificate.der)).ok()?));
        }
        let above = certificate.above.iter().map(Vec::as_slice);
        if let Some(chain) = client_cert_chain(above).filter(|_| self.client_cert_chain) {
            headers.push((CLIENT_CERT_CHAIN, HeaderValue::try_from(chain).ok()?));
        }
        Some((subject, headers))
    }

    fn subject<'c>(&self, certificate: &'c ClientIdentity) -> Option<&'c str> {
        let Some(source) = self.subject_from else {
            return Source::IN_ORDER.iter().find_map(|source| self.named_by(*source, certificate));
        };
        self.named_by(source, certificate)
    }

    fn named_by<'c>(&self, source: Source, certificate: &'c ClientIdentity) -> Option<&'c str> {
        let listed = |name: &&str| self.allow.iter().flatten().any(|pattern| pattern.takes(source, name));
        let all = || source.names(certificate).filter(|name| !name.is_empty());
        all().find(listed).or_else(|| all().next())
    }
}

#[cfg(test)]
mod tests;
