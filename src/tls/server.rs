//! TLS at a listener. An [`Acceptor`] belongs to a listener for as long as its [`ServerSpec`] is the same, over reloads
//! of the policy too: session ticket keys live in it, and certificates are replaced within it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use boring::error::ErrorStack;
use boring::ssl::SslAcceptor;
use pingora_core::protocols::IO;
use pingora_core::protocols::tls::SslStream;
use pingora_core::protocols::tls::server::handshake_with_callback;

use super::certificate::{Certificate, Validity};
use super::context::Settings;
use super::handshake::{self, HandshakeError, Reason};
use super::identity::{Observer, TlsFacts};
use super::reload::{Loaded, Reloaded};
use super::spec::ServerSpec;
use super::store::Store;
use super::{Clock, system_clock};
use crate::values::Problem;

/// Does the TLS handshakes of a listener.
pub struct Acceptor {
    spec: ServerSpec,
    base: PathBuf,
    clock: Clock,
    live: ArcSwap<Live>,
    /// What `live` was made of. Locked by reloads alone.
    loaded: Mutex<Loaded>,
}

/// What handshakes use.
struct Live {
    entrance: SslAcceptor,
    /// The cell that `entrance` picks certificates from. It has a life of its own so that neither new certificates nor
    /// new ticket keys take the other along.
    store: Arc<ArcSwap<Store>>,
    /// When the entrance's ticket keys were made.
    since: i64,
    observer: Observer,
}

impl Live {
    fn new(settings: &Settings, store: Arc<ArcSwap<Store>>) -> Result<Self, ErrorStack> {
        let entrance = settings.entrance(Arc::clone(&store))?;
        let observer = Observer { client_auth: settings.client_auth.clone() };
        Ok(Self { entrance, store, since: (settings.clock)(), observer })
    }
}

impl Acceptor {
    /// Reads certificates, authorities and revocation lists. Paths are relative to `base`, the policy's directory.
    ///
    /// # Errors
    /// Everything that is wrong, each with its place in the spec.
    pub fn load(spec: &ServerSpec, base: &Path) -> Result<Self, Vec<Problem>> {
        Self::load_at(spec, base, system_clock)
    }

    /// As [`Acceptor::load`], by another clock.
    ///
    /// # Errors
    /// As [`Acceptor::load`].
    pub fn load_at(spec: &ServerSpec, base: &Path, clock: Clock) -> Result<Self, Vec<Problem>> {
        let loaded = Loaded::load(spec, base, clock)?;
        let live = store(&loaded)
            .and_then(|store| Live::new(&loaded.settings, Arc::new(ArcSwap::from_pointee(store))));
        let live = live.map_err(|error| vec![unusable(&error)])?;
        Ok(Self {
            spec: spec.clone(),
            base: base.to_owned(),
            clock,
            live: ArcSwap::from_pointee(live),
            loaded: Mutex::new(loaded),
        })
    }

    /// Whether this is what [`Acceptor::load`] would make of `spec`, save for changed files: if so, keep it over a
    /// reload of the policy, call [`Acceptor::reload`], and clients' session tickets stay good.
    pub fn serves(&self, spec: &ServerSpec, base: &Path) -> bool {
        self.spec == *spec && self.base == base
    }

    /// Does the server's part of a handshake. The connection's `SslDigest` then has [`TlsFacts`] as its extension.
    ///
    /// # Errors
    /// When the handshake fails or takes longer than `within`. The connection is closed; BoringSSL has sent the
    /// alert.
    pub async fn accept<S: IO>(&self, stream: S, within: Duration) -> Result<SslStream<S>, HandshakeError> {
        let (entrance, observer) = {
            let live = self.live.load();
            (live.entrance.clone(), live.observer.clone())
        };
        let stream =
            handshake::observe(within, handshake_with_callback(&entrance, stream, &observer)).await?;
        self.check_resumed(&stream)?;
        Ok(stream)
    }

    /// Whether a file that was read has changed since. A few `stat` calls; ask every few seconds.
    pub fn changed(&self) -> bool {
        self.loaded().changed()
    }

    /// Reads changed files again. Each certificate, and the authorities with their revocation lists, are taken over as
    /// a whole or not at all. Handshakes go on meanwhile; connections are not touched.
    pub fn reload(&self) -> Reloaded {
        let mut loaded = self.loaded();
        let mut reloaded = loaded.reload(&self.spec.client, &self.base);
        if reloaded.replaced.is_empty() && !reloaded.new_client_auth {
            return reloaded;
        }
        if let Err(error) = self.publish(&loaded, reloaded.new_client_auth) {
            reloaded.replaced.clear();
            reloaded.new_client_auth = false;
            reloaded.problems.push(unusable(&error));
        }
        reloaded
    }

    /// Retires the session ticket keys if they are due, and says whether it did. Ask every few seconds.
    ///
    /// # Errors
    /// When BoringSSL cannot make a new context; the old keys are used on.
    pub fn rotate_tickets(&self) -> Result<bool, Problem> {
        let loaded = self.loaded();
        let live = self.live.load();
        if !loaded.settings.tickets.due(live.since, (self.clock)()) {
            return Ok(false);
        }
        let fresh = Live::new(&loaded.settings, Arc::clone(&live.store)).map_err(Problem::whole)?;
        self.live.store(Arc::new(fresh));
        Ok(true)
    }

    /// The certificates served now, for metrics and for warnings about their [`Validity`].
    pub fn certificates(&self) -> Vec<Arc<Certificate>> {
        self.loaded().pairs.iter().map(|pair| Arc::clone(&pair.listed.certificate)).collect()
    }

    /// The certificates served now that no client will accept.
    pub fn invalid_certificates(&self) -> Vec<(Arc<Certificate>, Validity)> {
        let now = (self.clock)();
        let judged = self.certificates().into_iter().map(|certificate| {
            let validity = certificate.validity(now);
            (certificate, validity)
        });
        judged.filter(|(_, validity)| *validity != Validity::Valid).collect()
    }

    /// Revoked clients lose their tickets with the list that revokes them, but a certificate expires by itself.
    fn check_resumed<S>(&self, stream: &SslStream<S>) -> Result<(), HandshakeError> {
        let digest = stream.ssl_digest();
        let facts = digest.as_ref().and_then(|digest| digest.extension.get::<TlsFacts>());
        match facts.and_then(|facts| facts.client.as_ref()) {
            Some(client) if client.not_after < (self.clock)() => {
                Err(HandshakeError::new(Reason::ClientCertificateExpired, "certificate has expired since"))
            }
            _ => Ok(()),
        }
    }

    fn publish(&self, loaded: &Loaded, new_client_auth: bool) -> Result<(), ErrorStack> {
        let store = store(loaded)?;
        if new_client_auth {
            // with new ticket keys, so that a client let in on other terms is verified anew
            let live = Live::new(&loaded.settings, Arc::new(ArcSwap::from_pointee(store)))?;
            self.live.store(Arc::new(live));
        } else {
            self.live.load().store.store(Arc::new(store));
        }
        Ok(())
    }

    fn loaded(&self) -> MutexGuard<'_, Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why BoringSSL takes no context with these certificates.
fn unusable(error: &ErrorStack) -> Problem {
    let is_usage = error.errors().iter().any(|error| error.reason() == Some("KEY_USAGE_BIT_INCORRECT"));
    if is_usage {
        let message = "a certificate is not one for servers: its key usage lacks digitalSignature, as an authority's own does";
        return Problem::whole(message);
    }
    Problem::whole(format_args!("the certificates cannot be used: {error}"))
}

fn store(loaded: &Loaded) -> Result<Store, ErrorStack> {
    Store::build(loaded.pairs.iter().map(|pair| &pair.listed), &loaded.settings)
}
