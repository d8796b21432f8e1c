//! How much a consumer may call, all its keys and routes together.

use super::{ask, new, origin, setup};
use crate::harness::{Client, Origin};

/// Partner a with two keys and a limit, partner b without.
fn limited(origin: &Origin) -> (crate::harness::Edge, [String; 3]) {
    let setup = setup("{ api_key: {} }", origin);
    let folder = setup.path().to_owned();
    let keys = [new(&folder, &["partner-a"]), new(&folder, &["partner-a"]), new(&folder, &["partner-b"])];
    let text = std::fs::read_to_string(folder.join("keys.yaml")).unwrap();
    let name = "  - name: \"partner-a\"\n";
    assert!(text.contains(name), "{text}");
    let limited = text.replace(name, &format!("{name}    limits: {{ rate: 40/1h }}\n"));
    std::fs::write(folder.join("keys.yaml"), limited).unwrap();
    (setup.start(), keys)
}

#[test]
fn exactly_the_limit_passes_by_whatever_key_and_route() {
    let origin = origin();
    let (edge, [one, two, other]) = limited(&origin);
    let address = edge.address("listen");
    let threads: Vec<_> = [(&one, "/"), (&two, "/"), (&one, "/other/"), (&two, "/other/")]
        .map(|(key, path)| {
            let key = key.clone();
            std::thread::spawn(move || {
                let mut client = Client::connect(address);
                let ask = |_| client.request("GET", path, &[("X-Api-Key", &key)], b"").status;
                (0..20).map(ask).collect::<Vec<_>>()
            })
        })
        .into_iter()
        .collect();
    let statuses: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    let count = |status| statuses.iter().filter(|one| **one == status).count();
    assert_eq!((count(200), count(429), origin.count()), (40, 40, 40));
    assert_eq!(ask(&edge, "/", &other).status, 200, "another consumer");
}

#[test]
fn the_limit_is_told() {
    let origin = origin();
    let (edge, [one, two, other]) = limited(&origin);
    let told = ask(&edge, "/", &one);
    assert_eq!(told.header("ratelimit-policy"), Some("\"consumer\";q=40;w=3600"));
    assert!(told.header("ratelimit").unwrap().starts_with("\"consumer\";r=39;t="), "{told:?}");
    for _ in 0..39 {
        ask(&edge, "/", &two);
    }
    let refused = ask(&edge, "/", &one);
    assert_eq!((refused.status, refused.reason()), (429, "rate_limit".to_owned()));
    let wait: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=90).contains(&wait), "{wait}");
    let line = edge.logged("the refusal", |line| line["status"] == 429);
    assert_eq!((&line["consumer"], &line["filter"]), (&"partner-a".into(), &"api_key".into()));
    assert_eq!(ask(&edge, "/", &other).header("ratelimit"), None, "no limit, nothing to tell");
}

#[test]
fn counts_go_on_over_reloads_of_policy_and_store() {
    let origin = origin();
    let (edge, [one, ..]) = limited(&origin);
    for _ in 0..40 {
        assert_eq!(ask(&edge, "/", &one).status, 200);
    }
    edge.reload().unwrap();
    assert_eq!(ask(&edge, "/", &one).status, 429);
    new(edge.folder.path(), &["partner-c"]);
    super::taken_over(&edge, 1);
    assert_eq!(ask(&edge, "/", &one).status, 429);
}
