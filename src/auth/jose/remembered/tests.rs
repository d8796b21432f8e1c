use serde_json::json;

use super::*;
use crate::auth::jose::Algorithm;
use crate::auth::jose::claims::Claims;
use crate::auth::jose::mint::{NOW, claims};

fn token(name: &str, changes: serde_json::Value) -> Arc<Verified> {
    Arc::new(Verified {
        claims: Claims::read(claims(changes)).unwrap(),
        kind: None,
        algorithm: Algorithm::Es256,
        key: Thumbprint::of(b"key"),
        text: Thumbprint::of(name.as_bytes()),
    })
}

#[test]
fn recalls_a_token_by_its_whole_text_until_it_expires() {
    let memory = Remembered::new(64, 1 << 20);
    let good = token("a", json!({ "exp": NOW + 60 }));
    memory.remember(&good, 30, NOW);
    assert!(memory.recall(&good.text, NOW).is_some_and(|found| Arc::ptr_eq(&found, &good)));
    assert!(memory.recall(&Thumbprint::of(b"b"), NOW).is_none());
    assert!(memory.recall(&good.text, NOW + 89).is_some());
    assert!(memory.recall(&good.text, NOW + 90).is_none());
    let stats = memory.stats();
    assert_eq!((stats.tokens, stats.bytes, stats.hits, stats.misses, stats.evictions), (0, 0, 2, 2, 0));
}

#[test]
fn forgets_what_it_is_told_to() {
    let memory = Remembered::new(64 * 8, 1 << 20);
    let tokens: Vec<_> = (0..100).map(|number: u32| token(&number.to_string(), json!({}))).collect();
    for token in &tokens {
        memory.remember(token, 0, NOW);
    }
    let kept: Vec<_> = tokens.iter().filter(|token| memory.recall(&token.text, NOW).is_some()).collect();
    for (place, token) in kept.iter().enumerate() {
        memory.forget(&token.text);
        assert!(memory.recall(&token.text, NOW).is_none());
        assert!(kept[place + 1..].iter().all(|other| memory.recall(&other.text, NOW).is_some()));
    }
    assert_eq!((memory.stats().tokens, memory.stats().bytes), (0, 0));
}

#[test]
fn does_not_remember_what_is_over_or_never_ends() {
    let memory = Remembered::new(64, 1 << 20);
    memory.remember(&token("a", json!({ "exp": NOW })), 0, NOW);
    memory.remember(&token("b", json!({ "exp": null })), 0, NOW);
    assert_eq!(memory.stats().tokens, 0);
}

#[test]
fn keeps_to_its_number_of_tokens_and_keeps_those_in_use() {
    let memory = Remembered::new(64 * 4, 64 << 20);
    let used: Vec<_> = (0..64).map(|number: u32| token(&format!("used {number}"), json!({}))).collect();
    let mut kept = 0;
    for (number, used) in used.iter().enumerate() {
        memory.remember(used, 0, NOW);
        for other in 0..64 {
            memory.remember(&token(&format!("once {number} {other}"), json!({})), 0, NOW);
            kept += usize::from(memory.recall(&used.text, NOW).is_some());
        }
    }
    assert_eq!(kept, 64 * 64, "a token in use stays, whatever comes by");
    let stats = memory.stats();
    assert!(stats.tokens <= 64 * 4 && stats.evictions > 3000, "{stats:?}");
}

#[test]
fn keeps_to_its_bytes_and_leaves_out_what_would_not_fit() {
    let memory = Remembered::new(1 << 20, 64 * 8192);
    let big = |name: &str| token(name, json!({ "roles": vec!["admin"; 30] }));
    for number in 0..1000 {
        memory.remember(&big(&number.to_string()), 0, NOW);
    }
    let stats = memory.stats();
    assert!(stats.bytes <= 64 * 8192 && stats.tokens > 64 && stats.tokens < 600, "{stats:?}");
    let huge = token("huge", json!({ "roles": vec!["admin"; 1000] }));
    memory.remember(&huge, 0, NOW);
    assert!(memory.recall(&huge.text, NOW).is_none());
    assert_eq!(memory.stats().tokens, stats.tokens, "nothing made room in vain");
}

#[test]
fn what_is_over_makes_room_first() {
    let memory = Remembered::new(64, 64 << 20);
    let names = || (0..200).map(|number: u32| number.to_string());
    names().for_each(|name| memory.remember(&token(&name, json!({ "exp": NOW + 1 })), 0, NOW));
    let evictions = memory.stats().evictions;
    names().for_each(|name| {
        memory.remember(&token(&format!("{name} new"), json!({ "exp": NOW + 100 })), 0, NOW + 2);
    });
    let after = memory.stats();
    assert!(after.evictions - evictions < 200 && after.tokens <= 64, "{after:?}");
}
