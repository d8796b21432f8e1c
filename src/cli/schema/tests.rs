//! Nothing that a policy may say is missing from the schema or the reference.

use super::*;

fn definitions() -> Map<String, Value> {
    schema().get("$defs").and_then(Value::as_object).cloned().expect("definitions")
}

/// Every schema of a key, with its name and owner.
fn each_key(mut visit: impl FnMut(&str, &str, &Value)) {
    for (owner, definition) in &definitions() {
        let of =
            |schema: &Value| schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        for (key, property) in of(definition) {
            visit(owner, &key, &property);
        }
    }
}

#[test]
fn every_kind_of_filter_is_in_the_schema_under_its_name() {
    let filter = definitions().get("Filter").cloned().expect("a filter");
    for kind in KINDS {
        let reference = filter.pointer(&format!("/properties/{kind}/$ref")).and_then(Value::as_str);
        assert_eq!(reference, Some(&*format!("#/$defs/{kind}")));
        assert!(definitions().contains_key(*kind));
    }
    assert!(filter.pointer("/properties/no_such_filter").is_none());
}

#[test]
fn groups_take_filters_that_find_out_who_calls_and_groups() {
    let group = definitions().get("Authenticator").cloned().expect("what stands in a group");
    let takes = |kind: &str| group.pointer(&format!("/properties/{kind}")).is_some();
    assert!(takes("basic_auth") && takes("any_of") && takes("all_of"));
    assert!(!takes("ip_access") && !takes("authorize") && !takes("chain"));
}

#[test]
fn only_filters_that_decide_take_a_mode() {
    let takes =
        |kind: &str| definitions().get(kind).and_then(|kind| kind.pointer("/properties/mode")).is_some();
    assert!(takes("ip_access") && takes("rate_limit") && takes("basic_auth") && takes("request_limits"));
    assert!(!takes("cors") && !takes("compress") && !takes("request_headers") && !takes("error_pages"));
}

#[test]
fn every_key_has_a_description() {
    let mut missing = Vec::new();
    each_key(|owner, key, property| {
        let described = property.get("description").is_some_and(|text| text != "");
        // A kind of filter is described where it is defined.
        if !described && !matches!(owner, "Filter" | "Authenticator") {
            missing.push(format!("{owner}.{key}"));
        }
    });
    assert_eq!(missing, [""; 0]);
}

#[test]
fn unknown_keys_are_errors_wherever_keys_are_known() {
    fn check(schema: &Value, path: &str) {
        if schema.get("properties").is_some() {
            assert_eq!(schema.get("additionalProperties"), Some(&Value::Bool(false)), "{path}");
        }
        if let Some(map) = schema.as_object() {
            map.iter().for_each(|(key, value)| check(value, &format!("{path}/{key}")));
        }
        for item in schema.as_array().into_iter().flatten() {
            check(item, path);
        }
    }
    check(&schema(), "");
}

#[test]
fn definitions_have_names_of_their_own() {
    for name in definitions().keys() {
        assert!(
            !name.ends_with(|last: char| last.is_ascii_digit()) && name != "Spec",
            "{name} wants a rename"
        );
    }
}

#[test]
fn references_lead_somewhere() {
    fn references(schema: &Value, found: &mut Vec<String>) {
        match schema {
            Value::Object(map) => map.iter().for_each(|(key, value)| match value {
                Value::String(target) if key == "$ref" => found.push(target.clone()),
                value => references(value, found),
            }),
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let (schema, mut found) = (schema(), Vec::new());
    references(&schema, &mut found);
    assert!(found.len() > 50);
    for target in found {
        let pointer = target.strip_prefix('#').expect("local");
        assert!(schema.pointer(pointer).is_some(), "{target}");
    }
}

#[test]
fn defaults_and_examples_that_are_told_are_in_the_schema() {
    let definitions = definitions();
    let at = |pointer: &str| definitions.get("cors").and_then(|cors| cors.pointer(pointer)).cloned();
    assert_eq!(at("/properties/max_age/default"), Some(json!("10m")));
    assert_eq!(at("/properties/methods/default"), Some(json!(["GET", "HEAD", "POST"])));
    assert_eq!(at("/properties/max_age/examples"), Some(json!(["1h"])));
}

#[test]
fn the_reference_names_every_key() {
    let reference = markdown();
    each_key(|owner, key, _| {
        assert!(
            reference.contains(&format!("`{key}`")) || reference.contains(&format!("{key}: ")),
            "{owner}.{key}"
        );
    });
    for kind in KINDS {
        assert!(reference.contains(&format!("\n### `{kind}`\n")), "{kind}");
    }
    assert!(!reference.contains("`no_such_key`"));
}

#[test]
fn links_of_the_reference_lead_to_its_headings() {
    let reference = markdown();
    let heading = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | ' '));
        kept.collect::<String>().replace(' ', "-")
    };
    let headings: Vec<String> = reference.lines().filter(|line| line.starts_with('#')).map(heading).collect();
    let links =
        reference.match_indices("](#").filter_map(|(at, _)| reference.get(at + 3..)?.split(')').next());
    for link in links {
        assert!(headings.iter().any(|heading| heading == link), "{link}");
    }
}

#[test]
fn every_section_and_row_is_well_formed() {
    for line in markdown().lines().filter(|line| line.starts_with('|')) {
        let bars = line.replace("\\|", "").matches('|').count();
        assert!(bars == 5 || bars == 3, "{line}");
    }
}
