//! The rows of `edgeward keys list`.

use serde::Serialize;

use crate::auth::keys::check::Reason;
use crate::auth::keys::document::{Document, KeySpec};
use crate::auth::keys::moment::Moment;
use crate::auth::keys::names::{ConsumerName, KeyId};
use crate::auth::keys::usage::Records;

/// How a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Current,
    /// Valid, with a newer one beside it.
    Deprecated,
    NotYetValid,
    Expired,
    Retired,
}

impl State {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Deprecated => "deprecated",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::Retired => "retired",
        }
    }

    /// Of a key that is invalid for this reason, or valid; and whether there is a newer one.
    pub const fn new(invalid: Option<Reason>, deprecated: bool) -> Self {
        match (invalid, deprecated) {
            (Some(Reason::Retired), _) => Self::Retired,
            (Some(Reason::Expired), _) => Self::Expired,
            (Some(_), _) => Self::NotYetValid,
            (None, true) => Self::Deprecated,
            (None, false) => Self::Current,
        }
    }
}

/// One key in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    pub consumer: ConsumerName,
    pub id: KeyId,
    pub state: State,
    pub created: Option<Moment>,
    pub expires: Option<Moment>,
    pub last_used: Option<Moment>,
    pub uses: u64,
}

impl Row {
    /// The heads of the columns.
    pub const HEADS: [&'static str; 7] =
        ["CONSUMER", "ID", "STATE", "CREATED", "EXPIRES", "LAST USED", "USES"];

    /// The cells under [`HEADS`](Self::HEADS); a dash for what is not known or never was.
    pub fn cells(&self) -> [String; 7] {
        let time =
            |moment: Option<Moment>| moment.map_or_else(|| "-".to_owned(), |moment| moment.to_string());
        [
            self.consumer.to_string(),
            self.id.to_string(),
            self.state.as_str().to_owned(),
            time(self.created),
            time(self.expires),
            time(self.last_used),
            self.uses.to_string(),
        ]
    }
}

/// All keys, in the order of the document, with what the records tell of their use.
pub fn list(document: &Document, records: &Records, now: Moment) -> Vec<Row> {
    let row = |consumer: &ConsumerName, key: &KeySpec| {
        let record = records.of(&key.id);
        Row {
            consumer: consumer.clone(),
            id: key.id.clone(),
            state: State::new(key.invalid(now), key.deprecated.is_some()),
            created: key.created,
            expires: key.expires,
            last_used: record.map(|record| record.last_used),
            uses: record.map_or(0, |record| record.uses),
        }
    };
    let keys = |consumer: &'_ super::ConsumerSpec| -> Vec<Row> {
        consumer.keys.iter().map(|key| row(&consumer.name, key)).collect()
    };
    document.consumers.iter().flat_map(keys).collect()
}
