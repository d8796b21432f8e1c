//! A process that is killed while it writes: nothing that is torn is ever served, and most is still there.
//!
//! `EDGEWARD_KILLS=200` kills it so often; 10 times otherwise.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::Signal;

use super::{POLICY, body, origin, site, start, stored};
use crate::harness::DEADLINE;

const SIZES: [usize; 6] = [300, 5000, 20_000, 70_000, 1_200_000, 2_500_000];

/// As small as it may be, so that segments are completed and evicted all the time.
const DISK: &str = "size: 24MiB";

fn paths() -> Vec<String> {
    (0..60).map(|number| format!("/{}/{number}", SIZES[number % SIZES.len()])).collect()
}

/// The status and body of an answer; `None` if the connection broke.
fn ask(address: SocketAddr, path: &str, is_fresh: bool) -> Option<(bool, Vec<u8>)> {
    let mut socket = TcpStream::connect(address).ok()?;
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let control = if is_fresh { "Cache-Control: no-cache\r\n" } else { "" };
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{control}\r\n");
    socket.write_all(head.as_bytes()).ok()?;
    let mut answer = Vec::new();
    let ended = socket.read_to_end(&mut answer);
    let at = memchr::memmem::find(&answer, b"\r\n\r\n")? + 4;
    ended.ok()?;
    let content = answer.split_off(at);
    Some((answer.starts_with(b"HTTP/1.1 200 "), content))
}

/// Clients that ask on and on, and look at every byte.
struct Clients {
    stop: Arc<AtomicBool>,
    whole: Arc<AtomicU32>,
    threads: Vec<JoinHandle<()>>,
}

impl Clients {
    fn start(address: SocketAddr, seed: u64) -> Self {
        let (stop, whole) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let client = |number: u64| {
            let (stop, whole) = (stop.clone(), whole.clone());
            std::thread::spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed * 100 + number);
                let paths = paths();
                while !stop.load(Ordering::Acquire) {
                    let path = &paths[random.usize(..paths.len())];
                    match ask(address, path, random.u8(..4) == 0) {
                        Some((true, content)) => {
                            let expected = body(path);
                            // It is cut when the process is killed, and at no other time; what came is right.
                            assert!(expected.starts_with(&content), "{path}");
                            whole.fetch_add(u32::from(content == expected), Ordering::AcqRel);
                        }
                        Some((false, _)) => panic!("{path} was refused"),
                        None => {}
                    }
                }
            })
        };
        Self { threads: (0..3).map(client).collect(), stop, whole }
    }

    fn end(self) {
        self.stop.store(true, Ordering::Release);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

#[test]
fn what_a_kill_leaves_is_whole() {
    let kills = std::env::var("EDGEWARD_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(10);
    let origin = origin();
    let site = site(POLICY, &origin, DISK);
    let mut random = fastrand::Rng::with_seed(7);
    let mut warm = 0;
    for kill in 0..kills {
        let mut process = start(&site);
        for path in paths() {
            let answer = stored(&site, &path);
            assert!(answer.status == 504 || answer.body == body(&path), "{kill}: {path}");
            warm += u32::from(answer.status == 200);
        }
        let clients = Clients::start(site.address("listen"), kill);
        crate::harness::soon("some answers", || clients.whole.load(Ordering::Acquire) > 20);
        std::thread::park_timeout(Duration::from_millis(random.u64(..300)));
        process.signal(Signal::KILL);
        process.ended();
        clients.end();
    }
    assert!(warm > 5 * u32::try_from(kills).unwrap(), "{warm} answers were still there after {kills} kills");
}
