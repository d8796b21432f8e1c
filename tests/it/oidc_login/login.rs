//! From the first page to the last.

use serde_json::json;

use super::*;
use crate::harness::soon;

#[test]
fn somebody_logs_in_and_the_upstream_is_told_who_and_nothing_else() {
    let site = Site::new("");
    let mut jar = Jar::default();
    let page = site.log_in(&mut jar, "/orders/7?a=b");
    assert_eq!((page.status, page.text()), (200, "ok".to_owned()));
    let seen = site.origin.only();
    assert_eq!((seen.target(), seen.header("x-user")), ("/orders/7?a=b", Some("alice")));
    assert_eq!((seen.header("cookie"), seen.header("authorization")), (None, None));
    let line = site.edge.logged("alice", |line| line["consumer"] == "alice");
    assert_eq!((&line["route"], &line["status"]), (&json!("orders"), &json!(200)));
    let back = site.edge.logged("the callback", |line| line["path"] == "/oauth2/callback");
    let query = back["query"].as_str().unwrap();
    assert!(query.contains("state=") && !query.contains("code"), "no code in a log: {query}");
}

#[test]
fn nobody_else_says_who_calls_and_no_other_upstream_sees_the_session() {
    let site = Site::new("");
    let mut jar = Jar::default();
    site.log_in(&mut jar, "/orders/7");
    let forged = [("X-User", "root"), ("X_User", "root")];
    assert_eq!(ask(&site.edge, &jar, "/orders/8", &forged).status, 200);
    jar.0.insert("theirs".into(), "1".into());
    assert_eq!(ask(&site.edge, &jar, "/open/a", &forged).status, 200);
    let requests = site.origin.requests();
    let [_, inside, open] = requests.as_slice() else { panic!("{}", requests.len()) };
    assert_eq!((inside.all("x-user"), inside.all("x_user")), (vec!["alice"], vec![]));
    assert_eq!((open.all("x-user"), open.header("cookie")), (vec![], Some("theirs=1")));
}

#[test]
fn scripts_get_401_and_pages_the_issuer() {
    let site = Site::new("");
    let refused = ask(&site.edge, &Jar::default(), "/orders/7", &[("Sec-Fetch-Mode", "cors")]);
    assert_eq!((refused.status, refused.reason()), (401, "oidc_login_required".to_owned()));
    assert!(refused.header("www-authenticate").unwrap().starts_with("Cookie realm=\"orders\""));
    let page = ask(&site.edge, &Jar::default(), "/orders/7", &[("Accept", "text/html")]);
    assert_eq!((page.status, page.header("cache-control")), (302, Some("no-store")));
    let location = page.header("location").unwrap();
    assert!(location.starts_with(&format!("{}/authorize?", site.provider.issuer())), "{location}");
    assert_eq!(site.origin.count(), 0);
}

#[test]
fn an_attacker_cannot_log_somebody_in() {
    let site = Site::new("");
    let (mut attacker, mut victim) = (Jar::default(), Jar::default());
    let begun = visit(&site.edge, &mut attacker, "/orders/7");
    let back = site.provider.authorize(begun.header("location").unwrap());
    let refused = visit(&site.edge, &mut victim, target(&back));
    assert_eq!((refused.status, refused.reason()), (400, "oidc_attempt_unknown".to_owned()));
    assert!(victim.0.is_empty());
    assert_eq!(visit(&site.edge, &mut attacker, target(&back)).status, 302, "the code is not spent");
    let again = visit(&site.edge, &mut attacker, target(&back));
    assert_eq!((again.status, again.reason()), (400, "oidc_attempt_unknown".to_owned()), "but good once");
}

#[test]
fn every_process_with_the_secret_knows_the_session_also_after_a_reload() {
    let site = Site::new("");
    let mut jar = Jar::default();
    site.log_in(&mut jar, "/orders/7");
    site.edge.reload().unwrap();
    assert_eq!(ask(&site.edge, &jar, "/orders/7", &[]).status, 200);
    let other = policy("").with("iss", site.provider.issuer()).with("origin", site.origin.address()).start();
    assert_eq!(ask(&other, &jar, "/orders/7", &[]).status, 200);
    let stranger = policy("")
        .with("iss", site.provider.issuer())
        .with("origin", site.origin.address())
        .file("session", "another secret with at least 32 letters")
        .start();
    assert_eq!(ask(&stranger, &jar, "/orders/7", &[]).status, 401);
}

#[test]
fn a_due_session_is_renewed_once_for_all_requests_and_goes_on() {
    let site = Site::new("");
    let mut jar = Jar::default();
    site.provider.set_lifetime(0);
    site.log_in(&mut jar, "/orders/7");
    let before = site.provider.refreshes();
    site.provider.set_lifetime(300);
    let old = jar.clone();
    let answers: Vec<Response> = std::thread::scope(|scope| {
        let requests = (0..12).map(|_| scope.spawn(|| ask(&site.edge, &old, "/orders/7", &[])));
        let requests: Vec<_> = requests.collect();
        requests.into_iter().map(|request| request.join().unwrap()).collect()
    });
    assert_eq!(site.provider.refreshes(), before + 1);
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        jar.take(answer);
    }
    let quiet = ask(&site.edge, &jar, "/orders/7", &[]);
    assert_eq!((quiet.status, quiet.all("set-cookie").len()), (200, 0));
    assert_eq!(site.provider.refreshes(), before + 1);
}

#[test]
fn somebody_whom_the_issuer_locked_out_is_out_with_the_next_renewal() {
    let site = Site::new("");
    let mut jar = Jar::default();
    site.provider.set_lifetime(0);
    site.log_in(&mut jar, "/orders/7");
    site.provider.lock_out();
    let refused = ask(&site.edge, &jar, "/orders/7", &[]);
    assert_eq!((refused.status, refused.reason()), (401, "oidc_login_required".to_owned()));
    assert_eq!(visit(&site.edge, &mut jar, "/orders/7").status, 302);
    assert!(!jar.0.contains_key("__Host-edgeward"), "{:?}", jar.0.keys());
}

#[test]
fn while_the_issuer_is_down_sessions_go_on_and_nobody_else_gets_in() {
    let site = Site::new("");
    let mut jar = Jar::default();
    site.log_in(&mut jar, "/orders/7");
    site.provider.set_down(true);
    assert_eq!(ask(&site.edge, &jar, "/orders/7", &[]).status, 200);
    site.edge.reload().unwrap();
    let refused = visit(&site.edge, &mut Jar::default(), "/orders/7");
    assert_eq!((refused.status, refused.reason()), (503, "oidc_unavailable".to_owned()));
    site.provider.set_down(false);
    soon("logins again", || visit(&site.edge, &mut Jar::default(), "/orders/7").status == 302);
}

#[test]
fn logging_out_ends_the_session_here_and_leads_to_the_issuer() {
    let site = Site::new("after_logout: /open/bye");
    let mut jar = Jar::default();
    site.log_in(&mut jar, "/orders/7");
    let stolen = jar.clone();
    let foreign = ask(&site.edge, &jar, "/logout", &[("Sec-Fetch-Site", "cross-site")]);
    assert_eq!((foreign.status, foreign.reason()), (403, "oidc_logout_cross_site".to_owned()));
    let out = visit(&site.edge, &mut jar, "/logout");
    let location = out.header("location").unwrap();
    assert!(location.starts_with(&format!("{}/end?id_token_hint=", site.provider.issuer())), "{location}");
    let asked = small::parameters(location.split_once('?').unwrap().1);
    assert_eq!(asked["post_logout_redirect_uri"], "http://localhost/open/bye");
    assert!(jar.0.is_empty());
    assert_eq!(ask(&site.edge, &stolen, "/orders/7", &[]).status, 401, "a copy of the cookie");
    assert_eq!(ask(&site.edge, &jar, "/open/bye", &[]).status, 200);
}

#[test]
fn upstreams_get_the_access_token_where_the_policy_says_so() {
    let site = Site::new("forward_access_token: true");
    let mut jar = Jar::default();
    site.log_in(&mut jar, "/orders/7");
    let seen = site.origin.only();
    assert!(seen.header("authorization").unwrap().starts_with("Bearer access-"));
}

#[test]
fn claims_of_the_id_token_decide_in_expressions() {
    let login = "{ chain: login }";
    let staff =
        r#"{ ip_access: { deny: [0.0.0.0/0], when: 'not any(jwt.claims["groups"][*] == "staff")' } }"#;
    let site = Site::new("");
    let text = site.edge.folder.read("policy.yaml");
    site.edge.rewrite(&text.replace(
        &format!("[{login}] }}\n  - {{ name: open"),
        &format!("[{login}, {staff}] }}\n  - {{ name: open"),
    ));
    site.edge.reload().unwrap();
    for (groups, status) in [(json!(["staff", "users"]), 200), (json!(["users"]), 403), (json!(null), 403)] {
        site.provider.set_claims(json!({ "groups": groups }));
        let page = site.log_in(&mut Jar::default(), "/orders/7");
        assert_eq!(page.status, status, "{groups}");
    }
}

#[test]
fn a_session_with_much_to_say_is_spread_over_cookies() {
    let site = Site::new("");
    let groups: Vec<_> = (0..400).map(|number| format!("group-{number}")).collect();
    site.provider.set_claims(json!({ "groups": groups }));
    let mut jar = Jar::default();
    assert_eq!(site.log_in(&mut jar, "/orders/7").status, 200);
    assert!(jar.0.contains_key("__Host-edgeward.3"), "{:?}", jar.0.keys());
    assert_eq!(site.origin.only().header("cookie"), None);
    let groups: Vec<_> = (0..1000).map(|number| format!("group-{number}")).collect();
    site.provider.set_claims(json!({ "groups": groups }));
    let mut jar = Jar::default();
    let begun = visit(&site.edge, &mut jar, "/orders/7");
    let back = site.provider.authorize(begun.header("location").unwrap());
    let refused = visit(&site.edge, &mut jar, target(&back));
    assert_eq!((refused.status, refused.reason()), (502, "oidc_session_too_large".to_owned()));
}
