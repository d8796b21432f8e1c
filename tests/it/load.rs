//! Clients that never stop asking, and accept no failure: a refused or broken connection, a wrong status or a lost
//! answer fails the test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;

use crate::harness::{Client, DEADLINE, H2Client, Visitor, soon};

/// Between two requests of a client: there is more to do on this machine.
const PAUSE: Duration = Duration::from_millis(2);
/// Streams side by side.
const STREAMS: usize = 4;

/// How a client connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A connection for each request.
    Fresh,
    /// One connection, until the server says that it was the last answer.
    Kept,
    /// The same with TLS.
    TlsFresh,
    /// The same with TLS.
    TlsKept,
    /// HTTP/2 without TLS.
    H2c,
    /// HTTP/2 with TLS.
    H2,
}

/// The clients.
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<(Kind, Arc<AtomicU32>, JoinHandle<()>)>,
}

impl Load {
    /// Starts a client of each kind at the address given with it; each asks for the paths in turn.
    pub fn start(kinds: &[(Kind, SocketAddr)], paths: &[&str]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let start = |(kind, address): &(Kind, SocketAddr)| {
            let (kind, address, stop, answers) = (*kind, *address, stop.clone(), Arc::new(AtomicU32::new(0)));
            let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
            let count = answers.clone();
            let thread = std::thread::spawn(move || {
                let mut asker = Asker::new(kind, address);
                for path in paths.iter().cycle() {
                    if stop.load(Ordering::Acquire) {
                        return;
                    }
                    count.fetch_add(asker.ask(path), Ordering::AcqRel);
                    std::thread::park_timeout(PAUSE);
                }
            });
            (kind, answers, thread)
        };
        let clients = kinds.iter().map(start).collect();
        Self { stop, clients }
    }

    /// Waits until each client has had `count` more answers.
    pub fn goes_on(&self, count: u32) {
        let before: Vec<_> =
            self.clients.iter().map(|(.., answers, _)| answers.load(Ordering::Acquire)).collect();
        soon("more answers for each client", || {
            let all = self.clients.iter().zip(&before);
            all.into_iter().all(|((_, answers, thread), before)| {
                thread.is_finished() || answers.load(Ordering::Acquire) >= before + count
            })
        });
    }

    /// Stops them, and says how many answers each kind had.
    ///
    /// # Panics
    /// When any request of any of them failed.
    pub fn stop(self) -> BTreeMap<Kind, u32> {
        self.stop.store(true, Ordering::Release);
        let mut answers = BTreeMap::new();
        let mut failed = Vec::new();
        for (kind, count, thread) in self.clients {
            if thread.join().is_err() {
                failed.push(kind);
            }
            *answers.entry(kind).or_default() += count.load(Ordering::Acquire);
        }
        assert!(failed.is_empty(), "requests failed: {failed:?}, see above; answers: {answers:?}");
        eprintln!("answers under load: {answers:?}");
        answers
    }
}

enum Asker {
    One { address: SocketAddr, tls: bool, keep: bool, open: Option<Client> },
    Two { address: SocketAddr, tls: bool, open: Option<H2Client> },
}

impl Asker {
    fn new(kind: Kind, address: SocketAddr) -> Self {
        let tls = matches!(kind, Kind::TlsFresh | Kind::TlsKept | Kind::H2);
        match kind {
            Kind::H2c | Kind::H2 => Self::Two { address, tls, open: None },
            _ => Self::One { address, tls, keep: matches!(kind, Kind::Kept | Kind::TlsKept), open: None },
        }
    }

    /// Asks, and says how many answers came.
    fn ask(&mut self, path: &str) -> u32 {
        match self {
            Self::One { address, tls, keep, open } => {
                let client = open.get_or_insert_with(|| match tls {
                    true => Client::tls(*address, &Visitor::named("localhost")),
                    false => Client::connect(*address),
                });
                let headers: &[_] = if *keep { &[] } else { &[("Connection", "close")] };
                let answer = client.request("GET", path, headers, b"");
                assert_eq!(answer.status, 200, "{path}: {}", answer.text());
                // A server that wants to close says so; a connection that ends otherwise is a lost request.
                if answer.header("connection") == Some("close") {
                    *open = None;
                }
                1
            }
            Self::Two { address, tls, open } => {
                let client = open.get_or_insert_with(|| match tls {
                    true => H2Client::tls(*address, &Visitor::named("localhost")),
                    false => H2Client::cleartext(*address),
                });
                let answers = streams(client, path);
                if answers < u32::try_from(STREAMS).unwrap() {
                    *open = None;
                }
                answers
            }
        }
    }
}

/// Opens streams side by side, and says how many were answered. Those that could not be opened any more, for the server
/// said so before, are not lost; those that were opened must be answered.
fn streams(client: &H2Client, path: &str) -> u32 {
    let (sender, runtime) = client.sender();
    runtime.block_on(async {
        let all: Vec<_> =
            (0..STREAMS).map(|_| tokio::spawn(stream(sender.clone(), path.to_owned()))).collect();
        let mut answers = 0;
        for one in all {
            answers += u32::from(tokio::time::timeout(DEADLINE, one).await.unwrap().unwrap());
        }
        answers
    })
}

async fn stream(sender: SendRequest<Bytes>, path: String) -> bool {
    let Ok(mut sender) = sender.ready().await else { return false };
    let request = Request::get(format!("http://localhost{path}")).body(()).unwrap();
    let Ok((response, _)) = sender.send_request(request, true) else { return false };
    let (head, mut body) =
        response.await.unwrap_or_else(|error| panic!("a stream was lost: {error}")).into_parts();
    assert_eq!(head.status, 200, "{path}");
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap_or_else(|error| panic!("a body was cut: {error}"));
        body.flow_control().release_capacity(piece.len()).unwrap();
    }
    true
}
