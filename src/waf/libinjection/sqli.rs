//! SQL injection: fingerprints of a value in the contexts it may be put into.

mod fold;
mod lexer;
mod literals;
mod tables;
mod token;

use std::fmt;

use memchr::{memchr, memchr2, memmem};

use fold::{Folded, MAX_TOKENS};
use lexer::{Dialect, Lexer};
use tables::{TABLES, Tables};
use token::{Kind, Token};

/// What an attack looks like: the kinds of its first tokens, e.g. `s&1c` for `' or 1--`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    kinds: [u8; MAX_TOKENS],
    length: u8,
}

impl Fingerprint {
    const EVIL: Self = Self { kinds: [Kind::Evil as u8; MAX_TOKENS], length: 1 };

    fn of(tokens: &[Token]) -> Self {
        let mut kinds = [0; MAX_TOKENS];
        let mut length = 0;
        for (kind, token) in kinds.iter_mut().zip(tokens) {
            *kind = token.kind as u8;
            length += 1;
        }
        Self { kinds, length }
    }

    /// One to five letters and signs.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.kinds.get(..usize::from(self.length)).unwrap_or_default()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|kind| fmt::Write::write_char(out, char::from(*kind)))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Fingerprint({self})")
    }
}

/// The fingerprint of the attack that this value is, if it is one.
#[must_use]
pub fn is_sqli(value: &[u8]) -> Option<Fingerprint> {
    is_sqli_while(value, &mut || true)
}

/// As [`is_sqli`], which reads a value up to five times; before each of them `go_on` is asked. If it says no, nothing
/// more is found.
pub fn is_sqli_while(value: &[u8], go_on: &mut impl FnMut() -> bool) -> Option<Fingerprint> {
    let tables = &*TABLES;
    in_either_dialect(value, None, tables, go_on).or_else(|| {
        let quotes = value.get(memchr2(b'\'', b'"', value)?..)?;
        let single = memchr(b'\'', quotes).and_then(|_| in_either_dialect(value, Some(b'\''), tables, go_on));
        single.or_else(|| {
            // Only MySQL takes `"` for a quote.
            memchr(b'"', quotes).filter(|_| go_on())?;
            attack(&mut Lexer::new(value, Some(b'"'), Dialect::MySql, tables))
        })
    })
}

/// As ANSI SQL, and if MySQL would read it differently, as that.
fn in_either_dialect(
    value: &[u8],
    inside: Option<u8>,
    tables: &'static Tables,
    go_on: &mut impl FnMut() -> bool,
) -> Option<Fingerprint> {
    if !go_on() {
        return None;
    }
    let mut lexer = Lexer::new(value, inside, Dialect::Ansi, tables);
    attack(&mut lexer).or_else(|| {
        let differs = lexer.ambiguous && go_on();
        differs.then(|| attack(&mut Lexer::new(value, inside, Dialect::MySql, tables))).flatten()
    })
}

fn attack(lexer: &mut Lexer<'_>) -> Option<Fingerprint> {
    let mut folded = Folded::new();
    folded.read(lexer);
    if folded.tokens().len() > 2
        && let Some(last) = folded.last_mut()
    {
        // An open tick at the end is a comment to some versions of MySQL.
        if last.kind == Kind::Bareword && last.open == b'`' && last.close == 0 && last.length == 0 {
            last.kind = Kind::Comment;
        }
    }
    let tokens = folded.tokens();
    if tokens.iter().any(|token| token.kind == Kind::Evil) {
        return Some(Fingerprint::EVIL);
    }
    let fingerprint = Fingerprint::of(tokens);
    let known = lexer.tables.is_attack(fingerprint.as_bytes().iter().copied());
    (known && !is_harmless(tokens, lexer)).then_some(fingerprint)
}

/// Values that look like an attack and are what people write.
fn is_harmless(tokens: &[Token], lexer: &Lexer<'_>) -> bool {
    // The audit log of SQL Server leaves out statements that have this anywhere.
    let ends_in_comment = matches!(tokens, [_, .., last] if last.kind == Kind::Comment);
    if ends_in_comment && memmem::find(lexer.input, b"sp_password").is_some() {
        return false;
    }
    match *tokens {
        [first, second] => is_harmless_pair(first, second, lexer),
        [first, second, third] => is_harmless_triple(first, second, third, lexer),
        _ => false,
    }
}

fn is_harmless_pair(first: Token, second: Token, lexer: &Lexer<'_>) -> bool {
    if second.kind == Kind::Union {
        return lexer.count == 2;
    }
    let sign = lexer.text(second).first().copied();
    if sign == Some(b'#') {
        return true;
    }
    match (first.kind, second.kind) {
        (Kind::Bareword, Kind::Comment) if sign != Some(b'/') => true,
        (Kind::Number, Kind::Comment) if sign == Some(b'/') => false,
        // `1--`, `1 --` and `1/*`. As in the original, a space before the number makes it harmless.
        (Kind::Number, Kind::Comment) if lexer.count <= 2 => {
            let after = lexer.input.get(usize::from(first.length)..).unwrap_or_default();
            !matches!(after, [] | [0..=b' ' | 0x80.., ..] | [b'/', b'*', ..] | [b'-', b'-', ..])
        }
        (Kind::Number, Kind::Comment) => false,
        // `x-- and more` is prose.
        _ => second.length > 2 && sign == Some(b'-'),
    }
}

fn is_harmless_triple(first: Token, second: Token, third: Token, lexer: &Lexer<'_>) -> bool {
    match (first.kind, second.kind, third.kind) {
        // `…foo' + 'bar…` is the middle of an expression whose ends are elsewhere.
        (Kind::Text, Kind::Operator | Kind::Logic, Kind::Text) => {
            !(first.open == 0 && third.close == 0 && first.close == third.open)
        }
        (Kind::Text, Kind::Logic, Kind::Bareword)
        | (Kind::Bareword, Kind::Logic, Kind::Number)
        | (Kind::Number, Kind::Logic, Kind::Number | Kind::Variable | Kind::Text) => lexer.count == 3,
        // Only `INTO OUTFILE` and `INTO DUMPFILE`.
        (_, Kind::Keyword, _) => !matches!(
            lexer.text(second).split_at_checked(4),
            Some((into, [_, ..])) if into.eq_ignore_ascii_case(b"INTO")
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
