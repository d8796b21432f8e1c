//! One answer's body on its way: out of its coding, through the rules for JSON, through the search.

use std::sync::Arc;

use http::StatusCode;

use super::spec::Otherwise;
use super::{Limits, OVER_LIMIT, UNREADABLE};
use crate::dlp::json::{Fault, Rewriter};
use crate::dlp::{Action, Blocked, Detectors, Scanner};
use crate::filters::Refusal;
use crate::http::decompress::Decoder;

/// What is new to count: a kind, what became of it, how often.
pub(super) type Finding = (Box<str>, &'static str, u64);

/// A body that passes.
pub(super) struct Passage {
    limits: Limits,
    decoder: Option<Decoder>,
    rewriter: Option<Rewriter>,
    must_be_json: bool,
    scan: Option<Scan>,
    /// What has come, decoded.
    bytes: u64,
    /// What was counted before.
    counted: Counted,
}

struct Scan {
    detectors: Arc<Detectors>,
    scanner: Scanner,
}

#[derive(Default)]
struct Counted {
    found: Vec<u64>,
    masked: u64,
    removed: u64,
    /// What no scanner counts.
    others: Vec<Finding>,
}

/// What a body is sent through.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) decoder: Option<Decoder>,
    pub(super) rewriter: Option<Rewriter>,
    /// Whether it is at fault if it is no JSON: it says that it is, or nothing else may pass.
    pub(super) must_be_json: bool,
    /// With whether it is JSON.
    pub(super) detectors: Option<(Arc<Detectors>, bool)>,
}

impl Passage {
    pub(super) fn new(limits: Limits, parts: Parts) -> Self {
        let scan = parts
            .detectors
            .map(|(detectors, json)| Scan { scanner: Scanner::new(Arc::clone(&detectors), json), detectors });
        Self {
            limits,
            decoder: parts.decoder,
            rewriter: parts.rewriter,
            must_be_json: parts.must_be_json,
            scan,
            bytes: 0,
            counted: Counted::default(),
        }
    }

    /// Takes a piece, gives what may go.
    pub(super) fn pass(&mut self, piece: &[u8], end: bool) -> Result<Vec<u8>, Refusal> {
        let mut decoded = Vec::new();
        let piece = match &mut self.decoder {
            None => piece,
            Some(decoder) => {
                let faulty = decoder.write(piece, &mut decoded).is_err();
                // What is no more to be decoded cannot be passed on either: its coding is no longer named.
                if faulty || (end && self.decoder.take().is_some_and(|decoder| decoder.finish().is_err())) {
                    return Err(refuse("response_unreadable").why("its content coding"));
                }
                &decoded
            }
        };
        let before = self.bytes;
        self.bytes += piece.len() as u64;
        let within = self.limits.most_bytes.saturating_sub(before).min(piece.len() as u64);
        let (looked_at, beyond) = piece.split_at(usize::try_from(within).unwrap_or(piece.len()));
        let last = end || !beyond.is_empty();
        let mut out = Vec::new();
        self.rewrite(looked_at, last && beyond.is_empty(), &mut out)?;
        if !beyond.is_empty() && (self.rewriter.is_some() || self.scan.is_some()) {
            self.stop(&mut out)?;
        }
        out.extend_from_slice(beyond);
        Ok(out)
    }

    fn rewrite(&mut self, piece: &[u8], end: bool, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let Some(rewriter) = &mut self.rewriter else { return self.search(piece, end, out) };
        let mut rewritten = Vec::with_capacity(piece.len() + 64);
        let mut outcome = rewriter.write(piece, &mut rewritten);
        if end && outcome.is_ok() {
            outcome = rewriter.finish(&mut rewritten).map_err(|fault| (fault, piece.len()));
        }
        self.counted_fields();
        if let Err((fault, at)) = outcome {
            self.not_json(fault, piece.get(at..).unwrap_or_default(), &mut rewritten)?;
        }
        self.search(&rewritten, end, out)
    }

    /// What is no JSON, or no more.
    fn not_json(&mut self, fault: Fault, rest: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        if self.must_be_json && self.limits.unreadable == Otherwise::Block {
            return Err(refuse("response_not_json").why(fault.to_string()));
        }
        if let Some(mut rewriter) = self.rewriter.take() {
            rewriter.give_up(out);
        }
        out.extend_from_slice(rest);
        if self.must_be_json {
            self.counted.others.push((UNREADABLE.into(), "pass", 1));
        }
        Ok(())
    }

    fn search(&mut self, piece: &[u8], end: bool, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let Some(Scan { detectors, scanner }) = &mut self.scan else {
            out.extend_from_slice(piece);
            return Ok(());
        };
        scanner.write(piece, end, out).map_err(|Blocked(kind)| {
            let kind = detectors.kinds().nth(kind).map_or("", |(name, _)| name);
            refuse("response_blocked").why(kind)
        })
    }

    /// The answer is longer than is looked at.
    fn stop(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        if self.limits.over_limit == Otherwise::Block {
            return Err(refuse("response_too_long"));
        }
        let mut waiting = Vec::new();
        if let Some(mut rewriter) = self.rewriter.take() {
            rewriter.give_up(&mut waiting);
        }
        self.search(&waiting, true, out)?;
        self.counted.others = self.news();
        self.counted.others.push((OVER_LIMIT.into(), "pass", 1));
        self.scan = None;
        Ok(())
    }

    fn counted_fields(&mut self) {
        let Some(rewriter) = &self.rewriter else { return };
        let done = rewriter.done();
        let counted = &mut self.counted;
        for (action, before, now) in
            [("mask", &mut counted.masked, done.masked), ("remove", &mut counted.removed, done.removed)]
        {
            if now > *before {
                counted.others.push((super::FIELD.into(), action, now - *before));
                *before = now;
            }
        }
    }

    /// What was found since it was asked last.
    pub(super) fn news(&mut self) -> Vec<Finding> {
        let mut news = std::mem::take(&mut self.counted.others);
        let Some(Scan { detectors, scanner }) = &self.scan else { return news };
        let counted = &mut self.counted.found;
        if *counted == scanner.found() {
            return news;
        }
        counted.resize(scanner.found().len(), 0);
        for ((now, before), (name, action)) in scanner.found().iter().zip(counted).zip(detectors.kinds()) {
            if *now > *before {
                news.push((name.into(), label(action), *now - *before));
                *before = *now;
            }
        }
        news
    }
}

pub(super) const fn refuse(reason: &'static str) -> Refusal {
    Refusal::new(StatusCode::BAD_GATEWAY, reason)
}

const fn label(action: Action) -> &'static str {
    match action {
        Action::Report => "report",
        Action::Mask => "mask",
        Action::Block => "block",
    }
}
