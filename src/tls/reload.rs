//! What a listener has read from files, and reading it again when they change: a part that is new and whole replaces
//! the old one, a part that is not leaves it in place and is reported. Nothing here polls; the server asks
//! [`Acceptor::changed`](super::Acceptor::changed) every few seconds.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::certificate::{Certificate, PairFiles, Validity};
use super::context::Settings;
use super::spec::{CertificateSpec, ClientAuthSpec, Protocol, ServerSpec};
use super::store::Listed;
use super::tickets::Tickets;
use super::trust::ClientAuth;
use super::{Clock, self_signed};
use crate::values::Problem;

/// What a reload of certificates came to.
#[derive(Debug, Default, PartialEq, Eq)]
#[must_use = "the problems say which files were not taken over"]
pub struct Reloaded {
    /// The certificate files that have been taken over.
    pub replaced: Vec<PathBuf>,
    /// Whether authorities or revocation lists of clients have been taken over. All session tickets ended with the old.
    pub new_client_auth: bool,
    /// Why other files that changed have not. What they were to replace serves on.
    pub problems: Vec<Problem>,
}

/// Files, and how they looked when they were last read.
pub(super) struct Watched(Vec<(PathBuf, Option<Stamp>)>);

#[derive(PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Watched {
    /// Files as they look now. Look before reading: a change while reading is then noticed the next time.
    pub(super) fn look(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self(paths.into_iter().map(|path| (path.clone(), Stamp::of(&path))).collect())
    }

    pub(super) fn look_again(&mut self) {
        self.0.iter_mut().for_each(|(path, stamp)| *stamp = Stamp::of(path));
    }

    pub(super) fn changed(&self) -> bool {
        self.0.iter().any(|(path, stamp)| Stamp::of(path) != *stamp)
    }
}

impl Stamp {
    /// How the file at `path` (or where a link there leads) looks; `None` if there is none.
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }
}

/// Everything a listener has read, and where from.
pub(super) struct Loaded {
    pub pairs: Vec<Pair>,
    pub settings: Settings,
    client_files: Watched,
}

/// A certificate and its files; one made at start has none.
pub(super) struct Pair {
    pub listed: Listed,
    files: Option<PairFiles>,
    watched: Watched,
    /// Its place in the spec.
    at: String,
}

impl Loaded {
    /// Reads what a spec names, or tells everything that is wrong with it.
    pub(super) fn load(spec: &ServerSpec, base: &Path, clock: Clock) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let pairs = load_pairs(spec, base, &mut problems);
        let protocols: Arc<[Protocol]> = match &spec.protocols {
            Some(protocols) => protocols.as_slice().into(),
            None => [Protocol::H2, Protocol::Http11].into(),
        };
        if protocols.is_empty() {
            problems.push(Problem::new("protocols", "at least one protocol is needed, `h2` or `http/1.1`"));
        }
        let tickets =
            Tickets::compile(&spec.tickets).map_err(|problem| problems.push(problem.under("tickets")));
        let client_files = ClientAuth::files(&spec.client, base);
        let client_auth = ClientAuth::load(&spec.client, base, clock)
            .map_err(|problem| problems.push(problem.under("client")));
        match (tickets, client_auth) {
            (Ok(tickets), Ok(client_auth)) if problems.is_empty() => {
                for pair in &pairs {
                    warn_of(&pair.listed.certificate, clock());
                }
                let settings = Settings { profile: spec.profile, protocols, tickets, client_auth, clock };
                Ok(Self { pairs, settings, client_files })
            }
            _ => Err(problems),
        }
    }

    pub(super) fn changed(&self) -> bool {
        self.client_files.changed() || self.pairs.iter().any(|pair| pair.watched.changed())
    }

    /// Reads again what has changed.
    pub(super) fn reload(&mut self, client: &ClientAuthSpec, base: &Path) -> Reloaded {
        let mut reloaded = Reloaded::default();
        let now = (self.settings.clock)();
        for pair in self.pairs.iter_mut().filter(|pair| pair.watched.changed()) {
            match pair.reload(now) {
                Ok(()) => reloaded.replaced.push(pair.listed.certificate.source().to_owned()),
                Err(problem) => reloaded.problems.push(problem.under(&pair.at)),
            }
        }
        if self.client_files.changed() {
            self.client_files.look_again();
            match ClientAuth::load(client, base, self.settings.clock) {
                Ok(client_auth) => {
                    self.settings.client_auth = client_auth;
                    reloaded.new_client_auth = true;
                }
                Err(problem) => reloaded.problems.push(problem.under("client")),
            }
        }
        reloaded
    }
}

impl Pair {
    fn load(spec: &CertificateSpec, base: &Path, at: String) -> Result<Self, Problem> {
        let files = PairFiles {
            cert: base.join(&spec.cert),
            key: base.join(&spec.key),
            ocsp: spec.ocsp.as_ref().map(|path| base.join(path)),
        };
        let watched = Watched::look([&files.cert, &files.key].into_iter().chain(&files.ocsp).cloned());
        let certificate = Arc::new(Certificate::load(&files).map_err(Problem::whole)?);
        let listed = Listed { certificate, names: spec.names.clone(), default: spec.default };
        Ok(Self { listed, files: Some(files), watched, at })
    }

    fn reload(&mut self, now: i64) -> Result<(), Problem> {
        let Some(files) = &self.files else { return Ok(()) };
        self.watched.look_again();
        let certificate = Certificate::load(files).map_err(Problem::whole)?;
        let worse = self.listed.certificate.validity(now) == Validity::Valid
            && certificate.validity(now) != Validity::Valid;
        if worse {
            return Err(Problem::new(
                "cert",
                "a certificate that is not valid now does not replace one that is",
            ));
        }
        self.listed.certificate = Arc::new(certificate);
        Ok(())
    }
}

fn load_pairs(spec: &ServerSpec, base: &Path, problems: &mut Vec<Problem>) -> Vec<Pair> {
    match (spec.certificates.is_empty(), spec.self_signed.is_empty()) {
        (true, true) => problems.push(Problem::whole("needs `certificates`, or `self_signed` for trials")),
        (false, false) => {
            problems.push(Problem::new("self_signed", "stands in place of `certificates`, not beside them"));
        }
        (true, false) => return self_signed_pair(&spec.self_signed, problems),
        (false, true) => {}
    }
    if let Some(index) = spec.certificates.iter().enumerate().filter(|(_, spec)| spec.default).nth(1) {
        let at = format!("certificates[{}].default", index.0);
        problems.push(Problem::new(at, "another certificate is the default already"));
    }
    let mut pairs = Vec::with_capacity(spec.certificates.len());
    for (index, spec) in spec.certificates.iter().enumerate() {
        let at = format!("certificates[{index}]");
        problems.extend(check_names(&spec.names).map(|problem| problem.under(&at)));
        match Pair::load(spec, base, at.clone()) {
            Ok(pair) => pairs.push(pair),
            Err(problem) => problems.push(problem.under(&at)),
        }
    }
    pairs
}

fn self_signed_pair(names: &[String], problems: &mut Vec<Problem>) -> Vec<Pair> {
    match self_signed::make(names) {
        Ok(certificate) => {
            let listed = Listed { certificate: Arc::new(certificate), names: Vec::new(), default: true };
            vec![Pair { listed, files: None, watched: Watched(Vec::new()), at: "self_signed".to_owned() }]
        }
        Err(error) => {
            problems.push(Problem::new("self_signed", format_args!("no certificate can be made: {error}")));
            Vec::new()
        }
    }
}

/// What clients will not accept is served all the same, for there may be nothing better yet.
fn warn_of(certificate: &Certificate, now: i64) {
    let trouble = match certificate.validity(now) {
        Validity::Expired => "the certificate has expired",
        Validity::NotYet => "the certificate is not valid yet",
        Validity::Valid if certificate.names().is_empty() => {
            "the certificate names no host in its subjectAltName, so no client takes it for one"
        }
        Validity::Valid => return,
    };
    log::warn!(file:% = certificate.source().display(); "{trouble}");
}

/// A `*` stands for the whole first label and for nothing else (RFC 9525 section 6.3).
fn check_names(names: &[String]) -> impl Iterator<Item = Problem> {
    let bad = |name: &str| {
        let rest = name.strip_prefix("*.").unwrap_or(name);
        rest.is_empty()
            || rest.contains(|character: char| !character.is_ascii_graphic() || "*/:".contains(character))
    };
    let problem = |index| {
        Problem::new(
            format!("names[{index}]"),
            "expected a host name such as api.example.com or *.example.com",
        )
    };
    names.iter().enumerate().filter(move |(_, name)| bad(name)).map(move |(index, _)| problem(index))
}
