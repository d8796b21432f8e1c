//! Operands: names looked up in the scheme, and what stands in brackets behind them.

use super::{Checked, Checker, Frame, Typed};
use crate::expr::ast::{Access, AccessKind, Base, Literal, Operand};
use crate::expr::error::Span;
use crate::expr::program::{List, Place, Read, Step, Term};
use crate::expr::scheme::{Field, Keys, Kind, Type};
use crate::expr::{Scalar, functions};
use crate::values::nearest::nearest;

impl<'s, F: Copy + PartialEq> Checker<'s, F> {
    pub(super) fn operand(&mut self, operand: &Operand<'s>) -> Checked<Typed<F>> {
        let unpacked = matches!(operand.accesses.first(), Some(Access { kind: AccessKind::Unpack, .. }));
        let (mut typed, base) = match &operand.base {
            Base::Literal(literal) => (literal.typed(), operand.span),
            Base::Name(name, span) => (self.name(name, *span)?, *span),
            Base::Call { name, name_span, arguments } => {
                let before = self.uses();
                // What a split cuts is not the element that it makes: a `[*]` in its argument is the outer quantifier's.
                let makes_array = functions::find(name).is_some_and(|found| found.function.makes_array());
                let typed = match self.frames.pop_if(|_| makes_array && unpacked) {
                    Some(frame) => {
                        let typed = self.call(name, *name_span, operand.span, arguments);
                        self.frames.push(frame);
                        typed?
                    }
                    None => self.call(name, *name_span, operand.span, arguments)?,
                };
                // Cloudflare writes lower(ARRAY[*])[*]; the call is made for each element, and that is all there is.
                if unpacked && !makes_array && self.uses() > before {
                    return self.accesses(typed, operand.accesses.get(1..).unwrap_or_default(), operand.span);
                }
                (typed, *name_span)
            }
        };
        typed = self.accesses(typed, &operand.accesses, base)?;
        Ok(typed)
    }

    fn accesses(&mut self, mut typed: Typed<F>, accesses: &[Access], base: Span) -> Checked<Typed<F>> {
        for access in accesses {
            typed = self.access(typed, access, Span::new(base.start, access.span.end))?;
        }
        Ok(typed)
    }

    /// A field, or the entry of a map that is named behind a dot.
    fn name(&mut self, name: &'s str, span: Span) -> Checked<Typed<F>> {
        let scheme = self.context.scheme;
        if let Some(field) = scheme.find(name) {
            return self.field(field, span);
        }
        let dots = name.rmatch_indices('.').map(|(dot, _)| dot);
        let found = dots.filter_map(|dot| name.split_at_checked(dot)).find_map(|(map, keys)| {
            scheme.find(map).filter(|field| field.ty.has_keys()).map(|field| (field, keys))
        });
        let Some((field, keys)) = found else {
            let hint = scheme.nearest(name).map(|name| format!(", did you mean \"{name}\"?"));
            return self.report(span, format!("unknown field \"{name}\"{}", hint.unwrap_or_default()));
        };
        let keys = keys.get(1..).unwrap_or_default();
        if !field.ty.has_dotted_keys() || keys.split('.').any(str::is_empty) {
            // A field of a similar name is more likely meant than a key that nobody can write like this.
            let hint = scheme.nearest(name).filter(|near| *near != field.name);
            let hint = hint.map_or_else(|| format!("{}[\"{keys}\"]", field.name), str::to_owned);
            return self.report(span, format!("unknown field \"{name}\", did you mean {hint}?"));
        }
        let mut typed = self.field(field, span)?;
        for key in keys.split('.') {
            typed = self.key(typed, key, span, span)?;
        }
        Ok(typed)
    }

    fn field(&mut self, field: &'static Field<F>, span: Span) -> Checked<Typed<F>> {
        if field.known > self.context.phase {
            let message = format!("{} is known only {}", field.name, field.known);
            return self.report(span, message);
        }
        self.uses.push((field.id, span));
        let label = span.of(self.source).into();
        Ok(match field.ty {
            Type::One(kind) => read(Place::Field(field.id), kind, label),
            Type::Array(kind) => Typed::List(List::Field { field: field.id, key: None, label }, kind),
            Type::Map(..) | Type::ArrayMap(..) => Typed::Map(field),
        })
    }

    /// One step further. `whole` is the operand up to here.
    fn access(&mut self, typed: Typed<F>, access: &Access, whole: Span) -> Checked<Typed<F>> {
        match &access.kind {
            AccessKind::Key(key) => self.key(typed, key, access.span, whole),
            AccessKind::Index(index) => self.index(typed, *index, access.span, whole),
            AccessKind::Unpack => self.unpack(typed, access.span, whole),
        }
    }

    pub(super) fn key(&mut self, typed: Typed<F>, key: &str, at: Span, whole: Span) -> Checked<Typed<F>> {
        let label: Box<str> = whole.of(self.source).into();
        match typed {
            Typed::Map(field) if !self.can_have(field, key) => self.report(at, self.unknown_key(field, key)),
            Typed::Map(field) => match field.ty {
                Type::Map(keys, kind) => Ok(read(Place::Entry(field.id, keys.folded(key)), kind, label)),
                Type::ArrayMap(keys, kind) => {
                    Ok(Typed::List(List::Field { field: field.id, key: Some(keys.folded(key)), label }, kind))
                }
                Type::One(_) | Type::Array(_) => self.report(at, "no map"),
            },
            Typed::Term(Term::Read(mut read), Kind::Json) => {
                read.steps.push(Step::Key(key.into()));
                Ok(Typed::Term(Term::Read(Read { label, ..read }), Kind::Json))
            }
            typed => self.report(at, format!("{} has no keys", typed.described())),
        }
    }

    /// Whether an entry of a map can have this key.
    fn can_have(&self, map: &Field<F>, key: &str) -> bool {
        self.context.closed.is_none_or(|(closed, keys)| closed != map.id || keys.contains(&key))
    }

    fn unknown_key(&self, map: &Field<F>, key: &str) -> String {
        let (name, known) = (map.name, self.context.closed.map_or(&[][..], |(_, keys)| keys));
        match nearest(key, known.iter().copied()).or_else(|| known.first().copied()) {
            Some(near) => format!("{name} never has \"{key}\" here, did you mean \"{near}\"?"),
            None => format!("{name} never has \"{key}\" here, nor anything else"),
        }
    }

    fn index(&mut self, typed: Typed<F>, index: usize, at: Span, whole: Span) -> Checked<Typed<F>> {
        let label: Box<str> = whole.of(self.source).into();
        match typed {
            Typed::List(List::Field { field, key, .. }, kind) => {
                Ok(read(Place::Item(field, key, index), kind, label))
            }
            Typed::List(List::Split(split), kind) => Ok(read(Place::Piece(split, index), kind, label)),
            Typed::Term(Term::Read(mut read), Kind::Json) => {
                read.steps.push(Step::Index(index));
                Ok(Typed::Term(Term::Read(Read { label, ..read }), Kind::Json))
            }
            typed => self.report(at, format!("{} has no elements by number", typed.described())),
        }
    }

    fn unpack(&mut self, typed: Typed<F>, at: Span, whole: Span) -> Checked<Typed<F>> {
        let text = Span::new(whole.start, at.start);
        let (list, kind) = self.array(typed, text)?;
        let text = text.of(self.source);
        let Some(frame) = self.frames.last_mut() else {
            return self.report(at, "[*] stands within any() or all() only");
        };
        let (unpacked, _, kind) = frame.unpacked.get_or_insert((text, list, kind));
        if *unpacked != text {
            let message = format!("any() and all() unpack one array at a time, this one {unpacked}[*]");
            return self.report(at, message);
        }
        frame.uses += 1;
        Ok(read(Place::Element, *kind, whole.of(self.source).into()))
    }

    /// How often the element of the innermost quantifier was named so far.
    fn uses(&self) -> usize {
        self.frames.last().map_or(0, |frame: &Frame<'_, F>| frame.uses)
    }
}

fn read<F>(place: Place<F>, kind: Kind, label: Box<str>) -> Typed<F> {
    Typed::Term(Term::Read(Read { place, steps: Vec::new(), label }), kind)
}

impl Literal {
    pub(super) fn typed<F>(&self) -> Typed<F> {
        let (value, kind) = match self {
            Self::Bool(value) => (Scalar::Bool(*value), Kind::Bool),
            Self::Int(number) => (Scalar::Int(*number), Kind::Int),
            Self::Bytes(bytes) => (Scalar::from(bytes.clone()), Kind::Bytes),
            Self::Ip(address) => (Scalar::from(*address), Kind::Ip),
        };
        Typed::Term(Term::Literal(value), kind)
    }
}

impl Keys {
    /// A key as it is asked for.
    fn folded(self, key: &str) -> Box<str> {
        match self {
            Self::Folded => key.to_ascii_lowercase().into(),
            Self::Exact | Self::Dotted => key.into(),
        }
    }
}

impl Type {
    const fn has_keys(self) -> bool {
        matches!(self, Self::Map(..) | Self::ArrayMap(..) | Self::One(Kind::Json))
    }

    const fn has_dotted_keys(self) -> bool {
        matches!(self, Self::Map(Keys::Dotted, _) | Self::ArrayMap(Keys::Dotted, _) | Self::One(Kind::Json))
    }
}
