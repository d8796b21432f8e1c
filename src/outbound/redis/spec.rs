//! A Redis as a policy names it, and as it is connected to.

use std::path::Path;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::address::Address;
use crate::tls::{self, ClientSpec};
use crate::values::{self, Problem, Secret, SecretString};

const CONNECT_WITHIN: Duration = Duration::from_secs(2);
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// A Redis that is slower than this is as good as none.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const PREFIX: &str = "edgeward:";
const LONGEST_PREFIX_BYTES: usize = 64;
/// More are not configured anywhere.
const MOST_DATABASES: u16 = 1024;

/// A Redis (6.2 or later) or Valkey, for what the processes of a fleet have in common. Each process keeps two connections to
/// it, and goes on with what it knows while there is none. One server or one address that leads to it: neither Redis
/// Cluster nor Sentinel is spoken.
///
/// ```yaml
/// redis:
///   fleet: { address: "rediss://redis.example.com:6379", username: edgeward, password: { env: REDIS_PASSWORD } }
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Redis")]
pub struct Spec {
    /// Where it is: `redis://HOST:PORT`, `rediss://HOST:PORT` for TLS, or `unix:` and an absolute path. Example:
    /// `rediss://redis.example.com:6379`.
    pub address: Address,
    /// Its user (ACL), if that is not `default`. Example: `edgeward`.
    pub username: Option<String>,
    /// The password. Default: none.
    pub password: Option<Secret>,
    /// The number of the database. Default: `0`.
    #[serde(default)]
    pub database: u16,
    /// What the names of all keys and channels begin with, at most 64 printable characters. Fleets that share a Redis
    /// need different ones. Default: `edgeward:`.
    pub prefix: Option<String>,
    /// How long connecting may take, TLS and login included. Default: `2s`.
    pub connect_timeout: Option<values::Duration>,
    /// How long an answer may take. Default: `1s`.
    pub timeout: Option<values::Duration>,
    /// What the server must prove where the address is `rediss:`, and what is proven to it.
    pub tls: Option<ClientSpec>,
    /// Lets `address` be `redis:` on another machine. Whoever sits between reads the password and who may call, and may
    /// let in himself. Default: `false`.
    #[serde(default)]
    pub danger_plaintext: bool,
}

/// How a Redis is reached.
pub struct Terms {
    pub(super) address: Address,
    pub(super) username: Option<String>,
    pub(super) password: Option<SecretString>,
    pub(super) database: u16,
    pub(super) prefix: Box<str>,
    pub(super) connect_within: Duration,
    pub(super) answer_within: Duration,
    pub(super) tls: tls::Client,
}

impl Spec {
    /// The defaults, at an address.
    #[must_use]
    pub const fn at(address: Address) -> Self {
        Self {
            address,
            username: None,
            password: None,
            database: 0,
            prefix: None,
            connect_timeout: None,
            timeout: None,
            tls: None,
            danger_plaintext: false,
        }
    }

    /// Reads the password and what TLS needs. Paths are relative to `base`, the policy's directory.
    ///
    /// # Errors
    /// Everything that is wrong, each with its place in the spec.
    pub fn compile(&self, base: &Path) -> Result<Terms, Vec<Problem>> {
        let mut problems = self.contradictions();
        let password = self.password.as_ref().map(|password| password.resolve(base)).transpose();
        let password = password.map_err(|error| problems.push(Problem::new("password", error))).ok();
        let tls = tls::Client::load(&self.tls.clone().unwrap_or_default(), base);
        let tls = tls.map_err(|wrong| problems.extend(wrong.into_iter().map(|one| one.under("tls")))).ok();
        if let (Address::Tcp { secure: true, host, .. }, Some(tls)) = (&self.address, &tls)
            && let Err(problem) = tls.check_host(host)
        {
            problems.push(problem.under("tls"));
        }
        match (password, tls) {
            (Some(password), Some(tls)) if problems.is_empty() => Ok(Terms {
                address: self.address.clone(),
                username: self.username.clone(),
                password,
                database: self.database,
                prefix: self.prefix.as_deref().unwrap_or(PREFIX).into(),
                connect_within: self.connect_timeout.map_or(CONNECT_WITHIN, |time| *time),
                answer_within: self.timeout.map_or(ANSWER_WITHIN, |time| *time),
                tls,
            }),
            _ => Err(problems),
        }
    }

    fn contradictions(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut wrong = |at: &str, message: &str| problems.push(Problem::new(at, message));
        if !self.address.is_private() && !self.danger_plaintext {
            wrong(
                "address",
                "redis: on another machine is anybody's on the way to read and write: use rediss:, or accept it with `danger_plaintext: true`",
            );
        }
        if !self.address.is_secure() && self.tls.is_some() {
            wrong("tls", "means something with a rediss: address alone");
        }
        if self.username.is_some() && self.password.is_none() {
            wrong("username", "a user needs a `password`");
        }
        if self.username.as_ref().is_some_and(String::is_empty) {
            wrong("username", "expected the name of a user");
        }
        if self.database >= MOST_DATABASES {
            wrong("database", "expected a number from 0 to 1023");
        }
        let fits = |prefix: &String| {
            (1..=LONGEST_PREFIX_BYTES).contains(&prefix.len())
                && prefix.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !self.prefix.as_ref().is_none_or(fits) {
            wrong("prefix", "expected 1 to 64 printable ASCII characters, such as `edgeward:`");
        }
        for (at, time) in [("connect_timeout", self.connect_timeout), ("timeout", self.timeout)] {
            if time.is_some_and(|time| *time > LONGEST_WAIT) {
                wrong(at, "expected at most 1m");
            }
        }
        problems
    }
}

impl Terms {
    /// What sets the data apart: server, database and prefix.
    pub(super) fn place(&self) -> String {
        format!("{} database {} {}", self.address, self.database, self.prefix)
    }

    /// Whether a connection made on these terms is as one made on the others.
    pub(super) fn same(&self, other: &Self) -> bool {
        let password = |terms: &Self| terms.password.as_ref().map(|password| password.expose().to_owned());
        self.place() == other.place()
            && self.username == other.username
            && password(self) == password(other)
            && (self.connect_within, self.answer_within) == (other.connect_within, other.answer_within)
            && self.tls.same(&other.tls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with a Redis at an address, after it was changed.
    fn wrong(address: &str, change: impl FnOnce(&mut Spec)) -> Vec<String> {
        let mut spec = Spec::at(address.parse().unwrap());
        change(&mut spec);
        let compiled = spec.compile(Path::new("/nonexistent"));
        compiled.err().unwrap_or_default().iter().map(|problem| problem.at.clone()).collect()
    }

    #[test]
    fn another_machine_is_reached_by_tls_unless_the_operator_accepts_the_danger() {
        assert_eq!(wrong("redis://redis.internal", |_| {}), ["address"]);
        assert_eq!(wrong("redis://redis.internal", |spec| spec.danger_plaintext = true), [""; 0]);
        assert_eq!(wrong("rediss://redis.internal", |_| {}), [""; 0]);
        assert_eq!(wrong("redis://127.0.0.1", |_| {}), [""; 0]);
        assert_eq!(wrong("unix:/run/redis.sock", |_| {}), [""; 0]);
        assert_eq!(wrong("rediss://10.0.0.1", |_| {}), ["tls.sni"], "whose certificate?");
    }

    #[test]
    fn what_means_nothing_is_told() {
        let tls = Some(ClientSpec::default());
        assert_eq!(wrong("unix:/run/redis.sock", |spec| spec.tls = tls), ["tls"]);
        assert_eq!(wrong("unix:/r", |spec| spec.username = Some("a".to_owned())), ["username"]);
        assert_eq!(wrong("unix:/r", |spec| spec.password = Some(Secret::File("none".into()))), ["password"]);
        assert_eq!(wrong("unix:/r", |spec| spec.database = 1024), ["database"]);
        for prefix in ["", "a b", "\u{e9}", &"x".repeat(65)] {
            assert_eq!(
                wrong("unix:/r", |spec| spec.prefix = Some(prefix.to_owned())),
                ["prefix"],
                "{prefix}"
            );
        }
        let minutes = || Some("2m".parse().unwrap());
        assert_eq!(wrong("unix:/r", |spec| spec.timeout = minutes()), ["timeout"]);
        assert_eq!(wrong("unix:/r", |spec| spec.connect_timeout = minutes()), ["connect_timeout"]);
    }

    #[test]
    fn terms_differ_by_all_that_makes_another_connection() {
        let terms = |change: fn(&mut Spec)| {
            let mut spec = Spec::at("unix:/r".parse().unwrap());
            change(&mut spec);
            spec.compile(Path::new("")).unwrap()
        };
        let plain = terms(|_| {});
        assert!(plain.same(&terms(|_| {})));
        let others: [fn(&mut Spec); 4] = [
            |spec| spec.database = 1,
            |spec| spec.prefix = Some("a:".to_owned()),
            |spec| spec.timeout = Some("3s".parse().unwrap()),
            |spec| spec.address = "unix:/s".parse().unwrap(),
        ];
        assert!(others.into_iter().all(|other| !plain.same(&terms(other))));
    }
}
