//! `edgeward cache purge`: has a running edgeward forget what it has stored, through its admin listener.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand, ValueHint};
use serde_json::{Value, json};

use super::EXIT_WRONG;
use crate::config::spec::{Admin, Policy};
use crate::config::{Diagnostics, Document};
use crate::net::ListenAddress;

pub(super) const PURGE_HELP: &str = "\
Exit codes: 0 purged, 1 not purged (standard error says why), 3 purged in this process, but its fleet cannot be told yet,
  64 the policy or the arguments are wrong

Examples:
  edgeward cache purge --policy policy.yaml --url https://api.example.com/orders/7
  edgeward cache purge --policy policy.yaml --tag product-7 --tag product-8 --soft
  edgeward cache purge --policy policy.yaml --prefix https://api.example.com/products/
  edgeward cache purge --policy policy.yaml --all";

/// A purge is a moment's work; who takes longer is not there.
const PATIENCE: Duration = Duration::from_secs(10);
const LONGEST_ANSWER: u64 = 64 * 1024;

/// The purge holds in the process that was asked, and the others of its fleet do not know of it yet.
const EXIT_NOT_ALL: u8 = 3;

/// Where the purge holds.
enum Reach {
    All,
    HereSoFar,
}

#[derive(Subcommand)]
pub(super) enum Cache {
    /// Remove stored responses, by URL, prefix or tag, or all of them.
    #[command(after_help = PURGE_HELP)]
    Purge(Purge),
}

#[derive(Args)]
pub(super) struct Purge {
    /// The policy's file, which says where the admin listener is.
    #[arg(long, value_hint = ValueHint::FilePath)]
    policy: PathBuf,
    /// A URL, with its query; may be repeated.
    #[arg(long = "url", value_name = "URL")]
    urls: Vec<String>,
    /// How URLs begin; may be repeated.
    #[arg(long = "prefix", value_name = "URL")]
    prefixes: Vec<String>,
    /// A tag; may be repeated.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Everything.
    #[arg(long)]
    all: bool,
    /// Let them become stale instead: they may still stand in for an upstream that fails.
    #[arg(long)]
    soft: bool,
}

/// Does what the command says.
pub(super) fn cache(command: Cache) -> ExitCode {
    let Cache::Purge(purge) = command;
    let order = json!({
        "url": purge.urls, "prefix": purge.prefixes, "tag": purge.tags, "all": purge.all, "soft": purge.soft,
    });
    let nothing =
        [&purge.urls, &purge.prefixes, &purge.tags].iter().all(|names| names.is_empty()) && !purge.all;
    if nothing {
        eprintln!("error: nothing to purge: expected --url, --prefix, --tag or --all");
        return ExitCode::from(EXIT_WRONG);
    }
    match admin(&purge.policy).and_then(|(admin, base)| send(&admin, &base, &order)) {
        Ok(Reach::All) => ExitCode::SUCCESS,
        Ok(Reach::HereSoFar) => {
            eprintln!("purged in this process; the fleet is told as soon as its redis answers");
            ExitCode::from(EXIT_NOT_ALL)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(if error.is::<Diagnostics>() { EXIT_WRONG } else { 1 })
        }
    }
}

/// The admin listener of a policy, and where its paths start.
fn admin(path: &Path) -> anyhow::Result<(Admin, PathBuf)> {
    let file = Document::load(path)?;
    let mut issues = Vec::new();
    let Some(policy) = file.root().read::<Policy>(&mut issues) else {
        return Err(Diagnostics::new(&file, issues).into());
    };
    let admin = policy.admin.ok_or_else(|| {
        Diagnostics::of_file(file.name(), "no admin listener to ask: name one in `admin.address`")
    })?;
    Ok((admin, path.parent().unwrap_or(Path::new("")).to_owned()))
}

fn send(admin: &Admin, base: &Path, order: &Value) -> anyhow::Result<Reach> {
    let body = order.to_string();
    let mut head = format!(
        "POST /cache/purge HTTP/1.1\r\nhost: admin\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
        body.len()
    );
    if let Some(token) = &admin.token {
        let token = token.resolve(base).map_err(|error| anyhow!("admin.token: {error}"))?;
        head.extend(["authorization: Bearer ", token.expose(), "\r\n"]);
    }
    let request = format!("{head}\r\n{body}");
    let address = &admin.address;
    let answer = ask(address, request.as_bytes()).with_context(|| format!("cannot ask {address}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| anyhow!("{address} gives no answer"))?;
    match head.split(' ').nth(1) {
        Some("200") => return Ok(Reach::All),
        Some("202") => return Ok(Reach::HereSoFar),
        _ => {}
    }
    let told: Value = serde_json::from_str(body).unwrap_or_default();
    let status = head.lines().next().unwrap_or_default();
    bail!("{address} says {}", told.get("error").and_then(Value::as_str).unwrap_or(status))
}

fn ask(address: &ListenAddress, request: &[u8]) -> std::io::Result<String> {
    let mut answer = String::new();
    match address {
        ListenAddress::Ip(address) => {
            let mut stream = TcpStream::connect_timeout(address, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(request)?;
            stream.take(LONGEST_ANSWER).read_to_string(&mut answer)?;
        }
        ListenAddress::Unix(path) => {
            let mut stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(request)?;
            stream.take(LONGEST_ANSWER).read_to_string(&mut answer)?;
        }
    }
    Ok(answer)
}
