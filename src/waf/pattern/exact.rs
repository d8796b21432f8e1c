//! Patterns that no automaton knows: with references to what a group found, with lookaround within, or with parts that
//! give nothing back.
//!
//! An automaton finds the texts that such a pattern may match: those in which it matches if a reference is anything, nobody
//! looks around, and all is given back. These are searched by backtracking, which may take forever; so each step is paid
//! for, and a text that asks for too much of it is one for which the rules had no time, as is one that goes too deep.

use regex_syntax::hir::{Capture, Class, Hir, HirKind, Look, Repetition};

use super::{GROUPS, Groups, Untranslatable};
use crate::waf::meter::Meter;
use crate::waf::transform::ByteSet;

/// What a step may take.
const STEP_NS: usize = 40;
/// Steps within each other. They are on the stack.
const DEPTH: usize = 600;
/// Ends of lookbehinds that are tried.
const LENGTHS: usize = 16;

/// What a group stands for that the syntax tree has no kind for. Its name says so, and no group of a rule has a name.
pub(super) enum Special {
    Reference(usize),
    Around { behind: bool, negative: bool },
    Atomic,
}

impl Special {
    /// A name that no other group of the pattern has.
    pub(super) fn name(&self, unique: usize) -> String {
        match self {
            Self::Reference(group) => format!("r{group}_{unique}"),
            Self::Atomic => format!("o_{unique}"),
            Self::Around { behind, negative } => {
                format!("{}{}_{unique}", if *behind { "b" } else { "a" }, if *negative { "n" } else { "p" })
            }
        }
    }

    fn of(capture: &Capture) -> Option<Self> {
        let name = capture.name.as_deref()?;
        let (kind, _) = name.split_once('_')?;
        Some(match kind.strip_prefix('r') {
            Some(group) => Self::Reference(group.parse().ok()?),
            None if kind == "o" => Self::Atomic,
            None => Self::Around { behind: kind.starts_with('b'), negative: kind.ends_with('n') },
        })
    }
}

/// The same without what is special, which matches all that the pattern matches, and perhaps more; and whether anything
/// was. `groups` counts those that stay.
pub(super) fn approximated(hir: &Hir, groups: &mut u32) -> (Hir, bool) {
    let mut special = false;
    let mut each = |sub: &Hir, groups: &mut u32| {
        let (sub, is_special) = approximated(sub, groups);
        special |= is_special;
        sub
    };
    let hir = match hir.kind() {
        HirKind::Capture(capture) => match Special::of(capture) {
            Some(Special::Reference(_)) => return (anything(), true),
            Some(Special::Around { .. }) => return (Hir::empty(), true),
            Some(Special::Atomic) => return (approximated(&capture.sub, groups).0, true),
            None => {
                *groups += 1;
                let index = *groups;
                let sub = Box::new(each(&capture.sub, groups));
                Hir::capture(Capture { index, name: None, sub })
            }
        },
        HirKind::Repetition(repeated) => {
            let sub = Box::new(each(&repeated.sub, groups));
            Hir::repetition(Repetition { sub, ..repeated.clone() })
        }
        HirKind::Concat(list) => Hir::concat(list.iter().map(|sub| each(sub, groups)).collect()),
        HirKind::Alternation(list) => Hir::alternation(list.iter().map(|sub| each(sub, groups)).collect()),
        _ => hir.clone(),
    };
    (hir, special)
}

fn anything() -> Hir {
    let sub = Box::new(Hir::dot(regex_syntax::hir::Dot::AnyByte));
    Hir::repetition(Repetition { min: 0, max: None, greedy: true, sub })
}

/// A pattern to search by backtracking.
#[derive(Debug)]
pub(super) struct Exact {
    root: Node,
    /// Whether what a group found may stand elsewhere in other case.
    ignores_case: bool,
}

#[derive(Debug)]
enum Node {
    Literal(Box<[u8]>),
    OneOf(ByteSet),
    Look(Look),
    Repeat {
        least: usize,
        most: usize,
        greedy: bool,
        node: Box<Self>,
    },
    Group(usize, Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
    Reference(usize),
    Atomic(Box<Self>),
    Ahead {
        negative: bool,
        node: Box<Self>,
    },
    /// With how long what is looked for may be.
    Behind {
        negative: bool,
        node: Box<Self>,
        lengths: Vec<usize>,
    },
}

impl Exact {
    /// Of a syntax tree with special groups.
    ///
    /// # Errors
    /// A reference to a group that is not there; a look behind that may be of any length.
    pub(super) fn new(hir: &Hir, ignores_case: bool) -> Result<Self, Untranslatable> {
        let mut groups = 0;
        let root = Node::of(hir, &mut groups)?;
        match root.highest_reference() {
            highest if highest > groups => {
                Err(Untranslatable::Wrong(format!("there is no group {highest} to refer to")))
            }
            _ => Ok(Self { root, ignores_case }),
        }
    }

    /// The leftmost match from `from` on, as backtracking finds it.
    pub(super) fn search(&self, meter: &mut Meter, text: &[u8], from: usize) -> Option<Groups> {
        let mut search = Search { text, meter, groups: Groups::default(), depth: 0, exact: self };
        (from..=text.len()).find_map(|start| {
            search.groups = Groups::default();
            let mut end = None;
            let found = search.node(&self.root, start, &mut |_, at| {
                end = Some(at);
                true
            });
            search.groups[0] = Some((start, end?));
            found.then_some(search.groups)
        })
    }
}

fn unsupported<T>(what: &'static str) -> Result<T, Untranslatable> {
    Err(Untranslatable::NotLinear(what))
}

impl Node {
    fn of(hir: &Hir, groups: &mut usize) -> Result<Self, Untranslatable> {
        let list = |list: &[Hir], groups: &mut usize| {
            list.iter().map(|sub| Self::of(sub, groups)).collect::<Result<Vec<_>, _>>()
        };
        Ok(match hir.kind() {
            HirKind::Empty => Self::All(Vec::new()),
            HirKind::Literal(literal) => Self::Literal(literal.0.clone()),
            HirKind::Class(Class::Bytes(class)) => Self::OneOf(
                class
                    .iter()
                    .fold(ByteSet::EMPTY, |set, range| set.union(ByteSet::range(range.start(), range.end()))),
            ),
            HirKind::Class(Class::Unicode(_)) => return unsupported("a class of characters"),
            HirKind::Look(look) => Self::Look(*look),
            HirKind::Repetition(repeated) => Self::Repeat {
                least: repeated.min as usize,
                most: repeated.max.map_or(usize::MAX, |most| most as usize),
                greedy: repeated.greedy,
                node: Box::new(Self::of(&repeated.sub, groups)?),
            },
            HirKind::Concat(parts) => Self::All(list(parts, groups)?),
            HirKind::Alternation(branches) => Self::Any(list(branches, groups)?),
            HirKind::Capture(capture) => match Special::of(capture) {
                Some(Special::Reference(group)) => Self::Reference(group),
                Some(Special::Atomic) => Self::Atomic(Box::new(Self::of(&capture.sub, groups)?)),
                Some(Special::Around { behind, negative }) => {
                    let lengths = if behind { lengths(&capture.sub)? } else { Vec::new() };
                    let node = Box::new(Self::of(&capture.sub, groups)?);
                    if behind {
                        Self::Behind { negative, node, lengths }
                    } else {
                        Self::Ahead { negative, node }
                    }
                }
                None => {
                    *groups += 1;
                    let group = *groups;
                    Self::Group(group, Box::new(Self::of(&capture.sub, groups)?))
                }
            },
        })
    }

    const fn has_one_way(&self) -> bool {
        matches!(self, Self::Literal(_) | Self::OneOf(_) | Self::Look(_) | Self::Atomic(_))
    }

    fn highest_reference(&self) -> usize {
        match self {
            Self::Reference(group) => *group,
            Self::Repeat { node, .. }
            | Self::Group(_, node)
            | Self::Atomic(node)
            | Self::Ahead { node, .. }
            | Self::Behind { node, .. } => node.highest_reference(),
            Self::All(list) | Self::Any(list) => list.iter().map(Self::highest_reference).max().unwrap_or(0),
            Self::Literal(_) | Self::OneOf(_) | Self::Look(_) => 0,
        }
    }
}

/// How long what is looked for behind may be: each branch has one length, as PCRE demands.
fn lengths(hir: &Hir) -> Result<Vec<usize>, Untranslatable> {
    let length = |hir: &Hir| {
        let bounds = hir.properties();
        bounds.minimum_len().filter(|least| bounds.maximum_len() == Some(*least))
    };
    let branches = match hir.kind() {
        HirKind::Alternation(branches) => branches.as_slice(),
        _ => std::slice::from_ref(hir),
    };
    let found: Option<Vec<_>> = branches.iter().map(length).collect();
    found.filter(|found| found.len() <= LENGTHS).map_or_else(|| unsupported("lookbehind of any length"), Ok)
}

/// What goes on with the rest of the pattern from a place in the text.
type Then<'t> = &'t mut dyn FnMut(&mut Search<'_>, usize) -> bool;

struct Search<'a> {
    text: &'a [u8],
    meter: &'a mut Meter,
    groups: Groups,
    depth: usize,
    exact: &'a Exact,
}

impl Search<'_> {
    /// Whether the node matches here, and what follows after it.
    fn node(&mut self, node: &Node, at: usize, then: Then<'_>) -> bool {
        if self.depth >= DEPTH {
            self.meter.exhaust();
        }
        if !self.meter.spend(STEP_NS) {
            return false;
        }
        self.depth += 1;
        let matches = self.matches(node, at, then);
        self.depth -= 1;
        matches
    }

    fn matches(&mut self, node: &Node, at: usize, then: Then<'_>) -> bool {
        match node {
            Node::Literal(_) | Node::OneOf(_) | Node::Look(_) | Node::Atomic(_) => {
                self.all(std::slice::from_ref(node), at, then)
            }
            Node::Repeat { least, most, greedy, node } => match &**node {
                Node::OneOf(set) => self.run(set, (*least, *most), *greedy, at, then),
                node => self.repeat(node, (*least, *most), *greedy, (0, at), then),
            },
            Node::Group(group, node) => self.node(node, at, &mut |search, end| {
                let before = search.groups;
                if let Some(slot) = search.groups.get_mut(*group) {
                    *slot = Some((at, end));
                }
                let matches = then(search, end);
                if !matches {
                    search.groups = before;
                }
                matches
            }),
            Node::All(list) => self.all(list, at, then),
            Node::Any(list) => list.iter().any(|node| self.node(node, at, then)),
            Node::Reference(group) => match self.referred(*group, at) {
                Some(length) => then(self, at + length),
                None => false,
            },
            Node::Ahead { negative, node } => self.is_around(node, at, None) != *negative && then(self, at),
            Node::Behind { negative, node, lengths } => {
                let mut starts = lengths.iter().filter_map(|length| at.checked_sub(*length));
                starts.any(|start| self.is_around(node, start, Some(at))) != *negative && then(self, at)
            }
        }
    }

    fn all(&mut self, list: &[Node], at: usize, then: Then<'_>) -> bool {
        let before = self.groups;
        let matches = self.each(list, at, then);
        if !matches {
            self.groups = before;
        }
        matches
    }

    /// What matches in one way alone needs no way back, and takes no depth.
    fn each(&mut self, mut list: &[Node], mut at: usize, then: Then<'_>) -> bool {
        while let Some((first, rest)) = list.split_first() {
            if !first.has_one_way() {
                return self.node(first, at, &mut |search, at| search.all(rest, at, then));
            }
            let Some(end) = self.meter.spend(STEP_NS).then(|| self.only(first, at)).flatten() else {
                return false;
            };
            (list, at) = (rest, end);
        }
        then(self, at)
    }

    /// Where the match ends of a node that matches in one way alone.
    fn only(&mut self, node: &Node, at: usize) -> Option<usize> {
        match node {
            Node::Literal(literal) => self.rest(at).starts_with(literal).then_some(at + literal.len()),
            Node::OneOf(set) => self.is_of(set, at).then_some(at + 1),
            Node::Look(look) => self.looks(*look, at).then_some(at),
            Node::Atomic(node) => {
                let mut end = None;
                self.node(node, at, &mut |_, to| {
                    end = Some(to);
                    true
                });
                end
            }
            _ => None,
        }
    }

    /// What one set of bytes repeats takes no depth.
    fn run(
        &mut self,
        set: &ByteSet,
        (least, most): (usize, usize),
        greedy: bool,
        at: usize,
        then: Then<'_>,
    ) -> bool {
        let longest = self.rest(at).iter().take(most).take_while(|byte| set.contains(**byte)).count();
        if longest < least || !self.meter.spend(longest.saturating_mul(STEP_NS)) {
            return false;
        }
        if greedy {
            (least..=longest).rev().any(|length| then(self, at + length))
        } else {
            (least..=longest).any(|length| then(self, at + length))
        }
    }

    fn repeat(
        &mut self,
        node: &Node,
        (least, most): (usize, usize),
        greedy: bool,
        (count, at): (usize, usize),
        then: Then<'_>,
    ) -> bool {
        let enough = count >= least;
        if enough && !greedy && then(self, at) {
            return true;
        }
        let once_more = count < most
            && self.node(node, at, &mut |search, end| {
                // What takes nothing would take it forever.
                if end == at {
                    return then(search, end);
                }
                search.repeat(node, (least, most), greedy, (count + 1, end), then)
            });
        once_more || (enough && greedy && then(self, at))
    }

    /// Whether what is looked for is there, up to `end` if that is said.
    fn is_around(&mut self, node: &Node, at: usize, end: Option<usize>) -> bool {
        let before = self.groups;
        let found = self.node(node, at, &mut |_, to| end.is_none_or(|end| end == to));
        if !found {
            self.groups = before;
        }
        found
    }

    /// How long the reference is, if what its group found stands here, too.
    fn referred(&self, group: usize, at: usize) -> Option<usize> {
        let (start, end) = self.groups.get(group).copied().flatten()?;
        let found = self.text.get(start..end)?;
        let here = self.rest(at).get(..found.len())?;
        let same = if self.exact.ignores_case { here.eq_ignore_ascii_case(found) } else { here == found };
        same.then_some(found.len())
    }

    fn rest(&self, at: usize) -> &[u8] {
        self.text.get(at..).unwrap_or_default()
    }

    fn is_of(&self, set: &ByteSet, at: usize) -> bool {
        self.text.get(at).is_some_and(|byte| set.contains(*byte))
    }

    fn looks(&self, look: Look, at: usize) -> bool {
        let before = at.checked_sub(1).and_then(|before| self.text.get(before)).copied();
        let after = self.text.get(at).copied();
        let is_word =
            |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let is_line = |byte: Option<u8>| byte.is_none_or(|byte| byte == b'\n');
        match look {
            Look::Start => before.is_none(),
            Look::End => after.is_none(),
            Look::StartLF => is_line(before),
            Look::EndLF => is_line(after),
            Look::WordAscii => is_word(before) != is_word(after),
            Look::WordAsciiNegate => is_word(before) == is_word(after),
            // The translation writes no other.
            _ => false,
        }
    }
}

/// A reference may be to any group that is kept.
pub(super) const fn is_kept(group: usize) -> bool {
    0 < group && group < GROUPS
}
