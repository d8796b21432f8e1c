//! Secrets: a policy says where one is (`{ env: NAME }` or `{ file: PATH }`), never what it is.
//!
//! A [`Secret`] is such a reference and safe to print. A [`SecretString`] is the resolved value; it prints as
//! `***` in every way it can be printed, and compares in constant time.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::{Serialize, Serializer};

/// Why a secret written in the clear is refused. It is one constant so that whoever reports it can mask the
/// line it happened on.
pub const WRITTEN_IN_THE_CLEAR: &str =
    "a secret is not written into the policy: name its source, { env: NAME } or { file: PATH }";

const ONE_SOURCE: &str = "expected one source for the secret, { env: NAME } or { file: PATH }";

const LARGEST_BYTES: u64 = 64 * 1024;

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Secret {
    /// In an environment variable of the process.
    Env(String),
    /// In a file, absolute or relative to the policy. One newline at its end is not part of the secret.
    File(PathBuf),
}

/// A secret's value: UTF-8, not empty, at most 64 KiB.
#[derive(Clone)]
pub struct SecretString(Box<str>);

/// Why a secret cannot be had. Names its source, never its value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("environment variable {0} is not set")]
    Unset(String),
    #[error("cannot read the secret's file {}: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: io::Error },
    #[error("the secret from {0} is empty")]
    Empty(Secret),
    #[error("the secret from {0} is larger than 64KiB")]
    TooLarge(Secret),
    #[error("the secret from {0} is not UTF-8")]
    NotUtf8(Secret),
}

impl Secret {
    /// Fetches the value. A relative file is looked for in `base`, the directory of the policy.
    ///
    /// # Errors
    /// When the variable is not set or the file cannot be read, and when the value is empty, larger than 64
    /// KiB or not UTF-8.
    pub fn resolve(&self, base: &Path) -> Result<SecretString, SecretError> {
        self.resolve_in(base, |name| std::env::var_os(name))
    }

    fn resolve_in(
        &self,
        base: &Path,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<SecretString, SecretError> {
        let bytes = match self {
            Self::Env(name) => {
                variable(name).ok_or_else(|| SecretError::Unset(name.clone()))?.into_encoded_bytes()
            }
            Self::File(path) => without_final_newline(read_bounded(&base.join(path))?),
        };
        if bytes.len() as u64 > LARGEST_BYTES {
            return Err(SecretError::TooLarge(self.clone()));
        }
        let text = String::from_utf8(bytes).map_err(|_| SecretError::NotUtf8(self.clone()))?;
        if text.is_empty() {
            return Err(SecretError::Empty(self.clone()));
        }
        Ok(SecretString(text.into_boxed_str()))
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(formatter, "environment variable {name}"),
            Self::File(path) => write!(formatter, "file {}", path.display()),
        }
    }
}

impl SecretString {
    /// The value itself. Whoever calls this must not print, log or store it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `candidate` is the secret, in a time that depends on the lengths alone.
    pub fn matches(&self, candidate: &[u8]) -> bool {
        let secret = self.0.as_bytes();
        if secret.len() != candidate.len() {
            return false;
        }
        // `black_box` after every byte keeps the compiler from leaving the loop at the first difference.
        let difference = secret
            .iter()
            .zip(candidate)
            .fold(0_u8, |difference, (left, right)| std::hint::black_box(difference | (left ^ right)));
        difference == 0
    }
}

impl fmt::Debug for SecretString {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

impl fmt::Display for SecretString {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

impl Serialize for SecretString {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not `deserialize_map`: its refusal of a string would repeat the string, which is the secret.
        deserializer.deserialize_any(SecretVisitor)
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let source = |key: &str, description: &str| {
            json_schema!({
                "type": "object",
                "properties": { key: { "type": "string", "minLength": 1, "description": description } },
                "required": [key],
                "additionalProperties": false,
            })
        };
        json_schema!({
            "description": "where a secret is: { env: NAME } or { file: PATH }",
            "oneOf": [
                source("env", "environment variable that holds the secret"),
                source("file", "file that holds the secret, absolute or relative to the policy"),
            ],
        })
    }
}

struct SecretVisitor;

impl<'de> Visitor<'de> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("{ env: NAME } or { file: PATH }")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Secret, A::Error> {
        let Some(source) = map.next_key()? else { return Err(A::Error::custom(ONE_SOURCE)) };
        let secret = match source {
            Source::Env => Secret::Env(map.next_value::<VariableName>()?.0),
            Source::File => Secret::File(map.next_value::<FilePath>()?.0),
        };
        match map.next_key::<Source>()? {
            None => Ok(secret),
            Some(_) => Err(A::Error::custom(ONE_SOURCE)),
        }
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Secret, E> {
        Err(E::custom(WRITTEN_IN_THE_CLEAR))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Secret, E> {
        Err(E::custom(WRITTEN_IN_THE_CLEAR))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Secret, E> {
        Err(E::custom(WRITTEN_IN_THE_CLEAR))
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<Secret, E> {
        Err(E::custom(WRITTEN_IN_THE_CLEAR))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Secret, E> {
        Err(E::custom(WRITTEN_IN_THE_CLEAR))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Secret, E> {
        Err(E::custom(WRITTEN_IN_THE_CLEAR))
    }
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Source {
    Env,
    File,
}

/// Name of an environment variable that can exist (POSIX 8.1: not empty, no `=`, no NUL).
#[derive(serde::Deserialize)]
#[serde(try_from = "String")]
struct VariableName(String);

impl TryFrom<String> for VariableName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err("expected the name of an environment variable such as API_KEY");
        }
        Ok(Self(name))
    }
}

#[derive(serde::Deserialize)]
#[serde(try_from = "String")]
struct FilePath(PathBuf);

impl TryFrom<String> for FilePath {
    type Error = &'static str;

    fn try_from(path: String) -> Result<Self, Self::Error> {
        if path.is_empty() || path.contains('\0') {
            return Err("expected the path of a file such as /run/secrets/api_key");
        }
        Ok(Self(path.into()))
    }
}

/// At most one byte and a line end more than a secret may have, so that the caller can tell a file that is
/// too large.
fn read_bounded(path: &Path) -> Result<Vec<u8>, SecretError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST_BYTES + 3).read_to_end(&mut bytes))
        .map_err(|reason| SecretError::Unreadable { path: path.to_owned(), reason })?;
    Ok(bytes)
}

fn without_final_newline(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    bytes
}

#[cfg(test)]
mod tests;
