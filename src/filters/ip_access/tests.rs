use std::io::Write;

use super::*;
use crate::filters::Verdict;
use crate::filters::exchange::Sample;

fn compile(yaml: &str) -> Result<IpAccess, Problem> {
    compile_at(yaml, Path::new("/nowhere"))
}

fn compile_at(yaml: &str, base: &Path) -> Result<IpAccess, Problem> {
    serde_yaml::from_str::<Spec>(yaml).unwrap().build(base)
}

/// Whether the filter lets the address in; every refusal is checked to be the documented one.
fn admits(filter: &IpAccess, address: &str) -> bool {
    let mut sample = Sample::get("/", &[]);
    sample.facts.client_ip = address.parse().unwrap();
    let verdict = match filter.on_request(&mut sample.exchange()) {
        Step::Now(verdict) => verdict,
        Step::Later(_) => panic!("an address needs no waiting"),
    };
    match verdict {
        Verdict::Next => true,
        Verdict::Refuse(refusal) => {
            assert_eq!((refusal.status, refusal.reason), (StatusCode::FORBIDDEN, "ip_access"));
            false
        }
        Verdict::Respond(_) | Verdict::Stored => panic!("an access check answers nothing itself"),
    }
}

fn problem(yaml: &str) -> (String, String) {
    let problem = compile(yaml).err().unwrap();
    (problem.at, problem.message)
}

/// A directory with one file, removed when dropped.
struct Directory(PathBuf);

impl Directory {
    fn with(name: &str, content: &str) -> Self {
        let unique = format!("edgeward-ip-access-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(unique);
        fs::create_dir_all(&path).unwrap();
        fs::File::create(path.join(name)).unwrap().write_all(content.as_bytes()).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn refuses_a_client_outside_every_allowed_network() {
    let filter = compile("allow: [10.0.0.0/8, '2001:db8::/32']").unwrap();
    assert!(admits(&filter, "10.255.0.1"));
    assert!(admits(&filter, "2001:db8:7::1"));
    assert!(!admits(&filter, "11.0.0.1"));
    assert!(!admits(&filter, "2001:db9::1"));
}

#[test]
fn refuses_a_denied_client_and_nobody_else() {
    let filter = compile("deny: [198.51.100.0/24]").unwrap();
    assert!(!admits(&filter, "198.51.100.9"));
    assert!(admits(&filter, "198.51.101.9"));
    assert!(admits(&filter, "2001:db8::1"));
}

#[test]
fn lets_deny_win_over_allow_whichever_is_narrower() {
    let inside = compile("{ allow: [10.0.0.0/8], deny: [10.1.0.0/16] }").unwrap();
    assert!(admits(&inside, "10.2.0.1"));
    assert!(!admits(&inside, "10.1.0.1"));
    let around = compile("{ allow: [10.1.0.0/16, 192.0.2.1], deny: [10.0.0.0/8] }").unwrap();
    assert!(!admits(&around, "10.1.0.1"));
    assert!(admits(&around, "192.0.2.1"));
}

#[test]
fn takes_a_plain_address_as_that_one_alone() {
    let filter = compile("allow: [192.0.2.7, '2001:db8::7']").unwrap();
    assert!(admits(&filter, "192.0.2.7"));
    assert!(!admits(&filter, "192.0.2.8"));
    assert!(admits(&filter, "2001:db8::7"));
    assert!(!admits(&filter, "2001:db8::8"));
}

#[test]
fn sees_through_ipv4_mapped_addresses() {
    let filter = compile("allow: [10.0.0.0/8]").unwrap();
    assert!(admits(&filter, "::ffff:10.0.0.1"));
    assert!(!admits(&filter, "::ffff:11.0.0.1"));
}

#[test]
fn reads_both_files_with_comments_and_adds_them_to_the_lists() {
    let directory = Directory::with("nets", "# partners\n10.0.0.0/8  # all of them\n\n  2001:db8::/32\n");
    let allow = compile_at("{ allow: [192.0.2.1], allow_file: nets }", &directory.0).unwrap();
    assert!(admits(&allow, "10.9.9.9") && admits(&allow, "2001:db8::9") && admits(&allow, "192.0.2.1"));
    assert!(!admits(&allow, "192.0.2.2"));
    let deny = compile_at("{ deny: [192.0.2.1], deny_file: nets }", &directory.0).unwrap();
    assert!(!admits(&deny, "10.9.9.9") && !admits(&deny, "2001:db8::9") && !admits(&deny, "192.0.2.1"));
    assert!(admits(&deny, "192.0.2.2"));
}

#[test]
fn says_which_line_of_a_file_is_wrong() {
    let directory = Directory::with("broken", "10.0.0.0/8\n# fine\n10.0.0.0/33\n");
    let problem = compile_at("deny_file: broken", &directory.0).err().unwrap();
    assert_eq!(problem.at, "deny_file");
    assert!(problem.message.contains("broken:3: expected a network"), "{}", problem.message);
}

#[test]
fn says_that_a_file_is_missing() {
    let (at, message) = problem("allow_file: missing.txt");
    assert_eq!(at, "allow_file");
    assert!(message.starts_with("cannot read /nowhere/missing.txt: "), "{message}");
}

#[test]
fn refuses_an_allow_list_that_lets_nobody_in() {
    assert_eq!(problem("allow: []").0, "allow");
    let directory = Directory::with("empty", "# nothing yet\n");
    assert_eq!(compile_at("allow_file: empty", &directory.0).err().unwrap().at, "allow_file");
    assert!(admits(&compile_at("deny_file: empty", &directory.0).unwrap(), "10.0.0.1"));
}

#[test]
fn says_which_entry_is_wrong() {
    let (at, message) = problem("allow: [10.0.0.0/8, 10.0.0.1/8]");
    assert_eq!(at, "allow[1]");
    assert_eq!(message, "10.0.0.1/8 has bits set beyond its prefix, did you mean 10.0.0.0/8 or 10.0.0.1?");
    assert_eq!(problem("deny: [10.0.0.0/8, 10.0.0.0/8, example.com]").0, "deny[2]");
    assert_eq!(problem("deny: [010.0.0.1]").0, "deny[0]");
}

#[test]
fn refuses_a_spec_that_decides_nothing() {
    assert_eq!(problem("{}").0, "");
    assert!(serde_yaml::from_str::<Spec>("alow: [10.0.0.0/8]").is_err());
}
