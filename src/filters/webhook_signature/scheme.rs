//! How a sender signs, as a policy says it.

use std::borrow::Cow;
use std::fmt;

use http::HeaderName;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use crate::auth::signature::webhook::{Encoding, Layout, Part, Scheme, SecretForm};
use crate::values::Problem;
use crate::values::text::quoted;

/// Senders that are known by name.
const KNOWN: [&str; 5] = ["github", "stripe", "slack", "shopify", "standard"];

/// How a sender signs.
#[derive(Debug)]
pub enum SchemeSpec {
    /// As one of [`KNOWN`] does.
    Known(&'static str),
    /// In a way of its own.
    Custom(Custom),
}

/// How a sender signs that has no name here.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WebhookScheme")]
pub struct Custom {
    /// The header that holds the signature. Example: `x-signature`.
    pub header: String,
    /// How it is written. Default: `hex`. Example: `base64`.
    #[serde(default)]
    pub encoding: EncodingSpec,
    /// What stands before it. Values with another prefix are passed over. Default: nothing. Example: `sha256=`.
    #[serde(default)]
    pub prefix: Option<String>,
    /// Where the header holds the signature and the time as `t=…,v1=…`: their names. Not with `prefix`.
    #[serde(default)]
    pub elements: Option<Elements>,
    /// What is signed: text with `{body}`, and `{timestamp}` and `{id}` where there are any. Default: `{body}`.
    /// Example: `"{timestamp}.{body}"`.
    #[serde(default = "default_signed")]
    pub signed: String,
    /// The header that holds the time, in seconds since 1970. Example: `x-timestamp`.
    #[serde(default)]
    pub timestamp_header: Option<String>,
    /// The header that holds what is unique to the message. Example: `x-message-id`.
    #[serde(default)]
    pub id_header: Option<String>,
    /// What the text of a secret stands for. Default: `text`. Example: `base64`.
    #[serde(default)]
    pub secret: SecretFormSpec,
}

/// The names of the elements in a header that holds several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WebhookElements")]
pub struct Elements {
    /// The signature's. Example: `v1`.
    pub signature: String,
    /// The time's. Example: `t`.
    pub timestamp: String,
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "WebhookEncoding")]
pub enum EncodingSpec {
    /// In hexadecimal, of either case.
    #[default]
    Hex,
    /// In base64, padded.
    Base64,
}

/// What the text of a secret stands for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "WebhookSecret")]
pub enum SecretFormSpec {
    /// Itself.
    #[default]
    Text,
    /// The bytes that it is the base64 of.
    Base64,
}

fn default_signed() -> String {
    "{body}".to_owned()
}

impl SchemeSpec {
    /// What the sender is called.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Known(name) => name,
            Self::Custom(_) => "webhook",
        }
    }

    pub(super) fn compile(self) -> Result<Scheme, Problem> {
        match self {
            Self::Known(name) => Ok(match name {
                "stripe" => Scheme::stripe(),
                "slack" => Scheme::slack(),
                "shopify" => Scheme::shopify(),
                "standard" => Scheme::standard(),
                _ => Scheme::github(),
            }),
            Self::Custom(custom) => custom.compile().map_err(|problem| problem.under("scheme")),
        }
    }
}

impl Custom {
    fn compile(self) -> Result<Scheme, Problem> {
        if self.prefix.is_some() && self.elements.is_some() {
            return Err(Problem::new("elements", "either prefix or elements, not both"));
        }
        let layout = match self.elements {
            Some(Elements { signature, timestamp }) => {
                let good =
                    |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
                if !good(&signature) || !good(&timestamp) || signature == timestamp {
                    return Err(Problem::new(
                        "elements",
                        "expected two names of letters and digits, such as t and v1",
                    ));
                }
                Layout::Elements { signature, timestamp }
            }
            None => Layout::Values { prefix: self.prefix.unwrap_or_default() },
        };
        let named = |at: &'static str, name: Option<&str>| name.map(|name| header(at, name)).transpose();
        Ok(Scheme {
            header: header("header", &self.header)?,
            layout,
            encoding: match self.encoding {
                EncodingSpec::Hex => Encoding::Hex,
                EncodingSpec::Base64 => Encoding::Base64,
            },
            timestamp: named("timestamp_header", self.timestamp_header.as_deref())?,
            id: named("id_header", self.id_header.as_deref())?,
            signed: parts(&self.signed).map_err(|message| Problem::new("signed", message))?,
            secret: match self.secret {
                SecretFormSpec::Text => SecretForm::Text,
                SecretFormSpec::Base64 => SecretForm::Base64 { prefix: String::new() },
            },
            ..Scheme::github()
        })
    }
}

fn header(at: &'static str, name: &str) -> Result<HeaderName, Problem> {
    HeaderName::try_from(name).map_err(|_| {
        Problem::new(at, format_args!("expected a header name such as x-signature, found {}", quoted(name)))
    })
}

/// Text, with names in braces.
fn parts(template: &str) -> Result<Vec<Part>, &'static str> {
    const EXPECTED: &str = "expected text with {body}, {timestamp} and {id}";
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some((text, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or(EXPECTED)?;
        if !text.is_empty() {
            parts.push(Part::Text(text.to_owned()));
        }
        parts.push(match name {
            "body" => Part::Body,
            "timestamp" => Part::Timestamp,
            "id" => Part::Id,
            _ => return Err(EXPECTED),
        });
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.to_owned()));
    }
    Ok(parts)
}

impl<'de> Deserialize<'de> for SchemeSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Choice;

        impl<'de> Visitor<'de> for Choice {
            type Value = SchemeSpec;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(
                    "the name of a sender, such as github, or how it signs: `{ header: x-signature }`",
                )
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<SchemeSpec, E> {
                let known = KNOWN.into_iter().find(|name| *name == text);
                known.map(SchemeSpec::Known).ok_or_else(|| E::unknown_variant(text, &KNOWN))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SchemeSpec, A::Error> {
                Custom::deserialize(MapAccessDeserializer::new(map)).map(SchemeSpec::Custom)
            }
        }

        deserializer.deserialize_any(Choice)
    }
}

impl JsonSchema for SchemeSpec {
    fn schema_name() -> Cow<'static, str> {
        "WebhookSchemeChoice".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let custom = generator.subschema_for::<Custom>();
        json_schema!({ "anyOf": [{ "type": "string", "enum": KNOWN }, custom] })
    }
}
