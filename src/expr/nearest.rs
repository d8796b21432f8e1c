//! The right name that a wrong one was most likely meant to be.

/// Names longer than this are not compared with others: no name of ours comes near it.
const LONGEST_NAME: usize = 64;

/// The name that `found` is most likely meant to be; `None` if it is too far from all of them.
pub(super) fn nearest<'a>(found: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
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
pub(super) fn suggestion<'a>(found: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    nearest(found, names).map(|name| format!(", did you mean \"{name}\"?")).unwrap_or_default()
}

/// Lower case, and one way to join words.
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

    #[test]
    fn names_the_nearest_and_nothing_far_away() {
        let names = ["http.request.method", "http.request.uri", "ip.src", "ssl"];
        assert_eq!(nearest("http.request.metod", names), Some("http.request.method"));
        assert_eq!(nearest("IP.SRC", names), Some("ip.src"));
        assert_eq!(nearest("http.request.url", names), Some("http.request.uri"));
        assert_eq!(nearest("pi.src", names), Some("ip.src"));
        assert_eq!(nearest("colour", names), None);
        assert_eq!(nearest(&"x".repeat(65), names), None);
        assert_eq!(suggestion("sssl", names), ", did you mean \"ssl\"?");
        assert_eq!(suggestion("colour", names), "");
    }
}
