//! What the request and its response say: names and values as ranges of a few buffers.
//!
//! Values only come, they never change, so that what the prefilter found of them stays true.

use crate::values::digits;
use crate::waf::body::{self, Arena, Item, Text};
use crate::waf::ir::Variable;

/// Which buffer a range is of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Source {
    /// Lines, heads and whatever else is short.
    #[default]
    Head,
    RequestBody,
    ResponseBody,
    Arena,
}

/// A range of a buffer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    source: Source,
    start: u32,
    end: u32,
}

impl Span {
    /// From here to the end of `last`, which is of the same buffer.
    pub(super) fn to(self, last: Self) -> Self {
        Self { end: last.end, ..self }
    }

    pub(super) const fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }
}

/// Where a named value belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    ArgGet,
    ArgPost,
    RequestHeader,
    RequestCookie,
    ResponseHeader,
    File,
    FileSize,
    FileContent,
    PartHeader,
    PartName,
    PartFilename,
    XmlText,
    XmlAttribute,
}

/// How many there are.
pub(super) const BASES: usize = 13;

#[derive(Debug, Clone, Copy)]
pub(super) struct Named {
    pub(super) base: Base,
    pub(super) name: Span,
    pub(super) value: Span,
}

/// One value that a rule may look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueRef {
    /// A variable without members.
    Single(Variable),
    /// A member's value.
    Value(u32),
    /// A member's name, as the value of `ARGS_NAMES` and the like.
    Name(u32),
}

/// All of them.
#[derive(Debug)]
pub(super) struct Values {
    head: Vec<u8>,
    pub(super) request_body: Vec<u8>,
    pub(super) response_body: Vec<u8>,
    arena: Arena,
    named: Vec<Named>,
    by_base: [Vec<u32>; BASES],
    singles: Vec<Option<Span>>,
}

/// Memory kept of each buffer between requests.
const KEPT_BYTES: usize = 256 << 10;

impl Default for Values {
    fn default() -> Self {
        Self {
            head: Vec::new(),
            request_body: Vec::new(),
            response_body: Vec::new(),
            arena: Arena::default(),
            named: Vec::new(),
            by_base: [const { Vec::new() }; BASES],
            singles: vec![None; Variable::ALL.len()],
        }
    }
}

fn length(buffer: &[u8]) -> u32 {
    u32::try_from(buffer.len()).unwrap_or(u32::MAX)
}

impl Values {
    pub(super) fn clear(&mut self) {
        for buffer in [&mut self.head, &mut self.request_body, &mut self.response_body] {
            buffer.clear();
            buffer.shrink_to(KEPT_BYTES);
        }
        self.arena.clear(KEPT_BYTES);
        self.named.clear();
        self.named.shrink_to(KEPT_BYTES / size_of::<Named>());
        for list in &mut self.by_base {
            list.clear();
        }
        self.singles.fill(None);
    }

    /// Copies text to where it stays.
    pub(super) fn keep(&mut self, text: &[u8]) -> Span {
        self.keep_written(|head| head.extend_from_slice(text))
    }

    /// Keeps what is appended.
    pub(super) fn keep_written(&mut self, append: impl FnOnce(&mut Vec<u8>)) -> Span {
        let start = length(&self.head);
        append(&mut self.head);
        Span { source: Source::Head, start, end: length(&self.head) }
    }

    /// All of a body.
    pub(super) fn whole(&self, source: Source) -> Span {
        let end = match source {
            Source::Head => length(&self.head),
            Source::RequestBody => length(&self.request_body),
            Source::ResponseBody => length(&self.response_body),
            Source::Arena => u32::try_from(self.arena.len()).unwrap_or(u32::MAX),
        };
        Span { source, start: 0, end }
    }

    /// A part of a range, from and to bytes within it.
    pub(super) fn part(span: Span, from: usize, to: usize) -> Span {
        let at = |offset: usize| {
            span.start.saturating_add(u32::try_from(offset).unwrap_or(u32::MAX)).min(span.end)
        };
        Span { source: span.source, start: at(from), end: at(to) }
    }

    pub(super) fn text(&self, span: Span) -> &[u8] {
        let buffer = match span.source {
            Source::Head => self.head.as_slice(),
            Source::RequestBody => &self.request_body,
            Source::ResponseBody => &self.response_body,
            Source::Arena => return self.arena.text(&[], Text::Arena(span.start, span.end)),
        };
        buffer.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    pub(super) fn set(&mut self, variable: Variable, span: Span) {
        if let Some(single) = self.singles.get_mut(variable as usize) {
            *single = Some(span);
        }
    }

    pub(super) fn set_text(&mut self, variable: Variable, text: &[u8]) {
        let span = self.keep(text);
        self.set(variable, span);
    }

    pub(super) fn set_number(&mut self, variable: Variable, number: usize) {
        let digits = self.keep_written(|head| digits::push(head, number as u64));
        self.set(variable, digits);
    }

    pub(super) fn single(&self, variable: Variable) -> Option<Span> {
        self.singles.get(variable as usize).copied().flatten()
    }

    pub(super) fn add(&mut self, base: Base, name: Span, value: Span) {
        add(&mut self.named, &mut self.by_base, Named { base, name, value });
    }

    pub(super) fn len(&self) -> usize {
        self.named.len()
    }

    pub(super) fn named(&self, at: u32) -> Option<&Named> {
        self.named.get(at as usize)
    }

    /// Those from this place on.
    pub(super) fn from(&self, first: usize) -> impl Iterator<Item = Named> {
        self.named.get(first..).unwrap_or_default().iter().copied()
    }

    /// Leaves nothing of a value but its name.
    pub(super) fn blank(&mut self, at: usize) {
        if let Some(named) = self.named.get_mut(at) {
            named.value.end = named.value.start;
        }
    }

    pub(super) fn of(&self, base: Base) -> &[u32] {
        self.by_base.get(base as usize).map_or(&[], Vec::as_slice)
    }

    /// The value, if it is there.
    pub(super) fn value(&self, at: ValueRef) -> Option<&[u8]> {
        let span = match at {
            ValueRef::Single(variable) => self.single(variable)?,
            ValueRef::Value(at) => self.named(at)?.value,
            ValueRef::Name(at) => self.named(at)?.name,
        };
        Some(self.text(span))
    }

    /// The name of the member that the value is, or is of.
    pub(super) fn name(&self, at: ValueRef) -> &[u8] {
        match at {
            ValueRef::Single(_) => b"",
            ValueRef::Value(at) | ValueRef::Name(at) => {
                self.named(at).map_or(b"", |named| self.text(named.name))
            }
        }
    }

    /// Runs a parser of `span`, whose items become values. `base` tells which they are.
    pub(super) fn parse<R>(
        &mut self,
        span: Span,
        base: impl Fn(body::Kind) -> Option<Base>,
        parser: impl FnOnce(&[u8], &mut Arena, &mut dyn FnMut(Item)) -> R,
    ) -> R {
        let Self { head, request_body, arena, named, by_base, .. } = self;
        let buffer = match span.source {
            Source::Head => head.as_slice(),
            Source::RequestBody => request_body,
            Source::ResponseBody | Source::Arena => &[],
        };
        let input = buffer.get(span.start as usize..span.end as usize).unwrap_or_default();
        let place = |text: Text| match text {
            Text::Input(start, end) => Span {
                source: span.source,
                start: span.start.saturating_add(start),
                end: span.start.saturating_add(end),
            },
            Text::Arena(start, end) => Span { source: Source::Arena, start, end },
        };
        let mut sink = |item: Item| {
            let Some(base) = base(item.kind) else { return };
            add(named, by_base, Named { base, name: place(item.name), value: place(item.value) });
        };
        parser(input, arena, &mut sink)
    }
}

fn add(all: &mut Vec<Named>, by_base: &mut [Vec<u32>; BASES], named: Named) {
    let at = u32::try_from(all.len()).unwrap_or(u32::MAX);
    all.push(named);
    if let Some(list) = by_base.get_mut(named.base as usize) {
        list.push(at);
    }
}
