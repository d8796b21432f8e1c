//! A real OpenID provider, npm's `oidc-provider`; `tests/it/provider/provider.js` says what it can do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::poll::DEADLINE;

/// The provider; ends when dropped.
pub struct Provider {
    child: Child,
    issuer: String,
    port: u16,
}

/// What it answered.
#[derive(Debug)]
pub struct Answered {
    pub status: u16,
    /// The head, with its empty line.
    pub head: String,
    pub body: String,
}

impl Answered {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// A field of its head.
    pub fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }
}

impl Provider {
    /// Starts one with these settings; `None`, and a printed reason, where there is no Node or no `oidc-provider`.
    ///
    /// # Panics
    /// Where there is none in a CI run, and when it does not start.
    pub fn start(settings: &Value) -> Option<Self> {
        let modules = modules();
        if !super::tools::has("node") {
            return None;
        }
        if !modules.join("node_modules/oidc-provider").is_dir() {
            let ci = std::env::var("CI").as_deref() == Ok("true");
            assert!(!ci, "oidc-provider is not installed, and CI must not skip a test");
            eprintln!("skipped: oidc-provider is not installed, .ci/provider {} does it", modules.display());
            return None;
        }
        let mut child = Command::new("node")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/provider/provider.js"))
            .arg(settings.to_string())
            .env("PROVIDER_MODULES", modules)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no provider: {line:?}"));
        let port = u16::try_from(ready["port"].as_u64().unwrap()).unwrap();
        Some(Self { child, issuer: ready["issuer"].as_str().unwrap().to_owned(), port })
    }

    /// Its `iss`, a URL on 127.0.0.1.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Asks it for something, on a connection of its own.
    pub fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Answered {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut head = format!("{method} {target} HTTP/1.0\r\nHost: {address}\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            let kind = "application/x-www-form-urlencoded";
            head += &format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
        }
        socket.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        Answered { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// Asks for a token as a client whose secret is `NAME-secret`; `form` is what the grant needs.
    pub fn grant(&self, client: &str, form: &str, headers: &[(&str, &str)]) -> Answered {
        let credentials = format!("Basic {}", STANDARD.encode(format!("{client}:{client}-secret")));
        let headers = [&[("Authorization", credentials.as_str())], headers].concat();
        self.ask("POST", "/token", &headers, form)
    }

    /// Puts a form to another endpoint, as such a client.
    pub fn grant_at(&self, target: &str, client: &str, form: &str) -> Answered {
        let credentials = format!("Basic {}", STANDARD.encode(format!("{client}:{client}-secret")));
        self.ask("POST", target, &[("Authorization", &credentials)], form)
    }

    /// An access token of the client `service` with these scopes.
    pub fn token(&self, scope: &str) -> String {
        let form = format!("grant_type=client_credentials&scope={}", scope.replace(' ', "+"));
        let answer = self.grant("service", &form, &[]);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// `rotate`, `rotate?keep`, `down`, `up` or `counts`; returns how often each path was asked for.
    pub fn control(&self, what: &str) -> Value {
        let method = if what == "counts" { "GET" } else { "POST" };
        let answer = self.ask(method, &format!("/control/{what}"), &[], "");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Where `make test-packages` installs it: `provider` in cargo's target directory.
pub fn modules() -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_edgeward")).ancestors().nth(2).unwrap();
    target.join("provider")
}
