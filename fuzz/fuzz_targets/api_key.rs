//! No text that is not whole passes for a key of ours, and whatever a store's or a state's file says is read or refused
//! without a panic; what is read and compiles reads the same after it was written.
#![no_main]

use edgeward::auth::keys::format::{PREFIX, Presented};
use edgeward::auth::keys::notice::THRESHOLDS;
use edgeward::auth::keys::{Directory, Document, Encoding, Moment, Notices, Reason, Records, Source, Usage};
use libfuzzer_sys::fuzz_target;

const NOW: Moment = Moment::from_unix(1_767_225_600);

fuzz_target!(|data: &[u8]| {
    text_of_a_key(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(moment) = text.parse::<Moment>() {
        assert_eq!(moment.to_string().parse(), Ok(moment));
    }
    store(text);
    if let Ok(records) = Records::parse(text) {
        assert_eq!(Records::parse(&records.encode().unwrap()).unwrap(), records);
        assert_eq!(Usage::from_records(&records).flush(records.clone(), NOW).records, records);
    }
    if let Ok(mut notices) = Notices::parse(text, &THRESHOLDS, 1) {
        notices.observe(&Directory::default(), NOW);
        while let Some(delivery) = notices.due(NOW) {
            notices.delivered(&delivery.id);
        }
    }
});

fn text_of_a_key(text: &[u8]) {
    let empty = Directory::default();
    let refused = empty.check(Some(text), NOW).unwrap_err();
    let Ok(presented) = Presented::parse(text) else {
        assert!(matches!(refused.reason, Reason::Malformed | Reason::Missing));
        return;
    };
    assert_eq!(refused.reason, Reason::Unknown);
    assert_eq!(presented.claimed_id().is_some(), text.starts_with(PREFIX.as_bytes()));
    if presented.claimed_id().is_none() {
        return;
    }
    for at in PREFIX.len()..text.len() {
        let mut damaged = text.to_vec();
        damaged[at] ^= 1;
        assert!(Presented::parse(&damaged).is_err());
        assert!(Presented::parse(&text[..at]).is_err());
    }
}

fn store(text: &str) {
    let Ok(document) = serde_json::from_str::<Document>(text) else { return };
    let source = Source { label: "the store", document: &document };
    let usage = Usage::default();
    let Ok(directory) = Directory::compile(&[source], &usage) else { return };
    let mut notices = Notices::new(&THRESHOLDS, 1, Moment::from_unix(0));
    for key in directory.keys() {
        key.tally.record(NOW);
    }
    notices.observe(&directory, NOW);
    let told = notices.waiting();
    notices.observe(&directory, NOW);
    assert_eq!(notices.waiting(), told, "each event is told once");
    assert!(Notices::parse(&notices.encode().unwrap(), &THRESHOLDS, 1).is_ok());
    let written = document.encode(Encoding::Json).unwrap();
    assert_eq!(serde_json::from_str::<Document>(&written).unwrap(), document);
    document.encode(Encoding::Yaml).unwrap();
}
