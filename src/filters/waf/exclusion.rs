//! Rules that a policy leaves out, or keeps from a target.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::values::Problem;
use crate::waf::check_pattern;

/// Rules by exactly one of `id` and `tag`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "WafExclusion")]
pub struct Exclusion {
    /// The rule of this number. Example: `942100`.
    pub id: Option<u32>,
    /// All rules with this tag. Example: `attack-sqli`.
    pub tag: Option<String>,
    /// What they do not look at, as SecLang names it: a variable, one of its members, or, between slashes, those whose
    /// names a pattern matches. Default: they are left out. Example: `ARGS:comment`, `ARGS:/^json\.items\.array_\d+\.text$/`.
    pub target: Option<String>,
}

impl Exclusion {
    /// As a directive.
    pub(super) fn write(&self, text: &mut String) -> Result<(), Problem> {
        let target = self.target.as_deref();
        if target.is_some_and(|target| !is_target(target)) {
            return Err(Problem::new("target", "expected a variable such as ARGS:comment or ARGS:/^note/"));
        }
        if let Some((_, member)) = target.and_then(|target| target.split_once(':'))
            && let Some(pattern) = pattern_of(member)
        {
            check_pattern(pattern.as_bytes()).map_err(|error| Problem::new("target", error))?;
        }
        _ = match (self.id, &self.tag, target) {
            (Some(id), None, None) => writeln!(text, "SecRuleRemoveById {id}"),
            (Some(id), None, Some(target)) => writeln!(text, "SecRuleUpdateTargetById {id} \"!{target}\""),
            (None, Some(tag), _) if !is_tag(tag) => {
                return Err(Problem::new("tag", "expected a tag such as attack-sqli"));
            }
            (None, Some(tag), None) => writeln!(text, "SecRuleRemoveByTag \"^{tag}$\""),
            (None, Some(tag), Some(target)) => {
                writeln!(text, "SecRuleUpdateTargetByTag \"^{tag}$\" \"!{target}\"")
            }
            _ => return Err(Problem::whole("expected exactly one of `id` and `tag`")),
        };
        Ok(())
    }
}

/// Whether it can stand as the target of an [`Exclusion`]: a variable, and perhaps which of its members.
#[must_use]
pub fn is_target(text: &str) -> bool {
    let (variable, member) = text.split_once(':').map_or((text, None), |(name, member)| (name, Some(member)));
    let is_plain =
        |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\' | b'|' | b',' | b'!');
    !variable.is_empty()
        && variable.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
        && member.is_none_or(|member| match pattern_of(member) {
            Some(pattern) => {
                pattern.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'/'))
            }
            None => !member.is_empty() && member.bytes().all(is_plain),
        })
}

/// What stands between slashes.
fn pattern_of(member: &str) -> Option<&str> {
    member.strip_prefix('/')?.strip_suffix('/').filter(|pattern| !pattern.is_empty())
}

fn is_tag(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_/.".contains(&byte))
}
