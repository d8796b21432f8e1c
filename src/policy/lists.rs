//! From lists as written, and the files they name, to lists that expressions look into.

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::sync::Arc;

use crate::config::spec::{List, ListKind};
use crate::config::{Issue, Node};
use crate::expr::Lists;
use crate::expr::list::{self, Entries, EntriesBuilder, MAX_FILE};
use crate::values::Problem;

/// Compiles all lists. One with something wrong in it is there and empty, so that nothing follows from it.
pub(super) fn compile(specs: &BTreeMap<String, Node>, base: &FilePath, issues: &mut Vec<Issue>) -> Lists {
    let mut lists = Lists::new();
    for (name, node) in specs {
        let Some(spec) = node.read::<List>(issues) else { continue };
        let entries = entries(&spec, base).unwrap_or_else(|problems| {
            issues.extend(problems.iter().map(|problem| node.problem(problem)));
            EntriesBuilder::new(kind(spec.kind)).finish()
        });
        lists.insert(name.as_str(), Arc::new(entries));
    }
    lists
}

fn entries(spec: &List, base: &FilePath) -> Result<Entries, Vec<Problem>> {
    let mut builder = EntriesBuilder::new(kind(spec.kind));
    let mut problems = Vec::new();
    for (index, entry) in spec.entries.iter().enumerate() {
        if let Err(error) = builder.push(entry.0.as_bytes()) {
            problems.push(Problem::new(format!("entries[{index}]"), error));
        }
    }
    if let Some(file) = &spec.file {
        let path = base.join(file);
        match read(&path) {
            Ok(content) => {
                let errors = builder.push_file(&content).err().into_iter().flatten();
                problems.extend(
                    errors.map(|error| Problem::new("file", format_args!("{}: {error}", path.display()))),
                );
            }
            Err(error) => {
                problems.push(Problem::new("file", format_args!("cannot read {}: {error}", path.display())));
            }
        }
    }
    if problems.is_empty() { Ok(builder.finish()) } else { Err(problems) }
}

/// What a list file may hold, and one byte more where it holds more than that.
fn read(path: &FilePath) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut content = Vec::new();
    let most = u64::try_from(MAX_FILE).unwrap_or(u64::MAX).saturating_add(1);
    std::fs::File::open(path)?.take(most).read_to_end(&mut content)?;
    Ok(content)
}

const fn kind(kind: ListKind) -> list::ListKind {
    match kind {
        ListKind::Ip => list::ListKind::Ip,
        ListKind::String => list::ListKind::String,
        ListKind::Number => list::ListKind::Int,
    }
}
