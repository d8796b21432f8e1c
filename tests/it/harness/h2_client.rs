//! A client of HTTP/2, over TLS or with prior knowledge.

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request};
use pingora_core::protocols::tls::SslStream;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::message::check_name;
use super::poll::DEADLINE;
use super::tls::{H2, Visitor};

/// A connection.
pub struct H2Client {
    runtime: Runtime,
    sender: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
    allowed: Vec<String>,
}

/// A response.
#[derive(Debug, Clone)]
pub struct H2Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: Option<HeaderMap>,
}

impl H2Response {
    /// The value of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

impl H2Client {
    /// Connects without TLS.
    pub fn cleartext(address: SocketAddr) -> Self {
        Self::over(async move { Ok(TcpStream::connect(address).await.unwrap()) })
    }

    /// Connects with TLS and agrees on `h2`.
    pub fn tls(address: SocketAddr, visitor: &Visitor<'_>) -> Self {
        let ssl = Visitor { alpn: H2, ..visitor.clone() }.ssl();
        Self::over(async move {
            let socket = TcpStream::connect(address).await.unwrap();
            let mut stream = SslStream::new(ssl, socket).unwrap();
            Pin::new(&mut stream).connect().await.map_err(|error| error.to_string())?;
            assert_eq!(stream.ssl().selected_alpn_protocol(), Some(&b"h2"[..]));
            Ok(stream)
        })
    }

    fn over<S>(connect: impl Future<Output = Result<S, String>> + Send + 'static) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // The connection goes on while the test does other things.
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (sender, connection) = runtime.block_on(async {
            let stream = connect.await.unwrap();
            let (sender, connection) = h2::client::handshake(stream).await.unwrap();
            (sender, tokio::spawn(connection))
        });
        Self { runtime, sender, connection, allowed: Vec::new() }
    }

    /// Also expects these response headers.
    pub fn allow(mut self, names: &[&str]) -> Self {
        self.allowed.extend(names.iter().map(|name| (*name).to_owned()));
        self
    }

    /// Asks for a path at `localhost`.
    pub fn get(&self, path: &str) -> H2Response {
        let request = Request::get(format!("http://localhost{path}")).body(()).unwrap();
        self.request(request, b"", None)
    }

    /// Sends a request and reads the answer.
    pub fn request(&self, request: Request<()>, body: &[u8], trailers: Option<HeaderMap>) -> H2Response {
        self.try_request(request, body, trailers).unwrap()
    }

    /// Sends a request and reads the answer, or says why there is none.
    pub fn try_request(
        &self,
        request: Request<()>,
        body: &[u8],
        trailers: Option<HeaderMap>,
    ) -> Result<H2Response, h2::Error> {
        let exchange = exchange(self.sender.clone(), request, Bytes::copy_from_slice(body), trailers);
        let answered = self.runtime.block_on(async { tokio::time::timeout(DEADLINE, exchange).await });
        let response = answered.expect("no answer to the deadline")?;
        for (name, value) in &response.headers {
            check_name(name.as_str(), value.to_str().unwrap(), &self.allowed);
        }
        Ok(response)
    }

    /// Sends requests side by side and reads the answers.
    pub fn all(&self, requests: Vec<Request<()>>) -> Vec<Result<H2Response, h2::Error>> {
        self.runtime.block_on(async {
            let exchanges: Vec<_> = requests
                .into_iter()
                .map(|request| tokio::spawn(exchange(self.sender.clone(), request, Bytes::new(), None)))
                .collect();
            let mut responses = Vec::new();
            for exchange in exchanges {
                responses.push(tokio::time::timeout(DEADLINE, exchange).await.unwrap().unwrap());
            }
            responses
        })
    }

    /// The handle for streams that need more than a request and its answer.
    pub fn sender(&self) -> (SendRequest<Bytes>, &Runtime) {
        (self.sender.clone(), &self.runtime)
    }

    /// Waits for the connection's end, and says how it came; `None` if it has not.
    pub fn ended(&mut self, patience: Duration) -> Option<Result<(), h2::Error>> {
        let connection = &mut self.connection;
        let ended = self.runtime.block_on(async { tokio::time::timeout(patience, connection).await });
        ended.ok().map(Result::unwrap)
    }
}

async fn exchange(
    sender: SendRequest<Bytes>,
    request: Request<()>,
    body: Bytes,
    trailers: Option<HeaderMap>,
) -> Result<H2Response, h2::Error> {
    let mut sender = sender.ready().await?;
    let ends = body.is_empty() && trailers.is_none();
    let (response, mut stream) = sender.send_request(request, ends)?;
    if !ends {
        stream.send_data(body, trailers.is_none())?;
        if let Some(trailers) = trailers {
            stream.send_trailers(trailers)?;
        }
    }
    let (head, mut incoming) = response.await?.into_parts();
    let mut body = Vec::new();
    while let Some(piece) = incoming.data().await {
        let piece = piece?;
        incoming.flow_control().release_capacity(piece.len())?;
        body.extend_from_slice(&piece);
    }
    let trailers = incoming.trailers().await?;
    Ok(H2Response { status: head.status.as_u16(), headers: head.headers, body, trailers })
}
