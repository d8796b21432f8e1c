//! What a doc comment of a key tells in fixed words: `Default: …` and `Example: …` (or `e.g. …`), with the value in
//! backticks as it is written in a policy.

use serde_json::Value;

use crate::config::Document;

/// A doc comment, taken apart.
pub(super) struct Notes<'a> {
    text: &'a str,
}

/// The words that begin a sentence about the default, and those that begin an example.
const DEFAULT: &str = "Default";
const EXAMPLES: [&str; 2] = ["Example: ", "e.g. "];

impl<'a> Notes<'a> {
    pub(super) const fn of(text: &'a str) -> Self {
        Self { text }
    }

    /// The sentence about the default without its first word, and the rest of the text around it.
    pub(super) fn default_words(&self) -> Option<(&'a str, String)> {
        let at = self.text.match_indices(DEFAULT).map(|(at, _)| at).find(|at| {
            let before = self.text.get(..*at).unwrap_or_default();
            before.is_empty() || before.ends_with([' ', '\n'])
        })?;
        let (before, sentence) = self.text.split_at_checked(at)?;
        let (sentence, after) = sentence.split_at_checked(sentence_end(sentence))?;
        let words = sentence.strip_prefix(DEFAULT)?.trim_start_matches(':').trim().trim_end_matches('.');
        Some((words, format!("{}{}", before.trim_end(), after)))
    }

    /// The default, where its sentence is nothing but a value, or where a value is marked as `value` (default).
    pub(super) fn default_value(&self) -> Option<Value> {
        let Some((words, _)) = self.default_words() else { return value(self.marked_default()?) };
        match words.strip_prefix('`').and_then(|words| words.strip_suffix('`')) {
            Some(written) => value(written),
            None => words.parse::<u64>().ok().map(Value::from),
        }
    }

    /// The value before `(default)`, as it is written.
    pub(super) fn marked_default(&self) -> Option<&'a str> {
        let (before, _) = self.text.split_once("` (default")?;
        before.rsplit('`').next()
    }

    /// Every example that is a value.
    pub(super) fn examples(&self) -> Vec<Value> {
        let starts = EXAMPLES.iter().flat_map(|words| self.text.match_indices(words));
        let written = starts.filter_map(|(at, words)| {
            let rest = self.text.get(at + words.len()..)?.strip_prefix('`')?;
            rest.split_once('`').map(|(written, _)| written)
        });
        written.filter_map(value).collect()
    }
}

/// Where the first sentence ends: behind a period that is followed by white space, outside backticks and parentheses.
fn sentence_end(text: &str) -> usize {
    let (mut quoted, mut depth) = (false, 0_i32);
    for (at, character) in text.char_indices() {
        let end = at + character.len_utf8();
        match character {
            '`' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            '.' if !quoted && depth == 0 => {
                let next = text.get(end..).and_then(|rest| rest.chars().next());
                if next.is_none_or(char::is_whitespace) {
                    return end;
                }
            }
            _ => {}
        }
    }
    text.len()
}

/// A value as a policy writes it. `…` stands for something left out, so it is no value.
fn value(written: &str) -> Option<Value> {
    if written.contains('…') {
        return None;
    }
    Document::parse("example", written.as_bytes()).ok().map(|document| document.root().tree().to_json())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_is_told_in_words_and_as_a_value() {
        let notes = Notes::of("How long. Default `10s`. Not for ever.");
        assert_eq!(notes.default_words(), Some(("`10s`", "How long. Not for ever.".to_owned())));
        assert_eq!(notes.default_value(), Some("10s".into()));
        let notes = Notes::of("Tries.\nDefault: one for each core (see `man 7 cpuset`. Really), at most 8.");
        assert_eq!(
            notes.default_words(),
            Some(("one for each core (see `man 7 cpuset`. Really), at most 8", "Tries.".to_owned()))
        );
        assert_eq!(notes.default_value(), None);
    }

    #[test]
    fn a_default_may_be_marked_among_the_choices() {
        let notes = Notes::of("`json`, `off` (default; none) or `text`.");
        assert_eq!((notes.marked_default(), notes.default_value()), (Some("off"), Some("off".into())));
        assert_eq!(Notes::of("Tries. Default 3.").default_value(), Some(3.into()));
        assert_eq!(Notes::of("Tries. Default 3, at most 10.").default_value(), None);
    }

    #[test]
    fn a_text_without_the_word_tells_no_default() {
        for text in ["", "The Defaulting party.", "By default: `1`.", "xDefault `1`."] {
            let value = Notes::of(text).default_value();
            assert_eq!(value, None, "{text}");
        }
    }

    #[test]
    fn examples_are_values_as_a_policy_writes_them() {
        let notes =
            Notes::of("Networks, e.g. `10.0.0.0/8`. Example: `[10.0.0.0/8, \"::1\"]`. e.g. `{ a: … }`");
        assert_eq!(
            notes.examples(),
            [serde_json::json!(["10.0.0.0/8", "::1"]), serde_json::json!("10.0.0.0/8")]
        );
    }
}
