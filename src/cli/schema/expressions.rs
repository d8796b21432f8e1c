//! The part of the reference that tells what expressions may name and call.

use std::fmt::Write;

use super::reference::cell;
use crate::expr::Phase;
use crate::expr::fields::SCHEME;
use crate::expr::functions::FUNCTIONS;

const HEAD: &str = "\n## Expressions\n\n\
    What `when`, the rules of `authorize`, `key` of `rate_limit`, `consistent_hash` and the braces in the values of headers are \
    written in. The guide has the [language](guide.md#expressions).\n\n\
    ### Fields\n\n\
    A value that a request has not is missing. Fields that a filter finds out may be used only where such a filter stands \
    before.\n\n\
    | field | type | known | meaning |\n|---|---|---|---|\n";

/// All fields and functions.
pub(super) fn markdown() -> String {
    let mut out = String::from(HEAD);
    for field in SCHEME.fields() {
        let by: Vec<_> = field.id.found_by().iter().map(|kind| format!("`{kind}`")).collect();
        let known = match field.known {
            Phase::RequestHead if by.is_empty() => String::new(),
            Phase::RequestHead => format!("after {}", by.join(", ")),
            Phase::Response => field.known.to_string(),
        };
        let kind = cell(&field.ty.to_string()).replace('<', "&lt;");
        let _ = writeln!(out, "| `{}` | {kind} | {known} | {} |", field.name, cell(field.doc));
    }
    out.push_str("\n### Functions\n\n| function | meaning |\n|---|---|\n");
    for function in &FUNCTIONS {
        let _ = writeln!(out, "| `{}` | {} |", function.usage, cell(function.doc));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_every_field_and_function() {
        let text = markdown();
        for field in SCHEME.fields() {
            assert!(text.contains(&format!("| `{}` | ", field.name)), "{}", field.name);
        }
        for function in &FUNCTIONS {
            assert!(text.contains(&format!("| `{}(", function.name)), "{}", function.name);
        }
        assert!(text.contains("| `basic_auth.user` | String | after `basic_auth` |"));
        assert!(text.contains("| `http.response.code` | Integer | with the response |"));
    }
}
