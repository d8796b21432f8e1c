//! From issuers as written to issuers that verify tokens, and the work in the background that keeps their keys fresh.

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use super::Materials;
use crate::auth::issuer::{Issuer, Issuers, Keys, Published, Reach};
use crate::auth::jose::rules::{Audience, DEFAULT_LEEWAY, Kind};
use crate::auth::jose::{Algorithm, Algorithms, Key, KeySet, Rules, Verifier};
use crate::auth::keyset::{self, Observer, Outcome, Settings, Setup, Source};
use crate::config::spec::{self, Jwks, Refresh, TokenType};
use crate::config::{Issue, Node};
use crate::http::url::Url;
use crate::outbound::{Client, Terms};
use crate::state::{Chore, Work};
use crate::telemetry::metrics::{FetchOutcome, IssuerMetrics, Show};
use crate::tls;
use crate::values::Problem;

const MOST_LEEWAY: Duration = Duration::from_secs(5 * 60);
/// Longest issuer or audience.
const MOST_BYTES: usize = 2048;

/// Compiles all issuers.
pub(super) fn compile(
    specs: &BTreeMap<String, Node>,
    materials: &Materials,
    base: &FilePath,
    issues: &mut Vec<Issue>,
) -> (Issuers, Vec<Arc<dyn Chore>>) {
    let mut issuers = Issuers::new(Arc::clone(&materials.memory));
    let mut chores: Vec<Arc<dyn Chore>> = Vec::new();
    for (name, node) in specs {
        let before = issues.len();
        let spec = node.read::<spec::Issuer>(issues);
        // What is left of one that does not read well would only bring up what follows from that.
        let spec = spec.filter(|_| issues.len() == before);
        let compiled = spec.map(|spec| Site { name, materials, base }.issuer(&spec));
        match compiled {
            Some(Ok((issuer, upkeep))) => {
                issuers.add(issuer);
                if let Some(upkeep) = upkeep {
                    let shown: Arc<dyn Show> = upkeep.clone();
                    materials.metrics.show(&shown);
                    chores.push(upkeep);
                }
            }
            Some(Err(problem)) => {
                issues.push(node.problem(&problem));
                issuers.add_placeholder(name);
            }
            None => issuers.add_placeholder(name),
        }
    }
    (issuers, chores)
}

/// Where an issuer stands.
struct Site<'a> {
    name: &'a str,
    materials: &'a Materials,
    base: &'a FilePath,
}

impl Site<'_> {
    fn issuer(&self, spec: &spec::Issuer) -> Result<(Issuer, Option<Arc<Upkeep>>), Problem> {
        let verifier = verifier(spec)?;
        let memory = Arc::clone(&self.materials.memory);
        if spec.secret.is_some() {
            let keys = self.secret(spec, verifier.algorithms)?;
            return Ok((Issuer::new(self.name, verifier, keys, memory), None));
        }
        let reach = self.reach(spec)?;
        let (set, upkeep) = self.published(spec, &reach)?;
        let issuer = Issuer::new(self.name, verifier, Keys::Published(set), memory).reached_by(reach);
        Ok((issuer, Some(upkeep)))
    }

    fn secret(&self, spec: &spec::Issuer, algorithms: Algorithms) -> Result<Keys, Problem> {
        for (key, given) in [
            ("jwks", spec.jwks.is_some()),
            ("discovery", spec.discovery.is_some()),
            ("tls", spec.tls.is_some()),
            ("refresh", spec.refresh.is_some()),
        ] {
            if given {
                return Err(Problem::new(key, "means nothing with `secret`"));
            }
        }
        let mut keys = KeySet::default();
        if let Some(secret) = &spec.secret {
            let problem = |error: &dyn std::fmt::Display| Problem::new("secret", error);
            let secret = secret.resolve(self.base).map_err(|error| problem(&error))?;
            let text = secret.expose().as_bytes();
            let key = if text.trim_ascii_start().starts_with(b"{") {
                Key::secret_from_jwk(text)
            } else {
                Key::secret(text, None, None)
            };
            let key = key.map_err(|error| problem(&error))?;
            if key.algorithms().and(algorithms) != algorithms {
                return Err(Problem::new(
                    "secret",
                    "too short for one of the algorithms: HS384 needs 48 bytes, HS512 64; or the `alg` of the JWK is another one",
                ));
            }
            keys.add(key).map_err(|error| problem(&error))?;
        }
        Ok(Keys::Fixed(keys))
    }

    fn reach(&self, spec: &spec::Issuer) -> Result<Reach, Problem> {
        let tls = spec.tls.as_ref();
        let client = tls::Client::load(tls.unwrap_or(&tls::ClientSpec::default()), self.base);
        let client = client.map_err(|problems| first(problems).under("tls"))?;
        let fetch = Arc::new(Client::new(&self.materials.outbound, Terms::new(client)));
        Ok(Reach { fetch, danger_http: spec.danger_http })
    }

    fn published(
        &self,
        spec: &spec::Issuer,
        reach: &Reach,
    ) -> Result<(Arc<keyset::KeySet<Published>>, Arc<Upkeep>), Problem> {
        let settings = settings(spec.refresh.as_ref().unwrap_or(&Refresh::default()))
            .map_err(|problem| problem.under("refresh"))?;
        let (source, at) = self.source(spec)?;
        if spec.tls.is_some() && !matches!(source, Source::Url(_) | Source::Discovery { .. }) {
            return Err(Problem::new("tls", "means nothing where nothing is fetched"));
        }
        let metrics = self.materials.metrics.issuer(self.name);
        let told = Arc::new(Told { name: self.name.into(), metrics });
        let setup = Setup {
            settings,
            fetch: Arc::clone(&reach.fetch),
            observer: Arc::clone(&told) as Arc<dyn Observer>,
            chance: fastrand::Rng::new(),
        };
        let is_inline = matches!(source, Source::Inline(_));
        let keys = self.materials.memory.keyring.open(self.name, source, setup);
        let keys = keys.map_err(|problem| problem.under(at))?;
        if let (true, Some(current)) = (is_inline, keys.current())
            && let Some(note) = current.keys.oddities().first()
        {
            return Err(Problem::new(format!("{at}.keys[{}]", note.index), &note.oddity));
        }
        Ok((Arc::clone(&keys), Arc::new(Upkeep { keys, told })))
    }

    /// Where the keys are, and which key of the policy says so.
    fn source(&self, spec: &spec::Issuer) -> Result<(Source, &'static str), Problem> {
        match (&spec.jwks, spec.discovery) {
            (Some(_), Some(true)) => Err(Problem::new("discovery", "either `jwks` or `discovery`, not both")),
            (None, Some(false)) => Err(Problem::new(
                "discovery",
                "without it the keys must be named: `jwks: https://…`, `jwks: { file: PATH }` or `secret`",
            )),
            (Some(Jwks::Url(url)), _) => {
                check_scheme(url, spec.danger_http, "jwks")?;
                Ok((Source::Url(url.clone()), "jwks"))
            }
            (Some(Jwks::File { file }), _) => Ok((Source::File(self.base.join(file)), "jwks.file")),
            (Some(Jwks::Inline { inline }), _) => {
                let text =
                    serde_json::to_string(inline).map_err(|error| Problem::new("jwks.inline", error))?;
                Ok((Source::Inline(text.into()), "jwks.inline"))
            }
            (None, _) => {
                let url = spec.issuer.parse::<Url>();
                let url = url.map_err(|error| {
                    Problem::new(
                        "issuer",
                        format_args!("{error}: or else name its keys in `jwks` or `secret`"),
                    )
                })?;
                if url.has_query() {
                    return Err(Problem::new(
                        "issuer",
                        "one with a query cannot be asked where its keys are: name `jwks`",
                    ));
                }
                check_scheme(&url, spec.danger_http, "issuer")?;
                Ok((Source::Discovery { issuer: url }, "issuer"))
            }
        }
    }
}

fn verifier(spec: &spec::Issuer) -> Result<Verifier, Problem> {
    if !(1..=MOST_BYTES).contains(&spec.issuer.len()) {
        return Err(Problem::new("issuer", "expected the `iss` of its tokens, at most 2048 bytes"));
    }
    let leeway = spec.leeway.map_or(Duration::from_secs(DEFAULT_LEEWAY), |leeway| *leeway);
    if leeway > MOST_LEEWAY {
        return Err(Problem::new("leeway", "at most 5m: clocks that differ by more want to be set"));
    }
    let rules = Rules {
        issuers: vec![spec.issuer.clone()],
        audience: audience(spec)?,
        kind: match spec.kind {
            TokenType::Any => Kind::AccessOrUntyped,
            TokenType::Access => Kind::Access,
        },
        leeway: leeway.as_secs(),
        max_age: spec.max_age.map(|age| age.as_secs()),
        subject: false,
        id: false,
    };
    let mut verifier = Verifier { algorithms: algorithms(spec)?, ..Verifier::new(rules) };
    if let Some(size) = spec.max_size {
        verifier.max_bytes = size.as_usize();
    }
    Ok(verifier)
}

fn audience(spec: &spec::Issuer) -> Result<Audience, Problem> {
    let names = match (&spec.audience, spec.danger_any_audience) {
        (Some(names), false) => names.as_slice(),
        (None, true) => return Ok(Audience::DangerAny),
        // Of an issuer whose tokens nobody takes, but its keys or its logins.
        (None, false) => return Ok(Audience::OneOf(Vec::new())),
        (Some(_), true) => {
            return Err(Problem::new(
                "danger_any_audience",
                "either `audience` or `danger_any_audience`, not both",
            ));
        }
    };
    if names.is_empty() || names.iter().any(|name| !(1..=MOST_BYTES).contains(&name.len())) {
        return Err(Problem::new(
            "audience",
            "expected a name, or a list of names, of at most 2048 bytes each",
        ));
    }
    Ok(Audience::OneOf(names.to_vec()))
}

/// A secret is for HMAC alone, and a public key never: what an attacker would like to mix up (RFC 8725 section 2.1).
fn algorithms(spec: &spec::Issuer) -> Result<Algorithms, Problem> {
    let able = if spec.secret.is_some() { Algorithms::SYMMETRIC } else { Algorithms::ASYMMETRIC };
    let Some(wanted) = &spec.algorithms else {
        return Ok(if spec.secret.is_some() { Algorithms::only(Algorithm::Hs256) } else { able });
    };
    if wanted.is_empty() {
        return Err(Problem::new("algorithms", "expected at least one"));
    }
    for (index, algorithm) in wanted.iter().enumerate() {
        if !able.contains(*algorithm) {
            let (name, needs) =
                (algorithm.name(), if spec.secret.is_some() { "public keys" } else { "a `secret`" });
            return Err(Problem::new(format!("algorithms[{index}]"), format_args!("{name} needs {needs}")));
        }
    }
    Ok(wanted.iter().copied().collect())
}

fn check_scheme(url: &Url, danger_http: bool, at: &'static str) -> Result<(), Problem> {
    if url.is_secure() || url.is_loopback() || danger_http {
        return Ok(());
    }
    Err(Problem::new(
        at,
        "keys fetched by plain http are anybody's: use https, or accept it with `danger_http: true`",
    ))
}

fn settings(refresh: &Refresh) -> Result<Settings, Problem> {
    let default = Settings::default();
    let max_stale = refresh.max_stale.map_or(default.max_stale, |time| *time);
    let longest = refresh.longest.map_or_else(|| default.longest.min(max_stale / 2), |time| *time);
    if longest > max_stale {
        return Err(Problem::new(
            "longest",
            "is longer than `max_stale`, so keys would be gone before they are fetched",
        ));
    }
    for (at, time) in [("interval", refresh.interval), ("shortest", refresh.shortest)] {
        if time.is_some_and(|time| *time > longest) {
            return Err(Problem::new(at, "is longer than `longest`"));
        }
    }
    Ok(Settings {
        interval: refresh.interval.map_or(default.interval, |time| *time),
        shortest: refresh.shortest.map_or(default.shortest, |time| *time),
        longest,
        cooldown: refresh.cooldown.map_or(default.cooldown, |time| *time),
        max_stale,
        timeout: refresh.timeout.map_or(default.timeout, |time| *time),
        max_wait: refresh.max_wait.map_or(default.max_wait, |time| *time),
        ..default
    })
}

fn first(problems: Vec<Problem>) -> Problem {
    problems.into_iter().next().unwrap_or_else(|| Problem::whole("cannot be used"))
}

/// Counts and logs what becomes of fetches.
struct Told {
    name: Box<str>,
    metrics: IssuerMetrics,
}

impl Observer for Told {
    fn fetched(&self, outcome: Outcome<'_>) {
        let issuer = &*self.name;
        match outcome {
            Outcome::Replaced { keys } => {
                self.metrics.fetched(FetchOutcome::Replaced);
                log::info!(issuer, keys; "an issuer has other keys");
            }
            Outcome::Unchanged => self.metrics.fetched(FetchOutcome::Unchanged),
            Outcome::Failed { kind, why } => {
                self.metrics.fetched(FetchOutcome::failed(kind));
                log::warn!(issuer, why; "the keys of an issuer cannot be fetched, those at hand, if any, are used on");
            }
        }
    }

    fn odd(&self, note: &str) {
        log::warn!(issuer = &*self.name, note; "a key of an issuer is odd");
    }
}

/// Keeps the keys of an issuer fresh, and shows how they stand.
struct Upkeep {
    keys: Arc<keyset::KeySet<Published>>,
    told: Arc<Told>,
}

impl Chore for Upkeep {
    fn run(self: Arc<Self>) -> Work {
        Box::pin(Arc::clone(&self.keys).run())
    }
}

impl Show for Upkeep {
    fn show(&self) {
        let status = self.keys.status();
        self.told.metrics.show_keys(status.keys, status.age);
    }
}
