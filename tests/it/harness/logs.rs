//! Short ways to ask lines of the access log.

use serde_json::Value;

/// Whether a field of a line has a value.
pub fn has(line: &Value, field: &str, value: impl Into<Value>) -> bool {
    line.get(field) == Some(&value.into())
}
