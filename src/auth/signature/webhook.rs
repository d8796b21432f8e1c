//! Webhooks with a plain HMAC-SHA-256 over their body, as GitHub, Stripe, Slack, Shopify, Standard Webhooks and many
//! others send them, each with its own header and template. A [`Scheme`] says which; [`Webhook`] adds the secrets.
//!
//! What always holds:
//! * What a scheme takes from headers is part of what is signed: a time or an id that is not signed could be replaced,
//!   so it cannot be asked for.
//! * A time that is off by more than the tolerance, either way, is refused. Within it a message can be accepted once. A
//!   sender that tries again signs a new time, so that is another message; one without a time is accepted as often as it
//!   is sent.
//! * Every secret is tried with every signature, and every comparison takes the same time. Both are bounded.

mod scheme;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use boring::memcmp;
use hmac::{Hmac, Mac};
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::Sha256;

use scheme::Template;
pub use scheme::{Encoding, Layout, Part, Scheme, SchemeError, SecretForm};

use crate::auth::replay::{Novelty, Seen, Spent};
use crate::http::fields::trim_ows;
use crate::values::SecretString;

/// Secrets that may be valid at a time, for their rotation.
pub const MAX_SECRETS: usize = 4;
/// Signatures that a request may carry.
const MAX_SIGNATURES: usize = 8;
const MAX_FIELD_BYTES: usize = 1024;
const MAX_ID_BYTES: usize = 256;
const MAC_BYTES: usize = 32;

/// Why a webhook is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A header that the scheme needs is not there.
    Missing,
    /// One of them cannot be read, or is there twice.
    Malformed,
    /// The message is too old, or from the future.
    OutsideTolerance,
    /// No signature is one of this message by a known secret.
    Invalid,
    /// The message was accepted before.
    Replayed,
    /// Messages cannot be remembered, so none is accepted: the fault is ours.
    ReplayStoreFull,
}

impl Refusal {
    /// The stable reason for metrics and logs.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Missing => "webhook_missing",
            Self::Malformed => "webhook_malformed",
            Self::OutsideTolerance => "webhook_outside_tolerance",
            Self::Invalid => "webhook_invalid",
            Self::Replayed => "webhook_replayed",
            Self::ReplayStoreFull => "webhook_replay_store_full",
        }
    }
}

/// Receives the webhooks of one sender, and can send such webhooks itself.
#[derive(Clone)]
pub struct Webhook {
    scheme: Scheme,
    template: Template,
    /// With the secret in them, and nothing signed yet.
    macs: Vec<Hmac<Sha256>>,
}

/// A message under examination: its headers have been read, its body comes in pieces.
#[derive(Clone)]
pub struct Check {
    macs: Vec<Hmac<Sha256>>,
    signatures: Vec<[u8; MAC_BYTES]>,
    after: Vec<u8>,
    /// When it was made, in seconds of the Unix time, if it says so.
    made: Option<i64>,
}

/// What the headers say besides signatures, as it is signed.
#[derive(Default)]
struct Claims<'a> {
    timestamp: Option<&'a [u8]>,
    id: Option<&'a [u8]>,
}

impl Webhook {
    /// Webhooks of `scheme`, signed with any of `secrets`. To sign, the first is used.
    ///
    /// # Errors
    /// When the scheme contradicts itself, there is no secret or more than [`MAX_SECRETS`], or one is not in the form
    /// that the scheme says.
    pub fn new(scheme: Scheme, secrets: &[SecretString]) -> Result<Self, SchemeError> {
        if secrets.is_empty() || secrets.len() > MAX_SECRETS {
            return Err(SchemeError::Secrets);
        }
        let template = scheme.template()?;
        let macs = secrets.iter().map(|secret| scheme.secret.mac(secret)).collect::<Result<_, _>>()?;
        Ok(Self { scheme, template, macs })
    }

    /// Whether a message says when it was made, and signs it: only then can it be accepted once.
    #[must_use]
    pub fn is_timed(&self) -> bool {
        self.scheme.signed.contains(&Part::Timestamp)
    }

    /// Reads the headers of a message that arrives at `now`, in seconds of the Unix time.
    ///
    /// # Errors
    /// [`Refusal::Missing`], [`Refusal::Malformed`] or [`Refusal::OutsideTolerance`].
    pub fn begin(&self, headers: &HeaderMap, now: i64) -> Result<Check, Refusal> {
        let value = single(headers, &self.scheme.header)?;
        let mut claims = Claims::default();
        let signatures = match &self.scheme.layout {
            Layout::Values { prefix } => self.values(value, prefix)?,
            Layout::Elements { signature, timestamp } => {
                claims.timestamp = Some(element(value, timestamp)?);
                self.elements(value, signature)?
            }
        };
        if let Some(name) = &self.scheme.timestamp {
            claims.timestamp = Some(single(headers, name)?);
        }
        if let Some(name) = &self.scheme.id {
            claims.id = Some(id(single(headers, name)?)?);
        }
        let made = claims.timestamp.map(|time| self.time(time, now)).transpose()?;
        let before = self.template.before(&claims);
        let macs = self.macs.iter().map(|mac| mac.clone().chain_update(&before)).collect();
        Ok(Check { macs, signatures, after: self.template.after(&claims), made })
    }

    /// The value of the signature's header for a whole message of ours: `timestamp` in seconds of the Unix time, and an
    /// id, go into it where the scheme has them, and into their own headers, which are the caller's to set.
    pub fn sign(&self, timestamp: i64, id: &str, body: &[u8]) -> String {
        let timestamp = timestamp.to_string();
        let claims = Claims { timestamp: Some(timestamp.as_bytes()), id: Some(id.as_bytes()) };
        let mac = self.macs.first().map(|mac| {
            let signed = mac.clone().chain_update(self.template.before(&claims)).chain_update(body);
            self.scheme
                .encoding
                .encode(&signed.chain_update(self.template.after(&claims)).finalize().into_bytes())
        });
        let mac = mac.unwrap_or_default();
        match &self.scheme.layout {
            Layout::Values { prefix } => format!("{prefix}{mac}"),
            Layout::Elements { signature, timestamp: name } => {
                format!("{name}={timestamp},{signature}={mac}")
            }
        }
    }

    /// Signatures of other versions stand beside ours while a sender moves from one to the next, and are passed over.
    fn values(&self, value: &[u8], prefix: &str) -> Result<Vec<[u8; MAC_BYTES]>, Refusal> {
        let ours = value.split(|byte| *byte == b' ').filter_map(|text| text.strip_prefix(prefix.as_bytes()));
        self.decode(ours)
    }

    fn elements(&self, value: &[u8], name: &str) -> Result<Vec<[u8; MAC_BYTES]>, Refusal> {
        self.decode(elements(value, name))
    }

    fn decode<'a>(&self, texts: impl Iterator<Item = &'a [u8]>) -> Result<Vec<[u8; MAC_BYTES]>, Refusal> {
        let mut signatures = Vec::new();
        for text in texts {
            if signatures.len() == MAX_SIGNATURES {
                return Err(Refusal::Malformed);
            }
            signatures.push(self.scheme.encoding.decode(text).ok_or(Refusal::Malformed)?);
        }
        if signatures.is_empty() { Err(Refusal::Missing) } else { Ok(signatures) }
    }

    /// For how many seconds after it was made a message is accepted.
    #[must_use]
    pub fn lifetime(&self) -> i64 {
        i64::try_from(self.scheme.tolerance.as_secs()).unwrap_or(i64::MAX)
    }

    /// When a message was made, if it is accepted now.
    fn time(&self, timestamp: &[u8], now: i64) -> Result<i64, Refusal> {
        // `parse` alone would take a sign.
        let digits = timestamp.iter().all(u8::is_ascii_digit);
        let time = std::str::from_utf8(timestamp).ok().filter(|_| digits);
        let time: i64 = time.and_then(|time| time.parse().ok()).ok_or(Refusal::Malformed)?;
        if time.abs_diff(now) > self.lifetime().unsigned_abs() {
            return Err(Refusal::OutsideTolerance);
        }
        Ok(time)
    }
}

impl Check {
    /// Takes the next piece of the body.
    pub fn update(&mut self, piece: &[u8]) {
        self.macs.iter_mut().for_each(|mac| mac.update(piece));
    }

    /// Says whether the message, whose body is complete now, is genuine, and new if it was told what was `seen` of
    /// `sender` before. There it is remembered by its MAC under the first secret, whichever made the signature: no header
    /// can be changed so that it passes for another.
    ///
    /// # Errors
    /// [`Refusal::Invalid`], [`Refusal::Replayed`] or [`Refusal::ReplayStoreFull`].
    pub fn finish(self, sender: &str, seen: Option<&Seen>, now: i64) -> Result<(), Refusal> {
        let mut genuine = false;
        let mut name = None;
        for mac in self.macs {
            let expected: [u8; MAC_BYTES] = mac.chain_update(&self.after).finalize().into_bytes().into();
            for signature in &self.signatures {
                genuine |= memcmp::eq(&expected, signature);
            }
            name = name.or(Some(expected));
        }
        if !genuine {
            return Err(Refusal::Invalid);
        }
        let (Some(seen), Some(name), Some(made)) = (seen, name, self.made) else { return Ok(()) };
        match seen.remember(sender.as_bytes(), &name, made, now, &mut Spent::default()) {
            Novelty::Fresh => Ok(()),
            Novelty::Seen => Err(Refusal::Replayed),
            Novelty::Full => Err(Refusal::ReplayStoreFull),
        }
    }
}

impl Encoding {
    fn encode(self, mac: &[u8]) -> String {
        match self {
            Self::Hex => {
                let digits = mac.iter().flat_map(|byte| [byte >> 4, byte & 15]);
                digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
            }
            Self::Base64 => STANDARD.encode(mac),
        }
    }

    fn decode(self, text: &[u8]) -> Option<[u8; MAC_BYTES]> {
        match self {
            Self::Hex => decode_hex(text)?.try_into().ok(),
            Self::Base64 => STANDARD.decode(text).ok()?.try_into().ok(),
        }
    }
}

/// The value of a header that must be there once: of two, the sender's other receivers might take the other.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a [u8], Refusal> {
    let mut values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    match (values.next(), values.next()) {
        (None, _) => Err(Refusal::Missing),
        (Some(value), None) if value.len() <= MAX_FIELD_BYTES => Ok(trim_ows(value)),
        _ => Err(Refusal::Malformed),
    }
}

/// The values of that name in `name=value,name=value`.
fn elements<'a>(value: &'a [u8], name: &str) -> impl Iterator<Item = &'a [u8]> {
    value
        .split(|byte| *byte == b',')
        .filter_map(move |element| trim_ows(element).strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

fn element<'a>(value: &'a [u8], name: &str) -> Result<&'a [u8], Refusal> {
    let mut found = elements(value, name);
    match (found.next(), found.next()) {
        (None, _) => Err(Refusal::Missing),
        (Some(element), None) => Ok(element),
        _ => Err(Refusal::Malformed),
    }
}

/// Letters, digits, `-` and `_` alone: with a separator in it, part of the id could be passed off as the time, and
/// part of the body as the id.
fn id(value: &[u8]) -> Result<&[u8], Refusal> {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if value.is_empty() || value.len() > MAX_ID_BYTES || !value.iter().all(allowed) {
        return Err(Refusal::Malformed);
    }
    Ok(value)
}

fn decode_hex(text: &[u8]) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests;
