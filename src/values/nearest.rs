//! The right name that a wrong one was most likely meant to be.
//!
//! Names are compared without regard to case and to how words are joined.

/// Names longer than this are not compared with others: no name of ours comes near it.
const LONGEST_NAME: usize = 64;

/// The name that `found` is most likely meant to be; `None` if it is too far from all of them.
pub fn nearest<'a>(found: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if found.len() > LONGEST_NAME {
        return None;
    }
    let found = folded(found);
    names
        .into_iter()
        .map(|name| (distance(&found, &folded(name)), name))
        .filter(|(distance, name)| {
            *distance <= (found.len().max(name.len()) / 3).max(1) && *distance < found.len()
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `, did you mean "…"?` or nothing: what follows the wrong name in a message.
pub fn suggestion<'a>(found: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    nearest(found, names).map(|name| format!(", did you mean \"{name}\"?")).unwrap_or_default()
}

/// Lower case, and one way to join words: `rateLimit` still differs from `rate_limit`, by the one character it lacks.
fn folded(name: &str) -> Vec<char> {
    name.chars()
        .flat_map(char::to_lowercase)
        .map(|character| if character == '-' { '_' } else { character })
        .collect()
}

/// Fewest insertions, deletions, replacements and swaps of neighbours that turn one into the other (Damerau
/// 1964, in the form that edits no part twice).
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (row, from_character) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, to_character) in to.iter().enumerate() {
            let replaced = last[column] + usize::from(from_character != to_character);
            let mut fewest = replaced.min(last[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && *from_character == to[column - 1] && from[row - 1] == *to_character {
                fewest = fewest.min(before_last[column - 1] + 1);
            }
            current.push(fewest);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 5] = ["limit", "burst", "key", "rate_limit", "p2c_ewma"];

    #[test]
    fn finds_the_name_a_slip_was_meant_to_be() {
        for (slip, meant) in [
            ("brust", Some("burst")),
            ("limt", Some("limit")),
            ("limits", Some("limit")),
            ("keey", Some("key")),
            ("rate-limit", Some("rate_limit")),
            ("rateLimit", Some("rate_limit")),
            ("RATE_LIMIT", Some("rate_limit")),
            ("p2c", None),
        ] {
            assert_eq!(nearest(slip, KEYS), meant, "{slip}");
        }
    }

    #[test]
    fn suggests_nothing_far_away() {
        for word in ["timeout", "x", "", "abc", &"k".repeat(1000)] {
            assert_eq!(nearest(word, KEYS), None, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(65), ["x"]), None);
    }

    #[test]
    fn finds_names_with_dots_and_says_so() {
        let names = ["http.request.method", "http.request.uri", "ip.src", "ssl"];
        assert_eq!(nearest("http.request.metod", names), Some("http.request.method"));
        assert_eq!(nearest("IP.SRC", names), Some("ip.src"));
        assert_eq!(nearest("http.request.url", names), Some("http.request.uri"));
        assert_eq!(nearest("pi.src", names), Some("ip.src"));
        assert_eq!(suggestion("sssl", names), ", did you mean \"ssl\"?");
        assert_eq!(suggestion("colour", names), "");
    }

    #[test]
    fn counts_each_edit_once() {
        let letters = |text: &str| text.chars().collect::<Vec<_>>();
        for (from, to, edits) in [
            ("", "", 0),
            ("a", "", 1),
            ("ab", "ba", 1),
            ("kitten", "sitting", 3),
            ("brust", "burst", 1),
            ("ca", "abc", 3),
        ] {
            assert_eq!(distance(&letters(from), &letters(to)), edits, "{from} {to}");
            assert_eq!(distance(&letters(to), &letters(from)), edits, "{to} {from}");
        }
    }
}
