//! From bytes to directives: lines, comments, continuation, quotes.

/// A directive as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directive {
    /// The line it starts on, from 1.
    pub(super) line: u32,
    pub(super) name: String,
    /// Without their quotes.
    pub(super) arguments: Vec<Vec<u8>>,
}

/// All directives of a file, each with what is wrong about it, if anything is.
pub(super) fn directives(text: &[u8]) -> impl Iterator<Item = Result<Directive, (u32, String)>> {
    // What editors of Windows begin a file with.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    logical_lines(text).filter_map(|(line, text)| {
        let text = text.trim_ascii();
        if text.is_empty() || text.starts_with(b"#") {
            return None;
        }
        Some(directive(line, text).map_err(|what| (line, what)))
    })
}

/// Lines, with those that end in a backslash joined to the next. A comment goes on so, too, which is how rules are commented
/// out, but not over a directive: it would be gone without a word for a backslash in what is said above it.
fn logical_lines(text: &[u8]) -> impl Iterator<Item = (u32, Vec<u8>)> {
    let mut lines = text.split(|byte| *byte == b'\n').zip(1_u32..).peekable();
    std::iter::from_fn(move || {
        let (first, start) = lines.next()?;
        let mut whole = without_return(first).to_vec();
        let is_comment = whole.trim_ascii_start().starts_with(b"#");
        while whole.ends_with(b"\\") {
            whole.pop();
            let Some((next, _)) = lines.next_if(|(next, _)| !is_comment || !is_directive(next)) else {
                break;
            };
            whole.extend_from_slice(without_return(next));
        }
        Some((start, whole))
    })
}

fn is_directive(line: &[u8]) -> bool {
    let start = line.trim_ascii_start().to_ascii_lowercase();
    start.starts_with(b"sec") || start.starts_with(b"include")
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn directive(line: u32, text: &[u8]) -> Result<Directive, String> {
    let mut words = Words(text);
    let name = words.next().transpose()?.unwrap_or_default();
    let name = String::from_utf8(name).map_err(|_| "a directive's name is not text".to_owned())?;
    let arguments = words.collect::<Result<_, _>>()?;
    Ok(Directive { line, name, arguments })
}

/// Words between white space; one that starts with a quote goes to the next such quote without a backslash.
struct Words<'a>(&'a [u8]);

impl Iterator for Words<'_> {
    type Item = Result<Vec<u8>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0 = self.0.trim_ascii_start();
        let (&first, rest) = self.0.split_first()?;
        if !matches!(first, b'"' | b'\'') {
            let end = self.0.iter().position(u8::is_ascii_whitespace).unwrap_or(self.0.len());
            let (word, rest) = self.0.split_at(end);
            self.0 = rest;
            return Some(Ok(word.to_vec()));
        }
        Some(self.quoted(first, rest))
    }
}

impl Words<'_> {
    fn quoted(&mut self, quote: u8, text: &[u8]) -> Result<Vec<u8>, String> {
        let mut word = Vec::with_capacity(text.len().min(256));
        let mut bytes = text.iter().enumerate().peekable();
        while let Some((at, &byte)) = bytes.next() {
            match byte {
                _ if byte == quote => {
                    self.0 = self.0.get(at + 2..).unwrap_or_default();
                    return Ok(word);
                }
                b'\\' => match bytes.peek() {
                    Some((_, next)) if **next == quote => {
                        word.push(quote);
                        bytes.next();
                    }
                    // So that `\\"` is a backslash and the end. Both stay: the pattern wants them.
                    Some((_, b'\\')) => {
                        word.extend_from_slice(b"\\\\");
                        bytes.next();
                    }
                    _ => word.push(byte),
                },
                _ => word.push(byte),
            }
        }
        self.0 = &[];
        Err("a quote is not closed".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Result<Directive, (u32, String)>> {
        directives(text.as_bytes()).collect()
    }

    #[test]
    fn joins_continued_lines_and_keeps_the_first_lines_number() {
        let found =
            read("# a comment \\\nSecRule ARGS \\\n  \"@rx a\\\"b\" \\\r\n  \"id:1,\\\n pass\"\nSecMarker X");
        let [Ok(rule), Ok(marker)] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((rule.line, rule.name.as_str()), (2, "SecRule"));
        assert_eq!(rule.arguments, [&b"ARGS"[..], b"@rx a\"b", b"id:1, pass"]);
        assert_eq!((marker.line, &marker.arguments), (6, &vec![b"X".to_vec()]));
    }

    #[test]
    fn a_comment_goes_on_but_not_over_a_directive() {
        let found = read(
            "#SecRule ARGS \"@rx a\" \\\r\n  \"id:1,\\\r\n  chain\"\nSecMarker X\n# C:\\\n  SecMarker Y",
        );
        let [Ok(first), Ok(second)] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((first.line, second.line), (4, 6));
    }

    #[test]
    fn a_file_may_begin_with_a_mark_of_its_byte_order() {
        let found = read("\u{feff}SecMarker X\r\n");
        let [Ok(marker)] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((marker.name.as_str(), &marker.arguments), ("SecMarker", &vec![b"X".to_vec()]));
    }

    #[test]
    fn tells_the_line_of_a_quote_that_is_not_closed() {
        assert_eq!(read("\nSecRule ARGS \"@rx a"), [Err((2, "a quote is not closed".to_owned()))]);
    }

    #[test]
    fn reads_an_escaped_backslash_before_a_closing_quote() {
        let found = read(r#"SecRule ARGS "@rx \\" "id:1""#);
        let [Ok(rule)] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(rule.arguments, [&b"ARGS"[..], br"@rx \\", b"id:1"]);
    }
}
