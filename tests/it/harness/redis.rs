//! Redis, as operators run it: on a Unix socket in a directory of its own, and on a port with TLS where a test asks for it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::certs::Authority;
use super::folder::Folder;
use super::poll::eventually;
use super::tools;

/// A Redis that writes down every change, so that it comes back as it was; ends when dropped.
pub struct Redis {
    folder: Folder,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Redis {
    /// Starts one. `None` where it is not installed.
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// Starts one with more arguments.
    pub fn start_with(arguments: &[&str]) -> Option<Self> {
        let mut redis = Self::prepare(arguments)?;
        redis.begin();
        Some(redis)
    }

    /// Starts one that speaks TLS as well, at the address, by a certificate for `localhost`.
    pub fn start_tls(authority: &Authority) -> Option<(Self, SocketAddr)> {
        let mut redis = Self::prepare(&[])?;
        authority.server(&["localhost"]).store(&redis.folder, "redis");
        redis.folder.write("ca.pem", authority.pem());
        let path = |name: &str| redis.folder.path().join(name).display().to_string();
        let (cert, key, ca) = (path("redis.crt"), path("redis.key"), path("ca.pem"));
        let address = free_port();
        let port = address.port().to_string();
        for (name, value) in [
            ("--tls-port", &*port),
            ("--tls-cert-file", &cert),
            ("--tls-key-file", &key),
            ("--tls-ca-cert-file", &ca),
            ("--tls-auth-clients", "no"),
        ] {
            redis.arguments.extend([name.to_owned(), value.to_owned()]);
        }
        redis.begin();
        Some((redis, address))
    }

    /// One that is not started yet.
    pub fn prepare(arguments: &[&str]) -> Option<Self> {
        let found = tools::has("redis-server") && tools::has("redis-cli");
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        found.then(|| Self { folder: Folder::new(), arguments, child: None })
    }

    /// Starts it, once more after [`kill`](Self::kill): with the data it had.
    pub fn begin(&mut self) {
        let child = Command::new("redis-server")
            .args(["--port", "0", "--unixsocket"])
            .arg(self.socket())
            .args([
                "--unixsocketperm",
                "700",
                "--save",
                "",
                "--appendonly",
                "yes",
                "--appendfsync",
                "always",
                "--dir",
            ])
            .arg(self.folder.path())
            .args(&self.arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        eventually("redis", || UnixStream::connect(self.socket()).ok());
        eventually("redis to have read its data", || {
            (!self.ask(&["PING"]).contains("LOADING")).then_some(())
        });
    }

    /// Its address, as a policy names it.
    pub fn address(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// What redis-cli prints for a command.
    pub fn ask(&self, command: &[&str]) -> String {
        let socket = self.socket().display().to_string();
        let output = tools::run("redis-cli", &[&["-s", &socket, "--raw"], command].concat(), b"");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Has it take connections and say nothing any more, until it is told to [go on](Self::thaw).
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Has it go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().map(Pid::from_child).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _gone = child.kill();
            let _reaped = child.wait();
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that nobody has. Redis cannot be handed one that is held.
fn free_port() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}
