//! A way to a Unix socket that can be cut, so that one process loses what others go on to have.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use super::folder::Folder;

/// Passes connections on until it is cut.
pub struct Relay {
    folder: Folder,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    is_cut: bool,
    open: Vec<UnixStream>,
}

impl Relay {
    /// To the socket at this path.
    pub fn start(to: PathBuf) -> Self {
        let relay = Self { folder: Folder::new(), state: Arc::default() };
        let listener = UnixListener::bind(relay.socket()).unwrap();
        let state = relay.state.clone();
        thread::spawn(move || {
            // Ends with the process.
            for stream in listener.incoming().flatten() {
                let mut state = state.lock().unwrap();
                if !state.is_cut {
                    // Where nobody listens any more, the client is let go.
                    drop(join(stream, &to, &mut state.open));
                }
            }
        });
        relay
    }

    /// Its address, as a policy names it.
    pub fn address(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("relay.sock")
    }

    /// Ends all connections, and lets new ones go.
    pub fn cut(&self) {
        let mut state = self.state.lock().unwrap();
        state.is_cut = true;
        for stream in state.open.drain(..) {
            let _gone = stream.shutdown(Shutdown::Both);
        }
    }

    /// Passes connections on again.
    pub fn mend(&self) {
        self.state.lock().unwrap().is_cut = false;
    }
}

fn join(client: UnixStream, to: &Path, open: &mut Vec<UnixStream>) -> io::Result<()> {
    let server = UnixStream::connect(to)?;
    let (client_too, server_too) = (client.try_clone()?, server.try_clone()?);
    open.extend([client.try_clone()?, server.try_clone()?]);
    thread::spawn(move || pass(client, server));
    thread::spawn(move || pass(server_too, client_too));
    Ok(())
}

fn pass(mut from: UnixStream, mut to: UnixStream) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _gone = to.shutdown(Shutdown::Both);
}
