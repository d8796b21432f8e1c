//! However a text is cut into pieces, the same comes out, as long as what went in; JSON stays JSON; and rules for JSON
//! agree with what another parser makes of them.
#![no_main]

use std::sync::{Arc, LazyLock};

use edgeward::dlp::json::{Rewriter, Rules};
use edgeward::dlp::{Action, Detector, Detectors, Pattern, Scanner};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

static DETECTORS: LazyLock<Arc<Detectors>> = LazyLock::new(|| {
    let known = Detector::ALL.iter().filter(|detector| **detector != Detector::Secrets);
    let known: Vec<_> = known.map(|detector| (*detector, Action::Mask)).collect();
    let own = ["ACC-[0-9]{3,10}", "[a-z\"]{5}[^x]{1,20}z", "[0-9e.]{2,4}k?"];
    let own = own.map(|text| (text.into(), Pattern::new(text).expect("a pattern"), Action::Mask));
    Arc::new(Detectors::new(&known, own.into()))
});

fn rules(mask: &[&str], remove: &[&str], allow: &[&str]) -> Arc<Rules> {
    let [mask, remove, allow] =
        [mask, remove, allow].map(|paths| paths.iter().map(|path| path.parse().expect("a path")).collect());
    Arc::new(Rules::new(mask, remove, allow).expect("few paths"))
}

static MASKS: LazyLock<Arc<Rules>> = LazyLock::new(|| rules(&["/a", "/*/b", "/c/*/d"], &[], &[]));
static REMOVES: LazyLock<Arc<Rules>> = LazyLock::new(|| rules(&["/e"], &["/a", "/*/b", "/c/*/d"], &[]));
static ALLOWS: LazyLock<Arc<Rules>> = LazyLock::new(|| rules(&[], &["/a/x"], &["/a", "/*/b", "/c/*/d"]));

fuzz_target!(|data: &[u8]| {
    let Some((cut, text)) = data.split_first() else { return };
    let size = usize::from(*cut).max(1);
    for json in [false, true] {
        let whole = scan(&[text], json);
        assert_eq!(whole.len(), text.len());
        assert_eq!(scan(&text.chunks(size).collect::<Vec<_>>(), json), whole);
        let (front, back) = text.split_at(text.len().min(size));
        assert_eq!(scan(&[front, back, b""], json), whole);
        if json && parse(text).is_some() {
            assert!(parse(&whole).is_some());
        }
    }
    for rules in [&MASKS, &REMOVES, &ALLOWS] {
        let whole = rewrite(rules, &[text]);
        let pieces = rewrite(rules, &text.chunks(size).collect::<Vec<_>>());
        assert_eq!(whole.is_some(), pieces.is_some());
        let Some(whole) = whole else { continue };
        assert_eq!(Some(&whole), pieces.as_ref());
        let (Some(before), Some(after)) = (parse(text), parse(&whole)) else {
            assert!(parse(text).is_none(), "what was JSON is none");
            continue;
        };
        assert!(rules.removes() || whole.len() == text.len());
        if Arc::ptr_eq(rules, &REMOVES) {
            let mut after = after;
            remove(&mut after, "e");
            assert_eq!(after, removed(before));
        }
    }
});

fn scan(pieces: &[&[u8]], json: bool) -> Vec<u8> {
    let mut scanner = Scanner::new(Arc::clone(&DETECTORS), json);
    let mut out = Vec::new();
    for piece in pieces {
        scanner.write(piece, false, &mut out).expect("nothing blocks");
    }
    scanner.write(b"", true, &mut out).expect("nothing blocks");
    out
}

fn rewrite(rules: &Arc<Rules>, pieces: &[&[u8]]) -> Option<Vec<u8>> {
    let mut rewriter = Rewriter::new(Arc::clone(rules), false);
    let mut out = Vec::new();
    for piece in pieces {
        rewriter.write(piece, &mut out).ok()?;
    }
    rewriter.finish(&mut out).ok()?;
    Some(out)
}

fn parse(text: &[u8]) -> Option<Value> {
    serde_json::from_slice(text).ok()
}

/// What [`REMOVES`] leaves, on a tree, without what it masks.
fn removed(mut value: Value) -> Value {
    members(&mut value).for_each(|member| remove(member, "b"));
    remove(&mut value, "a");
    remove(&mut value, "e");
    if let Some(listed) = value.get_mut("c") {
        members(listed).for_each(|member| remove(member, "d"));
    }
    value
}

fn remove(value: &mut Value, name: &str) {
    if let Value::Object(members) = value {
        members.remove(name);
    }
}

fn members(value: &mut Value) -> Box<dyn Iterator<Item = &mut Value> + '_> {
    match value {
        Value::Array(members) => Box::new(members.iter_mut()),
        Value::Object(members) => Box::new(members.values_mut()),
        _ => Box::new(std::iter::empty()),
    }
}
