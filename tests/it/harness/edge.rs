//! Edgeward itself, started in this process from a policy text.
//!
//! The text names what is only known at run time in braces: `{listen}`, `{tls}` and the other [`PORTS`] are addresses
//! on 127.0.0.1 whose ports the system chose and which are bound before the start; `{dir}` is the test's directory;
//! the rest is given by [`Setup::with`]. Other braces stay as they are.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use edgeward::policy::Materials;
use edgeward::server::{self, Options, ReloadError, Shared, Sockets};
use serde_json::Value;
use tokio::sync::watch;

use super::client::Client;
use super::folder::Folder;
use super::metrics::Metrics;
use super::poll::eventually;

/// Names that stand for addresses to listen at.
pub const PORTS: [&str; 8] = ["listen", "listen2", "listen3", "tls", "tls2", "h2c", "admin", "echo"];
/// Connections that a test leaves open must not hold up its end.
const DRAIN: &str = "drain: 200ms";

/// An Edgeward about to be started.
pub struct Setup {
    text: String,
    values: BTreeMap<String, String>,
    folder: Folder,
}

/// An Edgeward that serves until it is dropped.
pub struct Edge {
    /// Its directory: the policy and whatever the policy names.
    pub folder: Folder,
    /// The process' own view of itself.
    pub shared: Arc<Shared>,
    values: BTreeMap<String, String>,
    addresses: BTreeMap<&'static str, SocketAddr>,
    control: tokio::runtime::Handle,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Setup {
    /// Replaces `{name}` in the policy.
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.values.insert(name.to_owned(), value.to_string());
        self
    }

    /// Puts a file beside the policy.
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.folder.write(name, content);
        self
    }

    /// The directory of the policy.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it.
    ///
    /// # Panics
    /// When the policy is wrong.
    pub fn start(self) -> Edge {
        self.try_start().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts it, or says why not.
    pub fn try_start(mut self) -> Result<Edge, String> {
        let mut listeners = Vec::new();
        let mut addresses = BTreeMap::new();
        for name in PORTS.into_iter().filter(|name| self.text.contains(&format!("{{{name}}}"))) {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            self.values.insert(name.to_owned(), address.to_string());
            self.values.insert(format!("{name}_port"), address.port().to_string());
            addresses.insert(name, address);
            listeners.push(listener);
        }
        let dir = self.folder.path().display().to_string();
        self.values.insert("dir".to_owned(), dir);
        let policy = self.folder.write("policy.yaml", fill(&self.text, &self.values));
        let sockets = Sockets::from_listeners(listeners).unwrap();
        let options = Options { policy, upgrade: false, sockets, relaunch: None, standalone: false };
        let (stop, stopped) = watch::channel(false);
        let (tell, told) = mpsc::channel();
        let thread = std::thread::spawn(move || serve(options, stopped, &tell));
        match told.recv().unwrap() {
            Ok((shared, control)) => {
                let thread = Some(thread);
                Ok(Edge {
                    folder: self.folder,
                    shared,
                    values: self.values,
                    addresses,
                    control,
                    stop,
                    thread,
                })
            }
            Err(error) => Err(error),
        }
    }
}

type Told = Result<(Arc<Shared>, tokio::runtime::Handle), String>;

fn serve(options: Options, stopped: watch::Receiver<bool>, tell: &mpsc::Sender<Told>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let control = runtime.handle().clone();
    let materials = Materials::new().unwrap();
    let started = |shared: &Arc<Shared>| drop(tell.send(Ok((shared.clone(), control))));
    if let Err(error) = runtime.block_on(server::run(options, materials, stopped, started)) {
        drop(tell.send(Err(error.to_string())));
    }
    runtime.shutdown_background();
}

fn fill(text: &str, values: &BTreeMap<String, String>) -> String {
    let mut text = text.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("{{{name}}}"), value);
    }
    if text.starts_with("server:") || text.contains("\nserver:") {
        return text;
    }
    format!("server: {{ {DRAIN} }}\n{text}")
}

impl Edge {
    /// Begins a setup. A policy without `server:` gets one that does not drain for long.
    pub fn policy(text: &str) -> Setup {
        Setup { text: text.to_owned(), values: BTreeMap::new(), folder: Folder::new() }
    }

    /// The address that a placeholder stands for.
    pub fn address(&self, name: &str) -> SocketAddr {
        *self.addresses.get(name).unwrap_or_else(|| panic!("the policy has no {{{name}}}"))
    }

    /// A connection to the listener of that name, without TLS.
    pub fn client(&self, name: &str) -> Client {
        Client::connect(self.address(name))
    }

    /// Writes another policy in place of the present one. Nothing is reloaded yet.
    pub fn rewrite(&self, text: &str) {
        self.folder.write("policy.yaml", fill(text, &self.values));
    }

    /// Reloads the policy's file.
    pub fn reload(&self) -> Result<(), ReloadError> {
        let shared = self.shared.clone();
        let (tell, told) = mpsc::channel();
        self.control.spawn(async move { tell.send(shared.reload().await) });
        told.recv().unwrap()
    }

    /// What `{admin}` says at `/metrics`.
    pub fn metrics(&self) -> Metrics {
        let answer = self.client("admin").get("/metrics");
        assert_eq!(answer.status, 200);
        Metrics::parse(&answer.text())
    }

    /// Waits until a metric, by its name and all its labels as they are written, has a value.
    pub fn wait_for_metric(&self, series: &str, value: f64) {
        eventually(&format!("{series} = {value}, last seen {:?}", self.metrics().value(series)), || {
            (self.metrics().value(series) == Some(value)).then_some(())
        });
    }

    /// Waits until all series of a metric whose labels hold these texts add up to a value: what an answer adds is counted
    /// after it has been sent.
    pub fn wait_for_sum(&self, metric: &str, labels: &[&str], value: f64) {
        let sum = || self.metrics().sum(metric, labels);
        eventually(&format!("{metric} of {labels:?} = {value}, last seen {}", sum()), || {
            (sum() == value).then_some(())
        });
    }

    /// The lines of `access.log`, which the policy must name: `access_log: { to: access.log }`.
    pub fn access_log(&self) -> Vec<Value> {
        self.lines("access.log")
    }

    /// The lines of a file of JSON that the policy names.
    pub fn lines(&self, name: &str) -> Vec<Value> {
        let text = self.folder.read(name);
        // The last line may be half written yet.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
            .collect()
    }

    /// The first line of the access log for which `is` holds; waits for it.
    pub fn logged(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("a line of the access log: {what}"), || {
            self.access_log().into_iter().find(|line| is(line))
        })
    }

    /// Stops it and waits for its end.
    pub fn stop(mut self) -> Folder {
        self.end();
        std::mem::replace(&mut self.folder, Folder::new())
    }

    fn end(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the control thread panicked");
        }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.end();
    }
}
