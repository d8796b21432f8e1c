//! Keys and tokens by the forms that their issuers gave them so that scanners find them.
//!
//! One search for all beginnings at once; what follows one is counted. So a text without them costs what reading costs.

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};

use super::places::{before, byte, continues_word, count};
use super::{Detector, Found, Run};

/// What tokens are made of.
#[derive(Debug, Clone, Copy)]
enum Class {
    Letters,
    Hex,
    Base32,
    /// Letters, digits, `_`.
    Word,
    /// base64url.
    Url,
    /// base64.
    Base64,
    /// base64url and dots.
    Dotted,
    /// Letters, digits, `/`.
    Path,
    /// `_ . ~ -` as well.
    Azure,
}

impl Class {
    const fn contains(self, byte: u8) -> bool {
        match self {
            Self::Letters => byte.is_ascii_alphanumeric(),
            Self::Hex => byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'),
            Self::Base32 => matches!(byte, b'A'..=b'Z' | b'2'..=b'7'),
            Self::Word => byte.is_ascii_alphanumeric() || byte == b'_',
            Self::Url => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'),
            Self::Base64 => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'),
            Self::Dotted => is_token(byte),
            Self::Path => byte.is_ascii_alphanumeric() || byte == b'/',
            Self::Azure => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~'),
        }
    }
}

/// What a token without a length of its own goes on with.
pub(in crate::dlp) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// What has to follow a beginning.
#[derive(Debug, Clone, Copy)]
enum Then {
    /// So many of the class, and no more.
    Exactly(Class, usize),
    /// At least so many; the token ends where the class does.
    AtLeast(Class, usize),
    /// Three characters before the beginning belong to it; so many follow.
    Inside(Class, usize),
    /// Some of `"' :=>` and so many of the class: a value by its name.
    Named(Class, usize),
    /// The head of a JWT.
    Jwt,
    /// The first line of a PEM block.
    Pem,
    /// A key of Edgeward's own.
    Edgeward,
}

use Class::{Azure, Base32, Base64, Dotted, Hex, Letters, Path, Url, Word};
use Detector as D;
use Then::{AtLeast, Exactly, Inside, Named};

/// Where issuers document them: their pages on secret scanning. No more than 64, or the search is ten times slower.
const SHAPES: [(Detector, &str, Then); 60] = [
    (D::PrivateKey, "-----BEGIN ", Then::Pem),
    (D::Jwt, "eyJ", Then::Jwt),
    (D::Aws, "AKIA", Exactly(Base32, 16)),
    (D::Aws, "ASIA", Exactly(Base32, 16)),
    (D::Aws, "ABIA", Exactly(Base32, 16)),
    (D::Aws, "ACCA", Exactly(Base32, 16)),
    (D::Aws, "aws_secret_access_key", Named(Base64, 40)),
    (D::Aws, "AWS_SECRET_ACCESS_KEY", Named(Base64, 40)),
    (D::Aws, "SecretAccessKey", Named(Base64, 40)),
    (D::Aws, "secretAccessKey", Named(Base64, 40)),
    (D::Google, "AIza", Exactly(Url, 35)),
    (D::Google, "GOCSPX-", Exactly(Url, 28)),
    (D::Google, "ya29.", AtLeast(Dotted, 30)),
    (D::Azure, "AccountKey=", Exactly(Base64, 86)),
    (D::Azure, "SharedAccessKey=", Exactly(Base64, 43)),
    (D::Azure, "7Q~", Inside(Azure, 31)),
    (D::Azure, "8Q~", Inside(Azure, 31)),
    (D::Github, "ghp_", Exactly(Letters, 36)),
    (D::Github, "gho_", Exactly(Letters, 36)),
    (D::Github, "ghu_", Exactly(Letters, 36)),
    (D::Github, "ghs_", Exactly(Letters, 36)),
    (D::Github, "ghr_", Exactly(Letters, 36)),
    (D::Github, "github_pat_", Exactly(Word, 82)),
    (D::Gitlab, "glpat-", AtLeast(Dotted, 20)),
    (D::Gitlab, "gldt-", AtLeast(Dotted, 20)),
    (D::Gitlab, "glrt-", AtLeast(Dotted, 20)),
    (D::Gitlab, "glcbt-", AtLeast(Dotted, 20)),
    (D::Gitlab, "glptt-", AtLeast(Dotted, 40)),
    (D::Gitlab, "glsoat-", AtLeast(Dotted, 20)),
    (D::Slack, "xoxb-", AtLeast(Dotted, 20)),
    (D::Slack, "xoxp-", AtLeast(Dotted, 20)),
    (D::Slack, "xoxa-", AtLeast(Dotted, 20)),
    (D::Slack, "xoxr-", AtLeast(Dotted, 20)),
    (D::Slack, "xoxs-", AtLeast(Dotted, 20)),
    (D::Slack, "xoxe", AtLeast(Dotted, 24)),
    (D::Slack, "xapp-", AtLeast(Dotted, 20)),
    (D::Slack, "hooks.slack.com/services/", AtLeast(Path, 30)),
    (D::Stripe, "sk_live_", AtLeast(Word, 16)),
    (D::Stripe, "sk_test_", AtLeast(Word, 16)),
    (D::Stripe, "rk_live_", AtLeast(Word, 16)),
    (D::Stripe, "rk_test_", AtLeast(Word, 16)),
    (D::Stripe, "whsec_", AtLeast(Word, 24)),
    (D::Npm, "npm_", Exactly(Letters, 36)),
    (D::Pypi, "pypi-AgE", AtLeast(Url, 50)),
    (D::Openai, "sk-proj-", AtLeast(Url, 40)),
    (D::Openai, "sk-svcacct-", AtLeast(Url, 40)),
    (D::Openai, "sk-admin-", AtLeast(Url, 40)),
    (D::Anthropic, "sk-ant-", AtLeast(Url, 40)),
    (D::Huggingface, "hf_", Exactly(Letters, 34)),
    (D::Sendgrid, "SG.", Exactly(Dotted, 66)),
    (D::Digitalocean, "dop_v1_", Exactly(Hex, 64)),
    (D::Vault, "hvs.", AtLeast(Url, 24)),
    (D::Shopify, "shpat_", Exactly(Hex, 32)),
    (D::Square, "sq0csp-", Exactly(Url, 43)),
    (D::Databricks, "dapi", Exactly(Hex, 32)),
    (D::Grafana, "glsa_", Exactly(Word, 41)),
    (D::Docker, "dckr_pat_", Exactly(Url, 27)),
    (D::Atlassian, "ATATT3", AtLeast(Url, 60)),
    (D::Edgeward, "ew_", Then::Edgeward),
    (D::Google, "AQ.Ab8RN6", AtLeast(Url, 30)),
];

/// Longest head of a JWT that is recognised, encoded.
const JWT_HEAD: usize = 1024;
/// Between the name of a value and the value.
const NAME_GAP: usize = 8;

/// The secrets that are looked for.
pub(super) struct Secrets {
    search: AhoCorasick,
    shapes: Vec<(usize, Then)>,
    reach: usize,
}

impl Secrets {
    /// Those whose kind is known to the caller; `None` if there are none.
    pub(super) fn new(kind: impl Fn(Detector) -> Option<usize>) -> Option<Self> {
        let wanted =
            SHAPES.iter().filter_map(|(detector, text, then)| Some((*text, (kind(*detector)?, *then))));
        let (texts, shapes): (Vec<&str>, Vec<_>) = wanted.unzip();
        let reach = texts.iter().zip(&shapes).map(|(text, (_, then))| text.len() + then.reach()).max()?;
        // Fails for more patterns than fit into 32 bits alone.
        let search = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(texts).ok()?;
        Some(Self { search, shapes, reach })
    }

    pub(super) const fn reach(&self) -> usize {
        self.reach
    }

    pub(super) fn next(&self, text: &[u8], within: Range<usize>) -> Option<Found> {
        let mut from = within.start;
        // A beginning may have to be seen whole, and may have something before it.
        let end = text.len().min(within.end + 32);
        while let Some(hit) = self.search.find(text.get(from..end)?) {
            let (start, past) = (hit.start() + from, hit.end() + from);
            let (kind, then) = self.shapes.get(hit.pattern().as_usize())?;
            if let Some(mut found) = then.found(text, start, past)
                && within.contains(&found.at.start)
            {
                found.kind = *kind;
                return Some(found);
            }
            from = start + 1;
        }
        None
    }
}

impl Then {
    /// How much after the beginning is looked at.
    const fn reach(self) -> usize {
        match self {
            Exactly(_, length) | Inside(_, length) | AtLeast(_, length) => length + 8,
            Named(_, length) => NAME_GAP + length + 1,
            Self::Jwt => JWT_HEAD + 16,
            Self::Pem => 40,
            Self::Edgeward => 64,
        }
    }

    /// What begins with the text from `start` to `past`.
    fn found(self, text: &[u8], start: usize, past: usize) -> Option<Found> {
        let found = |at, hidden, then| Some(Found { at, hidden, kind: 0, then });
        if !matches!(self, Inside(..) | Self::Pem)
            && continues_word(text, start)
            && before(text, start) != b'_'
        {
            return None;
        }
        match self {
            Exactly(class, length) => {
                let end = past + length;
                (exactly(class, text, past, length)).then_some(())?;
                found(start..end, past..end, None)
            }
            AtLeast(class, least) => {
                let end = past + least;
                (count(text, past, least, |byte| class.contains(*byte)) == least).then_some(())?;
                found(start..end, past..end, Some(Run::Token))
            }
            Inside(class, length) => {
                let (start, end) = (start.checked_sub(3)?, past + length);
                let whole = (count(text, start, 3, u8::is_ascii_alphanumeric) == 3)
                    && !continues_word(text, start)
                    && count(text, past, length, |byte| class.contains(*byte)) == length;
                whole.then_some(())?;
                found(start..end, start..end, Some(Run::Token))
            }
            Named(class, length) => {
                let gap = count(text, past, NAME_GAP, |byte| b"\"' :=>\\".contains(byte));
                let (value, end) = (past + gap, past + gap + length);
                (gap > 0 && exactly(class, text, value, length)).then_some(())?;
                found(start..end, value..end, None)
            }
            Self::Jwt => {
                let head = count(text, past, JWT_HEAD, |byte| Url.contains(*byte));
                let end = past + head + b".eyJ".len();
                (head >= 8 && text.get(past + head..end)? == b".eyJ").then_some(())?;
                found(start..end, past..end, Some(Run::Token))
            }
            Self::Pem => {
                let label = count(text, past, 24, |byte| byte.is_ascii_uppercase() || *byte == b' ');
                let rest = text.get(past + label..)?;
                let name = text.get(past..past + label)?;
                let private = name.ends_with(b"PRIVATE KEY") || name.ends_with(b"PRIVATE KEY BLOCK");
                (private && rest.starts_with(b"-----")).then_some(())?;
                let end = past + label + 5;
                found(start..end, end..end, Some(Run::Key))
            }
            Self::Edgeward => {
                let (id, end) = (past + 10, past + 49);
                let whole = count(text, past, 10, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
                    == 10
                    && byte(text, id) == b'_'
                    && exactly(Letters, text, id + 1, 38);
                whole.then_some(())?;
                found(start..end, id + 1..end, None)
            }
        }
    }
}

/// Whether so many characters follow, and no more that could be part of the same word.
fn exactly(class: Class, text: &[u8], at: usize, length: usize) -> bool {
    let counted = count(text, at, length, |byte| class.contains(*byte)) == length;
    let next = byte(text, at + length);
    counted && !class.contains(next) && !next.is_ascii_alphanumeric()
}
