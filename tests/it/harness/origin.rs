//! A backend on raw sockets that does what the test says and remembers what it was sent, byte for byte.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use boring::ssl::SslAcceptor;

use super::client::Wire;
use super::poll::{DEADLINE, eventually};

/// A request as the backend got it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The head, with its empty line.
    pub head: String,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// The body as it came.
    pub raw_body: Vec<u8>,
    /// Fields after a chunked body.
    pub trailers: Vec<String>,
    /// Which connection it came by, counted from 0.
    pub connection: usize,
}

impl Seen {
    /// The request line.
    pub fn line(&self) -> &str {
        self.head.split("\r\n").next().unwrap()
    }

    /// The method.
    pub fn method(&self) -> &str {
        self.line().split(' ').next().unwrap()
    }

    /// The target.
    pub fn target(&self) -> &str {
        self.line().split(' ').nth(1).unwrap()
    }

    /// The value of a field that is there at most once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} is there {} times", all.len());
        all.first().copied()
    }

    /// The values of a field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(one, _)| one.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    /// The names of all fields, lower-case, sorted.
    pub fn names(&self) -> Vec<String> {
        let lines = self.head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        let mut names: Vec<_> = lines.map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.sort();
        names
    }
}

enum Step {
    Send(Vec<u8>),
    Wait(Duration),
    /// Keeps the connection open, silently, until the other end closes it.
    Hold,
    Close,
}

/// What a backend does with a request.
#[derive(Default)]
pub struct Reply(Vec<Step>);

impl Reply {
    /// `200 OK` with a body and its length.
    pub fn text(body: &str) -> Self {
        Self::status(200, &[("content-type", "text/plain")], body)
    }

    /// A response with a `Content-Length`.
    pub fn status(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut head = format!("HTTP/1.1 {status} Said So\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !matches!(status, 204 | 304) {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        Self::raw([head.as_bytes(), b"\r\n", body].concat())
    }

    /// A chunked response, with trailer fields if there are any.
    pub fn chunked(headers: &[(&str, &str)], chunks: &[&[u8]], trailers: &[(&str, &str)]) -> Self {
        let mut bytes = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n".to_vec();
        let lines = |fields: &[(&str, &str)]| -> String {
            fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
        };
        bytes.extend_from_slice(format!("{}\r\n", lines(headers)).as_bytes());
        for chunk in chunks {
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(format!("0\r\n{}\r\n", lines(trailers)).as_bytes());
        Self::raw(bytes)
    }

    /// These bytes, whatever they mean.
    pub fn raw(bytes: impl AsRef<[u8]>) -> Self {
        Self(vec![Step::Send(bytes.as_ref().to_vec())])
    }

    /// Nothing at all.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// And then these bytes.
    pub fn then(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.push(Step::Send(bytes.as_ref().to_vec()));
        self
    }

    /// And then a pause.
    pub fn wait(mut self, time: Duration) -> Self {
        self.0.push(Step::Wait(time));
        self
    }

    /// After a pause.
    pub fn after(mut self, time: Duration) -> Self {
        self.0.insert(0, Step::Wait(time));
        self
    }

    /// And then silence, until the other end closes.
    pub fn hold(mut self) -> Self {
        self.0.push(Step::Hold);
        self
    }

    /// And then the end of the connection.
    pub fn close(mut self) -> Self {
        self.0.push(Step::Close);
        self
    }
}

type Script = dyn Fn(&Seen) -> Reply + Send + Sync;

struct Inner {
    script: Box<Script>,
    tls: Option<SslAcceptor>,
    requests: Mutex<Vec<Seen>>,
    open: Mutex<Vec<TcpStream>>,
    accepted: AtomicUsize,
    stopped: AtomicBool,
    /// Whether it answers before the request's body has come.
    eager: bool,
}

/// The backend; ends when dropped.
pub struct Origin {
    address: SocketAddr,
    inner: Arc<Inner>,
}

impl Origin {
    /// Starts one that answers each request as `script` says.
    pub fn start(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen("127.0.0.1:0".parse().unwrap(), None, false, script)
    }

    /// As [`Origin::start`], at an address: one that was there before.
    pub fn start_at(address: SocketAddr, script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(address, None, false, script)
    }

    /// As [`Origin::start`], with TLS.
    pub fn start_tls(tls: SslAcceptor, script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen("127.0.0.1:0".parse().unwrap(), Some(tls), false, script)
    }

    /// Answers after the head already, and reads no body; the connection is of no more use then.
    pub fn start_eager(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen("127.0.0.1:0".parse().unwrap(), None, true, script)
    }

    fn listen(
        address: SocketAddr,
        tls: Option<SslAcceptor>,
        eager: bool,
        script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        // std sets SO_REUSEADDR, so an address that was in use a moment ago can be taken again.
        let listener = eventually("the origin's address", || TcpListener::bind(address).ok());
        let inner = Arc::new(Inner {
            script: Box::new(script),
            tls,
            requests: Mutex::default(),
            open: Mutex::default(),
            accepted: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            eager,
        });
        let address = listener.local_addr().unwrap();
        std::thread::spawn({
            let inner = inner.clone();
            move || inner.accept(&listener)
        });
        Self { address, inner }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Seen> {
        self.inner.requests.lock().unwrap().clone()
    }

    /// How many requests there have been.
    pub fn count(&self) -> usize {
        self.inner.requests.lock().unwrap().len()
    }

    /// The one request there has been.
    pub fn only(&self) -> Seen {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:#?}");
        requests[0].clone()
    }

    /// The last request.
    pub fn last(&self) -> Seen {
        self.requests().pop().unwrap()
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.inner.accepted.load(Ordering::Acquire)
    }

    /// Refuses and cuts all connections from now on.
    pub fn kill(&self) {
        self.inner.stopped.store(true, Ordering::Release);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
        for open in self.inner.open.lock().unwrap().drain(..) {
            let _gone = open.shutdown(Shutdown::Both);
        }
        eventually("the origin to be gone", || TcpStream::connect(self.address).err());
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.inner.stopped.store(true, Ordering::Release);
        drop(TcpStream::connect(self.address));
        for open in self.inner.open.lock().unwrap().drain(..) {
            let _gone = open.shutdown(Shutdown::Both);
        }
    }
}

impl Inner {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        while let Ok((socket, _)) = listener.accept() {
            if self.stopped.load(Ordering::Acquire) {
                return;
            }
            let connection = self.accepted.fetch_add(1, Ordering::AcqRel);
            self.open.lock().unwrap().push(socket.try_clone().unwrap());
            let inner = self.clone();
            std::thread::spawn(move || {
                let end = socket.try_clone().unwrap();
                // A client that leaves is no failure of the origin's.
                drop(inner.serve(socket, connection));
                let _gone = end.shutdown(Shutdown::Both);
            });
        }
    }

    fn serve(&self, socket: TcpStream, connection: usize) -> io::Result<()> {
        socket.set_read_timeout(Some(DEADLINE * 4))?;
        socket.set_nodelay(true)?;
        let mut wire: Box<dyn Wire> = match &self.tls {
            Some(tls) => Box::new(tls.accept(socket).map_err(|error| io::Error::other(error.to_string()))?),
            None => Box::new(socket),
        };
        let mut reader = Reader { buffer: Vec::new() };
        while !self.stopped.load(Ordering::Acquire) {
            let seen = reader.request(&mut *wire, connection, self.eager)?;
            self.requests.lock().unwrap().push(seen.clone());
            for step in (self.script)(&seen).0 {
                match step {
                    Step::Send(bytes) => wire.write_all(&bytes)?,
                    Step::Wait(time) => std::thread::park_timeout(time),
                    Step::Hold => return io::copy(&mut *wire, &mut io::sink()).map(drop),
                    Step::Close => return Ok(()),
                }
                wire.flush()?;
            }
        }
        Ok(())
    }
}

/// Reads requests, which are the proxy's and thus well-formed, or the test fails by the missing of an answer.
struct Reader {
    buffer: Vec<u8>,
}

impl Reader {
    fn request(&mut self, wire: &mut dyn Wire, connection: usize, eager: bool) -> io::Result<Seen> {
        let head = self.to(wire, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut seen =
            Seen { head, body: Vec::new(), raw_body: Vec::new(), trailers: Vec::new(), connection };
        if eager {
            return Ok(seen);
        }
        if seen.header("expect").is_some_and(|expect| expect.eq_ignore_ascii_case("100-continue")) {
            wire.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            wire.flush()?;
        }
        if let Some(length) = seen.header("content-length").and_then(|length| length.parse().ok()) {
            seen.body = self.take(wire, length)?;
            seen.raw_body.clone_from(&seen.body);
        } else if seen.header("transfer-encoding").is_some() {
            self.chunks(wire, &mut seen)?;
        }
        Ok(seen)
    }

    fn chunks(&mut self, wire: &mut dyn Wire, seen: &mut Seen) -> io::Result<()> {
        loop {
            let line = self.to(wire, b"\r\n")?;
            seen.raw_body.extend_from_slice(&line);
            let text = String::from_utf8_lossy(&line[..line.len() - 2]).into_owned();
            let length = usize::from_str_radix(&text, 16).map_err(io::Error::other)?;
            if length == 0 {
                break;
            }
            let chunk = self.take(wire, length + 2)?;
            seen.body.extend_from_slice(&chunk[..length]);
            seen.raw_body.extend_from_slice(&chunk);
        }
        loop {
            let line = self.to(wire, b"\r\n")?;
            seen.raw_body.extend_from_slice(&line);
            if line == b"\r\n" {
                return Ok(());
            }
            seen.trailers.push(String::from_utf8_lossy(&line[..line.len() - 2]).into_owned());
        }
    }

    fn take(&mut self, wire: &mut dyn Wire, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            self.fill(wire)?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    fn to(&mut self, wire: &mut dyn Wire, end: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.buffer, end) {
                return Ok(self.buffer.drain(..at + end.len()).collect());
            }
            self.fill(wire)?;
        }
    }

    fn fill(&mut self, wire: &mut dyn Wire) -> io::Result<()> {
        let mut piece = vec![0; 64 * 1024];
        match wire.read(&mut piece)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.buffer.extend_from_slice(&piece[..count]);
                Ok(())
            }
        }
    }
}
