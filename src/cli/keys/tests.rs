use super::*;
use crate::auth::keys::{Document, Records};

#[test]
fn takes_moments_and_lengths_and_nothing_else() {
    let now = Moment::from_unix(1_767_225_600);
    for (text, expected) in [
        ("2027-01-31", "2027-01-31T00:00:00Z"),
        ("2027-01-31T12:00:00+01:00", "2027-01-31T11:00:00Z"),
        ("90d", "2026-04-01T00:00:00Z"),
        ("1h30m", "2026-01-01T01:30:00Z"),
    ] {
        assert_eq!(when(text).unwrap().from(now).to_string(), expected, "{text}");
    }
    for text in ["", "90", "tomorrow", "-1d", "2027-02-30"] {
        assert!(when(text).is_err(), "{text}");
    }
}

#[test]
fn a_table_has_its_columns_below_each_other() {
    let document: Document = serde_json::from_value(serde_json::json!({ "consumers": [
        { "name": "partner-with-a-long-name", "keys": [{ "id": "k1", "sha256": "5".repeat(64) }] },
        { "name": "b", "keys": [{ "id": "k2", "sha256": "6".repeat(64), "retired": "2026-01-01" }] },
    ] }))
    .unwrap();
    let rows = lifecycle::list(&document, &Records::default(), Moment::from_unix(1_767_225_600));
    assert_eq!(
        table::table(&rows),
        "CONSUMER                  ID  STATE    CREATED  EXPIRES  LAST USED  USES\n\
         partner-with-a-long-name  k1  current  -        -        -          0\n\
         b                         k2  retired  -        -        -          0\n"
    );
}
