//! What takes longer than a request: a WebSocket, a slow download, a request that waits for its answer.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::harness::{Client, Origin, Reply};

/// Pieces of a slow download, and the time between them.
const PIECES: usize = 60;
const BETWEEN: Duration = Duration::from_millis(100);
const PIECE: [u8; 1000] = [b'x'; 1000];

const UPGRADE: &[u8] =
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A backend that answers `/slow` over six seconds, `/held` when it is told to, and anything else at once.
pub fn origin() -> (Origin, Gate) {
    let (open, opened) = channel();
    let gate = Arc::new(Mutex::new(opened));
    let origin = Origin::start(move |seen| match seen.target() {
        "/slow" => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", PIECES * PIECE.len());
            (0..PIECES).fold(Reply::raw(head), |reply, _| reply.wait(BETWEEN).then(PIECE))
        }
        "/held" => {
            let _asked: Result<(), _> = gate.lock().unwrap().recv();
            Reply::text("held")
        }
        _ => Reply::text("from the origin"),
    });
    (origin, Gate(open))
}

/// Lets requests for `/held` be answered.
pub struct Gate(Sender<()>);

impl Gate {
    /// One of them.
    pub fn open(&self) {
        self.0.send(()).unwrap();
    }
}

/// A slow download that has begun.
pub struct Download(JoinHandle<usize>);

impl Download {
    /// Begins one, and waits for its first bytes.
    pub fn begin(mut client: Client) -> Self {
        client.send("GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n");
        client.take_to(b"\r\n\r\n").unwrap();
        Self(std::thread::spawn(move || client.take(PIECES * PIECE.len()).unwrap_or_default().len()))
    }

    /// Whether it is still going on.
    pub fn goes_on(&self) -> bool {
        !self.0.is_finished()
    }

    /// Waits for its end; whether all of it came.
    pub fn came_whole(self) -> bool {
        self.0.join().unwrap() == PIECES * PIECE.len()
    }
}

/// A backend that accepts WebSockets and sends back whatever comes. Ends with the process.
pub fn echoing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            // A client that leaves is no failure of the backend's.
            std::thread::spawn(move || socket.and_then(echo));
        }
    });
    address
}

fn echo(mut socket: TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    while !head.ends_with(b"\r\n\r\n") {
        let count = socket.read(&mut piece)?;
        if count == 0 {
            return Ok(());
        }
        head.extend_from_slice(&piece[..count]);
    }
    socket.write_all(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    )?;
    loop {
        match socket.read(&mut piece)? {
            0 => return Ok(()),
            count => socket.write_all(&piece[..count])?,
        }
    }
}

/// An open WebSocket.
pub struct WebSocket(Client);

impl WebSocket {
    /// Opens one at `/ws`.
    pub fn open(client: Client) -> Self {
        let mut client = client.allow(&["upgrade", "sec-websocket-accept"]);
        client.send(UPGRADE);
        assert_eq!(client.response().status, 101);
        Self(client)
    }

    /// Whether what is said comes back.
    pub fn echoes(&mut self, text: &str) -> bool {
        // A text frame from a client, masked with zeroes.
        let length = 0x80 | u8::try_from(text.len()).unwrap();
        let frame = [&[0x81, length, 0, 0, 0, 0], text.as_bytes()].concat();
        self.0.try_send(&frame).is_ok() && self.0.take(frame.len()).is_ok_and(|back| back == frame)
    }

    /// Waits for its end.
    pub fn is_cut(&mut self) -> bool {
        self.0.is_closed()
    }
}
