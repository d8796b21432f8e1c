//! A TLS client that can be told how to behave, and says what it saw.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};

use boring::ssl::{Ssl, SslContext, SslMethod, SslStream, SslVerifyMode, SslVersion};
use boring::x509::X509;
use boring::x509::store::X509StoreBuilder;

use super::certs::{Authority, Issued};
use super::poll::DEADLINE;

/// `http/1.1` alone, as ALPN writes it.
pub const H1: &[u8] = b"\x08http/1.1";
/// `h2` alone.
pub const H2: &[u8] = b"\x02h2";

/// How a client behaves in a handshake.
#[derive(Clone, Default)]
pub struct Visitor<'a> {
    /// The server name it asks for; none is sent without.
    pub sni: Option<&'a str>,
    /// ALPN, each name with its length before it.
    pub alpn: &'a [u8],
    /// The newest version it speaks.
    pub newest: Option<SslVersion>,
    /// The oldest.
    pub oldest: Option<SslVersion>,
    /// Signature algorithms, to ask for one kind of key.
    pub algorithms: Option<&'a str>,
    /// Ciphers of TLS 1.2 and before.
    pub ciphers: Option<&'a str>,
    /// Its own certificate.
    pub identity: Option<&'a Issued>,
    /// Whom it trusts; everyone without.
    pub trust: Option<&'a Authority>,
    /// Asks for a stapled OCSP response.
    pub wants_staple: bool,
}

/// What a client saw.
#[derive(Debug)]
pub struct Met {
    /// The server's certificate.
    pub certificate: X509,
    /// The protocol agreed on.
    pub alpn: Option<Vec<u8>>,
    /// `TLSv1.3`.
    pub version: &'static str,
    /// The stapled OCSP response.
    pub staple: Option<Vec<u8>>,
    /// Whether a session was resumed.
    pub resumed: bool,
}

impl Met {
    /// The first DNS name in the server's certificate.
    pub fn name(&self) -> String {
        let names = self.certificate.subject_alt_names();
        names
            .and_then(|names| names.iter().find_map(|name| name.dnsname().map(str::to_owned)))
            .unwrap_or_default()
    }

    /// Whether the server's key is an RSA key.
    pub fn is_rsa(&self) -> bool {
        self.certificate.public_key().unwrap().rsa().is_ok()
    }
}

impl<'a> Visitor<'a> {
    /// Asks for a name, and speaks HTTP/1.1.
    pub fn named(sni: &'a str) -> Self {
        Self { sni: Some(sni), alpn: H1, ..Self::default() }
    }

    /// Does a handshake, asks for `/` with it, and says what it saw. The request makes sure that a server that turns
    /// a TLS 1.3 client away after the handshake has had its say.
    pub fn visit(&self, address: SocketAddr) -> Result<Met, String> {
        let (mut stream, _) = self.connect(address)?;
        if stream.ssl().selected_alpn_protocol() != Some(b"h2") {
            use std::io::Write;
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .map_err(|error| error.to_string())?;
            if stream.read(&mut [0; 1]).map_err(|error| error.to_string())? == 0 {
                return Err("closed after the handshake".into());
            }
        }
        let ssl = stream.ssl();
        Ok(Met {
            certificate: ssl.peer_certificate().ok_or("no certificate")?,
            alpn: ssl.selected_alpn_protocol().map(<[u8]>::to_vec),
            version: ssl.version_str(),
            staple: ssl.ocsp_status().map(<[u8]>::to_vec),
            resumed: ssl.session_reused(),
        })
    }

    /// Does a handshake.
    pub fn connect(&self, address: SocketAddr) -> Result<(SslStream<TcpStream>, TcpStream), String> {
        let socket = TcpStream::connect(address).map_err(|error| error.to_string())?;
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.set_write_timeout(Some(DEADLINE)).unwrap();
        let below = socket.try_clone().unwrap();
        let stream = self.ssl().connect(socket).map_err(|error| error.to_string())?;
        Ok((stream, below))
    }

    /// What makes the handshake.
    pub fn ssl(&self) -> Ssl {
        let mut builder = SslContext::builder(SslMethod::tls()).unwrap();
        builder.set_min_proto_version(self.oldest.or(Some(SslVersion::TLS1))).unwrap();
        builder.set_max_proto_version(self.newest).unwrap();
        match self.trust {
            Some(trust) => {
                let mut store = X509StoreBuilder::new().unwrap();
                store.add_cert(trust.certificate.clone()).unwrap();
                builder.set_cert_store_builder(store);
                builder.set_verify(SslVerifyMode::PEER);
            }
            None => builder.set_verify(SslVerifyMode::NONE),
        }
        if let Some(algorithms) = self.algorithms {
            builder.set_sigalgs_list(algorithms).unwrap();
        }
        if let Some(ciphers) = self.ciphers {
            builder.set_cipher_list(ciphers).unwrap();
        }
        if !self.alpn.is_empty() {
            builder.set_alpn_protos(self.alpn).unwrap();
        }
        if let Some(identity) = self.identity {
            builder.set_certificate(&identity.certificate).unwrap();
            builder.set_private_key(&identity.key).unwrap();
            for above in &identity.above {
                builder.add_extra_chain_cert(above.clone()).unwrap();
            }
        }
        if self.wants_staple {
            builder.enable_ocsp_stapling();
        }
        let mut ssl = Ssl::new(&builder.build()).unwrap();
        if let Some(name) = self.sni {
            ssl.set_hostname(name).unwrap();
        }
        ssl
    }
}
