//! Consumers and their keys as someone wrote them: inline in a policy, in a store's file, or in both.
//!
//! A store is a [`Document`] in YAML or JSON. Whoever reads it hands over the typed document, so that a wrong key of it
//! is reported with line and column as anywhere in a policy; `edgeward keys` writes it with [`Document::encode`].
//!
//! **A fleet** keeps the same document in a Redis, in JSON, beside a version that every change moves:
//! [`Fleet`](crate::consumers::fleet).

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::moment::Moment;
use super::names::{ConsumerName, KeyId};
use crate::values::Rate;

/// Consumers and their keys.
///
/// ```yaml
/// consumers:
///   - name: partner-a
///     scopes: [orders:read, orders:write]
///     limits: { rate: 100/1m }
///     keys:
///       - id: k3v9x0q2ab
///         sha256: 5d3c…
///         expires: 2027-01-31
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ConsumerStore")]
pub struct Document {
    /// Who may call.
    #[serde(default)]
    pub consumers: Vec<ConsumerSpec>,
}

/// Someone who calls: a partner, a team, a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Consumer")]
pub struct ConsumerSpec {
    /// Names it in logs, limits and expressions; no other consumer has it. At most 64 letters, digits, `.`, `_`, `-`,
    /// `@`, `:`, `/` or `+`. Example: `partner-a`.
    pub name: ConsumerName,
    /// Words for expressions to tell consumers apart by, at most 32. Example: `[gold, eu]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// What it may do, compared whole (RFC 6749 §3.3), at most 64. Example: `[orders:read]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// How much it may call, all its keys together. Default: no limit of its own.
    #[serde(default, skip_serializing_if = "Limits::is_none")]
    pub limits: Limits,
    /// Its keys. Several may be valid at a time; at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeySpec>,
}

/// How much a consumer may call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ConsumerLimits")]
pub struct Limits {
    /// Requests in a time, at most 30 days; as many may come at once. Exact, over all routes. Example: `100/1m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
}

impl Limits {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// One key of a consumer. The key itself is kept nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ConsumerKey")]
pub struct KeySpec {
    /// Names it in logs, metrics and commands; no other key has it. At most 32 letters, digits, `.`, `_` or `-`.
    pub id: KeyId,
    /// SHA-256 of its whole text, in hexadecimal: `printf %s "$KEY" | sha256sum`. A key made elsewhere may be any
    /// printable text of at most 512 bytes that does not begin with `ew_`; one that can be guessed stays guessable.
    pub sha256: Digest,
    /// When it was made. Default: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Moment>,
    /// Before this moment it is refused. Default: valid at once. Example: `2026-06-01`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Moment>,
    /// From this moment on it is refused. A date means its first second in UTC. Default: valid for ever. Example:
    /// `2026-12-31T12:00:00Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Moment>,
    /// The scopes of the consumer that this key has. Default: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Words beside the consumer's own tags, at most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Set by a rotation: there is a newer key, and users of this one are told to change. It stays valid until it
    /// expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<Deprecation>,
    /// Set when it was withdrawn: since then it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<Moment>,
}

/// That a key has a successor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deprecation {
    /// Since when.
    pub since: Moment,
    /// The id of the newer key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<KeyId>,
}

/// How a store is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Json,
    /// Comments someone put into the file are not kept.
    Yaml,
}

impl Encoding {
    /// By the name of the file: JSON if it ends in `.json`, else YAML.
    pub fn of(path: &Path) -> Self {
        let json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        if json { Self::Json } else { Self::Yaml }
    }
}

const YAML_HEADING: &str = "# Kept by `edgeward keys`, which does not keep comments.\n";

impl Document {
    /// The text of a file that reads as this document.
    ///
    /// # Errors
    /// None that is known of: nothing in a document is unfit for JSON.
    pub fn encode(&self, encoding: Encoding) -> serde_json::Result<String> {
        match encoding {
            Encoding::Json => Ok(serde_json::to_string_pretty(self)? + "\n"),
            Encoding::Yaml => self.yaml(),
        }
    }

    /// Block style down to keys. Each value is compact JSON, which YAML contains.
    fn yaml(&self) -> serde_json::Result<String> {
        let mut text = YAML_HEADING.to_owned();
        text.push_str(if self.consumers.is_empty() { "consumers: []\n" } else { "consumers:\n" });
        for consumer in &self.consumers {
            let ConsumerSpec { name, tags, scopes, limits, keys } = consumer;
            let mut item = Item::new(&mut text, "  ");
            item.field("name", Some(name))?;
            item.field("tags", some(tags))?;
            item.field("scopes", some(scopes))?;
            item.field("limits", Some(limits).filter(|limits| !limits.is_none()))?;
            if !keys.is_empty() {
                text.push_str("    keys:\n");
            }
            for key in keys {
                push_key(&mut text, key)?;
            }
        }
        Ok(text)
    }
}

fn push_key(text: &mut String, key: &KeySpec) -> serde_json::Result<()> {
    let KeySpec { id, sha256, created, not_before, expires, scopes, tags, deprecated, retired } = key;
    let mut item = Item::new(text, "      ");
    item.field("id", Some(id))?;
    item.field("sha256", Some(sha256))?;
    item.field("created", created.as_ref())?;
    item.field("not_before", not_before.as_ref())?;
    item.field("expires", expires.as_ref())?;
    item.field("scopes", scopes.as_ref())?;
    item.field("tags", some(tags))?;
    item.field("deprecated", deprecated.as_ref())?;
    item.field("retired", retired.as_ref())
}

fn some(list: &Vec<String>) -> Option<&Vec<String>> {
    Some(list).filter(|list| !list.is_empty())
}

/// A map in a YAML list, field by field.
struct Item<'a> {
    text: &'a mut String,
    indent: &'static str,
    /// What stands before the next field: a dash before the first.
    mark: &'static str,
}

impl<'a> Item<'a> {
    fn new(text: &'a mut String, indent: &'static str) -> Self {
        Self { text, indent, mark: "- " }
    }

    fn field(&mut self, key: &str, value: Option<&impl Serialize>) -> serde_json::Result<()> {
        let Some(value) = value else { return Ok(()) };
        let json = serde_json::to_string(value)?;
        for part in [self.indent, self.mark, key, ": ", &json, "\n"] {
            self.text.push_str(part);
        }
        self.mark = "  ";
        Ok(())
    }
}

#[cfg(test)]
mod tests;
