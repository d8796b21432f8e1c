//! A backend that speaks HTTP/2, with prior knowledge or over TLS.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use boring::ssl::{Ssl, SslAcceptor};
use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response};
use pingora_core::protocols::tls::SslStream;
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// A request as the backend got it.
#[derive(Debug, Clone)]
pub struct H2Seen {
    pub head: http::request::Parts,
    pub body: Vec<u8>,
    pub trailers: Option<HeaderMap>,
}

impl H2Seen {
    /// The value of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// What it answers.
#[derive(Debug, Clone)]
pub struct H2Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(&'static str, String)>,
    /// Answers after so long.
    pub delay: Duration,
    /// Refuses the stream instead, so that the caller may try again (RFC 9113 section 8.7).
    pub refuse: bool,
}

impl H2Reply {
    /// `200` with a body.
    pub fn text(body: &str) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type", "text/plain".into())],
            body: body.as_bytes().to_vec(),
            trailers: Vec::new(),
            delay: Duration::ZERO,
            refuse: false,
        }
    }

    /// After a pause.
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// As gRPC answers: one message, and the status in a trailer.
    pub fn grpc(message: &[u8], status: u32) -> Self {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        Self {
            status: 200,
            headers: vec![("content-type", "application/grpc".into())],
            body: [&[0], &length[..], message].concat(),
            trailers: vec![("grpc-status", status.to_string()), ("grpc-message", "said so".into())],
            delay: Duration::ZERO,
            refuse: false,
        }
    }
}

type Script = Arc<dyn Fn(&H2Seen) -> H2Reply + Send + Sync>;

/// The backend; ends when dropped.
pub struct H2Origin {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<H2Seen>>>,
    accepted: Arc<AtomicUsize>,
    runtime: Option<Runtime>,
}

impl H2Origin {
    /// Without TLS.
    pub fn cleartext(script: impl Fn(&H2Seen) -> H2Reply + Send + Sync + 'static) -> Self {
        Self::start(None, Arc::new(script))
    }

    /// With TLS, whose acceptor must agree on `h2`.
    pub fn tls(acceptor: SslAcceptor, script: impl Fn(&H2Seen) -> H2Reply + Send + Sync + 'static) -> Self {
        Self::start(Some(acceptor), Arc::new(script))
    }

    fn start(acceptor: Option<SslAcceptor>, script: Script) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = requests.clone();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counted = accepted.clone();
        runtime.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::AcqRel);
                let (script, seen) = (script.clone(), seen.clone());
                let ssl = acceptor.as_ref().map(|acceptor| Ssl::new(acceptor.context()).unwrap());
                tokio::spawn(async move {
                    let Some(ssl) = ssl else { return serve(socket, script, seen).await };
                    let mut stream = SslStream::new(ssl, socket).unwrap();
                    if Pin::new(&mut stream).accept().await.is_ok() {
                        serve(stream, script, seen).await;
                    }
                });
            }
        });
        Self { address, requests, accepted, runtime: Some(runtime) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.accepted.load(Ordering::Acquire)
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<H2Seen> {
        self.requests.lock().unwrap().clone()
    }

    /// The one request there has been.
    pub fn only(&self) -> H2Seen {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:#?}");
        requests[0].clone()
    }
}

impl Drop for H2Origin {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve<S>(stream: S, script: Script, seen: Arc<Mutex<Vec<H2Seen>>>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, answer))) = connection.accept().await {
        // A caller that leaves is no failure of the origin's.
        let task = exchange(request, answer, script.clone(), seen.clone());
        tokio::spawn(async move { drop(task.await) });
    }
}

async fn exchange(
    request: Request<h2::RecvStream>,
    mut answer: SendResponse<Bytes>,
    script: Script,
    all: Arc<Mutex<Vec<H2Seen>>>,
) -> Result<(), h2::Error> {
    let (head, mut incoming) = request.into_parts();
    let mut body = Vec::new();
    while let Some(piece) = incoming.data().await {
        let piece = piece?;
        incoming.flow_control().release_capacity(piece.len())?;
        body.extend_from_slice(&piece);
    }
    let seen = H2Seen { head, body, trailers: incoming.trailers().await? };
    all.lock().unwrap().push(seen.clone());
    let reply = script(&seen);
    tokio::time::sleep(reply.delay).await;
    if reply.refuse {
        answer.send_reset(h2::Reason::REFUSED_STREAM);
        return Ok(());
    }
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    let response = response.body(()).unwrap();
    let mut stream = answer.send_response(response, reply.body.is_empty() && reply.trailers.is_empty())?;
    if !reply.body.is_empty() {
        stream.send_data(reply.body.into(), reply.trailers.is_empty())?;
    }
    if !reply.trailers.is_empty() {
        let trailers = reply.trailers.iter().map(|(name, value)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_str(value).unwrap())
        });
        stream.send_trailers(trailers.collect())?;
    }
    Ok(())
}
