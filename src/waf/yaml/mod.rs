//! The project's own rules: packs, written in YAML, with all that SecLang can say.
//!
//! ```yaml
//! pack: shop                         # also a tag of every rule: pack/shop
//! version: "1.2"
//! ids: 9600000-9600999               # a rule with another id is an error
//!
//! settings:
//!   response_types: [application/json]     # beside text/plain, text/html and text/xml
//!
//! targets:                           # names for what several rules look at
//!   input: [args, arg_names, cookies, xml]
//! transforms:                        # ... for what is made of values before they are tested
//!   text: [url_decode, html_decode, remove_nulls]
//! patterns:                          # ... for parts of patterns: {{table}}
//!   table: '[a-z_][a-z0-9_]{0,62}'
//! lists:                             # ... for words
//!   partners: [10.1.0.0/16, 198.51.100.7]
//!
//! defaults: { transform: text, severity: critical }
//!
//! rules:
//!   - id: 9600001
//!     message: SQL that reads a table
//!     in: input
//!     except: [args.comment, cookies./^_ga/]
//!     matches:                       # any of these; case does not count unless `case: exact`
//!       - '\bunion\s+(?:all\s+)?select\b'
//!       - '\bselect\b.{1,80}\bfrom\s+{{table}}'
//!     tags: [attack-sqli]            # severity critical: 5 points; 5 points refuse
//!
//!   - id: 9600002
//!     message: "Orders of more than 100 items: %{tx.0}"
//!     all:                           # a chain: each must hold
//!       - { in: path, starts_with: /orders }
//!       - { in: [json.items.count, query_args.count], above: 100, capture: true }
//!     unless:
//!       - { in: client.ip, from: { list: partners } }
//!     action: deny                   # at once, whatever the score
//!     status: 422
//!
//!   - id: 9600003
//!     in: path
//!     one_of: [/comments, /reviews]
//!     action: pass                   # it adds nothing
//!     control: { remove: [{ tag: attack-xss, target: args.text }] }   # what is written there may be HTML
//!
//!   - id: 9600004
//!     message: Stack trace in a response
//!     in: response.body
//!     matches: '\bat [\w.$]+\([\w]+\.java:\d+\)'
//!     severity: error
//!     paranoia: 2
//! ```
//!
//! Every key is in `docs/waf-rules.md`. What always holds: a document is read as a whole, everything that is wrong with it
//! is told at once with line, column and the nearest right name, and nothing is skipped in silence.

mod actions;
mod condition;
mod names;
mod operators;
mod pack;
mod reader;
mod rule;
mod scoring;

use super::ir::{Program, Step};
use super::seclang::{Fault, Loader};
use crate::values::yaml;
use reader::Reader;

/// Whether a file is a pack, by its name.
pub(super) fn is_pack(path: &str) -> bool {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    extension.eq_ignore_ascii_case("yaml") || extension.eq_ignore_ascii_case("yml")
}

/// Adds a pack to a program; what is wrong with it. [`judges`] come after the last.
pub(super) fn read(loader: &dyn Loader, file: &str, text: &[u8], program: &mut Program) -> Vec<Fault> {
    let mut reader = Reader::new(loader, file);
    match yaml::decode(text).and_then(yaml::parse) {
        Ok(node) => pack::read(&mut reader, &node, program),
        Err(fault) => {
            let at = fault.at.unwrap_or(yaml::Place { line: 0, column: 0 });
            reader.fault(at, fault.message);
        }
    }
    reader.finish()
}

/// The rules that refuse by score, which stand after all others.
pub(super) fn judges() -> impl Iterator<Item = Step> {
    scoring::judges()
}

#[cfg(test)]
mod tests;
