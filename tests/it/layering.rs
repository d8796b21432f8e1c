//! Imports point down only. What may use what is written here once, and read off the sources.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules from the ground up; those of one line know nothing of each other. Each may use what is below.
const LAYERS: [&[&str]; 12] = [
    &["values"],
    &["http", "net"],
    &["state", "telemetry"],
    &["auth", "cache", "dlp", "expr", "waf"],
    &["tls", "upstream", "outbound"],
    &["filters"],
    &["config"],
    &["consumers", "purging"],
    &["policy"],
    &["proxy"],
    &["server"],
    &["cli"],
];
/// Pairs within a line that are allowed all the same: the upper one, and what it uses.
const BESIDE: [(&str, &str); 4] =
    [("net", "http"), ("upstream", "tls"), ("outbound", "tls"), ("outbound", "upstream")];
/// Who may know of Pingora's machinery. Its header types (`pingora::http`) are for all.
const PINGORA: [&str; 5] = ["outbound", "proxy", "server", "tls", "upstream"];

#[test]
fn imports_point_down_only() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (module, file, text) in sources() {
        for used in used_modules(&text) {
            seen += 1;
            if used != module && !may_use(&module, &used) {
                wrong.push(format!("{}: `{module}` uses `{used}`", file.display()));
            }
        }
    }
    assert!(seen > 100, "only {seen} imports were found: the reader is broken");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pingora_is_known_to_five_modules_alone() {
    let mut wrong = Vec::new();
    let mut users = 0;
    for (module, file, text) in sources() {
        // Whatever stands between two quotes is text.
        let code = code_lines(&text).flat_map(|line| line.split('"').step_by(2)).collect::<Vec<_>>();
        let uses = code.iter().any(|code| code.contains("pingora_core") || code.contains("pingora_proxy"));
        users += usize::from(uses);
        if uses && !PINGORA.contains(&module.as_str()) {
            wrong.push(format!("{} knows Pingora", file.display()));
        }
    }
    assert!(users > 5, "only {users} files use Pingora: the reader is broken");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_has_a_place() {
    let known: Vec<_> = LAYERS.iter().flat_map(|layer| layer.iter()).collect();
    for (module, file, _) in sources() {
        let outside = matches!(module.as_str(), "lib" | "main");
        assert!(outside || known.iter().any(|name| **name == module), "{} is in no layer", file.display());
    }
}

#[test]
fn the_reader_finds_imports_in_every_form() {
    let text = "use crate::net::IpSet;\nuse crate::{tls, values::Size};\n// use crate::cli;\nlet x = crate::http::path::f();\n";
    assert_eq!(used_modules(text), ["http", "net", "tls", "values"]);
    assert!(
        !may_use("net", "cli")
            && may_use("cli", "net")
            && may_use("upstream", "tls")
            && !may_use("tls", "upstream")
    );
}

fn level(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

fn may_use(user: &str, used: &str) -> bool {
    match (level(user), level(used)) {
        _ if matches!(user, "lib" | "main") => true,
        (Some(upper), Some(lower)) => lower < upper || BESIDE.contains(&(user, used)),
        _ => false,
    }
}

/// The names after `crate::`, sorted.
fn used_modules(text: &str) -> Vec<String> {
    let code: String = code_lines(text).collect::<Vec<_>>().join("\n");
    let mut used = Vec::new();
    for (at, prefix) in code.match_indices("crate::") {
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(group) => used.extend(members(group)),
            None => used.push(word(rest).to_owned()),
        }
    }
    used.retain(|name| level(name).is_some());
    used.sort();
    used.dedup();
    used
}

/// The first words of what is in braces, at their top level.
fn members(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut members = vec![String::new()];
    for character in group.chars() {
        match character {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => members.push(String::new()),
            other => members.last_mut().unwrap().push(other),
        }
    }
    members.iter().map(|member| word(member.trim()).to_owned()).collect()
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

fn code_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

/// Every source file with the top module it belongs to.
fn sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let first = path.strip_prefix(&root).unwrap().components().next().unwrap();
                let module = Path::new(first.as_os_str()).file_stem().unwrap().to_str().unwrap().to_owned();
                let text = fs::read_to_string(&path).unwrap();
                files.push((module, path.strip_prefix(&root).unwrap().to_owned(), text));
            }
        }
    }
    files
}
