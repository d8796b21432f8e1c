//! Edgeward as its users run it: the built program in processes of its own, which share a policy and a directory.
//!
//! The policy names addresses as in `harness`: `{listen}`, `{tls}` and so on; `{dir}` is the directory. Addresses are
//! of a loopback network that no other test process uses, so that a port that was free stays free.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::edge::PORTS;
use crate::harness::{Client, Folder, Metrics, eventually, soon};

/// A directory with a policy, and the processes that run it.
pub struct Site {
    /// Where the policy, the logs and the runtime directory are.
    pub folder: Folder,
    program: PathBuf,
    values: RefCell<BTreeMap<String, String>>,
    addresses: RefCell<BTreeMap<&'static str, SocketAddr>>,
    environment: Vec<(&'static str, String)>,
    runs: RefCell<u32>,
    /// Processes that were started by others than us.
    strangers: RefCell<Vec<u32>>,
}

/// One process.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Site {
    /// A directory with this policy in it, which gets `server: { runtime_directory: …, drain: 10s }` if it has none.
    pub fn new(policy: &str, values: &[(&str, &dyn ToString)]) -> Self {
        let folder = Folder::new();
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), value.to_string())).collect();
        let site = Self {
            program: folder.path().join("edgeward"),
            folder,
            values: RefCell::new(values),
            addresses: RefCell::default(),
            environment: Vec::new(),
            runs: RefCell::new(0),
            strangers: RefCell::default(),
        };
        site.install();
        site.rewrite(policy);
        site
    }

    /// Sets a variable for the processes that are started from now on.
    pub fn env(mut self, name: &'static str, value: impl ToString) -> Self {
        self.environment.push((name, value.to_string()));
        self
    }

    /// Puts the built program where the processes are started from: a link, for it is large.
    pub fn install(&self) {
        let built = Path::new(env!("CARGO_BIN_EXE_edgeward"));
        drop(std::fs::remove_file(&self.program));
        if std::fs::hard_link(built, &self.program).is_err() {
            std::fs::copy(built, &self.program).unwrap();
        }
    }

    /// Replaces the program.
    pub fn replace_program(&self, script: &str) {
        let path = self.folder.write("edgeward", script);
        std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }

    /// Writes another policy. Nothing is told to read it.
    pub fn rewrite(&self, policy: &str) {
        let policy = self.fill(policy);
        self.folder.write("policy.yaml", policy);
    }

    fn fill(&self, policy: &str) -> String {
        let mut text = policy.to_owned();
        for name in PORTS.into_iter().filter(|name| text.contains(&format!("{{{name}}}"))) {
            let address = *self.addresses.borrow_mut().entry(name).or_insert_with(free);
            self.values.borrow_mut().insert(name.to_owned(), address.to_string());
        }
        let dir = self.folder.path().display().to_string();
        for (name, value) in self.values.borrow().iter().chain([(&"dir".to_owned(), &dir)]) {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        if text.contains("server:") {
            return text;
        }
        format!("server: {{ runtime_directory: {dir}/run, drain: 10s }}\n{text}")
    }

    /// The address that a placeholder stands for.
    pub fn address(&self, name: &str) -> SocketAddr {
        self.addresses.borrow()[name]
    }

    /// A connection to a listener.
    pub fn client(&self, name: &str) -> Client {
        Client::connect(self.address(name))
    }

    /// What `{admin}` says at `/metrics`.
    pub fn metrics(&self) -> Metrics {
        let answer = self.client("admin").get("/metrics");
        assert_eq!(answer.status, 200);
        Metrics::parse(&answer.text())
    }

    /// Runs the policy, and waits until it is served.
    pub fn start(&self) -> Process {
        self.run(&[]).serving()
    }

    /// Has another process take over, and waits until it has.
    pub fn upgrade(&self) -> Process {
        self.run(&["--upgrade"]).serving()
    }

    /// Runs the policy with more arguments.
    pub fn run(&self, arguments: &[&str]) -> Process {
        let mut runs = self.runs.borrow_mut();
        *runs += 1;
        let log = self.folder.path().join(format!("stderr.{runs}"));
        let child = Command::new(&self.program)
            .arg("run")
            .arg("policy.yaml")
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("NOTIFY_SOCKET")
            .env_remove("RUNTIME_DIRECTORY")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Process { child, log }
    }

    /// The process id in the pid file; waits until it is another one than `not`.
    pub fn pid_file(&self, not: u32) -> u32 {
        let read = || self.folder.read("run/edgeward.pid").trim().parse().ok().filter(|pid| *pid != not);
        eventually("another process in the pid file", read)
    }

    /// Ends this process too, with the site.
    pub fn adopt(&self, pid: u32) {
        self.strangers.borrow_mut().push(pid);
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for pid in self.strangers.borrow().iter() {
            signal(*pid, Signal::KILL);
        }
    }
}

impl Process {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it serves.
    pub fn serving(mut self) -> Self {
        soon("a process to serve", || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{status}: {}", self.text());
            }
            self.has("serving")
        });
        self
    }

    /// What it wrote to standard error.
    pub fn text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// The lines of its log with this message.
    pub fn logged(&self, message: &str) -> Vec<Value> {
        let text = self.text();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let lines = whole.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["message"].as_str().unwrap_or_default().contains(message)).collect()
    }

    /// Whether its log has a line with this message.
    pub fn has(&self, message: &str) -> bool {
        !self.logged(message).is_empty()
    }

    /// Waits for a line of its log.
    pub fn says(&self, message: &str) -> Value {
        eventually(&format!("{message:?} in the log: {}", self.text()), || {
            self.logged(message).into_iter().next()
        })
    }

    /// Sends it a signal.
    pub fn signal(&self, what: Signal) {
        signal(self.pid(), what);
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        eventually("the end of a process", || self.child.try_wait().unwrap())
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
        if std::thread::panicking() {
            eprintln!("process {}: {}", self.pid(), self.text());
        }
    }
}

/// Sends a signal to a process that one of ours started.
pub fn signal(pid: u32, what: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let _gone = kill_process(pid, what);
}

/// An address that nobody else in this machine is likely to ask for.
pub fn free() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(128);
    let [.., high, low] = std::process::id().to_be_bytes();
    let ip = Ipv4Addr::new(127, NEXT.fetch_add(1, Ordering::Relaxed) | 128, high, low);
    TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap()
}
