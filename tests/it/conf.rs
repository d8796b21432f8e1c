//! The policies that come with Edgeward: each compiles, and the quickstart does what it says.

use edgeward::policy::Materials;
use edgeward::server;

use crate::harness::tools::curl;
use crate::harness::{Client, Edge, H2Client, STRICT, Visitor};

/// An example with addresses of our own for these ports.
fn example(text: &str, addresses: &[(&str, &str)]) -> String {
    addresses.iter().fold(text.to_owned(), |text, (port, name)| {
        let (from, to) = (format!("127.0.0.1:{port}"), format!("\"{{{name}}}\""));
        assert!(text.contains(&from), "{from}");
        text.replace(&from, &to)
    })
}

fn quickstart() -> String {
    let addresses = [("9902", "echo"), ("9901", "admin"), ("8080", "listen"), ("8443", "tls")];
    let text = example(include_str!("../../conf/quickstart.yaml"), &addresses);
    text.replace("runtime_directory: /tmp/edgeward-quickstart", "drain: 200ms")
}

#[test]
fn every_policy_in_conf_compiles() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/conf");
    let mut policies = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let compiled = server::read(&path, &Materials::dry().unwrap(), None);
            assert!(compiled.is_ok(), "{}", compiled.err().unwrap());
            policies += 1;
        }
    }
    assert!(policies > 0);
}

#[test]
fn the_quickstart_answers_as_it_says() {
    let edge = Edge::policy(&quickstart()).start();
    let connect = || Client::tls(edge.address("tls"), &Visitor::named("localhost")).allow(&STRICT);
    let mut client = connect();
    let hello = client.get("/");
    assert_eq!((hello.status, hello.json()), (200, serde_json::json!({ "hello": "world" })));
    assert!(hello.header("strict-transport-security").is_some());
    assert_eq!(client.get("/users/7").text(), "a user\n");
    let echo = client.request("POST", "/echo/a?b=c", &[], b"said").json();
    assert_eq!(
        (&echo["path"], &echo["body"], &echo["headers"]["x-edge"]),
        (&"/a".into(), &"said".into(), &"edgeward".into())
    );
    assert_eq!(client.get("/private/").status, 401);
    let demo = [("Authorization", "Basic ZGVtbzpkZW1v")];
    assert_eq!(connect().request("GET", "/private/", &demo, b"").text(), "you are in\n");
    assert_eq!(connect().get("/office/").status, 200);
    assert_eq!(connect().get("/nowhere").reason(), "no_route");
    assert_eq!(edge.client("admin").get("/readyz").status, 200);
    let h2 = H2Client::tls(edge.address("tls"), &Visitor::named("localhost")).allow(&STRICT);
    assert_eq!(h2.get("/").text(), "{\"hello\":\"world\"}");
}

#[test]
fn people_reach_what_is_theirs_in_the_example_of_authorisation() {
    let text = example(include_str!("../../conf/authorize.yaml"), &[("9902", "echo"), ("8080", "listen")]);
    let edge = Edge::policy(&text).file("files/people", include_str!("../../conf/files/people")).start();
    let ask = |method: &str, path: &str, user: &str| {
        let credentials = boring::base64::encode_block(format!("{user}:demo").as_bytes());
        let headers = [("Authorization", &*format!("Basic {credentials}"))];
        edge.client("listen").request(method, path, &headers, b"")
    };
    assert_eq!(ask("GET", "/users/demo/", "demo").json()["headers"]["x-who"], "basic_auth:demo");
    assert_eq!(ask("GET", "/users/root/", "demo").reason(), "authorize_no_rule");
    assert_eq!(ask("GET", "/users/demo/", "root").status, 200);
    assert_eq!(ask("GET", "/reports/", "robot").status, 200);
    assert_eq!(ask("POST", "/reports/", "robot").reason(), "authorize_no_rule");
    assert_eq!(ask("POST", "/reports/", "root").status, 200);
    assert_eq!(edge.client("listen").get("/reports/").all("www-authenticate").len(), 2);
}

#[test]
fn the_quickstart_sends_cleartext_clients_to_tls() {
    let edge = Edge::policy(&quickstart()).start();
    let answer = edge.client("listen").allow(&STRICT).get("/a?b");
    assert_eq!(answer.status, 308);
    let port = edge.address("tls").port();
    assert_eq!(answer.header("location"), Some(&*format!("https://localhost:{port}/a?b")));
}

#[test]
fn curl_gets_an_answer_over_http2() {
    let edge = Edge::policy(&quickstart()).start();
    let url = format!("https://{}/users/7", edge.address("tls"));
    let told = curl(&["--insecure", "--http2", "--write-out", "%{http_version} %{http_code}", &url]);
    assert_eq!(told, "a user\n2 200");
}

#[test]
fn the_token_that_comes_with_the_example_opens_it() {
    let text = example(include_str!("../../conf/jwt.yaml"), &[("9902", "echo"), ("8080", "listen")]);
    let edge =
        Edge::policy(&text).file("files/jwks.json", include_str!("../../conf/files/jwks.json")).start();
    let token = include_str!("../../conf/files/token").trim_end();
    let ask = |path: &str| {
        let headers = [("Authorization", &*format!("Bearer {token}"))];
        edge.client("listen").request("GET", path, &headers, b"")
    };
    assert_eq!(ask("/orders/7").json()["headers"]["x-user"], "demo");
    assert_eq!(ask("/shared/").reason(), "scope_missing");
}

#[test]
fn the_opaque_token_of_the_example_is_exchanged() {
    let text =
        include_str!("../../conf/introspection.yaml").replace("http://127.0.0.1:8080", "http://{listen}");
    let text = example(&text, &[("9902", "echo"), ("8080", "listen")]);
    let secret = include_str!("../../conf/files/client-secret");
    let edge = Edge::policy(&text).file("files/client-secret", secret).start();
    let ask = |path: &str| {
        let headers = [("Authorization", "Bearer opaque")];
        edge.client("listen").request("GET", path, &headers, b"").json()["headers"].clone()
    };
    let orders = ask("/orders/7");
    assert_eq!(
        (&orders["authorization"], &orders["x-user"]),
        (&"Bearer for-the-upstream".into(), &"demo".into())
    );
    assert_eq!(ask("/reports/7")["authorization"], "Bearer for-the-upstream");
}
