//! An order as it stands in the fleet's log, in JSON. What cannot be read, as from a later version, is an error, and to be
//! taken for an order to purge everything.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::{Fleet, Order};
use crate::cache::purge::{How, Scope};
use crate::state::clock::unix_seconds;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// The process that was given it.
    by: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    urls: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    prefixes: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    all: bool,
    /// Since when it is stale, in seconds of Unix time, where it does not go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    soft: Option<u64>,
}

/// An order that was heard.
#[derive(Debug, PartialEq, Eq)]
pub struct Received {
    pub order: Order,
    /// Whether it was given here, and is carried out.
    pub is_own: bool,
}

/// It makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("{0}")]
    Malformed(#[from] serde_json::Error),
    #[error("expected 16 hexadecimal digits for a tag, found {0:?}")]
    Tag(String),
}

impl Fleet {
    /// The order as it is written into the log.
    #[must_use]
    pub fn write(&self, order: &Order) -> String {
        let soft = match order.how {
            How::Hard => None,
            How::Soft(at) => Some(unix_seconds(at)),
        };
        let (tags, urls, prefixes) = (Vec::new(), Vec::new(), Vec::new());
        let mut written = Written { by: self.name(), tags, urls, prefixes, all: false, soft };
        for scope in &order.scopes {
            match scope {
                Scope::All => written.all = true,
                Scope::Url(url) => written.urls.push(url.clone()),
                Scope::Prefix(prefix) => written.prefixes.push(prefix.clone()),
                Scope::Tag(tag) => written.tags.push(format!("{tag:016x}")),
            }
        }
        // Texts and numbers can always be written.
        serde_json::to_string(&written).unwrap_or_default()
    }

    /// Reads an order from the log.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(&self, text: &[u8]) -> Result<Received, WireError> {
        let Written { by, tags, urls, prefixes, all, soft } = serde_json::from_slice(text)?;
        let how = soft.map_or(How::Hard, |at| How::Soft(SystemTime::UNIX_EPOCH + Duration::from_secs(at)));
        let mut scopes = Vec::with_capacity(tags.len() + urls.len() + prefixes.len() + usize::from(all));
        for tag in tags {
            let is_hex = tag.len() == 16 && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
            let number = u64::from_str_radix(&tag, 16).ok().filter(|_| is_hex);
            scopes.push(Scope::Tag(number.ok_or(WireError::Tag(tag))?));
        }
        scopes.extend(urls.into_iter().map(Scope::Url));
        scopes.extend(prefixes.into_iter().map(Scope::Prefix));
        scopes.extend(all.then_some(Scope::All));
        Ok(Received { order: Order { scopes, how }, is_own: by == self.name() })
    }

    fn name(&self) -> String {
        format!("{:016x}", self.own)
    }
}
