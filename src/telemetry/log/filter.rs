//! Which log records are written: a level for all, and others for the targets named, e.g. `info,pingora_proxy=error`.

use std::str::FromStr;

use log::{Level, LevelFilter};

/// The least severe level written, by target. The longest target that a record's own begins with decides; a target
/// covers itself and what is behind a `::`, so `tls` covers `tls::sni` and not `tls_extra`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    default: LevelFilter,
    /// Longest first.
    targets: Vec<(String, LevelFilter)>,
}

/// Why a text is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// The level is none of the known ones.
    #[error("unknown log level {0:?}, expected off, error, warn, info, debug or trace")]
    Level(String),
    /// A directive has no target before its `=`.
    #[error("log directive {0:?} has no target")]
    NoTarget(String),
    /// Two directives say the same thing differently.
    #[error("log level of {0:?} is given twice")]
    Twice(String),
}

/// Targets that say nothing an operator could use, unless they are asked for by name: Pingora's pool of upstream
/// connections calls it an error when two threads reach for one connection, and then simply takes another.
const QUIET: [&str; 1] = ["pingora_core::connectors"];

/// Never written, whoever asks: shows all of a head that cannot be read, with the credentials in it. The operators' listener
/// has no guard before it.
const TELLTALE: &str = "pingora_core::apps::http_app";

impl Filter {
    /// Whether records of this target and level are written.
    #[must_use]
    pub fn enabled(&self, target: &str, level: Level) -> bool {
        let named = self.targets.iter().find(|(name, _)| covers(name, target));
        !covers(TELLTALE, target) && level <= named.map_or(self.default, |&(_, filter)| filter)
    }

    /// The least severe level that any target writes, for the facade's early exit.
    pub(super) fn most_verbose(&self) -> LevelFilter {
        self.targets.iter().map(|&(_, filter)| filter).fold(self.default, Ord::max)
    }
}

impl Default for Filter {
    /// From level `info` on.
    fn default() -> Self {
        Self { default: LevelFilter::Info, targets: quiet(&[]) }
    }
}

/// Comma-separated directives, each `level` or `target=level`; spaces around them do not matter. Without a bare level
/// the default stays `info`.
impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let mut default = None;
        let mut targets: Vec<(String, LevelFilter)> = Vec::new();
        for directive in text.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
            let Some((target, name)) = directive.split_once('=') else {
                if default.replace(level(directive)?).is_some() {
                    return Err(FilterError::Twice("everything".into()));
                }
                continue;
            };
            let target = target.trim();
            if target.is_empty() {
                return Err(FilterError::NoTarget(directive.into()));
            }
            if targets.iter().any(|(known, _)| known == target) {
                return Err(FilterError::Twice(target.into()));
            }
            targets.push((target.into(), level(name.trim())?));
        }
        targets.extend(quiet(&targets));
        targets.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        Ok(Self { default: default.unwrap_or(LevelFilter::Info), targets })
    }
}

/// Turns off what is [`QUIET`] and not named.
fn quiet(named: &[(String, LevelFilter)]) -> Vec<(String, LevelFilter)> {
    let named = |target: &str| named.iter().any(|(name, _)| covers(name, target) || covers(target, name));
    QUIET.iter().filter(|target| !named(target)).map(|target| ((*target).into(), LevelFilter::Off)).collect()
}

fn level(name: &str) -> Result<LevelFilter, FilterError> {
    name.parse().map_err(|_| FilterError::Level(name.into()))
}

fn covers(name: &str, target: &str) -> bool {
    target.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> Filter {
        text.parse().expect("a filter")
    }

    #[test]
    fn writes_info_and_above_unless_told_otherwise() {
        for filter in [Filter::default(), filter(""), filter(" , ")] {
            assert!(filter.enabled("edgeward", Level::Info));
            assert!(!filter.enabled("edgeward", Level::Debug));
        }
    }

    #[test]
    fn obeys_the_longest_target_that_covers_the_record() {
        let filter = filter("pingora_proxy=error, warn ,edgeward=debug,edgeward::tls=off");
        assert!(filter.enabled("pingora_proxy::proxy_h1", Level::Error));
        assert!(!filter.enabled("pingora_proxy", Level::Warn));
        assert!(filter.enabled("hyper", Level::Warn) && !filter.enabled("hyper", Level::Info));
        assert!(filter.enabled("edgeward::proxy", Level::Debug));
        assert!(!filter.enabled("edgeward::tls::sni", Level::Error));
        assert!(filter.enabled("edgeward::tls_extra", Level::Debug), "half a name covers nothing");
    }

    #[test]
    fn keeps_out_noise_unless_it_is_asked_for() {
        assert!(!filter("info").enabled("pingora_core::connectors", Level::Error));
        assert!(filter("info,pingora_core=warn").enabled("pingora_core::connectors", Level::Error));
        assert!(filter("info").enabled("pingora_core::protocols", Level::Error));
    }

    #[test]
    fn keeps_out_what_shows_heads_although_it_is_asked_for() {
        for text in ["trace", "info,pingora_core=trace", "pingora_core::apps::http_app=error"] {
            assert!(!filter(text).enabled("pingora_core::apps::http_app", Level::Error), "{text}");
        }
    }

    #[test]
    fn knows_its_most_verbose_level() {
        assert_eq!(filter("warn,edgeward=trace").most_verbose(), LevelFilter::Trace);
        assert_eq!(filter("off").most_verbose(), LevelFilter::Off);
    }

    #[test]
    fn refuses_what_is_no_filter() {
        for (text, error) in [
            ("loud", FilterError::Level("loud".into())),
            ("info,edgeward=", FilterError::Level(String::new())),
            ("=info", FilterError::NoTarget("=info".into())),
            ("info,debug", FilterError::Twice("everything".into())),
            ("a=info,a=debug", FilterError::Twice("a".into())),
        ] {
            assert_eq!(text.parse::<Filter>(), Err(error));
        }
    }
}
