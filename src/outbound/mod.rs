//! What Edgeward itself asks of others: by HTTP/1.1 for keys of issuers, tokens, whether a request may pass, webhooks; and
//! of a [`redis`] that a fleet has in common.
//!
//! Always holds: certificates and names are verified unless the operator wrote `danger`, nothing below TLS 1.2 is
//! spoken, an exchange ends within its deadline, what is read is bounded, and so is how much is under way at a time.
//! No redirect is followed and no proxy of the environment is used.
//!
//! A [`Client`] is one user's: an issuer's, a filter's. Its bounds are its own, so that a slow issuer holds up nobody
//! else. What all have in common, connections and names, is the [`Outbound`] of the process. Both may be used from
//! any runtime; a kept connection serves the thread that made it alone, as those of clients do. Were it handed from
//! one runtime to another, Pingora's pool would lose it in up to half of all cases (measured: two runtimes in turn, up
//! to 14 connections for 20 requests), and each use would wake two threads.

mod exchange;
mod names;
pub mod redis;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::os::unix::net::SocketAddr as UnixAddr;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use pingora_core::connectors::TransportConnector;
use pingora_core::protocols::Stream;
use pingora_core::protocols::l4::socket::SocketAddr as Endpoint;
use pingora_core::protocols::tls::ALPN;
use pingora_core::upstreams::peer::{HttpPeer, PeerOptions, Scheme};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::http::fetch::{Failure, Fetch, Fetching, Request, Response};
use crate::http::url::Url;
use crate::state::Clock;
use crate::tls::Client as Tls;
use crate::upstream::resolve::Lookup;
use exchange::exchange;
use names::Names;

/// Addresses of one name that are tried for one request.
const MOST_ADDRESSES: usize = 3;

/// What the clients of a process have in common: idle connections, the system's authorities, addresses of names.
pub struct Outbound {
    /// Made when first needed: it reads the system's authorities.
    connector: OnceLock<TransportConnector>,
    names: Names,
}

/// Where a client connects to, and how much it may do at a time.
pub struct Terms {
    /// What a server must prove where the URL is `https`, and what is proven to it.
    pub tls: Tls,
    /// A Unix socket to connect to, whatever host the URL names.
    pub socket: Option<UnixAddr>,
    /// To make one connection, TLS included. Default 2 s.
    pub connect: Duration,
    /// How long a connection is kept when nothing is asked. Default 30 s.
    pub idle: Duration,
    /// Requests under way at a time. Default 32.
    pub at_once: NonZeroUsize,
    /// Requests that may wait for one of these to end; one more fails at once. Default 256.
    pub waiting: usize,
}

/// Sends requests on its [`Terms`].
pub struct Client {
    outbound: Arc<Outbound>,
    terms: Terms,
    /// One for each request that is under way or waits.
    places: Semaphore,
    /// One for each request that is under way.
    slots: Semaphore,
}

impl Outbound {
    /// Finds names with `lookup`.
    #[must_use]
    pub fn new(lookup: Arc<dyn Lookup>, clock: Clock) -> Arc<Self> {
        Arc::new(Self { connector: OnceLock::new(), names: Names::new(lookup, clock) })
    }

    fn connector(&self) -> &TransportConnector {
        self.connector.get_or_init(|| TransportConnector::new(None))
    }
}

impl Terms {
    /// The defaults, with these terms of TLS.
    #[must_use]
    pub fn new(tls: Tls) -> Self {
        Self {
            tls,
            socket: None,
            connect: Duration::from_secs(2),
            idle: Duration::from_secs(30),
            at_once: const { NonZeroUsize::new(32).expect("it is not zero") },
            waiting: 256,
        }
    }
}

impl Client {
    /// One more user of `outbound`.
    #[must_use]
    pub fn new(outbound: &Arc<Outbound>, terms: Terms) -> Self {
        let at_once = terms.at_once.get().min(Semaphore::MAX_PERMITS);
        let places = at_once.saturating_add(terms.waiting).min(Semaphore::MAX_PERMITS);
        Self {
            outbound: Arc::clone(outbound),
            terms,
            places: Semaphore::new(places),
            slots: Semaphore::new(at_once),
        }
    }

    async fn send(&self, request: &Request) -> Result<Response, Failure> {
        let peers = self.peers(&request.url).await?;
        let connector = self.outbound.connector();
        if let Some((stream, peer)) = kept(connector, &peers).await {
            match exchange(connector, stream, peer, request).await {
                // The server closed it while it idled, or just now; which, nobody can tell.
                Err(broken) if broken.before_answer && request.repeatable => {}
                done => return done.map_err(|broken| broken.failure),
            }
        }
        let (stream, peer) = connect(connector, &peers).await?;
        exchange(connector, stream, peer, request).await.map_err(|broken| broken.failure)
    }

    /// Where the URL leads, one peer for each address worth trying.
    async fn peers(&self, url: &Url) -> Result<Vec<HttpPeer>, Failure> {
        if let Some(socket) = &self.terms.socket {
            return Ok(vec![self.peer(Endpoint::Unix(socket.clone()), url)]);
        }
        let addresses = self.outbound.names.addresses(url.host()).await?;
        let endpoint = |ip| Endpoint::Inet(SocketAddr::new(ip, url.port()));
        Ok(addresses.iter().take(MOST_ADDRESSES).map(|ip| self.peer(endpoint(*ip), url)).collect())
    }

    fn peer(&self, endpoint: Endpoint, url: &Url) -> HttpPeer {
        let tls = url.is_secure().then_some((&self.terms.tls, url.host()));
        peer(endpoint, tls, self.terms.connect, self.terms.idle)
    }
}

impl Fetch for Client {
    fn fetch(&self, request: Request) -> Fetching<'_> {
        Box::pin(async move {
            let _place = self.places.try_acquire().map_err(|_| Failure::Busy)?;
            let deadline = request.limits.deadline;
            let answer = async {
                let _slot = self.slots.acquire().await.map_err(|_| Failure::Busy)?;
                self.send(&request).await
            };
            timeout(deadline, answer).await.unwrap_or(Err(Failure::Timeout(deadline)))
        })
    }
}

/// A server at `endpoint`, with TLS to the host of that name if there is any.
fn peer(endpoint: Endpoint, tls: Option<(&Tls, &str)>, connect: Duration, idle: Duration) -> HttpPeer {
    let mut options = PeerOptions::new();
    options.total_connection_timeout = Some(connect);
    options.idle_timeout = Some(idle);
    options.alpn = ALPN::H1;
    let mut peer = HttpPeer {
        _address: endpoint,
        scheme: Scheme::from_tls_bool(tls.is_some()),
        sni: String::new(),
        proxy: None,
        client_cert_key: None,
        group_key: this_thread(),
        options,
    };
    if let Some((tls, host)) = tls {
        tls.apply(&mut peer, host.trim_end_matches('.'));
    }
    peer
}

/// What tells the connections of this thread from those of others.
fn this_thread() -> u64 {
    let mut hasher = DefaultHasher::new();
    thread::current().id().hash(&mut hasher);
    hasher.finish()
}

/// An idle connection to one of the peers.
async fn kept<'a>(connector: &TransportConnector, peers: &'a [HttpPeer]) -> Option<(Stream, &'a HttpPeer)> {
    for peer in peers {
        if let Some(stream) = connector.reused_stream(peer).await {
            return Some((stream, peer));
        }
    }
    None
}

/// A new connection to the first of the peers that takes it.
async fn connect<'a>(
    connector: &TransportConnector,
    peers: &'a [HttpPeer],
) -> Result<(Stream, &'a HttpPeer), Failure> {
    let mut failure = Failure::Resolve("no addresses".to_owned());
    for peer in peers {
        match connector.new_stream(peer).await {
            Ok(stream) => return current(&stream).map(|()| (stream, peer)),
            Err(error) => failure = exchange::failure(&error, peer),
        }
    }
    Err(failure)
}

/// Refuses TLS 1.0 and 1.1 (RFC 8996), which Pingora's connector would speak.
fn current(stream: &Stream) -> Result<(), Failure> {
    match stream.get_ssl_digest() {
        Some(tls) if !matches!(&*tls.version, "TLSv1.2" | "TLSv1.3") => {
            Err(Failure::Tls(format!("the server speaks {} at best", tls.version)))
        }
        _ => Ok(()),
    }
}
