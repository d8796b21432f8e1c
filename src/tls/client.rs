//! TLS to an upstream, in the terms of Pingora's connector. Verified unless the operator wrote `danger`.
//!
//! Pingora switches verification off for a peer without a name, and its connection pool does not look at authorities.
//! Both are closed here: [`Client::apply`] leaves no name empty, and mixes a hash of every certificate into the
//! pool key.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use boring::x509::X509;
use pingora_core::protocols::tls::CaType;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::utils::tls::CertKey;
use sha2::{Digest, Sha256};

use super::certificate::{Certificate, PairFiles, read_authorities};
use super::reload::Watched;
use super::spec::ClientSpec;
use crate::values::Problem;

/// Stands for a backend without a name: no certificate has it (RFC 6761 section 6.4), so verification fails.
const NOBODY: &str = "no-name.invalid";

/// What a backend must prove, and what is proven to it.
pub struct Client {
    sni: Option<String>,
    alternative_name: Option<String>,
    verify: bool,
    /// Authorities in place of the system's.
    authorities: Option<Arc<CaType>>,
    identity: Option<Identity>,
    group_key: u64,
    watched: Watched,
}

struct Identity {
    pair: Arc<CertKey>,
    certificate: Certificate,
}

impl Client {
    /// Reads authorities and the client's certificate. Paths are relative to `base`, the policy's directory. To take
    /// over changed files, load once more and use the result for new connections.
    ///
    /// # Errors
    /// Everything that is wrong, each with its place in the spec.
    pub fn load(spec: &ClientSpec, base: &Path) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let watched = Watched::look(files(spec).map(|path| base.join(path)));
        let authorities = spec.ca.as_ref().and_then(|path| {
            let read = read_authorities(&base.join(path));
            read.map_err(|error| problems.push(Problem::new("ca", error))).ok()
        });
        let identity = spec.client_certificate.as_ref().and_then(|pair| {
            let files = PairFiles { cert: base.join(&pair.cert), key: base.join(&pair.key), ocsp: None };
            let loaded = Certificate::load(&files);
            loaded.map_err(|error| problems.push(Problem::new("client_certificate", error))).ok()
        });
        problems.extend(contradictions(spec));
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            sni: spec.sni.clone(),
            alternative_name: spec.alternative_name.clone(),
            verify: !spec.danger_accept_invalid_certificates,
            group_key: group_key(authorities.as_deref(), identity.as_ref()),
            authorities: authorities.map(|authorities| Arc::new(authorities.into_boxed_slice())),
            identity: identity.map(Identity::new),
            watched,
        })
    }

    /// Whether a backend may be written as `host`.
    ///
    /// # Errors
    /// When it is an IP address, or empty as for a Unix socket, and nothing says which name its certificate must have:
    /// Pingora looks for names alone.
    pub fn check_host(&self, host: &str) -> Result<(), Problem> {
        let nameless = host.is_empty() || host.parse::<IpAddr>().is_ok();
        if self.verify && self.sni.is_none() && nameless {
            return Err(Problem::new(
                "sni",
                "a backend without a host name needs it, to know whose certificate to expect",
            ));
        }
        Ok(())
    }

    /// Makes Pingora connect to a backend, written as `host` in the policy, on these terms. The peer must have been
    /// made with TLS on.
    pub fn apply(&self, peer: &mut HttpPeer, host: &str) {
        match self.sni.as_deref().unwrap_or(host) {
            "" if self.verify => NOBODY.clone_into(&mut peer.sni),
            name => name.clone_into(&mut peer.sni),
        }
        peer.client_cert_key = self.identity.as_ref().map(|identity| Arc::clone(&identity.pair));
        peer.group_key ^= self.group_key;
        peer.options.ca.clone_from(&self.authorities);
        peer.options.alternative_cn.clone_from(&self.alternative_name);
        peer.options.verify_cert = self.verify;
        peer.options.verify_hostname = self.verify;
    }

    /// What sets connections made on these terms apart in the pool. It changes when any certificate read does.
    pub fn group_key(&self) -> u64 {
        self.group_key
    }

    /// Whether connections made on these terms are as those made on the others.
    pub fn same(&self, other: &Self) -> bool {
        self.group_key == other.group_key
            && (&self.sni, &self.alternative_name, self.verify)
                == (&other.sni, &other.alternative_name, other.verify)
    }

    /// The certificate shown to backends, for metrics and warnings.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.identity.as_ref().map(|identity| &identity.certificate)
    }

    /// Whether a file that was read has changed since. A few `stat` calls.
    pub fn changed(&self) -> bool {
        self.watched.changed()
    }
}

impl Identity {
    fn new(certificate: Certificate) -> Self {
        let pair = Arc::new(CertKey::new(certificate.chain.clone(), certificate.key.clone()));
        Self { pair, certificate }
    }
}

fn files(spec: &ClientSpec) -> impl Iterator<Item = &PathBuf> {
    let pair = spec.client_certificate.iter().flat_map(|pair| [&pair.cert, &pair.key]);
    spec.ca.iter().chain(pair)
}

fn contradictions(spec: &ClientSpec) -> Vec<Problem> {
    let mut problems = Vec::new();
    if spec.sni.as_ref().is_some_and(String::is_empty) {
        problems.push(Problem::new("sni", "expected a host name such as orders.internal"));
    }
    if spec.danger_accept_invalid_certificates {
        let unused = [("ca", spec.ca.is_some()), ("alternative_name", spec.alternative_name.is_some())];
        let message = "means nothing with `danger_accept_invalid_certificates`";
        problems.extend(unused.iter().filter(|(_, given)| *given).map(|(at, _)| Problem::new(*at, message)));
    }
    problems
}

fn group_key(authorities: Option<&[X509]>, identity: Option<&Certificate>) -> u64 {
    let mut hash = Sha256::new();
    for certificates in [authorities, identity.map(|certificate| certificate.chain.as_slice())] {
        hash.update([u8::from(certificates.is_some())]);
        for certificate in certificates.unwrap_or_default() {
            hash.update(certificate.to_der().unwrap_or_default());
        }
    }
    let digest: [u8; 32] = hash.finalize().into();
    digest.iter().take(8).fold(0, |key, &byte| key << 8 | u64::from(byte))
}
