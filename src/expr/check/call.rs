//! Calls: how many arguments, and of which types.

use super::{Checked, Checker, Frame, Typed};
use crate::expr::ast::{Base, Literal, Node, NodeKind, Operand};
use crate::expr::error::Span;
use crate::expr::functions::{self, FUNCTIONS, Function, Signature};
use crate::expr::program::{Call, List, Quantifier, Split, Term, Test};
use crate::expr::scheme::{Field, Kind, Type};
use crate::values::nearest::suggestion;

/// Most parts that `split()` makes, as at Cloudflare.
const MAX_PARTS: i64 = 128;

impl<'s, F: Copy + PartialEq> Checker<'s, F> {
    pub(super) fn call(
        &mut self,
        name: &str,
        name_span: Span,
        whole: Span,
        arguments: &[Node<'s>],
    ) -> Checked<Typed<F>> {
        let Some(signature) = functions::find(name) else {
            let hint = suggestion(name, FUNCTIONS.iter().map(|signature| signature.name));
            return self.report(name_span, format!("unknown function \"{name}\"{hint}"));
        };
        if signature.function.is_test() {
            let test = self.test_call(signature, whole, arguments)?;
            return Ok(Typed::Term(Term::Test(Box::new(test)), Kind::Bool));
        }
        match (signature.function, arguments) {
            (Function::Split, [text, separator, limit]) => {
                let (text, separator) = (self.bytes(text), self.separator(separator));
                let limit = self.literal_number(limit, MAX_PARTS)?;
                let split = Split { text: text?, separator: separator?, limit: limit.into() };
                Ok(Typed::List(List::Split(Box::new(split)), Kind::Bytes))
            }
            (Function::Len, [one]) => {
                let call = match self.typed(one)? {
                    Typed::List(list, _) => Call::Count(list),
                    typed => {
                        let (found, kind) = self.single(typed, one.span)?;
                        Call::Length(self.kind(found, kind, Kind::Bytes, one.span)?)
                    }
                };
                Ok(Typed::Term(Term::Call(Box::new(call)), Kind::Int))
            }
            (Function::Cidr, [address, v4_bits, v6_bits]) => {
                let address = self.argument(address, Kind::Ip);
                let v4_bits = self.literal_number(v4_bits, 32);
                let v6_bits = self.literal_number(v6_bits, 128);
                let call = Call::Cidr { address: address?, v4_bits: v4_bits?, v6_bits: v6_bits? };
                Ok(Typed::Term(Term::Call(Box::new(call)), Kind::Ip))
            }
            _ => {
                let call = self.string_call(signature, whole, arguments)?;
                Ok(Typed::Term(Term::Call(Box::new(call)), Kind::Bytes))
            }
        }
    }

    /// Functions that yield a string.
    fn string_call(
        &mut self,
        signature: &Signature,
        whole: Span,
        arguments: &[Node<'s>],
    ) -> Checked<Call<F>> {
        Ok(match (signature.function, arguments) {
            (Function::Lower, [text]) => Call::Lower(self.bytes(text)?),
            (Function::Upper, [text]) => Call::Upper(self.bytes(text)?),
            (Function::UrlDecode, [text]) => Call::UrlDecode(self.bytes(text)?),
            (Function::ToString, [value]) => Call::ToString(self.value_of(value)?.0),
            (Function::Concat, values @ [_, ..]) => {
                let terms: Vec<_> = values.iter().map(|value| self.value_of(value)).collect();
                Call::Concat(terms.into_iter().map(|term| Ok(term?.0)).collect::<Checked<_>>()?)
            }
            (Function::Join, [array, separator]) => {
                let (array, separator) = (self.array_of(array), self.literal_text(separator));
                Call::Join(array?.0, separator?.into())
            }
            (Function::Substring, [text, start]) => {
                let (text, start) = (self.bytes(text), self.argument(start, Kind::Int));
                Call::Substring { text: text?, start: start?, end: None }
            }
            (Function::Substring, [text, start, end]) => {
                let (text, start) = (self.bytes(text), self.argument(start, Kind::Int));
                let end = self.argument(end, Kind::Int)?;
                Call::Substring { text: text?, start: start?, end: Some(end) }
            }
            (Function::RemoveQueryArgs, [query, names @ ..]) if !names.is_empty() => {
                let query = self.bytes(query);
                let names: Vec<_> = names.iter().map(|name| self.literal_text(name)).collect();
                let names = names.into_iter().map(|name| Ok(name?.into())).collect::<Checked<_>>()?;
                Call::RemoveQueryArgs { query: query?, names }
            }
            _ => return self.wrong_arguments(signature, whole),
        })
    }

    /// Functions that yield a boolean.
    fn test_call(&mut self, signature: &Signature, whole: Span, arguments: &[Node<'s>]) -> Checked<Test<F>> {
        match (signature.function, arguments) {
            (Function::Any, [condition]) => self.quantified(Quantifier::Any, whole, condition),
            (Function::All, [condition]) => self.quantified(Quantifier::All, whole, condition),
            (Function::StartsWith, [text, start]) => {
                let (text, start) = (self.bytes(text), self.bytes(start));
                Ok(Test::StartsWith { text: text?, start: start? })
            }
            (Function::EndsWith, [text, end]) => {
                let (text, end) = (self.bytes(text), self.bytes(end));
                Ok(Test::EndsWith { text: text?, end: end? })
            }
            (Function::Exists, [field]) => {
                let typed = self.typed(field)?;
                self.presence(typed, field.span)
            }
            (Function::HasKey, [map, key]) => {
                let Ok(key) = str::from_utf8(self.literal_text(key)?) else {
                    return self.report(key.span, "a key that is not UTF-8");
                };
                let typed = self.typed(map)?;
                let entry = self.key(typed, key, map.span, map.span)?;
                self.presence(entry, map.span)
            }
            (Function::HasValue, [array, value]) => {
                let (array, value) = (self.array_of(array), self.value_of(value));
                let ((array, many), (value, one)) = (array?, value?);
                self.meet(whole, one, many)?;
                Ok(Test::InArray { value, array })
            }
            _ => self.wrong_arguments(signature, whole),
        }
    }

    fn wrong_arguments<T>(&mut self, signature: &Signature, whole: Span) -> Checked<T> {
        self.report(whole, format!("wrong number of arguments, expected {}", signature.usage))
    }

    fn quantified(&mut self, quantifier: Quantifier, whole: Span, condition: &Node<'s>) -> Checked<Test<F>> {
        self.frames.push(Frame { unpacked: None, uses: 0 });
        let test = self.test(condition);
        let frame = self.frames.pop();
        let test = Box::new(test?);
        match frame.and_then(|frame| frame.unpacked) {
            Some((_, list, _)) => Ok(Test::Each { quantifier, list, test }),
            None => self.report(whole, "nothing is unpacked: expected an array with [*] behind it"),
        }
    }

    fn presence(&mut self, typed: Typed<F>, span: Span) -> Checked<Test<F>> {
        match typed {
            Typed::Term(Term::Read(read), _) => Ok(Test::HasValue(read)),
            Typed::List(List::Field { field, key, .. }, _) => Ok(Test::HasArray { field, key }),
            Typed::Map(Field { id, ty: Type::Map(..), .. }) => Ok(Test::HasArray { field: *id, key: None }),
            _ => self.report(span, "expected a field, an entry or an array"),
        }
    }

    fn bytes(&mut self, node: &Node<'s>) -> Checked<Term<F>> {
        self.argument(node, Kind::Bytes)
    }

    fn argument(&mut self, node: &Node<'s>, expected: Kind) -> Checked<Term<F>> {
        let (term, kind) = self.value_of(node)?;
        self.kind(term, kind, expected, node.span)
    }

    fn value_of(&mut self, node: &Node<'s>) -> Checked<(Term<F>, Kind)> {
        let typed = self.typed(node)?;
        self.single(typed, node.span)
    }

    fn array_of(&mut self, node: &Node<'s>) -> Checked<(List<F>, Kind)> {
        let typed = self.typed(node)?;
        self.array(typed, node.span)
    }

    /// The elements of an array or the values of a map.
    pub(super) fn array(&mut self, typed: Typed<F>, span: Span) -> Checked<(List<F>, Kind)> {
        match typed {
            Typed::Map(Field { id, ty: Type::Map(_, kind), .. }) => {
                Ok((List::Field { field: *id, key: None, label: span.of(self.source).into() }, *kind))
            }
            typed => self.many(typed, span),
        }
    }

    fn literal_text<'n>(&mut self, node: &'n Node<'s>) -> Checked<&'n [u8]> {
        match &node.kind {
            NodeKind::Operand(Operand { base: Base::Literal(Literal::Bytes(bytes)), .. }) => Ok(bytes),
            _ => self.report(node.span, "expected a string in quotes"),
        }
    }

    fn separator(&mut self, node: &Node<'s>) -> Checked<Box<[u8]>> {
        match self.literal_text(node)? {
            [] => self.report(node.span, "expected a separator, found an empty string"),
            separator => Ok(separator.into()),
        }
    }

    fn literal_number(&mut self, node: &Node<'s>, most: i64) -> Checked<u8> {
        let number = match &node.kind {
            NodeKind::Operand(Operand { base: Base::Literal(Literal::Int(number)), .. }) => *number,
            _ => 0,
        };
        match u8::try_from(number) {
            Ok(number @ 1..) if i64::from(number) <= most => Ok(number),
            _ => self.report(node.span, format!("expected a number from 1 to {most}")),
        }
    }
}

impl Function {
    /// Whether `[*]` behind a call unpacks its result.
    pub(super) const fn makes_array(self) -> bool {
        matches!(self, Self::Split)
    }

    const fn is_test(self) -> bool {
        matches!(
            self,
            Self::Any
                | Self::All
                | Self::EndsWith
                | Self::Exists
                | Self::HasKey
                | Self::HasValue
                | Self::StartsWith
        )
    }
}
