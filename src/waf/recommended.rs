//! Rules of `ModSecurity`'s recommended configuration that the Core Rule Set counts on and does not contain.
//!
//! A body that cannot be parsed is one that was not looked at, though a backend may read it. The Core Rule Set leaves
//! refusing it to these rules, which stand before it in `modsecurity.conf-recommended`: without them a JSON body with a
//! byte too many hides its arguments.

/// Each with its id, as upstream has it, all with status 400. Whoever puts them before other rules leaves out those
/// whose ids these define.
pub const RECOMMENDED: [(u64, &str); 3] = [
    (
        200_002,
        "SecRule REQBODY_ERROR \"!@eq 0\" \"id:200002,phase:2,t:none,log,deny,status:400,\
        msg:'Failed to parse request body.',logdata:'%{REQBODY_ERROR_MSG}',severity:2\"\n",
    ),
    (
        200_003,
        "SecRule MULTIPART_STRICT_ERROR \"!@eq 0\" \"id:200003,phase:2,t:none,log,deny,status:400,\
        msg:'Multipart request body failed strict validation: \
        PE %{REQBODY_PROCESSOR_ERROR}, BQ %{MULTIPART_BOUNDARY_QUOTED}, BW %{MULTIPART_BOUNDARY_WHITESPACE}, \
        DB %{MULTIPART_DATA_BEFORE}, DA %{MULTIPART_DATA_AFTER}, HF %{MULTIPART_HEADER_FOLDING}, \
        LF %{MULTIPART_LF_LINE}, SM %{MULTIPART_MISSING_SEMICOLON}, IQ %{MULTIPART_INVALID_QUOTING}, \
        IP %{MULTIPART_INVALID_PART}, IH %{MULTIPART_INVALID_HEADER_FOLDING}, \
        FL %{MULTIPART_FILE_LIMIT_EXCEEDED}',severity:2\"\n",
    ),
    (
        200_004,
        "SecRule MULTIPART_UNMATCHED_BOUNDARY \"@eq 1\" \"id:200004,phase:2,t:none,log,deny,status:400,\
        msg:'Multipart parser detected a possible unmatched boundary.',severity:2\"\n",
    ),
];

#[cfg(test)]
mod tests {
    use super::RECOMMENDED;
    use crate::waf::testing::{post, run};
    use crate::waf::{Disruption, Verdict};

    const JSON: &[(&str, &str)] = &[("Content-Type", "application/json")];
    const MULTIPART: &[(&str, &str)] = &[("Content-Type", "multipart/form-data; boundary=b")];

    fn refused(headers: &[(&str, &str)], body: &str) -> Option<u64> {
        let rules: String = RECOMMENDED.iter().map(|(_, rule)| *rule).collect();
        let (transaction, verdict) = run(&rules, post(headers, body));
        let rule = transaction.interruption().map(|interruption| interruption.rule);
        let expected = rule.map_or(Verdict::Pass, |_| Verdict::Refuse(Disruption::Deny { status: 400 }));
        assert_eq!(verdict, expected);
        rule
    }

    #[test]
    fn bodies_that_cannot_be_parsed_are_refused() {
        let part = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n";
        for (headers, body, rule) in [
            (JSON, "{\"a\":1}".to_owned(), None),
            (JSON, "{\"a\":1".to_owned(), Some(200_002)),
            (MULTIPART, format!("{part}--b--\r\n"), None),
            (MULTIPART, format!("before\r\n{part}--b--\r\n"), Some(200_003)),
        ] {
            assert_eq!(refused(headers, &body), rule, "{body}");
        }
    }

    #[test]
    fn each_rule_has_the_id_it_is_listed_by() {
        for (id, rule) in RECOMMENDED {
            assert!(rule.contains(&format!("id:{id},")) && rule.contains("status:400"), "{rule}");
        }
    }
}
