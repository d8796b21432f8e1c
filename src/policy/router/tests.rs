use std::sync::Arc;

use super::*;

struct Routes(Router, usize);

impl Routes {
    fn new() -> Self {
        Self(Router::default(), 0)
    }

    fn with(mut self, host: Option<&str>, path: &str) -> Self {
        self.try_add(host, path, Conditions::default()).unwrap();
        self
    }

    fn when(mut self, path: &str, conditions: Conditions) -> Self {
        self.try_add(None, path, conditions).unwrap();
        self
    }

    fn try_add(&mut self, host: Option<&str>, path: &str, conditions: Conditions) -> Result<(), usize> {
        let pattern = match path.strip_prefix('~') {
            Some(regex) => PathPattern::Regex(Regex::new(regex).unwrap()),
            None => PathPattern::Template(Pattern::parse(path).unwrap()),
        };
        let route = self.1;
        self.1 += 1;
        self.0.add(route, host, &pattern, &Arc::new(conditions))
    }

    fn ask(&self, host: &str, path: &str) -> Answer {
        self.request(host, path, &Method::GET, &HeaderMap::new())
    }

    fn request(&self, host: &str, target: &str, method: &Method, headers: &HeaderMap) -> Answer {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        self.0.find(&Question { host, path, query, method, headers })
    }
}

fn methods(list: &[Method]) -> Conditions {
    Conditions { methods: list.to_vec(), ..Conditions::default() }
}

fn header(value: &str) -> Conditions {
    Conditions { headers: vec![(http::header::ACCEPT, Test::Exact(value.into()))], ..Conditions::default() }
}

#[test]
fn the_most_specific_path_wins_whatever_the_order() {
    let routes = Routes::new()
        .with(None, "/**")
        .with(None, "/users/**")
        .with(None, "/users/{id}")
        .with(None, "/users/me")
        .with(None, "~^/users/[0-9]+/x$");
    for (path, route) in [
        ("/", 0),
        ("/a/b", 0),
        ("/users", 1),
        ("/users/", 1),
        ("/users/7", 2),
        ("/users/me", 3),
        ("/users/7/x", 4),
        ("/users/a/x", 1),
    ] {
        assert_eq!(routes.ask("", path), Answer::Route(route), "{path}");
    }
}

#[test]
fn routes_with_the_same_expression_are_told_apart_by_their_conditions() {
    let mut routes =
        Routes::new().with(None, "~^/a").with(None, "~^/").when("~^/a", methods(&[Method::POST]));
    assert_eq!(routes.request("", "/a", &Method::POST, &HeaderMap::new()), Answer::Route(2));
    assert_eq!(routes.ask("", "/a"), Answer::Route(0));
    assert_eq!(routes.ask("", "/b"), Answer::Route(1));
    assert_eq!(routes.try_add(None, "~^/a", methods(&[Method::POST, Method::PUT])), Err(2));
}

#[test]
fn a_prefix_is_not_a_string_prefix() {
    let routes = Routes::new().with(None, "/admin/**");
    assert_eq!(routes.ask("", "/administrator"), Answer::NotFound);
    assert_eq!(routes.ask("", "/admin"), Answer::Route(0));
    assert_eq!(routes.ask("", "/admin/x/y"), Answer::Route(0));
}

#[test]
fn an_exact_path_is_exact() {
    let routes = Routes::new().with(None, "/a");
    for path in ["/a/", "/a/b", "/A", "/"] {
        assert_eq!(routes.ask("", path), Answer::NotFound, "{path}");
    }
}

#[test]
fn a_dead_end_of_a_literal_falls_back_to_a_capture() {
    let routes = Routes::new().with(None, "/a/b/c").with(None, "/{x}/b/d");
    assert_eq!(routes.ask("", "/a/b/d"), Answer::Route(1));
}

#[test]
fn a_capture_is_never_empty() {
    let routes = Routes::new().with(None, "/users/{id}");
    assert_eq!(routes.ask("", "/users/"), Answer::NotFound);
}

#[test]
fn hosts_go_from_exact_over_the_longest_wildcard_to_any() {
    let routes = Routes::new()
        .with(None, "/**")
        .with(Some("*.example.com"), "/**")
        .with(Some("*.eu.example.com"), "/**")
        .with(Some("api.example.com"), "/only");
    for (host, path, route) in [
        ("other.org", "/x", 0),
        ("example.com", "/x", 0),
        ("a.example.com", "/x", 1),
        ("a.b.example.com", "/x", 1),
        ("a.eu.example.com", "/x", 2),
        ("api.example.com", "/only", 3),
        ("api.example.com", "/x", 1),
        ("evilexample.com", "/x", 0),
    ] {
        assert_eq!(routes.ask(host, path), Answer::Route(route), "{host}{path}");
    }
}

#[test]
fn tells_which_methods_would_do() {
    let routes =
        Routes::new().when("/a", methods(&[Method::GET])).when("/a", methods(&[Method::PUT, Method::DELETE]));
    let none = HeaderMap::new();
    assert_eq!(routes.request("", "/a", &Method::HEAD, &none), Answer::Route(0));
    assert_eq!(routes.request("", "/a", &Method::DELETE, &none), Answer::Route(1));
    let allowed = vec![Method::GET, Method::HEAD, Method::PUT, Method::DELETE];
    assert_eq!(routes.request("", "/a", &Method::POST, &none), Answer::MethodNotAllowed(allowed));
    assert_eq!(routes.request("", "/b", &Method::POST, &none), Answer::NotFound);
}

#[test]
fn more_conditions_win() {
    let routes = Routes::new().when("/a", Conditions::default()).when("/a", header("text/html"));
    let mut headers = HeaderMap::new();
    assert_eq!(routes.request("", "/a", &Method::GET, &headers), Answer::Route(0));
    headers.insert(http::header::ACCEPT, "text/html".parse().unwrap());
    assert_eq!(routes.request("", "/a", &Method::GET, &headers), Answer::Route(1));
}

#[test]
fn query_parameters_are_whole_names_and_values() {
    let query = vec![("v".into(), Test::Exact("2".into()))];
    let routes = Routes::new().when("/a", Conditions { query, ..Conditions::default() });
    let none = HeaderMap::new();
    for (target, found) in
        [("/a?v=2", true), ("/a?x=1&v=2", true), ("/a?v=22", false), ("/a?vv=2", false), ("/a", false)]
    {
        let answer = routes.request("", target, &Method::GET, &none);
        assert_eq!(answer == Answer::Route(0), found, "{target}");
    }
}

#[test]
fn two_routes_that_no_request_tells_apart_are_refused() {
    let mut routes = Routes::new().when("/a", methods(&[Method::GET])).when("/b", header("text/html"));
    assert_eq!(routes.try_add(None, "/a", methods(&[Method::GET, Method::POST])), Err(0));
    assert_eq!(routes.try_add(None, "/a", methods(&[Method::HEAD])), Err(0));
    assert_eq!(routes.try_add(None, "/a", methods(&[Method::POST])), Ok(()));
    assert_eq!(routes.try_add(None, "/b", header("text/html")), Err(1));
    assert_eq!(routes.try_add(None, "/b", header("application/json")), Ok(()));
}
