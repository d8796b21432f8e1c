//! `oidc_login`: people log in by a browser, at an issuer made up here, at a real `OpenID` provider, and with a real browser.

mod login;
mod provider;
mod small;

use std::collections::BTreeMap;

use crate::harness::{Edge, Folder, Origin, Reply, Response, Setup};
use small::SmallProvider;

const SECRET: &str = "a secret of the operator with 32 letters";

/// A browser's cookies for one host.
#[derive(Default, Clone)]
struct Jar(BTreeMap<String, String>);

impl Jar {
    fn take(&mut self, response: &Response) {
        for cookie in response.all("set-cookie") {
            let (pair, attributes) = cookie.split_once("; ").unwrap();
            assert!(attributes.starts_with("Path=/; Secure; HttpOnly; SameSite=Lax"), "{cookie}");
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.ends_with("Max-Age=0") {
                self.0.remove(name);
            } else {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    fn line(&self) -> String {
        let pairs: Vec<_> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }
}

/// A browser's navigation, with what it keeps.
fn visit(edge: &Edge, jar: &mut Jar, target: &str) -> Response {
    let answer = ask(edge, jar, target, &[("Sec-Fetch-Mode", "navigate")]);
    jar.take(&answer);
    answer
}

/// Any request with these cookies.
fn ask(edge: &Edge, jar: &Jar, target: &str, headers: &[(&str, &str)]) -> Response {
    let line = jar.line();
    let mut all = headers.to_vec();
    if !line.is_empty() {
        all.push(("Cookie", &line));
    }
    edge.client("listen").allow(&["set-cookie"]).request("GET", target, &all, b"")
}

/// Path and query of a URL, whatever its host.
fn target(url: &str) -> &str {
    let rest = url.split_once("://").unwrap().1;
    rest.find('/').map_or("/", |at| &rest[at..])
}

/// A route `app` with the filter and more, and one without below `/open/`.
fn policy(more: &str) -> Setup {
    Edge::policy(&format!(
        "admin: {{ address: '{{admin}}' }}
access_log: {{ to: access.log, fields: [path, query, status, reason, filter, consumer, route] }}
listeners: [{{ address: '{{listen}}' }}]
upstreams: {{ app: {{ backends: ['{{origin}}'] }} }}
issuers: {{ corp: {{ issuer: '{{iss}}', audience: edge }} }}
chains:
  login:
    - oidc_login:
        issuer: corp
        client: {{ id: edge, secret: {{ file: client }} }}
        session: {{ secrets: [{{ file: session }}] }}
        to_headers: {{ x-user: sub }}
        {more}
routes:
  - {{ name: app, match: {{ path: /** }}, upstream: app, filters: [{{ chain: login }}] }}
  - {{ name: orders, match: {{ path: /orders/** }}, upstream: app, filters: [{{ chain: login }}] }}
  - {{ name: open, match: {{ path: /open/** }}, upstream: app }}
"
    ))
    .file("client", "the client's secret")
    .file("session", SECRET)
}

/// Somebody before an Edgeward that knows a small issuer.
struct Site {
    provider: SmallProvider,
    origin: Origin,
    edge: Edge,
}

impl Site {
    fn new(more: &str) -> Self {
        let provider = SmallProvider::start();
        let origin = Origin::start(|_| Reply::text("ok"));
        let edge = policy(more).with("iss", provider.issuer()).with("origin", origin.address()).start();
        Self { provider, origin, edge }
    }

    /// Goes to a path and does what the issuer says until something else than a redirect comes.
    fn log_in(&self, jar: &mut Jar, path: &str) -> Response {
        let begun = visit(&self.edge, jar, path);
        assert_eq!(begun.status, 302, "{}", begun.text());
        let back = self.provider.authorize(begun.header("location").unwrap());
        let welcome = visit(&self.edge, jar, target(&back));
        assert_eq!((welcome.status, welcome.header("location")), (302, Some(path)), "{}", welcome.text());
        visit(&self.edge, jar, path)
    }
}

/// A folder with the secrets that policies name.
fn secrets() -> Folder {
    let folder = Folder::new();
    folder.write("session", SECRET);
    folder
}
