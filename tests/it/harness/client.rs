//! A client that sends what it is told, byte for byte, and accepts nothing that is not well-formed.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::message::{self, Framing, Response};
use super::poll::DEADLINE;
use super::tls::Visitor;

/// What carries the bytes.
pub trait Wire: Read + Write + Send {}
impl<T: Read + Write + Send> Wire for T {}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The connection ended before any byte of it.
    Closed,
    /// The connection ended within it; what had come.
    Cut(Vec<u8>),
    /// Nothing (more) came to the deadline.
    Silence(Vec<u8>),
    /// It is not well-formed.
    Malformed(String),
}

/// A connection.
pub struct Client {
    wire: Box<dyn Wire>,
    /// The socket below, where it is TCP.
    socket: Option<TcpStream>,
    buffer: Vec<u8>,
    allowed: Vec<String>,
    deadline: Duration,
    /// Interim responses since the last final one.
    pub interim: Vec<Response>,
}

impl Client {
    /// Connects without TLS.
    pub fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.set_write_timeout(Some(DEADLINE)).unwrap();
        Self::over(socket.try_clone().unwrap(), Some(socket))
    }

    /// Connects to a Unix socket.
    pub fn unix(path: &Path) -> Self {
        let socket = UnixStream::connect(path).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self::over(socket, None)
    }

    /// Connects with TLS.
    ///
    /// # Panics
    /// When there is no handshake: use [`Visitor::visit`] to look at failures.
    pub fn tls(address: SocketAddr, visitor: &Visitor<'_>) -> Self {
        let (stream, socket) = visitor.connect(address).unwrap_or_else(|error| panic!("handshake: {error}"));
        Self::over(stream, Some(socket))
    }

    fn over(wire: impl Wire + 'static, socket: Option<TcpStream>) -> Self {
        let (buffer, allowed, interim) = (Vec::new(), Vec::new(), Vec::new());
        Self { wire: Box::new(wire), socket, buffer, allowed, deadline: DEADLINE, interim }
    }

    /// Also expects these response headers.
    pub fn allow(mut self, names: &[&str]) -> Self {
        self.allowed.extend(names.iter().map(|name| (*name).to_owned()));
        self
    }

    /// Waits so long for anything instead of the usual deadline.
    pub fn patience(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        if let Some(socket) = &self.socket {
            socket.set_read_timeout(Some(deadline)).unwrap();
        }
        self
    }

    /// The socket, to look at or to tune.
    pub fn socket(&self) -> &TcpStream {
        self.socket.as_ref().unwrap()
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap();
    }

    /// Sends bytes, if the other end still takes them.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.wire.write_all(bytes.as_ref())?;
        self.wire.flush()
    }

    /// Says that nothing more will be sent.
    pub fn finish(&mut self) {
        self.socket().shutdown(Shutdown::Write).unwrap();
    }

    /// Asks for a path at the host `localhost` and reads the answer.
    pub fn get(&mut self, path: &str) -> Response {
        self.request("GET", path, &[], b"")
    }

    /// Sends a request with the header fields given, `Host: localhost` unless they have one, and a `Content-Length`
    /// where there is a body; reads the answer.
    pub fn request(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.push_str("Host: localhost\r\n");
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        self.send([head.as_bytes(), body].concat());
        self.response_to(method)
    }

    /// Reads the final response to a GET or the like.
    pub fn response(&mut self) -> Response {
        self.response_to("GET")
    }

    /// Reads the final response to a request with that method.
    pub fn response_to(&mut self, method: &str) -> Response {
        self.try_response(method).unwrap_or_else(|fault| panic!("no response: {}", told(&fault)))
    }

    /// Reads the final response, or says why there is none.
    pub fn try_response(&mut self, method: &str) -> Result<Response, Fault> {
        self.interim.clear();
        loop {
            let response = self.next_response(method)?;
            if response.status >= 200 || response.status == 101 {
                return Ok(response);
            }
            self.interim.push(response);
        }
    }

    /// Reads the next response, interim ones included.
    pub fn next_response(&mut self, method: &str) -> Result<Response, Fault> {
        let head = self.take_to(b"\r\n\r\n")?;
        let mut response = message::parse_head(&head).map_err(Fault::Malformed)?;
        response.check(&self.allowed);
        let (framing, length) = message::framing(&response, method).map_err(Fault::Malformed)?;
        response.framing = framing;
        let body = match framing {
            Framing::None => Ok(Vec::new()),
            Framing::Length => self.take(length),
            Framing::Chunked => self.take_chunks(&mut response.trailers),
            Framing::Close => self.rest(),
        };
        response.body = body.map_err(|fault| within(fault, &head))?;
        Ok(response)
    }

    fn take_chunks(&mut self, trailers: &mut Vec<(String, String)>) -> Result<Vec<u8>, Fault> {
        let mut body = Vec::new();
        loop {
            let line = self.take_to(b"\r\n").map_err(|fault| within(fault, &body))?;
            let line = String::from_utf8_lossy(&line[..line.len() - 2]).into_owned();
            let length =
                usize::from_str_radix(&line, 16).map_err(|_| Fault::Malformed(format!("chunk {line:?}")))?;
            if length == 0 {
                break;
            }
            let chunk = self.take(length + 2).map_err(|fault| within(fault, &body))?;
            if !chunk.ends_with(b"\r\n") {
                return Err(Fault::Malformed("a chunk does not end with its length".into()));
            }
            body.extend_from_slice(&chunk[..length]);
        }
        loop {
            let line = self.take_to(b"\r\n").map_err(|fault| within(fault, &body))?;
            if line == b"\r\n" {
                return Ok(body);
            }
            let line = String::from_utf8_lossy(&line[..line.len() - 2]).into_owned();
            trailers.push(message::field(&line).map_err(Fault::Malformed)?);
        }
    }

    /// Takes that many bytes.
    pub fn take(&mut self, length: usize) -> Result<Vec<u8>, Fault> {
        while self.buffer.len() < length {
            self.fill()?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// Takes everything up to and with `end`.
    pub fn take_to(&mut self, end: &[u8]) -> Result<Vec<u8>, Fault> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.buffer, end) {
                return Ok(self.buffer.drain(..at + end.len()).collect());
            }
            self.fill()?;
        }
    }

    /// Takes everything to the end of the connection.
    pub fn rest(&mut self) -> Result<Vec<u8>, Fault> {
        loop {
            match self.fill() {
                Ok(()) => {}
                Err(Fault::Closed | Fault::Cut(_)) => return Ok(std::mem::take(&mut self.buffer)),
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Whether the other end has closed, with nothing more to read. Waits for it to the deadline.
    pub fn is_closed(&mut self) -> bool {
        self.rest().is_ok_and(|rest| rest.is_empty())
    }

    /// Reads some more. A reset is an end like any other.
    fn fill(&mut self) -> Result<(), Fault> {
        let end = Instant::now() + self.deadline;
        let mut piece = vec![0; 64 * 1024];
        loop {
            match self.wire.read(&mut piece) {
                Ok(0) => return Err(self.ended()),
                Ok(count) => {
                    self.buffer.extend_from_slice(&piece[..count]);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted && Instant::now() < end => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Err(Fault::Silence(self.buffer.clone()));
                }
                Err(_) => return Err(self.ended()),
            }
        }
    }

    fn ended(&self) -> Fault {
        if self.buffer.is_empty() { Fault::Closed } else { Fault::Cut(self.buffer.clone()) }
    }
}

/// A fault after something of the response had come.
fn within(fault: Fault, before: &[u8]) -> Fault {
    match fault {
        Fault::Closed => Fault::Cut(before.to_vec()),
        Fault::Cut(rest) => Fault::Cut([before, &rest].concat()),
        Fault::Silence(rest) => Fault::Silence([before, &rest].concat()),
        malformed @ Fault::Malformed(_) => malformed,
    }
}

fn told(fault: &Fault) -> String {
    match fault {
        Fault::Cut(bytes) => format!("cut after {:?}", String::from_utf8_lossy(bytes)),
        Fault::Silence(bytes) => format!("silence after {:?}", String::from_utf8_lossy(bytes)),
        other => format!("{other:?}"),
    }
}
