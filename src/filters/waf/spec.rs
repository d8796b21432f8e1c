//! What a policy says of the firewall.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::audit::AuditSpec;
use super::exclusion::Exclusion;
use super::files::Sources;
use super::rule_set::Tuning;
use super::shelf::Shelf;
use super::{Dice, Waf};
use crate::filters::{Filter, Site};
use crate::values::{Duration, Problem, Size};
use crate::waf::Limits;

/// How the policy names the Core Rule Set.
const CRS: &str = "crs";
/// How it names the pack that is part of the program.
const STARTER: &str = "starter";
/// What is examined of a body unless the policy says otherwise. Files in a form are large, and cost little to look through.
const BODY: Size = Size::from_kib(128);
const UPLOAD: Size = Size::from_mib(1);
const LARGEST_BODY: Size = Size::from_mib(16);
/// Far more than any body costs that is no attack on the firewall itself.
const PATIENCE_MS: u64 = 20;

/// What the firewall's filters have in common.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "WafSettings")]
pub struct Settings {
    /// The directory of the OWASP Core Rule Set, 3.3 or 4: the one with `rules` in it. Needed where a filter names `crs`
    /// in its `rules`. Plugins are read from `plugins` there and beside `crs_setup`, and exclusions from
    /// `REQUEST-900-EXCLUSION-RULES-BEFORE-CRS.conf` and `RESPONSE-999-EXCLUSION-RULES-AFTER-CRS.conf` likewise.
    /// Example: `/usr/share/modsecurity-crs`.
    pub crs: Option<PathBuf>,
    /// The Core Rule Set's own settings. Default: `crs-setup.conf` or `crs-setup.conf.example` in its directory, if there
    /// is one. Example: `/etc/modsecurity/crs/crs-setup.conf`.
    pub crs_setup: Option<PathBuf>,
    /// Who is told of what rules found.
    pub audit: AuditSpec,
}

/// Examines requests and responses by rules: the starter pack, which is part of the program, the OWASP Core Rule Set, or
/// rules of yours, in SecLang or YAML. Refuses with 403 `waf_blocked`
/// (or the status that a rule of yours names) what the rules refuse: the access log says in `why` which, and with what
/// score. Refuses with 413 `waf_body_too_large` and 415 `waf_body_encoding` bodies that cannot be examined, and with 403
/// `waf_limit` requests that have too many values or take too long, unless `over_limit` says otherwise.
///
/// A request's body waits in memory until it was examined, or `max_body` of it has come: an upstream has nothing of a
/// refused one with a `Content-Length`; of one without, it may have the head once 64 KiB have come (HTTP/2: 48 KiB).
/// Bodies compressed with gzip, deflate, br or zstd are examined decompressed, and go on as they came. A response's
/// body waits likewise, and its head with it, up to 512 KiB, if it is `text/plain`, `text/html` or `text/xml` (with the
/// starter pack JSON, too). Only a head of more than 15 KiB goes at once: if its body is refused, none of that follows.
///
/// Bytes of WebSockets are not examined, only the request that opens them; nor are messages of gRPC on the way to an
/// upstream of `protocol: grpc`.
///
/// ```yaml
/// - waf: { rules: [crs], paranoia: 1, exclude: [{ id: 942100, target: "ARGS:comment" }] }
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The rules, in this order: `starter`, which is part of the program; `crs`, which is the Core Rule Set at `waf.crs`;
    /// files in SecLang or, called `*.yaml`, in the project's own form; directories with a `rules.yaml` or of `*.conf`.
    /// Default: `[starter]`. Example: `[crs, rules/shop.yaml]`.
    #[serde(default)]
    pub rules: Vec<PathBuf>,
    /// The paranoia level whose rules block, 1 to 4. Default: the Core Rule Set's settings, which is 1 unless they say
    /// otherwise. Example: `2`.
    #[serde(default)]
    pub paranoia: Option<u8>,
    /// The paranoia level whose rules run, though those above `paranoia` only show in metrics. Default: that of
    /// `paranoia`. Example: `3`.
    #[serde(default)]
    pub detection_paranoia: Option<u8>,
    /// The score at which a request is refused; a critical match counts 5. Default: the Core Rule Set's settings, which is
    /// 5 unless they say otherwise. Example: `10`.
    #[serde(default)]
    pub inbound_threshold: Option<u16>,
    /// The score at which a response is refused. Default: the Core Rule Set's settings, which is 4 unless they say
    /// otherwise. Example: `8`.
    #[serde(default)]
    pub outbound_threshold: Option<u16>,
    /// Rules that are left out, or do not look at a target.
    #[serde(default)]
    pub exclude: Vec<Exclusion>,
    /// What becomes of requests that cannot be examined to their end.
    #[serde(default)]
    pub over_limit: OverLimit,
    /// Longest body that is examined, before and after decompression, at most `16MiB`. Default: `128KiB`, and `1MiB` of
    /// `multipart/form-data`, in which files come.
    #[serde(default)]
    pub max_body: Option<Size>,
    /// Longest time of a processor that the rules may take for one exchange. Default: `20ms`.
    #[serde(default)]
    pub max_time: Option<Duration>,
    /// Of a hundred requests, so many are examined, picked at random: for a start with rules whose cost is not known.
    /// Default: `100`. Example: `10`.
    #[serde(default = "all")]
    pub sample: u8,
    /// Whether responses are examined. Default: `true`.
    #[serde(default = "yes")]
    pub responses: bool,
}

const fn yes() -> bool {
    true
}

const fn all() -> u8 {
    100
}

/// What becomes of requests that cannot be examined to their end: too long a body, a coding that is not known, too many
/// values, too much time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "WafOverLimit")]
pub enum OverLimit {
    /// They are refused.
    #[default]
    Reject,
    /// They are judged by what was examined, and the log says so.
    InspectPrefix,
    /// They are judged without their body, and the log says so.
    Skip,
}

impl crate::filters::Spec for Spec {
    const KIND: &'static str = "waf";
    const DECIDES: bool = true;
    /// What it refused of a response is stored nonetheless.
    const LETS_IN: bool = true;

    fn compile(self, site: &Site<'_>) -> Result<Box<dyn Filter>, Problem> {
        let [most, most_upload] = [BODY, UPLOAD].map(|usual| self.max_body.unwrap_or(usual));
        if most > LARGEST_BODY {
            return Err(Problem::new("max_body", "at most 16MiB: the body waits in memory"));
        }
        if !(1..=100).contains(&self.sample) {
            return Err(Problem::new("sample", "expected a number from 1 to 100"));
        }
        let sources = self.sources(site)?;
        let tuning = self.tuning()?;
        let time = self.max_time.map_or(std::time::Duration::from_millis(PATIENCE_MS), |time| *time);
        let limits = Limits {
            request_body_bytes: most_upload.as_usize(),
            time_ns: u64::try_from(time.as_nanos()).unwrap_or(u64::MAX),
            ..Limits::default()
        };
        let shelf = site.state.kept.find_or("waf", Shelf::default);
        let rules = shelf.find(&sources, &tuning, limits, &site.state.clock);
        let rules = rules.map_err(|errors| Problem::new("rules", told(&errors)))?;
        Ok(Box::new(Waf {
            rules,
            _shelf: shelf,
            metrics: Arc::clone(site.metrics),
            audit: site.waf.audit.clone(),
            shadow: site.shadow,
            sample: u64::from(self.sample),
            dice: Dice::default(),
            most_bytes: most.as_usize(),
            most_upload_bytes: most_upload.as_usize(),
            over_limit: self.over_limit,
            responses: self.responses,
        }))
    }
}

/// Errors that are told; what is wrong beyond them mostly follows.
const MOST_TOLD: usize = 50;

/// The errors, one a line, and how many there are besides.
fn told(errors: &[String]) -> String {
    let mut lines: Vec<_> = errors.iter().take(MOST_TOLD).cloned().collect();
    match errors.len() {
        0 => lines.push("cannot be used".to_owned()),
        all if all > MOST_TOLD => lines.push(format!("and {} more", all - MOST_TOLD)),
        _ => {}
    }
    lines.join("\n    ")
}

impl Spec {
    pub(super) fn sources(&self, site: &Site<'_>) -> Result<Sources, Problem> {
        let mut sources = Sources::default();
        if self.rules.is_empty() {
            sources.add_starter();
        }
        for (index, named) in self.rules.iter().enumerate() {
            let at = || format!("rules[{index}]");
            if named.to_str() == Some(STARTER) {
                sources.add_starter();
                continue;
            }
            let crs = named.to_str() == Some(CRS);
            let path = match (crs, &site.waf.settings.crs) {
                (false, _) => named,
                (true, Some(crs)) => crs,
                (true, None) => {
                    return Err(Problem::new(
                        at(),
                        "the Core Rule Set: say where it is, with `waf: { crs: DIRECTORY }` at the top of the policy",
                    ));
                }
            };
            let path = site.base.join(path);
            let fault = |error| Problem::new(at(), format_args!("{}: {error}", path.display()));
            if let Some(setup) = site.waf.settings.crs_setup.as_ref().filter(|_| crs) {
                let setup = site.base.join(setup);
                sources.setup = Some(std::fs::canonicalize(&setup).map_err(|error| {
                    Problem::new(at(), format_args!("waf.crs_setup: {}: {error}", setup.display()))
                })?);
            }
            sources.add(&path).map_err(fault)?;
            if crs && sources.crs.is_empty() {
                return Err(Problem::new(
                    at(),
                    format_args!("{}: no Core Rule Set is there: expected its directory", path.display()),
                ));
            }
        }
        Ok(sources)
    }

    pub(super) fn tuning(&self) -> Result<Tuning, Problem> {
        for (key, level) in [("paranoia", self.paranoia), ("detection_paranoia", self.detection_paranoia)] {
            if level.is_some_and(|level| !(1..=4).contains(&level)) {
                return Err(Problem::new(key, "expected a level from 1 to 4"));
            }
        }
        if self.detection_paranoia.is_some_and(|detection| self.paranoia.is_some_and(|own| detection < own)) {
            return Err(Problem::new(
                "detection_paranoia",
                "is below `paranoia`, whose rules run in any case",
            ));
        }
        // Each level under its name since version 4, and before.
        let settings = [
            ("blocking_paranoia_level", self.paranoia.map(u32::from)),
            ("paranoia_level", self.paranoia.map(u32::from)),
            ("detection_paranoia_level", self.detection_paranoia.map(u32::from)),
            ("executing_paranoia_level", self.detection_paranoia.map(u32::from)),
            ("inbound_anomaly_score_threshold", self.inbound_threshold.map(u32::from)),
            ("outbound_anomaly_score_threshold", self.outbound_threshold.map(u32::from)),
        ];
        let variables = settings.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let mut after = String::new();
        for (index, exclusion) in self.exclude.iter().enumerate() {
            exclusion.write(&mut after).map_err(|problem| problem.under(&format!("exclude[{index}]")))?;
        }
        Ok(Tuning { variables, after, watch_only: false })
    }
}
