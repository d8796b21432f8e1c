//! What is looked for, and what becomes of it.
//!
//! Whether something begins at a place of a text depends on what is around that place alone: no more than [`BEHIND`] bytes
//! before it and [`Detectors::ahead`] after. No finding crosses the end of a line, so what is before one is settled.

mod card;
mod email;
mod iban;
pub mod pattern;
mod secret;
mod trace;

use std::ops::Range;

use schemars::JsonSchema;
use serde::Deserialize;

use self::pattern::Pattern;
use self::secret::Secrets;
pub(super) use self::secret::is_token;
use self::trace::Traces;
use super::mask;

/// Bytes before a place that may matter to what begins there, and to its mask.
pub(super) const BEHIND: usize = 96;

/// What becomes of a finding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "FindingAction")]
pub enum Action {
    /// It is counted, and passes.
    Report,
    /// It is written over with as many `*`; what is needed to recognise it stays: the last four digits of a card, a token's
    /// well-known beginning.
    #[default]
    Mask,
    /// The answer does not go out.
    Block,
}

macro_rules! detectors {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// Something that is recognised by its form.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Detector {
            $($(#[$doc])* $name,)+
        }

        impl Detector {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// As policies, metrics and logs name it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

detectors! {
    /// Numbers of payment cards: by issuer, length and check digit.
    Card = "card",
    /// International bank account numbers: by country, length and check digits.
    Iban = "iban",
    /// Email addresses.
    Email = "email",
    /// Stack traces of Java, JavaScript, Python, .NET, PHP, Ruby, Go and Rust, from the first frame to the end of the text.
    StackTrace = "stack_trace",
    /// Everything that follows here.
    Secrets = "secrets",
    /// Private keys in PEM.
    PrivateKey = "private_key",
    /// JSON Web Tokens.
    Jwt = "jwt",
    /// AWS access keys.
    Aws = "aws",
    /// Google API keys, OAuth secrets and tokens.
    Google = "google",
    /// Azure storage and bus keys, client secrets.
    Azure = "azure",
    /// GitHub tokens.
    Github = "github",
    /// GitLab tokens.
    Gitlab = "gitlab",
    /// Slack tokens and webhooks.
    Slack = "slack",
    /// Stripe keys.
    Stripe = "stripe",
    /// npm tokens.
    Npm = "npm",
    /// Tokens of the Python Package Index.
    Pypi = "pypi",
    /// `OpenAI` keys.
    Openai = "openai",
    /// Anthropic keys.
    Anthropic = "anthropic",
    /// Hugging Face tokens.
    Huggingface = "huggingface",
    /// `SendGrid` keys.
    Sendgrid = "sendgrid",
    /// `DigitalOcean` tokens.
    Digitalocean = "digitalocean",
    /// Vault tokens.
    Vault = "vault",
    /// Shopify tokens.
    Shopify = "shopify",
    /// Square tokens.
    Square = "square",
    /// Databricks tokens.
    Databricks = "databricks",
    /// Grafana tokens.
    Grafana = "grafana",
    /// Docker Hub tokens.
    Docker = "docker",
    /// Atlassian tokens.
    Atlassian = "atlassian",
    /// Edgeward's own API keys.
    Edgeward = "edgeward",
}

impl Detector {
    /// What it stands for: itself, or the members of a group.
    #[must_use]
    pub fn members(self) -> &'static [Self] {
        let at = Self::ALL.iter().position(|other| *other == self).unwrap_or_default();
        match self {
            Self::Secrets => Self::ALL.get(at + 1..).unwrap_or_default(),
            _ => Self::ALL.get(at..=at).unwrap_or_default(),
        }
    }
}

/// Something found in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Where it is.
    pub(super) at: Range<usize>,
    /// The part of it that is nobody's business.
    pub(super) hidden: Range<usize>,
    /// Its index among the kinds.
    pub(super) kind: usize,
    /// What belongs to it beyond its end, however long that is.
    pub(super) then: Option<Run>,
}

/// What a finding goes on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Run {
    /// As long as there are characters of tokens.
    Token,
    /// Up to the line that ends a key.
    Key,
    /// Up to the end of the JSON string, or to an empty line or a closing tag.
    Trace,
}

/// A kind of finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) name: Box<str>,
    pub(super) action: Action,
}

enum Finder {
    Card { kind: usize },
    Iban { kind: usize },
    Email { kind: usize },
    Traces(Traces),
    Secrets(Secrets),
    Own { pattern: Pattern, kind: usize },
}

/// All that is looked for in an answer.
pub struct Detectors {
    pub(super) kinds: Box<[Kind]>,
    finders: Box<[Finder]>,
    ahead: usize,
}

impl Detectors {
    /// Looks for these. Of two findings that begin at the same place, the one named first counts. Groups must have been
    /// resolved ([`Detector::members`]).
    #[must_use]
    pub fn new(known: &[(Detector, Action)], own: Vec<(Box<str>, Pattern, Action)>) -> Self {
        let mut kinds: Vec<Kind> =
            known.iter().map(|(known, action)| Kind { name: known.name().into(), action: *action }).collect();
        let kind = |wanted| known.iter().position(|(detector, _)| *detector == wanted);
        let mut finders = Vec::new();
        finders.extend(kind(Detector::Card).map(|kind| Finder::Card { kind }));
        finders.extend(kind(Detector::Iban).map(|kind| Finder::Iban { kind }));
        finders.extend(Secrets::new(kind).map(Finder::Secrets));
        finders.extend(kind(Detector::Email).map(|kind| Finder::Email { kind }));
        finders.extend(kind(Detector::StackTrace).and_then(Traces::new).map(Finder::Traces));
        for (name, pattern, action) in own {
            finders.push(Finder::Own { pattern, kind: kinds.len() });
            kinds.push(Kind { name, action });
        }
        let reach = finders.iter().map(Finder::reach).max().unwrap_or_default();
        Self { kinds: kinds.into(), finders: finders.into(), ahead: reach + mask::AHEAD }
    }

    /// Whether nothing is looked for.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.finders.is_empty()
    }

    /// The names of what is looked for and what becomes of it, in the order of [`Scanner::found`](super::Scanner::found).
    pub fn kinds(&self) -> impl Iterator<Item = (&str, Action)> {
        self.kinds.iter().map(|kind| (&*kind.name, kind.action))
    }

    /// Bytes after a place that may matter to what begins there, and to its mask: so much of a text waits for more of it.
    #[must_use]
    pub const fn ahead(&self) -> usize {
        self.ahead
    }

    pub(super) const fn finders(&self) -> usize {
        self.finders.len()
    }

    /// The first thing that a finder finds to begin in `within`.
    pub(super) fn next(&self, finder: usize, text: &[u8], within: Range<usize>) -> Option<Found> {
        self.finders.get(finder)?.next(text, within)
    }
}

impl Finder {
    /// The longest finding, and what has to be seen after it.
    fn reach(&self) -> usize {
        match self {
            Self::Card { .. } => card::REACH,
            Self::Iban { .. } => iban::REACH,
            Self::Email { .. } => email::REACH,
            Self::Traces(_) => trace::REACH,
            Self::Secrets(secrets) => secrets.reach(),
            Self::Own { .. } => pattern::REACH,
        }
    }

    fn next(&self, text: &[u8], within: Range<usize>) -> Option<Found> {
        match self {
            Self::Card { kind } => card::next(text, within, *kind),
            Self::Iban { kind } => iban::next(text, within, *kind),
            Self::Email { kind } => email::next(text, within, *kind),
            Self::Traces(traces) => traces.next(text, within),
            Self::Secrets(secrets) => secrets.next(text, within),
            Self::Own { pattern, kind } => {
                let at = pattern.next(text, within)?;
                Some(Found { hidden: at.clone(), at, kind: *kind, then: None })
            }
        }
    }
}

/// The byte at a place; a line end where there is none, for nothing goes on beyond either.
fn byte(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(b'\n')
}

/// The byte before a place.
fn before(text: &[u8], at: usize) -> u8 {
    at.checked_sub(1).map_or(b'\n', |at| byte(text, at))
}

/// Whether the byte before a place is part of a word that goes on there. The letter of an escape (`\n` as two bytes) is
/// not.
fn continues_word(text: &[u8], at: usize) -> bool {
    let last = before(text, at);
    let escaped = last.is_ascii_lowercase() && before(text, at - 1) == b'\\';
    (last.is_ascii_alphanumeric() || last == b'_') && !escaped
}

/// How many bytes from a place on are of a class, counted up to `most`.
fn count(text: &[u8], at: usize, most: usize, of_class: impl Fn(&u8) -> bool) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    rest.iter().take(most).take_while(|byte| of_class(byte)).count()
}

/// The first thing that begins within a range, in runs of bytes of which each is inside such a thing: `find` looks at one
/// place. Nothing is shorter than `shortest`, so it has a byte at one of the places that far apart, and most of a text is
/// not looked at.
fn in_runs(
    text: &[u8],
    within: Range<usize>,
    shortest: usize,
    is_inside: impl Fn(&[u8], usize) -> bool,
    find: impl Fn(usize) -> Option<Found>,
) -> Option<Found> {
    let mut sample = within.start;
    while sample < text.len().min(within.end + shortest) {
        if !is_inside(text, sample) {
            sample += shortest - 1;
            continue;
        }
        let mut start = sample;
        while start > within.start && is_inside(text, start - 1) {
            start -= 1;
        }
        let mut end = sample;
        while is_inside(text, end) {
            end += 1;
        }
        if end - start >= shortest
            && let Some(found) = (start..end.min(within.end)).find_map(&find)
        {
            return Some(found);
        }
        sample = end + shortest - 1;
    }
    None
}

/// Where the last four characters of a number begin, whatever separates them.
fn last_four(text: &[u8], range: Range<usize>) -> usize {
    let characters = range.clone().rev().filter(|at| byte(text, *at).is_ascii_alphanumeric());
    characters.take(4).last().unwrap_or(range.end)
}
