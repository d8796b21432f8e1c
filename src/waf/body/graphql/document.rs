//! Whether a text is a GraphQL document, by the letter of the grammar (spec of October 2021, sections 2.2 to 2.12).
//!
//! A document is braces, names and literals: rules against injection take that for what shells and databases read. Who
//! knows that it is one looks at its strings and comments instead, the only places where a client may write what it likes.

/// Selections, lists and objects within each other.
const DEEPEST: usize = 64;

/// Whether `text` is a document of operations and fragments.
#[must_use]
pub fn is_document(text: &[u8]) -> bool {
    let mut reader = Reader { rest: text, depth: 0 };
    reader.skip();
    reader.document().is_some() && reader.rest.is_empty()
}

/// Reads one part of the grammar after the other. `None` is: this is no document.
struct Reader<'t> {
    rest: &'t [u8],
    depth: usize,
}

type Read = Option<()>;

impl<'t> Reader<'t> {
    /// White space, commas and comments.
    fn skip(&mut self) {
        loop {
            let ignored = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',');
            let start = self.rest.iter().position(|byte| !ignored(byte)).unwrap_or(self.rest.len());
            self.advance(start);
            match self.rest {
                [b'#', ..] => {
                    self.advance(memchr::memchr2(b'\n', b'\r', self.rest).unwrap_or(self.rest.len()));
                }
                [0xef, 0xbb, 0xbf, ..] => self.advance(3),
                _ => return,
            }
        }
    }

    fn advance(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn is_at(&self, punctuator: &[u8]) -> bool {
        self.rest.starts_with(punctuator)
    }

    /// Takes a punctuator if it is next.
    fn take(&mut self, punctuator: &[u8]) -> bool {
        let found = self.is_at(punctuator);
        if found {
            self.advance(punctuator.len());
            self.skip();
        }
        found
    }

    fn expect(&mut self, punctuator: &[u8]) -> Read {
        self.take(punctuator).then_some(())
    }

    fn name(&mut self) -> Option<&'t [u8]> {
        let is_letter = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
        let first = self.rest.first().filter(|byte| is_letter(byte));
        first?;
        let end = self.rest.iter().position(|byte| !is_letter(byte) && !byte.is_ascii_digit());
        let (name, _) = self.rest.split_at_checked(end.unwrap_or(self.rest.len()))?;
        self.advance(name.len());
        self.skip();
        Some(name)
    }

    fn at_name(&self) -> bool {
        self.rest.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
    }

    /// Something within brackets, not too deep.
    fn within(&mut self, open: &[u8], close: &[u8], part: fn(&mut Self) -> Read) -> Read {
        self.expect(open)?;
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        while !self.take(close) {
            part(self)?;
        }
        self.depth -= 1;
        Some(())
    }

    fn document(&mut self) -> Read {
        self.definition()?;
        while !self.rest.is_empty() {
            self.definition()?;
        }
        Some(())
    }

    fn definition(&mut self) -> Read {
        if self.is_at(b"{") {
            return self.selections();
        }
        match self.name()? {
            b"query" | b"mutation" | b"subscription" => {
                if self.at_name() {
                    self.name()?;
                }
                if self.is_at(b"(") {
                    self.within(b"(", b")", Self::variable)?;
                }
            }
            b"fragment" => {
                self.name().filter(|name| *name != b"on")?;
                self.name().filter(|name| *name == b"on")?;
                self.name()?;
            }
            _ => return None,
        }
        self.directives()?;
        self.selections()
    }

    fn selections(&mut self) -> Read {
        // There is one at least.
        let empty = self.rest.get(1..).is_some_and(|rest| {
            let mut inner = Reader { rest, depth: 0 };
            inner.skip();
            inner.is_at(b"}")
        });
        if empty { None } else { self.within(b"{", b"}", Self::selection) }
    }

    fn selection(&mut self) -> Read {
        if self.take(b"...") {
            return self.fragment();
        }
        self.name()?;
        if self.take(b":") {
            self.name()?;
        }
        if self.is_at(b"(") {
            self.within(b"(", b")", Self::argument)?;
        }
        self.directives()?;
        if self.is_at(b"{") { self.selections() } else { Some(()) }
    }

    /// What comes after three dots.
    fn fragment(&mut self) -> Read {
        if self.at_name() && self.name()? != b"on" {
            return self.directives();
        }
        if self.at_name() {
            self.name()?;
        }
        self.directives()?;
        self.selections()
    }

    fn directives(&mut self) -> Read {
        while self.take(b"@") {
            self.name()?;
            if self.is_at(b"(") {
                self.within(b"(", b")", Self::argument)?;
            }
        }
        Some(())
    }

    fn argument(&mut self) -> Read {
        self.name()?;
        self.expect(b":")?;
        self.value()
    }

    fn variable(&mut self) -> Read {
        self.expect(b"$")?;
        self.name()?;
        self.expect(b":")?;
        self.type_of()?;
        if self.take(b"=") {
            self.value()?;
        }
        self.directives()
    }

    fn type_of(&mut self) -> Read {
        let mut lists = 0;
        while self.take(b"[") {
            lists += 1;
        }
        self.name()?;
        self.take(b"!");
        for _ in 0..lists {
            self.expect(b"]")?;
            self.take(b"!");
        }
        Some(())
    }

    fn value(&mut self) -> Read {
        match self.rest.first()? {
            b'$' => {
                self.take(b"$");
                self.name().map(drop)
            }
            b'[' => self.within(b"[", b"]", Self::value),
            b'{' => self.within(b"{", b"}", Self::argument),
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.number(),
            _ => self.name().map(drop),
        }
    }

    fn number(&mut self) -> Read {
        let end =
            self.rest.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
        let (number, after) = self.rest.split_at_checked(end.unwrap_or(self.rest.len()))?;
        // As in JSON, and with nothing that could be read as a name right behind it.
        let is_number = serde_json::from_slice::<serde_json::Number>(number).is_ok();
        let is_apart = !after.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
        self.advance(number.len());
        self.skip();
        (is_number && is_apart).then_some(())
    }

    fn string(&mut self) -> Read {
        let block = self.is_at(b"\"\"\"");
        self.advance(if block { 3 } else { 1 });
        loop {
            self.advance(memchr::memchr3(b'"', b'\\', b'\n', self.rest).unwrap_or(self.rest.len()));
            match self.rest {
                [b'"', b'"', b'"', ..] if block => {
                    self.advance(3);
                    break;
                }
                [b'"', ..] if !block => {
                    self.advance(1);
                    break;
                }
                [b'\\', b'"', b'"', b'"', ..] if block => self.advance(4),
                [b'\\', _, ..] if !block => self.advance(2),
                [_, ..] if block => self.advance(1),
                _ => return None,
            }
        }
        self.skip();
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_known() {
        for document in [
            "{a}",
            "{ user(id: 4) { name friends(first: 10) { edges { node { name } } } } }",
            "query Q($id: ID! = \"a\", $ids: [[Int!]]!) @live { a: user(id: $id, tags: [\"x\", RED, null, -1.5e3]) { ...F ... on U { b } ... @include(if: true) { c } } }",
            "fragment F on User @d { name } mutation { add(input: { name: \"O'Brien\", n: 1 }) { id } }",
            "# ' OR 1=1\n{ a(b: \"\"\"x \\\"\"\" \"y\" \"\"\") }",
            "subscription,S{a}",
        ] {
            assert!(is_document(document.as_bytes()), "{document}");
        }
    }

    #[test]
    fn what_shells_and_databases_read_is_no_document() {
        for text in [
            "",
            "{}",
            "{ }",
            "union select password from users",
            "query",
            "query { a } ' OR '1'='1",
            "{a} -- ",
            "{a};drop table users",
            "{cat,/etc/passwd}",
            "{a(b: 'x')}",
            "{a(b: 1=1)}",
            "{a(b: \"x)}",
            "{a(b: \"x\ny\")}",
            "{a(b: 1e)}",
            "{a(b: 0x1f)}",
            "{a(b: 1 union)}",
            "{{config}}",
            "${jndi:ldap://a}",
            "{a <script>}",
            "{a `id`}",
            "{a $(id)}",
            "fragment on on on { a }",
            "{ ... }",
        ] {
            assert!(!is_document(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn depth_is_bounded_and_time_is_linear() {
        let nested = |depth: usize| format!("{}a{}", "{a".repeat(depth), "}".repeat(depth));
        assert!(is_document(nested(DEEPEST).as_bytes()));
        assert!(!is_document(nested(DEEPEST + 1).as_bytes()));
        for text in
            ["{a".repeat(200_000), "[".repeat(400_000), "\"\\\"".repeat(200_000), ", #".repeat(200_000)]
        {
            let began = std::time::Instant::now();
            assert!(!is_document(text.as_bytes()));
            assert!(!is_document(format!("{{a(b:{text}").as_bytes()));
            assert!(began.elapsed().as_secs() < 3);
        }
    }
}
