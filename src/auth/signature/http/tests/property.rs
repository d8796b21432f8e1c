//! Requests at random: a signature holds exactly as long as what it covers is the same, told here without the code that
//! builds bases.

use super::super::Refusal;
use super::{Request, requiring};
use crate::http::chance::Chance;

const FIELDS: [&str; 3] = ["x-a", "x-b", "x-c"];
const VALUES: [&[u8]; 8] = [b"a", b"b", b",", b" ", b", ", b"\t", b"\"@method\": GET", b":YQ==:"];
const PATHS: [&str; 4] = ["/", "/a", "/a/", "/%61"];
const QUERIES: [Option<&str>; 4] = [None, Some(""), Some("a=1"), Some("a=1&b=+")];
const COMPONENTS: [&str; 8] = ["@method", "@path", "@query", "@target-uri", "x-a", "x-a;bs", "x-b", "x-b;bs"];

fn random(chance: &mut Chance) -> Request {
    let (method, path) = (*chance.pick(&["GET", "PUT"]), *chance.pick(&PATHS));
    let mut request = Request::new(method, "a.example", path);
    request.query = (*chance.pick(&QUERIES)).map(str::to_owned);
    for _ in 0..chance.below(5) {
        let (field, value) = (*chance.pick(&FIELDS), chance.glue(&VALUES, 3));
        request.append(field, std::str::from_utf8(&value).unwrap());
    }
    request
}

/// The request with one thing changed, or nothing.
fn changed(request: &Request, chance: &mut Chance) -> Request {
    let mut changed = request.clone();
    let (other, other_field) = (random(chance), *chance.pick(&FIELDS));
    match chance.below(5) {
        0 => changed.method = other.method,
        1 => changed.path = other.path,
        2 => changed.query = other.query,
        3 => changed.append(other_field, std::str::from_utf8(&chance.glue(&VALUES, 3)).unwrap()),
        _ => changed.fields = other.fields,
    }
    changed
}

/// What a component says, `None` if nothing.
fn meaning(request: &Request, component: &str) -> Option<Vec<String>> {
    let (method, path, query) = (request.method.to_owned(), request.path.clone(), request.query.clone());
    let (name, wrapped) = component.split_once(';').map_or((component, false), |(name, _)| (name, true));
    match name {
        "@method" => Some(vec![method]),
        "@path" => Some(vec![path]),
        "@query" => Some(vec![query.unwrap_or_default()]),
        "@target-uri" => Some([vec![path], query.into_iter().collect()].concat()),
        name => {
            let lines = request.fields.get_all(name);
            let lines: Vec<String> =
                lines.iter().map(|line| line.to_str().unwrap().trim().to_owned()).collect();
            match lines.is_empty() {
                true => None,
                false if wrapped => Some(lines),
                false => Some(vec![lines.join(", ")]),
            }
        }
    }
}

#[test]
fn a_signature_holds_exactly_as_long_as_what_it_covers_is_the_same() {
    let mut chance = Chance::new(9421);
    let (mut held, mut broken, mut absent) = (0, 0, 0);
    for _ in 0..2000 {
        let request = random(&mut chance);
        let covered: Vec<&str> = COMPONENTS
            .into_iter()
            .filter(|component| chance.below(3) == 0 && meaning(&request, component).is_some())
            .collect();
        let signed = request.signature("sig", &covered, None);
        let changed = changed(&request, &mut chance);
        let same =
            covered.iter().all(|component| meaning(&request, component) == meaning(&changed, component));
        let missing = covered.iter().any(|component| meaning(&changed, component).is_none());
        let changed = changed.with("signature-input", &signed.input).with("signature", &signed.signature);
        let refusal = changed.refusal(&requiring(&covered));
        match (same, missing) {
            (true, _) => assert_eq!(refusal, None, "{request:?} {changed:?} {covered:?}"),
            (false, true) => assert_eq!(refusal, Some(Refusal::AbsentComponent)),
            (false, false) => {
                assert_eq!(refusal, Some(Refusal::Invalid), "{request:?} {changed:?} {covered:?}");
            }
        }
        held += usize::from(same);
        absent += usize::from(missing);
        broken += usize::from(!same && !missing);
    }
    assert!(held > 300 && broken > 300 && absent > 50, "{held} {broken} {absent}");
}
