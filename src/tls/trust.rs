//! Whom a listener believes to be a client: the authorities, how deep, and what they have revoked.
//!
//! BoringSSL builds and verifies the chain; its callback adds revocation and notes why a client was refused.

use std::path::Path;
use std::sync::Arc;

use boring::error::ErrorStack;
use boring::ssl::{SslContextBuilder, SslVerifyMode};
use boring::stack::StackRef;
use boring::x509::store::{X509Store, X509StoreBuilder};
use boring::x509::verify::X509VerifyFlags;
use boring::x509::{X509, X509Ref, X509StoreContext, X509StoreContextRef, X509VerifyError};

use super::certificate::{self, read_authorities};
use super::handshake::{self, Reason};
use super::revocation::Revocation;
use super::spec::{ClientAuthMode, ClientAuthSpec};
use super::{Clock, reload::Watched};
use crate::values::Problem;

const DEFAULT_DEPTH: u32 = 4;

/// Whether clients are asked for a certificate, and which one will do.
#[derive(Clone)]
pub(super) enum ClientAuth {
    Off,
    Ask { required: bool, trust: Arc<Trust> },
}

/// Authorities with their revocation lists.
pub(super) struct Trust {
    authorities: Vec<X509>,
    store: X509Store,
    depth: u32,
    revocation: Option<Revocation>,
    clock: Clock,
}

impl ClientAuth {
    /// Reads what a spec names; paths are relative to `base`.
    pub(super) fn load(spec: &ClientAuthSpec, base: &Path, clock: Clock) -> Result<Self, Problem> {
        let required = match spec.mode {
            ClientAuthMode::Off => return off(spec),
            ClientAuthMode::Optional => false,
            ClientAuthMode::Required => true,
        };
        let Some(ca) = &spec.ca else {
            return Err(Problem::new("ca", "a file with the authorities of clients is needed"));
        };
        let crl = spec.crl.as_ref().map(|crl| base.join(crl));
        let trust = Trust::load(&base.join(ca), crl.as_deref(), spec.depth, clock)?;
        Ok(Self::Ask { required, trust: Arc::new(trust) })
    }

    /// The files that [`ClientAuth::load`] reads.
    pub(super) fn files(spec: &ClientAuthSpec, base: &Path) -> Watched {
        Watched::look([&spec.ca, &spec.crl].into_iter().flatten().map(|path| base.join(path)))
    }

    /// The certificates between a client's, which was verified, and the authority, of those that the client sent with it.
    pub(super) fn between(&self, certificate: &X509Ref, sent: &StackRef<X509>) -> Vec<X509> {
        match self {
            Self::Ask { trust, .. } if !sent.is_empty() => {
                trust.between(certificate, sent).unwrap_or_default()
            }
            Self::Ask { .. } | Self::Off => Vec::new(),
        }
    }

    /// Applies this to a context that handshakes will use.
    pub(super) fn configure(&self, context: &mut SslContextBuilder) -> Result<(), ErrorStack> {
        let Self::Ask { required, trust } = self else { return Ok(()) };
        context.set_verify_cert_store(trust.store.clone())?;
        context.set_verify_depth(trust.depth);
        for authority in &trust.authorities {
            context.add_client_ca(authority)?;
        }
        let mode = if *required {
            SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT
        } else {
            SslVerifyMode::PEER
        };
        let trust = Arc::clone(trust);
        context.set_verify_callback(mode, move |good, chain| trust.admit(good, chain));
        Ok(())
    }
}

impl Trust {
    fn load(ca: &Path, crl: Option<&Path>, depth: Option<u32>, clock: Clock) -> Result<Self, Problem> {
        let authorities = read_authorities(ca).map_err(|error| Problem::new("ca", error))?;
        let revocation = match crl {
            None => None,
            Some(path) => {
                let file = certificate::read(path).map_err(|error| Problem::new("crl", error))?;
                let lists = Revocation::parse(&file, &authorities);
                let problem = |error| Problem::new("crl", format_args!("{}: {error}", path.display()));
                Some(lists.map_err(problem)?)
            }
        };
        let store = store(&authorities).map_err(|error| Problem::new("ca", error))?;
        Ok(Self { authorities, store, depth: depth.unwrap_or(DEFAULT_DEPTH), revocation, clock })
    }

    /// BoringSSL keeps what a client sent, not the way it found through that, so it is asked again. Nothing comes out where
    /// that way has ended since, as a certificate on it may have when a session is resumed.
    fn between(&self, certificate: &X509Ref, sent: &StackRef<X509>) -> Result<Vec<X509>, ErrorStack> {
        X509StoreContext::new()?.init(&self.store, certificate, sent, |context| {
            if !context.verify_cert()? {
                // The reason must not be taken for one of the connection's: they share a queue, which belongs to the thread.
                _ = ErrorStack::get();
                return Ok(Vec::new());
            }
            let way: Vec<_> = context.chain().into_iter().flatten().map(X509Ref::to_owned).collect();
            let between = way.get(1..way.len().saturating_sub(1)).unwrap_or_default();
            Ok(between.to_vec())
        })
    }

    /// BoringSSL's question after each step of a verification: `good` is its own answer.
    fn admit(&self, good: bool, chain: &mut X509StoreContextRef) -> bool {
        let verdict = if good { self.check_revocation(chain) } else { chain.verify_result() };
        let Err(error) = verdict else { return good };
        chain.set_error(Err(error));
        handshake::note(reason(error));
        false
    }

    fn check_revocation(&self, chain: &X509StoreContextRef) -> Result<(), X509VerifyError> {
        let Some(revocation) = &self.revocation else { return Ok(()) };
        let length = chain.chain().map_or(0, StackRef::len);
        let position = usize::try_from(chain.error_depth()).unwrap_or(usize::MAX);
        if position.saturating_add(1) >= length {
            return Ok(()); // the authority itself, trusted because the operator listed it
        }
        let certificate = chain.current_cert().ok_or(X509VerifyError::UNSPECIFIED)?;
        revocation.check(certificate, (self.clock)())
    }
}

fn off(spec: &ClientAuthSpec) -> Result<ClientAuth, Problem> {
    if *spec == ClientAuthSpec::default() {
        return Ok(ClientAuth::Off);
    }
    Err(Problem::new(
        "mode",
        "clients are verified with mode `optional` or `required` alone, and it is `off`",
    ))
}

fn store(authorities: &[X509]) -> Result<X509Store, ErrorStack> {
    let mut store = X509StoreBuilder::new()?;
    store.verify_param_mut().set_flags(X509VerifyFlags::PARTIAL_CHAIN | X509VerifyFlags::TRUSTED_FIRST);
    for authority in authorities {
        store.add_cert(authority)?;
    }
    Ok(store.build())
}

fn reason(error: X509VerifyError) -> Reason {
    match error {
        X509VerifyError::CERT_HAS_EXPIRED => Reason::ClientCertificateExpired,
        X509VerifyError::CERT_REVOKED => Reason::ClientCertificateRevoked,
        X509VerifyError::UNABLE_TO_GET_CRL
        | X509VerifyError::CRL_HAS_EXPIRED
        | X509VerifyError::CRL_NOT_YET_VALID => Reason::RevocationUnknown,
        X509VerifyError::UNABLE_TO_GET_ISSUER_CERT
        | X509VerifyError::UNABLE_TO_GET_ISSUER_CERT_LOCALLY
        | X509VerifyError::UNABLE_TO_VERIFY_LEAF_SIGNATURE
        | X509VerifyError::DEPTH_ZERO_SELF_SIGNED_CERT
        | X509VerifyError::SELF_SIGNED_CERT_IN_CHAIN => Reason::UnknownCa,
        _ => Reason::ClientCertificateInvalid,
    }
}
