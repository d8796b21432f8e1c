//! What a policy says of compression.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Compress;
use super::encoder::Coding;
use crate::filters::media_type::MediaRange;
use crate::filters::{Filter, Site};
use crate::http::media_type::EVENT_STREAM;
use crate::values::{Problem, Size};

/// Compresses response bodies for clients that ask for it (`Accept-Encoding`).
///
/// Left alone are responses that are encoded already, partial (206), without a body, or marked `no-transform`; gRPC
/// always, and event streams unless `types` names them. A strong `ETag` becomes weak, because the bytes differ from
/// those it was made for. Where the length of a response is not known beforehand, each piece is passed on at once.
///
/// Responses pass the filters backwards: name this one before those that change bodies, such as `error_pages`.
///
/// Don't use it on routes that answer with a secret and with a piece of the request in the same body: the
/// compressed length gives the secret away (the BREACH attack).
///
/// ```yaml
/// - compress: { algorithms: [br, gzip], min_size: 2KiB }
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Spec {
    /// What to offer, best first. The client's own preference counts before this order. Default `[zstd, br, gzip]`.
    pub algorithms: Vec<Algorithm>,
    /// How hard each one tries, e.g. `{ br: 4 }`.
    pub level: Levels,
    /// Shorter responses are not worth it. Default `1KiB`. Where the length is not known, the response is compressed.
    pub min_size: Size,
    /// Media types to compress, e.g. `[application/json, text/*]`. Default: text, JSON, XML, JavaScript, SVG,
    /// WebAssembly and the like. `text/event-stream` is compressed only where it is named in full.
    pub types: Vec<MediaRange>,
}

/// A way to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "CompressionAlgorithm")]
pub enum Algorithm {
    /// Zstandard (RFC 8878).
    Zstd,
    /// Brotli (RFC 7932).
    Br,
    /// gzip (RFC 1952).
    Gzip,
}

/// Compression levels. Higher ones take more time for smaller bodies. Those that would take more than about 4 MiB of
/// memory for one response are not offered.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "CompressionLevels")]
pub struct Levels {
    /// 1 to 12. Default 3.
    pub zstd: u8,
    /// 0 to 6. Default 3.
    pub br: u8,
    /// 1 to 9. Default 4.
    pub gzip: u8,
}

pub(super) const TYPES: [&str; 14] = [
    "text/*",
    "application/json",
    "application/*+json",
    "application/x-ndjson",
    "application/javascript",
    "application/xml",
    "application/*+xml",
    "application/graphql-response",
    "application/yaml",
    "application/wasm",
    "application/vnd.ms-fontobject",
    "font/ttf",
    "font/otf",
    "image/svg+xml",
];

impl Default for Spec {
    fn default() -> Self {
        Self {
            algorithms: vec![Algorithm::Zstd, Algorithm::Br, Algorithm::Gzip],
            level: Levels::default(),
            min_size: Size::from_kib(1),
            types: TYPES.iter().filter_map(|name| name.parse().ok()).collect(),
        }
    }
}

impl Default for Levels {
    fn default() -> Self {
        Self { zstd: 3, br: 3, gzip: 4 }
    }
}

impl crate::filters::Spec for Spec {
    const KIND: &'static str = "compress";
    const DECIDES: bool = false;

    fn compile(self, _: &Site<'_>) -> Result<Box<dyn Filter>, Problem> {
        let range = |at, level: u8, least, most| match level {
            level if (least..=most).contains(&level) => Ok(level),
            level => Err(Problem::new(at, format_args!("expected {least} to {most}, found {level}"))),
        };
        let zstd = range("level.zstd", self.level.zstd, 1, 12)?;
        let br = range("level.br", self.level.br, 0, 6)?;
        let gzip = range("level.gzip", self.level.gzip, 1, 9)?;
        if self.algorithms.is_empty() {
            return Err(Problem::new("algorithms", "is empty: expected some of zstd, br and gzip"));
        }
        for (index, algorithm) in self.algorithms.iter().enumerate() {
            if self.algorithms.iter().take(index).any(|before| before == algorithm) {
                return Err(Problem::new(format!("algorithms[{index}]"), "is named twice"));
            }
        }
        if self.types.is_empty() {
            return Err(Problem::new("types", "is empty: nothing would be compressed"));
        }
        let coding = |algorithm: &Algorithm| match algorithm {
            Algorithm::Zstd => Coding::Zstd { level: zstd },
            Algorithm::Br => Coding::Br { level: br },
            Algorithm::Gzip => Coding::Gzip { level: gzip },
        };
        let codings: Box<[Coding]> = self.algorithms.iter().map(coding).collect();
        Ok(Box::new(Compress {
            names: codings.iter().map(|coding| coding.name()).collect(),
            codings,
            least_bytes: self.min_size.bytes(),
            event_streams: self.types.iter().any(|range| range.names(EVENT_STREAM)),
            types: self.types.into(),
        }))
    }
}
