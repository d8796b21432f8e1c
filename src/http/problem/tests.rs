use super::*;

const PLAIN: Problem<'_> = Problem {
    status: StatusCode::FORBIDDEN,
    reason: "ip_access",
    request_id: Some("7f3a"),
    detail: None,
    instance: None,
};

fn json(problem: &Problem<'_>) -> String {
    String::from_utf8(problem.to_json()).unwrap()
}

#[test]
fn says_what_rfc_9457_asks_for() {
    assert_eq!(
        json(&PLAIN),
        r#"{"type":"urn:edgeward:reason:ip_access","title":"Forbidden","request_id":"7f3a","status":403}"#
    );
}

#[test]
fn says_more_where_more_is_given() {
    let problem = Problem { detail: Some("from this network"), instance: Some("/orders/7"), ..PLAIN };
    assert!(json(&problem).contains(r#","detail":"from this network","instance":"/orders/7","#));
    assert!(!json(&PLAIN).contains("detail") && !json(&PLAIN).contains("instance"));
}

#[test]
fn escapes_what_would_break_out_of_a_string() {
    let problem = Problem { detail: Some("a\"b\\c\r\n\0\u{7f}é</script>"), ..PLAIN };
    assert!(
        json(&problem).contains(r#""detail":"a\"b\\c\u000d\u000a\u0000\u007fé</script>","#),
        "{}",
        json(&problem)
    );
}

#[test]
fn allocates_exactly_once() {
    let problem = Problem { detail: Some("\"\\\u{1}x"), instance: Some("/é"), ..PLAIN };
    let body = problem.to_json();
    assert_eq!(body.capacity(), body.len());
}

#[test]
fn has_a_title_for_statuses_without_a_phrase() {
    let problem = Problem { status: StatusCode::from_u16(499).unwrap(), ..PLAIN };
    assert!(json(&problem).contains(r#""title":"Refused","#) && json(&problem).ends_with(r#""status":499}"#));
}

#[test]
fn statuses_are_called_as_rfc_9110_does() {
    assert_eq!(phrase(StatusCode::PAYLOAD_TOO_LARGE), "Content Too Large");
    assert_eq!(phrase(StatusCode::NOT_FOUND), "Not Found");
}
