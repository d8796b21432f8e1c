//! What a signature says of itself (RFC 9421 §2.3).

use sfv::{BareItem, InnerList};

use super::{MAX_PARAMETER_BYTES, Refusal};

/// The parameters of one signature. Those that nobody registered are signed too, and mean nothing here.
#[derive(Default)]
pub struct Parameters {
    /// Seconds of the Unix time, as `expires`.
    pub created: Option<i64>,
    pub expires: Option<i64>,
    pub nonce: Option<String>,
    pub algorithm: Option<String>,
    pub key_id: Option<String>,
    pub tag: Option<String>,
}

impl Parameters {
    /// # Errors
    /// When a registered parameter has another type than it should, or is too long.
    pub fn read(covered: &InnerList) -> Result<Self, Refusal> {
        let mut read = Self::default();
        for (key, value) in &covered.params {
            match key.as_str() {
                "created" => read.created = Some(seconds(value)?),
                "expires" => read.expires = Some(seconds(value)?),
                "nonce" => read.nonce = Some(text(value)?),
                "alg" => read.algorithm = Some(text(value)?),
                "keyid" => read.key_id = Some(text(value)?),
                "tag" => read.tag = Some(text(value)?),
                _ => {}
            }
        }
        Ok(read)
    }
}

fn seconds(value: &BareItem) -> Result<i64, Refusal> {
    value.as_integer().map(i64::from).ok_or(Refusal::Malformed)
}

fn text(value: &BareItem) -> Result<String, Refusal> {
    let text = value.as_string().ok_or(Refusal::Malformed)?.as_str();
    if text.len() > MAX_PARAMETER_BYTES {
        return Err(Refusal::TooLarge);
    }
    Ok(text.to_owned())
}
