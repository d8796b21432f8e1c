//! The whole story under simulated time: keys are made, used, rotated, told of and retired while a client calls.

use super::fixtures::{START, Scratch, compile, days, random};
use super::lifecycle::{self, Caution, IN_USE_WITHIN, LifecycleError, NewKey, Rotation};
use super::notice::THRESHOLDS;
use super::*;
use std::time::Duration;

/// A proxy with the store it serves from, restarted at will.
struct Proxy {
    scratch: Scratch,
    usage: Usage,
    notices: Notices,
    directory: Directory,
    told: Vec<String>,
}

impl Proxy {
    fn start() -> Self {
        let (usage, notices) = (Usage::default(), Notices::new(&THRESHOLDS, 1, START));
        Self { scratch: Scratch::new(), usage, notices, directory: Directory::default(), told: Vec::new() }
    }

    /// As `edgeward keys` and the reload that follows do.
    fn store(&mut self, document: &Document) {
        let path = self.scratch.join("keys.json");
        let text = document.encode(Encoding::of(&path)).unwrap();
        file::LockedFile::wait_for(&path).unwrap().replace(&text).unwrap();
        let read = file::read(&path).unwrap().unwrap();
        self.directory = compile(&serde_json::from_str(&read).unwrap(), &self.usage);
    }

    fn call(&self, key: &KeyText, now: Moment) -> Result<Standing, &'static str> {
        let admitted = self.directory.check(Some(key.expose().as_bytes()), now);
        let admitted = admitted.map_err(|refusal| refusal.reason.as_str())?;
        admitted.key.tally.record(now);
        Ok(admitted.standing)
    }

    fn look_around(&mut self, now: Moment) {
        self.notices.observe(&self.directory, now);
        while let Some(delivery) = self.notices.due(now) {
            let body: serde_json::Value = serde_json::from_str(&delivery.body).unwrap();
            self.told.push(format!(
                "{} {}",
                body["type"].as_str().unwrap(),
                body["data"]["key"].as_str().unwrap()
            ));
            self.notices.delivered(&delivery.id);
        }
    }

    fn save(&mut self, now: Moment) {
        self.usage.flush_to_file(&self.scratch.join("usage.json"), now).unwrap();
        self.notices.save_to_file(&self.scratch.join("notices.json")).unwrap();
    }

    fn restart(&mut self, document: &Document, now: Moment) {
        self.save(now);
        self.usage = Usage::from_records(&self.records());
        let path = self.scratch.join("notices.json");
        self.notices = Notices::load_from_file(&path, &THRESHOLDS, 1, now).unwrap();
        self.directory = compile(document, &self.usage);
    }

    fn records(&self) -> Records {
        Records::load_from_file(&self.scratch.join("usage.json")).unwrap()
    }
}

#[test]
fn keys_rotate_without_a_refused_request_and_everyone_who_must_know_is_told() {
    let mut proxy = Proxy::start();
    let consumer: ConsumerName = "partner-a".parse().unwrap();
    let yearly = NewKey { expires: Some(START.plus(days(365))), ..NewKey::default() };
    let old = lifecycle::new(&Document::default(), &consumer, yearly, START, &mut random(1)).unwrap();
    proxy.store(&old.document);

    // Rotated on day 100; the client changes to the new key 20 days later, one request an hour all the time.
    let rotation = Rotation { only: None, overlap: days(30), expires: None };
    let rotated_at = START.plus(days(100));
    let rotated = lifecycle::rotate(&old.document, &consumer, rotation, rotated_at, &mut random(2)).unwrap();
    let mut new = None;
    for hour in 0..24 * 140_u64 {
        let now = START.plus(Duration::from_secs(hour * 3600));
        if now == rotated_at {
            proxy.store(&rotated.made.document);
            new = Some(&rotated.made.text);
        }
        let key = new.filter(|_| now >= rotated_at.plus(days(20))).unwrap_or(&old.text);
        let standing = proxy.call(key, now).expect("no request is refused");
        let is_old = new.is_some() && key.id() == &old.id;
        assert_eq!(matches!(standing, Standing::Deprecated { .. }), is_old, "{now}");
        proxy.look_around(now);
        if hour % 100 == 99 {
            let document = if new.is_some() { &rotated.made.document } else { &old.document };
            proxy.restart(document, now);
        }
        let laggards = facts::laggards(&proxy.directory, now, 10).len();
        assert_eq!(laggards, usize::from(now > rotated_at && now < rotated_at.plus(days(30))), "{now}");
    }
    let told = |kind: &str| format!("{kind} {}", old.id);
    assert_eq!(
        proxy.told,
        [
            told("key.rotated"),
            told("key.old_used"),
            told("key.expiring"),
            told("key.expiring"),
            told("key.expired")
        ]
    );
    let now = START.plus(days(140));
    proxy.save(now);
    assert_eq!(proxy.call(&old.text, now), Err("key_expired"));
    let uses = |id: &KeyId| proxy.records().of(id).map(|record| record.uses);
    assert_eq!((uses(&old.id), uses(&rotated.made.id)), (Some(24 * 120), Some(24 * 20)));
}

#[test]
fn a_key_is_retired_when_its_users_are_gone_and_refused_with_its_own_reason() {
    let mut proxy = Proxy::start();
    let consumer: ConsumerName = "partner-a".parse().unwrap();
    let made =
        lifecycle::new(&Document::default(), &consumer, NewKey::default(), START, &mut random(1)).unwrap();
    proxy.store(&made.document);
    assert!(proxy.call(&made.text, START).is_ok());
    proxy.save(START);

    let retire = |proxy: &Proxy, now| {
        let records = proxy.records();
        let caution = Caution::Unused { within: IN_USE_WITHIN, records: Some(&records) };
        lifecycle::retire(&made.document, &made.id, caution, now)
    };
    let refused = retire(&proxy, START.plus(days(6))).unwrap_err();
    assert!(matches!(refused, LifecycleError::InUse { uses: 1, .. }), "{refused}");
    let later = START.plus(days(7));
    let retired = retire(&proxy, later).unwrap();
    assert!(proxy.call(&made.text, later).is_ok(), "the store is not written yet");
    proxy.store(&retired);
    assert_eq!(proxy.call(&made.text, later), Err("key_retired"));
    proxy.look_around(later);
    assert_eq!(proxy.told, [format!("key.retired {}", made.id)]);
}
