//! BoringSSL contexts for a listener. A handshake starts from the entrance, which holds ticket keys and no certificate;
//! on the `ClientHello` it moves to the context of the certificate that the store picks. Both kinds are configured
//! alike, because BoringSSL takes some settings from the one and some from the other.
//!
//! Nothing here needs a word to keep idle connections small: BoringSSL frees its record buffers when they are empty,
//! and certificates are shared, not copied. It has no compression and no renegotiation on servers to turn off.

use std::sync::Arc;

use arc_swap::ArcSwap;
use boring::error::ErrorStack;
use boring::ssl::{
    AlpnError, ClientHello, ExtensionType, NameType, SelectCertError, SslAcceptor, SslAcceptorBuilder,
    SslContext, SslMethod, SslOptions, SslSessionCacheMode, SslVersion,
};

use super::Clock;
use super::certificate::Certificate;
use super::key::Abilities;
use super::spec::{Profile, Protocol};
use super::store::Store;
use super::tickets::Tickets;
use super::trust::ClientAuth;

/// The TLS 1.2 suites of Mozilla's intermediate profile (guidelines 5.7), without the two with finite-field
/// Diffie-Hellman, which BoringSSL lacks. The client's order counts, as the profile has it: phones without AES in
/// hardware ask for `ChaCha20` first.
const TLS12_CIPHERS: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:\
    ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

/// What BoringSSL would use but for SHA-1, which it still signs with for clients that know nothing better.
const SIGNATURES: &str = "ed25519:ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256:rsa_pkcs1_sha256:ecdsa_secp384r1_sha384:\
    rsa_pss_rsae_sha384:rsa_pkcs1_sha384:ecdsa_secp521r1_sha512:rsa_pss_rsae_sha512:rsa_pkcs1_sha512";

/// Mozilla's groups, and before them the hybrid that withstands a quantum computer.
const GROUPS: &str = "X25519MLKEM768:X25519:P-256:P-384";

/// What all contexts of a listener have in common.
#[derive(Clone)]
pub(super) struct Settings {
    pub profile: Profile,
    pub protocols: Arc<[Protocol]>,
    pub tickets: Tickets,
    pub client_auth: ClientAuth,
    pub clock: Clock,
}

impl Settings {
    /// The context that handshakes start from, with ticket keys of its own.
    pub(super) fn entrance(&self, store: Arc<ArcSwap<Store>>) -> Result<SslAcceptor, ErrorStack> {
        let mut builder = self.builder()?;
        let clock = self.clock;
        builder.set_select_certificate_callback(move |hello| select(&store.load(), hello, clock()));
        Ok(builder.build())
    }

    /// The context of one certificate.
    pub(super) fn with_certificate(&self, certificate: &Certificate) -> Result<SslContext, ErrorStack> {
        let mut builder = self.builder()?;
        if let Some((leaf, issuers)) = certificate.split() {
            builder.set_certificate(leaf)?;
            for issuer in issuers {
                builder.add_extra_chain_cert(issuer.clone())?;
            }
        }
        builder.set_private_key(&certificate.key)?;
        Ok(builder.build().into_context())
    }

    fn builder(&self) -> Result<SslAcceptorBuilder, ErrorStack> {
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls())?;
        builder.set_strict_cipher_list(TLS12_CIPHERS)?;
        builder.set_curves_list(GROUPS)?;
        builder.set_sigalgs_list(SIGNATURES)?;
        builder.set_min_proto_version(Some(match self.profile {
            Profile::Intermediate => SslVersion::TLS1_2,
            Profile::Modern => SslVersion::TLS1_3,
        }))?;
        builder.set_max_proto_version(Some(SslVersion::TLS1_3))?;
        // sessions live in tickets; remembering them here would cost up to 20,000 sessions of memory
        builder.set_session_cache_mode(SslSessionCacheMode::OFF);
        if self.tickets == Tickets::Off {
            builder.set_options(SslOptions::NO_TICKET);
        }
        let protocols = Arc::clone(&self.protocols);
        builder.set_alpn_select_callback(move |_, offered| {
            protocols.iter().find_map(|protocol| find(offered, *protocol)).ok_or(AlpnError::ALERT_FATAL)
        });
        self.client_auth.configure(&mut builder)?;
        Ok(builder)
    }
}

/// Moves a handshake to the context of the certificate for its `ClientHello`.
fn select(store: &Store, mut hello: ClientHello<'_>, now: i64) -> Result<(), SelectCertError> {
    let entry = store.choose(hello.servername(NameType::HOST_NAME), &Abilities::of(&hello));
    let entry = entry.ok_or(SelectCertError::ERROR)?;
    let asks_for_staple = hello.get_extension(ExtensionType::STATUS_REQUEST).is_some();
    let ssl = hello.ssl_mut();
    ssl.set_ssl_context(&entry.context).map_err(|_| SelectCertError::ERROR)?;
    let staple = entry.certificate.staple.as_ref().filter(|_| asks_for_staple);
    if let Some(response) = staple.and_then(|staple| staple.fresh(now)) {
        ssl.set_ocsp_status(response).map_err(|_| SelectCertError::ERROR)?;
    }
    Ok(())
}

/// The protocol's name within a client's list of names, each preceded by its length (RFC 7301 section 3.1).
fn find(mut offered: &[u8], protocol: Protocol) -> Option<&[u8]> {
    while let Some((&length, rest)) = offered.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(length))?;
        if name == protocol.name().as_bytes() {
            return Some(name);
        }
        offered = rest;
    }
    None
}
